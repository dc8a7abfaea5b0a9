//! `List`: the one growing block under every collection here.
//!
//! Stands between `memory` and the collections. Invariants: the first `len` of `cap` values are alive; `memory` knows
//! `len` whenever user code runs, so a panic there leaks at most; a user's code never runs between a change of a value
//! and the length that goes with it.
//! Cost: growth doubles; in an arena the newest block grows in place, without a copy.
#![expect(unsafe_code, reason = "a vector's raw part")]

use super::memory::Memory;
use crate::arena::ledger::{BudgetExceeded, Refusal};
use std::marker::PhantomData;
use std::mem;
use std::ptr::{self, NonNull};
use std::slice;

/// What a list's first block has room for: two cache lines, which the hardware fetches together.
const FIRST_BYTES: usize = 128;

/// See the module.
pub(crate) struct List<T, A> {
    at: NonNull<T>,
    cap: usize,
    len: usize,
    memory: A,
    /// A list owns its values: where its memory drops them, this makes the compiler check that what they borrow is still
    /// alive then. Nothing else does, since the memory does not know their type.
    _owns: PhantomData<T>,
}

// SAFETY: a list owns its values, as a `Vec` does; the memory beside them must allow it too.
unsafe impl<T: Send, A: Send> Send for List<T, A> {}
// SAFETY: as above: `&List` lends `&T` and `&A`.
unsafe impl<T: Sync, A: Sync> Sync for List<T, A> {}

/// Refuses elements whose destructors would be lost.
struct NoDrop<T, A>(PhantomData<(T, A)>);

impl<T, A: Memory> NoDrop<T, A> {
    const CHECK: () = assert!(
        A::DROPS || !mem::needs_drop::<T>(),
        "this element type needs Drop, and a collection in an arena frees without dropping: keep `&'a str`, `&'a [T]` or \
         frozen collections in it, lend a destructor's value with `alloc_with_drop`, or put the collection on the heap"
    );
}

impl<T, A: Memory> List<T, A> {
    /// What the first block has room for, unless more is asked for.
    const FIRST: usize = if size_of::<T>() == 0 {
        64
    } else if size_of::<T>() > FIRST_BYTES {
        1
    } else {
        FIRST_BYTES / size_of::<T>()
    };

    #[inline(always)]
    pub(crate) const fn new(memory: A) -> Self {
        const { NoDrop::<T, A>::CHECK }
        Self { at: NonNull::dangling(), cap: 0, len: 0, memory, _owns: PhantomData }
    }

    #[inline(always)]
    pub(crate) fn with_capacity<E: Refusal>(cap: usize, memory: A) -> Result<Self, E> {
        let mut list = Self::new(memory);
        if cap > 0 {
            list.grow_to(cap)?;
        }
        Ok(list)
    }

