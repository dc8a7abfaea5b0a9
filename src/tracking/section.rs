//! `AllocationTracker`: a section of a thread's work, from `new` to `finish`.
//!
//! Stands over the counters: it looks at its thread's sums twice and takes the difference.
//!
//! Invariants: a section ends on the thread that began it, at the latest when the tracker is dropped, by a panic too. Sections
//! nest and overlap; 32 of a thread's open sections have peaks of their own, one opened beyond that reports as its peak
//! what was live at its end.
//! Cost: two walks over some 50 counters, no heap allocation.
#![forbid(unsafe_code)]

use super::counters::Section;
use super::options::print_section;
use super::report::{AllocationReport, NotCounted};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::time::Instant;

/// Counts what the calling thread allocates between [`new`](Self::new) and [`finish`](Self::finish).
///
/// Blocks that other threads free or allocate meanwhile belong to those threads. A tracker stays on its thread; for work that
/// moves between threads there is [`tracked`](super::Track::tracked).
///
/// ```
/// # use blixard_arena::tracking::{AllocationTracker, TrackingAllocator};
/// # #[global_allocator]
/// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
/// let request = AllocationTracker::new("request");
/// let parse = AllocationTracker::new("parse"); // a section within a section
/// let words: Vec<&str> = "vm-1 4 cores".split(' ').collect();
/// println!("{}", parse.finish());
/// let upper: String = words.concat().to_uppercase();
/// println!("{}", request.finish());
/// # drop(upper);
/// ```
#[derive(Debug)]
#[must_use = "the section ends when the tracker is dropped, and its report is lost"]
pub struct AllocationTracker {
    name: &'static str,
    began: Instant,
    section: Result<Section, NotCounted>,
    /// Its figures are its thread's.
    _not_send: PhantomData<*const ()>,
}

impl AllocationTracker {
    /// Begins a section. No heap allocation (but one of a byte in a program where nothing was ever counted, to find out
    /// whether it is).
    ///
    /// ```
    /// # use blixard_arena::tracking::AllocationTracker;
    /// let section = AllocationTracker::new("load configs");
    /// assert_eq!(section.finish().name, "load configs");
    /// ```
    pub fn new(name: &'static str) -> Self {
        let section = Section::open();
        Self { name, began: Instant::now(), section, _not_send: PhantomData }
    }

    /// Ends the section. No heap allocation.
    ///
    /// On a thread that is ending, once its counters have gone to another one, the figures are those up to that moment.
    ///
    /// ```
    /// # use blixard_arena::tracking::{AllocationTracker, TrackingAllocator};
    /// # #[global_allocator]
    /// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
    /// let section = AllocationTracker::new("one box");
    /// let number = Box::new(7);
    /// let report = section.finish();
    /// # if cfg!(feature = "allocation-tracking") {
    /// let heap = report.heap.unwrap();
    /// assert_eq!((heap.allocations, heap.bytes, heap.net_bytes, heap.peak_bytes), (1, 4, 4, 4));
    /// # }
    /// # drop(number);
    /// ```
    #[must_use]
    pub fn finish(self) -> AllocationReport {
        // Ended here, so not once more by its drop; it owns nothing.
        ManuallyDrop::new(self).end()
    }

    fn end(&self) -> AllocationReport {
        let heap = self.section.map(Section::close);
        let report = AllocationReport { name: self.name, elapsed: self.began.elapsed(), heap, arena: None, pool: None };
        print_section(&report);
        report
    }
}

impl Drop for AllocationTracker {
    fn drop(&mut self) {
        _ = self.end();
    }
}

/// Runs a block as a section: its value and its report.
///
/// ```
/// # use blixard_arena::tracking::TrackingAllocator;
/// # #[global_allocator]
/// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
/// use blixard_arena::track_allocations;
///
/// let (names, report) = track_allocations!("names", { vec!["vm-1".to_owned(), "vm-2".to_owned()] });
/// # if cfg!(feature = "allocation-tracking") {
/// assert_eq!(report.heap.unwrap().allocations, 3);
/// # }
/// # drop(names);
/// ```
#[macro_export]
macro_rules! track_allocations {
    ($name:expr, $block:block) => {{
        let section = $crate::tracking::AllocationTracker::new($name);
        let value = $block;
        (value, section.finish())
    }};
}
