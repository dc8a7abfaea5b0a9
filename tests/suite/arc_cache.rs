//! `ArcCache` and its readers: one value per key whoever misses, bounds, builders that fail, panic and come back, destructors
//! that use the cache, what is withdrawn while it is built.
//!
//! Over the public API.
#![cfg(feature = "cache")]
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::random::Random;
use blixard_arena::arc::{ArcCache, CacheReader, Equivalent};
use blixard_arena::intern::StringPool;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// The text of a panic.
fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast_ref::<&str>().expect("a text")).to_owned(),
    }
}

#[test]
fn threads_that_miss_at_once_share_one_value() {
    const THREADS: usize = 8;
    const KEYS: u64 = 300;
    let cache = ArcCache::<u64, u64>::new();
    let built = AtomicU64::new(0);
    let barrier = Barrier::new(THREADS);
    let values: Vec<Vec<Arc<u64>>> = thread::scope(|scope| {
        let ask = || {
            let one = |key| {
                barrier.wait();
                cache.get_or_build(&key, || {
                    built.fetch_add(1, SeqCst);
                    thread::yield_now();
                    key * key
                })
            };
            (0..KEYS).map(one).collect()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for of_thread in &values {
        assert!(of_thread.iter().zip(&values[0]).all(|(one, other)| Arc::ptr_eq(one, other)));
    }
    let figures = cache.figures();
    assert_eq!((built.into_inner(), figures.built, figures.failed, figures.dropped), (KEYS, KEYS, 0, 0));
    assert_eq!(figures.hits + figures.misses, THREADS as u64 * KEYS);
    assert!(figures.joined <= figures.misses - KEYS);
    assert_eq!(figures.entries as u64, KEYS);
    drop(values);
    assert!((0..KEYS).all(|key| Arc::strong_count(&cache.get(&key).unwrap()) == 2), "the cache's and this one");
}

/// A builder that ends as told, while others wait for it: who of them builds next, and what everybody gets.
#[test]
fn a_builder_that_fails_or_panics_leaves_its_turn_to_the_next() {
    const WAITERS: usize = 4;
    for panics in [false, true] {
        let cache = ArcCache::<String, u32>::new();
        let (entered, in_builder) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let (calls, waiting) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            let cache = &cache;
            let first = scope.spawn(move || {
                cache.try_get_or_build("vm-1", || -> Result<u32, &str> {
                    entered.send(()).unwrap();
                    ends.recv().unwrap();
                    assert!(!panics, "meant to be");
                    Err("no such VM")
                })
            });
            in_builder.recv().unwrap();
            let waiters: Vec<_> = (0..WAITERS)
                .map(|_| {
                    scope.spawn(|| {
                        waiting.fetch_add(1, SeqCst);
                        cache.try_get_or_build("vm-1", || -> Result<u32, &str> {
                            calls.fetch_add(1, SeqCst);
                            Ok(7)
                        })
                    })
                })
                .collect();
            while waiting.load(SeqCst) < WAITERS {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            assert_eq!(calls.load(SeqCst), 0, "all wait for the first");
            end.send(()).unwrap();
            match first.join() {
                Ok(failed) => assert!(!panics && failed == Err("no such VM")),
                Err(_) => assert!(panics),
            }
            let values: Vec<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap().unwrap()).collect();
            assert!(values.iter().all(|value| Arc::ptr_eq(value, &values[0]) && **value == 7));
        });
        assert_eq!(calls.into_inner(), 1, "one of those who waited");
        let figures = cache.figures();
        assert_eq!((figures.built, figures.failed, figures.entries), (1, 1, 1));
    }
}

#[test]
fn a_builder_may_use_the_cache_for_other_keys() {
    fn fibonacci(cache: &ArcCache<u64, u64>, n: u64) -> u64 {
        *cache.get_or_build(&n, || if n < 2 { n } else { fibonacci(cache, n - 1) + fibonacci(cache, n - 2) })
    }
    let cache = ArcCache::<u64, u64>::new();
    assert_eq!(fibonacci(&cache, 60), 1_548_008_755_920);
    assert_eq!(cache.figures().built, 61);
}

#[test]
fn a_builder_that_asks_for_its_own_key_panics_instead_of_waiting() {
    /// All in one place.
    #[derive(Clone, PartialEq, Eq)]
    struct Colliding(u64);
    impl Hash for Colliding {
        fn hash<H: Hasher>(&self, state: &mut H) {
            state.write_u8(0);
        }
    }

    let cache = ArcCache::<u64, u64>::new();
    let text =
        panic_of(|| _ = cache.get_or_build(&1, || 1 + *cache.get_or_build(&2, || *cache.get_or_build(&1, || 0))));
    assert!(text.contains("waiting would never end"), "{text}");
    assert_eq!((cache.figures().entries, cache.figures().failed), (0, 2));
    assert_eq!(*cache.get_or_build(&1, || 5), 5, "nothing is left behind");
    let cache = ArcCache::<Colliding, u64>::new();
    let outer = cache.get_or_build(&Colliding(1), || 1 + *cache.get_or_build(&Colliding(2), || 2));
    assert_eq!(*outer, 3);
}

/// Two threads, two caches, each builder wants what the other builds.
#[test]
fn of_builders_that_wait_for_each_other_one_panics() {
    let (vms, nodes) = (ArcCache::<u32, u32>::new(), ArcCache::<u32, u32>::new());
    for _ in 0..50 {
        let barrier = Barrier::new(2);
        let panics = AtomicUsize::new(0);
        let ask = |mine: &ArcCache<u32, u32>, theirs: &ArcCache<u32, u32>| {
            let result = catch_unwind(AssertUnwindSafe(|| {
                mine.get_or_build(&1, || {
                    barrier.wait();
                    1 + *theirs.get_or_build(&1, || 10)
                })
            }));
            match result {
                Ok(value) => assert_eq!(*value, 11),
                Err(_) => _ = panics.fetch_add(1, SeqCst),
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| ask(&vms, &nodes));
            scope.spawn(|| ask(&nodes, &vms));
        });
        // The other one gets the value that it builds itself then.
        assert_eq!(panics.into_inner(), 1);
        vms.clear();
        nodes.clear();
    }
}

