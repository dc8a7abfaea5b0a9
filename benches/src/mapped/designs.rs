//! The indexes that `mapped` could have, over the same rows in memory, with nothing checked: what each costs by itself.
//!
//! A row is a number, a length and a name, as in a table's file.

use super::Find;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Rows one behind the other, at multiples of 4 bytes.
#[derive(Debug, Default)]
struct Rows {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Rows {
    fn new(names: &[String]) -> Self {
        let mut rows = Self::default();
        for (number, name) in (0_u32..).zip(names) {
            rows.starts.push(u32::try_from(rows.bytes.len() / 4).expect("few names"));
            rows.bytes.extend_from_slice(&number.to_le_bytes());
            rows.bytes.extend_from_slice(&u32::try_from(name.len()).expect("a short name").to_le_bytes());
            rows.bytes.extend_from_slice(name.as_bytes());
            rows.bytes.resize(rows.bytes.len().next_multiple_of(4), 0);
        }
        rows
    }

    #[inline]
    fn word(&self, at: usize) -> u32 {
        self.bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk))
    }

    /// The number and the name at a position.
    #[inline]
    fn at(&self, position: u32) -> (u64, &[u8]) {
        let at = position as usize * 4;
        (self.word(at).into(), &self.bytes[at + 8..][..self.word(at + 4) as usize])
    }
}

#[inline]
fn hash(name: &str, seed: u64) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), seed)
}

/// The share of `count` that 32 bits are.
#[inline]
fn share(bits: u64, count: usize) -> usize {
    usize::try_from((bits & u64::from(u32::MAX)).wrapping_mul(count as u64) >> 32).unwrap_or_default()
}

/// Slots sorted by half a hash, a quarter of them empty: a name lies in the first one from its hash's share of the slots on.
#[derive(Debug)]
pub struct SortedByHash {
    rows: Rows,
    slots: Vec<u64>,
    homes: usize,
}

impl SortedByHash {
    /// Over copies of the names.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        let rows = Rows::new(names);
        let homes = (names.len() * 4).div_ceil(3);
        let mut keys: Vec<u64> = names
            .iter()
            .zip(&rows.starts)
            .map(|(name, start)| hash(name, 0) >> 32 << 32 | u64::from(start + 1))
            .collect();
        keys.sort_unstable();
        let mut slots = vec![0; homes];
        let mut free = 0;
        for key in keys {
            let at = free.max(share(key >> 32, homes));
            slots.resize(slots.len().max(at + 1), 0);
            slots[at] = key;
            free = at + 1;
        }
        Self { rows, slots, homes }
    }
}

impl Find for SortedByHash {
    #[inline]
    fn find(&self, name: &str) -> Option<u64> {
        let tag = hash(name, 0) >> 32;
        for slot in self.slots.get(share(tag, self.homes)..)? {
            if *slot == 0 || slot >> 32 > tag {
                return None;
            }
            if slot >> 32 == tag {
                let (number, found) = self.rows.at(row_of(*slot));
                if found == name.as_bytes() {
                    return Some(number);
                }
            }
        }
        None
    }
}

/// The row of a slot that is taken: its lower half, counted from 1.
#[expect(clippy::cast_possible_truncation, reason = "takes the slot's lower half")]
fn row_of(slot: u64) -> u32 {
    slot as u32 - 1
}

/// What a table has: a perfect hash as `PTHash` has it (Pibiri and Trani, 2021). Names fall into buckets of four on average, and each
/// bucket has a number, sought from the largest bucket on, that sends its names into slots that are free.
#[derive(Debug)]
pub struct Perfect {
    rows: Rows,
    pilots: Vec<u16>,
    slots: Vec<u64>,
    seed: u64,
}

#[inline]
fn piloted(hash: u64, pilot: u16, slots: usize) -> usize {
    let mixed = (hash ^ (u64::from(pilot) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    share(mixed >> 32, slots)
}

impl Perfect {
    /// Over copies of the names.
    ///
    /// # Panics
    /// If no seed serves.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        let rows = Rows::new(names);
        let (pilots, slots, seed) =
            (0..16).find_map(|seed| Self::index(names, &rows, seed)).expect("a seed with distinct hashes");
        Self { rows, pilots, slots, seed }
    }

    fn index(names: &[String], rows: &Rows, seed: u64) -> Option<(Vec<u16>, Vec<u64>, u64)> {
        let buckets = names.len().div_ceil(4);
        let count = names.len() + names.len() / 32 + 1;
        let mut keys: Vec<(u32, u64, u32)> = names
            .iter()
            .zip(&rows.starts)
            .map(|(name, start)| {
                let hash = hash(name, seed);
                (u32::try_from(share(hash >> 32, buckets)).expect("few buckets"), hash, *start)
            })
            .collect();
        keys.sort_unstable();
        let mut groups: Vec<&[(u32, u64, u32)]> = keys.chunk_by(|a, b| a.0 == b.0).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let (mut pilots, mut slots) = (vec![0; buckets], vec![0; count]);
        let mut places = Vec::new();
        for group in groups {
            let pilot = (0..u16::MAX).find(|pilot| {
                places.clear();
                group.iter().all(|(_, hash, _)| {
                    let at = piloted(*hash, *pilot, count);
                    let free = slots[at] == 0 && !places.contains(&at);
                    places.push(at);
                    free
                })
            })?;
            pilots[group[0].0 as usize] = pilot;
            for (place, (_, hash, start)) in places.iter().zip(group) {
                slots[*place] = hash >> 32 << 32 | u64::from(start + 1);
            }
        }
        Some((pilots, slots, seed))
    }
}

impl Find for Perfect {
    #[inline]
    fn find(&self, name: &str) -> Option<u64> {
        let hash = hash(name, self.seed);
        let pilot = self.pilots[share(hash >> 32, self.pilots.len())];
        let slot = self.slots[piloted(hash, pilot, self.slots.len())];
        if slot == 0 || slot >> 32 != hash >> 32 {
            return None;
        }
        let (number, found) = self.rows.at(row_of(slot));
        (found == name.as_bytes()).then_some(number)
    }
}

/// Positions sorted by the names that lie there, halved until the name is found.
#[derive(Debug)]
pub struct SortedByText {
    rows: Rows,
    sorted: Vec<u32>,
}

impl SortedByText {
    /// Over copies of the names.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        let rows = Rows::new(names);
        let mut sorted = rows.starts.clone();
        sorted.sort_unstable_by(|a, b| rows.at(*a).1.cmp(rows.at(*b).1));
        Self { rows, sorted }
    }
}

impl Find for SortedByText {
    #[inline]
    fn find(&self, name: &str) -> Option<u64> {
        let at = self.sorted.binary_search_by(|position| self.rows.at(*position).1.cmp(name.as_bytes())).ok()?;
        Some(self.rows.at(self.sorted[at]).0)
    }
}
