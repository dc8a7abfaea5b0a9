//! `collections::String` beside std's, and `format` and `concat` beside `format!`: every call in long random sequences, all
//! extremes of the numbers, budgets, and `Display` implementations that panic, fail, or build in the arena they write to.
//!
//! Over the public API. After every call the bytes are checked to be UTF-8. Between calls other values are built in the same
//! arena, which must keep their contents.
#![expect(
    clippy::items_after_statements,
    clippy::redundant_closure_for_method_calls,
    clippy::cmp_owned,
    reason = "types stand in their tests; paths of methods have one lifetime too few; every comparison is tried"
)]

use super::callers::refused;
use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{String as ArenaString, Vec as ArenaVec};
use blixard_arena::{Arena, ArenaOptions, BudgetExceeded, Reset, SharedArena};
use proptest::prelude::*;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Display, Write};
use std::hash::{Hash, Hasher};
use std::mem;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[derive(Clone, Debug)]
enum Op {
    New,
    WithCapacity(usize),
    FromStr(String),
    FromIter(String),
    FromUtf8(Vec<u8>),
    FromUtf8Lossy(Vec<u8>),
    Push(char),
    PushStr(String),
    PushConcat(String, i64, char),
    Pop,
    Insert(usize, char),
    InsertStr(usize, String),
    Remove(usize),
    RemoveRange(usize, usize),
    ReplaceRange(usize, usize, String),
    Truncate(usize),
    SplitOff(usize),
    Clear,
    Retain(u32),
    Extend(String, u8),
    Write(String, i32),
    Reserve(usize),
    ShrinkToFit,
    Upper,
    Clone,
    IntoStr,
    IntoBytes,
    Neighbour(usize),
}

fn op() -> impl Strategy<Value = Op> {
    // Texts with chars of one to four bytes.
    let text = || "[ab\u{e9}\u{20ac}\u{1f980}]{0,24}";
    let long = "[a-z\u{e9}]{0,90}";
    let (at, bytes) = (0_usize..80, || prop::collection::vec(any::<u8>(), 0..20));
    prop_oneof![
        1 => Just(Op::New),
        1 => (0_usize..100).prop_map(Op::WithCapacity),
        2 => text().prop_map(Op::FromStr),
        2 => text().prop_map(Op::FromIter),
        1 => bytes().prop_map(Op::FromUtf8),
        2 => bytes().prop_map(Op::FromUtf8Lossy),
        8 => any::<char>().prop_map(Op::Push),
        8 => text().prop_map(Op::PushStr),
        5 => long.prop_map(Op::PushStr),
        5 => (text(), any::<i64>(), any::<char>()).prop_map(|(text, number, c)| Op::PushConcat(text, number, c)),
        5 => Just(Op::Pop),
        4 => (at.clone(), any::<char>()).prop_map(|(at, c)| Op::Insert(at, c)),
        4 => (at.clone(), text()).prop_map(|(at, text)| Op::InsertStr(at, text)),
        4 => at.clone().prop_map(Op::Remove),
        4 => (at.clone(), at.clone()).prop_map(|(start, end)| Op::RemoveRange(start, end)),
        4 => (at.clone(), at.clone(), text()).prop_map(|(start, end, with)| Op::ReplaceRange(start, end, with)),
        3 => at.clone().prop_map(Op::Truncate),
        2 => at.prop_map(Op::SplitOff),
        1 => Just(Op::Clear),
        3 => any::<u32>().prop_map(Op::Retain),
        4 => (text(), any::<u8>()).prop_map(|(text, how)| Op::Extend(text, how)),
        4 => (text(), any::<i32>()).prop_map(|(text, number)| Op::Write(text, number)),
        2 => (0_usize..100).prop_map(Op::Reserve),
        2 => Just(Op::ShrinkToFit),
        1 => Just(Op::Upper),
        2 => Just(Op::Clone),
        2 => Just(Op::IntoStr),
        1 => Just(Op::IntoBytes),
        5 => (0_usize..60).prop_map(Op::Neighbour),
    ]
}

