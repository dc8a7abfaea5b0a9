//! Where a shard's entries lie: chunks that are filled from their beginning, and lists of blocks that came back.
//!
//! Stands under a pool's shard, behind its lock. A chunk is blocks from end to end, each with an entry's header, free ones
//! included, so that it can be walked: to join free neighbours, to give whole chunks back, and to find what is still
//! held when the pool ends. Then each chunk with held entries stays alone, without pool and tables, until the last of them
//! is let go.
//!
//! Invariants: every byte of a chunk between its header and its end belongs to one block, except what the newest chunk has not
//! handed out and a rest too small for a block; a block's size follows from its header. Every chunk is booked in the pool's
//! account before it is made. Cost: one heap call per chunk, of 1 KiB at first, then a quarter of what the shard holds, 64
//! KiB at most; a longer text has a chunk to itself.
#![expect(unsafe_code, reason = "blocks are raw memory until an entry is written")]

use super::account::{Account, PoolFull};
use super::entry::{
    BLOCK_BYTES_MIN, CONSTANT, Entry, FREE, FreeBlock, HEADER_BYTES, Header, TEXT_BYTES_MAX, WORD_BYTES, touch,
};
use crate::sync::{AtomicUsize, Ordering, Witness, fence};
use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{self, NonNull};

/// Sizes of blocks are multiples of it.
const UNIT: usize = align_of::<Header>();
/// Sizes with a list of their own: up to 140 bytes, which is a text of 128.
const CLASSES: usize = 32;
const CHUNK_BYTES_MIN: usize = 1 << 10;
const CHUNK_BYTES_MAX: usize = 1 << 16;
/// How many of the larger blocks are looked at for one that fits.
const LARGE_TRIES: usize = 16;

/// What lies at the beginning of a chunk.
#[repr(C)]
struct Chunk {
    next: *mut Chunk,
    /// The chunk's size.
    bytes: usize,
    /// Once the pool is gone, held entries in it; one more while the pool is going.
    orphans: AtomicUsize,
    /// Looked at by whoever leaves the chunk, touched by whoever frees it.
    witness: Witness,
}

const CHUNK_HEADER_BYTES: usize = size_of::<Chunk>();
const _: () = assert!(CHUNK_HEADER_BYTES.is_multiple_of(UNIT) && align_of::<Chunk>().is_multiple_of(UNIT));

/// The chunks of one shard.
#[derive(Debug)]
pub(super) struct Storage {
    /// The newest chunk, from which blocks are taken; the others hang behind it.
    newest: *mut Chunk,
    /// What the newest chunk has not handed out lies from here to `end`.
    finger: *mut u8,
    end: *mut u8,
    /// All chunks together.
    bytes: usize,
    /// All blocks in the lists together.
    free_bytes: usize,
    free: [*mut u8; CLASSES],
    /// A bit for each list of `free` that has a block.
    filled: u32,
    /// Free blocks larger than the lists' sizes.
    large: *mut u8,
}

// SAFETY: it owns what it points at, and nothing in it knows a thread.
unsafe impl Send for Storage {}

/// The block that a text of so many bytes takes.
pub(super) const fn block_bytes(text: usize) -> usize {
    let bytes = (HEADER_BYTES + text).next_multiple_of(UNIT);
    if bytes < BLOCK_BYTES_MIN { BLOCK_BYTES_MIN } else { bytes }
}

/// The list of blocks of this size, or of the largest ones.
const fn class(bytes: usize) -> usize {
    (bytes - BLOCK_BYTES_MIN) / UNIT
}

/// Whether a block of `has` bytes serves for one of `bytes`: a rest must be a block.
const fn fits(has: usize, bytes: usize) -> bool {
    has == bytes || has >= bytes + BLOCK_BYTES_MIN
}

impl Storage {
    pub(super) const fn new() -> Self {
        Self {
            newest: ptr::null_mut(),
            finger: ptr::null_mut(),
            end: ptr::null_mut(),
            bytes: 0,
            free_bytes: 0,
            free: [ptr::null_mut(); CLASSES],
            filled: 0,
            large: ptr::null_mut(),
        }
    }

