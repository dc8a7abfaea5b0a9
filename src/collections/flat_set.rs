//! `FlatSet`: values in one slice in the order of insertion, scanned while few, indexed by hash once many.
//!
//! Stands on `table`, beside `FlatMap`, whose words on order, hashing and memory hold here too. Cost: the same.
//!
//! Longer than most files here: half of its lines are the examples of its calls.
#![forbid(unsafe_code)]

use super::list;
use super::memory::{Heap, Memory};
use super::table::{Absent, Table};
use super::vec::{Vec, sure};
use crate::arena::ledger::Refusal;
use crate::arena::{AnyArena, BudgetExceeded};
use crate::hash::SeededState;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::slice;

/// A hash set for the sizes that requests have: [`FlatMap`](super::FlatMap) without values.
///
/// ```
/// use blixard_arena::ArenaPool;
/// use blixard_arena::collections::FlatSet;
///
/// let pool = ArenaPool::new();
/// let arena = pool.acquire();
/// let mut seen = FlatSet::new_in(&*arena);
/// let commands = ["start vm-1", "start vm-2", "start vm-1"];
/// let fresh = commands.iter().filter(|command| seen.insert(**command)).count();
/// assert_eq!(fresh, 2);
/// let frozen: &[&str] = seen.freeze(); // in the order in which they came
/// assert_eq!(frozen, ["start vm-1", "start vm-2"]);
/// ```
pub struct FlatSet<T, A = Heap, S = SeededState> {
    table: Table<T, A>,
    hash: S,
}

/// On the heap, with the seeded hash.
impl<T> FlatSet<T> {
    /// An empty set on the heap; takes no memory before the first value.
    ///
    /// ```
    /// use blixard_arena::collections::FlatSet;
    /// let mut tenants = FlatSet::new();
    /// assert!(tenants.insert("acme".to_owned()));
    /// assert!(tenants.contains("acme"));
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn new() -> Self {
        Self::with_hasher(SeededState)
    }

    /// An empty set on the heap with room for `cap` values.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] when the global allocator has no memory.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let mut members = FlatSet::with_capacity(1000); // a set that lives as long as the service
    /// members.insert("node-1".to_owned());
    /// assert!(members.capacity() >= 1000);
    /// ```
    #[must_use]
    pub fn with_capacity(cap: usize) -> Self
    where
        T: Eq + Hash,
    {
        let mut set = Self::new();
        set.reserve(cap);
        set
    }
}

/// On the heap.
impl<T, S> FlatSet<T, Heap, S> {
    /// An empty set on the heap that hashes with `hash`.
    ///
    /// ```
    /// # use blixard_arena::collections::{FixedState, FlatSet};
    /// let mut slots = FlatSet::with_hasher(FixedState); // numbers of the program's own: nobody chooses them to collide
    /// assert!(slots.insert(17u64));
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn with_hasher(hash: S) -> Self {
        Self { table: Table::new(Heap::new()), hash }
    }
}

/// In an arena, with the seeded hash.
impl<'a, T, A: AnyArena> FlatSet<T, &'a A> {
    /// An empty set in an arena; takes no memory before the first value.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatSet};
    /// let arena = Arena::new();
    /// let mut touched = FlatSet::new_in(&arena);
    /// touched.extend(["node-7", "node-3", "node-7"]);
    /// assert_eq!(touched.len(), 2); // so many replies to wait for
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn new_in(arena: &'a A) -> Self {
        Self::with_hasher_in(SeededState, arena)
    }

