//! `collections::Vec` beside std's: every call, in long random sequences, on both kinds of arena, under every kind of reset
//! and budget; elements without bytes and with a page's alignment; what happens at the ends of ranges and of numbers.
//!
//! Over the public API. Between calls other values are built in the same arena, so that the vector is now its newest block
//! and now is not, and all of them must keep their contents. Under a budget a refused call leaves the vector as it was.
//!
//! It is long because `Op` has an entry for each method of the vector, and `Case::step` an arm for each entry: who adds a method looks
//! at one list.
#![expect(unsafe_code, reason = "writes spare capacity")]
#![expect(
    clippy::similar_names,
    clippy::needless_pass_by_value,
    reason = "`make` makes what is `made`; results are told once"
)]

use super::callers::{Hinting, refused};
use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{FlatMap, Vec as ArenaVec};
use blixard_arena::{Arena, ArenaOptions, BudgetExceeded, Reset, SharedArena};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::mem;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An element made from a byte.
trait Element: Copy + Ord + Hash + Debug {
    fn make(from: u8) -> Self;
}

impl Element for u8 {
    fn make(from: u8) -> Self {
        from
    }
}

impl Element for u64 {
    fn make(from: u8) -> Self {
        u64::from(from) * 0x0101_0101_0101_0101
    }
}

impl Element for () {
    fn make(_: u8) {}
}

/// Three bytes: blocks are rounded up to words.
impl Element for [u8; 3] {
    fn make(from: u8) -> Self {
        [from, !from, from ^ 7]
    }
}

impl Element for &'static str {
    fn make(from: u8) -> Self {
        ["", "a", "vm-1", "zone", "é", "a longer name than most"][usize::from(from) % 6]
    }
}

