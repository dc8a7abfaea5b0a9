//! Building values: every `alloc` call of both kinds of arena, written once and generic over how a refusal is told.
//!
//! Stands between the public methods (`methods`) and `Arena::raw`. Invariants: nothing that
//! needs `Drop` is placed without a cleanup; memory is written before a reference to it exists; a caller's closure or
//! iterator may allocate in the same arena, since its target is taken before it runs.
//! Cost: no heap call while a chunk has room.
#![expect(unsafe_code, reason = "turns fresh memory into references")]
#![expect(clippy::mut_from_ref, reason = "fresh memory: nobody else can have it")]

use super::blocks;
use super::cleanups::{Deferred, Entry};
use super::ledger::Refusal;
use super::local::{INSIDE, Local};
use std::alloc::Layout;
use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};
use std::slice;

/// Refuses types whose destructor would be lost.
struct NoDrop<T>(T);

impl<T> NoDrop<T> {
    const CHECK: () = assert!(
        !mem::needs_drop::<T>(),
        "this type needs Drop, and an arena frees without dropping: use `alloc_with_drop` for a value that owns what it \
         holds, `adopt` for an Arc, `arena::typed` for a graph, or build it from `&'a str` and `&'a [T]` in the arena"
    );
}

#[inline(always)]
pub(super) fn raw<L: Local, E: Refusal>(arena: &L, layout: Layout) -> Result<NonNull<u8>, E> {
    arena.local::<E>(INSIDE)?.raw(layout)
}

#[inline(always)]
pub(super) fn alloc<L: Local, T, E: Refusal>(arena: &L, value: T) -> Result<&mut T, E> {
    const { NoDrop::<T>::CHECK }
    let at = raw::<L, E>(arena, Layout::new::<T>())?.cast::<T>();
    // SAFETY: fresh memory of `T`'s layout, disjoint from every other block.
    unsafe { at.write(value) };
    // SAFETY: just written; it stays until the arena is rewound, which needs the arena for itself, so not while this
    // borrow lives.
    Ok(unsafe { &mut *at.as_ptr() })
}

#[inline(always)]
pub(super) fn alloc_with<L: Local, T, E: Refusal>(arena: &L, f: impl FnOnce() -> T) -> Result<&mut T, E> {
    const { NoDrop::<T>::CHECK }
    let at = raw::<L, E>(arena, Layout::new::<T>())?.cast::<T>();
    // If it panics the block stays unused.
    let value = f();
    // SAFETY: as in `alloc`.
    unsafe { at.write(value) };
    // SAFETY: as in `alloc`.
    Ok(unsafe { &mut *at.as_ptr() })
}

#[inline(always)]
pub(super) fn alloc_uninit_slice<L: Local, T, E: Refusal>(arena: &L, len: usize) -> Result<&mut [MaybeUninit<T>], E> {
    const { NoDrop::<T>::CHECK }
    let at = raw_slice::<L, T, E>(arena, len)?;
    // SAFETY: fresh memory for `len` values; uninitialised is a valid state of `MaybeUninit`; lifetime as in `alloc`.
    Ok(unsafe { slice::from_raw_parts_mut(at.as_ptr().cast(), len) })
}

#[inline(always)]
pub(super) fn raw_slice<L: Local, T, E: Refusal>(arena: &L, len: usize) -> Result<NonNull<T>, E> {
    let local = arena.local::<E>(INSIDE)?;
    match Layout::array::<T>(len) {
        Ok(layout) => Ok(local.raw::<E>(layout)?.cast()),
        Err(_) => Err(E::refuse(local.overflow())),
    }
}

#[inline(always)]
pub(super) fn alloc_slice_copy<'a, L: Local, T: Copy, E: Refusal>(arena: &'a L, from: &[T]) -> Result<&'a mut [T], E> {
    let layout = Layout::for_value(from);
    let at = raw::<L, E>(arena, layout)?.cast::<T>();
    // SAFETY: both are valid for `from.len()` values, and fresh memory overlaps nothing. `T: Copy`.
    unsafe { copy_short(from.as_ptr().cast(), at.as_ptr().cast(), layout.size()) };
    // SAFETY: `from.len()` values were just copied there; lifetime as in `alloc`.
    Ok(unsafe { slice::from_raw_parts_mut(at.as_ptr(), from.len()) })
}

#[inline(always)]
pub(super) fn alloc_str<'a, L: Local, E: Refusal>(arena: &'a L, from: &str) -> Result<&'a mut str, E> {
    let at = raw::<L, E>(arena, Layout::for_value(from))?;
    // SAFETY: both are valid for `from.len()` bytes, and fresh memory overlaps nothing.
    unsafe { copy_short(from.as_ptr(), at.as_ptr(), from.len()) };
    // SAFETY: `from.len()` bytes were just copied there; lifetime as in `alloc`.
    let bytes = unsafe { slice::from_raw_parts_mut(at.as_ptr(), from.len()) };
    // SAFETY: the bytes are those of a `str`.
    Ok(unsafe { std::str::from_utf8_unchecked_mut(bytes) })
}

