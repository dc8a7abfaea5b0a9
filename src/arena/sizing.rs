//! How large an idle arena should be: learnt from the requests that a pool has seen.
//!
//! Stands beside `pool`. Pure arithmetic over numbers that one thread writes; no memory is touched here.
//! - `usual` is the first chunk of a new arena: it jumps to the largest request of a batch and falls back by a quarter
//!   of the difference with each smaller batch (gRPC's call arena does the same by a 256th per call).
//! - `median` follows the middle request: up when more of a batch lie above it than below, down when fewer, in
//!   proportion (a streaming quantile after Ma, Muthukrishnan and Sandler 2013). A few huge requests do not move it.
//! - What is kept is at most 3.5 medians, so that four times the true median hold while the estimate wavers.
#![forbid(unsafe_code)]

use super::chunk;
use super::figures::Histogram;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};

/// Requests are taken into account this many at a time.
const BATCH: usize = 64;

/// One thread's view of its requests. Written by that thread alone.
///
/// A request is counted at once; what follows from it is worked out once in 64 requests (and after the 1st, 3rd, 7th,
/// 15th ..., so that a young pool learns quickly).
#[derive(Debug)]
pub(crate) struct History {
    /// Requests until the end of the present batch, and its length.
    left: AtomicUsize,
    batch: AtomicUsize,
    /// Of the present batch: the largest request, and how many more lay above the median than below (two's complement).
    most: AtomicUsize,
    lean: AtomicUsize,
    /// How many batches in a row lay above the median altogether, at most 3.
    streak: AtomicUsize,
    usual: AtomicUsize,
    median: AtomicUsize,
    /// 3.5 medians; everything while nothing is known.
    keep_max: AtomicUsize,
    sizes: [AtomicU64; Histogram::BUCKETS],
}

