//! Names of the process: find, enter, pin, read, and free again. `StringPool` beside the interners that threads share.
//!
//! A hit finds one of the names that are there, in the skewed order of [`crate::names`], on one and two pinned threads. Ours is
//! under a pin that lasts for a batch, as a request's does; taking pins has a group of its own. Peers hash as they come, and
//! with foldhash where they let one choose: ours is foldhash under the process's seed.

use std::hash::BuildHasher;
use std::hint::black_box;

use blixard_arena::collections::SeededState;
use blixard_arena::intern::{InternedString, StringPool};
use hashbrown::{DefaultHashBuilder, HashTable};
use internity::ThreadedLexicon;
use internment::ArcIntern;
use lasso::{Spur, ThreadedRodeo};
use string_cache::DefaultAtom;
use symbol_table::SymbolTable;

use crate::contest::{Contender, Group, Named, Role};
use crate::names::{self, Names};

/// Operations per thread between two barriers: as many as there are meetings.
const BATCH: u64 = names::MEETINGS as u64;

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("intern/shared-hit-10", || hits("intern/shared-hit-10", names::ten())),
    ("intern/shared-hit-10000", || hits("intern/shared-hit-10000", names::ten_thousand())),
    ("intern/shared-fill", fills),
    ("intern/pin", pins),
    ("intern/shared-resolve", resolves),
    ("intern/sweep", sweeps),
];

/// What every interner that threads share can do: intern, and say where the text is.
trait Shared: Send + Sync + 'static {
    type Symbol: Send + Sync + 'static;
    fn intern(&self, text: &str) -> Self::Symbol;
    fn read<'a>(&'a self, symbol: &'a Self::Symbol) -> &'a str;
}

impl Shared for StringPool {
    type Symbol = InternedString;

    fn intern(&self, text: &str) -> InternedString {
        self.intern(text)
    }

    fn read<'a>(&'a self, symbol: &'a InternedString) -> &'a str {
        symbol
    }
}

struct Ustr;

impl Shared for Ustr {
    type Symbol = ustr::Ustr;

    #[inline]
    fn intern(&self, text: &str) -> ustr::Ustr {
        ustr::ustr(text)
    }

    #[inline]
    fn read<'a>(&'a self, symbol: &'a ustr::Ustr) -> &'a str {
        symbol.as_str()
    }
}

impl<S: BuildHasher + Clone + Send + Sync + 'static> Shared for ThreadedRodeo<Spur, S> {
    type Symbol = Spur;

    #[inline]
    fn intern(&self, text: &str) -> Spur {
        self.get_or_intern(text)
    }

    #[inline]
    fn read<'a>(&'a self, symbol: &'a Spur) -> &'a str {
        self.resolve(symbol)
    }
}

impl<const N: usize, S: BuildHasher + Send + Sync + 'static> Shared for SymbolTable<N, S> {
    type Symbol = symbol_table::Symbol;

    #[inline]
    fn intern(&self, text: &str) -> Self::Symbol {
        self.intern(text)
    }

    #[inline]
    fn read<'a>(&'a self, symbol: &'a Self::Symbol) -> &'a str {
        self.resolve(*symbol)
    }
}

impl<S: BuildHasher + Send + Sync + 'static> Shared for ThreadedLexicon<S> {
    type Symbol = internity::Sym;

    #[inline]
    fn intern(&self, text: &str) -> Self::Symbol {
        self.intern(text)
    }

    /// It reads only after it is frozen.
    fn read<'a>(&'a self, _: &'a Self::Symbol) -> &'a str {
        ""
    }
}

struct Internment;

impl Shared for Internment {
    type Symbol = ArcIntern<str>;

    #[inline]
    fn intern(&self, text: &str) -> ArcIntern<str> {
        ArcIntern::from(text)
    }

    #[inline]
    fn read<'a>(&'a self, symbol: &'a ArcIntern<str>) -> &'a str {
        symbol
    }
}

/// Keeps texts of up to seven bytes in its word, and needs no look-up for them.
struct StringCache;

impl Shared for StringCache {
    type Symbol = DefaultAtom;

    #[inline]
    fn intern(&self, text: &str) -> DefaultAtom {
        DefaultAtom::from(text)
    }

    #[inline]
    fn read<'a>(&'a self, symbol: &'a DefaultAtom) -> &'a str {
        symbol
    }
}

fn lasso() -> ThreadedRodeo<Spur, DefaultHashBuilder> {
    ThreadedRodeo::with_hasher(DefaultHashBuilder::default())
}

/// With as many shards as it has by itself.
fn symbol_table() -> SymbolTable<16, DefaultHashBuilder> {
    SymbolTable::default()
}

