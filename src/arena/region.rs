//! A region: one thread's bump over chunks that bumpalo makes, tied to a ledger so that it grows only through the cold
//! path here.
//!
//! Stands between `Arena` and bumpalo. Each chunk is a `Bump` of its own, taken from it as one block, and the finger that
//! moves through that block is ours. So the finger, the end and the start lie in the arena itself, and it moves upwards:
//! the newest block grows and shrinks in place without a copy, a reset is one store, what was used is a subtraction, and
//! a chunk is exactly as large as asked for, up to bumpalo's rounding.
//!
//! Invariants:
//! - `start <= finger <= end`, all in one block of the newest chunk, or all equal and dangling while there is none.
//!   `start` is aligned as the chunk is, `finger` to [`MIN_ALIGN`].
//! - Bytes handed out lie in `start..finger`, or in older chunks. Behind `end` of a chunk that is not the first lies an
//!   [`Older`], which owns the chunk before it.
//! - Every chunk was booked before it was made, and its `Bump` is limited to it.
//!
//! Cost: a bump is an addition and a comparison; `grow` is one allocation.
#![expect(unsafe_code, reason = "hands out memory of bumpalo's blocks and overwrites it")]

use super::chunk::{self, FOOTER_BYTES};
use super::ledger::{BudgetExceeded, Ledger};
use crate::sync::{AtomicUsize, Ordering, Witness};
use allocator_api2::alloc::Allocator;
use bumpalo::Bump;
use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Every value begins at a multiple of this, so that the common case needs no alignment arithmetic; a string wastes 3.5
/// bytes on average.
const MIN_ALIGN: usize = 8;

/// What a chunk that is not the first gives up at its end.
const OLDER_BYTES: usize = size_of::<Older>();

/// See the module.
pub(crate) struct Region {
    finger: Cell<NonNull<u8>>,
    end: Cell<NonNull<u8>>,
    start: Cell<NonNull<u8>>,
    /// Bytes handed out in chunks older than the newest, and chunks: written by the owner when a chunk is added, read by
    /// anybody.
    used_before: AtomicUsize,
    chunks: AtomicUsize,
    /// Bytes of all chunks, without footers.
    capacity: Cell<usize>,
    /// What lies behind `end`; null while there is one chunk or none.
    older: Cell<*mut Older>,
    /// Holds the newest chunk.
    bump: Cell<Bump<MIN_ALIGN>>,
    witness: Witness,
}

/// A chunk that is not the newest, kept behind the end of the next one.
struct Older {
    _bump: Bump<MIN_ALIGN>,
    /// Its used part.
    start: NonNull<u8>,
    used: usize,
    /// The chunk before it, kept behind its own end; null for the first.
    before: *mut Older,
}

/// A chunk just made: the one block that is all of it.
struct Fresh {
    bump: Bump<MIN_ALIGN>,
    start: NonNull<u8>,
    bytes: usize,
}

/// Up to a multiple of [`MIN_ALIGN`]; no overflow, since a layout's size is at most `isize::MAX`.
#[inline(always)]
fn whole_words(layout: Layout) -> usize {
    (layout.size() + (MIN_ALIGN - 1)) & !(MIN_ALIGN - 1)
}

/// A place for a value without bytes, and for the finger of a region without chunks.
fn nowhere(align: usize) -> NonNull<u8> {
    NonNull::new(ptr::without_provenance_mut(align.max(MIN_ALIGN))).unwrap_or(NonNull::dangling())
}

impl Region {
    /// No chunk yet: no memory, no allocation.
    pub(crate) fn empty() -> Self {
        let place = || Cell::new(nowhere(MIN_ALIGN));
        Self {
            finger: place(),
            end: place(),
            start: place(),
            used_before: AtomicUsize::new(0),
            chunks: AtomicUsize::new(0),
            capacity: Cell::new(0),
            older: Cell::new(ptr::null_mut()),
            bump: Cell::new(Bump::with_min_align_and_capacity(0)),
            witness: Witness::default(),
        }
    }

    /// One chunk of at least `bytes`, booked.
    pub(crate) fn with_chunk(bytes: usize, ledger: &Ledger) -> Result<Self, BudgetExceeded> {
        let region = Self::empty();
        let fresh = Fresh::new(bytes, MIN_ALIGN, bytes, ledger)?;
        region.take_over(fresh, ledger);
        Ok(region)
    }