    /// An empty set in an arena with room for `cap` values.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatSet};
    /// let arena = Arena::new();
    /// let lines = ["acme vm-1", "acme vm-2"];
    /// let mut tenants = FlatSet::with_capacity_in(lines.len(), &arena); // at most one for each line
    /// tenants.extend(lines.iter().map(|line| &*arena.alloc_str(&line[..4])));
    /// assert_eq!(tenants.as_slice(), ["acme"]);
    /// ```
    #[must_use]
    pub fn with_capacity_in(cap: usize, arena: &'a A) -> Self
    where
        T: Eq + Hash,
    {
        let mut set = Self::new_in(arena);
        set.reserve(cap);
        set
    }

    /// [`with_capacity_in`](Self::with_capacity_in), or an error: for a number that came from outside.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::FlatSet};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let announced = 1 << 40; // by a request's header
    /// assert!(FlatSet::<u64, _>::try_with_capacity_in(announced, &arena).is_err());
    /// ```
    pub fn try_with_capacity_in(cap: usize, arena: &'a A) -> Result<Self, BudgetExceeded>
    where
        T: Eq + Hash,
    {
        let mut set = Self::new_in(arena);
        set.try_reserve(cap)?;
        Ok(set)
    }

    /// All values that an iterator yields, once each. The iterator may itself build values in this arena.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatSet};
    /// let arena = Arena::new();
    /// let zones = FlatSet::from_iter_in(["b", "c", "b"], &arena);
    /// assert_eq!(zones.as_slice(), ["b", "c"]);
    /// ```
    #[must_use]
    pub fn from_iter_in(values: impl IntoIterator<Item = T>, arena: &'a A) -> Self
    where
        T: Eq + Hash,
    {
        let mut set = Self::new_in(arena);
        set.extend(values);
        set
    }

    /// [`from_iter_in`](Self::from_iter_in), or an error; what was yielded by then is lost.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::FlatSet};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let ids = 0..1_000_000u64; // of one request
    /// assert!(FlatSet::try_from_iter_in(ids, &arena).is_err()); // which ends; the process lives
    /// ```
    pub fn try_from_iter_in(values: impl IntoIterator<Item = T>, arena: &'a A) -> Result<Self, BudgetExceeded>
    where
        T: Eq + Hash,
    {
        let mut set = Self::new_in(arena);
        for value in values {
            set.try_insert(value)?;
        }
        Ok(set)
    }
}

/// In an arena.
impl<'a, T, A: AnyArena, S> FlatSet<T, &'a A, S> {
    /// An empty set in an arena that hashes with `hash`.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::{FixedState, FlatSet}};
    /// let arena = Arena::new();
    /// let mut visited = FlatSet::with_hasher_in(FixedState, &arena); // node numbers of our own
    /// let hops = [7u32, 11, 7].into_iter().take_while(|node| visited.insert(*node)).count();
    /// assert_eq!(hops, 2); // it went round in a circle
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn with_hasher_in(hash: S, arena: &'a A) -> Self {
        Self { table: Table::new(arena), hash }
    }

    /// The values as a slice that lives as long as the arena's borrow. No copy; see
    /// [`FlatMap::freeze`](super::FlatMap::freeze).
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatSet};
    /// let arena = Arena::new();
    /// struct Config<'a> { tags: &'a [&'a str] } // plain data: can be copied, sealed, sent
    ///
    /// let config = Config { tags: FlatSet::from_iter_in(["gpu", "ssd", "gpu"], &arena).freeze() };
    /// assert_eq!(config.tags, ["gpu", "ssd"]);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn freeze(self) -> &'a mut [T] {
        Vec::from_list(self.table.into_entries()).into_slice()
    }

    /// The arena it lies in.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatSet};
    /// let arena = Arena::new();
    /// let mut names: FlatSet<&str, _> = FlatSet::new_in(&arena);
    /// let arena = names.arena(); // so a function that takes the set needs no arena beside it
    /// names.insert(arena.concat(("node-", 7)));
    /// assert!(names.contains("node-7"));
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn arena(&self) -> &'a A {
        self.table.entries().memory()
    }
}

/// Looking at it.
impl<T, A: Memory, S> FlatSet<T, A, S> {
    /// The number of values.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let votes = FlatSet::from(["node-1", "node-3", "node-1"]); // a vote that came twice counts once
    /// assert!(votes.len() >= 2, "a majority of three");
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.entries().len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let mut waiting = FlatSet::from(["node-1", "node-2"]);
    /// for reply in ["node-2", "node-1"] {
    ///     waiting.remove(reply);
    /// }
    /// assert!(waiting.is_empty()); // all have answered
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values there is room for without growing the slice.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatSet};
    /// let arena = Arena::new();
    /// let mut zones = FlatSet::with_capacity_in(20, &arena);
    /// let room = zones.capacity();
    /// zones.extend(["a", "b", "c"]);
    /// assert_eq!(zones.capacity(), room); // the guess was right: nothing moved
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.table.entries().capacity()
    }

    /// The values, in their order.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let zones = FlatSet::from(["b", "c", "b", "a"]);
    /// assert_eq!(zones.as_slice()[0], "b"); // the one that was named first
    /// assert_eq!(zones.as_slice().join(","), "b,c,a");
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        self.table.as_slice()
    }

    /// Goes through the values, in their order.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let zones = FlatSet::from(["b", "c"]);
    /// let spread: Vec<_> = ["vm-1", "vm-2", "vm-3"].into_iter().zip(zones.iter().cycle()).collect();
    /// assert_eq!(spread[2], ("vm-3", &"b")); // round and round
    /// ```
    #[inline(always)]
    pub fn iter(&self) -> slice::Iter<'_, T> {
        self.as_slice().iter()
    }

    /// Removes all values and keeps the room.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatSet};
    /// let arena = Arena::new();
    /// let mut seen = FlatSet::<&str, _>::with_capacity_in(64, &arena);
    /// for batch in [&["vm-1", "vm-2"][..], &["vm-1"]] {
    ///     seen.clear(); // one set for all batches of the request
    ///     seen.extend(batch);
    /// }
    /// assert_eq!(seen.as_slice(), ["vm-1"]);
    /// ```
    #[inline]
    pub fn clear(&mut self) {
        self.table.clear();
    }

    /// What it hashes with.
    ///
    /// ```
    /// # use blixard_arena::collections::{FixedState, FlatSet};
    /// let taken = FlatSet::<_, _, FixedState>::from_iter([17u64]);
    /// let mut released = FlatSet::with_hasher(*taken.hasher()); // another one of its kind
    /// assert!(released.insert(17));
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn hasher(&self) -> &S {
        &self.hash
    }
}

