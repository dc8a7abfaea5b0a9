//! `Vec`: a growing array in an arena.
//!
//! Stands on `list`; what is built one by one while a request is answered, and then frozen by `into_slice` or let go.
//! Invariants: its elements need no `Drop`, so neither does it; what it holds lives as long as the arena's borrow.
//! Cost: no heap call while the arena's chunk has room; it grows in place while it is the arena's newest block.
//!
//! Longer than most files here: half of its lines are the examples of its calls.
#![expect(unsafe_code, reason = "drains and copies within the block; lends it for the arena's lifetime")]

use super::list::{IntoIter, List};
use crate::arena::{AnyArena, BudgetExceeded};
use std::borrow::{Borrow, BorrowMut};
use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::MaybeUninit;
use std::ops::{Bound, Deref, DerefMut, Index, IndexMut, RangeBounds};
use std::ptr;
use std::slice::{self, SliceIndex};

/// A growing array in an arena: std's `Vec` by the same method names, with `_in` constructors that take `&Arena` or
/// `&SharedArena`.
///
/// Elements must not need `Drop` (refused when code is generated), so a `Vec` needs none either: it nests in others,
/// freezes by [`into_slice`](Self::into_slice) and is let go for free. Room comes from the arena, doubles, and grows in
/// place as long as nothing was built in the arena since. Over a `SharedArena` it is `Send` and may be held across
/// `.await`.
///
/// Calls that grow panic with [`BudgetExceeded`] over budget; `try_` twins return it and leave the vector as it was.
///
/// ```
/// use blixard_arena::ArenaPool;
/// use blixard_arena::collections::Vec;
///
/// let pool = ArenaPool::new();
/// let arena = pool.acquire();
/// let mut scores = Vec::new_in(&*arena);
/// for node in 0..3u64 {
///     scores.push((node, 1.0 / (node + 1) as f64));
/// }
/// scores.sort_by(|a, b| a.1.total_cmp(&b.1));
/// let frozen: &[(u64, f64)] = scores.into_slice(); // no copy; lives as long as the request
/// assert_eq!(frozen[0].0, 2);
/// ```
///
/// An element that needs `Drop` would leak, and is refused:
///
/// ```compile_fail
/// let arena = blixard_arena::Arena::new();
/// blixard_arena::collections::Vec::new_in(&arena).push(String::from("leaks"));
/// ```
pub struct Vec<T, A>(List<T, A>);

/// A vector in an arena whose calls end in a panic over budget cannot fail otherwise.
#[inline(always)]
pub(super) fn sure<T>(result: Result<T, Infallible>) -> T {
    let Ok(value) = result;
    value
}

/// Making one.
impl<'a, T, A: AnyArena> Vec<T, &'a A> {
    /// An empty vector; takes no memory before the first element.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut waiting = Vec::new_in(&arena);
    /// waiting.push("vm-1");
    /// assert_eq!(waiting.len(), 1);
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn new_in(arena: &'a A) -> Self {
        Self(List::new(arena))
    }

