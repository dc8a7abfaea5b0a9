//! An entry: the count, length and hash of a text, and the text right behind them.
//!
//! Stands under everything of the process-wide half of `intern`. 12 bytes before the text, aligned to 4.
//!
//! The count word says how many [`InternedString`](super::InternedString)s hold the entry, or one of four states:
//!
//! - `CANDIDATE`: nobody held it when a sweep came by; it is still in the table, and whoever finds it revives it.
//! - `DEAD`: a sweep has unlinked it. It was a candidate for a whole grace period, so no pin has it; some may be reading its
//!   header on their way, and find this.
//! - `FREE`: a block without an entry.
//! - `CONSTANT`: a name of a constant set, whose word lies behind the text.
//!
//! and, once its pool is gone, `ORPHANED` beside the number.
//!
//! Invariants: length, hash and text are written before the entry is published and not again while a pool has it. Only the
//! holder of the shard's lock writes `DEAD`, and takes `CANDIDATE` off without counting. Cost: no heap call.
#![expect(unsafe_code, reason = "texts lie behind their headers")]

use super::hash::TextHash;
use crate::sync::{AtomicU32, Ordering, Witness};
use std::marker::PhantomData;
use std::num::NonZero;
use std::ptr::NonNull;

pub(super) const DEAD: u32 = u32::MAX;
pub(super) const CANDIDATE: u32 = u32::MAX - 1;
pub(super) const FREE: u32 = u32::MAX - 2;
pub(super) const CONSTANT: u32 = 1 << 31;
const ORPHANED: u32 = 1 << 30;
/// The most that may hold one entry: half a billion. The other half is room for threads that pass it at once.
const HOLDERS_MAX: u32 = 1 << 29;

/// What lies before a text.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Header {
    count: AtomicU32,
    witness: Witness,
    /// Bytes of the text; in a free block, what a text could take.
    len: u32,
    /// The text's hash; once the pool is gone, how far the entry lies from its chunk's beginning.
    hash: AtomicU32,
}

/// Bytes before a text.
pub(super) const HEADER_BYTES: usize = size_of::<Header>();
/// Where a free block's link begins: it overlaps the hash.
const LINK_AT: usize = std::mem::offset_of!(Header, hash);
/// The smallest block: a free one.
pub(super) const BLOCK_BYTES_MIN: usize = LINK_AT + size_of::<*mut u8>();
/// Bytes that the word of a constant takes behind its text.
pub(super) const WORD_BYTES: usize = size_of::<usize>();
/// The longest text: less than 4 GiB by what lies around it.
pub(super) const TEXT_BYTES_MAX: usize = (u32::MAX - 64) as usize;

#[cfg(not(blixard_loom))]
const _: () = assert!(HEADER_BYTES == 12 && align_of::<Header>() == 4 && BLOCK_BYTES_MIN == 16);

/// An entry whose memory stays for `'a`: because of a pin, a lock on its shard, or a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a>(NonNull<Header>, PhantomData<&'a Header>);

// SAFETY: as `&Header` and `&str`: the count is atomic, the rest is not written while `'a` lasts.
unsafe impl Send for Entry<'_> {}
// SAFETY: as for Send.
unsafe impl Sync for Entry<'_> {}

impl<'a> Entry<'a> {
    /// # Safety
    /// `at` leads to an entry's header and text, which stay for `'a`.
    #[inline(always)]
    pub(super) unsafe fn at(at: NonNull<Header>) -> Self {
        Self(at, PhantomData)
    }

