//! A tight budget: requests that need most of it, in several chunks at first, settle to no allocator call.
//!
//! Memory in one chunk of the needed size is what a pool aims at; with a tight budget there is hardly room for it, and
//! none for the old chunks beside it.
#![cfg(not(blixard_no_recycle))]
#![expect(clippy::unwrap_used, reason = "a test: what cannot be had ends it")]

mod counting;

use blixard_arena::{Arena, ArenaOptions, PooledSharedArena, SharedArena};

fn calls(of: impl FnOnce()) -> u64 {
    counting::calls_in(of).0
}

/// Uses `bytes` bytes in blocks of 64.
fn fill(arena: &Arena, bytes: usize) {
    for _ in 0..bytes / 64 {
        arena.try_alloc([0u64; 8]).expect("within the budget");
    }
}

/// The largest chunk within `room` bytes, footer included: whole pages, or below two pages a power of two, less what
/// chunk and allocator keep for themselves (64 bytes).
fn largest_chunk(room: usize) -> usize {
    let room = room + 16;
    let whole = if room >= 8192 { room - room % 4096 } else { 1 << room.ilog2() };
    whole - 64
}

#[test]
fn requests_that_nearly_fill_the_budget_settle_to_no_call() {
    for budget in [4_000, 10_000, 20_000, 70_000, 300_000] {
        let options = ArenaOptions::new().budget_bytes_max(budget);
        let pool = options.pool();
        // Beside the chunk the budget pays for the pooled block itself.
        let block = pool.acquire().figures().reserved_bytes;
        pool.trim();
        let most = largest_chunk(budget - block);
        for share in [50, 70, 90, 100] {
            let bytes = most * share / 100;
            let once = || {
                let guard = pool.acquire();
                fill(&guard, bytes);
                assert!(guard.figures().reserved_bytes <= budget);
            };
            (0..300).for_each(|_| once());
            assert_eq!(calls(|| (0..100).for_each(|_| once())), 0, "{bytes} bytes of a budget of {budget}");
        }

        let mut arena = options.arena();
        let mut once = || {
            fill(&arena, most * 9 / 10);
            arena.reset();
        };
        (0..20).for_each(|_| once());
        assert_eq!(calls(|| (0..100).for_each(|_| once())), 0, "reset, budget {budget}");
    }
}

/// 300 blocks of 64 bytes on each of two threads. Returns the first round that was refused, and the allocator calls of
/// the later half of 400 rounds.
fn two_threads(budget: usize) -> (Option<usize>, u64) {
    let pool = ArenaOptions::new().budget_bytes_max(budget).pool();
    let (to_worker, at_worker) = std::sync::mpsc::sync_channel::<PooledSharedArena>(0);
    let (done, finished) = std::sync::mpsc::sync_channel(1);
    let build = |arena: &SharedArena| (0..300).all(|_| arena.try_alloc([1u64; 8]).is_ok_and(|block| block[7] == 1));
    let worker = std::thread::spawn(move || {
        while let Ok(guard) = at_worker.recv() {
            let mut served = false;
            let made = calls(|| {
                served = build(&guard);
                drop(guard);
            });
            done.send((served, made)).unwrap();
        }
    });
    let (mut refused, mut late) = (None, 0);
    for round in 0..400 {
        let (mut guard, mut served) = (None, false);
        let mut made = calls(|| {
            let own = pool.acquire_shared();
            served = build(&own);
            guard = Some(own);
        });
        let guard = guard.unwrap();
        to_worker.send(guard.clone()).unwrap();
        let (there, calls_there) = finished.recv().unwrap();
        assert!(guard.figures().reserved_bytes <= budget);
        if !(served && there) {
            refused = refused.or(Some(round));
        }
        made += calls_there + calls(|| drop(guard));
        if round >= 200 {
            late += made;
        }
    }
    drop(to_worker);
    worker.join().unwrap();
    (refused, late)
}

#[test]
fn a_shared_request_over_two_threads_settles_within_a_tight_budget() {
    // Each thread's shard may keep a chunk of the whole request's size, 38,400 bytes and an eighth.
    assert_eq!(two_threads(100_000), (None, 0));
}