    #[inline(always)]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(crate) const fn capacity(&self) -> usize {
        self.cap
    }

    #[inline(always)]
    pub(crate) const fn memory(&self) -> &A {
        &self.memory
    }

    #[inline(always)]
    pub(crate) const fn as_ptr(&self) -> NonNull<T> {
        self.at
    }

    #[inline(always)]
    pub(crate) const fn as_slice(&self) -> &[T] {
        // SAFETY: the first `len` values are alive.
        unsafe { slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }

    #[inline(always)]
    pub(crate) const fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: the first `len` values are alive.
        unsafe { slice::from_raw_parts_mut(self.at.as_ptr(), self.len) }
    }

    /// # Safety
    ///
    /// `len <= cap`, and so many values are alive.
    #[inline(always)]
    pub(crate) unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.cap, "{len} values in room for {}", self.cap);
        self.len = len;
        // SAFETY: the caller's promise.
        unsafe { self.memory.set_len(len) };
    }

    /// Room for exactly `cap` values, which is more than there is.
    #[inline(always)]
    fn grow_to<E: Refusal>(&mut self, cap: usize) -> Result<(), E> {
        // SAFETY: the present block, and more than it has.
        self.at = unsafe { self.memory.grow::<T, E>(self.at, self.cap, cap) }?;
        self.cap = cap;
        Ok(())
    }

    /// Room for `cap` values, which is more than there is, if that takes no new chunk.
    #[inline(always)]
    fn grow_at_once(&mut self, cap: usize) -> bool {
        // SAFETY: the present block, and more than it has.
        match unsafe { self.memory.grow_at_once(self.at, self.cap, cap) } {
            Some(at) => {
                (self.at, self.cap) = (at, cap);
                true
            }
            None => false,
        }
    }

    /// The length with `more` values. It may overflow only where values have no bytes.
    fn needed<E: Refusal>(&self, more: usize) -> Result<usize, E> {
        self.len.checked_add(more).ok_or_else(|| E::refuse(self.memory.overflow()))
    }

    /// Room for `more` values beyond `len`, with headroom for others to come.
    #[cold]
    #[inline(never)]
    fn grow_for<E: Refusal>(&mut self, more: usize) -> Result<(), E> {
        let needed = self.needed::<E>(more)?;
        let wanted = needed.max(self.cap.saturating_mul(2)).max(Self::FIRST);
        if self.grow_at_once(wanted) { Ok(()) } else { self.grow_slowly(needed, wanted) }
    }

    #[cold]
    #[inline(never)]
    fn grow_slowly<E: Refusal>(&mut self, needed: usize, wanted: usize) -> Result<(), E> {
        // Over budget the headroom is what can be done without.
        if wanted > needed && self.grow_to::<BudgetExceeded>(wanted).is_ok() {
            return Ok(());
        }
        self.grow_to(needed)
    }

    #[inline(always)]
    pub(crate) fn reserve<E: Refusal>(&mut self, more: usize) -> Result<(), E> {
        if more > self.cap - self.len { self.grow_for(more) } else { Ok(()) }
    }

    #[inline(always)]
    pub(crate) fn reserve_exact<E: Refusal>(&mut self, more: usize) -> Result<(), E> {
        if more > self.cap - self.len { self.needed::<E>(more).and_then(|needed| self.grow_to(needed)) } else { Ok(()) }
    }

    /// Gives back what is not needed, where that takes no copy.
    #[inline(always)]
    pub(crate) fn shrink(&mut self, cap: usize) {
        let cap = cap.max(self.len);
        if cap < self.cap {
            // SAFETY: the present block, and less than it has.
            self.cap = unsafe { self.memory.shrink(self.at, self.cap, cap) };
        }
    }

    #[inline(always)]
    pub(crate) fn push<E: Refusal>(&mut self, value: T) -> Result<(), E> {
        if self.len == self.cap {
            // The first block comes without a call, since most lists of a request have no other.
            if self.cap > 0 || !self.grow_at_once(Self::FIRST) {
                self.grow_for::<E>(1)?;
            }
        }
        // SAFETY: `len < cap`.
        unsafe { self.push_unchecked(value) };
        Ok(())
    }

    /// # Safety
    ///
    /// `len < cap`.
    #[inline(always)]
    pub(crate) unsafe fn push_unchecked(&mut self, value: T) {
        // SAFETY: the caller's promise.
        let place = unsafe { self.at.add(self.len) };
        // SAFETY: within the block, aligned as its values are.
        unsafe { place.write(value) };
        // SAFETY: one more is alive.
        unsafe { self.set_len(self.len + 1) };
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        // SAFETY: fewer values than are alive.
        unsafe { self.set_len(last) };
        // SAFETY: the value at `last` is alive.
        let place = unsafe { self.at.add(last) };
        // SAFETY: and is the list's no more.
        Some(unsafe { place.read() })
    }

    /// Puts `value` before the one at `index`.
    #[inline(always)]
    pub(crate) fn insert<E: Refusal>(&mut self, index: usize, value: T) -> Result<(), E> {
        let len = self.len;
        assert!(index <= len, "insertion index {index} of {len} values");
        self.reserve::<E>(1)?;
        // SAFETY: `index <= len`.
        let place = unsafe { self.at.add(index) };
        // SAFETY: `index < cap`, since there is room for one more.
        let next = unsafe { place.add(1) };
        // SAFETY: `len - index` values are alive at `place`, and behind them is room for one.
        unsafe { ptr::copy(place.as_ptr(), next.as_ptr(), len - index) };
        // SAFETY: within the block; its old value has moved.
        unsafe { place.write(value) };
        // SAFETY: one more is alive.
        unsafe { self.set_len(len + 1) };
        Ok(())
    }

    /// Takes the value at `index` out; those behind it move up.
    #[inline(always)]
    pub(crate) fn remove(&mut self, index: usize) -> T {
        let len = self.len;
        assert!(index < len, "removal index {index} of {len} values");
        // SAFETY: `index < len`.
        let place = unsafe { self.at.add(index) };
        // SAFETY: alive, and overwritten or left out of the length by the next lines.
        let value = unsafe { place.read() };
        // SAFETY: `index + 1 <= len`.
        let next = unsafe { place.add(1) };
        // SAFETY: the values behind `index` are alive.
        unsafe { ptr::copy(next.as_ptr(), place.as_ptr(), len - index - 1) };
        // SAFETY: one fewer is alive.
        unsafe { self.set_len(len - 1) };
        value
    }

    /// Takes the value at `index` out; the last one takes its place.
    #[inline(always)]
    pub(crate) fn swap_remove(&mut self, index: usize) -> T {
        let len = self.len;
        assert!(index < len, "removal index {index} of {len} values");
        self.as_mut_slice().swap(index, len - 1);
        self.pop().expect("it has an element at `index`")
    }

    /// Drops all but the first `len` values.
    #[inline(always)]
    pub(crate) fn truncate(&mut self, len: usize) {
        let before = self.len;
        if len < before {
            // Before any destructor runs.
            // SAFETY: fewer values than are alive.
            unsafe { self.set_len(len) };
            // SAFETY: within the block.
            let first = unsafe { self.at.add(len) };
            // SAFETY: alive, and the list's no more.
            unsafe { ptr::slice_from_raw_parts_mut(first.as_ptr(), before - len).drop_in_place() };
        }
    }

    /// Keeps the values for which `keep` says so, in their order.
    pub(crate) fn retain_mut(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        /// Closes the gap on every way out.
        struct Gap<'l, T, A: Memory> {
            list: &'l mut List<T, A>,
            kept: usize,
            seen: usize,
            before: usize,
        }
        impl<T, A: Memory> Drop for Gap<'_, T, A> {
            fn drop(&mut self) {
                let rest = self.before - self.seen;
                if self.kept < self.seen {
                    // SAFETY: within the block.
                    let from = unsafe { self.list.at.add(self.seen) };
                    // SAFETY: as above.
                    let to = unsafe { self.list.at.add(self.kept) };
                    // SAFETY: the values not seen yet are alive.
                    unsafe { ptr::copy(from.as_ptr(), to.as_ptr(), rest) };
                }
                // SAFETY: those kept and those not seen.
                unsafe { self.list.set_len(self.kept + rest) };
            }
        }
        let before = self.len;
        // While `keep` and destructors run the list has no values, so nothing can be dropped twice.
        // SAFETY: none.
        unsafe { self.set_len(0) };
        let mut gap = Gap { list: self, kept: 0, seen: 0, before };
        while gap.seen < before {
            // SAFETY: within the block.
            let mut place = unsafe { gap.list.at.add(gap.seen) };
            // SAFETY: alive: not seen yet.
            let keeps = keep(unsafe { place.as_mut() });
            gap.seen += 1;
            if keeps {
                // SAFETY: within the block, at or before `place`.
                let to = unsafe { gap.list.at.add(gap.kept) };
                // SAFETY: one live value moves to where none is alive, or stays.
                unsafe { ptr::copy(place.as_ptr(), to.as_ptr(), 1) };
                gap.kept += 1;
            } else {
                // SAFETY: alive, seen, and not kept: dropped once.
                unsafe { place.drop_in_place() };
            }
        }
    }

    /// Appends clones of `from`.
    #[inline(always)]
    pub(crate) fn extend_from_slice<E: Refusal>(&mut self, from: &[T]) -> Result<(), E>
    where
        T: Clone,
    {
        self.reserve::<E>(from.len())?;
        let len = self.len;
        for (index, value) in from.iter().enumerate() {
            // If a clone panics, those made before are forgotten. The length is written once, so that for plain values
            // this loop is a copy.
            let value = value.clone();
            // SAFETY: room for all of `from` was reserved behind `len`.
            let place = unsafe { self.at.add(len + index) };
            // SAFETY: as above.
            unsafe { place.write(value) };
        }
        // SAFETY: so many were written.
        unsafe { self.set_len(len + from.len()) };
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn extend<E: Refusal>(&mut self, values: impl IntoIterator<Item = T>) -> Result<(), E> {
        let values = values.into_iter();
        self.reserve::<E>(values.size_hint().0)?;
        for value in values {
            self.push::<E>(value)?;
        }
        Ok(())
    }

    /// `len` copies of `value`, and no room for more.
    pub(crate) fn filled<E: Refusal>(value: T, len: usize, memory: A) -> Result<Self, E>
    where
        T: Copy,
    {
        let mut list = Self::with_capacity::<E>(len, memory)?;
        for index in 0..len {
            // SAFETY: within the block.
            let place = unsafe { list.at.add(index) };
            // SAFETY: as above.
            unsafe { place.write(value) };
        }
        // SAFETY: so many were written.
        unsafe { list.set_len(len) };
        Ok(list)
    }

    /// Its values, taken out one by one from both ends.
    #[inline(always)]
    pub(crate) fn into_values(mut self) -> IntoIter<T, A> {
        let end = self.len;
        // The iterator owns what is not taken out yet; the list owns the block alone.
        // SAFETY: none.
        unsafe { self.set_len(0) };
        IntoIter { list: self, next: 0, end }
    }
}

