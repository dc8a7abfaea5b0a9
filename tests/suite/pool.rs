//! Pools of objects: what comes back and how, what does not, the limits, the figures.
//!
//! Over the public API.
#![cfg(not(blixard_no_recycle))]

use blixard_arena::pool::{ObjectPoolBuilder, PoolExhausted, Pooled, Recycle, TypedObjectPool, VecPool};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, LazyLock, OnceLock};
use std::thread;

/// Counts its destructor, which may panic.
struct Thing {
    dropped: Arc<AtomicUsize>,
    dirty: bool,
    panics_when_dropped: bool,
}

impl Thing {
    fn new(dropped: &Arc<AtomicUsize>) -> Self {
        Self { dropped: Arc::clone(dropped), dirty: false, panics_when_dropped: false }
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, SeqCst);
        assert!(!self.panics_when_dropped, "a destructor panics");
    }
}

/// A pool of things and the count of their destructors.
fn things() -> (ObjectPoolBuilder<Thing>, Arc<AtomicUsize>) {
    let dropped = Arc::default();
    let builder = TypedObjectPool::builder({
        let dropped = Arc::clone(&dropped);
        move || Thing::new(&dropped)
    });
    (builder.name("things").leak_sites_one_in(0), dropped)
}

#[expect(clippy::needless_pass_by_value, reason = "a panic's payload as it comes")]
fn message(panic: Box<dyn std::any::Any + Send>) -> &'static str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("another payload")
}

#[test]
fn what_comes_back_is_reset_and_used_again() {
    let (builder, dropped) = things();
    let pool = builder.reset(|thing| thing.dirty = false).build();
    for _ in 0..1000 {
        let mut thing = pool.acquire();
        assert!(!thing.dirty);
        thing.dirty = true;
    }
    let figures = pool.figures();
    assert_eq!((figures.acquired, figures.created, figures.reused), (1000, 1, 999));
    assert_eq!(dropped.load(SeqCst), 0);
    drop(pool);
    assert_eq!(dropped.load(SeqCst), 1);
}

#[test]
fn what_fails_its_check_or_holds_too_much_is_dropped() {
    let (builder, dropped) = things();
    let pool = builder.check(|thing| !thing.dirty).build();
    pool.acquire().dirty = true;
    assert_eq!((dropped.load(SeqCst), pool.figures().dropped, pool.figures().idle), (1, 1, 0));
    assert!(!pool.acquire().dirty);

    let texts = TypedObjectPool::builder(String::new)
        .reset(String::clear)
        .retained_bytes(String::capacity)
        .retain_bytes_max(100)
        .build();
    texts.acquire().reserve_exact(100);
    assert_eq!((texts.figures().dropped, texts.figures().idle), (0, 1));
    texts.acquire().reserve_exact(101);
    assert_eq!((texts.figures().dropped, texts.figures().idle), (1, 0));
}

#[test]
fn a_rule_that_panics_costs_the_object_and_no_more() {
    for in_check in [false, true] {
        let (builder, dropped) = things();
        let pool = if in_check {
            builder.check(|thing| if thing.dirty { panic!("rule") } else { true })
        } else {
            builder.reset(|thing| assert!(!thing.dirty, "rule"))
        }
        .build();
        let panic = catch_unwind(AssertUnwindSafe(|| pool.acquire().dirty = true)).unwrap_err();
        assert_eq!(message(panic), "rule");
        let figures = pool.figures();
        assert_eq!((figures.live, figures.idle, figures.dropped, dropped.load(SeqCst)), (0, 0, 1, 1));
        assert_eq!(figures.panics_swallowed, 0);
        assert!(!pool.acquire().dirty);

        // While the thread unwinds a second panic would end the process.
        let panic = catch_unwind(AssertUnwindSafe(|| {
            pool.acquire().dirty = true;
        }));
        drop(panic);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let mut thing = pool.acquire();
            thing.dirty = true;
            panic!("first");
        }));
        assert_eq!(message(panic.unwrap_err()), "first");
        assert_eq!(pool.figures().panics_swallowed, 1);
        assert_eq!((pool.figures().live, pool.figures().dropped), (0, 3));
    }
}

