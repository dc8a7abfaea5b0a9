//! A bounded lock-free stack of batches of boxed items, shared by all threads: what the per-thread stacks overflow into.
//!
//! Two Treiber stacks thread through one fixed array of cells: the full cells and the free ones. A head is one word,
//! 24 bits of cell number and 40 bits of tag that every change increments, so a head that comes back with the same
//! cell is still a different word (the ABA problem) until 2^40 changes happen inside one compare-and-swap. A cell holds a
//! batch of items (Bonwick and Adams, 2001: magazines), so that threads which only take and threads which only give back meet
//! here once in a batch.
//! Invariant: never more than `items_max` items; fewer where batches are not full.
//! Cost: two allocations when made; `push` and `pop` two compare-and-swaps each.
#![expect(unsafe_code, reason = "turns boxes into raw pointers and back")]

use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::ptr::{self, NonNull};

/// Cell number in a head or link: 0 is "none", cell `i` is `i + 1`.
const CELL_BITS: u32 = 24;
const CELL_MASK: u64 = (1 << CELL_BITS) - 1;

/// Items that travel together, at most.
pub(super) const BATCH_MAX: usize = 16;

/// Items on their way into the depot or out of it, oldest first.
#[derive(Debug)]
pub(super) struct Batch<T> {
    items: [Option<NonNull<T>>; BATCH_MAX],
    len: usize,
}