struct Case<'a, A: AnyArena> {
    arena: &'a A,
    real: ArenaString<&'a A>,
    model: String,
    neighbours: Vec<&'a [u8]>,
    frozen: Vec<(&'a str, String)>,
}

impl<A: AnyArena> Case<'_, A> {
    fn check(&self) {
        assert_eq!(self.real, self.model);
        assert!(std::str::from_utf8(self.real.as_bytes()).is_ok());
        assert_eq!((self.real.len(), self.real.is_empty()), (self.model.len(), self.model.is_empty()));
        assert!(self.real.capacity() >= self.real.len());
        assert!(self.neighbours.iter().all(|bytes| bytes.iter().all(|byte| *byte == 0xa5)), "a neighbour changed");
        assert!(self.frozen.iter().all(|(text, expected)| text == expected), "what was frozen changed");
    }

    /// Does the same to both: they end in the same way, by a value, by a panic, or by a refusal that changed nothing.
    fn both<R: PartialEq + fmt::Debug>(
        &mut self,
        real: impl FnOnce(&mut ArenaString<&A>) -> R,
        model: impl FnOnce(&mut String) -> R,
    ) {
        let before = self.model.clone();
        let expected = catch_unwind(AssertUnwindSafe(|| model(&mut self.model)));
        match catch_unwind(AssertUnwindSafe(|| real(&mut self.real))) {
            Err(payload) if payload.is::<BudgetExceeded>() => self.model = before,
            found => {
                assert_eq!(found.ok(), expected.ok());
            }
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each call")]
    fn step(&mut self, op: &Op) {
        let arena = self.arena;
        let set = |case: &mut Self, made: Result<ArenaString<_>, BudgetExceeded>, text: &str| {
            if let Ok(made) = made {
                (case.real, case.model) = (made, text.to_owned());
            }
        };
        match op {
            Op::New => (self.real, self.model) = (ArenaString::new_in(arena), String::new()),
            Op::WithCapacity(bytes) => {
                let made = if bytes % 2 == 0 {
                    ArenaString::try_with_capacity_in(*bytes, arena)
                } else {
                    refused(|| ArenaString::with_capacity_in(*bytes, arena))
                };
                assert!(made.as_ref().is_ok_and(|made| made.capacity() == *bytes) || made.is_err());
                set(self, made, "");
            }
            Op::FromStr(text) => set(self, refused(|| ArenaString::from_str_in(text, arena)), text),
            Op::FromIter(text) => set(self, refused(|| ArenaString::from_iter_in(text.chars(), arena)), text),
            Op::FromUtf8(bytes) => {
                let Ok(copy) = ArenaVec::try_from_iter_in(bytes.iter().copied(), arena) else { return };
                match (ArenaString::from_utf8(copy), std::str::from_utf8(bytes)) {
                    (Ok(made), Ok(text)) => set(self, Ok(made), text),
                    (made, expected) => assert_eq!(made.err(), expected.err()),
                }
            }
            Op::FromUtf8Lossy(bytes) => {
                let made = refused(|| ArenaString::from_utf8_lossy_in(bytes, arena));
                set(self, made, &String::from_utf8_lossy(bytes));
            }
            Op::Push(c) => {
                if u32::from(*c) % 2 == 0 {
                    self.both(|real| real.push(*c), |model| model.push(*c));
                } else if self.real.try_push(*c).is_ok() {
                    self.model.push(*c);
                }
            }
            Op::PushStr(text) => {
                if text.len() % 2 == 0 {
                    self.both(|real| real.push_str(text), |model| model.push_str(text));
                } else if self.real.try_push_str(text).is_ok() {
                    self.model.push_str(text);
                }
            }
            Op::PushConcat(text, number, c) => self.both(
                |real| real.push_concat((text, number, (*c, true), ArenaString::new_in(arena), &&text[..])),
                |model| write!(model, "{text}{number}{c}true{text}").expect("a String takes all"),
            ),
            Op::Pop => self.both(|real| real.pop(), |model| model.pop()),
            Op::Insert(at, c) => self.both(|real| real.insert(*at, *c), |model| model.insert(*at, *c)),
            Op::InsertStr(at, text) => {
                self.both(|real| real.insert_str(*at, text), |model| model.insert_str(*at, text));
            }
            Op::Remove(at) => self.both(|real| real.remove(*at), |model| model.remove(*at)),
            Op::RemoveRange(start, end) => {
                if start % 2 == 0 {
                    self.both(|real| real.remove_range(start..end), |model| drop(model.drain(start..end)));
                } else {
                    self.both(
                        |real| real.drain(start..end).as_str().to_owned(),
                        |model| model.drain(start..end).collect(),
                    );
                }
            }
            Op::ReplaceRange(start, end, with) => {
                self.both(|real| real.replace_range(start..=end, with), |model| model.replace_range(start..=end, with));
            }
            Op::Truncate(to) => self.both(|real| real.truncate(*to), |model| model.truncate(*to)),
            Op::SplitOff(at) => {
                self.both(|real| real.split_off(*at).as_str().to_owned(), |model| model.split_off(*at));
            }
            Op::Clear => self.both(|real| real.clear(), |model| model.clear()),
            Op::Retain(mask) => {
                let keep = |calls: &Cell<u32>| {
                    calls.set(calls.get() + 1);
                    mask >> (calls.get() % 32) & 1 == 1
                };
                let (one, other) = (Cell::new(0), Cell::new(0));
                self.both(|real| real.retain(|_| keep(&one)), |model| model.retain(|_| keep(&other)));
            }
            Op::Extend(text, how) => {
                let before = self.model.len();
                let served = refused(|| match how % 6 {
                    0 => self.real.extend(text.chars()),
                    1 => self.real.extend(text.chars().collect::<Vec<_>>().iter()),
                    2 => self.real.extend(text.split('a')),
                    3 => self.real.extend(text.split('a').map(str::to_owned)),
                    4 => self.real.extend(text.split('a').map(Cow::Borrowed)),
                    _ => self.real.extend(text.split('a').map(|part| ArenaString::from_str_in(part, arena))),
                });
                let text = if how % 6 < 2 { text.clone() } else { text.replace('a', "") };
                let taken = self.real.len() - before;
                assert!(served.is_err() || taken == text.len());
                self.model.push_str(&text[..taken]);
            }
            Op::Write(text, number) => {
                let before = self.model.len();
                let served = refused(|| write!(self.real, "{text:>9}|{number:+08}|{:?}", 'x').expect("it takes all"));
                let text = format!("{text:>9}|{number:+08}|'x'");
                let taken = self.real.len() - before;
                assert!(served.is_err() || taken == text.len());
                self.model.push_str(&text[..taken]);
            }
            Op::Reserve(more) => {
                let served =
                    if more % 2 == 0 { self.real.try_reserve(*more) } else { refused(|| self.real.reserve(*more)) };
                assert!(served.is_err() || self.real.capacity() >= self.model.len() + more);
            }
            Op::ShrinkToFit => {
                self.real.shrink_to_fit();
                assert_eq!(self.real.capacity(), self.model.len());
            }
            Op::Upper => {
                self.real.make_ascii_uppercase();
                self.model.as_mut_str().make_ascii_uppercase();
            }
            Op::Clone => {
                if let Ok(clone) = refused(|| self.real.clone()) {
                    let original = mem::replace(&mut self.real, clone);
                    self.frozen.push((original.into_str(), self.model.clone()));
                }
            }
            Op::IntoStr => {
                let text = mem::replace(&mut self.real, ArenaString::new_in(arena)).into_str();
                self.frozen.push((text, mem::take(&mut self.model)));
            }
            Op::IntoBytes => {
                let bytes = mem::replace(&mut self.real, ArenaString::new_in(arena)).into_bytes();
                self.real = ArenaString::from_utf8(bytes).expect("UTF-8");
            }
            Op::Neighbour(len) => {
                self.neighbours.extend(arena.try_alloc_slice_fill_with(*len, |_| 0xa5).ok().map(|bytes| &*bytes));
            }
        }
    }
}

fn run<A: AnyArena>(arena: &A, ops: &[Op]) {
    let real = ArenaString::new_in(arena);
    let mut case = Case { arena, real, model: String::new(), neighbours: Vec::new(), frozen: Vec::new() };
    for op in ops {
        case.step(op);
        case.check();
    }
}

fn run_everywhere(budget: usize, ops: &[Op]) {
    for reset in [Reset::Keep, Reset::Poison, Reset::Wipe] {
        let options = ArenaOptions::new().on_reset(reset).budget_bytes_max(budget).first_chunk_bytes(256);
        let (mut arena, mut shared) = (options.arena(), options.shared());
        for _ in 0..2 {
            run(&arena, ops);
            run(&shared, ops);
            arena.reset();
            shared.reset();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn beside_std(ops in prop::collection::vec(op(), 1..100)) {
        run_everywhere(usize::MAX, &ops);
    }

    #[test]
    fn a_small_budget_refuses_and_leaves_all_as_it_was(
        ops in prop::collection::vec(op(), 1..80),
        budget in 2048_usize..4000,
    ) {
        run_everywhere(budget, &ops);
    }

    #[test]
    fn format_is_format(text in ".{0,200}", number in any::<i128>(), float in any::<f64>(), width in 0_usize..300) {
        let (arena, shared) = (Arena::new(), SharedArena::new());
        let expected = format!("{text:>width$}|{number:#x}|{float}|{text:?}|{float:e}");
        for text in [
            &*arena.format(format_args!("{text:>width$}|{number:#x}|{float}|{text:?}|{float:e}")),
            arena.try_format(format_args!("{text:>width$}|{number:#x}|{float}|{text:?}|{float:e}")).unwrap(),
            shared.format(format_args!("{text:>width$}|{number:#x}|{float}|{text:?}|{float:e}")),
        ] {
            prop_assert_eq!(text, &expected);
        }
    }

    #[test]
    fn concat_is_format(
        text in ".{0,100}",
        c in any::<char>(),
        flag in any::<bool>(),
        (a, b, d, e) in any::<(u64, i128, u8, isize)>(),
        used in 0_usize..700,
    ) {
        let arena = ArenaOptions::new().first_chunk_bytes(600).on_reset(Reset::Keep).arena();
        arena.alloc_slice_copy(&vec![1_u8; used]); // so that it now fits and now does not
        let expected = format!("{text}{c}{a}{flag}{b}{text}{d}-{e}");
        let in_arena = ArenaString::from_str_in(&text, &arena);
        let before = arena.figures().used_bytes;
        let made = &*arena.concat((&text, (c, a, flag), &b, (((in_arena,),),), d, "-", e));
        prop_assert_eq!(made, &expected);
        let next = arena.alloc(7_u8);
        let all = arena.figures().used_bytes;
        prop_assert!(all - before <= expected.len().next_multiple_of(8) + 8 || used + 8 * expected.len() > 500);
        prop_assert_eq!((made, *next), (expected.as_str(), 7));
    }
}

#[test]
fn every_number_at_its_extremes() {
    let (arena, shared) = (Arena::new(), SharedArena::new());
    let mut line = ArenaString::new_in(&shared);
    macro_rules! extremes {
        ($($type:ty)*) => { $(
            for number in [<$type>::MIN, <$type>::MIN + 1, <$type>::MAX / 3, 0, 1, 9, 10, 99, 100, <$type>::MAX - 1, <$type>::MAX] {
                let expected = format!("{number}");
                assert_eq!(*arena.concat(number), *expected);
                assert_eq!(*shared.concat(&number), *expected);
                assert_eq!(*arena.concat((number, number)), *format!("{number}{number}"));
                assert_eq!(*arena.format(format_args!("{number}")), *expected);
                line.clear();
                line.push_concat((number, '|', &&number));
                assert_eq!(line, format!("{number}|{number}"));
            }
        )* };
    }
    extremes!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);
    for c in ['\0', 'a', '\u{7f}', '\u{80}', '\u{7ff}', '\u{800}', '\u{d7ff}', '\u{e000}', '\u{ffff}', char::MAX] {
        assert_eq!(*arena.concat((c, c)), *format!("{c}{c}"));
    }
    assert_eq!(arena.concat((true, false, "", 1)), "truefalse1");
}

#[test]
fn twelve_pieces_nested_as_deep_as_one_likes() {
    let arena = Arena::new();
    let twelve = (0_u8, "1", '2', 3_u16, "4", 5_i32, "6", 7_i64, String::from("8"), 9_u128, "10", 11_usize);
    assert_eq!(arena.concat(&twelve), "01234567891011");
    assert_eq!(
        arena.concat((&twelve, (&twelve, ((&twelve,), "."), &mut 3), "")),
        "012345678910110123456789101101234567891011.3"
    );
    assert_eq!(arena.concat(""), "");
    assert_eq!(arena.concat(("", ("",))), "");
    let long = "x".repeat(100_000);
    assert_eq!(arena.concat((&long, 1, &long)).len(), 200_001);
}

#[test]
fn literals_and_nothing() {
    let arena = ArenaOptions::new().on_reset(Reset::Keep).arena();
    assert_eq!(arena.format(format_args!("a literal")), "a literal");
    assert_eq!(arena.format(format_args!("")), "");
    let empty = "";
    let before = arena.figures().used_bytes;
    assert_eq!(arena.format(format_args!("{empty}{empty}")), "");
    assert_eq!(arena.figures().used_bytes, before, "what was not filled went back");
    let used = |text: &str| {
        let before = arena.figures().used_bytes;
        assert_eq!(arena.format(format_args!("{text}{empty}")), text);
        arena.figures().used_bytes - before
    };
    assert_eq!((used("vm-1"), used("123456789")), (8, 16), "no more than the text, in whole words");
    let frozen = arena.format(format_args!("{}", 7));
    frozen.make_ascii_uppercase();
    assert_eq!(frozen, "7");
}

/// Writes `parts`, and between them does what it likes.
struct Says<'s>(&'s [&'s str], &'s dyn Fn(usize) -> fmt::Result);

impl Display for Says<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            f.write_str(part)?;
            (self.1)(at)?;
        }
        Ok(())
    }
}

