//! Hand-written lower bounds: what the work costs when nothing but the work is done.
//!
//! They are no libraries: neither [`ShardedBump`] nor [`Region`] has a budget, cleanups or a pool behind it. Both are sound, so that they
//! show a cost that could be reached, not one that skips a check that must be there.
#![expect(unsafe_code, reason = "raw memory handed out as references; proofs stand at each block")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bumpalo::Bump;

/// Identities are never used twice, so a stale cache entry can never match.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The identity of the arena that this thread used last, and this thread's shard of it.
    static CACHED: Cell<(u64, *const Bump)> = const { Cell::new((0, ptr::null())) };
}

/// A bump that any thread may use: a thread-local cache of one shard over one `Bump` per thread.
///
/// This is the lower bound for [`blixard_arena::SharedArena`].
#[derive(Debug)]
pub struct ShardedBump {
    id: u64,
    chunk_bytes: usize,
    taken: AtomicUsize,
    // Invariant: the boxes are never dropped or moved out before `self` is, and shard `i` is handed to one thread per `id`.
    #[expect(clippy::vec_box, reason = "threads keep the address of a shard while the list grows")]
    shards: Mutex<Vec<Box<Bump>>>,
}

// SAFETY: through `&self` a thread only reaches the `Bump` that was handed to it alone: `attach` gives each index of `shards` out once per
// `id`, and the cache that remembers it is thread-local and keyed by that never-reused `id`. The values put in are `Copy + Send` (see `alloc`).
unsafe impl Sync for ShardedBump {}

impl ShardedBump {
    /// An empty one, whose shards begin with a chunk of `chunk_bytes`.
    #[must_use]
    pub fn new(chunk_bytes: usize) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            chunk_bytes,
            taken: AtomicUsize::new(0),
            shards: Mutex::new(Vec::new()),
        }
    }

    /// Bumps `value` into this thread's shard.
    #[expect(clippy::mut_from_ref, reason = "each call hands out a fresh place, as in bumpalo")]
    pub fn alloc<T: Copy + Send>(&self, value: T) -> &mut T {
        let (id, shard) = CACHED.get();
        let shard = if id == self.id { shard } else { self.attach() };
        // SAFETY: `shard` points into a box of `self.shards`, which lives as long as `self`; it was handed to this thread alone under
        // this `id`, so no other thread touches the `Bump` while `&self` lives, and `reset` needs `&mut self`.
        unsafe { &*shard }.alloc(value)
    }

    #[cold]
    fn attach(&self) -> *const Bump {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: the lock orders it.
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        if index == shards.len() {
            shards.push(Box::new(Bump::with_capacity(self.chunk_bytes)));
        }
        let shard: *const Bump = &raw const *shards[index];
        CACHED.set((self.id, shard));
        shard
    }

    /// Rewinds every shard and takes a new identity, so that every thread's cache misses once.
    pub fn reset(&mut self) {
        self.id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        *self.taken.get_mut() = 0;
        for shard in self.shards.get_mut().unwrap_or_else(PoisonError::into_inner) {
            shard.reset();
        }
    }
}

/// Every address and size in a [`Region`] is a multiple of this, or of one for text.
const ALIGN: usize = 8;

/// A bump upwards through one chunk, whose last allocation grows and shrinks in place: the memory under the hand-tuned request.
#[derive(Debug)]
pub struct Region {
    next: Cell<NonNull<u8>>,
    // Invariant: `next..end` lies in the last of `chunks`, `next <= end`, and no reference points into it.
    end: Cell<NonNull<u8>>,
    // Invariant: each came from `alloc` with its layout and is freed once, in `drop` or `reset`.
    chunks: RefCell<Vec<(NonNull<u8>, Layout)>>,
}

