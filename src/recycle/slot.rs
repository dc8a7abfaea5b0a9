//! One thread's part of a recycler: its stack of idle items and its counters.
//!
//! Stands under `recycler`, which finds slots and says when they may be touched. Invariants: the first `len` items are
//! set, `len <= room <= STACK_MAX`; all but `owned` is written by the owner alone, or by whoever has the recycler to
//! itself. Cost: no call pays more than moving a batch of addresses.
#![forbid(unsafe_code)]

use super::depot::Batch;
use super::recycler::Kind;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, Witness};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

/// Room for idle items in one thread's stack, at most.
pub(super) const STACK_MAX: usize = 32;

/// See the module. Aligned so that two threads never write one cache line (or its prefetched neighbour).
#[repr(align(128))]
pub(super) struct Slot<K: Kind> {
    /// Set by the thread that adopts it (Acquire), cleared when that thread ends (Release): the pair hands over
    /// everything below, which only the owner writes.
    owned: AtomicBool,
    pub(super) len: AtomicUsize,
    /// Room leased from the recycler; kept across owners.
    pub(super) room: AtomicUsize,
    pub(super) taken: AtomicU64,
    pub(super) returned: AtomicU64,
    pub(super) local: K::Local,
    pub(super) items: [AtomicPtr<K::Item>; STACK_MAX],
    /// `taken` and `len` at the last trim.
    trimmed: (AtomicU64, AtomicUsize),
    /// Touched by the owner wherever it uses what is its own. Not dropped: the last to leave is ordered by an `Arc`
    /// that loom does not see.
    pub(super) witness: ManuallyDrop<Witness>,
    /// The slot made before this one; set before this one is published.
    pub(super) next: *const Slot<K>,
}

impl<K: Kind> Slot<K> {
    /// An empty one, owned by the caller.
    pub(super) fn new(room: usize) -> Self {
        Self {
            owned: AtomicBool::new(true),
            len: AtomicUsize::new(0),
            room: AtomicUsize::new(room.min(STACK_MAX)),
            taken: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            local: K::Local::default(),
            items: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            trimmed: (AtomicU64::new(0), AtomicUsize::new(0)),
            witness: ManuallyDrop::default(),
            next: ptr::null(),
        }
    }

    /// Makes the calling thread its owner, if it has none.
    pub(super) fn adopt(&self) -> bool {
        // Acquire: pairs with the Release of the last owner, in `release`.
        self.owned.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Lets the next thread have it.
    pub(super) fn release(&self) {
        // Release: pairs with the Acquire in `adopt`.
        self.owned.store(false, Ordering::Release);
    }

    /// Counts an item as taken by its owner; says how many are now.
    #[inline(always)]
    pub(super) fn count_take(&self) -> u64 {
        let nth = self.taken.load(Ordering::Relaxed).wrapping_add(1);
        // Relaxed: what `live` needs of it, the later Release of a return brings.
        self.taken.store(nth, Ordering::Relaxed);
        nth
    }

    /// Takes the newest item off the stack.
    pub(super) fn pop(&self) -> Option<NonNull<K::Item>> {
        let len = self.len.load(Ordering::Relaxed).checked_sub(1)?;
        let item = self.items[len].load(Ordering::Relaxed);
        self.len.store(len, Ordering::Relaxed);
        NonNull::new(item)
    }

    /// Puts an item on top of the stack, if there is room.
    pub(super) fn push(&self, item: NonNull<K::Item>) -> bool {
        let len = self.len.load(Ordering::Relaxed);
        if len >= self.room.load(Ordering::Relaxed) {
            return false;
        }
        self.items[len].store(item.as_ptr(), Ordering::Relaxed);
        self.len.store(len + 1, Ordering::Relaxed);
        true
    }

    /// The `n` oldest items, or all if they are fewer. They stay on the stack.
    pub(super) fn oldest(&self, n: usize) -> Batch<K::Item> {
        let n = n.min(self.len.load(Ordering::Relaxed));
        let mut batch = Batch::new();
        self.items[..n]
            .iter()
            .filter_map(|item| NonNull::new(item.load(Ordering::Relaxed)))
            .for_each(|item| batch.push(item));
        batch
    }

    /// Takes the `n` oldest items off the stack; they have another owner now.
    pub(super) fn remove_oldest(&self, n: usize) {
        let len = self.len.load(Ordering::Relaxed);
        for i in n..len {
            self.items[i - n].store(self.items[i].load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.len.store(len - n, Ordering::Relaxed);
    }

    /// How many items nobody needed since the last call: all that lay here then, if none was taken. Begins anew.
    pub(super) fn unneeded(&self) -> usize {
        let (taken, len) = (self.taken.load(Ordering::Relaxed), self.len.load(Ordering::Relaxed));
        let untouched = self.trimmed.0.load(Ordering::Relaxed) == taken;
        let unneeded = if untouched { self.trimmed.1.load(Ordering::Relaxed).min(len) } else { 0 };
        self.trimmed.0.store(taken, Ordering::Relaxed);
        self.trimmed.1.store(len - unneeded, Ordering::Relaxed);
        unneeded
    }
}
