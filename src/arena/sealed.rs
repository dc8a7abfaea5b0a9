//! `Sealed`: an arena and the finished root built in it, as one value that owns itself.
//!
//! Stands where a request's result leaves its thread: a batch goes through a channel as one `'static`, `Send` value and is
//! dropped as a whole. Invariants: the root is reached only at lifetimes that end with a borrow of the `Sealed`; the
//! root is dropped before its arena.
//! Cost: the root is placed in the arena; no heap call.
#![expect(unsafe_code, reason = "a value that borrows from a neighbour it moves with")]

use super::any::AnyArena;
use super::ledger::{BudgetExceeded, Refusal};
use super::pool::{PooledArena, PooledSharedArena};
use super::{Arena, SharedArena};
use std::alloc::Layout;
use std::convert::Infallible;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

/// A type that borrows from an arena, as a family over the borrow's lifetime: what [`Sealed`] can hold.
///
/// Implement it with [`sealed_root!`](crate::sealed_root), which does it for the type at every lifetime: inside of a task
/// the compiler forgets which one a type has.
///
/// ```
/// use blixard_arena::arena::{PooledArena, Root, Sealed};
/// use blixard_arena::{ArenaPool, sealed_root};
///
/// struct Names<'a>(&'a [&'a str]);
/// sealed_root!(Names);
///
/// /// Takes any sealed result: a queue of batches need not know what they are.
/// fn enqueue<R: Root>(queue: &mut Vec<Sealed<R>>, guard: PooledArena, build: impl FnOnce(&blixard_arena::Arena) -> R::At<'_>) {
///     queue.push(Sealed::build(guard, build));
/// }
///
/// let mut queue = Vec::new();
/// enqueue::<Names>(&mut queue, ArenaPool::new().acquire(), |arena| Names(arena.alloc_slice_copy(&["vm-1"])));
/// assert_eq!(queue[0].get().0, ["vm-1"]);
/// ```
pub trait Root {
    /// The type at lifetime `'a`. `Send`, so that it may leave its thread with its arena.
    ///
    /// ```
    /// use blixard_arena::arena::{Root, Sealed};
    ///
    /// /// Reads any sealed value: the root is lent for as long as the seal is borrowed.
    /// fn read<R: Root, T>(sealed: &Sealed<R>, look: impl for<'a> FnOnce(&'a R::At<'a>) -> T) -> T {
    ///     look(sealed.get())
    /// }
    /// ```
    type At<'a>: Send;

    /// The proof that a longer lifetime may stand in for a shorter one: the body is `root`.
    ///
    /// ```
    /// use blixard_arena::arena::Root;
    ///
    /// struct Row<'a, const N: usize>(&'a [u32; N]); // a second parameter: not for `sealed_root!`
    ///
    /// impl<const N: usize> Root for Row<'_, N> {
    ///     type At<'a> = Row<'a, N>;
    ///
    ///     fn shorten<'short, 'long: 'short>(root: &'short Row<'long, N>) -> &'short Row<'short, N> {
    ///         root // compiles only where it is true
    ///     }
    /// }
    /// # use blixard_arena::{ArenaPool, Sealed};
    /// # let row = Sealed::<Row<2>>::build(ArenaPool::new().acquire(), |arena| Row(arena.alloc([1, 2])));
    /// # assert_eq!(row.get().0[1], 2);
    /// ```
    fn shorten<'short, 'long: 'short>(root: &'short Self::At<'long>) -> &'short Self::At<'short>;
}

/// Makes a type with exactly one parameter, a lifetime, a [`Root`](crate::arena::Root), given its bare name.
///
/// ```
/// struct Batch<'a> {
///     names: &'a [&'a str],
/// }
/// blixard_arena::sealed_root!(Batch);
/// ```
#[macro_export]
macro_rules! sealed_root {
    ($name:ident) => {
        impl<'any> $crate::arena::Root for $name<'any> {
            type At<'a> = $name<'a>;

            fn shorten<'short, 'long: 'short>(root: &'short $name<'long>) -> &'short $name<'short> {
                root
            }
        }
    };
}

