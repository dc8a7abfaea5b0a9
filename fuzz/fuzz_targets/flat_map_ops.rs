//! Sequences of operations on `FlatMap` beside a list of pairs: the same pairs in the same order after each, and each key found,
//! in arenas and on the heap, under good hashes and useless ones; on the heap no key or value is lost or dropped twice.
//!
//! Run: `cargo +nightly fuzz run flat_map_ops fuzz/corpus/flat_map_ops fuzz/seeds/flat_map_ops`
#![no_main]

use arbitrary::Arbitrary;
use blixard_arena::collections::{Entry, FixedState, FlatMap, Memory, SeededState};
use blixard_arena::{ArenaOptions, Reset};
use libfuzzer_sys::fuzz_target;
use std::cell::Cell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::mem;

thread_local! { static ALIVE: Cell<isize> = const { Cell::new(0) }; }

#[derive(Arbitrary, Debug)]
struct Input {
    budget: u16,
    bounded: bool,
    place: u8,
    hash: u8,
    ops: Vec<Op>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Insert(u8),
    Remove(u8),
    RemoveAt(u8),
    Retain(u8, u8),
    OrInsert(u8),
    Modify(u8),
    Occupied(u8, bool),
    Reserve(u8),
    Clear,
    Extend(u8, u8),
    Clone,
    IntoIter(u8),
    Neighbour(u8),
}

trait Item: Clone + Eq + Hash {
    fn of(id: u8, tag: u32) -> Self;
    fn parts(&self) -> (u8, u32);
}

#[derive(Clone, Copy)]
struct Plain(u8, u32);
impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Plain {}
impl Hash for Plain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.0);
    }
}
impl Item for Plain {
    fn of(id: u8, tag: u32) -> Self {
        Self(id, tag)
    }
    fn parts(&self) -> (u8, u32) {
        (self.0, self.1)
    }
}

/// Counts itself, and holds a block of its own that AddressSanitizer watches.
#[derive(PartialEq, Eq, Hash)]
struct Counted(Box<Plain>);
impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::of(self.0.0, self.0.1)
    }
}
impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.set(ALIVE.get() - 1);
    }
}
impl Item for Counted {
    fn of(id: u8, tag: u32) -> Self {
        ALIVE.set(ALIVE.get() + 1);
        Self(Box::new(Plain(id, tag)))
    }
    fn parts(&self) -> (u8, u32) {
        self.0.parts()
    }
}

/// By `kind`: all alike, four hashes, only high bits, homes at the end of the index, or one random answer after the other.
#[derive(Clone)]
struct Poor(u8);
struct PoorHasher(u8, u64);
thread_local! { static LIES: Cell<u64> = const { Cell::new(1) }; }
impl BuildHasher for Poor {
    type Hasher = PoorHasher;
    fn build_hasher(&self) -> PoorHasher {
        PoorHasher(self.0, 0)
    }
}
impl Hasher for PoorHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.1 = bytes.iter().fold(self.1, |sum, byte| sum << 8 | u64::from(*byte));
    }
    fn finish(&self) -> u64 {
        match self.0 {
            0 => 0,
            1 => self.1 % 4,
            2 => self.1 << 56,
            3 => 0xffff_fffe | self.1 & 1,
            _ => {
                LIES.set(LIES.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                LIES.get() >> 33
            }
        }
    }
}

struct Case<'c, I, A: Memory, S> {
    empty: &'c dyn Fn() -> FlatMap<I, I, A, S>,
    neighbour: &'c dyn Fn(u8),
    real: FlatMap<I, I, A, S>,
    model: Vec<(u8, u32, u32)>,
    honest: bool,
}

