//! Tracking allocates nothing itself: not for calls, sections, tasks, sites or the process's figures, from the first one on.
//!
//! Over the public API, with dhat under the hook in its testing mode: it sees what the program asks for, and whatever the
//! hook would. This file holds one test, because dhat counts the whole process.
#![cfg(feature = "allocation-tracking")]

mod blocks;

use blixard_arena::track_allocations;
use blixard_arena::tracking::{self, AllocationTracker, Sites, Track as _, TrackingAllocator, TrackingOptions};
use blocks::{calls, wait_for_the_harness};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[global_allocator]
static ALLOCATOR: TrackingAllocator<dhat::Alloc> = TrackingAllocator::new(dhat::Alloc);

/// Nested sections, a task of three polls, the process's figures; `blocks` is what the program itself asks for in it.
fn round(blocks: u64) {
    let before = calls();
    let outer = AllocationTracker::new("outer");
    for size in 1..=blocks {
        let ((), report) = track_allocations!("inner", {
            drop(black_box(vec![0_u8; usize::try_from(size).expect("small")]));
        });
        assert!(report.heap.is_ok_and(|heap| heap.allocations >= 1), "and what dhat asks for on its own account");
    }
    let mut polls = 0;
    let task = std::future::poll_fn(|_| {
        polls += 1;
        if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
    });
    let mut task = pin!(task.tracked("task"));
    let mut context = Context::from_waker(Waker::noop());
    while task.as_mut().poll(&mut context).is_pending() {}
    assert!(tracking::process().is_ok_and(|figures| figures.heap.allocations >= blocks));
    assert!(outer.finish().heap.is_ok_and(|heap| heap.allocations >= blocks));
    let after = calls();
    assert_eq!((after.0 - before.0, after.1), (blocks, before.1), "the program's own blocks");
}

#[test]
fn the_hook_asks_for_no_memory() {
    let _profiler = dhat::Profiler::builder().testing().build();
    wait_for_the_harness();
    (0..100).for_each(round);
    // Its tables are statics: nothing more with each call's site. Turning them on prepares the walks, once.
    let before = calls();
    let tracking = TrackingOptions::new().sites(Sites::Complete).start();
    let blocks = calls().0 - before.0;
    assert!(blocks <= 8, "{blocks} blocks to turn sites on");
    (0..100).for_each(round);
    drop(tracking);
    // A report on them is on the heap, and gone when it is dropped, but for what std keeps of the program's symbols.
    drop(tracking::allocation_sites());
    let live = calls().1;
    drop(tracking::allocation_sites());
    assert_eq!(calls().1, live);
}
