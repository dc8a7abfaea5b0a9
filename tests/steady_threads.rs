//! No allocator call by threads that come and go: each finds what an earlier thread left behind.
#![cfg(not(blixard_no_recycle))]

mod counting;

use blixard_arena::{ArenaOptions, ArenaPool, Reset};
use counting::{calls_inside, inside_from_here};
use std::sync::Barrier;

/// Threads of a generation.
const THREADS: usize = 4;

/// One thread's life: a request in an arena, and one in a shared arena, each from its own pool. `side_by_side` is waited at while
/// both arenas are held.
fn live(own: &ArenaPool, shared: &ArenaPool, seed: usize, side_by_side: &Barrier) {
    let arena = own.acquire();
    let ids = arena.alloc_slice_fill_with(100 + seed % 50, |i| i + seed);
    let both = shared.acquire_shared();
    let name = both.format(format_args!("vm-{seed}"));
    assert!(ids[0] == seed && name.len() > 3);
    side_by_side.wait();
}

/// Allocator calls of 200 generations of threads that do this, one generation after the other; as many of a generation wait for one another as
/// are to be together. Counted to the very end of each thread, with the destructors of its thread-locals.
fn calls_of_generations(together: usize, life: impl Fn(usize, &Barrier) + Sync) -> u64 {
    let before = calls_inside();
    for seed in 0..200 {
        let side_by_side = Barrier::new(together);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|i| {
                    let (life, side_by_side) = (&life, &side_by_side);
                    scope.spawn(move || {
                        inside_from_here();
                        life(seed + i, side_by_side);
                    })
                })
                .collect();
            for thread in threads {
                thread.join().expect("it finds what it needs");
            }
        });
    }
    calls_inside() - before
}

#[test]
fn threads_that_come_and_go_call_no_allocator() {
    // What std does for a thread at its end.
    let of_std = calls_of_generations(1, |_, side_by_side| _ = side_by_side.wait());
    for reset in [Reset::Keep, Reset::Poison, Reset::Wipe] {
        let (own, shared) = (ArenaOptions::new().on_reset(reset).pool(), ArenaOptions::new().on_reset(reset).pool());
        let generations =
            |together| calls_of_generations(together, |seed, side_by_side| live(&own, &shared, seed, side_by_side));
        // Four slots to a pool at most; each has held an arena of the needed size once all four have run side by side, which
        // chance would bring about too seldom.
        let first = generations(THREADS);
        assert!(first > of_std, "the first threads made what the later ones found");
        // Which slot a thread finds is chance: one that has been idle may still learn, so the last of three rounds counts.
        let rounds = [(); 3].map(|()| generations(1));
        assert_eq!(rounds[2], of_std, "{reset:?}: {rounds:?}, {first} at first");
    }
}
