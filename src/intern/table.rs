//! A shard's table: from a hash to an entry, read without a lock, written under one.
//!
//! Stands between a pool and its entries. A slot holds an entry's address and has a byte beside it, in a word with those of
//! its seven neighbours: seven bits of the hash, or that the slot is empty, or that its entry is gone. A look-up takes a
//! word at a time and looks only at entries whose byte fits, so that it hardly ever branches otherwise than before; the
//! words are those of hashbrown's tables without SIMD (Abseil's design), for which no load of sixteen bytes is atomic.
//!
//! A gone slot may hold the address of an entry that is dead: no look-up finds it, a sweep frees it.
//!
//! Invariants: a slot that was taken is never empty again, so a look-up that stops at an empty one has missed nothing that
//! was there when it began; one slot at least is empty; an entry is in one slot. A table that has become too small is
//! retired, not freed: look-ups may be under way in it. Cost: one heap call per table, 9 bytes per slot and 64.
#![expect(unsafe_code, reason = "slots lie behind the table's header")]

use super::account::{Account, PoolFull};
use super::entry::{Entry, Header};
use super::hash::TextHash;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{self, NonNull};

/// The smallest table has this many bits' slots, the largest one that many.
pub(super) const BITS_MIN: u32 = GROUP.ilog2();
const BITS_MAX: u32 = 28;
/// Slots whose bytes lie in one word.
const GROUP: usize = 8;
/// The byte of a slot without an entry: never taken, or no more. Those of entries have the highest bit clear.
const EMPTY: u8 = 0xff;
const GONE: u8 = 0x80;
const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = LOW_BITS << 7;

/// What lies before the words and the slots. Its alignment leaves six bits of its address for the number of slots.
#[repr(C, align(64))]
pub(super) struct TableHeader {
    /// The table retired before this one.
    next: *mut TableHeader,
    bits: u32,
}

/// Where a shard's table is published: its address, and how many slots it has, in one word.
#[derive(Debug)]
pub(super) struct Published(AtomicPtr<TableHeader>);

