//! Entries of a `FlatMap`: a key's place, looked up once.
//!
//! Stands beside `flat_map`. Cost: one look-up, and an append where the key is new.
#![forbid(unsafe_code)]

use super::flat_map::FlatMap;
use super::memory::Memory;
use super::table::Absent;
use super::vec::sure;
use crate::arena::BudgetExceeded;
use crate::arena::ledger::Refusal;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::mem;

/// A key's place in a [`FlatMap`]: see [`FlatMap::entry`].
///
/// ```
/// # use blixard_arena::collections::{Entry, FlatMap};
/// let mut leases = FlatMap::from([("vm-1", 10)]);
/// let now = 20;
/// match leases.entry("vm-1") {
///     Entry::Occupied(lease) if *lease.get() < now => _ = lease.remove(), // looked up once, whatever comes of it
///     Entry::Occupied(mut lease) => _ = lease.insert(now + 30),
///     Entry::Vacant(place) => _ = place.insert(now + 30),
/// }
/// assert!(leases.is_empty());
/// ```
pub enum Entry<'m, K, V, A, S> {
    /// The key is there.
    Occupied(OccupiedEntry<'m, K, V, A, S>),
    /// It is not.
    Vacant(VacantEntry<'m, K, V, A, S>),
}

/// A key that is there.
///
/// ```
/// # use blixard_arena::collections::{Entry, FlatMap};
/// let mut claims = FlatMap::from([("node-7", "vm-1")]);
/// if let Entry::Occupied(claim) = claims.entry("node-7") {
///     assert_eq!((*claim.key(), *claim.get()), ("node-7", "vm-1")); // for the reason of a refusal
/// }
/// ```
pub struct OccupiedEntry<'m, K, V, A, S> {
    pub(super) map: &'m mut FlatMap<K, V, A, S>,
    pub(super) position: usize,
}

/// A key that is not there yet.
///
/// ```
/// # use blixard_arena::collections::{Entry, FlatMap};
/// let mut claims = FlatMap::from([("node-7", "vm-1")]);
/// let claimed = match claims.entry("node-9") {
///     Entry::Vacant(place) => *place.insert("vm-2"), // nobody was there before
///     Entry::Occupied(_) => "refused",
/// };
/// assert_eq!(claimed, "vm-2");
/// ```
pub struct VacantEntry<'m, K, V, A, S> {
    pub(super) map: &'m mut FlatMap<K, V, A, S>,
    pub(super) key: K,
    pub(super) absent: Absent,
}

