//! `SharedArena`: the memory of one request that any thread and any task may allocate from.
//!
//! Stands beside `Arena` for requests that fan out or are held across `.await`. Each thread bumps a shard of its own; a
//! thread-local cache finds it by the arena's identifier, which is new at every acquire and reset and never comes
//! back, so an entry of an earlier request can only miss. A miss walks the list of shards, which is lock-free and as
//! long as there are threads in the request.
//! Invariants: a shard's region is touched by its owner alone while the arena is shared; the list only grows until the
//! arena is exclusive again; every shard is booked on the root's ledger.
//! Cost: a hit is a plain bump behind one comparison; a thread's first value takes a shard from the pool, or from the
//! heap where there is no pool.
#![expect(unsafe_code, reason = "shards are found by address and owned by threads; Send and Sync are argued")]

use super::arena::Arena;
use super::cleanups::{self, Cleanups};
use super::figures::ArenaFigures;
use super::ledger::{BudgetExceeded, Ledger, Refusal};
use super::local::{INSIDE, Inside, Local};
use super::options::ArenaOptions;
use super::pool::Arenas;
use crate::recycle::{Link, try_box};
use crate::sync::{AtomicPtr, AtomicU64, AtomicUsize, IdCache, Ordering, thread_cell, thread_id, unique_id};
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};

thread_cell! {
    /// Identifier of a shared arena to this thread's shard of it.
    static SHARDS: IdCache = IdCache::new()
}

/// What pools recycle and shared arenas are made of: an arena with the fields that a shard needs. As the arena behind a
/// `PooledArena` it uses none of them; as the root of a shared arena it heads the list of the further shards.
#[derive(Debug)]
pub(crate) struct Block {
    pub(super) arena: Apart,
    /// The thread that bumps this shard; 0 while nobody does.
    owner: AtomicU64,
    /// The next shard of the request. Written before this one is published, or exclusively.
    next: AtomicPtr<Block>,
    /// Of a root: the newest of its further shards.
    shards: AtomicPtr<Block>,
    /// Of a root: its guards.
    pub(super) guards: AtomicUsize,
    /// Of a pooled root: the shared arena that its guards lend, here so that its address outlives their moves. Written
    /// at each `acquire_shared`.
    shared: MaybeUninit<SharedArena>,
    options: ArenaOptions,
}

/// An arena on cache lines of its own (two, which the hardware fetches together): its owner writes the finger with every
/// value, while other threads read what lies beside it in the block.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Apart(Arena);

impl Deref for Apart {
    type Target = Arena;

    #[inline(always)]
    fn deref(&self) -> &Arena {
        &self.0
    }
}

impl DerefMut for Apart {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Arena {
        &mut self.0
    }
}

impl Block {
    pub(crate) fn new(options: &ArenaOptions, first_chunk: usize) -> Self {
        Self {
            arena: Apart(Arena::empty(options, first_chunk)),
            owner: AtomicU64::new(0),
            next: AtomicPtr::new(ptr::null_mut()),
            shards: AtomicPtr::new(ptr::null_mut()),
            guards: AtomicUsize::new(1),
            shared: MaybeUninit::uninit(),
            options: *options,
        }
    }

    /// A block on the heap, booked on its own ledger; refused without room for the block itself.
    pub(super) fn boxed<E: Refusal>(options: &ArenaOptions, first_chunk: usize) -> Result<Box<Self>, E> {
        let ledger = Ledger::new(options.budget_bytes_max);
        ledger.reserve(size_of::<Self>(), size_of::<Self>()).map_err(E::refuse)?;
        let block = try_box(|| Self::new(options, first_chunk));
        let mut block = block.ok_or_else(|| E::refuse(Ledger::new(0).refused_by_allocator(size_of::<Self>())))?;
        block.rebook();
        Ok(block)
    }

    /// Lets go of what earlier requests left if it is more than a quarter of the budget of the shared arena that the block comes to:
    /// the arena's other threads need the rest.
    #[inline(always)]
    pub(super) fn leave_room(&mut self, budget_bytes: usize) {
        if self.arena.own_ledger().held() > budget_bytes / 4 {
            self.let_chunks_go();
        }
    }

    #[cold]
    #[inline(never)]
    fn let_chunks_go(&mut self) {
        self.arena.drop_spare();
        self.arena.replace_chunks(0, 0);
        self.rebook();
    }

