//! Names of a request: intern, meet again, resolve. `ArenaInterner` beside the interners of one thread.
//!
//! A hit finds one of the names that are there, in the skewed order of [`crate::names`]. A fill begins with an empty interner,
//! takes in each name once, and ends with its memory given back. Every peer hashes with foldhash, as ours does, each with
//! the seeds of its own.

use std::hash::BuildHasher;
use std::hint::black_box;

use blixard_arena::collections::{FixedState, SeededState};
use blixard_arena::intern::ArenaInterner;
use blixard_arena::{Arena, ArenaPool};
use hashbrown::{DefaultHashBuilder, HashTable};
use internity::LocalLexicon;
use lasso::{Rodeo, Spur};
use string_interner::StringInterner;
use string_interner::backend::{BucketBackend, StringBackend};

use crate::contest::{Contender, Group, Named, Role};
use crate::names::{self, MEETINGS, Names};

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("intern/hit-10", || hits("intern/hit-10", names::ten())),
    ("intern/hit-10000", || hits("intern/hit-10000", names::ten_thousand())),
    ("intern/fill-10", || fills("intern/fill-10", names::ten())),
    ("intern/fill-10000", || fills("intern/fill-10000", names::ten_thousand())),
    ("intern/resolve", resolves),
];

/// What every interner of one thread can do.
trait Interner: 'static {
    type Symbol: Copy + 'static;
    fn intern(&mut self, text: &str) -> Self::Symbol;
    fn resolve(&self, symbol: Self::Symbol) -> &str;
}

impl<S: BuildHasher + 'static> Interner for ArenaInterner<'static, Arena, S> {
    type Symbol = blixard_arena::intern::Symbol;

    #[inline]
    fn intern(&mut self, text: &str) -> Self::Symbol {
        self.intern(text)
    }

    #[inline]
    fn resolve(&self, symbol: Self::Symbol) -> &str {
        self.resolve(symbol)
    }
}

type Bucket = StringInterner<BucketBackend, DefaultHashBuilder>;
type Strings = StringInterner<StringBackend, DefaultHashBuilder>;

macro_rules! string_interner {
    ($($type:ident),*) => {$(
        impl Interner for $type {
            type Symbol = string_interner::DefaultSymbol;

            #[inline]
            fn intern(&mut self, text: &str) -> Self::Symbol {
                self.get_or_intern(text)
            }

            #[inline]
            fn resolve(&self, symbol: Self::Symbol) -> &str {
                self.resolve(symbol).expect("a symbol of its own")
            }
        }
    )*};
}
string_interner!(Bucket, Strings);

type Lasso = Rodeo<Spur, DefaultHashBuilder>;

impl Interner for Lasso {
    type Symbol = Spur;

    #[inline]
    fn intern(&mut self, text: &str) -> Spur {
        self.get_or_intern(text)
    }

    #[inline]
    fn resolve(&self, symbol: Spur) -> &str {
        self.resolve(&symbol)
    }
}

impl<S: BuildHasher + 'static> Interner for LocalLexicon<S> {
    type Symbol = internity::Sym;

    #[inline]
    fn intern(&mut self, text: &str) -> Self::Symbol {
        self.intern(text)
    }

    #[inline]
    fn resolve(&self, symbol: Self::Symbol) -> &str {
        self.resolve(symbol)
    }
}

/// The bare look-up: texts in a table, found by hash and comparison. It has no numbers, so it hands out the text.
struct Bare {
    table: HashTable<&'static str>,
    state: SeededState,
}

impl Interner for Bare {
    type Symbol = &'static str;

    #[inline]
    fn intern(&mut self, text: &str) -> &'static str {
        let hash = self.state.hash_one(text);
        self.table.find(hash, |held| *held == text).copied().unwrap_or_default()
    }

    #[inline]
    fn resolve(&self, symbol: &'static str) -> &str {
        symbol
    }
}

impl Bare {
    /// With copies of all names, one after the other.
    fn new(names: &Names) -> Self {
        let (state, mut table) = (SeededState, HashTable::new());
        let arena: &'static Arena = Box::leak(Box::default());
        for name in &names.distinct {
            table.insert_unique(state.hash_one(name), &*arena.alloc_str(name), |name| state.hash_one(name));
        }
        Self { table, state }
    }
}

/// An interner of ours in an arena that stays for as long as the process.
fn ours<S: BuildHasher>(state: S) -> ArenaInterner<'static, Arena, S> {
    ArenaInterner::with_hasher_in(state, Box::leak(Box::default()))
}

/// Interns all names, and compares what comes back with what went in.
fn filled<I: Interner>(mut interner: I, names: &Names) -> (I, Vec<I::Symbol>) {
    let symbols: Vec<_> = names.distinct.iter().map(|name| interner.intern(name)).collect();
    for (symbol, name) in symbols.iter().zip(&names.distinct) {
        assert_eq!(interner.resolve(*symbol), *name);
        let again = interner.intern(name);
        assert_eq!(interner.resolve(again).as_ptr(), interner.resolve(*symbol).as_ptr(), "{name} is held once");
    }
    (interner, symbols)
}