/// A pool's guard, as what a [`Sealed`] owns: [`PooledArena`] or [`PooledSharedArena`], and no other type.
///
/// # Safety
///
/// The arena lent stays at one address however the guard moves, until the guard is dropped.
///
/// ```
/// use blixard_arena::arena::{AnyArena, Guard};
/// use blixard_arena::ArenaPool;
///
/// /// What a request took, whichever kind of arena it had.
/// fn took(guard: &impl Guard) -> usize {
///     guard.arena().figures().reserved_bytes
/// }
///
/// let pool = ArenaPool::new();
/// assert!(took(&pool.acquire()) > 0 && took(&pool.acquire_shared()) > 0);
/// ```
pub unsafe trait Guard: private::Sealed {
    /// The kind of arena that the guard lends.
    ///
    /// ```
    /// use blixard_arena::arena::{Guard, Root, Sealed};
    ///
    /// /// What builds a reply, for sealed replies over either kind of arena.
    /// type Build<R, G> = for<'a> fn(&'a <G as Guard>::Arena) -> <R as Root>::At<'a>;
    ///
    /// fn reply<R: Root, G: Guard>(guard: G, build: Build<R, G>) -> Sealed<R, G> {
    ///     Sealed::build(guard, build)
    /// }
    /// ```
    type Arena: AnyArena + 'static;

    /// The arena.
    ///
    /// ```
    /// use blixard_arena::arena::{AnyArena, Guard};
    /// use blixard_arena::ArenaPool;
    ///
    /// fn greet(guard: &impl Guard) -> &str {
    ///     guard.arena().alloc_str("hello") // written once, for both kinds of guard
    /// }
    /// assert_eq!(greet(&ArenaPool::new().acquire_shared()), "hello");
    /// ```
    #[must_use]
    fn arena(&self) -> &Self::Arena;
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::PooledArena {}
    impl Sealed for super::PooledSharedArena {}
}

// SAFETY: the arena lies in the guard's block on the heap.
unsafe impl Guard for PooledArena {
    type Arena = Arena;

    fn arena(&self) -> &Arena {
        self
    }
}

// SAFETY: as above.
unsafe impl Guard for PooledSharedArena {
    type Arena = SharedArena;

    fn arena(&self) -> &SharedArena {
        self
    }
}

/// An arena together with the root of what was built in it.
///
/// Owns itself: `'static` and `Send`, so that a finished batch goes through a channel or into a log entry, and everything
/// in it goes back to the pool when it is dropped. Sealing makes no heap call.
///
/// In a struct write the type as `Sealed<Batch<'static>>`; over a shared arena it is `Sealed<Batch<'static>,
/// PooledSharedArena>`, built by `Sealed::<Batch, PooledSharedArena>::build(pool.acquire_shared(), ...)`. Only arenas of a
/// pool can be sealed.
///
/// A root may hold frozen data (`&'a str`, `&'a [T]`) from either kind of arena. Collections that still grow hold
/// `&SharedArena`, which is `Send`; with `&Arena` inside a root is refused.
///
/// ```
/// use blixard_arena::{ArenaPool, Sealed, sealed_root};
///
/// struct Batch<'a> {
///     names: &'a [&'a str],
/// }
/// sealed_root!(Batch);
///
/// let pool = ArenaPool::new();
/// let batch = Sealed::<Batch>::build(pool.acquire(), |arena| Batch {
///     names: arena.alloc_slice_fill_iter(["vm-1", "vm-2"].map(|name| &*arena.alloc_str(name))),
/// });
/// let (to, from) = std::sync::mpsc::channel();
/// to.send(batch).unwrap();
/// let proposed = std::thread::spawn(move || from.recv().unwrap().get().names.len()).join().unwrap();
/// assert_eq!(proposed, 2);
/// ```
#[must_use = "dropping it returns the arena at once"]
pub struct Sealed<R: Root, G: Guard = PooledArena> {
    /// In the guard's arena. The lifetime is a stand-in for "as long as the guard".
    root: NonNull<R::At<'static>>,
    guard: G,
}