#[test]
fn there_are_never_more_entries_than_may_be() {
    for entries_max in [0, 1, 2, 3, 31, 32, 33, 64, 100, 1_000, 1_023, 1_024, 5_000] {
        let cache = ArcCache::<u64, u64>::with_entries_max(entries_max);
        let most = entries_max.max(1);
        for key in 0..3 * most as u64 + 100 {
            assert_eq!(*cache.get_or_build(&key, || key), key);
            assert!(cache.get(&key).is_some_and(|value| *value == key), "the newest is there: {entries_max}");
            if key % 64 == 0 {
                assert!(cache.figures().entries <= most, "{entries_max}");
            }
        }
        let figures = cache.figures();
        assert!(figures.entries <= most && figures.entries + 32 >= most, "{} of {entries_max}", figures.entries);
        assert_eq!(figures.built, figures.entries as u64 + figures.dropped);
    }
}

#[test]
fn weights_are_taken_once_and_bounded() {
    let weighed = Arc::new(AtomicUsize::new(0));
    let cache = {
        let weighed = Arc::clone(&weighed);
        // What a value weighs changes with each look at it: only the first may count.
        ArcCache::<u64, Cell<u64>>::with_weight_max(1_000, move |value| {
            weighed.fetch_add(1, SeqCst);
            value.replace(value.get() + 1_000)
        })
    };
    // So many that each shard, of which some get more and some less, has been full.
    for key in 0..5_000 {
        // A seventh of them weighs nothing, and counts.
        cache.get_or_build(&key, || Cell::new(key % 7));
        assert!(cache.figures().weight <= 1_000);
    }
    let figures = cache.figures();
    assert!(figures.weight > 900 && figures.entries as u64 <= figures.weight, "{figures}");
    assert_eq!(weighed.load(SeqCst), 5_000);
    // Too heavy: handed out, not kept, and nobody else has to go for it.
    let heavy = cache.get_or_build(&10_001, || Cell::new(50_000));
    assert_eq!(Arc::strong_count(&heavy), 1);
    assert_eq!((cache.figures().entries, cache.figures().dropped), (figures.entries, figures.dropped + 1));
    // Nor is a value in whose place it would be.
    let light = cache.insert(10_002, Cell::new(5));
    assert!(light.is_none() && cache.get(&10_002).is_some());
    assert_eq!(cache.insert(10_002, Cell::new(50_000)).map(|value| value.get()), Some(1_005));
    assert!(cache.get(&10_002).is_none());
}

