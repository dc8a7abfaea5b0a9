//! `WeakCache`: builds once, keeps nothing alive, sweeps the dead, survives its builders and destructors.
//!
//! Over the public API.
#![cfg(feature = "cache")]
#![forbid(unsafe_code)]

use blixard_arena::arc::WeakCache;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

#[test]
fn threads_that_miss_at_once_share_one_value_and_it_goes_with_the_last() {
    const THREADS: usize = 8;
    let cache = WeakCache::<u64, u64>::new();
    let built = AtomicU64::new(0);
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for key in 0..300 {
                    barrier.wait();
                    let value = cache.get_or_build(&(key % 3), || {
                        built.fetch_add(1, SeqCst);
                        thread::yield_now();
                        key
                    });
                    assert_eq!(*value, key, "none of an earlier turn");
                    // Everybody has it before anybody lets go.
                    barrier.wait();
                    assert!(Arc::strong_count(&value) >= 1);
                    drop(value);
                    barrier.wait();
                    assert!(cache.get(&(key % 3)).is_none());
                }
            });
        }
    });
    let figures = cache.figures();
    assert_eq!((built.into_inner(), figures.built, figures.failed), (300, 300, 0));
    assert!(figures.entries <= 3);
}

#[test]
fn nothing_is_kept_alive() {
    let cache = WeakCache::<String, str>::new();
    let value = cache.get_or_build("vm-1", || "2 cores");
    assert_eq!(Arc::strong_count(&value), 1);
    let same = cache.get("vm-1").unwrap();
    assert!(Arc::ptr_eq(&value, &same));
    drop((value, same));
    assert!(cache.get("vm-1").is_none());
    // What already is an `Arc` is shared, not copied.
    let mine: Arc<str> = "4 cores".into();
    let shared = cache.get_or_build("vm-1", || Arc::clone(&mine));
    assert!(Arc::ptr_eq(&mine, &shared));
    let figures = cache.figures();
    assert_eq!((figures.entries, figures.built, figures.dropped), (1, 2, 1), "the dead one's place was taken");
}

#[test]
fn the_dead_are_swept_as_the_living_come() {
    let cache = WeakCache::<u64, [u8; 64]>::new();
    let mut most = 0;
    for key in 0..200_000 {
        cache.get_or_build(&key, || [0; 64]);
        if key % 1_000 == 0 {
            most = most.max(cache.figures().entries);
        }
    }
    assert!(most <= 32 * 32, "{most} dead entries at one time, of 200,000");
    // Beside many that live: at most as many again, and 32 per shard.
    let held: Vec<_> = (0..10_000).map(|key| cache.get_or_build(&key, || [1; 64])).collect();
    for key in 0..200_000 {
        cache.get_or_build(&(1_000_000 + key), || [2; 64]);
        if key % 1_000 == 0 {
            let entries = cache.figures().entries;
            assert!(entries <= 2 * held.len() + 3 * 1_024, "{entries} entries, 10,000 of them alive");
        }
    }
    assert!((0..).zip(&held).all(|(key, one)| Arc::ptr_eq(one, &cache.get(&key).unwrap())), "none that lives");
    drop(held);
    cache.sweep();
    assert_eq!(cache.figures().entries, 0);
    let figures = cache.figures();
    assert_eq!(figures.built, figures.dropped);
}

#[test]
fn a_builder_that_fails_or_panics_leaves_its_turn_to_the_next() {
    for panics in [false, true] {
        let cache = WeakCache::<String, u32>::new();
        let (entered, in_builder) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let cache = &cache;
            let first = scope.spawn(move || {
                cache.try_get_or_build("vm-1", || -> Result<u32, ()> {
                    entered.send(()).unwrap();
                    ends.recv().unwrap();
                    assert!(!panics, "meant to be");
                    Err(())
                })
            });
            in_builder.recv().unwrap();
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| cache.get_or_build("vm-1", || 7_u32))).collect();
            while cache.figures().misses < 5 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            assert_eq!(cache.figures().built, 0);
            end.send(()).unwrap();
            assert_eq!(first.join().is_err(), panics);
            // All are held until all have one: so one is built.
            let values: Vec<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
            assert!(values.iter().all(|value| Arc::ptr_eq(value, &values[0])));
        });
        assert_eq!((cache.figures().built, cache.figures().failed), (1, 1));
    }
}

