//! `TableError`: which file, which problem, and its numbers.
//!
//! Stands beside everything of `mapped`. Cost: one heap call per error; the path is copied.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A table could not be written, opened or believed: which file, and what is wrong with it.
///
/// ```
/// use blixard_arena::mapped::{Table, TableProblem};
///
/// let error = Table::from_bytes(b"something else").unwrap_err();
/// match error.problem() {
///     TableProblem::Length { found: 14, expected: 64 } => {} // shorter than a header
///     other => panic!("{other}"),
/// }
/// assert_eq!(error.to_string(), "table: 14 bytes long, 64 expected");
/// ```
pub struct TableError(Box<Inner>);

struct Inner {
    path: Option<PathBuf>,
    problem: TableProblem,
}

impl TableError {
    #[cold]
    pub(super) fn new(path: Option<&Path>, problem: TableProblem) -> Self {
        Self(Box::new(Inner { path: path.map(Path::to_owned), problem }))
    }

    /// The file, unless the table was in memory or not written yet.
    ///
    /// ```
    /// use blixard_arena::mapped::Table;
    ///
    /// let error = Table::open("/no/such/names.table").unwrap_err();
    /// assert_eq!(error.path(), Some("/no/such/names.table".as_ref()));
    /// ```
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What is wrong.
    ///
    /// ```
    /// use blixard_arena::mapped::{Table, TableProblem};
    ///
    /// let error = Table::open("/no/such/names.table").unwrap_err();
    /// let TableProblem::File { source, .. } = error.problem() else { panic!("{error}") };
    /// assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    /// ```
    #[must_use]
    pub fn problem(&self) -> &TableProblem {
        &self.0.problem
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.path {
            Some(path) => write!(f, "table {}: {}", path.display(), self.0.problem),
            None => write!(f, "table: {}", self.0.problem),
        }
    }
}

impl fmt::Debug for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableError").field("path", &self.0.path).field("problem", &self.0.problem).finish()
    }
}

impl std::error::Error for TableError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.problem {
            TableProblem::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What can be wrong with a table. Offsets and lengths are in bytes of the file.
///
/// ```
/// use blixard_arena::mapped::{TableBuilder, TableProblem};
///
/// let mut builder = TableBuilder::new();
/// builder.add("vm-1").unwrap();
/// builder.add("vm-1").unwrap();
/// let twice = builder.to_bytes().unwrap_err();
/// assert!(matches!(twice.problem(), TableProblem::Twice { first: 0, second: 1, .. }));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TableProblem {
    /// The operating system refused.
    File {
        /// What was being done.
        doing: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// A directory, a device or a pipe lies there.
    NotAFile,
    /// It does not begin as a table does.
    NoTable {
        /// How it begins.
        found: [u8; 8],
    },
    /// It has another version of the form.
    Version {
        /// The file's.
        found: u32,
        /// The one that is understood.
        expected: u32,
    },
    /// It is too short or too long: cut, or not written to its end.
    Length {
        /// Its length.
        found: u64,
        /// The least there can be, or what its header says.
        expected: u64,
    },
    /// A part was altered.
    Checksum {
        /// Where the part begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
        /// Its checksum.
        found: u64,
        /// The one that was written for it.
        expected: u64,
    },
    /// A number that no builder writes, under a checksum that is right: made so on purpose, or by a defect.
    Malformed {
        /// Where it stands.
        offset: u64,
        /// What it is.
        what: &'static str,
        /// The number.
        found: u64,
        /// The least that it could be.
        least: u64,
        /// The most that it could be.
        most: u64,
    },
    /// A name was added twice.
    Twice {
        /// The name.
        name: Box<str>,
        /// Its number.
        first: u32,
        /// The number of the second.
        second: u32,
    },
    /// More than a table can hold.
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much was asked for.
        asked: u64,
        /// The most there can be.
        most: u64,
    },
    /// The global allocator has no memory.
    Memory {
        /// How many bytes were asked for.
        asked: u64,
    },
}

impl fmt::Display for TableProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { doing, source } => write!(f, "{doing}: {source}"),
            Self::NotAFile => write!(f, "no regular file"),
            Self::NoTable { found } => {
                write!(
                    f,
                    "at byte 0: \"{}\" where a table begins with \"{}\"",
                    found.escape_ascii(),
                    super::format::MAGIC.escape_ascii()
                )
            }
            Self::Version { found, expected } => write!(f, "at byte 8: version {found}, {expected} expected"),
            Self::Length { found, expected } => write!(f, "{found} bytes long, {expected} expected"),
            Self::Checksum { offset, bytes, found, expected } => {
                write!(f, "at byte {offset}: {bytes} bytes with checksum {found:016x}, {expected:016x} expected")
            }
            Self::Malformed { offset, what, found, least, most } if least == most => {
                write!(f, "at byte {offset}: {what} {found}, {least} expected")
            }
            Self::Malformed { offset, what, found, least, most } => {
                write!(f, "at byte {offset}: {what} {found}, {least} to {most} expected")
            }
            Self::Twice { name, first, second } => write!(f, "name {name:?} was added as number {first} and {second}"),
            Self::Limit { what, asked, most } => write!(f, "{what}: {asked} asked for, {most} allowed"),
            Self::Memory { asked } => write!(f, "no memory for {asked} bytes"),
        }
    }
}
