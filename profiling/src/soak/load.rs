//! What the requests of a soak do: all kinds, all sizes, some of them too large.
//!
//! A thread begins with one of each kind, as large as they come, so that what memory they take is taken early; then it serves one after
//! the other by chance, and ends parcels of other threads in between. Whatever it builds it looks at again before the
//! end, on whichever thread that is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use blixard_arena::archive::{self, List, Schema, Text, rkyv};
use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{FlatMap, String as ArenaString, Vec as ArenaVec};
use blixard_arena::intern::{ArenaInterner, InternedString};
use blixard_arena::{BudgetExceeded, Sealed};

use super::world::{BUDGET_BYTES_MAX, Batch, Counts, Parcel, World, count};
use crate::input::rng::Rng;

/// Names that many requests have.
const COMMON_NAMES: usize = 2_000;
/// The most that a request builds, before what its collections leave behind when they grow.
const SIZE_MAX: usize = 64 << 13;
/// Numbers of which each draws another kind of request.
pub(super) const KINDS: [usize; 10] = [0, 500, 600, 700, 760, 850, 930, 988, 992, 999];
/// Names and topics that a thread keeps beyond its requests.
const KEPT_MAX: usize = 200;

/// A message that is archived.
#[derive(Debug, rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Message<'a> {
    number: u64,
    #[rkyv(with = Text)]
    name: &'a str,
    #[rkyv(with = List)]
    scores: &'a [(u64, u64)],
}

impl Schema for Message<'_> {
    const NAME: &'static str = "soak.message";
}

/// Budgets that are exceeded by a panic are part of the load, and not printed.
pub(super) fn expect_greed() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<BudgetExceeded>() {
            loud(info);
        }
    }));
}

/// Serves so many requests, fewer where the world is closed.
pub(super) fn serve(world: &World, rng: Rng, requests: usize) {
    let mut desk =
        Desk { world, rng, largest: false, held: Vec::with_capacity(KEPT_MAX), topics: Vec::with_capacity(KEPT_MAX) };
    let mut first = KINDS.into_iter();
    for _ in 0..requests {
        if world.is_closed() {
            return;
        }
        let largest = first.next();
        desk.largest = largest.is_some();
        let kind = largest.unwrap_or_else(|| desk.rng.below(1_000));
        within_budget(world, || desk.request(kind));
        count(&world.counts.requests);
        if desk.rng.below(2) == 0
            && let Some(parcel) = world.receive()
        {
            end(world, parcel);
        }
    }
}

/// Runs a request, or a part of one. Where it panics over its budget it has ended, as large ones do by chance; the thread goes on.
fn within_budget(world: &World, part: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(part)) {
        match payload.downcast::<BudgetExceeded>() {
            Ok(over) => assert!(over.allowed == BUDGET_BYTES_MAX && over.used <= over.allowed, "{over}"),
            Err(other) => std::panic::resume_unwind(other),
        }
        count(&world.counts.over_budget);
    }
}

/// One thread's.
struct Desk<'w> {
    world: &'w World,
    rng: Rng,
    largest: bool,
    held: Vec<InternedString>,
    topics: Vec<Arc<[usize]>>,
}