    /// Goes on in a fresh chunk, which from now on owns the one that was newest.
    fn take_over(&self, fresh: Fresh, ledger: &Ledger) {
        let (used, chunks) = (self.used(), self.chunks());
        let size = fresh.bump.allocated_bytes();
        let older = self.bump.replace(fresh.bump);
        let mut bytes = fresh.bytes;
        if chunks > 0 {
            bytes -= OLDER_BYTES;
            let (start, older_chunk) = (self.start.get(), self.older.get());
            // SAFETY: `grow` asked for a chunk with room for an `Older` beside the value; its end is in the block.
            let place = unsafe { fresh.start.add(bytes) }.cast::<Older>();
            let used = self.finger.get().addr().get() - start.addr().get();
            // SAFETY: the last bytes of a fresh block, aligned as the block and whole words are. Read back once, in
            // `drop_older`.
            unsafe { place.write(Older { _bump: older, start, used, before: older_chunk }) };
            self.older.set(place.as_ptr());
        }
        self.start.set(fresh.start);
        self.finger.set(fresh.start);
        // SAFETY: within the fresh block, or its end.
        self.end.set(unsafe { fresh.start.add(bytes) });
        self.capacity.set(self.capacity.get() + size);
        // Relaxed: figures; the owner alone writes them.
        self.used_before.store(used, Ordering::Relaxed);
        self.chunks.store(chunks + 1, Ordering::Relaxed);
        ledger.note_high_water();
    }

    /// Room for `layout` in the present chunk.
    #[inline(always)]
    pub(crate) fn bump(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.witness.touch();
        let bytes = whole_words(layout);
        let (mut at, end) = (self.finger.get(), self.end.get());
        if layout.align() > MIN_ALIGN {
            if bytes == 0 {
                return Some(nowhere(layout.align()));
            }
            let pad = at.as_ptr().addr().wrapping_neg() & (layout.align() - 1);
            if pad > end.addr().get() - at.addr().get() {
                return None;
            }
            // SAFETY: `pad` bytes are left before `end`, in the same block.
            at = unsafe { at.add(pad) };
        }
        if bytes > end.addr().get() - at.addr().get() {
            return None;
        }
        // SAFETY: `bytes` bytes are left before `end`, in the same block; for 0 bytes the sum is `at`.
        self.finger.set(unsafe { at.add(bytes) });
        Some(at)
    }

