//! How arenas and pools are set up: limits with their defaults, and what a reset does to the bytes.
//!
//! Stands before everything else of `arena`. Plain values. Invariant: every limit has a number.
#![forbid(unsafe_code)]

use super::{Arena, ArenaPool, BudgetExceeded, SharedArena};
use std::convert::Infallible;

/// What happens to used memory when a request ends.
///
/// ```
/// use blixard_arena::{ArenaOptions, Reset};
///
/// let tokens = ArenaOptions::new().on_reset(Reset::Wipe).pool(); // for requests that carry secrets
/// let requests = ArenaOptions::new().on_reset(Reset::Keep).pool(); // as fast in debug builds as in release
/// # drop((tokens, requests));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// Nothing: the next request overwrites it. The default of release builds.
    Keep,
    /// Every byte handed out becomes `0xDB` when the arena is reset or returns to its pool, so that a stale pointer
    /// shows; what is freed instead is left as it is. The default of debug builds, which therefore use more memory than
    /// release builds where collections grow and shrink: see `Wipe`.
    Poison,
    /// Every byte handed out becomes 0 at a reset, a return and a drop, by volatile writes, so that no secret outlives its
    /// request. Blocks given back
    /// early (a popped `Vec`, a shrunk `String`) are covered too: in this mode and under `Poison` nothing is reused
    /// before the reset.
    Wipe,
}

impl Default for Reset {
    fn default() -> Self {
        if cfg!(debug_assertions) { Self::Poison } else { Self::Keep }
    }
}

impl Reset {
    /// The byte written over used memory, if any.
    pub(crate) fn byte(self) -> Option<u8> {
        match self {
            Self::Keep => None,
            Self::Poison => Some(0xDB),
            Self::Wipe => Some(0),
        }
    }
}

/// Limits and behaviour of arenas, and the three things that are made from them.
///
/// ```
/// use blixard_arena::{ArenaOptions, Reset};
///
/// // A request may hold 1 MiB; an idle arena keeps at most 64 KiB; secrets are gone when it is released.
/// let pool = ArenaOptions::new()
///     .budget_bytes_max(1 << 20)
///     .retain_bytes_max(64 << 10)
///     .on_reset(Reset::Wipe)
///     .pool();
/// let arena = pool.acquire();
/// let name = arena.alloc_str("vm-17");
/// assert_eq!(name, "vm-17");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ArenaOptions {
    pub(crate) budget_bytes_max: usize,
    pub(crate) first_chunk_bytes: usize,
    pub(crate) retain_bytes_max: usize,
    pub(crate) idle_max: usize,
    pub(crate) on_reset: Reset,
    pub(crate) recycle: bool,
}

impl Default for ArenaOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ArenaOptions {
    /// The default budget of a request: 1 GiB.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// // Sixteen requests at a time may together have what one may by default.
    /// let pool = ArenaOptions::new().budget_bytes_max(ArenaOptions::BUDGET_BYTES_DEFAULT / 16).pool();
    /// # drop(pool);
    /// ```
    pub const BUDGET_BYTES_DEFAULT: usize = 1 << 30;
    /// What an idle arena keeps at most by default: 4 MiB.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// // What a full pool keeps at most: 1 GiB. Where that is too much, set either factor.
    /// assert_eq!(ArenaOptions::RETAIN_BYTES_DEFAULT * ArenaOptions::IDLE_DEFAULT, 1 << 30);
    /// ```
    pub const RETAIN_BYTES_DEFAULT: usize = 4 << 20;
    /// How many arenas lie idle in a pool at most by default: 256.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let requests_at_a_time_max = 1000; // more than lie idle by default: some would be made anew
    /// let pool = ArenaOptions::new().idle_max(requests_at_a_time_max.max(ArenaOptions::IDLE_DEFAULT)).pool();
    /// # drop(pool);
    /// ```
    pub const IDLE_DEFAULT: usize = 256;

    /// The defaults.
    ///
    /// ```
    /// use blixard_arena::ArenaOptions;
    /// assert_eq!(ArenaOptions::new(), ArenaOptions::default());
    /// ```
    pub fn new() -> Self {
        Self {
            budget_bytes_max: Self::BUDGET_BYTES_DEFAULT,
            first_chunk_bytes: 0,
            retain_bytes_max: Self::RETAIN_BYTES_DEFAULT,
            idle_max: Self::IDLE_DEFAULT,
            on_reset: Reset::default(),
            recycle: !cfg!(blixard_no_recycle),
        }
    }

    /// The most bytes that one request may hold from the global allocator: all its chunks, shards and scopes, their
    /// metadata included, the allocator's own headers left out. Never exceeded; a request may be refused early by at
    /// most one chunk's rounding per bump.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let pool = ArenaOptions::new().budget_bytes_max(64 << 10).pool();
    /// let greedy = pool.acquire();
    /// let over = greedy.try_alloc_uninit_slice::<u8>(1 << 20).unwrap_err();
    /// assert_eq!((over.asked, over.allowed), (1 << 20, 64 << 10)); // this request ends; the others go on
    /// ```
    pub fn budget_bytes_max(mut self, bytes: usize) -> Self {
        self.budget_bytes_max = bytes;
        self
    }

