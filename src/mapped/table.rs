//! `Table`: finds names by text and by number in bytes that may be anything.
//!
//! Stands at the beginning of the data's way: what lies here was written by another process. A look-up by text reads a pilot,
//! the slot that it leads to and the row; one by number reads the row's position and the row.
//!
//! Invariants: no byte of a block is believed before its checksum was found right, no number before it was found to lead
//! into the file; what a file says can make look-ups fail, and nothing else. Cost: no heap call for a look-up.
//!
//! Longer than most files here: half of its lines are the examples of its calls.
#![expect(unsafe_code, reason = "maps files")]

use super::checked::Checked;
use super::error::{TableError, TableProblem};
use super::format::{
    FILE_BYTES_MAX, HAS_VALUE, HEADER_BYTES, Header, Layout, NAME_BYTES_MAX, NUMBER_BYTES, NameHash, PILOT_BYTES,
    ROW_BYTES, SLOT_BYTES, SUM_BYTES, UNIT, VALUE_ALIGN, checksum, u16_at, u32_at, u64_at,
};
use memmap2::{Mmap, MmapMut, MmapOptions};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// An immutable table of names, and of values by name, as [`TableBuilder`](super::TableBuilder) wrote it.
///
/// [`open`](Self::open) reads the file into memory and is safe. [`map`](Self::map) shares the file's pages with every other process
/// that maps it, is ready at once whatever the size, and is `unsafe`: nobody may alter the file.
///
/// Found by text or by number; a table is `Sync`, and look-ups take no lock.
///
/// ```
/// use blixard_arena::mapped::{Table, TableBuilder};
///
/// # fn main() -> Result<(), blixard_arena::mapped::TableError> {
/// let mut builder = TableBuilder::new();
/// for node in ["node-a", "node-b"] {
///     builder.add(node)?;
/// }
/// let table = Table::from_bytes(&builder.to_bytes()?)?;
/// let node = table.find("node-b")?.expect("it was added");
/// assert_eq!(node.number(), 1); // for a column of numbers, say
/// assert_eq!(table.row(1)?.expect("there are two").name(), "node-b"); // and back
/// assert!(table.find("node-c")?.is_none());
/// # Ok(()) }
/// ```
///
/// # What is checked
/// The header and the length when it is opened. `open` and [`from_bytes`](Self::from_bytes) check every checksum then, `map`
/// each block's (16 KiB) at its first touch, and [`verify`](Self::verify) everything at once, the index included. Each number that leads
/// into the file is checked at every use. So a file that was cut or altered gives an error. One that was falsified on
/// purpose, checksums and all, may give wrong answers, and never more than that.
///
/// # Cost
/// `open`: the file's size in pages of its own, and three heap calls. `map`: the pages that are touched, and three heap calls. A look-up that finds no
/// error: none. The first touch of a block takes the time for its checksum, and to fetch it from the disk.
pub struct Table {
    bytes: Mmap,
    layout: Layout,
    seed: u64,
    checked: Checked,
    path: Option<PathBuf>,
}

/// A name of a table.
///
/// ```
/// use blixard_arena::mapped::{Table, TableBuilder};
///
/// let mut builder = TableBuilder::new();
/// builder.add_value("vm-1", b"4 cores").unwrap();
/// let table = Table::from_bytes(&builder.to_bytes().unwrap()).unwrap();
/// let vm = table.find("vm-1").unwrap().unwrap();
/// assert_eq!((vm.number(), vm.name(), vm.value().unwrap()), (0, "vm-1", Some(&b"4 cores"[..])));
/// ```
#[derive(Clone, Copy)]
pub struct Row<'t> {
    table: &'t Table,
    name: &'t str,
    number: u32,
    /// Where the name ends, if a value follows.
    value_after: Option<usize>,
}

