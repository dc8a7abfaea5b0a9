//! A bounded lock-free stack of boxed items, shared by all threads: what the per-thread stacks overflow into.
//!
//! Two Treiber stacks thread through one fixed array of cells: the full cells and the free ones. A head is one word,
//! 24 bits of cell number and 40 bits of tag that every change increments, so a head that comes back with the same
//! cell is still a different word (the ABA problem) until 2^40 changes happen inside one compare-and-swap.
//! Cost: one allocation when made; `push` and `pop` two compare-and-swaps each.
#![expect(unsafe_code, reason = "turns boxes into raw pointers and back")]

use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::ptr::{self, NonNull};

/// Cell number in a head or link: 0 is "none", cell `i` is `i + 1`.
const CELL_BITS: u32 = 24;
const CELL_MASK: u64 = (1 << CELL_BITS) - 1;

/// The most items that a depot can be made for.
pub(super) const ITEMS_MAX: usize = (1 << CELL_BITS) - 2;

#[derive(Debug)]
struct Cell<T> {
    next: AtomicU32,
    item: AtomicPtr<T>,
}

/// See the module. Owns what lies in it.
#[derive(Debug)]
pub(super) struct Depot<T> {
    full: AtomicU64,
    free: AtomicU64,
    /// Items in it, for figures; lags behind by what is in flight.
    len: AtomicUsize,
    cells: Box<[Cell<T>]>,
}

impl<T> Depot<T> {
    pub(super) fn new(items_max: usize) -> Self {
        let items_max = items_max.min(ITEMS_MAX);
        let cells: Box<[Cell<T>]> = (0..items_max)
            .map(|i| {
                // Every cell starts free, each linked to the one after it.
                let next = if i + 1 < items_max { i + 2 } else { 0 };
                #[expect(clippy::cast_possible_truncation, reason = "at most ITEMS_MAX, which fits 24 bits")]
                Cell { next: AtomicU32::new(next as u32), item: AtomicPtr::new(ptr::null_mut()) }
            })
            .collect();
        let first = u64::from(!cells.is_empty());
        Self { full: AtomicU64::new(0), free: AtomicU64::new(first), len: AtomicUsize::new(0), cells }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Puts an item in, or gives it back when there is no room.
    pub(super) fn push(&self, item: NonNull<T>) -> Result<(), NonNull<T>> {
        let Some(cell) = self.take_cell(&self.free) else {
            return Err(item);
        };
        self.cells[cell].item.store(item.as_ptr(), Ordering::Relaxed);
        // Counted before it can be popped, and off only after it was: so the count never passes below 0.
        self.len.fetch_add(1, Ordering::Relaxed);
        self.put_cell(&self.full, cell);
        Ok(())
    }

    /// Takes the item that came last, if any.
    pub(super) fn pop(&self) -> Option<NonNull<T>> {
        let cell = self.take_cell(&self.full)?;
        let item = self.cells[cell].item.swap(ptr::null_mut(), Ordering::Relaxed);
        self.len.fetch_sub(1, Ordering::Relaxed);
        self.put_cell(&self.free, cell);
        NonNull::new(item)
    }

    /// Unlinks the first cell of a stack; the caller then owns that cell.
    fn take_cell(&self, head: &AtomicU64) -> Option<usize> {
        // Acquire, here and on failure below: pairs with the Release in `put_cell`, so that what the last owner of
        // the cell wrote (its link and its item, and the item's own contents) is visible to the next.
        let mut seen = head.load(Ordering::Acquire);
        loop {
            let cell = (seen & CELL_MASK) as usize;
            if cell == 0 {
                return None;
            }
            let next = u64::from(self.cells[cell - 1].next.load(Ordering::Relaxed));
            let tag = (seen >> CELL_BITS).wrapping_add(1);
            match head.compare_exchange_weak(seen, tag << CELL_BITS | next, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(cell - 1),
                Err(now) => seen = now,
            }
        }
    }

    /// Links a cell that the caller owns as the first of a stack.
    fn put_cell(&self, head: &AtomicU64, cell: usize) {
        let mut seen = head.load(Ordering::Relaxed);
        loop {
            self.cells[cell].next.store((seen & CELL_MASK) as u32, Ordering::Relaxed);
            let tag = (seen >> CELL_BITS).wrapping_add(1);
            let new = tag << CELL_BITS | (cell as u64 + 1);
            // Release: pairs with the Acquire in `take_cell`. Every change is a read-modify-write of the same word,
            // so earlier releases stay visible through later ones (one release sequence).
            match head.compare_exchange_weak(seen, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

impl<T> Drop for Depot<T> {
    fn drop(&mut self) {
        while let Some(item) = self.pop() {
            // SAFETY: what is pushed came from `Box::into_raw` (the contract of `Recycler`), and `pop` hands each
            // item out once, so the box is ours alone.
            drop(unsafe { Box::from_raw(item.as_ptr()) });
        }
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    fn boxed(value: usize) -> NonNull<usize> {
        NonNull::from(Box::leak(Box::new(value)))
    }

    fn unbox(item: NonNull<usize>) -> usize {
        // SAFETY: every item of these tests comes from `boxed` and leaves the depot once.
        *unsafe { Box::from_raw(item.as_ptr()) }
    }

    #[test]
    fn gives_back_what_does_not_fit_and_hands_out_the_newest() {
        let depot = Depot::new(2);
        assert!(depot.pop().is_none());
        assert!(depot.push(boxed(1)).is_ok());
        assert!(depot.push(boxed(2)).is_ok());
        assert_eq!(unbox(depot.push(boxed(3)).unwrap_err()), 3);
        assert_eq!(depot.len(), 2);
        assert_eq!(depot.pop().map(unbox), Some(2));
        assert!(depot.push(boxed(4)).is_ok());
        assert_eq!(depot.pop().map(unbox), Some(4));
        assert_eq!(depot.pop().map(unbox), Some(1));
        assert!(depot.pop().is_none());
    }

    #[test]
    fn a_depot_for_nothing_takes_nothing() {
        let depot = Depot::new(0);
        assert_eq!(unbox(depot.push(boxed(9)).unwrap_err()), 9);
        assert!(depot.pop().is_none());
    }

    #[test]
    fn every_item_leaves_once_with_four_threads_pushing_and_popping() {
        const PER_THREAD: usize = 50_000;
        let depot = Depot::new(64);
        let mut seen: Vec<usize> = std::thread::scope(|scope| {
            (0..4)
                .map(|thread| {
                    let depot = &depot;
                    scope.spawn(move || {
                        let mut out = Vec::new();
                        for i in 0..PER_THREAD {
                            match depot.push(boxed(thread * PER_THREAD + i)) {
                                Ok(()) => {}
                                Err(item) => out.push(unbox(item)),
                            }
                            if i % 3 == 0 {
                                out.extend(depot.pop().map(unbox));
                            }
                        }
                        out
                    })
                })
                .collect::<Vec<_>>()
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        while let Some(item) = depot.pop() {
            seen.push(unbox(item));
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..4 * PER_THREAD).collect::<Vec<_>>());
    }
}
