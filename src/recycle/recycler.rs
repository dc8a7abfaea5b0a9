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
//!   never lost. A thread that has ended so far that it has no slot never looks again: it counts, and looks under the
//!   lock.
//! - Once it has counted, a returning thread has no claim on the recycler: no reference to it is then an argument of a
//!   running function, unless that function owns a count of its own.
//!
//! A slot belongs to one thread at a time, from its adoption to the thread's end. A thread's end only marks its slots free, items and all, for the next
//! thread. After that mark the ending thread (destructors of other thread-locals may still run) counts as a stray: it
//! uses the depot and the two shared counters.
//!
//! Longer than most files here, because the protocol is one piece: what a thread does, what ends it, and what closes.
//!
//! Invariants: `idle_max` bounds all idle items, since a slot leases its room from it; no lock on take and give back.
//! Cost: a slot is one allocation at the first use of a recycler by more threads than before; a thread that finds a slot
//! left behind needs none (unless it uses more than four recyclers), and nothing after that does.
#![expect(unsafe_code, reason = "items are boxes passed as raw pointers; slots are found through a thread-local cache")]

use super::depot::Depot;
use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, IdCache, Mutex, Ordering, Witness, add_owned, lock, thread_cell,
    unique_id,
};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};

/// Room for idle items in one thread's stack, at most.
const STACK_MAX: usize = 16;

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
}

/// Bounds on what lies idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Items in one thread's stack, at most 16.
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

/// One thread's part. Aligned so that two threads never write one cache line (or its prefetched neighbour).
#[repr(align(128))]
struct Slot<K: Kind> {
    /// Set by the thread that adopts it (Acquire), cleared when that thread ends (Release): the pair hands over
    /// everything below, which only the owner writes.
    owned: AtomicBool,
    len: AtomicUsize,
    /// Room leased from `Inner::leases`; kept across owners.
    room: AtomicUsize,
    taken: AtomicU64,
    returned: AtomicU64,
    local: K::Local,
    items: [AtomicPtr<K::Item>; STACK_MAX],
    /// Touched by the owner wherever it uses what is its own. Not dropped: the last to leave is ordered by an `Arc`
    /// that loom does not see.
    witness: ManuallyDrop<Witness>,
    /// The slot made before this one; set before this one is published.
    next: *const Slot<K>,
}

struct Inner<K: Kind> {
    id: u64,
    this: Weak<Inner<K>>,
    kind: K,
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
        Self(Arc::new_cyclic(|this| Inner {
            id: unique_id(),
            this: Weak::clone(this),
            kind,
            per_thread: limits.per_thread.min(STACK_MAX),
            handles: AtomicUsize::new(1),
            closed: AtomicBool::new(false),
            leases: AtomicUsize::new(for_stacks),
            slots: AtomicPtr::new(ptr::null_mut()),
            depot: Depot::new(idle_max - for_stacks),
            created: AtomicU64::new(0),
            stray_taken: AtomicU64::new(0),
            stray_returned: AtomicU64::new(0),
            keep: Mutex::new(None),
        }))
    }

    pub(crate) fn kind(&self) -> &K {
        &self.0.kind
    }

    pub(crate) fn link(&self) -> Link<K> {
        Link(NonNull::from(&*self.0))
    }

    /// An idle item, or what `make` makes. The item must go back through [`Link::give_back`].
    #[inline(always)]
    pub(crate) fn take<E>(
        &self,
        make: impl FnOnce(Option<&K::Local>) -> Result<Box<K::Item>, E>,
    ) -> Result<NonNull<K::Item>, E> {
        self.0.take(make)
    }

    /// Drops what lies idle in the depot, in this thread's stack and in those of threads that ended.
    pub(crate) fn trim(&self) {
        self.0.trim();
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
        &unsafe { self.0.as_ref() }.kind
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
    ) -> Result<NonNull<K::Item>, E> {
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
    /// As for `give_back`; `settle` answers `false` only if it changed nothing.
    #[inline(always)]
    pub(crate) unsafe fn try_give_back(
        self,
        item: NonNull<K::Item>,
        settle: impl FnOnce(&K, &mut K::Item, &K::Local) -> bool,
    ) -> bool {
        // SAFETY: as in `give_back`.
        let inner = unsafe { self.0.as_ref() };
        let slot = SLOTS.with(|cache| cache.get(inner.id)).cast::<Slot<K>>();
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
        // SAFETY: the caller gives up the item, so this is the only reference to it.
        if !settle(&inner.kind, unsafe { &mut *item.as_ptr() }, &slot.local) {
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
            return unsafe { Inner::give_back_stray(self.0, item, keep) };
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
            unsafe { Inner::give_back_slow(self.0, NonNull::from(slot), item, keep) };
        }
    }
}

