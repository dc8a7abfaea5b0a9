//! What lies where in a table's file, as pure arithmetic, and the header that says it.
//!
//! Stands under the builder, which writes files of this form, and under `Table`, which believes none of it before it is checked.
//! All numbers are little-endian:
//!
//! ```text
//! header    64 bytes: magic, version, names, slots, pilots, data bytes, seed, checksum of the next part, checksum of the header
//! checksums 8 bytes for each block of 16 KiB of what follows; zeros to a multiple of 64
//! slots     8 bytes each: position of the row, tag (the lower half of the name's hash); all zeros where empty
//! numbers   4 bytes each: the position of the row with this number
//! pilots    2 bytes each; zeros to a multiple of 16
//! rows      number, length of the name (its highest bit: there is a value), name, [zeros, length of the value, value], zeros to 4
//! ```
//!
//! A position is an offset in the file, in units of 4 bytes. A value begins at a multiple of 16, its length stands right before it.
//! A name's hash says which pilot is its own, hash and pilot together its slot, which is no other name's (`PTHash`: Pibiri and
//! Trani, 2021).
//!
//! Invariants: the header's numbers fix where every part lies; every byte of a file is covered by a checksum.
//! Cost: no heap call.
#![forbid(unsafe_code)]

use super::error::TableProblem;
use twox_hash::XxHash3_64;

pub(super) const MAGIC: [u8; 8] = *b"blxtable";
/// Goes up when old readers would misread.
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 64;
/// Bytes under one checksum.
pub(super) const BLOCK_BYTES: usize = 1 << 14;
pub(super) const SUM_BYTES: usize = 8;
pub(super) const SLOT_BYTES: usize = 8;
pub(super) const NUMBER_BYTES: usize = 4;
/// Bytes of a row before its name.
pub(super) const ROW_BYTES: usize = 8;
/// Positions count in these.
pub(super) const UNIT: usize = 4;
/// Values begin at multiples of it.
pub(super) const VALUE_ALIGN: usize = 16;
/// The bit of a row's length that says that it has a value.
pub(super) const HAS_VALUE: u32 = 1 << 31;
pub(super) const PILOT_BYTES: usize = 2;

/// Names of a table, at most: 268,435,456.
pub(super) const NAMES_MAX: usize = 1 << 28;
/// Bytes of a name, at most: 65,535.
pub(super) const NAME_BYTES_MAX: usize = u16::MAX as usize;
/// Bytes of a value, at most: 1 GiB.
pub(super) const VALUE_BYTES_MAX: usize = 1 << 30;
/// Bytes of a file, at most: 16 GiB, what positions reach.
pub(super) const FILE_BYTES_MAX: u64 = (UNIT as u64) << 32;

/// Where the parts of a file lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) names: u32,
    pub(super) slots: u32,
    pub(super) pilots: u32,
    /// Where the blocks begin, and the slots.
    pub(super) data_at: usize,
    pub(super) numbers_at: usize,
    pub(super) pilots_at: usize,
    pub(super) rows_at: usize,
    pub(super) file_bytes: usize,
}

impl Layout {
    /// The layout of so many names, slots and pilots with so many bytes behind the checksums.
    ///
    /// # Errors
    /// The first of them that does not fit those before it or the limits.
    pub(super) fn new(names: u32, slots: u32, pilots: u32, data_bytes: u64) -> Result<Self, TableProblem> {
        let within = |offset, what, found, least, most| {
            let malformed = TableProblem::Malformed { offset, what, found, least, most };
            if (least..=most).contains(&found) { Ok(()) } else { Err(malformed) }
        };
        // All of them are 0, or none is.
        let most = if names == 0 { 0 } else { u64::from(u32::MAX) };
        within(12, "names", names.into(), 0, NAMES_MAX as u64)?;
        within(16, "slots", slots.into(), names.into(), most)?;
        within(20, "pilots", pilots.into(), u64::from(names > 0), most)?;
        within(24, "data bytes", data_bytes, Self::index_bytes(names, slots, pilots) as u64, FILE_BYTES_MAX)?;
        #[expect(clippy::cast_possible_truncation, reason = "less than a file's most, on 64 bits")]
        let data_bytes = data_bytes as usize;
        let data_at = (HEADER_BYTES + data_bytes.div_ceil(BLOCK_BYTES) * SUM_BYTES).next_multiple_of(HEADER_BYTES);
        let numbers_at = data_at + slots as usize * SLOT_BYTES;
        let pilots_at = numbers_at + names as usize * NUMBER_BYTES;
        let rows_at = data_at + Self::index_bytes(names, slots, pilots);
        let file_bytes = data_at + data_bytes;
        within(24, "data bytes", data_bytes as u64, 0, FILE_BYTES_MAX - data_at as u64)?;
        Ok(Self { names, slots, pilots, data_at, numbers_at, pilots_at, rows_at, file_bytes })
    }

