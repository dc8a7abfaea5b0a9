//! The counters: a slot per thread that only this thread writes, found through a thread-local without a destructor.
//!
//! Stands directly under [`TrackingAllocator`](super::TrackingAllocator), which calls it around each call of the inner
//! allocator; sections and reports read what it has counted.
//!
//! Invariants:
//! - A slot's counters are written by the thread that owns it, with a relaxed load and a relaxed store; whoever reads them
//!   adds up what is there.
//! - Slots come from the system's allocator and are never freed (`slots` has their list). A thread's end marks its slot free for
//!   the next thread, so there are as many as threads lived at once; their sums go on over all owners.
//! - A thread without a slot (it is being given one, or has ended but for destructors of thread-locals that still run)
//!   counts in one shared slot with locked additions: no count is lost.
//! - Nothing here allocates through the global allocator, takes a lock, or can panic.
//!
//! The process's live bytes are the sum over all slots. Their peak cannot be summed, so each thread tells a shared counter how
//! its own balance stands whenever that has moved by [`STEP_BYTES`]. A call is taken to happen when it has told, or has found that
//! it need not. Then a thread's untold balance is below the step at every moment, on either side, and that of a thread without
//! a slot, or whose thread has ended, is 0. So the shared counter `told` and the true sum `live` are less than `n` steps
//! apart at every moment, `n` being the slots in use. The highest `told` is remembered exactly, since every value of it is the
//! result of an addition that is looked at. At the moment of the highest `live`, `told > max live - n steps`, so `max told >
//! max live - n steps`; at the moment of the highest `told`, `max told < live + n steps <= max live + n steps`.
//!
//! Cost: two additions to an allocation and two to a free, each with a comparison; one locked addition per 64 KiB that a
//! thread's balance moves.
#![expect(unsafe_code, reason = "slots are written into memory of the system's allocator")]

use super::report::{AllocationFigures, NotCounted, ProcessFigures, SizeHistogram, Totals};
use super::sites;
use super::slots::{self, Balance, Slots};
use crate::sync::{AtomicBool, AtomicI64, AtomicU64, Ordering, add_owned, thread_cell, unique_id};
use std::alloc::{GlobalAlloc as _, Layout, System};
use std::cell::Cell;
use std::ptr::NonNull;

/// A thread's balance is told to all whenever it has moved so far.
const STEP_BYTES: i64 = 64 << 10;

/// Open sections of one thread whose peaks are told apart.
const SECTIONS_MAX: usize = 32;

/// What one thread counts.
pub(super) struct Counts {
    /// Bytes asked for.
    bytes: AtomicU64,
    /// Bytes given back.
    freed_bytes: AtomicU64,
    /// Above this balance there is something to do: a peak to remember, or news for the others.
    high: AtomicI64,
    /// Below this balance too.
    low: AtomicI64,
    frees: AtomicU64,
    reallocations: AtomicU64,
    /// The part of the balance that the shared counter knows.
    told: AtomicI64,
    /// State of the generator that draws the distances between samples.
    random: AtomicU64,
    sizes: [AtomicU64; SizeHistogram::BUCKETS],
}

type Slot = slots::Slot<Counts>;

static SLOTS: Slots<Counts> = Slots::new();
/// Where threads without a slot count; all of them, so with locked additions.
static STRAYS: Slot = Slot::new(Counts::new());
/// Bytes live in the process, as far as told.
static LIVE_BYTES: Balance = Balance::new();
/// Whether a call has ever come through the hook.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// How far a thread is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    /// Being given a slot: what it allocates meanwhile is counted as a stray's.
    Adopting,
    Owner,
    /// Its slot may already be another's.
    Ended,
}

// The hot half of a thread's memory: no destructor, so it can be used to the very end of the thread.
thread_cell! { static SLOT: Cell<Option<&'static Slot>> = Cell::new(None) }
thread_cell! { static STAGE: Cell<Stage> = Cell::new(Stage::New) }
thread_cell! { static SECTIONS: Sections = Sections::new() }
// What the thread had counted when it gave up its slot.
thread_cell! { static LAST: Cell<Totals> = Cell::new(Totals::ZERO) }
// The cold half: gives the slot up when the thread ends.
thread_cell! { static LEASE: Lease = Lease }

struct Lease;

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(slot) = SLOT.take() else { return };
        STAGE.set(Stage::Ended);
        LAST.set(slot.totals());
        slot.tell(&LIVE_BYTES);
        slot.leave();
    }
}

