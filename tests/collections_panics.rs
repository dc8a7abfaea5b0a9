//! Callers' code that panics at its n-th call, for every n, or lies; an allocator that fails at its n-th call, for every n.
//!
//! Over the public API. `Clone`, `Hash`, `Eq`, `Drop` and closures share one counter; each scenario is run with a panic at the
//! first of their calls, at the second, and so on until none is left. Keys and values register: none is dropped twice, none
//! and no byte of the heap is lost, and the collection is whole afterwards: each key that it has is found. `Hash` and `Eq`
//! that answer at random may lose pairs, but nothing else. The global allocator counts and refuses per thread.

mod counting;

use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{self, Entry, FlatMap, FlatSet, Heap, Memory, SeededState};
use blixard_arena::{ArenaOptions, BudgetExceeded, Reset};
use counting::{LASTING, asked, live, serve};
use std::cell::{Cell, RefCell};
use std::fmt::{Debug, Write};
use std::hash::{BuildHasher, Hash, Hasher};
use std::panic::{self, AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;

thread_local! {
    /// Whether panics are expected, so that none is printed, which would take memory.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// Calls of user code until the one that panics; 0: none does.
    static PANICS_IN: Cell<usize> = const { Cell::new(0) };
    /// Which values are alive, by number.
    static ALIVE: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
    static DROPPED_TWICE: Cell<bool> = const { Cell::new(false) };
    /// What lies are drawn from; 0: the truth.
    static LIES: Cell<u64> = const { Cell::new(0) };
}

/// The payload of the panics here.
struct Bomb;

/// From now on the allocator refuses the n-th call of this thread, and the `run - 1` after it.
fn refuse(nth: usize, run: usize) {
    // Smaller ones are a panic's own, without which the process would end.
    counting::spare_below(100);
    counting::refuse(nth, run);
}

/// User code is called.
fn tick() {
    let left = PANICS_IN.get();
    PANICS_IN.set(left.saturating_sub(1));
    if left == 1 {
        resume_unwind(Box::new(Bomb));
    }
}

fn lie() -> Option<u64> {
    let state = LIES.get();
    (state != 0).then(|| {
        let next = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        LIES.set(next);
        next >> 29
    })
}

/// A key or value that is registered while it lives.
#[derive(Debug)]
struct Guest {
    id: u16,
    number: usize,
}

impl Guest {
    fn new(id: u16) -> Self {
        ALIVE.with_borrow_mut(|alive| {
            alive.push(true);
            Self { id, number: alive.len() - 1 }
        })
    }

    /// Alive, by the register.
    fn check(&self) {
        ALIVE.with_borrow(|alive| assert!(alive[self.number], "a value that was dropped is in the collection"));
    }
}

impl Clone for Guest {
    fn clone(&self) -> Self {
        tick();
        Self::new(self.id)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        ALIVE.with_borrow_mut(|alive| {
            if !std::mem::replace(&mut alive[self.number], false) {
                DROPPED_TWICE.set(true);
            }
        });
        if !std::thread::panicking() {
            tick();
        }
    }
}

impl PartialEq for Guest {
    fn eq(&self, other: &Self) -> bool {
        tick();
        self.check();
        other.check();
        lie().map_or(self.id == other.id, |drawn| drawn % 4 == 0)
    }
}
impl Eq for Guest {}

impl Hash for Guest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        tick();
        self.check();
        state.write_u64(lie().map_or(u64::from(self.id), |drawn| drawn % 32));
    }
}

static HOOK: Once = Once::new();

/// Alone on this thread: starts the register anew, runs, and looks what is left.
fn nothing_is_lost(what: &str, run: impl FnOnce()) {
    ALIVE.with_borrow_mut(|alive| {
        alive.clear();
        alive.reserve(1 << 16);
    });
    DROPPED_TWICE.set(false);
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    let before = live();
    run();
    assert!(!DROPPED_TWICE.get(), "{what}: dropped twice");
    let left = ALIVE.with_borrow(|alive| alive.iter().filter(|alive| **alive).count());
    assert_eq!(left, 0, "{what}: never dropped");
    assert_eq!(live(), before, "{what}: bytes of the heap were lost");
}

