//! One shard of a pool: what its lock guards, and every step that is taken under it.
//!
//! Stands between a pool and the shard's table and storage. New names are entered here, and sweeps walk here.
//!
//! A walk goes through all slots once. It begins only when a grace period has passed since the last one ended, and so may
//! do all three steps of reclaiming at once, each to other entries: what the last walk unlinked is freed; what the last walk made
//! a candidate and nobody revived is unlinked; what nobody holds becomes a candidate. Three walks free what nobody holds.
//!
//! Invariants: an entry that anybody holds is never unlinked; an entry is marked, unlinked and freed in different walks,
//! with a grace period between them; the account has every entry until it is freed. Cost: heap calls of storage and table.
#![expect(unsafe_code, reason = "says how long entries and tables stay")]

use super::account::{Account, PoolFull};
use super::entry::{CANDIDATE, Entry, WORD_BYTES};
use super::hash::TextHash;
use super::storage::{Storage, block_bytes};
use super::table::{BITS_MIN, Content, Found, Published, Retired, Table, bits_for, load_max};
use crate::sync::{AtomicUsize, Grace, Ordering, Pins};
use std::num::NonZero;

/// What a shard's steps need of the pool around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) published: &'a Published,
    pub(super) retired: &'a Retired,
    /// Bytes of what is retired.
    pub(super) retired_bytes: &'a AtomicUsize,
    pub(super) account: &'a Account,
}

/// A shard of names.
#[derive(Debug)]
pub(super) struct Shard {
    storage: Storage,
    /// Slots that are not empty.
    taken: usize,
    /// Entries that look-ups find.
    entries: usize,
    walk: WalkState,
    pub(super) counts: ShardCounts,
}

/// Numbers for the pool's figures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShardCounts {
    /// Names entered.
    pub(super) entered: u64,
    /// Names freed.
    pub(super) freed: u64,
    /// Entries unlinked and not freed yet.
    pub(super) dead: usize,
    /// The bytes of their blocks.
    pub(super) dead_bytes: usize,
    /// Entries that the last walk made candidates.
    pub(super) candidates: usize,
}

#[derive(Debug, Default)]
struct WalkState {
    /// The slot that the walk goes on with; 0 before its beginning.
    cursor: usize,
    /// The moment when the last walk ended.
    ended: u64,
    /// The walk was ended by a new table, at a moment that is yet to be read.
    cut: bool,
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// It has not begun: pins of before the last one's end are held.
    Waits,
    /// It goes on from here.
    Underway,
    /// It has come to the end.
    Ended,
}

impl Shard {
    pub(super) const fn new() -> Self {
        let walk = WalkState { cursor: 0, ended: 0, cut: false };
        let counts = ShardCounts { entered: 0, freed: 0, dead: 0, dead_bytes: 0, candidates: 0 };
        Self { storage: Storage::new(), taken: 0, entries: 0, walk, counts }
    }

    /// The table, while the shard is borrowed: its lock keeps it.
    #[expect(clippy::unused_self, reason = "its borrow is what keeps the table")]
    fn table<'a>(&'a self, around: Around<'a>) -> Option<Table<'a>> {
        // SAFETY: tables are retired under the lock, through `&mut self`.
        unsafe { around.published.table() }
    }