impl Default for History {
    fn default() -> Self {
        Self {
            left: AtomicUsize::new(1),
            batch: AtomicUsize::new(1),
            most: AtomicUsize::new(0),
            lean: AtomicUsize::new(0),
            streak: AtomicUsize::new(0),
            usual: AtomicUsize::new(0),
            median: AtomicUsize::new(0),
            keep_max: AtomicUsize::new(usize::MAX),
            sizes: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// Loads a number that only this thread writes, or that a figure can take a moment late.
#[inline(always)]
fn get(number: &AtomicUsize) -> usize {
    number.load(Ordering::Relaxed)
}

#[inline(always)]
fn set(number: &AtomicUsize, value: usize) {
    number.store(value, Ordering::Relaxed);
}

impl History {
    /// Takes a request's size into account.
    #[inline(always)]
    pub(crate) fn record(&self, used: usize) {
        let left = get(&self.left) - 1;
        set(&self.left, left);
        crate::sync::add_owned(&self.sizes[Histogram::bucket(used)], 1);
        set(&self.most, get(&self.most).max(used));
        let median = get(&self.median);
        let lean = get(&self.lean).wrapping_add(usize::from(used > median)).wrapping_sub(usize::from(used < median));
        set(&self.lean, lean);
        if left == 0 {
            self.learn();
        }
    }

    /// Whether the next request ends a batch.
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        get(&self.left) <= 1
    }

    #[cold]
    #[inline(never)]
    fn learn(&self) {
        let batch = get(&self.batch);
        let most = get(&self.most);
        let usual = get(&self.usual);
        let drop = usual.saturating_sub(most).saturating_mul(batch).div_ceil(256);
        set(&self.usual, if most >= usual { most } else { usual - drop });
        // In proportion to how the batch leans, by an eighth at most; by more each time that all of a batch lies above.
        // When all of it lies below, its largest request bounds the median.
        let (median, lean) = (get(&self.median), get(&self.lean).cast_signed());
        let share = |of: usize| of / batch * lean.unsigned_abs();
        let all = lean.unsigned_abs() == batch;
        let rises = all && lean > 0;
        let streak = if rises { get(&self.streak) } else { 0 };
        let median = match median {
            0 => most,
            _ if all && lean < 0 => most,
            _ if lean >= 0 => median.saturating_add(share((median >> 3).saturating_mul(1 << streak))).min(most),
            _ => median - share(median / 9),
        };
        set(&self.streak, if rises { (streak + 1).min(3) } else { 0 });
        set(&self.median, median);
        set(&self.keep_max, (3 * median).saturating_add(median / 2).max(chunk::CHUNK_BYTES_MIN));
        set(&self.most, 0);
        set(&self.lean, 0);
        let batch = (2 * batch).min(BATCH);
        set(&self.batch, batch);
        set(&self.left, batch);
    }

    /// The most bytes that an idle arena may keep.
    #[inline(always)]
    pub(crate) fn keep_max(&self, retain_bytes_max: usize) -> usize {
        get(&self.keep_max).min(retain_bytes_max)
    }

    /// The first chunk of a new arena; 0 while nothing is known.
    pub(crate) fn first_chunk(&self, retain_bytes_max: usize) -> usize {
        get(&self.usual).min(self.keep_max(retain_bytes_max))
    }

    /// The chunk that should take the place of what a request of `used` bytes left, at most `keep_max`: 0 for none.
    pub(crate) fn replacement(&self, used: usize, keep_max: usize) -> usize {
        let needed = if used <= keep_max { used.max(get(&self.usual)) } else { get(&self.usual) };
        // An eighth more than was needed: values of mixed alignment do not pack the same way twice.
        let wanted = needed.saturating_add(needed / 8);
        let rounded = chunk::rounded_up(wanted).unwrap_or(usize::MAX);
        if rounded <= keep_max { rounded } else { chunk::rounded_down(keep_max) }
    }

    pub(crate) fn add_to(&self, histogram: &mut Histogram) {
        for (bucket, count) in self.sizes.iter().enumerate() {
            histogram.add(bucket, count.load(Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_at_once_and_shrinks_slowly() {
        let history = History::default();
        for _ in 0..100 {
            history.record(10_000);
        }
        // The request that needs more gets it at once; what the thread expects follows with its batch.
        assert!(history.replacement(30_000, 35_000) >= 30_000);
        for i in 0..3 * BATCH {
            history.record(if i == 0 { 30_000 } else { 10_000 });
        }
        assert!((20_000..30_000).contains(&get(&history.usual)), "{}", get(&history.usual));
        for _ in 0..5_000 {
            history.record(10_000);
        }
        assert!(get(&history.usual) < 10_100, "{}", get(&history.usual));
    }

    #[test]
    fn a_few_huge_requests_do_not_raise_what_is_kept() {
        let history = History::default();
        for i in 0..10_000 {
            history.record(if i % 10 == 0 { 5_000_000 } else { 8_000 });
        }
        assert!(history.keep_max(usize::MAX) <= 4 * 8_000, "{}", history.keep_max(usize::MAX));
        assert!(history.keep_max(usize::MAX) >= 3 * 8_000, "{}", history.keep_max(usize::MAX));
        assert!(history.first_chunk(usize::MAX) <= 4 * 8_000);
        assert!(history.replacement(5_000_000, history.keep_max(usize::MAX)) <= 4 * 8_000);
    }

    #[test]
    fn a_new_usual_size_is_learnt_both_ways() {
        let history = History::default();
        for size in [1_000, 100_000, 2_000] {
            for _ in 0..1_000 {
                history.record(size);
            }
            let keep = history.keep_max(usize::MAX);
            assert!((3 * size..=4 * size).contains(&keep), "{keep} for {size}");
        }
    }

    #[test]
    fn a_replacement_fits_the_cap_and_the_request() {
        let history = History::default();
        for used in [0, 1, 100, 448, 449, 5_000, 70_000] {
            history.record(used);
            let keep = history.keep_max(1 << 20);
            let size = history.replacement(used, keep);
            assert!(size <= keep, "{size} of {keep}");
            assert!(size >= used.min(chunk::rounded_down(keep)), "{size} for {used}");
            assert!(history.replacement(used, 100) <= 100);
        }
    }

    #[test]
    fn every_request_is_in_the_histogram_whatever_the_batch() {
        let history = History::default();
        for n in 1..=300 {
            history.record(n);
            let mut histogram = Histogram::default();
            history.add_to(&mut histogram);
            assert_eq!(histogram.count(), n as u64);
        }
    }

    #[test]
    fn one_request_is_enough_to_bound_what_is_kept() {
        let history = History::default();
        history.record(1_000);
        assert_eq!(history.keep_max(usize::MAX), 3_500);
    }
}