fn lexicon() -> ThreadedLexicon<DefaultHashBuilder> {
    ThreadedLexicon::with_hasher(DefaultHashBuilder::default())
}

/// Everything interned, with what keeps it there.
fn filled<I: Shared>(interner: I, names: &Names) -> (I, Vec<I::Symbol>) {
    let symbols = names.distinct.iter().map(|name| interner.intern(name)).collect();
    (interner, symbols)
}

fn hits(name: &'static str, names: &'static Names) -> Group {
    Group {
        name,
        note: "find a name that is there, in a skewed order; ours under a pin",
        elements: 1,
        contenders: [1, 2].into_iter().flat_map(|threads| hits_at(names, threads)).collect(),
    }
}

fn hits_at(names: &'static Names, threads: usize) -> Vec<Contender> {
    fn peer<I: Shared>(name: &'static str, interner: I, names: &'static Names, threads: usize) -> Contender {
        let texts = names.texts();
        let body = move |(interner, _): &(I, Vec<I::Symbol>), _: usize, n: u64| {
            for text in met(&texts, n) {
                black_box(interner.intern(text));
            }
        };
        Contender::pinned(name, Role::Peer, threads, BATCH, filled(interner, names), body, |_| ()).warmed(BATCH)
    }
    let texts = names.texts();
    let ours = move |(pool, _): &(StringPool, Vec<InternedString>), _: usize, n: u64| {
        let pin = pool.pin();
        for text in met(&texts, n) {
            black_box(pin.intern(text));
        }
    };
    let texts = names.texts();
    let held = move |(pool, _): &(StringPool, Vec<InternedString>), _: usize, n: u64| {
        for text in met(&texts, n) {
            black_box(pool.intern(text));
        }
    };
    let texts = names.texts();
    let bare = move |table: &HashTable<&'static str>, _: usize, n: u64| {
        for text in met(&texts, n) {
            black_box(table.find(SeededState.hash_one(text), |held| *held == text));
        }
    };
    let pool = || filled(StringPool::new(), names);
    vec![
        Contender::pinned("blixard StringPin::intern", Role::Ours, threads, BATCH, pool(), ours, |_| ()).warmed(BATCH),
        Contender::pinned("blixard StringPool::intern", Role::Ours, threads, BATCH, pool(), held, |_| ()).warmed(BATCH),
        Contender::pinned("HashTable::find", Role::Control, threads, BATCH, bare_table(names), bare, |_| ())
            .warmed(BATCH),
        peer("ustr", Ustr, names, threads),
        peer("lasso ThreadedRodeo, foldhash", lasso(), names, threads),
        peer("lasso ThreadedRodeo", ThreadedRodeo::<Spur>::new(), names, threads),
        peer("symbol_table, foldhash", symbol_table(), names, threads),
        peer("symbol_table", SymbolTable::<16>::new(), names, threads),
        peer("internity ThreadedLexicon, foldhash", lexicon(), names, threads),
        peer("internity ThreadedLexicon", ThreadedLexicon::new(), names, threads),
        // These two count their handles, as `StringPool::intern` does.
        peer("internment ArcIntern", Internment, names, threads),
        peer("string_cache", StringCache, names, threads),
    ]
}

/// The first `n` texts in the order that they are met in.
fn met<'a>(texts: &'a [&'static str], n: u64) -> impl Iterator<Item = &'static str> + 'a {
    texts.iter().copied().cycle().take(usize::try_from(n).unwrap_or(usize::MAX))
}

/// Copies of all texts, one after the other, found by hash and comparison.
fn bare_table(names: &Names) -> HashTable<&'static str> {
    let mut table = HashTable::new();
    let mut texts: &'static str = names.distinct.concat().leak();
    for name in &names.distinct {
        let (text, rest) = texts.split_at(name.len());
        texts = rest;
        table.insert_unique(SeededState.hash_one(text), text, |text| SeededState.hash_one(text));
    }
    table
}

fn fills() -> Group {
    fn peer<I: Shared>(name: &'static str, make: impl Fn() -> I + 'static) -> Contender {
        let names = names::ten_thousand();
        Contender::alone(name, Role::Peer, 1, (), move |(), _| drop(black_box(filled(make(), names))), |()| ())
    }
    let names = names::ten_thousand();
    let under_a_pin = move |(): &mut (), _: u64| {
        let pool = StringPool::new();
        let pin = pool.pin();
        for name in &names.distinct {
            black_box(pin.intern(name));
        }
    };
    Group {
        name: "intern/shared-fill",
        note: "10,000 new names in a new interner, and its end; the last two keep one for the process and free name by name",
        elements: names.distinct.len() as u64,
        contenders: vec![
            Contender::alone("blixard StringPin::intern", Role::Ours, 1, (), under_a_pin, |()| ()),
            Contender::alone(
                "blixard StringPool::intern",
                Role::Ours,
                1,
                (),
                move |(), _| drop(black_box(filled(StringPool::new(), names))),
                |()| (),
            ),
            peer("lasso ThreadedRodeo, foldhash", lasso),
            peer("symbol_table, foldhash", symbol_table),
            peer("internity ThreadedLexicon, foldhash", lexicon),
            peer("internment ArcIntern", || Internment),
            peer("string_cache", || StringCache),
        ],
    }
}

