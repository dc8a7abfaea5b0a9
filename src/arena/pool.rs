//! `ArenaPool`: arenas recycled one request at a time.
//!
//! Stands at both ends of the data's way: a request begins with a guard from here and ends when it is dropped. Arenas lie
//! idle in per-thread stacks (see `recycle`), each with one chunk of the size that requests usually need.
//! Invariants: a guard's arena comes back on whatever thread the guard is dropped, on unwind too; cleanups have run
//! before anything of the pool is touched, so they may use the pool.
//! Cost: acquire and return touch memory of the calling thread only; no heap call while an idle arena is there and the
//! request fits what it kept.
#![expect(unsafe_code, reason = "guards own blocks by address")]

use super::arena::Arena;
use super::cleanups::{self, Payload};
use super::figures::PoolFigures;
use super::ledger::{BudgetExceeded, Refusal};
use super::options::ArenaOptions;
use super::shared::{Block, SharedArena};
use super::sizing::History;
use crate::recycle::{Kind, Limits, Link, Recycler};
use crate::sync::{AtomicU64, Ordering};
use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

/// Idle arenas in one thread's stack, at most: what a worker has in flight between two looks at the depot.
const PER_THREAD: usize = 8;

/// What a pool's threads share.
#[derive(Debug)]
pub(crate) struct Arenas {
    options: ArenaOptions,
    panics_swallowed: AtomicU64,
}

impl Kind for Arenas {
    type Item = Block;
    type Local = History;
}

impl Arenas {
    /// A new block, its first chunk sized by what the thread has seen: a sixteenth of the budget at most. A request that was greedy would
    /// otherwise have each later one begin with all that it may hold, in the hands of its first thread.
    pub(super) fn make<E: Refusal>(
        options: &ArenaOptions,
        history: Option<&History>,
        unknown: usize,
    ) -> Result<Box<Block>, E> {
        let learnt = history.map_or(0, |history| history.first_chunk(options.retain_bytes_max));
        let learnt = learnt.min(options.budget_bytes_max / 16);
        let first_chunk = if learnt == 0 { unknown } else { learnt };
        Block::boxed(options, first_chunk)
    }
}

/// A pool of arenas: a cheap handle, to be cloned into every task.
///
/// [`acquire`](Self::acquire) gives a request an [`Arena`], [`acquire_shared`](Self::acquire_shared) a
/// [`SharedArena`]; dropping the guard brings it back, emptied. The pool learns how much requests need: an arena that
/// needed several chunks comes back with one that fits, and none keeps more than four times the median of the requests
/// that its thread has seen (3.5 times its estimate of it), or the smallest chunk and spare (about 1 KiB).
///
/// ```
/// use blixard_arena::ArenaPool;
///
/// let pool = ArenaPool::new();
/// for request in ["create vm-1", "start vm-1"] {
///     let arena = pool.acquire();
///     let (verb, vm) = request.split_once(' ').unwrap();
///     let reply = arena.format(format_args!("{vm}: {verb} accepted"));
///     assert!(reply.ends_with("accepted"));
/// } // here the arena goes back
/// assert_eq!(pool.figures().created, 1); // the second request reused the first one's
/// ```
///
/// Limits: see [`ArenaOptions`]. The pool itself holds 2 KiB for each thread that uses it at a time, and 2 KiB for its
/// depot by default. Guards may outlive the pool's last handle; their arenas are then freed.
#[derive(Clone)]
pub struct ArenaPool {
    recycler: Recycler<Arenas>,
}