#[test]
fn a_display_may_build_in_the_arena_it_writes_to() {
    fn on<A: AnyArena>(arena: &A) {
        let beside = std::cell::RefCell::new(Vec::new());
        let builds = |at: usize| {
            let inner = arena.format(format_args!(
                "inner {at} {}",
                Says(&["x", "y"], &|at| {
                    beside.borrow_mut().push((arena.concat(("innermost ", at)), format!("innermost {at}")));
                    Ok(())
                })
            ));
            beside.borrow_mut().push((inner, format!("inner {at} xy")));
            Ok(())
        };
        let long = "long ".repeat(60);
        let parts = ["a", &long, "b", "c", &long, "d", "", &long];
        for round in 0..30 {
            let text = arena.format(format_args!("{round}:{}:{round}", Says(&parts, &builds)));
            assert_eq!(*text, *format!("{round}:{}:{round}", parts.concat()));
            let mut string = ArenaString::new_in(arena);
            write!(string, "{}{round}", Says(&parts, &builds)).unwrap();
            assert_eq!(string, format!("{}{round}", parts.concat()));
        }
        assert!(beside.borrow().iter().all(|(text, expected)| **text == **expected));
    }
    let options = ArenaOptions::new().first_chunk_bytes(256);
    on(&options.on_reset(Reset::Keep).arena());
    on(&options.on_reset(Reset::Keep).shared());
    on(&options.on_reset(Reset::Poison).arena());
}

