//! Requests that panic while everything that they leave behind panics too, in its destructor.
//!
//! A second panic of a thread that unwinds ends the process, unless somebody catches it. What the library drops for a request, when its
//! arena, scope, batch of shards or pooled object ends, it catches, drops and counts.
#![forbid(unsafe_code)]

use crate::allocator::ours;
use crate::guests::{self, Guest};
use crate::requests::elsewhere;
use crate::world::World;
use blixard_arena::pool::TypedObjectPool;
use blixard_arena::{Arena, ArenaPool};
use std::sync::Arc;

/// Fills an arena of either kind with what it has to drop.
macro_rules! fill {
    ($arena:expr) => {{
        let arena = $arena;
        for worth in 0..5 {
            arena.alloc_with_drop(Guest::new(worth));
            let guest = Guest::new(worth);
            arena.defer(move || drop(guest));
            arena.adopt(Arc::new(Guest::new(worth)));
        }
    }};
}

/// What a scene leaves behind: guests whose destructors panic, and panics that are to be counted as swallowed by the process's arenas, by this
/// world's arenas, and by a pool of sessions.
pub(crate) struct Swallowed {
    pub(crate) guests: usize,
    pub(crate) by_arenas: u64,
    pub(crate) by_the_pool: u64,
    pub(crate) by_sessions: u64,
}

type Scene = fn(&World, &TypedObjectPool<Guest>);

pub(crate) const SCENES: &[(&str, Scene, Swallowed)] = &[
    ("an arena", arena, Swallowed { guests: 15, by_arenas: 1, by_the_pool: 1, by_sessions: 0 }),
    ("an arena of no pool", alone, Swallowed { guests: 15, by_arenas: 1, by_the_pool: 0, by_sessions: 0 }),
    ("scopes", scopes, Swallowed { guests: 45, by_arenas: 3, by_the_pool: 1, by_sessions: 0 }),
    ("a shared arena", shared, Swallowed { guests: 45, by_arenas: 1, by_the_pool: 1, by_sessions: 0 }),
    ("a pool that ends", ending, Swallowed { guests: 15, by_arenas: 1, by_the_pool: 0, by_sessions: 0 }),
    ("objects that are not kept", objects, Swallowed { guests: 2, by_arenas: 0, by_the_pool: 0, by_sessions: 2 }),
];

/// From here on destructors panic, and so does the request.
fn end() -> ! {
    guests::drops_panic(true);
    std::panic::resume_unwind(Box::new("the request's own"))
}

fn arena(world: &World, _: &TypedObjectPool<Guest>) {
    let guard = world.arenas.acquire();
    fill!(&*guard);
    end()
}

fn alone(_: &World, _: &TypedObjectPool<Guest>) {
    let arena = Arena::new();
    fill!(&arena);
    end()
}

fn scopes(world: &World, _: &TypedObjectPool<Guest>) {
    let guard = world.arenas.acquire();
    fill!(&*guard);
    guard.scope(|inner| {
        fill!(inner);
        inner.scope(|innermost| {
            fill!(innermost);
            end()
        });
    });
}

fn shared(world: &World, _: &TypedObjectPool<Guest>) {
    let guard = world.arenas.acquire_shared();
    fill!(&*guard);
    for _ in 0..2 {
        let clone = guard.clone();
        elsewhere(move || fill!(&*clone));
    }
    end()
}

fn ending(_: &World, _: &TypedObjectPool<Guest>) {
    let arenas = ArenaPool::new();
    let guard = arenas.acquire();
    fill!(&*guard);
    // The pool's last handle goes before its last arena is back.
    drop(arenas);
    end()
}

fn objects(_: &World, sessions: &TypedObjectPool<Guest>) {
    let _kept = [sessions.acquire(), sessions.acquire()];
    end()
}

/// A pool whose objects are dropped at their return, since none may lie idle.
pub(crate) fn sessions() -> TypedObjectPool<Guest> {
    TypedObjectPool::builder(|| Guest::new(7)).idle_max(0).leak_sites_one_in(0).build()
}

/// Runs a scene to its end; the request's own panic comes back, and no other.
pub(crate) fn play(scene: Scene, world: &World, sessions: &TypedObjectPool<Guest>) {
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ours(|| scene(world, sessions))));
    let payload = ended.expect_err("the request panics");
    assert_eq!(payload.downcast_ref(), Some(&"the request's own"));
}
