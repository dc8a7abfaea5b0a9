//! A recycler: per-thread stacks of idle items, found by a never-reused identifier, and a depot behind them.
//!
//! Stands under every pool. Handles are counted; links are not: a guard carries a bare [`Link`] home, so that taking
//! and giving back write no cache line that threads share. What keeps that sound is a pair of counters per slot,
//! `taken` and `returned`, written only by the slot's thread:
//!
//! - While a handle lives, the recycler lives. When the last handle goes, `closed` is set; whoever then finds that
//!   as many items were returned as taken (`Inner::live` is 0) has it to itself, drains it and lets it go.
//! - A thread's last touch when it gives an item back is the Release store to `returned`.
//! - A return that ran beside the closing may leave both sides believing that the other will finish. The slot's thread
//!   looks again when it next adopts a slot of any recycler and sees the closing, or ends. Memory is held until then,
//!   never lost; what the pool's rules own goes with whoever finishes. A thread that has ended so far that it has no slot never looks again: it counts, and looks under the
//!   lock.
//! - Once it has counted, a returning thread has no claim on the recycler: no reference to it is then an argument of a
//!   running function, unless that function owns a count of its own.
//!
//! A slot belongs to one thread at a time, from its adoption to the thread's end. A thread's end only marks its slots
//! free, items and all, for the next thread. After that mark the ending thread (destructors of other thread-locals may still run) counts as a stray: it
//! uses the depot and the two shared counters.
//!
//! A stack that is full gives its oldest items to the depot, one that is empty takes a batch from there, so that where one thread
//! takes and another gives back they meet once in a batch.
//!
//! Longer than most files here, because the protocol is one piece: what a thread does, and what closes.
//!
//! Invariants: `idle_max` bounds all idle items, since a slot leases its room from it; no lock on take and give back; code of a
//! pool's user (`make`, `settle`, `Kind::discard`) runs where no count and no stack is half written, and may call back.
//! Cost: a slot is one allocation at the first use of a recycler by more threads than before; a thread that finds a slot
//! left behind needs none (unless it uses more than four recyclers), and nothing after that does.
#![expect(unsafe_code, reason = "items are boxes passed as raw pointers; slots are found through a thread-local cache")]

use super::depot::{BATCH_MAX, Batch, Depot};
use super::registry::{self, Member, Membership};
use super::slot::{STACK_MAX, Slot};
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Mutex, Ordering, Witness, lock};
use crate::unwind;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};

/// Idle items of one recycler, at most, whatever its limits say.
const IDLE_MAX: usize = 1 << 16;

/// Every so many returns a slot takes the item at the bottom of its stack instead of the one on top, so that none
/// lies there unexamined for ever.
const TURN_EVERY: u64 = 64;

/// What a pool gives its recycler: the type of its items, the state each slot keeps, and what all share.
pub(crate) trait Kind: Send + Sync + 'static {
    /// A pooled item. Dropping one frees all that it owns.
    type Item: Send;
    /// State beside a thread's stack, written by that thread alone, read by all.
    type Local: Default + Send + Sync;

    /// Frees an item that is not kept. Does not unwind.
    fn discard(&self, item: Box<Self::Item>) {
        drop(item);
    }
}

/// An item taken, and how many its thread has taken with it.
pub(crate) struct Taken<T> {
    pub(crate) item: NonNull<T>,
    pub(crate) nth: u64,
}

/// Bounds on what lies idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Items in one thread's stack, at most 32.
    pub(crate) per_thread: usize,
    /// Items in all stacks and the depot together.
    pub(crate) idle_max: usize,
}

/// Counts over all threads, as recent as relaxed loads give them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) taken: u64,
    pub(crate) returned: u64,
    pub(crate) idle: usize,
    pub(crate) created: u64,
}

/// A value on the heap; `None` when the global allocator has no memory.
pub(crate) fn try_box<T>(make: impl FnOnce() -> T) -> Option<Box<T>> {
    const { assert!(size_of::<T>() > 0, "the allocator takes no size of 0") }
    let value = make();
    // SAFETY: the size is not 0.
    let at = NonNull::new(unsafe { std::alloc::alloc(std::alloc::Layout::new::<T>()) })?.cast::<T>();
    // SAFETY: fresh memory of the value's layout.
    unsafe { at.write(value) };
    // SAFETY: initialised, and from the global allocator with the layout of `T`, as a box's memory is.
    Some(unsafe { Box::from_raw(at.as_ptr()) })
}

