//! Arenas among tasks and threads: futures that hop workers, rayon, cancellation, guards that end far from where they
//! began, threads that come and go, and thread-locals that use a pool while their thread ends.
//!
//! Over the public API. Every value is checked against what was written, and every arena is accounted for.
#![expect(clippy::cast_possible_truncation, reason = "small numbers")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::random::Random;
use allocator_api2::vec::Vec as ArenaVec;
use blixard_arena::{ArenaOptions, ArenaPool, PooledArena, PooledSharedArena, SharedArena};
use hashbrown::{DefaultHashBuilder, HashMap};
use rayon::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Everything that was taken came back.
#[track_caller]
fn all_home(pool: &ArenaPool) {
    let figures = pool.figures();
    assert_eq!((figures.acquired, figures.live), (figures.returned, 0), "{figures:?}");
}

/// Values of many kinds in one arena, and what they should be.
struct Work<'a> {
    seed: u64,
    names: ArenaVec<&'a str, &'a SharedArena>,
    by_name: HashMap<&'a str, u64, DefaultHashBuilder, &'a SharedArena>,
    blocks: ArenaVec<&'a mut [u64], &'a SharedArena>,
}

impl<'a> Work<'a> {
    fn new(arena: &'a SharedArena, seed: u64) -> Self {
        Self {
            seed,
            names: ArenaVec::new_in(arena),
            by_name: HashMap::with_hasher_in(DefaultHashBuilder::default(), arena),
            blocks: ArenaVec::new_in(arena),
        }
    }

    fn text(seed: u64, i: u64) -> String {
        format!("{seed}/{i}/{}", "x".repeat((seed.wrapping_mul(31).wrapping_add(i) % 40) as usize))
    }

    fn step(&mut self, arena: &'a SharedArena, i: u64) {
        let name = &*arena.alloc_str(&Self::text(self.seed, i));
        self.names.push(name);
        self.by_name.insert(name, i);
        let len = ((self.seed + i) % 50) as usize;
        self.blocks.push(arena.alloc_slice_fill_with(len, |k| self.seed ^ i ^ k as u64));
        if i % 7 == 6 {
            self.by_name.shrink_to_fit();
            // A temporary that is given back at once, wherever it was made.
            let mut lens = ArenaVec::new_in(arena);
            lens.extend(self.blocks.iter().map(|block| block.len()));
            assert_eq!(lens.len(), self.blocks.len());
        }
    }

    fn verify(&self) {
        for (i, name) in (0..).zip(&self.names) {
            assert_eq!(*name, Self::text(self.seed, i));
            assert_eq!(self.by_name[name], i);
        }
        assert_eq!(self.by_name.len(), self.names.len());
        for (i, block) in (0..).zip(&self.blocks) {
            assert!(block.iter().enumerate().all(|(k, word)| *word == self.seed ^ i ^ k as u64));
        }
    }
}

/// Lets other workers take this task: alternates between the back of the queue and a timer.
async fn hop(i: u64) {
    if i.is_multiple_of(16) {
        tokio::time::sleep(Duration::from_micros(50)).await;
    } else {
        tokio::task::yield_now().await;
    }
}

fn runtime(workers: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_time().build().unwrap()
}

#[test]
fn spawned_tasks_hold_values_and_collections_across_awaits() {
    let pool = ArenaPool::new();
    let hops = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(4);
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for request in 0..12u64 {
            let arena = pool.acquire_shared();
            for part in 0..2 {
                let (arena, hops) = (arena.clone(), Arc::clone(&hops));
                tasks.push(tokio::spawn(async move {
                    let mut work = Work::new(&arena, request * 2 + part);
                    let mut at: Option<ThreadId> = None;
                    for i in 0..200 {
                        work.step(&arena, i);
                        hop(i + request).await;
                        if at.replace(thread::current().id()).is_some_and(|before| before != thread::current().id()) {
                            hops.fetch_add(1, SeqCst);
                        }
                    }
                    work.verify();
                    work.names.len()
                }));
            }
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), 200);
        }
    });
    assert!(hops.load(SeqCst) > 20, "tasks moved between workers {} times", hops.load(SeqCst));
    all_home(&pool);
}

