//! Sampled sites: sums are right on average, what is freed ends for its site, and the sample is a small part of the calls.
#![cfg(feature = "allocation-tracking")]

use blixard_arena::tracking::{self, SiteSum, Sites, TrackingAllocator, TrackingOptions};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

#[inline(never)]
fn small(blocks: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::with_capacity(blocks);
    for _ in 0..blocks {
        all.push(black_box(Vec::with_capacity(48)));
    }
    all
}

#[inline(never)]
fn mixed(blocks: usize) {
    for i in 0..blocks {
        drop(black_box(Vec::<u8>::with_capacity(100 + i % 20_000)));
    }
}

fn of(profile: &tracking::SiteProfile, function: &str, size_max: u64, sum: SiteSum) -> f64 {
    let sites = profile.sites.iter().filter(|site| site.place().contains(function));
    // The vector of vectors is a site of its own, of one large block.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    sites.filter(|site| site.bytes / site.blocks.max(1) <= size_max).map(|site| site.sum(sum) as f64).sum()
}

#[test]
fn a_sample_estimates() {
    const RATE: u64 = 8 << 10;
    let _tracking = TrackingOptions::new().sites(Sites::Sampled { bytes: RATE }).start();
    let kept = small(500_000);
    // On a thread that came after the start, too.
    std::thread::spawn(|| mixed(20_000)).join().unwrap();
    mixed(20_000);
    let profile = tracking::allocation_sites();
    assert_eq!(profile.sample_bytes, RATE);
    let near = |what: &str, estimate: f64, truth: f64, share: f64| {
        assert!((estimate / truth - 1.0).abs() < share, "{what}: {estimate} for {truth}\n{profile}");
    };
    // Some 2,900 and 24,000 samples: their spread is 2 % and 1 %; five times that is never seen.
    near("small bytes", of(&profile, "small", 1000, SiteSum::Bytes), 48.0 * 500_000.0, 0.1);
    near("small blocks", of(&profile, "small", 1000, SiteSum::Blocks), 500_000.0, 0.1);
    near("small live", of(&profile, "small", 1000, SiteSum::LiveBlocks), 500_000.0, 0.1);
    let bytes = 40_000.0 * (100.0 + 19_999.0 / 2.0);
    near("mixed bytes", of(&profile, "mixed", u64::MAX, SiteSum::Bytes), bytes, 0.05);
    near("mixed blocks", of(&profile, "mixed", u64::MAX, SiteSum::Blocks), 40_000.0, 0.15);
    assert!(of(&profile, "mixed", u64::MAX, SiteSum::LiveBytes).abs() < 0.5, "all of it was freed: {profile}");

    // Freed by another thread than their maker's.
    std::thread::spawn(move || drop(kept)).join().unwrap();
    let profile = tracking::allocation_sites();
    assert!(of(&profile, "small", 1000, SiteSum::LiveBytes).abs() < 0.5, "{profile}");
    assert!(profile.to_table(1, SiteSum::Bytes).contains("one sample per 8192 bytes"));

    // Reallocations: the old block ends, the new one has its chance.
    let mut grown: Vec<u8> = Vec::new();
    for size in 1..2000 {
        grown.reserve_exact(size * 1000 - grown.len());
        grown.resize(size * 1000, 0);
    }
    drop(black_box(grown));
    let profile = tracking::allocation_sites();
    let live = of(&profile, "a_sample_estimates", u64::MAX, SiteSum::LiveBytes);
    assert!(live < 1e6, "{live}\n{profile}");
}