struct Inner<K: Kind> {
    id: u64,
    this: Weak<Inner<K>>,
    /// Dropped by whoever finishes, not by the last thread to notice.
    kind: UnsafeCell<ManuallyDrop<K>>,
    /// Not touched at the end of all: loom does not see the order that the last `Arc` brings.
    kind_witness: ManuallyDrop<Witness>,
    per_thread: usize,
    handles: AtomicUsize,
    closed: AtomicBool,
    /// Room that no slot has leased yet.
    leases: AtomicUsize,
    slots: AtomicPtr<Slot<K>>,
    depot: Depot<K::Item>,
    created: AtomicU64,
    stray_taken: AtomicU64,
    stray_returned: AtomicU64,
    /// Once closed, a count on itself, until the last item is home.
    keep: Mutex<Option<Arc<Inner<K>>>>,
}

// SAFETY: `slots` and `Slot::next` point at slots that `Inner` owns and that live as long as it; they are published with
// Release and read with Acquire. Items are `Send` and handed to one thread at a time; all other fields are Sync.
unsafe impl<K: Kind> Send for Inner<K> {}
// SAFETY: as for Send; a slot's fields are atomics, written by one thread at a time as `Slot::owned` arranges.
unsafe impl<K: Kind> Sync for Inner<K> {}
// The cell is written once, when nobody can look any more.
impl<K: Kind + RefUnwindSafe> RefUnwindSafe for Inner<K> {}

/// A counted handle.
pub(crate) struct Recycler<K: Kind>(Arc<Inner<K>>);

/// The way home for an item: an address, no count. Valid while the item it came with has not been given back.
pub(crate) struct Link<K: Kind>(NonNull<Inner<K>>);

impl<K: Kind> Clone for Link<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: Kind> Copy for Link<K> {}

impl<K: Kind> fmt::Debug for Link<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.0).finish()
    }
}

impl<K: Kind> fmt::Debug for Recycler<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recycler").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

impl<K: Kind> Recycler<K> {
    pub(crate) fn new(kind: K, limits: Limits) -> Self {
        // Half for the threads' stacks, half (the larger one) for the depot: their sum is exactly `idle_max`.
        let idle_max = limits.idle_max.min(IDLE_MAX);
        let for_stacks = idle_max / 2;
        let for_depot = idle_max - for_stacks;
        let per_thread = limits.per_thread.min(STACK_MAX);
        // Half a stack, so that one which has just given or taken a batch is far from both ends; fewer where the depot
        // is small, since a batch that is not full takes the room of one that is.
        let batch = (per_thread / 2).min(for_depot / 8).clamp(1, BATCH_MAX);
        Self(Arc::new_cyclic(|this| Inner {
            id: registry::new_id(),
            this: Weak::clone(this),
            kind: UnsafeCell::new(ManuallyDrop::new(kind)),
            kind_witness: ManuallyDrop::new(Witness::default()),
            per_thread,
            handles: AtomicUsize::new(1),
            closed: AtomicBool::new(false),
            leases: AtomicUsize::new(for_stacks),
            slots: AtomicPtr::new(ptr::null_mut()),
            depot: Depot::new(for_depot, batch),
            created: AtomicU64::new(0),
            stray_taken: AtomicU64::new(0),
            stray_returned: AtomicU64::new(0),
            keep: Mutex::new(None),
        }))
    }

    pub(crate) fn kind(&self) -> &K {
        // SAFETY: a handle is there, so it is not finished.
        unsafe { self.0.kind() }
    }

    pub(crate) fn link(&self) -> Link<K> {
        Link(NonNull::from(&*self.0))
    }

    /// An idle item, or what `make` makes. The item must go back through [`Link::give_back`].
    #[inline(always)]
    pub(crate) fn take<E>(
        &self,
        make: impl FnOnce(Option<&K::Local>) -> Result<Box<K::Item>, E>,
    ) -> Result<Taken<K::Item>, E> {
        self.0.take(make)
    }

    /// Brings an item made elsewhere in, as taken.
    pub(crate) fn bring(&self, item: Box<K::Item>) -> Taken<K::Item> {
        self.0.bring(self.0.slot(), item)
    }

