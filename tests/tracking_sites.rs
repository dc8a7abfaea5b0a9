//! Complete sites: each call is under one site, a leak shows where it was made, totals are those of the counters.
#![cfg(feature = "allocation-tracking")]

use blixard_arena::tracking::{self, SiteSum, Sites, TrackingAllocator, TrackingOptions};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

#[inline(never)]
fn leaks_here(blocks: usize) -> Vec<Vec<u8>> {
    let mut kept = Vec::with_capacity(blocks);
    for _ in 0..blocks {
        kept.push(black_box(vec![1; 321]));
    }
    kept
}

#[inline(never)]
fn churns_here(blocks: usize) {
    for _ in 0..blocks {
        drop(black_box(Box::new([1_u8; 999])));
    }
}

#[inline(never)]
fn grows_here() -> Vec<u8> {
    let mut vec = black_box(Vec::with_capacity(1000));
    vec.resize(1000, 0);
    vec.reserve_exact(4000);
    black_box(vec)
}

fn site_of(profile: &tracking::SiteProfile, function: &str) -> tracking::AllocationSite {
    let mut found = profile.sites.iter().filter(|site| site.place().contains(function)).cloned().collect::<Vec<_>>();
    found.sort_by_key(|site| site.bytes);
    found.pop().unwrap_or_else(|| panic!("no site in {function}:\n{profile}"))
}

/// One test, so that nothing else runs beside it.
#[test]
fn complete_sites() {
    // Sites are off: nothing.
    assert!(tracking::top_allocation_sites(3).is_empty());
    let before_sites = black_box(vec![0_u8; 5000]);
    let _tracking = TrackingOptions::new().sites(Sites::Complete).start();
    // A second wish changes neither the mode nor the depth.
    let _again = TrackingOptions::new().sites(Sites::Sampled { bytes: 1 << 20 }).frames_max(1).start();
    let before = tracking::process().unwrap().heap;
    let kept = leaks_here(100);
    churns_here(1000);
    let grown = grows_here();
    // A block from before is nobody's.
    drop(before_sites);
    let after = tracking::process().unwrap().heap;
    let profile = tracking::allocation_sites();

    assert_eq!((profile.sample_bytes, profile.not_followed_blocks), (1, 0));
    let leak = site_of(&profile, "leaks_here");
    assert_eq!((leak.blocks, leak.bytes), (100, 32_100));
    assert_eq!((leak.live_blocks, leak.live_bytes), (100, 32_100), "a leak shows");
    assert!(leak.frames.iter().any(|frame| frame.function.contains("complete_sites")), "{profile}");
    assert!(leak.place().contains("tracking_sites.rs:"), "{}", leak.place());
    let churn = site_of(&profile, "churns_here");
    assert_eq!((churn.blocks, churn.bytes, churn.live_blocks, churn.live_bytes), (1000, 999_000, 0, 0));
    // As dhat has it: a reallocation is a block of its new size more, and the block stays its first site's.
    let growth = site_of(&profile, "grows_here");
    assert_eq!((growth.blocks, growth.bytes, growth.live_blocks, growth.live_bytes), (2, 6000, 1, 5000));

    // Every call that was counted is under a site.
    let calls = after.allocations + after.reallocations - before.allocations - before.reallocations;
    let sum = |sum| profile.sites.iter().map(|site| site.sum(sum)).sum::<u64>();
    assert_eq!(sum(SiteSum::Blocks), calls, "{profile}");
    assert_eq!(sum(SiteSum::Bytes), after.bytes - before.bytes);

    // What ends on other threads ends for its site too.
    std::thread::spawn(move || drop((kept, grown))).join().unwrap();
    let profile = tracking::allocation_sites();
    assert_eq!(site_of(&profile, "leaks_here").live_blocks, 0);
    assert_eq!(site_of(&profile, "grows_here").live_bytes, 0);
    assert_eq!(tracking::top_allocation_sites(2).len(), 2);
    assert!(profile.to_table(3, SiteSum::Bytes).lines().count() > 3);

    // What a report allocates is its own.
    let again = tracking::allocation_sites();
    assert_eq!(site_of(&again, "churns_here").blocks, 1000);
    assert!(again.own.blocks > profile.own.blocks);

    // A second start changes nothing: sites stay what they were.
    let _second = TrackingOptions::new().sites(Sites::Sampled { bytes: 1 << 20 }).start();
    churns_here(10);
    let profile = tracking::allocation_sites();
    assert_eq!(profile.sample_bytes, 1);
    let blocks = profile.sites.iter().filter(|site| site.place().contains("churns_here")).map(|site| site.blocks);
    assert_eq!(blocks.sum::<u64>(), 1010);
}
