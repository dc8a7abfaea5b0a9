//! `BatchedArc` and `ArcCloneBatcher`: exact counts whatever becomes of the owners, one drop of the value, odd sizes and
//! alignments; `ArcOptimize`.
//!
//! Over the public API.
#![cfg(feature = "cache")]
#![forbid(unsafe_code)]

use blixard_arena::arc::{ArcCloneBatcher, ArcOptimize, BatchedArc};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counted() -> (BatchedArc<Counted>, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    (BatchedArc::new(Counted(Arc::clone(&dropped))), dropped)
}

#[test]
fn counts_are_exact_on_every_path() {
    let (value, dropped) = counted();
    assert_eq!(value.owners(), 1);
    drop(value.batch(0));
    assert_eq!(value.owners(), 1);
    let mut batch = value.batch(5);
    assert_eq!((value.owners(), batch.len(), batch.size_hint()), (6, 5, (5, Some(5))));
    let (first, second) = (batch.next().unwrap(), batch.next().unwrap());
    assert_eq!((value.owners(), batch.len()), (6, 3));
    drop(first);
    assert_eq!(value.owners(), 5);
    batch.put_back(second);
    assert_eq!((value.owners(), batch.len()), (5, 4));
    // One that was counted singly goes into the stock too.
    batch.put_back(value.clone());
    assert_eq!((value.owners(), batch.len()), (6, 5));
    let rest: Vec<_> = batch.by_ref().collect();
    assert!(batch.next().is_none() && rest.len() == 5);
    batch.put_back(value.clone());
    assert!(batch.next().is_some_and(|owner| owner.ptr_eq(&value)), "it goes on after its end");
    drop(batch);
    assert_eq!(value.owners(), 6);
    drop(rest);
    assert_eq!((value.owners(), dropped.load(SeqCst)), (1, 0));
    drop(value);
    assert_eq!(dropped.load(SeqCst), 1);
}

#[test]
fn a_panic_gives_back_what_was_not_used() {
    let (value, dropped) = counted();
    let fan_out = || {
        let mut batch = value.batch(64);
        let _used = [batch.next(), batch.next()];
        for (n, _owner) in batch.enumerate() {
            assert!(n < 10, "meant to be");
        }
    };
    assert!(catch_unwind(AssertUnwindSafe(fan_out)).is_err());
    assert_eq!((value.owners(), dropped.load(SeqCst)), (1, 0));
}

#[test]
fn the_batch_may_be_the_last() {
    let (value, dropped) = counted();
    let batch = value.batch(3);
    drop(value);
    assert_eq!(dropped.load(SeqCst), 0);
    drop(batch);
    assert_eq!(dropped.load(SeqCst), 1);
}

#[test]
fn an_owner_of_another_value_is_dropped_or_taken_over() {
    let ((one, one_dropped), (other, other_dropped)) = (counted(), counted());
    let mut batch = one.batch(2);
    batch.put_back(other.clone());
    assert_eq!((batch.len(), one.owners(), other.owners()), (2, 3, 1));
    batch.by_ref().for_each(drop);
    drop(one);
    assert_eq!(one_dropped.load(SeqCst), 1);
    // It has none left, and its value is gone: it goes on with the other.
    batch.put_back(other);
    assert_eq!(other_dropped.load(SeqCst), 0);
    let last = batch.next().unwrap();
    assert_eq!(last.owners(), 1);
    drop((batch, last));
    assert_eq!(other_dropped.load(SeqCst), 1);

    // Of another length, perhaps at the same address.
    let mut batch = BatchedArc::<[u8]>::from(vec![1; 24]).batch(1);
    drop(batch.next());
    for len in 0..64 {
        batch.put_back(BatchedArc::from(vec![2; len]));
        assert_eq!(*batch.next().unwrap(), vec![2; len]);
    }
}

#[test]
fn threads_hand_owners_around() {
    const THREADS: usize = 4;
    let (value, dropped) = counted();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let mut batch: ArcCloneBatcher<Counted> = value.batch(100);
            scope.spawn(move || {
                for step in 0..20_000 {
                    let Some(owner) = batch.next() else { break };
                    match (step + thread) % 7 {
                        0 => drop(owner.clone()),
                        1 => owner.batch(3).by_ref().take(2).for_each(|more| batch.put_back(more)),
                        2 => {
                            drop(owner);
                            continue;
                        }
                        _ => {}
                    }
                    batch.put_back(owner);
                }
            });
        }
    });
    assert_eq!((value.owners(), dropped.load(SeqCst)), (1, 0));
    drop(value);
    assert_eq!(dropped.load(SeqCst), 1);
}

