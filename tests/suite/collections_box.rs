//! `collections::Box`: its value is dropped once, by whoever has it last, also when something panics on the way; trait
//! objects and slices; over budget.
//!
//! Over the public API.
#![expect(clippy::items_after_statements, reason = "types stand in the test that they are for")]

use blixard_arena::collections::{Box as ArenaBox, Vec as ArenaVec};
use blixard_arena::{Arena, ArenaOptions, BudgetExceeded, SharedArena, unsize_box};
use std::any::Any;
use std::borrow::{Borrow, BorrowMut};
use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Debug};
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Counts how often it is dropped, and may panic then.
#[derive(Debug)]
struct Counted<'c> {
    drops: &'c Cell<u32>,
    panics: bool,
}

impl<'c> Counted<'c> {
    fn new(drops: &'c Cell<u32>) -> Self {
        Self { drops, panics: false }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
        if self.panics {
            resume_unwind(Box::new("drop"));
        }
    }
}

#[test]
fn dropped_once_by_its_owner() {
    let (arena, shared) = (Arena::new(), SharedArena::new());
    let drops = Cell::new(0);
    drop(ArenaBox::new_in(Counted::new(&drops), &arena));
    assert_eq!(drops.get(), 1);
    drop(ArenaBox::try_new_in(Counted::new(&drops), &shared).unwrap());
    assert_eq!(drops.get(), 2);
    let inner = ArenaBox::into_inner(ArenaBox::new_in(Counted::new(&drops), &arena));
    assert_eq!(drops.get(), 2);
    drop(inner);
    assert_eq!(drops.get(), 3);
    let leaked: &mut Counted<'_> = ArenaBox::leak(ArenaBox::new_in(Counted::new(&drops), &arena));
    assert!(!leaked.panics && drops.get() == 3);
    let mut moved = ArenaBox::new_in(ArenaBox::new_in(Counted::new(&drops), &arena), &shared);
    moved.panics = false;
    let nested = [moved];
    drop(nested);
    assert_eq!(drops.get(), 4, "a box in a box");
    let mut replaced = ArenaBox::new_in(Counted::new(&drops), &arena);
    *replaced = Counted::new(&drops);
    assert_eq!(drops.get(), 5);
    replaced = ArenaBox::new_in(Counted::new(&drops), &arena);
    assert_eq!((drops.get(), replaced.panics), (6, false));
}

#[test]
fn a_destructor_that_panics_runs_once() {
    let arena = Arena::new();
    let drops = Cell::new(0);
    let boxed = ArenaBox::new_in(Counted { drops: &drops, panics: true }, &arena);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(boxed))).is_err());
    let many: Vec<_> = (0..10).map(|i| ArenaBox::new_in(Counted { drops: &drops, panics: i == 4 }, &arena)).collect();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(many))).is_err());
    assert_eq!((drops.get(), *arena.alloc(1)), (11, 1));
}

#[test]
fn over_budget_the_value_is_dropped() {
    let drops = Cell::new(0);
    let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    assert!(ArenaBox::try_new_in((Counted::new(&drops), [0_u8; 8192]), &arena).is_err());
    assert_eq!(drops.get(), 1);
    let panics =
        catch_unwind(AssertUnwindSafe(|| drop(ArenaBox::new_in((Counted::new(&drops), [0_u8; 8192]), &arena))));
    assert!(panics.is_err_and(|payload| payload.is::<BudgetExceeded>()));
    assert_eq!(drops.get(), 2);
    let shared = ArenaOptions::new().budget_bytes_max(4096).shared();
    assert!(ArenaBox::try_new_in((Counted::new(&drops), [0_u8; 8192]), &shared).is_err());
    assert_eq!(drops.get(), 3);
}