/// A call of the inner allocator gave `block` of `size` bytes.
#[inline(always)]
pub(super) fn allocated(block: *mut u8, size: usize) {
    if let Some(slot) = SLOT.with(Cell::get) {
        add_owned(&slot.sizes[SizeHistogram::bucket(size)], 1);
        let (bytes, moved) = slot.add_bytes(size);
        if moved || slot.is_due(bytes) {
            allocated_slow(slot, block, size);
        }
    } else {
        allocated_first(block, size);
    }
}

/// `block` of `size` bytes is about to go back to the inner allocator.
#[inline(always)]
pub(super) fn freeing(block: *mut u8, size: usize) {
    if sites::may_follow(block) {
        sites::freeing(block, size);
    }
    if let Some(slot) = SLOT.with(Cell::get) {
        add_owned(&slot.frees, 1);
        if slot.add_freed(size) {
            settle(slot);
        }
    } else {
        freeing_first(size);
    }
}

/// The inner allocator is about to change the size of `block`, and may move it.
#[inline(always)]
pub(super) fn reallocating(block: *mut u8) -> sites::Held {
    if sites::may_follow(block) { sites::hold(block) } else { sites::Held::NONE }
}

/// The inner allocator has given `block` of `new` bytes for one of `old`, or null.
#[inline(always)]
pub(super) fn reallocated(held: sites::Held, from: *mut u8, block: *mut u8, old: usize, new: usize) {
    if block.is_null() {
        return sites::put_back(held, from, old);
    }
    if let Some(slot) = SLOT.with(Cell::get) {
        add_owned(&slot.reallocations, 1);
        // Freed before asked for, so that the balance never reads as if both blocks were live, as dhat has it.
        let below = slot.add_freed(old);
        let (bytes, above) = slot.add_bytes(new);
        if above || slot.is_due(bytes) || below || held.any() {
            reallocated_slow(slot, held, block, old, new);
        }
    } else {
        reallocated_first(held, block, old, new);
    }
}

#[cold]
#[inline(never)]
fn allocated_slow(slot: &'static Slot, block: *mut u8, size: usize) {
    settle(slot);
    if let Some(rate) = slot.sample(size) {
        sites::allocated(rate, block, size);
    }
}

#[cold]
#[inline(never)]
fn reallocated_slow(slot: &'static Slot, held: sites::Held, block: *mut u8, old: usize, new: usize) {
    settle(slot);
    sites::reallocated(slot.sample(new), held, block, old, new);
}

/// The first call of a thread, or one by a thread without a slot.
#[cold]
#[inline(never)]
fn allocated_first(block: *mut u8, size: usize) {
    if let Some(slot) = adopt() {
        add_owned(&slot.sizes[SizeHistogram::bucket(size)], 1);
        _ = slot.add_bytes(size);
        return allocated_slow(slot, block, size);
    }
    // Relaxed, here and below: counters that publish nothing.
    STRAYS.sizes[SizeHistogram::bucket(size)].fetch_add(1, Ordering::Relaxed);
    STRAYS.bytes.fetch_add(size as u64, Ordering::Relaxed);
    LIVE_BYTES.tell(size.cast_signed() as i64);
    if let Some(rate) = STRAYS.sample(size) {
        sites::allocated(rate, block, size);
    }
}

#[cold]
#[inline(never)]
fn freeing_first(size: usize) {
    if let Some(slot) = adopt() {
        add_owned(&slot.frees, 1);
        _ = slot.add_freed(size);
        return settle(slot);
    }
    STRAYS.frees.fetch_add(1, Ordering::Relaxed);
    STRAYS.freed_bytes.fetch_add(size as u64, Ordering::Relaxed);
    LIVE_BYTES.tell(-(size.cast_signed() as i64));
}

