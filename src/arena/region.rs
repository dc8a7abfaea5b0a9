//! A region: one thread's bumpalo `Bump`, tied to a ledger so that it grows only through the cold path here.
//!
//! Stands between `Arena` and bumpalo. Invariants: bumpalo's own limit is pinned to exactly what the bump holds, so its
//! slow path can never make a chunk by itself; `last` is the size of the newest chunk; every byte handed out lies
//! between a chunk's finger and its footer unless `rewind` gave it back.
//! Cost: a bump is bumpalo's; `grow` is one allocation.
#![expect(unsafe_code, reason = "calls bumpalo's allocator interface and overwrites used memory")]

use super::chunk::{self, FOOTER_BYTES};
use super::ledger::{BudgetExceeded, Ledger};
use allocator_api2::alloc::Allocator;
use bumpalo::Bump;
use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

/// Every value begins at a multiple of this, so that the common case needs no address arithmetic: a `u64` costs 0.56 ns
/// instead of 0.72 at alignment 1, and a string wastes 3.5 bytes on average.
const MIN_ALIGN: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Region {
    bump: Bump<MIN_ALIGN>,
    last: Cell<usize>,
}

impl Region {
    /// No chunk yet: no memory, no allocation.
    pub(crate) fn empty() -> Self {
        let bump = Bump::with_min_align_and_capacity(0);
        bump.set_allocation_limit(Some(0));
        Self { bump, last: Cell::new(0) }
    }

    /// One chunk of at least `bytes`, booked.
    pub(crate) fn with_chunk(bytes: usize, ledger: &Ledger) -> Result<Self, BudgetExceeded> {
        let overflow = || BudgetExceeded { asked: usize::MAX, used: ledger.held(), allowed: ledger.allowed() };
        let size = chunk::rounded_up(bytes.next_multiple_of(16)).ok_or_else(overflow)?;
        ledger.reserve(size + FOOTER_BYTES, bytes)?;
        let Ok(bump) = Bump::try_with_min_align_and_capacity(bytes) else {
            ledger.refund(size + FOOTER_BYTES);
            return Err(ledger.refused_by_allocator(bytes));
        };
        let region = Self { bump, last: Cell::new(0) };
        region.pin();
        debug_assert_eq!(region.last.get(), size, "chunk::rounded_up knows bumpalo's rounding");
        Ok(region)
    }

    /// Sets bumpalo's limit to what it holds: from then on its slow path refuses.
    fn pin(&self) {
        let held = self.bump.allocated_bytes();
        self.bump.set_allocation_limit(Some(held));
        self.last.set(held);
    }

    /// Room for `layout` in the present chunk.
    #[inline(always)]
    pub(crate) fn bump(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.bump.try_alloc_layout(layout).ok()
    }

