//! Names in recycled arenas: in the second half of a run no request that interns calls the allocator.
//!
//! Over the public API, with dhat as the global allocator in its testing mode. Requests intern few or many names, hit and
//! miss, on both kinds of arena and on a second thread. This file holds one test, because dhat counts the whole process.
#![cfg(not(blixard_no_recycle))]

mod blocks;

use blixard_arena::ArenaPool;
use blixard_arena::arena::AnyArena;
use blixard_arena::intern::{ArenaInterner, Symbol};
use blocks::calls;
use std::sync::mpsc::sync_channel;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const REQUESTS: usize = 1_000;

/// Interns `distinct` names several times over, and looks each of them up again.
fn request<A: AnyArena>(arena: &A, distinct: usize) {
    let mut names = ArenaInterner::new_in(arena);
    let first: Symbol = names.intern("tenant-7");
    for i in 0..4 * distinct {
        let mut text = *b"vm-00000";
        for (place, digit) in text[3..].iter_mut().rev().zip(0..) {
            *place = b'0' + u8::try_from(i % distinct / 10_usize.pow(digit) % 10).expect("a digit");
        }
        let text = std::str::from_utf8(&text).expect("digits");
        let symbol = names.intern(text);
        assert_eq!((names.resolve(symbol), names.get(text)), (text, Some(symbol)));
    }
    assert_eq!((names.len(), names.get("tenant-7")), (distinct + 1, Some(first)));
}

#[test]
fn no_request_that_interns_calls_the_allocator() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let pool = ArenaPool::new();
    let sizes = [30, 8, 40, 33];
    // A request that fans out hands its names to the other thread, which goes on interning there.
    let (to_there, there) = sync_channel(1);
    let (answer, answers) = sync_channel(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for (arena, size) in there {
                let arena: blixard_arena::PooledSharedArena = arena;
                request(&*arena, size);
                answer.send(arena).expect("the other end waits");
            }
        });
        let mut before = None;
        for i in 0..REQUESTS {
            let size = sizes[i % sizes.len()];
            request(&*pool.acquire(), size);
            let arena = pool.acquire_shared();
            request(&*arena, size);
            to_there.send((arena, size)).expect("the other thread runs");
            drop(answers.recv().expect("it answers"));
            if i >= REQUESTS / 2 {
                let now = calls();
                assert_eq!(*before.get_or_insert(now), now, "request {i} called the allocator");
            }
        }
        drop(to_there);
    });
}
