//! Sealed arenas: a root and the arena it lies in as one value that travels, and goes as a whole, once.
//!
//! Over the public API. Allocator calls are counted per thread, so tests run side by side.
#![expect(clippy::cast_possible_truncation, reason = "small numbers")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod counting;

use allocator_api2::vec::Vec as ArenaVec;
use blixard_arena::arena::AnyArena;
use blixard_arena::{ArenaOptions, ArenaPool, BudgetExceeded, PooledSharedArena, Sealed, SharedArena, sealed_root};
use hashbrown::{DefaultHashBuilder, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// Frozen: what a batch looks like when it leaves.
struct Batch<'a> {
    names: &'a [&'a str],
    bytes: &'a [u8],
}
sealed_root!(Batch);

fn batch(arena: &impl AnyArena, request: usize) -> Batch<'_> {
    let names = (0..20).map(|i| arena.format(format_args!("vm-{request}-{i}")) as &str);
    Batch {
        names: arena.alloc_slice_fill_iter(names),
        bytes: arena.alloc_slice_fill_with(1000, |i| (i ^ request) as u8),
    }
}

fn verify(batch: &Batch<'_>, request: usize) {
    assert_eq!(batch.names.len(), 20);
    assert!(batch.names.iter().enumerate().all(|(i, name)| *name == format!("vm-{request}-{i}")));
    assert!(batch.bytes.iter().enumerate().all(|(i, byte)| *byte == (i ^ request) as u8));
}

/// Says when it is dropped, and whether its arena is still out then.
struct Noisy(Arc<Mutex<Vec<String>>>, ArenaPool);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(format!("root dropped, {} out", self.1.figures().live));
    }
}

/// Growing collections in a shared arena, and values that need Drop in them.
struct Growing<'a> {
    ids: ArenaVec<String, &'a SharedArena>,
    nodes: HashMap<&'a str, Noisy, DefaultHashBuilder, &'a SharedArena>,
}
sealed_root!(Growing);

#[test]
fn batches_cross_a_channel_and_threads() {
    let pool = ArenaPool::new();
    let (to_verifier, from_builder) = mpsc::channel::<(usize, Sealed<Batch<'static>>)>();
    let (to_end, from_verifier) = mpsc::channel::<Sealed<Batch<'static>>>();
    let verifier = thread::spawn(move || {
        for (request, sealed) in from_builder {
            verify(sealed.get(), request);
            to_end.send(sealed).unwrap(); // dropped on yet another thread
        }
    });
    let end = thread::spawn(move || from_verifier.into_iter().count());
    for request in 0..2_000 {
        to_verifier.send((request, Sealed::build(pool.acquire(), |arena| batch(arena, request)))).unwrap();
    }
    drop(to_verifier);
    verifier.join().unwrap();
    assert_eq!(end.join().unwrap(), 2_000);
    let figures = pool.figures();
    assert_eq!((figures.acquired, figures.returned, figures.live), (2_000, 2_000, 0));
}

#[test]
fn a_sealed_root_is_shared_by_reference() {
    let sealed = Sealed::<Batch<'static>>::build(ArenaPool::new().acquire(), |arena| batch(arena, 3));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| verify(sealed.get(), 3));
        }
    });
}

#[test]
fn the_root_goes_first_once_and_then_the_arena() {
    let pool = ArenaPool::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    let guard = pool.acquire_shared();
    guard.defer({
        let log = Arc::clone(&log);
        move || log.lock().unwrap().push("cleanups ran".into())
    });
    let sealed = Sealed::<Growing<'static>, PooledSharedArena>::build(guard, |arena| {
        let mut ids = ArenaVec::new_in(arena);
        let mut nodes = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena);
        for i in 0..100 {
            ids.push(format!("heap string {i}"));
        }
        for i in 0..3 {
            nodes.insert(&*arena.format(format_args!("node-{i}")), Noisy(Arc::clone(&log), pool.clone()));
        }
        Growing { ids, nodes }
    });
    let (to, from) = mpsc::channel();
    to.send(sealed).unwrap();
    thread::spawn(move || {
        let sealed = from.recv().unwrap();
        assert_eq!(sealed.get().ids[99], "heap string 99");
        assert!(sealed.get().nodes.contains_key("node-2"));
    })
    .join()
    .unwrap();
    let log = log.lock().unwrap();
    assert_eq!(*log, ["root dropped, 1 out", "root dropped, 1 out", "root dropped, 1 out", "cleanups ran"]);
    assert_eq!(pool.figures().live, 0);
}

