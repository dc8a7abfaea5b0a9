//! `encode`: any rkyv type straight from where it lies into a pooled buffer, and out as `Bytes`.
//!
//! The last station of the data's way: what leaves here outlives the request. Invariants: every archive begins at a multiple of `ALIGNMENT`;
//! its bytes depend on the value alone; a payload never exceeds `PAYLOAD_BYTES_MAX`, which is checked before each write. Cost: no heap call once
//! warm, while frames come free as fast as they are taken; beyond 1 MiB a buffer is made to measure.
#![expect(unsafe_code, reason = "`Allocator` is an unsafe trait")]

use super::errors::EncodeError;
use super::frames::Frames;
use super::header::{ALIGNMENT, HEADER_BYTES, Header, PAYLOAD_BYTES_MAX, Schema};
use crate::Arena;
use crate::pool::{ObjectPoolBuilder, Recycle, TypedObjectPool};
use allocator_api2::alloc::Allocator as _;
use bytes::{Buf as _, Bytes, BytesMut};
use rkyv::rancor::Fallible;
use rkyv::ser::{Allocator, Positional, Writer};
use rkyv::{Place, Serialize};
use std::alloc::Layout;
use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::LazyLock;

/// Archives `value`, whatever it borrows and wherever that lies, into a pooled buffer.
///
/// The same value gives the same bytes, in an arena or on the heap. They are held as long as anybody has the [`Bytes`], in a buffer of 1, 4,
/// 16, 64 or 256 KiB or 1 MiB, and the buffer is used again afterwards. Each thread that encodes keeps 1 MiB of each size at most.
///
/// # Errors
///
/// [`EncodeError::TooLong`] beyond 2 GiB; otherwise as the value's own `Serialize`.
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::archive::{self, List, Schema, Text, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Proposal<'a> {
///     #[rkyv(with = Text)]
///     vm: &'a str,
///     #[rkyv(with = List)]
///     scores: &'a [(u64, f64)],
/// }
///
/// impl Schema for Proposal<'_> {
///     const NAME: &'static str = "example.proposal";
/// }
///
/// let arena = Arena::new();
/// let proposal = Proposal { vm: arena.alloc_str("vm-1"), scores: &[(7, 0.5)] };
/// let bytes = archive::encode(&proposal)?; // no copy in between
/// drop(arena); // the request has ended
/// assert_eq!(archive::access::<Proposal<'_>>(&bytes)?.vm, *"vm-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn encode<T: Schema + for<'e> Serialize<Encoder<'e>>>(value: &T) -> Result<Bytes, EncodeError> {
    const { assert!(align_of::<T::Archived>() <= ALIGNMENT, "archives are aligned to 16 bytes") };
    let mut kept = KEPT.acquire();
    let mut encoder = Encoder::new(&mut kept, 0);
    let resolver = value.serialize(&mut encoder)?;
    encoder.make_room::<T::Archived>(1)?;
    encoder.write_each(std::iter::once(resolver), |resolver, out| value.resolve(resolver, out));
    Ok(encoder.end(Header::write::<T>))
}

/// A copy of `bytes` that [`access`](super::access) takes, where they do not lie at a multiple of [`ALIGNMENT`]: in a pooled buffer, as
/// [`encode`] fills them. No heap call, as there.
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
/// // Behind a byte of somebody else's protocol.
/// let archive = archive::encode(&Ping(7))?;
/// let frame = archive::aligned(&[&[0; 3][..], &archive].concat());
/// let body = &frame[3..];
/// assert_eq!(archive::access::<Ping>(body).err(), Some(ArchiveError::Misaligned { found: 3 }));
/// let body = archive::aligned(body);
/// assert_eq!(archive::access::<Ping>(&body)?.0.to_native(), 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn aligned(bytes: &[u8]) -> Bytes {
    let mut kept = KEPT.acquire();
    let mut encoder = Encoder::new(&mut kept, bytes.len());
    encoder.at = 0;
    encoder.put(bytes);
    encoder.end(|_| ())
}

