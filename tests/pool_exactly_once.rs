//! Ten million objects acquired and returned over eight threads, where resets panic at random: each is used by one thread
//! at a time, and reused or dropped exactly once.
//!
//! Over the public API. Every object carries its own account, checked at every use; the sums are compared at the end.
#![cfg(not(blixard_no_recycle))]

mod random;

use blixard_arena::pool::{Pooled, TypedObjectPool};
use random::Random;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const THREADS: u64 = 8;
const USES: u64 = 10_000_000;

#[derive(Default)]
struct Sums {
    made: AtomicU64,
    uses: AtomicU64,
    resets: AtomicU64,
    panics: AtomicU64,
    dropped: AtomicU64,
}

struct Account {
    sums: Arc<Sums>,
    uses: u64,
    resets: u64,
    /// Set while in use, cleared by a reset: a dirty or doubled object shows.
    user: u64,
    fails: bool,
}

impl Drop for Account {
    fn drop(&mut self) {
        // Once per object, or this exceeds what was made.
        self.sums.dropped.fetch_add(1, Relaxed);
        self.sums.uses.fetch_add(self.uses, Relaxed);
        self.sums.resets.fetch_add(self.resets, Relaxed);
        self.sums.panics.fetch_add(u64::from(self.fails), Relaxed);
    }
}

#[test]
fn every_object_is_reused_or_dropped_exactly_once() {
    std::panic::set_hook(Box::new(|panic| {
        // A message for each of the panics that are meant to be would bury the others.
        if panic.payload().downcast_ref::<&str>() != Some(&"meant to be") {
            eprintln!("{panic}");
        }
    }));
    let sums = Arc::new(Sums::default());
    let pool = TypedObjectPool::builder({
        let sums = Arc::clone(&sums);
        move || {
            sums.made.fetch_add(1, Relaxed);
            Account { sums: Arc::clone(&sums), uses: 0, resets: 0, user: 0, fails: false }
        }
    })
    .reset(|account| {
        assert!(!account.fails, "meant to be");
        account.resets += 1;
        account.user = 0;
    })
    .build();

    // Objects on their way from a thread to any other.
    let exchange: [Mutex<Option<Pooled<Account>>>; 16] = Default::default();
    let caught = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 1..=THREADS {
            let (pool, exchange, caught) = (&pool, &exchange, &caught);
            scope.spawn(move || {
                let mut random = Random(thread);
                let give_back = |guard: Pooled<Account>| {
                    let fails = guard.fails;
                    let panicked = catch_unwind(AssertUnwindSafe(|| drop(guard))).is_err();
                    assert_eq!(panicked, fails);
                    caught.fetch_add(u64::from(panicked), Relaxed);
                };
                let mut held: Vec<Pooled<Account>> = Vec::new();
                for _ in 0..USES / THREADS {
                    let mut guard = pool.acquire();
                    assert_eq!((guard.user, guard.fails), (0, false), "handed out dirty, or to two");
                    guard.user = thread;
                    guard.uses += 1;
                    guard.fails = random.below(1009) == 0;
                    assert_eq!(guard.user, thread);
                    match random.below(16) {
                        // Another thread will give it back.
                        0 => {
                            let at = &exchange[random.below(exchange.len())];
                            let other = at.lock().expect("no panic under it").replace(guard);
                            other.into_iter().for_each(give_back);
                        }
                        // Later, in another order.
                        1 if held.len() < 40 => held.push(guard),
                        2 => {
                            give_back(guard);
                            held.drain(..).for_each(give_back);
                        }
                        _ => give_back(guard),
                    }
                }
                held.into_iter().for_each(give_back);
            });
        }
    });
    for at in exchange {
        if let Some(guard) = at.into_inner().expect("no panic under it") {
            let panicked = catch_unwind(AssertUnwindSafe(|| drop(guard))).is_err();
            caught.fetch_add(u64::from(panicked), Relaxed);
        }
    }

    let figures = pool.figures();
    let caught = caught.into_inner();
    assert_eq!((figures.acquired, figures.live), (USES, 0));
    assert_eq!(figures.created, sums.made.load(Relaxed));
    assert_eq!(figures.dropped, sums.dropped.load(Relaxed));
    assert_eq!(figures.created, figures.dropped + figures.idle as u64);
    assert!(caught > USES / 2000, "resets did panic: {caught}");
    drop(pool);
    assert_eq!(sums.dropped.load(Relaxed), sums.made.load(Relaxed), "dropped, and made");
    assert_eq!(sums.uses.load(Relaxed), USES);
    assert_eq!(sums.panics.load(Relaxed), caught);
    assert_eq!(sums.resets.load(Relaxed), USES - caught, "each use ended in a reset or a panic");
}