    /// Drops what lies idle in the depot, in this thread's stack and in those of threads that ended.
    pub(crate) fn clear(&self) {
        self.0.trim(usize::MAX, |slot| slot.len.load(Ordering::Relaxed));
    }

    /// The same for what has lain idle since the last call.
    pub(crate) fn trim(&self) {
        self.0.trim(self.0.depot.unneeded(), Slot::unneeded);
    }

    pub(crate) fn totals(&self) -> Totals {
        self.0.totals()
    }

    /// Calls `f` with each slot's state.
    pub(crate) fn each_local(&self, mut f: impl FnMut(&K::Local)) {
        self.0.each_slot(|slot| f(&slot.local));
    }
}

impl<K: Kind> Clone for Recycler<K> {
    fn clone(&self) -> Self {
        // Relaxed, as for any reference count: the handle that is cloned keeps the count from reaching 0.
        self.0.handles.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<K: Kind> Drop for Recycler<K> {
    fn drop(&mut self) {
        // AcqRel: all that was done through other handles happens before the closing.
        if self.0.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.close();
        }
    }
}

impl<K: Kind> Link<K> {
    /// The pool-wide part.
    ///
    /// # Safety
    ///
    /// An item taken through this recycler has not been given back yet, and is not while the reference is used.
    #[inline(always)]
    pub(crate) unsafe fn kind<'a>(self) -> &'a K {
        // SAFETY: an item is out (the caller's promise), so `Inner::live` is not 0 and `Inner` is not freed.
        let inner = unsafe { self.0.as_ref() };
        // SAFETY: as above.
        unsafe { inner.kind() }
    }

    /// The calling thread's state; `None` for a thread that is ending.
    ///
    /// # Safety
    ///
    /// As for [`Link::kind`].
    pub(crate) unsafe fn local<'a>(self) -> Option<&'a K::Local> {
        // SAFETY: as in `kind`.
        unsafe { self.0.as_ref() }.slot().map(|slot| &slot.local)
    }

    /// [`Recycler::take`] by someone who already holds an item.
    ///
    /// # Safety
    ///
    /// As for [`Link::kind`], for the whole call.
    pub(crate) unsafe fn take<E>(
        self,
        make: impl FnOnce(Option<&K::Local>) -> Result<Box<K::Item>, E>,
    ) -> Result<Taken<K::Item>, E> {
        // SAFETY: as in `kind`.
        unsafe { self.0.as_ref() }.take(make)
    }

    /// [`Link::give_back`] where nothing special is due: the thread has its slot, the stack has room, and `settle` is
    /// done in place. Otherwise changes nothing, answers `false`, and the caller goes the long way.
    ///
    /// Apart, so that the common return needs no stack frame.
    ///
    /// # Safety
    ///
    /// As for `give_back`; `settle` answers `false` only if it changed nothing, and does not call back.
    #[inline(always)]
    pub(crate) unsafe fn try_give_back(
        self,
        item: NonNull<K::Item>,
        settle: impl FnOnce(&K, &mut K::Item, &K::Local) -> bool,
    ) -> bool {
        // SAFETY: as in `give_back`.
        let inner = unsafe { self.0.as_ref() };
        let slot = registry::known(inner.id).cast::<Slot<K>>();
        // SAFETY: as in `Inner::slot`.
        let Some(slot) = (unsafe { slot.as_ref() }) else { return false };
        slot.witness.touch();
        let len = slot.len.load(Ordering::Relaxed);
        let returned = slot.returned.load(Ordering::Relaxed).wrapping_add(1);
        // Acquire: as in `give_back`.
        if len >= slot.room.load(Ordering::Relaxed).min(STACK_MAX)
            || returned % TURN_EVERY == 0
            || inner.closed.load(Ordering::Acquire)
        {
            return false;
        }
        // SAFETY: the item is out.
        let kind = unsafe { inner.kind() };
        // SAFETY: the caller gives up the item, so this is the only reference to it.
        if !settle(kind, unsafe { &mut *item.as_ptr() }, &slot.local) {
            return false;
        }
        slot.items[len].store(item.as_ptr(), Ordering::Relaxed);
        slot.len.store(len + 1, Ordering::Relaxed);
        // Release: as in `give_back`.
        slot.returned.store(returned, Ordering::Release);
        true
    }