    /// Makes a pooled block the root of a shared arena.
    ///
    /// # Safety
    ///
    /// The block is exclusively the caller's, and was taken from `source`.
    pub(super) unsafe fn share(root: NonNull<Self>, source: Link<Arenas>) {
        // SAFETY: the caller has the block for itself. A `SharedArena` there from before is overwritten without a drop:
        // it owned nothing (pooled blocks go back through their guards).
        unsafe { &mut *root.as_ptr() }.shared.write(SharedArena { id: unique_id(), root, source: Some(source) });
    }

    /// The shared arena of a root.
    ///
    /// # Safety
    ///
    /// `share` was called since the block was taken.
    #[inline(always)]
    pub(super) unsafe fn shared(&self) -> &SharedArena {
        // SAFETY: written by `share`.
        unsafe { self.shared.assume_init_ref() }
    }

    /// Makes the calling thread the owner, or says that it already is.
    fn is_mine_or_free(&self, thread: u64) -> bool {
        // Acquire needs no partner here: an owner is only cleared by who has the arena to itself, and whatever made the
        // arena shared again ordered that. It costs nothing beside the exchange.
        let owner = self.owner.load(Ordering::Relaxed);
        owner == thread
            || owner == 0 && self.owner.compare_exchange(0, thread, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Books on the block's own ledger what it holds: itself, its chunks, its spare.
    pub(super) fn rebook(&mut self) {
        self.arena.own_ledger().set_held(size_of::<Self>() + self.arena.held());
    }

    /// Whether threads beside the first have made shards.
    #[inline(always)]
    pub(super) fn has_shards(&mut self) -> bool {
        !self.shards.load(Ordering::Relaxed).is_null()
    }

    /// Nobody bumps this block any more.
    #[inline(always)]
    pub(super) fn disown(&mut self) {
        self.owner.store(0, Ordering::Relaxed);
    }

    /// Unlinks the further shards, each with its own ledger again, and calls `f` with each.
    pub(super) fn detach_shards(&mut self, mut f: impl FnMut(NonNull<Block>)) {
        let mut at = NonNull::new(self.shards.swap(ptr::null_mut(), Ordering::Acquire));
        while let Some(mut shard) = at {
            // SAFETY: listed blocks are alive, and `&mut self` says that no thread uses the arena any more.
            let block = unsafe { shard.as_mut() };
            at = NonNull::new(block.next.swap(ptr::null_mut(), Ordering::Relaxed));
            // SAFETY: none given, so nothing to outlive.
            unsafe { block.arena.set_parent(None) };
            block.owner.store(0, Ordering::Relaxed);
            block.rebook();
            f(shard);
        }
        self.owner.store(0, Ordering::Relaxed);
    }
}

/// One request's memory, for any number of threads and tasks.
///
/// The same calls as [`Arena`], through `&self` on any thread, without a lock. What is built in it may be held across
/// `.await` in a spawned task and moved between threads as its type allows. Allocating costs about one nanosecond; for
/// a request that stays on one thread [`Arena`] is cheaper still.
///
/// ```
/// use blixard_arena::SharedArena;
///
/// let arena = SharedArena::new();
/// let build = |from: u32| arena.alloc_slice_fill_iter((from..from + 3).map(|i| &*arena.format(format_args!("vm-{i}"))));
/// let (left, right) = std::thread::scope(|scope| {
///     let (left, right) = (scope.spawn(|| build(0)), scope.spawn(|| build(3)));
///     (left.join().unwrap(), right.join().unwrap())
/// });
/// assert_eq!((left[2], right[0]), ("vm-2", "vm-3"));
/// ```
///
/// It has no `scope`: take an [`Arena`] from the pool for temporaries.
///
/// Guards from [`ArenaPool::acquire_shared`](super::ArenaPool::acquire_shared) can be cloned into tasks.
pub struct SharedArena {
    /// New at every acquire and reset.
    id: u64,
    /// Owned by this arena, or, in a pooled one, by the guards together.
    root: NonNull<Block>,
    /// Where further shards come from and go; `None`: the heap.
    source: Option<Link<Arenas>>,
}

// SAFETY: the blocks are owned by the arena; cleanups hold Send values only; a region is reached through `local` by the
// one thread that owns it, and exclusively otherwise.
unsafe impl Send for SharedArena {}
// SAFETY: `&self` reaches a region only through `local`, which hands each thread its own; the list of shards and the
// cleanups are lock-free; the ledger is atomic. `Arena` itself, which is not Sync, is never lent out.
unsafe impl Sync for SharedArena {}
// As for `Arena`.
impl UnwindSafe for SharedArena {}
impl RefUnwindSafe for SharedArena {}

impl SharedArena {
    /// A shared arena with the default [options](ArenaOptions), outside any pool.
    ///
    /// ```
    /// let arena = blixard_arena::SharedArena::new();
    /// let lengths = std::thread::scope(|scope| {
    ///     ["vm-1", "vm-10"].map(|name| scope.spawn(|| arena.alloc_str(name).len())).map(|thread| thread.join().unwrap())
    /// });
    /// assert_eq!(lengths, [4, 5]);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        ArenaOptions::new().shared()
    }

    pub(super) fn with_options<E: Refusal>(options: &ArenaOptions) -> Result<Self, E> {
        let block = Block::boxed(options, options.first_chunk_bytes)?;
        Ok(Self { id: unique_id(), root: NonNull::from(Box::leak(block)), source: None })
    }

    pub(super) fn root(&self) -> &Block {
        // SAFETY: `root` is alive as long as `self`. Only its Sync parts are used through this reference, and its region
        // by its owner (`local`).
        unsafe { self.root.as_ref() }
    }

    /// Lets all values go and keeps the memory, shard by shard, for whichever threads come next. Cleanups run first.
    ///
    /// # Panics
    ///
    /// With the first panic of a destructor or deferred call, once the others have run and the arena is reset.
    ///
    /// ```
    /// let mut arena = blixard_arena::SharedArena::new();
    /// arena.alloc_str("a request's name");
    /// arena.reset();
    /// ```
    pub fn reset(&mut self) {
        // SAFETY: `&mut self`, of an arena outside pools (guards do not lend `&mut`), so nobody else has its blocks.
        let root = unsafe { self.root.as_mut() };
        let mut payload = root.arena.cleanups_mut().run_all();
        // From here on no cache entry of any thread leads to these shards.
        self.id = unique_id();
        let retain = root.options.retain_bytes_max;
        let mut at = Some(self.root);
        while let Some(mut block) = at {
            // SAFETY: as above.
            let block = unsafe { block.as_mut() };
            block.arena.rewind(retain, |used| used + used / 8);
            block.owner.store(0, Ordering::Relaxed);
            let list = if at == Some(self.root) { &block.shards } else { &block.next };
            at = NonNull::new(list.load(Ordering::Relaxed));
        }
        self.root().arena.own_ledger().restart();
        cleanups::must_swallow(&mut payload);
        cleanups::resume(payload);
    }

    /// What this arena holds, readable while others allocate. `used_bytes` leaves out what lies in each thread's present
    /// chunk: the numbers here change only when a chunk is added.
    ///
    /// ```
    /// let arena = blixard_arena::SharedArena::new();
    /// arena.alloc([0u8; 1000]);
    /// assert!(arena.figures().reserved_bytes >= 1000);
    /// ```
    #[must_use]
    pub fn figures(&self) -> ArenaFigures {
        let ledger = self.root().arena.own_ledger();
        let mut figures = ArenaFigures {
            reserved_bytes: ledger.held(),
            high_water_bytes: ledger.held_max(),
            ..ArenaFigures::default()
        };
        let mut blocks = 0;
        self.each_shard(|block| {
            figures.used_bytes += block.arena.region().used_before();
            figures.chunks += block.arena.region().chunks();
            blocks += 1;
        });
        figures.wasted_bytes = figures.chunks * super::chunk::FOOTER_BYTES + blocks * size_of::<Block>();
        figures
    }

    fn each_shard(&self, mut f: impl FnMut(&Block)) {
        f(self.root());
        // Acquire: pairs with the Release in `add_shard`; a shard's fields are written before it is published.
        let mut at = self.root().shards.load(Ordering::Acquire);
        // SAFETY: listed blocks live until the arena is exclusive.
        while let Some(block) = unsafe { at.as_ref() } {
            f(block);
            at = block.next.load(Ordering::Relaxed);
        }
    }

    /// A miss: this thread's shard, one that nobody owns, or a new one.
    #[cold]
    #[inline(never)]
    fn find_shard<E: Refusal>(&self) -> Result<&Arena, E> {
        let thread = thread_id();
        let root = self.root();
        let mut found = root.is_mine_or_free(thread).then(|| NonNull::from(&*root.arena));
        if found.is_none() {
            self.each_shard(|block| {
                if found.is_none() && block.is_mine_or_free(thread) {
                    found = Some(NonNull::from(&*block.arena));
                }
            });
        }
        let shard = match found {
            Some(shard) => shard,
            None => self.add_shard(thread)?,
        };
        SHARDS.with(|cache| cache.set(self.id, shard.as_ptr().cast_const().cast()));
        // SAFETY: a block of this arena, alive as long as it is shared; this thread owns its region.
        Ok(unsafe { shard.as_ref() })
    }

    #[cold]
    fn add_shard<E: Refusal>(&self, thread: u64) -> Result<NonNull<Arena>, E> {
        // SAFETY: the root is alive.
        let root = unsafe { &raw mut (*self.root.as_ptr()).arena.0 };
        // SAFETY: the root is alive.
        let ledger_at = unsafe { Arena::own_ledger_at(root) };
        // SAFETY: a field of the root, which is Sync.
        let ledger = unsafe { ledger_at.as_ref() };
        // The block itself is booked before it is made.
        ledger.reserve(size_of::<Block>(), size_of::<Block>()).map_err(E::refuse)?;
        let taken = match self.source {
            // SAFETY: this arena's root came from that pool and is still out.
            Some(source) => unsafe {
                // An error here, whatever the caller wants: a panic would pass the refund below by.
                let taken = source.take(|history| Arenas::make::<BudgetExceeded>(&self.root().options, history, 0));
                taken.ok().map(|taken| taken.item)
            },
            None => try_box(|| Block::new(&self.root().options, 0)).map(|block| NonNull::from(Box::leak(block))),
        };
        // The root fits the budget, so it was the global allocator that refused.
        let mut taken = taken.ok_or_else(|| {
            ledger.refund(size_of::<Block>());
            E::refuse(ledger.refused_by_allocator(size_of::<Block>()))
        })?;
        // SAFETY: just taken or made: ours alone.
        let block = unsafe { taken.as_mut() };
        block.leave_room(self.root().options.budget_bytes_max);
        let held = block.arena.held();
        if held > 0 && ledger.reserve(held, held).is_err() {
            // What it kept from earlier requests does not fit this one's budget: go on without.
            block.arena.drop_spare();
            block.arena.replace_chunks(0, 0);
        }
        ledger.note_high_water();
        // SAFETY: the root's ledger is Sync and outlives the shard's membership: `detach_shards` and `drop` end it first.
        unsafe { block.arena.set_parent(Some(ledger_at)) };
        block.owner.store(thread, Ordering::Relaxed);
        let shards = &self.root().shards;
        let mut newest = shards.load(Ordering::Relaxed);
        loop {
            block.next.store(newest, Ordering::Relaxed);
            // Release: pairs with the Acquire in `each_shard` and `detach_shards`.
            match shards.compare_exchange_weak(newest, taken.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Ok(NonNull::from(&*block.arena)),
                Err(now) => newest = now,
            }
        }
    }
}

impl Local for SharedArena {
    #[inline(always)]
    fn local<E: Refusal>(&self, _: Inside) -> Result<&Arena, E> {
        match self.local_found(INSIDE) {
            Some(shard) => Ok(shard),
            None => self.find_shard(),
        }
    }