#[test]
fn trait_objects_and_slices() {
    let arena = Arena::new();
    let drops = Cell::new(0);
    trait Step {
        fn step(&mut self) -> u32;
    }
    struct Machine<'c>(u32, #[expect(dead_code, reason = "dropped")] Counted<'c>, &'c str);
    impl Step for Machine<'_> {
        fn step(&mut self) -> u32 {
            self.0 += u32::try_from(self.2.len()).unwrap();
            self.0
        }
    }
    let name = arena.alloc_str("abc");
    let machine = ArenaBox::new_in(Machine(1, Counted::new(&drops), name), &arena);
    let mut machine: ArenaBox<'_, dyn Step + '_> = unsize_box!(machine => dyn Step + '_);
    assert_eq!((machine.step(), machine.step(), drops.get()), (4, 7, 0));
    drop(machine);
    assert_eq!(drops.get(), 1);

    let three = ArenaBox::new_in([Counted::new(&drops), Counted::new(&drops), Counted::new(&drops)], &arena);
    let slice: ArenaBox<'_, [Counted<'_>]> = unsize_box!(three => [Counted<'_>]);
    assert_eq!((slice.len(), drops.get()), (3, 1));
    drop(slice);
    assert_eq!(drops.get(), 4);
    let leaked: &mut [Counted<'_>] = ArenaBox::leak(
        unsize_box!(ArenaBox::new_in([Counted::new(&drops), Counted::new(&drops)], &arena) => [Counted<'_>]),
    );
    assert_eq!((leaked.len(), drops.get()), (2, 4));

    let any: ArenaBox<'_, dyn Any> = unsize_box!(ArenaBox::new_in(7_u32, &arena) => dyn Any);
    assert_eq!(any.downcast_ref::<u32>(), Some(&7));
    let nothing: ArenaBox<'_, dyn Debug> = unsize_box!(ArenaBox::new_in((), &arena) => dyn Debug);
    assert_eq!(format!("{nothing:?}"), "()");
    let empty: ArenaBox<'_, [Counted<'_>]> = unsize_box!(ArenaBox::new_in([], &arena) => [Counted<'_>]);
    assert!(empty.is_empty());
}

/// The box is taken before anything else, so what panics on the way has it dropped once.
#[test]
fn unsizing_an_expression_that_panics() {
    let arena = Arena::new();
    let drops = Cell::new(0);
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let boxed = ArenaBox::new_in(Counted::new(&drops), &arena);
        let wide = unsize_box!(if boxed.panics { boxed } else { resume_unwind(Box::new("no")) } => dyn Debug + '_);
        format!("{wide:?}")
    }));
    assert_eq!((panics.is_err(), drops.get()), (true, 1));
    // Twice: from an array to a slice, and a box of that to a trait object.
    let three = ArenaBox::new_in([Counted::new(&drops), Counted::new(&drops), Counted::new(&drops)], &arena);
    let slice = ArenaBox::new_in(unsize_box!(three => [Counted<'_>]), &arena);
    let object = unsize_box!(slice => dyn Debug + '_);
    assert!(format!("{object:?}").starts_with("[Counted"));
    drop(object);
    assert_eq!(drops.get(), 4);
}

#[test]
fn boxed_slices_of_a_vector() {
    let arena = Arena::new();
    let mut boxed = ArenaVec::from_iter_in([3, 1, 2], &arena).into_boxed_slice();
    boxed.sort_unstable();
    assert_eq!(*boxed, [1, 2, 3]);
    let empty: ArenaBox<'_, [u32]> = ArenaVec::new_in(&arena).into_boxed_slice();
    assert!(empty.is_empty());
}

#[test]
fn huge_alignments_and_no_bytes() {
    #[derive(Debug)]
    #[repr(align(4096))]
    struct Page<'c>(#[expect(dead_code, reason = "dropped")] Counted<'c>, u8);
    #[derive(Debug)]
    #[repr(align(4096))]
    struct NoPage;
    let arena = Arena::new();
    let drops = Cell::new(0);
    for number in 0..5 {
        let page = ArenaBox::new_in(Page(Counted::new(&drops), number), &arena);
        assert!(std::ptr::from_ref(&*page).is_aligned() && page.1 == number);
        let nothing = ArenaBox::new_in(NoPage, &arena);
        assert!(std::ptr::from_ref(&*nothing).is_aligned());
    }
    assert_eq!(drops.get(), 5);
}

/// What a value is, its box is.
#[test]
fn a_box_is_what_its_value_is() {
    let arena = Arena::new();
    let hash = |value: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        value(&mut hasher);
        hasher.finish()
    };
    let (mut one, two) = (ArenaBox::new_in(1_u32, &arena), ArenaBox::new_in(2_u32, &arena));
    assert!(one < two && one != two && one == ArenaBox::new_in(1, &arena));
    assert_eq!(one.cmp(&two), 1.cmp(&2));
    assert_eq!(one.partial_cmp(&two), 1.partial_cmp(&2));
    assert_eq!(hash(&|hasher| one.hash(hasher)), hash(&|hasher| 1_u32.hash(hasher)));
    assert_eq!(format!("{one} {one:?}"), "1 1");
    *one.as_mut() += 1;
    *BorrowMut::<u32>::borrow_mut(&mut one) += 1;
    let borrowed: &u32 = one.borrow();
    assert_eq!((*borrowed, *one.as_ref()), (3, 3));

    let numbers = ArenaBox::new_in(0..3, &arena);
    let numbers: ArenaBox<'_, dyn Iterator<Item = u32>> = unsize_box!(numbers => dyn Iterator<Item = u32>);
    assert_eq!(numbers.size_hint(), (3, Some(3)));
    assert!(numbers.eq(0..3));

    let mut ready = ArenaBox::new_in(std::future::ready(7), &arena);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(Pin::new(&mut ready).poll(&mut context), Poll::Ready(7));

    #[derive(Debug)]
    struct Outer(fmt::Error);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let error: ArenaBox<'_, dyn Error> = unsize_box!(ArenaBox::new_in(Outer(fmt::Error), &arena) => dyn Error);
    assert!(error.source().is_some_and(<dyn Error>::is::<fmt::Error>));
    assert_eq!(error.to_string(), "outer");
}
