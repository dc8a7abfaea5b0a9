//! A region: one thread's bump over chunks that a bumpalo `Bump` holds, tied to a ledger so that it grows only through
//! the cold path here.
//!
//! Stands between `Arena` and bumpalo. bumpalo makes, lists and frees the chunks; each chunk is taken from it as one
//! block, and the finger that moves through that block is ours. So the finger, the end and the start lie in the
//! arena itself, and it moves upwards: the newest block grows and shrinks in place without a copy, a reset is one
//! store, and what was used is a subtraction.
//!
//! Invariants:
//! - `start <= finger <= end`, all in one block of the newest chunk, or all equal and dangling while there is none.
//!   `start` is aligned as the chunk is, `finger` to [`MIN_ALIGN`].
//! - Bytes handed out lie in `start..finger`, or in older chunks.
//! - bumpalo's limit is pinned to what it holds: its own slow path can never make a chunk.
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
use std::ptr::NonNull;

/// Every value begins at a multiple of this, so that the common case needs no alignment arithmetic; a string wastes 3.5
/// bytes on average.
const MIN_ALIGN: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Region {
    finger: Cell<NonNull<u8>>,
    end: Cell<NonNull<u8>>,
    start: Cell<NonNull<u8>>,
    /// Bytes handed out in chunks older than the newest, and chunks: written by the owner when a chunk is added, read by
    /// anybody.
    used_before: AtomicUsize,
    chunks: AtomicUsize,
    /// The newest chunk's size as bumpalo has it: a block of high alignment may leave some of it unused.
    last: Cell<usize>,
    /// Touched wherever the finger is: loom's sight of memory that it does not check itself.
    witness: Witness,
    bump: Bump<MIN_ALIGN>,
}

/// Up to a multiple of [`MIN_ALIGN`]; no overflow, since a layout's size is at most `isize::MAX`.
#[inline(always)]
fn whole_words(layout: Layout) -> usize {
    (layout.size() + (MIN_ALIGN - 1)) & !(MIN_ALIGN - 1)
}

/// A place for a value without bytes, and for the finger of a region without chunks.
fn nowhere(align: usize) -> NonNull<u8> {
    NonNull::new(std::ptr::without_provenance_mut(align.max(MIN_ALIGN))).unwrap_or(NonNull::dangling())
}

impl Region {
    /// No chunk yet: no memory, no allocation.
    pub(crate) fn empty() -> Self {
        let bump = Bump::with_min_align_and_capacity(0);
        bump.set_allocation_limit(Some(0));
        Self::over(bump, 0)
    }

    fn over(bump: Bump<MIN_ALIGN>, chunks: usize) -> Self {
        let place = || Cell::new(nowhere(MIN_ALIGN));
        Self {
            finger: place(),
            end: place(),
            start: place(),
            used_before: AtomicUsize::new(0),
            chunks: AtomicUsize::new(chunks),
            last: Cell::new(bump.allocated_bytes()),
            witness: Witness::default(),
            bump,
        }
    }

    /// One chunk of at least `bytes`, booked.
    pub(crate) fn with_chunk(bytes: usize, ledger: &Ledger) -> Result<Self, BudgetExceeded> {
        let overflow = || BudgetExceeded { asked: usize::MAX, used: ledger.held(), allowed: ledger.allowed() };
        let size = chunk::rounded_up(bytes).ok_or_else(overflow)?;
        ledger.reserve(size + FOOTER_BYTES, bytes)?;
        let Ok(bump) = Bump::try_with_min_align_and_capacity(size) else {
            ledger.refund(size + FOOTER_BYTES);
            return Err(ledger.refused_by_allocator(bytes));
        };
        debug_assert_eq!(bump.allocated_bytes(), size, "chunk::rounded_up knows bumpalo's rounding");
        let region = Self::over(bump, 1);
        region.pin();
        region.take_chunk();
        Ok(region)
    }

    /// Sets bumpalo's limit to what it holds: from then on its slow path refuses.
    fn pin(&self) {
        self.bump.set_allocation_limit(Some(self.bump.allocated_bytes()));
    }

    /// Takes all that bumpalo's newest chunk has as one block, to bump in.
    fn take_chunk(&self) {
        let bytes = self.bump.chunk_capacity() & !(MIN_ALIGN - 1);
        let whole = Layout::from_size_align(bytes, MIN_ALIGN).ok().and_then(|all| self.bump.try_alloc_layout(all).ok());
        let (start, bytes) = whole.map_or((nowhere(MIN_ALIGN), 0), |start| (start, bytes));
        self.start.set(start);
        self.finger.set(start);
        // SAFETY: the end of the block just allocated, or 0 bytes from a dangling pointer.
        self.end.set(unsafe { start.add(bytes) });
    }