/// A collection's values, by value. See [`Vec`](super::Vec) and [`FlatMap`](super::FlatMap).
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::collections::Vec;
///
/// let arena = Arena::new();
/// let steps = Vec::from_iter_in(["check", "place", "reply"], &arena);
/// assert!(steps.into_iter().rev().eq(["reply", "place", "check"]));
/// ```
pub struct IntoIter<T, A: Memory> {
    list: List<T, A>,
    /// The values at `next..end` are alive and this iterator's.
    next: usize,
    end: usize,
}

impl<T, A: Memory> IntoIter<T, A> {
    /// What is left, as a slice.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut words = Vec::from_iter_in(["place", "vm-1", "node-7"], &arena).into_iter();
    /// let command = words.next();
    /// assert_eq!((command, words.as_slice()), (Some("place"), &["vm-1", "node-7"][..])); // its arguments
    /// ```
    #[must_use]
    pub const fn as_slice(&self) -> &[T] {
        // SAFETY: within the block.
        let first = unsafe { self.list.at.add(self.next) };
        // SAFETY: alive until they are taken out.
        unsafe { slice::from_raw_parts(first.as_ptr(), self.end - self.next) }
    }

    /// # Safety
    ///
    /// `index` was in `next..end` and is so no more.
    #[inline(always)]
    unsafe fn take(&mut self, index: usize) -> T {
        // SAFETY: within the block.
        let place = unsafe { self.list.at.add(index) };
        // SAFETY: alive, and nobody else's by the caller's promise.
        unsafe { place.read() }
    }
}