#[test]
fn a_display_that_panics_or_fails_leaves_the_arena_usable() {
    fn on<A: AnyArena>(arena: &A, gives_back: bool) {
        let before = arena.alloc_str("before");
        let used = arena.figures().used_bytes;
        let long = "long ".repeat(50);
        for at in 0..3 {
            let panics = |now| if now == at { resume_unwind(Box::new("display")) } else { Ok(()) };
            let parts = ["short", &long, &long];
            let result =
                catch_unwind(AssertUnwindSafe(|| arena.format(format_args!("{}", Says(&parts, &panics))).len()));
            assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"display"));
            let result =
                catch_unwind(AssertUnwindSafe(|| arena.try_format(format_args!("{}", Says(&parts, &panics))).is_ok()));
            assert!(result.is_err());
            let fails = |now| if now == at { Err(fmt::Error) } else { Ok(()) };
            let result =
                catch_unwind(AssertUnwindSafe(|| arena.format(format_args!("{}", Says(&parts, &fails))).len()));
            assert!(result.unwrap_err().downcast_ref::<BudgetExceeded>().is_none(), "as `format!` panics");
            let result =
                catch_unwind(AssertUnwindSafe(|| arena.try_format(format_args!("{}", Says(&parts, &fails))).is_ok()));
            assert!(result.is_err());
            let mut string = ArenaString::from_str_in("kept ", arena);
            assert!(write!(string, "{}", Says(&parts, &fails)).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| write!(string, "{}", Says(&parts, &panics)))).is_err());
            assert_eq!(string.len(), 5 + 2 * parts[..=at].concat().len());
            assert!(string.starts_with("kept short"));
        }
        assert_eq!((&*before, &*arena.format(format_args!("after {}", 1))), ("before", "after 1"));
        assert!(!gives_back || arena.figures().used_bytes < used + 8192);
    }
    on(&ArenaOptions::new().on_reset(Reset::Keep).arena(), true);
    on(&ArenaOptions::new().on_reset(Reset::Keep).shared(), true);
    on(&ArenaOptions::new().on_reset(Reset::Poison).arena(), false);
}

