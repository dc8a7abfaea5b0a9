//! An allocation that any thread may make: `SharedArena` beside every way that a second thread may call, on one and two pinned threads.
//!
//! Each operation allocates one `u64`. The controls share nothing between threads: what they lose to a second thread, the machine took.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use allocator_api2_04::alloc::Global;
use allocator_api2_04::boxed::Box as ApiBox;
use blink_alloc::SyncBlinkAlloc;
use blixard_arena::{Arena, ArenaOptions, SharedArena};
use bumpalo::Bump;
use bumpalo_herd::Herd;

use crate::contest::{Contender, Group, Named, Role};
use crate::limits::ShardedBump;

/// Operations per thread between two resets.
const BATCH: u64 = 8192;
/// What one thread's batch takes, with room to spare.
const THREAD_BYTES: usize = 96 * 1024;
/// What two threads' batches take.
const ALL_BYTES: usize = 2 * THREAD_BYTES;

/// The groups, by name.
pub const GROUPS: &[Named] = &[("shared/u64", group)];

fn group() -> Group {
    Group {
        name: "shared/u64",
        note: "one `u64` per operation; 8,192 operations per thread between resets, which are not timed",
        elements: 1,
        contenders: [1, 2].into_iter().flat_map(at).collect(),
    }
}

fn at(threads: usize) -> Vec<Contender> {
    let ours = pinned!(
        "blixard SharedArena",
        Ours,
        threads,
        ArenaOptions::new().first_chunk_bytes(THREAD_BYTES).shared(),
        |arena, i| arena.alloc(i),
        SharedArena::reset,
    );
    [vec![ours], controls(threads), peers(threads), limits(threads)].into_iter().flatten().collect()
}

/// Two places, so far apart that they share no cache line and no prefetched pair of them.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(Mutex<T>);

fn controls(threads: usize) -> Vec<Contender> {
    vec![
        Contender::pinned(
            "bumpalo, one per thread",
            Role::Control,
            threads,
            BATCH,
            [(); 2].map(|()| Apart(Mutex::new(Bump::with_capacity(THREAD_BYTES)))),
            |bumps, thread, n| {
                let mut bump = bumps[thread].0.lock().unwrap_or_else(PoisonError::into_inner);
                for i in 0..n {
                    black_box(bump.alloc(i));
                }
                bump.reset();
            },
            |_| (),
        ),
        Contender::pinned(
            "blixard Arena, one per thread",
            Role::Control,
            threads,
            BATCH,
            [(); 2].map(|()| Apart(Mutex::new(ArenaOptions::new().first_chunk_bytes(THREAD_BYTES).arena()))),
            |arenas, thread, n| {
                let mut arena = arenas[thread].0.lock().unwrap_or_else(PoisonError::into_inner);
                for i in 0..n {
                    black_box(arena.alloc(i));
                }
                Arena::reset(&mut arena);
            },
            |_| (),
        ),
        Contender::pinned(
            "bumpalo-herd, member held",
            Role::Control,
            threads,
            BATCH,
            Herd::new(),
            |herd, _, n| {
                let member = herd.get();
                for i in 0..n {
                    black_box(member.alloc(i));
                }
            },
            Herd::reset,
        ),
        pinned!("Box, freed at once", Control, threads, (), |_nothing, i| Box::new(i), |()| ()),
    ]
}

fn peers(threads: usize) -> Vec<Contender> {
    vec![
        pinned!("bumpalo-herd, get each time", Peer, threads, Herd::new(), |herd, i| herd.get().alloc(i), Herd::reset),
        pinned!(
            "Mutex<Bump>",
            Peer,
            threads,
            Mutex::new(Bump::with_capacity(ALL_BYTES)),
            |bump, i| bump.lock().unwrap_or_else(PoisonError::into_inner).alloc(i),
            |bump| bump.get_mut().unwrap_or_else(PoisonError::into_inner).reset(),
        ),
        pinned!(
            "SyncBlinkAlloc",
            Peer,
            threads,
            SyncBlinkAlloc::with_chunk_size_in(ALL_BYTES, Global),
            |blink, i| ApiBox::leak(ApiBox::new_in(i, blink)),
            SyncBlinkAlloc::reset,
        ),
    ]
}

fn limits(threads: usize) -> Vec<Contender> {
    vec![
        pinned!(
            "thread-local shard over bumpalo",
            Limit,
            threads,
            ShardedBump::new(THREAD_BYTES),
            |sharded, i| sharded.alloc(i),
            ShardedBump::reset,
        ),
        pinned!("atomic fetch_add", Limit, threads, AtomicBump::new(), |bump, i| bump.alloc(i), |bump| *bump
            .next
            .get_mut() =
            0),
    ]
}

/// The least that one bump pointer shared by threads can do: take a place, check that it is there, write.
#[derive(Debug)]
struct AtomicBump {
    next: AtomicUsize,
    places: Box<[AtomicU64]>,
}

impl AtomicBump {
    fn new() -> Self {
        Self {
            next: AtomicUsize::new(0),
            places: (0..ALL_BYTES / size_of::<u64>()).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn alloc(&self, value: u64) -> &AtomicU64 {
        // Relaxed: each place goes to one caller, and nobody else reads it before a reset by `&mut`.
        let place = &self.places[self.next.fetch_add(1, Ordering::Relaxed)];
        place.store(value, Ordering::Relaxed);
        place
    }
}
