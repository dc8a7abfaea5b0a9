//! What a cache has done, in numbers.
//!
//! Stands at the end of the data's way. Invariant: threads that look up at the same time count on cache lines of their own.
//! Cost: an uncontended atomic addition per look-up; no heap call.
#![forbid(unsafe_code)]

use crate::sync::thread_stripe;
use std::fmt;
// Numbers that publish nothing: std's atomics serve under loom too, and all orderings are relaxed.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Threads that look up at the same time share a cache line only beyond this many.
const STRIPES: usize = 16;

/// What an [`ArcCache`](super::ArcCache) or a [`WeakCache`](super::WeakCache) holds and has done.
///
/// `hits + misses` are the look-ups; `built + failed` the calls of builders.
///
/// ```
/// use blixard_arena::arc::ArcCache;
///
/// let images = ArcCache::<u32, str>::new();
/// images.get_or_build(&7, || "debian");
/// images.get_or_build(&7, || "never built again");
/// let figures = images.figures();
/// assert_eq!((figures.entries, figures.hits, figures.misses, figures.built), (1, 1, 1, 1));
/// assert_eq!(figures.to_string(), "1 entries, weight 1, 1 hits, 1 misses of which 0 joined, 1 built, 0 failed, 0 dropped");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheFigures {
    /// Entries at this moment; in a [`WeakCache`](super::WeakCache) with those that are dead and not yet swept.
    pub entries: usize,
    /// Their weight: of an entry 1, unless the cache was given a weigher.
    pub weight: u64,
    /// Look-ups that found a value.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Of those, the ones that were given what another thread was building.
    pub joined: u64,
    /// Values built.
    pub built: u64,
    /// Builders that failed or panicked.
    pub failed: u64,
    /// Entries that the cache dropped by itself: evicted for its bound, or swept because they were dead.
    pub dropped: u64,
}

impl fmt::Display for CacheFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, weight, hits, misses, joined, built, failed, dropped } = self;
        write!(
            f,
            "{entries} entries, weight {weight}, {hits} hits, {misses} misses of which {joined} joined, {built} built, \
             {failed} failed, {dropped} dropped"
        )
    }
}

/// A counter on a cache line of its own, with its prefetched neighbour.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

/// What a cache counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    hits: [Stripe; STRIPES],
    misses: AtomicU64,
    joined: AtomicU64,
    built: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    #[inline(always)]
    pub(super) fn hits(&self, n: u64) {
        self.hits[thread_stripe(STRIPES)].0.fetch_add(n, Relaxed);
    }

    /// A look-up that found something, or nothing.
    #[inline(always)]
    pub(super) fn look(&self, found: bool) {
        if found {
            self.hits(1);
        } else {
            self.misses.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn joined(&self) {
        self.joined.fetch_add(1, Relaxed);
    }

    pub(super) fn built(&self) {
        self.built.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn dropped(&self, n: usize) {
        self.dropped.fetch_add(n as u64, Relaxed);
    }

    pub(super) fn figures(&self, entries: usize, weight: u64) -> CacheFigures {
        CacheFigures {
            entries,
            weight,
            hits: self.hits.iter().map(|stripe| stripe.0.load(Relaxed)).sum(),
            misses: self.misses.load(Relaxed),
            joined: self.joined.load(Relaxed),
            built: self.built.load(Relaxed),
            failed: self.failed.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}