    /// An empty vector with room for `cap` elements: best where the number is known, since nothing then has to move.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut batch = Vec::with_capacity_in(16, &arena);
    /// let names = arena.alloc_str("built in between"); // would make a full vector move
    /// batch.push(&*names);
    /// assert_eq!(batch.capacity(), 16);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn with_capacity_in(cap: usize, arena: &'a A) -> Self {
        Self(sure(List::with_capacity(cap, arena)))
    }

    /// [`with_capacity_in`](Self::with_capacity_in), or an error: for a length that came from outside.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::Vec};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let announced = 1 << 40; // by a request's header
    /// assert!(Vec::<u8, _>::try_with_capacity_in(announced, &arena).is_err());
    /// ```
    #[inline(always)]
    pub fn try_with_capacity_in(cap: usize, arena: &'a A) -> Result<Self, BudgetExceeded> {
        List::with_capacity(cap, arena).map(Self)
    }

    /// All that an iterator yields. The iterator may itself build values in this arena.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let names = Vec::from_iter_in("web db".split(' ').map(|name| &*arena.alloc_str(name)), &arena);
    /// assert_eq!(names, ["web", "db"]);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn from_iter_in(values: impl IntoIterator<Item = T>, arena: &'a A) -> Self {
        let mut list = List::new(arena);
        sure(list.extend(values));
        Self(list)
    }

    /// [`from_iter_in`](Self::from_iter_in), or an error; what was yielded by then is lost.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::Vec};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let requested = (0..1_000_000u64).map(|vm| [vm; 2]); // by one request
    /// assert!(Vec::try_from_iter_in(requested, &arena).is_err()); // which ends; the process lives
    /// ```
    #[inline(always)]
    pub fn try_from_iter_in(values: impl IntoIterator<Item = T>, arena: &'a A) -> Result<Self, BudgetExceeded> {
        let mut list = List::new(arena);
        list.extend(values)?;
        Ok(Self(list))
    }

    /// The elements as a slice that lives as long as the arena's borrow. No copy; what was reserved beyond them goes back
    /// if the vector is the arena's newest block.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// struct Config<'a> { tags: &'a [&'a str] } // plain data: can be copied, sealed, sent
    ///
    /// let arena = Arena::new();
    /// let mut tags = Vec::new_in(&arena);
    /// tags.push("edge");
    /// let config = Config { tags: tags.into_slice() };
    /// assert_eq!(config.tags, ["edge"]);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn into_slice(mut self) -> &'a mut [T] {
        self.0.shrink(0);
        // SAFETY: the first `len` values are alive in the arena, which is borrowed for `'a`, and nobody else has them:
        // this vector ends here without a destructor.
        unsafe { slice::from_raw_parts_mut(self.0.as_ptr().as_ptr(), self.0.len()) }
    }

    /// The same as a [`Box`](super::Box), whose elements its owner drops: they need no `Drop` here, so this is for APIs
    /// that take one.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::{Box, Vec}};
    /// let arena = Arena::new();
    /// let boxed: Box<'_, [u32]> = Vec::from_iter_in([1, 2], &arena).into_boxed_slice();
    /// assert_eq!(boxed.len(), 2);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn into_boxed_slice(self) -> super::Box<'a, [T]>
    where
        T: 'a,
    {
        super::Box::owning(self.into_slice())
    }

    pub(super) fn from_list(list: List<T, &'a A>) -> Self {
        Self(list)
    }

    pub(super) fn into_list(self) -> List<T, &'a A> {
        self.0
    }

    /// The arena it lies in.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let names: Vec<&str, _> = Vec::new_in(&arena);
    /// let mut longer = Vec::from_iter_in(names.iter().copied(), names.arena()); // another one beside it
    /// longer.push(names.arena().alloc_str("vm-1"));
    /// assert_eq!(longer, ["vm-1"]);
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn arena(&self) -> &'a A {
        self.0.memory()
    }
}

/// The everyday calls, as std's.
impl<T, A: AnyArena> Vec<T, &A> {
    /// Elements there is room for.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut scores = Vec::with_capacity_in(3, &arena); // one for each node
    /// scores.extend([0.5, 0.25, 1.0]);
    /// assert_eq!(scores.capacity(), 3); // the guess was right: nothing moved
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The number of elements.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut failed = Vec::new_in(&arena);
    /// failed.extend(["vm-1", "vm-2"].into_iter().filter(|vm| vm.ends_with('2')));
    /// assert_eq!(arena.concat((failed.len(), " failed")), "1 failed");
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let reasons: Vec<&str, _> = Vec::new_in(&arena); // why a node cannot take the VM
    /// let fits = reasons.is_empty();
    /// assert!(fits);
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The elements.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let queue = Vec::from_iter_in(["create", "start", "stop"], &arena);
    /// match queue.as_slice() {
    ///     ["create", rest @ ..] => assert_eq!(rest, ["start", "stop"]),
    ///     _ => unreachable!("a VM is created first"),
    /// }
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn as_slice(&self) -> &[T] {
        self.0.as_slice()
    }