/// A row's bytes before anybody knows that its name is one.
#[derive(Clone, Copy)]
struct Raw<'t> {
    name: &'t [u8],
    name_at: usize,
    number: u32,
    has_value: bool,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("path", &self.path)
            .field("names", &self.layout.names)
            .field("bytes", &self.layout.file_bytes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("number", &self.number).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Table {
    /// Reads a table into memory and checks every checksum.
    ///
    /// Who alters, cuts or replaces the file afterwards changes nothing for this table.
    ///
    /// # Errors
    /// [`TableProblem::File`] and `NotAFile` where it cannot be read, `NoTable`, `Version`, `Length`, `Checksum` and `Malformed` where
    /// it is not what a builder wrote.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder, TableProblem};
    /// # let folder = std::env::temp_dir().join(format!("open-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// # let path = folder.join("zones.table");
    ///
    /// let mut builder = TableBuilder::new();
    /// builder.add("zone-a").unwrap();
    /// builder.write(&path).unwrap();
    /// assert_eq!(Table::open(&path).unwrap().len(), 1);
    ///
    /// let mut bytes = std::fs::read(&path).unwrap();
    /// *bytes.last_mut().unwrap() ^= 1; // a bit has rotted
    /// std::fs::write(&path, bytes).unwrap();
    /// let rotten = Table::open(&path).unwrap_err();
    /// assert!(matches!(rotten.problem(), TableProblem::Checksum { .. }), "{rotten}");
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TableError> {
        let path = path.as_ref();
        let read = || {
            let (mut file, header, head) = open_file(path)?;
            let mut bytes = memory(header.layout.file_bytes)?;
            let (first, rest) = bytes.split_at_mut(HEADER_BYTES);
            first.copy_from_slice(&head);
            file.read_exact(rest).map_err(|source| TableProblem::File { doing: "reading", source })?;
            sealed(bytes)
        };
        let bytes = read().map_err(|problem| TableError::new(Some(path), problem))?;
        let table = Self::on(bytes, Some(path))?;
        table.verify_sums()?;
        Ok(table)
    }

    /// The same from bytes that are there already: embedded in the program, or received. They are copied, since values want an alignment.
    ///
    /// # Errors
    /// As [`open`](Self::open), without those of files.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let sent = TableBuilder::new().to_bytes().unwrap();
    /// assert!(Table::from_bytes(&sent).is_ok());
    /// assert!(Table::from_bytes(&sent[1..]).is_err());
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TableError> {
        let copy = || {
            Header::decode(bytes, bytes.len() as u64)?;
            let mut copy = memory(bytes.len())?;
            copy.copy_from_slice(bytes);
            sealed(copy)
        };
        let table = Self::on(copy().map_err(|problem| TableError::new(None, problem))?, None)?;
        table.verify_sums()?;
        Ok(table)
    }

    /// Maps a table: its pages are the file's, fetched as they are touched.
    ///
    /// Takes as long for a large table as for a small one, but for 8 bytes to look at in 16 KiB. A table that is replaced by
    /// [`TableBuilder::write`](super::TableBuilder::write), or whose file is deleted, stays as it was for who has it mapped.
    ///
    /// # Safety
    /// Until the table is dropped nobody, in whatever process, writes to the file, cuts it or makes it longer: not through another
    /// mapping, and not through the file system below it. Replacing and deleting it are no such alterations.
    ///
    /// Nothing in this library can see to that, and no checksum helps: a block is checked at its first touch, and what is altered
    /// after that is undefined behaviour, since names and values are lent as `&str` and `&[u8]`. What is cut off ends the process
    /// with `SIGBUS` when it is touched; so does a disk that cannot be read, also while nobody breaks this contract. Where that is
    /// no risk to take (files that other users may write, network file systems), take [`open`](Self::open).
    ///
    /// # Errors
    /// As [`open`](Self::open), but that a block that was altered before the mapping is found at its first touch.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    /// # let folder = std::env::temp_dir().join(format!("map-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// # let path = folder.join("names.table");
    /// # let mut builder = TableBuilder::new();
    /// # builder.add("vm-1").unwrap();
    /// # builder.write(&path).unwrap();
    ///
    /// // SAFETY: tables in this folder are written by `TableBuilder::write` alone, which replaces files and never alters one.
    /// let table = unsafe { Table::map(&path) }.unwrap();
    /// assert!(table.find("vm-1").unwrap().is_some());
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// ```
    pub unsafe fn map(path: impl AsRef<Path>) -> Result<Self, TableError> {
        let path = path.as_ref();
        let map = || {
            let (file, header, _) = open_file(path)?;
            let mut options = MmapOptions::new();
            options.len(header.layout.file_bytes);
            // SAFETY: nobody alters the file while the table lives, by the caller's contract.
            let bytes = unsafe { options.map(&file) };
            bytes.map_err(|source| TableProblem::File { doing: "mapping", source })
        };
        Self::on(map().map_err(|problem| TableError::new(Some(path), problem))?, Some(path))
    }

    /// A table on bytes whose header says nothing wrong; so does what lies between it and the blocks.
    fn on(bytes: Mmap, path: Option<&Path>) -> Result<Self, TableError> {
        let check = || {
            // Once more: a file may have been altered since.
            let header = Header::decode(&bytes, bytes.len() as u64)?;
            let (start, end) = (HEADER_BYTES, header.layout.data_at);
            let (found, expected) = (checksum(&bytes[start..end]), header.sums);
            if found != expected {
                let (offset, bytes) = (start as u64, (end - start) as u64);
                return Err(TableProblem::Checksum { offset, bytes, found, expected });
            }
            Ok((header, Checked::none_of(header.layout.blocks())?, path.map(copied).transpose()?))
        };
        let (header, checked, copy) = check().map_err(|problem| TableError::new(path, problem))?;
        Ok(Self { bytes, layout: header.layout, seed: header.seed, checked, path: copy })
    }

    /// The name with this text, if the table has it.
    ///
    /// # Errors
    /// [`TableProblem::Checksum`] where a block is touched for the first time and was altered; `Malformed` where the file is falsified.
    /// The same look-up will fail again.
    ///
    /// # Cost
    /// No heap call, no lock; about two cache misses in a large table.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let mut builder = TableBuilder::new();
    /// builder.add("eu-1").unwrap();
    /// let zones = Table::from_bytes(&builder.to_bytes().unwrap()).unwrap();
    /// let known = |zone| zones.find(zone).map(|row| row.is_some());
    /// assert!(known("eu-1").unwrap() && !known("moon-1").unwrap());
    /// ```
    #[inline]
    pub fn find(&self, name: &str) -> Result<Option<Row<'_>>, TableError> {
        let Some((_, raw)) = self.search(name.as_bytes())? else { return Ok(None) };
        // SAFETY: the bytes are those of a `str`, and nobody alters them.
        let name = unsafe { str::from_utf8_unchecked(raw.name) };
        Ok(Some(self.lend(raw, name)))
    }

    /// The name with this number, if there are so many.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    ///
    /// # Cost
    /// No heap call, no lock.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let mut builder = TableBuilder::new();
    /// ["vm-1", "vm-2"].iter().for_each(|name| _ = builder.add(name).unwrap());
    /// let table = Table::from_bytes(&builder.to_bytes().unwrap()).unwrap();
    /// let names: Vec<&str> = (0..table.len()).map(|number| table.row(number).unwrap().unwrap().name()).collect();
    /// assert_eq!(names, ["vm-1", "vm-2"]); // in the order in which they were added
    /// assert!(table.row(2).unwrap().is_none());
    /// ```
    #[inline]
    pub fn row(&self, number: u32) -> Result<Option<Row<'_>>, TableError> {
        if number >= self.layout.names {
            return Ok(None);
        }
        let at = self.layout.numbers_at + number as usize * NUMBER_BYTES;
        self.check(at, at + NUMBER_BYTES)?;
        let raw = self.raw(u32_at(&self.bytes, at), at)?;
        if raw.number != number {
            let (found, expected) = (u64::from(raw.number), u64::from(number));
            return Err(self.malformed(raw.name_at - ROW_BYTES, "a row's number", found, (expected, expected)));
        }
        self.lend_checked(raw).map(Some)
    }

    /// How many names there are.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let table = Table::from_bytes(&TableBuilder::new().to_bytes().unwrap()).unwrap();
    /// assert_eq!(table.len(), 0);
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> u32 {
        self.layout.names
    }

    /// Whether there is no name.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let mut builder = TableBuilder::new();
    /// builder.add("vm-1").unwrap();
    /// assert!(!Table::from_bytes(&builder.to_bytes().unwrap()).unwrap().is_empty());
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layout.names == 0
    }

    /// Checks all there is to check: every checksum, every slot and every row, and that each name is found by its text and its number.
    ///
    /// A table that it finds nothing wrong with gives no error from then on. It fetches the whole file.
    ///
    /// # Errors
    /// [`TableProblem::Checksum`] or `Malformed`: the first that was found.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let mut builder = TableBuilder::new();
    /// builder.add("vm-1").unwrap();
    /// let received = Table::from_bytes(&builder.to_bytes().unwrap()).unwrap();
    /// received.verify().unwrap(); // before it is put in the place of the old one
    /// ```
    pub fn verify(&self) -> Result<(), TableError> {
        self.verify_sums()?;
        self.verify_slots()?;
        self.verify_rows()
    }

    /// Where a name lies: what [`name_at`](Self::name_at) takes.
    pub(crate) fn position_of(&self, name: &str) -> Result<Option<u32>, TableError> {
        Ok(self.search(name.as_bytes())?.map(|(position, _)| position))
    }

    /// The name at a position.
    pub(crate) fn name_at(&self, position: u32) -> Result<&str, TableError> {
        Ok(self.lend_checked(self.raw(position, position as usize * UNIT)?)?.name)
    }

    fn verify_sums(&self) -> Result<(), TableError> {
        (0..self.layout.blocks()).try_for_each(|block| self.check_block(block))
    }

    /// As many slots are taken as there are names. Each name is found, so none of them leads elsewhere.
    fn verify_slots(&self) -> Result<(), TableError> {
        let slots = &self.bytes[self.layout.data_at..self.layout.numbers_at];
        let taken = slots.chunks_exact(SLOT_BYTES).filter(|slot| slot.iter().any(|byte| *byte != 0)).count() as u64;
        let names = u64::from(self.layout.names);
        if taken != names {
            return Err(self.malformed(self.layout.data_at, "slots taken:", taken, (names, names)));
        }
        Ok(())
    }

    /// Rows lie one behind the other in the order of their numbers, and each is found.
    fn verify_rows(&self) -> Result<(), TableError> {
        let mut next = self.layout.rows_at;
        for number in 0..self.layout.names {
            let at = self.layout.numbers_at + number as usize * NUMBER_BYTES;
            let (position, expected) = (u32_at(&self.bytes, at), (next / UNIT) as u64);
            if u64::from(position) != expected {
                return Err(self.malformed(at, "position of a row", position.into(), (expected, expected)));
            }
            let Some(row) = self.row(number)? else { continue };
            let found = self.search(row.name.as_bytes())?.map_or(0, |(position, _)| u64::from(position));
            if found != expected {
                return Err(self.malformed(next, "position where the name is found:", found, (expected, expected)));
            }
            let value_end = row.value()?.map(|value| value.as_ptr().addr() - self.bytes.as_ptr().addr() + value.len());
            next = value_end.unwrap_or(next + ROW_BYTES + row.name.len()).next_multiple_of(UNIT);
        }
        let (found, expected) = (next as u64, self.layout.file_bytes as u64);
        if found != expected {
            return Err(self.malformed(self.layout.rows_at, "end of the rows:", found, (expected, expected)));
        }
        Ok(())
    }

    /// The position and the row of a name.
    #[inline(always)]
    fn search(&self, name: &[u8]) -> Result<Option<(u32, Raw<'_>)>, TableError> {
        if self.is_empty() {
            return Ok(None);
        }
        // Slots, numbers and pilots lie at multiples of their sizes, so none lies in two blocks.
        let hash = NameHash::of(name, self.seed);
        let at = self.layout.pilots_at + hash.pilot(self.layout.pilots) * PILOT_BYTES;
        self.check(at, at + PILOT_BYTES)?;
        let slot = hash.slot(u16_at(&self.bytes, at), self.layout.slots);
        let at = self.layout.data_at + slot * SLOT_BYTES;
        self.check(at, at + SLOT_BYTES)?;
        let slot = u64_at(&self.bytes, at);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let (tag, position) = ((slot >> 32) as u32, slot as u32);
        if tag != hash.tag() || position == 0 {
            return Ok(None);
        }
        let raw = self.raw(position, at)?;
        Ok((raw.name == name).then_some((position, raw)))
    }

    /// The row at a position that was read at `from`.
    #[inline(always)]
    fn raw(&self, position: u32, from: usize) -> Result<Raw<'_>, TableError> {
        let at = position as usize * UNIT;
        let name_at = at + ROW_BYTES;
        if at < self.layout.rows_at || name_at > self.layout.file_bytes {
            let (least, most) = (self.layout.rows_at / UNIT, (self.layout.file_bytes - ROW_BYTES) / UNIT);
            return Err(self.malformed(from, "position of a row", position.into(), (least as u64, most as u64)));
        }
        self.check(at, name_at)?;
        let (number, word) = (u32_at(&self.bytes, at), u32_at(&self.bytes, at + UNIT));
        let len = (word & !HAS_VALUE) as usize;
        let name_end = name_at + len;
        let most = NAME_BYTES_MAX.min(self.layout.file_bytes - name_at);
        let Some(name) = self.bytes.get(name_at..name_end).filter(|_| len <= most) else {
            return Err(self.malformed(at + UNIT, "length of a name", len as u64, (0, most as u64)));
        };
        // The block of the row's beginning is checked; a name may end in another.
        self.check(at, name_end)?;
        if number >= self.layout.names {
            return Err(self.malformed(at, "a row's number", number.into(), (0, u64::from(self.layout.names) - 1)));
        }
        Ok(Raw { name, name_at, number, has_value: word & HAS_VALUE != 0 })
    }

    #[inline(always)]
    fn lend<'t>(&'t self, raw: Raw<'t>, name: &'t str) -> Row<'t> {
        let value_after = raw.has_value.then_some(raw.name_at + raw.name.len());
        Row { table: self, name, number: raw.number, value_after }
    }

    #[inline(always)]
    fn lend_checked<'t>(&'t self, raw: Raw<'t>) -> Result<Row<'t>, TableError> {
        match str::from_utf8(raw.name) {
            Ok(name) => Ok(self.lend(raw, name)),
            Err(error) => {
                let (found, len) = (error.valid_up_to() as u64, raw.name.len() as u64);
                Err(self.malformed(raw.name_at, "bytes of a name that are UTF-8:", found, (len, len)))
            }
        }
    }

    /// Sees to it that the blocks of a range are as they were written. The range lies in the file, behind the checksums, and is
    /// not empty.
    #[inline(always)]
    fn check(&self, start: usize, end: usize) -> Result<(), TableError> {
        let (first, last) = (self.layout.block_of(start), self.layout.block_of(end - 1));
        if first == last && self.checked.has(first) {
            return Ok(());
        }
        self.check_blocks(first, last)
    }

    #[cold]
    #[inline(never)]
    fn check_blocks(&self, first: usize, last: usize) -> Result<(), TableError> {
        (first..=last).filter(|block| !self.checked.has(*block)).try_for_each(|block| self.check_block(block))
    }

    fn check_block(&self, block: usize) -> Result<(), TableError> {
        let (start, end) = self.layout.block(block);
        let found = checksum(&self.bytes[start..end]);
        let expected = u64_at(&self.bytes, HEADER_BYTES + block * SUM_BYTES);
        if found != expected {
            let (offset, bytes) = (start as u64, (end - start) as u64);
            let problem = TableProblem::Checksum { offset, bytes, found, expected };
            return Err(TableError::new(self.path.as_deref(), problem));
        }
        self.checked.set(block);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn malformed(&self, offset: usize, what: &'static str, found: u64, (least, most): (u64, u64)) -> TableError {
        let problem = TableProblem::Malformed { offset: offset as u64, what, found, least, most };
        TableError::new(self.path.as_deref(), problem)
    }
}