#[test]
fn a_value_that_is_too_heavy_is_one_for_all_who_wait() {
    let cache = ArcCache::<u32, str>::with_weight_max(10, |text| text.len() as u64);
    let (entered, in_builder) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let cache = &cache;
        let first = scope.spawn(move || {
            cache.get_or_build(&1, || {
                entered.send(()).unwrap();
                ends.recv().unwrap();
                "heavier than ten"
            })
        });
        in_builder.recv().unwrap();
        let second = scope.spawn(|| cache.get_or_build(&1, || "heavier than ten"));
        while cache.figures().misses < 2 {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(20));
        end.send(()).unwrap();
        assert!(Arc::ptr_eq(&first.join().unwrap(), &second.join().unwrap()));
    });
    assert_eq!((cache.figures().built, cache.figures().joined, cache.figures().entries), (1, 1, 0));
}

/// A cache that its own keys and values reach.
type Place = Arc<Mutex<Option<ArcCache<Busy, Busy>>>>;

/// A key and a value whose destructor uses the cache that it lay in.
#[derive(Clone)]
struct Busy {
    id: u64,
    place: Place,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let cache = self.place.lock().unwrap().clone();
        if let Some(cache) = cache {
            let others = Number(self.id + 1_000_000);
            assert!(cache.get(&others).is_none() && cache.remove(&others).is_none());
            cache.get(&Number(self.id));
            assert!(cache.figures().entries <= 64);
        }
    }
}

impl PartialEq for Busy {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for Busy {}
impl Hash for Busy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

#[derive(Hash)]
struct Number(u64);
impl Equivalent<Busy> for Number {
    fn equivalent(&self, key: &Busy) -> bool {
        self.0 == key.id
    }
}

#[test]
fn destructors_of_keys_and_values_may_use_the_cache() {
    let place = Place::default();
    let cache = ArcCache::<Busy, Busy>::with_entries_max(64);
    *place.lock().unwrap() = Some(cache.clone());
    let busy = |id| Busy { id, place: Arc::clone(&place) };
    for id in 0..500 {
        cache.get_or_build(&busy(id), || busy(id)); // evicted
        cache.insert(busy(id), busy(id)); // replaced
    }
    drop(cache.remove(&Number(499)));
    assert!(
        catch_unwind(AssertUnwindSafe(|| cache.get_or_build(&busy(9_999), || -> Busy { panic!("meant to be") })))
            .is_err()
    );
    cache.clear();
    assert_eq!(cache.figures().entries, 0);
    *place.lock().unwrap() = None;
}

#[test]
fn values_are_dropped_when_they_leave_and_nobody_holds_them() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let value = || Counted(Arc::clone(&dropped));
    let cache = ArcCache::<u32, Counted>::with_entries_max(2);
    let held = cache.get_or_build(&1, value);
    cache.get_or_build(&2, value);
    cache.get_or_build(&3, value);
    cache.get_or_build(&4, value);
    assert_eq!(cache.figures().dropped, 2);
    drop(held);
    let alive = cache.figures().entries;
    assert_eq!((alive, dropped.load(SeqCst)), (2, 2));
    let old = cache.insert(4, value());
    assert_eq!(dropped.load(SeqCst), 2, "the replaced one is given back");
    drop(old);
    assert_eq!(dropped.load(SeqCst), 3);
    drop(cache.clone());
    assert_eq!(dropped.load(SeqCst), 3);
    drop(cache);
    assert_eq!(dropped.load(SeqCst), 5);
}

