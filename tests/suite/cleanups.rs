//! What runs when a request ends: destructors, deferred calls and adopted counts, in order, each once, whatever panics.
//!
//! Each test writes down what ran, in order, and compares the whole list.
#![expect(clippy::unwrap_used, reason = "a test: what cannot be had ends it")]

use blixard_arena::{Arena, ArenaOptions, ArenaPool, PooledArena, SharedArena};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// What ran, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u32>>>);

impl Log {
    fn add(&self, entry: u32) {
        self.0.lock().unwrap().push(entry);
    }

    fn taken(&self) -> Vec<u32> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Writes itself down when dropped, and may panic then.
struct Noted {
    log: Log,
    entry: u32,
    panics: bool,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.log.add(self.entry);
        if self.panics {
            panic_any(self.entry);
        }
    }
}

/// A panic's payload whose own destructor panics, with a payload whose destructor panics.
struct Grenade(u32);

impl Drop for Grenade {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Grenade(self.0 - 1));
        }
    }
}

/// Registers 0 to 8 in turn through every call there is; the entries in `panics` panic.
macro_rules! register {
    ($arena:expr, $log:expr, $panics:expr) => {{
        let (arena, log, panics): (_, &Log, &[u32]) = (&$arena, &$log, &$panics);
        for round in 0..3 {
            let note = |entry: u32| Noted { log: log.clone(), entry, panics: panics.contains(&entry) };
            let value = arena.alloc_with_drop(note(3 * round));
            assert_eq!(value.entry, 3 * round);
            arena.alloc([0u8; 300]); // so that the list spans chunks
            let noted = note(3 * round + 1);
            arena.defer(move || drop(noted));
            assert_eq!(arena.adopt(Arc::new(note(3 * round + 2))).entry, 3 * round + 2);
        }
    }};
}

const NEWEST_FIRST: [u32; 9] = [8, 7, 6, 5, 4, 3, 2, 1, 0];

#[track_caller]
fn payload(of: impl FnOnce()) -> u32 {
    *catch_unwind(AssertUnwindSafe(of)).unwrap_err().downcast::<u32>().unwrap()
}

#[test]
fn last_in_first_out_through_every_end() {
    let log = Log::default();
    let mut arena = Arena::new();
    register!(arena, log, []);
    assert!(log.taken().is_empty());
    arena.reset();
    assert_eq!(log.taken(), NEWEST_FIRST);
    arena.reset();
    assert!(log.taken().is_empty(), "each runs once");
    register!(arena, log, []);
    drop(arena);
    assert_eq!(log.taken(), NEWEST_FIRST);

    let mut shared = SharedArena::new();
    register!(shared, log, []);
    shared.reset();
    assert_eq!(log.taken(), NEWEST_FIRST);
    register!(shared, log, []);
    drop(shared);
    assert_eq!(log.taken(), NEWEST_FIRST);

    let pool = ArenaPool::new();
    for _ in 0..3 {
        let mut guard = pool.acquire();
        register!(guard, log, []);
        guard.reset();
        assert_eq!(log.taken(), NEWEST_FIRST);
        register!(guard, log, []);
        drop(guard);
        assert_eq!(log.taken(), NEWEST_FIRST);
        let guard = pool.acquire_shared();
        let clone = guard.clone();
        register!(guard, log, []);
        drop(guard);
        assert!(log.taken().is_empty(), "a clone is still there");
        drop(clone);
        assert_eq!(log.taken(), NEWEST_FIRST);
    }
}

#[test]
fn values_are_dropped_not_what_was_moved_in_their_place_and_need_no_destructor() {
    let log = Log::default();
    let arena = Arena::new();
    let value = arena.alloc_with_drop(Noted { log: log.clone(), entry: 1, panics: false });
    *value = Noted { log: log.clone(), entry: 2, panics: false };
    assert_eq!(log.taken(), [1]);
    assert_eq!(*arena.alloc_with_drop(7), 7);
    drop(arena);
    assert_eq!(log.taken(), [2]);
}

