//! What can be wrong with bytes, with a value that is to become bytes, and with memory for a value out of them.
//!
//! Stands beside all of `archive`. Invariant: an error of bytes says at which byte, what is there, and what should be. Cost: an error of a
//! payload takes three heap calls; the others none.
#![forbid(unsafe_code)]

use super::header::{ALIGNMENT, HEADER_BYTES, MAGIC, PAYLOAD_BYTES_MAX};
use crate::BudgetExceeded;
use rkyv::bytecheck::{
    NamedEnumVariantCheckContext, StructCheckContext, TupleStructCheckContext, UnnamedEnumVariantCheckContext,
};
use rkyv::rancor::{Source, Trace};
use std::any::Any;
use std::error::Error;
use std::fmt::{self, Debug, Display};

/// Why bytes are not the archive that was asked for. Offsets count from the header's first byte.
///
/// ```
/// use blixard_arena::archive::{self, ArchiveError, Schema, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Ping(u64);
///
/// impl Schema for Ping {
///     const NAME: &'static str = "example.ping";
/// }
///
/// let bytes = archive::encode(&Ping(7))?;
/// let cut = archive::access::<Ping>(&bytes[..35]).err().unwrap();
/// assert_eq!(cut, ArchiveError::Truncated { found: 35, expected: 40 });
/// assert_eq!(cut.to_string(), "archive: ends at byte 35 where it should at 40");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Fewer bytes than a header, or than the header says.
    Truncated {
        /// Bytes that there are.
        found: usize,
        /// Bytes that there should be.
        expected: usize,
    },
    /// More bytes than the header says.
    Trailing {
        /// Bytes that there are.
        found: usize,
        /// Bytes that there should be.
        expected: usize,
    },
    /// No archive begins so.
    NotAnArchive {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// In a form that this release does not know: of a newer one, or none that ever was.
    NewerFormat {
        /// The form, at bytes 4 and 5.
        found: u16,
        /// The newest form that is read.
        newest: u16,
    },
    /// The header says a length that no archive has.
    TooLong {
        /// Bytes behind the header, at bytes 28 to 31.
        found: usize,
        /// The most that there can be.
        most: usize,
    },
    /// Altered since they were written.
    Checksum {
        /// What the bytes add up to.
        found: u64,
        /// What they did when written: bytes 8 to 15.
        expected: u64,
    },
    /// An archive of another type.
    OtherType {
        /// The tag at bytes 16 to 23.
        found: u64,
        /// The tag of the type that was asked for.
        expected: u64,
        /// Its name.
        name: &'static str,
    },
    /// An archive of the type in another version, newer or older.
    OtherVersion {
        /// The version at bytes 24 to 27.
        found: u32,
        /// The version that was asked for.
        expected: u32,
        /// The type's name.
        name: &'static str,
    },
    /// The bytes' address is not a multiple of [`ALIGNMENT`]: [`aligned`](super::aligned) copies them to one that is.
    Misaligned {
        /// Bytes behind the last multiple.
        found: usize,
    },
    /// The checksum holds and yet these are not the bytes of the type: made by another program, or to do harm.
    Invalid(Fault),
}

impl Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("archive: ")?;
        match self {
            Self::Truncated { found, expected } => write!(f, "ends at byte {found} where it should at {expected}"),
            Self::Trailing { found, expected } => write!(f, "goes on to byte {found}, it should end at {expected}"),
            Self::NotAnArchive { found } => {
                write!(f, "\"{}\" where an archive begins with \"{}\"", found.escape_ascii(), MAGIC.escape_ascii())
            }
            Self::NewerFormat { found, newest } => {
                write!(f, "form {found} at byte 4, forms 1 to {newest} are known here")
            }
            Self::TooLong { found, most } => write!(f, "length {found} at byte 28, {most} at most"),
            Self::Checksum { found, expected } => {
                write!(f, "checksum {found:#018x}, written with {expected:#018x} at byte 8: altered since")
            }
            Self::OtherType { found, expected, name } => {
                write!(f, "type {found:#018x} at byte 16, asked for was {name} ({expected:#018x})")
            }
            Self::OtherVersion { found, expected, name } => {
                write!(f, "version {found} of {name} at byte 24, asked for was {expected}")
            }
            Self::Misaligned { found } => write!(f, "{found} bytes past a multiple of {ALIGNMENT}"),
            Self::Invalid(fault) => Display::fmt(fault, f),
        }
    }
}