#[test]
fn builders_may_ask_for_other_keys_and_panic_at_their_own() {
    let cache = WeakCache::<u32, u32>::new();
    let outer = cache.get_or_build(&1, || 1 + *cache.get_or_build(&2, || 2_u32));
    assert_eq!(*outer, 3);
    let own = || cache.get_or_build(&3, || *cache.get_or_build(&3, || 0_u32));
    let panicked = catch_unwind(AssertUnwindSafe(own)).unwrap_err();
    assert!(panicked.downcast_ref::<String>().unwrap().contains("waiting would never end"));
    assert_eq!(*cache.get_or_build(&3, || 3_u32), 3);
}

/// Three threads in a circle: of those who would wait, the one that would close it panics, and the others get their values.
#[test]
fn a_circle_of_three_is_broken_by_one() {
    let cache = WeakCache::<usize, usize>::new();
    for _ in 0..30 {
        let barrier = Barrier::new(3);
        let panics = AtomicUsize::new(0);
        thread::scope(|scope| {
            for own in 0..3 {
                let (cache, barrier, panics) = (&cache, &barrier, &panics);
                scope.spawn(move || {
                    let ask = || {
                        cache.get_or_build(&own, || {
                            barrier.wait();
                            *cache.get_or_build(&((own + 1) % 3), || 0_usize)
                        })
                    };
                    panics.fetch_add(usize::from(catch_unwind(AssertUnwindSafe(ask)).is_err()), SeqCst);
                });
            }
        });
        assert_eq!(panics.into_inner(), 1);
        cache.sweep();
    }
}

#[test]
fn what_is_removed_is_built_anew() {
    let cache = WeakCache::<String, u32>::new();
    let old = cache.get_or_build("vm-1", || 2_u32);
    assert_eq!(cache.remove("vm-1").as_deref(), Some(&2));
    assert!(cache.remove("vm-1").is_none());
    let new = cache.get_or_build("vm-1", || 4_u32);
    assert_eq!((*old, *new), (2, 4));
    let built = cache.get_or_build("vm-2", || {
        cache.remove("vm-2");
        1_u32
    });
    assert!(cache.get("vm-2").is_none(), "removed while it was built");
    assert_eq!(*built, 1);
}

