//! Arenas as allocators for the collections of others: allocator-api2 0.2's `Allocator` on `&Arena` and `&SharedArena`.
//!
//! Stands beside `values`, for hashbrown's maps, allocator-api2's `Vec` and whatever else takes such an allocator.
//! Invariants: a block stays valid until the arena is rewound, which the borrow in the allocator forbids; a block may be
//! given back, grown or shrunk on any thread that the collection travelled to. Over budget the plain forms panic with
//! `BudgetExceeded` before the collection has changed anything; [`Fallible`] returns `AllocError`.
//! Cost: no heap call while the chunk has room. The newest block grows in place
//! and, with `Reset::Keep`, is reused when given back.
#![expect(unsafe_code, reason = "implements the unsafe trait Allocator")]

use super::ledger::{BudgetExceeded, Refusal};
use super::local::Local;
use super::{Arena, SharedArena};
use allocator_api2::alloc::{AllocError, Allocator};
use std::alloc::Layout;
use std::convert::Infallible;
use std::ptr::{self, NonNull};

/// An arena as an allocator that returns `AllocError` over budget: see [`Arena::fallible`].
#[derive(Debug)]
pub struct Fallible<'a, A>(&'a A);

impl<'a, A> Fallible<'a, A> {
    pub(crate) fn new(arena: &'a A) -> Self {
        Self(arena)
    }
}

impl<A> Clone for Fallible<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for Fallible<'_, A> {}

/// A refusal as the trait wants it told.
struct Refused;

impl Refusal for Refused {
    fn refuse(_: BudgetExceeded) -> Self {
        Self
    }
}

trait Outcome: Refusal {
    fn told(self) -> AllocError;
}

impl Outcome for Refused {
    fn told(self) -> AllocError {
        AllocError
    }
}

impl Outcome for Infallible {
    fn told(self) -> AllocError {
        match self {}
    }
}

fn whole(block: NonNull<u8>, layout: Layout) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(block, layout.size())
}

#[inline(always)]
fn allocate<L: Local, E: Outcome>(arena: &L, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    let block = super::values::raw::<L, E>(arena, layout).map_err(E::told)?;
    Ok(whole(block, layout))
}

/// # Safety
///
/// As for `Allocator::deallocate`.
#[inline(always)]
unsafe fn deallocate<L: Local>(arena: &L, block: NonNull<u8>, layout: Layout) {
    // A thread that has not allocated here cannot own the newest block of its region.
    if let Some(local) = arena.local_found()
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
unsafe fn grow<L: Local, E: Outcome>(
    arena: &L,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    let local = arena.local::<E>().map_err(E::told)?;
    // SAFETY: the caller's promise.
    if let Some(wider) = unsafe { local.region().extend(block, old, new) } {
        return Ok(whole(wider, new));
    }
    // SAFETY: `new` is not smaller, so all of `old` is copied.
    unsafe { move_block::<E>(local, block, old.size(), new) }
}

/// # Safety
///
/// As for `Allocator::shrink`.
#[inline(always)]
unsafe fn shrink<L: Local, E: Outcome>(
    arena: &L,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    let local = arena.local::<E>().map_err(E::told)?;
    if local.reuses() {
        // SAFETY: the caller's promise.
        if let Some(narrower) = unsafe { local.region().shrink(block, old, new) } {
            return Ok(whole(narrower, new));
        }
    } else if block.addr().get().is_multiple_of(new.align()) {
        return Ok(whole(block, new));
    }
    // SAFETY: `new` is not larger, so all of it is in the old block.
    unsafe { move_block::<E>(local, block, new.size(), new) }
}

/// Copies the first `len` bytes of a block into a new one, in a new chunk if need be.
///
/// # Safety
///
/// `block` is live, `len` bytes of it may be read, and `new` has room for as many.
#[cold]
unsafe fn move_block<E: Outcome>(
    local: &Arena,
    block: NonNull<u8>,
    len: usize,
    new: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    let to = local.raw::<E>(new).map_err(E::told)?;
    // SAFETY: by the caller's promise; a fresh block overlaps nothing.
    unsafe { ptr::copy_nonoverlapping(block.as_ptr(), to.as_ptr(), len) };
    Ok(whole(to, new))
}

macro_rules! allocator {
    ([$($generics:tt)*], $type:ty, $outcome:ty, |$this:ident| $arena:expr) => {
        // SAFETY: a block stays valid until the arena is rewound or dropped, which needs it exclusively, while every
        // copy of this allocator borrows it; copies and moves of the borrow all reach the same arena. `grow` and
        // `shrink` keep the contents; a failed call leaves the block as it was.
        unsafe impl<$($generics)*> Allocator for $type {
            #[inline(always)]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                allocate::<_, $outcome>($arena, layout)
            }

            #[inline(always)]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                let $this = self;
                // SAFETY: the trait's contract.
                unsafe { deallocate($arena, block, layout) }
            }

            #[inline(always)]
            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: the trait's contract.
                unsafe { grow::<_, $outcome>($arena, block, old, new) }
            }

            #[inline(always)]
            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: the trait's contract.
                unsafe { shrink::<_, $outcome>($arena, block, old, new) }
            }
        }
    };
}

allocator!([], &Arena, Infallible, |this| *this);
allocator!([], &SharedArena, Infallible, |this| *this);
allocator!([], Fallible<'_, Arena>, Refused, |this| this.0);
allocator!([], Fallible<'_, SharedArena>, Refused, |this| this.0);