    /// The elements, to be changed.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut scores = Vec::from_iter_in([3, 1, 2], &arena);
    /// let (first, rest) = scores.as_mut_slice().split_at_mut(1); // two halves, changed side by side
    /// first[0] += rest.iter().sum::<i32>();
    /// assert_eq!(scores, [6, 1, 2]);
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn as_mut_slice(&mut self) -> &mut [T] {
        self.0.as_mut_slice()
    }

    /// Makes room for `more` further elements, and some headroom.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut nodes = Vec::from_iter_in([1, 2], &arena);
    /// nodes.reserve(100); // once, before a loop that also builds other values
    /// assert!(nodes.capacity() >= 102);
    /// ```
    #[inline(always)]
    pub fn reserve(&mut self, more: usize) {
        sure(self.0.reserve(more));
    }

    /// [`reserve`](Self::reserve), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::Vec};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut vms: Vec<u64, _> = Vec::new_in(&arena);
    /// assert!(vms.try_reserve(1_000_000).is_err()); // said before the work is begun
    /// assert!(vms.try_reserve(100).is_ok());
    /// ```
    #[inline(always)]
    pub fn try_reserve(&mut self, more: usize) -> Result<(), BudgetExceeded> {
        self.0.reserve(more)
    }

    /// Makes room for exactly `more` further elements.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut tags = Vec::from_iter_in(["edge"], &arena);
    /// let more = ["gpu", "ssd"];
    /// tags.reserve_exact(more.len()); // the last that come: headroom would be left over
    /// tags.extend(more);
    /// assert_eq!(tags.len(), 3);
    /// ```
    #[inline(always)]
    pub fn reserve_exact(&mut self, more: usize) {
        sure(self.0.reserve_exact(more));
    }

    /// [`reserve_exact`](Self::reserve_exact), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::Vec};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut frame: Vec<u8, _> = Vec::new_in(&arena);
    /// assert!(frame.try_reserve_exact(2000).is_ok()); // more than half of the budget: there is no room for headroom
    /// assert!(frame.try_reserve_exact(5000).is_err());
    /// ```
    #[inline(always)]
    pub fn try_reserve_exact(&mut self, more: usize) -> Result<(), BudgetExceeded> {
        self.0.reserve_exact(more)
    }