#[test]
fn into_guard_drops_the_root_and_keeps_the_arena() {
    let pool = ArenaPool::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    let build = |guard: PooledSharedArena| {
        Sealed::<Growing<'static>, PooledSharedArena>::build(guard, |arena| {
            let mut nodes = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena);
            nodes.insert("node", Noisy(Arc::clone(&log), pool.clone()));
            Growing { ids: ArenaVec::new_in(arena), nodes }
        })
    };
    let guard = build(pool.acquire_shared()).into_guard();
    assert_eq!(log.lock().unwrap().len(), 1);
    assert_eq!((pool.figures().acquired, pool.figures().live), (1, 1));
    drop(build(guard)); // a second batch in the same arena
    assert_eq!(*log.lock().unwrap(), ["root dropped, 1 out"; 2]);
    assert_eq!((pool.figures().acquired, pool.figures().live), (1, 0));

    let mut guard = Sealed::<Batch<'static>>::build(pool.acquire(), |arena| batch(arena, 1)).into_guard();
    guard.reset();
    assert_eq!(guard.figures().used_bytes, 0);
    verify(Sealed::<Batch<'static>>::build(guard, |arena| batch(arena, 2)).get(), 2);
}

#[test]
fn a_clone_of_the_guard_outlives_the_sealed_root() {
    let pool = ArenaPool::new();
    let guard = pool.acquire_shared();
    let sealed = Sealed::<Batch<'static>, PooledSharedArena>::build(guard.clone(), |arena| batch(arena, 9));
    let name = guard.alloc_str("beside the root");
    verify(sealed.get(), 9);
    drop(sealed);
    assert_eq!((&*name, pool.figures().live), ("beside the root", 1));
    drop(guard);
    assert_eq!(pool.figures().live, 0);
}

#[test]
fn a_build_that_panics_returns_the_arena() {
    let pool = ArenaPool::new();
    let dropped = Arc::new(AtomicU32::new(0));
    let guard = pool.acquire();
    guard.alloc_with_drop({
        struct Count(Arc<AtomicU32>);
        impl Drop for Count {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        Count(Arc::clone(&dropped))
    });
    let caught = catch_unwind(AssertUnwindSafe(|| {
        Sealed::<Batch<'static>>::build(guard, |arena| {
            arena.alloc_str("half a batch");
            panic!("no more")
        })
    }));
    assert_eq!(caught.err().unwrap().downcast_ref::<&str>(), Some(&"no more"));
    assert_eq!((pool.figures().live, pool.figures().returned), (0, 1));
    assert_eq!(dropped.load(SeqCst), 1);
    verify(Sealed::<Batch<'static>>::build(pool.acquire(), |arena| batch(arena, 4)).get(), 4);
}

#[derive(Debug, PartialEq)]
enum Failed {
    Budget(BudgetExceeded),
    Input,
}

impl From<BudgetExceeded> for Failed {
    fn from(refused: BudgetExceeded) -> Self {
        Self::Budget(refused)
    }
}

/// A root with so much in itself that its own place counts.
struct Large<'a>([u64; 1000], &'a str);
sealed_root!(Large);

