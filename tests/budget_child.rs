//! One request over its budget, in a process that has to survive it: the server catches the panic, its 1,000
//! neighbours finish, the exit code is 0. `handle_alloc_error`, which would end the process, is never reached.
//!
//! The test starts itself again as a child, because what is at stake is the child's life.
#![expect(clippy::unwrap_used, reason = "a test: what cannot be had ends it")]

use blixard_arena::{ArenaOptions, ArenaPool, BudgetExceeded};
use hashbrown::{DefaultHashBuilder, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const CHILD: &str = "BLIXARD_BUDGET_CHILD";

/// Runs the test of this name again, alone and in a process of its own.
fn child(test: &str) -> Output {
    let own = std::env::current_exe().unwrap();
    Command::new(own).args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "1").output().unwrap()
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[track_caller]
fn assert_lived(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(out.contains("all neighbours finished"), "{out}\n{err}");
    assert!(!err.contains("memory allocation of"), "handle_alloc_error was reached:\n{err}");
}

/// A request: labels in a map in its arena. Returns their number.
fn serve(pool: &ArenaPool, labels: u64, shared: bool) -> usize {
    macro_rules! fill {
        ($arena:expr) => {{
            let arena = $arena;
            let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena);
            for label in 0..labels {
                map.insert(label, &*arena.format(format_args!("label-{label}")));
            }
            assert!((0..labels).all(|label| map[&label] == format!("label-{label}")));
            map.len()
        }};
    }
    if shared {
        let guard = pool.acquire_shared();
        return fill!(&*guard);
    }
    let guard = pool.acquire();
    fill!(&*guard)
}

#[test]
fn a_greedy_request_ends_alone() {
    if !is_child() {
        return assert_lived(&child("a_greedy_request_ends_alone"));
    }
    std::panic::set_hook(Box::new(|_| ())); // the server logs in its own way
    let pool = ArenaOptions::new().budget_bytes_max(64 << 10).pool();
    let finished = Arc::new(AtomicUsize::new(0));
    let greedy = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (pool, finished, greedy) = (&pool, &finished, &greedy);
            scope.spawn(move || {
                for request in 0..250 {
                    if request % 25 == worker {
                        // Between its neighbours, on their thread.
                        let caught = catch_unwind(AssertUnwindSafe(|| serve(pool, 1 << 40, request % 2 == 0)));
                        let refused =
                            *caught.unwrap_err().downcast::<BudgetExceeded>().expect("the budget's own value");
                        assert!(refused.allowed == 64 << 10 && refused.used <= refused.allowed && refused.asked > 0);
                        greedy.fetch_add(1, SeqCst);
                    }
                    assert_eq!(serve(pool, 100, request % 2 == 1), 100);
                    finished.fetch_add(1, SeqCst);
                }
            });
        }
    });
    assert_eq!((finished.load(SeqCst), greedy.load(SeqCst)), (1000, 40));
    assert_eq!(pool.figures().live, 0, "every arena is home");
    println!("all neighbours finished");
}

#[test]
fn tasks_over_budget_are_caught_by_their_runtime() {
    if !is_child() {
        return assert_lived(&child("tasks_over_budget_are_caught_by_their_runtime"));
    }
    std::panic::set_hook(Box::new(|_| ()));
    let pool = ArenaOptions::new().budget_bytes_max(64 << 10).pool();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let greedy: Vec<_> = (0..10)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let arena = pool.acquire_shared();
                    for _ in 0..1_000_000 {
                        arena.alloc([0u8; 500]);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let neighbours: Vec<_> = (0..1000)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    serve(&pool, 50, true)
                })
            })
            .collect();
        for neighbour in neighbours {
            assert_eq!(neighbour.await.unwrap(), 50);
        }
        for task in greedy {
            assert!(task.await.unwrap_err().into_panic().is::<BudgetExceeded>());
        }
    });
    assert_eq!(pool.figures().live, 0);
    println!("all neighbours finished");
}

#[test]
fn fallible_collections_return_errors_and_stay_whole() {
    if !is_child() {
        return assert_lived(&child("fallible_collections_return_errors_and_stay_whole"));
    }
    macro_rules! check {
        ($arena:expr) => {{
            let arena = $arena;
            let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena.fallible());
            let mut vec = allocator_api2::vec::Vec::new_in(arena.fallible());
            let mut served = 0u64;
            while map.try_reserve(1).is_ok() && vec.try_reserve(1).is_ok() {
                map.insert(served, served * 2);
                vec.push(served * 3);
                served += 1;
            }
            assert!(served > 100, "{served}");
            for absurd in [1 << 20, isize::MAX as usize / 16, usize::MAX] {
                assert!(map.try_reserve(absurd).is_err());
                assert!(vec.try_reserve(absurd).is_err());
                assert!(vec.try_reserve_exact(absurd).is_err());
            }
            assert_eq!((map.len() as u64, vec.len() as u64), (served, served));
            assert!((0..served).all(|i| map[&i] == i * 2 && vec[usize::try_from(i).unwrap()] == i * 3));
            // What is there can still be used, and room given back is room again.
            vec.pop();
            vec.push(7);
            *map.get_mut(&0).unwrap() = 9;
            assert_eq!((vec.last(), map[&0]), (Some(&7), 9));
        }};
    }
    let options = ArenaOptions::new().budget_bytes_max(20_000);
    check!(options.arena());
    check!(options.shared());
    check!(options.pool().acquire());
    check!(options.pool().acquire_shared());
    println!("all neighbours finished");
}

/// The check above is worth something: a collection that meets `AllocError` without asking first does end the process.
#[test]
fn without_asking_first_a_fallible_collection_ends_the_process() {
    if !is_child() {
        let output = child("without_asking_first_a_fallible_collection_ends_the_process");
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("memory allocation of"));
        return;
    }
    let arena = ArenaOptions::new().budget_bytes_max(10_000).arena();
    let mut vec = allocator_api2::vec::Vec::new_in(arena.fallible());
    vec.extend(0..100_000);
}
