//! What the type system promises of collections: which threads they may cross, that they shorten, nest, freeze and are sealed,
//! and that in an arena they need no `Drop`.
//!
//! Over the public API. What must not compile lies in `tests/compile/fail`. A missing trait is tested beside the present ones:
//! `Vec` over `&Arena` being `Send` would let two threads bump one region.

use super::probe::{Lacks as _, Probe};
use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{
    self, Drain, Entry, FixedState, FlatMap, FlatSet, Heap, IntoIter, Iter, IterMut, SeededState,
};
use blixard_arena::{Arena, ArenaPool, PooledSharedArena, Sealed, SharedArena, sealed_root, unsize_box};
use std::cell::Cell;
use std::mem::needs_drop;
use std::rc::Rc;

/// Whether a type is `Send`, `Sync`.
macro_rules! crosses {
    ($type:ty) => {{
        type P = Probe<$type>;
        (P::SEND, P::SYNC)
    }};
}

type Plain = &'static Arena;
type Shared = &'static SharedArena;

#[test]
fn a_collection_crosses_threads_where_its_elements_and_its_memory_do() {
    const BOTH: (bool, bool) = (true, true);
    const NONE: (bool, bool) = (false, false);
    const SEND: (bool, bool) = (true, false);
    assert_eq!((crosses!(u8), crosses!(Cell<u8>), crosses!(Rc<u8>)), (BOTH, SEND, NONE));

    assert_eq!(crosses!(collections::Vec<u8, Shared>), BOTH);
    assert_eq!(crosses!(collections::Vec<u8, Plain>), NONE);
    assert_eq!(crosses!(collections::Vec<Cell<u8>, Shared>), SEND);
    assert_eq!(crosses!(collections::Vec<*const u8, Shared>), NONE);
    assert_eq!(crosses!(IntoIter<u8, Shared>), BOTH);
    assert_eq!(crosses!(IntoIter<u8, Plain>), NONE);
    assert_eq!(crosses!(IntoIter<Rc<u8>, Heap>), NONE);
    assert_eq!(crosses!(IntoIter<Cell<u8>, Heap>), SEND);
    assert_eq!(crosses!(Drain<'static, u8>), BOTH);
    assert!(!crosses!(Drain<'static, *const u8>).0 && !crosses!(Drain<'static, Cell<u8>>).1);

    assert_eq!(crosses!(collections::String<Shared>), BOTH);
    assert_eq!(crosses!(collections::String<Plain>), NONE);

    assert_eq!(crosses!(collections::Box<'static, u8>), BOTH);
    assert_eq!(crosses!(collections::Box<'static, Cell<u8>>), SEND);
    assert_eq!(crosses!(collections::Box<'static, Rc<u8>>), NONE);
    assert_eq!(crosses!(collections::Box<'static, dyn Send>), SEND);
    assert_eq!(crosses!(collections::Box<'static, dyn Sync>), (false, true));
    assert_eq!(crosses!(collections::Box<'static, dyn Fn()>), NONE);
    assert_eq!(crosses!(collections::Box<'static, [u8]>), BOTH);

    assert_eq!(crosses!(FlatMap<u8, u8, Shared>), BOTH);
    assert_eq!(crosses!(FlatMap<u8, u8, Plain>), NONE);
    assert_eq!(crosses!(FlatMap<u8, u8>), BOTH);
    assert_eq!(crosses!(FlatMap<String, Vec<u8>>), BOTH);
    assert_eq!(crosses!(FlatMap<Rc<u8>, u8>), NONE);
    assert_eq!(crosses!(FlatMap<u8, Rc<u8>>), NONE);
    assert_eq!(crosses!(FlatMap<u8, Cell<u8>>), SEND);
    assert_eq!(crosses!(FlatMap<u8, u8, Heap, *const u8>), NONE);
    assert_eq!(crosses!(FlatMap<u8, u8, Shared, Cell<u8>>), SEND);
    assert_eq!(crosses!(FlatSet<u8, Shared>), BOTH);
    assert_eq!(crosses!(FlatSet<u8, Plain>), NONE);
    assert_eq!(crosses!(FlatSet<Rc<u8>>), NONE);
    assert_eq!(crosses!(Entry<'static, u8, u8, Heap, SeededState>), BOTH);
    assert_eq!(crosses!(Entry<'static, u8, u8, Plain, SeededState>), NONE);
    assert_eq!(crosses!(Iter<'static, u8, Cell<u8>>), NONE);
    assert_eq!(crosses!(IterMut<'static, u8, Cell<u8>>), SEND);
    assert_eq!((crosses!(Heap), crosses!(SeededState), crosses!(FixedState)), (BOTH, BOTH, BOTH));
}

#[test]
fn all_are_unpin_and_may_be_caught() {
    macro_rules! all {
        ($($type:ty),*) => { $( assert!(Probe::<$type>::UNPIN, stringify!($type)); )* };
    }
    all!(collections::Vec<u8, Plain>, collections::String<Shared>, FlatMap<u8, u8>, FlatSet<u8, Plain>, Heap);
    const { assert!(Probe::<collections::Vec<u8, Plain>>::UNWIND && Probe::<FlatMap<u8, u8, Shared>>::UNWIND) };
}

/// Code under a request needs no `Drop` in the collection, so a request may end with all of it.
#[test]
fn in_an_arena_nothing_needs_drop() {
    type Name = &'static str;
    assert!(!needs_drop::<collections::Vec<Name, Plain>>());
    assert!(!needs_drop::<collections::String<Shared>>());
    assert!(!needs_drop::<FlatMap<Name, u8, Plain>>());
    assert!(!needs_drop::<FlatMap<Name, collections::Vec<FlatSet<Name, Shared>, Shared>, Shared>>());
    assert!(!needs_drop::<FlatSet<Name, Plain>>());
    assert!(!needs_drop::<Drain<'static, Name>>());
    assert!(needs_drop::<FlatMap<Name, u8>>() && needs_drop::<FlatSet<Name>>());
    assert!(needs_drop::<collections::Box<'static, u8>>());
}

#[test]
fn they_are_as_small_as_they_can_be() {
    let word = size_of::<usize>();
    assert_eq!(size_of::<collections::Vec<u8, Plain>>(), 4 * word);
    assert_eq!(size_of::<collections::String<Shared>>(), 4 * word);
    assert_eq!(size_of::<Option<collections::Vec<u8, Plain>>>(), 4 * word, "with a niche");
    assert_eq!(size_of::<collections::Box<'static, u8>>(), word);
    assert_eq!(size_of::<Option<collections::Box<'static, [u8]>>>(), 2 * word);
    assert_eq!(size_of::<FlatMap<u8, u8>>(), size_of::<FlatMap<u8, u8, Plain>>());
}

/// Longer lives stand in for shorter ones, in elements and in the borrow of the arena.
mod shorter {
    use super::{AnyArena, FlatMap, FlatSet, Heap, IntoIter, Iter, SeededState, collections};

    pub(super) fn vec<'s, 'l: 's, A: AnyArena>(
        long: collections::Vec<&'l str, &'l A>,
    ) -> collections::Vec<&'s str, &'s A> {
        long
    }
    pub(super) fn string<'s, 'l: 's, A: AnyArena>(long: collections::String<&'l A>) -> collections::String<&'s A> {
        long
    }
    pub(super) fn boxed<'s, 'l: 's>(long: collections::Box<'l, &'l str>) -> collections::Box<'s, &'s str> {
        long
    }
    pub(super) fn slice<'s, 'l: 's>(long: collections::Box<'l, [&'l str]>) -> collections::Box<'s, [&'s str]> {
        long
    }
    pub(super) fn map<'s, 'l: 's, A: AnyArena>(
        long: FlatMap<&'l str, &'l str, &'l A>,
    ) -> FlatMap<&'s str, &'s str, &'s A> {
        long
    }
    pub(super) fn on_heap<'s, 'l: 's>(long: FlatMap<&'l str, Vec<&'l str>>) -> FlatMap<&'s str, Vec<&'s str>> {
        long
    }
    pub(super) fn set<'s, 'l: 's>(long: FlatSet<&'l str, Heap, SeededState>) -> FlatSet<&'s str> {
        long
    }
    pub(super) fn values<'s, 'l: 's>(long: IntoIter<&'l str, Heap>) -> IntoIter<&'s str, Heap> {
        long
    }
    pub(super) fn iter<'s, 'l: 's>(long: Iter<'l, &'l str, &'l str>) -> Iter<'s, &'s str, &'s str> {
        long
    }
}

#[test]
fn they_shorten() {
    let arena = Arena::new();
    let numbers = collections::Vec::from_iter_in(["long"], &arena);
    let mut text = String::from("a shorter life");
    {
        let mut numbers = shorter::vec(numbers);
        numbers.push(&text);
        let mut map = shorter::map(FlatMap::from_iter_in([("a", "long")], &arena));
        map.insert(&text, &text);
        let mut on_heap = shorter::on_heap(FlatMap::from([("a", vec!["long"])]));
        on_heap.entry("a").or_default().push(&text);
        on_heap.insert(&text, vec![]);
        let mut set = shorter::set(FlatSet::from(["long"]));
        set.insert(&text);
        let boxed = shorter::boxed(collections::Box::new_in("long", &arena));
        let slice = shorter::slice(collections::Vec::from_iter_in(["long"], &arena).into_boxed_slice());
        let string = shorter::string(collections::String::from_str_in("long", &arena));
        assert_eq!((numbers[1], map[text.as_str()], on_heap["a"][1]), (&*text, &*text, &*text));
        assert_eq!((*boxed, slice[0], string.as_str()), ("long", "long", "long"));
        assert_eq!(shorter::iter(map.iter()).count() + shorter::values(set.into_iter()).count(), 4);
    }
    text.clear();
}

/// Growing collections as a sealed root: they travel as a whole.
struct Building<'a> {
    names: collections::Vec<&'a str, &'a SharedArena>,
    by_zone: FlatMap<&'a str, collections::Vec<u32, &'a SharedArena>, &'a SharedArena>,
    seen: FlatSet<u32, &'a SharedArena>,
    log: collections::String<&'a SharedArena>,
    last: collections::Box<'a, dyn Fn(u32) -> u32 + Send + 'a>,
}
sealed_root!(Building);

#[test]
fn sealed_with_all_that_is_in_them() {
    let pool = ArenaPool::new();
    let sealed = Sealed::<Building<'static>, PooledSharedArena>::build(pool.acquire_shared(), |arena| {
        let mut building = Building {
            names: collections::Vec::new_in(arena),
            by_zone: FlatMap::new_in(arena),
            seen: FlatSet::new_in(arena),
            log: collections::String::new_in(arena),
            last: unsize_box!(collections::Box::new_in(|number| number + 1, arena) => dyn Fn(u32) -> u32 + Send),
        };
        for number in 0..100_u32 {
            let name = arena.concat(("vm-", number));
            building.names.push(name);
            let zone = arena.concat(("zone-", number % 20));
            building.by_zone.entry(zone).or_insert_with(|| collections::Vec::new_in(arena)).push(number);
            building.seen.insert(number % 50);
            building.log.push_concat((name as &str, ';'));
        }
        building
    });
    std::thread::spawn(move || {
        let building = sealed.get();
        assert_eq!((building.names[99], building.by_zone["zone-7"].len(), building.seen.len()), ("vm-99", 5, 50));
        assert!(building.log.ends_with("vm-98;vm-99;") && (building.last)(1) == 2);
    })
    .join()
    .unwrap();
    assert_eq!(pool.figures().live, 0);
}

type Labels<'a> = &'a [(&'a str, &'a [u32])];

/// Maps of vectors of maps, and all of it freezes to plain slices.
#[test]
fn they_nest_and_freeze() {
    let arena = Arena::new();
    let mut zones = FlatMap::new_in(&arena);
    for number in 0..200_u32 {
        let vms = zones.entry(number % 12).or_insert_with(|| collections::Vec::new_in(&arena));
        let mut labels = FlatMap::new_in(&arena);
        for label in 0..number % 15 {
            labels.insert(&*arena.concat(("label-", label)), FlatSet::from_iter_in(0..label, &arena));
        }
        vms.push((&*arena.concat(number), labels));
    }
    let frozen: &[(u32, &[(&str, Labels<'_>)])] = arena.alloc_slice_fill_iter(zones.into_iter().map(|(zone, vms)| {
        let vms: &[_] = arena.alloc_slice_fill_iter(vms.into_iter().map(|(name, labels)| {
            let labels = labels.into_iter().map(|(name, set)| (name, &*set.freeze()));
            (name, &*arena.alloc_slice_fill_iter(labels))
        }));
        (zone, vms)
    }));
    assert_eq!(frozen.len(), 12);
    let (zone, vms) = frozen[2];
    assert_eq!(
        (zone, vms[1].0, vms[1].1.len(), vms[1].1[13]),
        (2, "14", 14, ("label-13", &(0..13).collect::<Vec<_>>()[..]))
    );
}