#[test]
fn try_build_tells_why_and_returns_the_arena() {
    let pool = ArenaOptions::new().budget_bytes_max(4096).pool();
    let failed = Sealed::<Batch<'static>>::try_build(pool.acquire(), |_| Err::<Batch<'_>, _>(Failed::Input));
    assert_eq!(failed.err(), Some(Failed::Input));

    let failed = Sealed::<Batch<'static>>::try_build(pool.acquire(), |arena| {
        Ok::<_, Failed>(Batch { names: &[], bytes: arena.try_alloc_slice_copy(&[0; 5000])? })
    });
    assert!(matches!(failed.err(), Some(Failed::Budget(refused)) if refused.asked == 5000 && refused.allowed == 4096));

    // The build succeeds, and there is no room for what it returns.
    let failed = Sealed::<Large<'static>>::try_build(pool.acquire(), |arena| {
        Ok::<_, Failed>(Large([7; 1000], arena.alloc_str("x")))
    });
    assert!(matches!(failed.err(), Some(Failed::Budget(refused)) if refused.asked == size_of::<Large<'_>>()));
    let panicked = catch_unwind(|| Sealed::<Large<'static>>::build(pool.acquire(), |_| Large([7; 1000], "")));
    assert_eq!(panicked.err().unwrap().downcast_ref::<BudgetExceeded>().unwrap().allowed, 4096);

    let roomy = ArenaPool::new();
    let sealed = Sealed::<Large<'static>>::build(roomy.acquire(), |arena| Large([7; 1000], arena.alloc_str("x")));
    assert_eq!((sealed.get().0[999], sealed.get().1), (7, "x"));
    let sealed = Sealed::<Batch<'static>>::try_build(pool.acquire(), |arena| Ok::<_, Failed>(batch(arena, 5))).unwrap();
    verify(sealed.get(), 5);
    drop(sealed);
    assert_eq!((pool.figures().acquired, pool.figures().returned), (5, 5));
}

#[test]
fn a_root_whose_destructor_panics_gives_its_arena_back() {
    struct Bomb<'a>(#[expect(dead_code, reason = "a reference into the arena")] &'a str, Arc<AtomicU32>);
    sealed_root!(Bomb);
    impl Drop for Bomb<'_> {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
            panic!("root");
        }
    }
    let pool = ArenaPool::new();
    let drops = Arc::new(AtomicU32::new(0));
    let sealed =
        || Sealed::<Bomb<'static>>::build(pool.acquire(), |arena| Bomb(arena.alloc_str("x"), Arc::clone(&drops)));
    let one = sealed();
    assert_eq!(catch_unwind(AssertUnwindSafe(|| drop(one))).unwrap_err().downcast_ref::<&str>(), Some(&"root"));
    let other = sealed();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(other.into_guard()))).is_err());
    assert_eq!((pool.figures().acquired, pool.figures().live, drops.load(SeqCst)), (2, 0, 2));
}

#[cfg(not(blixard_no_recycle))]
#[test]
fn sealing_makes_no_allocator_call() {
    let pool = ArenaPool::new();
    for request in 0..200 {
        drop(Sealed::<Batch<'static>>::build(pool.acquire(), |arena| batch(arena, request)));
    }
    let (made, sealed) =
        counting::calls_in(|| Sealed::<Batch<'static>>::build(pool.acquire(), |arena| batch(arena, 7)));
    assert_eq!(made, 0, "build");
    let (made, guard) = counting::calls_in(|| {
        let mut guard = sealed.into_guard();
        guard.reset();
        Sealed::<Batch<'static>>::build(guard, |arena| batch(arena, 7)).into_guard()
    });
    assert_eq!(made, 0, "into_guard, reset, build, into_guard");
    let (made, ()) = counting::calls_in(|| drop(guard));
    assert_eq!(made, 0, "drop");
}

#[test]
fn a_zero_sized_root_needs_no_room() {
    struct Nothing<'a>(std::marker::PhantomData<&'a ()>);
    sealed_root!(Nothing);
    let pool = ArenaPool::new();
    let sealed = Sealed::<Nothing<'static>>::build(pool.acquire(), |arena| {
        assert_eq!(arena.figures().used_bytes, 0);
        Nothing(std::marker::PhantomData)
    });
    assert_eq!(size_of_val(sealed.get()), 0);
    assert_eq!(sealed.into_guard().figures().used_bytes, 0);
}