#[test]
fn sizes_and_alignments_of_every_kind() {
    #[repr(align(4096))]
    #[derive(Clone, Copy)]
    struct Page(u8);
    let page = BatchedArc::new(Page(7));
    assert_eq!((&raw const *page).addr() % 4096, 0);
    assert_eq!(page.batch(2).map(|page| page.0).sum::<u8>(), 14);
    let pages = BatchedArc::<[Page]>::from(vec![Page(1), Page(2)]);
    assert_eq!(((&raw const pages[1]).addr() % 4096, pages[1].0), (0, 2));
    assert_eq!(BatchedArc::<[Page]>::from(Vec::new()).len(), 0);

    let unit = BatchedArc::new(());
    assert_eq!((*unit, unit.owners()), ((), 1));
    let units = BatchedArc::<[()]>::from(vec![(); 5]);
    assert_eq!((units.len(), units.batch(3).len()), (5, 3));

    for len in 0..40 {
        let bytes: Vec<u8> = (0..len).collect();
        let shared = BatchedArc::<[u8]>::from(bytes.clone());
        assert_eq!((&*shared, size_of_val(&*shared)), (&*bytes, usize::from(len)));
        let text = "é".repeat(usize::from(len));
        let shared = BatchedArc::<str>::from(&*text);
        let batch = shared.batch(2);
        drop(shared);
        assert!(batch.into_iter().all(|owner| *owner == *text));
    }
    let words = BatchedArc::<[String]>::from(vec!["vm-1".to_owned(), "vm-2".to_owned()]);
    assert_eq!(words.clone().concat(), "vm-1vm-2");
    let boxed: BatchedArc<Box<dyn Fn(u32) -> u32 + Send + Sync>> = BatchedArc::new(Box::new(|n| n + 1));
    assert_eq!(boxed.batch(1).next().unwrap()(1), 2);
    assert_eq!(size_of::<Option<BatchedArc<u64>>>(), size_of::<usize>(), "one word, with a niche");
}

#[test]
fn elements_are_dropped_once_and_a_panicking_one_does_not_keep_the_others() {
    struct Panics(Arc<AtomicUsize>, bool);
    impl Drop for Panics {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
            assert!(!self.1, "meant to be");
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let values: Vec<Panics> = (0..5).map(|i| Panics(Arc::clone(&dropped), i == 2)).collect();
    let shared = BatchedArc::<[Panics]>::from(values);
    let batch = shared.batch(4);
    drop(shared);
    // The memory is freed too: the sanitizer's run would see a leak.
    assert!(catch_unwind(AssertUnwindSafe(|| drop(batch))).is_err());
    assert_eq!(dropped.load(SeqCst), 5);
}

#[test]
fn owners_read_as_their_value() {
    let text = BatchedArc::<str>::from("vm-1");
    assert_eq!((format!("{text}"), format!("{text:?}")), ("vm-1".to_owned(), "\"vm-1\"".to_owned()));
    assert_eq!(format!("{:?}", text.batch(3)), "ArcCloneBatcher { left: 3, .. }");
    assert_eq!((text.as_ref(), *BatchedArc::from(7)), ("vm-1", 7));
}

#[test]
fn equal_values_stay_one() {
    let mut config = Arc::new(vec![1.0, 2.0]);
    let other = Arc::clone(&config);
    assert!(!config.set_if_changed(vec![1.0, 2.0]) && Arc::ptr_eq(&config, &other));
    assert!(config.set_if_changed(vec![f64::NAN]), "and what is not equal to itself always differs");
    assert_eq!((Arc::strong_count(&other), &**other), (1, &[1.0, 2.0][..]));
    // In place where nobody else looks, weak ones included.
    let place = Arc::as_ptr(&config);
    assert!(config.set_if_changed(vec![3.0]) && Arc::as_ptr(&config) == place);
    let weak = Arc::downgrade(&config);
    assert!(config.set_if_changed(vec![4.0]));
    assert!(weak.upgrade().is_none(), "who only watches keeps the old value from being written over");

    let mut twin = Arc::new(vec![4.0]);
    assert!(!twin.unify(&other) && Arc::strong_count(&other) == 1);
    assert!(twin.unify(&config) && Arc::ptr_eq(&twin, &config) && twin.unify(&config));
    assert_eq!(Arc::strong_count(&config), 2);
}
