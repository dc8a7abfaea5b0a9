//! Which threads, unwinds and tasks each public type may cross: a table of auto traits, the missing ones included.
//!
//! Over the public API. A trait that is gained or lost by accident (a field of another type, a forgotten `unsafe impl`)
//! changes a row; `Arena: Sync` or `PooledArena: Sync` would be unsound.
#![expect(dead_code, reason = "a constant of the fallback that a row's type shadows is not read there")]

#[cfg(feature = "cache")]
use blixard_arena::arc::{ArcCache, ArcCloneBatcher, BatchedArc, CacheFigures, CacheReader, WeakCache};
use blixard_arena::arena::{ArenaFigures, Fallible, Histogram, PoolFigures, typed};
use blixard_arena::intern::{self, ArenaInterner, InternError, Symbol};
use blixard_arena::pool::{
    BufferPool, Callbacks, LeakSite, ObjectPoolBuilder, ObjectPoolFigures, PoolExhausted, Pooled, TypedObjectPool,
    VecPool, Vecs,
};
use blixard_arena::{
    Arena, ArenaOptions, ArenaPool, BudgetExceeded, PooledArena, PooledSharedArena, Reset, Sealed, SharedArena,
    sealed_root,
};
use std::cell::Cell;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// An inherent constant, where its bounds hold, shadows the trait's of the same name: so each name says whether `T`
/// implements the trait.
struct Probe<T: ?Sized>(PhantomData<T>);

trait Lacks {
    const SEND: bool = false;
    const SYNC: bool = false;
    const UNPIN: bool = false;
    const UNWIND: bool = false;
    const REF_UNWIND: bool = false;
    const DEBUG: bool = false;
    const CLONE: bool = false;
    const COPY: bool = false;
}
impl<T: ?Sized> Lacks for Probe<T> {}

impl<T: ?Sized + Send> Probe<T> {
    const SEND: bool = true;
}
impl<T: ?Sized + Sync> Probe<T> {
    const SYNC: bool = true;
}
impl<T: ?Sized + Unpin> Probe<T> {
    const UNPIN: bool = true;
}
impl<T: ?Sized + UnwindSafe> Probe<T> {
    const UNWIND: bool = true;
}
impl<T: ?Sized + RefUnwindSafe> Probe<T> {
    const REF_UNWIND: bool = true;
}
impl<T: ?Sized + Debug> Probe<T> {
    const DEBUG: bool = true;
}
impl<T: Clone> Probe<T> {
    const CLONE: bool = true;
}
impl<T: Copy> Probe<T> {
    const COPY: bool = true;
}

/// The traits of a type, in words.
macro_rules! traits {
    ($type:ty) => {{
        type P = Probe<$type>;
        let all = [
            (P::SEND, "Send"),
            (P::SYNC, "Sync"),
            (P::UNPIN, "Unpin"),
            (P::UNWIND, "UnwindSafe"),
            (P::REF_UNWIND, "RefUnwindSafe"),
            (P::DEBUG, "Debug"),
            (P::CLONE, "Clone"),
            (P::COPY, "Copy"),
        ];
        all.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
    }};
}

#[derive(Debug)]
struct Batch<'a>(#[expect(dead_code, reason = "printed by Debug")] &'a [&'a str]);
sealed_root!(Batch);

/// `Send` and not `Sync`: so is what seals it.
#[derive(Debug)]
struct Counter<'a>(Cell<u32>, PhantomData<&'a ()>);
sealed_root!(Counter);

/// Neither `Debug` nor anything else beyond `Send` and `Sync`.
struct Plain<'a>(PhantomData<&'a ()>);
sealed_root!(Plain);

const VALUE: &str = "Send Sync Unpin UnwindSafe RefUnwindSafe Debug";

#[test]
fn the_probe_tells_a_trait_from_its_absence() {
    assert_eq!(traits!(u8), "Send Sync Unpin UnwindSafe RefUnwindSafe Debug Clone Copy");
    assert_eq!(traits!(Cell<u8>), "Send Unpin UnwindSafe Debug Clone");
    assert_eq!(traits!(*const u8), "Unpin UnwindSafe RefUnwindSafe Debug Clone Copy");
}