#[test]
fn over_budget() {
    fn on<A: AnyArena>(arena: &A) {
        let long = "long ".repeat(2_000);
        let kept = arena.alloc_str("kept");
        assert!(arena.try_format(format_args!("{long}{}", 1)).is_err_and(|told| told.asked >= 10_000));
        assert!(arena.try_concat((&long, 1)).is_err_and(|told| told.asked >= 10_000));
        assert!(refused(|| arena.format(format_args!("{}{long}", 1)).len()).is_err());
        assert!(refused(|| arena.concat((1, &long)).len()).is_err());
        // Piece by piece, and a Display that goes on after it was told.
        let parts = vec!["x"; 10_000];
        let goes_on = Says(&parts, &|_| Ok(()));
        assert!(arena.try_format(format_args!("{goes_on}")).is_err());
        struct Deaf;
        impl Display for Deaf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                _ = f.write_str(&"x".repeat(10_000));
                f.write_str("y")
            }
        }
        assert!(arena.try_format(format_args!("{Deaf}")).is_err(), "a part is missing");
        let mut string = ArenaString::from_str_in("text", arena);
        assert!(string.try_push_str(&long).is_err() && string.try_reserve(usize::MAX).is_err());
        assert!(
            refused(|| string.push_concat((&long, 1))).is_err() && refused(|| string.insert_str(2, &long)).is_err()
        );
        assert!(refused(|| string.replace_range(1..3, &long)).is_err() && refused(|| string += &long).is_err());
        assert!(refused(|| write!(string, "{long}")).is_err());
        assert_eq!((string.as_str(), &*kept), ("text", "kept"));
        assert!(ArenaString::try_with_capacity_in(usize::MAX, arena).is_err());
        assert!(ArenaString::try_with_capacity_in(isize::MAX as usize, arena).is_err());
        assert_eq!(arena.concat(("what fits ", 1)), "what fits 1");
    }
    on(&ArenaOptions::new().budget_bytes_max(6000).arena());
    on(&ArenaOptions::new().budget_bytes_max(6000).shared());
}

