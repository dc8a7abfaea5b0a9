//! `Arena`: the memory of one request on one thread at a time.
//!
//! Stands in the middle of the data's way: configs, proposals and temporaries are built in it, and all of it goes at
//! once. Invariants: values stay where they are until `reset`, release or drop, all of which need the arena for
//! themselves; the bump is the only hot path, everything else is cold.
//! Cost: no heap call while a chunk has room; one per new chunk.
#![expect(unsafe_code, reason = "a scope and a shard reach the ledger of their request by address; Send is argued")]

use super::cleanups::{self, Cleanups, Payload};
use super::figures::ArenaFigures;
use super::ledger::{Ledger, Refusal};
use super::local::{Inside, Local};
use super::options::{ArenaOptions, Reset};
use super::region::Region;
use crate::recycle::try_box;
use std::alloc::Layout;
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;

/// The smallest spare: an arena with the smallest chunk.
const SPARE_BYTES_MIN: usize = size_of::<Arena>() + super::chunk::CHUNK_BYTES_MIN + super::chunk::FOOTER_BYTES;

/// One request's memory: a bump region for one thread at a time.
///
/// Values are placed one behind the other and are never freed singly; all of them go at once, when the arena is
/// [reset](Arena::reset), dropped, or returned to its [pool](super::ArenaPool). Allocating is an addition and a
/// comparison. The arena can be sent to another thread while nothing borrows from it. An owned arena or guard, and plain
/// values in it, may be held across `.await`; a `&Arena`, and so a collection that allocates in it, may not in a spawned
/// task: for that, and to allocate from several threads at a time, take [`SharedArena`](super::SharedArena).
///
/// ```
/// use blixard_arena::Arena;
///
/// struct Placement<'a> {
///     vm: &'a str,
///     nodes: &'a [u32],
/// }
///
/// let mut arena = Arena::new();
/// for request in 0..3 {
///     let placement = arena.alloc(Placement {
///         vm: arena.format(format_args!("vm-{request}")),
///         nodes: arena.alloc_slice_copy(&[7, 11, 13]),
///     });
///     assert_eq!((placement.vm.len(), placement.nodes[1]), (4, 11));
///     arena.reset(); // the whole batch is gone, its memory stays for the next request
/// }
/// ```
///
/// Types that need `Drop` are refused when code is generated (`cargo build` and `cargo test`; `cargo check` does not
/// see it):
///
/// ```compile_fail
/// let arena = blixard_arena::Arena::new();
/// arena.alloc(String::from("leaks its buffer"));
/// ```
pub struct Arena {
    region: Region,
    cleanups: Cleanups,
    /// The arena's own ledger, used unless `parent` is set.
    ledger: Ledger,
    /// The ledger of the request that this arena is a scope or a shard of. Set only while that request is borrowed
    /// (scope) or holds this arena (shard), so the address is valid whenever it is there.
    parent: Cell<Option<NonNull<Ledger>>>,
    /// A rewound arena for the next scope. Booked in the ledger.
    spare: Cell<Option<Box<Arena>>>,
    /// The most bytes that a scope of this request used.
    scoped: Cell<usize>,
    first_chunk: usize,
    retain_bytes_max: usize,
    on_reset: Reset,
}

// SAFETY: an arena owns its chunks (bumpalo's `Bump` is Send), its spare (an `Arena`) and its cleanups, whose values are
// Send. `parent` is set only on an arena that is borrowed by a running scope (so it is not moved to another thread: it
// is reached by `&Arena`, which is not Send) or is a shard, whose ledger is Sync and outlives it.
unsafe impl Send for Arena {}
// A panic (a refused budget above all) leaves no arena half changed: a chunk is linked or it is not.
impl UnwindSafe for Arena {}
impl RefUnwindSafe for Arena {}

impl Arena {
    /// An arena with the default [options](ArenaOptions). Takes no memory before the first value.
    ///
    /// ```
    /// let arena = blixard_arena::Arena::new();
    /// let name = arena.alloc_str("vm-1");
    /// assert_eq!((name.len(), arena.figures().chunks), (4, 1)); // the first value brought the first chunk
    /// ```
    #[must_use]
    pub fn new() -> Self {
        ArenaOptions::new().arena()
    }

