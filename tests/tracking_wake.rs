//! Sites are turned on while threads allocate: each hears of it at its next call, those that run already and those that begin meanwhile.
//!
//! A thread that did not hear would go on to a sample that was drawn while there was no rate: it would never come.
#![cfg(feature = "allocation-tracking")]

use blixard_arena::tracking::{self, SiteSum, Sites, TrackingAllocator, TrackingOptions};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

/// Threads that have allocated; and whether sites are on.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
static ON: AtomicUsize = AtomicUsize::new(0);

/// A sample per so many bytes, and what each thread asks for once sites are on.
const RATE: u64 = 4 << 10;
const BLOCKS: u64 = 8_000;
const BLOCK: u64 = 256;

/// A place to allocate for each thread, so that the sites tell them apart.
macro_rules! places {
    ($($name:ident)*) => {
        $(#[inline(never)]
        fn $name() {
            drop(black_box(Vec::<u8>::with_capacity(usize::try_from(BLOCK).expect("small"))));
        })*
        const PLACES: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}
places!(runs_one runs_two runs_three runs_four begins_one begins_two);

fn allocate_until_on(place: fn()) {
    place();
    RUNNING.fetch_add(1, SeqCst);
    while ON.load(SeqCst) == 0 {
        place();
    }
    for _ in 0..BLOCKS {
        place();
    }
}

#[test]
fn every_thread_hears_that_sites_are_on() {
    let (running, beginning) = PLACES.split_at(4);
    let tracking = std::thread::scope(|scope| {
        for (_, place) in running {
            scope.spawn(|| allocate_until_on(*place));
        }
        while RUNNING.load(SeqCst) < running.len() {
            std::thread::yield_now();
        }
        // These begin beside the start.
        for (_, place) in beginning {
            scope.spawn(|| allocate_until_on(*place));
        }
        let tracking = TrackingOptions::new().sites(Sites::Sampled { bytes: RATE }).start();
        std::thread::sleep(Duration::from_millis(5));
        ON.store(1, SeqCst);
        tracking
    });
    let profile = tracking::allocation_sites();
    for (name, _) in PLACES {
        let bytes: u64 =
            profile.sites.iter().filter(|site| site.place().contains(name)).map(|site| site.sum(SiteSum::Bytes)).sum();
        // 500 samples from when all had to have heard; what was asked for before comes on top.
        assert!(bytes > BLOCKS * BLOCK / 2, "{name}: {bytes} bytes of {} and more\n{profile}", BLOCKS * BLOCK);
    }
    drop(tracking);
}