impl Desk<'_> {
    /// Serves a request of the kind that this number below 1,000 is drawn for.
    fn request(&mut self, kind: usize) {
        match kind {
            0..500 => self.plain(),
            500..600 => self.shared(),
            600..700 => self.sealed(),
            700..760 => self.buffer(),
            760..850 => self.draft(),
            850..930 => self.values(),
            930..988 => self.archive(),
            988..992 => self.greedy(),
            992..998 => self.greedy_by_panic(),
            _ => self.greedy_for_names(),
        }
    }

    /// Bytes that a request builds: from 64 to half a million, the more the rarer.
    fn size(&mut self) -> usize {
        if self.largest {
            return SIZE_MAX;
        }
        let doublings = self.rng.below(14).min(self.rng.below(14)).min(self.rng.below(14));
        64 << doublings | self.rng.below(64)
    }

    fn plain(&mut self) {
        let size = self.size();
        let Self { world, rng, held, .. } = self;
        let arena = world.arenas.acquire();
        count(&world.counts.arenas);
        build(&*arena, &world.counts, size);
        arena.scope(|scratch| build(scratch, &world.counts, size / 4));
        let mut names = ArenaInterner::new_in(&*arena);
        let pin = world.names.pin();
        for _ in 0..rng.below(12) {
            // Half of them are common, the others come once.
            let common = rng.below(2) == 0;
            let number =
                if common { (rng.below(COMMON_NAMES) + 1).min(rng.below(COMMON_NAMES) + 1) as u64 } else { rng.next() };
            let text = arena.format(format_args!("tenant-{number}"));
            let symbol = names.intern(text);
            assert_eq!(names.resolve(symbol), text);
            match pin.try_intern(text) {
                Ok(name) => {
                    assert_eq!(name.as_str(), text);
                    if rng.below(4) == 0 {
                        keep(rng, held, name.to_interned());
                    }
                }
                Err(_) => count(&world.counts.names_full),
            }
        }
        drop(pin);
        assert!(held.iter().all(|name| name.starts_with("tenant-")));
        if rng.below(200) == 0 {
            let parcel = Parcel::Names(std::mem::take(held));
            self.send(parcel);
        }
    }

    fn shared(&mut self) {
        let size = self.size();
        let arena = self.world.arenas.acquire_shared();
        count(&self.world.counts.arenas);
        build(&*arena, &self.world.counts, size);
        // Another thread goes on with it, and ends it if it is the last.
        self.send(Parcel::Shared(arena.clone(), size));
        build(&*arena, &self.world.counts, size / 2);
    }

    fn sealed(&mut self) {
        let (size, number) = (self.size(), self.rng.below(100));
        count(&self.world.counts.arenas);
        let batch = Sealed::<Batch<'_>>::build(self.world.arenas.acquire(), |arena| {
            let names =
                arena.alloc_slice_fill_with(1 + size / 40, |at| &*arena.format(format_args!("vm-{number}-{at}")));
            Batch { sum: names.iter().map(|name| name.len()).sum(), names }
        });
        self.send(Parcel::Sealed(batch));
    }

    fn buffer(&mut self) {
        let (size, value) = (2 * self.size(), self.rng.next().to_le_bytes()[0]);
        count(&self.world.counts.buffers);
        let mut buffer = self.world.buffers.acquire(size);
        assert!(buffer.is_empty());
        buffer.resize(size, value);
        let bytes = buffer.freeze();
        let half = bytes.slice(size / 2..);
        self.send(Parcel::Bytes(bytes, value));
        self.send(Parcel::Bytes(half, value));
    }

    fn draft(&mut self) {
        let Ok(mut draft) = self.world.drafts.try_acquire() else { return count(&self.world.counts.drafts_refused) };
        count(&self.world.counts.drafts);
        assert!(draft.vm.is_empty() && draft.scores.is_empty());
        draft.vm.push_str("vm-1");
        draft.scores.extend(0..self.rng.below(300) as u64);
        match self.rng.below(20) {
            0 => {
                count(&self.world.counts.drafts_detached);
                drop(draft.detach());
            }
            1..4 => self.send(Parcel::Draft(draft)),
            _ => {}
        }
    }

    fn values(&mut self) {
        let Self { world, rng, topics, .. } = self;
        let mut reader = world.configs.reader();
        for _ in 0..4 {
            let key = rng.below(4_000).min(rng.below(4_000));
            count(&world.counts.config_look_ups);
            let config = reader.get_or_build(&key, || "c".repeat(40 + key % 700));
            assert_eq!(config.len(), 40 + key % 700);
            count(&world.counts.topic_look_ups);
            let topic = world.topics.get_or_build(&(key % 500), || vec![key % 500; 20]);
            assert_eq!(topic[19], key % 500);
            keep(rng, topics, topic);
        }
    }

    fn archive(&mut self) {
        let (size, number) = (self.size(), self.rng.next());
        let arena = self.world.arenas.acquire();
        count(&self.world.counts.arenas);
        let scores = arena.alloc_slice_fill_with(size / 16, |at| (at as u64, number));
        let message = Message { number, name: arena.format(format_args!("vm-{number}")), scores };
        let bytes = archive::encode(&message).expect("far below the limit");
        drop(arena);
        self.send(Parcel::Archive(bytes, number));
    }

    /// Takes until it is refused; what was built stays, and the request's end gives it back.
    fn greedy(&mut self) {
        let arena = self.world.arenas.acquire();
        count(&self.world.counts.arenas);
        let first = arena.alloc_str("built before");
        let mut taken = 0;
        let over = loop {
            match arena.try_alloc_slice_fill_with(self.size(), |at| at.to_le_bytes()[0]) {
                Ok(bytes) => taken += bytes.len(),
                Err(over) => break over,
            }
        };
        assert!(over.allowed == BUDGET_BYTES_MAX && over.used <= over.allowed && taken <= over.allowed, "{over}");
        assert_eq!(first, "built before");
        count(&self.world.counts.over_budget);
    }

    /// The same through calls that panic: the request ends, the thread goes on.
    fn greedy_by_panic(&self) {
        let world = self.world;
        let arena = world.arenas.acquire();
        count(&world.counts.arenas);
        defer(&*arena, &world.counts);
        let mut list = ArenaVec::new_in(&*arena);
        loop {
            list.push(list.len());
        }
    }

    /// As many new names as the pool has room for, none of which is kept.
    fn greedy_for_names(&mut self) {
        let pin = self.world.names.pin();
        let first = self.rng.next();
        for number in 0..100_000_u64 {
            if pin.try_intern(&format!("greedy-{first}-{number}")).is_err() {
                count(&self.world.counts.names_full);
                return;
            }
        }
    }

    fn send(&mut self, parcel: Parcel) {
        if let Err(parcel) = self.world.send(parcel) {
            end(self.world, parcel);
        }
    }
}

