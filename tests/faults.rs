//! Whole requests with an allocator that refuses the n-th call, for every n that they make; with a panic at every callback of a user's; with
//! destructors that panic while the thread unwinds.
//!
//! A request takes an arena from its pool and does what requests do with everything that the library has: see
//! `faults/requests.rs`. However it ends, nothing is left over (every byte is counted, and LeakSanitizer runs this suite too), nothing
//! is dropped twice, and the pool serves the next request. What a single structure does when its allocator fails is in
//! `collections_panics.rs` and `budget.rs`, what cleanups do in `cleanups.rs`.
#![cfg(all(feature = "archive", feature = "cache", feature = "mapped"))]
#![deny(unsafe_code)]

#[path = "faults/allocator.rs"]
mod allocator;
#[path = "faults/children.rs"]
mod children;
#[path = "faults/cold.rs"]
mod cold;
mod during;
#[path = "faults/guests.rs"]
mod guests;
#[path = "faults/requests.rs"]
mod requests;
#[path = "archive_samples/mod.rs"]
mod samples;
#[path = "faults/unwinding.rs"]
mod unwinding;
#[path = "faults/world.rs"]
mod world;

use allocator::{Shortage, live, order};
use blixard_arena::arena::panics_swallowed;
use requests::{Form, PANICKING, RETURNING, Stop, caught};
use world::{TableFile, World};

/// Runs a part of a test on a thread of its own, to its end.
#[track_caller]
fn apart(what: &str, part: impl FnOnce() + Send) {
    guests::make_room(10_000);
    let ended = std::thread::scope(|scope| scope.spawn(part).join());
    assert!(ended.is_ok(), "{what}");
}

/// The same, after which everything must be gone.
#[track_caller]
fn nothing_is_left(what: &str, part: impl FnOnce() + Send) {
    let before = live();
    apart(what, part);
    assert_eq!((guests::alive(), live() - before), (0, 0), "guests and bytes left over: {what}");
}

/// A request whose n-th allocation is refused, the next one after it, and the end of all. Says how many allocations there were, and whether
/// the request felt it.
fn with_refusal(form: &Form, goes_on: bool, shortage: Shortage, nth: usize) -> (usize, bool) {
    let mut outcome = (0, false);
    let what = format!("{} calls, going on: {goes_on}, {shortage:?}, refused: {nth}", form.name);
    nothing_is_left(&what, || {
        let world = World::new();
        order(nth, shortage);
        let served = caught(|| form.serve(&world, goes_on));
        outcome = (allocator::calls(), served.is_err());
        order(0, shortage);
        form.serve(&world, false).expect("there is memory again");
        world.assert_at_rest();
    });
    outcome
}

fn whichever_allocation_is_refused_the_request_ends_alone() {
    for form in [&RETURNING, &PANICKING] {
        let (calls, felt) = with_refusal(form, false, Shortage::Once, 0);
        assert!(calls > 60 && !felt, "{calls} calls, {felt}");
        for shortage in [Shortage::Once, Shortage::Lasting] {
            for goes_on in [false, true] {
                let mut ended_early = 0;
                for nth in 1..=calls {
                    let (made, felt) = with_refusal(form, goes_on, shortage, nth);
                    assert!(made >= nth || shortage == Shortage::Lasting, "{made} of {nth}");
                    ended_early += usize::from(felt);
                }
                // Some are a wish: a larger chunk than needed, a slot for the thread.
                assert!(ended_early > calls / 2 && ended_early <= calls, "{ended_early} of {calls}");
            }
        }
    }
}

/// How a request is served: whether it goes on after what fails.
type Serve = fn(&World, bool) -> Result<(), Stop>;

/// A request with a panic at its n-th callback, the next one after it, and the end of all. Says how many callbacks there were, and whether
/// the request felt it.
fn with_panic(serve: Serve, goes_on: bool, nth: usize) -> (usize, bool) {
    let mut outcome = (0, false);
    nothing_is_left(&format!("a panic at callback {nth}, going on: {goes_on}"), || {
        let world = World::new();
        guests::panic_at(nth);
        let served = caught(|| serve(&world, goes_on));
        outcome = (guests::ticks(), served.is_err());
        guests::panic_at(0);
        serve(&world, false).expect("nothing panics again");
        world.assert_at_rest();
    });
    outcome
}

fn whichever_callback_panics_the_request_ends_alone() {
    let warm: Serve = |world, goes_on| PANICKING.serve(world, goes_on);
    for (serve, least) in [(warm, 300), (cold::serve, 100)] {
        let (callbacks, felt) = with_panic(serve, false, 0);
        assert!(callbacks > least && !felt, "{callbacks} callbacks, {felt}");
        for goes_on in [false, true] {
            for nth in 1..=callbacks {
                let (made, felt) = with_panic(serve, goes_on, nth);
                assert!(made >= nth && felt, "callback {nth} of {callbacks}: {made} made, felt: {felt}");
            }
        }
    }
}

/// While a request unwinds each destructor of what it leaves behind panics: all of them run, the process goes on, and the panics are counted.
fn destructors_that_panic_while_a_request_unwinds_are_swallowed_and_counted() {
    for (name, scene, expected) in unwinding::SCENES {
        nothing_is_left(name, || {
            let (world, sessions) = (World::new(), unwinding::sessions());
            let before = (guests::alive(), panics_swallowed(), world.arenas.figures().panics_swallowed);
            unwinding::play(*scene, &world, &sessions);
            assert_eq!(guests::thrown(), expected.guests, "{name}: each destructor ran and panicked");
            guests::drops_panic(false);
            assert_eq!(guests::alive(), before.0, "{name}");
            assert_eq!(panics_swallowed() - before.1, expected.by_arenas, "{name}");
            assert_eq!(world.arenas.figures().panics_swallowed - before.2, expected.by_the_pool, "{name}");
            assert_eq!(sessions.figures().panics_swallowed, expected.by_sessions, "{name}");
            PANICKING.serve(&world, false).expect("nothing panics again");
            world.assert_at_rest();
        });
    }
}

/// Where the library has no way to refuse, the process ends by an abort and by nothing else; and it is known where that is.
fn what_aborts_without_memory_is_known() {
    let aborted = children::aborted();
    let expected = [
        "archives",
        "bytes of a sealed batch",
        "buffers",
        "cached values",
        "objects",
        "owners by the batch",
        "pools",
        "tables",
        "weak values",
    ];
    assert_eq!(aborted, expected.into());
}

/// One test, because bytes are counted over the whole process.
#[test]
fn whatever_fails_a_request_ends_alone() {
    allocator::expect_panics();
    let _file = TableFile::written();
    if children::is_one() {
        return;
    }
    for form in [&RETURNING, &PANICKING] {
        apart("a request that nothing happens to, so that what the process keeps is made", || {
            let world = World::new();
            form.serve(&world, false).expect("there is memory");
            cold::serve(&world, false).expect("there is memory");
        });
    }
    whichever_allocation_is_refused_the_request_ends_alone();
    whichever_callback_panics_the_request_ends_alone();
    destructors_that_panic_while_a_request_unwinds_are_swallowed_and_counted();
    what_aborts_without_memory_is_known();
}
