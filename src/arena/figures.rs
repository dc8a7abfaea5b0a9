//! What an arena and a pool have done, in numbers.
//!
//! Stands at the end of the data's way. Plain values, copied out; reading them never slows the threads that allocate.
#![forbid(unsafe_code)]

use std::fmt;

/// What one arena holds at this moment.
///
/// `reserved_bytes` is what the request has from the global allocator, as its budget counts it: `used_bytes` handed out,
/// `wasted_bytes` in ends of full chunks and in metadata, what is free in the present chunk, a pooled arena's own block
/// and the spare of a scope. Inside a scope, reserved and high water are the whole request's.
///
/// ```
/// let arena = blixard_arena::Arena::new();
/// arena.alloc_slice_fill_with(1000, |i| i as u64);
/// let figures = arena.figures();
/// assert!(figures.used_bytes >= 8000 && figures.reserved_bytes >= figures.used_bytes);
/// println!("request: {figures}"); // one line for a log
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaFigures {
    /// Bytes handed out since the last reset, paddings included. Of a [`SharedArena`](super::SharedArena): only what lies
    /// in chunks that are full, so 0 for most requests.
    pub used_bytes: usize,
    /// Bytes held from the global allocator, metadata included: what a budget counts.
    pub reserved_bytes: usize,
    /// Bytes held that can serve nobody before the next reset. Of a `SharedArena`: metadata alone.
    pub wasted_bytes: usize,
    /// Chunks held.
    pub chunks: usize,
    /// The most bytes held at one time since the arena was acquired, made or reset.
    pub high_water_bytes: usize,
}

impl fmt::Display for ArenaFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used_bytes, reserved_bytes, wasted_bytes, chunks, high_water_bytes } = self;
        write!(
            f,
            "{used_bytes} bytes used of {reserved_bytes} reserved in {chunks} chunks, {wasted_bytes} wasted, high water {high_water_bytes}"
        )
    }
}

/// What a pool has done so far.
///
/// Counts come from the threads' own counters, added up when asked for: exact once the threads rest.
///
/// ```
/// let pool = blixard_arena::ArenaPool::new();
/// for _ in 0..100 {
///     pool.acquire().alloc_str("vm-1");
/// }
/// let figures = pool.figures();
/// assert_eq!((figures.acquired, figures.live), (100, 0)); // `live` that only rises is a guard that is never dropped
/// assert_eq!(figures.created, 1); // near `acquired`, too few may lie idle
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolFigures {
    /// Arenas handed out, the further shards of shared arenas included.
    pub acquired: u64,
    /// Arenas that came back.
    pub returned: u64,
    /// Arenas out at this moment.
    pub live: u64,
    /// Arenas made because none was idle.
    pub created: u64,
    /// Arenas that lie idle at this moment.
    pub idle: usize,
    /// Panics of destructors and deferred calls that were swallowed when an arena came back, because a thread was unwinding already.
    /// Over all arenas and scopes of the process: [`panics_swallowed`](super::panics_swallowed).
    pub panics_swallowed: u64,
    /// Bytes used per request that used any: a shared arena's shards added up, the largest scope of an arena included.
    pub request_bytes: Histogram,
}

/// Counts by size, four buckets to each power of two: a quantile read from it is at most a quarter too high.
///
/// ```
/// let pool = blixard_arena::ArenaPool::new();
/// for bytes in [1000, 1000, 1000, 50_000] {
///     pool.acquire().alloc_uninit_slice::<u8>(bytes);
/// }
/// let sizes = pool.figures().request_bytes;
/// assert!(sizes.quantile(1.0) > 10 * sizes.quantile(0.5)); // one request is out of line
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; Histogram::BUCKETS],
}

impl Histogram {
    /// One for 0, four for each power of two up to 2^40, the last one open.
    pub(crate) const BUCKETS: usize = 2 + 4 * 40;
    /// What [`Self::bucket`] finds for a size of 1, less one.
    const BEFORE_ONE: u64 = (1023 << 2) - 1;

    /// The bucket of a size: its power of two and the two bits below the highest, which is how a float begins.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "the first two bits are exact")]
    pub(crate) fn bucket(size: usize) -> usize {
        // Signed: the conversion is one instruction then; no size exceeds `isize::MAX`.
        let head = (size.cast_signed() as f64).to_bits() >> 50;
        (head.saturating_sub(Self::BEFORE_ONE) as usize).min(Self::BUCKETS - 1)
    }

    /// The largest size that falls into a bucket.
    fn upper_bound(bucket: usize) -> usize {
        if bucket == 0 {
            return 0;
        }
        let (power, quarter) = ((bucket - 1) / 4, (bucket - 1) % 4);
        // A bucket ends before the first whole number of the next.
        (((5 + quarter) << power).div_ceil(4)) - 1
    }

    pub(crate) fn add(&mut self, bucket: usize, count: u64) {
        self.counts[bucket] += count;
    }

    /// How many sizes were counted.
    ///
    /// ```
    /// let pool = blixard_arena::ArenaPool::new();
    /// drop(pool.acquire()); // a health check: it used nothing
    /// pool.acquire().alloc_str("vm-1");
    /// assert_eq!(pool.figures().request_bytes.count(), 1);
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The size that the share `q` (0 to 1) of all counted sizes does not exceed, at most a quarter too high; 0 when
    /// nothing was counted.
    ///
    /// ```
    /// # use blixard_arena::ArenaPool;
    /// let pool = ArenaPool::new();
    /// for _ in 0..100 {
    ///     pool.acquire().alloc([0u8; 1000]);
    /// }
    /// let median = pool.figures().request_bytes.quantile(0.5);
    /// assert!((1000..=1250).contains(&median));
    /// ```
    #[must_use]
    pub fn quantile(&self, q: f64) -> usize {
        let count = self.count();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among at most 2^53 requests, clamped to it"
        )]
        let rank = ((count as f64 * q.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, n) in self.counts.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return Self::upper_bound(bucket);
            }
        }
        0
    }

    /// Buckets that are not empty, as the largest size in the bucket and how many fell into it, ascending.
    ///
    /// ```
    /// let pool = blixard_arena::ArenaPool::new();
    /// for bytes in [100, 100, 9000] {
    ///     pool.acquire().alloc_uninit_slice::<u8>(bytes);
    /// }
    /// for (at_most, requests) in pool.figures().request_bytes.buckets() {
    ///     println!("{requests} requests of at most {at_most} bytes"); // as a metrics exporter wants them
    /// }
    /// assert_eq!(pool.figures().request_bytes.buckets().map(|(_, requests)| requests).collect::<Vec<_>>(), [2, 1]);
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(bucket, n)| (Self::upper_bound(bucket), *n))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; Self::BUCKETS] }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.buckets()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_sizes_and_are_a_quarter_wide() {
        for size in (0..5000).chain((13..40).map(|p| 1 << p)).chain((13..40).map(|p| (1 << p) - 1)) {
            let bucket = Histogram::bucket(size);
            let upper = Histogram::upper_bound(bucket);
            assert!(size <= upper && upper <= size + size / 4, "{size} in {bucket}, up to {upper}");
            assert!(bucket == 0 || Histogram::upper_bound(bucket - 1) < size, "{size} in {bucket}");
        }
        assert_eq!(Histogram::bucket(isize::MAX.unsigned_abs()), Histogram::BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_nothing_and_of_one() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        histogram.add(Histogram::bucket(6), 1);
        assert_eq!(histogram.quantile(0.0), 6);
        assert_eq!(histogram.quantile(1.0), 6);
        assert_eq!(histogram.buckets().collect::<Vec<_>>(), [(6, 1)]);
    }
}
