//! Whole requests, in steps: one form out of calls that return an error, one out of calls that panic with it.
//!
//! The steps are written once; a macro makes both forms of them. No step asks the allocator for anything but through the library,
//! where a call of its is under way; what a test needs for itself it takes beside.
#![forbid(unsafe_code)]

use crate::allocator::{Ours, ours, shortage_lasts, theirs};
use crate::guests::{Bomb, Guest, Label, tick};
use crate::samples::{self, PROPOSAL, Proposal};
use crate::world::{TableFile, World};
use blixard_arena::archive::{self, DecodeError, EncodeError};
use blixard_arena::collections::{self, FlatMap, FlatSet};
use blixard_arena::intern::{ArenaInterner, InternError, PoolFull};
use blixard_arena::mapped::{Table, TableError, TableProblem};
use blixard_arena::pool::Pooled;
use blixard_arena::{Arena, BudgetExceeded, PooledArena, Sealed, SharedArena, sealed_root};
use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Why a request ends early: there is no memory, or a callback has panicked.
#[derive(Debug)]
pub(crate) struct Stop;

impl From<BudgetExceeded> for Stop {
    fn from(over: BudgetExceeded) -> Self {
        assert!(over.asked > 0, "{over}");
        Self
    }
}

impl From<PoolFull> for Stop {
    fn from(full: PoolFull) -> Self {
        assert!(matches!(full, PoolFull::Bytes { asked: 1.., .. }), "{full}");
        Self
    }
}

impl From<InternError> for Stop {
    fn from(refused: InternError) -> Self {
        let InternError::Budget(over) = refused else { panic!("{refused}") };
        over.into()
    }
}

impl From<DecodeError> for Stop {
    fn from(refused: DecodeError) -> Self {
        let DecodeError::Budget(over) = refused else { panic!("{refused}") };
        over.into()
    }
}

impl From<EncodeError> for Stop {
    fn from(refused: EncodeError) -> Self {
        let EncodeError::Scratch(over) = refused else { panic!("{refused}") };
        over.into()
    }
}

impl From<TableError> for Stop {
    fn from(refused: TableError) -> Self {
        assert!(matches!(refused.problem(), TableProblem::Memory { asked: 1.. }), "{refused}");
        Self
    }
}

/// Runs a call that may panic: for lack of memory, or because it was ordered.
pub(crate) fn caught<R>(call: impl FnOnce() -> Result<R, Stop>) -> Result<R, Stop> {
    let payload = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => return result,
        Err(payload) => payload,
    };
    match payload.downcast::<BudgetExceeded>() {
        Ok(over) => Err((*over).into()),
        Err(payload) => match payload.downcast::<PoolFull>() {
            Ok(full) => Err((*full).into()),
            Err(payload) if payload.is::<Bomb>() => Err(Stop),
            Err(other) => resume_unwind(other),
        },
    }
}

/// Runs a part of a request on another thread, to its end. A panic goes on here.
pub(crate) fn elsewhere<R: Send + 'static>(part: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::spawn(part).join().unwrap_or_else(|payload| resume_unwind(payload))
}

/// A request that is under way.
pub(crate) struct Request<'a> {
    world: &'a World,
    arena: &'a Arena,
    kept: RefCell<Vec<(&'a str, String)>>,
    /// Deferred calls that have to run.
    deferred: Cell<usize>,
}

impl<'a> Request<'a> {
    /// Remembers a text of the arena.
    fn keep(&self, text: &'a str) {
        theirs(|| self.kept.borrow_mut().push((text, text.to_owned())));
    }

    /// Asserts that what was built is as it was.
    #[track_caller]
    fn assert_intact(&self, step: &str) {
        for (text, copy) in &*self.kept.borrow() {
            assert_eq!(text, copy, "after {step}");
        }
    }
}

pub(crate) type Step = for<'a> fn(&Request<'a>) -> Result<(), Stop>;

/// One form of the requests.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    acquire: fn(&World) -> Result<PooledArena, Stop>,
    steps: &'static [(&'static str, Step)],
}

impl Form {
    /// Serves a request. Where memory runs out it ends, or goes on with the next step.
    pub(crate) fn serve(&self, world: &World, goes_on: bool) -> Result<(), Stop> {
        let guard = Ours::new((self.acquire)(world)?);
        let request =
            Request { world, arena: &guard, kept: RefCell::new(Vec::with_capacity(500)), deferred: Cell::new(0) };
        let mut served = Ok(());
        for (name, step) in self.steps {
            let done = if goes_on { caught(|| step(&request)) } else { step(&request) };
            request.assert_intact(name);
            served = served.and(done);
            if served.is_err() && !goes_on {
                break;
            }
        }
        let arena = guard.figures();
        assert!(arena.reserved_bytes >= arena.used_bytes, "{arena:?}");
        served
    }
}

