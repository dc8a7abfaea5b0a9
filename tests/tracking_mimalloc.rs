//! The hook over another allocator than the system's: what passes through is counted and works.
#![cfg(feature = "allocation-tracking")]

use blixard_arena::tracking::{AllocationTracker, TrackingAllocator};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: TrackingAllocator<mimalloc::MiMalloc> = TrackingAllocator::new(mimalloc::MiMalloc);

#[test]
fn counts_over_mimalloc() {
    let section = AllocationTracker::new("mimalloc");
    let zeroed = black_box(vec![0_u8; 10_000]);
    let mut grown = black_box(Vec::<u64>::with_capacity(4));
    grown.extend(0..4);
    grown.reserve_exact(1000);
    assert_eq!(&grown[..], [0, 1, 2, 3]);
    assert!(zeroed.iter().all(|byte| *byte == 0));
    drop(grown);
    let heap = section.finish().heap.unwrap();
    assert_eq!((heap.allocations, heap.reallocations, heap.frees), (2, 1, 1));
    assert_eq!((heap.bytes, heap.net_bytes), (10_000 + 32 + 8 * 1004, 10_000));
    drop(zeroed);
    let threads: Vec<_> = (0..4).map(|n| std::thread::spawn(move || vec![n; 1000])).collect();
    for (n, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap(), vec![n; 1000]);
    }
}