#[test]
fn destructors_of_keys_and_values_may_use_the_cache() {
    type Place = Arc<Mutex<Option<WeakCache<Key, Value>>>>;
    #[derive(Clone)]
    struct Key(u64, Option<Place>);
    struct Value(u64, Place);

    fn visit(id: u64, place: &Place) {
        let cache = place.lock().unwrap().clone();
        if let Some(cache) = cache {
            let absent = Key(id + 1_000_000, None);
            assert!(cache.get(&absent).is_none() && cache.remove(&absent).is_none());
            assert!(cache.figures().entries < 10_000);
        }
    }
    impl Drop for Key {
        fn drop(&mut self) {
            if let Some(place) = &self.1 {
                visit(self.0, place);
            }
        }
    }
    impl Drop for Value {
        fn drop(&mut self) {
            visit(self.0, &self.1);
        }
    }
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Key {}
    impl std::hash::Hash for Key {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    let place = Place::default();
    let cache = WeakCache::new();
    *place.lock().unwrap() = Some(cache.clone());
    for id in 0..3_000 {
        drop(cache.get_or_build(&Key(id, Some(Arc::clone(&place))), || Value(id, Arc::clone(&place))));
        // In a dead one's place.
        let again = cache.get_or_build(&Key(id, Some(Arc::clone(&place))), || Value(id, Arc::clone(&place)));
        if id % 3 == 0 {
            drop(cache.remove(&Key(id, Some(Arc::clone(&place)))));
        }
        drop(again);
    }
    cache.sweep();
    assert_eq!(cache.figures().entries, 0);
    *place.lock().unwrap() = None;
}

/// Values come and go under threads that look them up, remove and sweep: a key has one living value at a time, unless it was removed.
#[test]
fn a_key_has_one_living_value() {
    const KEYS: usize = 16;
    struct Alive<'a>(&'a AtomicUsize);
    impl Drop for Alive<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    let alive: Vec<AtomicUsize> = (0..KEYS).map(|_| AtomicUsize::new(0)).collect();
    let cache = WeakCache::<usize, Alive<'_>>::new();
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let (cache, alive) = (&cache, &alive);
            scope.spawn(move || {
                let mut held: Vec<Option<Arc<Alive<'_>>>> = (0..KEYS).map(|_| None).collect();
                for step in 0..30_000 {
                    let key = (step * 7 + seed * 5 + step / 11) % KEYS;
                    if step % 3 == 0 {
                        held[key] = None;
                    } else {
                        let value = cache.get_or_build(&key, || {
                            // A dying one may not have come to the end of its destructor.
                            alive[key].fetch_add(1, SeqCst);
                            Alive(&alive[key])
                        });
                        if let Some(before) = &held[key] {
                            assert!(Arc::ptr_eq(before, &value), "while it is held, nobody gets another");
                        }
                        held[key] = Some(value);
                    }
                    if step % 1_000 == 0 {
                        cache.sweep();
                    }
                }
            });
        }
    });
    assert!(alive.iter().all(|alive| alive.load(SeqCst) == 0));
    cache.sweep();
    assert_eq!(cache.figures().entries, 0);
}

/// A key whose `Eq` panics while others are swept: their destructors, which use the cache, run when no lock is held.
#[test]
fn destructors_run_under_no_lock_though_an_eq_panics() {
    use std::cell::Cell;
    use std::hash::{Hash, Hasher};
    use std::sync::LazyLock;

    static CACHE: LazyLock<WeakCache<Touchy, u32>> = LazyLock::new(WeakCache::new);
    thread_local! {
        static PANICS_IN: Cell<u32> = const { Cell::new(0) };
        static LOOKS: Cell<bool> = const { Cell::new(false) };
    }
    #[derive(Clone)]
    struct Touchy(u32);
    impl Hash for Touchy {
        fn hash<H: Hasher>(&self, state: &mut H) {
            0.hash(state);
        }
    }
    impl PartialEq for Touchy {
        fn eq(&self, other: &Self) -> bool {
            let left = PANICS_IN.get();
            PANICS_IN.set(left.saturating_sub(1));
            if left == 1 {
                std::panic::resume_unwind(Box::new("an Eq panics")); // without the hook, since it happens often
            }
            self.0 == other.0
        }
    }
    impl Eq for Touchy {}
    impl Drop for Touchy {
        fn drop(&mut self) {
            if LOOKS.replace(false) {
                CACHE.get(&Touchy(77));
            }
        }
    }
    // On a thread of its own, so that a deadlock is a failure and not the end of the suite.
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _living = CACHE.get_or_build(&Touchy(1_000), || 7);
        let mut panicked = 0;
        for nth in 1.. {
            (0..31).for_each(|key| _ = CACHE.get_or_build(&Touchy(key), || key)); // dead at once
            PANICS_IN.set(nth);
            LOOKS.set(true);
            let built = std::panic::catch_unwind(|| CACHE.get_or_build(&Touchy(2_000), || 1));
            PANICS_IN.set(0);
            LOOKS.set(false);
            match built {
                Ok(_) => break,
                Err(_) => panicked += 1,
            }
        }
        ended.send(panicked).unwrap();
    });
    assert!(end.recv_timeout(std::time::Duration::from_secs(60)).is_ok_and(|panicked| panicked > 60));
}
