//! Where a collection keeps its elements: an arena, or the heap.
//!
//! Stands under `list`. A collection has a field of the type that implements [`Memory`], and that field decides what its
//! end costs: a reference to an arena has no destructor, so neither has the collection; [`Heap`] owns the block and frees
//! it. So one type serves both, keeps its variance, and nests in an arena for free.
//! Invariant: a [`Heap`] points at one block, whose header says its layout, how many elements are alive and how to drop
//! them; nothing else frees it. Cost: none beside the arena's or the global allocator's.
#![expect(unsafe_code, reason = "owns blocks of the global allocator whose type it does not know")]

use crate::arena::AnyArena;
use crate::arena::blocks;
use crate::arena::ledger::{BudgetExceeded, Refusal};
use std::alloc::{self, Layout};
use std::fmt;
use std::ptr::{self, NonNull};

/// What a collection can lie in: `&Arena`, `&SharedArena`, or [`Heap`]. Sealed.
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::collections::{FlatMap, Memory};
///
/// fn longest<A: Memory>(names: &FlatMap<&str, u32, A>) -> usize {
///     names.keys().map(|name| name.len()).max().unwrap_or(0)
/// }
///
/// let arena = Arena::new();
/// let (mut in_arena, mut on_heap) = (FlatMap::new_in(&arena), FlatMap::new());
/// in_arena.insert("vm-1", 4);
/// on_heap.insert("vm-12", 4);
/// assert_eq!((longest(&in_arena), longest(&on_heap)), (4, 5));
/// ```
pub trait Memory: inside::Block {}

impl<A: AnyArena> Memory for &A {}
impl Memory for Heap {}

pub(super) mod inside {
    use super::{BudgetExceeded, NonNull, Refusal};

    /// What `list` asks for. Public by necessity only, since it stands in bounds; nobody else can name it.
    ///
    /// # Safety
    ///
    /// `grow` returns a block for `wider` values that begins with the old one's `len` values.
    pub unsafe trait Block: Sized {
        /// Whether elements are dropped with the collection.
        const DROPS: bool;

        /// [`grow`](Self::grow), if that takes no more than a few instructions.
        ///
        /// # Safety
        ///
        /// As for `grow`.
        unsafe fn grow_at_once<T>(&mut self, at: NonNull<T>, cap: usize, wider: usize) -> Option<NonNull<T>>;

        /// A block for `wider` values in place of one for `cap`. On error nothing has changed.
        ///
        /// # Safety
        ///
        /// `at` is this memory's present block for `cap` values, if `cap` is not 0; `wider > cap`.
        unsafe fn grow<T, E: Refusal>(&mut self, at: NonNull<T>, cap: usize, wider: usize) -> Result<NonNull<T>, E>;

        /// Lets go of what lies beyond `narrower` values, if that can be done in place. Answers the new capacity.
        ///
        /// # Safety
        ///
        /// `at` is this memory's present block for `cap` values, and `narrower <= cap`.
        unsafe fn shrink<T>(&mut self, at: NonNull<T>, cap: usize, narrower: usize) -> usize;

        /// So many elements are alive from now on.
        ///
        /// # Safety
        ///
        /// The first `len` values of the present block are, and there is one if `len` is not 0.
        unsafe fn set_len(&mut self, len: usize);

        /// The error for a size that overflows.
        fn overflow(&self) -> BudgetExceeded;

        /// The memory for a copy of the collection.
        #[must_use]
        fn another(&self) -> Self;
    }
}

// SAFETY: the arena's blocks keep what they hold when they grow.
unsafe impl<A: AnyArena> inside::Block for &A {
    const DROPS: bool = false;

    #[inline(always)]
    unsafe fn grow_at_once<T>(&mut self, at: NonNull<T>, cap: usize, wider: usize) -> Option<NonNull<T>> {
        // SAFETY: the caller's promise.
        unsafe { blocks::grow_values_at_once(*self, at, cap, wider) }
    }

    #[inline(always)]
    unsafe fn grow<T, E: Refusal>(&mut self, at: NonNull<T>, cap: usize, wider: usize) -> Result<NonNull<T>, E> {
        // SAFETY: the caller's promise.
        unsafe { blocks::grow_values::<A, T, E>(*self, at, cap, wider) }
    }

    #[inline(always)]
    unsafe fn shrink<T>(&mut self, at: NonNull<T>, cap: usize, narrower: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { blocks::shrink_values(*self, at, cap, narrower) };
        narrower
    }

    #[inline(always)]
    unsafe fn set_len(&mut self, _: usize) {}

    #[cold]
    fn overflow(&self) -> BudgetExceeded {
        blocks::overflow(*self)
    }

    #[inline(always)]
    fn another(&self) -> Self {
        self
    }
}

/// The global allocator, as the place of one collection: owns the collection's block and frees it.
///
/// ```
/// use blixard_arena::collections::{FlatMap, Heap};
///
/// struct Node {
///     labels: FlatMap<String, String, Heap>, // `Heap` is the default, so `FlatMap<String, String>` says the same
/// }
///
/// let mut node = Node { labels: FlatMap::new() };
/// node.labels.insert("zone".to_owned(), "b".to_owned());
/// assert_eq!(node.labels["zone"], "b");
/// ```
pub struct Heap {
    /// The block, which begins with its header; `None` before the first.
    block: Option<NonNull<Header>>,
}

