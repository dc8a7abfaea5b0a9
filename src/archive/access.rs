//! `access`: from bytes to a reference, once everything about them has been checked; `Checked`: the same, owned.
//!
//! Stands where bytes come in, or come back. Invariant: no reference to an archived value exists before its header, checksum and structure were
//! found right. Cost: no heap call; one pass over the bytes for the checksum and one over the structure and its texts.
#![expect(unsafe_code, reason = "bytes become a reference to what they were checked to be")]

use super::check::Checker;
use super::errors::ArchiveError;
use super::header::{ALIGNMENT, HEADER_BYTES, Header, Schema};
use bytes::Bytes;
use rkyv::Archive;
use rkyv::bytecheck::CheckBytes;
use rkyv::validation::ArchiveContextExt as _;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// Checks that `bytes` are an archive of a `T` and lends it: header, checksum, and every offset, length, text and enum in it.
///
/// Afterwards reading a field costs what reading a struct's field costs. Bytes that are accessed again and again are checked again and again:
/// keep a [`Checked`] of them.
///
/// # Errors
///
/// [`ArchiveError`], which says what is wrong and where. The bytes have to lie at a multiple of [`ALIGNMENT`]: those of
/// [`encode`](super::encode) do, [`aligned`](super::aligned) copies others to where they do.
///
/// ```
/// use blixard_arena::archive::{self, ArchiveError, Schema, Text, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Vote<'a> {
///     term: u64,
///     #[rkyv(with = Text)]
///     candidate: &'a str,
/// }
///
/// impl Schema for Vote<'_> {
///     const NAME: &'static str = "example.vote";
/// }
///
/// let bytes = archive::encode(&Vote { term: 4, candidate: "n2" })?;
/// let vote = archive::access::<Vote<'_>>(&bytes)?;
/// assert_eq!((vote.term.to_native(), vote.candidate.as_str()), (4, "n2"));
///
/// let mut altered = bytes.to_vec();
/// altered[40] ^= 1;
/// let refused = archive::access::<Vote<'_>>(&archive::aligned(&altered)).err();
/// assert!(matches!(refused, Some(ArchiveError::Checksum { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[inline]
pub fn access<T>(bytes: &[u8]) -> Result<&T::Archived, ArchiveError>
where
    T: Schema<Archived: for<'c> CheckBytes<Checker<'c>>>,
{
    let root = locate::<T>(bytes)?;
    // SAFETY: `locate` has found a valid value there, in bytes that are borrowed as long as the reference lives. What rkyv archives has no
    // interior mutability that bytes behind a shared reference could be changed by.
    Ok(unsafe { &*root })
}

/// Checks all, and says where the root lies.
#[inline]
fn locate<T>(bytes: &[u8]) -> Result<*const T::Archived, ArchiveError>
where
    T: Schema<Archived: for<'c> CheckBytes<Checker<'c>>>,
{
    const { assert!(align_of::<T::Archived>() <= ALIGNMENT, "archives are aligned to 16 bytes") };
    let payload = Header::payload_of::<T>(bytes)?;
    let misaligned = bytes.as_ptr().addr() % ALIGNMENT;
    if misaligned != 0 {
        return Err(ArchiveError::Misaligned { found: misaligned });
    }
    // The root comes last. Where there is no room for it the pointer lies outside, and the checker says so.
    let root =
        payload.as_ptr().wrapping_add(payload.len()).wrapping_sub(size_of::<T::Archived>()).cast::<T::Archived>();
    let mut checker = Checker::new(payload);
    let outcome = checker.in_subtree(root, |checker| {
        // SAFETY: `in_subtree` has found so many bytes of the payload there, aligned.
        unsafe { T::Archived::check_bytes(root, checker) }
    });
    match outcome {
        Ok(()) => Ok(root),
        Err(fault) => Err(ArchiveError::Invalid(fault.within(checker.innermost()))),
    }
}

