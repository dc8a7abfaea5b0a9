//! Sequences of operations on `collections::Vec` beside std's: the same elements after each, in whatever arena, under
//! whatever budget; what else lies in the arena keeps its contents.
//!
//! Run: `cargo +nightly fuzz run vec_ops fuzz/corpus/vec_ops fuzz/seeds/vec_ops`
#![no_main]

use arbitrary::Arbitrary;
use blixard_arena::arena::AnyArena;
use blixard_arena::collections::Vec as ArenaVec;
use blixard_arena::{ArenaOptions, Reset};
use libfuzzer_sys::fuzz_target;
use std::fmt::Debug;
use std::mem;

#[derive(Arbitrary, Debug)]
struct Input {
    budget: u16,
    bounded: bool,
    reset: u8,
    shared: bool,
    element: u8,
    ops: Vec<Op>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Push(u8),
    Pop,
    Insert(u8, u8),
    Remove(u8),
    SwapRemove(u8),
    Truncate(u8),
    Retain(u8),
    Dedup,
    DedupBy(u8),
    ExtendFromSlice(Vec<u8>),
    ExtendFromWithin(u8, u8),
    Extend(Vec<u8>, u8),
    Append(Vec<u8>),
    Resize(u8, u8),
    Drain(u8, u8, u8, u8),
    SplitOff(u8),
    Reserve(u8),
    ReserveExact(u16),
    ShrinkToFit,
    ShrinkTo(u8),
    Spare(u8),
    Clone,
    IntoIter(u8, u8),
    Freeze,
    Neighbour(u16),
}

trait Element: Copy + Ord + Debug {
    fn make(from: u8) -> Self;
}
impl Element for u8 {
    fn make(from: u8) -> Self {
        from
    }
}
impl Element for [u64; 3] {
    fn make(from: u8) -> Self {
        [u64::from(from), !u64::from(from), 7]
    }
}
impl Element for () {
    fn make(_: u8) {}
}
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(align(256))]
struct Wide(u8);
impl Element for Wide {
    fn make(from: u8) -> Self {
        Self(from)
    }
}

/// An iterator whose lower bound may be wrong.
struct Hinting<I>(I, usize);
impl<I: Iterator> Iterator for Hinting<I> {
    type Item = I::Item;
    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, None)
    }
}

struct Case<'a, T, A: AnyArena> {
    arena: &'a A,
    budget: usize,
    real: ArenaVec<T, &'a A>,
    model: Vec<T>,
    beside: Vec<&'a [u8]>,
    frozen: Vec<(&'a [T], Vec<T>)>,
}