#[test]
fn a_destructor_that_panics_ends_where_the_pool_drops_the_object() {
    let (builder, dropped) = things();
    let pool = builder.check(|thing| !thing.dirty).idle_max(4).build();
    {
        let mut thing = pool.acquire();
        (thing.dirty, thing.panics_when_dropped) = (true, true);
    }
    assert_eq!((dropped.load(SeqCst), pool.figures().panics_swallowed, pool.figures().live), (1, 1, 0));
    // For want of room, by a trim, and when the pool ends.
    let many: Vec<_> = (0..8).map(|_| pool.acquire()).collect();
    for mut thing in many {
        thing.panics_when_dropped = true;
    }
    assert_eq!((pool.figures().idle, pool.figures().panics_swallowed), (4, 5));
    pool.clear();
    assert_eq!((pool.figures().idle, pool.figures().panics_swallowed), (0, 9));
    pool.acquire().panics_when_dropped = true;
    drop(pool);
    assert_eq!(dropped.load(SeqCst), 10);
}

#[test]
fn a_factory_that_panics_leaves_nothing_behind() {
    let fail = Arc::new(AtomicBool::new(true));
    let pool = TypedObjectPool::builder({
        let fail = Arc::clone(&fail);
        move || assert!(!fail.load(SeqCst), "factory")
    })
    .live_max(1)
    .build();
    for _ in 0..3 {
        let panic = catch_unwind(AssertUnwindSafe(|| drop(pool.try_acquire()))).unwrap_err();
        assert_eq!(message(panic), "factory");
        let panic = catch_unwind(AssertUnwindSafe(|| drop(pool.acquire()))).unwrap_err();
        assert_eq!(message(panic), "factory");
    }
    assert_eq!((pool.figures().live, pool.figures().created), (0, 0));
    fail.store(false, SeqCst);
    assert!(pool.try_acquire().is_ok(), "no permit was lost");
}

#[test]
fn rules_may_use_the_pool_they_serve() {
    static POOL: OnceLock<TypedObjectPool<u32>> = OnceLock::new();
    static DEPTH: AtomicUsize = AtomicUsize::new(0);
    let pool = POOL.get_or_init(|| {
        TypedObjectPool::builder(|| {
            if DEPTH.fetch_add(1, SeqCst) < 3 {
                *POOL.get().unwrap().acquire() += 1;
            }
            0
        })
        .reset(|n| {
            if *n > 100 {
                *n = 0;
                // Two are out at once here, and both come back before this one.
                let pool = POOL.get().unwrap();
                drop((pool.acquire(), pool.acquire()));
            }
        })
        .leak_sites_one_in(0)
        .build()
    });
    drop(pool.acquire());
    assert_eq!(pool.figures().created, 4, "three more while the first was made");
    for _ in 0..1000 {
        *pool.acquire() = 101;
    }
    let figures = pool.figures();
    assert_eq!((figures.live, figures.dropped), (0, 0));
    assert_eq!(figures.created, figures.idle as u64, "each exactly once");
    assert_eq!(figures.acquired, 4 + 3 * 1000);
}

#[test]
fn a_destructor_may_use_the_pool_that_drops_it() {
    static POOL: OnceLock<TypedObjectPool<Greedy>> = OnceLock::new();
    struct Greedy(bool);
    impl Drop for Greedy {
        fn drop(&mut self) {
            if self.0 {
                drop(POOL.get().unwrap().acquire());
            }
        }
    }
    let pool = POOL.get_or_init(|| TypedObjectPool::builder(|| Greedy(false)).idle_max(8).build());
    let many: Vec<_> = (0..20).map(|_| pool.acquire()).collect();
    for mut greedy in many {
        greedy.0 = true;
    }
    pool.clear();
    pool.clear();
    let figures = pool.figures();
    assert_eq!(figures.live, 0);
    assert_eq!(figures.created, figures.dropped + figures.idle as u64);
}