impl ArenaPool {
    /// A pool with the default [options](ArenaOptions).
    ///
    /// ```
    /// use blixard_arena::ArenaPool;
    /// use std::sync::LazyLock;
    ///
    /// static REQUESTS: LazyLock<ArenaPool> = LazyLock::new(ArenaPool::new); // one for the service
    /// assert_eq!(REQUESTS.acquire().alloc_str("vm-1"), "vm-1");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        ArenaOptions::new().pool()
    }

    pub(super) fn with_options(options: ArenaOptions) -> Self {
        let limits = Limits { per_thread: PER_THREAD, idle_max: options.idle_max };
        Self { recycler: Recycler::new(Arenas { options, panics_swallowed: AtomicU64::new(0) }, limits) }
    }

    /// An arena for one request.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] if `budget_bytes_max` is too small for an empty arena (some 400 bytes).
    ///
    /// ```
    /// let pool = blixard_arena::ArenaPool::new();
    /// let arena = pool.acquire();
    /// let ids = arena.alloc_slice_fill_with(4, |i| i as u64);
    /// assert_eq!(ids, [0, 1, 2, 3]);
    /// ```
    #[inline]
    pub fn acquire(&self) -> PooledArena {
        let Ok(arena) = self.acquire_or::<Infallible>();
        arena
    }

    /// [`acquire`](Self::acquire), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`] if `budget_bytes_max` is too small for an empty arena (some 400 bytes).
    ///
    /// ```
    /// let pool = blixard_arena::ArenaOptions::new().budget_bytes_max(100).pool(); // less than an arena itself takes
    /// assert_eq!(pool.try_acquire().unwrap_err().allowed, 100);
    /// ```
    pub fn try_acquire(&self) -> Result<PooledArena, BudgetExceeded> {
        self.acquire_or()
    }

    /// A shared arena for one request. The guard can be cloned into the request's tasks; the last clone returns it.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// It begins with at most a quarter of its budget in hand, so that its other threads find room: what earlier requests left beyond that is
    /// freed first.
    ///
    /// ```
    /// let pool = blixard_arena::ArenaPool::new();
    /// let arena = pool.acquire_shared();
    /// let task = { let arena = arena.clone(); std::thread::spawn(move || arena.alloc_str("from a task").len()) };
    /// assert_eq!(arena.alloc_str("here").len() + task.join().unwrap(), 15);
    /// ```
    #[inline]
    pub fn acquire_shared(&self) -> PooledSharedArena {
        let Ok(arena) = self.acquire_shared_or::<Infallible>();
        arena
    }

    /// [`acquire_shared`](Self::acquire_shared), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`], as for [`try_acquire`](Self::try_acquire).
    ///
    /// ```
    /// let pool = blixard_arena::ArenaPool::new();
    /// let reply = match pool.try_acquire_shared() {
    ///     Ok(arena) => arena.alloc_str("placed").len(),
    ///     Err(over) => over.to_string().len(), // 503: no memory for another request
    /// };
    /// assert_eq!(reply, 6);
    /// ```
    pub fn try_acquire_shared(&self) -> Result<PooledSharedArena, BudgetExceeded> {
        self.acquire_shared_or()
    }

    #[inline(always)]
    fn acquire_or<E: Refusal>(&self) -> Result<PooledArena, E> {
        let options = &self.recycler.kind().options;
        let block = self.recycler.take(|history| Arenas::make(options, history, options.first_chunk_bytes))?.item;
        Ok(PooledArena { block, link: self.recycler.link() })
    }

    #[inline(always)]
    fn acquire_shared_or<E: Refusal>(&self) -> Result<PooledSharedArena, E> {
        let options = &self.recycler.kind().options;
        let mut block = self.recycler.take(|history| Arenas::make(options, history, options.first_chunk_bytes))?.item;
        // SAFETY: just taken: ours alone.
        unsafe { block.as_mut() }.leave_room(options.budget_bytes_max);
        let link = self.recycler.link();
        // SAFETY: the block was just taken from this pool.
        unsafe { Block::share(block, link) };
        Ok(PooledSharedArena { block, link })
    }

    /// Frees what lies idle: in the depot, in this thread's stack, and in the stacks of threads that ended. Stacks of
    /// other living threads (at most 8 arenas each) are out of reach.
    ///
    /// ```
    /// let pool = blixard_arena::ArenaPool::new();
    /// drop(pool.acquire());
    /// pool.trim();
    /// assert_eq!(pool.figures().idle, 0);
    /// ```
    pub fn trim(&self) {
        self.recycler.clear();
    }

    /// What the pool has done so far.
    ///
    /// ```
    /// let pool = blixard_arena::ArenaPool::new();
    /// let guard = pool.acquire();
    /// let figures = pool.figures();
    /// assert_eq!((figures.acquired, figures.live, figures.idle), (1, 1, 0));
    /// ```
    #[must_use]
    pub fn figures(&self) -> PoolFigures {
        let totals = self.recycler.totals();
        let mut figures = PoolFigures {
            acquired: totals.taken,
            returned: totals.returned,
            live: totals.taken.saturating_sub(totals.returned),
            created: totals.created,
            idle: totals.idle,
            panics_swallowed: self.recycler.kind().panics_swallowed.load(Ordering::Relaxed),
            ..PoolFigures::default()
        };
        self.recycler.each_local(|history| history.add_to(&mut figures.request_bytes));
        figures
    }
}

impl Default for ArenaPool {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ArenaPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaPool").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

/// What a return needs of the options: a copy, because the pool may be gone once the block is counted as returned.
#[derive(Clone, Copy)]
struct Settle {
    retain_bytes_max: usize,
    recycle: bool,
}

impl Settle {
    /// # Safety
    ///
    /// An item of the link's pool is still out.
    unsafe fn of(link: Link<Arenas>) -> Self {
        // SAFETY: the caller's promise.
        let options = unsafe { &link.kind().options };
        Self { retain_bytes_max: options.retain_bytes_max, recycle: options.recycle }
    }

