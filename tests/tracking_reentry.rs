//! An inner allocator that allocates through the global one, and panicking code around the hook: counts stay right.
#![cfg(feature = "allocation-tracking")]
#![expect(unsafe_code, reason = "an allocator that comes back through the hook")]

use blixard_arena::tracking::{self, AllocationTracker, SiteSum, Sites, TrackingAllocator, TrackingOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static EXTRA: Cell<u64> = const { Cell::new(0) };
}

/// Allocates and frees a block of 333 bytes through the global allocator in each call that is not such a block's own.
struct Reentrant;

fn again() {
    if !INSIDE.replace(true) {
        EXTRA.set(EXTRA.get() + 1);
        drop(black_box(Vec::<u8>::with_capacity(333)));
        INSIDE.set(false);
    }
}

// SAFETY: passes everything on to `System`; what it does besides allocates elsewhere.
unsafe impl GlobalAlloc for Reentrant {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        again();
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        again();
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        again();
        // A refusal now and then: the block stays what it is.
        if size == 77_777 {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's contract.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: TrackingAllocator<Reentrant> = TrackingAllocator::new(Reentrant);

#[inline(never)]
fn refused() -> Vec<u8> {
    let mut vec: Vec<u8> = black_box(Vec::with_capacity(1000));
    assert!(vec.try_reserve_exact(77_777).is_err());
    black_box(vec)
}

#[test]
fn calls_that_come_back_are_counted_once_each() {
    let _tracking = TrackingOptions::new().sites(Sites::Complete).start();
    for _ in 0..2 {
        // On a new thread the very first call comes back while the thread has no slot.
        let thread = std::thread::spawn(|| {
            let before = EXTRA.get();
            let section = AllocationTracker::new("reentrant");
            for _ in 0..100 {
                drop(black_box(Vec::<u8>::with_capacity(50)));
            }
            let heap = section.finish().heap.unwrap();
            (heap, EXTRA.get() - before)
        });
        let (heap, extra) = thread.join().unwrap();
        assert_eq!(extra, 200);
        assert_eq!((heap.allocations, heap.frees, heap.net_bytes), (100 + extra, 100 + extra, 0));
        assert_eq!(heap.bytes, 100 * 50 + extra * 333);
    }

    // A reallocation that fails changes nothing, for counters and site.
    let section = AllocationTracker::new("refused");
    let kept = refused();
    let heap = section.finish().heap.unwrap();
    assert_eq!((heap.reallocations, heap.net_bytes), (0, 1000));
    let live = |profile: &tracking::SiteProfile| {
        let sites = profile.sites.iter().filter(|site| site.place().contains("refused"));
        sites.map(|site| site.sum(SiteSum::LiveBytes)).sum::<u64>()
    };
    assert_eq!(live(&tracking::allocation_sites()), 1000);
    drop(kept);
    assert_eq!(live(&tracking::allocation_sites()), 0);
}