impl<'m, K: Eq + Hash, V, A: Memory, S: BuildHasher> Entry<'m, K, V, A, S> {
    /// The value, `value` first where there is none.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut used = FlatMap::new();
    /// for (node, cores) in [("node-1", 4), ("node-2", 2), ("node-1", 8)] {
    ///     *used.entry(node).or_insert(0) += cores;
    /// }
    /// assert_eq!(used.as_slice(), [("node-1", 12), ("node-2", 2)]);
    /// ```
    #[inline(always)]
    pub fn or_insert(self, value: V) -> &'m mut V {
        self.or_insert_with(|| value)
    }

    /// [`or_insert`](Self::or_insert), or an error; the map is as it was then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::FlatMap};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut used = FlatMap::new_in(&arena);
    /// for (node, cores) in [("node-1", 4), ("node-1", 8)] {
    ///     *used.entry(node).or_try_insert(0)? += cores; // over budget: the request's error, no panic
    /// }
    /// assert_eq!(used["node-1"], 12);
    /// # Ok::<(), blixard_arena::BudgetExceeded>(())
    /// ```
    #[inline(always)]
    pub fn or_try_insert(self, value: V) -> Result<&'m mut V, BudgetExceeded> {
        match self {
            Self::Occupied(entry) => Ok(entry.into_mut()),
            Self::Vacant(entry) => entry.put(value),
        }
    }

    /// The value, what `make` returns first where there is none.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget, and as `make` does; the map is as it was then.
    ///
    /// ```
    /// use blixard_arena::{Arena, collections::{FlatMap, Vec}};
    ///
    /// let arena = Arena::new();
    /// let mut by_zone = FlatMap::new_in(&arena);
    /// for (zone, vm) in [("b", 1), ("c", 2), ("b", 3)] {
    ///     by_zone.entry(zone).or_insert_with(|| Vec::new_in(&arena)).push(vm);
    /// }
    /// assert_eq!(by_zone["b"], [1, 3]);
    /// ```
    #[inline(always)]
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'m mut V {
        self.or_insert_with_key(|_| make())
    }

    /// [`or_insert_with`](Self::or_insert_with) that is told the key.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget, and as `make` does; the map is as it was then.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// let arena = Arena::new();
    /// let mut endpoints = FlatMap::new_in(&arena);
    /// let endpoint = *endpoints.entry("node-7").or_insert_with_key(|node| &*arena.concat((*node, ":9000")));
    /// assert_eq!(endpoint, "node-7:9000"); // built where it was missing, and only there
    /// ```
    #[inline(always)]
    pub fn or_insert_with_key(self, make: impl FnOnce(&K) -> V) -> &'m mut V {
        match self {
            Self::Occupied(entry) => entry.into_mut(),
            Self::Vacant(entry) => {
                let value = make(&entry.key);
                entry.insert(value)
            }
        }
    }

    /// The value, the default first where there is none.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut by_zone: FlatMap<&str, Vec<&str>> = FlatMap::new();
    /// for (zone, node) in [("b", "node-1"), ("c", "node-2"), ("b", "node-3")] {
    ///     by_zone.entry(zone).or_default().push(node);
    /// }
    /// assert_eq!(by_zone["b"], ["node-1", "node-3"]);
    /// ```
    #[inline(always)]
    pub fn or_default(self) -> &'m mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }

    /// Changes the value if there is one.
    ///
    /// ```
    /// use blixard_arena::collections::FlatMap;
    /// let mut retries = FlatMap::from([("vm-1", 1)]);
    /// for vm in ["vm-1", "vm-2"] {
    ///     retries.entry(vm).and_modify(|count| *count += 1).or_insert(1);
    /// }
    /// assert_eq!(retries.as_slice(), [("vm-1", 2), ("vm-2", 1)]);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn and_modify(mut self, change: impl FnOnce(&mut V)) -> Self {
        if let Self::Occupied(entry) = &mut self {
            change(entry.get_mut());
        }
        self
    }

    /// The key.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut counts = FlatMap::from([("acme", 3)]);
    /// let entry = counts.entry("acme");
    /// let limit = if entry.key().starts_with("acme") { 10 } else { 1 }; // the key has moved into the entry
    /// assert!(*entry.or_insert(0) < limit);
    /// ```
    #[must_use]
    pub fn key(&self) -> &K {
        match self {
            Self::Occupied(entry) => entry.key(),
            Self::Vacant(entry) => &entry.key,
        }
    }
}

impl<'m, K: Eq + Hash, V, A: Memory, S: BuildHasher> OccupiedEntry<'m, K, V, A, S> {
    /// The key as it is in the map.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// let mut ports = FlatMap::from([("http".to_owned(), 80)]);
    /// if let Entry::Occupied(taken) = ports.entry("http".to_owned()) {
    ///     assert_eq!(format!("{} is set already", taken.key()), "http is set already");
    /// }
    /// ```
    #[must_use]
    pub fn key(&self) -> &K {
        &self.map.as_slice()[self.position].0
    }

    /// The value.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// let mut terms = FlatMap::from([("group-1", 5)]);
    /// if let Entry::Occupied(mut term) = terms.entry("group-1") && *term.get() < 7 {
    ///     term.insert(7); // forward only
    /// }
    /// assert_eq!(terms["group-1"], 7);
    /// ```
    #[must_use]
    pub fn get(&self) -> &V {
        &self.map.as_slice()[self.position].1
    }