    /// Room for `layout` in the present chunk.
    #[inline(always)]
    pub(crate) fn bump(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.witness.touch();
        let bytes = whole_words(layout);
        let (mut at, end) = (self.finger.get(), self.end.get());
        if layout.align() > MIN_ALIGN {
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

    /// Room for `layout` in a new chunk: reserve in the ledger, raise the limit, allocate, pin.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&self, layout: Layout, first: usize, ledger: &Ledger) -> Result<NonNull<u8>, BudgetExceeded> {
        if layout.size() == 0 {
            return Ok(nowhere(layout.align()));
        }
        let mut refused = BudgetExceeded { asked: layout.size(), used: ledger.held(), allowed: ledger.allowed() };
        let used = self.used();
        // A chunk with room for what comes next, or else one that just fits.
        for bytes in [chunk::wanted(self.capacity(), first, layout), chunk::needed(layout)] {
            let Some(size) = chunk::next(self.last.get(), bytes, ledger.room()) else { continue };
            // Other shards of the request book at the same time: the room just seen may be gone.
            if let Err(error) = ledger.reserve(size + FOOTER_BYTES, layout.size()) {
                refused = error;
                continue;
            }
            if self.add_chunk(bytes, layout.align(), size, ledger) {
                // Relaxed: figures; the owner alone writes them.
                self.used_before.store(used, Ordering::Relaxed);
                self.chunks.store(self.chunks.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                self.take_chunk();
                if let Some(block) = self.bump(layout) {
                    return Ok(block);
                }
            }
            refused = ledger.refused_by_allocator(layout.size());
        }
        Err(refused)
    }

    /// Makes bumpalo add a chunk that fits a block of `bytes` and is no larger than `size`, which is booked.
    fn add_chunk(&self, bytes: usize, align: usize, size: usize, ledger: &Ledger) -> bool {
        let held = self.bump.allocated_bytes();
        self.bump.set_allocation_limit(Some(held + size));
        // bumpalo takes a chunk's size from the block it is for: so ask for that block, and give it back.
        let added = Layout::from_size_align(bytes, align).is_ok_and(|block| match self.bump.try_alloc_layout(block) {
            Ok(at) => {
                // SAFETY: `at` is the block just allocated with this very layout, and nobody has it.
                unsafe { (&self.bump).deallocate(at, block) };
                true
            }
            Err(_) => false,
        });
        self.pin();
        let grown = self.bump.allocated_bytes() - held;
        assert!(grown <= size, "bumpalo keeps its limit: {grown} bytes added of {size} allowed");
        if grown > 0 {
            self.last.set(grown);
            ledger.refund(size - grown);
        } else {
            ledger.refund(size + FOOTER_BYTES);
        }
        added
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
        unsafe { std::ptr::copy_nonoverlapping(block.as_ptr(), wider.as_ptr(), old.size()) };
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
        self.bump.allocated_bytes()
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
        self.bump.reset();
        self.pin();
        self.used_before.store(0, Ordering::Relaxed);
        self.chunks.store(1, Ordering::Relaxed);
        self.last.set(self.capacity());
        self.take_chunk();
        ledger.refund(before - self.held());
    }

    /// Overwrites every byte that was handed out since the last reset, whatever became of the block.
    pub(crate) fn overwrite(&mut self, byte: u8) {
        self.witness.touch();
        let (start, used) = (self.start.get(), self.used() - self.used_before());
        // SAFETY: the used part of the newest chunk, ours alone by `&mut self`.
        unsafe { fill(start, used, byte) };
        // Older chunks were left with less room than a value wanted: all of each.
        // SAFETY: nothing is allocated while the iterator lives, and `&mut self` says that no reference into it does.
        for (start, bytes) in unsafe { self.bump.iter_allocated_chunks_raw() }.skip(1) {
            // SAFETY: chunks are not at null.
            let start = unsafe { NonNull::new_unchecked(start) };
            // SAFETY: a chunk of this bump, ours alone; it begins aligned, and its footer is aligned too.
            unsafe { fill(start, bytes, byte) };
        }
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
        // SAFETY: within the bytes.
        let place = unsafe { start.add(at) };
        // SAFETY: within the bytes, and aligned as they are.
        unsafe { place.write_volatile(word) };
    }
}