#[cold]
#[inline(never)]
fn reallocated_first(held: sites::Held, block: *mut u8, old: usize, new: usize) {
    if let Some(slot) = adopt() {
        add_owned(&slot.reallocations, 1);
        _ = slot.add_freed(old);
        _ = slot.add_bytes(new);
        return reallocated_slow(slot, held, block, old, new);
    }
    STRAYS.reallocations.fetch_add(1, Ordering::Relaxed);
    STRAYS.freed_bytes.fetch_add(old as u64, Ordering::Relaxed);
    STRAYS.bytes.fetch_add(new as u64, Ordering::Relaxed);
    LIVE_BYTES.tell(new.cast_signed() as i64 - old.cast_signed() as i64);
    sites::reallocated(STRAYS.sample(new), held, block, old, new);
}

/// Does what the balance of the calling thread's slot asks for: remembers a section's peak, tells the others.
#[cold]
fn settle(slot: &Slot) {
    let peak = SECTIONS.with(|sections| sections.rise(slot.balance()));
    slot.settle(&LIVE_BYTES, peak);
}

impl Counts {
    const fn new() -> Self {
        Self {
            bytes: AtomicU64::new(0),
            freed_bytes: AtomicU64::new(0),
            high: AtomicI64::new(STEP_BYTES - 1),
            low: AtomicI64::new(1 - STEP_BYTES),
            frees: AtomicU64::new(0),
            reallocations: AtomicU64::new(0),
            told: AtomicI64::new(0),
            random: AtomicU64::new(0),
            sizes: [const { AtomicU64::new(0) }; SizeHistogram::BUCKETS],
        }
    }

    /// Gives all bytes asked for, and says whether the balance asks for more to be done.
    #[inline(always)]
    fn add_bytes(&self, size: usize) -> (u64, bool) {
        let bytes = self.bytes.load(Ordering::Relaxed).wrapping_add(size as u64);
        self.bytes.store(bytes, Ordering::Relaxed);
        let balance = bytes.wrapping_sub(self.freed_bytes.load(Ordering::Relaxed)).cast_signed();
        (bytes, balance > self.high.load(Ordering::Relaxed))
    }

    /// Says whether there is more to do.
    #[inline(always)]
    fn add_freed(&self, size: usize) -> bool {
        let freed = self.freed_bytes.load(Ordering::Relaxed).wrapping_add(size as u64);
        self.freed_bytes.store(freed, Ordering::Relaxed);
        let balance = self.bytes.load(Ordering::Relaxed).wrapping_sub(freed).cast_signed();
        balance < self.low.load(Ordering::Relaxed)
    }

    fn balance(&self) -> i64 {
        self.bytes.load(Ordering::Relaxed).wrapping_sub(self.freed_bytes.load(Ordering::Relaxed)).cast_signed()
    }

    /// Tells the others, and sets the balances at which there is more to do: above `peak`, and a step away.
    fn settle(&self, live: &Balance, peak: i64) {
        if (self.balance() - self.told.load(Ordering::Relaxed)).abs() >= STEP_BYTES {
            self.tell(live);
        }
        let told = self.told.load(Ordering::Relaxed);
        self.high.store(peak.min(told + (STEP_BYTES - 1)), Ordering::Relaxed);
        self.low.store(told - (STEP_BYTES - 1), Ordering::Relaxed);
    }

    fn tell(&self, live: &Balance) {
        let balance = self.balance();
        live.tell(balance - self.told.load(Ordering::Relaxed));
        self.told.store(balance, Ordering::Relaxed);
    }

    fn totals(&self) -> Totals {
        Totals {
            allocations: self.sizes.iter().map(|n| n.load(Ordering::Relaxed)).fold(0, u64::wrapping_add),
            reallocations: self.reallocations.load(Ordering::Relaxed),
            frees: self.frees.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            freed_bytes: self.freed_bytes.load(Ordering::Relaxed),
        }
    }
}

impl Slot {
    /// Whether this call's site is to be recorded, and at which rate (1: each call).
    fn sample(&self, size: usize) -> Option<u64> {
        let bytes = self.bytes.load(Ordering::Relaxed);
        if !self.is_due(bytes) {
            return None;
        }
        if self.sample_at() == 0 {
            // Each call, or sites were turned on just now: the distance begins before this block.
            let rate = sites::rate();
            if rate == 1 {
                return Some(rate);
            }
            self.draw_at(bytes.wrapping_sub(size as u64));
            if !self.is_due(bytes) {
                return None;
            }
        }
        Some(self.draw_at(bytes)).filter(|rate| *rate != 0)
    }

