//! Requests far beyond the usual ones are told apart: how many there were, and how many requests called the allocator at all.

mod common;

use profiling::counting::{CountingAllocator, CountingProbe};
use profiling::input;
use profiling::strategy::Name;
use profiling::worker::Job;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn calls_of_outliers_do_not_hide_in_the_mean_of_all_requests() {
    const OUTLIERS: u64 = 8;
    let tasks = input::generate::tasks(300, 7);
    let usual = input::requests(&tasks[..16 * 4], 4, 7);
    let huge = input::requests(&tasks[64..], 236, 7);
    // A pass of fifteen usual requests and a huge one, sixteen times; half of it in the second half.
    let pass: Vec<_> = usual.into_iter().take(15).chain(huge).collect();
    let requests = pass.len() * usize::try_from(2 * OUTLIERS).unwrap();
    let job = Job { requests, batch: 236, pass, ..common::small_job(1) };
    let run = |strategy| Job { strategy, ..job.clone() }.run(&CountingProbe::default()).unwrap();
    for name in [Name::Arena, Name::SharedArena] {
        let outcome = run(name);
        let (arenas, allocator) = (outcome.arenas.unwrap(), outcome.allocator.unwrap());
        assert_eq!(arenas.outliers, 2 * OUTLIERS, "{name}: {arenas:?}");
        assert!(arenas.largest_bytes > 20 * arenas.median_bytes, "{name}: {arenas:?}");
        // What an outlier needed is given back: each asks anew. Others do so seldom.
        let calling = allocator.steady_requests_calling;
        assert!((OUTLIERS..3 * OUTLIERS).contains(&calling), "{name}: {calling} of {}", allocator.steady_requests);
        assert!(allocator.steady_calls >= allocator.steady_calls_most + calling - 1, "{name}: {allocator:?}");
        assert!(allocator.steady_calls <= allocator.steady_calls_most * calling, "{name}: {allocator:?}");
    }
    let outcome = run(Name::Heap);
    let allocator = outcome.allocator.unwrap();
    assert_eq!((outcome.arenas, allocator.steady_requests_calling), (None, allocator.steady_requests));
}
