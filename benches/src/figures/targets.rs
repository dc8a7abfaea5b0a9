//! What the library promises of its speed: who is set against whom, in which group, and the bound.
//!
//! Bounds were set before anything was measured, and are not moved: what misses one stays in the list.

/// One promise.
pub(super) struct Target {
    pub(super) what: &'static str,
    pub(super) group: &'static str,
    /// Whose time, and on how many threads.
    pub(super) of: (&'static str, usize),
    pub(super) over: Over,
    pub(super) bound: Bound,
    pub(super) under_mimalloc: bool,
}

/// Whom it is set against.
pub(super) enum Over {
    /// The peer that takes the least time, on as many threads.
    BestPeer,
    /// The same without this one, which has a target of its own.
    BestPeerBut(&'static str),
    /// One contender, on as many threads.
    Named(&'static str),
    /// The one of these forms of a peer that takes the least time, on as many threads.
    BestOf(&'static [&'static str]),
    /// Nobody: its own time in nanoseconds.
    Time,
    /// Itself on one thread, by the same quotient of a control that shares nothing.
    OneThread(&'static str),
}

/// How far.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// Its time is at most so many times the other's.
    AtMost(f64),
    /// The other's time is at least so many times its own.
    Faster(f64),
}

use Bound::{AtMost, Faster};
use Over::{BestOf, BestPeer, BestPeerBut, Named, OneThread, Time};

const fn on(
    threads: usize,
    what: &'static str,
    group: &'static str,
    of: &'static str,
    over: Over,
    bound: Bound,
) -> Target {
    Target { what, group, of: (of, threads), over, bound, under_mimalloc: false }
}

const fn alone(what: &'static str, group: &'static str, of: &'static str, over: Over, bound: Bound) -> Target {
    on(1, what, group, of, over, bound)
}

const fn under_mimalloc(what: &'static str, group: &'static str, over: &'static str, bound: Bound) -> Target {
    let of = (ARENA, 1);
    Target { what, group, of, over: Named(over), bound, under_mimalloc: true }
}

const ARENA: &str = "blixard Arena";
const SHARED: &str = "blixard SharedArena";
const ACQUIRE: &str = "blixard ArenaPool::acquire";
const VECS: &str = "blixard VecPool::acquire";
const OBJECTS: &str = "blixard TypedObjectPool::acquire";
const PIN: &str = "blixard StringPin::intern";
const TUNED: &str = "hand-tuned, same semantics";
const HEAP: &str = "heap, hashbrown";
const HEAP_STD: &str = "heap, std HashMap";
const LASSO: Over = BestOf(&["lasso Rodeo", "lasso Rodeo, cleared"]);
/// The peers that are pools; what `malloc` is set against has a target of its own.
const POOLS: Over = BestPeerBut("malloc");
const READER: &str = "blixard CacheReader::get";
const CACHE: &str = "blixard ArcCache::get";
const PINS: &str = "blixard StringPool::pin";
const TABLE: &str = "blixard Table, mapped";
const ARCHIVE: &str = "blixard archive";
const KERNEL: &str = "blixard, best kernel";
const STACK: &str = "thread-local stack";
const BUMPS: &str = "thread-local stack of bumps";

pub(super) const ALL: &[Target] = &[
    alone("bump a `u64`", "bump/u64", ARENA, BestPeer, AtMost(1.05)),
    alone("bump 24 bytes", "bump/24 bytes", ARENA, BestPeer, AtMost(1.05)),
    alone("bump 64 bytes", "bump/64 bytes", ARENA, BestPeer, AtMost(1.05)),
    alone("copy a `str` of 16", "bump/str of 16", ARENA, BestPeer, AtMost(1.05)),
    alone("copy 8 `u64`", "bump/slice of 8 u64", ARENA, BestPeer, AtMost(1.05)),
    alone("format 45 bytes", "bump/format 45 bytes", ARENA, BestPeer, AtMost(1.05)),
    alone("bump from any thread", "shared/u64", SHARED, Named("bumpalo, one per thread"), AtMost(1.5)),
    on(2, "the same on 2 threads, over 1", "shared/u64", SHARED, OneThread("bumpalo, one per thread"), AtMost(1.1)),
    alone("bump from any thread", "shared/u64", SHARED, BestPeer, Faster(5.0)),
    on(2, "the same on 2 threads", "shared/u64", SHARED, BestPeer, Faster(5.0)),
    alone("acquire and return an arena", "pool/acquire and return", ACQUIRE, Named(BUMPS), AtMost(1.5)),
    on(2, "the same on 2 threads", "pool/acquire and return", ACQUIRE, Named(BUMPS), AtMost(1.5)),
    alone(
        "likewise a shared arena",
        "pool/acquire and return",
        "blixard ArenaPool::acquire_shared",
        Named(BUMPS),
        AtMost(1.5),
    ),
    alone("reference request", "request/reference", ARENA, Named(TUNED), AtMost(1.2)),
    alone("hand-tuned request", "request/reference", TUNED, Named("bumpalo + hashbrown"), AtMost(0.33)),
    alone("reference request, glibc's heap", "request/reference", ARENA, Named(HEAP), Faster(7.5)),
    alone("the same, std's map", "request/reference", ARENA, Named(HEAP_STD), Faster(7.5)),
    under_mimalloc("reference request, mimalloc's heap", "request/reference", HEAP, Faster(3.5)),
    under_mimalloc("the same, std's map", "request/reference", HEAP_STD, Faster(3.5)),
    alone("reference request, other arenas", "request/reference", ARENA, BestPeer, Faster(2.5)),
    alone("random request", "request/random", ARENA, Named(TUNED), AtMost(1.2)),
    alone("random request, glibc's heap", "request/random", ARENA, Named(HEAP), Faster(7.5)),
    alone("the same, std's map", "request/random", ARENA, Named(HEAP_STD), Faster(7.5)),
    under_mimalloc("random request, mimalloc's heap", "request/random", HEAP, Faster(3.5)),
    under_mimalloc("the same, std's map", "request/random", HEAP_STD, Faster(3.5)),
    alone("random request, other arenas", "request/random", ARENA, BestPeer, Faster(2.5)),
    alone(
        "meet one of 10 names in an arena",
        "intern/hit-10",
        "blixard ArenaInterner",
        Named("bare table look-up"),
        AtMost(1.1),
    ),
    alone("of 10,000 names", "intern/hit-10000", "blixard ArenaInterner", Named("bare table look-up"), AtMost(1.1)),
    alone("a new name, 10 in all", "intern/fill-10", "blixard ArenaInterner", LASSO, AtMost(0.8)),
    alone("a new name, 10,000 in all", "intern/fill-10000", "blixard ArenaInterner", LASSO, AtMost(0.8)),
    alone(
        "meet one of the process's 10,000 names",
        "intern/shared-hit-10000",
        PIN,
        Named("HashTable::find"),
        AtMost(1.5),
    ),
    on(2, "the same on 2 threads", "intern/shared-hit-10000", PIN, Named("HashTable::find"), AtMost(1.5)),
    alone("the same", "intern/shared-hit-10000", PIN, Named("ustr"), Faster(1.4)),
    on(2, "the same on 2 threads", "intern/shared-hit-10000", PIN, Named("ustr"), Faster(2.0)),
    alone("meet one of the process's 10 names", "intern/shared-hit-10", PIN, Named("HashTable::find"), AtMost(1.5)),
    on(2, "the same on 2 threads", "intern/shared-hit-10", PIN, Named("HashTable::find"), AtMost(1.5)),
    alone("the same", "intern/shared-hit-10", PIN, Named("ustr"), Faster(1.4)),
    on(2, "the same on 2 threads", "intern/shared-hit-10", PIN, Named("ustr"), Faster(2.0)),
    alone("take and return a pin", "intern/pin", PINS, Time, AtMost(12.0)),
    on(2, "the same on 2 threads", "intern/pin", PINS, Time, AtMost(12.0)),
    alone("take and return a 1 KiB buffer", "pool/buffer-1k", VECS, Named(STACK), AtMost(1.5)),
    on(2, "the same on 2 threads", "pool/buffer-1k", VECS, Named(STACK), AtMost(1.5)),
    alone("the same", "pool/buffer-1k", VECS, Named("malloc"), Faster(1.0)),
    alone("the same", "pool/buffer-1k", VECS, POOLS, Faster(2.5)),
    on(2, "the same on 2 threads", "pool/buffer-1k", VECS, POOLS, Faster(8.0)),
    alone("take and return a 64 KiB buffer", "pool/buffer-64k", VECS, Named(STACK), AtMost(1.5)),
    on(2, "the same on 2 threads", "pool/buffer-64k", VECS, Named(STACK), AtMost(1.5)),
    alone("the same", "pool/buffer-64k", VECS, POOLS, Faster(2.5)),
    on(2, "the same on 2 threads", "pool/buffer-64k", VECS, POOLS, Faster(8.0)),
    alone("take and return a proposal", "pool/proposal", OBJECTS, Named(STACK), AtMost(1.5)),
    on(2, "the same on 2 threads", "pool/proposal", OBJECTS, Named(STACK), AtMost(1.5)),
    alone("the same", "pool/proposal", OBJECTS, POOLS, Faster(2.5)),
    on(2, "the same on 2 threads", "pool/proposal", OBJECTS, POOLS, Faster(8.0)),
    on(2, "take on one thread, return on another", "pool/handover", VECS, POOLS, Faster(8.0)),
    alone("find one of 10 shared values", "arc/get-10", CACHE, Named("quick_cache"), AtMost(1.0)),
    on(2, "the same on 2 threads", "arc/get-10", CACHE, Named("quick_cache"), AtMost(1.0)),
    on(2, "the same by a reader", "arc/get-10", READER, Named("quick_cache"), AtMost(1.0)),
    alone("one of 10,000", "arc/get-10000", CACHE, Named("quick_cache"), AtMost(1.0)),
    on(2, "the same on 2 threads", "arc/get-10000", CACHE, Named("quick_cache"), AtMost(1.0)),
    on(2, "the same by a reader", "arc/get-10000", READER, Named("quick_cache"), AtMost(1.0)),
    alone(
        "format 45 bytes, memory being there",
        "collections/format",
        "blixard Arena::format",
        Named("write! into a hand-written region"),
        AtMost(1.0),
    ),
    alone("read an archived proposal", "archive/read-one", ARCHIVE, Named("postcard, texts borrowed"), Faster(5.0)),
    alone("read a batch of 16", "archive/read-batch", ARCHIVE, Named("postcard, texts borrowed"), Faster(5.0)),
    alone("archive a proposal", "archive/encode-one", ARCHIVE, Named("postcard"), Faster(5.0)),
    alone("archive a batch of 16", "archive/encode-batch", ARCHIVE, Named("postcard"), Faster(5.0)),
    alone(
        "look up one of a million names on disk",
        "mapped/find-1000000",
        TABLE,
        Named("hashbrown, foldhash"),
        AtMost(2.0),
    ),
    alone("one that is not there", "mapped/absent-1000000", TABLE, Named("hashbrown, foldhash"), AtMost(2.0)),
    alone("one of 10,000", "mapped/find-10000", TABLE, Named("hashbrown, foldhash"), AtMost(2.0)),
    alone(
        "place among 1,000 nodes",
        "placement/1000",
        KERNEL,
        Named("one pass, scalar, with alternatives"),
        Faster(2.5),
    ),
    alone("the same", "placement/1000", KERNEL, Named("push, clone and sort"), Faster(100.0)),
];

/// A promise about a cell of a table that another program prints.
pub(super) struct Printed {
    pub(super) what: &'static str,
    pub(super) program: &'static str,
    /// Which of the program's tables, counted from 0.
    pub(super) table: usize,
    pub(super) row: &'static str,
    /// Counted from 0, the row's name being the first.
    pub(super) column: usize,
    /// The rows whose least figure it is divided by; none, if the figure stands by itself.
    pub(super) over: &'static [&'static str],
    pub(super) bound: Bound,
    /// What stands behind a figure by itself.
    pub(super) unit: &'static str,
}

const fn name_bytes(
    what: &'static str,
    column: usize,
    over: &'static [&'static str],
    bound: Bound,
    unit: &'static str,
) -> Printed {
    Printed { what, program: "names_memory", table: 0, row: "blixard StringPool", column, over, bound, unit }
}

