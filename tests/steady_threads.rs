//! No allocator call by threads that come and go: each finds what an earlier thread left behind.
#![cfg(not(blixard_no_recycle))]

mod counting;

use blixard_arena::{ArenaOptions, ArenaPool, Reset};
use counting::{calls_inside, inside};
use std::sync::Barrier;

/// Threads of a generation.
const THREADS: usize = 4;

/// One thread's life: a request in an arena, and one in a shared arena, each from its own pool. Counted to its very end,
/// with the destructors of its thread-locals. `side_by_side` is waited at while both arenas are held.
fn live(own: &ArenaPool, shared: &ArenaPool, seed: usize, side_by_side: &Barrier) {
    let fits = inside(|| {
        let arena = own.acquire();
        let ids = arena.alloc_slice_fill_with(100 + seed % 50, |i| i + seed);
        let both = shared.acquire_shared();
        let name = both.format(format_args!("vm-{seed}"));
        let fits = ids[0] == seed && name.len() > 3;
        side_by_side.wait();
        drop(both);
        drop(arena);
        fits
    });
    assert!(fits);
}

#[test]
fn threads_that_come_and_go_call_no_allocator() {
    for reset in [Reset::Keep, Reset::Poison, Reset::Wipe] {
        let (own, shared) = (ArenaOptions::new().on_reset(reset).pool(), ArenaOptions::new().on_reset(reset).pool());
        let generation = |seed: usize, together: usize| {
            let side_by_side = Barrier::new(together);
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS)
                    .map(|i| {
                        scope.spawn({
                            let (own, shared, side_by_side) = (&own, &shared, &side_by_side);
                            move || live(own, shared, seed + i, side_by_side)
                        })
                    })
                    .collect();
                for thread in threads {
                    thread.join().unwrap();
                }
            });
        };
        // Four slots to a pool at most; each has held an arena of the needed size once all four have run side by side, which
        // chance would bring about too seldom.
        let at_first = calls_inside();
        (0..200).for_each(|seed| generation(seed, THREADS));
        let made = calls_inside() - at_first;
        // Which slot a thread finds is chance: one that has been idle may still learn, so the last of three rounds counts.
        let rounds = [(); 3].map(|()| {
            let before = calls_inside();
            (0..200).for_each(|seed| generation(seed, 1));
            calls_inside() - before
        });
        assert!(made > 0, "the first threads made what the later ones found");
        assert_eq!(rounds[2], 0, "{reset:?}: {rounds:?}");
    }
}
