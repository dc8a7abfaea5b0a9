//! A shared arena used from two threads at once, in step: in the second half of a run no request calls the allocator, whoever
//! begins it, works on it, or ends it.
//!
//! Over the public API, with dhat as the global allocator in its testing mode: the threads meet at barriers, which allocate
//! nothing, so every block in the process is the library's. (`steady_shared` lets threads run freely, and counts inside the
//! library alone.) This file holds one test.
#![cfg(not(blixard_no_recycle))]

mod blocks;

use blixard_arena::collections::{FlatMap, String, Vec};
use blixard_arena::intern::ArenaInterner;
use blixard_arena::{ArenaOptions, ArenaPool, PooledSharedArena, Reset, SharedArena};
use blocks::calls;
use std::fmt::Write as _;
use std::sync::{Arc, Barrier, Mutex};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const REQUESTS: u64 = 2_000;

/// One thread's part of a request; 1.5 times the median at most.
fn part(arena: &SharedArena, seed: u64, config: &Arc<[u64]>) {
    let mut names = Vec::new_in(arena);
    let mut ids = FlatMap::new_in(arena);
    let mut interner = ArenaInterner::new_in(arena);
    let mut text = String::new_in(arena);
    for i in 0..20 + seed % 10 {
        let name = &*arena.concat(("vm-", seed, '-', i));
        names.push(name);
        ids.insert(name, i);
        interner.intern(name);
        write!(text, "{name},").expect("a String takes all");
    }
    arena.defer(|| ());
    arena.alloc_with_drop(Arc::clone(config));
    assert_eq!(arena.adopt(Arc::clone(config)).len(), 3);
    assert!(
        names.iter().all(|name| ids.contains_key(name) && interner.get(name).is_some()) && text.len() > names.len()
    );
}

/// What passes from one thread to the other; std's mutex allocates nothing.
type Desk = Mutex<Option<PooledSharedArena>>;

fn run(pool: &ArenaPool, config: &Arc<[u64]>) -> (u64, usize) {
    // As many arenas as can ever be in use or lie in a thread's stack: who ends a request is chance, and so is where its
    // shards then lie.
    let peak: std::vec::Vec<_> = (0..40).map(|_| pool.acquire_shared()).collect();
    for arena in &peak {
        part(arena, 9, config);
    }
    drop(peak);
    let (desk, step): (Desk, Barrier) = (Mutex::new(None), Barrier::new(2));
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            for seed in 0..REQUESTS {
                step.wait(); // a request lies on the desk
                let arena = desk.lock().expect("no panic under it").take().expect("put there");
                part(&arena, seed / 3, config);
                if seed % 2 == 0 {
                    drop(arena); // before the other thread's last clone, or beside it
                    step.wait();
                } else {
                    step.wait(); // the other thread's clones are gone
                    drop(arena);
                }
                step.wait();
            }
        });
        let mut half = (0, 0);
        for seed in 0..REQUESTS {
            if seed == REQUESTS / 2 {
                half = calls();
            }
            let arena = pool.acquire_shared();
            *desk.lock().expect("no panic under it") = Some(arena.clone());
            step.wait();
            part(&arena, seed, config);
            drop(arena);
            step.wait();
            step.wait();
        }
        let end = calls();
        there.join().expect("it ended");
        (end.0 - half.0, end.1.abs_diff(half.1))
    })
}

#[test]
fn no_request_of_two_threads_calls_the_allocator() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let config: Arc<[u64]> = Arc::from(vec![1, 2, 3]);
    for reset in [Reset::Keep, Reset::Poison, Reset::Wipe] {
        let pool = ArenaOptions::new().on_reset(reset).pool();
        // An arena of the peak that comes up only now may be larger than has become usual: then it is freed.
        let (asked, freed) = run(&pool, &config);
        assert!(asked == 0 && freed <= 4, "{reset:?}: {asked} blocks asked for, {freed} freed");
        assert_eq!((pool.figures().live, Arc::strong_count(&config)), (0, 1));
    }
    // The count is of something: a pool that keeps nothing makes its arenas anew.
    assert!(run(&ArenaOptions::new().recycle(false).pool(), &config).0 > REQUESTS);
}
