//! `TableBuilder`: takes names and values, and writes a table.
//!
//! Stands at the end of the data's way, or before its beginning: what is built here is opened by other processes. Rows are put
//! one behind the other as they come; the index (`index.rs`) is made when the table is written.
//!
//! Invariants: the same names and values give the same bytes; what was refused leaves the builder as it was.
//! Cost: the rows in memory, 4 bytes per name, and some 35 more while writing; heap calls as two growing vectors make them.
#![forbid(unsafe_code)]

use super::error::{TableError, TableProblem};
use super::format::{
    BLOCK_BYTES, FILE_BYTES_MAX, HAS_VALUE, HEADER_BYTES, Header, Layout, NAME_BYTES_MAX, NAMES_MAX, NameHash,
    ROW_BYTES, SLOT_BYTES, UNIT, VALUE_ALIGN, VALUE_BYTES_MAX, checksum, u32_at,
};
use super::index::{Index, Key};
use super::replace::{Step, replace};
use std::io;
use std::path::Path;

/// Seeds that are tried before names that share a hash are given up on.
const SEEDS: u64 = 16;

/// Builds a table: an immutable file of names, numbered in the order in which they were added, each with a value if wanted.
///
/// ```
/// use blixard_arena::mapped::{Table, TableBuilder};
///
/// let mut builder = TableBuilder::new();
/// builder.add("zone-a").unwrap();
/// builder.add_value("zone-b", &[1, 2, 3]).unwrap();
/// # let folder = std::env::temp_dir().join(format!("builder-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("zones.table");
/// builder.write(&path).unwrap(); // all of it or nothing, and durable
///
/// let table = Table::open(&path).unwrap();
/// let zone = table.find("zone-b").unwrap().unwrap();
/// assert_eq!((zone.number(), zone.value().unwrap()), (1, Some(&[1, 2, 3][..])));
/// # std::fs::remove_dir_all(&folder).unwrap();
/// ```
///
/// # Limits
/// [`NAMES_MAX`](Self::NAMES_MAX) names of [`NAME_BYTES_MAX`](Self::NAME_BYTES_MAX) bytes, values of
/// [`VALUE_BYTES_MAX`](Self::VALUE_BYTES_MAX), files of [`FILE_BYTES_MAX`](Self::FILE_BYTES_MAX).
#[derive(Clone, Debug, Default)]
pub struct TableBuilder {
    rows: Vec<u8>,
    /// Where each row begins behind the first one, in units.
    starts: Vec<u32>,
}

impl TableBuilder {
    /// Names of a table, at most: 268,435,456.
    ///
    /// ```
    /// use blixard_arena::mapped::TableBuilder;
    ///
    /// const TENANTS: usize = 100_000;
    /// const MACHINES: usize = 1_000;
    /// const { assert!(TENANTS * MACHINES < TableBuilder::NAMES_MAX, "a name for each machine of each tenant fits one table") };
    /// ```
    pub const NAMES_MAX: usize = NAMES_MAX;
    /// Bytes of a name, at most: 65,535.
    ///
    /// ```
    /// use blixard_arena::mapped::TableBuilder;
    ///
    /// let path = "/var/lib/images/".repeat(8); // a path of the file system has 4,096 bytes at most
    /// assert!(path.len() < 4096 && 4096 < TableBuilder::NAME_BYTES_MAX);
    /// ```
    pub const NAME_BYTES_MAX: usize = NAME_BYTES_MAX;
    /// Bytes of a value, at most: 1 GiB.
    ///
    /// ```
    /// use blixard_arena::mapped::TableBuilder;
    ///
    /// // Reads what is to be a value only if it can be one.
    /// let fits = |file_bytes: u64| file_bytes <= TableBuilder::VALUE_BYTES_MAX as u64;
    /// assert!(fits(64 << 20) && !fits(4 << 30));
    /// ```
    pub const VALUE_BYTES_MAX: usize = VALUE_BYTES_MAX;
    /// Bytes of a file, at most: 16 GiB.
    ///
    /// ```
    /// use blixard_arena::mapped::TableBuilder;
    ///
    /// // How many tables a store of so many bytes is to be split into.
    /// let tables = |bytes: u64| bytes.div_ceil(TableBuilder::FILE_BYTES_MAX / 2);
    /// assert_eq!((tables(1 << 30), tables(64 << 30)), (1, 8));
    /// ```
    pub const FILE_BYTES_MAX: u64 = FILE_BYTES_MAX;

