//! Names of a request: against a naive model, with hashers that lie and panic, over budget, and across threads.
//!
//! Over the public API. Each sequence runs beside a `HashMap` from text to number and a `Vec` of texts, on both kinds of
//! arena, and under hashers good and bad.
#![expect(clippy::unwrap_used, clippy::items_after_statements, reason = "a test: what cannot be had ends it")]

use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{FixedState, SeededState};
use blixard_arena::intern::{ArenaInterner, InternError, Symbol};
use blixard_arena::{Arena, ArenaOptions, ArenaPool, BudgetExceeded, Sealed, SharedArena, sealed_root};
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// What is done to an interner.
#[derive(Clone, Debug)]
enum Step {
    Intern(String),
    InternStr(String),
    TryIntern(String),
    Get(String),
    Extend(Vec<String>),
    Reserve(usize),
}

/// Texts of which many are equal, some empty, some long, and many share their ends.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..40_u32).prop_map(|i| format!("vm-{i}")),
        2 => (0..40_usize).prop_map(|len| "x".repeat(len)),
        1 => "\\PC{0,6}",
        1 => (0..4_usize, 0..400_usize).prop_map(|(at, len)| "ab".repeat(len) + &"c".repeat(at)),
        1 => (0..1000_u32).prop_map(|i| format!("tenant-{i:020}/service")),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => text().prop_map(Step::Intern),
        2 => text().prop_map(Step::InternStr),
        2 => text().prop_map(Step::TryIntern),
        4 => text().prop_map(Step::Get),
        1 => prop::collection::vec(text(), 0..30).prop_map(Step::Extend),
        1 => (0..50_usize).prop_map(Step::Reserve),
    ]
}

/// The naive interner.
#[derive(Default)]
struct Model {
    index: HashMap<String, usize>,
    texts: Vec<String>,
    symbols: Vec<Symbol>,
}

impl Model {
    /// `symbol` is what `text` got.
    fn interned(&mut self, text: &str, symbol: Symbol) {
        let known = self.index.get(text).copied();
        let index = known.unwrap_or(self.texts.len());
        if known.is_none() {
            self.index.insert(text.to_owned(), index);
            self.texts.push(text.to_owned());
            self.symbols.push(symbol);
        }
        assert_eq!(symbol, self.symbols[index], "{text:?}");
    }

    fn check<A: AnyArena, S: BuildHasher>(&self, names: &ArenaInterner<'_, A, S>) {
        assert_eq!((names.len(), names.is_empty()), (self.texts.len(), self.texts.is_empty()));
        let expected = self.symbols.iter().copied().zip(self.texts.iter().map(String::as_str));
        assert!(names.iter().eq(expected) && names.iter().len() == names.len());
        assert!(self.symbols.is_sorted(), "symbols ascend in the order of interning");
        for (symbol, text) in names {
            assert_eq!((names.get(text), &names[symbol], names.resolve(symbol)), (Some(symbol), text, text));
        }
    }
}

fn run<A: AnyArena, S: BuildHasher>(steps: &[Step], mut names: ArenaInterner<'_, A, S>) {
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Intern(text) => model.interned(text, names.intern(text)),
            Step::TryIntern(text) => model.interned(text, names.try_intern(text).unwrap()),
            Step::InternStr(text) => {
                let stored = names.intern_str(text);
                assert_eq!(stored, text);
                let symbol = names.intern(text);
                assert!(std::ptr::eq(stored, names.resolve(symbol)), "one text, one address");
                model.interned(text, symbol);
            }
            Step::Get(text) => {
                let found = model.index.get(text).map(|index| model.symbols[*index]);
                assert_eq!(names.get(text), found, "{text:?}");
            }
            Step::Extend(texts) => {
                names.extend(texts);
                for text in texts {
                    model.interned(text, names.get(text).unwrap());
                }
            }
            Step::Reserve(additional) => names.reserve(*additional),
        }
    }
    model.check(&names);
}

/// Every text has the hash 0, or one of two, the lower halves of which are equal.
#[derive(Clone, Copy)]
struct Colliding(u64);

impl BuildHasher for Colliding {
    type Hasher = Sum;

    fn build_hasher(&self) -> Sum {
        Sum(0, self.0)
    }
}