    /// Gives an item back. `settle` prepares it for its next use and says whether to keep it.
    ///
    /// # Safety
    ///
    /// `item` came from `take` of this very recycler, is given back once, and nobody uses it any more.
    #[inline(always)]
    pub(crate) unsafe fn give_back(
        self,
        item: NonNull<K::Item>,
        settle: impl FnOnce(&mut K::Item, Option<&K::Local>) -> bool,
    ) {
        // SAFETY: the item is not counted as returned until the end of this function, so `Inner` lives until then.
        let inner = unsafe { self.0.as_ref() };
        // SAFETY: the caller gives up the item, so this is the only reference to it.
        let item_mut = unsafe { &mut *item.as_ptr() };
        let slot = inner.slot();
        let keep = settle(item_mut, slot.map(|slot| &slot.local));
        let Some(slot) = slot else {
            // SAFETY: as promised by the caller.
            return unsafe { Inner::give_back_slow(self.0, None, item, keep) };
        };
        slot.witness.touch();
        let len = slot.len.load(Ordering::Relaxed);
        let returned = slot.returned.load(Ordering::Relaxed).wrapping_add(1);
        // Acquire: pairs with the Release in `close`; whoever sees `closed` sees `keep` filled.
        if keep && len < slot.room.load(Ordering::Relaxed) && !inner.closed.load(Ordering::Acquire) {
            if returned % TURN_EVERY == 0 && len > 0 {
                // The bottom comes up and this one goes down.
                let bottom = slot.items[0].load(Ordering::Relaxed);
                slot.items[0].store(item.as_ptr(), Ordering::Relaxed);
                slot.items[len].store(bottom, Ordering::Relaxed);
            } else {
                slot.items[len].store(item.as_ptr(), Ordering::Relaxed);
            }
            slot.len.store(len + 1, Ordering::Relaxed);
            // Release: pairs with the Acquire in `live`; our last touch.
            slot.returned.store(returned, Ordering::Release);
        } else {
            // SAFETY: as promised by the caller.
            unsafe { Inner::give_back_slow(self.0, Some(NonNull::from(slot)), item, keep) };
        }
    }

    /// Ends an item's part in the recycler: it is the caller's own.
    ///
    /// # Safety
    ///
    /// As for [`Link::give_back`], but for the use of it.
    pub(crate) unsafe fn detach(self, item: NonNull<K::Item>) -> K::Item {
        // SAFETY: items are made by `Box::leak` in `bring`; the caller owns this one.
        let item = unsafe { Box::from_raw(item.as_ptr()) };
        // SAFETY: not counted as returned yet, so `Inner` lives.
        let slot = unsafe { self.0.as_ref() }.slot().map(NonNull::from);
        // SAFETY: the item is out, and counted once.
        unsafe { Inner::count_return(self.0, slot) };
        *item
    }
}

impl<K: Kind> Inner<K> {
    /// # Safety
    ///
    /// A handle is there, or an item is out, while the reference is used; or the caller is `finish`.
    #[inline(always)]
    unsafe fn kind(&self) -> &K {
        self.kind_witness.look();
        // SAFETY: written again by `finish` alone, when there is neither.
        unsafe { &*self.kind.get() }
    }

    /// The calling thread's slot; `None` for a thread that is ending.
    #[inline(always)]
    fn slot(&self) -> Option<&Slot<K>> {
        let found = registry::known(self.id).cast::<Slot<K>>();
        // SAFETY: the cache holds, under this recycler's never-reused id, only addresses that `join` put there: slots
        // of this recycler, which live as long as it. The cache is cleared before a thread's slots are let go.
        match unsafe { found.as_ref() } {
            Some(slot) => Some(slot),
            None => self.join(),
        }
    }

    /// Finds or makes the calling thread's slot and remembers it.
    #[cold]
    fn join(&self) -> Option<&Slot<K>> {
        let slot = registry::join(self.id, || {
            let recycler = self.this.upgrade()?;
            let slot = self.free_slot()?.as_ptr().cast_const().cast();
            Some(Membership { recycler, slot })
        })?;
        // SAFETY: the address is that of a slot of ours, by the registry's own entry for our id.
        unsafe { slot.cast::<Slot<K>>().as_ref() }
    }

