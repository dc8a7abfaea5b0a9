//! Complete sites while other threads hold the loader's lock, resolve symbols, panic, come and go: nothing waits for ever.
#![cfg(feature = "allocation-tracking")]
#![expect(unsafe_code, reason = "a callback of the loader")]

use blixard_arena::tracking::{self, AllocationTracker, Sites, TrackingAllocator, TrackingOptions};
use std::backtrace::Backtrace;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

/// What allocates inside of `dl_iterate_phdr`, with the loader's lock held.
#[cfg(target_os = "linux")]
fn under_the_loaders_lock() -> usize {
    use std::ffi::{c_int, c_void};
    unsafe extern "C" fn note(_: *mut libc::dl_phdr_info, _: usize, seen: *mut c_void) -> c_int {
        // SAFETY: `dl_iterate_phdr` passes on what it was given below, and nobody else has it.
        let seen = unsafe { &mut *seen.cast::<Vec<String>>() };
        seen.push(black_box(format!("object {}", seen.len())));
        0
    }
    let mut seen: Vec<String> = Vec::new();
    // SAFETY: the callback gets this vector, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut seen).cast()) };
    seen.len()
}

#[cfg(not(target_os = "linux"))]
fn under_the_loaders_lock() -> usize {
    1
}

#[test]
fn nothing_waits_for_ever() {
    let _tracking = TrackingOptions::new().sites(Sites::Complete).start();
    let done = AtomicBool::new(false);
    let before = tracking::process().unwrap().heap;
    std::panic::set_hook(Box::new(|_| ()));
    std::thread::scope(|scope| {
        let until_done = |mut work: Box<dyn FnMut() + Send>| {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    work();
                }
            });
        };
        until_done(Box::new(|| assert!(under_the_loaders_lock() > 0)));
        until_done(Box::new(|| assert!(!Backtrace::force_capture().to_string().is_empty())));
        until_done(Box::new(|| {
            let caught = std::panic::catch_unwind(|| {
                let _section = AllocationTracker::new("ends in a panic");
                let _block = black_box(vec![0_u8; 500]);
                std::panic::panic_any(1);
            });
            assert!(caught.is_err());
        }));
        until_done(Box::new(|| {
            let thread = std::thread::spawn(|| black_box(vec![1_u8; 100]).len());
            assert_eq!(thread.join().unwrap(), 100);
        }));
        until_done(Box::new(|| assert!(!tracking::top_allocation_sites(3).is_empty())));
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            drop(black_box(vec![0_u8; 64]));
        }
        done.store(true, Relaxed);
    });
    // The sums are still each other's.
    let after = tracking::process().unwrap().heap;
    let profile = tracking::allocation_sites();
    let sites = profile.sites.iter().map(|site| site.blocks).sum::<u64>() + profile.own.blocks;
    let calls = |heap: &tracking::AllocationFigures| heap.allocations + heap.reallocations;
    assert!(sites >= calls(&after) - calls(&before), "{sites} under sites, {} counted", calls(&after) - calls(&before));
}
