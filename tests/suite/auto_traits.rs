//! Which threads, unwinds and tasks each public type may cross: a table of auto traits, the missing ones included.
//!
//! Over the public API. A trait that is gained or lost by accident (a field of another type, a forgotten `unsafe impl`)
//! changes a row; `Arena: Sync` or `PooledArena: Sync` would be unsound.

use super::probe::{Lacks as _, Probe};
#[cfg(feature = "cache")]
use blixard_arena::arc::{ArcCache, ArcCloneBatcher, BatchedArc, CacheFigures, CacheReader, WeakCache};
use blixard_arena::arena::{ArenaFigures, Fallible, Histogram, PoolFigures, typed};
use blixard_arena::collections::{
    self, Entry, FixedState, FlatMap, FlatSet, Heap, OccupiedEntry, SeededState, VacantEntry,
};
use blixard_arena::intern::{
    self, ArenaInterner, ConstantSet, GlobalPoolExists, InternError, InternedString, Name, PoolFull, StringPin,
    StringPool, StringPoolFigures, StringPoolOptions, Symbol,
};
use blixard_arena::pool::{
    BufferPool, Callbacks, LeakSite, ObjectPoolBuilder, ObjectPoolFigures, PoolExhausted, Pooled, TypedObjectPool,
    VecPool, Vecs,
};
use blixard_arena::tracking::{
    AllocationFigures, AllocationReport, AllocationSite, AllocationTracker, NotCounted, ProcessFigures, SiteFrame,
    SiteProfile, SiteSum, Sites, SizeHistogram, Tracked, Tracking, TrackingAllocator, TrackingOptions,
};
use blixard_arena::{
    Arena, ArenaOptions, ArenaPool, BudgetExceeded, PooledArena, PooledSharedArena, Reset, Sealed, SharedArena,
    sealed_root,
};
use std::cell::Cell;
use std::marker::PhantomData;

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
struct Counter<'a>(#[expect(dead_code, reason = "printed by Debug")] Cell<u32>, PhantomData<&'a ()>);
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

