//! The 32 bytes in front of every archive: what they say, and how they are checked.
//!
//! Stands between the bytes and rkyv: nothing behind the header is looked at before the header is believed. Invariants: all
//! numbers are little-endian; every byte of an archive but the checksum's own eight goes into the checksum; whatever can be known
//! at compile time is a constant here. Cost: no heap call.
#![forbid(unsafe_code)]

use super::errors::ArchiveError;
use twox_hash::XxHash3_64;

/// An archive's address is a multiple of this, so that the payload behind the header, and all in it, is aligned.
///
/// ```
/// use blixard_arena::archive::ALIGNMENT;
///
/// #[repr(align(16))] // a receive buffer in whose front archives can be accessed without a copy
/// struct Received([u8; 1500]);
/// assert_eq!(align_of::<Received>(), ALIGNMENT);
/// ```
pub const ALIGNMENT: usize = 16;

/// Bytes of the header. A multiple of [`ALIGNMENT`].
///
/// ```
/// use blixard_arena::archive::HEADER_BYTES;
///
/// // What a log entry of so many bytes costs beside its payload.
/// let share = |entry_bytes: usize| HEADER_BYTES * 100 / entry_bytes;
/// assert_eq!((share(100), share(4096)), (32, 0));
/// ```
pub const HEADER_BYTES: usize = 32;

/// A payload's bytes at most: relative pointers have 32 bits and a sign.
///
/// ```
/// use blixard_arena::archive::PAYLOAD_BYTES_MAX;
///
/// // A batch that may not pass one message's limit of 64 MiB is never refused for its length.
/// const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// const { assert!(MESSAGE_BYTES_MAX < PAYLOAD_BYTES_MAX) };
/// ```
pub const PAYLOAD_BYTES_MAX: usize = i32::MAX as usize;

/// The newest form of header and payload, which is what is written. All older ones are read.
///
/// ```
/// use blixard_arena::archive::{self, FORMAT_NEWEST, Header, Schema, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Ping(u64);
/// impl Schema for Ping {
///     const NAME: &'static str = "example.ping";
/// }
///
/// // Before a roll-out: does the log hold entries that the oldest node could not read?
/// let entry = archive::encode(&Ping(7))?;
/// assert!(Header::of(&entry)?.format <= FORMAT_NEWEST);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const FORMAT_NEWEST: u16 = 1;

/// No text in any encoding begins so, and a copy that strips the eighth bit shows.
pub(super) const MAGIC: [u8; 4] = *b"\xB1xar";

// Where what lies.
const MAGIC_AT: usize = 0;
const FORMAT_AT: usize = 4;
const RESERVED_AT: usize = 6;
const CHECKSUM_AT: usize = 8;
const TAG_AT: usize = 16;
const VERSION_AT: usize = 24;
const LENGTH_AT: usize = 28;

const _: () = {
    assert!(HEADER_BYTES.is_multiple_of(ALIGNMENT) && LENGTH_AT + size_of::<u32>() == HEADER_BYTES);
    // Archives of one program are read by others, so rkyv's format features are not a matter of taste. Another crate of the
    // build has switched one of them.
    assert!(size_of::<rkyv::primitive::ArchivedUsize>() == 4, "rkyv's feature `pointer_width_32` is needed");
    assert!(align_of::<rkyv::primitive::ArchivedU64>() == 8, "rkyv's feature `aligned` is needed");
    // rkyv's feature `little_endian` is needed.
    let _: fn(rkyv::rend::u16_le) -> rkyv::primitive::ArchivedU16 = std::convert::identity;
};