    #[inline(always)]
    fn take<E>(&self, make: impl FnOnce(Option<&K::Local>) -> Result<Box<K::Item>, E>) -> Result<Taken<K::Item>, E> {
        let slot = self.slot();
        if let Some(slot) = slot {
            slot.witness.touch();
            let len = slot.len.load(Ordering::Relaxed);
            if len > 0 {
                let item = slot.items[len - 1].load(Ordering::Relaxed);
                slot.len.store(len - 1, Ordering::Relaxed);
                debug_assert!(!item.is_null(), "a slot's first `len` items are set");
                // SAFETY: items below `len` were stored by `give_back` and are never null.
                let item = unsafe { NonNull::new_unchecked(item) };
                return Ok(Taken { item, nth: slot.count_take() });
            }
        }
        self.take_slow(slot, make)
    }

    #[cold]
    fn take_slow<E>(
        &self,
        slot: Option<&Slot<K>>,
        make: impl FnOnce(Option<&K::Local>) -> Result<Box<K::Item>, E>,
    ) -> Result<Taken<K::Item>, E> {
        if let Some(item) = self.refill(slot) {
            return Ok(self.count_take(slot, item));
        }
        // Counted once there is something to give back: a `make` that fails or panics leaves the sums equal.
        let item = make(slot.map(|slot| &slot.local))?;
        Ok(self.bring(slot, item))
    }

    fn bring(&self, slot: Option<&Slot<K>>, item: Box<K::Item>) -> Taken<K::Item> {
        self.created.fetch_add(1, Ordering::Relaxed);
        self.count_take(slot, NonNull::from(Box::leak(item)))
    }

    fn count_take(&self, slot: Option<&Slot<K>>, item: NonNull<K::Item>) -> Taken<K::Item> {
        let nth = match slot {
            Some(slot) => slot.count_take(),
            // Release: pairs with the Acquire in `live`.
            None => self.stray_taken.fetch_add(1, Ordering::Release).wrapping_add(1),
        };
        Taken { item, nth }
    }

    /// An item of the depot's. What came with it goes on the stack.
    fn refill(&self, slot: Option<&Slot<K>>) -> Option<NonNull<K::Item>> {
        let mut batch = self.depot.pop()?;
        let item = batch.next()?;
        if batch.len() > 0 {
            let mut rest = Batch::new();
            batch.filter(|item| !slot.is_some_and(|slot| slot.push(*item))).for_each(|item| rest.push(item));
            if rest.len() > 0 {
                self.store(rest);
            }
        }
        Some(item)
    }

    /// Puts a batch in the depot, or drops it where that has no room.
    fn store(&self, batch: Batch<K::Item>) {
        if !self.depot.push(&batch) {
            // SAFETY: a batch that the depot refuses is ours.
            batch.for_each(|item| unsafe { self.discard(item) });
        }
    }

    /// # Safety
    ///
    /// The item is one of this recycler's, nobody else has it, and it is not used again.
    unsafe fn discard(&self, item: NonNull<K::Item>) {
        // SAFETY: items are made by `Box::leak` in `bring`, and this one is the caller's to give.
        let item = unsafe { Box::from_raw(item.as_ptr()) };
        // SAFETY: a handle, an item that is out, or `finish` before its last step.
        unsafe { self.kind() }.discard(item);
    }

    /// Gives back by way of the depot, or drops, an item for which the thread's stack has no room.
    ///
    /// # Safety
    ///
    /// As for [`Link::give_back`]; `slot` is the calling thread's.
    #[cold]
    unsafe fn give_back_slow(this: NonNull<Self>, slot: Option<NonNull<Slot<K>>>, item: NonNull<K::Item>, keep: bool) {
        // SAFETY: the item is not counted as returned yet, so `Inner` lives.
        let inner = unsafe { this.as_ref() };
        // SAFETY: slots live as long.
        let own = slot.map(|slot| unsafe { slot.as_ref() });
        // Acquire: as in `give_back`.
        if !keep || inner.closed.load(Ordering::Acquire) {
            // SAFETY: the caller's own.
            unsafe { inner.discard(item) };
        } else if !own.is_some_and(|own| inner.make_room(own) && own.push(item)) {
            let mut batch = Batch::new();
            batch.push(item);
            inner.store(batch);
        }
        // SAFETY: the caller's promise.
        unsafe { Self::count_return(this, slot) };
    }

    /// Moves a stack's oldest items to the depot; says whether there is room for one more now.
    fn make_room(&self, slot: &Slot<K>) -> bool {
        slot.witness.touch();
        if slot.len.load(Ordering::Relaxed) >= slot.room.load(Ordering::Relaxed) {
            let batch = slot.oldest(self.depot.batch());
            let n = batch.len();
            if n == 0 || !self.depot.push(&batch) {
                return false;
            }
            slot.remove_oldest(n);
        }
        true
    }