/// The first bytes of a block on the heap.
struct Header {
    /// The block's, this header included.
    layout: Layout,
    /// Elements alive.
    len: usize,
    /// Drops them and frees the block.
    free: unsafe fn(NonNull<Header>),
}

// SAFETY: a `Heap` owns its block as a `Box` does. What the elements are is known to the collection beside it, which is
// Send and Sync only if they are.
unsafe impl Send for Heap {}
// SAFETY: `&Heap` gives access to nothing.
unsafe impl Sync for Heap {}

impl Heap {
    /// No block yet.
    pub(super) const fn new() -> Self {
        Self { block: None }
    }
}

/// Layout of a block for `cap` values, and where they begin in it. `None`: too large.
fn layout_for<T>(cap: usize) -> Option<(Layout, usize)> {
    let (layout, offset) = Layout::new::<Header>().extend(Layout::array::<T>(cap).ok()?).ok()?;
    Some((layout.pad_to_align(), offset))
}

/// Where the values of a block begin: its header's size, rounded up to their alignment.
const fn offset<T>() -> usize {
    size_of::<Header>().next_multiple_of(align_of::<T>())
}

/// Frees a block when it goes out of scope, also when an element's destructor panics.
struct Freed(NonNull<Header>);

impl Drop for Freed {
    fn drop(&mut self) {
        // SAFETY: the header is alive until the next line.
        let layout = unsafe { self.0.as_ref() }.layout;
        // SAFETY: allocated with this layout, and freed once: by the owner of this.
        unsafe { alloc::dealloc(self.0.as_ptr().cast(), layout) };
    }
}

/// Drops the elements of a block and frees it.
///
/// # Safety
///
/// A block of values of type `T`, its header true, and nobody uses it afterwards.
unsafe fn free<T>(block: NonNull<Header>) {
    let freed = Freed(block);
    // SAFETY: the header is alive.
    let len = unsafe { freed.0.as_ref() }.len;
    // SAFETY: the values begin at this offset, in the block.
    let first = unsafe { block.byte_add(offset::<T>()) }.cast::<T>();
    // SAFETY: the first `len` values are alive, by `set_len`, and dropped once.
    unsafe { ptr::slice_from_raw_parts_mut(first.as_ptr(), len).drop_in_place() };
}

// SAFETY: a new block is written before it is returned; `realloc` keeps what the block holds.
unsafe impl inside::Block for Heap {
    const DROPS: bool = true;

    #[inline(always)]
    unsafe fn grow_at_once<T>(&mut self, _: NonNull<T>, _: usize, _: usize) -> Option<NonNull<T>> {
        None
    }

    unsafe fn grow<T, E: Refusal>(&mut self, _: NonNull<T>, _: usize, wider: usize) -> Result<NonNull<T>, E> {
        // There is no budget on the heap: what is told is what was asked for.
        let refused = |asked| E::refuse(BudgetExceeded { asked, used: 0, allowed: 0 });
        let Some((layout, offset)) = layout_for::<T>(wider) else { return Err(refused(usize::MAX)) };
        let (block, len) = match self.block {
            // SAFETY: a header makes the layout larger than 0.
            None => (unsafe { alloc::alloc(layout) }, 0),
            Some(old) => {
                // SAFETY: the present block.
                let header = unsafe { old.as_ref() };
                let (layout_before, len) = (header.layout, header.len);
                debug_assert!(layout_before.align() == layout.align(), "one collection has one type of element");
                // SAFETY: allocated with that layout; the new size is not 0 and did not overflow.
                (unsafe { alloc::realloc(old.as_ptr().cast(), layout_before, layout.size()) }, len)
            }
        };
        // On failure the old block is as it was.
        let block = NonNull::new(block).ok_or_else(|| refused(layout.size()))?.cast::<Header>();
        // SAFETY: fresh, or moved; large enough and aligned for a header.
        unsafe { block.write(Header { layout, len, free: free::<T> }) };
        self.block = Some(block);
        // SAFETY: the values begin at this offset, in the block.
        Ok(unsafe { block.byte_add(offset) }.cast())
    }

    unsafe fn shrink<T>(&mut self, _: NonNull<T>, cap: usize, _: usize) -> usize {
        // In place the heap gives nothing back.
        cap
    }

    #[inline(always)]
    unsafe fn set_len(&mut self, len: usize) {
        if let Some(mut block) = self.block {
            // SAFETY: the present block, owned by this.
            unsafe { block.as_mut() }.len = len;
        }
    }

    #[cold]
    fn overflow(&self) -> BudgetExceeded {
        BudgetExceeded { asked: usize::MAX, used: 0, allowed: 0 }
    }

    fn another(&self) -> Self {
        Self::new()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        if let Some(block) = self.block {
            // SAFETY: the present block, whose header is true.
            let free = unsafe { block.as_ref() }.free;
            // SAFETY: `free` is that of the block's elements, and this is the end of their collection.
            unsafe { free(block) };
        }
    }
}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Heap")
    }
}