impl Error for ArchiveError {}

/// What is wrong in a payload, and where.
///
/// ```
/// use blixard_arena::archive::ArchiveError;
///
/// fn report(error: &ArchiveError) -> String {
///     match error {
///         ArchiveError::Invalid(fault) => format!("byte {} ({}): {}", fault.offset(), fault.path(), fault.what()),
///         other => other.to_string(),
///     }
/// }
/// # assert!(report(&ArchiveError::Misaligned { found: 3 }).contains("3 bytes past a multiple of 16"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Fault(Box<Details>);

#[derive(Clone, PartialEq, Eq)]
struct Details {
    offset: Option<usize>,
    what: String,
    path: String,
}

/// A path's bytes at most.
const PATH_BYTES_MAX: usize = 1024;

impl Fault {
    /// What is wrong with a value whose place the checker knows.
    #[cold]
    pub(super) fn new(what: impl Display) -> Self {
        Self(Box::new(Details { offset: None, what: what.to_string(), path: String::new() }))
    }

    #[cold]
    pub(super) fn at(offset: usize, what: impl Display) -> Self {
        let mut fault = Self::new(what);
        fault.0.offset = Some(offset);
        fault
    }

    /// Gives it the place of the innermost value that was being checked, unless it knows better.
    #[cold]
    pub(super) fn within(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// Where: the byte that is not UTF-8, the value that is misaligned, or the beginning of the innermost list, box or root that has a bad field.
    ///
    /// ```
    /// use blixard_arena::archive::Fault;
    ///
    /// // An operator's next step: a look at the bytes around it.
    /// fn around(fault: &Fault, entry: &[u8]) -> Vec<u8> {
    ///     entry.iter().skip(fault.offset().saturating_sub(8)).take(16).copied().collect()
    /// }
    /// ```
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset.unwrap_or(HEADER_BYTES)
    }

    /// The way from the root, as in `ArchivedBatch.proposals[3].name`; empty at the root itself. 1,024 bytes at most.
    ///
    /// ```
    /// use blixard_arena::archive::Fault;
    ///
    /// // A figure per field tells a broken writer from a broken disk.
    /// fn is_of_the_name(fault: &Fault) -> bool {
    ///     fault.path().ends_with(".name")
    /// }
    /// ```
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What is there and should not be.
    ///
    /// ```
    /// use blixard_arena::archive::Fault;
    ///
    /// // For people who know the place already, from the line of a log before.
    /// fn told(entry: u64, fault: &Fault) -> String {
    ///     format!("entry {entry} cannot be read: {}", fault.what())
    /// }
    /// ```
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    fn prepend(&mut self, step: &str) {
        let path = &mut self.0.path;
        if path.len() + step.len() <= PATH_BYTES_MAX {
            path.insert_str(0, step);
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (offset, Details { what, path, .. }) = (self.offset(), &*self.0);
        if path.is_empty() {
            write!(f, "at byte {offset}: {what}")
        } else {
            write!(f, "at byte {offset}, {path}: {what}")
        }
    }
}

impl Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { what, path, .. } = &*self.0;
        f.debug_struct("Fault").field("offset", &self.offset()).field("path", path).field("what", what).finish()
    }
}

impl Error for Fault {}

