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
/// A request costs one store here; the arithmetic happens once in 64 requests (and after the 1st, 2nd, 4th, 8th ..., so
/// that a young pool learns quickly).
#[derive(Debug)]
pub(crate) struct History {
    /// Free places in `recent`, which fills from the end of the batch down.
    left: AtomicUsize,
    /// Places of the present batch.
    batch: AtomicUsize,
    recent: [AtomicUsize; BATCH],
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
            recent: std::array::from_fn(|_| AtomicUsize::new(0)),
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
        // The mask costs nothing and spares the bound check: `left` is 1 to 64.
        let left = (get(&self.left) - 1) % BATCH;
        set(&self.recent[left], used);
        set(&self.left, left);
        if left == 0 {
            self.learn();
        }
    }

    #[cold]
    #[inline(never)]
    fn learn(&self) {
        let batch = get(&self.batch);
        let recent = self.recent[..batch].iter().map(get);
        let median = match get(&self.median) {
            0 => get(&self.recent[batch - 1]),
            known => known,
        };
        let (mut least, mut most, mut above, mut below) = (usize::MAX, 0, 0, 0);
        for used in recent {
            crate::sync::add_owned(&self.sizes[Histogram::bucket(used)], 1);
            (least, most) = (least.min(used), most.max(used));
            above += usize::from(used > median);
            below += usize::from(used < median);
        }
        let usual = get(&self.usual);
        set(&self.usual, if most >= usual { most } else { usual - (usual - most) * batch / 256 });
        // Up by at most a half, down by at most a third, and never out of what was seen.
        let median = if above >= below {
            median.saturating_add(median.saturating_mul(above - below) / (2 * batch))
        } else {
            median - median.saturating_mul(below - above) / (3 * batch)
        };
        let median = median.clamp(least, most);
        set(&self.median, median);
        set(&self.keep_max, (3 * median).saturating_add(median / 2).max(chunk::CHUNK_BYTES_MIN));
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
        let (left, batch) = (get(&self.left), get(&self.batch).min(BATCH));
        for used in self.recent.iter().take(batch).skip(left).map(get) {
            histogram.add(Histogram::bucket(used), 1);
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
        for i in 0..2 * BATCH {
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
            for _ in 0..2_000 {
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