#[test]
fn the_first_panic_comes_back_once_the_others_have_run() {
    let log = Log::default();
    let mut arena = Arena::new();
    register!(arena, log, [7, 5, 3, 0]);
    assert_eq!(payload(|| arena.reset()), 7);
    assert_eq!(log.taken(), NEWEST_FIRST);
    assert_eq!(arena.figures().used_bytes, 0);
    register!(arena, log, [2, 1]);
    assert_eq!(payload(|| drop(arena)), 2);
    assert_eq!(log.taken(), NEWEST_FIRST);

    let mut shared = SharedArena::new();
    register!(shared, log, [8, 0]);
    assert_eq!(payload(|| shared.reset()), 8);
    register!(shared, log, [1]);
    assert_eq!(log.taken(), NEWEST_FIRST);
    assert_eq!(payload(|| drop(shared)), 1);
    assert_eq!(log.taken(), NEWEST_FIRST);
}

#[cfg(not(blixard_no_recycle))]
#[test]
fn after_a_panic_the_arena_is_back_in_its_pool() {
    let log = Log::default();
    let pool = ArenaPool::new();
    for _ in 0..20 {
        let guard = pool.acquire();
        register!(guard, log, [4, 6]);
        assert_eq!(payload(|| drop(guard)), 6);
        assert_eq!(log.taken(), NEWEST_FIRST);
        let guard = pool.acquire_shared();
        register!(guard, log, [4]);
        assert_eq!(payload(|| drop(guard)), 4);
        assert_eq!(log.taken(), NEWEST_FIRST);
        let mut guard = pool.acquire();
        register!(guard, log, [0]);
        assert_eq!(payload(|| guard.reset()), 0);
        assert_eq!(log.taken(), NEWEST_FIRST);
        assert_eq!(guard.figures().used_bytes, 0);
    }
    let figures = pool.figures();
    assert_eq!((figures.created, figures.live, figures.idle), (1, 0, 1));
    assert_eq!(figures.panics_swallowed, 0, "nothing was unwinding");
}

#[cfg(not(blixard_no_recycle))]
#[test]
fn payloads_that_panic_when_dropped_end_nothing() {
    let log = Log::default();
    let pool = ArenaPool::new();
    let guard = pool.acquire();
    for entry in 0..5 {
        let log = log.clone();
        guard.defer(move || {
            log.add(entry);
            panic_any(Grenade(3));
        });
    }
    let first = catch_unwind(AssertUnwindSafe(|| drop(guard))).unwrap_err();
    assert_eq!(log.taken(), [4, 3, 2, 1, 0]);
    let mut first = first.downcast::<Grenade>().unwrap();
    first.0 = 0; // pull its pin
    assert_eq!((pool.figures().live, pool.figures().idle), (0, 1));

    // While unwinding, too.
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let guard = pool.acquire();
        guard.defer(|| panic_any(Grenade(2)));
        guard.defer(|| panic_any(Grenade(1)));
        panic_any(9u32);
    }));
    assert_eq!(*unwound.unwrap_err().downcast::<u32>().unwrap(), 9);
    assert_eq!((pool.figures().live, pool.figures().panics_swallowed), (0, 1));
}

#[cfg(not(blixard_no_recycle))]
#[test]
fn while_unwinding_a_panic_is_swallowed_and_counted() {
    let log = Log::default();
    let pool = ArenaPool::new();
    for (round, panics) in [vec![], vec![3], vec![8, 1]].into_iter().enumerate() {
        for shared in [false, true] {
            let unwound = payload(|| {
                if shared {
                    let guard = pool.acquire_shared();
                    register!(guard, log, panics);
                    panic_any(77u32);
                }
                let guard = pool.acquire();
                register!(guard, log, panics);
                panic_any(77u32);
            });
            assert_eq!(unwound, 77, "the request's own panic goes on");
            assert_eq!(log.taken(), NEWEST_FIRST);
        }
        // One for each request, however many of its cleanups panicked.
        assert_eq!(pool.figures().panics_swallowed, 2 * round as u64);
        assert_eq!((pool.figures().created, pool.figures().live), (1, 0));
    }
    // Outside a pool: swallowed just the same.
    assert_eq!(
        payload(|| {
            let arena = Arena::new();
            register!(arena, log, [5]);
            let shared = SharedArena::new();
            register!(shared, log, [6]);
            panic_any(78u32);
        }),
        78
    );
    assert_eq!(log.taken(), [NEWEST_FIRST, NEWEST_FIRST].concat());
}