    /// The entry of a text. A candidate is one no more.
    ///
    /// # Safety
    /// The caller is pinned for `'p`.
    pub(super) unsafe fn find<'p>(&self, around: Around<'_>, hash: TextHash, text: &str) -> Option<Entry<'p>> {
        match self.table(around)?.find_or_vacant(hash, text) {
            Found::Entry(entry) => {
                entry.revive();
                // SAFETY: the caller is pinned, and the entry is in the table under the lock and no candidate: it dies after
                // a grace period that begins later.
                Some(unsafe { Entry::at(entry.pointer()) })
            }
            Found::Vacant(..) => None,
        }
    }

    /// Enters a text that is not there. `word` makes it a constant.
    ///
    /// # Safety
    /// The caller is pinned for `'p`.
    pub(super) unsafe fn enter<'p>(
        &mut self,
        around: Around<'_>,
        hash: TextHash,
        text: &str,
        word: Option<NonZero<usize>>,
    ) -> Result<Entry<'p>, PoolFull> {
        around.account.add_entry()?;
        // SAFETY: the caller's contract.
        let entered = unsafe { self.enter_booked(around, hash, text, word) };
        if entered.is_err() {
            around.account.remove_entries(1);
        }
        entered
    }

    /// # Safety
    /// The caller is pinned for `'p`.
    unsafe fn enter_booked<'p>(
        &mut self,
        around: Around<'_>,
        hash: TextHash,
        text: &str,
        word: Option<NonZero<usize>>,
    ) -> Result<Entry<'p>, PoolFull> {
        self.make_room(around)?;
        let behind = if word.is_some() { WORD_BYTES } else { 0 };
        let block = self.storage.take(text.len().saturating_add(behind), around.account)?;
        // SAFETY: a new block, with room for the text and the word. It stays while the caller is pinned.
        let entry: Entry<'p> = unsafe { Entry::write(block, hash, text, word) };
        let mut empty = false;
        if let Some(table) = self.table(around)
            && let Found::Vacant(slot, was_empty) = table.find_or_vacant(hash, text)
        {
            table.set(slot, entry, hash);
            empty = was_empty;
        }
        self.taken += usize::from(empty);
        self.entries += 1;
        self.counts.entered += 1;
        Ok(entry)
    }

    /// Sees to it that one more slot may be taken.
    fn make_room(&mut self, around: Around<'_>) -> Result<(), PoolFull> {
        let Some(slots) = self.table(around).map(Table::slots) else {
            return self.rebuild(around, BITS_MIN);
        };
        if self.taken < load_max(slots) {
            return Ok(());
        }
        // Where a quarter of the taken slots is of entries that have gone, the same size will do.
        let needed = self.entries + self.counts.dead + 1;
        let bits = slots.trailing_zeros() + u32::from(needed > load_max(slots) / 4 * 3);
        self.rebuild(around, bits)
    }

    /// Publishes a new table and retires the old one.
    #[cold]
    fn rebuild(&mut self, around: Around<'_>, bits: u32) -> Result<(), PoolFull> {
        if let Some(old) = around.published.replace(bits, around.account)? {
            // Relaxed: a number. Before the push, so that whoever frees the table finds its bytes there.
            around.retired_bytes.fetch_add(old.bytes(), Ordering::Relaxed);
            // SAFETY: just replaced, under the lock.
            unsafe { around.retired.push(old.header()) };
        }
        self.taken = self.entries + self.counts.dead;
        if self.walk.cursor != 0 {
            // Places have changed. What this walk marked and unlinked so far waits for the next one, as after its end.
            self.walk.cursor = 0;
            self.walk.cut = true;
        }
        Ok(())
    }

    /// Walks on, by `slots_max` slots at most.
    pub(super) fn walk(&mut self, around: Around<'_>, pins: &Pins, grace: &mut Grace, slots_max: usize) -> Walk {
        if self.walk.cursor == 0 {
            if std::mem::take(&mut self.walk.cut) {
                self.walk.ended = grace.moment();
            }
            // Where the last walk left nothing to be unlinked or freed, there is nothing to wait for.
            let left = self.counts.candidates + self.counts.dead;
            if left > 0 && !pins.pass(grace, self.walk.ended) {
                return Walk::Waits;
            }
            self.counts.candidates = 0;
        }
        // SAFETY: the lock is held, and nothing is retired in this function before its end.
        let table = unsafe { around.published.table() };
        let slots = table.map_or(0, Table::slots);
        let end = self.walk.cursor.saturating_add(slots_max).min(slots);
        let walked = self.walk.cursor..end;
        for (table, slot) in table.into_iter().flat_map(|table| walked.clone().map(move |slot| (table, slot))) {
            match table.content(slot) {
                Content::Empty | Content::Gone => {}
                Content::Dead(entry) => {
                    table.clear(slot);
                    self.free(around, entry);
                }
                Content::Entry(entry) => {
                    if entry.mark() {
                        self.counts.candidates += 1;
                    } else if entry.state() == CANDIDATE && entry.kill() {
                        table.kill(slot);
                        self.entries -= 1;
                        self.counts.dead += 1;
                        self.counts.dead_bytes += block_bytes(entry.len());
                    }
                }
            }
        }
        self.walk.cursor = end;
        if end < slots {
            return Walk::Underway;
        }
        self.walk.cursor = 0;
        self.walk.ended = grace.moment();
        let needed = self.entries + self.counts.dead;
        if slots > 1 << BITS_MIN && needed < slots / 4 {
            // Without memory for a smaller table the large one stays.
            _ = self.rebuild(around, bits_for(needed));
        }
        Walk::Ended
    }

    /// Entries that look-ups find.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// The size of the present table.
    pub(super) fn table_bytes(&self, around: Around<'_>) -> usize {
        self.table(around).map_or(0, Table::bytes)
    }

    /// Whether a walk has begun and not ended.
    pub(super) fn is_underway(&self) -> bool {
        self.walk.cursor != 0
    }

    fn free(&mut self, around: Around<'_>, entry: Entry<'_>) {
        self.counts.dead -= 1;
        self.counts.dead_bytes -= block_bytes(entry.len());
        self.counts.freed += 1;
        // SAFETY: unlinked by an earlier walk, and a grace period has passed since that ended.
        unsafe { self.storage.give_back(entry) };
        around.account.remove_entries(1);
    }

    /// Gives back what memory it can. The shard's entries stay where they are.
    pub(super) fn tidy(&mut self, around: Around<'_>) {
        self.storage.tidy(around.account);
    }

    /// Ends the shard: entries that are held stay.
    pub(super) fn close(&mut self) {
        self.storage.close();
    }
}