#[cfg(feature = "bytes")]
mod bytes {
    use super::*;

    #[test]
    fn the_last_bytes_on_another_thread_returns_the_arena() {
        let pool = ArenaPool::new();
        let sealed = Sealed::<Batch<'static>>::build(pool.acquire(), |arena| batch(arena, 11));
        let at = sealed.get().bytes.as_ptr();
        let bytes = sealed.into_bytes(|batch| batch.bytes);
        assert!(std::ptr::eq(bytes.as_ptr(), at), "not copied");
        let (head, tail) = (bytes.slice(..10), bytes.slice(990..));
        drop(bytes);
        assert_eq!(pool.figures().live, 1, "two slices are alive");
        assert_eq!(head[..], (0..10).map(|i| i ^ 0xB).collect::<Vec<u8>>()[..]);
        drop(head);
        assert_eq!(pool.figures().live, 1);
        let seen = pool.clone();
        thread::spawn(move || {
            assert_eq!(tail[9], 0x3E7_usize as u8 ^ 0xB);
            assert_eq!(seen.figures().live, 1);
            drop(tail);
            assert_eq!(seen.figures().live, 0);
        })
        .join()
        .unwrap();
        assert_eq!((pool.figures().acquired, pool.figures().returned), (1, 1));
    }

    #[cfg(not(blixard_no_recycle))]
    #[test]
    fn one_allocator_call_and_one_free() {
        let pool = ArenaPool::new();
        for request in 0..200 {
            drop(
                Sealed::<Batch<'static>>::build(pool.acquire(), |arena| batch(arena, request))
                    .into_bytes(|batch| batch.bytes),
            );
        }
        let sealed = Sealed::<Batch<'static>>::build(pool.acquire(), |arena| batch(arena, 1));
        let (made, bytes) = counting::calls_in(|| sealed.into_bytes(|batch| batch.bytes));
        assert_eq!(made, 1);
        let (made, slices) = counting::calls_in(|| [bytes.slice(..1), bytes.slice(1..), bytes.clone()]);
        assert_eq!(made, 0);
        let (made, ()) = counting::calls_in(|| drop((bytes, slices)));
        assert_eq!(made, 1);
    }

    #[test]
    fn bytes_of_a_root_with_live_collections() {
        struct Writing<'a>(ArenaVec<u8, &'a SharedArena>);
        sealed_root!(Writing);
        let pool = ArenaPool::new();
        let sealed = Sealed::<Writing<'static>, PooledSharedArena>::build(pool.acquire_shared(), |arena| {
            let mut frame = ArenaVec::new_in(arena);
            frame.extend_from_slice(b"header,body");
            Writing(frame)
        });
        let bytes = sealed.into_bytes(|frame| &frame.0[7..]);
        assert_eq!(&bytes[..], b"body");
        assert_eq!(pool.figures().live, 1);
        drop(bytes);
        assert_eq!(pool.figures().live, 0);
    }

    #[test]
    fn static_bytes_and_bytes_of_the_root_itself() {
        struct Inline<'a>([u8; 16], std::marker::PhantomData<&'a ()>);
        sealed_root!(Inline);
        let pool = ArenaPool::new();
        let seal = || Sealed::<Inline<'static>>::build(pool.acquire(), |_| Inline([5; 16], std::marker::PhantomData));
        assert_eq!(seal().into_bytes(|root| &root.0)[..], [5; 16]);
        assert_eq!(seal().into_bytes(|_| b"static")[..], *b"static");
        assert!(seal().into_bytes(|_| &[]).is_empty());
        assert_eq!(pool.figures().live, 0);
    }
}
