//! `Table`: entries in the order of insertion, found by a scan while few and by an index of hashes once many.
//!
//! Stands between `list` and the maps and sets, which say what a key is. The index is a power of two of groups, each of
//! the size of a cache line: seven slots, and a word with one byte per slot, which is compared at once (after
//! hashbrown's groups of control bytes and F14's chunks). A slot is half a hash and an entry's position, so the index
//! grows without looking at a key. Groups are probed one after the other; removal moves back what had to go on (Knuth,
//! TAOCP 3, 6.4, algorithm R).
//! Invariants: an index, if there is one, has one slot for each entry, and at most [`LOAD`] entries per group; every group
//! between that where a hash belongs and that where its slot is, is full. No index is always
//! right too: then all entries are scanned. Positions from the index are checked where they are used, so that keys
//! whose `Hash` or `Eq` lie or panic lose their own entries and nothing else. User code runs before anything is changed.
//! Cost: no heap call in an arena; on the heap two blocks.
#![forbid(unsafe_code)]

use super::list::List;
use super::memory::Memory;
use crate::arena::ledger::Refusal;
use std::mem;

/// So many entries are scanned; more are indexed.
pub(super) const SCANNED_MAX: usize = 8;

/// Slots in a group.
const SLOTS: usize = 7;

/// Entries per group, at most: the index is at most four sevenths full, so that a group that is full, and with it a second
/// probe, stays rare enough to be foreseen.
const LOAD: usize = 4;

/// Entries are counted in 32 bits.
const ENTRIES_MAX: usize = u32::MAX as usize;

/// One byte per slot: a bit that says it is taken, and seven of its hash.
const TAKEN: u64 = 0x0080_8080_8080_8080;
const ONES: u64 = 0x0001_0101_0101_0101;

/// Seven slots and, in the last word, their tags.
type Group = [u64; SLOTS + 1];

/// No slot is taken.
const FREE: Group = [0; SLOTS + 1];

/// See the module.
pub(super) struct Table<P, A> {
    entries: List<P, A>,
    index: List<Group, A>,
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

/// The byte that a slot with this half of a hash has in its group: of bits that choose no group, unless there are very many.
#[inline(always)]
fn tag(half: u32) -> u64 {
    u64::from(half >> 25 | 0x80)
}

/// The slots of a group, as a bit in each one's byte, whose tag is this one; some others may be among them.
#[inline(always)]
fn tagged(tags: u64, tag: u64) -> u64 {
    let unlike = tags ^ (tag * ONES);
    // A byte of 0 borrows into its highest bit.
    unlike.wrapping_sub(ONES) & !unlike & TAKEN
}

/// The slot that the lowest bit stands for.
#[inline(always)]
fn first(bits: u64) -> usize {
    // All bits lie in seven bytes, and the mask tells the compiler.
    (bits.trailing_zeros() / 8) as usize & SLOTS
}

/// Not found; half a hash, if it was computed.
pub(super) type Absent = Option<u32>;

impl<P, A: Memory> Table<P, A> {
    #[inline(always)]
    pub(super) fn new(memory: A) -> Self {
        let index = List::new(memory.another());
        Self { entries: List::new(memory), index }
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
        if self.index.len() == 0 {
            return self.as_slice().iter().position(is).ok_or(None);
        }
        let half = half(hash());
        let groups = self.index.as_slice();
        let mask = groups.len() - 1;
        let mut at = half as usize & mask;
        loop {
            let group = &groups[at];
            let tags = group[SLOTS];
            let mut alike = tagged(tags, tag(half));
            while alike != 0 {
                let slot = group[first(alike)];
                if half_of(slot) == half
                    && let Some(entry) = self.as_slice().get(position_of(slot))
                    && is(entry)
                {
                    return Ok(position_of(slot));
                }
                alike &= alike - 1;
            }
            if tags & TAKEN != TAKEN {
                return Err(Some(half));
            }
            at = (at + 1) & mask;
        }
    }

    /// Whether it is scanned and will be with one entry more: then [`push_scanned`](Self::push_scanned) is enough.
    #[inline(always)]
    pub(super) fn is_small(&self) -> bool {
        self.index.len() == 0 && self.entries.len() < SCANNED_MAX
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
        self.reserve_index(position + 1, hash)?;
        self.entries.push(entry)?;
        put(self.index.as_mut_slice(), slot(half, position));
        Ok(position)
    }

    /// Makes room for `more` entries.
    pub(super) fn reserve<E: Refusal>(&mut self, more: usize, hash: impl Fn(&P) -> u64) -> Result<(), E> {
        let all = self.entries.len().saturating_add(more);
        if all > SCANNED_MAX {
            self.reserve_index(all, hash)?;
        }
        self.entries.reserve(more)
    }