    /// Room for `layout` in a new chunk: reserve in the ledger, raise the limit, allocate, pin.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&self, layout: Layout, first: usize, ledger: &Ledger) -> Result<NonNull<u8>, BudgetExceeded> {
        let mut refused = BudgetExceeded { asked: layout.size(), used: ledger.held(), allowed: ledger.allowed() };
        // A chunk with room for what comes next, or else one that just fits.
        for bytes in [chunk::wanted(self.bump.allocated_bytes(), first, layout), chunk::needed(layout)] {
            let Some(size) = chunk::next(self.last.get(), bytes, ledger.room()) else { continue };
            // Other shards of the request book at the same time: the room just seen may be gone.
            if let Err(error) = ledger.reserve(size + FOOTER_BYTES, layout.size()) {
                refused = error;
                continue;
            }
            if self.add_chunk(bytes, layout.align(), size, ledger)
                && let Some(block) = self.bump(layout)
            {
                return Ok(block);
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
        let now = self.bump.allocated_bytes();
        self.bump.set_allocation_limit(Some(now));
        let grown = now - held;
        assert!(grown <= size, "bumpalo keeps its limit: {grown} bytes added of {size} allowed");
        if grown > 0 {
            self.last.set(grown);
            ledger.refund(size - grown);
        } else {
            ledger.refund(size + FOOTER_BYTES);
        }
        added
    }

    /// Gives the newest block back to the present chunk; any other block stays where it is.
    ///
    /// # Safety
    ///
    /// `block` was allocated with `layout` from some region that still holds it, and is not used any more. It need not
    /// be from this region: bumpalo compares addresses, and its finger never lies in or at the start of a foreign
    /// block, because it stays between the first byte of its own chunk and its own footer, inside one allocation.
    #[inline(always)]
    pub(crate) unsafe fn rewind(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: bumpalo does nothing unless `block` is where its finger stands: then it is this region's newest block.
        // A zero-sized block moves the finger by nothing.
        unsafe { (&self.bump).deallocate(block, layout) };
    }

    /// Grows a block: in place where it is the newest, else by a new one in the present chunk. `None`: no room there.
    ///
    /// # Safety
    ///
    /// As for `Allocator::grow`: `block` is live, fits `old`, and `new` is not smaller.
    #[inline(always)]
    pub(crate) unsafe fn extend(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise is this function's; a foreign block is copied, as in `rewind`.
        unsafe { (&self.bump).grow(block, old, new) }.ok().map(NonNull::cast)
    }

    /// Shrinks a block, giving the rest back where it is the newest and more than half of it goes. `None`: no room for
    /// the copy that a larger alignment needs.
    ///
    /// # Safety
    ///
    /// As for `Allocator::shrink`.
    #[inline(always)]
    pub(crate) unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise is this function's.
        unsafe { (&self.bump).shrink(block, old, new) }.ok().map(NonNull::cast)
    }

    /// Bytes of its chunks, without footers.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        self.bump.allocated_bytes()
    }

    /// Bytes from the global allocator, footers included.
    pub(crate) fn held(&self) -> usize {
        self.bump.allocated_bytes_including_metadata()
    }

    /// Whether it has at most one chunk.
    #[inline(always)]
    pub(crate) fn is_single(&self) -> bool {
        self.last.get() == self.bump.allocated_bytes()
    }

    /// Bytes of the newest chunk; 0 without one.
    pub(crate) fn newest(&self) -> usize {
        self.last.get()
    }

    /// Bytes handed out, paddings included.
    #[inline(always)]
    pub(crate) fn used(&self) -> usize {
        if self.is_single() { self.bump.allocated_bytes() - self.bump.chunk_capacity() } else { self.used_in_chunks().0 }
    }

    /// Room left in the present chunk.
    pub(crate) fn room(&self) -> usize {
        self.bump.chunk_capacity()
    }

    /// Bytes handed out, and chunks, over all chunks.
    #[cold]
    pub(crate) fn used_in_chunks(&self) -> (usize, usize) {
        // SAFETY: nothing is allocated while the iterator lives, and its pointers are not read through.
        let chunks = unsafe { self.bump.iter_allocated_chunks_raw() };
        chunks.fold((0, 0), |(used, count), (_, len)| (used + len, count + 1))
    }

    /// Lets all values go and keeps the newest chunk. The others are freed, which is booked.
    #[inline(always)]
    pub(crate) fn reset(&mut self, ledger: &Ledger) {
        if self.is_single() {
            self.bump.reset();
            return;
        }
        self.reset_chunks(ledger);
    }

    #[cold]
    fn reset_chunks(&mut self, ledger: &Ledger) {
        let before = self.held();
        self.bump.reset();
        self.pin();
        ledger.refund(before - self.held());
    }

    /// Overwrites every byte that was handed out since the last reset, whatever became of the block.
    pub(crate) fn overwrite(&mut self, byte: u8) {
        let word = u64::from_ne_bytes([byte; 8]);
        for used in self.bump.iter_allocated_chunks() {
            let start = used.as_ptr().cast_mut().cast::<u64>();
            debug_assert!(start.is_aligned() && used.len() % size_of::<u64>() == 0, "a finger moves by whole words");
            for at in 0..used.len() / size_of::<u64>() {
                // SAFETY: the words of `used` lie in a chunk of this bump, which `&mut self` makes ours alone.
                let word_at = unsafe { start.add(at) };
                // SAFETY: in bounds and aligned, as above. Volatile: no later read tells the compiler that it matters.
                unsafe { word_at.write_volatile(word) };
            }
        }
    }
}