/// Keeps a value for some time.
fn keep<T>(rng: &mut Rng, kept: &mut Vec<T>, value: T) {
    if kept.len() < KEPT_MAX {
        kept.push(value);
    } else {
        let at = rng.below(KEPT_MAX);
        kept[at] = value;
    }
}

/// Has an arena run a call and let go of a count at its end.
fn defer(arena: &impl AnyArena, counts: &Arc<Counts>) {
    struct Adopted(Arc<Counts>);
    impl Drop for Adopted {
        fn drop(&mut self) {
            count(&self.0.let_go);
        }
    }
    let ours = Arc::clone(counts);
    arena.defer(move || count(&ours.ran));
    // What is refused is not run, and is dropped.
    count(&counts.deferred);
    count(&counts.adopted);
    arena.adopt(Arc::new(Adopted(Arc::clone(counts))));
}

/// Builds so many bytes of values of all kinds, and looks at them again.
fn build(arena: &impl AnyArena, counts: &Arc<Counts>, bytes: usize) {
    defer(arena, counts);
    let copy = arena.alloc_slice_fill_with(bytes / 4, |at| at.to_le_bytes()[0]);
    let mut list = ArenaVec::new_in(arena);
    let mut text = ArenaString::new_in(arena);
    let mut map = FlatMap::new_in(arena);
    for at in 0..bytes / 64 {
        list.push(at);
        text.push_str("vm,");
        map.insert(at, at * 7);
    }
    assert!(list.iter().copied().eq(0..bytes / 64));
    assert!(text.len() == 3 * list.len() && text.split(',').rev().skip(1).all(|name| name == "vm"));
    assert!(map.iter().all(|(at, value)| *value == at * 7) && map.len() == list.len());
    assert!(copy.iter().enumerate().all(|(at, byte)| *byte == at.to_le_bytes()[0]));
}

/// Ends what another thread began.
pub(super) fn end(world: &World, parcel: Parcel) {
    count(&world.counts.received);
    match parcel {
        Parcel::Bytes(bytes, value) => assert!(bytes.iter().all(|byte| *byte == value)),
        Parcel::Archive(bytes, number) => {
            let message = archive::access::<Message<'_>>(&bytes).expect("as it was written");
            assert_eq!(message.number.to_native(), number);
            assert!(message.scores.iter().all(|score| score.1.to_native() == number));
        }
        Parcel::Sealed(batch) => {
            let Batch { names, sum } = batch.get();
            assert!(names.iter().map(|name| name.len()).sum::<usize>() == *sum && names[0].starts_with("vm-"));
        }
        Parcel::Shared(arena, size) => within_budget(world, || build(&*arena, &world.counts, size)),
        Parcel::Draft(draft) => assert_eq!(draft.vm, "vm-1"),
        Parcel::Names(names) => assert!(names.iter().all(|name| name.starts_with("tenant-"))),
    }
}