    /// Sets where the next sample is taken, `bytes` having been asked for so far. Gives the rate.
    fn draw_at(&self, bytes: u64) -> u64 {
        self.draw(sites::rate, |rate| bytes.saturating_add(sites::distance(rate, &self.random)).max(1))
    }
}

/// Gives the calling thread a slot; `None` while that is under way, or if it is ending.
#[cold]
fn adopt() -> Option<&'static Slot> {
    if STAGE.get() != Stage::New {
        return None;
    }
    // From here on a call that comes back through the hook, such as a first destructor's registration, is a stray's.
    STAGE.set(Stage::Adopting);
    INSTALLED.store(true, Ordering::Relaxed);
    if LEASE.try_with(|_| ()).is_err() {
        STAGE.set(Stage::Ended);
        return None;
    }
    let Some(slot) = SLOTS.adopt().or_else(new_slot) else {
        // Without memory for a slot: the next call tries again.
        STAGE.set(Stage::New);
        return None;
    };
    slot.draw_at(slot.bytes.load(Ordering::Relaxed));
    SLOT.set(Some(slot));
    STAGE.set(Stage::Owner);
    settle(slot);
    Some(slot)
}

fn new_slot() -> Option<&'static Slot> {
    // SAFETY: the size is not 0.
    let at = NonNull::new(unsafe { System.alloc(Layout::new::<Slot>()) })?.cast::<Slot>();
    // SAFETY: fresh memory of the layout of `Slot`.
    unsafe { at.write(Slot::new(Counts::new())) };
    // SAFETY: initialised, never freed, and changed through its atomics alone.
    let slot = unsafe { at.as_ref() };
    slot.random.store(unique_id().wrapping_mul(0x9e37_79b9_7f4a_7c15), Ordering::Relaxed);
    SLOTS.add(slot);
    Some(slot)
}

/// Has every thread ask for the rate of samples at its next allocation.
pub(super) fn wake() {
    SLOTS.wake();
    STRAYS.wake();
}

/// Whether calls come through the hook at all: one is made to find out.
pub(super) fn installed() -> Result<(), NotCounted> {
    if !INSTALLED.load(Ordering::Relaxed) {
        drop(std::hint::black_box(Box::new(0_u8)));
    }
    if INSTALLED.load(Ordering::Relaxed) { Ok(()) } else { Err(NotCounted::NotInstalled) }
}

/// All slots together.
pub(super) fn process() -> Result<ProcessFigures, NotCounted> {
    installed()?;
    let mut totals = STRAYS.totals();
    let mut sizes = SizeHistogram::default();
    let mut slots = 0;
    sizes.add(|bucket| STRAYS.sizes[bucket].load(Ordering::Relaxed));
    SLOTS.each(|slot| {
        slots += 1;
        totals = totals.plus(slot.totals());
        sizes.add(|bucket| slot.sizes[bucket].load(Ordering::Relaxed));
    });
    let peak = LIVE_BYTES.peak().max(totals.net());
    let heap = AllocationFigures::between(Totals::ZERO, totals, peak);
    // As many slots as threads had one at once, at least.
    let peak_error_bytes_max = slots * STEP_BYTES.unsigned_abs();
    Ok(ProcessFigures { heap, peak_error_bytes_max, sizes })
}

/// What the calling thread has counted.
fn totals() -> Totals {
    match SLOT.with(Cell::get).or_else(adopt) {
        Some(slot) => slot.totals(),
        None => LAST.get(),
    }
}

/// A section of the calling thread, open until [`close`](Section::close).
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    id: u64,
    before: Totals,
}

impl Section {
    pub(super) fn open() -> Result<Self, NotCounted> {
        installed()?;
        let before = totals();
        let id = unique_id();
        SECTIONS.with(|sections| sections.open(id, before.net()));
        if let Some(slot) = SLOT.with(Cell::get) {
            settle(slot);
        }
        Ok(Self { id, before })
    }

