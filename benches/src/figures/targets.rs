//! What the library promises of its speed: who is set against whom, in which group, and the bound.
//!
//! Bounds are those of the design; they were set before anything was measured and are not moved.

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
use Over::{BestPeer, BestPeerBut, Named, OneThread};

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
    alone("bump from any thread", "shared/u64", SHARED, Named("Mutex<Bump>"), Faster(5.0)),
    on(2, "the same on 2 threads", "shared/u64", SHARED, Named("Mutex<Bump>"), Faster(5.0)),
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
    alone("reference request, glibc's heap", "request/reference", ARENA, Named("heap, std HashMap"), Faster(7.5)),
    under_mimalloc("reference request, mimalloc's heap", "request/reference", "heap, std HashMap", Faster(3.5)),
    alone("reference request, other arenas", "request/reference", ARENA, BestPeer, Faster(2.5)),
    alone("random request", "request/random", ARENA, Named(TUNED), AtMost(1.2)),
    alone("random request, glibc's heap", "request/random", ARENA, Named("heap, std HashMap"), Faster(7.5)),
    under_mimalloc("random request, mimalloc's heap", "request/random", "heap, std HashMap", Faster(3.5)),
    alone("random request, other arenas", "request/random", ARENA, BestPeer, Faster(2.5)),
    alone(
        "meet one of 10 names in an arena",
        "intern/hit-10",
        "blixard ArenaInterner",
        Named("bare table look-up"),
        AtMost(1.1),
    ),
    alone("of 10,000 names", "intern/hit-10000", "blixard ArenaInterner", Named("bare table look-up"), AtMost(1.1)),
    alone("a new name, 10 in all", "intern/fill-10", "blixard ArenaInterner", Named("lasso Rodeo"), AtMost(0.8)),
    alone("a new name, 10,000 in all", "intern/fill-10000", "blixard ArenaInterner", Named("lasso Rodeo"), AtMost(0.8)),
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
    alone("meet one of the process's 10 names", "intern/shared-hit-10", PIN, Named("ustr"), Faster(1.4)),
    on(2, "the same on 2 threads", "intern/shared-hit-10", PIN, Named("ustr"), Faster(2.0)),
    alone("take and return a 1 KiB buffer", "pool/buffer-1k", VECS, Named(STACK), AtMost(1.5)),
    on(2, "the same on 2 threads", "pool/buffer-1k", VECS, Named(STACK), AtMost(1.5)),
    alone("the same", "pool/buffer-1k", VECS, Named("malloc"), Faster(1.0)),
    alone("the same", "pool/buffer-1k", VECS, BestPeerBut("malloc"), Faster(2.5)),
    on(2, "the same on 2 threads", "pool/buffer-1k", VECS, BestPeerBut("malloc"), Faster(8.0)),
    alone("take and return a proposal", "pool/proposal", OBJECTS, Named(STACK), AtMost(1.5)),
    on(2, "the same on 2 threads", "pool/proposal", OBJECTS, Named(STACK), AtMost(1.5)),
    alone(
        "read an archived proposal",
        "archive/read-one",
        "blixard archive",
        Named("postcard, texts borrowed"),
        Faster(5.0),
    ),
    alone(
        "read a batch of 16",
        "archive/read-batch",
        "blixard archive",
        Named("postcard, texts borrowed"),
        Faster(5.0),
    ),
    alone("archive a proposal", "archive/encode-one", "blixard archive", Named("postcard"), Faster(5.0)),
    alone("archive a batch of 16", "archive/encode-batch", "blixard archive", Named("postcard"), Faster(5.0)),
    alone(
        "look up one of a million names on disk",
        "mapped/find-1000000",
        "blixard Table, mapped",
        Named("hashbrown, foldhash"),
        AtMost(2.0),
    ),
    alone("one of 10,000", "mapped/find-10000", "blixard Table, mapped", Named("hashbrown, foldhash"), AtMost(2.0)),
    alone(
        "place among 1,000 nodes",
        "placement/1000",
        "blixard, best kernel",
        Named("one pass, scalar, with alternatives"),
        Faster(2.5),
    ),
    alone("the same", "placement/1000", "blixard, best kernel", Named("push, clone and sort"), Faster(100.0)),
];