#[test]
fn guards_outlive_their_pool_and_their_thread() {
    let (builder, dropped) = things();
    let pool = builder.build();
    let mine = pool.acquire();
    let others: Vec<Pooled<Thing>> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            thread::spawn(move || pool.acquire()).join().unwrap()
        })
        .collect();
    drop(pool.acquire()); // one lies idle
    drop(pool);
    assert_eq!(dropped.load(SeqCst), 0, "what is idle may wait for the last guard");
    assert!(!mine.dirty, "guards are whole");
    drop(others);
    drop(mine);
    assert_eq!(dropped.load(SeqCst), 6);
}

#[test]
fn guards_in_thread_locals_come_back_when_their_thread_has_ended() {
    thread_local! { static HELD: std::cell::RefCell<Option<Pooled<Thing>>> = const { std::cell::RefCell::new(None) } }
    let (builder, dropped) = things();
    let pool = builder.build();
    for _ in 0..20 {
        let pool = pool.clone();
        // The thread-local's destructor may run before or after that of the pool's own.
        thread::spawn(move || HELD.with(|held| *held.borrow_mut() = Some(pool.acquire()))).join().unwrap();
    }
    let figures = pool.figures();
    assert_eq!((figures.live, figures.acquired), (0, 20));
    assert_eq!(figures.created, figures.idle as u64 + figures.dropped);
    drop(pool);
    assert_eq!(dropped.load(SeqCst) as u64, figures.created);
}

#[test]
fn two_pools_used_in_turn_do_not_evict_one_another() {
    // Of two types, and of one: more than a thread's cache has places.
    let texts: Vec<TypedObjectPool<String>> = (0..50).map(|_| TypedObjectPool::builder(String::new).build()).collect();
    let vecs: Vec<VecPool<u8>> = (0..50).map(|_| VecPool::with_capacity(8)).collect();
    for _ in 0..100 {
        for (text, vec) in texts.iter().zip(&vecs) {
            drop((text.acquire(), vec.acquire()));
        }
    }
    for figures in texts.iter().map(TypedObjectPool::figures).chain(vecs.iter().map(TypedObjectPool::figures)) {
        assert_eq!((figures.acquired, figures.created, figures.idle), (100, 1, 1), "{figures}");
    }
}

#[test]
fn try_acquire_lets_no_more_out_than_may_be() {
    const THREADS: usize = 4;
    let pool = TypedObjectPool::builder(|| ()).name("seats").live_max(2).leak_sites_one_in(0).build();
    let out = AtomicUsize::new(0);
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    match pool.try_acquire() {
                        Ok(seat) => {
                            assert!(out.fetch_add(1, SeqCst) < 2);
                            thread::yield_now();
                            out.fetch_sub(1, SeqCst);
                            drop(seat);
                        }
                        Err(error) => {
                            assert_eq!((error.pool, error.live_max), ("seats", 2));
                            refused.fetch_add(1, SeqCst);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(pool.figures().acquired + refused.load(SeqCst) as u64, THREADS as u64 * 5_000);
    assert_eq!(pool.figures().live, 0);

    // `acquire` goes beyond the limit and counts; a detached one counts no more.
    let three = [pool.acquire(), pool.acquire(), pool.acquire()];
    assert!(pool.try_acquire().is_err());
    let [first, second, third] = three;
    let () = first.detach();
    assert!(pool.try_acquire().is_err(), "two are out");
    drop(second);
    let fourth = pool.try_acquire().unwrap();
    assert_eq!(pool.try_acquire().unwrap_err().to_string(), "pool seats: 2 objects may be out at a time, and are");
    drop((third, fourth));
    // And none is lost over many uses.
    for _ in 0..10_000 {
        drop((pool.try_acquire().unwrap(), pool.try_acquire().unwrap()));
    }
}

#[test]
fn an_error_is_an_error() {
    let pool = TypedObjectPool::builder(|| ()).name("none").live_max(0).build();
    let error: Box<dyn std::error::Error + Send + Sync> = Box::new(pool.try_acquire().unwrap_err());
    assert!(error.is::<PoolExhausted>());
}

#[test]
fn no_more_lie_idle_than_may() {
    for idle_max in [0, 1, 2, 5, 17, 100, 256] {
        let pool = TypedObjectPool::builder(|| ()).idle_max(idle_max).leak_sites_one_in(0).build();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| drop((0..300).map(|_| pool.acquire()).collect::<Vec<_>>()));
            }
        });
        let figures = pool.figures();
        assert!(figures.idle <= idle_max, "{figures}");
        assert!(figures.idle >= idle_max / 2, "most places are used: {figures}");
        assert_eq!(figures.created, figures.idle as u64 + figures.dropped);
        assert!(figures.high_water >= 300 && figures.high_water as u64 <= figures.created);
    }
}

