//! What was counted, as plain values: figures of a section, of a task, of the process, and their line in a table.
//!
//! Stands at the end of the data's way. Nothing here counts; reading and printing touch no counter.
#![forbid(unsafe_code)]

use crate::arena::{ArenaFigures, PoolFigures};
use std::fmt;
use std::time::Duration;

/// Sums of one thread, or of all.
#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) allocations: u64,
    pub(super) reallocations: u64,
    pub(super) frees: u64,
    pub(super) bytes: u64,
    pub(super) freed_bytes: u64,
}

#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
impl Totals {
    pub(super) const ZERO: Self = Self { allocations: 0, reallocations: 0, frees: 0, bytes: 0, freed_bytes: 0 };

    pub(super) const fn net(self) -> i64 {
        self.bytes.wrapping_sub(self.freed_bytes).cast_signed()
    }

    pub(super) const fn plus(self, more: Self) -> Self {
        Self {
            allocations: self.allocations.wrapping_add(more.allocations),
            reallocations: self.reallocations.wrapping_add(more.reallocations),
            frees: self.frees.wrapping_add(more.frees),
            bytes: self.bytes.wrapping_add(more.bytes),
            freed_bytes: self.freed_bytes.wrapping_add(more.freed_bytes),
        }
    }
}

/// What went through the global allocator.
///
/// A reallocation asks for its new size and gives back the old one, as dhat counts it: dhat's total blocks are
/// `allocations + reallocations` here, its total bytes are `bytes`.
///
/// ```
/// # use blixard_arena::tracking::{AllocationTracker, TrackingAllocator};
/// # #[global_allocator]
/// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
/// let section = AllocationTracker::new("names");
/// let names: Vec<String> = (0..100).map(|i| format!("vm-{i}")).collect();
/// let report = section.finish();
/// # if cfg!(feature = "allocation-tracking") {
/// let heap = report.heap.unwrap();
/// assert!(heap.allocations > 100, "a string each: such a loop is what an arena is for");
/// assert_eq!(heap.frees, 0, "all of it is still live");
/// # }
/// # drop(names);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocationFigures {
    /// Blocks asked for.
    pub allocations: u64,
    /// Blocks that were given another size.
    pub reallocations: u64,
    /// Blocks given back.
    pub frees: u64,
    /// Bytes asked for, by reallocations too.
    pub bytes: u64,
    /// Bytes asked for less bytes given back: negative where more was given back, such as values built before the section.
    pub net_bytes: i64,
    /// The most bytes live at one time, over what was live when the section began.
    pub peak_bytes: u64,
}

impl AllocationFigures {
    /// From one look at the sums to a later one.
    #[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
    pub(super) fn between(before: Totals, after: Totals, peak: i64) -> Self {
        let bytes = after.bytes.wrapping_sub(before.bytes);
        Self {
            allocations: after.allocations.wrapping_sub(before.allocations),
            reallocations: after.reallocations.wrapping_sub(before.reallocations),
            frees: after.frees.wrapping_sub(before.frees),
            bytes,
            net_bytes: after.net().wrapping_sub(before.net()),
            peak_bytes: u64::try_from(peak).unwrap_or(0),
        }
    }

    /// What a task did so far and then in one more poll.
    pub(super) fn then(self, next: Self) -> Self {
        // The poll began with what earlier ones had left.
        let peak = self.net_bytes.saturating_add_unsigned(next.peak_bytes);
        Self {
            allocations: self.allocations + next.allocations,
            reallocations: self.reallocations + next.reallocations,
            frees: self.frees + next.frees,
            bytes: self.bytes + next.bytes,
            net_bytes: self.net_bytes + next.net_bytes,
            peak_bytes: self.peak_bytes.max(u64::try_from(peak).unwrap_or(0)),
        }
    }
}

/// Why there are no figures: a tracker says so instead of reading zero.
///
/// ```
/// use blixard_arena::tracking::{AllocationTracker, NotCounted};
///
/// let report = AllocationTracker::new("nothing stands behind this one").finish();
/// # if cfg!(feature = "allocation-tracking") {
/// assert_eq!(report.heap, Err(NotCounted::NotInstalled));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotCounted {
    /// The crate was built without its feature `allocation-tracking`.
    FeatureOff,
    /// The program's global allocator is not a [`TrackingAllocator`](super::TrackingAllocator).
    NotInstalled,
}

impl fmt::Display for NotCounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FeatureOff => "not counted: built without the feature allocation-tracking",
            Self::NotInstalled => "not counted: TrackingAllocator is not the global allocator",
        })
    }
}

impl std::error::Error for NotCounted {}

