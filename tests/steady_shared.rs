//! Steady state of shared arenas: in the second half of a run no call into the library calls the allocator, though every
//! request is begun on one thread, worked on by three, and ended on whichever lets go last.
//!
//! Over the public API. The threads are made before; the counting allocator counts what happens between the library's
//! door and its way out, on all of them. This file holds one test.
#![cfg(not(blixard_no_recycle))]
#![expect(clippy::cast_possible_truncation, reason = "small numbers")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod counting;

use allocator_api2::vec::Vec as ArenaVec;
use blixard_arena::{ArenaOptions, ArenaPool, PooledArena, PooledSharedArena, Reset, SharedArena};
use counting::{calls_inside, inside};
use hashbrown::{DefaultHashBuilder, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Barrier};
use std::thread;

const THREADS: usize = 3;
const REQUESTS: u64 = 6_000;
const IN_FLIGHT: usize = 120;
/// Bytes that one arena of a request uses at most.
const LARGEST: usize = 9_500;

/// What goes from thread to thread, by bounded channels.
enum Message {
    Shared(u64, PooledSharedArena),
    Own(u64, PooledArena),
    /// All that was sent before has been handled, by everybody.
    Half(Arc<Barrier>),
}

/// One thread's part of a request: text, a map and a `Vec`, at most 1.8 times the median, and a cleanup.
fn part(arena: &SharedArena, seed: u64) {
    let mut names = ArenaVec::new_in(arena);
    let mut ids = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena);
    for i in 0..16 + seed % 12 {
        let name = &*arena.format(format_args!("vm-{seed}-{i}"));
        names.push(name);
        ids.insert(name, i);
    }
    arena.defer(|| ());
    assert!(names.iter().all(|name| ids.contains_key(name)) && names.len() == ids.len());
}

/// A thread that works on what comes and passes shared arenas on to the next.
fn work(from: &Receiver<Message>, next: Option<&SyncSender<Message>>) {
    for message in from {
        match message {
            Message::Shared(seed, arena) => {
                inside(|| part(&arena, seed));
                if let Some(next) = next {
                    let same = inside(|| arena.clone());
                    next.send(Message::Shared(seed.wrapping_mul(31) >> 3, same)).unwrap();
                }
                inside(|| drop(arena)); // before the next thread is done, or after
            }
            Message::Own(seed, arena) => {
                assert_eq!(inside(|| *arena.alloc(seed)), seed);
                inside(|| drop(arena)); // taken there, returned here
            }
            Message::Half(barrier) => {
                if let Some(next) = next {
                    next.send(Message::Half(Arc::clone(&barrier))).unwrap();
                }
                barrier.wait();
                barrier.wait();
            }
        }
    }
}

/// Runs all requests through the threads; gives the allocator calls of the second half.
fn run(pool: &ArenaPool) -> u64 {
    // As many arenas as can ever be in flight or lie in a thread's stack: the scheduler may reach a new peak at any time,
    // and that is no steady state.
    let peak: Vec<_> = (0..IN_FLIGHT).map(|_| pool.acquire()).collect();
    for arena in &peak {
        arena.alloc_uninit_slice::<u8>(LARGEST);
    }
    drop(peak);
    let mut half = 0;
    let (to, mut from) = sync_channel(4);
    thread::scope(|scope| {
        for _ in 1..THREADS {
            let (to_next, from_before) = sync_channel(4);
            let receiver = std::mem::replace(&mut from, from_before);
            scope.spawn(move || work(&receiver, Some(&to_next)));
        }
        scope.spawn(move || work(&from, None));
        for seed in 0..REQUESTS {
            if seed == REQUESTS / 2 {
                let barrier = Arc::new(Barrier::new(THREADS + 1));
                to.send(Message::Half(Arc::clone(&barrier))).unwrap();
                barrier.wait();
                half = calls_inside();
                barrier.wait();
            }
            let arena = inside(|| pool.acquire_shared());
            inside(|| part(&arena, seed));
            to.send(Message::Shared(seed / 7, arena)).unwrap();
            if seed % 4 == 0 {
                let own = inside(|| pool.acquire());
                inside(|| own.alloc_slice_fill_with((6_000 + seed % 3_000) as usize, |i| i as u8));
                to.send(Message::Own(seed, own)).unwrap();
            }
        }
        drop(to);
    });
    let after = calls_inside();
    let figures = pool.figures();
    assert_eq!((figures.live, figures.acquired), (0, figures.returned));
    assert!(figures.acquired > REQUESTS * 3, "shards of several threads: {figures:?}");
    after - half
}

#[test]
fn no_call_reaches_the_allocator() {
    for reset in [Reset::Keep, Reset::Poison] {
        let pool = ArenaOptions::new().on_reset(reset).pool();
        assert_eq!(run(&pool), 0, "allocator calls in the second half, {reset:?}");
    }
    // The count is of something: a pool that keeps nothing makes its arenas anew.
    assert!(run(&ArenaOptions::new().recycle(false).pool()) > REQUESTS);
}