/// What writes an archive: the `S` of rkyv's `Serialize<S>`. Types with shared pointers are not for it: mark their fields
/// `with = rkyv::with::Unshare`.
///
/// ```
/// use blixard_arena::archive::{self, EncodeError, Encoder, Schema, rkyv};
/// use bytes::Bytes;
///
/// /// A log that takes whatever can be archived.
/// struct Log(Vec<Bytes>);
///
/// impl Log {
///     fn append<T: Schema + for<'e> rkyv::Serialize<Encoder<'e>>>(&mut self, entry: &T) -> Result<(), EncodeError> {
///         self.0.push(archive::encode(entry)?);
///         Ok(())
///     }
/// }
///
/// # #[derive(rkyv::Archive, rkyv::Serialize)]
/// # #[rkyv(crate = rkyv)]
/// # struct Ping(u64);
/// # impl Schema for Ping {
/// #     const NAME: &'static str = "example.ping";
/// # }
/// let mut log = Log(Vec::new());
/// log.append(&Ping(7))?;
/// assert!(archive::access::<Ping>(&log.0[0]).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Encoder<'e> {
    /// Where the header begins, at a multiple of `ALIGNMENT`, in the frame that was taken last. That is empty until the archive is done; bytes
    /// before the header are zeroes.
    archive: NonNull<u8>,
    /// Bytes from there to the frame's end.
    archive_bytes_max: usize,
    /// How many of them are written; at most `archive_bytes_max`.
    at: usize,
    /// Lent by whoever began the archive: so two encoders never have one type, and none can be put in the place of another while
    /// memory of its own is in use.
    kept: &'e mut Kept,
}

// SAFETY: `archive` leads into the encoder's own frame.
unsafe impl Send for Encoder<'_> {}

impl<'e> Encoder<'e> {
    /// With a fresh frame for a payload of `bytes`, zeroes where its header will be.
    #[inline(always)]
    fn new(kept: &'e mut Kept, bytes: usize) -> Self {
        let (archive, archive_bytes_max) = begin(kept.frames.take(bytes.saturating_add(ALIGNMENT + HEADER_BYTES)));
        Self { archive, archive_bytes_max, at: HEADER_BYTES, kept }
    }

    /// Sees to it that there is room for so many values, and that they will be aligned.
    #[inline(always)]
    pub(super) fn make_room<T>(&mut self, count: usize) -> Result<(), EncodeError> {
        const { assert!(align_of::<T>() <= ALIGNMENT, "archives are aligned to 16 bytes") };
        self.reserve(count.saturating_mul(size_of::<T>()).saturating_add(ALIGNMENT))?;
        let at = self.at.next_multiple_of(align_of::<T>());
        self.put(&[0; ALIGNMENT]);
        self.at = at;
        Ok(())
    }

    /// Sees to it that there is room for `bytes`.
    #[inline(always)]
    fn reserve(&mut self, bytes: usize) -> Result<(), EncodeError> {
        if bytes > self.archive_bytes_max - self.at {
            self.grow(bytes)?;
        }
        Ok(())
    }

    /// Moves what was written to a frame with room for `more`.
    ///
    /// What is rare takes parts of an `Encoder`, not the whole: where the rest is inlined, they stay in registers.
    #[inline(always)]
    fn grow(&mut self, more: usize) -> Result<(), EncodeError> {
        (self.archive, self.archive_bytes_max) =
            move_to_larger(&mut self.kept.frames, self.archive, self.at, self.archive_bytes_max, more)?;
        Ok(())
    }

