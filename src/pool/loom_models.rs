//! Models of the object pool: loom runs them through every order of steps that the memory model allows. See
//! `recycle::loom_models`, which says how, and has the models of what lies beneath.
//!
//! Objects report two users without an order between them. The last holder of a frozen buffer is a guard behind a count, as
//! in `bytes::Bytes`; the count here is loom's, because `Bytes` has its own that loom does not see.
#![forbid(unsafe_code)]

use super::{Pooled, TypedObjectPool};
use crate::recycle::end_thread;
use crate::sync::{Part, Witness, model};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[derive(Default)]
struct Counts {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

struct Thing {
    witness: Witness,
    counts: Arc<Counts>,
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.counts.dropped.fetch_add(1, SeqCst);
    }
}

/// A pool for `idle_max` things, in threads' stacks or in the depot alone; each is touched when it is made, reset and used.
fn pool(counts: &Arc<Counts>, stacks: bool, idle_max: usize) -> TypedObjectPool<Thing> {
    let counts = Arc::clone(counts);
    TypedObjectPool::builder(move || {
        counts.made.fetch_add(1, SeqCst);
        Thing { witness: Witness::default(), counts: Arc::clone(&counts) }
    })
    .reset(|thing| thing.witness.touch())
    .retain_bytes_max(0)
    .per_thread_bytes_max(if stacks { 4096 } else { 0 })
    .idle_max(idle_max)
    .leak_sites_one_in(0)
    .build()
}

fn used(pool: &TypedObjectPool<Thing>) -> Pooled<Thing> {
    let thing = pool.acquire();
    thing.witness.touch();
    thing
}

/// All that was made is accounted for, and freed with the pool.
fn end(pool: TypedObjectPool<Thing>, counts: &Counts) {
    let figures = pool.figures();
    assert_eq!(figures.live, 0);
    assert_eq!(figures.created, figures.idle as u64 + figures.dropped);
    drop(pool);
    end_thread();
    assert_eq!(counts.dropped.load(SeqCst), counts.made.load(SeqCst), "dropped, and made");
}

/// A part that ends as a thread does.
fn part<R>(run: impl FnOnce() -> R + 'static) -> Part<R> {
    Box::new(|| {
        let result = run();
        end_thread();
        result
    })
}

#[test]
fn a_buffers_last_holder_lets_go_during_a_trim() {
    model(Some(3), [0, 0, 1], |order| {
        let counts = Arc::new(Counts::default());
        let pool = pool(&counts, false, 2);
        drop(used(&pool)); // something for the trim to find
        let frozen = loom::sync::Arc::new(used(&pool));
        let [first, last] = [loom::sync::Arc::clone(&frozen), frozen].map(|holder| part(move || drop(holder)));
        let trims = {
            let pool = pool.clone();
            part(move || {
                pool.trim();
                pool.clear();
            })
        };
        order.run([first, last, trims]);
        end(pool, &counts);
    });
}

#[test]
fn a_thread_ends_while_another_acquires() {
    model(Some(3), [0; 2], |order| {
        let counts = Arc::new(Counts::default());
        let pool = pool(&counts, true, 4);
        // Either may adopt the slot that the other leaves behind, with what lies in it.
        let uses = || {
            let pool = pool.clone();
            part(move || drop(used(&pool)))
        };
        order.run_apart([uses(), uses()]);
        let figures = pool.figures();
        assert_eq!((figures.acquired, figures.dropped), (2, 0));
        end(pool, &counts);
    });
}

#[test]
fn no_more_are_out_than_may_be() {
    model(None, [0; 2], |order| {
        let pool = TypedObjectPool::builder(|| ()).live_max(1).idle_max(2).leak_sites_one_in(0).build();
        let out = Arc::new(AtomicUsize::new(0));
        let seat = || {
            let (pool, out) = (pool.clone(), Arc::clone(&out));
            part(move || {
                let seat = pool.try_acquire();
                let had = seat.is_ok();
                if had {
                    assert_eq!(out.fetch_add(1, SeqCst), 0, "the only one");
                    loom::thread::yield_now();
                    out.fetch_sub(1, SeqCst);
                }
                drop((seat, pool));
                had
            })
        };
        let had = order.run([seat(), seat()]);
        assert!(had.contains(&true), "one of two gets it");
        assert!(pool.try_acquire().is_ok(), "and it comes back");
        drop(pool);
        end_thread();
    });
}

#[test]
fn a_guard_is_detached_while_the_last_handle_goes() {
    model(None, [0, 1], |order| {
        let counts = Arc::new(Counts::default());
        let pool = pool(&counts, true, 2);
        let guard = used(&pool);
        order.run([part(move || drop(guard.detach())), part(move || drop(pool))]);
        end_thread();
        assert_eq!(counts.dropped.load(SeqCst), 1);
    });
}