    /// Gives what is reserved beyond the elements back to the arena, if this is its newest block and the arena keeps bytes at a reset as they
    /// are ([`Reset::Keep`](crate::Reset::Keep)); else the room stays unused until then.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut nodes = Vec::with_capacity_in(100, &arena);
    /// nodes.extend([7, 11]);
    /// nodes.shrink_to_fit(); // the next value goes where the room was
    /// assert_eq!(nodes.capacity(), 2);
    /// ```
    #[inline(always)]
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink(0);
    }

    /// [`shrink_to_fit`](Self::shrink_to_fit), down to `cap` at most.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut nodes: Vec<u32, _> = Vec::with_capacity_in(100, &arena);
    /// nodes.push(7);
    /// nodes.shrink_to(8); // seven may still follow
    /// assert_eq!(nodes.capacity(), 8);
    /// ```
    #[inline(always)]
    pub fn shrink_to(&mut self, cap: usize) {
        self.0.shrink(cap);
    }

    /// Appends an element.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut free = Vec::new_in(&arena);
    /// for (node, cores) in [("node-1", 0), ("node-2", 8)] {
    ///     if cores >= 4 {
    ///         free.push(node);
    ///     }
    /// }
    /// assert_eq!(free, ["node-2"]);
    /// ```
    #[inline(always)]
    pub fn push(&mut self, value: T) {
        sure(self.0.push(value));
    }

    /// [`push`](Self::push), or an error; the vector is as it was then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::Vec};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut log = Vec::new_in(&arena);
    /// while log.try_push([0u64; 4]).is_ok() {} // a request that would not end, ends here
    /// assert!(log.len() > 50);
    /// ```
    #[inline(always)]
    pub fn try_push(&mut self, value: T) -> Result<(), BudgetExceeded> {
        self.0.push(value)
    }

    /// Takes the last element.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut waiting = Vec::from_iter_in([("vm-1", 0)], &arena);
    /// let mut started = 0;
    /// while let Some((vm, tries)) = waiting.pop() {
    ///     if tries < 2 { waiting.push((vm, tries + 1)) } else { started += 1 } // a third try succeeds
    /// }
    /// assert_eq!(started, 1);
    /// ```
    #[inline(always)]
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Takes the last element if `predicate` says so.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut by_deadline = Vec::from_iter_in([("vm-3", 30), ("vm-2", 20), ("vm-1", 10)], &arena); // the next one last
    /// let now = 15;
    /// assert_eq!(by_deadline.pop_if(|(_, due)| *due <= now), Some(("vm-1", 10)));
    /// assert_eq!(by_deadline.pop_if(|(_, due)| *due <= now), None); // and it stays
    /// ```
    #[inline(always)]
    pub fn pop_if(&mut self, predicate: impl FnOnce(&mut T) -> bool) -> Option<T> {
        if predicate(self.last_mut()?) { self.pop() } else { None }
    }

    /// Puts an element before the one at `index`.
    ///
    /// # Panics
    ///
    /// If `index > len`. With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut best = Vec::from_iter_in([90, 70, 50], &arena); // scores, the highest first
    /// let at = best.partition_point(|score| *score > 80);
    /// best.insert(at, 80);
    /// assert_eq!(best, [90, 80, 70, 50]);
    /// ```
    #[inline(always)]
    pub fn insert(&mut self, index: usize, value: T) {
        sure(self.0.insert(index, value));
    }

    /// [`insert`](Self::insert), or an error; the vector is as it was then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// # Panics
    ///
    /// If `index > len`.
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::Vec};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut queue = Vec::from_iter_in([[0u8; 1024]], &arena);
    /// while queue.try_insert(0, [1; 1024]).is_ok() {} // urgent commands come first, as many as fit
    /// assert_eq!(queue.last(), Some(&[0; 1024])); // what was there is still there
    /// ```
    #[inline(always)]
    pub fn try_insert(&mut self, index: usize, value: T) -> Result<(), BudgetExceeded> {
        self.0.insert(index, value)
    }

    /// Takes the element at `index` out; those behind it move up.
    ///
    /// # Panics
    ///
    /// If there is none.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut steps = Vec::from_iter_in(["check", "place", "reply"], &arena);
    /// assert_eq!(steps.remove(0), "check");
    /// assert_eq!(steps, ["place", "reply"]); // in their order
    /// ```
    #[inline(always)]
    pub fn remove(&mut self, index: usize) -> T {
        self.0.remove(index)
    }

    /// Takes the element at `index` out; the last one takes its place.
    ///
    /// # Panics
    ///
    /// If there is none.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut candidates = Vec::from_iter_in(["node-1", "node-2", "node-3"], &arena);
    /// assert_eq!(candidates.swap_remove(0), "node-1"); // taken; the others need no order
    /// assert_eq!(candidates, ["node-3", "node-2"]);
    /// ```
    #[inline(always)]
    pub fn swap_remove(&mut self, index: usize) -> T {
        self.0.swap_remove(index)
    }

    /// Keeps the first `len` elements.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut scores = Vec::from_iter_in([0.2, 0.9, 0.7, 0.4], &arena);
    /// scores.sort_by(|a: &f64, b| b.total_cmp(a));
    /// scores.truncate(3); // the choice and two alternatives
    /// assert_eq!(scores, [0.9, 0.7, 0.4]);
    /// ```
    #[inline(always)]
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Removes all elements and keeps the room.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut fitting = Vec::with_capacity_in(64, &arena);
    /// for cores in [4, 16] {
    ///     fitting.clear(); // one scratch list for all VMs of the batch
    ///     fitting.extend([("node-1", 8), ("node-2", 32)].iter().filter(|(_, free)| *free >= cores));
    /// }
    /// assert_eq!((fitting.as_slice(), fitting.capacity()), (&[&("node-2", 32)][..], 64));
    /// ```
    #[inline(always)]
    pub fn clear(&mut self) {
        self.0.truncate(0);
    }

    /// Keeps the elements for which `keep` says so.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut nodes = Vec::from_iter_in([("node-1", "ready"), ("node-2", "draining")], &arena);
    /// nodes.retain(|(_, state)| *state == "ready");
    /// assert_eq!(nodes, [("node-1", "ready")]);
    /// ```
    #[inline(always)]
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain_mut(|value| keep(value));
    }

    /// [`retain`](Self::retain) with a `keep` that may change the elements.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut tries_left = Vec::from_iter_in([("vm-1", 1), ("vm-2", 3)], &arena);
    /// tries_left.retain_mut(|(_, left)| {
    ///     *left -= 1;
    ///     *left > 0
    /// });
    /// assert_eq!(tries_left, [("vm-2", 2)]);
    /// ```
    #[inline(always)]
    pub fn retain_mut(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(keep);
    }

    /// Of neighbours that `same` calls equal, keeps the first. `same` gets the later one first, as in std.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut tenants = Vec::from_iter_in(["Acme", "acme", "Umbrella"], &arena);
    /// tenants.dedup_by(|later, kept| later.eq_ignore_ascii_case(kept));
    /// assert_eq!(tenants, ["Acme", "Umbrella"]);
    /// ```
    pub fn dedup_by(&mut self, mut same: impl FnMut(&mut T, &mut T) -> bool) {
        let len = self.len();
        let mut kept = 1.min(len);
        for index in 1..len {
            let (before, rest) = self.split_at_mut(index);
            if !same(&mut rest[0], &mut before[kept - 1]) {
                self.swap(kept, index);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Of neighbours with equal keys, keeps the first.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut events = Vec::from_iter_in([("vm-1", 10), ("vm-1", 11), ("vm-2", 12)], &arena);
    /// events.dedup_by_key(|(vm, _)| *vm); // the first of each burst
    /// assert_eq!(events, [("vm-1", 10), ("vm-2", 12)]);
    /// ```
    pub fn dedup_by_key<K: PartialEq>(&mut self, mut key: impl FnMut(&mut T) -> K) {
        self.dedup_by(|a, b| key(a) == key(b));
    }

    /// Of equal neighbours, keeps the first.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut nodes = Vec::from_iter_in([7, 3, 7, 3, 7], &arena);
    /// nodes.sort_unstable();
    /// nodes.dedup(); // each node is asked once
    /// assert_eq!(nodes, [3, 7]);
    /// ```
    pub fn dedup(&mut self)
    where
        T: PartialEq,
    {
        self.dedup_by(|a, b| a == b);
    }

    /// Appends clones of all of `from`; for plain values that is one copy.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget. As `T::clone` does: then nothing was appended.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut frame = Vec::with_capacity_in(64, &arena);
    /// frame.extend_from_slice(&4u32.to_le_bytes()); // the length
    /// frame.extend_from_slice(b"vm-1");
    /// assert_eq!(frame, b"\x04\0\0\0vm-1");
    /// ```
    #[inline(always)]
    pub fn extend_from_slice(&mut self, from: &[T])
    where
        T: Clone,
    {
        sure(self.0.extend_from_slice(from));
    }

    /// [`extend_from_slice`](Self::extend_from_slice), or an error; the vector is as it was then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::Vec};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut body = Vec::from_iter_in(*b"head", &arena);
    /// assert!(body.try_extend_from_slice(&[0; 8192]).is_err()); // a part that is too long for the request
    /// assert_eq!(body, b"head");
    /// ```
    #[inline(always)]
    pub fn try_extend_from_slice(&mut self, from: &[T]) -> Result<(), BudgetExceeded>
    where
        T: Clone,
    {
        self.0.extend_from_slice(from)
    }

    /// Appends clones of its own elements in `range`.
    ///
    /// # Panics
    ///
    /// If `range` is not within the vector. With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut plan = Vec::from_iter_in(["create", "start"], &arena);
    /// plan.extend_from_within(..); // the same for a second VM
    /// assert_eq!(plan, ["create", "start", "create", "start"]);
    /// ```
    pub fn extend_from_within(&mut self, range: impl RangeBounds<usize>)
    where
        T: Clone,
    {
        let (start, end) = bounds(&range, self.len());
        self.reserve(end - start);
        for index in start..end {
            let value = self[index].clone();
            self.push(value);
        }
    }

    /// Moves all elements of `other`, which may lie in another arena, behind these.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget; both are as they were then.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut placed = Vec::from_iter_in(["vm-1"], &arena);
    /// let mut retried = Vec::from_iter_in(["vm-2", "vm-3"], &arena);
    /// placed.append(&mut retried); // which is empty then, and can be filled again
    /// assert_eq!((placed.len(), retried.len()), (3, 0));
    /// ```
    pub fn append<B: AnyArena>(&mut self, other: &mut Vec<T, &B>) {
        self.reserve(other.len());
        let len = self.len();
        // SAFETY: within the block: room was reserved.
        let end = unsafe { self.0.as_ptr().add(len) };
        // SAFETY: `other`'s values are alive, here is room for them, and two vectors do not overlap.
        unsafe { ptr::copy_nonoverlapping(other.0.as_ptr().as_ptr(), end.as_ptr(), other.len()) };
        // SAFETY: just moved here...
        unsafe { self.0.set_len(len + other.len()) };
        // SAFETY: ...and no longer there.
        unsafe { other.0.set_len(0) };
    }

    /// Makes it `len` long, with clones of `value` where elements are missing.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut free_mib = Vec::from_iter_in([2048, 512], &arena); // by node number
    /// free_mib.resize(4, 0); // two nodes have not reported yet
    /// assert_eq!(free_mib, [2048, 512, 0, 0]);
    /// ```
    pub fn resize(&mut self, len: usize, value: T)
    where
        T: Clone,
    {
        self.resize_with(len, || value.clone());
    }

    /// Makes it `len` long, with what `make` returns where elements are missing.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut by_node = Vec::new_in(&arena);
    /// by_node.resize_with(3, || Vec::new_in(&arena)); // a list of VMs for each of three nodes
    /// by_node[1].push("vm-1");
    /// assert_eq!(by_node[1], ["vm-1"]);
    /// ```
    pub fn resize_with(&mut self, len: usize, mut make: impl FnMut() -> T) {
        self.truncate(len);
        self.reserve(len - self.len());
        while self.len() < len {
            self.push(make());
        }
    }

    /// Takes the elements in `range` out, as an iterator that lends the vector. Those not taken when it is dropped go too.
    ///
    /// # Panics
    ///
    /// If `range` is not within the vector.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut queue = Vec::from_iter_in([1, 2, 3, 4], &arena);
    /// let due: u32 = queue.drain(..2).sum();
    /// assert_eq!((due, queue.as_slice()), (3, &[3, 4][..]));
    /// ```
    pub fn drain(&mut self, range: impl RangeBounds<usize>) -> Drain<'_, T> {
        let len = self.len();
        let (start, end) = bounds(&range, len);
        // The gap is closed at once, with the drained elements moved behind the others: they need no Drop, so there is
        // nothing left to do for an iterator that is dropped, or forgotten.
        self.0.as_mut_slice()[start..].rotate_left(end - start);
        // SAFETY: fewer than are alive.
        unsafe { self.0.set_len(len - (end - start)) };
        // SAFETY: within the block.
        let first = unsafe { self.0.as_ptr().add(len - (end - start)) };
        // SAFETY: the drained values are alive there, and the vector is borrowed while the iterator has them.
        let drained = unsafe { slice::from_raw_parts_mut(first.as_ptr().cast::<MaybeUninit<T>>(), end - start) };
        Drain { rest: drained.iter_mut() }
    }

    /// Takes the elements from `at` on into a vector of their own.
    ///
    /// # Panics
    ///
    /// If `at > len`. With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut ranked = Vec::from_iter_in(["node-3", "node-1", "node-2"], &arena);
    /// let alternatives = ranked.split_off(1);
    /// assert_eq!((ranked.as_slice(), alternatives.as_slice()), (&["node-3"][..], &["node-1", "node-2"][..]));
    /// ```
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        let (start, end) = bounds(&(at..), self.len());
        let mut rest = Self::with_capacity_in(end - start, self.arena());
        rest.extend(self.drain(at..));
        rest
    }

    /// The room behind the elements, to be written and then counted by [`set_len`](Self::set_len).
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut frame: Vec<u8, _> = Vec::with_capacity_in(4096, &arena);
    /// let room = frame.spare_capacity_mut(); // not zeroed first
    /// room[0].write(7);
    /// // SAFETY: one byte was written.
    /// unsafe { frame.set_len(1) };
    /// assert_eq!(frame, [7]);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<T>] {
        let room = self.capacity() - self.len();
        // SAFETY: within the block.
        let end = unsafe { self.0.as_ptr().add(self.len()) };
        // SAFETY: so much room is there, and uninitialised is fine for `MaybeUninit`.
        unsafe { slice::from_raw_parts_mut(end.as_ptr().cast(), room) }
    }

    /// Says how many elements there are.
    ///
    /// # Safety
    ///
    /// `len <= capacity`, and the first `len` elements have been written.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Vec};
    /// let arena = Arena::new();
    /// let mut scores: Vec<f32, _> = Vec::with_capacity_in(256, &arena);
    /// for (node, place) in scores.spare_capacity_mut().iter_mut().enumerate() {
    ///     place.write(node as f32); // a loop that tests no capacity, and so becomes vector instructions
    /// }
    /// // SAFETY: all 256 were written.
    /// unsafe { scores.set_len(256) };
    /// assert_eq!(scores[255], 255.0);
    /// ```
    #[inline(always)]
    pub unsafe fn set_len(&mut self, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.0.set_len(len) };
    }
}