// SAFETY: the root is Send by `Root`, and moves with the guard that owns its memory, which is Send.
unsafe impl<R: Root, G: Guard + Send> Send for Sealed<R, G> {}
// SAFETY: `&self` lends the root alone, never the guard.
unsafe impl<R: Root, G: Guard> Sync for Sealed<R, G> where R::At<'static>: Sync {}

impl<R: Root, G: Guard> Sealed<R, G> {
    /// Builds a root in the guard's arena and seals the two.
    ///
    /// # Panics
    ///
    /// As `build` does, and with [`BudgetExceeded`] when there is no room for the root itself.
    ///
    /// ```
    /// use blixard_arena::{ArenaPool, Sealed, sealed_root};
    ///
    /// struct Names<'a>(&'a [&'a str]);
    /// sealed_root!(Names);
    ///
    /// fn parse(pool: &ArenaPool, line: &str) -> Sealed<Names<'static>> {
    ///     Sealed::build(pool.acquire(), |arena| {
    ///         Names(arena.alloc_slice_fill_iter(line.split(',').map(|name| &*arena.alloc_str(name))))
    ///     }) // neither the line nor the pool is borrowed by what is returned
    /// }
    /// assert_eq!(parse(&ArenaPool::new(), "vm-1,vm-2").get().0, ["vm-1", "vm-2"]);
    /// ```
    pub fn build(guard: G, build: impl for<'a> FnOnce(&'a G::Arena) -> R::At<'a>) -> Self {
        let Ok(sealed) = Self::seal::<Infallible>(guard, |arena| Ok(build(arena)));
        sealed
    }

    /// [`build`](Self::build) with a `build` that can fail.
    ///
    /// # Errors
    ///
    /// What `build` returns, or [`BudgetExceeded`] turned into it. The arena is back in its pool then.
    ///
    /// ```
    /// use blixard_arena::{ArenaOptions, BudgetExceeded, Sealed, sealed_root};
    ///
    /// struct Names<'a>(&'a [u64]);
    /// sealed_root!(Names);
    ///
    /// let pool = ArenaOptions::new().budget_bytes_max(4096).pool();
    /// let refused = Sealed::<Names>::try_build(pool.acquire(), |arena| {
    ///     Ok::<_, BudgetExceeded>(Names(arena.try_alloc_slice_fill_with(10_000, |i| i as u64)?))
    /// });
    /// assert_eq!(refused.err().unwrap().allowed, 4096);
    /// ```
    pub fn try_build<E: From<BudgetExceeded>>(
        guard: G,
        build: impl for<'a> FnOnce(&'a G::Arena) -> Result<R::At<'a>, E>,
    ) -> Result<Self, E> {
        Self::seal::<Told<E>>(guard, |arena| build(arena).map_err(Told)).map_err(|Told(error)| error)
    }

    fn seal<E: Refusal>(guard: G, build: impl for<'a> FnOnce(&'a G::Arena) -> Result<R::At<'a>, E>) -> Result<Self, E> {
        let arena: *const G::Arena = guard.arena();
        // SAFETY: the arena outlives the root: both go with the guard, the root first. `build` works for every lifetime,
        // so it cannot make use of this one being `'static`.
        let arena: &'static G::Arena = unsafe { &*arena };
        let root: R::At<'static> = build(arena)?;
        let layout = Layout::new::<R::At<'static>>();
        let place = arena.try_alloc_layout(layout).map_err(E::refuse)?.cast::<R::At<'static>>();
        // SAFETY: fresh memory of the root's layout. It is dropped in `drop`.
        unsafe { place.write(root) };
        Ok(Self { root: place, guard })
    }

    /// The root, as long as this is borrowed.
    ///
    /// ```
    /// # use blixard_arena::{ArenaPool, Sealed, sealed_root};
    /// struct Reply<'a>(&'a str);
    /// sealed_root!(Reply);
    /// let reply = Sealed::<Reply>::build(ArenaPool::new().acquire(), |arena| Reply(arena.alloc_str("done")));
    /// assert_eq!(reply.get().0, "done");
    /// ```
    #[must_use]
    pub fn get(&self) -> &R::At<'_> {
        // SAFETY: written in `seal`, dropped in `drop`; the arena moves with us. Lent no longer than `self` is.
        R::shorten(unsafe { self.root.as_ref() })
    }

    /// Some of the root's bytes as `Bytes`, without copying them. The arena goes back to its pool when the last `Bytes`
    /// over it is dropped, on whatever thread. One heap call, for the owner that `Bytes` counts.
    ///
    /// ```
    /// # use blixard_arena::{ArenaPool, Sealed, sealed_root};
    /// struct Frame<'a> { header: u8, body: &'a [u8] }
    /// sealed_root!(Frame);
    /// let frame = Sealed::<Frame>::build(ArenaPool::new().acquire(), |arena| Frame {
    ///     header: 1,
    ///     body: arena.alloc_slice_copy(b"payload"),
    /// });
    /// assert_eq!(frame.get().header, 1);
    /// let body = frame.into_bytes(|frame| frame.body);
    /// assert_eq!(&body.slice(..3)[..], b"pay");
    /// ```
    #[cfg(feature = "bytes")]
    #[must_use]
    pub fn into_bytes(self, bytes: impl for<'a> FnOnce(&'a R::At<'a>) -> &'a [u8]) -> bytes::Bytes
    where
        R: 'static,
        G: Send + 'static,
    {
        struct Lent<R: Root, G: Guard> {
            bytes: NonNull<[u8]>,
            _sealed: Sealed<R, G>,
        }
        // SAFETY: the bytes lie in, or are borrowed from, what `_sealed` owns, which is Send; bytes are Sync.
        unsafe impl<R: Root, G: Guard + Send> Send for Lent<R, G> {}
        impl<R: Root, G: Guard> AsRef<[u8]> for Lent<R, G> {
            fn as_ref(&self) -> &[u8] {
                // SAFETY: a borrow for `'a` of the root's own data: in the arena, or `'static`. Both outlive `self`.
                unsafe { self.bytes.as_ref() }
            }
        }
        let bytes = NonNull::from(bytes(self.get()));
        bytes::Bytes::from_owner(Lent { bytes, _sealed: self })
    }

    /// Drops the root and hands the guard back, for the next batch.
    ///
    /// ```
    /// # use blixard_arena::{ArenaPool, Sealed, sealed_root};
    /// struct Reply<'a>(&'a str);
    /// sealed_root!(Reply);
    /// let sealed = Sealed::<Reply>::build(ArenaPool::new().acquire(), |arena| Reply(arena.alloc_str("done")));
    /// let mut arena = sealed.into_guard();
    /// arena.reset();
    /// ```
    #[must_use]
    pub fn into_guard(self) -> G {
        let this = ManuallyDrop::new(self);
        // SAFETY: read once; `this` is not dropped.
        let guard = unsafe { ptr::read(&raw const this.guard) };
        // SAFETY: the root is live, and not used again. If its destructor panics the guard above is dropped.
        unsafe { ptr::drop_in_place(this.root.as_ptr()) };
        guard
    }
}

/// A user's error, as one that a refusal can become.
struct Told<E>(E);

impl<E: From<BudgetExceeded>> Refusal for Told<E> {
    fn refuse(error: BudgetExceeded) -> Self {
        Self(error.into())
    }
}

impl<R: Root, G: Guard> Drop for Sealed<R, G> {
    fn drop(&mut self) {
        // SAFETY: the root is live and dropped once, before the guard, which is dropped even if this unwinds.
        unsafe { ptr::drop_in_place(self.root.as_ptr()) };
    }
}

impl<R: Root, G: Guard> fmt::Debug for Sealed<R, G>
where
    for<'a> R::At<'a>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealed").field(self.get()).finish()
    }
}
