//! `Table`: entries in the order of insertion, found by a scan while few and by an index of hashes once many.
//!
//! Stands between `list` and the maps and sets, which say what a key is. The index is a power of two of slots, probed one
//! after the other (linear probing; removal shifts back, after Knuth, TAOCP 3, 6.4, algorithm R), each slot half a hash and
//! an entry's position: so it grows without looking at a key.
//! Invariants: an index, if there is one, has one slot for each entry, and is at most [`LOAD`] full. No index is always
//! right too: then all entries are scanned. Positions from the index are checked where they are used, so that keys
//! whose `Hash` or `Eq` lie or panic lose their own entries and nothing else. User code runs before anything is changed.
//! Cost: no heap call in an arena; on the heap two blocks.
#![forbid(unsafe_code)]

use super::list::List;
use super::memory::Memory;
use crate::arena::ledger::{BudgetExceeded, Refusal};
use std::mem;

/// So many entries are scanned; more are indexed.
pub(super) const SCANNED_MAX: usize = 8;

/// Slots are at most this full: in eighths.
const LOAD: usize = 5;

/// A slot without an entry: its position is one that no entry has.
const FREE: u64 = u64::MAX;

/// Entries are counted in 32 bits, the largest of which stands for none.
const ENTRIES_MAX: usize = u32::MAX as usize;

/// See the module.
pub(super) struct Table<P, A> {
    entries: List<P, A>,
    slots: List<u64, A>,
}

/// Half a hash: all that is kept of it. Both halves count, since some hashers leave one of them poor.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the other half is mixed in")]
fn half(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

#[inline(always)]
fn slot(half: u32, position: usize) -> u64 {
    u64::from(half) << 32 | position as u64
}

#[inline(always)]
fn half_of(slot: u64) -> u32 {
    (slot >> 32) as u32
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "takes the slot's lower half")]
fn position_of(slot: u64) -> usize {
    slot as u32 as usize
}

/// Not found; half a hash, if it was computed.
pub(super) type Absent = Option<u32>;

impl<P, A: Memory> Table<P, A> {
    #[inline(always)]
    pub(super) fn new(memory: A) -> Self {
        let slots = List::new(memory.another());
        Self { entries: List::new(memory), slots }
    }

    #[inline(always)]
    pub(super) fn entries(&self) -> &List<P, A> {
        &self.entries
    }

    #[inline(always)]
    pub(super) fn as_slice(&self) -> &[P] {
        self.entries.as_slice()
    }

    #[inline(always)]
    pub(super) fn as_mut_slice(&mut self) -> &mut [P] {
        self.entries.as_mut_slice()
    }

    /// All entries, without the index.
    #[inline(always)]
    pub(super) fn into_entries(self) -> List<P, A> {
        self.entries
    }

    /// The position of the entry that `is` says it is. `hash` is asked only if there is an index.
    #[inline(always)]
    pub(super) fn find(&self, hash: impl FnOnce() -> u64, mut is: impl FnMut(&P) -> bool) -> Result<usize, Absent> {
        if self.slots.len() == 0 {
            return self.as_slice().iter().position(is).ok_or(None);
        }
        let half = half(hash());
        let slots = self.slots.as_slice();
        let mask = slots.len() - 1;
        let mut at = half as usize & mask;
        loop {
            let slot = slots[at];
            if slot == FREE {
                return Err(Some(half));
            }
            if half_of(slot) == half
                && let Some(entry) = self.as_slice().get(position_of(slot))
                && is(entry)
            {
                return Ok(position_of(slot));
            }
            at = (at + 1) & mask;
        }
    }

    /// Whether it is scanned and will be with one entry more: then [`push_scanned`](Self::push_scanned) is enough.
    #[inline(always)]
    pub(super) fn is_small(&self) -> bool {
        self.slots.len() == 0 && self.entries.len() < SCANNED_MAX
    }

    /// Appends an entry that is not there to a table that [is small](Self::is_small).
    #[inline(always)]
    pub(super) fn push_scanned<E: Refusal>(&mut self, entry: P) -> Result<(), E> {
        debug_assert!(self.is_small(), "{} entries want an index", self.entries.len());
        self.entries.push(entry)
    }

    /// Appends an entry that is not there; answers its position. On a refusal, or when `hash` panics, nothing has changed.
    #[inline(always)]
    pub(super) fn push<E: Refusal>(&mut self, entry: P, absent: Absent, hash: impl Fn(&P) -> u64) -> Result<usize, E> {
        let position = self.entries.len();
        if self.is_small() {
            self.push_scanned(entry)?;
            return Ok(position);
        }
        let half = absent.unwrap_or_else(|| half(hash(&entry)));
        self.reserve_slots(position + 1, hash)?;
        self.entries.push(entry)?;
        put(self.slots.as_mut_slice(), slot(half, position));
        Ok(position)
    }

    /// Makes room for `more` entries.
    pub(super) fn reserve<E: Refusal>(&mut self, more: usize, hash: impl Fn(&P) -> u64) -> Result<(), E> {
        let all = self.entries.len().saturating_add(more);
        if all > SCANNED_MAX {
            self.reserve_slots(all, hash)?;
        }
        self.entries.reserve(more)
    }

