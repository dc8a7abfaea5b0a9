//! Steady state of object pools: no acquisition and no return calls the allocator, on one thread, from thread to thread, and
//! where threads come and go.
//!
//! Over the public API, with dhat as the global allocator in its testing mode. Leak sites are off where calls must be
//! none, since a backtrace takes some; by default they cost what a backtrace does, once in a millisecond. This file holds
//! one test, because dhat counts the whole process.
#![cfg(not(blixard_no_recycle))]

mod blocks;

use blixard_arena::pool::{
    BufferPool, LARGE_BUFFER_POOL, METADATA_MAP_POOL, Pooled, SMALL_BUFFER_POOL, TypedObjectPool, VecPool,
};
use blocks::{calls, steady};
use std::io::Write as _;
use std::sync::Mutex;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Blocks that a sampled acquisition may take, once in a millisecond and in 128 acquisitions.
const SAMPLE: u64 = 64;

/// For pools whose leak sites cannot be turned off: most steps make no call.
#[track_caller]
fn unsampled(mut step: impl FnMut()) {
    (0..200).for_each(|_| step());
    let silent = (0..200).filter(|_| {
        let before = calls();
        step();
        calls() == before
    });
    let silent = silent.count();
    assert!(silent >= 180, "{silent} of 200 without a call");
}

#[test]
fn no_call_of_the_allocator_once_warm() {
    let _profiler = dhat::Profiler::builder().testing().build();

    let texts = TypedObjectPool::builder(|| String::with_capacity(16))
        .reset(String::clear)
        .check(String::is_empty)
        .retained_bytes(String::capacity)
        .leak_sites_one_in(0)
        .build();
    steady("one object", |_| texts.acquire().push_str("vm-1"));
    steady("more than a stack holds, by way of the depot", |_| {
        let held: [Pooled<String>; 60] = std::array::from_fn(|_| texts.acquire());
        drop(held);
    });

    let limited = TypedObjectPool::builder(|| 0_u64).live_max(2).leak_sites_one_in(0).build();
    steady("within a limit and beyond it", |_| {
        let held = (limited.try_acquire(), limited.acquire());
        assert!(limited.try_acquire().is_err());
        drop(held);
    });

    let vecs = VecPool::<u64>::builder_with_capacity(64).leak_sites_one_in(0).build();
    steady("a vector lent to a closure", |_| vecs.with(|vec| vec.extend(0..64)));

    // One that is idle is there however much was sampled before: what a sample takes, it gives back.
    let before = calls().1;
    (0..100_000).for_each(|i| drop(write!(SMALL_BUFFER_POOL.acquire(), "record {i}")));
    let (_, after) = calls();
    assert!(after < before + 64, "sampled by default: {before} blocks, then {after}");

    let classes = BufferPool::new();
    unsampled(|| {
        for bytes in BufferPool::CLASSES {
            classes.acquire(bytes).resize(bytes, 1);
        }
    });
    unsampled(|| LARGE_BUFFER_POOL.acquire().resize(60_000, 1));
    unsampled(|| METADATA_MAP_POOL.acquire().extend((0..20).map(|_| Default::default())));
    let full = || METADATA_MAP_POOL.acquire().extend((0..20).map(|key| (format!("key-{key}"), String::new())));
    full();
    let before = calls();
    full();
    let after = calls();
    assert!(after.0 - before.0 <= 20 + SAMPLE, "the texts of its keys and no more: {before:?}, then {after:?}");
    assert_eq!(after.1, before.1, "which do not outlive the map's return");

    #[cfg(feature = "bytes")]
    {
        let buffers = VecPool::<u8>::builder_with_capacity(64).leak_sites_one_in(0).build();
        let frozen = || {
            let mut buffer = buffers.acquire();
            buffer.extend_from_slice(b"vm-1 started");
            let bytes = buffer.freeze();
            drop((bytes.slice(..4), bytes));
        };
        frozen();
        let before = calls();
        (0..100).for_each(|_| frozen());
        assert_eq!(calls(), (before.0 + 100, before.1), "a block for the owner that `Bytes` counts, freed with it");
    }

    // From thread to thread: this one takes, the other gives back.
    let place: Mutex<Option<Pooled<String>>> = Mutex::new(None);
    let put = |text: Option<Pooled<String>>| {
        let mut place = place.lock().expect("no panic under it");
        std::mem::replace(&mut *place, text)
    };
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let gives_back = scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                drop(put(None));
            }
        });
        let pass_on = |_| {
            while place.lock().expect("no panic under it").is_some() {
                std::thread::yield_now();
            }
            put(Some(texts.acquire()));
        };
        steady("from thread to thread", pass_on);
        done.store(true, std::sync::atomic::Ordering::Release);
        // A scope alone does not wait until its threads have ended, and left their slots to the next.
        gives_back.join().expect("it ended");
    });
    drop(put(None));
    assert_eq!(texts.figures().live, 0);

    // Threads that come and go use what was left behind.
    let run = |pool: &TypedObjectPool<String>| {
        let pool = pool.clone();
        std::thread::spawn(move || {
            let before = calls();
            (0..100).for_each(|_| pool.acquire().push_str("vm-1"));
            assert_eq!(calls(), before, "a thread's first use and its further ones");
        })
    };
    for _ in 0..20 {
        run(&texts).join().expect("no call");
    }
}