struct Sum(u64, u64);

impl Hasher for Sum {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum + u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        ((self.0 & self.1) << 40) | (7 * self.1)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn names_are_those_of_a_naive_interner(steps in prop::collection::vec(step(), 0..300)) {
        run(&steps, ArenaInterner::new_in(&Arena::new()));
        run(&steps, ArenaInterner::with_capacity_in(20, &SharedArena::new()));
        run(&steps, ArenaInterner::with_hasher_in(FixedState, &*ArenaPool::new().acquire()));
        run(&steps, ArenaInterner::with_hasher_in(Colliding(0), &Arena::new()));
        run(&steps, ArenaInterner::with_hasher_in(Colliding(1), &SharedArena::new()));
    }
}

#[test]
fn a_hundred_thousand_names_keep_their_numbers() {
    let (arena, text) = (Arena::new(), |i: u32| format!("tenant-{}/vm-{i}", i % 100));
    let mut names = ArenaInterner::new_in(&arena);
    let symbols: Vec<Symbol> = (0..100_000).map(|i| names.intern(&text(i))).collect();
    for (i, symbol) in (0..).zip(&symbols) {
        assert_eq!((names.intern(&text(i)), names.resolve(*symbol)), (*symbol, &*text(i)));
    }
    assert!(symbols.is_sorted() && names.len() == symbols.len());
    assert_eq!(names.get("tenant-0/vm-100000"), None);
}

/// Reserved room is used: no table and no list is made again, and only texts take memory.
#[test]
fn reserved_room_is_enough() {
    for reserved in [1, 12, 13, 100, 1000] {
        let arena = Arena::new();
        let mut names = ArenaInterner::with_capacity_in(reserved, &arena);
        for round in 0..3 {
            names.reserve(reserved);
            let before = arena.figures().used_bytes;
            (0..reserved).for_each(|i| _ = names.intern(&format!("{round}-{i:06}")));
            assert_eq!(arena.figures().used_bytes - before, 8 * reserved, "{reserved}, round {round}");
        }
    }
}

/// The memory that an interner leaves behind as it grows is as much as it uses, and no more.
#[test]
fn growing_one_by_one_leaves_no_more_behind_than_is_in_use() {
    for grow in [|names: &mut ArenaInterner<'_, Arena>| names.reserve(1), |_: &mut ArenaInterner<'_, Arena>| ()] {
        let arena = Arena::new();
        let mut names = ArenaInterner::new_in(&arena);
        for i in 0..10_000 {
            grow(&mut names);
            names.intern(&format!("{i:08}"));
        }
        // 32,768 slots of 4 bytes, a list for 16,384 names of 16, and the texts.
        assert!(arena.figures().used_bytes <= 2 * (32_768 * 4 + 16_384 * 16) + 10_000 * 8, "{}", arena.figures());
    }
}