    /// Writes behind what was written.
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.archive_bytes_max - self.at, "there is room for what is put");
        // SAFETY: `at` is not behind the frame's end.
        let to = unsafe { self.archive.add(self.at) };
        // SAFETY: there is room for so many bytes, in memory that `bytes`, which were lent, are no part of.
        unsafe { copy(bytes, to.as_ptr()) };
        self.at += bytes.len();
    }

    /// Makes values where they stay, one behind the other: not more of them than there is room for.
    #[inline(always)]
    pub(super) fn write_each<V, T>(&mut self, values: impl Iterator<Item = V>, mut resolve: impl FnMut(V, Place<T>)) {
        assert!(self.at.is_multiple_of(align_of::<T>()), "`make_room` has aligned it");
        let mut at = self.at;
        for value in values {
            assert!(size_of::<T>() <= self.archive_bytes_max - at, "there is room for what is written");
            // SAFETY: there is room for it.
            let out = unsafe { self.archive.add(at) }.cast::<T>();
            // SAFETY: as before.
            unsafe { out.write_bytes(0, 1) };
            // SAFETY: it is aligned, in the encoder's own frame, and all its bytes are zeroes.
            resolve(value, unsafe { Place::new_unchecked(at - HEADER_BYTES, out.as_ptr()) });
            at += size_of::<T>();
        }
        self.at = at;
    }

    /// The encoder, if that is what writes and it has room for so many values: lists make their elements where they stay then.
    #[inline(always)]
    pub(super) fn with_room<T, S: ?Sized>(serializer: &'e mut S, count: usize) -> Option<&'e mut Self> {
        let encoder = Self::of(serializer)?;
        encoder.make_room::<T>(count).is_ok().then_some(encoder)
    }

    #[inline(always)]
    fn of<S: ?Sized>(serializer: &'e mut S) -> Option<&'e mut Self> {
        /// [`TypeId::of`] for types that may have lifetimes. A comparison of two is settled when code is generated.
        trait Identified {
            fn id(&self) -> TypeId
            where
                Self: 'static;
        }
        impl<T: ?Sized> Identified for PhantomData<T> {
            fn id(&self) -> TypeId
            where
                Self: 'static,
            {
                TypeId::of::<T>()
            }
        }
        let identified: &dyn Identified = &PhantomData::<S>;
        // SAFETY: what it borrows is a constant, and code does not depend on lifetimes.
        let identified = unsafe { mem::transmute::<&dyn Identified, &(dyn Identified + 'static)>(identified) };
        if identified.id() == TypeId::of::<Encoder<'static>>() {
            // SAFETY: `S` is an `Encoder`; what it borrows outlives the reference to it, and nothing here stores a borrow in it.
            Some(unsafe { &mut *ptr::from_mut(serializer).cast::<Self>() })
        } else {
            None
        }
    }

    /// Lets `finish` write what it will, and gives the archive away.
    #[inline(always)]
    fn end(self, finish: impl FnOnce(&mut [u8])) -> Bytes {
        let frame = self.kept.frames.taken();
        let start = self.archive.addr().get() - frame.as_ptr().addr();
        // SAFETY: the bytes before `start` are zeroes, `at` bytes behind it are written.
        unsafe { frame.set_len(start + self.at) };
        finish(&mut frame[start..]);
        let mut archive = frame.split();
        archive.advance(start);
        drop(self.kept.frames.take_large());
        archive.freeze()
    }
}

impl fmt::Debug for Encoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("written", &self.at).finish_non_exhaustive()
    }
}

/// Where the archive begins in an empty frame, and the bytes that it may have; its header's are zeroes.
#[inline(always)]
fn begin(frame: &mut BytesMut) -> (NonNull<u8>, usize) {
    let room = frame.spare_capacity_mut();
    for byte in &mut room[..ALIGNMENT + HEADER_BYTES] {
        byte.write(0);
    }
    let start = room.as_ptr().addr().wrapping_neg() % ALIGNMENT;
    let room = &mut room[start..];
    (NonNull::from(&mut *room).cast(), room.len())
}

/// Moves `written` bytes to a frame with room for `more`, at least twice as large as the one that has become too small.
#[cold]
#[inline(never)]
fn move_to_larger(
    frames: &mut Frames,
    archive: NonNull<u8>,
    written: usize,
    archive_bytes_max: usize,
    more: usize,
) -> Result<(NonNull<u8>, usize), EncodeError> {
    let bytes = (written - HEADER_BYTES).saturating_add(more);
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(EncodeError::TooLong { bytes });
    }
    // Alive until the end, if that is where it was written. A frame of a class stays there, and the new one is of another.
    let _large = frames.take_large();
    let (larger, larger_bytes_max) = begin(frames.take(bytes.max(2 * archive_bytes_max) + ALIGNMENT + HEADER_BYTES));
    // Not more than a payload may have: what is asked for beyond comes here, and is refused.
    let larger_bytes_max = larger_bytes_max.min(HEADER_BYTES + PAYLOAD_BYTES_MAX);
    // SAFETY: so many are written in the old frame, which is still there, and the new one has room for them.
    unsafe { larger.copy_from_nonoverlapping(archive, written) };
    Ok((larger, larger_bytes_max))
}