/// A table, for as long as a pin or the shard's lock keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    /// A byte for each slot.
    words: &'a [AtomicU64],
    slots: &'a [AtomicPtr<Header>],
    header: NonNull<TableHeader>,
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    Empty,
    Gone,
    Dead(Entry<'a>),
    Entry(Entry<'a>),
}

/// What the holder of the lock finds.
pub(super) enum Found<'a> {
    Entry(Entry<'a>),
    /// The slot that the entry would take, and whether it is empty.
    Vacant(usize, bool),
}

/// Slots that may be taken in a table of so many: seven of eight. In models, so few that a table soon grows.
pub(super) const fn load_max(slots: usize) -> usize {
    if cfg!(blixard_loom) { slots / 8 * 3 } else { slots / 8 * 7 }
}

/// The bits of the smallest table that holds so many entries and is not full at once: five eighths at most.
pub(super) fn bits_for(entries: usize) -> u32 {
    let mut bits = BITS_MIN;
    while bits < BITS_MAX && (1_usize << bits) / 8 * 5 < entries {
        bits += 1;
    }
    bits
}

/// The bytes of a word that may be `byte`, as their highest bits: all that are, and seldom one above such a one.
#[inline(always)]
fn matches(word: u64, byte: u8) -> u64 {
    let differing = word ^ (LOW_BITS * u64::from(byte));
    differing.wrapping_sub(LOW_BITS) & !differing & HIGH_BITS
}

/// Whether a byte of a word is [`EMPTY`]: of what has the highest bit, it alone has the next one.
#[inline(always)]
fn has_empty(word: u64) -> bool {
    word & (word << 1) & HIGH_BITS != 0
}

/// The words of a table in the order that a hash looks at them: all of them, at growing distances.
#[derive(Clone, Copy)]
struct Walk {
    at: usize,
    step: usize,
}

impl Walk {
    #[inline(always)]
    fn of(position: u32) -> Self {
        Self { at: position as usize, step: 0 }
    }

    #[inline(always)]
    fn next(&mut self) {
        self.step += 1;
        self.at += self.step;
    }
}

impl<'a> Table<'a> {
    #[inline(always)]
    fn mask(self) -> usize {
        self.words.len() - 1
    }

    #[inline(always)]
    fn word(self, at: usize) -> &'a AtomicU64 {
        // SAFETY: masked by the number of words, which is a power of two.
        unsafe { self.words.get_unchecked(at & self.mask()) }
    }

    /// The slot of a byte of a word.
    #[inline(always)]
    fn slot_of(self, at: usize, byte: usize) -> usize {
        (at & self.mask()) * GROUP + byte
    }

    pub(super) fn slots(self) -> usize {
        self.slots.len()
    }

    /// The entry of a text, if there was one when the call began. Without a lock, under a pin.
    #[inline(always)]
    pub(super) fn find(self, hash: TextHash, text: &str) -> Option<Entry<'a>> {
        let mut walk = Walk::of(hash.position);
        loop {
            // Acquire: pairs with the Release in `set_byte`.
            let word = self.word(walk.at).load(Ordering::Acquire);
            let mut fits = matches(word, hash.tag);
            while fits != 0 {
                let slot = self.slot_of(walk.at, fits.trailing_zeros() as usize / 8);
                // SAFETY: as many slots as the words have bytes.
                let slot = unsafe { self.slots.get_unchecked(slot) };
                // Acquire: pairs with the Release in `set`, if the slot was taken anew after its byte was read.
                if let Some(entry) = NonNull::new(slot.load(Ordering::Acquire)) {
                    // SAFETY: the pin keeps what the table led to when it began, and what came since.
                    let entry = unsafe { Entry::at(entry) };
                    if entry.is(text) {
                        return Some(entry);
                    }
                }
                fits &= fits - 1;
            }
            if has_empty(word) {
                return None;
            }
            walk.next();
        }
    }

    /// The same under the shard's lock, with the place for a new entry.
    pub(super) fn find_or_vacant(self, hash: TextHash, text: &str) -> Found<'a> {
        let mut walk = Walk::of(hash.position);
        let mut vacant = None;
        loop {
            for byte in 0..GROUP {
                let slot = self.slot_of(walk.at, byte);
                match self.content(slot) {
                    Content::Entry(entry) if entry.position() == hash.position && entry.is(text) => {
                        return Found::Entry(entry);
                    }
                    Content::Entry(_) | Content::Dead(_) => {}
                    Content::Gone => vacant = vacant.or(Some(slot)),
                    Content::Empty => {
                        return vacant.map_or(Found::Vacant(slot, true), |slot| Found::Vacant(slot, false));
                    }
                }
            }
            walk.next();
        }
    }

    /// What a slot holds. Under the shard's lock.
    pub(super) fn content(self, slot: usize) -> Content<'a> {
        // Relaxed, both: written under the lock that the caller holds.
        let byte = self.words[slot / GROUP].load(Ordering::Relaxed).to_le_bytes()[slot % GROUP];
        let entry = NonNull::new(self.slots[slot].load(Ordering::Relaxed)).map(|at| {
            // SAFETY: a slot holds the address of an entry, which is freed by a sweep, under the lock, after the slot has
            // let go of it.
            unsafe { Entry::at(at) }
        });
        match (byte, entry) {
            (EMPTY, _) => Content::Empty,
            (GONE, None) => Content::Gone,
            (GONE, Some(entry)) => Content::Dead(entry),
            (_, Some(entry)) => Content::Entry(entry),
            (_, None) => unreachable!("a tag without an entry"),
        }
    }

    /// Publishes an entry. Under the shard's lock.
    pub(super) fn set(self, slot: usize, entry: Entry<'_>, hash: TextHash) {
        // Release: pairs with the Acquire in `find`, as in `set_byte`; the text is there for who finds the slot.
        self.slots[slot].store(entry.pointer().as_ptr(), Ordering::Release);
        self.set_byte(slot, hash.tag);
    }

    /// Hides a slot's entry from look-ups. Under the shard's lock.
    pub(super) fn kill(self, slot: usize) {
        // What makes it known to later pins are the fences of the pins.
        self.set_byte(slot, GONE);
    }

    /// Lets go of a hidden entry. Under the shard's lock.
    pub(super) fn clear(self, slot: usize) {
        // Relaxed: nothing is published.
        self.slots[slot].store(ptr::null_mut(), Ordering::Relaxed);
    }

    fn set_byte(self, slot: usize, byte: u8) {
        let word = &self.words[slot / GROUP];
        // Relaxed: written under the lock alone.
        let mut bytes = word.load(Ordering::Relaxed).to_le_bytes();
        bytes[slot % GROUP] = byte;
        // Release: pairs with the Acquire in `find`.
        word.store(u64::from_le_bytes(bytes), Ordering::Release);
    }

    /// Fills an unpublished table with what another one has, dead entries included.
    fn copy(self, from: Table<'_>) {
        for old in 0..from.slots() {
            let (Content::Entry(entry) | Content::Dead(entry)) = from.content(old) else { continue };
            let mut walk = Walk::of(entry.position());
            let slot = loop {
                let mut slots = (0..GROUP).map(|byte| self.slot_of(walk.at, byte));
                match slots.find(|slot| self.content(*slot) == Content::Empty) {
                    Some(slot) => break slot,
                    None => walk.next(),
                }
            };
            // Relaxed, both: published as a whole; see `Published::replace`.
            self.slots[slot].store(entry.pointer().as_ptr(), Ordering::Relaxed);
            self.set_byte(slot, from.words[old / GROUP].load(Ordering::Relaxed).to_le_bytes()[old % GROUP]);
        }
    }

    pub(super) fn bytes(self) -> usize {
        bytes_of(self.slots.len().trailing_zeros())
    }

    pub(super) fn header(self) -> NonNull<TableHeader> {
        self.header
    }
}