#[test]
fn retain_that_panics_leaves_text() {
    let arena = Arena::new();
    for panics_at in 0..6 {
        let mut text = ArenaString::from_str_in("a\u{e9}\u{20ac}\u{1f980}b\u{e9}", &arena);
        let mut calls = 0;
        let result = catch_unwind(AssertUnwindSafe(|| {
            text.retain(|_| {
                calls += 1;
                if calls > panics_at {
                    resume_unwind(Box::new(()));
                }
                calls % 2 == 0
            });
        }));
        assert!(result.is_err());
        assert_eq!(text, ["", "", "\u{e9}", "\u{e9}", "\u{e9}\u{1f980}", "\u{e9}\u{1f980}"][panics_at]);
        text.push('\u{20ac}');
        assert!(text.ends_with('\u{20ac}') && std::str::from_utf8(text.as_bytes()).is_ok());
    }
}

#[test]
fn ranges_are_checked_as_std_checks_them() {
    let arena = Arena::new();
    let bounds = || {
        let ends = [0, 1, 2, 3, 4, 5, 9, usize::MAX];
        ends.into_iter().flat_map(|at| [Bound::Included(at), Bound::Excluded(at)]).chain([Bound::Unbounded])
    };
    for start in bounds() {
        for end in bounds() {
            let mut model = String::from("a\u{e9}b\u{e9}");
            let mut real = ArenaString::from_str_in(&model, &arena);
            let expected = catch_unwind(AssertUnwindSafe(|| drop(model.drain((start, end))))).is_ok();
            let found = catch_unwind(AssertUnwindSafe(|| real.remove_range((start, end)))).is_ok();
            assert_eq!((found, real.as_str()), (expected, model.as_str()), "{start:?}..{end:?}");
            let mut model = String::from("a\u{e9}b\u{e9}");
            let mut real = ArenaString::from_str_in(&model, &arena);
            let expected = catch_unwind(AssertUnwindSafe(|| model.replace_range((start, end), "\u{1f980}"))).is_ok();
            let found = catch_unwind(AssertUnwindSafe(|| real.replace_range((start, end), "\u{1f980}"))).is_ok();
            assert_eq!((found, real.as_str()), (expected, model.as_str()), "{start:?}..{end:?}");
        }
    }
}