#[test]
fn keys_are_hashed_once_a_call_and_may_panic() {
    thread_local! {
        static HASHED: Cell<u32> = const { Cell::new(0) };
        static PANICS: Cell<bool> = const { Cell::new(false) };
    }
    #[derive(Clone)]
    struct Key(u64);
    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            HASHED.set(HASHED.get() + 1);
            state.write_u64(self.0 / 4);
        }
    }
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            assert!(!PANICS.get(), "meant to be");
            self.0 == other.0
        }
    }
    impl Eq for Key {}

    let cache = ArcCache::<Key, u64>::with_entries_max(100);
    for key in 0..1_000 {
        cache.get_or_build(&Key(key), || key);
    }
    assert_eq!(HASHED.get(), 1_000, "evictions hash nothing");
    let hit = |key| cache.get(&Key(key)).is_some();
    let found = (0..1_000).filter(|key| hit(*key)).count();
    let mut reader = cache.reader();
    for turn in 0..100 {
        PANICS.set(turn % 2 == 0);
        let key = Key(990 + turn % 10);
        let panicked = [
            catch_unwind(AssertUnwindSafe(|| _ = cache.get(&key))),
            catch_unwind(AssertUnwindSafe(|| _ = cache.get_or_build(&key, || key.0))),
            catch_unwind(AssertUnwindSafe(|| _ = cache.insert(key.clone(), key.0))),
            catch_unwind(AssertUnwindSafe(|| _ = cache.remove(&key))),
            catch_unwind(AssertUnwindSafe(|| _ = reader.get_or_build(&key, || key.0))),
        ];
        PANICS.set(false);
        assert!(turn % 2 == 0 || panicked.iter().all(Result::is_ok));
        assert_eq!(*cache.get_or_build(&key, || key.0), key.0, "all goes on");
    }
    assert!(cache.figures().entries <= found + 10);
}

#[test]
fn what_is_withdrawn_while_it_is_built_is_not_kept() {
    let cache = ArcCache::<String, u32>::new();
    let withdraw: [fn(&ArcCache<String, u32>); 3] =
        [|cache| _ = cache.remove("vm-1"), |cache| _ = cache.insert("vm-1".into(), 4), |cache| cache.clear()];
    for (way, withdraw) in withdraw.iter().enumerate() {
        // Those who asked before get what was built, and nobody else.
        let found_then = [None, Some(4), None][way];
        let built = cache.get_or_build("vm-1", || {
            withdraw(&cache); // the config on disk changed while it was read
            2
        });
        assert_eq!((*built, cache.get("vm-1").as_deref().copied()), (2, found_then));
        cache.clear();
        // A reader, which has it at hand, knows that too.
        let mut reader = cache.reader();
        let built = **reader.get_or_build("vm-1", || {
            withdraw(&cache);
            2
        });
        assert_eq!((built, reader.get("vm-1").map(|value| **value)), (2, found_then));
        cache.clear();
    }
    assert_eq!(cache.figures().built, 6);
}

#[test]
fn keys_are_found_by_what_stands_for_them() {
    #[derive(Hash)]
    struct Pair<'a>(&'a str, u32);
    impl Equivalent<(String, u32)> for Pair<'_> {
        fn equivalent(&self, key: &(String, u32)) -> bool {
            self.0 == key.0 && self.1 == key.1
        }
    }

    let by_text = ArcCache::<String, [u8]>::new();
    by_text.get_or_build("vm-1", || vec![1, 2]);
    assert!(by_text.get("vm-1").is_some() && by_text.get(&String::from("vm-1")).is_some());

    let names = StringPool::new();
    let (one, other) = (names.intern("vm-1"), names.intern("vm-2"));
    let by_name = ArcCache::new();
    let value: Arc<str> = by_name.get_or_build(&one, || "by one word");
    assert!(Arc::ptr_eq(&value, &by_name.get(&names.intern("vm-1")).unwrap()));
    assert!(by_name.get(&other).is_none());

    let by_pair = ArcCache::<(String, u32), u32>::new();
    by_pair.insert(("vm-1".into(), 7), 1_u32);
    assert_eq!(by_pair.get(&Pair("vm-1", 7)).as_deref(), Some(&1));
    assert_eq!(by_pair.remove(&Pair("vm-1", 7)).as_deref(), Some(&1));
}

#[test]
fn a_reader_knows_at_once_what_has_left() {
    let cache = ArcCache::<u64, u64>::with_entries_max(1_000);
    let mut reader = cache.reader();
    assert_eq!(**reader.get_or_build(&1, || 10), 10);
    cache.insert(1, 11);
    assert_eq!(reader.get(&1).map(|value| **value), Some(11));
    cache.remove(&1);
    assert_eq!(reader.get(&1), None);
    assert_eq!(**reader.get_or_build(&1, || 12), 12);
    cache.clear();
    assert_eq!(reader.get(&1), None);
    assert!(reader.try_get_or_build(&1, || Err::<u64, _>("no")).is_err());

    // What is evicted: the reader and the cache agree on every key, however many share a place or a stamp.
    for key in 0..20_000 {
        reader.get_or_build(&key, || key);
        let earlier = key / 2;
        let (read, found) = (reader.get(&earlier).cloned(), cache.get(&earlier));
        assert_eq!(read.as_ref().map(Arc::as_ptr), found.as_ref().map(Arc::as_ptr), "{earlier}");
    }
    assert!(cache.figures().entries <= 1_000);
}