impl Published {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The present table, for who has a pin or the shard's lock.
    ///
    /// # Safety
    /// `'a` ends with the pin or the lock.
    #[inline(always)]
    pub(super) unsafe fn table<'a>(&self) -> Option<Table<'a>> {
        // Acquire: pairs with the Release in `replace`.
        let word = self.0.load(Ordering::Acquire);
        let header = NonNull::new(word.map_addr(|at| at & !63))?;
        #[expect(clippy::cast_possible_truncation, reason = "six bits")]
        let bits = (word.addr() & 63) as u32;
        // SAFETY: published tables stay for who is pinned or has the lock.
        Some(unsafe { table(header, bits) })
    }

    /// Publishes a table with `bits` that holds what the present one does. Under the shard's lock. The old one, if any, is to be
    /// retired.
    pub(super) fn replace(&self, bits: u32, account: &Account) -> Result<Option<Table<'_>>, PoolFull> {
        // SAFETY: the caller has the lock.
        let old = unsafe { self.table() };
        let new = new_table(bits.clamp(BITS_MIN, BITS_MAX), account)?;
        if let Some(old) = old {
            new.copy(old);
        }
        let bits = new.slots.len().trailing_zeros() as usize;
        // Release: pairs with the Acquire in `table`.
        self.0.store(new.header.as_ptr().map_addr(|at| at | bits), Ordering::Release);
        Ok(old)
    }
}

/// # Safety
/// `header` is that of a table with `bits`, which stays for `'a`.
#[inline(always)]
unsafe fn table<'a>(header: NonNull<TableHeader>, bits: u32) -> Table<'a> {
    // SAFETY: the words lie behind the header.
    let words = unsafe { header.add(1) }.cast::<AtomicU64>();
    // SAFETY: so many were written there, and they are atomics.
    let words = unsafe { std::slice::from_raw_parts(words.as_ptr(), (1 << bits) / GROUP) };
    // SAFETY: the slots lie behind the words.
    let slots = unsafe { words.as_ptr().add(words.len()) }.cast::<AtomicPtr<Header>>();
    // SAFETY: as for the words; a pointer's alignment is a word's.
    Table { words, slots: unsafe { std::slice::from_raw_parts(slots, 1 << bits) }, header }
}

/// What a table of so many bits takes.
const fn bytes_of(bits: u32) -> usize {
    let slots = 1 << bits;
    size_of::<TableHeader>() + slots / GROUP * size_of::<AtomicU64>() + slots * size_of::<AtomicPtr<Header>>()
}

const _: () = assert!(align_of::<AtomicPtr<Header>>() <= align_of::<AtomicU64>());

fn layout(bits: u32) -> Option<Layout> {
    Layout::from_size_align(bytes_of(bits), align_of::<TableHeader>()).ok()
}

