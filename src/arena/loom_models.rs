//! Models of shared arenas, their pool and their ledger, run by loom through every order of steps: see
//! `recycle::loom_models`, which says how. bumpalo's memory is unknown to loom; a witness in each region stands for it.
#![forbid(unsafe_code)]

use super::chunk::FOOTER_BYTES;
use super::ledger::Ledger;
use super::shared::Block;
use super::{ArenaOptions, ArenaPool, PooledArena, PooledSharedArena, Reset, SharedArena};
use crate::sync::{Part, Witness, model};
use loom::sync::Arc;
use std::sync::Arc as StdArc;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

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

/// Allocates a few values, each of which stays what it is.
fn allocs(arena: &Arc<SharedArena>, values: &'static [u64]) -> Part<()> {
    let arena = Arc::clone(arena);
    Box::new(move || {
        let placed: Vec<&mut u64> = values.iter().map(|value| arena.alloc(*value)).collect();
        assert!(placed.iter().zip(values).all(|(placed, value)| **placed == *value));
    })
}

#[test]
fn threads_that_miss_at_once_each_find_a_shard_of_their_own() {
    model(Some(3), [0; 3], |order| {
        let arena = Arc::new(options().shared());
        arena.alloc(0u64);
        order.run([allocs(&arena, &[1, 11]), allocs(&arena, &[2, 12]), allocs(&arena, &[100])]);
        assert_eq!(shards(&arena), 3);
        drop(unwrap(arena));
    });
}

#[test]
fn a_free_root_has_one_owner() {
    model(None, [0; 2], |order| {
        let arena = Arc::new(options().shared());
        order.run([allocs(&arena, &[1]), allocs(&arena, &[2])]);
        assert_eq!(shards(&arena), 2);
        drop(unwrap(arena));
    });
}

/// What remembers is this thread, so it is one of the two that race.
#[test]
fn what_a_thread_remembers_from_before_a_reset_never_hits() {
    model(None, [0], |order| {
        // This thread remembers the root; then all shards are free for whoever comes.
        let arena = Arc::new(options().shared());
        arena.alloc(1u64);
        order.run_apart([allocs(&arena, &[2])]);
        let mut arena = unwrap(arena);
        arena.reset();
        let arena = Arc::new(arena);
        let other = loom::thread::spawn(allocs(&arena, &[3]));
        arena.alloc(4u64);
        other.join().unwrap();
        assert_eq!(shards(&arena), 2, "both shards serve again");
        drop(unwrap(arena));
    });
}

#[test]
fn cleanups_of_two_threads_all_run_once() {
    model(None, [0, 1], |order| {
        let ran = StdArc::new(StdMutex::new(Vec::new()));
        let arena = Arc::new(options().shared());
        let pushes = |values: &'static [u32]| -> Part<()> {
            let (arena, ran) = (Arc::clone(&arena), StdArc::clone(&ran));
            Box::new(move || {
                for &n in values {
                    let ran = StdArc::clone(&ran);
                    arena.defer(move || ran.lock().unwrap().push(n));
                }
            })
        };
        pushes(&[0])();
        order.run([pushes(&[10, 11]), pushes(&[1])]);
        drop(unwrap(arena));
        let ran = ran.lock().unwrap().clone();
        assert_eq!(ran.last(), Some(&0), "last in, first out");
        let at = |n| ran.iter().position(|&ran| ran == n).unwrap();
        assert!(at(11) < at(10) && ran.len() == 4, "{ran:?}");
    });
}

#[test]
fn booking_at_once_never_passes_the_budget() {
    model(None, [0; 2], |order| {
        let ledger = Arc::new(Ledger::new(100));
        let booked = order.run([(); 2].map(|()| -> Part<usize> {
            let ledger = Arc::clone(&ledger);
            Box::new(move || {
                let booked = ledger.reserve(60, 60).is_ok();
                assert!(ledger.held() <= 100);
                if booked {
                    ledger.refund(20);
                }
                usize::from(booked)
            })
        }));
        let booked: usize = booked.into_iter().sum();
        assert!(booked >= 1);
        assert_eq!(ledger.held(), 40 * booked);
        assert!(ledger.held_max() <= 100);
    });
}

#[test]
fn clones_dropped_on_two_threads_release_once_and_hand_over_all_writes() {
    model(Some(5), [0; 2], |order| {
        let pool = options().pool();
        let ended = StdArc::new(AtomicUsize::new(0));
        let guard = pool.acquire_shared();
        let here = guard.alloc_with_drop(Ends { ended: StdArc::clone(&ended), witness: Witness::default() });
        here.witness.touch();
        let other = guard.clone();
        order.run([ends_with(guard, &ended), ends_with(other, &ended)]);
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

fn ends_with(guard: PooledSharedArena, ended: &StdArc<AtomicUsize>) -> Part<()> {
    let ended = StdArc::clone(ended);
    Box::new(move || {
        let value = guard.alloc_with_drop(Ends { ended, witness: Witness::default() });
        value.witness.touch();
        drop(guard);
    })
}

#[test]
fn a_pool_goes_while_its_last_request_ends_elsewhere() {
    model(Some(4), [0, 1], |order| {
        let pool: ArenaPool = options().pool();
        let ended = StdArc::new(AtomicUsize::new(0));
        let guard = pool.acquire_shared();
        guard.alloc(1u64);
        order.run([ends_with(guard, &ended), Box::new(move || drop(pool))]);
        assert_eq!(ended.load(SeqCst), 1);
    });
}

#[test]
fn arenas_that_threads_leave_behind_are_whole_for_the_next() {
    model(Some(4), [0, 1], |order| {
        let pool: ArenaPool = options().pool();
        let moved = pool.acquire();
        moved.alloc(1u64);
        let takes = |value: u64, first: Option<PooledArena>| -> Part<()> {
            let pool = pool.clone();
            Box::new(move || {
                drop(first);
                let own = pool.acquire();
                own.alloc(value);
            })
        };
        order.run([takes(2, Some(moved)), takes(3, None)]);
        let figures = pool.figures();
        assert_eq!((figures.acquired, figures.returned), (3, 3));
        assert_eq!(figures.idle as u64, figures.created);
    });
}