    /// The value, to be changed.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// let mut tries = FlatMap::from([("vm-1", 2)]);
    /// if let Entry::Occupied(mut left) = tries.entry("vm-1") {
    ///     *left.get_mut() -= 1;
    ///     if *left.get() == 0 { _ = left.remove() } // the entry is still there to decide by
    /// }
    /// assert_eq!(tries["vm-1"], 1);
    /// ```
    #[must_use]
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.map.pair_mut(self.position).1
    }

    /// The value, as long as the map is borrowed.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// fn row<'m>(rows: &'m mut FlatMap<&str, Vec<u32>>, node: &'static str) -> &'m mut Vec<u32> {
    ///     match rows.entry(node) {
    ///         Entry::Occupied(row) => row.into_mut(), // outlives the entry
    ///         Entry::Vacant(place) => place.insert(Vec::with_capacity(16)),
    ///     }
    /// }
    /// let mut rows = FlatMap::new();
    /// row(&mut rows, "node-1").push(4);
    /// assert_eq!(row(&mut rows, "node-1"), &[4]);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn into_mut(self) -> &'m mut V {
        &mut self.map.pair_mut(self.position).1
    }

    /// Sets the value; answers the one before.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// let mut states = FlatMap::from([("vm-1", "starting")]);
    /// if let Entry::Occupied(mut state) = states.entry("vm-1") {
    ///     let before = state.insert("running");
    ///     assert_eq!(before, "starting"); // for the log
    /// }
    /// ```
    pub fn insert(&mut self, value: V) -> V {
        mem::replace(self.get_mut(), value)
    }

    /// Takes the pair out; the last one takes its place.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// let mut waiting = FlatMap::from([("req-1", "client-9")]);
    /// if let Entry::Occupied(waiter) = waiting.entry("req-1") {
    ///     assert_eq!(waiter.remove(), "client-9"); // whom to answer, once
    /// }
    /// assert!(waiting.is_empty());
    /// ```
    #[expect(clippy::must_use_candidate, reason = "called for what it does")]
    pub fn remove(self) -> V {
        let (key, value) = self.remove_entry();
        drop(key);
        value
    }

    /// [`remove`](Self::remove) that answers the key too.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// let mut waiting = FlatMap::from([("vm-1".to_owned(), 4)]);
    /// let Entry::Occupied(entry) = waiting.entry("vm-1".to_owned()) else { panic!("it waits") };
    /// let (vm, cores): (String, u32) = entry.remove_entry(); // both are ours: no copy of the name
    /// assert_eq!((vm.as_str(), cores), ("vm-1", 4));
    /// ```
    #[expect(clippy::must_use_candidate, reason = "called for what it does")]
    pub fn remove_entry(self) -> (K, V) {
        self.map.remove_at(self.position)
    }
}

impl<'m, K: Eq + Hash, V, A: Memory, S: BuildHasher> VacantEntry<'m, K, V, A, S> {
    #[inline(always)]
    fn put<E: Refusal>(self, value: V) -> Result<&'m mut V, E> {
        let position = self.map.push(self.key, value, self.absent)?;
        Ok(&mut self.map.pair_mut(position).1)
    }

    /// Adds the pair.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// let mut leases = FlatMap::new();
    /// if let Entry::Vacant(place) = leases.entry("vm-1") {
    ///     let until = place.insert(30); // lent at once, without a second look-up
    ///     *until += 5;
    /// }
    /// assert_eq!(leases["vm-1"], 35);
    /// ```
    #[inline(always)]
    pub fn insert(self, value: V) -> &'m mut V {
        sure(self.put(value))
    }

    /// The key.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// let mut endpoints = FlatMap::new();
    /// if let Entry::Vacant(place) = endpoints.entry("node-7") {
    ///     let endpoint = format!("{}:9000", place.key()); // dear to build, so only where it is missing
    ///     place.insert(endpoint);
    /// }
    /// assert_eq!(endpoints["node-7"], "node-7:9000");
    /// ```
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key back, with nothing added.
    ///
    /// ```
    /// # use blixard_arena::collections::{Entry, FlatMap};
    /// let mut known: FlatMap<String, u32> = FlatMap::new();
    /// let refused = match known.entry("tenant-9".to_owned()) {
    ///     Entry::Vacant(place) => place.into_key(), // given back for the error, not copied
    ///     Entry::Occupied(_) => panic!("nobody is known"),
    /// };
    /// assert_eq!(refused, "tenant-9");
    /// ```
    #[must_use]
    pub fn into_key(self) -> K {
        self.key
    }
}

impl<K: fmt::Debug + Eq + Hash, V: fmt::Debug, A: Memory, S: BuildHasher> fmt::Debug for Entry<'_, K, V, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied(entry) => entry.fmt(f),
            Self::Vacant(entry) => entry.fmt(f),
        }
    }
}

impl<K: fmt::Debug + Eq + Hash, V: fmt::Debug, A: Memory, S: BuildHasher> fmt::Debug for OccupiedEntry<'_, K, V, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OccupiedEntry").field("key", self.key()).field("value", self.get()).finish()
    }
}

impl<K: fmt::Debug, V, A, S> fmt::Debug for VacantEntry<'_, K, V, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VacantEntry").field(&self.key).finish()
    }
}
