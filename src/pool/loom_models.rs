//! Models of the object pool: loom runs them through every order of steps that the memory model allows. See
//! `recycle::loom_models`, which says how, and has the models of what lies beneath.
//!
//! Objects report two users without an order between them. The last holder of a frozen buffer is a guard behind a count, as
//! in `bytes::Bytes`; the count here is loom's, because `Bytes` has its own that loom does not see.
#![forbid(unsafe_code)]

use super::{Pooled, TypedObjectPool};
use crate::recycle::end_thread;
use crate::sync::Witness;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Runs a model, bounded to `preemptions` where a number is given and the environment has no other.
fn model(preemptions: Option<usize>, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(preemptions);
    builder.check(run);
}

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

#[test]
fn a_buffers_last_holder_lets_go_during_a_trim() {
    model(Some(3), || {
        let counts = Arc::new(Counts::default());
        let pool = pool(&counts, false, 2);
        drop(used(&pool)); // something for the trim to find
        let frozen = loom::sync::Arc::new(used(&pool));
        let holders = [loom::sync::Arc::clone(&frozen), frozen];
        let threads = holders.map(|holder| {
            thread::spawn(move || {
                drop(holder);
                end_thread();
            })
        });
        pool.trim();
        pool.clear();
        for thread in threads {
            thread.join().unwrap();
        }
        end(pool, &counts);
    });
}

#[test]
fn a_thread_ends_while_another_acquires() {
    model(Some(3), || {
        let counts = Arc::new(Counts::default());
        let pool = pool(&counts, true, 4);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || {
                drop(used(&pool));
                end_thread();
            })
        };
        // May adopt the slot that the other leaves behind, with what lies in it.
        let mine = used(&pool);
        other.join().unwrap();
        drop(mine);
        let figures = pool.figures();
        assert_eq!((figures.acquired, figures.dropped), (2, 0));
        end(pool, &counts);
    });
}

#[test]
fn no_more_are_out_than_may_be() {
    model(None, || {
        let pool = TypedObjectPool::builder(|| ()).live_max(1).idle_max(2).leak_sites_one_in(0).build();
        let out = Arc::new(AtomicUsize::new(0));
        let seat = |pool: &TypedObjectPool<()>, out: &AtomicUsize| {
            pool.try_acquire().is_ok_and(|seat| {
                assert_eq!(out.fetch_add(1, SeqCst), 0, "the only one");
                thread::yield_now();
                out.fetch_sub(1, SeqCst);
                drop(seat);
                true
            })
        };
        let other = {
            let (pool, out) = (pool.clone(), Arc::clone(&out));
            thread::spawn(move || {
                let got = seat(&pool, &out);
                drop(pool);
                end_thread();
                got
            })
        };
        let got = seat(&pool, &out);
        assert!(got | other.join().unwrap(), "one of two gets it");
        assert!(pool.try_acquire().is_ok(), "and it comes back");
        drop(pool);
        end_thread();
    });
}

#[test]
fn a_guard_is_detached_while_the_last_handle_goes() {
    model(None, || {
        let counts = Arc::new(Counts::default());
        let pool = pool(&counts, true, 2);
        let guard = used(&pool);
        let other = thread::spawn(move || {
            drop(guard.detach());
            end_thread();
        });
        drop(pool);
        other.join().unwrap();
        end_thread();
        assert_eq!(counts.dropped.load(SeqCst), 1);
    });
}