/// The stacks of parked threads are out of a trim's reach; what they hold is bounded.
#[test]
fn parked_threads_hold_no_more_than_per_thread_bytes_max() {
    const THREADS: usize = 6;
    for (per_thread_kib, expected) in [(0, 0), (15, 0), (17, 1), (70, 4), (100_000, 32)] {
        let pool = VecPool::<u8>::builder_with_capacity(8 << 10)
            .per_thread_bytes_max(per_thread_kib << 10)
            .idle_max(1000)
            .leak_sites_one_in(0)
            .build();
        let (taken, parked, released) = (Barrier::new(THREADS), Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
        // Judged only after the threads are released: a panic here would leave them waiting.
        let (all, held) = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let many: Vec<_> = (0..40).map(|_| pool.acquire()).collect();
                        taken.wait();
                        drop(many);
                        parked.wait();
                        released.wait();
                    })
                })
                .collect();
            parked.wait();
            let all = pool.figures().idle;
            pool.clear();
            let held = pool.figures().idle;
            released.wait();
            // A scope alone does not wait until they have ended.
            for thread in threads {
                thread.join().unwrap();
            }
            (all, held)
        });
        assert_eq!(all, THREADS * 40, "the depot holds the rest");
        assert!(held <= THREADS * expected, "{held} with {THREADS} parked threads, {expected} each");
        assert!(held * (16 << 10) <= THREADS * (per_thread_kib << 10));
        assert!(held >= THREADS * expected.min(8), "and they do hold what they may use next: {held}");
        // What they left is in reach.
        pool.clear();
        assert_eq!(pool.figures().idle, 0);
    }
}

#[test]
fn a_trim_frees_what_was_idle_since_the_last_one() {
    let pool = TypedObjectPool::builder(|| ()).per_thread_bytes_max(0).idle_max(200).leak_sites_one_in(0).build();
    drop((0..100).map(|_| pool.acquire()).collect::<Vec<_>>());
    assert_eq!(pool.figures().idle, 100);
    pool.trim();
    assert_eq!(pool.figures().idle, 100, "a first look");
    // Sixty are needed between two looks, at the most at a time.
    for _ in 0..10 {
        drop((0..60).map(|_| pool.acquire()).collect::<Vec<_>>());
    }
    pool.trim();
    assert_eq!(pool.figures().idle, 60, "forty were not needed");
    drop((0..60).map(|_| pool.acquire()).collect::<Vec<_>>());
    pool.trim();
    assert_eq!((pool.figures().idle, pool.figures().created), (60, 100), "what is needed stays");
    pool.trim();
    assert_eq!((pool.figures().idle, pool.figures().dropped), (0, 100));
}

