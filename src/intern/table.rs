//! A shard's table: slots that lead from a hash to an entry, read without a lock, written under one.
//!
//! Stands between a pool and its entries. Open addressing, one slot after another from the hash's place on. A slot is an
//! entry's address with sixteen bits of its hash above it, so that an entry is looked at only where it is very likely the
//! right one:
//!
//! - 0: no entry, and none behind it that came by here;
//! - 1: an entry was here;
//! - an address with a tag: an entry;
//! - an address without one: an entry that is dead. No look-up finds it, a sweep frees it.
//!
//! Invariants: a slot that was taken is never 0 again, so a look-up that stops at a 0 has missed nothing that was there when it
//! began; at least one slot is 0; an entry is in one slot. A table that has become too small is retired, not freed: look-ups
//! may be under way in it. Cost: one heap call per table, 8 bytes per slot and 64.
#![expect(unsafe_code, reason = "slots lie behind the table's header")]

use super::account::{Account, PoolFull};
use super::entry::{Entry, Header};
use super::hash::TextHash;
use crate::sync::{AtomicPtr, Ordering};
use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{self, NonNull};

/// The smallest table has this many bits' slots, the largest one that many.
pub(super) const BITS_MIN: u32 = if cfg!(blixard_loom) { 1 } else { 3 };
const BITS_MAX: u32 = 28;
const TAG_SHIFT: u32 = 48;
const GONE: usize = 1;

/// What lies before the slots. Its alignment leaves six bits of its address for the number of slots.
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
    slots: &'a [Slot],
    header: NonNull<TableHeader>,
}

/// A place for an entry.
#[derive(Debug)]
pub(super) struct Slot(AtomicPtr<Header>);

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
    Vacant(&'a Slot, bool),
}

/// Slots that may be taken in a table of so many: thirteen of sixteen.
pub(super) const fn load_max(slots: usize) -> usize {
    slots - slots / 4 + slots / 16
}

/// The bits of the smallest table that holds so many entries and is not full at once: five eighths at most.
pub(super) fn bits_for(entries: usize) -> u32 {
    let mut bits = BITS_MIN;
    while bits < BITS_MAX && (1_usize << bits) / 8 * 5 < entries {
        bits += 1;
    }
    bits
}

fn tagged(entry: Entry<'_>, tag: u16) -> *mut Header {
    entry.pointer().as_ptr().map_addr(|at| at | usize::from(tag) << TAG_SHIFT)
}

impl Slot {
    /// Under the shard's lock.
    pub(super) fn content(&self) -> Content<'_> {
        // Relaxed: written under the lock that the caller holds.
        let word = self.0.load(Ordering::Relaxed);
        let Some(at) = NonNull::new(word.map_addr(|at| at & ((1 << TAG_SHIFT) - 1))) else { return Content::Empty };
        if at.addr().get() == GONE {
            return Content::Gone;
        }
        // SAFETY: a slot holds the address of an entry, which is freed by a sweep, under the lock, after the slot has
        // let go of it.
        let entry = unsafe { Entry::at(at) };
        if word.addr() >> TAG_SHIFT == 0 { Content::Dead(entry) } else { Content::Entry(entry) }
    }

    /// Publishes an entry. Under the shard's lock.
    pub(super) fn set(&self, entry: Entry<'_>, hash: TextHash) {
        // Release: pairs with the Acquire in `find`; the text is there for who finds the slot.
        self.0.store(tagged(entry, hash.tag), Ordering::Release);
    }

    /// Hides its entry from look-ups. Under the shard's lock.
    pub(super) fn kill(&self, entry: Entry<'_>) {
        // Release: as for `set`. What else makes it known to later pins are the fences of the pins.
        self.0.store(tagged(entry, 0), Ordering::Release);
    }

    /// Lets go of its entry. Under the shard's lock.
    pub(super) fn clear(&self) {
        // Relaxed: nothing is published.
        self.0.store(ptr::without_provenance_mut(GONE), Ordering::Relaxed);
    }
}