#[test]
fn rayon_workers_fill_one_arena() {
    let workers = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let mut arena = SharedArena::new();
    for round in 0..3u64 {
        let texts: Vec<&str> = workers.install(|| {
            (0..5_000u64).into_par_iter().map(|i| arena.format(format_args!("{round}-{i}")) as &str).collect()
        });
        assert!((0..).zip(&texts).all(|(i, text)| *text == format!("{round}-{i}")));
        // Each worker's own map in the arena, and all of them at once.
        let maps: Vec<_> = workers.install(|| {
            (0..8u64)
                .into_par_iter()
                .map(|seed| {
                    let mut work = Work::new(&arena, seed);
                    (0..100).for_each(|i| work.step(&arena, i));
                    work
                })
                .collect()
        });
        maps.iter().for_each(Work::verify);
        let distinct: HashSet<_> = texts.iter().map(|text| text.as_ptr()).collect();
        assert_eq!(distinct.len(), 5_000);
        drop((maps, distinct, texts));
        arena.reset();
    }
}

#[test]
fn after_a_reset_no_thread_keeps_its_old_shard() {
    for round in 0..20u64 {
        let mut arena = SharedArena::new();
        arena.alloc(round); // the first shard is this thread's
        arena.reset();
        let build = |seed: u64| (0..20).map(|i| arena.alloc([seed, i])).collect::<Vec<_>>();
        let first = AtomicBool::new(false);
        thread::scope(|scope| {
            // A new thread takes over the shard that this one had before the reset, and both go on at once.
            let other = scope.spawn(|| {
                arena.alloc(round);
                first.store(true, SeqCst);
                build(round)
            });
            while !first.load(SeqCst) {
                thread::yield_now();
            }
            let mine = build(round + 100);
            for (seed, values) in [(round, other.join().unwrap()), (round + 100, mine)] {
                assert!((0..).zip(values).all(|(i, value)| *value == [seed, i]));
            }
        });
        assert!(arena.figures().chunks >= 2, "each thread bumps a chunk of its own: {}", arena.figures());
    }
}

#[test]
fn a_future_dropped_half_way_returns_its_arena() {
    let pool = ArenaPool::new();
    let cleaned = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for seed in 0..20u64 {
            let (pool, cleaned) = (pool.clone(), Arc::clone(&cleaned));
            let (started, has_started) = tokio::sync::oneshot::channel();
            tasks.push((
                has_started,
                tokio::spawn(async move {
                    let arena = pool.acquire_shared();
                    let own = pool.acquire();
                    own.defer(move || _ = cleaned.fetch_add(1, SeqCst));
                    let mut work = Work::new(&arena, seed);
                    (0..50).for_each(|i| work.step(&arena, i));
                    started.send(()).unwrap();
                    std::future::pending::<()>().await;
                    work.verify();
                }),
            ));
        }
        for (started, task) in &mut tasks {
            started.await.unwrap();
            assert!(!task.is_finished());
        }
        assert!(pool.figures().live >= 40);
        for (_, task) in tasks {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        // A deadline, on the thread that waits.
        let late = tokio::time::timeout(Duration::from_millis(5), async {
            let arena = pool.acquire();
            arena.alloc_str("never answered");
            std::future::pending::<()>().await;
            drop(arena);
        });
        assert!(late.await.is_err());
    });
    assert_eq!(cleaned.load(SeqCst), 20);
    all_home(&pool);
}

#[cfg(not(blixard_no_recycle))]
#[test]
fn guards_end_on_other_threads_than_they_began_on() {
    let pool = ArenaPool::new();
    let (to, from) = mpsc::sync_channel::<(u64, PooledArena)>(16);
    let (to_shared, from_shared) = mpsc::sync_channel::<PooledSharedArena>(16);
    let end = thread::spawn(move || from.into_iter().for_each(|(i, arena)| assert_eq!(*arena.alloc(i), i)));
    let end_shared = thread::spawn(move || {
        for arena in from_shared {
            assert_eq!(arena.alloc_str("here, too").len(), 9);
        }
    });
    for i in 0..3_000 {
        let arena = pool.acquire();
        arena.alloc_slice_fill_with(100, |k| i + k as u64);
        to.send((i, arena)).unwrap();
        let shared = pool.acquire_shared();
        shared.alloc(i);
        to_shared.send(shared.clone()).unwrap();
    }
    drop((to, to_shared));
    end.join().unwrap();
    end_shared.join().unwrap();
    all_home(&pool);
    let figures = pool.figures();
    assert!(figures.created < 200, "{} arenas made for 6,000 requests", figures.created);
}