    /// A block for a text of `text` bytes. It is unused, aligned to [`Header`], and an entry must be written to it before
    /// anything else is asked of the storage.
    pub(super) fn take(&mut self, text: usize, account: &Account) -> Result<NonNull<u8>, PoolFull> {
        if text > TEXT_BYTES_MAX {
            return Err(PoolFull::Bytes { asked: text, used: account.bytes(), allowed: account.bytes_max });
        }
        let bytes = block_bytes(text);
        if let Some(block) = self.take_listed(bytes, true).or_else(|| self.take_newest(bytes)) {
            return Ok(block);
        }
        if let Some(block) = self.take_listed(bytes, false) {
            return Ok(block);
        }
        if self.free_bytes > self.bytes / 2 {
            // Free memory in pieces too small: before more is taken, once per chunk at most, they are joined.
            self.tidy(account);
            if let Some(block) = self.take_listed(bytes, false).or_else(|| self.take_newest(bytes)) {
                return Ok(block);
            }
        }
        self.take_new(bytes, account)
    }

    /// Takes a free block of just this size, or of any that serves.
    fn take_listed(&mut self, bytes: usize, exact: bool) -> Option<NonNull<u8>> {
        let from = if exact { class(bytes) } else { class(bytes + BLOCK_BYTES_MIN) };
        if from < CLASSES {
            let filled = self.filled >> from << from;
            let index = filled.trailing_zeros() as usize;
            if index < CLASSES && (!exact || index == from) {
                let block = NonNull::new(self.free[index])?;
                // SAFETY: lists hold free blocks.
                self.free[index] = unsafe { FreeBlock::next(block) };
                if self.free[index].is_null() {
                    self.filled &= !(1 << index);
                }
                return Some(self.carve(block, BLOCK_BYTES_MIN + index * UNIT, bytes));
            }
            if exact {
                return None;
            }
        }
        self.take_large(bytes)
    }

    fn take_large(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        let mut before: Option<NonNull<u8>> = None;
        let mut at = self.large;
        for _ in 0..LARGE_TRIES {
            let block = NonNull::new(at)?;
            // SAFETY: lists hold free blocks.
            let next = unsafe { FreeBlock::next(block) };
            let (_, has) = self.block(block);
            // A chunk that was made for a long text is never cut up: a short name would keep all of it.
            if fits(has, bytes) && (has <= CHUNK_BYTES_MAX || has == bytes) {
                match before {
                    None => self.large = next,
                    Some(before) => {
                        let (_, its) = self.block(before);
                        // SAFETY: a free block stays one, with another link.
                        unsafe { FreeBlock::write(before, its, next) };
                    }
                }
                return Some(self.carve(block, has, bytes));
            }
            before = Some(block);
            at = next;
        }
        None
    }

    /// The first `bytes` of a free block that has left its list; the rest goes to the list of its size.
    fn carve(&mut self, block: NonNull<u8>, has: usize, bytes: usize) -> NonNull<u8> {
        debug_assert!(fits(has, bytes));
        self.free_bytes -= has;
        if has > bytes {
            // SAFETY: within the block.
            let rest = unsafe { block.add(bytes) };
            self.put(rest, has - bytes);
        }
        block
    }

    fn take_newest(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        if self.end.addr() - self.finger.addr() < bytes {
            return None;
        }
        let block = NonNull::new(self.finger)?;
        // SAFETY: not beyond the chunk's end.
        self.finger = unsafe { self.finger.add(bytes) };
        Some(block)
    }

    #[cold]
    fn take_new(&mut self, bytes: usize, account: &Account) -> Result<NonNull<u8>, PoolFull> {
        let usual = (self.bytes / 4).next_power_of_two().clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        let least = (CHUNK_HEADER_BYTES + bytes).next_multiple_of(align_of::<Chunk>());
        let mut size = if bytes > usual / 4 { least } else { usual };
        if let Err(full) = account.reserve(size) {
            // A last small one, where the cap has room for no usual one.
            if size == least || account.reserve(least).is_err() {
                return Err(full);
            }
            size = least;
        }
        let Some(chunk) = new_chunk(size) else { return Err(account.refused_by_allocator(size)) };
        self.bytes += size;
        // SAFETY: within the chunk, behind its header.
        let block = unsafe { chunk.cast::<u8>().add(CHUNK_HEADER_BYTES) };
        // SAFETY: within the chunk, or its end.
        let finger = unsafe { block.add(bytes) }.as_ptr();
        // SAFETY: its end.
        let end = unsafe { chunk.cast::<u8>().add(size) }.as_ptr();
        match NonNull::new(self.newest) {
            Some(newest) if self.end.addr() - self.finger.addr() >= end.addr() - finger.addr() => {
                // The newest has more left than this one would.
                // SAFETY: `newest` is a chunk of ours.
                let next = unsafe { newest.read() }.next;
                Self::link(chunk, next);
                Self::link(newest, chunk.as_ptr());
                self.rest(finger, end);
            }
            _ => {
                let (finger_before, end_before) = (self.finger, self.end);
                self.rest(finger_before, end_before);
                Self::link(chunk, self.newest);
                self.newest = chunk.as_ptr();
                (self.finger, self.end) = (finger, end);
            }
        }
        Ok(block)
    }