type Map<S = SeededState> = FlatMap<Guest, Guest, Heap, S>;

fn filled(len: u16) -> Map {
    let mut map = Map::new();
    map.extend((0..len).map(|id| (Guest::new(id), Guest::new(1000 + id))));
    map
}

/// Each pair that is there is alive and found, and no key stands twice.
fn is_whole<A: Memory>(map: &mut FlatMap<Guest, Guest, A>) {
    for (at, (key, value)) in map.iter().enumerate() {
        key.check();
        value.check();
        assert_eq!(key.id + 1000, value.id);
        let found = map.get(key).expect("a key that is there is found");
        assert!(std::ptr::eq(found, value), "the pair at {at}");
    }
    let len = map.len();
    map.insert(Guest::new(900), Guest::new(1900));
    map.insert(Guest::new(901), Guest::new(1901));
    assert!(map.remove(&Guest::new(900)).is_some());
    assert!(map.get(&Guest::new(900)).is_none() && map.get(&Guest::new(901)).is_some_and(|value| value.id == 1901));
    assert!(map.remove(&Guest::new(901)).is_some());
    assert_eq!(map.len(), len);
}

/// Runs it with a panic at each call of user code, one after the other; answers how many calls there are.
fn at_each_call(what: &str, len: u16, scenario: impl Fn(&mut Map)) -> usize {
    for call in 1.. {
        let mut ended = false;
        nothing_is_lost(&format!("{what} of {len}, panic at call {call}"), || {
            let mut map = filled(len);
            PANICS_IN.set(call);
            let result = caught(|| scenario(&mut map));
            ended = PANICS_IN.replace(0) > 0;
            assert!(ended || result.is_err_and(|payload| payload.is::<Bomb>()));
            is_whole(&mut map);
        });
        if ended {
            return call - 1;
        }
        assert!(call < 10_000);
    }
    unreachable!()
}

/// Below, at and above the size at which the index comes, and in a larger map.
const SIZES: [u16; 6] = [0, 1, 7, 8, 9, 40];

#[test]
fn a_panic_at_any_call_of_user_code_leaves_a_map_whole() {
    let pair = |id: u16| (Guest::new(id), Guest::new(1000 + id));
    let mut calls = 0;
    for len in SIZES {
        calls += at_each_call("insert", len, |map| {
            for id in [500, 501, 502] {
                let (key, value) = pair(id);
                map.insert(key, value);
            }
            let (key, value) = pair(500);
            drop(map.insert(key, value));
        });
        calls += at_each_call("get", len, |map| {
            let key = Guest::new(6);
            _ = (map.get(&key).is_some(), map.contains_key(&key), map.get_mut(&key).is_some());
        });
        calls += at_each_call("remove", len, |map| {
            for id in [6, 0, 39, 600] {
                let key = Guest::new(id);
                drop(map.remove(&key));
                drop(map.remove_entry(&Guest::new(id + 1)));
            }
        });
        calls += at_each_call("retain", len, |map| {
            map.retain(|key, _| {
                tick();
                key.id % 3 == 0
            });
        });
        calls += at_each_call("clear", len, FlatMap::clear);
        calls += at_each_call("clone", len, |map| drop(map.clone()));
        calls += at_each_call("clone, in place of the first", len, |map| *map = map.clone());
        calls += at_each_call("extend", len, |map| {
            let pairs = |ids: std::ops::Range<u16>| {
                ids.map(|id| {
                    tick();
                    pair(id)
                })
            };
            map.extend(pairs(600..610));
            map.extend(pairs(605..615));
        });
        calls += at_each_call("entries", len, |map| {
            for id in [2, 700, 701] {
                map.entry(Guest::new(id)).or_insert_with(|| {
                    tick();
                    Guest::new(1000 + id)
                });
                map.entry(Guest::new(id)).and_modify(|_| tick()).or_insert(Guest::new(1000 + id));
            }
            if let Entry::Occupied(mut entry) = map.entry(Guest::new(5)) {
                drop(entry.insert(Guest::new(1005)));
                drop(entry.remove());
            }
            if let Entry::Vacant(entry) = map.entry(Guest::new(800)) {
                drop(entry.into_key());
            }
        });
        calls += at_each_call("into_iter", len, |map| {
            let mut pairs = std::mem::take(map).into_iter();
            drop((pairs.next(), pairs.next_back()));
        });
        calls += at_each_call("eq", len, |map| {
            let other = filled(9);
            _ = *map == other;
            _ = other == *map;
        });
        calls += at_each_call("reserve", len, |map| map.reserve(50));
        calls += at_each_call("drop", len, |map| drop(std::mem::take(map)));
    }
    assert!(calls > 2_000, "{calls}");
}