/// Finding and changing.
impl<T: Eq + Hash, A: Memory, S: BuildHasher> FlatSet<T, A, S> {
    #[inline(always)]
    fn position<Q: Eq + Hash + ?Sized>(&self, value: &Q) -> Result<usize, Absent>
    where
        T: Borrow<Q>,
    {
        self.table.find(|| self.hash.hash_one(value), |other| other.borrow() == value)
    }

    #[inline(always)]
    fn put<E: Refusal>(&mut self, value: T) -> Result<bool, E> {
        match self.position(&value) {
            Ok(_) => Ok(false),
            Err(absent) => {
                let Self { table, hash } = self;
                table.push::<E>(value, absent, |value| hash.hash_one(value)).map(|_| true)
            }
        }
    }

    /// Adds a value; answers whether it was new. One that is there stays as it is.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let mut names = FlatSet::new();
    /// let twice = ["vm-1", "vm-2", "vm-1"].into_iter().find(|name| !names.insert(*name));
    /// assert_eq!(twice, Some("vm-1")); // for the error that refuses the batch
    /// ```
    #[inline(always)]
    pub fn insert(&mut self, value: T) -> bool {
        sure(self.put(value))
    }

    /// [`insert`](Self::insert), or an error; the set is as it was then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::FlatSet};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut ids = FlatSet::new_in(&arena);
    /// let refused = (0..10_000u64).find_map(|id| ids.try_insert(id).err());
    /// assert_eq!(refused.unwrap().allowed, 4096); // an answer to the client; what was there still is
    /// assert!(ids.contains(&0));
    /// ```
    #[inline(always)]
    pub fn try_insert(&mut self, value: T) -> Result<bool, BudgetExceeded> {
        self.put(value)
    }

    /// A value as it is in the set.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatSet};
    /// let arena = Arena::new();
    /// let mut names = FlatSet::new_in(&arena);
    /// for name in ["acme", "acme"] {
    ///     if names.get(name).is_none() {
    ///         names.insert(&*arena.alloc_str(name)); // copied once
    ///     }
    /// }
    /// assert_eq!(names.len(), 1);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn get<Q: Eq + Hash + ?Sized>(&self, value: &Q) -> Option<&T>
    where
        T: Borrow<Q>,
    {
        self.as_slice().get(self.position(value).ok()?)
    }

