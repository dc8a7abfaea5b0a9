//! Allocation figures: how much a section, a task or the process allocates, cheap enough to stay on.
//!
//! | take | for |
//! |---|---|
//! | [`TrackingAllocator`] | the hook: wraps the program's global allocator |
//! | [`AllocationTracker`], [`track_allocations!`](crate::track_allocations) | a section on one thread |
//! | [`Track::tracked`] | a task, over its awaits and threads |
//! | [`process`] | everything since the process began |
//!
//! The module is always there; it counts with the feature `allocation-tracking`. Without it the allocator is the inner one and
//! nothing else, and reports say [`NotCounted::FeatureOff`]; so the calls may stay in a program, and a feature of its own
//! turns them on.
//!
//! ```
//! use blixard_arena::tracking::{AllocationReport, AllocationTracker, TrackingAllocator};
//!
//! #[global_allocator]
//! static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
//!
//! let section = AllocationTracker::new("names");
//! let names: Vec<String> = ["vm-1", "vm-2"].map(str::to_owned).into();
//! let report = section.finish();
//! println!("{}\n{report}", AllocationReport::HEADING);
//! # if cfg!(feature = "allocation-tracking") {
//! assert_eq!(report.heap.unwrap().allocations, 3);
//! # }
//! # drop(names);
//! ```

mod allocator;
#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
mod counters;
#[cfg(not(all(feature = "allocation-tracking", not(blixard_loom))))]
#[path = "off.rs"]
mod counters;
mod report;
mod section;
mod task;

pub use allocator::TrackingAllocator;
pub use report::{AllocationFigures, AllocationReport, NotCounted, ProcessFigures, SizeHistogram};
pub use section::AllocationTracker;
pub use task::{Track, Tracked};

/// What all threads have allocated since the process began.
///
/// No heap allocation (but one of a byte in a program where nothing was ever counted, to find out whether it is).
///
/// # Errors
///
/// [`NotCounted`], if the feature is off or the program's global allocator is another one.
///
/// ```
/// # use blixard_arena::tracking::{self, TrackingAllocator};
/// # #[global_allocator]
/// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
/// match tracking::process() {
///     Ok(figures) => println!("{} bytes live, {} at most", figures.heap.net_bytes, figures.heap.peak_bytes),
///     Err(why) => println!("{why}"),
/// }
/// ```
pub fn process() -> Result<ProcessFigures, NotCounted> {
    counters::process()
}