/// The ends of a range within `len` elements.
pub(super) fn bounds(range: &impl RangeBounds<usize>, len: usize) -> (usize, usize) {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.checked_add(1).expect("a range that begins behind usize::MAX"),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.checked_add(1).expect("a range that ends behind usize::MAX"),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => len,
    };
    assert!(start <= end && end <= len, "range {start}..{end} of {len} elements");
    (start, end)
}

/// Elements taken out of a [`Vec`].
///
/// ```
/// # use blixard_arena::{Arena, collections::Vec};
/// let arena = Arena::new();
/// let mut log = Vec::from_iter_in(["a", "b", "c"], &arena);
/// let sent = log.drain(..2); // knows how many it has, from both ends
/// assert_eq!((sent.len(), sent.rev().next()), (2, Some("b")));
/// assert_eq!(log, ["c"]);
/// ```
pub struct Drain<'v, T> {
    /// Behind the vector's length, each alive until it is handed out.
    rest: slice::IterMut<'v, MaybeUninit<T>>,
}

impl<T> Drain<'_, T> {
    fn read(slot: &mut MaybeUninit<T>) -> T {
        // SAFETY: alive, and the iterator passes each slot once.
        unsafe { slot.assume_init_read() }
    }
}

impl<T> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.rest.next().map(Self::read)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl<T> DoubleEndedIterator for Drain<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        self.rest.next_back().map(Self::read)
    }
}

