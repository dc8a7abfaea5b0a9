//! `FlatMap` and `FlatSet` beside a list of pairs: every call, in long random sequences, on both kinds of arena and on the
//! heap, with good hashes and with useless ones, around the size at which the scan gives way to the index.
//!
//! Over the public API. The model keeps the order of pairs, so that also what becomes of it is compared; keys carry a tag that
//! is not part of their equality, so that it shows which of two equal keys stays. On the heap keys and values count
//! themselves: none may be lost or dropped twice. Under a budget a refused call leaves the map as it was.
//!
//! It is long because `Op` has an entry for each method of the map, `Case::step` an arm for each entry, and sets run on the same keys
//! and hashes: who adds a method looks at one list.

use super::callers::{Hinting, refused};
use blixard_arena::collections::{Entry, FixedState, FlatMap, FlatSet, Memory, SeededState};
use blixard_arena::{ArenaOptions, BudgetExceeded, Reset};
use proptest::prelude::*;
use std::cell::Cell;
use std::fmt::Debug;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! { static ALIVE: Cell<isize> = const { Cell::new(0) }; }

/// Equal by `id`; the tag tells copies apart.
#[derive(Clone, Copy, Debug)]
struct Plain {
    id: u16,
    tag: u32,
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for Plain {}
impl Hash for Plain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// Counts itself.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Counted(Plain);

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::of(self.0.id, self.0.tag)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.set(ALIVE.get() - 1);
    }
}

trait Item: Clone + Debug + Eq + Hash {
    fn of(id: u16, tag: u32) -> Self;
    fn parts(&self) -> (u16, u32);
    fn set_tag(&mut self, tag: u32);
}

impl Item for Plain {
    fn of(id: u16, tag: u32) -> Self {
        Self { id, tag }
    }
    fn parts(&self) -> (u16, u32) {
        (self.id, self.tag)
    }
    fn set_tag(&mut self, tag: u32) {
        self.tag = tag;
    }
}

impl Item for Counted {
    fn of(id: u16, tag: u32) -> Self {
        ALIVE.set(ALIVE.get() + 1);
        Self(Plain { id, tag })
    }
    fn parts(&self) -> (u16, u32) {
        self.0.parts()
    }
    fn set_tag(&mut self, tag: u32) {
        self.0.tag = tag;
    }
}

/// Hashes that are all alike, or differ where an index does not look first.
#[derive(Clone, Copy, Debug, Default)]
struct Poor<const SHIFT: u32, const MASK: u64>(u64);

impl<const SHIFT: u32, const MASK: u64> Hasher for Poor<SHIFT, MASK> {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }
    fn finish(&self) -> u64 {
        (self.0 & MASK) << SHIFT
    }
}

type Same = BuildHasherDefault<Poor<0, 0>>;
type Few = BuildHasherDefault<Poor<0, 3>>;
type High = BuildHasherDefault<Poor<48, 0xffff>>;
type Low = BuildHasherDefault<Poor<0, 0xffff>>;
/// Homes at the index's end, so that probing wraps.
type Wraps = BuildHasherDefault<Ends>;

#[derive(Clone, Copy, Debug, Default)]
struct Ends(u64);

impl Hasher for Ends {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }
    fn finish(&self) -> u64 {
        0xffff_fffe | self.0 & 1
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u16),
    TryInsert(u16),
    Get(u16),
    GetMut(u16),
    Remove(u16),
    RemoveEntry(u16),
    RemoveAt(usize),
    Retain(u16, u16),
    OrInsert(u16),
    OrTryInsert(u16),
    OrInsertWithKey(u16),
    AndModify(u16),
    Occupied(u16, u8),
    Vacant(u16, bool),
    Reserve(usize),
    Clear,
    Extend(Vec<u16>, usize),
    Clone,
    IterMut,
    IntoIter(usize, usize),
    Neighbour(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0_u16..40;
    prop_oneof![
        20 => key().prop_map(Op::Insert),
        8 => key().prop_map(Op::TryInsert),
        5 => key().prop_map(Op::Get),
        3 => key().prop_map(Op::GetMut),
        8 => key().prop_map(Op::Remove),
        4 => key().prop_map(Op::RemoveEntry),
        4 => (0_usize..40).prop_map(Op::RemoveAt),
        2 => (2_u16..9, 0_u16..9).prop_map(|(modulus, rest)| Op::Retain(modulus, rest)),
        4 => key().prop_map(Op::OrInsert),
        4 => key().prop_map(Op::OrTryInsert),
        3 => key().prop_map(Op::OrInsertWithKey),
        3 => key().prop_map(Op::AndModify),
        5 => (key(), any::<u8>()).prop_map(|(key, which)| Op::Occupied(key, which)),
        3 => (key(), any::<bool>()).prop_map(|(key, adds)| Op::Vacant(key, adds)),
        2 => (0_usize..40).prop_map(Op::Reserve),
        1 => Just(Op::Clear),
        3 => (prop::collection::vec(key(), 0..15), 0_usize..30).prop_map(|(keys, hint)| Op::Extend(keys, hint)),
        2 => Just(Op::Clone),
        2 => Just(Op::IterMut),
        1 => (0_usize..6, 0_usize..6).prop_map(|(front, back)| Op::IntoIter(front, back)),
        3 => (0_usize..90).prop_map(Op::Neighbour),
    ]
}