impl Region {
    /// A region with a first chunk of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let region = Self {
            next: Cell::new(NonNull::dangling()),
            end: Cell::new(NonNull::dangling()),
            chunks: RefCell::default(),
        };
        region.add_chunk(bytes);
        region
    }

    #[cold]
    #[inline(never)]
    fn add_chunk(&self, bytes_min: usize) {
        let mut chunks = self.chunks.borrow_mut();
        let bytes = chunks.last().map_or(bytes_min, |(_, layout)| bytes_min.max(2 * layout.size())).max(64);
        let layout = Layout::from_size_align(bytes, 16).expect("a chunk of sensible size");
        // SAFETY: `bytes` is at least 64, so the layout is not empty.
        let Some(chunk) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        chunks.push((chunk, layout));
        self.next.set(chunk);
        // SAFETY: `bytes` is the size of the chunk, so this is its end.
        self.end.set(unsafe { chunk.add(bytes) });
    }

    /// The address of `bytes` fresh bytes, `align` being 1 or [`ALIGN`].
    #[inline]
    fn take(&self, bytes: usize, align: usize) -> NonNull<u8> {
        debug_assert!(align == 1 || align == ALIGN, "alignment {align}");
        loop {
            let next = self.next.get();
            let padding = next.addr().get().wrapping_neg() & (align - 1);
            let room = self.end.get().addr().get() - next.addr().get();
            if bytes <= room.saturating_sub(padding) && padding <= room {
                // SAFETY: `padding + bytes <= room`, so both sums stay within `next..=end` of one chunk.
                let start = unsafe { next.add(padding) };
                // SAFETY: as above.
                self.next.set(unsafe { start.add(bytes) });
                return start;
            }
            self.add_chunk(bytes.checked_add(ALIGN).expect("an allocation of sensible size"));
        }
    }

    /// Copies a string.
    #[inline]
    pub fn alloc_str(&self, text: &str) -> &str {
        let start = self.take(text.len(), 1);
        // SAFETY: `take` gave `text.len()` fresh bytes, which no reference points into.
        unsafe { copy_short(text.as_ptr(), start.as_ptr(), text.len()) };
        // SAFETY: they were just written and live until `reset` or drop, which need the region whole.
        let bytes = unsafe { slice::from_raw_parts(start.as_ptr(), text.len()) };
        // SAFETY: a copy of a `str`.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }

    /// Lets everything go; the largest chunk stays.
    pub fn reset(&mut self) {
        let chunks = self.chunks.get_mut();
        for (chunk, layout) in chunks.drain(..chunks.len() - 1) {
            // SAFETY: allocated with this layout and taken off the list; `&mut self` says that nothing borrows from it.
            unsafe { dealloc(chunk.as_ptr(), layout) };
        }
        let (chunk, layout) = chunks[0];
        self.next.set(chunk);
        // SAFETY: the end of the chunk.
        self.end.set(unsafe { chunk.add(layout.size()) });
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        for (chunk, layout) in self.chunks.get_mut().drain(..) {
            // SAFETY: allocated with this layout and taken off the list; a drop means that nothing borrows from it.
            unsafe { dealloc(chunk.as_ptr(), layout) };
        }
    }
}

/// Copies `len` bytes without a call for the lengths that names have.
///
/// # Safety
/// As [`ptr::copy_nonoverlapping`] for `len` bytes.
#[inline]
unsafe fn copy_short(from: *const u8, to: *mut u8, len: usize) {
    if (8..=16).contains(&len) {
        // SAFETY: the caller's promise; 8 <= len <= 16.
        unsafe { copy_ends::<[u8; 8]>(from, to, len) };
    } else if (17..=32).contains(&len) {
        // SAFETY: the caller's promise; 16 <= len <= 32.
        unsafe { copy_ends::<[u8; 16]>(from, to, len) };
    } else {
        // SAFETY: the caller's promise.
        unsafe { ptr::copy_nonoverlapping(from, to, len) };
    }
}

/// Copies the first and the last `size_of::<W>()` of `len` bytes, which may lie over one another.
///
/// # Safety
/// As [`ptr::copy_nonoverlapping`] for `len` bytes, of which there are one to two times `size_of::<W>()`; `W` is an array of bytes.
#[inline]
unsafe fn copy_ends<W: Copy>(from: *const u8, to: *mut u8, len: usize) {
    let last = len - size_of::<W>();
    // SAFETY: `last <= len`.
    let (from_last, to_last) = (unsafe { from.add(last) }, unsafe { to.add(last) });
    // SAFETY: `len >= size_of::<W>()` bytes are readable, and bytes have no alignment.
    let head: W = unsafe { from.cast::<W>().read() };
    // SAFETY: `len - last` bytes are.
    let tail: W = unsafe { from_last.cast::<W>().read() };
    // SAFETY: as many are writable.
    unsafe { to.cast::<W>().write(head) };
    // SAFETY: as above.
    unsafe { to_last.cast::<W>().write(tail) };
}

/// A growing list in a [`Region`], which grows and is trimmed in place while it lies last.
#[derive(Debug)]
pub struct RegionVec<'a, T> {
    region: &'a Region,
    // Invariant: `start` is the address of `capacity` places of `T` in `region`, taken by this list alone, of which `len` are written.
    start: NonNull<T>,
    len: usize,
    capacity: usize,
}

impl<'a, T: Copy> RegionVec<'a, T> {
    /// An empty list with room for `capacity` values.
    ///
    /// # Panics
    /// If they would not fit into the address space.
    #[inline]
    #[must_use]
    pub fn with_capacity_in(capacity: usize, region: &'a Region) -> Self {
        const {
            assert!(align_of::<T>() == 1 || align_of::<T>() == ALIGN, "a region aligns to 1 or 8 bytes");
        };
        let bytes = capacity.checked_mul(size_of::<T>()).expect("a list of sensible size");
        let start = region.take(bytes, align_of::<T>()).cast();
        Self { region, start, len: 0, capacity }
    }

    /// Puts a value at the end.
    #[inline]
    pub fn push(&mut self, value: T) {
        if self.len == self.capacity {
            self.grow(1);
        }
        // SAFETY: `len < capacity` now.
        let place = unsafe { self.start.add(self.len) };
        // SAFETY: it lies in this list's places.
        unsafe { place.write(value) };
        self.len += 1;
    }