impl<I: Item, A: Memory, S: BuildHasher + Clone> Case<'_, I, A, S> {
    /// With hashes that lie the map is its own model: only the memory under it is looked at.
    fn step(&mut self, op: &Op, tag: u32) {
        let real = &mut self.real;
        let at = |model: &[(u8, u32, u32)], id: u8| model.iter().position(|row| row.0 == id);
        match *op {
            Op::Insert(id) => {
                if let Ok(old) = real.try_insert(I::of(id, tag), I::of(id, tag)) {
                    let expected = at(&self.model, id);
                    assert!(!self.honest || old.is_some() == expected.is_some());
                    match expected {
                        Some(at) => self.model[at].2 = tag,
                        None => self.model.push((id, tag, tag)),
                    }
                }
            }
            Op::Remove(id) => {
                let found = real.remove_entry(&I::of(id, 0)).map(|(key, value)| (id, key.parts().1, value.parts().1));
                let expected = at(&self.model, id).map(|at| self.model.swap_remove(at));
                assert!(!self.honest || found == expected);
            }
            Op::RemoveAt(which) => {
                if let Some(at) = usize::from(which).checked_rem(self.model.len()) {
                    let row = self.model.swap_remove(at);
                    let value = real.remove(&I::of(row.0, 0));
                    assert!(!self.honest || value.is_some_and(|value| value.parts().1 == row.2));
                }
            }
            Op::Retain(modulus, rest) => {
                let keeps = |id: u8| id % modulus.max(2) != rest % modulus.max(2);
                real.retain(|key, _| keeps(key.parts().0));
                self.model.retain(|row| keeps(row.0));
            }
            Op::OrInsert(id) => {
                if real.entry(I::of(id, tag)).or_try_insert(I::of(id, tag)).is_ok() && at(&self.model, id).is_none() {
                    self.model.push((id, tag, tag));
                }
            }
            Op::Modify(id) => {
                if let Some(value) = real.get_mut(&I::of(id, 0)) {
                    *value = I::of(id, tag);
                    if let Some(at) = at(&self.model, id) {
                        self.model[at].2 = tag;
                    }
                }
            }
            Op::Occupied(id, removes) => {
                if let Entry::Occupied(mut entry) = real.entry(I::of(id, tag)) {
                    let expected = at(&self.model, id);
                    if removes {
                        drop(entry.remove_entry());
                        expected.map(|at| self.model.swap_remove(at));
                    } else {
                        drop(entry.insert(I::of(id, tag)));
                        if let Some(at) = expected {
                            self.model[at].2 = tag;
                        }
                    }
                }
            }
            Op::Reserve(more) => {
                assert!(
                    real.try_reserve(usize::from(more)).is_err() || real.capacity() >= real.len() + usize::from(more)
                );
            }
            Op::Clear => {
                real.clear();
                self.model.clear();
            }
            Op::Extend(from, count) => {
                for id in (0..count % 32).map(|more| from.wrapping_add(more)) {
                    if real.try_insert(I::of(id, tag), I::of(id, tag)).is_ok() {
                        match at(&self.model, id) {
                            Some(at) => self.model[at].2 = tag,
                            None => self.model.push((id, tag, tag)),
                        }
                    }
                }
            }
            Op::Clone => {
                // A clone that finds no room would panic: it is asked for beforehand.
                let mut other = (self.empty)();
                if other.try_reserve(real.len()).is_ok() && self.model.len() < 64 {
                    let pairs = real.iter().map(|(key, value)| (key.clone(), value.clone()));
                    let all = pairs.map(|(key, value)| other.try_insert(key, value)).all(|served| served.is_ok());
                    if all && self.honest {
                        assert!(other == *real);
                        *real = other;
                    }
                }
            }
            Op::IntoIter(front) => {
                let mut pairs = mem::replace(real, (self.empty)()).into_iter();
                let rows = mem::take(&mut self.model);
                for row in rows.iter().take(usize::from(front)) {
                    let pair = pairs.next().map(|(key, value)| (key.parts().0, key.parts().1, value.parts().1));
                    assert!(!self.honest || pair == Some(*row));
                }
                drop(pairs.next_back());
            }
            Op::Neighbour(size) => (self.neighbour)(size),
        }
        let rows: Vec<_> =
            self.real.iter().map(|(key, value)| (key.parts().0, key.parts().1, value.parts().1)).collect();
        if self.honest {
            assert_eq!(rows, self.model);
            for row in &rows {
                assert_eq!(self.real.get(&I::of(row.0, 0)).map(|value| value.parts().1), Some(row.2));
            }
            let absent = (0..=255).find(|id| rows.iter().all(|row| row.0 != *id));
            assert!(absent.is_none_or(|id| !self.real.contains_key(&I::of(id, 0))));
        } else {
            self.model = rows;
        }
    }
}

fn run<I: Item, A: Memory, S: BuildHasher + Clone>(
    empty: impl Fn() -> FlatMap<I, I, A, S>,
    neighbour: impl Fn(u8),
    ops: &[Op],
    honest: bool,
) {
    let mut case = Case { real: empty(), empty: &empty, neighbour: &neighbour, model: Vec::new(), honest };
    for (op, tag) in ops.iter().take(200).zip(1..) {
        case.step(op, tag);
    }
}

fn run_in<S: BuildHasher + Clone>(input: &Input, hash: &S, honest: bool) {
    let budget = if input.bounded { 2048 + usize::from(input.budget) } else { usize::MAX };
    let reset = [Reset::Keep, Reset::Poison][usize::from(input.place / 4 % 2)];
    let options = ArenaOptions::new().budget_bytes_max(budget).on_reset(reset);
    match input.place % 3 {
        0 => {
            let arena = options.arena();
            let beside = |size: u8| _ = arena.try_alloc_slice_copy(&vec![size; usize::from(size)]);
            run::<Plain, _, S>(|| FlatMap::with_hasher_in(hash.clone(), &arena), beside, &input.ops, honest);
        }
        1 => {
            let arena = options.shared();
            let beside = |size: u8| _ = arena.try_alloc_slice_copy(&vec![size; usize::from(size)]);
            run::<Plain, _, S>(|| FlatMap::with_hasher_in(hash.clone(), &arena), beside, &input.ops, honest);
        }
        _ => {
            run::<Counted, _, S>(|| FlatMap::with_hasher(hash.clone()), |_| (), &input.ops, honest);
            assert_eq!(ALIVE.get(), 0, "each key and value is dropped once");
        }
    }
}

fuzz_target!(|input: Input| {
    match input.hash % 7 {
        0 => run_in(&input, &SeededState, true),
        1 => run_in(&input, &FixedState, true),
        kind => run_in(&input, &Poor(kind - 2), kind < 6),
    }
});