#[test]
fn a_panic_at_any_call_of_user_code_leaves_a_set_whole() {
    for len in SIZES {
        for call in 1..1000 {
            let mut ended = false;
            nothing_is_lost(&format!("a set of {len}, panic at call {call}"), || {
                let mut set: FlatSet<Guest> = (0..len).map(Guest::new).collect();
                PANICS_IN.set(call);
                let result = caught(|| {
                    for id in [3, 600, 601, 3] {
                        set.insert(Guest::new(id));
                    }
                    drop(set.take(&Guest::new(6)));
                    set.remove(&Guest::new(0));
                    set.retain(|value| {
                        tick();
                        value.id % 5 > 0
                    });
                    let clone = set.clone();
                    _ = clone == set;
                    _ = set.union(&clone).count();
                    set.extend(clone);
                });
                ended = PANICS_IN.replace(0) > 0;
                assert!(ended || result.is_err_and(|payload| payload.is::<Bomb>()));
                for value in &set {
                    value.check();
                    assert!(set.get(value).is_some_and(|found| std::ptr::eq(found, value)));
                }
            });
            if ended {
                break;
            }
        }
    }
}

/// A destructor that panics in the middle: the others still run, and the block is freed.
#[test]
fn destructors_that_panic_at_the_end_of_a_map() {
    for len in [1, 5, 30] {
        for call in 1..=2 * usize::from(len) {
            nothing_is_lost(&format!("{len} pairs, panic at destructor {call}"), || {
                let map = filled(len);
                PANICS_IN.set(call);
                assert!(caught(|| drop(map)).is_err());
            });
            nothing_is_lost(&format!("{len} pairs by value, panic at destructor {call}"), || {
                let mut pairs = filled(len).into_iter();
                drop(pairs.next());
                PANICS_IN.set(call);
                assert_eq!(caught(|| drop(pairs)).is_err(), PANICS_IN.replace(0) == 0);
            });
        }
    }
}

/// Random answers of `Hash` and `Eq`: pairs may be missed or stand twice.
#[test]
fn hash_and_eq_that_lie_break_nothing() {
    for seed in 1..60_u64 {
        nothing_is_lost(&format!("seed {seed}"), || {
            let mut map = Map::new();
            let mut set = FlatSet::new();
            LIES.set(seed);
            for step in 0..400_u16 {
                let drawn = lie().expect("lies are on");
                let id = step % 50;
                match drawn % 16 {
                    0..7 => drop(map.insert(Guest::new(id), Guest::new(id))),
                    7 => drop(map.remove(&Guest::new(id))),
                    8 => drop(map.remove_entry(&Guest::new(id))),
                    9 => *map.entry(Guest::new(id)).or_insert_with(|| Guest::new(id)) = Guest::new(id),
                    10 => {
                        if let Entry::Occupied(entry) = map.entry(Guest::new(id)) {
                            drop(entry.remove_entry());
                        }
                    }
                    11 => map.retain(|_, _| lie().is_some_and(|drawn| drawn % 8 > 0)),
                    12 => map = map.clone(),
                    13 => {
                        set.insert(Guest::new(id));
                        set.remove(&Guest::new(id));
                        set.extend((0..9).map(Guest::new));
                        set.retain(|_| lie().is_some_and(|drawn| drawn % 2 > 0));
                    }
                    14 => map.reserve(usize::from(id)),
                    _ => {
                        _ = map == map.clone();
                        if drawn % 64 == 15 {
                            map.clear();
                        }
                    }
                }
                for (key, value) in &map {
                    key.check();
                    value.check();
                }
            }
            LIES.set(0);
            assert_eq!(map.iter().count(), map.len());
            // With the truth again it may miss what it has; what is new is found while it is scanned or was put anew.
            map.retain(|_, _| true);
            map.insert(Guest::new(700), Guest::new(7));
            assert!(map.get(&Guest::new(700)).is_some(), "`retain` put the index right");
        });
    }
}

