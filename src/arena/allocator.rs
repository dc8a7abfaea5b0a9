//! Arenas as allocators for the collections of others: allocator-api2 0.2's `Allocator` on `&Arena` and `&SharedArena`.
//!
//! Stands beside `values`, for hashbrown's maps, allocator-api2's `Vec` and whatever else takes such an allocator.
//! Invariants: a block stays valid until the arena is rewound, which the borrow in the allocator forbids; a block may be
//! given back, grown or shrunk on any thread that the collection travelled to. Over budget the plain forms panic with
//! `BudgetExceeded` before the collection has changed anything; [`Fallible`] returns `AllocError`.
//! Cost: no heap call while the chunk has room. The newest block grows in place
//! and, with `Reset::Keep`, is reused when given back.
#![expect(unsafe_code, reason = "implements the unsafe trait Allocator")]

use super::any::AnyArena;
use super::ledger::{BudgetExceeded, Refusal};
use super::{Arena, SharedArena, blocks, values};
use allocator_api2::alloc::{AllocError, Allocator};
use std::alloc::Layout;
use std::convert::Infallible;
use std::ptr::NonNull;

/// An arena as an allocator that returns `AllocError` over budget: see [`Arena::fallible`].
///
/// ```
/// use allocator_api2::vec::Vec;
/// use blixard_arena::ArenaOptions;
///
/// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
/// let mut rows: Vec<u64, _> = Vec::new_in(arena.fallible()); // other people's collection, our budget
/// assert!(rows.try_reserve(1_000_000).is_err());
/// ```
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

macro_rules! allocator {
    ([$($generics:tt)*], $type:ty, $outcome:ty, |$this:ident| $arena:expr) => {
        // SAFETY: a block stays valid until the arena is rewound or dropped, which needs it exclusively, while every
        // copy of this allocator borrows it; copies and moves of the borrow all reach the same arena. `grow` and
        // `shrink` keep the contents; a failed call leaves the block as it was.
        unsafe impl<$($generics)*> Allocator for $type {
            #[inline(always)]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                let block = values::raw::<_, $outcome>($arena, layout).map_err(Outcome::told)?;
                Ok(whole(block, layout))
            }

            #[inline(always)]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                let $this = self;
                // SAFETY: the trait's contract.
                unsafe { blocks::give_back($arena, block, layout) }
            }

            #[inline(always)]
            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: the trait's contract.
                let block = unsafe { blocks::grow::<_, $outcome>($arena, block, old, new) };
                Ok(whole(block.map_err(Outcome::told)?, new))
            }

            #[inline(always)]
            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                let $this = self;
                // SAFETY: the trait's contract.
                let block = unsafe { blocks::shrink::<_, $outcome>($arena, block, old, new) };
                Ok(whole(block.map_err(Outcome::told)?, new))
            }
        }
    };
}

allocator!([], &Arena, Infallible, |this| *this);
allocator!([], &SharedArena, Infallible, |this| *this);
allocator!([A: AnyArena], Fallible<'_, A>, Refused, |this| this.0);
