//! Models of the recycler and its depot: loom runs them through every order of steps that the memory model allows.
//!
//! `RUSTFLAGS="--cfg blixard_loom" cargo test --release --all-features --lib loom_models`. Each model has an end where everything is
//! counted, and items that report two users without an order between them. `sync::model` says how models are run.
#![expect(unsafe_code, reason = "calls the recycler's unsafe interface")]

use super::depot::{Batch, Depot};
use super::recycler::{Kind, Limits, Link, Recycler, Taken};
use super::registry::{Places, end_thread};
use crate::sync::{AtomicU32, Part, Witness, model, race};
use std::convert::Infallible;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// What a model counts. Std's atomics: they are no part of the model.
#[derive(Default)]
struct Counts {
    made: AtomicUsize,
    items_dropped: AtomicUsize,
    recyclers_dropped: AtomicUsize,
}

impl Counts {
    fn assert_all_freed(&self, recyclers: usize) {
        assert_eq!(self.items_dropped.load(SeqCst), self.made.load(SeqCst), "items dropped, and made");
        assert_eq!(self.recyclers_dropped.load(SeqCst), recyclers, "recyclers dropped");
    }
}

struct Thing {
    witness: Witness,
    counts: Arc<Counts>,
}

impl Thing {
    fn boxed(counts: &Arc<Counts>) -> Box<Self> {
        counts.made.fetch_add(1, SeqCst);
        Box::new(Self { witness: Witness::default(), counts: Arc::clone(counts) })
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.counts.items_dropped.fetch_add(1, SeqCst);
    }
}

struct Things(Arc<Counts>);

impl Kind for Things {
    type Item = Thing;
    type Local = ();
}

impl Drop for Things {
    fn drop(&mut self) {
        self.0.recyclers_dropped.fetch_add(1, SeqCst);
    }
}

fn recycler(counts: &Arc<Counts>, idle_max: usize) -> Recycler<Things> {
    Recycler::new(Things(Arc::clone(counts)), Limits { per_thread: 1, idle_max })
}

/// An item on its way through threads.
struct Out {
    item: NonNull<Thing>,
    link: Link<Things>,
}

// SAFETY: it owns its item, which is Send; the link leads to a recycler that lives while the item is out.
unsafe impl Send for Out {}

fn take(recycler: &Recycler<Things>) -> Out {
    let Ok(Taken { item, .. }) = recycler.take::<Infallible>(|_| Ok(Thing::boxed(&recycler.kind().0)));
    // SAFETY: just taken.
    unsafe { item.as_ref() }.witness.touch();
    Out { item, link: recycler.link() }
}

impl Out {
    fn give_back(self) {
        // SAFETY: taken by `take`; given back once, since this takes `self`.
        unsafe {
            self.link.give_back(self.item, |thing, _| {
                thing.witness.touch();
                true
            });
        }
    }
}

fn pushed(depot: &Depot<Thing>, item: NonNull<Thing>) {
    // SAFETY: the caller has the item.
    unsafe { item.as_ref() }.witness.touch();
    let batch = alone(item);
    if !depot.push(&batch) {
        batch.for_each(|item| drop(unbox(item)));
    }
}

fn alone(item: NonNull<Thing>) -> Batch<Thing> {
    let mut batch = Batch::new();
    batch.push(item);
    batch
}

fn popped(depot: &Depot<Thing>) -> Option<NonNull<Thing>> {
    depot.pop().into_iter().flatten().next()
}

fn unbox(item: NonNull<Thing>) -> Box<Thing> {
    // SAFETY: items of these models come from `Box::leak` and leave the depot once.
    let thing = unsafe { Box::from_raw(item.as_ptr()) };
    thing.witness.touch();
    thing
}

fn leak(thing: Box<Thing>) -> NonNull<Thing> {
    NonNull::from(Box::leak(thing))
}

/// A part that ends as a thread does.
fn part(run: impl FnOnce() + 'static) -> Part<()> {
    Box::new(|| {
        run();
        end_thread();
    })
}

/// Takes an item, gives it back, and ends.
fn visit(recycler: &Recycler<Things>) -> Part<()> {
    let recycler = recycler.clone();
    part(move || {
        take(&recycler).give_back();
        drop(recycler);
    })
}

#[test]
fn depot_hands_each_item_on_once_and_whole() {
    model(None, [0; 2], |order| {
        let counts = Arc::new(Counts::default());
        let depot = loom::sync::Arc::new(Depot::new(1, 1));
        order.run([(); 2].map(|()| {
            let (depot, item) = (loom::sync::Arc::clone(&depot), leak(Thing::boxed(&counts)));
            part(move || {
                pushed(&depot, item);
                drop(popped(&depot).map(unbox));
            })
        }));
        assert_eq!(depot.len(), 2 - counts.items_dropped.load(SeqCst));
        drop(depot);
        counts.assert_all_freed(0);
    });
}