impl<K: Kind> Inner<K> {
    /// The calling thread's slot; `None` for a thread that is ending.
    #[inline(always)]
    fn slot(&self) -> Option<&Slot<K>> {
        let found = SLOTS.with(|cache| cache.get(self.id)).cast::<Slot<K>>();
        // SAFETY: the cache holds, under this recycler's never-reused id, only addresses that `adopt` put there: slots
        // of this recycler, which live as long as it. `Registry::drop` clears the cache before the slot is let go.
        match unsafe { found.as_ref() } {
            Some(slot) => Some(slot),
            None => adopt(self),
        }
    }

    #[inline(always)]
    fn take<E>(&self, make: impl FnOnce(Option<&K::Local>) -> Result<Box<K::Item>, E>) -> Result<NonNull<K::Item>, E> {
        let slot = self.slot();
        if let Some(slot) = slot {
            slot.witness.touch();
            let len = slot.len.load(Ordering::Relaxed);
            if len > 0 {
                let item = slot.items[len - 1].load(Ordering::Relaxed);
                slot.len.store(len - 1, Ordering::Relaxed);
                add_owned(&slot.taken, 1);
                debug_assert!(!item.is_null(), "a slot's first `len` items are set");
                // SAFETY: items below `len` were stored by `give_back` and are never null.
                return Ok(unsafe { NonNull::new_unchecked(item) });
            }
        }
        self.take_slow(slot, make)
    }

    #[cold]
    fn take_slow<E>(
        &self,
        slot: Option<&Slot<K>>,
        make: impl FnOnce(Option<&K::Local>) -> Result<Box<K::Item>, E>,
    ) -> Result<NonNull<K::Item>, E> {
        let item = if let Some(item) = self.depot.pop() {
            item
        } else {
            let item = make(slot.map(|slot| &slot.local))?;
            self.created.fetch_add(1, Ordering::Relaxed);
            NonNull::from(Box::leak(item))
        };
        // Counted once there is something to give back: a `make` that fails or panics leaves the sums equal.
        match slot {
            Some(slot) => add_owned(&slot.taken, 1),
            None => _ = self.stray_taken.fetch_add(1, Ordering::Release),
        }
        Ok(item)
    }

    /// Gives back to the depot, or drops, an item for which the thread's stack has no room.
    ///
    /// # Safety
    ///
    /// As for [`Link::give_back`]; `slot` is the calling thread's.
    #[cold]
    unsafe fn give_back_slow(this: NonNull<Self>, slot: NonNull<Slot<K>>, item: NonNull<K::Item>, keep: bool) {
        // SAFETY: the item is not counted as returned yet, so `Inner` lives.
        let inner = unsafe { this.as_ref() };
        // SAFETY: as above; slots live as long.
        let slot = unsafe { slot.as_ref() };
        // SAFETY: passed on from the caller.
        unsafe { inner.store_or_drop(item, keep) };
        let returned = slot.returned.load(Ordering::Relaxed).wrapping_add(1);
        // Once closed, whoever is last home takes over. `keep` is filled then, and stays so while an item is out, as ours
        // is until it is counted: the clone keeps `Inner` until this function has ended.
        let alive = if inner.closed.load(Ordering::Acquire) { lock(&inner.keep).clone() } else { None };
        // Release: pairs with the Acquire in `live`; our last touch, unless we hold a count.
        slot.returned.store(returned, Ordering::Release);
        if let Some(alive) = alive {
            drop(alive.finish());
        }
    }

