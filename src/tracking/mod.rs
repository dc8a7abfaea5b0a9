//! Allocation figures: how much a section, a task or the process allocates, cheap enough to stay on.
//!
//! | take | for |
//! |---|---|
//! | [`TrackingAllocator`] | the hook: wraps the program's global allocator |
//! | [`AllocationTracker`], [`track_allocations!`](crate::track_allocations) | a section on one thread |
//! | [`Track::tracked`] | a task, over its awaits and threads |
//! | [`process`] | everything since the process began |
//! | [`start`], [`TrackingOptions`] | sites and printing, from the environment or from code |
//! | `top_allocation_sites`, `allocation_sites` | where memory comes from, and what of it is live |
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
//!
//! # Finding a leak in five minutes
//!
//! 1. Wrap the program's allocator as above, and put `let _tracking = tracking::start();` first into `main`.
//! 2. Run it with `BLIXARD_PRINT_ALLOCATIONS=1`. The process's `net` is what was still live at the end. A service prints
//!    [`process`] now and then instead: `net_bytes` that rises with the requests is a leak, or a cache without a bound.
//! 3. Add `BLIXARD_TRACK_ALLOCATION_SITES=1` (or `=sample` under load). The second table at exit has the sites with most bytes
//!    live on top, with file, line and callers. From code: `tracking::allocation_sites().to_table(20, SiteSum::LiveBytes)`.
//! 4. Take two such looks with work between them. What the program needs is the same in both; what has grown with the
//!    work is the leak. `cargo run --release --example find_a_leak --features allocation-tracking` does that in code.
//!
//! The program needs debug information for files and lines: `debug = "line-tables-only"` in its release profile is enough, and
//! unwind tables, which every program has unless they were turned off.
//!
//! # What is counted where
//!
//! A call belongs to the thread that makes it; a block freed elsewhere than it was made lowers the other thread's balance, so
//! `net_bytes` of a section can be below zero. A reallocation asks for its new size and gives the old one back, as in dhat.
//! What an arena hands out is no call: hand its figures to [`AllocationReport::with_arena`], and one line shows both.

mod allocator;
#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
mod counters;
#[cfg(not(all(feature = "allocation-tracking", not(blixard_loom))))]
#[path = "off.rs"]
mod counters;
mod options;
mod report;
mod section;
#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
mod sites;
#[cfg(any(all(feature = "allocation-tracking", not(blixard_loom)), all(test, blixard_loom)))]
mod slots;
mod task;

#[cfg(all(test, blixard_loom))]
mod loom_models;

pub use allocator::TrackingAllocator;
pub use options::{Sites, Tracking, TrackingOptions};
pub use report::{AllocationFigures, AllocationReport, NotCounted, ProcessFigures, SizeHistogram};
pub use section::AllocationTracker;
#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
pub use sites::profile::{AllocationSite, SiteFrame, SiteProfile, SiteSum};
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

/// Reads `BLIXARD_TRACK_ALLOCATION_SITES` and `BLIXARD_PRINT_ALLOCATIONS` and begins what they ask for: first in `main`.
///
/// | value | |
/// |---|---|
/// | `BLIXARD_TRACK_ALLOCATION_SITES=1` | each call's site, exactly |
/// | `BLIXARD_TRACK_ALLOCATION_SITES=sample` | a sample per 512 KiB asked for, on average |
/// | `BLIXARD_TRACK_ALLOCATION_SITES=sample:BYTES` | a sample per so many bytes |
/// | `BLIXARD_PRINT_ALLOCATIONS=1` | a line on stderr per tracked section and task; at exit one on the process, and the top sites |
///
/// The same from code: [`TrackingOptions`].
///
/// ```
/// use blixard_arena::tracking;
///
/// fn main() {
///     let _tracking = tracking::start(); // held to the end of main
/// }
/// ```
pub fn start() -> Tracking {
    TrackingOptions::from_env().start()
}

/// The `n` sites from which most bytes were asked for; empty while sites are off.
///
/// ```
/// use blixard_arena::tracking::{self, Sites, TrackingAllocator, TrackingOptions};
///
/// #[global_allocator]
/// static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
///
/// let _tracking = TrackingOptions::new().sites(Sites::Complete).start();
/// let cache = vec![0_u8; 1 << 20];
/// let top = &tracking::top_allocation_sites(1)[0];
/// assert_eq!((top.bytes, top.live_bytes), (1 << 20, 1 << 20));
/// println!("{}", top.place());
/// # drop(cache);
/// ```
#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
#[must_use]
pub fn top_allocation_sites(n: usize) -> Vec<AllocationSite> {
    let mut sites = allocation_sites().sites;
    sites.truncate(n);
    sites
}

/// All sites at this moment: for tables, JSON, folded stacks and pprof.
///
/// ```
/// # use blixard_arena::tracking;
/// eprintln!("{}", tracking::allocation_sites());
/// ```
#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
#[must_use]
pub fn allocation_sites() -> SiteProfile {
    SiteProfile::take()
}

#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
fn start_sites(sites: Sites, frames_max: usize) {
    let rate = match sites {
        Sites::Complete => 1,
        Sites::Sampled { bytes } => bytes.max(1),
    };
    sites::start(rate, frames_max);
}

#[cfg(not(all(feature = "allocation-tracking", not(blixard_loom))))]
fn start_sites(_: Sites, _: usize) {}

/// The report at exit.
fn print_process() {
    let Ok(figures) = process() else { return };
    options::print_line(&figures);
    #[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
    if sites::rate() != 0 {
        /// Sites in the report.
        const SHOWN: usize = 10;
        let profile = allocation_sites();
        options::print_block(&format_args!("\nmost bytes\n{}", profile.to_table(SHOWN, SiteSum::Bytes)));
        options::print_block(&format_args!("\nmost bytes live\n{}", profile.to_table(SHOWN, SiteSum::LiveBytes)));
    }
}