    /// An arena whose first chunk has room for `bytes`. One heap allocation.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`](super::BudgetExceeded) when that is more than the default budget of 1 GiB, or than the
    /// global allocator has.
    ///
    /// ```
    /// let arena = blixard_arena::Arena::with_capacity(1 << 20); // for a batch whose size is known
    /// let scores = arena.alloc_slice_fill_with(100_000, |node| node as u64);
    /// assert_eq!((scores.len(), arena.figures().chunks), (100_000, 1));
    /// ```
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        ArenaOptions::new().first_chunk_bytes(bytes).arena()
    }

    /// [`with_capacity`](Self::with_capacity), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`](super::BudgetExceeded).
    ///
    /// ```
    /// let announced = usize::MAX / 2; // a length from a header, not to be believed
    /// assert!(blixard_arena::Arena::try_with_capacity(announced).is_err());
    /// ```
    pub fn try_with_capacity(bytes: usize) -> Result<Self, super::BudgetExceeded> {
        ArenaOptions::new().first_chunk_bytes(bytes).try_arena()
    }

    pub(super) fn with_options<E: Refusal>(options: &ArenaOptions) -> Result<Self, E> {
        let arena = Self::empty(options, options.first_chunk_bytes);
        if options.first_chunk_bytes > 0 {
            arena.reserve(options.first_chunk_bytes)?;
        }
        Ok(arena)
    }

    /// No chunk yet; the first one will have `first_chunk` bytes.
    pub(super) fn empty(options: &ArenaOptions, first_chunk: usize) -> Self {
        Self {
            region: Region::empty(),
            cleanups: Cleanups::default(),
            ledger: Ledger::new(options.budget_bytes_max),
            parent: Cell::new(None),
            spare: Cell::new(None),
            scoped: Cell::new(0),
            first_chunk,
            retain_bytes_max: options.retain_bytes_max,
            on_reset: options.on_reset,
        }
    }

    /// Lets all values go and keeps the memory for the next ones.
    ///
    /// Cleanups run first, newest first. An arena that had grown to several chunks comes back with one of the needed
    /// size, within `retain_bytes_max` and the budget; so a loop of similar requests settles to no heap call.
    ///
    /// # Panics
    ///
    /// With the first panic of a destructor or deferred call, once the others have run and the arena is reset.
    ///
    /// ```
    /// let mut arena = blixard_arena::Arena::new();
    /// arena.alloc_str("a request's name");
    /// arena.reset();
    /// assert_eq!(arena.figures().used_bytes, 0);
    /// ```
    pub fn reset(&mut self) {
        let mut payload = self.cleanups.run_all();
        let retain = self.retain_bytes_max;
        self.rewind(retain, |used| used + used / 8);
        self.ledger.restart();
        cleanups::must_swallow(&mut payload);
        cleanups::resume(payload);
    }

    /// Calls `f` with an arena for temporaries, which vanish when `f` ends.
    ///
    /// Values of the outer arena may be built inside and stay. The inner one is a bump of its own, kept as a spare for
    /// the next scope and booked on the same budget. No heap call once there is a spare.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`](super::BudgetExceeded) when there is no room for the inner arena; as
    /// [`reset`](Self::reset) for cleanups of the inner arena; and as `f` does.
    ///
    /// ```
    /// let arena = blixard_arena::Arena::new();
    /// let best = arena.scope(|scratch| {
    ///     let scores = scratch.alloc_slice_fill_with(1000, |node| node * 7919 % 1000);
    ///     let best = (0..1000).max_by_key(|&node| scores[node]).unwrap();
    ///     &*arena.format(format_args!("node-{best}")) // outlives the scope
    /// });
    /// assert!(best.starts_with("node-"));
    /// ```
    pub fn scope<R>(&self, f: impl FnOnce(&Arena) -> R) -> R {
        let Ok(result) = self.scope_or::<R, Infallible>(f);
        result
    }

    /// [`scope`](Self::scope), or an error when there is no room for the inner arena; `f` is not called then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`](super::BudgetExceeded).
    ///
    /// # Panics
    ///
    /// As `f` and the inner arena's cleanups do.
    ///
    /// ```
    /// let arena = blixard_arena::ArenaOptions::new().budget_bytes_max(4096).arena();
    /// while arena.try_alloc(0u64).is_ok() {}
    /// let sorted = arena.try_scope(|scratch| scratch.alloc_slice_copy(&[3, 1, 2]).len());
    /// assert!(sorted.is_err()); // no room for temporaries: sort in place, or refuse the request
    /// ```
    pub fn try_scope<R>(&self, f: impl FnOnce(&Arena) -> R) -> Result<R, super::BudgetExceeded> {
        self.scope_or(f)
    }

    fn scope_or<R, E: Refusal>(&self, f: impl FnOnce(&Arena) -> R) -> Result<R, E> {
        let inner = match self.spare.take() {
            Some(spare) => spare,
            None => self.new_spare()?,
        };
        inner.parent.set(Some(NonNull::from(self.ledger())));
        let scope = Scope { outer: self, inner: Some(inner) };
        Ok(f(scope.inner.as_ref().expect("there until the scope is dropped")))
    }

    #[cold]
    fn new_spare<E: Refusal>(&self) -> Result<Box<Arena>, E> {
        self.ledger().reserve(size_of::<Arena>(), size_of::<Arena>()).map_err(E::refuse)?;
        self.ledger().note_high_water();
        let spare = try_box(|| Self {
            region: Region::empty(),
            cleanups: Cleanups::default(),
            ledger: Ledger::new(self.ledger.allowed()),
            parent: Cell::new(None),
            spare: Cell::new(None),
            scoped: Cell::new(0),
            // Temporaries are a part of what a request builds.
            first_chunk: self.region.newest() / 8,
            retain_bytes_max: self.retain_bytes_max,
            on_reset: self.on_reset,
        });
        spare.ok_or_else(|| {
            self.ledger().refund(size_of::<Arena>());
            E::refuse(self.ledger().refused_by_allocator(size_of::<Arena>()))
        })
    }

    /// What this arena holds and has used.
    ///
    /// ```
    /// let arena = blixard_arena::Arena::with_capacity(1000);
    /// arena.alloc([0u64; 10]);
    /// let figures = arena.figures();
    /// assert_eq!(figures.used_bytes, 80);
    /// assert!(figures.reserved_bytes >= 1000 && figures.chunks == 1);
    /// ```
    #[must_use]
    pub fn figures(&self) -> ArenaFigures {
        let used_bytes = self.region.used();
        ArenaFigures {
            used_bytes,
            reserved_bytes: self.ledger().held(),
            wasted_bytes: self.region.held() - used_bytes - self.region.room(),
            chunks: self.region.chunks(),
            high_water_bytes: self.ledger().held_max(),
        }
    }

    /// Memory for `layout`: the hot path of everything.
    #[inline(always)]
    pub(super) fn raw<E: Refusal>(&self, layout: Layout) -> Result<NonNull<u8>, E> {
        match self.region.bump(layout) {
            Some(block) => Ok(block),
            None => self.raw_in_new_chunk(layout),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn raw_in_new_chunk<E: Refusal>(&self, layout: Layout) -> Result<NonNull<u8>, E> {
        self.region
            .grow(layout, self.first_chunk, self.ledger())
            .or_else(|refused| {
                // What an idle spare holds is better used for this.
                if self.drop_spare() { self.region.grow(layout, self.first_chunk, self.ledger()) } else { Err(refused) }
            })
            .map_err(E::refuse)
    }

    /// Makes room for `bytes` in one chunk.
    fn reserve<E: Refusal>(&self, bytes: usize) -> Result<(), E> {
        let layout = Layout::from_size_align(bytes, 1).map_err(|_| E::refuse(self.overflow()))?;
        let block = self.raw(layout)?;
        // SAFETY: the block just allocated, with the same layout; nobody has it.
        unsafe { self.region.rewind(block, layout) };
        Ok(())
    }

    /// The error for a size that overflows.
    #[cold]
    pub(super) fn overflow(&self) -> super::BudgetExceeded {
        let ledger = self.ledger();
        super::BudgetExceeded { asked: usize::MAX, used: ledger.held(), allowed: ledger.allowed() }
    }

    pub(super) fn region(&self) -> &Region {
        &self.region
    }

    /// Whether memory given back early may be reused before the reset; not when every byte must be overwritten then.
    #[inline(always)]
    pub(super) fn reuses(&self) -> bool {
        self.on_reset == Reset::Keep
    }

    pub(super) fn ledger(&self) -> &Ledger {
        match self.parent.get() {
            // SAFETY: by the invariant on `parent`.
            Some(parent) => unsafe { parent.as_ref() },
            None => &self.ledger,
        }
    }

    pub(super) fn cleanups_mut(&mut self) -> &mut Cleanups {
        &mut self.cleanups
    }

    /// Lets all values go if that is one store: nothing to run, nothing to overwrite, no spare, one chunk of at most
    /// `keep_max` bytes. Otherwise changes nothing and answers `false`.
    #[inline(always)]
    pub(super) fn try_rewind(&mut self, keep_max: usize) -> bool {
        let easy = self.cleanups.is_empty()
            && self.on_reset == Reset::Keep
            && self.region.is_single_within(keep_max)
            && self.spare.get_mut().is_none();
        if easy {
            self.region.rewind_single();
        }
        easy
    }

    /// Lets all values go, without cleanups. Keeps the chunk if there is one and it is within `keep_max`; otherwise
    /// `replacement` says, from the bytes used, how large the one chunk should be that takes the place of all.
    #[inline(always)]
    pub(super) fn rewind(&mut self, keep_max: usize, replacement: impl FnOnce(usize) -> usize) {
        if self.on_reset != Reset::Keep {
            self.overwrite();
        }
        if self.region.is_single_within(keep_max) && self.spare.get_mut().is_none() {
            self.region.reset(&self.ledger);
        } else {
            let used = self.region.used();
            self.rewind_slow(keep_max, used, replacement(used));
        }
        self.scoped.set(0);
    }

    /// Overwrites what was used, if that is asked for.
    #[cold]
    #[inline(never)]
    fn overwrite(&mut self) {
        if let Some(byte) = self.on_reset.byte() {
            self.region.overwrite(byte);
        }
    }

    #[cold]
    #[inline(never)]
    fn rewind_slow(&mut self, keep_max: usize, used: usize, replacement: usize) {
        // Part of what may be kept is the spare's, if it leaves a quarter; the smallest spare and the smallest chunk are
        // always within it, except where the options say less.
        let least = SPARE_BYTES_MIN + super::chunk::CHUNK_BYTES_MIN;
        let keep_max = keep_max.max(least).min(self.retain_bytes_max.max(keep_max));
        let spare = self.spare.get_mut().as_ref().map_or(0, |spare| spare.idle_bytes());
        let keeps_spare = spare <= (keep_max - keep_max / 4).max(SPARE_BYTES_MIN) && spare <= keep_max;
        if !keeps_spare {
            self.drop_spare();
        }
        let capacity_max = keep_max - if keeps_spare { spare } else { 0 };
        let newest = self.region.newest_alone();
        if newest <= capacity_max && (self.region.chunks() <= 1 || newest >= used + used / 8) {
            let ledger = Self::ledger_of(&self.parent, &self.ledger);
            self.region.reset(ledger);
        } else {
            self.replace_chunks(replacement, capacity_max);
        }
    }

    /// Frees all chunks and, for `bytes` above 0, makes one of that size, or of the largest size that is within
    /// `bytes_max` and the budget.
    pub(super) fn replace_chunks(&mut self, bytes: usize, bytes_max: usize) {
        let held = self.region.held();
        self.region = Region::empty();
        let ledger = Self::ledger_of(&self.parent, &self.ledger);
        ledger.refund(held);
        let bytes_max = ledger.room().saturating_sub(super::chunk::FOOTER_BYTES).min(bytes_max);
        let bytes = match super::chunk::rounded_up(bytes) {
            Some(size) if size <= bytes_max => bytes,
            _ => super::chunk::rounded_down(bytes_max.min(bytes.max(super::chunk::CHUNK_BYTES_MIN))),
        };
        // Refused all the same: the next request makes its own first chunk.
        if bytes > 0
            && let Ok(region) = Region::with_chunk(bytes, ledger)
        {
            self.region = region;
        }
    }

    /// [`Self::ledger`] beside a borrow of another field.
    fn ledger_of<'a>(parent: &Cell<Option<NonNull<Ledger>>>, own: &'a Ledger) -> &'a Ledger {
        match parent.get() {
            // SAFETY: by the invariant on `parent`; it outlives every use of this arena by its request.
            Some(parent) => unsafe { parent.as_ref() },
            None => own,
        }
    }

    /// Frees the spare; says whether there was one.
    pub(super) fn drop_spare(&self) -> bool {
        let Some(spare) = self.spare.take() else { return false };
        // What its scopes used is not counted: a request without a spare is emptied in one straight line.
        self.scoped.set(0);
        let bytes = spare.idle_bytes();
        drop(spare);
        self.ledger().refund(bytes);
        true
    }

    /// Bytes handed out since the last reset, those of its largest scope included.
    pub(super) fn used(&self) -> usize {
        self.region.used() + self.scoped.get()
    }

    /// What a spare holds in all: itself, its chunks, its own spare.
    fn idle_bytes(&self) -> usize {
        let spare = self.spare.take();
        let bytes = size_of::<Arena>() + self.region.held() + spare.as_ref().map_or(0, |spare| spare.idle_bytes());
        self.spare.set(spare);
        bytes
    }

    /// Makes this arena a shard of the request that `ledger` belongs to, or its own again.
    ///
    /// # Safety
    ///
    /// `ledger` outlives the time until this is called again with `None`, and is Sync.
    pub(super) unsafe fn set_parent(&self, ledger: Option<NonNull<Ledger>>) {
        self.parent.set(ledger);
    }

    /// Bytes held for chunks and spare.
    pub(super) fn held(&self) -> usize {
        self.idle_bytes() - size_of::<Arena>()
    }

    /// The address of an arena's own ledger, good for as long as the arena stays in place, `&mut` uses of other fields
    /// included: no reference is made on the way.
    ///
    /// # Safety
    ///
    /// `arena` is alive.
    pub(super) unsafe fn own_ledger_at(arena: *mut Arena) -> NonNull<Ledger> {
        // SAFETY: `arena` is alive.
        let ledger = unsafe { &raw mut (*arena).ledger };
        // SAFETY: a field of a live arena is not at null.
        unsafe { NonNull::new_unchecked(ledger) }
    }

    pub(super) fn own_ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// A running scope: puts the inner arena back as the outer one's spare, on unwind too.