/// Over a `SharedArena` they go to any thread, over an `Arena` they stay where its borrow does, on the heap they are as std's.
#[test]
fn collections_go_where_their_memory_and_their_elements_do() {
    let local = "Unpin UnwindSafe RefUnwindSafe Debug";
    let clone = format!("{VALUE} Clone");
    assert_eq!(traits!(collections::Vec<u8, &'static Arena>), format!("{local} Clone"));
    assert_eq!(traits!(collections::Vec<u8, &'static SharedArena>), clone);
    assert_eq!(traits!(collections::String<&'static Arena>), format!("{local} Clone"));
    assert_eq!(traits!(collections::String<&'static SharedArena>), clone);
    assert_eq!(traits!(collections::Box<'static, u8>), VALUE);
    assert_eq!(traits!(collections::Box<'static, Cell<u8>>), "Send Unpin Debug", "as a `&mut Cell`");
    assert_eq!(traits!(FlatMap<u8, u8, &'static Arena>), format!("{local} Clone"));
    assert_eq!(traits!(FlatMap<u8, u8, &'static SharedArena>), clone);
    assert_eq!(traits!(FlatMap<u8, u8>), clone);
    assert_eq!(traits!(FlatMap<u8, Cell<u8>>), "Send Unpin Debug Clone");
    assert_eq!(traits!(FlatSet<u8, &'static Arena>), format!("{local} Clone"));
    assert_eq!(traits!(FlatSet<u8, &'static SharedArena>), clone);
    assert_eq!(traits!(FlatSet<u8>), clone);
    assert_eq!(traits!(Heap), VALUE);
    assert_eq!(traits!(SeededState), format!("{VALUE} Clone Copy"));
    assert_eq!(traits!(FixedState), format!("{VALUE} Clone Copy"));
}

#[test]
fn entries_and_iterators_are_what_the_borrows_in_them_are() {
    let exclusive = "Send Sync Unpin RefUnwindSafe Debug";
    assert_eq!(traits!(Entry<'static, u8, u8, Heap, FixedState>), exclusive);
    assert_eq!(traits!(Entry<'static, u8, u8, &'static Arena, FixedState>), "Unpin RefUnwindSafe Debug");
    assert_eq!(traits!(OccupiedEntry<'static, u8, u8, Heap, FixedState>), exclusive);
    assert_eq!(traits!(VacantEntry<'static, u8, u8, Heap, FixedState>), exclusive);
    assert_eq!(traits!(collections::Iter<'static, u8, u8>), format!("{VALUE} Clone"));
    assert_eq!(traits!(collections::Iter<'static, u8, Cell<u8>>), "Unpin Debug Clone");
    assert_eq!(traits!(collections::IterMut<'static, u8, u8>), exclusive);
    assert_eq!(traits!(collections::IterMut<'static, u8, Cell<u8>>), "Send Unpin Debug");
    assert_eq!(traits!(collections::Drain<'static, u8>), exclusive);
    assert_eq!(traits!(collections::Drain<'static, Cell<u8>>), "Send Unpin Debug", "as std's: it hands the values out");
    assert_eq!(traits!(collections::IntoIter<u8, Heap>), VALUE);
    assert_eq!(traits!(collections::IntoIter<Cell<u8>, Heap>), "Send Unpin Debug");
    assert_eq!(traits!(collections::IntoIter<u8, &'static Arena>), "Unpin UnwindSafe RefUnwindSafe Debug");
    assert_eq!(traits!(collections::IntoIter<u8, &'static SharedArena>), VALUE);
}

#[cfg(feature = "serde")]
#[test]
fn a_seed_goes_where_a_borrow_of_its_arena_does() {
    use collections::SeedIn;
    assert_eq!(traits!(SeedIn<'static, Arena, u8>), "Unpin UnwindSafe RefUnwindSafe Debug Clone Copy");
    assert_eq!(traits!(SeedIn<'static, SharedArena, u8>), format!("{VALUE} Clone Copy"));
}

#[test]
fn names_of_the_process_are_every_threads() {
    let (clone, copy) = (format!("{VALUE} Clone"), format!("{VALUE} Clone Copy"));
    assert_eq!(traits!(StringPool), clone);
    assert_eq!(traits!(StringPoolOptions), clone);
    assert_eq!(traits!(StringPin<'static>), VALUE, "held across `.await` in a task that changes threads");
    assert_eq!(traits!(Name<'static>), copy);
    assert_eq!(traits!(InternedString), clone);
    assert_eq!(traits!(ConstantSet), VALUE);
    assert_eq!(traits!(PoolFull), copy);
    assert_eq!(traits!(GlobalPoolExists), copy);
    assert_eq!(traits!(StringPoolFigures), copy);
}

#[cfg(feature = "string-interner")]
#[test]
fn a_backend_is_every_threads() {
    assert_eq!(traits!(intern::ArenaBackend), format!("{VALUE} Clone"));
    assert_eq!(traits!(intern::BackendIter<'static>), format!("{VALUE} Clone"));
}

#[test]
fn a_section_is_its_threads_and_a_task_what_its_future_is() {
    type Local = std::future::Ready<std::rc::Rc<u8>>;
    let (clone, copy) = (format!("{VALUE} Clone"), format!("{VALUE} Clone Copy"));
    assert_eq!(traits!(AllocationTracker), "Unpin UnwindSafe RefUnwindSafe Debug");
    assert_eq!(traits!(Tracked<std::future::Ready<u8>>), VALUE);
    assert_eq!(traits!(Tracked<Local>), "Unpin UnwindSafe RefUnwindSafe Debug");
    assert_eq!(traits!(TrackingAllocator), copy);
    assert_eq!(traits!(TrackingAllocator<Cell<u8>>), "Send Unpin UnwindSafe Debug Clone", "as the one it wraps");
    assert_eq!(traits!(Tracking), VALUE);
    assert_eq!(traits!(TrackingOptions), clone);
    assert_eq!([traits!(Sites), traits!(SiteSum), traits!(NotCounted)], [(); 3].map(|()| copy.clone()));
    assert_eq!(traits!(AllocationFigures), copy);
    assert_eq!([traits!(AllocationReport), traits!(ProcessFigures)], [(); 2].map(|()| clone.clone()));
    assert_eq!([traits!(SizeHistogram), traits!(SiteProfile)], [(); 2].map(|()| clone.clone()));
    assert_eq!([traits!(AllocationSite), traits!(SiteFrame)], [(); 2].map(|()| clone.clone()));
}

#[cfg(feature = "mapped")]
#[test]
fn a_table_is_every_threads() {
    use blixard_arena::mapped::{Row, Table, TableBuilder, TableError, TableProblem};
    assert_eq!(traits!(Table), VALUE);
    assert_eq!(traits!(Row<'static>), format!("{VALUE} Clone Copy"));
    assert_eq!(traits!(TableBuilder), format!("{VALUE} Clone"));
    assert_eq!(
        [traits!(TableError), traits!(TableProblem)],
        ["Send Sync Unpin Debug"; 2],
        "as the `io::Error` in them"
    );
}

#[cfg(feature = "archive")]
#[test]
fn archives_are_plain_values_and_their_contexts_what_their_borrows_are() {
    use blixard_arena::archive::{
        ArchiveError, ArchivedText, Checked, Checker, DecodeError, Decoder, Each, EncodeError, Encoder, Fault, Header,
        List, Pair, Text,
    };
    assert_eq!(
        traits!(Checked<u8>),
        "Send Sync Unpin UnwindSafe RefUnwindSafe Clone",
        "`Debug` as the archived type is"
    );
    assert_eq!(traits!(ArchivedText), "Send Sync UnwindSafe RefUnwindSafe Debug", "it stays where it lies");
    assert_eq!([traits!(List), traits!(Each), traits!(Pair)], [VALUE; 3]);
    assert_eq!([traits!(Text), traits!(Header)], [(); 2].map(|()| format!("{VALUE} Clone Copy")));
    assert_eq!([traits!(ArchiveError), traits!(Fault)], [(); 2].map(|()| format!("{VALUE} Clone")));
    assert_eq!([traits!(EncodeError), traits!(DecodeError)], ["Send Sync Unpin Debug"; 2], "as the error in them");
    // Lent to a value's `Serialize`, half written.
    assert_eq!(traits!(Encoder<'static>), "Send Unpin RefUnwindSafe Debug");
    assert_eq!(traits!(Checker<'static>), VALUE);
    assert_eq!(traits!(Decoder<'static, Arena>), "Unpin UnwindSafe RefUnwindSafe Debug");
    assert_eq!(traits!(Decoder<'static, SharedArena>), VALUE);
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
    let _ = error::<InternError>;
    let _ = error::<PoolFull>;
    let _ = error::<GlobalPoolExists>;
    let _ = error::<PoolExhausted>;
    let _ = error::<NotCounted>;
    #[cfg(feature = "mapped")]
    let _ = error::<blixard_arena::mapped::TableError>;
    #[cfg(feature = "archive")]
    let _ = (
        error::<blixard_arena::archive::ArchiveError>,
        error::<blixard_arena::archive::EncodeError>,
        error::<blixard_arena::archive::DecodeError>,
        error::<blixard_arena::archive::Fault>,
    );
}