/// A batch with a destructor, sealed.
pub(crate) struct Batch<'a> {
    pub(crate) names: &'a [&'a str],
    pub(crate) guest: Guest,
}
sealed_root!(Batch);

/// A call that returns what it is refused.
macro_rules! tries {
    ($on:expr, $try:ident, $sure:ident $(, $argument:expr)*) => {
        ours(|| $on.$try($($argument),*))?
    };
    (of $on:ty, $try:ident, $sure:ident $(, $argument:expr)*) => {
        ours(|| <$on>::$try($($argument),*))?
    };
    (seal $guard:expr, $arena:ident => $root:expr) => {{
        let guard = $guard.take();
        ours(|| Sealed::<Batch<'_>>::try_build(guard, |$arena| Ok::<_, Stop>($root)))?
    }};
}

/// The same call, which panics.
macro_rules! is_sure {
    ($on:expr, $try:ident, $sure:ident $(, $argument:expr)*) => {
        ours(|| $on.$sure($($argument),*))
    };
    (of $on:ty, $try:ident, $sure:ident $(, $argument:expr)*) => {
        ours(|| <$on>::$sure($($argument),*))
    };
    (seal $guard:expr, $arena:ident => $root:expr) => {{
        let guard = $guard.take();
        ours(|| Sealed::<Batch<'_>>::build(guard, |$arena| $root))
    }};
}

macro_rules! requests {
    ($form:ident, $module:ident, $call:ident) => {
        pub(crate) static $form: Form =
            Form { name: stringify!($module), acquire: $module::acquire, steps: $module::STEPS };

        mod $module {
            use super::*;

            pub(super) const STEPS: &[(&str, Step)] = &[
                ("values", values),
                ("owned values", owned),
                ("a request's names", names),
                ("the process's names", held_names),
                ("collections in the arena", collections),
                ("collections on the heap", on_the_heap),
                ("scopes", scopes),
                ("a shared arena", shared),
                ("a sealed batch", sealed),
                ("objects that come back elsewhere", objects),
                ("shared values", caches),
                ("an archive", decoded),
                ("a table", table),
            ];

            pub(super) fn acquire(world: &World) -> Result<PooledArena, Stop> {
                Ok($call!(world.arenas, try_acquire, acquire))
            }

            fn values(request: &Request<'_>) -> Result<(), Stop> {
                let arena = request.arena;
                for i in 0..30_u32 {
                    request.keep($call!(arena, try_alloc_str, alloc_str, "a text of the request's"));
                    request.keep($call!(arena, try_format, format, format_args!("text {i} of {}", 30)));
                    request.keep($call!(arena, try_concat, concat, ("vm-", i, '-', u64::from(i) << 40)));
                    assert_eq!(*$call!(arena, try_alloc, alloc, [i; 7]), [i; 7]);
                    // One round calls back, so that there are not too many calls to panic at in turn.
                    let tick = || if i == 7 { tick() };
                    $call!(arena, try_alloc_with, alloc_with, || {
                        tick();
                        [i; 3]
                    });
                    $call!(arena, try_alloc_slice_copy, alloc_slice_copy, &[i; 40]);
                    let filled = $call!(arena, try_alloc_slice_fill_with, alloc_slice_fill_with, 20, |at| {
                        tick();
                        at
                    });
                    assert_eq!(filled[19], 19);
                    // Of unknown length: it grows, and its elements are built in the arena as it does.
                    let odd = (0..60_u32).filter(|number| {
                        tick();
                        number % 2 == 1
                    });
                    let odd = $call!(arena, try_alloc_slice_fill_iter, alloc_slice_fill_iter, odd);
                    assert_eq!(odd.len(), 30);
                }
                request.keep($call!(arena, try_format, format, format_args!("{} and {:>300}", Label(1), Label(2))));
                let labels = [Label(1), Label(2), Label(3)];
                let cloned = $call!(arena, try_alloc_slice_clone, alloc_slice_clone, &labels);
                assert_eq!(cloned[2].0, 3);
                // A chunk of its own.
                let large: &mut [MaybeUninit<u64>] =
                    $call!(arena, try_alloc_uninit_slice, alloc_uninit_slice, 20_000);
                assert_eq!(large.len(), 20_000);
                Ok(())
            }

            fn owned(request: &Request<'_>) -> Result<(), Stop> {
                let arena = request.arena;
                for i in 0..20_u32 {
                    let guest = Guest::new(i);
                    assert_eq!($call!(arena, try_alloc_with_drop, alloc_with_drop, guest).worth, i);
                    let (guest, shared) = (Guest::new(i), Arc::new(Guest::new(i)));
                    $call!(arena, try_defer, defer, move || {
                        tick();
                        drop(guest);
                    });
                    request.deferred.set(request.deferred.get() + 1);
                    let adopted = theirs(|| Arc::clone(&shared));
                    assert_eq!($call!(arena, try_adopt, adopt, adopted).worth, i);
                    $call!(arena, try_alloc, alloc, [0_u8; 500]);
                }
                Ok(())
            }

            fn names(request: &Request<'_>) -> Result<(), Stop> {
                let mut names = ArenaInterner::new_in(request.arena);
                for i in 0..150 {
                    let text = format!("node-{}", i % 100);
                    let symbol = $call!(names, try_intern, intern, &text);
                    assert_eq!(names.resolve(symbol), text);
                    request.keep(names.resolve(symbol));
                }
                assert_eq!(names.len(), 100);
                Ok(())
            }

            fn held_names(request: &Request<'_>) -> Result<(), Stop> {
                let pool = &request.world.names;
                let pin = ours(|| pool.pin());
                let mut held = Vec::with_capacity(300);
                for i in 0..150 {
                    let text = format!("tenant-{}-{}", i % 120, "x".repeat(i % 7 * 30));
                    let name = $call!(pin, try_intern, intern, &text);
                    assert_eq!(name.as_str(), text);
                    held.push(Ours::new(ours(|| name.to_interned())));
                }
                ours(|| drop(pin));
                assert!(held.iter().enumerate().all(|(i, name)| name.starts_with(&format!("tenant-{}-", i % 120))));
                let long = "y".repeat(20_000);
                held.push(Ours::new($call!(pool, try_intern, intern, &long)));
                drop(held);
                ours(|| pool.sweep());
                Ok(())
            }

            fn collections(request: &Request<'_>) -> Result<(), Stop> {
                let arena = request.arena;
                let mut numbers = collections::Vec::new_in(arena);
                let mut text = collections::String::new_in(arena);
                let mut map = FlatMap::new_in(arena);
                let mut set = FlatSet::new_in(arena);
                for i in 0..120_u32 {
                    $call!(numbers, try_push, push, u64::from(i));
                    $call!(text, try_push_str, push_str, "piece,");
                    assert_eq!($call!(map, try_insert, insert, i, [i; 2]), None);
                    assert!($call!(set, try_insert, insert, (i, i)));
                    if i % 20 == 0 {
                        let boxed = $call!(of collections::Box<'_, Guest>, try_new_in, new_in, Guest::new(i), arena);
                        assert_eq!(boxed.worth, i);
                    }
                }
                assert!((0..120).all(|i| map[&i] == [i; 2] && set.contains(&(i, i))));
                assert!(numbers.iter().copied().eq(0..120));
                request.keep(text.into_str());
                Ok(())
            }

            fn on_the_heap(_: &Request<'_>) -> Result<(), Stop> {
                let mut map = Ours::new(FlatMap::new());
                let mut set = Ours::new(FlatSet::new());
                for i in 0..30_u32 {
                    let (key, value) = (Guest::new(i % 25), Guest::new(i));
                    let old = $call!(map.as_mut(), try_insert, insert, key, value);
                    assert_eq!(theirs(|| old.map(|guest| guest.worth)), i.checked_sub(25));
                    let guest = Guest::new(i);
                    assert!($call!(set.as_mut(), try_insert, insert, guest));
                }
                ours(|| {
                    map.as_mut().retain(|key, _| {
                        tick();
                        key.worth % 2 == 0
                    });
                });
                assert_eq!((map.len(), set.len()), (13, 30));
                Ok(())
            }

            fn scopes(request: &Request<'_>) -> Result<(), Stop> {
                let arena = request.arena;
                for i in 0..3_u32 {
                    let inside = $call!(arena, try_scope, scope, |inner: &Arena| -> Result<(), Stop> {
                        tick();
                        let guest = Guest::new(i);
                        $call!(inner, try_alloc_with_drop, alloc_with_drop, guest);
                        $call!(inner, try_alloc_slice_fill_with, alloc_slice_fill_with, 800, |at| at);
                        // A value of the outer arena stays.
                        request.keep($call!(arena, try_format, format, format_args!("of scope {i}")));
                        let deeper = $call!(inner, try_scope, scope, |deeper: &Arena| -> Result<(), Stop> {
                            let guest = Guest::new(i);
                            $call!(deeper, try_defer, defer, move || drop(guest));
                            $call!(deeper, try_alloc, alloc, [i; 1000]);
                            Ok(())
                        });
                        deeper
                    });
                    inside?;
                }
                Ok(())
            }

            fn shared(request: &Request<'_>) -> Result<(), Stop> {
                fn part(arena: &SharedArena, worth: u32) -> Result<(), Stop> {
                    let mut list = collections::Vec::new_in(arena);
                    for i in 0..60_u32 {
                        let text = $call!(arena, try_format, format, format_args!("vm-{i}"));
                        let text: &str = text;
                        $call!(list, try_push, push, text);
                        $call!(arena, try_alloc, alloc, [i; 30]);
                    }
                    let guest = Guest::new(worth);
                    $call!(arena, try_alloc_with_drop, alloc_with_drop, guest);
                    let guest = Guest::new(worth);
                    $call!(arena, try_defer, defer, move || drop(guest));
                    assert!(list.iter().enumerate().all(|(i, text)| *text == format!("vm-{i}")));
                    Ok(())
                }
                let arena = Ours::new($call!(request.world.arenas, try_acquire_shared, acquire_shared));
                part(&arena, 0)?;
                // Two threads more, one after the other, so that which call is the n-th does not change.
                for worth in 1..3 {
                    let arena = Ours::new(ours(|| (*arena).clone()));
                    elsewhere(move || part(&arena, worth))?;
                }
                part(&arena, 3)
            }

            fn sealed(request: &Request<'_>) -> Result<(), Stop> {
                let guard = Ours::new($call!(request.world.arenas, try_acquire, acquire));
                let batch = $call!(seal guard, arena => {
                    tick();
                    let name: &str = $call!(arena, try_alloc_str, alloc_str, "vm-1");
                    Batch { names: $call!(arena, try_alloc_slice_copy, alloc_slice_copy, &[name; 100]), guest: Guest::new(9) }
                });
                let batch = Ours::new(batch);
                // It ends on another thread.
                elsewhere(move || {
                    assert!(batch.get().names.iter().all(|name| *name == "vm-1") && batch.get().guest.worth == 9);
                });
                Ok(())
            }

            fn objects(request: &Request<'_>) -> Result<(), Stop> {
                if cfg!(blixard_no_recycle) {
                    return Ok(()); // nothing is ever warm
                }
                let World { objects, buffers, .. } = request.world;
                // They are warm; on the thread where they come back nothing is.
                let mut object: Ours<Pooled<Vec<Guest>>> = Ours::new(ours(|| objects.acquire()));
                object.as_mut().push(Guest::new(1));
                let buffer = Ours::new(ours(|| buffers.acquire(1000)));
                elsewhere(move || drop((object, buffer)));
                Ok(())
            }

            fn caches(request: &Request<'_>) -> Result<(), Stop> {
                let World { cache, weak, reader, held, .. } = request.world;
                for _ in 0..3 {
                    let found = ours(|| cache.get_or_build(&1, || -> Guest { unreachable!("it is there") }));
                    assert_eq!(found.worth, 1);
                    assert!(Arc::ptr_eq(held, &ours(|| weak.get(&1)).expect("it is held")));
                    assert_eq!(ours(|| reader.borrow_mut().get(&1).map(|guest| guest.worth)), Some(1));
                    let guest: &Guest = $call!(request.arena, try_adopt, adopt, Arc::clone(&found));
                    assert_eq!(guest.worth, 1);
                }
                assert!(ours(|| cache.get(&2)).is_none());
                Ok(())
            }

            fn decoded(request: &Request<'_>) -> Result<(), Stop> {
                let archived = ours(|| archive::access::<Proposal<'_>>(&request.world.archive)).expect("as it was written");
                assert_ne!(samples::read_all(archived), 0);
                for _ in 0..10 {
                    let decoded: Proposal<'_> = ours(|| archive::decode_in(archived, request.arena))?;
                    assert_eq!(decoded, PROPOSAL);
                }
                Ok(())
            }

            fn table(_: &Request<'_>) -> Result<(), Stop> {
                if shortage_lasts() {
                    return Ok(()); // an error of a table takes memory itself
                }
                let table = Ours::new(ours(|| Table::open(TableFile::path()))?);
                let found = ours(|| table.find("node-7")).expect("a whole table").map(|row| row.number());
                assert_eq!(found, Some(7));
                Ok(())
            }
        }
    };
}

requests!(RETURNING, returning, tries);
requests!(PANICKING, panicking, is_sure);