    /// Counts an item as returned, the calling thread's last touch of the recycler unless it owns a count.
    ///
    /// # Safety
    ///
    /// The item is out, and counted once; `slot` is the calling thread's.
    unsafe fn count_return(this: NonNull<Self>, slot: Option<NonNull<Slot<K>>>) {
        // SAFETY: the item is not counted as returned yet, so `Inner` lives.
        let inner = unsafe { this.as_ref() };
        let alive = if let Some(slot) = slot {
            // Once closed, whoever is last home takes over. `keep` is filled then, and stays so while an item is out, as ours
            // is until it is counted: the clone keeps `Inner` until this function has ended.
            // Acquire: as in `give_back`.
            let alive = if inner.closed.load(Ordering::Acquire) { lock(&inner.keep).clone() } else { None };
            // SAFETY: slots live as long as `Inner`.
            let slot = unsafe { slot.as_ref() };
            slot.witness.touch();
            let returned = slot.returned.load(Ordering::Relaxed).wrapping_add(1);
            // Release: pairs with the Acquire in `live`; our last touch, unless we hold a count.
            slot.returned.store(returned, Ordering::Release);
            alive
        } else {
            // A thread without a slot will not look again later. It counts and then looks under the lock: either it finds
            // `keep` filled, or the closing comes after it and finds the item counted.
            let alive = inner.this.upgrade().expect("a handle or `keep` counts while an item is out");
            // Release: pairs with the Acquire in `live`.
            alive.stray_returned.fetch_add(1, Ordering::Release);
            Some(alive)
        };
        if let Some(alive) = alive {
            drop(alive.finish());
        }
    }

    /// Items out. The returned counts are read first: a take that preceded a return we count is then counted too, so 0
    /// means that every item was home at the moment between the two sums.
    fn live(&self) -> u64 {
        // Acquire: pairs with the Release stores in `give_back`; what returning threads did is then visible.
        let mut returned = self.stray_returned.load(Ordering::Acquire);
        self.each_slot(|slot| returned = returned.wrapping_add(slot.returned.load(Ordering::Acquire)));
        let mut taken = self.stray_taken.load(Ordering::Acquire);
        self.each_slot(|slot| taken = taken.wrapping_add(slot.taken.load(Ordering::Acquire)));
        taken.wrapping_sub(returned)
    }

    /// The last handle is gone.
    fn close(self: &Arc<Self>) {
        *lock(&self.keep) = Some(Arc::clone(self));
        // Release: pairs with the Acquire loads of `closed`.
        self.closed.store(true, Ordering::Release);
        drop(self.finish());
    }

    /// If every item is home: drains what lies idle and gives the self-count to the caller to drop.
    fn finish(&self) -> Option<Arc<Self>> {
        let alone = {
            let mut keep = lock(&self.keep);
            if keep.is_none() || self.live() != 0 {
                return None;
            }
            keep.take()
        };
        // No handle, no item out: nobody else can reach a stack or the depot. Ending threads touch `owned` alone.
        self.drain_depot(usize::MAX);
        self.each_slot(|slot| self.drain(slot, usize::MAX));
        self.kind_witness.touch();
        // SAFETY: who took `keep` is alone with it, and nobody uses it any more.
        let kind = unsafe { &mut *self.kind.get() };
        // A panic of what the rules own ends here, as an object's does: whoever finishes may be a thread that ends, or a guard's drop.
        // SAFETY: once, since `keep` is taken once.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| unsafe { ManuallyDrop::drop(kind) })) {
            unwind::discard(payload);
        }
        alone
    }

    /// Drops up to `n` items of the depot, to whole batches, and what `of_slot` says of each stack in reach.
    fn trim(&self, n: usize, of_slot: impl Fn(&Slot<K>) -> usize) {
        self.drain_depot(n);
        if let Some(slot) = self.slot() {
            self.drain(slot, of_slot(slot));
        }
        self.each_slot(|slot| {
            if slot.adopt() {
                self.drain(slot, of_slot(slot));
                slot.release();
            }
        });
    }

