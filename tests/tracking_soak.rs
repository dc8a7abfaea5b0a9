//! Many allocations over four threads with complete sites: no count is lost, memory stays bounded.
//!
//! `BLIXARD_SOAK_ALLOCATIONS=100000000 cargo test --release --all-features --test tracking_soak` is the long form.
#![cfg(feature = "allocation-tracking")]

use blixard_arena::tracking::{self, SiteSum, Sites, TrackingAllocator, TrackingOptions};
use std::hint::black_box;
use std::sync::mpsc;

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

const THREADS: u64 = 4;

/// Blocks that are handed to the next thread to be freed, one in so many.
const HANDED_ON: u64 = 16;

#[inline(never)]
fn allocates(size: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(size))
}

/// Several sites: the same work so many calls further down.
#[inline(never)]
fn deeper(depth: u64, size: usize) -> Vec<u8> {
    let block = if depth == 0 { allocates(size) } else { deeper(depth - 1, size) };
    black_box(block)
}

/// Memory of the process that is in use, as the system sees it.
fn resident_bytes() -> u64 {
    let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

#[test]
fn no_count_is_lost_and_memory_is_bounded() {
    let asked = std::env::var("BLIXARD_SOAK_ALLOCATIONS").ok().and_then(|n| n.parse().ok());
    let each: u64 = asked.unwrap_or(400_000) / THREADS;
    let _tracking = TrackingOptions::new().sites(Sites::Complete).start();
    let before = tracking::process().unwrap().heap;
    let sites_before = tracking::allocation_sites();
    let resident_before = resident_bytes();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::sync_channel::<Vec<u8>>(64)).unzip();
    std::thread::scope(|scope| {
        for (number, receiver) in (0..THREADS).zip(receivers) {
            let next = senders[usize::try_from((number + 1) % THREADS).unwrap()].clone();
            scope.spawn(move || {
                let mut held: Vec<Vec<u8>> = (0..64).map(|_| Vec::new()).collect();
                for i in 0..each {
                    let block = deeper(i % 13, 16 + usize::try_from(i * 7 % 2000).unwrap());
                    if i % HANDED_ON == 0 {
                        // Full or gone: freed here.
                        _ = next.try_send(block);
                        while let Ok(others) = receiver.try_recv() {
                            drop(others);
                        }
                    } else {
                        let at = usize::try_from(i % 64).unwrap();
                        held[at] = block;
                    }
                }
                drop(next);
            });
        }
        drop(senders);
    });
    let after = tracking::process().unwrap().heap;
    let profile = tracking::allocation_sites();

    let calls = |heap: &tracking::AllocationFigures| heap.allocations + heap.reallocations;
    assert!(calls(&after) - calls(&before) >= THREADS * each);
    // Every call that the counters saw stands under one site, but for what reports take between the looks.
    let sum = |profile: &tracking::SiteProfile, sum| profile.sites.iter().map(|site| site.sum(sum)).sum::<u64>();
    let ours = |profile: &tracking::SiteProfile, of| {
        let made = profile.sites.iter().filter(|site| site.place().contains("allocates"));
        made.map(|site| site.sum(of)).sum::<u64>()
    };
    let made = sum(&profile, SiteSum::Blocks) - sum(&sites_before, SiteSum::Blocks);
    assert!(made >= THREADS * each && made <= calls(&after) - calls(&before), "{made}");
    assert_eq!(ours(&profile, SiteSum::Blocks), THREADS * each, "exactly one per call\n{profile}");
    let bytes: u64 = (0..each).map(|i| 16 + i * 7 % 2000).sum();
    assert_eq!(ours(&profile, SiteSum::Bytes), THREADS * bytes);
    assert_eq!((ours(&profile, SiteSum::LiveBlocks), ours(&profile, SiteSum::LiveBytes)), (0, 0), "all of it is freed");
    assert_eq!(profile.not_followed_blocks, 0);
    let live = after.net_bytes - before.net_bytes;
    assert!(live < 64 << 20, "{live} bytes live");
    let grown = resident_bytes().saturating_sub(resident_before);
    assert!(grown < 256 << 20, "{grown} bytes more in use");
    println!("{} calls, {grown} bytes more in use, symbols included", calls(&after) - calls(&before));
}
