//! A string pool under eight threads, with sweeps running: equal texts that live at the same time have one address.
//!
//! Over the public API. Threads pin, intern, hold, hand over and drop names of a small set of texts, so that they are freed
//! and entered anew all the time, while others sweep. Every name that is held is also noted, under a lock, in a board by its text:
//! whoever holds a second one of the same text finds it equal to what is noted there.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helper functions too")]

use super::random::Random;
use blixard_arena::intern::{InternedString, PoolFull, StringPool, StringPoolOptions, global, intern, pin};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// So many that most are not asked for between two grace periods: what is asked for is not freed.
const TEXTS: usize = 20_000;
const ROUNDS: usize = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

fn text(index: usize) -> String {
    format!("node-{index}-{}", "x".repeat(index % 24))
}

#[test]
fn equal_live_texts_have_one_address() {
    let pool = StringPool::new();
    let board: Vec<Mutex<Vec<InternedString>>> = (0..TEXTS).map(|_| Mutex::new(Vec::new())).collect();
    let done = AtomicUsize::new(0);
    let freed = thread::scope(|scope| {
        for seed in 0..6 {
            let (pool, board, done) = (&pool, &board, &done);
            scope.spawn(move || {
                // Counted when it panics too, or the sweepers would wait for ever.
                let _done = Done(done);
                work(pool, board, seed);
            });
        }
        let sweepers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut freed = 0;
                    while done.load(Ordering::SeqCst) < 6 {
                        freed += pool.sweep();
                        thread::yield_now();
                    }
                    freed
                })
            })
            .collect();
        sweepers.into_iter().map(|sweeper| sweeper.join().unwrap()).sum::<u64>()
    });
    assert!(freed > 1000, "names were freed and entered anew while others looked them up: {freed}");
    drop(board);
    pool.sweep();
    assert_eq!(pool.figures().entries, 0);
}

struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn work(pool: &StringPool, board: &[Mutex<Vec<InternedString>>], seed: u64) {
    let mut random = Random(seed);
    let texts: Vec<String> = (0..TEXTS).map(text).collect();
    for _ in 0..ROUNDS {
        let pin = pool.pin();
        // A few names under one pin, some of them kept.
        for _ in 0..3 {
            let index = random.below(TEXTS);
            let name = pin.intern(&texts[index]);
            assert_eq!(name.as_str(), texts[index]);
            assert_eq!(name, pin.intern(&texts[index]), "one address under a pin");
            if random.below(4) == 0 {
                let held = name.to_interned();
                let mut there = board[index].lock().unwrap();
                if let Some(other) = there.first() {
                    assert_eq!(*other, held, "one address while anybody holds it");
                    assert!(name == *other);
                }
                there.push(held);
            }
        }
        drop(pin);
        // Let go of what others may have noted.
        let mut there = board[random.below(TEXTS)].lock().unwrap();
        if there.len() > 2 || random.below(3) == 0 {
            there.clear();
        }
    }
}

#[test]
fn names_go_through_threads_and_outlive_the_pool() {
    let pool = StringPool::new();
    let (send, receive) = std::sync::mpsc::channel::<(usize, InternedString)>();
    thread::scope(|scope| {
        for seed in 0..8 {
            let (pool, send) = (pool.clone(), send.clone());
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..2000 {
                    let index = random.below(TEXTS);
                    send.send((index, pool.intern(&text(index)))).unwrap();
                }
                // The thread ends, and with it one handle of the pool.
            });
        }
        drop(send);
        drop(pool);
        let mut kept: HashMap<usize, InternedString> = HashMap::new();
        for (index, name) in receive {
            assert_eq!(&*name, text(index));
            assert_eq!(*kept.entry(index).or_insert_with(|| name.clone()), name);
        }
        // No handle is left; the names are.
        thread::spawn(move || {
            for (index, name) in kept {
                assert_eq!(&*name.clone(), text(index));
            }
        })
        .join()
        .unwrap();
    });
}

/// Threads that hold and drop names of one pool while its last handle goes.
#[test]
fn a_pool_ends_beside_those_who_hold_its_names() {
    for round in 0..if cfg!(debug_assertions) { 100 } else { 500 } {
        let pool = StringPool::new();
        let names: Vec<InternedString> = (0..200).map(|i| pool.intern(&format!("{round}-{i}"))).collect();
        let start = AtomicBool::new(false);
        thread::scope(|scope| {
            for part in names.chunks(50).map(<[InternedString]>::to_vec) {
                let start = &start;
                scope.spawn(move || {
                    while !start.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                    for name in &part {
                        assert!(name.clone().starts_with(&round.to_string()));
                    }
                    drop(part);
                });
            }
            drop(names);
            start.store(true, Ordering::SeqCst);
            drop(pool);
        });
    }
}

#[test]
fn a_pin_moves_between_threads_and_holds_back_what_it_found() {
    let pool = StringPool::new();
    let pin = pool.pin();
    assert_eq!(pin.intern("vm-1").len(), 4);
    thread::scope(|scope| {
        scope
            .spawn(|| {
                let name = pin.get("vm-1").unwrap();
                for _ in 0..5 {
                    pool.sweep();
                }
                assert_eq!(name.as_str(), "vm-1");
                assert!(pool.figures().oldest_pin_age.is_some());
                let _ = name;
                drop(pin);
            })
            .join()
            .unwrap();
    });
    assert_eq!(pool.figures().pins, 0);
    pool.sweep();
    assert_eq!(pool.figures().entries, 0);
}

