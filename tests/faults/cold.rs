//! What a request does where nothing is warm: pools make objects, caches build values, encoders take buffers.
//!
//! Here the library calls what has no form for too little memory: factories and builders of a user's, `Arc::new`, the vectors of
//! `bytes`, the tables of quick_cache and hashbrown. So these steps are no part of the requests that survive any refusal:
//! callbacks of theirs panic in turn, and children that memory is refused to may end by an abort.
#![forbid(unsafe_code)]

use crate::allocator::{Ours, ours, theirs};
use crate::guests::{Guest, Label, tick};
use crate::requests::{Batch, Stop, caught, elsewhere};
use crate::world::{TableFile, World};
use blixard_arena::arc::{ArcCache, BatchedArc, WeakCache};
use blixard_arena::archive::{self, Schema, Text, rkyv};
use blixard_arena::intern::StringPool;
use blixard_arena::mapped::Table;
use blixard_arena::pool::{BufferPool, Pooled, TypedObjectPool};
use blixard_arena::{ArenaPool, Sealed};
use rkyv::rancor::Fallible;
use rkyv::{Archive, Place, Serialize};
use std::sync::Arc;

pub(crate) type Step = fn(&World);

pub(crate) const STEPS: &[(&str, Step)] = &[
    ("pools", pools),
    ("objects", objects),
    ("buffers", buffers),
    ("cached values", cached),
    ("weak values", weak),
    ("owners by the batch", batched),
    ("archives", archives),
    ("bytes of a sealed batch", sealed_bytes),
    ("names in one pass", promoted),
    ("tables", table),
];

/// All of them. One that panics ends the request, or is followed by the next.
pub(crate) fn serve(world: &World, goes_on: bool) -> Result<(), Stop> {
    let mut served = Ok(());
    for (_, step) in STEPS {
        if served.is_ok() || goes_on {
            served = served.and(caught(|| {
                step(world);
                Ok(())
            }));
        }
    }
    served
}

fn pools(_: &World) {
    let arenas = Ours::new(ours(ArenaPool::new));
    drop(Ours::new(ours(|| arenas.acquire())));
    drop(Ours::new(ours(StringPool::new)));
    drop(Ours::new(ours(|| TypedObjectPool::builder(|| Guest::new(1)).build())));
    drop(Ours::new(ours(BufferPool::new)));
    drop(Ours::new(ours(ArcCache::<u32, Guest>::new)));
    drop(Ours::new(ours(WeakCache::<u32, Guest>::new)));
}

fn objects(_: &World) {
    let pool = TypedObjectPool::builder(|| {
        tick();
        Vec::<Guest>::with_capacity(2)
    })
    .reset(|guests| {
        tick();
        guests.clear();
    })
    .check(|_| {
        tick();
        true
    })
    .retained_bytes(|guests| {
        tick();
        guests.capacity()
    })
    .live_max(3)
    .build();
    let pool = Ours::new(pool);
    for round in 0..3 {
        let mut first = Ours::new(ours(|| pool.acquire()));
        first.as_mut().push(Guest::new(round));
        let mut second: Ours<Pooled<Vec<Guest>>> = Ours::new(ours(|| pool.try_acquire().expect("two of three")));
        second.as_mut().push(Guest::new(round));
        drop(second);
        ours(|| {
            pool.with(|guests| {
                tick();
                theirs(|| guests.push(Guest::new(round)));
            });
        });
        if round == 1 {
            let guests = ours(|| first.take().detach());
            assert_eq!(guests.len(), 1);
        }
    }
    drop(Ours::new(ours(|| pool.attach(Vec::new()))));
    ours(|| pool.trim());
    let figures = pool.figures();
    assert_eq!((figures.live, figures.created), (0, figures.idle as u64 + figures.dropped + figures.detached));
}

fn buffers(_: &World) {
    let pool = Ours::new(BufferPool::new());
    for bytes in [10, 5000, 2 << 20] {
        let mut buffer = Ours::new(ours(|| pool.acquire(bytes)));
        buffer.as_mut().extend_from_slice(b"accepted");
        let frozen = Ours::new(ours(|| buffer.take().freeze()));
        let part = Ours::new(ours(|| frozen.slice(..6)));
        drop(frozen);
        elsewhere(move || assert_eq!(&part[..], b"accept"));
    }
}