impl<'t> Row<'t> {
    /// The number: how many names were added before this one.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let mut builder = TableBuilder::new();
    /// ["vm-1", "vm-2"].iter().for_each(|name| _ = builder.add(name).unwrap());
    /// let table = Table::from_bytes(&builder.to_bytes().unwrap()).unwrap();
    /// let mut load = [0; 2]; // by number, no map
    /// load[table.find("vm-2").unwrap().unwrap().number() as usize] = 70;
    /// assert_eq!(load, [0, 70]);
    /// ```
    #[inline]
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// The text, for as long as the table is there.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let mut builder = TableBuilder::new();
    /// builder.add("vm-1").unwrap();
    /// let table = Table::from_bytes(&builder.to_bytes().unwrap()).unwrap();
    /// let name = table.row(0).unwrap().unwrap().name(); // borrowed of the table, not of the row
    /// assert_eq!(name, "vm-1");
    /// ```
    #[inline]
    #[must_use]
    pub fn name(self) -> &'t str {
        self.name
    }

    /// The value, if the name was added with one, at an address that is a multiple of 16.
    ///
    /// # Errors
    /// As [`Table::find`]. A value is not touched before it is asked for, and then all its blocks are checked.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let mut builder = TableBuilder::new();
    /// builder.add("no value").unwrap();
    /// builder.add_value("an empty one", b"").unwrap();
    /// let table = Table::from_bytes(&builder.to_bytes().unwrap()).unwrap();
    /// let value = |name| table.find(name).unwrap().unwrap().value().unwrap();
    /// assert_eq!((value("no value"), value("an empty one")), (None, Some(&b""[..])));
    /// ```
    #[inline]
    pub fn value(self) -> Result<Option<&'t [u8]>, TableError> {
        let (table, Some(after)) = (self.table, self.value_after) else { return Ok(None) };
        let at = (after + UNIT).next_multiple_of(VALUE_ALIGN);
        let room = table.layout.file_bytes.checked_sub(at);
        let Some(room) = room else {
            let (found, end) = (at as u64, table.layout.file_bytes as u64);
            return Err(table.malformed(after, "beginning of a value:", found, (0, end)));
        };
        table.check(at - UNIT, at)?;
        let len = u32_at(&table.bytes, at - UNIT) as usize;
        if len > room {
            return Err(table.malformed(at - UNIT, "length of a value", len as u64, (0, room as u64)));
        }
        table.check(at - UNIT, at + len)?;
        Ok(table.bytes.get(at..at + len))
    }
}

