//! Pins: how a thread that frees learns that nobody can be reading any more, at two additions per reader.
//!
//! Stands under `intern`. A pin adds one to a counter of the present phase, in the stripe of the thread that takes it, and
//! takes the one off again where it ends, on whatever thread: it remembers the counter. A flip makes the other phase the
//! present one, and happens only while that one's counters are seen at zero. Two flips after a moment, every counter of
//! both phases has been seen at zero after it, so whoever was pinned at that moment is gone: a grace period.
//!
//! Why two: a pin may read the phase, be delayed, and count itself in a phase that has been found empty meanwhile.
//! That is harmless for what was unlinked before the finding, since the pin's fence comes after the finder's and so it sees
//! the unlinking; it would not be for what is unlinked later, and it is that which the second flip waits for.
//!
//! Invariants: a counter is at least the number of pins that count in it; a pin that was not seen by a flip sees all that was
//! written before the flip. A pin that never ends stops the flips and nothing else. Cost: no heap call; 4 KiB.
#![forbid(unsafe_code)]

use super::{AtomicUsize, Ordering, fence, fence_after_update, thread_stripe};
use std::time::{Duration, Instant};

/// Threads that pin at the same time share a cache line only beyond this many.
const STRIPES: usize = if cfg!(blixard_loom) { 2 } else { 32 };

/// One thread's counters, a phase each. Aligned so that two threads never write one cache line (or its prefetched neighbour).
#[derive(Debug)]
#[repr(align(128))]
struct Stripe([AtomicUsize; 2]);

/// Who is pinned.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Pins {
    phase: AtomicUsize,
    stripes: [Stripe; STRIPES],
}

/// Where a pin is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PinCount<'a>(&'a AtomicUsize);

/// How often the phases were flipped. Who flips has it to itself.
#[derive(Debug)]
pub(crate) struct Grace {
    flips: u64,
    flipped: Instant,
}

impl Grace {
    pub(crate) fn new() -> Self {
        Self { flips: 0, flipped: Instant::now() }
    }

    /// The present moment, after all that the caller has written.
    pub(crate) fn moment(&self) -> u64 {
        self.flips
    }

    /// Whether a grace period has passed since `moment`: everyone who was pinned then is gone.
    pub(crate) fn is_over(&self, moment: u64) -> bool {
        self.flips >= moment + 2
    }
}

impl Pins {
    pub(crate) fn new() -> Self {
        let stripe = |_| Stripe([AtomicUsize::new(0), AtomicUsize::new(0)]);
        Self { phase: AtomicUsize::new(0), stripes: std::array::from_fn(stripe) }
    }

    /// Begins a pin. What is read after it stays until [`PinCount::end`].
    #[inline(always)]
    pub(crate) fn begin(&self) -> PinCount<'_> {
        // Relaxed: a phase of the past is only counted in longer.
        let phase = self.phase.load(Ordering::Relaxed) % 2;
        let count = &self.stripes[thread_stripe(STRIPES)].0[phase];
        count.fetch_add(1, Ordering::SeqCst);
        // Partner: the fence in `flip`. Either that thread sees the addition, or this one sees what was unlinked.
        fence_after_update();
        PinCount(count)
    }

    /// Makes the other phase the present one if nobody counts in it.
    fn flip(&self, grace: &mut Grace) -> bool {
        // Partner: the fence in `begin`.
        fence(Ordering::SeqCst);
        let other = 1 - self.phase.load(Ordering::Relaxed) % 2;
        // Acquire: pairs with `PinCount::end`, so that what pins read lies before what is done to it now.
        if self.stripes.iter().any(|stripe| stripe.0[other].load(Ordering::Acquire) != 0) {
            return false;
        }
        // Relaxed: only `begin` reads it, as a hint.
        self.phase.store(other, Ordering::Relaxed);
        grace.flips += 1;
        grace.flipped = Instant::now();
        true
    }

    /// Flips until a grace period has passed since `moment`, or until a pin of before is in the way: then `false`.
    pub(crate) fn pass(&self, grace: &mut Grace, moment: u64) -> bool {
        while !grace.is_over(moment) {
            if !self.flip(grace) {
                return false;
            }
        }
        true
    }

    /// Pins held at this moment, as relaxed loads add them up.
    pub(crate) fn held(&self) -> usize {
        self.stripes.iter().flat_map(|stripe| &stripe.0).map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// How long the oldest pin has been held at least: since the last flip, if one of before that is still there.
    pub(crate) fn oldest_age(&self, grace: &Grace) -> Option<Duration> {
        let other = 1 - self.phase.load(Ordering::Relaxed) % 2;
        let held = self.stripes.iter().any(|stripe| stripe.0[other].load(Ordering::Relaxed) != 0);
        held.then(|| grace.flipped.elapsed())
    }
}

impl PinCount<'_> {
    /// Ends the pin, on any thread. Once for each `begin`.
    #[inline(always)]
    pub(crate) fn end(self) {
        // Release: pairs with the Acquire in `Pins::flip`.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_waits_for_the_pins_of_before_and_for_no_later_ones() {
        let (pins, mut grace) = (Pins::new(), Grace::new());
        let before = pins.begin();
        let moment = grace.moment();
        assert!(!pins.pass(&mut grace, moment));
        // It may flip once; later pins count in the other phase.
        let after = pins.begin();
        assert!(!pins.pass(&mut grace, moment));
        before.end();
        assert!(pins.pass(&mut grace, moment));
        assert_eq!(pins.held(), 1);
        assert!(!pins.pass(&mut grace, moment + 2), "the later pin is now one of before");
        assert!(pins.oldest_age(&grace).is_some());
        after.end();
        assert_eq!((pins.held(), pins.oldest_age(&grace)), (0, None));
        assert!(pins.pass(&mut grace, moment + 2));
    }

    #[test]
    fn a_pin_ends_on_another_thread() {
        let (pins, mut grace) = (Pins::new(), Grace::new());
        let pin = pins.begin();
        std::thread::scope(|scope| scope.spawn(|| pin.end()).join().unwrap());
        assert_eq!(pins.held(), 0);
        let moment = grace.moment();
        assert!(pins.pass(&mut grace, moment));
    }

    #[test]
    fn threads_started_one_after_another_count_in_different_stripes() {
        let stripes: std::collections::HashSet<usize> =
            (0..8).map(|_| std::thread::spawn(|| thread_stripe(STRIPES)).join().unwrap()).collect();
        assert!(stripes.len() > 4, "{stripes:?}");
    }
}