struct Scope<'a> {
    outer: &'a Arena,
    inner: Option<Box<Arena>>,
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else { return };
        let mut payload: Option<Payload> = inner.cleanups.run_all();
        self.outer.scoped.set(self.outer.scoped.get().max(inner.used()));
        let retain = inner.retain_bytes_max;
        inner.rewind(retain, |used| used + used / 8);
        inner.parent.set(None);
        let other = self.outer.spare.replace(Some(inner));
        // A scope beside this one ended first: one spare is enough.
        if let Some(other) = other {
            let bytes = other.idle_bytes();
            drop(other);
            self.outer.ledger().refund(bytes);
        }
        cleanups::must_swallow(&mut payload);
        cleanups::resume(payload);
    }
}

impl Local for Arena {
    #[inline(always)]
    fn local<E: Refusal>(&self, _: Inside) -> Result<&Arena, E> {
        Ok(self)
    }

    #[inline(always)]
    fn local_found(&self, _: Inside) -> Option<&Arena> {
        Some(self)
    }

    fn cleanups(&self, _: Inside) -> &Cleanups {
        &self.cleanups
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let mut payload = self.cleanups.run_all();
        if self.on_reset == Reset::Wipe {
            self.region.overwrite(0);
        }
        cleanups::must_swallow(&mut payload);
        // The chunks go all the same: fields are dropped while this unwinds.
        cleanups::resume(payload);
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("figures", &self.figures()).finish_non_exhaustive()
    }
}