/// `(id, tag of the key, tag of the value)` in the order of the map.
type Row = (u16, u32, u32);

struct Case<'c, K, V, A: Memory, S> {
    empty: &'c dyn Fn() -> FlatMap<K, V, A, S>,
    neighbour: &'c dyn Fn(usize),
    real: FlatMap<K, V, A, S>,
    model: Vec<Row>,
    tags: u32,
}

impl<K: Item, V: Item, A: Memory, S: BuildHasher + Clone> Case<'_, K, V, A, S> {
    fn position(&self, id: u16) -> Option<usize> {
        self.model.iter().position(|row| row.0 == id)
    }

    fn tag(&mut self) -> u32 {
        self.tags += 1;
        self.tags
    }

    fn check(&self) {
        let (real, model) = (&self.real, &self.model);
        let row = |(key, value): (&K, &V)| (key.parts().0, key.parts().1, value.parts().1);
        assert_eq!(real.iter().map(row).collect::<Vec<_>>(), *model);
        assert_eq!((real.len(), real.is_empty()), (model.len(), model.is_empty()));
        assert!(real.capacity() >= real.len());
        for id in 0..40 {
            let expected = self.position(id).map(|at| self.model[at]);
            let key = K::of(id, 0);
            assert_eq!(real.get_key_value(&key).map(row), expected, "key {id}");
            assert_eq!(real.contains_key(&key), expected.is_some());
        }
    }

    /// Adds to the model what an insertion adds.
    fn inserted(&mut self, id: u16, key_tag: u32, value_tag: u32) -> Option<u32> {
        if let Some(at) = self.position(id) {
            Some(mem::replace(&mut self.model[at].2, value_tag))
        } else {
            self.model.push((id, key_tag, value_tag));
            None
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each call")]
    fn step(&mut self, op: &Op) {
        let (one, other) = (self.tag(), self.tag());
        let pair = |id: u16| (K::of(id, one), V::of(id, other));
        match op {
            Op::Insert(id) => {
                let (key, value) = pair(*id);
                if let Ok(old) = refused(|| self.real.insert(key, value)) {
                    assert_eq!(old.map(|old| old.parts().1), self.inserted(*id, one, other));
                }
            }
            Op::TryInsert(id) => {
                let (key, value) = pair(*id);
                if let Ok(old) = self.real.try_insert(key, value) {
                    assert_eq!(old.map(|old| old.parts().1), self.inserted(*id, one, other));
                } else {
                    assert!(self.position(*id).is_none(), "a key that is there needs no room");
                }
            }
            Op::Get(id) => {
                let expected = self.position(*id).map(|at| self.model[at].2);
                assert_eq!(self.real.get(&K::of(*id, 0)).map(|value| value.parts().1), expected);
                let key = K::of(*id, 0);
                let indexed = catch_unwind(AssertUnwindSafe(|| self.real[&key].parts().1));
                assert_eq!(indexed.ok(), expected);
            }
            Op::GetMut(id) => {
                let at = self.position(*id);
                let value = self.real.get_mut(&K::of(*id, 0));
                assert_eq!(value.is_some(), at.is_some());
                if let (Some(value), Some(at)) = (value, at) {
                    value.set_tag(one);
                    self.model[at].2 = one;
                }
            }
            Op::Remove(id) => {
                let expected = self.position(*id).map(|at| self.model.swap_remove(at).2);
                assert_eq!(self.real.remove(&K::of(*id, 0)).map(|value| value.parts().1), expected);
            }
            Op::RemoveEntry(id) => {
                let expected = self.position(*id).map(|at| self.model.swap_remove(at));
                let found = self.real.remove_entry(&K::of(*id, 0));
                assert_eq!(found.map(|(key, value)| (key.parts().0, key.parts().1, value.parts().1)), expected);
            }
            Op::RemoveAt(at) if !self.model.is_empty() => {
                let row = self.model.swap_remove(at % self.model.len());
                assert_eq!(self.real.remove(&K::of(row.0, 0)).map(|value| value.parts().1), Some(row.2));
            }
            Op::RemoveAt(_) => {}
            Op::Retain(modulus, rest) => {
                let mut asked = Vec::new();
                self.real.retain(|key, value| {
                    asked.push(key.parts().0);
                    value.set_tag(one + u32::from(key.parts().0));
                    key.parts().0 % modulus != rest % modulus
                });
                assert_eq!(asked, self.model.iter().map(|row| row.0).collect::<Vec<_>>(), "each once, in order");
                self.tags += 40;
                self.model.retain_mut(|row| {
                    row.2 = one + u32::from(row.0);
                    row.0 % modulus != rest % modulus
                });
            }
            Op::OrInsert(id) => {
                let (key, value) = pair(*id);
                let found = refused(|| self.real.entry(key).or_insert(value).parts().1);
                self.entered(*id, one, other, found);
            }
            Op::OrTryInsert(id) => {
                let (key, value) = pair(*id);
                let found = self.real.entry(key).or_try_insert(value).map(|value| value.parts().1);
                self.entered(*id, one, other, found);
            }
            Op::OrInsertWithKey(id) => {
                let neighbour = self.neighbour;
                let found = refused(|| {
                    let entry = self.real.entry(K::of(*id, one));
                    assert_eq!(entry.key().parts().0, *id);
                    let made = entry.or_insert_with_key(|key| {
                        neighbour(9); // builds in the arena of the map
                        V::of(key.parts().0, other)
                    });
                    made.parts().1
                });
                self.entered(*id, one, other, found);
            }
            Op::AndModify(id) => {
                let (key, value) = pair(*id);
                let found = refused(|| {
                    let entry = self.real.entry(key).and_modify(|value| value.set_tag(one));
                    entry.or_insert(value).parts().1
                });
                if let (Some(at), Ok(_)) = (self.position(*id), &found) {
                    self.model[at].2 = one;
                }
                self.entered(*id, one, other, found);
            }
            Op::Occupied(id, which) => {
                let at = self.position(*id);
                let (Entry::Occupied(mut entry), Some(at)) = (self.real.entry(K::of(*id, one)), at) else {
                    assert!(at.is_none());
                    return;
                };
                let row = self.model[at];
                assert_eq!((entry.key().parts(), entry.get().parts().1), ((row.0, row.1), row.2));
                match which % 4 {
                    0 => {
                        entry.get_mut().set_tag(one);
                        entry.into_mut().set_tag(other);
                        self.model[at].2 = other;
                    }
                    1 => {
                        assert_eq!(entry.insert(V::of(*id, other)).parts().1, row.2);
                        self.model[at].2 = other;
                    }
                    2 => {
                        assert_eq!(entry.remove().parts().1, row.2);
                        self.model.swap_remove(at);
                    }
                    _ => {
                        let (key, value) = entry.remove_entry();
                        assert_eq!((key.parts(), value.parts().1), ((row.0, row.1), row.2));
                        self.model.swap_remove(at);
                    }
                }
            }
            Op::Vacant(id, adds) => {
                let at = self.position(*id);
                let Entry::Vacant(entry) = self.real.entry(K::of(*id, one)) else {
                    assert!(at.is_some());
                    return;
                };
                assert!(at.is_none());
                assert_eq!(entry.key().parts(), (*id, one));
                if *adds {
                    let found = refused(|| entry.insert(V::of(*id, other)).parts().1);
                    self.entered(*id, one, other, found);
                } else {
                    assert_eq!(entry.into_key().parts(), (*id, one));
                }
            }
            Op::Reserve(more) => {
                let served =
                    if more % 2 == 0 { self.real.try_reserve(*more) } else { refused(|| self.real.reserve(*more)) };
                assert!(served.is_err() || self.real.capacity() >= self.real.len() + more);
            }
            Op::Clear => {
                let cap = self.real.capacity();
                self.real.clear();
                self.model.clear();
                assert_eq!(self.real.capacity(), cap);
            }
            Op::Extend(ids, hint) => {
                let pairs = Hinting(ids.iter().map(|id| pair(*id)), *hint);
                let served = refused(|| self.real.extend(pairs));
                for id in ids {
                    // Refused half way: what was yielded by then is in it.
                    let there = self.real.get(&K::of(*id, 0)).is_some_and(|value| value.parts().1 == other);
                    assert!(there || served.is_err());
                    if there {
                        self.inserted(*id, one, other);
                    }
                }
            }
            Op::Clone => {
                if let Ok(clone) = refused(|| self.real.clone()) {
                    assert!(clone == self.real);
                    let before = mem::replace(&mut self.real, clone);
                    assert!(before == self.real && before.len() == self.model.len());
                    if before.len() % 2 == 0 {
                        self.real = before; // the other of the two goes
                    }
                }
            }
            Op::IterMut => {
                for (key, value) in &mut self.real {
                    value.set_tag(one + u32::from(key.parts().0));
                }
                for value in self.real.values_mut().rev() {
                    let tag = value.parts().1;
                    value.set_tag(tag + 1);
                }
                for row in &mut self.model {
                    row.2 = one + u32::from(row.0) + 1;
                }
                self.tags += 50;
                assert!(self.real.keys().rev().map(|key| key.parts().0).eq(self.model.iter().rev().map(|row| row.0)));
                let values = self.real.values().map(|value| value.parts().1);
                assert_eq!(values.len(), self.model.len());
                assert!(values.eq(self.model.iter().map(|row| row.2)));
                let backwards = self.real.iter().rev().map(|(key, _)| key.parts().0);
                assert!(backwards.eq(self.model.iter().rev().map(|row| row.0)));
                assert!(self.real.iter_mut().rev().len() == self.model.len());
                let rows = self.real.as_slice().iter().map(|(key, value)| (key.parts().0, value.parts().1));
                assert!(rows.eq(self.model.iter().map(|row| (row.0, row.2))));
            }
            Op::IntoIter(front, back) => {
                let mut pairs = mem::replace(&mut self.real, (self.empty)()).into_iter();
                let mut rows = mem::take(&mut self.model).into_iter();
                let row = |(key, value): (K, V)| (key.parts().0, key.parts().1, value.parts().1);
                for _ in 0..*front {
                    assert_eq!(pairs.next().map(row), rows.next());
                }
                for _ in 0..*back {
                    assert_eq!(pairs.next_back().map(row), rows.next_back());
                }
                assert_eq!(pairs.len(), rows.len());
            }
            Op::Neighbour(size) => (self.neighbour)(*size),
        }
    }

    /// What an entry's `or_insert` answered, against what was there.
    fn entered(&mut self, id: u16, key_tag: u32, value_tag: u32, found: Result<u32, BudgetExceeded>) {
        match (self.position(id), found) {
            (Some(at), found) => assert_eq!(found, Ok(self.model[at].2)),
            (None, Ok(found)) => {
                assert_eq!(found, value_tag);
                self.model.push((id, key_tag, value_tag));
            }
            (None, Err(told)) => assert!(told.used <= told.allowed),
        }
    }
}

fn run<K: Item, V: Item, A: Memory, S: BuildHasher + Clone>(
    empty: impl Fn() -> FlatMap<K, V, A, S>,
    neighbour: impl Fn(usize),
    ops: &[Op],
) {
    let mut case = Case { real: empty(), empty: &empty, neighbour: &neighbour, model: Vec::new(), tags: 0 };
    for op in ops {
        case.step(op);
        case.check();
    }
}

/// In both kinds of arena, twice, with another reset each time; what is built beside the map must keep its contents.
fn run_in_arenas<S: BuildHasher + Clone + Default>(budget: usize, ops: &[Op]) {
    for reset in [Reset::Keep, Reset::Poison, Reset::Wipe] {
        let options = ArenaOptions::new().on_reset(reset).budget_bytes_max(budget).first_chunk_bytes(1024);
        let (mut arena, mut shared) = (options.arena(), options.shared());
        for _ in 0..2 {
            macro_rules! on {
                ($arena:expr) => {{
                    let beside = std::cell::RefCell::new(Vec::new());
                    let neighbour = |size: usize| {
                        beside.borrow_mut().extend($arena.try_alloc_slice_fill_with(size, |_| 0x5a_u8).ok());
                    };
                    run::<Plain, Plain, _, S>(|| FlatMap::with_hasher_in(S::default(), &$arena), neighbour, ops);
                    assert!(beside.borrow().iter().all(|bytes| bytes.iter().all(|byte| *byte == 0x5a)));
                }};
            }
            on!(arena);
            on!(shared);
            arena.reset();
            shared.reset();
        }
    }
}

fn run_on_heap<S: BuildHasher + Clone + Default>(ops: &[Op]) {
    let before = ALIVE.get();
    run::<Counted, Counted, _, S>(|| FlatMap::with_hasher(S::default()), |_| (), ops);
    assert_eq!(ALIVE.get(), before, "each key and value is dropped once");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_arenas(ops in prop::collection::vec(op(), 1..150)) {
        run_in_arenas::<SeededState>(usize::MAX, &ops);
    }

    #[test]
    fn in_arenas_with_poor_hashes(ops in prop::collection::vec(op(), 1..100)) {
        run_in_arenas::<Same>(usize::MAX, &ops);
        run_in_arenas::<Wraps>(usize::MAX, &ops);
    }

    #[test]
    fn on_the_heap(ops in prop::collection::vec(op(), 1..150)) {
        run_on_heap::<SeededState>(&ops);
        run_on_heap::<FixedState>(&ops);
        run_on_heap::<Same>(&ops);
        run_on_heap::<Few>(&ops);
        run_on_heap::<High>(&ops);
        run_on_heap::<Low>(&ops);
        run_on_heap::<Wraps>(&ops);
    }

    #[test]
    fn a_small_budget_refuses_and_leaves_all_as_it_was(
        ops in prop::collection::vec(op(), 1..100),
        budget in 2048_usize..6000,
    ) {
        run_in_arenas::<SeededState>(budget, &ops);
    }

    #[test]
    fn a_set_is_a_map_without_values(ops in prop::collection::vec((0_u8..12, 0_u16..40), 1..150)) {
        let options = ArenaOptions::new().first_chunk_bytes(512);
        let (arena, shared) = (options.arena(), options.shared());
        run_set(FlatSet::<Plain, _>::new_in(&arena), &ops);
        run_set(FlatSet::<Plain, _, _>::with_hasher_in(Wraps::default(), &shared), &ops);
        let before = ALIVE.get();
        run_set(FlatSet::<Counted>::new(), &ops);
        run_set(FlatSet::<Counted, _, _>::with_hasher(Few::default()), &ops);
        assert_eq!(ALIVE.get(), before);
    }
}

fn run_set<T: Item, A: Memory, S: BuildHasher + Clone>(mut real: FlatSet<T, A, S>, ops: &[(u8, u16)]) {
    let mut model: Vec<(u16, u32)> = Vec::new();
    for (step, (op, id)) in (1_u32..).zip(ops) {
        let at = model.iter().position(|row| row.0 == *id);
        let value = T::of(*id, step);
        match op {
            0..5 => {
                let added = if op % 2 == 0 { real.insert(value) } else { real.try_insert(value) == Ok(true) };
                assert_eq!(added, at.is_none());
                if added {
                    model.push((*id, step));
                }
            }
            5..7 => {
                let removed = at.map(|at| model.swap_remove(at));
                assert_eq!(real.remove(&value), removed.is_some());
            }
            7 => {
                let removed = at.map(|at| model.swap_remove(at));
                assert_eq!(real.take(&value).map(|value| value.parts()), removed);
            }
            8 => {
                real.retain(|value| value.parts().0 % 5 != id % 5);
                model.retain(|row| row.0 % 5 != id % 5);
            }
            9 => {
                real.extend((0..id % 5).map(|more| T::of(id + more, step)));
                for id in (0..id % 5).map(|more| id + more) {
                    if model.iter().all(|row| row.0 != id) {
                        model.push((id, step));
                    }
                }
            }
            10 => {
                let clone = real.clone();
                assert!(clone == real && clone.is_subset(&real) && real.is_subset(&clone));
                assert_eq!(clone.is_disjoint(&real), model.is_empty());
                real = clone;
                real.reserve(usize::from(*id));
                assert!(real.try_reserve(1).is_ok() && real.capacity() >= model.len() + usize::from(*id));
            }
            _ => {
                let other: FlatSet<T> = (id / 2..id / 2 + 10).map(|id| T::of(id, 0)).collect();
                let there = |row: &&(u16, u32)| (id / 2..id / 2 + 10).contains(&row.0);
                let both: Vec<_> = model.iter().filter(there).map(|row| row.0).collect();
                let mut all: Vec<_> = model.iter().map(|row| row.0).collect();
                assert!(real.intersection(&other).map(|value| value.parts().0).eq(both.iter().copied()));
                let only = model.iter().filter(|row| !there(row)).map(|row| row.0);
                assert!(real.difference(&other).map(|value| value.parts().0).eq(only));
                all.extend((id / 2..id / 2 + 10).filter(|id| !both.contains(id)));
                assert!(real.union(&other).map(|value| value.parts().0).eq(all));
                assert_eq!(real.is_disjoint(&other), both.is_empty());
                assert_eq!(other.is_subset(&real), both.len() == 10);
                if model.len() > 30 {
                    real.clear();
                    model.clear();
                }
            }
        }
        let rows: Vec<_> = real.iter().map(Item::parts).collect();
        assert_eq!((rows.as_slice(), real.len(), real.is_empty()), (&model[..], model.len(), model.is_empty()));
        for id in 0..50 {
            let expected = model.iter().find(|row| row.0 == id).copied();
            assert_eq!(real.get(&T::of(id, 0)).map(Item::parts), expected);
            assert_eq!(real.contains(&T::of(id, 0)), expected.is_some());
        }
    }
    assert_eq!(real.as_slice().len(), (&real).into_iter().len());
    assert!(real.into_iter().map(|value| value.parts()).eq(model));
}

/// Each size around the threshold is reached from below, and left again from above, one by one, and searched at each step.
#[test]
fn through_the_threshold_and_back() {
    for peak in 0..24_u16 {
        let mut map = FlatMap::new();
        for key in 0..peak {
            assert_eq!(map.insert(key, key), None);
            assert_eq!(map.insert(key, key + 1), Some(key));
            assert!((0..peak).all(|other| map.get(&other).copied() == (other <= key).then_some(other + 1)));
        }
        for key in 0..peak {
            assert_eq!((map.remove(&key), map.remove(&key)), (Some(key + 1), None));
            assert!((0..peak).all(|other| map.contains_key(&other) == (other > key)));
        }
        for key in 0..peak {
            map.insert(key, 0);
        }
        map.retain(|key, _| key % 2 == 0);
        assert!((0..peak).all(|other| map.contains_key(&other) == (other % 2 == 0)));
        map.clear();
        assert!((0..peak).all(|key| map.get(&key).is_none()));
        map.extend((0..peak).map(|key| (key, key)));
        assert!(map.iter().map(|(key, _)| *key).eq(0..peak));
    }
}

/// A few pairs are found without hashing, and those who hash do so once per look-up.
#[test]
fn few_pairs_are_not_hashed() {
    #[derive(Clone, Default)]
    struct Counting(std::rc::Rc<Cell<usize>>);
    impl BuildHasher for Counting {
        type Hasher = std::collections::hash_map::DefaultHasher;
        fn build_hasher(&self) -> Self::Hasher {
            self.0.set(self.0.get() + 1);
            Self::Hasher::new()
        }
    }
    let hash = Counting::default();
    let hashes = || hash.0.replace(0);
    let mut map = FlatMap::with_hasher(hash.clone());
    for key in 0..8 {
        map.insert(key, key);
        map.entry(key).or_insert(0);
        assert_eq!(map.get(&key), Some(&key));
    }
    map.retain(|key, _| *key != 3);
    map.remove(&5);
    map.insert(3, 3);
    map.insert(5, 5);
    assert_eq!((map.len(), hashes()), (8, 0));
    map.insert(8, 8);
    assert_eq!(hashes(), 9, "the ninth brings the index, into which each goes once");
    for key in 9..1000 {
        map.insert(key, key);
    }
    assert_eq!(hashes(), 991, "it grows without a look at the keys");
    assert!(map.contains_key(&500) && hashes() == 1);
    *map.entry(1000).or_insert(0) += 1;
    assert_eq!(hashes(), 1);
    drop(map.clone());
    assert_eq!(hashes(), 0);
}

#[test]
fn ten_thousand() {
    let arena = ArenaOptions::new().on_reset(Reset::Keep).arena();
    let mut map = FlatMap::with_hasher_in(FixedState, &arena);
    for key in 0..10_000_u64 {
        assert_eq!(map.insert(key, arena.alloc(key)), None);
    }
    assert!((0..10_000).all(|key| map.get(&key).is_some_and(|value| **value == key)));
    for key in (0..10_000).step_by(3) {
        assert!(map.remove(&key).is_some());
    }
    assert!((0..10_000).all(|key| map.contains_key(&key) == (key % 3 > 0)));
    map.retain(|key, _| key % 2 == 0);
    assert!((0..10_000).all(|key| map.contains_key(&key) == (key % 3 > 0 && key % 2 == 0)));
    let frozen = map.freeze();
    assert_eq!(frozen.len(), 3333);
    assert!(frozen.iter().all(|(key, value)| *key == **value));
}

#[test]
fn made_in_every_way() {
    let arena = ArenaOptions::new().arena();
    let pairs = [("a", 1), ("b", 2), ("a", 3)];
    let in_arena = FlatMap::from_iter_in(pairs, &arena);
    let on_heap = FlatMap::from(pairs);
    let collected: FlatMap<_, _> = pairs.into_iter().collect();
    assert_eq!(in_arena.as_slice(), [("a", 3), ("b", 2)]);
    assert!(in_arena == on_heap && on_heap == collected && collected == in_arena);
    assert!(FlatMap::try_from_iter_in(pairs, &arena).is_ok_and(|map| map == on_heap));
    assert!(std::ptr::eq(in_arena.arena(), &raw const arena));
    let mut other = FlatMap::with_hasher(FixedState);
    other.extend(&on_heap);
    assert_eq!(on_heap, other, "whatever they hash with");
    assert_eq!(
        (format!("{other:?}"), FixedState.hash_one(1)),
        (r#"{"a": 3, "b": 2}"#.into(), other.hasher().hash_one(1))
    );
    *other.get_mut("b").unwrap() = 9;
    assert_ne!(on_heap, other);
    other.remove("b");
    assert_ne!(on_heap, other);
    other.insert("c", 2);
    assert_ne!(on_heap, other);
    let reversed = FlatMap::from([("b", 2), ("a", 3)]);
    assert_eq!(on_heap, reversed, "in whatever order");
    let default: FlatMap<String, ()> = FlatMap::default();
    assert!(default.is_empty() && default.capacity() == 0 && default.get("x").is_none());
    let names = FlatSet::from_iter_in(["b", "a", "b"], &arena);
    assert_eq!((names.as_slice(), format!("{names:?}")), (&["b", "a"][..], r#"{"b", "a"}"#.to_owned()));
    assert_eq!(names, FlatSet::from(["a", "b"]));
    assert!(FlatSet::try_from_iter_in(["b"], names.arena()).is_ok_and(|set| set != names));
    let mut more = FlatSet::<&str>::default();
    more.extend(&["x", "y"]);
    assert_eq!((more.hasher().hash_one(7), names.freeze()), (SeededState.hash_one(7), &mut ["b", "a"][..]));
    assert_eq!(
        format!("{:?} {:?}", on_heap.iter(), reversed.clone().iter_mut()),
        "Iter(Iter([(\"a\", 3), (\"b\", 2)])) IterMut(IterMut([(\"b\", 2), (\"a\", 3)]))"
    );
    let mut map = FlatMap::from([("a", 1)]);
    assert_eq!(format!("{:?}", map.entry("a")), r#"OccupiedEntry { key: "a", value: 1 }"#);
    assert_eq!(format!("{:?}", map.entry("b")), r#"VacantEntry("b")"#);
    assert_eq!((*map.entry("b").or_default(), *map.entry("c").or_insert_with(|| 7)), (0, 7));
}

/// Under a budget the twins return an error, and nothing was lost, whatever the size at which it happens.
#[test]
fn refused_at_every_size() {
    for budget in (1024..12_000).step_by(64) {
        let arena = ArenaOptions::new().budget_bytes_max(budget).arena();
        let mut map = FlatMap::new_in(&arena);
        let mut set = FlatSet::new_in(&arena);
        let served = (0..1000).take_while(|key| map.try_insert(*key, [*key; 4]).is_ok()).count();
        assert_eq!(map.len(), served);
        assert!(map.try_insert(u64::MAX, [0; 4]).is_err() && map.entry(u64::MAX).or_try_insert([0; 4]).is_err());
        assert!(map.try_reserve(1 << 20).is_err() && map.try_reserve(usize::MAX).is_err());
        assert!(map.iter().zip(0..).all(|((key, value), expected)| *key == expected && value[3] == expected));
        assert!((0..served as u64).all(|key| map.contains_key(&key)));
        if served > 0 {
            assert_eq!(map.try_insert(0, [7; 4]), Ok(Some([0; 4])), "needs no room");
            assert!(map.remove(&0).is_some() && map.try_insert(9_999, [0; 4]).is_ok(), "and neither does this");
        }
        while set.try_insert(set.len()).is_ok() {}
        assert!(set.as_slice().iter().copied().eq(0..set.len()));
        assert!((0..set.len()).all(|value| set.contains(&value)));
        assert!(FlatMap::try_from_iter_in((0..1000).map(|key| (key, [key; 4])), &arena).is_err());
        assert!(FlatSet::try_from_iter_in(0..100_000, &arena).is_err());
    }
}

/// A key that was refused leaves no trace in the index either: not after many, and not when others take its place.
#[test]
fn refused_keys_leave_no_trace() {
    fn on<S: BuildHasher + Clone + Default>() {
        for budget in (1024..6000).step_by(64) {
            let arena = ArenaOptions::new().budget_bytes_max(budget).arena();
            let mut map = FlatMap::with_hasher_in(S::default(), &arena);
            let served = (0..200_u16).take_while(|key| map.try_insert(*key, [*key; 40]).is_ok()).count();
            let len = u16::try_from(served).expect("a small number");
            for key in 300..340 {
                assert!(map.try_insert(key, [0; 40]).is_err() && !map.contains_key(&key));
            }
            for key in 0..len {
                assert_eq!(map.remove(&key), Some([key; 40]));
                assert!((0..len).all(|other| map.contains_key(&other) == (other > key)));
            }
            for key in 400..400 + len {
                assert_eq!(map.try_insert(key, [key; 40]), Ok(None));
            }
            assert!((400..400 + len).all(|key| map.get(&key) == Some(&[key; 40])));
        }
    }
    on::<SeededState>();
    on::<Same>();
    on::<Few>();
}

#[test]
fn capacities_that_overflow_are_refused() {
    let arena = ArenaOptions::new().arena();
    let mut in_arena = FlatMap::from_iter_in([(1_u64, 1_u64)], &arena);
    let mut on_heap = FlatMap::from([(1_u64, String::from("one"))]);
    let mut units: FlatMap<(), ()> = FlatMap::new();
    for more in [usize::MAX, usize::MAX / 2, usize::MAX / 8, usize::MAX / 16, isize::MAX as usize, 1 << 33] {
        assert!(in_arena.try_reserve(more).is_err(), "{more}");
        assert!(on_heap.try_reserve(more).is_err(), "{more}");
        assert!(units.try_reserve(more).is_err(), "{more}: positions are counted in 32 bits");
        assert!(refused(|| in_arena.reserve(more)).is_err() && refused(|| on_heap.reserve(more)).is_err());
        assert!(refused(|| on_heap.extend(Hinting([(2, String::from("two"))].into_iter(), more))).is_err());
        assert_eq!((in_arena.len(), on_heap.len(), on_heap[&1].as_str()), (1, 1, "one"));
    }
    units.insert((), ());
    assert_eq!((units.insert((), ()), units.len()), (Some(()), 1));
}

#[test]
fn pairs_without_bytes_and_with_a_pages_alignment() {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[repr(align(4096))]
    struct Page(u32);
    /// No bytes, and never equal: any number of them.
    #[derive(Debug)]
    struct Odd;
    impl PartialEq for Odd {
        fn eq(&self, _: &Self) -> bool {
            false
        }
    }
    impl Eq for Odd {}
    impl Hash for Odd {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }
    let arena = ArenaOptions::new().arena();
    let mut in_arena = FlatMap::new_in(&arena);
    let mut on_heap = FlatMap::new();
    for number in 0..30 {
        in_arena.insert(Page(number), Page(!number));
        on_heap.insert(Page(number), vec![Page(number)]);
        arena.alloc(1_u8);
    }
    assert!(in_arena.as_slice().as_ptr().is_aligned() && on_heap.as_slice().as_ptr().is_aligned());
    for number in 0..30 {
        assert_eq!(in_arena[&Page(number)], Page(!number));
        assert_eq!(on_heap.remove(&Page(number)), Some(vec![Page(number)]));
    }
    let mut odd = FlatMap::new();
    for _ in 0..100 {
        assert!(odd.insert(Odd, ()).is_none());
    }
    odd.retain(|_, ()| true);
    assert_eq!((odd.len(), odd.remove(&Odd), odd.into_iter().count()), (100, None, 100));
    let mut odd = FlatSet::new_in(&arena);
    odd.extend((0..100).map(|_| Odd));
    assert_eq!(odd.freeze().len(), 100);
}

#[test]
fn iterators_and_entries_may_build_in_the_arena_of_the_map() {
    let arena = ArenaOptions::new().on_reset(Reset::Keep).shared();
    let mut map = FlatMap::from_iter_in(
        (0..50).map(|i| (&*arena.format(format_args!("vm-{i}")), FlatMap::from_iter_in([(i, arena.alloc(i))], &arena))),
        &arena,
    );
    map.extend((50..60).map(|i| (&*arena.concat(("vm-", i)), FlatMap::new_in(&arena))));
    for i in 60..70 {
        let key = arena.concat(("vm-", i));
        map.entry(key).or_insert_with(|| FlatMap::from_iter_in((0..20).map(|j| (j, arena.alloc(j))), &arena));
    }
    map.retain(|name, inner| {
        inner.insert(99, arena.alloc(99));
        !arena.alloc_str(name).ends_with('7')
    });
    assert_eq!(map.len(), 63);
    assert!(map.values().all(|inner| *inner[&99] == 99));
    assert_eq!((map["vm-69"].len(), *map["vm-69"][&19], map["vm-12"].len()), (21, 19, 2));
}
