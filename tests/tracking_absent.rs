//! Where no tracking allocator is installed, or the feature is off, trackers say so.

use blixard_arena::track_allocations;
use blixard_arena::tracking::{self, AllocationTracker, NotCounted, Track as _};
use std::process::Command;

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

#[test]
fn what_cannot_be_counted_is_said_once() {
    const CHILD: &str = "BLIXARD_TRACKING_ABSENT_CHILD";
    if std::env::var_os(CHILD).is_some() {
        drop(tracking::start());
        return;
    }
    let own = std::env::current_exe().expect("a test has a path");
    let mut command = Command::new(own);
    command.args(["what_cannot_be_counted_is_said_once", "--exact", "--nocapture"]).env(CHILD, "1");
    for variable in ["BLIXARD_TRACK_ALLOCATION_SITES", "BLIXARD_PRINT_ALLOCATIONS"] {
        command.env_remove("BLIXARD_TRACK_ALLOCATION_SITES").env_remove("BLIXARD_PRINT_ALLOCATIONS");
        let quiet = command.output().expect("the test runs");
        assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");
        let loud = command.env(variable, "1").output().expect("the test runs");
        let said = String::from_utf8_lossy(&loud.stderr).into_owned();
        assert!(loud.status.success() && said.lines().count() == 1, "{said}");
        assert_eq!(said.trim_end(), format!("blixard-arena: {WHY}"));
    }
}

#[test]
fn the_allocator_is_no_larger_than_the_one_it_wraps() {
    use blixard_arena::tracking::TrackingAllocator;
    assert_eq!(size_of::<TrackingAllocator>(), 0);
    assert_eq!(size_of::<TrackingAllocator<[u8; 24]>>(), 24);
}