    /// Whether a value is there.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let drained: FlatSet<String> = FlatSet::from(["node-3".to_owned()]);
    /// let open = ["node-1", "node-3"].into_iter().filter(|node| !drained.contains(*node));
    /// assert!(open.eq(["node-1"])); // asked with a `&str`: no `String` is built
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.position(value).is_ok()
    }

    /// Removes a value; answers whether it was there. The last one takes its place.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let mut expected = FlatSet::from(["node-1", "node-2"]);
    /// assert!(expected.remove("node-2"));
    /// assert!(!expected.remove("node-2")); // a second reply of the same node is none
    /// ```
    #[inline]
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.take(value).is_some()
    }

    /// Takes a value out. The last one takes its place.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let mut idle = FlatSet::from(["node-1".to_owned(), "node-2".to_owned()]);
    /// let chosen: Option<String> = idle.take("node-1"); // the owned name, no copy
    /// assert_eq!(chosen.as_deref(), Some("node-1"));
    /// ```
    #[inline]
    pub fn take<Q: Eq + Hash + ?Sized>(&mut self, value: &Q) -> Option<T>
    where
        T: Borrow<Q>,
    {
        let position = self.position(value).ok()?;
        let Self { table, hash } = self;
        Some(table.swap_remove(position, |value| hash.hash_one(value)))
    }

    /// Keeps the values for which `keep` says so, in their order.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let mut nodes = FlatSet::from(["node-1", "node-2", "edge-1"]);
    /// nodes.retain(|node| node.starts_with("node-"));
    /// assert_eq!(nodes.as_slice(), ["node-1", "node-2"]);
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let Self { table, hash } = self;
        table.retain(|value| keep(value), |value| hash.hash_one(value));
    }

    /// Makes room for `more` further values.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatSet};
    /// let arena = Arena::new();
    /// let mut names = FlatSet::from_iter_in(["vm-0"], &arena);
    /// names.reserve(100); // so that it does not grow while the names are built
    /// names.extend((1..=100u32).map(|vm| &*arena.concat(("vm-", vm))));
    /// assert_eq!(names.capacity(), 101);
    /// ```
    pub fn reserve(&mut self, more: usize) {
        let Self { table, hash } = self;
        sure(table.reserve(more, |value| hash.hash_one(value)));
    }

    /// [`reserve`](Self::reserve), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::FlatSet};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut ids: FlatSet<u64, _> = FlatSet::new_in(&arena);
    /// assert!(ids.try_reserve(100_000).is_err()); // said before the work is begun
    /// assert!(ids.try_reserve(10).is_ok());
    /// ```
    pub fn try_reserve(&mut self, more: usize) -> Result<(), BudgetExceeded> {
        let Self { table, hash } = self;
        table.reserve(more, |value| hash.hash_one(value))
    }

    /// The values that `other` has too, in the order of this set.
    ///
    /// ```
    /// use blixard_arena::collections::FlatSet;
    /// let (wanted, there) = (FlatSet::from(["gpu", "ssd"]), FlatSet::from(["ssd", "ipv6"]));
    /// assert!(wanted.intersection(&there).eq(&["ssd"]));
    /// assert!(wanted.difference(&there).eq(&["gpu"])); // what is missing
    /// ```
    pub fn intersection<'s, B: Memory, U: BuildHasher>(
        &'s self,
        other: &'s FlatSet<T, B, U>,
    ) -> impl Iterator<Item = &'s T> + Clone {
        self.iter().filter(|value| other.contains(*value))
    }

    /// The values that `other` does not have, in the order of this set.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let (wanted, running) = (FlatSet::from(["vm-1", "vm-2"]), FlatSet::from(["vm-2", "vm-3"]));
    /// assert!(wanted.difference(&running).eq(&["vm-1"])); // to be started
    /// assert!(running.difference(&wanted).eq(&["vm-3"])); // to be stopped
    /// ```
    pub fn difference<'s, B: Memory, U: BuildHasher>(
        &'s self,
        other: &'s FlatSet<T, B, U>,
    ) -> impl Iterator<Item = &'s T> + Clone {
        self.iter().filter(|value| !other.contains(*value))
    }

    /// The values of this set, and then those that only `other` has.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let (own, inherited) = (FlatSet::from(["gpu"]), FlatSet::from(["eu", "gpu"]));
    /// assert!(own.union(&inherited).eq(&["gpu", "eu"])); // each tag once, without building a third set
    /// ```
    pub fn union<'s, B: Memory, U: BuildHasher>(
        &'s self,
        other: &'s FlatSet<T, B, U>,
    ) -> impl Iterator<Item = &'s T> + Clone {
        self.iter().chain(other.difference(self))
    }

    /// Whether `other` has all values of this set.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let (wanted, node) = (FlatSet::from(["gpu"]), FlatSet::from(["ssd", "gpu"]));
    /// assert!(wanted.is_subset(&node)); // the node has all that the VM asks for
    /// ```
    #[must_use]
    pub fn is_subset<B: Memory, U: BuildHasher>(&self, other: &FlatSet<T, B, U>) -> bool {
        self.iter().all(|value| other.contains(value))
    }

    /// Whether this set has all values of `other`.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let (voters, replied) = (FlatSet::from([1, 2, 3]), FlatSet::from([3, 1]));
    /// assert!(voters.is_superset(&replied)); // nobody replied who has no vote
    /// ```
    #[must_use]
    pub fn is_superset<B: Memory, U: BuildHasher>(&self, other: &FlatSet<T, B, U>) -> bool {
        other.iter().all(|value| self.contains(value))
    }

    /// Whether `other` has no value of this set.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatSet;
    /// let (apart_from, on_node) = (FlatSet::from(["db-1", "db-2"]), FlatSet::from(["web-1"]));
    /// assert!(apart_from.is_disjoint(&on_node)); // anti-affinity holds: the VM may go there
    /// ```
    #[must_use]
    pub fn is_disjoint<B: Memory, U: BuildHasher>(&self, other: &FlatSet<T, B, U>) -> bool {
        !self.iter().any(|value| other.contains(value))
    }
}