    /// Empties a block for the next request; says whether to keep it. `used`: the request's bytes, where this is its root.
    /// `alone`: the block is all of the request; where it shared it with others, it keeps what itself has used, because
    /// the request's budget is shared too.
    fn settle(self, block: &mut Block, history: Option<&History>, used: Option<usize>, alone: bool) -> bool {
        let retain = self.retain_bytes_max;
        let keep_max = match history {
            Some(history) => {
                // Nothing is learnt from a guard under which nothing was built.
                if let Some(used) = used.filter(|used| *used > 0) {
                    history.record(used);
                }
                history.keep_max(retain)
            }
            None => retain,
        };
        if self.recycle {
            block.arena.rewind(keep_max, |used| match history {
                Some(history) if alone => history.replacement(used, keep_max),
                _ => used + used / 8,
            });
            block.arena.own_ledger().restart();
        }
        self.recycle
    }
}

/// [`Settle::settle`] for the common case: a block that is emptied by one store, between two batches of its history.
/// Otherwise changes nothing and answers `false`.
#[inline(always)]
fn settle_easily<const SHARED: bool>(arenas: &Arenas, block: &mut Block, history: &History) -> bool {
    if history.is_due() || !arenas.options.recycle || SHARED && block.has_shards() {
        return false;
    }
    let used = block.arena.region().used();
    let easy = block.arena.try_rewind(history.keep_max(arenas.options.retain_bytes_max));
    if easy {
        // A spare that went for room has left the high water above what is held.
        block.arena.own_ledger().restart();
        if SHARED {
            block.disown();
        }
        if used > 0 {
            history.record(used);
        }
    }
    easy
}

/// Before a block goes back: what to do with a cleanup's panic.
///
/// # Safety
///
/// An item of the link's pool is still out.
#[inline(always)]
unsafe fn after_cleanups(mut payload: Option<Payload>, link: Link<Arenas>) -> Option<Payload> {
    if cleanups::must_swallow(&mut payload) {
        // SAFETY: the caller's promise.
        unsafe { link.kind() }.panics_swallowed.fetch_add(1, Ordering::Relaxed);
    }
    payload
}

/// A request's arena; dropping it ends the request and returns the arena to its pool.
///
/// `'static` and `Send`: keep it in the request's own struct, move it to another thread, let a cancelled future drop it.
///
/// ```
/// let pool = blixard_arena::ArenaPool::new();
/// let arena = pool.acquire();
/// let name: &str = arena.alloc_str("vm-1"); // lives until `arena` is dropped
/// assert_eq!(name, "vm-1");
/// ```
#[must_use = "dropping the guard returns the arena at once"]
pub struct PooledArena {
    block: NonNull<Block>,
    link: Link<Arenas>,
}

// SAFETY: a guard owns its block, whose arena is Send; the link is an address whose target is Sync and kept alive by the
// block being out.
unsafe impl Send for PooledArena {}

impl PooledArena {
    /// [`Arena::reset`]: ends a batch and begins the next one in the same arena.
    ///
    /// # Panics
    ///
    /// As [`Arena::reset`].
    ///
    /// ```
    /// let mut arena = blixard_arena::ArenaPool::new().acquire();
    /// for batch in 0..3 {
    ///     arena.alloc([batch; 100]);
    ///     arena.reset();
    /// }
    /// ```
    pub fn reset(&mut self) {
        // SAFETY: the guard owns the block. The arena is not lent out as `&mut`, so it cannot be swapped for another.
        let block = unsafe { self.block.as_mut() };
        let payload = block.arena.cleanups_mut().run_all();
        // SAFETY: our own block is out.
        let payload = unsafe { after_cleanups(payload, self.link) };
        // SAFETY: as above.
        let options = unsafe { Settle::of(self.link) };
        // SAFETY: as above.
        let history = unsafe { self.link.local() };
        let used = block.arena.used();
        // Kept by its guard in any case: only a return asks whether to recycle.
        Settle { recycle: true, ..options }.settle(block, history, Some(used), true);
        cleanups::resume(payload);
    }
}

impl Deref for PooledArena {
    type Target = Arena;

    #[inline(always)]
    fn deref(&self) -> &Arena {
        // SAFETY: the guard owns the block.
        unsafe { &(*self.block.as_ptr()).arena }
    }
}

impl PooledArena {
    #[cold]
    #[inline(never)]
    fn drop_slow(&mut self) {
        // SAFETY: the guard owns the block, and nothing borrows from it any more.
        let payload = unsafe { self.block.as_mut() }.arena.cleanups_mut().run_all();
        // SAFETY: our own block is still out.
        let payload = unsafe { after_cleanups(payload, self.link) };
        // SAFETY: as above.
        let settle = unsafe { Settle::of(self.link) };
        // SAFETY: the block came from this pool, goes back once, and nobody uses it any more.
        unsafe {
            self.link.give_back(self.block, |block, history| {
                let used = block.arena.used();
                settle.settle(block, history, Some(used), true)
            });
        }
        cleanups::resume(payload);
    }
}

impl Drop for PooledArena {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the block came from this pool, goes back once, and nobody uses it any more. Where `settle_easily` answers
        // `false` it has changed nothing.
        let done = unsafe { self.link.try_give_back(self.block, settle_easily::<false>) };
        if !done {
            self.drop_slow();
        }
    }
}