    /// The same for a thread without a slot, which will not look again later. It counts and then looks under the lock:
    /// either it finds `keep` filled, or the closing comes after it and finds the item counted.
    ///
    /// # Safety
    ///
    /// As for [`Link::give_back`].
    #[cold]
    unsafe fn give_back_stray(this: NonNull<Self>, item: NonNull<K::Item>, keep: bool) {
        // SAFETY: as in `give_back_slow`.
        let inner = unsafe { this.as_ref() };
        // SAFETY: passed on from the caller.
        unsafe { inner.store_or_drop(item, keep) };
        let alive = inner.this.upgrade().expect("a handle or `keep` counts while an item is out");
        // Release: pairs with the Acquire in `live`.
        alive.stray_returned.fetch_add(1, Ordering::Release);
        drop(alive.finish());
    }

    /// # Safety
    ///
    /// As for [`Link::give_back`].
    unsafe fn store_or_drop(&self, item: NonNull<K::Item>, keep: bool) {
        // Acquire: as in `give_back`.
        let keep = keep && !self.closed.load(Ordering::Acquire);
        if let Err(item) = if keep { self.depot.push(item) } else { Err(item) } {
            // SAFETY: items are made by `Box::leak` in `take_slow`, and this one is the caller's to give.
            drop(unsafe { Box::from_raw(item.as_ptr()) });
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
        while let Some(item) = self.depot.pop() {
            // SAFETY: popped once; made by `Box::leak`.
            drop(unsafe { Box::from_raw(item.as_ptr()) });
        }
        self.each_slot(Slot::drain);
        alone
    }

    fn trim(&self) {
        while let Some(item) = self.depot.pop() {
            // SAFETY: popped once; made by `Box::leak`.
            drop(unsafe { Box::from_raw(item.as_ptr()) });
        }
        if let Some(slot) = self.slot() {
            slot.drain();
        }
        self.each_slot(|slot| {
            if slot.adopt() {
                slot.drain();
                slot.owned.store(false, Ordering::Release);
            }
        });
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals {
            taken: self.stray_taken.load(Ordering::Relaxed),
            returned: self.stray_returned.load(Ordering::Relaxed),
            idle: self.depot.len(),
            created: self.created.load(Ordering::Relaxed),
        };
        self.each_slot(|slot| {
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
        let slot = try_box(|| Slot {
            owned: AtomicBool::new(true),
            len: AtomicUsize::new(0),
            room: AtomicUsize::new(room),
            taken: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            local: K::Local::default(),
            items: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            witness: ManuallyDrop::default(),
            next: ptr::null(),
        });
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

impl<K: Kind> Slot<K> {
    /// Makes the calling thread its owner, if it has none.
    fn adopt(&self) -> bool {
        // Acquire: pairs with the Release of the last owner, in `Registry::drop` or `trim`.
        self.owned.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Drops the stack's items. For its owner, or for whoever has the recycler to itself.
    fn drain(&self) {
        self.witness.touch();
        // One at a time and off the stack first: dropping an item may run code that comes back here.
        loop {
            let len = self.len.load(Ordering::Relaxed);
            if len == 0 {
                return;
            }
            self.len.store(len - 1, Ordering::Relaxed);
            let item = self.items[len - 1].load(Ordering::Relaxed);
            // SAFETY: items below `len` are set, were made by `Box::leak`, and this one has just left the stack.
            drop(unsafe { Box::from_raw(item) });
        }
    }
}

impl<K: Kind> Drop for Inner<K> {
    fn drop(&mut self) {
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

// The hot half of a thread's memory: no destructor, so it can be used to the very end of the thread.
thread_cell! { static SLOTS: IdCache = IdCache::new() }
thread_cell! { static ENDED: Cell<bool> = Cell::new(false) }
// The cold half: what to mark free when the thread ends.
thread_cell! { static REGISTRY: Registry = Registry(RefCell::new(Members::new())) }

struct Registry(RefCell<Members>);

/// The current thread's slots. The first few need no heap call, so that threads may come and go without one.
struct Members {
    first: [Option<Membership>; Members::FIRST],
    more: Vec<Membership>,
}

impl Members {
    const FIRST: usize = 4;

    const fn new() -> Self {
        Self { first: [const { None }; Self::FIRST], more: Vec::new() }
    }

    fn iter(&self) -> impl Iterator<Item = &Membership> {
        self.first.iter().flatten().chain(&self.more)
    }

    /// Room for one more; `None` when the global allocator has no memory for it.
    fn reserve(&mut self) -> Option<()> {
        if self.first.iter().all(Option::is_some) { self.more.try_reserve(1).ok() } else { Some(()) }
    }

    fn push(&mut self, member: Membership) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(member),
            None => self.more.push(member),
        }
    }

    /// Takes the membership in a recycler out.
    fn remove(&mut self, id: u64) -> Option<Membership> {
        let is = |member: &Membership| member.recycler.id() == id;
        if let Some(place) = self.first.iter_mut().find(|place| place.as_ref().is_some_and(is)) {
            return place.take();
        }
        let at = self.more.iter().position(is)?;
        Some(self.more.swap_remove(at))
    }
}

/// One slot of the current thread, and the count that keeps its recycler's memory in place.
struct Membership {
    recycler: Arc<dyn Member>,
    slot: *const (),
}

trait Member {
    fn id(&self) -> u64;
    fn is_closed(&self) -> bool;
    /// Marks a slot free.
    fn leave(&self, slot: *const ());
    /// Finishes a closed recycler if all is home; says whether it is finished.
    fn try_finish(&self) -> bool;
}

impl<K: Kind> Member for Inner<K> {
    fn id(&self) -> u64 {
        self.id
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn leave(&self, slot: *const ()) {
        self.each_slot(|own| {
            if ptr::eq(ptr::from_ref(own).cast(), slot) {
                // Release: pairs with the Acquire in `Slot::adopt`.
                own.owned.store(false, Ordering::Release);
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

impl Drop for Registry {
    fn drop(&mut self) {
        self.leave_all();
    }
}

impl Registry {
    /// Ends the calling thread's part in every recycler.
    fn leave_all(&self) {
        // From here on this thread is a stray: destructors that run later must not find the slots let go below.
        ENDED.with(|ended| ended.set(true));
        SLOTS.with(IdCache::clear);
        let members = self.0.replace(Members::new());
        for member in members.first.into_iter().flatten().chain(members.more) {
            member.recycler.leave(member.slot);
            member.recycler.try_finish();
        }
    }
}

/// What the end of the calling thread does, at a moment that a model can wait for.
#[cfg(all(test, blixard_loom))]
pub(super) fn end_thread() {
    REGISTRY.with(Registry::leave_all);
}

/// Finds or makes the calling thread's slot and remembers it; `None` once the thread is ending.
#[cold]
fn adopt<K: Kind>(inner: &Inner<K>) -> Option<&Slot<K>> {
    if ENDED.with(Cell::get) {
        return None;
    }
    let mut closed = Vec::new();
    let slot = REGISTRY
        .try_with(|registry| {
            // Borrowed by an outer call of this function: then this one is a stray, once.
            let mut members = registry.0.try_borrow_mut().ok()?;
            if let Some(member) = members.iter().find(|member| member.recycler.id() == inner.id) {
                return Some(member.slot);
            }
            closed.extend(members.iter().filter(|m| m.recycler.is_closed()).map(|m| Arc::clone(&m.recycler)));
            let recycler = inner.this.upgrade()?;
            members.reserve()?;
            let slot = inner.free_slot()?.as_ptr().cast_const().cast();
            members.push(Membership { recycler, slot });
            Some(slot)
        })
        .ok()??;
    SLOTS.with(|cache| cache.set(inner.id, slot));
    for recycler in closed {
        // What a return beside the closing may have left behind; see the module. While items are out the slot stays ours:
        // they may come back to it, and another thread's use of it beside that would lose a count.
        if recycler.try_finish() {
            // Dropped outside the borrow.
            drop(REGISTRY.try_with(|registry| registry.0.borrow_mut().remove(recycler.id())));
        }
    }
    // SAFETY: the address is that of a slot of `inner`, by the registry's own entry for its id.
    unsafe { slot.cast::<Slot<K>>().as_ref() }
}