/// The tracking benchmark's medians stand in column 2, those over nothing in column 3.
const fn tracking(
    what: &'static str,
    table: usize,
    row: &'static str,
    column: usize,
    over: &'static [&'static str],
    bound: Bound,
) -> Printed {
    Printed { what, program: "tracking", table, row, column, over, bound, unit: " times" }
}

/// The interners that can free a name.
const FREEING: &[&str] = &["internment ArcIntern", "string_cache"];
const COUNTING: &str = "blixard, counting";
const COMPLETE: &str = "blixard, complete sites";

pub(super) const PRINTED: &[Printed] = &[
    name_bytes("bytes per name beside its text, a million names", 2, FREEING, AtMost(1.0), ""),
    name_bytes("the same, the tables at their emptiest", 3, &[], AtMost(36.0), " bytes"),
    tracking("count an allocation and its free", 0, COUNTING, 3, &["nothing"], AtMost(1.3)),
    tracking("the same on 2 threads", 1, COUNTING, 3, &["nothing"], AtMost(1.3)),
    tracking("the same with its site, ten frames", 0, COMPLETE, 2, &["dhat"], Faster(10.0)),
    tracking(
        "the main job's heap replay, generated, sampled",
        3,
        "blixard, sampled sites",
        3,
        &["nothing"],
        AtMost(1.03),
    ),
    Printed {
        what: "map a table of a million names",
        program: "mapped_memory",
        table: 0,
        row: "blixard Table, mapped",
        column: 2,
        over: &[],
        bound: AtMost(1.0),
        unit: " ms",
    },
];