#[test]
fn what_only_a_reader_asks_for_is_not_evicted() {
    let cache = ArcCache::<u64, u64>::with_entries_max(1_000);
    let mut reader = cache.reader();
    let mut rebuilt = 0;
    for other in 0..100_000 {
        reader.get_or_build(&u64::MAX, || {
            rebuilt += 1;
            0
        });
        cache.get_or_build(&other, || other);
    }
    assert!(rebuilt <= 3, "built {rebuilt} times in 100 times the cache's entries");
}

#[test]
fn a_readers_hits_are_counted_and_its_values_held() {
    let cache = ArcCache::<u64, u64>::new();
    let mut reader = cache.reader();
    let value = Arc::clone(reader.get_or_build(&1, || 10));
    for _ in 0..999 {
        assert!(Arc::ptr_eq(reader.get(&1).unwrap(), &value));
    }
    assert_eq!(reader.cache().figures().misses, 1);
    assert_eq!(Arc::strong_count(&value), 3, "the cache, the reader, and this");
    cache.remove(&1);
    assert_eq!(Arc::strong_count(&value), 2, "it lives on at the reader");
    drop(reader);
    assert_eq!(Arc::strong_count(&value), 1);
    let figures = cache.figures();
    assert_eq!((figures.hits, figures.misses), (999, 1));
}

/// Threads read, replace, remove and evict at random. A generation that a thread knows of is never followed by an older one: what is
/// withdrawn is not found again, by readers neither.
#[test]
fn no_look_up_goes_back_in_time() {
    const KEYS: usize = 64;
    const STEPS: u64 = 40_000;
    let cache = ArcCache::<usize, u64>::with_entries_max(48);
    let source: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let published: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let writer = Mutex::new(());
    let look = |seed: u64| {
        let mut random = Random(seed);
        let mut reader: CacheReader<usize, u64> = cache.reader();
        for _ in 0..STEPS {
            let key = random.below(KEYS);
            let known = published[key].load(SeqCst);
            let read = || source[key].load(SeqCst);
            let found = match random.below(3) {
                0 => cache.get(&key).map(|value| *value),
                1 => Some(*cache.get_or_build(&key, read)),
                _ => Some(**reader.get_or_build(&key, read)),
            };
            assert!(found.is_none_or(|found| found >= known), "{key}: {found:?} after {known}");
        }
    };
    thread::scope(|scope| {
        for seed in 0..2 {
            let (cache, source, published, writer) = (&cache, &source, &published, &writer);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..STEPS / 10 {
                    let key = random.below(KEYS);
                    let _alone = writer.lock().unwrap();
                    let generation = source[key].fetch_add(1, SeqCst) + 1;
                    match random.below(3) {
                        0 => _ = cache.insert(key, generation),
                        1 => _ = cache.remove(&key),
                        _ => cache.clear(),
                    }
                    // From here on nobody may see an older one.
                    published[key].store(generation, SeqCst);
                }
            });
        }
        for seed in 10..13 {
            let look = &look;
            scope.spawn(move || look(seed));
        }
    });
    assert!(cache.figures().entries <= 48);
}

/// A thread that has seen a value gone is lent it no more, while others clear the cache and fill it again.
#[test]
fn what_a_thread_has_seen_gone_is_not_lent_again() {
    const KEYS: u32 = 200;
    let cache = ArcCache::<u32, u64>::new();
    let rounds = if cfg!(debug_assertions) { 300 } else { 3_000 };
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..rounds {
                (0..KEYS).for_each(|key| _ = cache.insert(key, round));
                cache.clear();
            }
            done.store(true, SeqCst);
        });
        let mut reader = cache.reader();
        let mut gone = 0;
        while !done.load(SeqCst) {
            for key in 0..KEYS {
                let Some(held) = reader.get(&key).map(|value| **value) else { continue };
                if cache.get(&key).is_none() {
                    gone += 1;
                    assert!(reader.get(&key).is_none_or(|value| **value != held), "lent again");
                }
            }
        }
        assert!(gone > 0, "some were seen gone");
    });
}