    /// The first chunk of an arena that nothing is known about yet. 448 bytes by default; a pool learns from there.
    /// [`arena`](Self::arena) takes it at once and fails without room; shared and pooled arenas take it with the first
    /// value, or less if the budget has no room. Further shards of a shared arena begin small, or with what the pool has learnt.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let arena = ArenaOptions::new().first_chunk_bytes(64 << 10).arena();
    /// arena.alloc_slice_fill_with(8_000, |i| i as u64); // no second chunk
    /// assert_eq!(arena.figures().chunks, 1);
    /// ```
    pub fn first_chunk_bytes(mut self, bytes: usize) -> Self {
        self.first_chunk_bytes = bytes;
        self
    }

    /// The most bytes of chunks that an arena keeps when it is reset or lies idle; a shared arena, for each of its shards.
    /// A pool keeps less: see [`ArenaPool`].
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let mut arena = ArenaOptions::new().retain_bytes_max(4096).arena();
    /// arena.alloc_uninit_slice::<u8>(1 << 20); // the one large request of the day
    /// arena.reset();
    /// assert!(arena.figures().reserved_bytes <= 4096);
    /// ```
    pub fn retain_bytes_max(mut self, bytes: usize) -> Self {
        self.retain_bytes_max = bytes;
        self
    }

    /// The most arenas that lie idle in a pool, over all threads, the shards of shared arenas counted one by one; at most 65,536. What comes back beyond that is
    /// freed. The places are made with the pool, 5 bytes each.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let pool = ArenaOptions::new().idle_max(2).pool();
    /// let burst: Vec<_> = (0..100).map(|_| pool.acquire()).collect();
    /// drop(burst);
    /// assert!(pool.figures().idle <= 2);
    /// ```
    pub fn idle_max(mut self, arenas: usize) -> Self {
        self.idle_max = arenas;
        self
    }

    /// What becomes of used bytes at a reset.
    ///
    /// ```
    /// use blixard_arena::{ArenaOptions, Reset};
    ///
    /// let pool = ArenaOptions::new().on_reset(Reset::Wipe).pool();
    /// pool.acquire().alloc_str("a token"); // zeros from here on
    /// ```
    pub fn on_reset(mut self, reset: Reset) -> Self {
        self.on_reset = reset;
        self
    }

    /// Whether a pool reuses arenas. `false` frees each one when it comes back: under `AddressSanitizer` a use after
    /// the end of a request is then reported, where recycled memory would hide it. The default is `true`, and `false`
    /// in builds with `--cfg blixard_no_recycle`, which turns it off for a whole test suite.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let pool = ArenaOptions::new().recycle(!cfg!(feature = "hunt-bugs")).pool();
    /// # drop(pool);
    /// ```
    pub fn recycle(mut self, recycle: bool) -> Self {
        self.recycle = recycle;
        self
    }

    /// An arena of its own. No memory is taken before the first value, unless `first_chunk_bytes` asks for it.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] when there is no room for `first_chunk_bytes`.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let mut arena = ArenaOptions::new().budget_bytes_max(1 << 20).arena(); // one per worker thread, without a pool
    /// for line in ["vm-1", "vm-2"] {
    ///     assert_eq!(arena.alloc_str(line), line);
    ///     arena.reset();
    /// }
    /// ```
    #[must_use]
    pub fn arena(self) -> Arena {
        let Ok(arena) = Arena::with_options::<Infallible>(&self);
        arena
    }

    /// [`arena`](Self::arena), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`] when there is no room for `first_chunk_bytes`.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let options = ArenaOptions::new().budget_bytes_max(1000).first_chunk_bytes(2000);
    /// assert_eq!(options.try_arena().unwrap_err().allowed, 1000); // two settings that do not go together
    /// ```
    pub fn try_arena(self) -> Result<Arena, BudgetExceeded> {
        Arena::with_options(&self)
    }

    /// A shared arena of its own. Takes one block for itself, and chunks with the first value of each thread.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] when the budget has no room for the arena itself (some 400 bytes).
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let arena = ArenaOptions::new().budget_bytes_max(1 << 20).shared();
    /// std::thread::scope(|scope| {
    ///     for node in 0..2 {
    ///         let arena = &arena; // both threads on one budget
    ///         scope.spawn(move || arena.format(format_args!("node-{node}")).len());
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn shared(self) -> SharedArena {
        let Ok(arena) = SharedArena::with_options::<Infallible>(&self);
        arena
    }

    /// [`shared`](Self::shared), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`] when the budget has no room for the arena itself (some 400 bytes).
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// assert!(ArenaOptions::new().budget_bytes_max(100).try_shared().is_err()); // no room for the arena itself
    /// ```
    pub fn try_shared(self) -> Result<SharedArena, BudgetExceeded> {
        SharedArena::with_options(&self)
    }

    /// A pool of arenas.
    ///
    /// ```
    /// # use blixard_arena::ArenaOptions;
    /// let pool = ArenaOptions::new().budget_bytes_max(8 << 20).pool();
    /// let service = pool.clone(); // a handle for each worker
    /// assert_eq!(service.acquire().alloc_str("vm-1"), "vm-1");
    /// ```
    #[must_use]
    pub fn pool(self) -> ArenaPool {
        ArenaPool::with_options(self)
    }
}