#[test]
fn whichever_thread_ends_the_request_runs_them() {
    let log = Log::default();
    let pool = ArenaPool::new();
    let here = std::thread::current().id();
    let elsewhere = Arc::new(AtomicUsize::new(0));
    for _ in 0..4 {
        let guard = pool.acquire();
        register!(guard, log, []);
        let count = Arc::clone(&elsewhere);
        guard.defer(move || _ = count.fetch_add(usize::from(std::thread::current().id() != here), SeqCst));
        std::thread::spawn(move || drop(guard)).join().unwrap();
        assert_eq!(log.taken(), NEWEST_FIRST);

        let guard = pool.acquire();
        register!(guard, log, [2]);
        let panic = std::thread::spawn(move || drop(guard)).join().unwrap_err();
        assert_eq!(*panic.downcast::<u32>().unwrap(), 2);
        assert_eq!(log.taken(), NEWEST_FIRST);
    }
    assert_eq!(elsewhere.load(SeqCst), 4);
    assert_eq!(pool.figures().live, 0);

    // A shared one: registered on many threads, run by the last holder, each once.
    let ran = Arc::new(AtomicUsize::new(0));
    let guard = pool.acquire_shared();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (guard, ran) = (guard.clone(), Arc::clone(&ran));
            std::thread::spawn(move || {
                for _ in 0..500 {
                    let ran = Arc::clone(&ran);
                    guard.defer(move || _ = ran.fetch_add(1, SeqCst));
                }
            })
        })
        .collect();
    drop(guard);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!((ran.load(SeqCst), Arc::strong_count(&ran)), (2000, 1));
}

#[test]
fn a_scope_ends_with_its_own() {
    let log = Log::default();
    let arena = Arena::new();
    register!(arena, log, []);
    arena.scope(|inner| {
        register!(inner, log, []);
        inner.scope(|innermost| register!(innermost, log, []));
        assert_eq!(log.taken(), NEWEST_FIRST, "the innermost");
    });
    assert_eq!(log.taken(), NEWEST_FIRST, "the inner");
    assert_eq!(payload(|| arena.scope(|inner| register!(inner, log, [3, 1]))), 3);
    assert_eq!(log.taken(), NEWEST_FIRST);
    let unwound = payload(|| {
        arena.scope(|inner| {
            register!(inner, log, [8]);
            panic_any(5u32);
        });
    });
    assert_eq!(unwound, 5);
    assert_eq!(log.taken(), NEWEST_FIRST);
    assert_eq!(arena.scope(|inner| *inner.alloc(3)), 3, "scopes go on");
    drop(arena);
    assert_eq!(log.taken(), NEWEST_FIRST, "the outer's own were left alone");
}

#[test]
fn an_arc_adopted_ten_thousand_times_is_freed_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let freed = Arc::new(AtomicUsize::new(0));
    let config = Arc::new(Counted(Arc::clone(&freed)));
    let pool = ArenaPool::new();
    let guard = pool.acquire();
    for _ in 0..10_000 {
        assert!(std::ptr::eq(guard.adopt(Arc::clone(&config)), Arc::as_ptr(&config)));
    }
    assert_eq!(Arc::strong_count(&config), 10_001);
    drop(guard);
    assert_eq!((Arc::strong_count(&config), freed.load(SeqCst)), (1, 0));
    let guard = pool.acquire_shared();
    for _ in 0..10_000 {
        guard.adopt(Arc::clone(&config));
    }
    drop(config);
    assert_eq!(freed.load(SeqCst), 0, "the request keeps it");
    drop(guard);
    assert_eq!(freed.load(SeqCst), 1);

    // Unsized ones, too.
    let names: Arc<[String]> = ["a".to_owned(), "b".to_owned()].into();
    let text: Arc<str> = "text".into();
    let arena = Arena::new();
    assert_eq!((arena.adopt(Arc::clone(&names)).len(), arena.adopt(Arc::clone(&text))), (2, "text"));
    assert_eq!((Arc::strong_count(&names), Arc::strong_count(&text)), (2, 2));
    drop(arena);
    assert_eq!((Arc::strong_count(&names), Arc::strong_count(&text)), (1, 1));
}