    /// An index with room for `entries` of them.
    #[inline(always)]
    fn reserve_slots<E: Refusal>(&mut self, entries: usize, hash: impl Fn(&P) -> u64) -> Result<(), E> {
        if entries > self.slots.len() / 8 * LOAD { self.index::<E>(entries, hash) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn index<E: Refusal>(&mut self, entries: usize, hash: impl Fn(&P) -> u64) -> Result<(), E> {
        let wanted = entries.checked_mul(8).map(|eighths| (eighths / LOAD + 1).checked_next_power_of_two());
        let Some(Some(wanted)) = wanted.filter(|_| entries <= ENTRIES_MAX) else {
            return Err(E::refuse(BudgetExceeded { asked: usize::MAX, used: 0, allowed: ENTRIES_MAX }));
        };
        // At least doubled, so that growing one by one costs a constant each.
        let mut slots =
            List::filled::<E>(FREE, wanted.max(2 * self.slots.len()).max(16), self.slots.memory().another())?;
        if self.slots.len() == 0 {
            for (position, entry) in self.as_slice().iter().enumerate() {
                put(slots.as_mut_slice(), slot(half(hash(entry)), position));
            }
        } else {
            for &taken in self.slots.as_slice().iter().filter(|&&slot| slot != FREE) {
                put(slots.as_mut_slice(), taken);
            }
        }
        self.slots = slots;
        Ok(())
    }

    /// The slot of the entry at `position`, whose hash begins with `half` unless the hasher lies.
    fn slot_of(&self, position: usize, half: u32) -> usize {
        let slots = self.slots.as_slice();
        let mask = slots.len() - 1;
        let mut at = half as usize & mask;
        while slots[at] != FREE {
            if position_of(slots[at]) == position {
                return at;
            }
            at = (at + 1) & mask;
        }
        slots.iter().position(|&slot| position_of(slot) == position && slot != FREE).expect("a slot for each entry")
    }

    /// Takes the entry at `position` out; the last one takes its place.
    pub(super) fn swap_remove(&mut self, position: usize, hash: impl Fn(&P) -> u64) -> P {
        let last = self.entries.len() - 1;
        if self.slots.len() > 0 {
            // Both hashes first: they may panic.
            let halves = [position, last].map(|at| half(hash(&self.as_slice()[at])));
            let (gone, of_last) = (self.slot_of(position, halves[0]), self.slot_of(last, halves[1]));
            let slots = self.slots.as_mut_slice();
            slots[of_last] = slot(half_of(slots[of_last]), position);
            take_out(slots, gone);
        }
        self.entries.swap_remove(position)
    }

    /// Keeps the entries for which `keep` says so, in their order.
    pub(super) fn retain(&mut self, keep: impl FnMut(&mut P) -> bool, hash: impl Fn(&P) -> u64) {
        // If anything panics there is no index, which is always right.
        let empty = List::new(self.slots.memory().another());
        let mut slots = mem::replace(&mut self.slots, empty);
        self.entries.retain_mut(keep);
        slots.as_mut_slice().fill(FREE);
        if slots.len() > 0 {
            for (position, entry) in self.as_slice().iter().enumerate() {
                put(slots.as_mut_slice(), slot(half(hash(entry)), position));
            }
            self.slots = slots;
        }
    }

    /// Removes all entries and keeps the room.
    pub(super) fn clear(&mut self) {
        self.slots.as_mut_slice().fill(FREE);
        self.entries.truncate(0);
    }

    /// The same entries, as `clone` makes them, in the same order.
    pub(super) fn clone_with<E: Refusal>(&self, clone: impl Fn(&P) -> P) -> Result<Self, E> {
        let mut entries = List::with_capacity::<E>(self.entries.len(), self.entries.memory().another())?;
        entries.extend::<E>(self.as_slice().iter().map(clone))?;
        let mut slots = List::with_capacity::<E>(self.slots.len(), self.slots.memory().another())?;
        slots.extend_from_slice::<E>(self.slots.as_slice())?;
        Ok(Self { entries, slots })
    }
}

/// Puts a slot where its probing finds it first.
#[inline(always)]
fn put(slots: &mut [u64], new: u64) {
    let mask = slots.len() - 1;
    let mut at = half_of(new) as usize & mask;
    while slots[at] != FREE {
        at = (at + 1) & mask;
    }
    slots[at] = new;
}

/// Frees a slot and moves those back that were put further only because it was taken.
fn take_out(slots: &mut [u64], mut gap: usize) {
    let mask = slots.len() - 1;
    let mut at = gap;
    loop {
        at = (at + 1) & mask;
        let slot = slots[at];
        if slot == FREE {
            break;
        }
        let home = half_of(slot) as usize & mask;
        // It may move to the gap unless that lies before its home.
        if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
            slots[gap] = slot;
            gap = at;
        }
    }
    slots[gap] = FREE;
}