impl<T: Element, A: AnyArena> Case<'_, T, A> {
    fn step(&mut self, op: &Op) {
        let arena = self.arena;
        let (real, model) = (&mut self.real, &mut self.model);
        let len = model.len();
        let make = |values: &[u8]| values.iter().map(|value| T::make(*value)).collect::<Vec<T>>();
        let within = |start: &u8, end: &u8| {
            let (start, end) = (usize::from(*start).min(len), usize::from(*end).min(len));
            start.min(end)..start.max(end)
        };
        // What may be refused is asked for first, so that the infallible calls are not: a panic would end the target.
        let roomy = |real: &mut ArenaVec<T, &A>, more: usize| real.try_reserve(more).is_ok();
        match op {
            Op::Push(value) => {
                if real.try_push(T::make(*value)).is_ok() {
                    model.push(T::make(*value));
                }
            }
            Op::Pop => assert_eq!(real.pop(), model.pop()),
            Op::Insert(at, value) => {
                let at = usize::from(*at) % (len + 1);
                if real.try_insert(at, T::make(*value)).is_ok() {
                    model.insert(at, T::make(*value));
                }
            }
            Op::Remove(at) if len > 0 => {
                assert_eq!(real.remove(usize::from(*at) % len), model.remove(usize::from(*at) % len));
            }
            Op::SwapRemove(at) if len > 0 => {
                assert_eq!(real.swap_remove(usize::from(*at) % len), model.swap_remove(usize::from(*at) % len));
            }
            Op::Remove(_) | Op::SwapRemove(_) => {}
            Op::Truncate(to) => {
                real.truncate(usize::from(*to));
                model.truncate(usize::from(*to));
            }
            Op::Retain(mask) => {
                let (mut one, mut other) = (0, 0);
                let keep = |calls: &mut u32| {
                    *calls += 1;
                    mask >> (*calls % 8) & 1 == 1
                };
                real.retain(|_| keep(&mut one));
                model.retain(|_| keep(&mut other));
            }
            Op::Dedup => {
                real.dedup();
                model.dedup();
            }
            Op::DedupBy(mask) => {
                let (mut one, mut other) = (0, 0);
                let same = |calls: &mut u32, a: &T, b: &T| {
                    *calls += 1;
                    a == b || mask >> (*calls % 8) & 1 == 1
                };
                real.dedup_by(|a, b| same(&mut one, a, b));
                model.dedup_by(|a, b| same(&mut other, a, b));
            }
            Op::ExtendFromSlice(values) => {
                if real.try_extend_from_slice(&make(values)).is_ok() {
                    model.extend(make(values));
                }
            }
            Op::ExtendFromWithin(start, end) => {
                let range = within(start, end);
                if roomy(real, range.len()) {
                    real.extend_from_within(range.clone());
                    model.extend_from_within(range);
                }
            }
            Op::Extend(values, hint) => {
                if roomy(real, values.len().max(usize::from(*hint))) {
                    real.extend(Hinting(values.iter().map(|value| T::make(*value)), usize::from(*hint)));
                    model.extend(make(values));
                }
            }
            Op::Append(values) => {
                let other = ArenaVec::try_from_iter_in(values.iter().map(|value| T::make(*value)), arena);
                if let Ok(mut other) = other
                    && roomy(real, values.len())
                {
                    real.append(&mut other);
                    assert!(other.is_empty());
                    model.extend(make(values));
                }
            }
            Op::Resize(to, value) => {
                if roomy(real, usize::from(*to).saturating_sub(len)) {
                    real.resize(usize::from(*to), T::make(*value));
                    model.resize(usize::from(*to), T::make(*value));
                }
            }
            Op::Drain(start, end, front, back) => {
                let mut drained = real.drain(within(start, end));
                let mut expected = model.drain(within(start, end));
                for _ in 0..*front % 16 {
                    assert_eq!(drained.next(), expected.next());
                }
                for _ in 0..*back % 16 {
                    assert_eq!(drained.next_back(), expected.next_back());
                }
                assert_eq!(drained.len(), expected.len());
            }
            Op::SplitOff(at) => {
                let at = usize::from(*at) % (len + 1);
                // Room for the rest, and for the chunk around it.
                let bytes = (len - at) * size_of::<T>() + 2 * align_of::<T>() + 4096;
                if arena.figures().reserved_bytes + bytes < self.budget {
                    assert_eq!(real.split_off(at), model.split_off(at));
                }
            }
            Op::Reserve(more) => {
                if roomy(real, usize::from(*more)) {
                    assert!(real.capacity() >= len + usize::from(*more));
                }
            }
            Op::ReserveExact(more) => {
                let before = real.capacity();
                let served = real.try_reserve_exact(usize::from(*more)).is_ok();
                assert_eq!(real.capacity(), if served { before.max(len + usize::from(*more)) } else { before });
            }
            Op::ShrinkToFit => {
                real.shrink_to_fit();
                assert_eq!(real.capacity(), len);
            }
            Op::ShrinkTo(cap) => real.shrink_to(usize::from(*cap)),
            Op::Spare(value) => {
                let room = real.spare_capacity_mut();
                let count = room.len().min(40);
                room[..count].iter_mut().for_each(|slot| _ = slot.write(T::make(*value)));
                // SAFETY: so many were written behind `len`.
                unsafe { real.set_len(len + count) };
                model.extend(std::iter::repeat_n(T::make(*value), count));
            }
            Op::Clone => {
                if let Ok(clone) = ArenaVec::try_from_iter_in(real.iter().copied(), arena) {
                    let original = mem::replace(real, clone);
                    self.frozen.push((original.into_slice(), model.clone()));
                }
            }
            Op::IntoIter(front, back) => {
                let mut values = mem::replace(real, ArenaVec::new_in(arena)).into_iter();
                let mut expected = mem::take(model).into_iter();
                for _ in 0..*front % 16 {
                    assert_eq!(values.next(), expected.next());
                }
                for _ in 0..*back % 16 {
                    assert_eq!(values.next_back(), expected.next_back());
                }
                assert_eq!(values.as_slice(), expected.as_slice());
            }
            Op::Freeze => {
                let frozen = mem::replace(real, ArenaVec::new_in(arena)).into_slice();
                self.frozen.push((frozen, mem::take(model)));
            }
            Op::Neighbour(size) => {
                let block = arena.try_alloc_slice_fill_with(usize::from(*size % 700), |_| 0xa5);
                self.beside.extend(block.ok().map(|block| &*block));
            }
        }
        assert_eq!(*self.real, *self.model);
        assert!(self.real.capacity() >= self.real.len() && self.real.as_ptr().is_aligned());
        assert!(self.beside.iter().all(|block| block.iter().all(|byte| *byte == 0xa5)), "a neighbour was overwritten");
        assert!(self.frozen.iter().all(|(slice, expected)| *slice == expected), "what was frozen changed");
    }
}

fn run<T: Element, A: AnyArena>(arena: &A, budget: usize, ops: &[Op]) {
    let real = ArenaVec::new_in(arena);
    let mut case = Case::<T, A> { arena, budget, real, model: Vec::new(), beside: Vec::new(), frozen: Vec::new() };
    ops.iter().take(200).for_each(|op| case.step(op));
}

fn run_twice(input: &Input, mut run: impl FnMut(&[Op])) {
    run(&input.ops);
    run(&input.ops);
}

fuzz_target!(|input: Input| {
    let budget = if input.bounded { 2048 + usize::from(input.budget) } else { usize::MAX };
    let reset = [Reset::Keep, Reset::Poison, Reset::Wipe][usize::from(input.reset % 3)];
    let options = ArenaOptions::new().budget_bytes_max(budget).on_reset(reset);
    let (arena, shared) = (options.arena(), options.shared());
    run_twice(&input, |ops| match (input.element % 4, input.shared) {
        (0, false) => run::<u8, _>(&arena, budget, ops),
        (1, false) => run::<[u64; 3], _>(&arena, budget, ops),
        (2, false) => run::<(), _>(&arena, budget, ops),
        (_, false) => run::<Wide, _>(&arena, budget, ops),
        (0, true) => run::<u8, _>(&shared, budget, ops),
        (1, true) => run::<[u64; 3], _>(&shared, budget, ops),
        (2, true) => run::<(), _>(&shared, budget, ops),
        (_, true) => run::<Wide, _>(&shared, budget, ops),
    });
});
