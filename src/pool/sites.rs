//! Where objects that do not come back were acquired: a sample of acquisitions, each with its backtrace.
//!
//! Stands beside `objects`; touched by sampled acquisitions and their returns alone. Invariant: at most [`SITES_MAX`]
//! are kept at a time. Cost: a backtrace takes microseconds and heap calls, so by default one in 128 acquisitions is
//! sampled and no more than one in a millisecond.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use std::backtrace::Backtrace;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sampled objects that are out at a time, at most; those beyond are not remembered.
const SITES_MAX: usize = 256;

/// An acquisition whose object is still out.
///
/// ```
/// use blixard_arena::pool::TypedObjectPool;
///
/// let pool = TypedObjectPool::builder(String::new).leak_sites_one_in(1).build();
/// let forgotten = Box::leak(Box::new(pool.acquire()));
/// forgotten.push_str("never given back");
/// let sites = pool.leak_sites();
/// assert_eq!(sites.len(), 1);
/// assert!(sites[0].to_string().contains("acquired"));
/// ```
#[derive(Clone, Debug)]
pub struct LeakSite {
    since: Instant,
    backtrace: Arc<Backtrace>,
}

impl LeakSite {
    /// How long the object has been out. What is out for much longer than a request takes has leaked.
    ///
    /// ```
    /// # use blixard_arena::pool::TypedObjectPool;
    /// # let pool = TypedObjectPool::builder(String::new).leak_sites_one_in(1).build();
    /// let minute = std::time::Duration::from_secs(60);
    /// let _held = pool.acquire();
    /// assert!(pool.leak_sites().iter().all(|site| site.out_for() < minute), "no leak");
    /// ```
    #[must_use]
    pub fn out_for(&self) -> Duration {
        self.since.elapsed()
    }

    /// The stack of the thread that acquired it, as far as the binary has symbols.
    ///
    /// ```
    /// # use blixard_arena::pool::TypedObjectPool;
    /// # let pool = TypedObjectPool::builder(String::new).leak_sites_one_in(1).build();
    /// let _held = pool.acquire();
    /// let sites = pool.leak_sites();
    /// assert_eq!(sites[0].backtrace().status(), std::backtrace::BacktraceStatus::Captured);
    /// ```
    pub fn backtrace(&self) -> &Backtrace {
        &self.backtrace
    }
}

impl fmt::Display for LeakSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "out for {:?}, acquired at\n{}", self.out_for(), self.backtrace)
    }
}

/// The sample of one pool.
#[derive(Debug)]
pub(super) struct Sites {
    /// A thread's n-th acquisition is sampled where `n & mask` is 0.
    mask: u64,
    /// At least so long between two samples.
    pause: Duration,
    started: Instant,
    /// Nanoseconds after `started` before which none is sampled.
    not_before: AtomicU64,
    kept: Mutex<Vec<Option<LeakSite>>>,
}

impl Sites {
    /// By default one in so many acquisitions is sampled.
    pub(super) const ONE_IN: u64 = 128;
    const PAUSE: Duration = Duration::from_millis(1);

    /// `one_in`: exactly that, rounded up to a power of two, 0 for none; by default less, see the module.
    pub(super) fn new(one_in: Option<u64>) -> Self {
        Self {
            mask: match one_in.unwrap_or(Self::ONE_IN) {
                0 => u64::MAX,
                n => n.min(1 << 62).next_power_of_two() - 1,
            },
            pause: if one_in.is_some() { Duration::ZERO } else { Self::PAUSE },
            started: Instant::now(),
            not_before: AtomicU64::new(0),
            kept: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn mask(&self) -> u64 {
        self.mask
    }

    /// Remembers the caller's stack; where, for [`Self::forget`].
    pub(super) fn remember(&self) -> Option<usize> {
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let not_before = self.not_before.load(Ordering::Relaxed);
        let next = now.saturating_add(u64::try_from(self.pause.as_nanos()).unwrap_or(u64::MAX));
        // Relaxed: a moment, it publishes nothing. Of threads that come at once, one samples.
        if !self.pause.is_zero()
            && (now < not_before
                || self.not_before.compare_exchange(not_before, next, Ordering::Relaxed, Ordering::Relaxed).is_err())
        {
            return None;
        }
        // The unwinder runs outside the lock.
        let site = LeakSite { since: Instant::now(), backtrace: Arc::new(Backtrace::force_capture()) };
        let mut kept = lock(&self.kept);
        let at = kept.iter().position(Option::is_none).unwrap_or(kept.len());
        match kept.get_mut(at) {
            Some(place) => *place = Some(site),
            None if at < SITES_MAX => kept.push(Some(site)),
            None => return None,
        }
        Some(at)
    }

    /// An object that was remembered has come back.
    pub(super) fn forget(&self, at: usize) {
        let site = lock(&self.kept).get_mut(at).and_then(Option::take);
        // Freed outside the lock.
        drop(site);
    }

    /// What is out, the longest first.
    pub(super) fn all(&self) -> Vec<LeakSite> {
        let mut all: Vec<LeakSite> = lock(&self.kept).iter().flatten().cloned().collect();
        all.sort_by_key(|site| site.since);
        all
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_kept_than_there_are_places_and_places_are_used_again() {
        let sites = Sites::new(Some(1));
        let places: Vec<_> = (0..SITES_MAX).map(|_| sites.remember().unwrap()).collect();
        assert_eq!(sites.remember(), None);
        sites.forget(places[7]);
        assert_eq!(sites.remember(), Some(7));
        assert_eq!(sites.all().len(), SITES_MAX);
        assert!(sites.all().is_sorted_by_key(|site| site.since));
    }

    #[test]
    fn by_default_two_samples_are_a_millisecond_apart() {
        let sites = Sites::new(None);
        let started = Instant::now();
        let mut found = 0_u32;
        while found < 5 {
            found += u32::from(sites.remember().is_some());
        }
        assert!(started.elapsed() >= 4 * Sites::PAUSE);
    }

    #[test]
    fn rates_become_masks() {
        assert_eq!(Sites::new(None).mask(), 127);
        assert_eq!(Sites::new(Some(0)).mask(), u64::MAX);
        assert_eq!(Sites::new(Some(1)).mask(), 0);
        assert_eq!(Sites::new(Some(100)).mask(), 127);
        assert_eq!(Sites::new(Some(u64::MAX)).mask(), (1 << 62) - 1);
    }
}