#[test]
fn an_arena_is_one_threads_at_a_time() {
    assert_eq!(traits!(Arena), "Send Unpin UnwindSafe RefUnwindSafe Debug");
    assert_eq!(traits!(PooledArena), "Send Unpin UnwindSafe RefUnwindSafe Debug");
    assert_eq!(traits!(&'static Arena), "Unpin UnwindSafe RefUnwindSafe Debug Clone Copy");
    assert_eq!(traits!(&'static PooledArena), "Unpin UnwindSafe RefUnwindSafe Debug Clone Copy");
    assert_eq!(traits!(Fallible<'static, Arena>), "Unpin UnwindSafe RefUnwindSafe Debug Clone Copy");
}

#[test]
fn a_shared_arena_is_every_threads() {
    assert_eq!(traits!(SharedArena), VALUE);
    assert_eq!(traits!(PooledSharedArena), format!("{VALUE} Clone"));
    assert_eq!(traits!(ArenaPool), format!("{VALUE} Clone"));
    assert_eq!(traits!(Fallible<'static, SharedArena>), format!("{VALUE} Clone Copy"));
}

#[test]
fn an_interner_goes_where_a_borrow_of_its_arena_does() {
    assert_eq!(traits!(ArenaInterner<'static, Arena>), "Unpin UnwindSafe RefUnwindSafe Debug");
    assert_eq!(traits!(ArenaInterner<'static, SharedArena>), VALUE);
    assert_eq!(traits!(ArenaInterner<'static, SharedArena, Cell<u8>>), "Send Unpin UnwindSafe Debug");
    assert_eq!(traits!(intern::Iter<'static, 'static>), format!("{VALUE} Clone"));
    assert_eq!(traits!(Symbol), format!("{VALUE} Clone Copy"));
    assert_eq!(traits!(InternError), format!("{VALUE} Clone Copy"));
}

#[test]
fn a_sealed_arena_is_what_its_root_is() {
    assert_eq!(traits!(Sealed<Batch<'static>>), VALUE);
    assert_eq!(traits!(Sealed<Batch<'static>, PooledSharedArena>), VALUE);
    assert_eq!(traits!(Sealed<Counter<'static>>), "Send Unpin Debug", "a root with a Cell: as an Arc of it");
    assert_eq!(traits!(Sealed<Plain<'static>>), VALUE.replace(" Debug", ""));
}

#[test]
fn options_figures_and_errors_are_plain_values() {
    let copy = format!("{VALUE} Clone Copy");
    assert_eq!(traits!(ArenaOptions), copy);
    assert_eq!(traits!(Reset), copy);
    assert_eq!(traits!(BudgetExceeded), copy);
    assert_eq!(traits!(ArenaFigures), copy);
    assert_eq!(traits!(PoolFigures), format!("{VALUE} Clone"));
    assert_eq!(traits!(Histogram), format!("{VALUE} Clone"));
    assert_eq!(traits!(typed::Arena<u8>), "Send Unpin UnwindSafe");
}

#[test]
fn a_pool_is_every_threads_and_a_guard_what_its_object_is() {
    assert_eq!(traits!(TypedObjectPool<u8>), format!("{VALUE} Clone"));
    assert_eq!(traits!(TypedObjectPool<Cell<u8>>), format!("{VALUE} Clone"), "objects need not be Sync");
    assert_eq!(traits!(VecPool<u8>), format!("{VALUE} Clone"));
    assert_eq!(traits!(BufferPool), format!("{VALUE} Clone"));
    assert_eq!(traits!(Pooled<u8>), VALUE);
    assert_eq!(traits!(Pooled<Cell<u8>>), "Send Unpin UnwindSafe Debug", "as an owned Cell");
    assert_eq!(traits!(Pooled<Vec<u8>, Vecs>), VALUE);
    assert_eq!(traits!(Callbacks<u8>), "Send Sync Unpin Debug", "closures may be anything");
    assert_eq!(traits!(ObjectPoolBuilder<u8>), "Send Sync Unpin Debug");
    assert_eq!(traits!(Vecs), format!("{VALUE} Clone Copy"));
    assert_eq!(traits!(ObjectPoolFigures), format!("{VALUE} Clone Copy"));
    assert_eq!(traits!(PoolExhausted), format!("{VALUE} Clone Copy"));
    assert_eq!(traits!(LeakSite), format!("{VALUE} Clone"));
    assert_eq!(size_of::<Pooled<[u8; 100]>>(), 2 * size_of::<usize>(), "a guard is two words");
    assert_eq!(size_of::<Option<Pooled<u8>>>(), 2 * size_of::<usize>(), "and has a niche");
    assert_eq!(size_of::<TypedObjectPool<u8>>(), size_of::<usize>(), "a handle is one");
}

#[cfg(feature = "cache")]
#[test]
fn shared_values_go_where_their_keys_and_values_do() {
    type Rc = std::rc::Rc<u8>;
    assert_eq!(traits!(ArcCache<u8, str>), format!("{VALUE} Clone"));
    assert_eq!(traits!(WeakCache<u8, str>), format!("{VALUE} Clone"));
    assert_eq!(traits!(CacheReader<u8, str>), VALUE);
    let one_threads = "Unpin UnwindSafe RefUnwindSafe Debug Clone";
    assert_eq!(traits!(ArcCache<u8, Cell<u8>>), one_threads, "a hit lends a reference to any thread");
    assert_eq!(traits!(ArcCache<Rc, u8>), one_threads);
    assert_eq!(traits!(WeakCache<u8, Cell<u8>>), one_threads);
    assert_eq!(traits!(WeakCache<Rc, u8>), one_threads);
    assert_eq!(traits!(CacheReader<u8, Cell<u8>>), "Unpin Debug");
    assert_eq!(traits!(BatchedArc<str>), format!("{VALUE} Clone"), "as an Arc");
    assert_eq!(traits!(std::sync::Arc<str>), format!("{VALUE} Clone"));
    assert_eq!(traits!(BatchedArc<Cell<u8>>), traits!(std::sync::Arc<Cell<u8>>));
    assert_eq!(traits!(BatchedArc<Rc>), traits!(std::sync::Arc<Rc>));
    assert_eq!(traits!(ArcCloneBatcher<str>), VALUE);
    assert_eq!(traits!(ArcCloneBatcher<Cell<u8>>), "Unpin Debug");
    assert_eq!(traits!(ArcCloneBatcher<Rc>), "Unpin UnwindSafe RefUnwindSafe Debug");
    assert_eq!(traits!(CacheFigures), format!("{VALUE} Clone Copy"));
}

/// What owns its arena borrows nothing: it goes into a task, a thread, a static.
#[test]
fn owners_are_static() {
    fn owned<T: Send + 'static>() -> usize {
        size_of::<T>()
    }
    let word = size_of::<usize>();
    assert_eq!(owned::<PooledArena>(), 2 * word, "a guard is two words");
    assert_eq!(owned::<PooledSharedArena>(), 2 * word, "and so is a shared one");
    assert_eq!(owned::<ArenaPool>(), word, "a handle is one");
    assert_eq!(owned::<Sealed<Batch<'static>>>(), 3 * word, "a sealed arena is a guard and its root");
    assert_eq!(owned::<Sealed<Batch<'static>, PooledSharedArena>>(), 3 * word);
    assert_eq!(size_of::<Option<PooledArena>>(), 2 * word, "and has a niche");
    assert!(owned::<Arena>() > 0 && owned::<SharedArena>() > 0 && owned::<ArenaOptions>() > 0);
}

#[test]
fn errors_are_errors() {
    fn error<T: std::error::Error + Send + Sync + 'static>(error: T) -> Box<dyn std::error::Error + Send + Sync> {
        Box::new(error)
    }
    let refused = ArenaOptions::new().budget_bytes_max(0).arena().try_alloc(1u8).unwrap_err();
    assert_eq!(error(refused).downcast_ref::<BudgetExceeded>(), Some(&refused));
}