    fn drain_depot(&self, n: usize) {
        // Not more than lie here now: dropping an item may run code that brings others.
        let mut left = n.min(self.depot.len());
        while left > 0 {
            let Some(batch) = self.depot.pop() else { return };
            left = left.saturating_sub(batch.len());
            // SAFETY: popped once.
            batch.for_each(|item| unsafe { self.discard(item) });
        }
    }

    /// Drops up to `n` items of a stack. For its owner, or for whoever has the recycler to itself.
    fn drain(&self, slot: &Slot<K>, n: usize) {
        slot.witness.touch();
        // One at a time and off the stack first, and not more than lie here now: dropping an item may run code that
        // comes back here.
        for _ in 0..n.min(slot.len.load(Ordering::Relaxed)) {
            let Some(item) = slot.pop() else { return };
            // SAFETY: it has just left the stack.
            unsafe { self.discard(item) };
        }
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals {
            taken: self.stray_taken.load(Ordering::Relaxed),
            returned: self.stray_returned.load(Ordering::Relaxed),
            idle: self.depot.len(),
            created: self.created.load(Ordering::Relaxed),
        };
        self.each_slot(|slot| {
            // Acquire: pairs with the Release stores in `give_back`. Who reads a return reads the taking before it too.
            totals.returned += slot.returned.load(Ordering::Acquire);
            totals.taken += slot.taken.load(Ordering::Acquire);
            totals.idle += slot.len.load(Ordering::Relaxed);
        });
        totals
    }

    fn each_slot(&self, mut f: impl FnMut(&Slot<K>)) {
        // Acquire: pairs with the Release in `new_slot`.
        let mut at = self.slots.load(Ordering::Acquire).cast_const();
        // SAFETY: slots are published fully built, never unlinked, and freed only when `self` is dropped.
        while let Some(slot) = unsafe { at.as_ref() } {
            f(slot);
            at = slot.next;
        }
    }

    /// A slot that no thread owns, marked as owned by the caller: one left behind, or a new one.
    /// `None` when the global allocator has no memory for one.
    fn free_slot(&self) -> Option<NonNull<Slot<K>>> {
        let mut free = None;
        self.each_slot(|slot| {
            if free.is_none() && slot.adopt() {
                free = Some(NonNull::from(slot));
            }
        });
        free.or_else(|| self.new_slot())
    }

    fn new_slot(&self) -> Option<NonNull<Slot<K>>> {
        let mut room = 0;
        let lease = |left: usize| {
            room = left.min(self.per_thread);
            Some(left - room)
        };
        // Relaxed: a count, it publishes nothing.
        _ = self.leases.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lease);
        let slot = try_box(|| Slot::new(room));
        let Some(slot) = slot.map(Box::into_raw) else {
            self.leases.fetch_add(room, Ordering::Relaxed);
            return None;
        };
        let mut head = self.slots.load(Ordering::Relaxed);
        loop {
            // SAFETY: the slot is not published yet, so it is ours to write.
            unsafe { (*slot).next = head };
            // Release: pairs with the Acquire in `each_slot`.
            match self.slots.compare_exchange_weak(head, slot, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return NonNull::new(slot),
                Err(now) => head = now,
            }
        }
    }
}

impl<K: Kind> Drop for Inner<K> {
    fn drop(&mut self) {
        registry::release_id(self.id);
        // Acquire: pairs with the Release that linked a slot.
        let mut at = self.slots.load(Ordering::Acquire);
        while !at.is_null() {
            // SAFETY: slots come from `Box::into_raw`, each is linked once, and `&mut self` says nobody else is here.
            let slot = unsafe { Box::from_raw(at) };
            // loom does not see the order that the last `Arc` brings.
            debug_assert!(cfg!(blixard_loom) || slot.len.load(Ordering::Relaxed) == 0, "`finish` drained every stack");
            at = slot.next.cast_mut();
        }
    }
}

impl<K: Kind> Member for Inner<K> {
    fn id(&self) -> u64 {
        self.id
    }

    fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release in `close`.
        self.closed.load(Ordering::Acquire)
    }

    fn leave(&self, slot: *const ()) {
        self.each_slot(|own| {
            if ptr::eq(ptr::from_ref(own).cast(), slot) {
                own.release();
            }
        });
    }

    fn try_finish(&self) -> bool {
        // Not asked first whether it is closed: an answer from before the closing is possible beside a `live` from before
        // our last return. Under the lock one of the two sees the other.
        drop(self.finish());
        self.is_closed() && lock(&self.keep).is_none()
    }
}