fn cached(_: &World) {
    let weigh = |guest: &Guest| {
        tick();
        u64::from(guest.worth % 3)
    };
    let cache = Ours::new(ArcCache::<Guest, Guest>::with_weight_max(4, weigh));
    let mut reader = Ours::new(ours(|| cache.reader()));
    for worth in [0, 1, 2, 1, 3, 0, 4] {
        let key = Guest::new(worth);
        let built = ours(|| {
            cache.get_or_build(&key, || {
                tick();
                Guest::new(worth)
            })
        });
        assert_eq!(built.worth, worth);
        drop(Ours::new(built));
        let read = ours(|| Arc::clone(reader.as_mut().get_or_build(&key, || Guest::new(worth))));
        assert_eq!(read.worth, worth);
    }
    let (key, value) = (Guest::new(2), Guest::new(2));
    drop(Ours::new(ours(|| cache.insert(key, value))));
    let key = Guest::new(2);
    drop(Ours::new(ours(|| cache.remove(&key))));
    ours(|| cache.clear());
    assert_eq!(cache.figures().entries, 0);
}

fn weak(_: &World) {
    let cache = Ours::new(WeakCache::<Guest, Guest>::new());
    let key = Guest::new(100);
    let build = |worth: u32| {
        move || {
            tick();
            Guest::new(worth)
        }
    };
    let held = Ours::new(ours(|| cache.get_or_build(&key, build(100))));
    for worth in [0, 1, 100, 1] {
        let key = Guest::new(worth);
        drop(Ours::new(ours(|| cache.get_or_build(&key, build(worth)))));
    }
    assert_eq!(ours(|| cache.sweep()), 2);
    let removed = ours(|| cache.remove(&key));
    assert!(removed.is_some_and(|value| Arc::ptr_eq(&value, &held)));
}

fn batched(_: &World) {
    let owner = Ours::new(ours(|| BatchedArc::new(Guest::new(1))));
    let mut batch = Ours::new(ours(|| owner.batch(5)));
    let other = Ours::new(ours(|| batch.as_mut().next()));
    drop((owner, batch));
    assert!((*other).as_ref().is_some_and(|owner| owner.worth == 1 && owner.owners() == 1));
    let list = Ours::new(ours(|| BatchedArc::<[Guest]>::from(theirs(|| vec![Guest::new(1), Guest::new(2)]))));
    assert_eq!(list.len(), 2);
}

impl Archive for Label {
    type Archived = <u32 as Archive>::Archived;
    type Resolver = ();

    fn resolve(&self, (): (), out: Place<Self::Archived>) {
        tick();
        self.0.resolve((), out);
    }
}

impl<S: Fallible + ?Sized> Serialize<S> for Label {
    fn serialize(&self, _: &mut S) -> Result<(), S::Error> {
        tick();
        Ok(())
    }
}

#[derive(Archive, Serialize)]
#[rkyv(crate = rkyv)]
struct Labelled<'a> {
    first: Label,
    #[rkyv(with = Text)]
    text: &'a str,
    more: [Label; 3],
}

impl Schema for Labelled<'_> {
    const NAME: &'static str = "test.labelled";
}

fn archives(_: &World) {
    let long = "l".repeat(70_000);
    for text in ["short", &long] {
        let labelled = Labelled { first: Label(1), text, more: [Label(2), Label(3), Label(4)] };
        let bytes = Ours::new(ours(|| archive::encode(&labelled)).expect("far below the limit"));
        let back = ours(|| archive::access::<Labelled<'_>>(&bytes)).expect("just written");
        assert_eq!((back.text.as_str(), back.more[2].to_native()), (text, 4));
    }
    let aligned = Ours::new(ours(|| archive::aligned(&[7; 100])));
    assert_eq!(aligned[..], [7; 100]);
}

fn sealed_bytes(world: &World) {
    let guard = ours(|| world.arenas.acquire());
    let batch = Ours::new(ours(|| {
        Sealed::<Batch<'_>>::build(guard, |arena| Batch {
            names: arena.alloc_slice_copy(&[&*arena.alloc_str("vm-1")]),
            guest: Guest::new(1),
        })
    }));
    assert_eq!(batch.get().guest.worth, 1);
    let bytes = Ours::new(ours(|| {
        batch.take().into_bytes(|batch| {
            tick();
            batch.names[0].as_bytes()
        })
    }));
    elsewhere(move || assert_eq!(bytes[..], *b"vm-1"));
}

fn promoted(world: &World) {
    let mut kept = Vec::with_capacity(20);
    let names: Vec<String> = (0..20).map(|i| format!("promoted-{i}")).collect();
    let texts = names.iter().map(|name| {
        tick();
        name.as_str()
    });
    ours(|| world.names.promote(texts, &mut kept));
    assert!(kept.iter().zip(&names).all(|(kept, name)| **kept == **name));
    drop(Ours::new(kept));
    ours(|| world.names.sweep());
}

fn table(_: &World) {
    let Ok(table) = ours(|| Table::open(TableFile::path())) else { return };
    assert!(Ours::new(table).find("node-1").expect("a whole table").is_some());
}