/// Memory to be filled: whole pages, so that values are aligned, and large ones where the system has them to give.
fn memory(bytes: usize) -> Result<MmapMut, TableProblem> {
    let doing = "taking memory for it";
    let memory = MmapMut::map_anon(bytes).map_err(|source| TableProblem::File { doing, source })?;
    #[cfg(target_os = "linux")]
    {
        // A wish: a look-up in small pages is right too, and slower.
        _ = memory.advise(memmap2::Advice::HugePage);
    }
    Ok(memory)
}

/// Memory that was filled, and is never written again.
fn sealed(bytes: MmapMut) -> Result<Mmap, TableProblem> {
    bytes.make_read_only().map_err(|source| TableProblem::File { doing: "sealing the memory for it", source })
}

/// A path of one's own.
fn copied(path: &Path) -> Result<PathBuf, TableProblem> {
    let mut copy = PathBuf::new();
    let asked = path.as_os_str().len();
    copy.try_reserve_exact(asked).map_err(|_| TableProblem::Memory { asked: asked as u64 })?;
    copy.push(path);
    Ok(copy)
}

/// The file, behind its header.
fn open_file(path: &Path) -> Result<(File, Header, [u8; HEADER_BYTES]), TableProblem> {
    let doing = |doing: &'static str| move |source: io::Error| TableProblem::File { doing, source };
    // Asked before opening: to open a pipe would wait for its writer.
    let metadata = fs::metadata(path).map_err(doing("looking for it"))?;
    if !metadata.is_file() {
        return Err(TableProblem::NotAFile);
    }
    let mut file = File::open(path).map_err(doing("opening"))?;
    // Asked of the file that was opened: another one may have taken its place.
    let metadata = file.metadata().map_err(doing("asking for its length"))?;
    if !metadata.is_file() {
        return Err(TableProblem::NotAFile);
    }
    let mut head = [0; HEADER_BYTES];
    let len = metadata.len();
    if len < HEADER_BYTES as u64 || len > FILE_BYTES_MAX {
        let expected = if len > FILE_BYTES_MAX { FILE_BYTES_MAX } else { HEADER_BYTES as u64 };
        return Err(TableProblem::Length { found: len, expected });
    }
    file.read_exact(&mut head).map_err(doing("reading"))?;
    let header = Header::decode(&head, len)?;
    Ok((file, header, head))
}