/// Copies bytes: few of them in two steps that may overlap, which take less than a call.
///
/// # Safety
///
/// There is room for them at `to`, apart from where they are.
#[inline(always)]
unsafe fn copy(bytes: &[u8], to: *mut u8) {
    /// # Safety
    ///
    /// As [`copy`]. It copies all of `N` bytes or more, if not more than `2 * N`.
    #[inline(always)]
    unsafe fn ends<const N: usize>(bytes: &[u8], to: *mut u8) {
        if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
            // SAFETY: there is room for all of them, hence for `N` before their end.
            let to_last = unsafe { to.add(bytes.len() - N) };
            // SAFETY: there is room for `N` bytes.
            unsafe { to.cast::<[u8; N]>().write_unaligned(*first) };
            // SAFETY: there is room for `N` bytes.
            unsafe { to_last.cast::<[u8; N]>().write_unaligned(*last) };
        }
    }
    let len = bytes.len();
    if (8..=16).contains(&len) {
        // SAFETY: as the caller says.
        unsafe { ends::<8>(bytes, to) }
    } else if len > 64 {
        // SAFETY: as the caller says.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) }
    } else if len > 32 {
        // SAFETY: as the caller says.
        unsafe { ends::<32>(bytes, to) }
    } else if len > 16 {
        // SAFETY: as the caller says.
        unsafe { ends::<16>(bytes, to) }
    } else if len >= 4 {
        // SAFETY: as the caller says.
        unsafe { ends::<4>(bytes, to) }
    } else if len >= 2 {
        // SAFETY: as the caller says.
        unsafe { ends::<2>(bytes, to) }
    } else if len == 1 {
        // SAFETY: as the caller says.
        unsafe { ends::<1>(bytes, to) }
    }
}

impl Fallible for Encoder<'_> {
    type Error = EncodeError;
}

impl Positional for Encoder<'_> {
    #[inline(always)]
    fn pos(&self) -> usize {
        self.at - HEADER_BYTES
    }
}

impl Writer for Encoder<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.reserve(bytes.len())?;
        self.put(bytes);
        Ok(())
    }
}

// SAFETY: blocks are the arena's, which keeps them where they are until it is reset, after the encoder's last use of them.
unsafe impl Allocator for Encoder<'_> {
    #[inline]
    unsafe fn push_alloc(&mut self, layout: Layout) -> Result<NonNull<[u8]>, EncodeError> {
        let block = self.kept.scratch.try_alloc_layout(layout).map_err(EncodeError::Scratch)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    unsafe fn pop_alloc(&mut self, block: NonNull<u8>, layout: Layout) -> Result<(), EncodeError> {
        // SAFETY: the caller gives back what `push_alloc` gave it, with the same layout.
        unsafe { (&self.kept.scratch).deallocate(block, layout) };
        Ok(())
    }
}

/// What outlives an encoder.
struct Kept {
    frames: Frames,
    /// Where rkyv keeps what it knows of a list's elements until it writes the list.
    scratch: Arena,
}

/// Lent for the time of one value, so there are as many as threads that encode at once.
static KEPT: LazyLock<TypedObjectPool<Kept, KeptRules>> = LazyLock::new(|| {
    ObjectPoolBuilder::new(KeptRules)
        .name("archive encoders")
        .retain_bytes_max(KEPT_BYTES_MAX)
        .per_thread_bytes_max(2 * KEPT_BYTES_MAX)
        .idle_max(64)
        .leak_sites_one_in(0) // lent by `encode` and `aligned` alone
        .build()
});

/// All frames and the scratch memory of one.
const KEPT_BYTES_MAX: usize = 16 << 20;

struct KeptRules;

impl Recycle<Kept> for KeptRules {
    fn make(&self) -> Kept {
        Kept { frames: Frames::default(), scratch: Arena::new() }
    }

    #[inline]
    fn reset(&self, kept: &mut Kept) -> bool {
        // Left by an encoder that ended early, as is what it had written.
        drop(kept.frames.take_large());
        if kept.scratch.figures().used_bytes > 0 {
            kept.scratch.reset();
        }
        true
    }

    fn retained_bytes(&self, kept: &Kept) -> usize {
        kept.frames.kept_bytes() + kept.scratch.figures().reserved_bytes
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    /// Frames double, and one that has doubled past the limit of a payload is used up to the limit alone.
    #[test]
    fn a_frame_takes_no_more_than_a_payload_may_have() {
        let mut frames = Frames::default();
        let (archive, _) = begin(frames.take(ALIGNMENT + HEADER_BYTES));
        for (had, more) in [(3 << 29, 1 << 20), (PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX), (1 << 20, PAYLOAD_BYTES_MAX)] {
            let (_, bytes_max) =
                move_to_larger(&mut frames, archive, HEADER_BYTES, had, more).expect("within the limit");
            assert!((more..=PAYLOAD_BYTES_MAX).contains(&(bytes_max - HEADER_BYTES)), "{bytes_max}");
        }
        let refused = move_to_larger(&mut frames, archive, HEADER_BYTES + 1, 1 << 20, PAYLOAD_BYTES_MAX);
        assert!(matches!(refused, Err(EncodeError::TooLong { bytes }) if bytes == PAYLOAD_BYTES_MAX + 1));
    }
}
