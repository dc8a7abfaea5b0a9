//! dhat is the reference: over one section of one thread our totals are dhat's, block by block and byte by byte.
#![cfg(feature = "allocation-tracking")]
#![expect(unsafe_code, reason = "a global allocator that both count behind")]

use blixard_arena::tracking::{self, AllocationTracker, SiteSum, Sites, TrackingAllocator, TrackingOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

thread_local! {
    /// Set while a call is under way: what dhat itself allocates then is neither's. And on every thread but the test's, since
    /// dhat's totals are those of all threads.
    static PAST_BOTH: Cell<bool> = const { Cell::new(true) };
}

/// Ours over dhat's; dhat's own allocations go past both.
struct Both(TrackingAllocator<dhat::Alloc>);

#[global_allocator]
static ALLOCATOR: Both = Both(TrackingAllocator::new(dhat::Alloc));

fn through<R>(call: impl FnOnce(bool) -> R) -> R {
    let outermost = !PAST_BOTH.replace(true);
    let result = call(outermost);
    if outermost {
        PAST_BOTH.set(false);
    }
    result
}

// SAFETY: passes everything on, to `System` in the end on either way.
unsafe impl GlobalAlloc for Both {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        through(|outermost| {
            // SAFETY: the caller's contract.
            if outermost { unsafe { self.0.alloc(layout) } } else { unsafe { System.alloc(layout) } }
        })
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        through(|outermost| {
            // SAFETY: the caller's contract.
            if outermost { unsafe { self.0.alloc_zeroed(layout) } } else { unsafe { System.alloc_zeroed(layout) } }
        })
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        through(|outermost| {
            if outermost {
                // SAFETY: the caller's contract.
                unsafe { self.0.realloc(at, layout, size) }
            } else {
                // SAFETY: the caller's contract.
                unsafe { System.realloc(at, layout, size) }
            }
        })
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        through(|outermost| {
            // SAFETY: the caller's contract.
            if outermost { unsafe { self.0.dealloc(at, layout) } } else { unsafe { System.dealloc(at, layout) } }
        });
    }
}

type Map = HashMap<String, Vec<u64>, BuildHasherDefault<DefaultHasher>>;

/// Grows, shrinks, zeroes, moves and frees; keeps a part. The hash has no seed, so each run does the same.
fn work() -> (Map, Vec<u8>, Box<[u16]>) {
    let mut map = Map::default();
    for i in 0..2000_u64 {
        let name = format!("vm-{}", i % 700);
        map.entry(name).or_default().extend(0..i % 13);
        if i % 3 == 0 {
            map.remove(&format!("vm-{}", i % 500));
        }
    }
    let mut bytes = vec![0_u8; 100_000];
    bytes.truncate(1000);
    bytes.shrink_to_fit();
    bytes.reserve_exact(5000);
    let numbers: Vec<u16> = (0..999).filter(|n| n % 2 == 0).collect();
    (map, bytes, numbers.into_boxed_slice())
}

#[test]
fn totals_equal_dhats() {
    PAST_BOTH.set(false);
    let _profiler = dhat::Profiler::builder().testing().build();
    let _tracking = TrackingOptions::new().sites(Sites::Complete).start();
    let sites_before = tracking::allocation_sites();
    let before = dhat::HeapStats::get();

    let section = AllocationTracker::new("work");
    let kept = work();
    let report = section.finish();

    let after = dhat::HeapStats::get();
    let heap = report.heap.expect("installed");
    assert_eq!(heap.allocations + heap.reallocations, after.total_blocks - before.total_blocks);
    assert_eq!(heap.bytes, after.total_bytes - before.total_bytes);
    let live = |stats: &dhat::HeapStats| i64::try_from(stats.curr_bytes).expect("small");
    assert_eq!(heap.net_bytes, live(&after) - live(&before));
    assert!(heap.allocations > 2000 && heap.reallocations > 100 && heap.frees > 1000, "{heap:?}");
    // dhat's peak is since it began; ours since the section did, from what was live then.
    let peak = i64::try_from(heap.peak_bytes).expect("small");
    assert_eq!(peak + live(&before), i64::try_from(after.max_bytes).expect("small"));

    // The sites' sums too: what reports take is not among them, and no other thread works.
    let sites = tracking::allocation_sites();
    let sum = |profile: &tracking::SiteProfile, sum| profile.sites.iter().map(|site| site.sum(sum)).sum::<u64>();
    let grown = |of| sum(&sites, of) - sum(&sites_before, of);
    assert_eq!(grown(SiteSum::Blocks), after.total_blocks - before.total_blocks, "{sites}");
    assert_eq!(grown(SiteSum::Bytes), after.total_bytes - before.total_bytes);
    assert_eq!(grown(SiteSum::LiveBytes), (after.curr_bytes - before.curr_bytes) as u64);
    assert_eq!(grown(SiteSum::LiveBlocks), (after.curr_blocks - before.curr_blocks) as u64);
    drop(kept);
    PAST_BOTH.set(true);
}