impl<T, S: Default> Default for FlatSet<T, Heap, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<T: Eq + Hash, S: BuildHasher + Default> FromIterator<T> for FlatSet<T, Heap, S> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut set = Self::default();
        set.extend(values);
        set
    }
}

impl<T: Eq + Hash, const N: usize> From<[T; N]> for FlatSet<T> {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

/// Panics with [`BudgetExceeded`] over budget; what was yielded by then is in the set.
impl<T: Eq + Hash, A: Memory, S: BuildHasher> Extend<T> for FlatSet<T, A, S> {
    #[inline]
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        let values = values.into_iter();
        let announced = values.size_hint().0;
        self.reserve(if self.is_empty() { announced } else { announced.div_ceil(2) });
        for value in values {
            self.insert(value);
        }
    }
}

impl<'v, T: Eq + Hash + Copy + 'v, A: Memory, S: BuildHasher> Extend<&'v T> for FlatSet<T, A, S> {
    fn extend<I: IntoIterator<Item = &'v T>>(&mut self, values: I) {
        self.extend(values.into_iter().copied());
    }
}

/// In the same arena.
impl<T: Clone, A: Memory, S: Clone> Clone for FlatSet<T, A, S> {
    fn clone(&self) -> Self {
        Self { table: sure(self.table.clone_with(T::clone)), hash: self.hash.clone() }
    }
}

impl<T: fmt::Debug, A: Memory, S> fmt::Debug for FlatSet<T, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

/// The same values, in whatever order.
impl<T: Eq + Hash, A: Memory, B: Memory, S: BuildHasher, U: BuildHasher> PartialEq<FlatSet<T, B, U>>
    for FlatSet<T, A, S>
{
    fn eq(&self, other: &FlatSet<T, B, U>) -> bool {
        self.len() == other.len() && self.is_subset(other)
    }
}

impl<T: Eq + Hash, A: Memory, S: BuildHasher> Eq for FlatSet<T, A, S> {}

impl<T, A: Memory, S> IntoIterator for FlatSet<T, A, S> {
    type Item = T;
    type IntoIter = list::IntoIter<T, A>;

    #[inline(always)]
    fn into_iter(self) -> Self::IntoIter {
        self.table.into_entries().into_values()
    }
}

impl<'s, T, A: Memory, S> IntoIterator for &'s FlatSet<T, A, S> {
    type Item = &'s T;
    type IntoIter = slice::Iter<'s, T>;

    #[inline(always)]
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