    fn link(chunk: NonNull<Chunk>, next: *mut Chunk) {
        // SAFETY: a chunk of ours, behind the shard's lock.
        let place = unsafe { &raw mut (*chunk.as_ptr()).next };
        // SAFETY: likewise.
        unsafe { place.write(next) };
    }

    /// What a chunk will not hand out from its end becomes a free block.
    fn rest(&mut self, finger: *mut u8, end: *mut u8) {
        if let Some(rest) = NonNull::new(finger).filter(|_| end.addr() - finger.addr() >= BLOCK_BYTES_MIN) {
            self.put(rest, (end.addr() - finger.addr()) / UNIT * UNIT);
        }
    }

    /// Gives an entry's block back.
    ///
    /// # Safety
    /// The entry is one of this storage, nobody reads it any more, and it is not used after this.
    pub(super) unsafe fn give_back(&mut self, entry: Entry<'_>) {
        let at = entry.pointer();
        // SAFETY: an entry.
        unsafe { touch(at) };
        let (_, bytes) = self.block(at.cast());
        self.put(at.cast(), bytes);
    }

    /// Makes a block of no entry free.
    fn put(&mut self, at: NonNull<u8>, bytes: usize) {
        self.free_bytes += bytes;
        let index = class(bytes);
        let list = if index < CLASSES { &mut self.free[index] } else { &mut self.large };
        // SAFETY: nobody has it; its size is a block's, as all callers see to.
        let block = unsafe { FreeBlock::write(at, bytes, *list) };
        *list = block.pointer().as_ptr();
        if index < CLASSES {
            self.filled |= 1 << index;
        }
    }

    /// State and size of a block.
    #[expect(clippy::unused_self, reason = "the block is one of its own")]
    fn block(&self, at: NonNull<u8>) -> (u32, usize) {
        // SAFETY: every block begins with a header.
        let entry = unsafe { Entry::at(at.cast()) };
        let state = entry.state();
        let word = if state == CONSTANT { WORD_BYTES } else { 0 };
        (state, block_bytes(entry.len() + word))
    }

    /// The first byte of a chunk's blocks, and the one behind the last of those handed out.
    fn bounds(&self, chunk: NonNull<Chunk>) -> (NonNull<u8>, usize) {
        // SAFETY: a chunk of ours.
        let bytes = unsafe { chunk.as_ref() }.bytes;
        // SAFETY: within the chunk.
        let first = unsafe { chunk.cast::<u8>().add(CHUNK_HEADER_BYTES) };
        let end = if chunk.as_ptr() == self.newest { self.finger.addr() } else { chunk.addr().get() + bytes };
        (first, end)
    }

    /// Joins free neighbours, and gives chunks without an entry back to the global allocator. Walks all of them.
    pub(super) fn tidy(&mut self, account: &Account) {
        self.free = [ptr::null_mut(); CLASSES];
        (self.filled, self.free_bytes) = (0, 0);
        self.large = ptr::null_mut();
        let mut at = self.newest;
        let mut kept: Option<NonNull<Chunk>> = None;
        while let Some(chunk) = NonNull::new(at) {
            let (first, end) = self.bounds(chunk);
            // SAFETY: a chunk of ours.
            at = unsafe { chunk.as_ref() }.next;
            if self.join_free(first, end) {
                // SAFETY: no entry lies in it, and no list leads to it.
                let bytes = unsafe { free_chunk(chunk) };
                self.bytes -= bytes;
                account.refund(bytes);
                continue;
            }
            if let Some(before) = kept {
                Self::link(before, chunk.as_ptr());
            } else if self.newest != chunk.as_ptr() {
                // The newest went. This one has handed everything out.
                self.newest = chunk.as_ptr();
                self.finger = ptr::without_provenance_mut(end);
                self.end = self.finger;
            }
            kept = Some(chunk);
        }
        if let Some(last) = kept {
            Self::link(last, ptr::null_mut());
        } else {
            self.newest = ptr::null_mut();
            self.finger = ptr::null_mut();
            self.end = ptr::null_mut();
        }
    }