fn pins() -> Group {
    let at = |threads| {
        vec![
            pinned!(
                "blixard StringPool::pin",
                Ours,
                threads,
                StringPool::new(),
                |pool, _i| drop(black_box(pool.pin())),
                |_| ()
            ),
            pinned!("crossbeam-epoch, not Send", Peer, threads, (), |_nothing, _i| crossbeam_epoch::pin(), |()| ()),
            pinned!(
                "seize enter, not Send",
                Peer,
                threads,
                seize::Collector::new(),
                |collector, _i| drop(black_box(collector.enter())),
                |_| ()
            ),
            pinned!(
                "seize enter_owned",
                Peer,
                threads,
                seize::Collector::new(),
                |collector, _i| drop(black_box(collector.enter_owned())),
                |_| ()
            ),
        ]
    };
    Group {
        name: "intern/pin",
        note: "keep what is found from being freed, and stop doing so",
        elements: 1,
        contenders: [1, 2].into_iter().flat_map(at).collect(),
    }
}

fn resolves() -> Group {
    fn peer<I: Shared>(name: &'static str, role: Role, interner: I) -> Contender {
        let names = names::ten_thousand();
        let (interner, symbols) = filled(interner, names);
        let read = move |at: &mut usize, _: u64| {
            *at = (*at + 1) % names.met.len();
            black_box(interner.read(&symbols[names.met[*at] as usize]).as_bytes().first());
        };
        Contender::alone(name, role, BATCH, 0, read, |_| ()).warmed(BATCH)
    }
    Group {
        name: "intern/shared-resolve",
        note: "from what one holds of a name to its first byte, in a skewed order",
        elements: 1,
        contenders: vec![
            peer("blixard InternedString", Role::Ours, StringPool::new()),
            peer("ustr", Role::Peer, Ustr),
            peer("lasso ThreadedRodeo", Role::Peer, lasso()),
            peer("symbol_table", Role::Peer, symbol_table()),
            peer("internment ArcIntern", Role::Peer, Internment),
            peer("string_cache", Role::Peer, StringCache),
        ],
    }
}

/// 10,000 names come and go, in a pool that has 10,000 others: what it costs that they are freed.
fn sweeps() -> Group {
    fn peer<I: Shared>(name: &'static str, role: Role, interner: I, sweep: impl Fn(&I) + 'static) -> Contender {
        let coming: Vec<String> = (0..10_000).map(|i| format!("session-{i}")).collect();
        let come_and_go = move |(interner, _): &mut (I, Vec<I::Symbol>), _: u64| {
            let held: Vec<I::Symbol> = coming.iter().map(|name| interner.intern(name)).collect();
            drop(black_box(held));
            sweep(interner);
        };
        Contender::alone(name, role, 1, filled(interner, names::ten_thousand()), come_and_go, |_| ())
    }
    Group {
        name: "intern/sweep",
        note: "per name: 10,000 of 20,000 are entered, let go of, and freed",
        elements: 10_000,
        contenders: vec![
            peer("blixard StringPool, swept", Role::Ours, StringPool::new(), |pool| {
                pool.sweep();
            }),
            peer("blixard StringPool, as new names come", Role::Ours, StringPool::new(), |_| ()),
            peer("internment ArcIntern", Role::Peer, Internment, |_| ()),
            peer("string_cache", Role::Peer, StringCache, |_| ()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_contender_reads_what_it_interned() {
        fn check<I: Shared>(interner: I) {
            let names = names::ten_thousand();
            let (interner, symbols) = filled(interner, names);
            assert!(symbols.iter().zip(&names.distinct).all(|(symbol, name)| interner.read(symbol) == *name));
        }
        check(StringPool::new());
        check(Ustr);
        check(lasso());
        check(symbol_table());
        check(Internment);
        check(StringCache);
        let table = bare_table(names::ten_thousand());
        let found = |name: &&str| table.find(SeededState.hash_one(name), |held| held == name) == Some(name);
        assert!(names::ten_thousand().distinct.iter().all(found));
    }

    #[test]
    fn every_group_does_its_work() {
        for (name, make) in GROUPS {
            for contender in &mut make().contenders {
                assert!(contender.run(3) > Duration::ZERO, "{name}: {}", contender.label());
            }
        }
    }
}