    /// Room for `layout` in a new chunk.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&self, layout: Layout, first: usize, ledger: &Ledger) -> Result<NonNull<u8>, BudgetExceeded> {
        let header = if self.chunks() > 0 { OLDER_BYTES } else { 0 };
        // A chunk with room for what comes next, or else one that just fits.
        let sizes = [chunk::wanted(self.capacity(), first, layout, header), chunk::needed(layout, header)];
        let mut fresh = Fresh::new(sizes[0], layout.align(), layout.size(), ledger);
        if fresh.is_err() {
            fresh = Fresh::new(sizes[1], layout.align(), layout.size(), ledger);
        }
        self.take_over(fresh?, ledger);
        self.bump(layout).ok_or_else(|| ledger.refused_by_allocator(layout.size()))
    }

    /// The byte behind a block of this layout, as an address.
    #[inline(always)]
    fn behind(block: NonNull<u8>, layout: Layout) -> usize {
        block.addr().get().wrapping_add(whole_words(layout))
    }

    /// Whether a block ends where the finger stands, so that nothing came after it in this region.
    ///
    /// A block of another region or an older chunk never does: each chunk ends with bumpalo's footer, so no block of it
    /// reaches the first byte of another chunk. A block of 0 bytes may lie at the finger; it can then grow from there,
    /// or shrink to nothing, without meeting another.
    #[inline(always)]
    fn is_newest(&self, block: NonNull<u8>, layout: Layout) -> bool {
        Self::behind(block, layout) == self.finger.get().addr().get()
    }

    /// Gives the newest block back to the present chunk; any other block stays where it is.
    ///
    /// # Safety
    ///
    /// `block` was allocated with `layout` from some region that still holds it, and is not used any more. It need not
    /// be from this region.
    #[inline(always)]
    pub(crate) unsafe fn rewind(&self, block: NonNull<u8>, layout: Layout) {
        self.witness.touch();
        if self.is_newest(block, layout) {
            // SAFETY: back from the finger, to the block's first byte. Not `block` itself: a caller's pointer may have
            // been narrowed to its own block.
            self.finger.set(unsafe { self.finger.get().sub(whole_words(layout)) });
        }
    }

    /// Grows a block: in place where it is the newest, else by a new one in the present chunk. `None`: no room there.
    ///
    /// # Safety
    ///
    /// As for `Allocator::grow`: `block` is live, fits `old`, and `new` is not smaller.
    #[inline(always)]
    pub(crate) unsafe fn extend(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        self.witness.touch();
        if self.is_newest(block, old) && block.addr().get() & (new.align() - 1) == 0 {
            let bytes = whole_words(new);
            if bytes > self.end.get().addr().get() - block.addr().get() {
                return None;
            }
            // SAFETY: `bytes` bytes lie between `block` and `end`, in one block of bumpalo's; the address comes from the
            // finger, since a caller's pointer may not reach beyond its own block.
            let start = unsafe { self.finger.get().sub(whole_words(old)) };
            // SAFETY: as above.
            self.finger.set(unsafe { start.add(bytes) });
            return Some(start);
        }
        let wider = self.bump(new)?;
        // SAFETY: `old.size()` bytes are live at `block`; the new block has room for them and overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(block.as_ptr(), wider.as_ptr(), old.size()) };
        Some(wider)
    }

    /// Shrinks a block in place, giving the rest back where it is the newest. `None`: it must move, because the new
    /// alignment is larger.
    ///
    /// # Safety
    ///
    /// As for `Allocator::shrink`.
    #[inline(always)]
    pub(crate) unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        self.witness.touch();
        if block.addr().get() & (new.align() - 1) != 0 {
            return None;
        }
        if self.is_newest(block, old) {
            // SAFETY: back from the finger, still at or behind the block's first byte.
            self.finger.set(unsafe { self.finger.get().sub(whole_words(old) - whole_words(new)) });
        }
        Some(block)
    }

    /// Bytes of its chunks, without footers.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity.get()
    }

    /// Bytes from the global allocator, footers included.
    pub(crate) fn held(&self) -> usize {
        self.capacity() + self.chunks() * FOOTER_BYTES
    }

    pub(crate) fn chunks(&self) -> usize {
        self.chunks.load(Ordering::Relaxed)
    }

    /// Bytes handed out in chunks before the newest one: readable while its owner bumps.
    pub(crate) fn used_before(&self) -> usize {
        self.used_before.load(Ordering::Relaxed)
    }

    /// Bytes of the newest chunk that can be handed out; 0 without one.
    #[inline(always)]
    pub(crate) fn newest(&self) -> usize {
        self.end.get().addr().get() - self.start.get().addr().get()
    }

    /// What [`newest`](Self::newest) will be after a reset, which frees the chunks before it.
    pub(crate) fn newest_alone(&self) -> usize {
        self.newest() + if self.chunks() > 1 { OLDER_BYTES } else { 0 }
    }

    /// Bytes handed out, paddings included.
    #[inline(always)]
    pub(crate) fn used(&self) -> usize {
        self.witness.touch();
        self.used_before() + (self.finger.get().addr().get() - self.start.get().addr().get())
    }

    /// Room left in the present chunk.
    pub(crate) fn room(&self) -> usize {
        self.witness.touch();
        self.end.get().addr().get() - self.finger.get().addr().get()
    }

    /// Whether it has at most one chunk, of at most `bytes`.
    #[inline(always)]
    pub(crate) fn is_single_within(&self, bytes: usize) -> bool {
        self.chunks() <= 1 && self.newest() <= bytes
    }

    /// Lets all values go and keeps the newest chunk. The others are freed, which is booked.
    #[inline(always)]
    pub(crate) fn reset(&mut self, ledger: &Ledger) {
        self.witness.touch();
        if self.chunks() <= 1 {
            self.rewind_single();
        } else {
            self.reset_chunks(ledger);
        }
    }

    /// Lets all values of the newest chunk go. For a region that has no other.
    #[inline(always)]
    pub(crate) fn rewind_single(&mut self) {
        self.witness.touch();
        debug_assert!(self.chunks() <= 1, "older chunks are freed by `reset`");
        self.finger.set(self.start.get());
    }

    #[cold]
    #[inline(never)]
    fn reset_chunks(&mut self, ledger: &Ledger) {
        let before = self.held();
        self.drop_older();
        // SAFETY: behind `end` lay an `Older`, now gone; it is part of the chunk's block.
        self.end.set(unsafe { self.end.get().add(OLDER_BYTES) });
        self.finger.set(self.start.get());
        self.capacity.set(self.bump.get_mut().allocated_bytes());
        self.used_before.store(0, Ordering::Relaxed);
        self.chunks.store(1, Ordering::Relaxed);
        ledger.refund(before - self.held());
    }

    /// Frees all chunks but the newest.
    fn drop_older(&mut self) {
        let mut at = self.older.replace(ptr::null_mut());
        let mut holds_next = None;
        while !at.is_null() {
            // SAFETY: written by `take_over` and read once. It lies in the newest chunk, or in the one that `holds_next`
            // keeps until the next line.
            let older = unsafe { at.read() };
            at = older.before;
            holds_next = Some(older);
        }
        drop(holds_next);
    }

    /// Overwrites every byte that was handed out since the last reset, whatever became of the block.
    pub(crate) fn overwrite(&mut self, byte: u8) {
        self.witness.touch();
        let used = self.used() - self.used_before();
        // SAFETY: the used part of the newest chunk, ours alone by `&mut self`.
        unsafe { fill(self.start.get(), used, byte) };
        let mut at = self.older.get().cast_const();
        // SAFETY: written by `take_over`, and alive until `drop_older`.
        while let Some(older) = unsafe { at.as_ref() } {
            // SAFETY: the used part of a chunk of this region, ours alone by `&mut self`; the header read here lies behind the
            // end of a later chunk.
            unsafe { fill(older.start, older.used, byte) };
            at = older.before;
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.drop_older();
    }
}

