//! Models of shared arenas, their pool and their ledger, run by loom through every order of steps: see
//! `recycle::loom_models`, which says how. bumpalo's memory is unknown to loom; a witness in each region stands for it.
#![forbid(unsafe_code)]

use super::chunk::FOOTER_BYTES;
use super::ledger::Ledger;
use super::shared::Block;
use super::{ArenaOptions, ArenaPool, PooledSharedArena, Reset, SharedArena};
use crate::sync::Witness;
use loom::sync::Arc;
use loom::thread;
use std::sync::Arc as StdArc;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Runs a model, bounded to `preemptions` where a number is given and the environment has no other.
fn model(preemptions: Option<usize>, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(preemptions);
    // A pool's figures read every bucket of every thread.
    builder.max_branches = builder.max_branches.max(10_000);
    builder.check(run);
}

fn options() -> ArenaOptions {
    ArenaOptions::new().on_reset(Reset::Keep).idle_max(4)
}

fn unwrap<T>(arc: Arc<T>) -> T {
    Arc::try_unwrap(arc).ok().expect("the only count")
}

/// How many blocks the list holds, the root included.
fn shards(arena: &SharedArena) -> usize {
    let figures = arena.figures();
    (figures.wasted_bytes - figures.chunks * FOOTER_BYTES) / size_of::<Block>()
}

#[test]
fn threads_that_miss_at_once_each_find_a_shard_of_their_own() {
    model(Some(3), || {
        let arena = Arc::new(options().shared());
        arena.alloc(0u64);
        let threads: Vec<_> = (1..3u64)
            .map(|i| {
                let arena = Arc::clone(&arena);
                thread::spawn(move || {
                    let first = arena.alloc(i);
                    arena.alloc(i + 10);
                    assert_eq!(*first, i);
                })
            })
            .collect();
        arena.alloc(100u64);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(shards(&arena), 3);
        drop(unwrap(arena));
    });
}

#[test]
fn a_free_root_has_one_owner() {
    model(None, || {
        let arena = Arc::new(options().shared());
        let other = {
            let arena = Arc::clone(&arena);
            thread::spawn(move || _ = arena.alloc(1u64))
        };
        arena.alloc(2u64);
        other.join().unwrap();
        assert_eq!(shards(&arena), 2);
        drop(unwrap(arena));
    });
}

#[test]
fn what_a_thread_remembers_from_before_a_reset_never_hits() {
    model(None, || {
        // This thread remembers the root; then all shards are free for whoever comes.
        let arena = Arc::new(options().shared());
        arena.alloc(1u64);
        let mut arena = {
            let arena_there = Arc::clone(&arena);
            thread::spawn(move || _ = arena_there.alloc(2u64)).join().unwrap();
            unwrap(arena)
        };
        arena.reset();
        let arena = Arc::new(arena);
        let other = {
            let arena = Arc::clone(&arena);
            thread::spawn(move || _ = arena.alloc(3u64))
        };
        arena.alloc(4u64);
        other.join().unwrap();
        assert_eq!(shards(&arena), 2, "both shards serve again");
        drop(unwrap(arena));
    });
}

#[test]
fn cleanups_of_two_threads_all_run_once() {
    model(None, || {
        let ran = StdArc::new(StdMutex::new(Vec::new()));
        let arena = Arc::new(options().shared());
        let push = |arena: &SharedArena, n: u32| {
            let ran = StdArc::clone(&ran);
            arena.defer(move || ran.lock().unwrap().push(n));
        };
        push(&arena, 0);
        let other = {
            let (arena, ran) = (Arc::clone(&arena), StdArc::clone(&ran));
            thread::spawn(move || {
                for n in [10, 11] {
                    let ran = StdArc::clone(&ran);
                    arena.defer(move || ran.lock().unwrap().push(n));
                }
            })
        };
        push(&arena, 1);
        other.join().unwrap();
        drop(unwrap(arena));
        let ran = ran.lock().unwrap().clone();
        assert_eq!(ran.last(), Some(&0), "last in, first out");
        let at = |n| ran.iter().position(|&ran| ran == n).unwrap();
        assert!(at(11) < at(10) && ran.len() == 4, "{ran:?}");
    });
}

#[test]
fn booking_at_once_never_passes_the_budget() {
    model(None, || {
        let ledger = Arc::new(Ledger::new(100));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || {
                    let booked = ledger.reserve(60, 60).is_ok();
                    assert!(ledger.held() <= 100);
                    if booked {
                        ledger.refund(20);
                    }
                    usize::from(booked)
                })
            })
            .collect();
        let booked: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(booked >= 1);
        assert_eq!(ledger.held(), 40 * booked);
        assert!(ledger.held_max() <= 100);
    });
}

#[test]
fn clones_dropped_on_two_threads_release_once_and_hand_over_all_writes() {
    model(Some(5), || {
        let pool = options().pool();
        let ended = StdArc::new(AtomicUsize::new(0));
        let guard = pool.acquire_shared();
        let here = guard.alloc_with_drop(Ends { ended: StdArc::clone(&ended), witness: Witness::default() });
        here.witness.touch();
        let other = {
            let (guard, ended) = (guard.clone(), StdArc::clone(&ended));
            thread::spawn(move || end_with(guard, ended))
        };
        end_with(guard, StdArc::clone(&ended));
        other.join().unwrap();
        let figures = pool.figures();
        assert_eq!((figures.acquired, figures.live), (figures.returned, 0));
        assert_eq!(ended.load(SeqCst), 3);
        // What came back serves whoever comes next.
        pool.acquire().alloc(1u64);
    });
}

struct Ends {
    ended: StdArc<AtomicUsize>,
    witness: Witness,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.ended.fetch_add(1, SeqCst);
    }
}

fn end_with(guard: PooledSharedArena, ended: StdArc<AtomicUsize>) {
    let value = guard.alloc_with_drop(Ends { ended, witness: Witness::default() });
    value.witness.touch();
    drop(guard);
}

#[test]
fn a_pool_goes_while_its_last_request_ends_elsewhere() {
    model(Some(4), || {
        let pool: ArenaPool = options().pool();
        let ended = StdArc::new(AtomicUsize::new(0));
        let guard = pool.acquire_shared();
        guard.alloc(1u64);
        let other = {
            let ended = StdArc::clone(&ended);
            thread::spawn(move || end_with(guard, ended))
        };
        drop(pool);
        other.join().unwrap();
        assert_eq!(ended.load(SeqCst), 1);
    });
}

#[test]
fn arenas_that_threads_leave_behind_are_whole_for_the_next() {
    model(Some(4), || {
        let pool: ArenaPool = options().pool();
        let moved = pool.acquire();
        moved.alloc(1u64);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || {
                drop(moved);
                let own = pool.acquire();
                own.alloc(2u64);
            })
        };
        pool.acquire().alloc(3u64);
        other.join().unwrap();
        let figures = pool.figures();
        assert_eq!((figures.acquired, figures.returned), (3, 3));
        assert_eq!(figures.idle as u64, figures.created);
    });
}