    #[cold]
    fn grow(&mut self, additional: usize) {
        let capacity = (self.len + additional).max(2 * self.capacity);
        let more = capacity - self.capacity;
        let more_bytes = more.checked_mul(size_of::<T>()).expect("a list of sensible size");
        // SAFETY: the end of this list's places.
        let end = unsafe { self.start.add(self.capacity) }.cast::<u8>();
        let next = self.region.next.get();
        if end == next && more_bytes <= self.region.end.get().addr().get() - next.addr().get() {
            // SAFETY: there is that much room behind `next`.
            self.region.next.set(unsafe { next.add(more_bytes) });
        } else {
            let moved = Self::with_capacity_in(capacity, self.region);
            // SAFETY: `len <= capacity` places, in two allocations of their own.
            unsafe {
                ptr::copy_nonoverlapping(self.start.as_ptr(), moved.start.as_ptr(), self.len);
            };
            self.start = moved.start;
        }
        self.capacity = capacity;
    }

    /// What is in it so far.
    #[inline]
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: `len` places are written, and `&mut self` keeps them from everyone else.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// What is in it for as long as the region stands; places that were not used go back if the list lies last.
    #[inline]
    #[must_use]
    pub fn into_slice(self) -> &'a [T] {
        // SAFETY: the end of this list's places.
        let end = unsafe { self.start.add(self.capacity) }.cast::<u8>();
        if end == self.region.next.get() {
            // SAFETY: `len <= capacity`.
            self.region.next.set(unsafe { self.start.add(self.len) }.cast());
        }
        // SAFETY: `len` places are written, nobody else has them, and they live as long as the region is not reset.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

/// Text that is written straight into a [`Region`].
#[derive(Debug)]
pub struct RegionText<'a>(RegionVec<'a, u8>);

impl<'a> RegionText<'a> {
    /// An empty text with room for `capacity` bytes.
    #[inline]
    #[must_use]
    pub fn with_capacity_in(capacity: usize, region: &'a Region) -> Self {
        Self(RegionVec::with_capacity_in(capacity, region))
    }

    /// Appends a string.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        let Self(bytes) = self;
        if bytes.capacity - bytes.len < text.len() {
            bytes.grow(text.len());
        }
        // SAFETY: `len <= capacity`.
        let end = unsafe { bytes.start.add(bytes.len) };
        // SAFETY: at least `text.len()` places are free behind `len`, and `text` cannot lie in them.
        unsafe { copy_short(text.as_ptr(), end.as_ptr(), text.len()) };
        bytes.len += text.len();
    }

    /// The text for as long as the region stands.
    #[inline]
    #[must_use]
    pub fn into_str(self) -> &'a str {
        // SAFETY: only whole strings were appended.
        unsafe { std::str::from_utf8_unchecked(self.0.into_slice()) }
    }
}

impl fmt::Write for RegionText<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_get_shards_of_their_own_and_resets_reuse_them() {
        let mut sharded = ShardedBump::new(4096);
        for round in 0..10_u64 {
            std::thread::scope(|scope| {
                for thread in 0..2_u64 {
                    let sharded = &sharded;
                    scope.spawn(move || {
                        let mine: Vec<&mut u64> = (0..100).map(|i| sharded.alloc(thread * 1000 + i)).collect();
                        for (i, value) in (0_u64..).zip(mine) {
                            assert_eq!(*value, thread * 1000 + i, "round {round}");
                        }
                    });
                }
            });
            sharded.reset();
            assert_eq!(sharded.shards.get_mut().unwrap().len(), 2);
        }
    }

    #[test]
    fn a_region_keeps_lists_texts_and_strings_of_all_lengths_apart_across_chunks() {
        let mut region = Region::new(64);
        for round in 0..3_usize {
            let mut numbers = RegionVec::with_capacity_in(1, &region);
            let mut text = RegionText::with_capacity_in(0, &region);
            let mut kept = Vec::new();
            for i in 0..300_usize {
                numbers.push(i as u64);
                let copied: String =
                    (0..i % 50).map(|at| char::from(b'a' + u8::try_from((at + i) % 26).unwrap())).collect();
                kept.push((region.alloc_str(&copied), copied));
                fmt::Write::write_fmt(&mut text, format_args!("{i},")).unwrap();
            }
            assert!(numbers.into_slice().iter().copied().eq(0..300), "round {round}");
            assert_eq!(text.into_str(), (0..300).map(|i| i.to_string() + ",").collect::<String>());
            assert!(kept.iter().all(|(in_region, expected)| in_region == expected), "round {round}");
            region.reset();
        }
        assert_eq!(region.chunks.get_mut().len(), 1, "only the largest chunk stays");
    }

    #[test]
    fn the_last_list_grows_and_is_trimmed_in_place() {
        let region = Region::new(4096);
        let start = region.next.get();
        let mut list = RegionVec::with_capacity_in(8, &region);
        (0..20_u64).for_each(|i| list.push(i));
        assert_eq!(list.as_mut_slice().as_ptr().addr(), start.addr().get());
        let _ = list.into_slice();
        assert_eq!(region.next.get().addr().get() - start.addr().get(), 20 * 8);
    }
}