/// The allocator fails at each call in turn: `try_` calls say so, the others panic with the same, and all is as it was.
#[test]
fn an_allocator_that_fails_leaves_a_map_on_the_heap_as_it_was() {
    let mut failures = 0;
    for call in 1..40 {
        for (run, infallible) in [(1, false), (2, false), (2, true)] {
            nothing_is_lost(&format!("{run} failures at call {call}"), || {
                let mut map = Map::new();
                ALIVE.with_borrow_mut(|alive| alive.reserve(1 << 12));
                refuse(call, run);
                for id in 0..600 {
                    let (key, value) = (Guest::new(id), Guest::new(1000 + id));
                    let served = match id % 3 {
                        _ if infallible => refused(|| drop(map.insert(key, value))),
                        0 => map.try_insert(key, value).map(drop),
                        1 => map.try_reserve(1).and_then(|()| map.try_insert(key, value).map(drop)),
                        _ => map.entry(key).or_try_insert(value).map(drop),
                    };
                    if let Err(told) = served {
                        failures += 1;
                        assert!(told.asked > 0 && told.allowed <= told.used, "{told:?}");
                        assert_eq!(map.len(), usize::from(id));
                        serve(); // the next attempt is served
                        map.insert(Guest::new(id), Guest::new(1000 + id));
                    }
                }
                serve();
                assert!(map.keys().map(|key| key.id).eq(0..600));
                is_whole(&mut map);
                for call in 1..=2 {
                    refuse(call, 1);
                    assert!(refused(|| map.clone()).is_err(), "two blocks: failure at {call}");
                }
                serve();
                is_whole(&mut map);
                let mut large = Map::new();
                refuse(1, 1);
                assert!(large.try_reserve(100).is_err());
                refuse(2, 1);
                assert!(refused(|| large.extend((0..100).map(|id| (Guest::new(id), Guest::new(1000 + id))))).is_err());
                serve();
                is_whole(&mut large);
            });
        }
    }
    assert!(failures > 20, "{failures}");
}

/// A panic that is expected, and so not printed.
fn caught<R>(call: impl FnOnce() -> R) -> std::thread::Result<R> {
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    QUIET.set(false);
    result
}

fn refused<R>(call: impl FnOnce() -> R) -> Result<R, BudgetExceeded> {
    caught(call).map_err(|payload| match payload.downcast::<BudgetExceeded>() {
        Ok(refused) => *refused,
        Err(other) => resume_unwind(other),
    })
}

/// The same in arenas, whose chunks come from an allocator that fails.
#[test]
fn an_allocator_that_fails_leaves_an_arenas_collections_as_they_were() {
    fn on<A: AnyArena>(arena: &A, call: usize, run: usize) -> usize {
        let mut failures = 0;
        let mut numbers = collections::Vec::new_in(arena);
        let mut text = collections::String::new_in(arena);
        let mut map = FlatMap::new_in(arena);
        let mut set = FlatSet::new_in(arena);
        let mut expected = String::with_capacity(1 << 14);
        refuse(call, run);
        for step in 0..500_u64 {
            for attempt in 0..2 {
                let served = numbers.try_push(step).and_then(|()| {
                    let piece = arena.try_format(format_args!("{step},"))?;
                    text.try_push_str(piece)
                });
                if served.is_ok() {
                    break;
                }
                failures += 1;
                serve();
                assert!(attempt == 0, "the second attempt is served");
                numbers.truncate(usize::try_from(step).expect("a small number"));
            }
            write!(expected, "{step},").expect("there is room");
            assert_eq!((numbers.len(), numbers.last()), (expected.matches(',').count(), Some(&step)));
            assert_eq!(text, expected);
            if map.try_insert(step, [step; 3]).is_err() {
                failures += 1;
                serve();
                assert!(map.get(&step).is_none());
                map.insert(step, [step; 3]);
            }
            if refused(|| set.insert(step)).is_err() {
                failures += 1;
                serve();
                assert!(!set.contains(&step));
                assert_eq!(set.try_insert(step), Ok(true));
            }
        }
        serve();
        assert!(numbers.iter().copied().eq(0..500) && map.values().map(|value| value[2]).eq(0..500));
        assert!((0..500).all(|step| map.contains_key(&step) && set.contains(&step)));
        failures
    }
    /// Fails at each of the calls that are made when none fails, and at two that are not.
    fn at_every_call<A: AnyArena>(arena: impl Fn() -> A) {
        assert_eq!(on(&arena(), 0, 0), 0);
        let calls = asked();
        assert!(calls > 3, "{calls}");
        for call in 1..calls + 3 {
            // Each growth asks for a chunk with room to spare, for one that fits, and for both with less headroom.
            for run in [1, 2, 4, LASTING] {
                nothing_is_lost(&format!("{run} failures from call {call}"), || {
                    let failures = on(&arena(), call, run);
                    assert!(
                        run < LASTING || failures == usize::from(call <= calls),
                        "{failures} at call {call} of {calls}"
                    );
                });
            }
        }
    }
    for reset in [Reset::Keep, Reset::Poison] {
        let options = ArenaOptions::new().on_reset(reset).first_chunk_bytes(256);
        at_every_call(|| options.arena());
        at_every_call(|| options.shared());
    }
}