#[test]
fn a_trim_sees_stacks_of_this_thread_and_of_threads_that_ended() {
    let pool = TypedObjectPool::builder(|| ()).leak_sites_one_in(0).build();
    let keep_busy = || drop((0..5).map(|_| pool.acquire()).collect::<Vec<_>>());
    keep_busy();
    thread::scope(|scope| _ = scope.spawn(keep_busy).join());
    assert_eq!(pool.figures().idle, 10);
    pool.trim();
    keep_busy();
    pool.trim();
    assert_eq!(pool.figures().idle, 5, "this thread used its own; the other's were left alone");
    pool.trim();
    assert_eq!(pool.figures().idle, 0);
}

#[test]
fn figures_add_up() {
    let (builder, dropped) = things();
    let pool = builder.check(|thing| !thing.dirty).build();
    let held: Vec<_> = (0..10).map(|_| pool.acquire()).collect();
    for mut thing in held.into_iter().take(4) {
        thing.dirty = true;
    }
    let detached = pool.acquire().detach();
    drop(pool.attach(Thing::new(&dropped)));
    let live = (pool.acquire(), pool.acquire());
    let figures = pool.figures();
    assert_eq!(
        (
            figures.acquired,
            figures.created,
            figures.reused,
            figures.dropped,
            figures.detached,
            figures.live,
            figures.idle
        ),
        (14, 11, 3, 4, 1, 2, 4)
    );
    assert_eq!(figures.high_water, 10);
    assert_eq!(figures.created, figures.live + figures.idle as u64 + figures.dropped + figures.detached);
    assert_eq!(dropped.load(SeqCst), 4);
    drop((live, detached));
    drop(pool);
    assert_eq!(dropped.load(SeqCst), 11);
}

#[test]
fn what_one_thread_takes_and_another_gives_back_comes_round() {
    const N: usize = 20_000;
    let pool = TypedObjectPool::builder(|| ()).leak_sites_one_in(0).build();
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Pooled<()>>(32);
    thread::scope(|scope| {
        scope.spawn(|| receiver.into_iter().for_each(drop));
        let sender = sender;
        (0..N).for_each(|_| sender.send(pool.acquire()).unwrap());
    });
    let figures = pool.figures();
    assert_eq!((figures.acquired, figures.live), (N as u64, 0));
    // What is in flight, in two stacks and on its way between them.
    assert!(figures.created <= 128, "{figures}");
}

#[test]
fn a_sample_of_acquisitions_keeps_where_they_were() {
    #[inline(never)]
    fn the_place_that_leaks(pool: &TypedObjectPool<u8>, for_ever: &mut Vec<Pooled<u8>>) {
        for_ever.push(pool.acquire());
    }
    let mut for_ever = Vec::new();
    let pool = TypedObjectPool::builder(|| 0).leak_sites_one_in(4).build();
    for _ in 0..40 {
        the_place_that_leaks(&pool, &mut for_ever);
    }
    let sites = pool.leak_sites();
    assert_eq!(sites.len(), 10, "one in four");
    assert!(sites.iter().all(|site| site.backtrace().to_string().contains("the_place_that_leaks")));
    assert!(sites.windows(2).all(|pair| pair[0].out_for() >= pair[1].out_for()));
    for _ in 0..40 {
        drop(pool.acquire());
    }
    assert_eq!(pool.leak_sites().len(), 10, "what came back is forgotten");
    let held: Vec<_> = (0..8).map(|_| pool.acquire()).collect();
    assert_eq!(pool.leak_sites().len(), 12);
    for held in held {
        _ = held.detach();
    }
    assert_eq!(pool.leak_sites().len(), 10, "and what was detached");
    let none = TypedObjectPool::builder(|| 0).leak_sites_one_in(0).build();
    the_place_that_leaks(&none, &mut for_ever);
    assert!(none.leak_sites().is_empty());
}

