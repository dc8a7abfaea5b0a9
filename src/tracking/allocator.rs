//! `TrackingAllocator`: passes every call on to the allocator it wraps, and counts it.
//!
//! Stands between the program and its allocator. Without the feature `allocation-tracking` it is the inner allocator and
//! nothing else.
//!
//! Invariants: a call is passed on unchanged and its result returned unchanged; what failed is not counted; a block's site is
//! forgotten before the block goes back, since another thread may get its address at once.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; every call is passed on")]

#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
use super::counters;
use std::alloc::{GlobalAlloc, Layout, System};

/// A global allocator that counts what passes through it, on its way to another one.
///
/// Counting costs a nanosecond or two per allocation and free; without the feature `allocation-tracking` the type is the inner
/// allocator and nothing else, so it can stay in place.
///
/// ```
/// use blixard_arena::tracking::TrackingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
/// // over another one: static ALLOCATOR: TrackingAllocator<MiMalloc> = TrackingAllocator::new(MiMalloc);
///
/// let name = String::from("vm-1"); // counted
/// # assert_eq!(name.len(), 4);
/// ```
///
/// A process has one: two of them, one inside the other, would count each call twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrackingAllocator<A = System>(A);

impl TrackingAllocator<System> {
    /// Over the system's allocator.
    ///
    /// ```
    /// # use blixard_arena::tracking::TrackingAllocator;
    /// #[global_allocator]
    /// static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
    /// # drop(vec![1]);
    /// ```
    #[must_use]
    pub const fn system() -> Self {
        Self(System)
    }
}

impl<A> TrackingAllocator<A> {
    /// Over any allocator.
    ///
    /// ```
    /// # use blixard_arena::tracking::TrackingAllocator;
    /// # use std::alloc::System as MiMalloc;
    /// #[global_allocator]
    /// static ALLOCATOR: TrackingAllocator<MiMalloc> = TrackingAllocator::new(MiMalloc);
    /// # drop(vec![1]);
    /// ```
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self(inner)
    }
}

// SAFETY: every method passes its arguments on to the inner allocator, unchanged, and returns what that returned; counting
// neither unwinds nor allocates through this allocator.
unsafe impl<A: GlobalAlloc> GlobalAlloc for TrackingAllocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is the inner allocator's.
        let block = unsafe { self.0.alloc(layout) };
        #[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
        if !block.is_null() {
            counters::allocated(block, layout.size());
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { self.0.alloc_zeroed(layout) };
        #[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
        if !block.is_null() {
            counters::allocated(block, layout.size());
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        #[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
        counters::freeing(block, layout.size());
        // SAFETY: as above; the block came from the inner allocator.
        unsafe { self.0.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        #[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
        let held = counters::reallocating(block);
        // SAFETY: as above.
        let moved = unsafe { self.0.realloc(block, layout, new_size) };
        #[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
        counters::reallocated(held, block, moved, layout.size(), new_size);
        moved
    }
}