/// What bytes are an archive of: a name, and a version of what the name stands for.
///
/// The name's [tag](tag) and the version are written in front of every value, and compared when it is accessed. A type
/// whose archived form changes takes the next version; to read both, keep the old type and ask [`Header::of`] first.
///
/// ```
/// use blixard_arena::archive::{self, ArchiveError, Header, Schema, Text, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Node<'a> {
///     #[rkyv(with = Text)]
///     name: &'a str,
///     cores: u32,
/// }
///
/// impl Schema for Node<'_> {
///     const NAME: &'static str = "example.node";
///     const VERSION: u32 = 2;
/// }
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct NodeBefore<'a> {
///     #[rkyv(with = Text)]
///     name: &'a str, // every node had eight cores then
/// }
///
/// impl Schema for NodeBefore<'_> {
///     const NAME: &'static str = "example.node";
/// }
///
/// fn cores(bytes: &[u8]) -> Result<u32, ArchiveError> {
///     match Header::of(bytes)?.version {
///         1 => archive::access::<NodeBefore<'_>>(bytes).map(|_| 8),
///         _ => Ok(archive::access::<Node<'_>>(bytes)?.cores.to_native()),
///     }
/// }
///
/// let old = archive::encode(&NodeBefore { name: "n1" })?;
/// let new = archive::encode(&Node { name: "n2", cores: 64 })?;
/// assert_eq!((cores(&old)?, cores(&new)?), (8, 64));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Schema: rkyv::Archive {
    /// The name, unique among all that may be mixed up with it. It stays when the type is renamed.
    ///
    /// ```
    /// # use blixard_arena::archive::{Schema, rkyv, tag};
    /// # #[derive(rkyv::Archive, rkyv::Serialize)]
    /// # #[rkyv(crate = rkyv)]
    /// # struct VmConfigOfTheSchedulerCrate(u64);
    /// impl Schema for VmConfigOfTheSchedulerCrate {
    ///     const NAME: &'static str = "scheduler.vm-config"; // and whatever the type is called next year
    /// }
    /// assert_eq!(tag(VmConfigOfTheSchedulerCrate::NAME), tag("scheduler.vm-config"));
    /// ```
    const NAME: &'static str;

    /// The version of what is archived under the name.
    ///
    /// ```
    /// use blixard_arena::archive::{self, ArchiveError, Schema, rkyv};
    ///
    /// #[derive(rkyv::Archive, rkyv::Serialize)]
    /// #[rkyv(crate = rkyv)]
    /// struct Lease { seconds: u32 }
    /// impl Schema for Lease {
    ///     const NAME: &'static str = "example.lease";
    /// }
    ///
    /// #[derive(rkyv::Archive, rkyv::Serialize)]
    /// #[rkyv(crate = rkyv)]
    /// struct LeaseInMillis { millis: u32 } // the same bytes, another meaning
    /// impl Schema for LeaseInMillis {
    ///     const NAME: &'static str = "example.lease";
    ///     const VERSION: u32 = 2;
    /// }
    ///
    /// let old = archive::encode(&Lease { seconds: 30 })?;
    /// assert!(matches!(archive::access::<LeaseInMillis>(&old), Err(ArchiveError::OtherVersion { found: 1, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    const VERSION: u32 = 1;
}

/// The number that stands for a name in a header: its FNV-1a hash, known at compile time.
///
/// ```
/// use blixard_arena::archive::tag;
///
/// const PROPOSAL: u64 = tag("example.proposal");
/// match tag("example.proposal") {
///     PROPOSAL => {}
///     _ => unreachable!(),
/// }
/// ```
#[must_use]
pub const fn tag(name: &str) -> u64 {
    let (bytes, mut at, mut hash) = (name.as_bytes(), 0, 0xcbf2_9ce4_8422_2325_u64);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// What stands in front of an archive.
///
/// ```
/// use blixard_arena::archive::{self, HEADER_BYTES, Header, Schema, rkyv, tag};
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
/// let header = Header::of(&bytes)?;
/// assert_eq!((header.tag, header.version, header.payload_bytes), (tag("example.ping"), 1, 8));
/// assert_eq!(bytes.len(), HEADER_BYTES + header.payload_bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The form of header and payload, at most [`FORMAT_NEWEST`].
    pub format: u16,
    /// Of which [`Schema::NAME`] the bytes are an archive: its [`tag`].
    pub tag: u64,
    /// Of which [`Schema::VERSION`].
    pub version: u32,
    /// Bytes behind the header.
    pub payload_bytes: usize,
    /// XXH3 of all else.
    checksum: u64,
}

