//! Sequences of operations on `collections::String`, and `format` and `concat` between them, beside std's: the same text
//! after each, always UTF-8, in whatever arena, under whatever budget.
//!
//! Run: `cargo +nightly fuzz run string_ops fuzz/corpus/string_ops fuzz/seeds/string_ops`
#![no_main]

use arbitrary::Arbitrary;
use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{String as ArenaString, Vec as ArenaVec};
use blixard_arena::{ArenaOptions, Reset};
use libfuzzer_sys::fuzz_target;
use std::fmt::Write;
use std::mem;

#[derive(Arbitrary, Debug)]
struct Input<'i> {
    budget: u16,
    bounded: bool,
    reset: u8,
    shared: bool,
    #[arbitrary(with = few)]
    ops: Vec<Op<'i>>,
}

fn few<'i>(from: &mut arbitrary::Unstructured<'i>) -> arbitrary::Result<Vec<Op<'i>>> {
    from.arbitrary_iter()?.take(200).collect()
}

#[derive(Arbitrary, Debug)]
enum Op<'i> {
    Push(char),
    PushStr(&'i str),
    PushConcat(&'i str, i64, u128, char),
    Pop,
    Insert(u8, char),
    InsertStr(u8, &'i str),
    Remove(u8),
    RemoveRange(u8, u8),
    ReplaceRange(u8, u8, &'i str),
    Truncate(u8),
    SplitOff(u8),
    Retain(u32),
    Extend(&'i str),
    Write(&'i str, i32, u8),
    Lossy(&'i [u8]),
    Utf8(&'i [u8]),
    Reserve(u8),
    ShrinkToFit,
    Freeze,
    IntoBytes,
    Format(&'i str, u64, u8),
    Concat(&'i str, i128, bool, char),
    Neighbour(u8),
}

struct Case<'a, A: AnyArena> {
    arena: &'a A,
    budget: usize,
    real: ArenaString<&'a A>,
    model: String,
    frozen: Vec<(&'a str, String)>,
}

impl<A: AnyArena> Case<'_, A> {
    /// Whether so many bytes more are within the budget for certain: the infallible calls would end the target.
    fn roomy(&mut self, bytes: usize) -> bool {
        let enough = 2 * (self.model.len() + bytes) + 4096;
        self.arena.figures().reserved_bytes + enough < self.budget
    }

    /// The boundary of a char at or before a byte.
    fn boundary(&self, at: u8) -> usize {
        self.model.floor_char_boundary(usize::from(at))
    }

    fn range(&self, start: u8, end: u8) -> std::ops::Range<usize> {
        let (start, end) = (self.boundary(start), self.boundary(end));
        start.min(end)..start.max(end)
    }

    fn step(&mut self, op: &Op<'_>) {
        let arena = self.arena;
        match *op {
            Op::Push(c) => {
                if self.real.try_push(c).is_ok() {
                    self.model.push(c);
                }
            }
            Op::PushStr(text) => {
                if self.real.try_push_str(text).is_ok() {
                    self.model.push_str(text);
                }
            }
            Op::PushConcat(text, small, large, c) => {
                if self.roomy(text.len() + 80) {
                    self.real.push_concat((text, small, (c, large), true));
                    write!(self.model, "{text}{small}{c}{large}true").unwrap();
                }
            }
            Op::Pop => assert_eq!(self.real.pop(), self.model.pop()),
            Op::Insert(at, c) => {
                if self.roomy(4) {
                    let at = self.boundary(at);
                    self.real.insert(at, c);
                    self.model.insert(at, c);
                }
            }
            Op::InsertStr(at, text) => {
                if self.roomy(text.len()) {
                    let at = self.boundary(at);
                    self.real.insert_str(at, text);
                    self.model.insert_str(at, text);
                }
            }
            Op::Remove(at) => {
                let at = self.boundary(at);
                if at < self.model.len() {
                    assert_eq!(self.real.remove(at), self.model.remove(at));
                }
            }
            Op::RemoveRange(start, end) => {
                let range = self.range(start, end);
                let gone = self.real.drain(range.clone());
                assert!(gone.eq(self.model.drain(range)));
            }
            Op::ReplaceRange(start, end, with) => {
                if self.roomy(with.len()) {
                    let range = self.range(start, end);
                    self.real.replace_range(range.clone(), with);
                    self.model.replace_range(range, with);
                }
            }
            Op::Truncate(at) => {
                let at = self.boundary(at);
                self.real.truncate(at);
                self.model.truncate(at);
            }
            Op::SplitOff(at) => {
                if self.roomy(0) {
                    let at = self.boundary(at);
                    assert_eq!(self.real.split_off(at), self.model.split_off(at));
                }
            }
            Op::Retain(mask) => {
                let keep = |calls: &mut u32| {
                    *calls += 1;
                    mask >> (*calls % 32) & 1 == 1
                };
                let (mut one, mut other) = (0, 0);
                self.real.retain(|_| keep(&mut one));
                self.model.retain(|_| keep(&mut other));
            }
            Op::Extend(text) => {
                if self.roomy(text.len()) {
                    self.real.extend(text.chars());
                    self.model.push_str(text);
                }
            }
            Op::Write(text, number, width) => {
                let width = usize::from(width);
                if self.roomy(text.len() + 4 * width + 20) {
                    write!(self.real, "{text:>width$}|{number:+}|{text:?}").unwrap();
                    write!(self.model, "{text:>width$}|{number:+}|{text:?}").unwrap();
                }
            }
            Op::Lossy(bytes) => {
                if self.roomy(3 * bytes.len()) {
                    self.real = ArenaString::from_utf8_lossy_in(bytes, arena);
                    self.model = String::from_utf8_lossy(bytes).into_owned();
                }
            }
            Op::Utf8(bytes) => {
                if let Ok(copy) = ArenaVec::try_from_iter_in(bytes.iter().copied(), arena) {
                    match (ArenaString::from_utf8(copy), std::str::from_utf8(bytes)) {
                        (Ok(made), Ok(text)) => (self.real, self.model) = (made, text.to_owned()),
                        (made, expected) => assert_eq!(made.err(), expected.err()),
                    }
                }
            }
            Op::Reserve(more) => {
                let served = self.real.try_reserve(usize::from(more)).is_ok();
                assert!(!served || self.real.capacity() >= self.model.len() + usize::from(more));
            }
            Op::ShrinkToFit => self.real.shrink_to_fit(),
            Op::Freeze => {
                let frozen = mem::replace(&mut self.real, ArenaString::new_in(arena)).into_str();
                self.frozen.push((frozen, mem::take(&mut self.model)));
            }
            Op::IntoBytes => {
                let bytes = mem::replace(&mut self.real, ArenaString::new_in(arena)).into_bytes();
                self.real = ArenaString::from_utf8(bytes).unwrap();
            }
            Op::Format(text, number, width) => {
                let width = usize::from(width);
                if let Ok(made) = arena.try_format(format_args!("{text:>width$}{number:x}{}", self.real)) {
                    self.frozen.push((made, format!("{text:>width$}{number:x}{}", self.model)));
                }
            }
            Op::Concat(text, number, flag, c) => {
                if let Ok(made) = arena.try_concat((text, (number, flag), c, &self.real)) {
                    self.frozen.push((made, format!("{text}{number}{flag}{c}{}", self.model)));
                }
            }
            Op::Neighbour(len) => {
                let text = "\u{e9}".repeat(usize::from(len));
                self.frozen.extend(arena.try_alloc_str(&text).ok().map(|made| (&*made, text)));
            }
        }
        assert_eq!(self.real, self.model);
        assert!(std::str::from_utf8(self.real.as_bytes()).is_ok() && self.real.capacity() >= self.real.len());
        assert!(self.frozen.iter().all(|(text, expected)| text == expected), "what was frozen changed");
    }
}

fn run<A: AnyArena>(arena: &A, budget: usize, ops: &[Op<'_>]) {
    let real = ArenaString::new_in(arena);
    let mut case = Case { arena, budget, real, model: String::new(), frozen: Vec::new() };
    ops.iter().for_each(|op| case.step(op));
}

fuzz_target!(|input: Input<'_>| {
    let budget = if input.bounded { 2048 + usize::from(input.budget) } else { usize::MAX };
    let reset = [Reset::Keep, Reset::Poison, Reset::Wipe][usize::from(input.reset % 3)];
    let options = ArenaOptions::new().budget_bytes_max(budget).on_reset(reset);
    if input.shared {
        run(&options.shared(), budget, &input.ops);
    } else {
        run(&options.arena(), budget, &input.ops);
    }
});
