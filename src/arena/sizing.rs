//! How large an idle arena should be: learnt from the requests that a pool has seen.
//!
//! Stands beside `pool`. Pure arithmetic over numbers that one thread writes; no memory is touched here.
//! - `usual` is the first chunk of a new arena: it jumps to the largest request at once and falls back by a 256th of
//!   the difference with each smaller one (the rule gRPC's call arena uses).
//! - `median` follows the middle request by steps of a 32nd (a frugal streaming quantile: Ma, Muthukrishnan and
//!   Sandler 2013): a few huge requests do not move it.
//! - What is kept is at most 3.5 medians: a step and a half below four, so that four hold while the estimate wavers.
#![forbid(unsafe_code)]

use super::chunk;
use super::figures::Histogram;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};

/// One thread's view of its requests. Written by that thread alone.
#[derive(Debug)]
pub(crate) struct History {
    usual: AtomicUsize,
    median: AtomicUsize,
    sizes: [AtomicU64; Histogram::BUCKETS],
}

impl Default for History {
    fn default() -> Self {
        Self {
            usual: AtomicUsize::new(0),
            median: AtomicUsize::new(0),
            sizes: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// Loads a number that only this thread writes, or that a figure can take a moment late.
#[inline(always)]
fn get(number: &AtomicUsize) -> usize {
    number.load(Ordering::Relaxed)
}

impl History {
    /// Takes a request's size into account.
    #[inline(always)]
    pub(crate) fn record(&self, used: usize) {
        crate::sync::add_owned(&self.sizes[Histogram::bucket(used)], 1);
        let usual = get(&self.usual);
        let next = if used >= usual { used } else { usual - (usual - used).div_ceil(256) };
        let median = get(&self.median);
        let step = median / 32 + 1;
        let middle = if median == 0 {
            used
        } else if used > median {
            median + step.min(used - median)
        } else {
            median - step.min(median - used)
        };
        self.usual.store(next, Ordering::Relaxed);
        self.median.store(middle, Ordering::Relaxed);
    }

    /// The most bytes that an idle arena may keep.
    #[inline(always)]
    pub(crate) fn keep_max(&self, retain_bytes_max: usize) -> usize {
        let median = get(&self.median);
        (3 * median).saturating_add(median / 2).max(chunk::CHUNK_BYTES_MIN).min(retain_bytes_max)
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
        history.record(30_000);
        assert_eq!(get(&history.usual), 30_000);
        history.record(10_000);
        assert!((29_000..30_000).contains(&get(&history.usual)));
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
            let keep = history.keep_max(usize::MAX);
            let size = history.replacement(used, keep);
            assert!(size <= keep, "{size} of {keep}");
            assert!(size >= used.min(chunk::rounded_down(keep)), "{size} for {used}");
            assert!(history.replacement(used, 100) <= 100);
        }
    }
}
