//! Steady state of shared values: no hit calls the allocator, whatever it is that is hit, and no batch does.
//!
//! Over the public API, with dhat as the global allocator in its testing mode. This file holds one test, because dhat
//! counts the whole process.
#![cfg(feature = "cache")]
#![forbid(unsafe_code)]

mod blocks;

use blixard_arena::arc::{ArcCache, BatchedArc, WeakCache};
use blocks::{calls, steady};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[test]
fn no_call_of_the_allocator_once_warm() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let names: Vec<String> = (0..500).map(|i| format!("vm-{i:04}")).collect();
    let name = |i: usize| names[i * 7 % names.len()].as_str();

    let cache = ArcCache::<String, usize>::new();
    steady("a hit", |i| assert_eq!(*cache.get_or_build(name(i), || i % 500), i % 500));
    steady("a hit that is only looked up, and a miss that is", |i| {
        assert!(cache.get(name(i)).is_some() && cache.get("none").is_none());
    });

    let mut reader = cache.reader();
    steady("values at hand", |i| assert!(reader.get(name(i % 20)).is_some()));
    // Four times as many keys as places: keys of one length are copied into the memory of those before.
    steady("values that take each other's places", |i| assert!(reader.get(name(i)).is_some()));

    let weak = WeakCache::<String, usize>::new();
    let _held: Vec<Arc<usize>> = (0..500).map(|i| weak.get_or_build(name(i), || i)).collect();
    steady("a hit among values that others hold", |i| assert_eq!(*weak.get_or_build(name(i), || 0), i % 500));
    steady("and a sweep that finds none", |i| {
        if i % 100 == 0 {
            assert_eq!(weak.sweep(), 0);
        }
    });

    // Within the bound of its size, a miss makes a bounded number of calls.
    let small = ArcCache::<u64, u64>::with_entries_max(64);
    let mut key = 0;
    let mut miss = || {
        key += 1;
        small.get_or_build(&key, || key);
    };
    (0..10_000).for_each(|_| miss());
    let (blocks, live) = calls();
    (0..1_000).for_each(|_| miss());
    let (after, live_after) = calls();
    assert!(after - blocks <= 5_000 && live_after <= live + 2, "{} calls for 1,000 misses", after - blocks);

    let config = BatchedArc::new([0_u64; 8]);
    let mut owners = Vec::with_capacity(64);
    steady("a batch, used, put back and dropped", |_| {
        let mut batch = config.batch(64);
        owners.extend(batch.by_ref());
        owners.drain(..).for_each(|owner| batch.put_back(owner));
    });
    assert_eq!(config.owners(), 1);
}