#[test]
fn names_vanish_without_drop_and_their_texts_outlive_them() {
    assert!(!std::mem::needs_drop::<ArenaInterner<'_, Arena>>());
    assert!(!std::mem::needs_drop::<ArenaInterner<'_, SharedArena, FixedState>>());
    let arena = Arena::new();
    let (text, symbol) = {
        let mut names = ArenaInterner::from_iter_in(["b", "a", "b"], &arena);
        assert_eq!(format!("{names:?}").matches("Symbol(").count(), 2);
        (names.intern_str("kept"), names.intern("a"))
    };
    assert_eq!(text, "kept");
    assert_eq!(format!("{symbol:?}").parse::<u32>().ok(), None);
    assert_eq!((size_of::<Symbol>(), size_of::<Option<Symbol>>()), (4, 4));
}

// Symbols of others.

#[cfg(debug_assertions)]
#[test]
fn debug_builds_catch_a_symbol_of_another_interner() {
    let arena = Arena::new();
    let texts: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
    let mut all: Vec<_> = (0..20).map(|_| ArenaInterner::from_iter_in(&texts, &arena)).collect();
    let symbols: Vec<Symbol> = all.iter_mut().map(|names| names.intern("7")).collect();
    for (maker, symbol) in symbols.iter().enumerate() {
        for (other, names) in all.iter().enumerate() {
            let resolved = catch_unwind(AssertUnwindSafe(|| names.resolve(*symbol)));
            assert_eq!(resolved.ok(), (maker == other).then_some("7"), "made by {maker}, resolved by {other}");
        }
    }
}

/// In release builds, too, what has no name here panics and reads no memory that is not a name's.
#[test]
fn a_symbol_beyond_the_names_panics() {
    let arena = Arena::new();
    let mut many = ArenaInterner::new_in(&arena);
    many.extend((0..100).map(|i| i.to_string()));
    let (symbol, few) = (many.intern("99"), ArenaInterner::from_iter_in(["only"], &arena));
    let refused = catch_unwind(AssertUnwindSafe(|| few.resolve(symbol))).unwrap_err();
    let words = refused.downcast::<String>().unwrap();
    assert!(words.starts_with("Symbol(") && words.contains("none of this interner's 1 names"), "{words}");
    assert!(catch_unwind(AssertUnwindSafe(|| ArenaInterner::new_in(&arena).resolve(symbol))).is_err());
}

// Hashers that misbehave.

/// Panics at the n-th hash.
#[derive(Clone, Default)]
struct Panicking(Rc<Cell<usize>>);

impl BuildHasher for Panicking {
    type Hasher = <SeededState as BuildHasher>::Hasher;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.set(self.0.get().wrapping_sub(1));
        assert!(self.0.get() != 0, "the hasher's own panic");
        SeededState.build_hasher()
    }
}

#[test]
fn a_panicking_hasher_changes_nothing() {
    let text = |i: usize| format!("name-{i}");
    for panics_at in 1..60 {
        let (arena, fuse) = (Arena::new(), Panicking::default());
        let mut names = ArenaInterner::with_hasher_in(fuse.clone(), &arena);
        fuse.0.set(panics_at);
        let mut panicked = Vec::new();
        for i in 0..50 {
            let before = names.len();
            if let Ok(symbol) = catch_unwind(AssertUnwindSafe(|| names.intern(&text(i)))) {
                assert_eq!(names.resolve(symbol), text(i));
            } else {
                assert_eq!(names.len(), before, "nothing was interned");
                panicked.push(i);
            }
        }
        assert_eq!(panicked, Vec::from_iter((panics_at <= 50).then(|| panics_at - 1)));
        fuse.0.set(0);
        for i in 0..50 {
            assert_eq!(names.get(&text(i)).map(|symbol| names.resolve(symbol).to_owned()), {
                (!panicked.contains(&i)).then(|| text(i))
            });
        }
        assert_eq!(names.len(), 50 - panicked.len());
    }
}

/// Gives another hash at every call.
#[derive(Clone, Default)]
struct Lying(Cell<u64>);

impl BuildHasher for Lying {
    type Hasher = Fixed;

    fn build_hasher(&self) -> Fixed {
        self.0.set(self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        Fixed(self.0.get() >> 33 & 63)
    }
}

struct Fixed(u64);

impl Hasher for Fixed {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[test]
fn a_lying_hasher_gives_no_wrong_name() {
    let arena = Arena::new();
    let mut names = ArenaInterner::with_hasher_in(Lying::default(), &arena);
    let mut given = Vec::new();
    for i in 0..3000 {
        let text = format!("name-{}", i % 40);
        let symbol = names.intern(&text);
        assert_eq!(names.resolve(symbol), text);
        given.push((symbol, text));
    }
    assert!(given.iter().all(|(symbol, text)| names.resolve(*symbol) == text), "names stay what they were");
    let known = |symbol: Symbol| names.resolve(symbol).to_owned();
    assert!((0..40).all(|i| names.get(&format!("name-{i}")).is_none_or(|symbol| known(symbol) == format!("name-{i}"))));
}

// Over budget.

/// What an interner took until it was refused leaves it whole, wherever in the growth that was.
#[test]
fn a_refusal_leaves_nothing_half_interned() {
    let mut refused_at = std::collections::BTreeSet::new();
    for budget in (512..24_000).step_by(40) {
        let arena = ArenaOptions::new().budget_bytes_max(budget).first_chunk_bytes(64).arena();
        let mut names = ArenaInterner::new_in(&arena);
        let text = |i: usize| format!("{i}-{}", "x".repeat(i % 90));
        let (held, refused) =
            (0..).map(text).find_map(|text| Some((names.len(), names.try_intern(&text).err()?))).unwrap();
        assert!(
            matches!(refused, InternError::Budget(BudgetExceeded { allowed, .. }) if allowed == budget),
            "{refused:?}"
        );
        refused_at.insert(held);
        for again in 0..3 {
            assert_eq!(names.len(), held);
            assert_eq!(names.get(&text(held)), None);
            for i in 0..held {
                assert_eq!(names.try_intern(&text(i)).map(|symbol| names.resolve(symbol)), Ok(&*text(i)));
            }
            assert!(names.iter().map(|(_, name)| name).eq((0..held).map(text)), "try {again}");
            assert!(names.try_intern(&text(held)).is_err());
        }
        // A short name may still fit, and is whole then.
        if let Ok(symbol) = names.try_intern("!") {
            assert_eq!((names.resolve(symbol), names.get("!")), ("!", Some(symbol)));
        }
    }
    assert!(refused_at.len() > 15 && refused_at.contains(&16), "{refused_at:?}");
}

#[test]
fn over_budget_the_plain_calls_panic_with_the_arenas_own_error() {
    let arena = ArenaOptions::new().budget_bytes_max(2048).arena();
    let mut names = ArenaInterner::new_in(&arena);
    let known = names.intern("vm-1");
    let long = "x".repeat(3000);
    type Call<'c> = &'c dyn Fn(&mut ArenaInterner<'_, Arena>);
    let calls: [Call<'_>; 4] = [
        &|names| _ = names.intern(&long),
        &|names| _ = names.intern_str(&long),
        &|names| names.reserve(1000),
        &|names| names.extend([&long]),
    ];
    for call in calls {
        let payload = catch_unwind(AssertUnwindSafe(|| call(&mut names))).unwrap_err();
        assert_eq!(payload.downcast::<BudgetExceeded>().unwrap().allowed, 2048);
        assert_eq!((names.len(), names.try_intern("vm-1")), (1, Ok(known)));
    }
    let error = names.try_intern(&long).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().is::<BudgetExceeded>() && error.to_string().contains("2048"));
}

// Re-entrancy, threads, sealing.

#[test]
fn an_iterator_may_allocate_in_the_arena_it_fills() {
    let arena = Arena::new();
    let mut names = ArenaInterner::new_in(&arena);
    names.extend((0..100).map(|i| &*arena.format(format_args!("vm-{}", i % 60))));
    assert!(names.iter().map(|(_, name)| name.to_owned()).eq((0..60).map(|i| format!("vm-{i}"))));
}

#[test]
fn an_interner_moves_between_threads_and_is_read_by_many() {
    let arena = SharedArena::new();
    let mut names = ArenaInterner::new_in(&arena);
    let mut symbols = vec![names.intern("from the first thread")];
    for round in 0..4 {
        // It goes there and comes back, and grows on each thread in turn.
        (names, symbols) = std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                symbols.extend((0..200).map(|i| names.intern(&format!("{round}-{i}"))));
                (names, symbols)
            });
            there.join().unwrap()
        });
    }
    let names = &names;
    std::thread::scope(|scope| {
        for reader in 0..4 {
            let symbols = &symbols;
            scope.spawn(move || {
                for round in 0..4 {
                    assert_eq!(names.resolve(symbols[1 + round * 200 + reader]), format!("{round}-{reader}"));
                    assert_eq!(names.get(&format!("{round}-{reader}")), Some(symbols[1 + round * 200 + reader]));
                }
            });
        }
    });
    assert_eq!(names.len(), 801);
}

struct Named<'a> {
    names: ArenaInterner<'a, SharedArena>,
    first: Symbol,
}
sealed_root!(Named);

#[test]
fn an_interner_is_sealed_with_its_arena_and_sent_away() {
    let arena = ArenaPool::new().acquire_shared();
    let sealed = Sealed::<Named<'static>, _>::build(arena, |arena| {
        let mut names = ArenaInterner::new_in(arena);
        let first = names.intern("vm-1");
        names.extend((0..100).map(|i| i.to_string()));
        Named { names, first }
    });
    let there = std::thread::spawn(move || sealed.get().names.resolve(sealed.get().first).to_owned());
    assert_eq!(there.join().unwrap(), "vm-1");
}