    /// A builder without names.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let nothing = Table::from_bytes(&TableBuilder::new().to_bytes().unwrap()).unwrap();
    /// assert!(nothing.is_empty()); // a table like any other
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name, and says its number: the first one's is 0, and each has one more than the one before.
    ///
    /// # Errors
    /// [`TableProblem::Limit`] or [`Memory`](TableProblem::Memory); the builder is as it was. A name that is there already is found
    /// when the table is written.
    ///
    /// ```
    /// use blixard_arena::mapped::TableBuilder;
    ///
    /// let mut builder = TableBuilder::new();
    /// assert_eq!(builder.add("vm-1").unwrap(), 0);
    /// assert_eq!(builder.add("vm-2").unwrap(), 1);
    /// assert!(builder.add(&"x".repeat(TableBuilder::NAME_BYTES_MAX + 1)).is_err());
    /// ```
    pub fn add(&mut self, name: &str) -> Result<u32, TableError> {
        self.push(name, None).map_err(|problem| TableError::new(None, problem))
    }

    /// Adds a name with a value. It will lie at a multiple of 16 bytes in memory, as archived values want it.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let mut builder = TableBuilder::new();
    /// builder.add_value("limits", &4096_u64.to_le_bytes()).unwrap();
    /// let table = Table::from_bytes(&builder.to_bytes().unwrap()).unwrap();
    /// let value = table.find("limits").unwrap().unwrap().value().unwrap().unwrap();
    /// assert!(value.as_ptr().addr() % 16 == 0 && value == 4096_u64.to_le_bytes());
    /// ```
    pub fn add_value(&mut self, name: &str, value: &[u8]) -> Result<u32, TableError> {
        self.push(name, Some(value)).map_err(|problem| TableError::new(None, problem))
    }

    fn push(&mut self, name: &str, value: Option<&[u8]>) -> Result<u32, TableProblem> {
        limit("names of a table", self.starts.len() as u64 + 1, NAMES_MAX as u64)?;
        limit("bytes of a name", name.len() as u64, NAME_BYTES_MAX as u64)?;
        limit("bytes of a value", value.map_or(0, <[u8]>::len) as u64, VALUE_BYTES_MAX as u64)?;
        let start = self.rows.len();
        let name_end = start + ROW_BYTES + name.len();
        let value_at = (name_end + UNIT).next_multiple_of(VALUE_ALIGN);
        let end = value.map_or(name_end, |value| value_at + value.len()).next_multiple_of(UNIT);
        limit("bytes of a table", end as u64, FILE_BYTES_MAX)?;
        reserve(&mut self.starts, 1)?;
        reserve(&mut self.rows, end - start)?;

        let number = count_u32(self.starts.len());
        self.starts.push(count_u32(start / UNIT));
        self.rows.extend_from_slice(&number.to_le_bytes());
        let has_value = if value.is_some() { HAS_VALUE } else { 0 };
        self.rows.extend_from_slice(&(count_u32(name.len()) | has_value).to_le_bytes());
        self.rows.extend_from_slice(name.as_bytes());
        if let Some(value) = value {
            self.rows.resize(value_at - UNIT, 0);
            self.rows.extend_from_slice(&count_u32(value.len()).to_le_bytes());
            self.rows.extend_from_slice(value);
        }
        self.rows.resize(end, 0);
        Ok(number)
    }