/// What a section or a task took: calls, bytes, time, and where an arena was used, what lay in it.
///
/// `Display` writes one line of a table, under [`AllocationReport::HEADING`].
///
/// ```
/// # use blixard_arena::ArenaPool;
/// # use blixard_arena::tracking::{AllocationReport, AllocationTracker, TrackingAllocator};
/// # #[global_allocator]
/// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
/// let pool = ArenaPool::new();
/// let request = AllocationTracker::new("request");
/// let arena = pool.acquire();
/// arena.alloc_str("vm-1");
/// let report = request.finish().with_arena(arena.figures());
/// println!("{}\n{report}", AllocationReport::HEADING); // where this request's bytes live: heap and arena in one line
/// assert!(report.arena.unwrap().used_bytes >= 4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocationReport {
    /// The section's name.
    pub name: &'static str,
    /// From its beginning to its end; a task's waiting included.
    pub elapsed: Duration,
    /// What went through the global allocator.
    pub heap: Result<AllocationFigures, NotCounted>,
    /// What an arena held, if one was handed in.
    pub arena: Option<ArenaFigures>,
    /// What a pool had done, if one was handed in.
    pub pool: Option<PoolFigures>,
}

impl AllocationReport {
    /// The heading over the lines that `Display` writes.
    ///
    /// ```
    /// # use blixard_arena::tracking::AllocationReport;
    /// # use blixard_arena::tracking::AllocationTracker;
    /// let reports = ["parse", "place"].map(|name| AllocationTracker::new(name).finish());
    /// println!("{}", AllocationReport::HEADING); // once, over as many lines as there are
    /// reports.iter().for_each(|report| println!("{report}"));
    /// ```
    pub const HEADING: &'static str = concat!(
        "section                     allocations reallocations        frees          bytes",
        "            net           peak         time"
    );

    /// Adds what an arena holds, so that heap and arena stand in one line. No heap allocation.
    ///
    /// ```
    /// # use blixard_arena::Arena;
    /// # use blixard_arena::tracking::AllocationTracker;
    /// let arena = Arena::new();
    /// let report = AllocationTracker::new("request").finish().with_arena(arena.figures());
    /// assert!(report.to_string().contains("arena: 0 bytes used"));
    /// ```
    #[must_use]
    pub fn with_arena(mut self, figures: ArenaFigures) -> Self {
        self.arena = Some(figures);
        self
    }

    /// Adds what a pool has done. No heap allocation.
    ///
    /// ```
    /// # use blixard_arena::ArenaPool;
    /// # use blixard_arena::tracking::AllocationTracker;
    /// let pool = ArenaPool::new();
    /// drop(pool.acquire());
    /// let report = AllocationTracker::new("requests").finish().with_pool(pool.figures());
    /// assert!(report.to_string().contains("pool: 1 acquired"));
    /// ```
    #[must_use]
    pub fn with_pool(mut self, figures: PoolFigures) -> Self {
        self.pool = Some(figures);
        self
    }
}

impl fmt::Display for AllocationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<26}", self.name)?;
        match &self.heap {
            Ok(heap) => write!(f, " {heap} {:>12.1?}", self.elapsed)?,
            Err(why) => write!(f, " {why} {:>12.1?}", self.elapsed)?,
        }
        if let Some(arena) = &self.arena {
            write!(f, "  arena: {arena}")?;
        }
        if let Some(PoolFigures { acquired, created, live, idle, request_bytes, .. }) = &self.pool {
            let median = request_bytes.quantile(0.5);
            write!(
                f,
                "  pool: {acquired} acquired, {created} created, {live} live, {idle} idle, median {median} bytes"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for AllocationFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allocations, reallocations, frees, bytes, net_bytes, peak_bytes } = self;
        write!(f, "{allocations:>12} {reallocations:>13} {frees:>12} {bytes:>14} {net_bytes:>+14} {peak_bytes:>14}")
    }
}

/// What went through the global allocator since the process began, all threads together.
///
/// Counts and `net_bytes` (what is live now) are exact once the threads rest. `peak_bytes` is off by less than
/// `peak_error_bytes_max`: each thread tells the others how its balance stands whenever that has moved by 64 KiB, so each
/// may have kept back less than that, on either side.
///
/// ```
/// # use blixard_arena::tracking::{self, TrackingAllocator};
/// # #[global_allocator]
/// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
/// # if cfg!(feature = "allocation-tracking") {
/// let cache = vec![0_u8; 10 << 20];
/// let figures = tracking::process().unwrap();
/// assert!(figures.heap.net_bytes >= 10 << 20, "what a leak check or a metrics page asks for");
/// assert!(figures.heap.peak_bytes + figures.peak_error_bytes_max >= 10 << 20);
/// # drop(cache);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessFigures {
    /// Counts and bytes.
    pub heap: AllocationFigures,
    /// By how much `heap.peak_bytes` may be off: 64 KiB for each thread that lived at the same time as others.
    pub peak_error_bytes_max: u64,
    /// Sizes asked for by allocations.
    pub sizes: SizeHistogram,
}

impl fmt::Display for ProcessFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<26} {}", "process", self.heap)
    }
}

/// How many blocks of which size were asked for, by powers of two.
///
/// ```
/// # use blixard_arena::tracking::{self, TrackingAllocator};
/// # #[global_allocator]
/// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
/// # if cfg!(feature = "allocation-tracking") {
/// let names: Vec<Box<[u8; 24]>> = (0..1000).map(|_| Box::new([0; 24])).collect();
/// let sizes = tracking::process().unwrap().sizes;
/// assert!(sizes.buckets().any(|(size_max, count)| size_max == 31 && count >= 1000), "many small blocks: worth an arena");
/// # drop(names);
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SizeHistogram {
    counts: [u64; SizeHistogram::BUCKETS],
}