    /// Bytes of slots, numbers and pilots, with the zeros behind them.
    pub(super) fn index_bytes(names: u32, slots: u32, pilots: u32) -> usize {
        let bytes = slots as usize * SLOT_BYTES + names as usize * NUMBER_BYTES + pilots as usize * PILOT_BYTES;
        bytes.next_multiple_of(VALUE_ALIGN)
    }

    pub(super) fn data_bytes(&self) -> usize {
        self.file_bytes - self.data_at
    }

    pub(super) fn blocks(&self) -> usize {
        self.data_bytes().div_ceil(BLOCK_BYTES)
    }

    /// The block of an offset behind `data_at`.
    #[inline(always)]
    pub(super) fn block_of(&self, offset: usize) -> usize {
        (offset - self.data_at) / BLOCK_BYTES
    }

    /// Where a block begins and ends.
    pub(super) fn block(&self, block: usize) -> (usize, usize) {
        let start = self.data_at + block * BLOCK_BYTES;
        (start, (start + BLOCK_BYTES).min(self.file_bytes))
    }
}

/// What a name's hash says.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameHash(pub(super) u64);

impl NameHash {
    #[inline(always)]
    pub(super) fn of(name: &[u8], seed: u64) -> Self {
        Self(XxHash3_64::oneshot_with_seed(seed, name))
    }

    /// What is compared before the name is.
    #[inline(always)]
    pub(super) fn tag(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let tag = self.0 as u32;
        tag
    }

    /// Which pilot is its own: the greater the hash, the later.
    #[inline(always)]
    pub(super) fn pilot(self, pilots: u32) -> usize {
        share(self.0, pilots)
    }

    /// Its slot under a pilot.
    #[inline(always)]
    pub(super) fn slot(self, pilot: u16, slots: u32) -> usize {
        // Two odd numbers with ones and zeros spread: one parts the pilots, the other takes all bits up.
        let turned = self.0 ^ (u64::from(pilot) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        share(turned.wrapping_mul(0xd6e8_feb8_6659_fd93), slots)
    }
}

/// Maps the upper half of 64 bits to a number below `count`.
#[inline(always)]
fn share(bits: u64, count: u32) -> usize {
    (((bits >> 32) * u64::from(count)) >> 32) as usize
}

pub(super) fn checksum(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// The header's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) layout: Layout,
    pub(super) seed: u64,
    /// The checksum of what lies between the header and `data_at`.
    pub(super) sums: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.layout.names.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.layout.slots.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.layout.pilots.to_le_bytes());
        bytes[24..32].copy_from_slice(&(self.layout.data_bytes() as u64).to_le_bytes());
        bytes[32..40].copy_from_slice(&self.seed.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.sums.to_le_bytes());
        let sum = checksum(&bytes[..56]);
        bytes[56..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header from the beginning of what may be anything; `file_bytes` is how much of it there is.
    pub(super) fn decode(bytes: &[u8], file_bytes: u64) -> Result<Self, TableProblem> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(TableProblem::Length { found: file_bytes, expected: HEADER_BYTES as u64 });
        };
        if header[..8] != MAGIC {
            let mut found = [0; 8];
            found.copy_from_slice(&header[..8]);
            return Err(TableProblem::NoTable { found });
        }
        // Before the checksum, so that a newer form may have another one.
        let version = u32_at(header, 8);
        if version != VERSION {
            return Err(TableProblem::Version { found: version, expected: VERSION });
        }
        let (found, expected) = (checksum(&header[..56]), u64_at(header, 56));
        if found != expected {
            return Err(TableProblem::Checksum { offset: 0, bytes: HEADER_BYTES as u64, found, expected });
        }
        let data_bytes = u64_at(header, 24);
        let layout = Layout::new(u32_at(header, 12), u32_at(header, 16), u32_at(header, 20), data_bytes)?;
        if layout.file_bytes as u64 != file_bytes {
            return Err(TableProblem::Length { found: file_bytes, expected: layout.file_bytes as u64 });
        }
        Ok(Self { layout, seed: u64_at(header, 32), sums: u64_at(header, 40) })
    }
}