/// What one thread overflows, whole batches of two, the other one finds; each item has one user at a time.
#[test]
fn batches_travel_whole_between_a_thread_that_overflows_and_one_that_runs_dry() {
    model(Some(3), [0, 1], |order| {
        let counts = Arc::new(Counts::default());
        let depot = loom::sync::Arc::new(Depot::new(4, 2));
        let overflows = {
            let (depot, counts) = (loom::sync::Arc::clone(&depot), Arc::clone(&counts));
            part(move || {
                for _ in 0..2 {
                    let mut batch = Batch::new();
                    for _ in 0..2 {
                        let item = leak(Thing::boxed(&counts));
                        // SAFETY: just made.
                        unsafe { item.as_ref() }.witness.touch();
                        batch.push(item);
                    }
                    assert!(depot.push(&batch));
                }
            })
        };
        let runs_dry = {
            let depot = loom::sync::Arc::clone(&depot);
            part(move || {
                for batch in [depot.pop(), depot.pop()].into_iter().flatten() {
                    assert_eq!(batch.len(), 2);
                    batch.for_each(|item| drop(unbox(item)));
                }
                assert!(depot.unneeded() <= 4);
            })
        };
        order.run([overflows, runs_dry]);
        let found = counts.items_dropped.load(SeqCst);
        assert!(found.is_multiple_of(2));
        assert_eq!(depot.len(), 4 - found);
        drop(depot);
        counts.assert_all_freed(0);
    });
}

/// The case needs three: one that has read a head and its link and waits, one that holds the cell it read the link of,
/// and one that takes the head away and puts it back over something else.
#[test]
fn depot_tells_a_head_that_came_back_from_one_that_stayed() {
    model(Some(3), [0, 1, 0], |order| {
        let counts = Arc::new(Counts::default());
        let depot = loom::sync::Arc::new(Depot::new(2, 1));
        pushed(&depot, leak(Thing::boxed(&counts)));
        pushed(&depot, leak(Thing::boxed(&counts)));
        let takes = || {
            let depot = loom::sync::Arc::clone(&depot);
            part(move || drop(popped(&depot).map(unbox)))
        };
        let puts_back = {
            let depot = loom::sync::Arc::clone(&depot);
            part(move || popped(&depot).into_iter().for_each(|item| pushed(&depot, item)))
        };
        order.run([takes(), puts_back, takes()]);
        // No cell is in both lists, and none in neither.
        while let Some(item) = popped(&depot) {
            drop(unbox(item));
        }
        assert_eq!(counts.items_dropped.load(SeqCst), 2);
        for _ in 0..2 {
            assert!(depot.push(&alone(leak(Thing::boxed(&counts)))));
        }
        let refused = alone(leak(Thing::boxed(&counts)));
        assert!(!depot.push(&refused));
        refused.for_each(|item| drop(unbox(item)));
        for _ in 0..2 {
            drop(popped(&depot).map(unbox).unwrap());
        }
        drop(depot);
        counts.assert_all_freed(0);
    });
}

#[test]
fn a_slot_left_by_one_thread_is_whole_for_the_next() {
    model(None, [0; 2], |order| {
        let counts = Arc::new(Counts::default());
        let recycler = recycler(&counts, 4);
        order.run_apart([visit(&recycler), visit(&recycler)]);
        let totals = recycler.totals();
        assert_eq!((totals.taken, totals.returned), (2, 2));
        assert_eq!(totals.idle as u64, totals.created);
        // Both items or the one that both used: whichever thread comes next may have what lies in slots without a thread.
        let mine = take(&recycler);
        assert_eq!(recycler.totals().created, totals.created);
        mine.give_back();
        drop(recycler);
        end_thread();
        counts.assert_all_freed(1);
    });
}

#[test]
fn trim_and_a_thread_that_comes_agree_on_whose_a_slot_is() {
    model(None, [0, 1], |order| {
        let counts = Arc::new(Counts::default());
        let recycler = recycler(&counts, 4);
        // A slot of this thread's own, so that the one left behind is nobody's.
        take(&recycler).give_back();
        loom::thread::spawn(visit(&recycler)).join().unwrap();
        let trims = {
            let recycler = recycler.clone();
            part(move || recycler.clear())
        };
        order.run_apart([visit(&recycler), trims]);
        drop(recycler);
        end_thread();
        counts.assert_all_freed(1);
    });
}

