//! Where no tracking allocator is installed, or the feature is off, trackers say so.

use blixard_arena::track_allocations;
use blixard_arena::tracking::{self, AllocationTracker, NotCounted, Track as _};

const WHY: NotCounted =
    if cfg!(feature = "allocation-tracking") { NotCounted::NotInstalled } else { NotCounted::FeatureOff };

#[test]
fn nothing_reads_zero() {
    let section = AllocationTracker::new("section");
    drop(std::hint::black_box(vec![1, 2, 3]));
    let report = section.finish();
    assert_eq!(report.heap, Err(WHY));
    assert!(report.to_string().contains("not counted: "), "{report}");
    let (value, report) = track_allocations!("macro", { 7 });
    assert_eq!((value, report.heap), (7, Err(WHY)));
    assert_eq!(tracking::process().unwrap_err(), WHY);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (value, report) = runtime.block_on(async { 8 }.tracked("task"));
    assert_eq!((value, report.heap), (8, Err(WHY)));
}