impl Fresh {
    /// A chunk for a block of `bytes`, booked, and taken whole. `asked` is what the user's call wanted, for the error.
    fn new(bytes: usize, align: usize, asked: usize, ledger: &Ledger) -> Result<Self, BudgetExceeded> {
        let overflow = || BudgetExceeded { asked, used: ledger.held(), allowed: ledger.allowed() };
        let size = chunk::rounded_up(bytes).ok_or_else(overflow)?;
        let block = Layout::from_size_align(bytes, align.max(MIN_ALIGN)).map_err(|_| overflow())?;
        ledger.reserve(size + FOOTER_BYTES, asked)?;
        let bump = Bump::with_min_align_and_capacity(0);
        bump.set_allocation_limit(Some(size));
        // bumpalo takes a chunk's size and alignment from the block it is for: so ask for that block, give it back, and take
        // all that there is.
        let whole = bump.try_alloc_layout(block).ok().and_then(|at| {
            // SAFETY: the block just allocated with this very layout, and nobody has it.
            unsafe { (&bump).deallocate(at, block) };
            let bytes = bump.chunk_capacity() & !(MIN_ALIGN - 1);
            let all = Layout::from_size_align(bytes, MIN_ALIGN).ok()?;
            Some((bump.try_alloc_layout(all).ok()?, bytes))
        });
        let Some((start, bytes)) = whole else {
            ledger.refund(size + FOOTER_BYTES);
            return Err(ledger.refused_by_allocator(asked));
        };
        let made = bump.allocated_bytes();
        assert!(made <= size, "bumpalo keeps its limit: {made} bytes made of {size} allowed");
        ledger.refund(size - made);
        bump.set_allocation_limit(Some(made));
        Ok(Self { bump, start, bytes })
    }
}

/// Writes `byte` over whole words. Volatile: no later read tells the compiler that it matters.
///
/// # Safety
///
/// The bytes are writable and unused; `start` and `bytes` are multiples of [`MIN_ALIGN`].
unsafe fn fill(start: NonNull<u8>, bytes: usize, byte: u8) {
    let (start, word) = (start.cast::<u64>(), u64::from_ne_bytes([byte; 8]));
    debug_assert!(start.is_aligned() && bytes.is_multiple_of(size_of::<u64>()), "a finger moves by whole words");
    for at in 0..bytes / size_of::<u64>() {
        // SAFETY: `at` counts whole words below `bytes`.
        let place = unsafe { start.add(at) };
        // SAFETY: a word of the bytes, aligned as `start` is.
        unsafe { place.write_volatile(word) };
    }
}