/// Keys of one text whose hash and equality panic, in an arena: where nothing is dropped, and where the index lies beside.
#[test]
fn maps_in_an_arena_stay_whole_too() {
    #[derive(Clone, Copy, Debug)]
    struct Key(u16);
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            tick();
            self.0 == other.0
        }
    }
    impl Eq for Key {}
    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            tick();
            state.write_u16(self.0);
        }
    }
    for len in SIZES {
        for call in 1..2000 {
            let arena = ArenaOptions::new().on_reset(Reset::Keep).arena();
            let mut map = FlatMap::from_iter_in((0..len).map(|id| (Key(id), arena.alloc(id))), &arena);
            PANICS_IN.set(call);
            let result = caught(|| {
                for id in [3, 500, 501, 502] {
                    map.insert(Key(id), arena.alloc(id));
                }
                map.remove(&Key(2));
                map.retain(|key, value| {
                    tick();
                    **value == key.0 && key.0 % 4 > 0
                });
                map.entry(Key(700)).or_insert_with(|| {
                    tick();
                    arena.alloc(700)
                });
            });
            let ended = PANICS_IN.replace(0) > 0;
            assert_eq!(ended, result.is_ok());
            for (key, value) in &map {
                assert_eq!((key.0, map.get(key)), (**value, Some(value)));
            }
            map.insert(Key(900), arena.alloc(900));
            assert!(map.remove(&Key(900)).is_some() && !map.contains_key(&Key(900)));
            if ended {
                break;
            }
        }
    }
}

/// A hasher that cannot be made, or cannot finish.
#[test]
fn hashers_that_panic() {
    #[derive(Clone)]
    struct Refusing(u8);
    struct Unfinished(u8);
    impl BuildHasher for Refusing {
        type Hasher = Unfinished;
        fn build_hasher(&self) -> Unfinished {
            assert!(self.0 != 0, "not made");
            Unfinished(self.0)
        }
    }
    impl Hasher for Unfinished {
        fn write(&mut self, _: &[u8]) {
            assert!(self.0 != 1, "not written");
        }
        fn finish(&self) -> u64 {
            assert!(self.0 != 2, "not finished");
            0
        }
    }
    for kind in 0..3 {
        nothing_is_lost("a hasher that panics", || {
            let mut map = Map::with_hasher(Refusing(kind));
            for id in 0..8 {
                map.insert(Guest::new(id), Guest::new(id));
            }
            for _ in 0..3 {
                assert!(caught(|| map.insert(Guest::new(8), Guest::new(8))).is_err());
                assert!(caught(|| map.reserve(1)).is_err());
            }
            assert!(map.keys().map(|key| key.id).eq(0..8));
            assert!((0..8).all(|id| map.contains_key(&Guest::new(id))));
            assert!(map.remove(&Guest::new(3)).is_some());
        });
    }
}