/// Beyond what the first block of a vector is.
impl Element for [u64; 33] {
    fn make(from: u8) -> Self {
        [u64::from(from); 33]
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(align(4096))]
struct Page(u8);

impl Element for Page {
    fn make(from: u8) -> Self {
        Self(from)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(align(64))]
struct NoLine;

impl Element for NoLine {
    fn make(_: u8) -> Self {
        Self
    }
}

#[derive(Clone, Debug)]
enum Op {
    New,
    WithCapacity(usize),
    FromIter(Vec<u8>, usize),
    Push(u8),
    Pop,
    PopIf(u8),
    Insert(usize, u8),
    Remove(usize),
    SwapRemove(usize),
    Truncate(usize),
    Clear,
    Retain(u8),
    RetainMut(u8),
    DedupBy(u8),
    DedupByKey(u8),
    Dedup,
    ExtendFromSlice(Vec<u8>),
    ExtendFromWithin(usize, usize),
    Extend(Vec<u8>, usize),
    ExtendRef(Vec<u8>),
    Append(Vec<u8>, bool),
    Resize(usize, u8),
    ResizeWith(usize, u8),
    Drain(usize, usize, usize, usize, bool),
    SplitOff(usize),
    Reserve(usize),
    ReserveExact(usize),
    ShrinkToFit,
    ShrinkTo(usize),
    Spare(Vec<u8>),
    Write(usize, u8),
    Sort,
    Clone,
    IntoIter(usize, usize),
    Freeze,
    IntoBox,
    /// Another value in the arena.
    Neighbour(usize, u8),
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..max)
}

fn op() -> impl Strategy<Value = Op> {
    let (at, len) = (0_usize..60, 0_usize..60);
    prop_oneof![
        1 => Just(Op::New),
        2 => (0_usize..80).prop_map(Op::WithCapacity),
        2 => (bytes(40), 0_usize..60).prop_map(|(values, hint)| Op::FromIter(values, hint)),
        20 => any::<u8>().prop_map(Op::Push),
        3 => Just(Op::Pop),
        2 => any::<u8>().prop_map(Op::PopIf),
        5 => (at.clone(), any::<u8>()).prop_map(|(at, value)| Op::Insert(at, value)),
        3 => at.clone().prop_map(Op::Remove),
        3 => at.clone().prop_map(Op::SwapRemove),
        2 => len.clone().prop_map(Op::Truncate),
        1 => Just(Op::Clear),
        2 => any::<u8>().prop_map(Op::Retain),
        2 => any::<u8>().prop_map(Op::RetainMut),
        2 => any::<u8>().prop_map(Op::DedupBy),
        1 => any::<u8>().prop_map(Op::DedupByKey),
        1 => Just(Op::Dedup),
        5 => bytes(60).prop_map(Op::ExtendFromSlice),
        3 => (at.clone(), at.clone()).prop_map(|(start, end)| Op::ExtendFromWithin(start, end)),
        5 => (bytes(60), 0_usize..90).prop_map(|(values, hint)| Op::Extend(values, hint)),
        2 => bytes(20).prop_map(Op::ExtendRef),
        3 => (bytes(40), any::<bool>()).prop_map(|(values, elsewhere)| Op::Append(values, elsewhere)),
        2 => (len.clone(), any::<u8>()).prop_map(|(len, value)| Op::Resize(len, value)),
        2 => (len.clone(), any::<u8>()).prop_map(|(len, value)| Op::ResizeWith(len, value)),
        5 => (at.clone(), at.clone(), 0_usize..9, 0_usize..9, any::<bool>())
            .prop_map(|(start, end, front, back, leave)| Op::Drain(start, end, front, back, leave)),
        2 => at.clone().prop_map(Op::SplitOff),
        2 => len.clone().prop_map(Op::Reserve),
        2 => len.clone().prop_map(Op::ReserveExact),
        3 => Just(Op::ShrinkToFit),
        2 => len.prop_map(Op::ShrinkTo),
        2 => bytes(20).prop_map(Op::Spare),
        3 => (at, any::<u8>()).prop_map(|(at, value)| Op::Write(at, value)),
        1 => Just(Op::Sort),
        2 => Just(Op::Clone),
        2 => (0_usize..9, 0_usize..9).prop_map(|(front, back)| Op::IntoIter(front, back)),
        2 => Just(Op::Freeze),
        1 => Just(Op::IntoBox),
        8 => (0_usize..100, any::<u8>()).prop_map(|(len, fill)| Op::Neighbour(len, fill)),
    ]
}

fn sorted(start: usize, end: usize, len: usize) -> (usize, usize) {
    let (start, end) = (start.min(len), end.min(len));
    (start.min(end), start.max(end))
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

struct Case<'a, T, A: AnyArena> {
    arena: &'a A,
    real: ArenaVec<T, &'a A>,
    model: Vec<T>,
    /// What else lies in the arena, and the byte that fills it.
    neighbours: Vec<(&'a [u8], u8)>,
    /// What was frozen, and must not change any more.
    frozen: Vec<(&'a [T], Vec<T>)>,
}

impl<T: Element, A: AnyArena> Case<'_, T, A> {
    fn check(&self) {
        assert_eq!(self.real, self.model);
        assert_eq!((self.real.len(), self.real.is_empty()), (self.model.len(), self.model.is_empty()));
        assert!(self.real.capacity() >= self.real.len());
        assert!(self.real.as_ptr().is_aligned());
        for (bytes, fill) in &self.neighbours {
            assert!(bytes.iter().all(|byte| byte == fill), "a neighbour was overwritten");
        }
        for (slice, expected) in &self.frozen {
            assert_eq!(*slice, expected);
        }
    }

    /// A refused call has changed nothing that can be seen; one that was served is done to the model.
    fn told<R>(&mut self, served: Result<R, BudgetExceeded>, on_model: impl FnOnce(&mut Vec<T>)) {
        match served {
            Ok(_) => on_model(&mut self.model),
            Err(told) => assert!(told.used <= told.allowed, "{told}"),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each call")]
    fn step(&mut self, op: &Op) {
        let make = |values: &[u8]| values.iter().map(|value| T::make(*value)).collect::<Vec<T>>();
        let (arena, len) = (self.arena, self.model.len());
        match op {
            Op::New => (self.real, self.model) = (ArenaVec::new_in(arena), Vec::new()),
            Op::WithCapacity(cap) => {
                let made = if cap % 2 == 0 {
                    ArenaVec::try_with_capacity_in(*cap, arena)
                } else {
                    refused(|| ArenaVec::with_capacity_in(*cap, arena))
                };
                if let Ok(made) = made {
                    assert_eq!((made.capacity(), made.len()), (*cap, 0));
                    (self.real, self.model) = (made, Vec::new());
                }
            }
            Op::FromIter(values, hint) => {
                let values = make(values);
                let iter = Hinting(values.iter().copied(), *hint);
                let made = if hint % 2 == 0 {
                    ArenaVec::try_from_iter_in(iter, arena)
                } else {
                    refused(|| ArenaVec::from_iter_in(iter, arena))
                };
                if let Ok(made) = made {
                    (self.real, self.model) = (made, values);
                }
            }
            Op::Push(value) => {
                let value = T::make(*value);
                let served = if len % 2 == 0 { self.real.try_push(value) } else { refused(|| self.real.push(value)) };
                self.told(served, |model| model.push(value));
            }
            Op::Pop => assert_eq!(self.real.pop(), self.model.pop()),
            Op::PopIf(bit) => {
                let mut asked = None;
                let popped = self.real.pop_if(|last| {
                    asked = Some(*last);
                    bit % 2 == 0
                });
                assert_eq!(asked, self.model.last().copied());
                assert_eq!(popped, if bit % 2 == 0 { self.model.pop() } else { None });
            }
            Op::Insert(at, value) => {
                let (at, value) = (at % (len + 1), T::make(*value));
                let served =
                    if at % 2 == 0 { self.real.try_insert(at, value) } else { refused(|| self.real.insert(at, value)) };
                self.told(served, |model| model.insert(at, value));
            }
            Op::Remove(at) if len > 0 => assert_eq!(self.real.remove(at % len), self.model.remove(at % len)),
            Op::SwapRemove(at) if len > 0 => {
                assert_eq!(self.real.swap_remove(at % len), self.model.swap_remove(at % len));
            }
            Op::Truncate(to) => {
                self.real.truncate(*to);
                self.model.truncate(*to);
            }
            Op::Clear => {
                let cap = self.real.capacity();
                self.real.clear();
                self.model.clear();
                assert_eq!(self.real.capacity(), cap);
            }
            Op::Retain(mask) => {
                let mut index = 0;
                let mut keep = |_: &T| {
                    index += 1;
                    mask >> (index % 8) & 1 == 1
                };
                self.real.retain(&mut keep);
                index = 0;
                self.model.retain(|_| {
                    index += 1;
                    mask >> (index % 8) & 1 == 1
                });
            }
            Op::RetainMut(mask) => {
                let change = |index: &mut u8, value: &mut T| {
                    *index = index.wrapping_add(1);
                    *value = T::make(*index);
                    mask >> (*index % 8) & 1 == 1
                };
                let (mut one, mut other) = (0, 0);
                self.real.retain_mut(|value| change(&mut one, value));
                self.model.retain_mut(|value| change(&mut other, value));
                assert_eq!(one, other);
            }
            Op::DedupBy(bit) => {
                let same = |calls: &mut Vec<(T, T)>, a: &T, b: &T| {
                    calls.push((*a, *b));
                    a == b || (calls.len() + usize::from(*bit)).is_multiple_of(3)
                };
                let (mut one, mut other) = (Vec::new(), Vec::new());
                self.real.dedup_by(|a, b| same(&mut one, a, b));
                self.model.dedup_by(|a, b| same(&mut other, a, b));
                assert_eq!(one, other, "the same pairs, the later element first");
            }
            Op::DedupByKey(bits) => {
                self.real.dedup_by_key(|value| hash_of(value) & u64::from(bits % 4));
                self.model.dedup_by_key(|value| hash_of(value) & u64::from(bits % 4));
            }
            Op::Dedup => {
                self.real.dedup();
                self.model.dedup();
            }
            Op::ExtendFromSlice(values) => {
                let values = make(values);
                let served = if len % 2 == 0 {
                    self.real.try_extend_from_slice(&values)
                } else {
                    refused(|| self.real.extend_from_slice(&values))
                };
                self.told(served, |model| model.extend_from_slice(&values));
            }
            Op::ExtendFromWithin(start, end) => {
                let (start, end) = sorted(*start, *end, len);
                let served = refused(|| self.real.extend_from_within(start..end));
                self.told(served, |model| model.extend_from_within(start..end));
            }
            Op::Extend(values, hint) => {
                let values = make(values);
                let served = refused(|| self.real.extend(Hinting(values.iter().copied(), *hint)));
                if served.is_ok() {
                    self.model.extend(values);
                } else {
                    // What was yielded by then is in it.
                    let taken = self.real.len() - len;
                    self.model.extend(&values[..taken]);
                }
            }
            Op::ExtendRef(values) => {
                let values = make(values);
                let served = refused(|| self.real.extend(&values));
                self.told(served, |model| model.extend(&values));
            }
            Op::Append(values, elsewhere) => {
                let mut values = make(values);
                let outside = SharedArena::new();
                let served = if *elsewhere {
                    let mut other = ArenaVec::from_iter_in(values.iter().copied(), &outside);
                    let served = refused(|| self.real.append(&mut other));
                    assert_eq!(other, if served.is_ok() { &[] } else { &values[..] });
                    served
                } else if let Ok(mut other) = ArenaVec::try_from_iter_in(values.iter().copied(), arena) {
                    let served = refused(|| self.real.append(&mut other));
                    assert_eq!(other, if served.is_ok() { &[] } else { &values[..] });
                    served
                } else {
                    return;
                };
                self.told(served, |model| model.append(&mut values));
            }
            Op::Resize(to, value) => {
                let served = refused(|| self.real.resize(*to, T::make(*value)));
                self.told(served, |model| model.resize(*to, T::make(*value)));
            }
            Op::ResizeWith(to, value) => {
                let counted = |made: &mut u8| {
                    *made = made.wrapping_add(1);
                    T::make(made.wrapping_mul(*value))
                };
                let (mut one, mut other) = (0, 0);
                let served = refused(|| self.real.resize_with(*to, || counted(&mut one)));
                self.told(served, |model| model.resize_with(*to, || counted(&mut other)));
                assert_eq!(one, other, "as often, and never when it is refused");
            }
            Op::Drain(start, end, front, back, leave) => {
                let (start, end) = sorted(*start, *end, len);
                let mut drain = self.real.drain(start..end);
                let mut expected = self.model.drain(start..end);
                assert_eq!((drain.len(), drain.size_hint()), (end - start, (end - start, Some(end - start))));
                for _ in 0..*front {
                    assert_eq!(drain.next(), expected.next());
                }
                for _ in 0..*back {
                    assert_eq!(drain.next_back(), expected.next_back());
                }
                // Those that are left in it are gone all the same.
                if !leave {
                    assert!(drain.eq(expected.by_ref()));
                }
            }
            Op::SplitOff(at) => {
                let at = at % (len + 1);
                let rest = refused(|| self.real.split_off(at));
                if let Ok(rest) = rest {
                    assert_eq!(rest, self.model.split_off(at));
                }
            }
            Op::Reserve(more) => {
                let served =
                    if more % 2 == 0 { self.real.try_reserve(*more) } else { refused(|| self.real.reserve(*more)) };
                assert!(served.is_err() || self.real.capacity() >= len + more);
            }
            Op::ReserveExact(more) => {
                let before = self.real.capacity();
                let served = if more % 2 == 0 {
                    self.real.try_reserve_exact(*more)
                } else {
                    refused(|| self.real.reserve_exact(*more))
                };
                assert_eq!(self.real.capacity(), if served.is_ok() { before.max(len + more) } else { before });
            }
            Op::ShrinkToFit => {
                self.real.shrink_to_fit();
                assert_eq!(self.real.capacity(), len);
            }
            Op::ShrinkTo(cap) => {
                let before = self.real.capacity();
                self.real.shrink_to(*cap);
                assert_eq!(self.real.capacity(), before.min(len.max(*cap)));
            }
            Op::Spare(values) => {
                let values = make(values);
                let room = self.real.spare_capacity_mut();
                let count = values.len().min(room.len());
                for (slot, value) in room.iter_mut().zip(&values) {
                    slot.write(*value);
                }
                // SAFETY: so many were written behind `len`.
                unsafe { self.real.set_len(len + count) };
                self.model.extend(&values[..count]);
            }
            Op::Write(at, value) if len > 0 => {
                let at = at % len;
                self.real[at] = T::make(*value);
                self.model[at] = T::make(*value);
                self.real[at..].reverse();
                self.model[at..].reverse();
            }
            Op::Remove(_) | Op::SwapRemove(_) | Op::Write(..) => {}
            Op::Sort => {
                self.real.sort();
                self.model.sort();
            }
            Op::Clone => {
                if let Ok(clone) = refused(|| self.real.clone()) {
                    assert_eq!(clone.capacity(), len, "no larger than it must be");
                    // The clone goes on: what lies behind the original must not show.
                    let original = mem::replace(&mut self.real, clone);
                    self.frozen.push((original.into_slice(), self.model.clone()));
                }
            }
            Op::IntoIter(front, back) => {
                let mut iter = mem::replace(&mut self.real, ArenaVec::new_in(arena)).into_iter();
                let mut expected = mem::take(&mut self.model).into_iter();
                for _ in 0..*front {
                    assert_eq!(iter.next(), expected.next());
                }
                for _ in 0..*back {
                    assert_eq!(iter.next_back(), expected.next_back());
                }
                assert_eq!((iter.as_slice(), iter.size_hint()), (expected.as_slice(), expected.size_hint()));
                if let Ok(real) = ArenaVec::try_from_iter_in(iter, arena) {
                    (self.real, self.model) = (real, expected.collect());
                }
            }
            Op::Freeze => {
                let frozen = mem::replace(&mut self.real, ArenaVec::new_in(arena)).into_slice();
                self.frozen.push((frozen, mem::take(&mut self.model)));
            }
            Op::IntoBox => {
                let boxed = mem::replace(&mut self.real, ArenaVec::new_in(arena)).into_boxed_slice();
                assert_eq!(*boxed, *mem::take(&mut self.model));
            }
            Op::Neighbour(size, fill) => {
                if let Ok(block) = arena.try_alloc_slice_fill_with(*size, |_| *fill) {
                    self.neighbours.push((block, *fill));
                }
            }
        }
    }
}

fn run<T: Element, A: AnyArena>(arena: &A, ops: &[Op]) {
    let mut case = Case {
        arena,
        real: ArenaVec::<T, _>::new_in(arena),
        model: Vec::new(),
        neighbours: Vec::new(),
        frozen: Vec::new(),
    };
    for op in ops {
        case.step(op);
        case.check();
    }
}

/// On both kinds of arena, with every reset; twice on the same arena, so that its memory comes back used.
fn run_everywhere<T: Element>(budget: usize, ops: &[Op]) {
    for reset in [Reset::Keep, Reset::Poison, Reset::Wipe] {
        let options = ArenaOptions::new().on_reset(reset).budget_bytes_max(budget).first_chunk_bytes(512);
        let (mut arena, mut shared) = (options.arena(), options.shared());
        for _ in 0..2 {
            run::<T, _>(&arena, ops);
            run::<T, _>(&shared, ops);
            arena.reset();
            shared.reset();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words(ops in prop::collection::vec(op(), 1..120)) {
        run_everywhere::<u64>(usize::MAX, &ops);
    }

    #[test]
    fn odd_sizes(ops in prop::collection::vec(op(), 1..80)) {
        run_everywhere::<u8>(usize::MAX, &ops);
        run_everywhere::<[u8; 3]>(usize::MAX, &ops);
        run_everywhere::<&'static str>(usize::MAX, &ops);
    }

    #[test]
    fn no_bytes(ops in prop::collection::vec(op(), 1..80)) {
        run_everywhere::<()>(usize::MAX, &ops);
        run_everywhere::<NoLine>(usize::MAX, &ops);
    }

    #[test]
    fn a_small_budget_refuses_and_leaves_all_as_it_was(
        ops in prop::collection::vec(op(), 1..80),
        budget in 2048_usize..8000,
    ) {
        run_everywhere::<u8>(budget, &ops);
        run_everywhere::<u64>(budget, &ops);
        run_everywhere::<[u64; 33]>(budget * 16, &ops);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages(ops in prop::collection::vec(op(), 1..30), budget in 4096_usize..400_000) {
        run_everywhere::<Page>(usize::MAX, &ops);
        run_everywhere::<Page>(budget, &ops);
    }
}

#[test]
fn ranges_are_checked_as_std_checks_them() {
    let arena = Arena::new();
    let bounds = [Bound::Unbounded, Bound::Included(0), Bound::Included(2), Bound::Included(3), Bound::Included(4)]
        .into_iter()
        .chain([Bound::Excluded(0), Bound::Excluded(2), Bound::Excluded(3), Bound::Excluded(4)])
        .chain([Bound::Included(usize::MAX), Bound::Excluded(usize::MAX)]);
    for start in bounds.clone() {
        for end in bounds.clone() {
            let mut model = vec![1, 2, 3];
            let expected = catch_unwind(AssertUnwindSafe(|| model.drain((start, end)).collect::<Vec<_>>()));
            let mut real = ArenaVec::from_iter_in([1, 2, 3], &arena);
            let found = catch_unwind(AssertUnwindSafe(|| real.drain((start, end)).collect::<Vec<_>>()));
            assert_eq!(found.ok(), expected.ok(), "{start:?}..{end:?}");
            assert_eq!(real, model, "{start:?}..{end:?}");
            let mut within = ArenaVec::from_iter_in([1, 2, 3], &arena);
            let mut model = vec![1, 2, 3];
            let expected = catch_unwind(AssertUnwindSafe(|| model.extend_from_within((start, end)))).is_ok();
            let found = catch_unwind(AssertUnwindSafe(|| within.extend_from_within((start, end)))).is_ok();
            assert_eq!((found, within.as_slice()), (expected, model.as_slice()), "{start:?}..{end:?}");
        }
    }
}

#[test]
fn indices_beyond_the_end_panic_and_change_nothing() {
    let arena = Arena::new();
    let mut values = ArenaVec::from_iter_in([1, 2, 3], &arena);
    let mut panics = |call: &mut dyn FnMut(&mut ArenaVec<i32, &Arena>)| {
        assert!(catch_unwind(AssertUnwindSafe(|| call(&mut values))).is_err());
        assert_eq!(values, [1, 2, 3]);
    };
    panics(&mut |values| values.insert(4, 0));
    panics(&mut |values| _ = values.try_insert(4, 0));
    panics(&mut |values| _ = values.remove(3));
    panics(&mut |values| _ = values.swap_remove(3));
    panics(&mut |values| _ = values.split_off(4));
    panics(&mut |values| _ = values[3]);
    panics(&mut |values| values[usize::MAX] = 0);
    panics(&mut |values| _ = values[2..5].len());
    let mut empty: ArenaVec<i32, _> = ArenaVec::new_in(&arena);
    assert!(catch_unwind(AssertUnwindSafe(|| empty.swap_remove(0))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| empty.remove(0))).is_err());
    assert_eq!((empty.pop(), empty.pop_if(|_| true)), (None, None));
}

/// `call` is refused with an error that says so, and not by an abort or an overflow.
#[track_caller]
fn overflows<R>(call: impl FnOnce() -> R) {
    let told = refused(call).err().expect("refused");
    assert!(told.asked >= usize::MAX / 4, "{told:?}");
}

#[test]
fn capacities_that_overflow_are_refused() {
    fn on<A: AnyArena>(arena: &A) {
        for cap in [usize::MAX, usize::MAX / 8, usize::MAX / 8 + 1, isize::MAX as usize / 8 + 1, isize::MAX as usize] {
            overflows(|| ArenaVec::<u64, _>::with_capacity_in(cap, arena));
            assert!(ArenaVec::<u64, _>::try_with_capacity_in(cap, arena).is_err());
            let mut values = ArenaVec::from_iter_in([1_u64, 2, 3], arena);
            overflows(|| values.reserve(cap));
            overflows(|| values.reserve_exact(cap));
            overflows(|| values.resize(cap, 0));
            overflows(|| values.extend(Hinting(0_u64..9, cap)));
            assert!(values.try_reserve(cap).is_err() && values.try_reserve_exact(cap).is_err());
            assert!(ArenaVec::try_from_iter_in(Hinting(0_u64..9, cap), arena).is_err());
            assert_eq!(values, [1, 2, 3]);
            values.push(4);
            assert_eq!(values, [1, 2, 3, 4], "it goes on");
        }
        let page = refused(|| ArenaVec::<Page, _>::with_capacity_in(usize::MAX / 4096, arena));
        assert!(page.is_err());
        assert!(ArenaVec::<u8, _>::try_with_capacity_in(isize::MAX as usize, arena).is_err());
        assert!(ArenaVec::<u8, _>::try_with_capacity_in(isize::MAX as usize - 7, arena).is_err());
        assert!(ArenaVec::<u8, _>::try_with_capacity_in(1 << 60, arena).is_err());
    }
    on(&Arena::new());
    on(&SharedArena::new());
}

#[test]
fn elements_without_bytes_count_up_to_the_largest_number() {
    let arena = Arena::new();
    let mut units = ArenaVec::with_capacity_in(usize::MAX, &arena);
    assert_eq!(units.capacity(), usize::MAX);
    units.push(());
    // SAFETY: there is room, and a unit has no bytes to be written.
    unsafe { units.set_len(usize::MAX - 1) };
    units.push(());
    assert_eq!(units.len(), usize::MAX);
    assert!(units.try_reserve(0).is_ok() && units.try_reserve(1).is_err() && units.try_push(()).is_err());
    overflows(|| units.push(()));
    overflows(|| units.append(&mut ArenaVec::from_iter_in([()], &arena)));
    overflows(|| units.insert(7, ()));
    assert_eq!(units.len(), usize::MAX, "it did not wrap");
    assert_eq!((units.pop(), units.len()), (Some(()), usize::MAX - 1));
    assert_eq!(units.drain(1..).len(), usize::MAX - 2);
    assert_eq!(units, [()]);
    assert_eq!(arena.figures().used_bytes, 0, "nothing was taken for nothing");
}

#[test]
fn the_newest_block_grows_in_its_place() {
    let arena = Arena::with_capacity(64 << 10);
    let mut values = ArenaVec::new_in(&arena);
    values.push(0_u64);
    let at = values.as_ptr();
    for value in 1..4096 {
        values.push(value);
        assert_eq!(values.as_ptr(), at, "not moved at {value}");
    }
    let used = arena.figures().used_bytes;
    assert_eq!(used, 4096 * 8, "and its room is all that was taken");
    let mut sum = 0;
    values.retain(|value| {
        sum += value;
        value % 2 == 0
    });
    assert_eq!((sum, values.len(), values.as_ptr()), (4095 * 2048, 2048, at));
    values.shrink_to_fit();
    assert_eq!(arena.figures().used_bytes, if arena_reuses() { 2048 * 8 } else { used });
    let frozen = values.into_slice();
    assert_eq!((frozen.as_ptr(), frozen[2047]), (at, 4094));
}

/// With `Reset::Poison`, the default of debug builds, what was written is not handed out again before the reset.
const fn arena_reuses() -> bool {
    !cfg!(debug_assertions)
}

#[test]
fn into_slice_gives_the_rest_back() {
    let arena = ArenaOptions::new().on_reset(Reset::Keep).arena();
    let mut values = ArenaVec::with_capacity_in(1000, &arena);
    values.extend([1_u64, 2, 3]);
    let frozen = values.into_slice();
    assert_eq!(arena.figures().used_bytes, 24);
    frozen[0] = 9;
    let next = arena.alloc(7_u64);
    assert_eq!((&*frozen, *next), (&[9, 2, 3][..], 7));
    let mut values = ArenaVec::with_capacity_in(10, &arena);
    values.push(1_u8);
    let beside = arena.alloc(2_u8);
    assert_eq!(values.into_slice(), [1]); // not the newest: stays as it is
    assert_eq!(*beside, 2);
}

/// Shrinking a block that is not the newest must not make the arena take it for smaller than it is.
#[test]
fn shrunk_in_the_middle_and_grown_again() {
    let arena = ArenaOptions::new().on_reset(Reset::Keep).arena();
    let mut one = ArenaVec::with_capacity_in(16, &arena);
    one.extend(0..16_u64);
    let mut other = ArenaVec::with_capacity_in(4, &arena);
    other.extend(100..104_u64);
    one.truncate(4);
    one.shrink_to_fit();
    assert_eq!(one.capacity(), 4);
    other.clear();
    other.shrink_to_fit(); // the finger is back at the first vector's old end
    one.extend(4..40);
    other.extend(200..300);
    assert!(one.iter().copied().eq(0..40) && other.iter().copied().eq(200..300));
}

#[test]
fn iterators_may_build_in_the_arena_that_they_fill() {
    fn on<A: AnyArena>(arena: &A) {
        let nested = ArenaVec::from_iter_in(
            (0..50_u32).map(|i| ArenaVec::from_iter_in((0..i).map(|j| arena.alloc(j)), arena)),
            arena,
        );
        for (i, inner) in nested.iter().enumerate() {
            assert!(inner.iter().enumerate().all(|(j, value)| **value as usize == j));
            assert_eq!(inner.len(), i);
        }
        let mut names = ArenaVec::new_in(arena);
        names.extend((0..200).filter(|i| i % 3 > 0).map(|i| &*arena.format(format_args!("vm-{i}"))));
        names.resize_with(300, || arena.concat(("more-", 7_u8)));
        names.retain(|name| *arena.alloc_str(name) != *"vm-1");
        names.dedup_by(|a, b| arena.alloc_str(a) == arena.alloc_str(b));
        assert_eq!((names[0], names[132], names.len()), ("vm-2", "more-7", 133));
        let mut taken = ArenaVec::new_in(arena);
        for name in names.drain(10..) {
            taken.push(name);
            arena.alloc(1_u8);
        }
        assert_eq!((names.len(), taken.len(), taken[122]), (10, 123, "more-7"));
    }
    on(&Arena::new());
    on(&SharedArena::new());
}

/// An element whose clone builds in the arena, and one whose clone panics.
#[test]
fn clones_may_build_and_panic() {
    #[derive(Debug)]
    struct Node<'a>(&'a Arena, &'a u32, u32);
    impl Clone for Node<'_> {
        fn clone(&self) -> Self {
            assert!(self.2 != 9, "no clone of the ninth");
            Self(self.0, self.0.alloc(*self.1 + 1), self.2)
        }
    }
    let arena = Arena::new();
    let mut nodes = ArenaVec::from_iter_in((0..9).map(|i| Node(&arena, arena.alloc(i), i)), &arena);
    let more = nodes.clone();
    nodes.extend_from_slice(&more);
    nodes.extend_from_within(..3);
    nodes.resize(25, more[1].clone());
    assert!(nodes.iter().take(9).zip(0..).all(|(node, i)| (*node.1, node.2) == (i, i)));
    assert_eq!((nodes[9 + 8].1, nodes[18 + 2].1, nodes[24].1), (&10, &3, &4));
    let bad = [Node(&arena, arena.alloc(0), 3), Node(&arena, arena.alloc(0), 9)];
    assert!(catch_unwind(AssertUnwindSafe(|| nodes.extend_from_slice(&bad))).is_err());
    assert_eq!(nodes.len(), 25, "nothing was appended");
    nodes.push(Node(&arena, arena.alloc(5), 9));
    assert!(catch_unwind(AssertUnwindSafe(|| nodes.clone())).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| nodes.extend_from_within(24..))).is_err());
    assert!(nodes.len() >= 26 && nodes[25].2 == 9);
}

#[test]
fn closures_that_panic_lose_no_element_twice() {
    let arena = Arena::new();
    for panics_at in 0..20_usize {
        let numbers = || ArenaVec::from_iter_in(0..20_usize, &arena);
        let mut calls = 0;
        let mut values = numbers();
        let mut count = || {
            calls += 1;
            assert!(calls != panics_at + 1, "no more");
        };
        let result = catch_unwind(AssertUnwindSafe(|| {
            values.retain(|value| {
                count();
                value % 3 == 0
            });
        }));
        assert!(result.is_err());
        let expected: Vec<usize> = (0..20).filter(|value| value % 3 == 0 || *value >= panics_at).collect();
        assert_eq!(values, expected, "kept, and not asked yet");

        let mut values = numbers();
        values.extend(0..20);
        values.sort_unstable();
        calls = 0;
        let result = catch_unwind(AssertUnwindSafe(|| {
            values.dedup_by(|a, b| {
                calls += 1;
                assert!(calls != panics_at + 1, "no more");
                a == b
            });
        }));
        assert!(result.is_err());
        assert!((20..=40).contains(&values.len()));
        values.sort_unstable();
        values.dedup();
        assert!(values.iter().copied().eq(0..20), "each is still there");

        let mut values = ArenaVec::from_iter_in([7; 5], &arena);
        calls = 0;
        let result = catch_unwind(AssertUnwindSafe(|| {
            values.resize_with(100, || {
                calls += 1;
                assert!(calls != panics_at + 1, "no more");
                calls
            });
        }));
        assert!(result.is_err());
        assert!(values[..5] == [7; 5] && values[5..].iter().copied().eq(1..=panics_at), "what was made is in it");

        let result = catch_unwind(AssertUnwindSafe(|| {
            values.extend(Hinting((0..).inspect(|value| assert!(*value != panics_at, "no more")), 0));
        }));
        assert!(result.is_err());
        assert!(values.iter().rev().copied().take(panics_at).eq((0..panics_at).rev()));
        values.push(1);
        assert_eq!(values.pop(), Some(1));
    }
}

#[test]
fn compares_hashes_and_prints_as_a_slice() {
    let (arena, shared) = (Arena::new(), SharedArena::new());
    let values = ArenaVec::from_iter_in([1_u16, 2, 3], &arena);
    let same = ArenaVec::from_iter_in([1_u16, 2, 3], &shared);
    let more = ArenaVec::from_iter_in([1_u16, 2, 4], &arena);
    assert_eq!(values, same);
    assert_eq!(values, [1, 2, 3]);
    assert_eq!(values, &[1, 2, 3]);
    assert_eq!(values, [1, 2, 3][..]);
    assert_eq!(values, &[1, 2, 3][..]);
    assert_eq!(values, &mut [1, 2, 3][..]);
    assert_eq!(values, vec![1, 2, 3]);
    assert_ne!(values, [1, 2]);
    assert_ne!(values, more);
    assert_eq!(values.partial_cmp(&same), Some(Ordering::Equal));
    assert_eq!((values.cmp(&more), more > values), (Ordering::Less, true));
    assert_eq!(hash_of(&values), hash_of(&vec![1_u16, 2, 3]));
    assert_eq!(format!("{values:?} {values:#?}"), format!("{:?} {:#?}", [1, 2, 3], [1, 2, 3]));
    assert!(std::ptr::eq(values.arena(), &raw const arena));
    let slices: [&[u16]; 3] = [values.as_ref(), values.as_slice(), std::borrow::Borrow::borrow(&values)];
    assert!(slices.iter().all(|slice| *slice == [1, 2, 3]));
    let floats = ArenaVec::from_iter_in([f64::NAN], &arena);
    assert_ne!(floats, floats.clone());
    let mut names = ArenaVec::from_iter_in(["a"], &arena);
    names.as_mut()[0] = "b";
    std::borrow::BorrowMut::<[&str]>::borrow_mut(&mut names)[0] = "c";
    names.as_mut_slice()[0] = "d";
    assert_eq!((names.as_slice(), names == [String::from("d")]), (&["d"][..], true));
    for value in &mut names {
        *value = &value[1..];
    }
    assert_eq!((&names).into_iter().copied().collect::<String>(), "");
    assert_eq!(format!("{:?}", names.drain(..)), "Drain { left: 1 }");
}

#[test]
fn bytes_are_written() {
    let arena = Arena::new();
    let mut frame = ArenaVec::new_in(&arena);
    write!(frame, "{:>8}|", 7).unwrap();
    frame.write_all(b"body").unwrap();
    assert_eq!(frame.write(&[0; 1000]).unwrap(), 1000);
    frame.flush().unwrap();
    assert_eq!((&frame[..13], frame.len()), (&b"       7|body"[..], 1013));
    let small = ArenaOptions::new().budget_bytes_max(2048).arena();
    let mut frame = ArenaVec::from_iter_in(*b"head", &small);
    assert!(refused(|| frame.write(&[0; 4096])).is_err());
    assert_eq!(frame, b"head");
}

#[test]
fn a_vector_of_a_shared_arena_grows_on_any_thread() {
    let arena = SharedArena::new();
    let mut values = ArenaVec::new_in(&arena);
    for round in 0..10_u64 {
        values = std::thread::scope(|scope| {
            let hop = scope.spawn(move || {
                for value in 0..100 {
                    values.push(round * 100 + value);
                    values.arena().alloc(value);
                }
                values.shrink_to_fit();
                values
            });
            arena.alloc_slice_copy(&[1_u8; 100]);
            hop.join().unwrap()
        });
    }
    assert!(values.iter().copied().eq(0..1000));
}

/// A length that overflows is refused with the request's own numbers, whether or not there is a block already.
#[test]
fn a_length_that_overflows_is_refused_with_the_budgets_numbers() {
    let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    let mut bytes = ArenaVec::new_in(&arena);
    for _ in 0..2 {
        let refused = bytes.try_reserve(usize::MAX).unwrap_err();
        assert_eq!((refused.asked, refused.allowed), (usize::MAX, 4096));
        assert_eq!(refused.used, arena.figures().reserved_bytes);
        bytes.push(1_u8);
    }
    let mut map = FlatMap::<u64, u64, _>::new_in(&arena);
    assert_eq!(map.try_reserve(usize::MAX >> 1).unwrap_err().allowed, 4096);
    assert_eq!(map.try_reserve(1 << 33).unwrap_err().allowed, 4096);
}