impl<'a> Table<'a> {
    #[inline(always)]
    fn mask(self) -> usize {
        self.slots.len() - 1
    }

    #[inline(always)]
    fn slot(self, at: usize) -> &'a Slot {
        // SAFETY: masked by the number of slots, which is a power of two.
        unsafe { self.slots.get_unchecked(at & self.mask()) }
    }

    pub(super) fn slots(self) -> &'a [Slot] {
        self.slots
    }

    /// The entry of a text, if there was one when the call began. Without a lock, under a pin.
    #[inline(always)]
    pub(super) fn find(self, hash: TextHash, text: &str) -> Option<Entry<'a>> {
        let mut at = hash.position as usize;
        loop {
            // Acquire: pairs with the Release in `Slot::set`.
            let word = self.slot(at).0.load(Ordering::Acquire);
            if word.addr() >> TAG_SHIFT == usize::from(hash.tag) {
                let entry = word.map_addr(|at| at & ((1 << TAG_SHIFT) - 1));
                // SAFETY: a tag is not 0, and above an entry's address alone; so it is not null.
                let entry = unsafe { NonNull::new_unchecked(entry) };
                // SAFETY: the pin keeps what the table led to when it began, and what came since.
                let entry = unsafe { Entry::at(entry) };
                if entry.is(text) {
                    return Some(entry);
                }
            } else if word.is_null() {
                return None;
            }
            at += 1;
        }
    }

    /// The same under the shard's lock, with the place for a new entry.
    pub(super) fn find_or_vacant(self, hash: TextHash, text: &str) -> Found<'a> {
        let mut at = hash.position as usize;
        let mut vacant = None;
        loop {
            let slot = self.slot(at);
            match slot.content() {
                Content::Entry(entry) if entry.position() == hash.position && entry.is(text) => {
                    return Found::Entry(entry);
                }
                Content::Entry(_) | Content::Dead(_) => {}
                Content::Gone => vacant = vacant.or(Some(slot)),
                Content::Empty => return vacant.map_or(Found::Vacant(slot, true), |slot| Found::Vacant(slot, false)),
            }
            at += 1;
        }
    }

    /// Fills an unpublished table with what another one has, dead entries included.
    fn copy(self, from: Table<'_>) {
        for slot in from.slots {
            let (Content::Entry(entry) | Content::Dead(entry)) = slot.content() else { continue };
            let mut at = entry.position() as usize;
            // Relaxed, both: published as a whole; see `Published::replace`.
            while !self.slot(at).0.load(Ordering::Relaxed).is_null() {
                at += 1;
            }
            let word = slot.0.load(Ordering::Relaxed);
            self.slot(at).0.store(word, Ordering::Relaxed);
        }
    }

    pub(super) fn bytes(self) -> usize {
        size_of::<TableHeader>() + size_of_val(self.slots)
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
    // SAFETY: the slots lie behind the header.
    let slots = unsafe { header.add(1) }.cast::<Slot>();
    // SAFETY: so many were written there, and they are atomics.
    Table { slots: unsafe { std::slice::from_raw_parts(slots.as_ptr(), 1 << bits) }, header }
}

fn layout(bits: u32) -> Option<Layout> {
    let slots = Layout::array::<Slot>(1 << bits).ok()?;
    Some(Layout::new::<TableHeader>().extend(slots).ok()?.0.pad_to_align())
}

fn new_table<'a>(bits: u32, account: &Account) -> Result<Table<'a>, PoolFull> {
    let bytes = size_of::<TableHeader>() + (size_of::<Slot>() << bits);
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
    let slots = unsafe { header.add(1) }.cast::<Slot>();
    for i in 0..1 << bits {
        // SAFETY: within the block.
        let slot = unsafe { slots.add(i) };
        // SAFETY: likewise, and aligned.
        unsafe { slot.write(Slot(AtomicPtr::new(ptr::null_mut()))) };
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
            let bytes = size_of::<TableHeader>() + (size_of::<Slot>() << bits);
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
