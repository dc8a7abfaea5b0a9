//! The list of slots: whose each is, how all of them hear that sites are on, and what they have told of the process's balance.
//!
//! Stands under the counters, which keep one list as a static; it is apart from them so that loom can run it
//! (`loom_models`). Invariants:
//! - A slot has one owner at a time; what an owner wrote is there for the next.
//! - Slots are published whole, never taken out and never freed.
//! - Once [`Slots::wake`] has returned, no slot waits for a sample that was drawn at an earlier rate, and none that is added
//!   later will.
//!
//! Cost: a comparison per allocation; the rest is for threads that begin or end, and for samples.
#![expect(unsafe_code, reason = "a list by address")]

use crate::sync::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering, const_fn, fence};
use std::ops::Deref;
use std::ptr;

/// One thread's place in the list, with its counts. Aligned so that two threads never write one cache line (or its
/// prefetched neighbour).
#[repr(align(128))]
pub(super) struct Slot<T: 'static> {
    counts: T,
    /// Once more bytes than this were asked for, the next call's site is recorded. Also written by whoever turns sites on.
    sample_at: AtomicU64,
    /// Set by the thread that adopts it (Acquire), cleared when that thread ends (Release): the pair hands over the counts.
    owned: AtomicBool,
    /// The slot that was the newest before this one; set before this one is published.
    next: AtomicPtr<Slot<T>>,
}

impl<T> Slot<T> {
    const_fn! {
        /// A slot of the calling thread's, not yet in a list.
        pub(super) fn new(counts: T) -> Self {
            Self {
                counts,
                sample_at: AtomicU64::new(0),
                owned: AtomicBool::new(true),
                next: AtomicPtr::new(ptr::null_mut()),
            }
        }
    }

    /// Whether so many bytes are enough for the next sample.
    #[inline(always)]
    pub(super) fn is_due(&self, bytes: u64) -> bool {
        bytes > self.sample_at()
    }

    /// How many bytes are. Relaxed: whoever turns sites on is heard at the next call or the one after it.
    #[inline(always)]
    pub(super) fn sample_at(&self) -> u64 {
        self.sample_at.load(Ordering::Relaxed)
    }

    /// Sets where the next sample is taken: at each call at a rate of 1, never at 0, else where `next` says. Gives the rate.
    pub(super) fn draw(&self, rate: impl Fn() -> u64, next: impl Fn(u64) -> u64) -> u64 {
        loop {
            let drawn = rate();
            let at = match drawn {
                0 => u64::MAX,
                1 => 0,
                _ => next(drawn),
            };
            self.sample_at.store(at, Ordering::Relaxed);
            // Pairs with the fence in `Slots::wake`: the one that comes first is seen by the other. Either the second look
            // finds the new rate, or our store, and our slot in the list, come before `wake`'s.
            fence(Ordering::SeqCst);
            if rate() == drawn {
                return drawn;
            }
        }
    }

    /// Has the owner ask for the rate at its next allocation. By [`Slots::wake`], and for a slot that is in no list.
    pub(super) fn wake(&self) {
        self.sample_at.store(0, Ordering::Relaxed);
    }

    fn adopt(&self) -> bool {
        // Acquire: pairs with the Release in `leave`.
        self.owned.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The owner's last touch.
    pub(super) fn leave(&self) {
        // Release: pairs with the Acquire in `adopt`.
        self.owned.store(false, Ordering::Release);
    }
}

impl<T> Deref for Slot<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.counts
    }
}

/// All slots of the process.
pub(super) struct Slots<T: 'static> {
    newest: AtomicPtr<Slot<T>>,
}

impl<T> Slots<T> {
    const_fn! {
        pub(super) fn new() -> Self {
            Self { newest: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// A slot that its thread has left; the caller's from now on.
    pub(super) fn adopt(&self) -> Option<&'static Slot<T>> {
        let mut free = None;
        self.each(|slot| {
            if free.is_none() && slot.adopt() {
                free = Some(slot);
            }
        });
        free
    }

    /// Publishes a slot.
    pub(super) fn add(&self, slot: &'static Slot<T>) {
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            slot.next.store(newest, Ordering::Relaxed);
            // Release: pairs with the Acquire in `each`. The exchanges follow one another, so older slots are published too.
            let added = ptr::from_ref(slot).cast_mut();
            match self.newest.compare_exchange(newest, added, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    pub(super) fn each(&self, mut f: impl FnMut(&'static Slot<T>)) {
        // Acquire: pairs with the Release in `add`.
        let mut at = self.newest.load(Ordering::Acquire);
        // SAFETY: addresses here are of `&'static` slots, from `add`; a null pointer ends the list.
        while let Some(slot) = unsafe { at.as_ref() } {
            f(slot);
            at = slot.next.load(Ordering::Relaxed);
        }
    }

    /// Has every thread ask for the rate at its next allocation. To be called once the rate is set.
    pub(super) fn wake(&self) {
        // As in `draw`.
        fence(Ordering::SeqCst);
        self.each(Slot::wake);
    }
}

/// A balance that many threads add to, and its highest value.
pub(super) struct Balance {
    bytes: AtomicI64,
    peak: AtomicI64,
}

impl Balance {
    const_fn! {
        pub(super) fn new() -> Self {
            Self { bytes: AtomicI64::new(0), peak: AtomicI64::new(0) }
        }
    }

    /// Adds to it. The result of each addition is a value that it had, and none is left out: so the peak is the highest.
    pub(super) fn tell(&self, bytes: i64) {
        // Relaxed: numbers that publish nothing. An old peak is a lower one, so a look at it never hides a higher balance.
        let now = self.bytes.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes);
        if now > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(now, Ordering::Relaxed);
        }
    }

    pub(super) fn peak(&self) -> i64 {
        self.peak.load(Ordering::Relaxed)
    }
}