impl<T> ExactSizeIterator for Drain<'_, T> {}
impl<T> std::iter::FusedIterator for Drain<'_, T> {}

impl<T> fmt::Debug for Drain<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("left", &self.rest.len()).finish()
    }
}

impl<T, A: AnyArena> Deref for Vec<T, &A> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T, A: AnyArena> DerefMut for Vec<T, &A> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

impl<T, A: AnyArena> AsRef<[T]> for Vec<T, &A> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T, A: AnyArena> AsMut<[T]> for Vec<T, &A> {
    fn as_mut(&mut self) -> &mut [T] {
        self
    }
}

impl<T, A: AnyArena> Borrow<[T]> for Vec<T, &A> {
    fn borrow(&self) -> &[T] {
        self
    }
}

impl<T, A: AnyArena> BorrowMut<[T]> for Vec<T, &A> {
    fn borrow_mut(&mut self) -> &mut [T] {
        self
    }
}

impl<T, A: AnyArena, I: SliceIndex<[T]>> Index<I> for Vec<T, &A> {
    type Output = I::Output;

    #[inline(always)]
    fn index(&self, index: I) -> &I::Output {
        &self.as_slice()[index]
    }
}

impl<T, A: AnyArena, I: SliceIndex<[T]>> IndexMut<I> for Vec<T, &A> {
    #[inline(always)]
    fn index_mut(&mut self, index: I) -> &mut I::Output {
        &mut self.as_mut_slice()[index]
    }
}