#[test]
fn leak_sites_are_sampled_by_default() {
    let pool = TypedObjectPool::builder(|| 0).build();
    let held: Vec<_> = (0..127).map(|_| pool.acquire()).collect();
    assert!(pool.leak_sites().is_empty());
    let sampled = pool.acquire();
    assert_eq!(pool.leak_sites().len(), 1);
    drop(held);
    assert_eq!(pool.leak_sites().len(), 1);
    drop(sampled);
    assert!(pool.leak_sites().is_empty());
}

#[test]
fn rules_of_a_type_of_their_own() {
    struct Even;
    impl Recycle<u32> for Even {
        fn make(&self) -> u32 {
            0
        }
        fn reset(&self, n: &mut u32) -> bool {
            n.is_multiple_of(2)
        }
        fn retained_bytes(&self, n: &u32) -> usize {
            *n as usize
        }
    }
    let pool = ObjectPoolBuilder::new(Even).retain_bytes_max(10).build();
    for (n, kept) in [(4, true), (5, false), (10, true), (12, false)] {
        *pool.acquire() = n;
        assert_eq!(pool.figures().idle == 1, kept, "{n}");
        pool.clear();
    }
}

#[test]
fn a_static_needs_no_call_before_its_first_use() {
    static POOL: LazyLock<TypedObjectPool<String>> =
        LazyLock::new(|| TypedObjectPool::builder(String::new).reset(String::clear).build());
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(|| POOL.with(|text| text.push('x')))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!((POOL.figures().acquired, POOL.figures().live), (4, 0));
}

#[test]
fn objects_of_every_size_and_alignment() {
    #[repr(align(256))]
    struct Aligned([u8; 300]);
    let units = TypedObjectPool::builder(|| ()).build();
    let large = TypedObjectPool::builder(|| Aligned([7; 300])).build();
    for _ in 0..50 {
        let (_unit, large) = (units.acquire(), large.acquire());
        assert_eq!((&raw const *large).addr() % 256, 0);
        assert!(large.0.iter().all(|byte| *byte == 7));
    }
    let huge = TypedObjectPool::builder(|| vec![0_u8; 1 << 20]).per_thread_bytes_max(usize::MAX).idle_max(usize::MAX);
    drop(huge.build().acquire());
}

/// What a pool's rules own goes with its last handle, whatever threads have used it; a panic of its destructor ends there, on no thread
/// and in no other pool.
#[test]
fn what_the_rules_own_goes_with_the_last_handle() {
    struct Bomb(Arc<()>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(Arc::strong_count(&self.0) == 0, "what a factory has captured panics");
        }
    }
    let captured = Arc::new(());
    let bomb = Bomb(Arc::clone(&captured));
    let pool = TypedObjectPool::builder(move || Arc::strong_count(&bomb.0)).build();
    let arenas = blixard_arena::ArenaPool::new();
    let (used, gone) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let guard = arenas.acquire();
        let (pool_of_thread, used, gone) = (pool.clone(), &used, &gone);
        let thread = scope.spawn(move || {
            drop(pool_of_thread.acquire());
            drop(pool_of_thread);
            used.wait();
            gone.wait();
            // Another pool's guard ends on a thread that has a part in the one that is gone.
            drop(guard);
        });
        used.wait();
        drop(pool);
        assert_eq!(Arc::strong_count(&captured), 1, "gone, though a thread that used the pool lives on");
        gone.wait();
        thread.join().unwrap();
    });
    assert_eq!((arenas.figures().returned, arenas.figures().live), (1, 0));
    // The last item that comes home is the last that the pool has: it ends it, while a panic unwinds too.
    let bomb = Bomb(Arc::clone(&captured));
    let pool = TypedObjectPool::builder(move || Arc::strong_count(&bomb.0)).build();
    let object = pool.acquire();
    drop(pool);
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _object = object;
        panic!("a request ends early");
    }));
    assert_eq!(message(unwound.unwrap_err()), "a request ends early");
    assert_eq!(Arc::strong_count(&captured), 1);
}