impl<T, A: Memory> Iterator for IntoIter<T, A> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        let index = self.next;
        if index == self.end {
            return None;
        }
        self.next += 1;
        // SAFETY: it was the first of the rest.
        Some(unsafe { self.take(index) })
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.next, Some(self.end - self.next))
    }
}

impl<T, A: Memory> DoubleEndedIterator for IntoIter<T, A> {
    #[inline(always)]
    fn next_back(&mut self) -> Option<T> {
        if self.next == self.end {
            return None;
        }
        self.end -= 1;
        // SAFETY: it was the last of the rest.
        Some(unsafe { self.take(self.end) })
    }
}

impl<T, A: Memory> ExactSizeIterator for IntoIter<T, A> {}
impl<T, A: Memory> std::iter::FusedIterator for IntoIter<T, A> {}

impl<T, A: Memory> Drop for IntoIter<T, A> {
    fn drop(&mut self) {
        if mem::needs_drop::<T>() {
            let (next, end) = (self.next, self.end);
            self.next = end;
            // SAFETY: within the block.
            let first = unsafe { self.list.at.add(next) };
            // SAFETY: alive, and nobody's any more. If one panics the block goes all the same.
            unsafe { ptr::slice_from_raw_parts_mut(first.as_ptr(), end - next).drop_in_place() };
        }
    }
}

impl<T: std::fmt::Debug, A: Memory> std::fmt::Debug for IntoIter<T, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("IntoIter").field(&self.as_slice()).finish()
    }
}