/// An archive that was checked, and its bytes: owned, to be kept and passed on, and read without being checked again.
///
/// ```
/// use blixard_arena::archive::{self, Checked, Schema, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Ping(u64);
///
/// impl Schema for Ping {
///     const NAME: &'static str = "example.ping";
/// }
///
/// let ping = Checked::<Ping>::new(archive::encode(&Ping(7))?)?;
/// let log = vec![ping.clone(), ping]; // the bytes are shared
/// let sum = std::thread::spawn(move || log.iter().map(|ping| ping.0.to_native()).sum::<u64>());
/// assert_eq!(sum.join().unwrap(), 14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Checked<T: Archive> {
    /// Begins with a header and holds a valid `T::Archived` at its end, since `new` has checked it. Never changed.
    bytes: Bytes,
    /// It lends a `T::Archived` to whoever has a clone, and holds no `T`.
    of: PhantomData<Arc<T::Archived>>,
}

impl<T: Schema<Archived: for<'c> CheckBytes<Checker<'c>>>> Checked<T> {
    /// Checks `bytes` as [`access`] does.
    ///
    /// # Errors
    ///
    /// As [`access`].
    ///
    /// ```
    /// # use blixard_arena::archive::{self, ArchiveError, Checked, Schema, rkyv};
    /// # #[derive(rkyv::Archive, rkyv::Serialize)]
    /// # #[rkyv(crate = rkyv)]
    /// # struct Ping(u64);
    /// # impl Schema for Ping {
    /// #     const NAME: &'static str = "example.ping";
    /// # }
    /// let received = archive::encode(&Ping(7))?;
    /// let cut = Checked::<Ping>::new(received.slice(..36)).err(); // before it gets into the log
    /// assert_eq!(cut, Some(ArchiveError::Truncated { found: 36, expected: 40 }));
    /// # Ok::<(), archive::EncodeError>(())
    /// ```
    pub fn new(bytes: Bytes) -> Result<Self, ArchiveError> {
        locate::<T>(&bytes)?;
        Ok(Self { bytes, of: PhantomData })
    }
}

impl<T: Archive> Checked<T> {
    /// The archive, header and all, to be sent or stored.
    ///
    /// ```
    /// # use blixard_arena::archive::{self, Checked, Schema, rkyv};
    /// # #[derive(rkyv::Archive, rkyv::Serialize)]
    /// # #[rkyv(crate = rkyv)]
    /// # struct Ping(u64);
    /// # impl Schema for Ping {
    /// #     const NAME: &'static str = "example.ping";
    /// # }
    /// let ping = Checked::<Ping>::new(archive::encode(&Ping(7))?)?;
    /// let to_each_follower = ping.bytes().clone(); // a count, no copy
    /// assert_eq!(archive::access::<Ping>(&to_each_follower)?.0, ping.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The archive alone.
    ///
    /// ```
    /// # use blixard_arena::archive::{self, Checked, Schema, rkyv};
    /// # #[derive(rkyv::Archive, rkyv::Serialize)]
    /// # #[rkyv(crate = rkyv)]
    /// # struct Ping(u64);
    /// # impl Schema for Ping {
    /// #     const NAME: &'static str = "example.ping";
    /// # }
    /// let ping = Checked::<Ping>::new(archive::encode(&Ping(7))?)?;
    /// let bytes = ping.into_bytes(); // what was checked need not be kept as such
    /// assert_eq!(bytes.len(), 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl<T: Schema> Deref for Checked<T> {
    type Target = T::Archived;

    #[inline]
    fn deref(&self) -> &T::Archived {
        let payload = &self.bytes[HEADER_BYTES..];
        let root = payload.as_ptr().wrapping_add(payload.len()).wrapping_sub(size_of::<T::Archived>());
        // SAFETY: `new` has found a valid value there, and `Bytes` neither change nor move their bytes while one of them is held.
        unsafe { &*root.cast::<T::Archived>() }
    }
}

impl<T: Archive> Clone for Checked<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), of: PhantomData }
    }
}

impl<T: Schema<Archived: fmt::Debug>> fmt::Debug for Checked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