#[test]
fn compares_hashes_and_prints_as_text() {
    let (arena, shared) = (Arena::new(), SharedArena::new());
    let text = ArenaString::from_str_in("vm-\"1\"", &arena);
    let same = ArenaString::from_str_in("vm-\"1\"", &shared);
    assert_eq!(text, same);
    assert!(
        text == *"vm-\"1\""
            && text == "vm-\"1\""
            && text == String::from("vm-\"1\"")
            && text == Cow::Borrowed("vm-\"1\"")
    );
    assert!(*"vm-\"1\"" == text && "vm-\"1\"" == text && String::from("vm-\"1\"") == text && text != "vm");
    assert_eq!(format!("{text}|{text:>9}|{text:?}"), format!("{0}|{0:>9}|{0:?}", "vm-\"1\""));
    let hash = |value: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        value(&mut hasher);
        hasher.finish()
    };
    assert_eq!(hash(&|hasher| text.hash(hasher)), hash(&|hasher| "vm-\"1\"".hash(hasher)));
    let later = ArenaString::from_str_in("vm-2", &arena);
    assert!(text < later && later.partial_cmp(&text) == Some(std::cmp::Ordering::Greater));
    assert!(std::ptr::eq(text.arena(), &raw const arena));
    let borrowed: [&str; 3] = [text.as_ref(), std::borrow::Borrow::borrow(&text), &text];
    let bytes: &[u8] = text.as_ref();
    assert!(borrowed.iter().all(|other| text == **other) && bytes == text.as_bytes());
    let mut joined = text + "!" + "?";
    joined += ".";
    joined.as_mut_str().make_ascii_uppercase();
    std::borrow::BorrowMut::<str>::borrow_mut(&mut joined).make_ascii_lowercase();
    assert_eq!(joined, "vm-\"1\"!?.");
    joined.write_char('\u{e9}').unwrap();
    assert_eq!(joined.pop(), Some('\u{e9}'));
    assert_eq!(ArenaString::from_iter_in(["a", "b"], &shared), "ab");
}