    /// Names added so far.
    ///
    /// ```
    /// use blixard_arena::mapped::TableBuilder;
    ///
    /// let mut builder = TableBuilder::new();
    /// builder.add("vm-1").unwrap();
    /// assert_eq!(builder.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether no name was added.
    ///
    /// ```
    /// assert!(blixard_arena::mapped::TableBuilder::new().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Writes the table in the place of `path`, at once and for good: into a file beside it, which is synchronised, renamed, and
    /// its folder synchronised. Who opens `path` meanwhile gets the old table or the new one, also after a crash or a loss of power;
    /// who has the old one open keeps it.
    ///
    /// The new file has the permissions that new files of the process have. A symbolic link is replaced, not followed. A process that is
    /// killed on the way leaves a file `.NAME.PROCESS-NUMBER.tmp` behind, which may be deleted.
    ///
    /// # Errors
    /// [`TableProblem::Twice`], `Limit`, `Memory`, and `File`, which says at what step: up to the renaming `path` is as it was and
    /// the file beside it is gone; where the folder's synchronisation fails the new table is there, and may be lost with the power.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    /// # let folder = std::env::temp_dir().join(format!("write-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// # let path = folder.join("nodes.table");
    /// # let mut old = TableBuilder::new();
    /// # old.add("node-1").unwrap();
    /// # old.write(&path).unwrap();
    ///
    /// let served = Table::open(&path).unwrap();
    /// let mut builder = TableBuilder::new();
    /// builder.add("node-2").unwrap();
    /// builder.write(&path).unwrap(); // while requests are served from the old one
    /// assert!(served.find("node-1").unwrap().is_some());
    /// assert!(Table::open(&path).unwrap().find("node-2").unwrap().is_some());
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// ```
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), TableError> {
        self.write_in_steps(path.as_ref(), |_| Ok(()))
    }

    /// [`write`](Self::write) that asks before each step.
    pub(super) fn write_in_steps(
        &self,
        path: &Path,
        before: impl FnMut(Step) -> io::Result<()>,
    ) -> Result<(), TableError> {
        let written = self.image().and_then(|image| replace(path, &image.parts(), before));
        written.map_err(|problem| TableError::new(Some(path), problem))
    }

    /// The table's bytes, as they would be in a file: to be sent or embedded.
    ///
    /// # Errors
    /// [`TableProblem::Twice`], `Limit` and `Memory`.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// let mut builder = TableBuilder::new();
    /// builder.add("vm-1").unwrap();
    /// let bytes = builder.to_bytes().unwrap(); // to another machine
    /// assert_eq!(Table::from_bytes(&bytes).unwrap().row(0).unwrap().unwrap().name(), "vm-1");
    /// ```
    pub fn to_bytes(&self) -> Result<Vec<u8>, TableError> {
        let concat = |image: Image<'_>| {
            let parts = image.parts();
            let mut bytes = Vec::new();
            reserve(&mut bytes, parts.iter().map(|part| part.len()).sum())?;
            for part in parts {
                bytes.extend_from_slice(part);
            }
            Ok(bytes)
        };
        self.image().and_then(concat).map_err(|problem| TableError::new(None, problem))
    }

    fn image(&self) -> Result<Image<'_>, TableProblem> {
        let mut keys: Vec<Key> = Vec::new();
        reserve(&mut keys, self.starts.len())?;
        // Of the contents, so that nobody can choose names which no seed serves: with each name the seeds are others.
        let first = checksum(&self.rows);
        for seed in 0..SEEDS {
            // Spread, so that seeds have no bits in common.
            let seed = first ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            keys.clear();
            let numbers = 0..count_u32(self.starts.len());
            keys.extend(numbers.map(|number| Key { hash: NameHash::of(self.name(number), seed).0, number }));
            keys.sort_unstable();
            self.refuse_twins(&keys)?;
            if let Some(index) = Index::of(&keys)? {
                return self.lay_out(&keys, &index, seed);
            }
        }
        Err(TableProblem::Limit { what: "hash functions tried for these names", asked: SEEDS + 1, most: SEEDS })
    }

    /// Names that are there twice have one hash, and are neighbours once their numbers are all that tells them apart.
    fn refuse_twins(&self, keys: &[Key]) -> Result<(), TableProblem> {
        for same in keys.chunk_by(|a, b| a.hash == b.hash).filter(|same| same.len() > 1) {
            let mut same = same.to_vec();
            same.sort_by_key(|key| self.name(key.number)); // stable: numbers of one name stay in order
            let twin = same.windows(2).find(|pair| self.name(pair[0].number) == self.name(pair[1].number));
            if let Some(&[Key { number: first, .. }, Key { number: second, .. }]) = twin {
                let name = String::from_utf8_lossy(self.name(first)).into();
                return Err(TableProblem::Twice { name, first, second });
            }
        }
        Ok(())
    }

    fn lay_out(&self, keys: &[Key], index: &Index, seed: u64) -> Result<Image<'_>, TableProblem> {
        let (names, slots, pilots) = (count_u32(keys.len()), index.slots, count_u32(index.pilots.len()));
        let slot_bytes = slots as usize * SLOT_BYTES;
        let index_bytes = Layout::index_bytes(names, slots, pilots);
        let data_bytes = (index_bytes + self.rows.len()) as u64;
        let Ok(layout) = Layout::new(names, slots, pilots, data_bytes) else {
            return Err(TableProblem::Limit { what: "bytes of a table", asked: data_bytes, most: FILE_BYTES_MAX });
        };
        // Rows lie at a multiple of `UNIT`, and the file's length fits.
        let position = |number: u32| count_u32(layout.rows_at / UNIT) + self.starts[number as usize];
        let mut bytes = zeros(slot_bytes)?;
        reserve(&mut bytes, index_bytes - slot_bytes)?;
        for key in keys {
            let hash = NameHash(key.hash);
            let at = hash.slot(index.pilots[hash.pilot(pilots)], slots) * SLOT_BYTES;
            let slot = u64::from(hash.tag()) << 32 | u64::from(position(key.number));
            bytes[at..at + SLOT_BYTES].copy_from_slice(&slot.to_le_bytes());
        }
        for number in 0..names {
            bytes.extend_from_slice(&position(number).to_le_bytes());
        }
        for pilot in &index.pilots {
            bytes.extend_from_slice(&pilot.to_le_bytes());
        }
        bytes.resize(index_bytes, 0);

        let mut sums = Vec::new();
        reserve(&mut sums, layout.data_at - HEADER_BYTES)?;
        each_block_sum([&bytes, &self.rows], |sum| sums.extend_from_slice(&sum.to_le_bytes()))?;
        sums.resize(layout.data_at - HEADER_BYTES, 0);
        let header = Header { layout, seed, sums: checksum(&sums) }.encode();
        Ok(Image { header, sums, index: bytes, rows: &self.rows })
    }

    fn name(&self, number: u32) -> &[u8] {
        let start = self.starts[number as usize] as usize * UNIT;
        let len = u32_at(&self.rows, start + UNIT) & !HAS_VALUE;
        &self.rows[start + ROW_BYTES..][..len as usize]
    }
}