fn new_table<'a>(bits: u32, account: &Account) -> Result<Table<'a>, PoolFull> {
    let bytes = bytes_of(bits);
    account.reserve(bytes)?;
    let at = layout(bits).and_then(|layout| {
        // SAFETY: not empty, since a table has a header.
        NonNull::new(unsafe { alloc(layout) })
    });
    let Some(at) = at else { return Err(account.refused_by_allocator(bytes)) };
    let header = at.cast::<TableHeader>();
    // SAFETY: fresh memory, large enough for the header and aligned to it.
    unsafe { header.write(TableHeader { next: ptr::null_mut(), bits }) };
    // SAFETY: behind the header, within the block.
    let words = unsafe { header.add(1) }.cast::<AtomicU64>();
    for i in 0..(1 << bits) / GROUP {
        // SAFETY: within the block.
        let word = unsafe { words.add(i) };
        // SAFETY: likewise, and aligned.
        unsafe { word.write(AtomicU64::new(u64::MAX)) };
    }
    // SAFETY: behind the words, within the block.
    let slots = unsafe { words.add((1 << bits) / GROUP) }.cast::<AtomicPtr<Header>>();
    for i in 0..1 << bits {
        // SAFETY: within the block.
        let slot = unsafe { slots.add(i) };
        // SAFETY: likewise, and aligned.
        unsafe { slot.write(AtomicPtr::new(ptr::null_mut())) };
    }
    // SAFETY: just written.
    Ok(unsafe { table(header, bits) })
}

/// A list of tables that nobody finds any more, each at most once.
#[derive(Debug)]
pub(super) struct TableList(*mut TableHeader);

// SAFETY: it owns its tables, and nothing in them knows a thread.
unsafe impl Send for TableList {}

impl TableList {
    pub(super) const fn new() -> Self {
        Self(ptr::null_mut())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    /// Frees them all, and says how many bytes that were.
    ///
    /// # Safety
    /// No look-up is under way in any of them.
    pub(super) unsafe fn free(&mut self, account: &Account) -> usize {
        let mut freed = 0;
        while let Some(header) = NonNull::new(self.0) {
            // SAFETY: a table of the list.
            let TableHeader { next, bits } = unsafe { header.read() };
            self.0 = next;
            if let Some(layout) = layout(bits) {
                // SAFETY: allocated with this layout by `new_table`.
                unsafe { dealloc(header.as_ptr().cast(), layout) };
            }
            let bytes = bytes_of(bits);
            account.refund(bytes);
            freed += bytes;
        }
        freed
    }
}

/// Tables that were replaced, from any thread.
#[derive(Debug)]
pub(super) struct Retired(AtomicPtr<TableHeader>);

impl Retired {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Adds a table that was just replaced.
    ///
    /// # Safety
    /// Nobody else retires it.
    pub(super) unsafe fn push(&self, header: NonNull<TableHeader>) {
        // SAFETY: look-ups do not read `next`.
        let next = unsafe { &raw mut (*header.as_ptr()).next };
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller alone retires it.
            unsafe { next.write(head) };
            // Release: pairs with the Acquire in `take`.
            match self.0.compare_exchange_weak(head, header.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => head = other,
            }
        }
    }

    /// All of them.
    pub(super) fn take(&self) -> TableList {
        // Acquire: pairs with the Release in `push`: the replacements lie before what follows.
        TableList(self.0.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// The present table too, for a pool that ends.
    ///
    /// # Safety
    /// No look-up is under way and none begins.
    pub(super) unsafe fn push_present(&self, published: &Published) {
        // SAFETY: the caller has the pool to itself.
        if let Some(table) = unsafe { published.table() } {
            published.0.store(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: it was published until now, so nobody has retired it.
            unsafe { self.push(table.header) };
        }
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_are_searched_as_their_bytes_are() {
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Few different bytes, so that there are many hits and neighbours.
            let bytes: [u8; 8] = std::array::from_fn(|i| {
                [0, 1, 2, 0x7f, GONE, EMPTY, EMPTY, 5][usize::from((random >> (8 * i + 3)).to_le_bytes()[0] % 8)]
            });
            let word = u64::from_le_bytes(bytes);
            assert_eq!(has_empty(word), bytes.contains(&EMPTY), "{bytes:x?}");
            for tag in 0..0x80 {
                let found = matches(word, tag);
                for (i, byte) in bytes.iter().enumerate() {
                    let bit = found >> (8 * i + 7) & 1 == 1;
                    assert!(bit || *byte != tag, "{bytes:x?}: {tag:x} is missed");
                    assert!(!bit || byte & 0x80 == 0, "{bytes:x?}: a slot without an entry looks like {tag:x}");
                }
            }
        }
    }
}