    /// Puts the free blocks between two places of a chunk into the lists, neighbours joined. `true` if there is nothing
    /// else between them; then none is in a list.
    fn join_free(&mut self, first: NonNull<u8>, end: usize) -> bool {
        let (mut at, mut run, mut held) = (first, None::<(NonNull<u8>, usize)>, false);
        while end - at.addr().get() >= BLOCK_BYTES_MIN {
            let (state, bytes) = self.block(at);
            if state == FREE {
                let (start, before) = run.unwrap_or((at, 0));
                run = Some((start, before + bytes));
            } else {
                held = true;
                if let Some((start, bytes)) = run.take() {
                    self.put(start, bytes);
                }
            }
            // SAFETY: blocks lie one behind another, up to `end`.
            at = unsafe { at.add(bytes) };
        }
        if let Some((start, bytes)) = run.filter(|_| held) {
            if self.finger.addr() == end {
                self.finger = start.as_ptr();
            } else {
                self.put(start, bytes);
            }
        }
        !held
    }

    /// Ends the storage: what is still held stays, in chunks that go with the last of their entries.
    pub(super) fn close(&mut self) {
        let mut at = self.newest;
        while let Some(chunk) = NonNull::new(at) {
            let (first, end) = self.bounds(chunk);
            // SAFETY: a chunk of ours, which has one orphan at least: the pool.
            let orphans = unsafe { &chunk.as_ref().orphans };
            // SAFETY: likewise.
            at = unsafe { chunk.as_ref() }.next;
            let mut block = first;
            while end - block.addr().get() >= BLOCK_BYTES_MIN {
                let (_, bytes) = self.block(block);
                // SAFETY: every block begins with a header.
                let entry = unsafe { Entry::at(block.cast()) };
                #[expect(clippy::cast_possible_truncation, reason = "an entry lies in the first 64 KiB of its chunk")]
                let chunk_offset = (block.addr().get() - chunk.addr().get()) as u32;
                // Relaxed: the count cannot come to 0 while the pool has its one.
                orphans.fetch_add(1, Ordering::Relaxed);
                if !entry.orphan(chunk_offset) {
                    orphans.fetch_sub(1, Ordering::Relaxed);
                    // SAFETY: a block; nobody holds what lies in it.
                    unsafe { touch(entry.pointer()) };
                }
                // SAFETY: blocks lie one behind another, up to `end`.
                block = unsafe { block.add(bytes) };
            }
            // SAFETY: the pool's own one, which is not used after this.
            unsafe { leave_chunk(chunk) };
        }
        *self = Self::new();
    }
}

/// The last holder of an orphan has gone.
///
/// # Safety
/// [`Entry::let_go`] was `true`, and the entry is not used after this.
#[cold]
pub(super) unsafe fn leave(entry: Entry<'_>) {
    // Acquire: pairs with the Release in `Entry::let_go` of the others, and in `Entry::orphan`.
    fence(Ordering::Acquire);
    // SAFETY: an orphan knows how far it lies from its chunk's beginning.
    let chunk = unsafe { entry.pointer().cast::<u8>().sub(entry.chunk_offset()) };
    // SAFETY: the entry's one.
    unsafe { leave_chunk(chunk.cast()) };
}

/// One orphan less; the last one frees the chunk.
///
/// # Safety
/// The caller has one, which is gone after this.
unsafe fn leave_chunk(chunk: NonNull<Chunk>) {
    // SAFETY: the chunk is there while one is left.
    let Chunk { orphans, witness, .. } = unsafe { chunk.as_ref() };
    witness.look();
    // AcqRel: what the others did in the chunk lies before the last one frees it.
    if orphans.fetch_sub(1, Ordering::AcqRel) == 1 {
        // SAFETY: nobody else is left.
        unsafe { free_chunk(chunk) };
    }
}

fn new_chunk(bytes: usize) -> Option<NonNull<Chunk>> {
    let layout = Layout::from_size_align(bytes, align_of::<Chunk>()).ok()?;
    // SAFETY: not empty, since a chunk has a header.
    let at = NonNull::new(unsafe { alloc(layout) })?;
    let chunk = at.cast::<Chunk>();
    // SAFETY: fresh memory, large enough for the header and aligned to it.
    unsafe {
        chunk.write(Chunk { next: ptr::null_mut(), bytes, orphans: AtomicUsize::new(1), witness: Witness::default() });
    };
    Some(chunk)
}

/// # Safety
/// The chunk came from [`new_chunk`], and is not used after this.
unsafe fn free_chunk(chunk: NonNull<Chunk>) -> usize {
    // SAFETY: by the contract.
    let Chunk { bytes, witness, .. } = unsafe { chunk.as_ref() };
    witness.touch();
    let bytes = *bytes;
    let layout = Layout::from_size_align(bytes, align_of::<Chunk>()).unwrap_or(Layout::new::<Chunk>());
    // SAFETY: allocated with this layout.
    unsafe { dealloc(chunk.as_ptr().cast(), layout) };
    bytes
}