#[test]
fn many_arenas_interleave_on_one_worker() {
    // More than the thread's cache has entries for.
    let pool = ArenaPool::new();
    let guards: Vec<_> = (0..50).map(|_| pool.acquire_shared()).collect();
    let mut works: Vec<_> = guards.iter().zip(0..).map(|(arena, seed)| (arena, Work::new(arena, seed))).collect();
    for i in 0..60 {
        for (arena, work) in &mut works {
            work.step(arena, i);
        }
    }
    for (_, work) in &works {
        work.verify();
    }
    assert_eq!(pool.figures().live, 50, "each still has one shard");
    drop(works);
    drop(guards);
    all_home(&pool);
}

#[cfg(not(blixard_no_recycle))]
#[test]
fn threads_come_and_go() {
    let pool = ArenaPool::new();
    let arena = pool.acquire_shared();
    let mut texts = Vec::new();
    for round in 0..40u64 {
        texts.push(thread::scope(|scope| {
            let build = |part: u64| &*arena.alloc_str(&Work::text(round, part));
            let other = scope.spawn(move || build(1));
            let one = build(0);
            [one, other.join().unwrap()]
        }));
        thread::spawn({
            let pool = pool.clone();
            move || drop((pool.acquire(), pool.acquire_shared()))
        })
        .join()
        .unwrap();
    }
    for (round, [one, other]) in (0..).zip(&texts) {
        assert_eq!((*one, *other), (&*Work::text(round, 0), &*Work::text(round, 1)));
    }
    drop(texts);
    drop(arena);
    all_home(&pool);
    assert!(pool.figures().created <= 50, "a thread's idle arenas serve the next: {:?}", pool.figures());
}

thread_local! {
    static FIRST: LastWill = LastWill::new();
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
    static SECOND: LastWill = LastWill::new();
}

/// Uses a pool, and a shared arena, while its thread ends.
struct LastWill(Cell<Option<Will>>);

type Will = (ArenaPool, Arc<SharedArena>, Arc<AtomicUsize>);

impl LastWill {
    fn new() -> Self {
        Self(Cell::new(None))
    }
}

impl Drop for LastWill {
    fn drop(&mut self) {
        let (pool, shared, done) = self.0.take().unwrap();
        for i in 0..20u64 {
            let (one, other) = (pool.acquire(), pool.acquire_shared());
            let mut work = Work::new(&other, i);
            (0..10).for_each(|k| work.step(&other, k));
            work.verify();
            assert_eq!(*one.alloc(i) + *shared.alloc(i), 2 * i);
        }
        done.fetch_add(1, SeqCst);
    }
}

/// Guards that live in a thread-local and end with it.
#[expect(dead_code, reason = "held for their destructors")]
enum Held {
    One(PooledArena),
    Shared(PooledSharedArena),
}

#[test]
fn pools_and_guards_are_used_while_a_thread_ends() {
    let pool = ArenaPool::new();
    let (shared, done) = (Arc::new(SharedArena::new()), Arc::new(AtomicUsize::new(0)));
    for round in 0..20 {
        let (pool, shared, done) = (pool.clone(), Arc::clone(&shared), Arc::clone(&done));
        thread::spawn(move || {
            let will = |pool: &ArenaPool| Some((pool.clone(), Arc::clone(&shared), Arc::clone(&done)));
            // Thread-locals end in one order or the other: registered before and after the pool's own.
            FIRST.with(|first| first.0.set(will(&pool)));
            if round % 2 == 0 {
                drop(pool.acquire());
            }
            HELD.with_borrow_mut(|held| {
                for _ in 0..12 {
                    let (one, shared) = (pool.acquire(), pool.acquire_shared());
                    one.alloc_str("outlives its thread's life");
                    shared.alloc_str("and so does this");
                    held.extend([Held::One(one), Held::Shared(shared.clone()), Held::Shared(shared)]);
                }
            });
            SECOND.with(|second| second.0.set(will(&pool)));
        })
        .join()
        .unwrap();
    }
    assert_eq!(done.load(SeqCst), 40);
    all_home(&pool);
}

