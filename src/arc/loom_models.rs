//! Models of building once and of the batches' counts: loom runs them through every order of steps that the memory model allows.
//!
//! `RUSTFLAGS="--cfg blixard_loom" cargo test --release -p blixard-arena --all-features --lib arc::loom_models`. What is built reports two users without an order between
//! them, and how often it was dropped. The counts of std's `Arc` are not loom's, and not ours to prove; a lock and a list stand in for
//! quick_cache, whose locks loom cannot see (`stand_in`). Models that are too large to be run through are bounded to
//! a number of preemptions; `LOOM_MAX_PREEMPTIONS` overrides it.
#![forbid(unsafe_code)]

use super::{ArcCache, ArcCloneBatcher, BatchedArc, WeakCache};
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

/// What is built: touched when it is, looked at by whoever has it.
#[derive(Default)]
struct Thing {
    witness: Witness,
    dropped: Arc<AtomicUsize>,
}

impl Thing {
    fn built(dropped: &Arc<AtomicUsize>) -> Self {
        let thing = Self { witness: Witness::default(), dropped: Arc::clone(dropped) };
        thing.witness.touch();
        thing
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_value_is_built_once_however_many_miss() {
    model(Some(3), || {
        let cache = WeakCache::<u8, Thing>::new();
        let (built, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let ask = {
            let (cache, built, dropped) = (cache.clone(), Arc::clone(&built), Arc::clone(&dropped));
            move || {
                let value = cache.get_or_build(&7, || {
                    built.fetch_add(1, SeqCst);
                    thread::yield_now();
                    Thing::built(&dropped)
                });
                value.witness.look();
                value
            }
        };
        let others = [ask.clone(), ask.clone()].map(thread::spawn);
        let value = ask();
        for other in others {
            assert!(Arc::ptr_eq(&value, &other.join().unwrap()));
        }
        assert_eq!((built.load(SeqCst), dropped.load(SeqCst)), (1, 0));
        drop(value);
        assert_eq!(dropped.load(SeqCst), 1, "nothing was kept alive");
        assert_eq!(cache.sweep(), 1);
    });
}

#[test]
fn the_next_one_builds_where_a_builder_fails() {
    model(Some(3), || {
        let cache = WeakCache::<u8, Thing>::new();
        let (tries, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let ask = {
            let (cache, tries, dropped) = (cache.clone(), Arc::clone(&tries), Arc::clone(&dropped));
            // The first builder fails, whosever it is.
            move || {
                cache.try_get_or_build(&7, || {
                    if tries.fetch_add(1, SeqCst) == 0 { Err(()) } else { Ok(Thing::built(&dropped)) }
                })
            }
        };
        let other = thread::spawn(ask.clone());
        let values = [ask(), other.join().unwrap()];
        assert_eq!(values.iter().filter(|value| value.is_err()).count(), 1, "who built, and nobody else");
        assert_eq!(tries.load(SeqCst), 2);
        let figures = cache.figures();
        assert_eq!((figures.built, figures.failed, figures.entries), (1, 1, 1));
    });
}

#[test]
fn what_is_removed_while_it_is_built_is_not_kept() {
    model(None, || {
        let cache = WeakCache::<u8, Thing>::new();
        let dropped = Arc::new(AtomicUsize::new(0));
        let version = Arc::new(AtomicUsize::new(0));
        let other = {
            let (cache, dropped, version) = (cache.clone(), Arc::clone(&dropped), Arc::clone(&version));
            thread::spawn(move || {
                let mut read = 0;
                let value = cache.get_or_build(&7, || {
                    read = version.load(SeqCst);
                    thread::yield_now();
                    Thing::built(&dropped)
                });
                (read, value)
            })
        };
        // The source changes, and then the key is removed: what was built from the old one is not found from here on.
        version.store(1, SeqCst);
        cache.remove(&7);
        let found = cache.get(&7);
        let (read, value) = other.join().unwrap();
        assert!(found.is_none_or(|found| read == 1 && Arc::ptr_eq(&found, &value)));
        assert_eq!(cache.get(&7).is_some(), read == 1 && cache.figures().entries == 1);
    });
}

/// A builder wants what another thread builds, and waits in turn. (That a circle is seen takes a panic, which loom does not
/// forgive: `tests/suite/arc_cache.rs` and `arc_weak.rs` close some.)
#[test]
fn a_builder_waits_for_another_threads_key() {
    model(Some(3), || {
        let cache = WeakCache::<u8, u8>::new();
        let other = {
            let cache = cache.clone();
            thread::spawn(move || *cache.get_or_build(&1, || 1 + *cache.get_or_build(&2, || 2)))
        };
        let mine = *cache.get_or_build(&2, || 2);
        assert_eq!((mine, other.join().unwrap()), (2, 3));
    });
}

/// What nobody holds is swept, here and by whoever enters a new key, while another thread asks for it: a key has one living value.
#[test]
fn a_sweep_takes_nothing_that_is_held() {
    model(Some(3), || {
        let cache = WeakCache::<u8, Thing>::new();
        let dropped = Arc::new(AtomicUsize::new(0));
        drop(cache.get_or_build(&7, || Thing::built(&dropped)));
        let ask = {
            let (cache, dropped) = (cache.clone(), Arc::clone(&dropped));
            move |key: u8| {
                let value = cache.get_or_build(&key, || Thing::built(&dropped));
                value.witness.look();
                value
            }
        };
        let other = thread::spawn({
            let ask = ask.clone();
            move || ask(7)
        });
        let third = thread::spawn(move || ask(8));
        cache.sweep();
        let (seven, eight) = (other.join().unwrap(), third.join().unwrap());
        assert!(cache.get(&7).is_some_and(|found| Arc::ptr_eq(&found, &seven)));
        assert!(cache.get(&8).is_some_and(|found| Arc::ptr_eq(&found, &eight)));
        assert_eq!(dropped.load(SeqCst), 1, "the one that nobody held");
        drop((seven, eight));
        cache.sweep();
        assert_eq!((cache.figures().entries, dropped.load(SeqCst)), (0, 3));
    });
}

/// One thread changes the source and then its entry; a reader beside it looks it up again and again, with the value at hand from before or
/// not, and beside that in the cache: it never goes back to a value that it has seen gone.
fn change_beside_a_reader(preemptions: Option<usize>, change: fn(&ArcCache<u8, usize>)) {
    for at_hand in [false, true] {
        model(preemptions, move || {
            let cache = ArcCache::<u8, usize>::with_entries_max(1);
            let version = Arc::new(AtomicUsize::new(0));
            let changed = Arc::new(loom::sync::atomic::AtomicBool::new(false));
            let mut reader = cache.reader();
            cache.get_or_build(&7, || 0);
            if at_hand {
                reader.get(&7);
            }
            let other = {
                let (version, changed) = (Arc::clone(&version), Arc::clone(&changed));
                thread::spawn(move || {
                    let mut last = 0;
                    for _ in 0..2 {
                        let told = changed.load(SeqCst);
                        let found = **reader.get_or_build(&7, || version.load(SeqCst));
                        assert!(found >= last && found >= usize::from(told), "{found} after {last}, told: {told}");
                        last = found;
                        // Gone, or another: then the old value is not lent again.
                        last = reader.cache().get(&7).map_or(1, |found| *found).max(last);
                        if let Some(found) = reader.get(&7) {
                            assert!(**found >= last, "{found} after {last}");
                        }
                    }
                })
            };
            version.store(1, SeqCst);
            change(&cache);
            changed.store(true, SeqCst);
            assert_eq!(*cache.get_or_build(&7, || version.load(SeqCst)), 1);
            other.join().unwrap();
        });
    }
}

#[test]
fn a_reader_finds_no_value_that_was_removed() {
    change_beside_a_reader(Some(3), |cache| {
        cache.remove(&7);
    });
}

#[test]
fn a_reader_finds_no_value_that_was_cleared() {
    change_beside_a_reader(Some(3), ArcCache::clear);
}

#[test]
fn a_reader_finds_no_value_that_was_replaced() {
    change_beside_a_reader(Some(3), |cache| {
        cache.insert(7, 1);
    });
}

/// The bound is one entry: another key takes its place.
#[test]
fn a_reader_finds_no_value_that_was_evicted() {
    change_beside_a_reader(Some(3), |cache| {
        cache.get_or_build(&8, || 8);
    });
}

/// Owners of a batch go to threads, come back or are dropped there; the batch goes with what it has left.
#[test]
fn the_last_count_frees_and_no_other() {
    model(Some(3), || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let value = BatchedArc::new(Thing::built(&dropped));
        let mut batch = value.batch(3);
        let others = [batch.next().unwrap(), value.clone()].map(|owner| {
            thread::spawn(move || {
                owner.witness.look();
                drop(owner);
            })
        });
        drop(value);
        let mine = batch.next().unwrap();
        mine.witness.look();
        batch.put_back(mine);
        assert_eq!((batch.len(), dropped.load(SeqCst)), (2, 0));
        drop(batch);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(dropped.load(SeqCst), 1);
    });
}

#[test]
fn two_batches_of_one_value_end_on_two_threads() {
    model(None, || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let value = BatchedArc::new(Thing::built(&dropped));
        let used = |mut batch: ArcCloneBatcher<Thing>| {
            let owner = batch.next().unwrap();
            let second = owner.batch(2);
            owner.witness.look();
            drop((batch, owner));
            drop(second);
        };
        let (first, second) = (value.batch(2), value.batch(1));
        drop(value);
        let other = thread::spawn(move || used(first));
        used(second);
        other.join().unwrap();
        assert_eq!(dropped.load(SeqCst), 1);
    });
}
