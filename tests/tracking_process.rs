//! The process's figures: no count lost over threads that come and go, the peak within its bound, over mimalloc's twin too.
#![cfg(feature = "allocation-tracking")]
#![expect(unsafe_code, reason = "the system's thread-specific data")]
#![expect(clippy::unwrap_used, reason = "a test: what cannot be had ends it")]

use blixard_arena::tracking::{self, TrackingAllocator};
use std::hint::black_box;
use std::sync::Barrier;

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

/// The system's own thread-specific data: its destructors run after those of Rust's thread-locals.
#[cfg(target_os = "linux")]
mod after_the_end {
    use std::hint::black_box;

    unsafe extern "C" fn allocate(_: *mut libc::c_void) {
        for _ in 0..50 {
            let mut block = black_box(Vec::<u8>::with_capacity(30_000));
            block.reserve_exact(40_000);
            drop(black_box(block));
            drop(black_box(vec![0_u8; 70_000]));
        }
    }

    pub(crate) fn run() {
        let mut key = 0;
        // SAFETY: a place for the key, and a destructor that takes any pointer.
        assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(allocate)) }, 0);
        let thread = std::thread::spawn(move || {
            let some = std::ptr::without_provenance::<libc::c_void>(1);
            // SAFETY: the key was made above; the value is never looked at.
            assert_eq!(unsafe { libc::pthread_setspecific(key, some) }, 0);
        });
        thread.join().unwrap();
    }
}

/// One test, so that nothing else runs beside it.
#[test]
fn the_whole_process() {
    let outset = tracking::process().unwrap();

    // Threads that come and go, eight at a time; what each does is counted, and their slots are used again.
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for size in 1..=1000_usize {
                        drop(black_box(Vec::<u8>::with_capacity(size)));
                    }
                });
            }
        });
    }
    let after = tracking::process().unwrap();
    let (now, then) = (&after.heap, &outset.heap);
    let counted = now.allocations - then.allocations;
    assert!((160_000..170_000).contains(&counted), "{counted}");
    let bytes = now.bytes - then.bytes;
    assert!((160 * 500_500..160 * 500_500 + 1_000_000).contains(&bytes), "{bytes}");
    let live = now.net_bytes - then.net_bytes;
    assert!((-64_000..64_000).contains(&live), "{live}");
    // 1, 2-3, 4-7, ... in 160 threads each.
    for (size_max, count) in [(1, 1), (3, 2), (7, 4), (127, 64), (511, 256)] {
        let of = |sizes: &tracking::SizeHistogram| sizes.buckets().find(|(max, _)| *max == size_max).map_or(0, |b| b.1);
        let grown = of(&after.sizes) - of(&outset.sizes);
        assert!(grown >= 160 * count && grown < 160 * count + 6000, "{size_max}: {grown}");
    }
    assert_eq!(after.sizes.buckets().map(|(_, count)| count).sum::<u64>(), now.allocations);
    // The main thread, the test's thread and eight more at one time.
    assert!((65_536..=11 * 65_536).contains(&after.peak_error_bytes_max), "{}", after.peak_error_bytes_max);

    // A known peak over four threads, each a little below the step at which it tells: off by no more than the bound.
    let before = tracking::process().unwrap();
    let (full, empty) = (Barrier::new(4), Barrier::new(4));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let blocks: Vec<Vec<u8>> = (0..60).map(|_| black_box(Vec::with_capacity(1000))).collect();
                let large = black_box(Vec::<u8>::with_capacity(16 << 20));
                full.wait();
                drop((blocks, large));
                empty.wait();
            });
        }
    });
    let after = tracking::process().unwrap();
    let truth = before.heap.net_bytes.unsigned_abs() + 4 * (60_000 + (16 << 20));
    let off = after.heap.peak_bytes.abs_diff(truth);
    assert!(off < after.peak_error_bytes_max + 64_000, "peak {} for {truth}", after.heap.peak_bytes);

    // What a thread allocates when it has ended for Rust, destructors of thread-locals and all, is still counted.
    #[cfg(target_os = "linux")]
    {
        let before = tracking::process().unwrap().heap;
        after_the_end::run();
        let after = tracking::process().unwrap().heap;
        let late = (after.allocations - before.allocations, after.bytes - before.bytes);
        assert!(late.0 >= 100 && (late.1 >= 100 * 70_000 && late.1 < 101 * 70_000), "{late:?}");
        let live = after.net_bytes - before.net_bytes;
        assert!((-64_000..64_000).contains(&live), "{live}");
    }

    // Blocks freed by another thread than their maker's: balances go below zero, the sum does not.
    let (send, receive) = std::sync::mpsc::channel::<Vec<u8>>();
    std::thread::scope(|scope| {
        scope.spawn(|| receive.into_iter().for_each(drop));
        for _ in 0..1000 {
            send.send(Vec::with_capacity(100_000)).unwrap();
        }
        drop(send);
    });
    let end = tracking::process().unwrap();
    let left = end.heap.net_bytes - before.heap.net_bytes;
    assert!((-64_000..64_000).contains(&left), "{left}");
    assert!(end.to_string().starts_with("process"));
}
