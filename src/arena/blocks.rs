//! Blocks that grow and shrink: what the `Allocator` implementations and the collections stand on.
//!
//! Stands above the region, generic over the kind of arena and over how a refusal is told. Invariants: the newest block of
//! a thread's region grows and shrinks in place, any other moves; a refused call leaves the block as it was; with
//! `Reset::Poison` and `Reset::Wipe` no byte that was written is handed out again before the reset.
//! Cost: in place an addition and two comparisons; no heap call while the chunk has room.
#![expect(unsafe_code, reason = "moves the bytes of live blocks")]

use super::Arena;
use super::ledger::{BudgetExceeded, Refusal};
use super::local::{INSIDE, Local};
use std::alloc::Layout;
use std::ptr::{self, NonNull};

/// # Safety
///
/// As for `Allocator::deallocate`.
#[inline(always)]
pub(super) unsafe fn give_back<L: Local>(arena: &L, block: NonNull<u8>, layout: Layout) {
    // A thread that has not allocated here cannot own the newest block of its region.
    if let Some(local) = arena.local_found(INSIDE)
        && local.reuses()
    {
        // SAFETY: live and of this layout, by the caller's promise; foreign blocks are left alone.
        unsafe { local.region().rewind(block, layout) };
    }
}

/// # Safety
///
/// As for `Allocator::grow`.
#[inline(always)]
pub(super) unsafe fn grow<L: Local, E: Refusal>(
    arena: &L,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<u8>, E> {
    let local = arena.local::<E>(INSIDE)?;
    // SAFETY: the caller's promise.
    if let Some(wider) = unsafe { local.region().extend(block, old, new) } {
        return Ok(wider);
    }
    // SAFETY: `new` is not smaller, so all of `old` is copied.
    unsafe { move_block::<E>(local, block, old.size(), new) }
}

/// # Safety
///
/// As for `Allocator::shrink`.
#[inline(always)]
pub(super) unsafe fn shrink<L: Local, E: Refusal>(
    arena: &L,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<u8>, E> {
    if block.addr().get().is_multiple_of(new.align()) {
        // In place, so without room: a thread that has not allocated here has nothing to give back.
        if let Some(local) = arena.local_found(INSIDE)
            && local.reuses()
        {
            // SAFETY: the caller's promise; aligned, so it does not move.
            unsafe { local.region().shrink(block, old, new) };
        }
        return Ok(block);
    }
    let local = arena.local::<E>(INSIDE)?;
    // SAFETY: `new` is not larger, so all of it is in the old block.
    unsafe { move_block::<E>(local, block, new.size(), new) }
}

/// Copies the first `len` bytes of a block into a new one, in a new chunk if need be.
///
/// # Safety
///
/// `block` is live, `len` bytes of it may be read, and `new` has room for as many.
#[cold]
unsafe fn move_block<E: Refusal>(local: &Arena, block: NonNull<u8>, len: usize, new: Layout) -> Result<NonNull<u8>, E> {
    let to = local.raw::<E>(new)?;
    // SAFETY: by the caller's promise; a fresh block overlaps nothing.
    unsafe { ptr::copy_nonoverlapping(block.as_ptr(), to.as_ptr(), len) };
    Ok(to)
}

/// [`grow_values`], if the calling thread's present chunk has room.
///
/// # Safety
///
/// As for [`grow_values`].
#[inline(always)]
pub(crate) unsafe fn grow_values_at_once<L: Local, T>(
    arena: &L,
    at: NonNull<T>,
    cap: usize,
    wider: usize,
) -> Option<NonNull<T>> {
    let region = arena.local_found(INSIDE)?.region();
    let new = Layout::array::<T>(wider).ok()?;
    if cap == 0 {
        return region.bump(new).map(NonNull::cast);
    }
    // SAFETY: the caller's promise; `new` is not smaller.
    unsafe { region.extend(at.cast(), values_layout::<T>(cap), new) }.map(NonNull::cast)
}

/// Moves or grows a block of `cap` values so that it has room for `wider`; the first block of a collection has 0.
///
/// # Safety
///
/// `at` is a live block of this arena for `cap` values, if `cap` is not 0. `wider >= cap`.
#[inline(always)]
pub(crate) unsafe fn grow_values<L: Local, T, E: Refusal>(
    arena: &L,
    at: NonNull<T>,
    cap: usize,
    wider: usize,
) -> Result<NonNull<T>, E> {
    let Ok(new) = Layout::array::<T>(wider) else { return Err(E::refuse(arena.local::<E>(INSIDE)?.overflow())) };
    if cap == 0 {
        return Ok(arena.local::<E>(INSIDE)?.raw::<E>(new)?.cast());
    }
    let old = values_layout::<T>(cap);
    // SAFETY: the caller's promise; `new` is not smaller.
    Ok(unsafe { grow::<L, E>(arena, at.cast(), old, new) }?.cast())
}

/// The error for a size that overflows, with the request's numbers.
#[cold]
pub(crate) fn overflow<L: Local>(arena: &L) -> BudgetExceeded {
    match arena.local::<BudgetExceeded>(INSIDE) {
        Ok(local) => local.overflow(),
        Err(refused) => BudgetExceeded { asked: usize::MAX, ..refused },
    }
}

/// Gives back what a block of `cap` values has beyond `narrower` of them, if it is the newest. It stays in its place.
///
/// # Safety
///
/// `at` is a live block of this arena for `cap` values, and `narrower <= cap`.
#[inline(always)]
pub(crate) unsafe fn shrink_values<L: Local, T>(arena: &L, at: NonNull<T>, cap: usize, narrower: usize) {
    if arena.local_found(INSIDE).is_some_and(Arena::reuses) {
        // SAFETY: the caller's promise.
        unsafe { shrink_unwritten(arena, at, cap, narrower) };
    }
}

/// [`shrink_values`] whatever becomes of memory at the reset: for values that were never written, or overwritten since.
///
/// # Safety
///
/// As for [`shrink_values`].
#[inline(always)]
pub(crate) unsafe fn shrink_unwritten<L: Local, T>(arena: &L, at: NonNull<T>, cap: usize, narrower: usize) {
    if let Some(local) = arena.local_found(INSIDE) {
        let (old, new) = (values_layout::<T>(cap), values_layout::<T>(narrower));
        // SAFETY: the caller's promise. The alignment stays, so the block need not move.
        unsafe { local.region().shrink(at.cast(), old, new) };
    }
}

/// The layout of a block that exists: no overflow.
fn values_layout<T>(len: usize) -> Layout {
    // SAFETY: the block was allocated with this layout, or with that of more values.
    unsafe { Layout::from_size_align_unchecked(len * size_of::<T>(), align_of::<T>()) }
}