impl<'a, T, A: AnyArena> IntoIterator for Vec<T, &'a A> {
    type Item = T;
    type IntoIter = IntoIter<T, &'a A>;

    #[inline(always)]
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_values()
    }
}

impl<'v, T, A: AnyArena> IntoIterator for &'v Vec<T, &A> {
    type Item = &'v T;
    type IntoIter = slice::Iter<'v, T>;

    #[inline(always)]
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'v, T, A: AnyArena> IntoIterator for &'v mut Vec<T, &A> {
    type Item = &'v mut T;
    type IntoIter = slice::IterMut<'v, T>;

    #[inline(always)]
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// Panics with [`BudgetExceeded`] over budget; what was yielded by then is in the vector.
impl<T, A: AnyArena> Extend<T> for Vec<T, &A> {
    #[inline(always)]
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        sure(self.0.extend(values));
    }
}

impl<'v, T: Copy + 'v, A: AnyArena> Extend<&'v T> for Vec<T, &A> {
    #[inline(always)]
    fn extend<I: IntoIterator<Item = &'v T>>(&mut self, values: I) {
        sure(self.0.extend(values.into_iter().copied()));
    }
}

/// In the same arena.
impl<T: Clone, A: AnyArena> Clone for Vec<T, &A> {
    fn clone(&self) -> Self {
        let mut clone = Self::with_capacity_in(self.len(), self.arena());
        clone.extend_from_slice(self);
        clone
    }
}