impl<T> Batch<T> {
    pub(super) fn new() -> Self {
        Self { items: [None; BATCH_MAX], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an item.
    ///
    /// # Panics
    ///
    /// If there are [`BATCH_MAX`] already.
    pub(super) fn push(&mut self, item: NonNull<T>) {
        self.items[self.len] = Some(item);
        self.len += 1;
    }
}

/// Hands the items out, newest first. Items left over are leaked, not dropped: a batch owns none.
impl<T> Iterator for Batch<T> {
    type Item = NonNull<T>;

    fn next(&mut self) -> Option<NonNull<T>> {
        self.len = self.len.checked_sub(1)?;
        self.items[self.len].take()
    }
}

/// See the module. Owns what lies in it. Aligned so that its heads share no cache line (or its prefetched neighbour) with
/// what every thread reads.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Depot<T> {
    full: AtomicU64,
    free: AtomicU64,
    /// Items in it, for figures; lags behind by what is in flight.
    len: AtomicUsize,
    /// The least that `len` was since the last trim.
    low: AtomicUsize,
    batch: usize,
    /// Links, one per cell.
    next: Box<[AtomicU32]>,
    /// `batch` places per cell; a null ends a batch that is not full.
    items: Box<[AtomicPtr<T>]>,
}

impl<T> Depot<T> {
    /// A depot for `items_max` items in batches of `batch`.
    pub(super) fn new(items_max: usize, batch: usize) -> Self {
        let batch = batch.clamp(1, BATCH_MAX);
        let cells = items_max / batch;
        assert!(cells < (1 << CELL_BITS) - 1, "a head counts cells in 24 bits, and pools bound `idle_max` far below");
        // Every cell starts free, each linked to the one after it.
        #[expect(clippy::cast_possible_truncation, reason = "they fit 24 bits")]
        let next = (0..cells).map(|i| AtomicU32::new(if i + 1 < cells { i + 2 } else { 0 } as u32)).collect();
        Self {
            full: AtomicU64::new(0),
            free: AtomicU64::new(u64::from(cells > 0)),
            len: AtomicUsize::new(0),
            low: AtomicUsize::new(0),
            batch,
            next,
            items: (0..cells * batch).map(|_| AtomicPtr::new(ptr::null_mut())).collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Items that a cell holds.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// Items that nobody needed since the last call: the least that lay here. Begins anew.
    pub(super) fn unneeded(&self) -> usize {
        // Relaxed, here and where it is lowered: an estimate.
        self.low.swap(self.len(), Ordering::Relaxed).min(self.len())
    }

    /// Puts a batch of at most [`Self::batch`] items in; says whether there was room. If not it is still the caller's.
    #[must_use]
    pub(super) fn push(&self, batch: &Batch<T>) -> bool {
        debug_assert!(batch.len > 0 && batch.len <= self.batch, "{} of {}", batch.len, self.batch);
        let Some(cell) = self.take_cell(&self.free) else {
            return false;
        };
        for (place, item) in self.places(cell).iter().zip(&batch.items) {
            // Relaxed, as in `pop`: the cell is ours.
            place.store(item.map_or(ptr::null_mut(), NonNull::as_ptr), Ordering::Relaxed);
        }
        // Counted before it can be popped, and off only after it was: so the count never passes below 0.
        self.len.fetch_add(batch.len, Ordering::Relaxed);
        self.put_cell(&self.full, cell);
        true
    }

    /// Takes the batch that came last, if any.
    pub(super) fn pop(&self) -> Option<Batch<T>> {
        let cell = self.take_cell(&self.full)?;
        let mut batch = Batch::new();
        self.places(cell)
            .iter()
            .map_while(|place| NonNull::new(place.load(Ordering::Relaxed)))
            .for_each(|item| batch.push(item));
        let left = self.len.fetch_sub(batch.len, Ordering::Relaxed) - batch.len;
        if left < self.low.load(Ordering::Relaxed) {
            self.low.fetch_min(left, Ordering::Relaxed);
        }
        self.put_cell(&self.free, cell);
        Some(batch)
    }

    fn places(&self, cell: usize) -> &[AtomicPtr<T>] {
        &self.items[cell * self.batch..][..self.batch]
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
            let next = u64::from(self.next[cell - 1].load(Ordering::Relaxed));
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
            self.next[cell].store((seen & CELL_MASK) as u32, Ordering::Relaxed);
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
        for item in std::iter::from_fn(|| self.pop()).flatten() {
            // SAFETY: what is pushed came from `Box::leak` (the contract of `Recycler`), and `pop` hands each item
            // out once, so the box is ours alone.
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

    fn batch(values: impl IntoIterator<Item = usize>) -> Batch<usize> {
        let mut batch = Batch::new();
        values.into_iter().for_each(|value| batch.push(boxed(value)));
        batch
    }

    fn unbox_all(batch: Batch<usize>) -> Vec<usize> {
        batch.map(unbox).collect()
    }

    #[track_caller]
    fn refused<const N: usize>(depot: &Depot<usize>, batch: Batch<usize>, values: [usize; N]) {
        assert!(!depot.push(&batch));
        assert_eq!(unbox_all(batch), values);
    }

    #[test]
    fn gives_back_what_does_not_fit_and_hands_out_the_newest() {
        let depot = Depot::new(2, 1);
        assert!(depot.pop().is_none());
        assert!(depot.push(&batch([1])));
        assert!(depot.push(&batch([2])));
        refused(&depot, batch([3]), [3]);
        assert_eq!(depot.len(), 2);
        assert_eq!(depot.pop().map(unbox_all), Some(vec![2]));
        assert!(depot.push(&batch([4])));
        assert_eq!(depot.pop().map(unbox_all), Some(vec![4]));
        assert_eq!(depot.pop().map(unbox_all), Some(vec![1]));
        assert!(depot.pop().is_none());
    }

    #[test]
    fn batches_come_out_as_they_went_in_full_or_not() {
        let depot = Depot::new(11, 4);
        assert!(depot.push(&batch([1, 2, 3, 4])));
        assert!(depot.push(&batch([5])));
        refused(&depot, batch([6, 7]), [7, 6]); // 11 hold two whole batches
        assert_eq!(depot.len(), 5);
        assert_eq!(depot.pop().map(unbox_all), Some(vec![5]));
        assert!(depot.push(&batch([8, 9])));
        assert_eq!(depot.pop().map(unbox_all), Some(vec![9, 8]), "nothing of a fuller batch before it");
        assert!(depot.push(&batch([10])));
    }

    #[test]
    fn what_nobody_needed_is_the_least_that_lay_there() {
        let depot = Depot::new(8, 2);
        assert!(depot.push(&batch([1, 2])));
        assert!(depot.push(&batch([3, 4])));
        assert_eq!(depot.unneeded(), 0, "it was empty");
        unbox_all(depot.pop().unwrap());
        assert!(depot.push(&batch([5, 6])));
        assert_eq!(depot.unneeded(), 2);
        assert_eq!(depot.unneeded(), 4);
    }

    #[test]
    fn a_depot_for_nothing_takes_nothing() {
        let depot = Depot::new(0, 1);
        refused(&depot, batch([9]), [9]);
        assert!(depot.pop().is_none());
    }

    #[test]
    fn every_item_leaves_once_with_four_threads_pushing_and_popping() {
        const PER_THREAD: usize = 60_000;
        let depot = Depot::new(64, 3);
        let mut seen: Vec<usize> = std::thread::scope(|scope| {
            (0..4)
                .map(|thread| {
                    let depot = &depot;
                    scope.spawn(move || {
                        let mut out = Vec::new();
                        let mut next = thread * PER_THREAD;
                        // Batches of 1, 2 and 3 by turns.
                        for n in (1..=3).cycle().take(PER_THREAD / 2) {
                            let batch = batch(next..next + n);
                            if !depot.push(&batch) {
                                out.extend(unbox_all(batch));
                            }
                            next += n;
                            if n == 2 {
                                out.extend(depot.pop().map(unbox_all).into_iter().flatten());
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
        seen.extend(std::iter::from_fn(|| depot.pop()).flat_map(unbox_all));
        assert_eq!(depot.len(), 0);
        seen.sort_unstable();
        assert_eq!(seen, (0..4 * PER_THREAD).collect::<Vec<_>>());
    }
}