/// Copies bytes, initialised or not. Names are short, and for them a call of `memcpy` costs more than the copy: up to 64
/// bytes are moved as two words that may overlap.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
pub(crate) unsafe fn copy_short(from: *const u8, to: *mut u8, len: usize) {
    /// Copies the first and the last `size_of::<W>()` bytes.
    ///
    /// # Safety
    ///
    /// As for `ptr::copy_nonoverlapping`, and `size_of::<W>() <= len <= 2 * size_of::<W>()`.
    #[inline(always)]
    unsafe fn ends<W: Copy>(from: *const u8, to: *mut u8, len: usize) {
        let last = len - size_of::<W>();
        // SAFETY: a word fits into `len` bytes; `MaybeUninit` may hold any of them.
        let first_word = unsafe { from.cast::<MaybeUninit<W>>().read_unaligned() };
        // SAFETY: `last` bytes in, there is a word left.
        let last_word = unsafe { from.wrapping_byte_add(last).cast::<MaybeUninit<W>>().read_unaligned() };
        // SAFETY: as for the first read.
        unsafe { to.cast::<MaybeUninit<W>>().write_unaligned(first_word) };
        // SAFETY: as for the second read.
        unsafe { to.wrapping_byte_add(last).cast::<MaybeUninit<W>>().write_unaligned(last_word) };
    }
    match len {
        // SAFETY: the caller's promise, and `len` is in range.
        8..=16 => unsafe { ends::<u64>(from, to, len) },
        // SAFETY: as above.
        17..=32 => unsafe { ends::<u128>(from, to, len) },
        // SAFETY: as above.
        33..=64 => unsafe { ends::<[u128; 2]>(from, to, len) },
        // SAFETY: as above.
        4..=7 => unsafe { ends::<u32>(from, to, len) },
        // SAFETY: as above.
        2..=3 => unsafe { ends::<u16>(from, to, len) },
        // SAFETY: the caller's promise.
        _ => unsafe { ptr::copy_nonoverlapping(from, to, len) },
    }
}

#[inline(always)]
pub(super) fn alloc_slice_fill_with<L: Local, T, E: Refusal>(
    arena: &L,
    len: usize,
    mut f: impl FnMut(usize) -> T,
) -> Result<&mut [T], E> {
    const { NoDrop::<T>::CHECK }
    let at = raw_slice::<L, T, E>(arena, len)?;
    for i in 0..len {
        let value = f(i);
        // SAFETY: `i < len`, inside the block. If `f` panics, what was written is forgotten: nothing needs dropping.
        let place = unsafe { at.add(i) };
        // SAFETY: as above; aligned, since the block is.
        unsafe { place.write(value) };
    }
    // SAFETY: all `len` values are written; lifetime as in `alloc`.
    Ok(unsafe { slice::from_raw_parts_mut(at.as_ptr(), len) })
}

/// Takes any iterator: the lower bound of its hint is reserved, and what comes beyond grows by doubling.
#[inline(always)]
pub(super) fn alloc_slice_fill_iter<L: Local, T, E: Refusal>(
    arena: &L,
    values: impl IntoIterator<Item = T>,
) -> Result<&mut [T], E> {
    const { NoDrop::<T>::CHECK }
    let mut values = values.into_iter();
    let mut room = values.size_hint().0;
    let mut at = raw_slice::<L, T, E>(arena, room)?;
    let mut len = 0;
    // The hint is believed for memory, never for length: an iterator may lie, and may allocate in this arena.
    while let Some(value) = values.next() {
        if len == room {
            let more = values.size_hint().0.saturating_add(1).max(room).max(4);
            let wider = len.saturating_add(more);
            // SAFETY: the present block, and more than it has.
            at = unsafe { blocks::grow_values::<L, T, E>(arena, at, room, wider) }?;
            room = wider;
        }
        // SAFETY: `len < room`, inside the block.
        let place = unsafe { at.add(len) };
        // SAFETY: as above.
        unsafe { place.write(value) };
        len += 1;
    }
    if len < room {
        // SAFETY: the block has room for `room` values, and fewer are used.
        unsafe { blocks::shrink_unwritten(arena, at, room, len) };
    }
    // SAFETY: `len` values are written; lifetime as in `alloc`.
    Ok(unsafe { slice::from_raw_parts_mut(at.as_ptr(), len) })
}

pub(super) fn alloc_with_drop<L: Local, T: Send + 'static, E: Refusal>(arena: &L, value: T) -> Result<&mut T, E> {
    if !mem::needs_drop::<T>() {
        let at = raw::<L, E>(arena, Layout::new::<T>())?.cast::<T>();
        // SAFETY: as in `alloc`.
        unsafe { at.write(value) };
        // SAFETY: as in `alloc`.
        return Ok(unsafe { &mut *at.as_ptr() });
    }
    let at = raw::<L, E>(arena, Layout::new::<Entry<T>>())?.cast::<Entry<T>>();
    // SAFETY: fresh memory of this request, whose cleanups run before any of its memory is rewound.
    let value = unsafe { arena.cleanups(INSIDE).push(at, value) };
    // SAFETY: `push` wrote the value and returns its place; it is dropped by `run_all`, which needs the arena for itself.
    Ok(unsafe { &mut *value.as_ptr() })
}

pub(super) fn defer<L: Local, E: Refusal>(arena: &L, call: impl FnOnce() + Send + 'static) -> Result<(), E> {
    // Placed first and armed then: a call that finds no place is dropped without being called.
    alloc_with_drop::<L, _, E>(arena, Deferred::idle()).map(|deferred| deferred.arm(call))
}