impl fmt::Debug for PooledArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledArena").field(&**self).finish()
    }
}

/// A request's shared arena; dropping its last clone ends the request and returns it to its pool.
///
/// ```
/// use blixard_arena::ArenaPool;
///
/// # tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(async {
/// let arena = ArenaPool::new().acquire_shared();
/// let task = tokio::spawn({
///     let arena = arena.clone();
///     async move {
///         let name = arena.alloc_str("built before the await");
///         tokio::task::yield_now().await; // may go on, on another thread
///         name.len() + arena.alloc_str("and after").len()
///     }
/// });
/// assert_eq!(task.await.unwrap(), 31);
/// # });
/// ```
#[must_use = "dropping the last guard returns the arena at once"]
pub struct PooledSharedArena {
    /// Owned by all guards together; `share` was called.
    block: NonNull<Block>,
    link: Link<Arenas>,
}

// SAFETY: a guard is a count on a block that lends a `SharedArena`, which is Send and Sync; the last one, on whatever
// thread, has the block to itself. The link is as in `PooledArena`.
unsafe impl Send for PooledSharedArena {}
// SAFETY: `&self` gives `&SharedArena`, which is Sync, and clones, which are counted atomically.
unsafe impl Sync for PooledSharedArena {}

impl PooledSharedArena {
    #[inline(always)]
    fn block(&self) -> &Block {
        // SAFETY: alive while a guard is; exclusive use begins after the last one.
        unsafe { self.block.as_ref() }
    }
}

impl Clone for PooledSharedArena {
    fn clone(&self) -> Self {
        // Relaxed, as for any reference count.
        self.block().guards.fetch_add(1, Ordering::Relaxed);
        Self { block: self.block, link: self.link }
    }
}

impl Deref for PooledSharedArena {
    type Target = SharedArena;

    #[inline(always)]
    fn deref(&self) -> &SharedArena {
        // SAFETY: shared when this guard, or the one it is a clone of, was made.
        unsafe { self.block().shared() }
    }
}

impl Drop for PooledSharedArena {
    fn drop(&mut self) {
        let guards = &self.block().guards;
        // The only guard needs no locked instruction. Acquire, here and below: pairs with the Release of the other guards'
        // decrements, so that all they did happens before the arena is emptied.
        if guards.load(Ordering::Acquire) != 1 {
            if guards.fetch_sub(1, Ordering::AcqRel) != 1 {
                return;
            }
            guards.store(1, Ordering::Relaxed);
        }
        // SAFETY: as in `PooledArena::drop`; the last guard owns the block.
        if !unsafe { self.link.try_give_back(self.block, settle_easily::<true>) } {
            self.drop_slow();
        }
    }
}

impl PooledSharedArena {
    /// What the last guard does where `settle_easily` does not apply.
    #[cold]
    #[inline(never)]
    fn drop_slow(&mut self) {
        let (mut root, link) = (self.block, self.link);
        // SAFETY: the last guard owns the block, and nothing borrows from it any more.
        let payload = unsafe { root.as_mut() }.arena.cleanups_mut().run_all();
        // SAFETY: our own block is still out.
        let payload = unsafe { after_cleanups(payload, link) };
        // SAFETY: as above.
        let settle = unsafe { Settle::of(link) };
        // SAFETY: the last guard owns the block.
        let block = unsafe { root.as_mut() };
        let mut used = block.arena.region().used();
        let mut alone = true;
        block.detach_shards(|shard| {
            alone = false;
            // SAFETY: a shard of our request, detached: ours alone.
            used += unsafe { shard.as_ref() }.arena.region().used();
            // SAFETY: it came from this pool and goes back once; the root, still out, keeps the pool alive.
            unsafe { link.give_back(shard, |shard, history| settle.settle(shard, history, None, false)) };
        });
        if !alone {
            block.rebook();
        }
        // SAFETY: the root came from this pool, goes back once, and nobody uses it any more.
        unsafe { link.give_back(root, |block, history| settle.settle(block, history, Some(used), alone)) };
        cleanups::resume(payload);
    }
}

impl fmt::Debug for PooledSharedArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledSharedArena").field(&**self).finish()
    }
}