    #[inline(always)]
    fn local_found(&self, _: Inside) -> Option<&Arena> {
        let shard = SHARDS.with(|cache| cache.get(self.id)).cast::<Arena>();
        // SAFETY: under this never-reused id the cache holds only what `find_shard` put there on this thread: a shard of
        // this arena in its present life, owned by this thread, alive until the arena is exclusive again.
        unsafe { shard.as_ref() }
    }

    fn cleanups(&self, _: Inside) -> &Cleanups {
        self.root().arena.0.cleanups(INSIDE)
    }
}

impl Default for SharedArena {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for SharedArena {
    fn drop(&mut self) {
        // Pooled ones are never dropped: they end in `PooledSharedArena::drop`.
        // SAFETY: outside a pool the root is ours alone, made by `Box::leak`.
        let mut root = unsafe { Box::from_raw(self.root.as_ptr()) };
        let mut payload = root.arena.cleanups_mut().run_all();
        root.detach_shards(|shard| {
            // SAFETY: as for the root; each is listed once.
            drop(unsafe { Box::from_raw(shard.as_ptr()) });
        });
        drop(root);
        cleanups::must_swallow(&mut payload);
        cleanups::resume(payload);
    }
}

impl fmt::Debug for SharedArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArena").field("figures", &self.figures()).finish_non_exhaustive()
    }
}
