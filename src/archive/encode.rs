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
use rkyv::{Serialize, SerializeUnsized as _};
use std::alloc::Layout;
use std::ptr::NonNull;
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
pub fn encode<T: Schema + Serialize<Encoder>>(value: &T) -> Result<Bytes, EncodeError> {
    const { assert!(align_of::<T::Archived>() <= ALIGNMENT, "archives are aligned to 16 bytes") };
    let mut encoder = ENCODERS.acquire();
    encoder.begin(0);
    value.serialize_unsized(&mut *encoder)?;
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
    let mut encoder = ENCODERS.acquire();
    encoder.begin(bytes.len());
    let start = encoder.start;
    encoder.out.truncate(start);
    encoder.out.extend_from_slice(bytes);
    encoder.end(|_| ())
}

/// What writes an archive: the `S` of rkyv's `Serialize<S>`. Types with shared pointers are not for it: mark their fields
/// `with = rkyv::with::Unshare`.
#[derive(Debug)]
pub struct Encoder {
    /// The frame that is being filled.
    out: BytesMut,
    /// What it was made for.
    frame_bytes: usize,
    /// Where the header begins in it.
    start: usize,
    frames: Frames,
    /// Where rkyv keeps what it knows of a list's elements until it writes the list.
    scratch: Arena,
}

impl Encoder {
    fn new() -> Self {
        Self { out: BytesMut::new(), frame_bytes: 0, start: 0, frames: Frames::default(), scratch: Arena::new() }
    }

    /// A fresh frame with room for a payload of `bytes`, its header zeroed.
    #[inline]
    fn begin(&mut self, bytes: usize) {
        (self.out, self.frame_bytes) = self.frames.take(bytes.saturating_add(ALIGNMENT + HEADER_BYTES));
        self.start = self.out.as_ptr().align_offset(ALIGNMENT);
        self.out.resize(self.start + HEADER_BYTES, 0);
    }

    /// Moves what was written to a frame with room for `more`.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        let written = self.pos();
        let (old, old_bytes, old_start) = (std::mem::take(&mut self.out), self.frame_bytes, self.start);
        self.begin((written + more).max(2 * old_bytes));
        self.out.extend_from_slice(&old[old_start + HEADER_BYTES..]);
        self.frames.keep(old, old_bytes);
    }

    /// Lets `finish` write what it will, and gives the archive away.
    #[inline]
    fn end(&mut self, finish: impl FnOnce(&mut [u8])) -> Bytes {
        finish(&mut self.out[self.start..]);
        let mut archive = self.out.split().freeze();
        archive.advance(self.start);
        self.frames.keep(std::mem::take(&mut self.out), self.frame_bytes);
        archive
    }
}

impl Fallible for Encoder {
    type Error = EncodeError;
}

impl Positional for Encoder {
    #[inline(always)]
    fn pos(&self) -> usize {
        self.out.len() - self.start - HEADER_BYTES
    }
}

impl Writer for Encoder {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() > self.out.capacity() - self.out.len() {
            let total = self.pos().saturating_add(bytes.len());
            if total > PAYLOAD_BYTES_MAX {
                return Err(EncodeError::TooLong { bytes: total });
            }
            self.grow(bytes.len());
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

// SAFETY: blocks are the arena's, which keeps them where they are until it is reset, after the encoder's last use of them.
unsafe impl Allocator for Encoder {
    #[inline]
    unsafe fn push_alloc(&mut self, layout: Layout) -> Result<NonNull<[u8]>, EncodeError> {
        let block = self.scratch.try_alloc_layout(layout).map_err(EncodeError::Scratch)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    unsafe fn pop_alloc(&mut self, block: NonNull<u8>, layout: Layout) -> Result<(), EncodeError> {
        // SAFETY: the caller gives back what `push_alloc` gave it, with the same layout.
        unsafe { (&self.scratch).deallocate(block, layout) };
        Ok(())
    }
}

/// Encoders are lent for the time of one value, so there are as many as threads that encode at once.
static ENCODERS: LazyLock<TypedObjectPool<Encoder, Encoders>> = LazyLock::new(|| {
    ObjectPoolBuilder::new(Encoders)
        .name("archive encoders")
        .retain_bytes_max(ENCODER_BYTES_MAX)
        .per_thread_bytes_max(2 * ENCODER_BYTES_MAX)
        .idle_max(64)
        .leak_sites_one_in(0) // lent by `encode` and `aligned` alone
        .build()
});

/// All frames and the scratch memory of one.
const ENCODER_BYTES_MAX: usize = 16 << 20;

struct Encoders;

impl Recycle<Encoder> for Encoders {
    fn make(&self) -> Encoder {
        Encoder::new()
    }

    #[inline]
    fn reset(&self, encoder: &mut Encoder) -> bool {
        if encoder.out.capacity() > 0 {
            // It ended early: an error, or a panic.
            encoder.out = BytesMut::new();
        }
        if encoder.scratch.figures().used_bytes > 0 {
            encoder.scratch.reset();
        }
        true
    }

    fn retained_bytes(&self, encoder: &Encoder) -> usize {
        encoder.frames.kept_bytes() + encoder.scratch.figures().reserved_bytes
    }
}