#[test]
fn a_cleanup_may_use_the_pool_and_may_own_other_guards() {
    let pool = ArenaPool::new();
    let seen = Arc::new(AtomicUsize::new(0));
    let guard = pool.acquire();
    for _ in 0..30 {
        let (pool, seen) = (pool.clone(), Arc::clone(&seen));
        guard.defer(move || {
            let other = pool.acquire();
            let more: Vec<PooledArena> = (0..3).map(|_| pool.acquire()).collect();
            seen.fetch_add(other.alloc_str("in a cleanup").len() + more.len(), SeqCst);
            let shared = pool.acquire_shared();
            shared.alloc(1);
        });
    }
    let owned = pool.acquire();
    let count = Arc::clone(&seen);
    owned.defer(move || _ = count.fetch_add(1000, SeqCst));
    guard.alloc_with_drop(owned);
    drop(guard);
    assert_eq!(seen.load(SeqCst), 30 * 15 + 1000);
    assert_eq!(pool.figures().live, 0);

    // The last handle of the pool, dropped by a cleanup of its own arena.
    let last = pool.acquire();
    last.alloc_with_drop(pool);
    drop(last);
}

#[test]
fn what_is_refused_is_dropped_at_once_and_never_called() {
    let log = Log::default();
    let options = ArenaOptions::new().budget_bytes_max(496);
    macro_rules! check {
        ($arena:expr) => {{
            let arena = $arena;
            while arena.try_alloc([0u64; 2]).is_ok() {}
            let note = |entry| Noted { log: log.clone(), entry, panics: false };
            assert!(arena.try_alloc_with_drop((note(1), [0u8; 64])).is_err());
            assert_eq!(log.taken(), [1]);
            let (noted, called) = (note(2), log.clone());
            let refused = arena.try_defer(move || {
                let _own = (&noted, [0u8; 64]);
                called.add(99);
            });
            assert!(refused.is_err());
            assert_eq!(log.taken(), [2], "dropped, not called");
            assert!(arena.try_adopt(Arc::new(note(3))).is_err());
            assert_eq!(log.taken(), [3]);
            drop(arena);
            assert!(log.taken().is_empty());
        }};
    }
    check!(options.arena());
    check!(options.budget_bytes_max(1000).shared());

    // The infallible form drops the value while its panic unwinds.
    let arena = options.arena();
    let noted = Noted { log: log.clone(), entry: 4, panics: false };
    let refused = catch_unwind(AssertUnwindSafe(|| _ = arena.alloc_with_drop((noted, [0u8; 5000]))));
    assert!(refused.unwrap_err().is::<blixard_arena::BudgetExceeded>());
    assert_eq!(log.taken(), [4]);
}

#[test]
fn a_request_that_panics_is_caught_and_its_neighbour_goes_on() {
    let log = Log::default();
    let pool = ArenaPool::new();
    let neighbour = pool.acquire();
    let name = neighbour.alloc_str("neighbour");
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let guard = pool.acquire();
        register!(guard, log, []);
        resume_unwind(Box::new("lost"));
    }));
    assert!(caught.is_err());
    assert_eq!(log.taken(), NEWEST_FIRST);
    assert_eq!(name, "neighbour");
    assert_eq!(pool.figures().live, 1);
}