/// A file's parts.
struct Image<'b> {
    header: [u8; HEADER_BYTES],
    sums: Vec<u8>,
    index: Vec<u8>,
    rows: &'b [u8],
}

impl Image<'_> {
    fn parts(&self) -> [&[u8]; 4] {
        [&self.header, &self.sums, &self.index, self.rows]
    }
}

/// The checksum of each block of what two parts are when joined.
fn each_block_sum([first, second]: [&[u8]; 2], mut take: impl FnMut(u64)) -> Result<(), TableProblem> {
    let (blocks, rest) = first.as_chunks::<BLOCK_BYTES>();
    for block in blocks {
        take(checksum(block));
    }
    let (end, second) = second.split_at(second.len().min(BLOCK_BYTES - rest.len()));
    let mut joined = Vec::new();
    reserve(&mut joined, BLOCK_BYTES)?;
    joined.extend_from_slice(rest);
    joined.extend_from_slice(end);
    if !joined.is_empty() {
        take(checksum(&joined));
    }
    for block in second.chunks(BLOCK_BYTES) {
        take(checksum(block));
    }
    Ok(())
}

fn limit(what: &'static str, asked: u64, most: u64) -> Result<(), TableProblem> {
    if asked > most { Err(TableProblem::Limit { what, asked, most }) } else { Ok(()) }
}

pub(super) fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), TableProblem> {
    vec.try_reserve(more).map_err(|_| TableProblem::Memory { asked: (more * size_of::<T>()) as u64 })
}

/// So many zeros.
pub(super) fn zeros<T: Copy + Default>(count: usize) -> Result<Vec<T>, TableProblem> {
    let mut vec = Vec::new();
    reserve(&mut vec, count)?;
    vec.resize(count, T::default());
    Ok(vec)
}

/// A count that the limits keep below 2^32.
pub(super) fn count_u32(count: usize) -> u32 {
    u32::try_from(count).expect("limits keep names, slots, pilots and positions below 2^32")
}