fn hit<I: Interner>(name: &'static str, role: Role, interner: I, names: &Names) -> Contender {
    let (interner, _) = filled(interner, names);
    let texts = names.texts();
    Contender::alone(
        name,
        role,
        MEETINGS as u64,
        interner,
        move |interner, i| _ = black_box(interner.intern(texts[at(i)])),
        |_| (),
    )
    .warmed(MEETINGS as u64)
}

fn at(i: u64) -> usize {
    usize::try_from(i).unwrap_or_default() & (MEETINGS - 1)
}

fn hits(name: &'static str, names: &'static Names) -> Group {
    let contenders = vec![
        hit("blixard ArenaInterner", Role::Ours, ours(SeededState), names),
        hit("blixard ArenaInterner, FixedState", Role::Ours, ours(FixedState), names),
        hit("string-interner Bucket", Role::Peer, Bucket::new(), names),
        hit("string-interner String", Role::Peer, Strings::new(), names),
        hit("lasso Rodeo", Role::Peer, Lasso::with_hasher(DefaultHashBuilder::default()), names),
        hit("internity Local", Role::Peer, LocalLexicon::with_hasher(DefaultHashBuilder::default()), names),
        hit("internity Local, its own hasher", Role::Peer, LocalLexicon::new(), names),
        hit("bare table look-up", Role::Limit, Bare::new(names), names),
    ];
    Group { name, note: "a name that is there, met in skewed order: its symbol", elements: 1, contenders }
}

/// A new interner each time.
fn fill<I: Interner>(name: &'static str, make: impl Fn() -> I + 'static, names: &'static Names) -> Contender {
    filled(make(), names);
    Contender::alone(
        name,
        Role::Peer,
        64,
        (),
        move |(), _| {
            let mut interner = make();
            for name in &names.distinct {
                black_box(interner.intern(name));
            }
            black_box(&interner);
        },
        |()| (),
    )
}

/// A new interner each time, in an arena from a pool.
macro_rules! fill_arena {
    ($name:literal, $names:expr, $acquire:ident) => {
        Contender::alone(
            $name,
            Role::Ours,
            64,
            ArenaPool::new(),
            move |pool, _| {
                let arena = pool.$acquire();
                let mut interner = ArenaInterner::new_in(&*arena);
                for name in &$names.distinct {
                    black_box(interner.intern(name));
                }
                black_box(&interner);
            },
            |_| (),
        )
    };
}

fn fills(name: &'static str, names: &'static Names) -> Group {
    filled(ours(SeededState), names);
    let state = DefaultHashBuilder::default;
    let contenders = vec![
        fill_arena!("blixard ArenaInterner", names, acquire),
        fill_arena!("blixard ArenaInterner, SharedArena", names, acquire_shared),
        fill("string-interner Bucket", Bucket::new, names),
        fill("string-interner String", Strings::new, names),
        fill("lasso Rodeo", move || Lasso::with_hasher(state()), names),
        // As ours keeps the arena, this one keeps table, list and buckets.
        Contender::alone(
            "lasso Rodeo, cleared",
            Role::Peer,
            64,
            Lasso::with_hasher(state()),
            move |interner, _| {
                for name in &names.distinct {
                    black_box(interner.intern(name));
                }
                interner.clear();
            },
            |_| (),
        ),
        fill("internity Local", move || LocalLexicon::with_hasher(state()), names),
    ];
    let elements = names.distinct.len() as u64;
    Group { name, note: "names that are new, from an empty interner to its end: per name", elements, contenders }
}

fn resolve<I: Interner>(name: &'static str, role: Role, interner: I, names: &Names) -> Contender {
    let (interner, symbols) = filled(interner, names);
    let met: Vec<I::Symbol> = names.met.iter().map(|at| symbols[*at as usize]).collect();
    Contender::alone(
        name,
        role,
        MEETINGS as u64,
        interner,
        move |interner, i| _ = black_box(interner.resolve(met[at(i)])),
        |_| (),
    )
    .warmed(MEETINGS as u64)
}

fn resolves() -> Group {
    let names = names::ten_thousand();
    let contenders = vec![
        resolve("blixard ArenaInterner", Role::Ours, ours(SeededState), names),
        resolve("string-interner Bucket", Role::Peer, Bucket::new(), names),
        resolve("string-interner String", Role::Peer, Strings::new(), names),
        resolve("lasso Rodeo", Role::Peer, Lasso::with_hasher(DefaultHashBuilder::default()), names),
        resolve("internity Local", Role::Peer, LocalLexicon::new(), names),
    ];
    Group {
        name: "intern/resolve",
        note: "the text of a symbol, one of 10,000 in skewed order",
        elements: 1,
        contenders,
    }
}