#[test]
#[expect(clippy::mem_forget, reason = "that is what is tested")]
fn a_forgotten_pin_costs_memory_and_nothing_else() {
    let pool = StringPool::new();
    drop(pool.intern("before"));
    std::mem::forget(pool.pin());
    for i in 0..10_000 {
        drop(pool.intern(&format!("after-{i}")));
    }
    pool.sweep();
    let figures = pool.figures();
    assert_eq!((figures.pins, figures.freed), (1, 0), "{figures}");
    assert_eq!(figures.entries, 10_001);
    assert!(figures.held_back_bytes > 0);
    assert!(figures.oldest_pin_age.is_some());
    assert_eq!(&*pool.intern("before"), "before");
    // The pool's end frees it all (a leak checker sees to the rest).
    drop(pool);
}

#[test]
fn the_process_has_a_pool_without_a_call_at_start_up() {
    let threads: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| {
                let pin = pin();
                (0..500).map(|i| pin.intern(&format!("global-{i}")).to_interned()).collect::<Vec<_>>()
            })
        })
        .collect();
    let names: Vec<Vec<InternedString>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(names.iter().all(|theirs| *theirs == names[0]));
    assert_eq!(names[3][17], intern("global-17"));
    assert!(StringPoolOptions::new().build_global().is_err(), "it is in use");
    drop(names);
    global().sweep();
    assert!(global().figures().freed >= 499);
}

/// A spawned future holds its pin over awaits and moves between workers; names are promoted at its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_hold_pins_across_awaits() {
    let pool = StringPool::new();
    let tasks: Vec<_> = (0..64)
        .map(|task: usize| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut kept = Vec::new();
                {
                    let pin = pool.pin();
                    let mut names = Vec::new();
                    for i in 0..50 {
                        names.push(pin.intern(&text((task + i) % TEXTS)));
                        tokio::task::yield_now().await;
                    }
                    pool.sweep();
                    kept.extend(names.iter().map(|name| name.to_interned()));
                }
                (task, kept)
            })
        })
        .collect();
    let mut all: HashMap<usize, InternedString> = HashMap::new();
    for task in tasks {
        let (task, kept) = task.await.unwrap();
        for (i, name) in kept.into_iter().enumerate() {
            let index = (task + i) % TEXTS;
            assert_eq!(&*name, text(index));
            assert_eq!(*all.entry(index).or_insert_with(|| name.clone()), name);
        }
    }
    drop(all);
    pool.sweep();
    assert_eq!((pool.figures().entries, pool.figures().pins), (0, 0));
}

/// Threads enter names of their own under a cap that they hit all the time, on names or on bytes, and sweep: neither is passed at any moment
/// that anyone sees, and at the end the account is back at what the pool began with.
#[test]
fn caps_hold_under_threads_that_hit_them() {
    for (entries_max, bytes_max, longer) in [(300, 1 << 20, 1), (100_000, 64 << 10, 2_000)] {
        let pool = StringPoolOptions::new().entries_max(entries_max).bytes_max(bytes_max).build();
        let refused = [AtomicUsize::new(0), AtomicUsize::new(0)];
        thread::scope(|scope| {
            for seed in 0..6 {
                let (pool, refused) = (&pool, &refused);
                scope.spawn(move || {
                    let mut random = Random(seed);
                    let mut held = Vec::new();
                    for _ in 0..ROUNDS / 10 {
                        let text = text(random.below(TEXTS)) + &"y".repeat(random.below(longer));
                        match pool.try_intern(&text) {
                            Ok(name) => held.push(name),
                            Err(full) => {
                                refused[usize::from(matches!(full, PoolFull::Bytes { .. }))]
                                    .fetch_add(1, Ordering::SeqCst);
                                held.truncate(held.len() / 2);
                            }
                        }
                        if held.len() > 100 {
                            held.swap_remove(random.below(100));
                        }
                        let figures = pool.figures();
                        assert!(figures.entries <= entries_max && figures.bytes <= bytes_max, "{figures:?}");
                        if random.below(100) == 0 {
                            pool.sweep();
                        }
                    }
                });
            }
        });
        let [by_names, by_bytes] = refused.map(AtomicUsize::into_inner);
        assert!(
            if longer == 1 { by_names > 6 && by_bytes == 0 } else { by_bytes > 6 && by_names == 0 },
            "{by_names}, {by_bytes}"
        );
        pool.sweep();
        pool.sweep();
        let figures = pool.figures();
        assert_eq!((figures.entries, figures.entered), (0, figures.freed), "{figures:?}");
    }
}

/// Pools with one set of constants are made by eight threads at once: the set has one place in the process, and its words lead to its texts.
#[test]
fn a_set_of_constants_is_made_known_by_many_threads_at_once() {
    blixard_arena::constant_names! {
        /// Of this test alone.
        Wave { FIRST = "first-of-wave", SECOND = "second-of-wave" }
    }
    let barrier = std::sync::Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                let pool = StringPoolOptions::new().constants(Wave::SET).build();
                assert_eq!((pool.intern("first-of-wave"), pool.intern("second-of-wave")), (Wave::FIRST, Wave::SECOND));
                assert_eq!(&*Wave::SECOND, "second-of-wave");
            });
        }
    });
}