    /// Writes a new entry that nobody holds: the count is 0, or `CONSTANT` with the word behind the text.
    ///
    /// # Safety
    /// `block` is unused, aligned to [`Header`], and has room for the header, the text and `word`.
    pub(super) unsafe fn write(block: NonNull<u8>, hash: TextHash, text: &str, word: Option<NonZero<usize>>) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "checked against `TEXT_BYTES_MAX`, which fits")]
        let len = text.len() as u32;
        let count = AtomicU32::new(if word.is_some() { CONSTANT } else { 0 });
        let header = Header { count, witness: Witness::default(), len, hash: AtomicU32::new(hash.position) };
        let at = block.cast::<Header>();
        // SAFETY: room and alignment by the contract.
        unsafe { at.write(header) };
        // SAFETY: just written.
        unsafe { touch(at) };
        // SAFETY: within the block.
        let place = unsafe { block.add(HEADER_BYTES) };
        // SAFETY: room by the contract; fresh memory does not overlap a text.
        unsafe { place.copy_from_nonoverlapping(NonNull::from(text).cast(), text.len()) };
        if let Some(word) = word {
            // SAFETY: within the block.
            let behind = unsafe { place.add(text.len()) };
            // SAFETY: room for the word by the contract.
            unsafe { behind.cast::<NonZero<usize>>().write_unaligned(word) };
        }
        Self(at, PhantomData)
    }

    #[inline(always)]
    fn header(self) -> &'a Header {
        // SAFETY: it is there for `'a`.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub(super) fn pointer(self) -> NonNull<Header> {
        self.0
    }

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.header().len as usize
    }

    pub(super) fn position(self) -> u32 {
        // Relaxed, here and below: written before the entry is published, or before `orphan`'s exchange.
        self.header().hash.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn bytes(self) -> &'a [u8] {
        // SAFETY: the text lies behind the header, in the same block.
        let text = unsafe { self.0.add(1) }.cast::<u8>();
        self.header().witness.look();
        // SAFETY: so many bytes were written, and stay for `'a`.
        unsafe { std::slice::from_raw_parts(text.as_ptr(), self.len()) }
    }

    #[inline(always)]
    pub(super) fn text(self) -> &'a str {
        // SAFETY: copied from a `str`.
        unsafe { std::str::from_utf8_unchecked(self.bytes()) }
    }

    #[inline(always)]
    pub(super) fn is(self, text: &str) -> bool {
        self.len() == text.len() && same(self.bytes(), text.as_bytes())
    }

    /// Whether a look-up without a lock may hand it out.
    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        // Relaxed: what makes a candidate visible to a pin that a grace period does not wait for are the fences of the pins.
        self.header().count.load(Ordering::Relaxed) < CANDIDATE
    }

    pub(super) fn state(self) -> u32 {
        self.header().count.load(Ordering::Relaxed)
    }

    /// The word of a constant.
    #[inline(always)]
    pub(super) fn constant(self) -> Option<NonZero<usize>> {
        if self.state() != CONSTANT {
            return None;
        }
        // SAFETY: the word lies behind the text, in the same block.
        let behind = unsafe { self.0.add(1) }.cast::<u8>();
        // SAFETY: likewise.
        let behind = unsafe { behind.add(self.len()) };
        // SAFETY: `write` wrote one there.
        Some(unsafe { behind.cast::<NonZero<usize>>().read_unaligned() })
    }

    /// One more holder of an entry that a pin has found. It cannot have died since.
    #[inline(always)]
    pub(super) fn hold(self) {
        let count = &self.header().count;
        let mut now = count.load(Ordering::Relaxed);
        loop {
            debug_assert!(!matches!(now, DEAD | FREE | CONSTANT), "an entry under a pin: {now:#x}");
            if now >= HOLDERS_MAX && now != CANDIDATE {
                too_many_holders();
            }
            let next = if now == CANDIDATE { 1 } else { now + 1 };
            // Relaxed: the text was published with the slot that led here; the holder's end is what others wait for.
            match count.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// One more holder beside one that exists.
    #[inline(always)]
    pub(super) fn hold_again(self) {
        // Relaxed: as in `hold`.
        let before = self.header().count.fetch_add(1, Ordering::Relaxed);
        if before & !ORPHANED >= HOLDERS_MAX {
            self.header().count.fetch_sub(1, Ordering::Relaxed);
            too_many_holders();
        }
    }

    /// One holder less; `true` if it was the last of an entry whose pool is gone.
    #[inline(always)]
    pub(super) fn let_go(self) -> bool {
        // Release: pairs with the Acquire in `mark` and `orphan`, and with the fence of the last orphan.
        self.header().count.fetch_sub(1, Ordering::Release) == ORPHANED | 1
    }

    /// Of the holder of the shard's lock: makes an entry that nobody holds a candidate.
    pub(super) fn mark(self) -> bool {
        // Acquire: pairs with the Release in `let_go`: what the last holder read lies before all that follows.
        self.header().count.compare_exchange(0, CANDIDATE, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Of the holder of the shard's lock: a candidate that nobody revived is dead.
    pub(super) fn kill(self) -> bool {
        // Relaxed: a reviver's exchange and this one are of one word; only one of them finds a candidate.
        self.header().count.compare_exchange(CANDIDATE, DEAD, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Of the holder of the shard's lock: a candidate is wanted again, by a pin that will not count it at once.
    pub(super) fn revive(self) {
        // Relaxed: as in `kill`. If it fails, somebody holds it, which is as good.
        _ = self.header().count.compare_exchange(CANDIDATE, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Of a pool that ends: leaves the entry to its holders. `chunk_offset` is how far it lies from its chunk's beginning. `false`
    /// if it has none.
    pub(super) fn orphan(self, chunk_offset: u32) -> bool {
        if self.state() >= CONSTANT {
            return false;
        }
        self.header().hash.store(chunk_offset, Ordering::Relaxed);
        // AcqRel: publishes the distance to `let_go`'s fence, and pairs with its Release where no holder is left.
        self.header().count.fetch_or(ORPHANED, Ordering::AcqRel) != 0
    }

    /// How far an orphan lies from its chunk's beginning.
    pub(super) fn chunk_offset(self) -> usize {
        self.header().hash.load(Ordering::Relaxed) as usize
    }
}

/// A block without an entry, in the list of its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreeBlock(NonNull<u8>);

impl FreeBlock {
    /// Makes `bytes` at `at` a free block, with a link to another one.
    ///
    /// # Safety
    /// Nobody reads or writes them any more; `bytes` is at least a least block, and `at` aligned to [`Header`].
    pub(super) unsafe fn write(at: NonNull<u8>, bytes: usize, next: *mut u8) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "no chunk is larger than the longest text's")]
        let len = (bytes - HEADER_BYTES) as u32;
        let header = Header { count: AtomicU32::new(FREE), witness: Witness::default(), len, hash: AtomicU32::new(0) };
        // SAFETY: room and alignment by the contract.
        unsafe { at.cast::<Header>().write(header) };
        // SAFETY: just written.
        unsafe { touch(at.cast()) };
        // SAFETY: within the block.
        let link = unsafe { at.add(LINK_AT) };
        // SAFETY: a least block has room for it.
        unsafe { link.cast::<*mut u8>().write_unaligned(next) };
        Self(at)
    }

    /// # Safety
    /// `at` leads to what [`write`](Self::write) wrote.
    pub(super) unsafe fn next(at: NonNull<u8>) -> *mut u8 {
        // SAFETY: within the block.
        let link = unsafe { at.add(LINK_AT) };
        // SAFETY: written by `write`.
        unsafe { link.cast::<*mut u8>().read_unaligned() }
    }

    pub(super) fn pointer(self) -> NonNull<u8> {
        self.0
    }
}

/// Tells the models that nobody may be reading the entry.
///
/// # Safety
/// `at` leads to an entry or a free block.
pub(super) unsafe fn touch(at: NonNull<Header>) {
    // SAFETY: by the contract.
    unsafe { at.as_ref() }.witness.touch();
}

/// Whether two texts of one length are the same: common lengths by two words or four, wherever they end.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    let len = a.len().min(b.len());
    let differing = |at: usize| {
        let word = |text: &[u8]| {
            // SAFETY: `at` is at most `len - 8`, for all that it is called with below.
            let at = unsafe { text.as_ptr().add(at) };
            // SAFETY: eight bytes from there lie in the text.
            unsafe { at.cast::<u64>().read_unaligned() }
        };
        word(a) ^ word(b)
    };
    // The words may overlap, and leave no gap.
    match len {
        8..=16 => differing(0) | differing(len - 8) == 0,
        17..=32 => differing(0) | differing(8) | differing(len - 16) | differing(len - 8) == 0,
        _ => a == b,
    }
}

#[cold]
#[inline(never)]
fn too_many_holders() -> ! {
    panic!("an interned string is held {HOLDERS_MAX} times");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_to_the_last_byte() {
        for len in 0..40 {
            let text: Vec<u8> = (0..len).map(|i| b'a' + i % 26).collect();
            assert!(same(&text, &text.clone()));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!same(&text, &other), "{len} bytes, another at {at}");
            }
        }
    }
}