/// The number at an offset, 0 beyond the end; likewise the next two.
#[inline(always)]
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

#[inline(always)]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

#[inline(always)]
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_one_behind_the_other() {
        let sizes = [
            (0, 0, 0, 0),
            (1, 2, 1, 48),
            (3, 4, 1, 200),
            (1000, 1032, 250, 60_000),
            (1 << 20, 3 << 19, 1 << 18, 1 << 30),
        ];
        for (names, slots, pilots, data) in sizes {
            let layout = Layout::new(names, slots, pilots, data).unwrap();
            assert!(layout.data_at >= HEADER_BYTES + layout.blocks() * SUM_BYTES && layout.data_at.is_multiple_of(64));
            assert!(layout.numbers_at <= layout.pilots_at && layout.pilots_at <= layout.rows_at);
            assert!(layout.rows_at.is_multiple_of(VALUE_ALIGN));
            assert_eq!(layout.data_bytes() as u64, data);
            let last = layout.blocks().checked_sub(1).map(|last| layout.block(last).1);
            assert!(last.is_none_or(|end| end == layout.file_bytes));
            let header = Header { layout, seed: 7, sums: 8 };
            assert_eq!(Header::decode(&header.encode(), layout.file_bytes as u64).unwrap(), header);
        }
    }

    #[test]
    fn what_does_not_fit_is_no_layout() {
        let refused = |(names, slots, pilots, data), why: &str| {
            let Err(TableProblem::Malformed { what, found, least, most, .. }) = Layout::new(names, slots, pilots, data)
            else {
                panic!("{why}: a layout")
            };
            assert!(!(least..=most).contains(&found), "{why}: {what} {found}, {least} to {most}");
            assert_eq!(what, why.split(": ").next().unwrap_or_default());
        };
        refused((3, 2, 2, 1 << 20), "slots: fewer than names");
        refused((1, 2, 0, 1 << 20), "pilots: none for a name");
        refused((0, 2, 2, 1 << 20), "slots: for no name");
        refused((1, 2, 2, 23), "data bytes: no room for the index");
        refused((1, 2, 2, FILE_BYTES_MAX), "data bytes: no room before them");
        refused((1, 2, 2, u64::MAX), "data bytes: more than a file's");
        refused((u32::MAX, u32::MAX, u32::MAX, 1 << 33), "names: more than allowed");
    }

    #[test]
    fn slots_and_pilots_are_within_their_numbers() {
        for count in [1, 2, 3, 1_000_003, u32::MAX] {
            for hash in [0, 1, 77, 1 << 52, u64::MAX - 1, u64::MAX].map(NameHash) {
                assert!(hash.pilot(count) < count as usize);
                assert!([0, 1, 500, u16::MAX].iter().all(|pilot| hash.slot(*pilot, count) < count as usize));
            }
            assert_eq!((NameHash(0).pilot(count), NameHash(u64::MAX).pilot(count)), (0, count as usize - 1));
        }
    }
}