impl SizeHistogram {
    /// One for 0, one for each power of two up to 2^46, the last one open.
    pub(super) const BUCKETS: usize = 48;

    /// As many bits as the size has.
    #[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
    #[inline(always)]
    pub(super) const fn bucket(size: usize) -> usize {
        let bits = (usize::BITS - size.leading_zeros()) as usize;
        if bits < Self::BUCKETS { bits } else { Self::BUCKETS - 1 }
    }

    #[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
    pub(super) fn add(&mut self, count: impl Fn(usize) -> u64) {
        for (bucket, sum) in self.counts.iter_mut().enumerate() {
            *sum += count(bucket);
        }
    }

    /// Buckets that are not empty, as the largest size in the bucket and how many blocks fell into it, ascending.
    ///
    /// ```
    /// # use blixard_arena::tracking::{self, TrackingAllocator};
    /// # #[global_allocator]
    /// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
    /// # if cfg!(feature = "allocation-tracking") {
    /// let sizes = tracking::process().unwrap().sizes;
    /// let small: u64 = sizes.buckets().take_while(|(size_max, _)| *size_max < 64).map(|(_, blocks)| blocks).sum();
    /// println!("{small} blocks below 64 bytes"); // what arenas and inline vectors would take off the heap
    /// # }
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(bits, n)| ((1 << bits) - 1, *n))
    }
}

impl Default for SizeHistogram {
    fn default() -> Self {
        Self { counts: [0; Self::BUCKETS] }
    }
}

impl fmt::Debug for SizeHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.buckets()).finish()
    }
}

#[cfg(feature = "serde")]
mod serialise {
    use super::{AllocationFigures, AllocationReport, ArenaFigures, PoolFigures, ProcessFigures, SizeHistogram};
    use serde::ser::{Serialize, SerializeMap as _, SerializeStruct as _, Serializer};

    impl Serialize for AllocationFigures {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut fields = to.serialize_struct("AllocationFigures", 6)?;
            fields.serialize_field("allocations", &self.allocations)?;
            fields.serialize_field("reallocations", &self.reallocations)?;
            fields.serialize_field("frees", &self.frees)?;
            fields.serialize_field("bytes", &self.bytes)?;
            fields.serialize_field("net_bytes", &self.net_bytes)?;
            fields.serialize_field("peak_bytes", &self.peak_bytes)?;
            fields.end()
        }
    }

    /// `heap` is null where nothing was counted; `not_counted` then says why.
    impl Serialize for AllocationReport {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut fields = to.serialize_struct("AllocationReport", 6)?;
            fields.serialize_field("name", self.name)?;
            fields.serialize_field("elapsed_ns", &u64::try_from(self.elapsed.as_nanos()).unwrap_or(u64::MAX))?;
            fields.serialize_field("heap", &self.heap.ok())?;
            fields.serialize_field("not_counted", &self.heap.err().map(|why| why.to_string()))?;
            fields.serialize_field("arena", &self.arena.as_ref().map(Arena))?;
            fields.serialize_field("pool", &self.pool.as_ref().map(Pool))?;
            fields.end()
        }
    }

    impl Serialize for ProcessFigures {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut fields = to.serialize_struct("ProcessFigures", 3)?;
            fields.serialize_field("heap", &self.heap)?;
            fields.serialize_field("peak_error_bytes_max", &self.peak_error_bytes_max)?;
            fields.serialize_field("sizes", &self.sizes)?;
            fields.end()
        }
    }

    /// A map from the largest size of a bucket to its count.
    impl Serialize for SizeHistogram {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut map = to.serialize_map(None)?;
            for (size_max, count) in self.buckets() {
                map.serialize_entry(&size_max, &count)?;
            }
            map.end()
        }
    }

    struct Arena<'a>(&'a ArenaFigures);

    impl Serialize for Arena<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut fields = to.serialize_struct("ArenaFigures", 5)?;
            fields.serialize_field("used_bytes", &self.0.used_bytes)?;
            fields.serialize_field("reserved_bytes", &self.0.reserved_bytes)?;
            fields.serialize_field("wasted_bytes", &self.0.wasted_bytes)?;
            fields.serialize_field("chunks", &self.0.chunks)?;
            fields.serialize_field("high_water_bytes", &self.0.high_water_bytes)?;
            fields.end()
        }
    }

    struct Pool<'a>(&'a PoolFigures);

    impl Serialize for Pool<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut fields = to.serialize_struct("PoolFigures", 7)?;
            fields.serialize_field("acquired", &self.0.acquired)?;
            fields.serialize_field("returned", &self.0.returned)?;
            fields.serialize_field("live", &self.0.live)?;
            fields.serialize_field("created", &self.0.created)?;
            fields.serialize_field("idle", &self.0.idle)?;
            fields.serialize_field("panics_swallowed", &self.0.panics_swallowed)?;
            fields.serialize_field("request_bytes_median", &self.0.request_bytes.quantile(0.5))?;
            fields.end()
        }
    }
}