    /// An index with room for `entries` of them.
    #[inline(always)]
    fn reserve_index<E: Refusal>(&mut self, entries: usize, hash: impl Fn(&P) -> u64) -> Result<(), E> {
        if entries > self.index.len() * LOAD { self.grow_index::<E>(entries, hash) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn grow_index<E: Refusal>(&mut self, entries: usize, hash: impl Fn(&P) -> u64) -> Result<(), E> {
        if entries > ENTRIES_MAX {
            return Err(E::refuse(self.index.memory().overflow()));
        }
        // At least doubled, so that growing one by one costs a constant each.
        let groups = entries.div_ceil(LOAD).next_power_of_two().max(2 * self.index.len());
        let mut index = List::filled::<E>(FREE, groups, self.index.memory().another())?;
        let new = index.as_mut_slice();
        if self.index.len() == 0 {
            for (position, entry) in self.as_slice().iter().enumerate() {
                put(new, slot(half(hash(entry)), position));
            }
        } else {
            for group in self.index.as_slice() {
                let mut taken = group[SLOTS] & TAKEN;
                while taken != 0 {
                    put(new, group[first(taken)]);
                    taken &= taken - 1;
                }
            }
        }
        self.index = index;
        Ok(())
    }

    /// The group and the slot in it of the entry at `position`, whose hash begins with `half` unless the hasher lies.
    fn place_of(&self, position: usize, half: u32) -> (usize, usize) {
        let groups = self.index.as_slice();
        let home = half as usize & (groups.len() - 1);
        // Those before its home only if the probing went round, or the hasher lies.
        (home..groups.len())
            .chain(0..home)
            .find_map(|at| {
                let mut taken = groups[at][SLOTS] & TAKEN;
                while taken != 0 {
                    if position_of(groups[at][first(taken)]) == position {
                        return Some((at, first(taken)));
                    }
                    taken &= taken - 1;
                }
                None
            })
            .expect("a slot for each entry")
    }

    /// Takes the entry at `position` out; the last one takes its place.
    pub(super) fn swap_remove(&mut self, position: usize, hash: impl Fn(&P) -> u64) -> P {
        let last = self.entries.len() - 1;
        if self.index.len() > 0 {
            // Both hashes first: they may panic.
            let halves = [position, last].map(|at| half(hash(&self.as_slice()[at])));
            let (gone, of_last) = (self.place_of(position, halves[0]), self.place_of(last, halves[1]));
            let groups = self.index.as_mut_slice();
            let moved = &mut groups[of_last.0][of_last.1];
            *moved = slot(half_of(*moved), position);
            take_out(groups, gone);
        }
        self.entries.swap_remove(position)
    }

    /// Keeps the entries for which `keep` says so, in their order.
    pub(super) fn retain(&mut self, keep: impl FnMut(&mut P) -> bool, hash: impl Fn(&P) -> u64) {
        // If anything panics there is no index, which is always right.
        let empty = List::new(self.index.memory().another());
        let mut index = mem::replace(&mut self.index, empty);
        self.entries.retain_mut(keep);
        index.as_mut_slice().fill(FREE);
        if index.len() > 0 {
            for (position, entry) in self.as_slice().iter().enumerate() {
                put(index.as_mut_slice(), slot(half(hash(entry)), position));
            }
            self.index = index;
        }
    }

    /// Removes all entries and keeps the room.
    pub(super) fn clear(&mut self) {
        self.index.as_mut_slice().fill(FREE);
        self.entries.truncate(0);
    }

    /// The same entries, as `clone` makes them, in the same order.
    pub(super) fn clone_with<E: Refusal>(&self, clone: impl Fn(&P) -> P) -> Result<Self, E> {
        let mut entries = List::with_capacity::<E>(self.entries.len(), self.entries.memory().another())?;
        entries.extend::<E>(self.as_slice().iter().map(clone))?;
        let mut index = List::with_capacity::<E>(self.index.len(), self.index.memory().another())?;
        index.extend_from_slice::<E>(self.index.as_slice())?;
        Ok(Self { entries, index })
    }
}

/// Puts a slot into the first group from its home on that is not full.
#[inline(always)]
fn put(groups: &mut [Group], new: u64) {
    let mask = groups.len() - 1;
    let mut at = half_of(new) as usize & mask;
    let mut free = !groups[at][SLOTS] & TAKEN;
    while free == 0 {
        at = (at + 1) & mask;
        free = !groups[at][SLOTS] & TAKEN;
    }
    set(&mut groups[at], first(free), new);
}

/// Writes a slot that is free, and its tag.
#[inline(always)]
fn set(group: &mut Group, slot: usize, new: u64) {
    group[slot] = new;
    group[SLOTS] |= tag(half_of(new)) << (8 * slot);
}

/// Frees a slot and moves back those that went further only because its group was full.
fn take_out(groups: &mut [Group], (mut gap, mut slot): (usize, usize)) {
    let mask = groups.len() - 1;
    loop {
        let was_full = groups[gap][SLOTS] & TAKEN == TAKEN;
        groups[gap][SLOTS] &= !(0xff << (8 * slot));
        if !was_full {
            return;
        }
        // The next one that does not belong behind the gap, before a group that is not full.
        let mut at = gap;
        let from = loop {
            at = (at + 1) & mask;
            if at == gap {
                return;
            }
            let mut taken = groups[at][SLOTS] & TAKEN;
            let full = taken == TAKEN;
            while taken != 0 {
                let home = half_of(groups[at][first(taken)]) as usize & mask;
                if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                    break;
                }
                taken &= taken - 1;
            }
            if taken != 0 {
                break first(taken);
            }
            if !full {
                return;
            }
        };
        let moved = groups[at][from];
        set(&mut groups[gap], slot, moved);
        (gap, slot) = (at, from);
    }
}