#[test]
fn the_last_handle_goes_beside_a_take_and_a_return() {
    model(None, [0, 1], |order| {
        let counts = Arc::new(Counts::default());
        let recycler = recycler(&counts, 2);
        let takes = {
            let recycler = recycler.clone();
            part(move || {
                let out = take(&recycler);
                drop(recycler);
                out.give_back();
            })
        };
        order.run([takes, part(move || drop(recycler))]);
        counts.assert_all_freed(1);
    });
}

#[test]
fn the_last_item_home_ends_a_closed_recycler_at_once() {
    model(None, [0; 2], |order| {
        let counts = Arc::new(Counts::default());
        let recycler = recycler(&counts, 2);
        let (mine, other, idle) = (take(&recycler), take(&recycler), take(&recycler));
        idle.give_back();
        drop(recycler);
        order.run([mine, other].map(|out| -> Part<()> { Box::new(move || out.give_back()) }));
        assert_eq!(counts.items_dropped.load(SeqCst), 3, "what lay idle too");
        end_thread();
    });
}

#[test]
fn two_items_come_home_to_a_recycler_that_is_closing() {
    model(Some(2), [0, 0, 1], |order| {
        let counts = Arc::new(Counts::default());
        let recycler = recycler(&counts, 2);
        let [first, second] = [take(&recycler), take(&recycler)].map(|out| part(move || out.give_back()));
        order.run([first, second, part(move || drop(recycler))]);
        end_thread();
        counts.assert_all_freed(1);
    });
}

#[test]
fn an_item_for_which_nobody_has_room_comes_home_to_a_recycler_that_is_closing() {
    model(None, [0, 1], |order| {
        let counts = Arc::new(Counts::default());
        let recycler = recycler(&counts, 0);
        let out = take(&recycler);
        order.run([part(move || out.give_back()), part(move || drop(recycler))]);
        end_thread();
        counts.assert_all_freed(1);
    });
}

/// Such a thread never adopts a slot again, so nobody may rely on its looking later.
#[test]
fn a_thread_that_has_ended_gives_back_beside_the_closing() {
    model(None, [0, 1], |order| {
        let counts = Arc::new(Counts::default());
        let recycler = recycler(&counts, 2);
        let ends_first: Part<()> = {
            let recycler = recycler.clone();
            Box::new(move || {
                let out = take(&recycler);
                drop(recycler);
                end_thread();
                out.give_back();
            })
        };
        order.run([ends_first, part(move || drop(recycler))]);
        counts.assert_all_freed(1);
    });
}

/// The thread that gives back must live on, so it is the model's own, and there is one order.
#[test]
fn a_return_beside_the_closing_is_made_good_at_the_next_adoption() {
    model(None, [0], |_| {
        let counts = Arc::new(Counts::default());
        let first = recycler(&counts, 2);
        let second = recycler(&counts, 2);
        let out = take(&first);
        let other = loom::thread::spawn(move || drop(first));
        out.give_back();
        other.join().unwrap();
        take(&second).give_back();
        assert_eq!(counts.items_dropped.load(SeqCst), 1, "the first recycler is empty, though this thread lives on");
        drop(second);
        end_thread();
        counts.assert_all_freed(2);
    });
}

/// A thread that adopts a slot elsewhere tidies up closed recyclers; one whose items are still out it must let be.
#[test]
fn a_closed_recycler_with_items_out_keeps_its_slots_apart() {
    model(None, [0; 2], |order| {
        let counts = Arc::new(Counts::default());
        let first = recycler(&counts, 2);
        let second = recycler(&counts, 2);
        let (mine, other) = (take(&first), take(&first));
        drop(first);
        take(&second).give_back();
        order.run([mine, other].map(|out| part(move || out.give_back())));
        drop(second);
        end_thread();
        counts.assert_all_freed(2);
    });
}

/// Recyclers that live at once share no place while there are enough; what two that were made at once have done to the counts is
/// undone when they go.
#[test]
fn recyclers_that_live_at_once_have_places_of_their_own() {
    fn used(places: &Places<2>) -> [u32; 2] {
        places.0.each_ref().map(|used| used.load(SeqCst))
    }
    let make = || Arc::new(Places([AtomicU32::new(0), AtomicU32::new(0)]));
    let lives: fn(&Arc<Places<2>>) -> usize = |places| places.take();
    let goes: fn(&Arc<Places<2>>) -> usize = |places| {
        places.leave(places.take());
        places.take()
    };
    race(Some(3), make, [lives, goes], |places, taken| {
        assert_ne!(taken[0], taken[1]);
        assert_eq!(used(&places), [1, 1]);
    });
    race(Some(2), make, [lives, goes, goes], |places, taken| {
        let [first, second] = used(&places);
        assert_eq!(first + second, 3, "{taken:?}");
        taken.iter().for_each(|place| places.leave(*place));
        assert_eq!(used(&places), [0, 0]);
    });
}