impl Header {
    /// The header of `bytes`, the first of which are an archive: for what comes in a stream, or in more than one version.
    ///
    /// Says nothing of what lies behind it, which need not have come yet; [`access`](super::access) does.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Truncated`], [`ArchiveError::NotAnArchive`], [`ArchiveError::NewerFormat`], [`ArchiveError::TooLong`].
    ///
    /// ```
    /// use blixard_arena::archive::{ArchiveError, Header};
    ///
    /// let refused = Header::of(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n").unwrap_err();
    /// assert_eq!(refused, ArchiveError::NotAnArchive { found: *b"GET " });
    /// ```
    #[inline]
    pub fn of(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(ArchiveError::Truncated { found: bytes.len(), expected: HEADER_BYTES });
        };
        let found = field(header, MAGIC_AT);
        if found != MAGIC {
            return Err(ArchiveError::NotAnArchive { found });
        }
        let format = u16::from_le_bytes(field(header, FORMAT_AT));
        if format == 0 || format > FORMAT_NEWEST {
            return Err(ArchiveError::NewerFormat { found: format, newest: FORMAT_NEWEST });
        }
        let payload_bytes = u32::from_le_bytes(field(header, LENGTH_AT)) as usize;
        if payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(ArchiveError::TooLong { found: payload_bytes, most: PAYLOAD_BYTES_MAX });
        }
        Ok(Self {
            format,
            tag: u64::from_le_bytes(field(header, TAG_AT)),
            version: u32::from_le_bytes(field(header, VERSION_AT)),
            payload_bytes,
            checksum: u64::from_le_bytes(field(header, CHECKSUM_AT)),
        })
    }

    /// Checks that `bytes` are one archive, unaltered, of `T`, and gives its payload.
    #[inline]
    pub(super) fn payload_of<T: Schema>(bytes: &[u8]) -> Result<&[u8], ArchiveError> {
        let header = Self::of(bytes)?;
        let expected = HEADER_BYTES + header.payload_bytes;
        if bytes.len() != expected {
            let found = bytes.len();
            return Err(if found < expected {
                ArchiveError::Truncated { found, expected }
            } else {
                ArchiveError::Trailing { found, expected }
            });
        }
        let found = checksum(bytes);
        if found != header.checksum {
            return Err(ArchiveError::Checksum { found, expected: header.checksum });
        }
        let expected = const { tag(T::NAME) };
        if header.tag != expected {
            return Err(ArchiveError::OtherType { found: header.tag, expected, name: T::NAME });
        }
        if header.version != T::VERSION {
            return Err(ArchiveError::OtherVersion { found: header.version, expected: T::VERSION, name: T::NAME });
        }
        Ok(&bytes[HEADER_BYTES..])
    }

    /// Writes the header of a `T` in front of the payload, which is all of `archive` but its first [`HEADER_BYTES`].
    #[inline]
    pub(super) fn write<T: Schema>(archive: &mut [u8]) {
        let payload_bytes = archive.len() - HEADER_BYTES;
        debug_assert!(payload_bytes <= PAYLOAD_BYTES_MAX, "checked with every byte that is written");
        let header = archive.first_chunk_mut::<HEADER_BYTES>().expect("archives have a header");
        set(header, MAGIC_AT, MAGIC);
        set(header, FORMAT_AT, FORMAT_NEWEST.to_le_bytes());
        set(header, RESERVED_AT, [0; 2]);
        set(header, TAG_AT, const { tag(T::NAME).to_le_bytes() });
        set(header, VERSION_AT, T::VERSION.to_le_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "at most `PAYLOAD_BYTES_MAX`")]
        set(header, LENGTH_AT, (payload_bytes as u32).to_le_bytes());
        let checksum = checksum(archive);
        archive[CHECKSUM_AT..][..8].copy_from_slice(&checksum.to_le_bytes());
    }
}

#[inline(always)]
fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    *header[at..].first_chunk().expect("fields lie in the header")
}

#[inline(always)]
fn set<const N: usize>(header: &mut [u8; HEADER_BYTES], at: usize, bytes: [u8; N]) {
    *header[at..].first_chunk_mut().expect("fields lie in the header") = bytes;
}

/// XXH3 of what follows the checksum, mixed with what stands before it: the product with an odd number differs where the eight
/// bytes do.
#[inline]
fn checksum(archive: &[u8]) -> u64 {
    let before = u64::from_le_bytes(*archive.first_chunk().expect("archives have a header"));
    XxHash3_64::oneshot(&archive[TAG_AT..]) ^ before.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