#[test]
fn guards_outlive_their_pool_on_other_threads() {
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    for round in 0..30 {
        let pool = ArenaOptions::new().idle_max(round % 5).pool();
        let alive = Arc::new(AtomicUsize::new(0));
        let closing = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..3u64)
            .map(|seed| {
                let (one, shared, others) = (pool.acquire(), pool.acquire_shared(), pool.clone());
                let (alive, closing) = (Arc::clone(&alive), Arc::clone(&closing));
                thread::spawn(move || {
                    alive.fetch_add(1, SeqCst);
                    one.alloc_with_drop(Alive(alive));
                    drop((others.acquire(), others.acquire_shared()));
                    drop(others);
                    closing.wait();
                    // The last handle goes while this goes on.
                    let mut work = Work::new(&shared, seed);
                    (0..40).for_each(|i| work.step(&shared, i));
                    work.verify();
                    drop(one);
                    drop(work);
                    let last = shared.clone();
                    let other = thread::spawn(move || last.alloc_str("a new shard of a pool without handles").len());
                    drop(shared);
                    assert_eq!(other.join().unwrap(), 37);
                })
            })
            .collect();
        closing.wait();
        drop(pool);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(alive.load(SeqCst), 0);
    }
}

/// Eight threads, each doing at random what a server may: own and shared arenas, values checked at the end, guards sent
/// to one another, tasks in between.
#[test]
fn eight_threads_for_a_while() {
    const THREADS: u64 = 8;
    const STEPS: u64 = 400;
    let pool = ArenaOptions::new().idle_max(20).pool();
    // Requests, and those of them in which anything was built: what a pool learns from.
    let (acquired, built) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let parked: Arc<Mutex<Vec<(u64, PooledSharedArena)>>> = Arc::default();
    let threads: Vec<_> = (0..THREADS)
        .map(|id| {
            let (pool, acquired, parked) = (pool.clone(), Arc::clone(&acquired), Arc::clone(&parked));
            let built = Arc::clone(&built);
            thread::spawn(move || {
                let mut random = Random(id);
                let mut next = |bound: usize| random.below(bound) as u64;
                for step in 0..STEPS {
                    let seed = id * STEPS + step;
                    match next(4) {
                        0 => {
                            let arena = pool.acquire();
                            acquired.fetch_add(1, SeqCst);
                            let len = next(60);
                            built.fetch_add(u64::from(len > 0), SeqCst);
                            let texts = arena.alloc_slice_fill_with(len as usize, |i| {
                                &*arena.alloc_str(&Work::text(seed, i as u64))
                            });
                            arena.scope(|inner| assert_eq!(inner.alloc_slice_copy(texts), texts));
                            assert!((0..).zip(&*texts).all(|(i, text)| *text == Work::text(seed, i)));
                        }
                        1 => {
                            let arena = pool.acquire_shared();
                            acquired.fetch_add(1, SeqCst);
                            let mut work = Work::new(&arena, seed);
                            let steps = next(60);
                            built.fetch_add(u64::from(steps > 0), SeqCst);
                            (0..steps).for_each(|i| work.step(&arena, i));
                            work.verify();
                        }
                        2 => {
                            let arena = pool.acquire_shared();
                            acquired.fetch_add(1, SeqCst);
                            built.fetch_add(1, SeqCst);
                            arena.alloc_slice_fill_with(50, |i| seed ^ i as u64);
                            parked.lock().unwrap().push((seed, arena));
                        }
                        _ => {
                            // Work in an arena that another thread began, beside whoever holds another clone.
                            let taken = {
                                let mut parked = parked.lock().unwrap();
                                if next(2) == 0 { parked.pop() } else { parked.last().cloned() }
                            };
                            if let Some((seed, arena)) = taken {
                                let mut work = Work::new(&arena, seed + id);
                                (0..next(30)).for_each(|i| work.step(&arena, i));
                                work.verify();
                            }
                        }
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    parked.lock().unwrap().clear();
    all_home(&pool);
    let figures = pool.figures();
    assert_eq!(figures.request_bytes.count(), built.load(SeqCst), "one size for each request that built anything");
    assert!(figures.acquired >= acquired.load(SeqCst), "shards of other threads come on top");
    assert!(figures.idle <= 20);
}
