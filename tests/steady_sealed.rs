//! Results sealed with their arenas: building, passing on, looking at and dropping them calls no allocator, and their bytes as
//! `Bytes` cost the one block that is documented.
//!
//! Over the public API, with dhat as the global allocator in its testing mode. This file holds one test, because dhat counts
//! the whole process.
#![cfg(not(blixard_no_recycle))]

mod blocks;

use blixard_arena::arena::PooledSharedArena;
use blixard_arena::collections::Vec;
use blixard_arena::{ArenaPool, BudgetExceeded, Sealed, SharedArena, sealed_root};
use blocks::calls;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// A finished batch: frozen data alone.
struct Batch<'a> {
    names: &'a [&'a str],
    body: &'a [u8],
}
sealed_root!(Batch);

/// One that still grows where it arrives.
struct Growing<'a> {
    scores: Vec<u64, &'a SharedArena>,
}
sealed_root!(Growing);

fn batch(pool: &ArenaPool, seed: u64) -> Sealed<Batch<'static>> {
    Sealed::build(pool.acquire(), |arena| Batch {
        names: arena.alloc_slice_fill_iter((0..20).map(|i| &*arena.concat(("vm-", seed + i)))),
        body: arena.alloc_slice_fill_with(200, |i| u8::try_from(i).unwrap_or(0)),
    })
}

fn growing(pool: &ArenaPool) -> Sealed<Growing<'static>, PooledSharedArena> {
    Sealed::<Growing, _>::build(pool.acquire_shared(), |arena| {
        let mut scores = Vec::new_in(arena);
        scores.extend(0..30);
        Growing { scores }
    })
}

#[test]
fn no_sealed_result_calls_the_allocator() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let pool = ArenaPool::new();
    let mut queue = std::collections::VecDeque::with_capacity(8);
    let mut step = |seed: u64| {
        queue.push_back(batch(&pool, seed));
        if queue.len() == 8 {
            let oldest = queue.pop_front().expect("eight of them");
            assert_eq!((oldest.get().names.len(), oldest.get().body[199]), (20, 199));
            drop(oldest.into_guard());
        }
        let growing = growing(&pool);
        assert_eq!(growing.get().scores.iter().sum::<u64>(), 435);
        let refused = Sealed::<Batch>::try_build(pool.acquire(), |arena| {
            Err::<Batch<'_>, BudgetExceeded>(arena.try_alloc_uninit_slice::<u8>(usize::MAX / 4).expect_err("too much"))
        });
        assert!(refused.is_err());
    };
    (0..1000).for_each(&mut step);
    let before = calls();
    for seed in 0..1000 {
        step(seed);
        assert_eq!(calls(), before, "request {seed} of the second half");
    }
    drop(queue);

    #[cfg(feature = "bytes")]
    {
        let frame = |seed| batch(&pool, seed).into_bytes(|batch| batch.body);
        drop(frame(0));
        let before = calls();
        for seed in 0..100 {
            let body = frame(seed);
            let prefix = body.slice(..3);
            drop(body);
            assert_eq!(&prefix[..], [0, 1, 2]);
            let (blocks, live) = calls();
            assert_eq!(
                (blocks - before.0, live - before.1),
                (seed + 1, 1),
                "a block for the owner that `Bytes` counts"
            );
            drop(prefix);
        }
        assert_eq!(calls().1, before.1, "which is freed with the last holder");
    }
}