    /// On the thread that opened it.
    pub(super) fn close(self) -> AllocationFigures {
        let after = totals();
        let peak = SECTIONS.with(|sections| sections.close(self.id)).unwrap_or_else(|| after.net());
        if let Some(slot) = SLOT.with(Cell::get) {
            settle(slot);
        }
        AllocationFigures::between(self.before, after, peak - self.before.net())
    }
}

/// The open sections of a thread, the newest last, each with the highest balance since it was opened and before the
/// next one was. They may close in any order: a section's peak is the highest from its own entry on.
struct Sections {
    open: Cell<usize>,
    entries: [(Cell<u64>, Cell<i64>); SECTIONS_MAX],
}

impl Sections {
    const fn new() -> Self {
        Self { open: Cell::new(0), entries: [const { (Cell::new(0), Cell::new(0)) }; SECTIONS_MAX] }
    }

    fn entries(&self) -> &[(Cell<u64>, Cell<i64>)] {
        &self.entries[..self.open.get().min(SECTIONS_MAX)]
    }

    /// Remembers a balance; above which one there is a new peak (none without an open section).
    fn rise(&self, balance: i64) -> i64 {
        let Some((_, peak)) = self.entries().last() else { return i64::MAX };
        peak.set(peak.get().max(balance));
        peak.get()
    }

    fn open(&self, id: u64, balance: i64) {
        let open = self.open.get();
        if let Some((its, peak)) = self.entries.get(open) {
            self.open.set(open + 1);
            its.set(id);
            peak.set(balance);
        }
    }

    /// The highest balance while it was open; `None` if there was no room for an entry.
    fn close(&self, id: u64) -> Option<i64> {
        let entries = self.entries();
        let at = entries.iter().rposition(|(its, _)| its.get() == id)?;
        let peak = entries[at..].iter().map(|(_, peak)| peak.get()).max()?;
        // Its stretch of time goes to the section that was opened before it.
        if let Some((_, before)) = at.checked_sub(1).map(|before| &entries[before]) {
            before.set(before.get().max(entries[at].1.get()));
        }
        for next in at + 1..entries.len() {
            entries[next - 1].0.set(entries[next].0.get());
            entries[next - 1].1.set(entries[next].1.get());
        }
        self.open.set(entries.len() - 1);
        Some(peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The proof above, tried out: threads' calls in any order, blocks below, at and far above the step, freed by
        /// others than their makers, threads that end and leave their slots to the next.
        #[test]
        fn the_peak_is_less_than_a_step_per_slot_off(
            calls in prop::collection::vec((0..4_usize, 0..5_u8, 0..3 * STEP_BYTES, any::<prop::sample::Index>()), 1..300)
        ) {
            const ERROR: i64 = 4 * STEP_BYTES;
            let (live, slots) = (Balance::new(), [const { Counts::new() }; 4]);
            let (mut blocks, mut truth, mut peak) = (Vec::new(), 0_i64, 0_i64);
            for (thread, kind, size, index) in calls {
                let slot = &slots[thread];
                let ask = |size: i64| usize::try_from(if size % 2 == 0 { size / 100 } else { size }).unwrap();
                match kind {
                    0..=2 => {
                        let size = ask(size);
                        blocks.push(size);
                        truth += i64::try_from(size).unwrap();
                        if slot.add_bytes(size).1 {
                            slot.settle(&live, i64::MAX);
                        }
                    }
                    3 if !blocks.is_empty() => {
                        let size = blocks.swap_remove(index.index(blocks.len()));
                        truth -= i64::try_from(size).unwrap();
                        if slot.add_freed(size) {
                            slot.settle(&live, i64::MAX);
                        }
                    }
                    _ => {
                        // Its thread ends, and another one adopts it.
                        slot.tell(&live);
                        slot.settle(&live, i64::MAX);
                    }
                }
                peak = peak.max(truth);
                prop_assert!((live.peak() - peak).abs() < ERROR, "told {} for {peak}", live.peak());
                let untold = slot.balance() - slot.told.load(Ordering::Relaxed);
                prop_assert!(untold.abs() < STEP_BYTES, "{untold}");
            }
        }
    }
}