impl<T: fmt::Debug, A: AnyArena> fmt::Debug for Vec<T, &A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<T: Hash, A: AnyArena> Hash for Vec<T, &A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl<T: Eq, A: AnyArena> Eq for Vec<T, &A> {}

impl<T: PartialOrd, A: AnyArena, B: AnyArena> PartialOrd<Vec<T, &B>> for Vec<T, &A> {
    fn partial_cmp(&self, other: &Vec<T, &B>) -> Option<Ordering> {
        self.as_slice().partial_cmp(other.as_slice())
    }
}

impl<T: Ord, A: AnyArena> Ord for Vec<T, &A> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

macro_rules! equal {
    ([$($generics:tt)*] $other:ty) => {
        impl<T: PartialEq<U>, U, A: AnyArena, $($generics)*> PartialEq<$other> for Vec<T, &A> {
            #[inline]
            fn eq(&self, other: &$other) -> bool {
                self.as_slice() == &other[..]
            }
        }
    };
}
equal!([B: AnyArena] Vec<U, &B>);
equal!([][U]);
equal!([] & [U]);
equal!([] &mut [U]);
equal!([] std::vec::Vec<U>);
equal!([const N: usize] [U; N]);
equal!([const N: usize] &[U; N]);

macro_rules! equal_to {
    ([$($generics:tt)*] $other:ty) => {
        impl<T, U: PartialEq<T>, A: AnyArena, $($generics)*> PartialEq<Vec<T, &A>> for $other {
            #[inline]
            fn eq(&self, other: &Vec<T, &A>) -> bool {
                &self[..] == other.as_slice()
            }
        }
    };
}
equal_to!([][U]);
equal_to!([] & [U]);
equal_to!([] std::vec::Vec<U>);
equal_to!([const N: usize] [U; N]);

/// Appends bytes: never fails, and panics with [`BudgetExceeded`] over budget.
impl<A: AnyArena> std::io::Write for Vec<u8, &A> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