impl Trace for Fault {
    #[cold]
    fn trace<R: Debug + Display + Send + Sync + 'static>(mut self, step: R) -> Self {
        // Elements of lists and arrays say it in words alone.
        let words = step.to_string();
        let step: &dyn Any = &step;
        if let Some(at) = step.downcast_ref::<StructCheckContext>() {
            self.prepend(&format!(".{}", at.field_name));
        } else if let Some(at) = step.downcast_ref::<TupleStructCheckContext>() {
            self.prepend(&format!(".{}", at.field_index));
        } else if let Some(at) = step.downcast_ref::<NamedEnumVariantCheckContext>() {
            self.prepend(&format!(".{}.{}", at.variant_name, at.field_name));
        } else if let Some(at) = step.downcast_ref::<UnnamedEnumVariantCheckContext>() {
            self.prepend(&format!(".{}.{}", at.variant_name, at.field_index));
        } else if let Some(rest) = words.strip_prefix("while checking index '")
            && let Some((index, _)) = rest.split_once('\'')
        {
            self.prepend(&format!("[{index}]"));
        }
        self
    }
}

impl Source for Fault {
    #[cold]
    fn new<T: Error + Send + Sync + 'static>(source: T) -> Self {
        Self::new(source)
    }
}

/// Why a value could not be archived.
///
/// ```
/// use blixard_arena::archive::EncodeError;
///
/// let error = EncodeError::TooLong { bytes: 3 << 30 };
/// assert_eq!(error.to_string(), "archive: 3221225472 bytes and more, 2147483647 are allowed");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum EncodeError {
    /// More than a payload can hold.
    TooLong {
        /// Bytes with what was about to be written.
        bytes: usize,
    },
    /// Lists of values need some memory on the way: more than 1 GiB.
    Scratch(BudgetExceeded),
    /// A type's own `Serialize` refused.
    Refused(Box<dyn Error + Send + Sync>),
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("archive: ")?;
        match self {
            Self::TooLong { bytes } => write!(f, "{bytes} bytes and more, {PAYLOAD_BYTES_MAX} are allowed"),
            Self::Scratch(refused) => Display::fmt(refused, f),
            Self::Refused(why) => Display::fmt(why, f),
        }
    }
}

impl Error for EncodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TooLong { .. } => None,
            Self::Scratch(refused) => Some(refused),
            Self::Refused(why) => Some(&**why),
        }
    }
}

impl Trace for EncodeError {
    fn trace<R: Debug + Display + Send + Sync + 'static>(self, _: R) -> Self {
        self
    }
}

impl Source for EncodeError {
    #[cold]
    fn new<T: Error + Send + Sync + 'static>(source: T) -> Self {
        Self::Refused(Box::new(source))
    }
}

/// Why a value could not be built in an arena.
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::archive::DecodeError;
///
/// fn excuse(error: &DecodeError) -> String {
///     match error {
///         DecodeError::Budget(over) => format!("the request may hold {} bytes", over.allowed),
///         other => other.to_string(),
///     }
/// }
/// # let over = blixard_arena::ArenaOptions::new().budget_bytes_max(64).arena().try_alloc([0u8; 99]).unwrap_err();
/// # assert_eq!(excuse(&DecodeError::Budget(over)), "the request may hold 64 bytes");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// The arena's budget does not allow it.
    Budget(BudgetExceeded),
    /// A type's own `Deserialize` refused.
    Refused(Box<dyn Error + Send + Sync>),
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget(over) => Display::fmt(over, f),
            Self::Refused(why) => write!(f, "archive: {why}"),
        }
    }
}

impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Budget(over) => Some(over),
            Self::Refused(why) => Some(&**why),
        }
    }
}

impl From<BudgetExceeded> for DecodeError {
    fn from(over: BudgetExceeded) -> Self {
        Self::Budget(over)
    }
}

impl Trace for DecodeError {
    fn trace<R: Debug + Display + Send + Sync + 'static>(self, _: R) -> Self {
        self
    }
}

impl Source for DecodeError {
    #[cold]
    fn new<T: Error + Send + Sync + 'static>(source: T) -> Self {
        Self::Refused(Box::new(source))
    }
}
