//! `FlatMap`: pairs in one slice in the order of insertion, scanned while few, indexed by hash once many.
//!
//! Stands on `table`. One type for the arena and the heap. Invariant: no two keys are equal, if `Eq` and `Hash` are honest.
//! Cost: in an arena no heap call; on the heap one block for the pairs, and one for the index once there is one.
//!
//! Longer than most files here: half of its lines are the examples of its calls.
#![forbid(unsafe_code)]

use super::entry::{Entry, OccupiedEntry, VacantEntry};
use super::list::{self, List};
use super::memory::{Heap, Memory};
use super::table::{Absent, Table};
use super::vec::{Vec, sure};
use crate::arena::ledger::Refusal;
use crate::arena::{AnyArena, BudgetExceeded};
use crate::hash::SeededState;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::iter::FusedIterator;
use std::mem;
use std::ops::Index;
use std::slice;

/// A hash map for the sizes that requests have: up to eight pairs it is a list and hashes nothing, beyond that an
/// index of hashes finds them. It lies in an arena (`A = &Arena`, `&SharedArena`) or, by default, on the heap.
///
/// Pairs lie one behind the other in the order of insertion, which makes iteration a walk over a slice
/// ([`as_slice`](Self::as_slice)) and a map in an arena one that freezes to `&'a [(K, V)]`
/// ([`freeze`](Self::freeze)). [`remove`](Self::remove) puts the last pair in the place of the one that goes;
/// [`retain`](Self::retain) keeps the order.
///
/// Keys are hashed by [`SeededState`], which nobody outside the process can foresee;
/// [`FixedState`](super::FixedState) is for keys of one's own. As in std, `Hash` and `Eq` must agree, and a key must not
/// change while it is in the map: otherwise pairs may be missed or stand twice, but memory is safe.
///
/// In an arena `K` and `V` must not need `Drop`, and the map needs none: it nests, and goes for free. There,
/// calls that grow panic with [`BudgetExceeded`] over budget; `try_` twins return it and leave the map as it was. On the heap
/// the same happens, with that payload, when the global allocator has no memory.
///
/// ```
/// use blixard_arena::ArenaPool;
/// use blixard_arena::collections::FlatMap;
///
/// let pool = ArenaPool::new();
/// let arena = pool.acquire();
/// let mut labels = FlatMap::new_in(&*arena);
/// for pair in "zone=b tier=edge zone=c".split(' ') {
///     let (key, value) = pair.split_once('=').unwrap();
///     labels.insert(&*arena.alloc_str(key), &*arena.alloc_str(value)); // the later value stands
/// }
/// assert_eq!(labels["zone"], "c");
/// let frozen: &[(&str, &str)] = labels.freeze(); // plain data that lives as long as the request
/// assert_eq!(frozen, [("zone", "c"), ("tier", "edge")]);
/// ```
///
/// On the heap it holds anything:
///
/// ```
/// use blixard_arena::collections::FlatMap;
///
/// let mut by_name: FlatMap<String, std::vec::Vec<u8>> = FlatMap::new();
/// by_name.entry("vm-1".to_owned()).or_default().push(7);
/// assert_eq!(by_name.get("vm-1").map(std::vec::Vec::as_slice), Some(&[7][..]));
/// ```
pub struct FlatMap<K, V, A = Heap, S = SeededState> {
    table: Table<(K, V), A>,
    hash: S,
}

/// On the heap, with the seeded hash.
impl<K, V> FlatMap<K, V> {
    /// An empty map on the heap; takes no memory before the first pair.
    ///
    /// ```
    /// use blixard_arena::collections::FlatMap;
    ///
    /// let mut weights = FlatMap::new();
    /// weights.insert("LS", 100u32);
    /// assert_eq!(weights["LS"], 100);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn new() -> Self {
        Self::with_hasher(SeededState)
    }

    /// An empty map on the heap with room for `cap` pairs.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] when the global allocator has no memory.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut nodes = FlatMap::with_capacity(1000); // a table that lives as long as the service
    /// nodes.insert("node-1".to_owned(), 8);
    /// assert!(nodes.capacity() >= 1000);
    /// ```
    #[must_use]
    pub fn with_capacity(cap: usize) -> Self
    where
        K: Eq + Hash,
    {
        let mut map = Self::new();
        map.reserve(cap);
        map
    }
}

/// On the heap.
impl<K, V, S> FlatMap<K, V, Heap, S> {
    /// An empty map on the heap that hashes with `hash`.
    ///
    /// ```
    /// use blixard_arena::collections::{FixedState, FlatMap};
    ///
    /// let mut columns = FlatMap::with_hasher(FixedState); // keys of the program's own
    /// columns.insert("cpu_milli", 4);
    /// assert_eq!(columns.len(), 1);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn with_hasher(hash: S) -> Self {
        Self { table: Table::new(Heap::new()), hash }
    }
}

/// In an arena, with the seeded hash.
impl<'a, K, V, A: AnyArena> FlatMap<K, V, &'a A> {
    /// An empty map in an arena; takes no memory before the first pair.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// let arena = Arena::new();
    /// let mut placed = FlatMap::new_in(&arena);
    /// placed.insert("vm-1", "node-7");
    /// assert_eq!(placed.get("vm-1"), Some(&"node-7"));
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn new_in(arena: &'a A) -> Self {
        Self::with_hasher_in(SeededState, arena)
    }

    /// An empty map in an arena with room for `cap` pairs.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// let arena = Arena::new();
    /// let vms = ["vm-1", "vm-2"];
    /// let mut placed = FlatMap::with_capacity_in(vms.len(), &arena); // one block, however the loop goes on
    /// for vm in vms {
    ///     placed.insert(vm, &*arena.concat((vm, "@node-7"))); // built in between: a full map would have to move
    /// }
    /// assert_eq!(placed["vm-2"], "vm-2@node-7");
    /// ```
    #[must_use]
    pub fn with_capacity_in(cap: usize, arena: &'a A) -> Self
    where
        K: Eq + Hash,
    {
        let mut map = Self::new_in(arena);
        map.reserve(cap);
        map
    }

    /// [`with_capacity_in`](Self::with_capacity_in), or an error: for a number that came from outside.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::FlatMap};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let announced = 1 << 40; // by a request's header
    /// assert!(FlatMap::<u64, u64, _>::try_with_capacity_in(announced, &arena).is_err());
    /// ```
    pub fn try_with_capacity_in(cap: usize, arena: &'a A) -> Result<Self, BudgetExceeded>
    where
        K: Eq + Hash,
    {
        let mut map = Self::new_in(arena);
        map.try_reserve(cap)?;
        Ok(map)
    }

    /// All pairs that an iterator yields; of equal keys the later value stands. The iterator may itself build values in
    /// this arena.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// let arena = Arena::new();
    /// let ports = FlatMap::from_iter_in([("http", 80u16), ("https", 443)], &arena);
    /// assert_eq!(ports["https"], 443);
    /// ```
    #[must_use]
    pub fn from_iter_in(pairs: impl IntoIterator<Item = (K, V)>, arena: &'a A) -> Self
    where
        K: Eq + Hash,
    {
        let mut map = Self::new_in(arena);
        map.extend(pairs);
        map
    }

    /// [`from_iter_in`](Self::from_iter_in), or an error; what was yielded by then is lost.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::FlatMap};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let labels = (0..1_000_000u32).map(|label| (label, [0u8; 16])); // of one request
    /// assert!(FlatMap::try_from_iter_in(labels, &arena).is_err()); // which ends; the process lives
    /// ```
    pub fn try_from_iter_in(pairs: impl IntoIterator<Item = (K, V)>, arena: &'a A) -> Result<Self, BudgetExceeded>
    where
        K: Eq + Hash,
    {
        let mut map = Self::new_in(arena);
        for (key, value) in pairs {
            map.try_insert(key, value)?;
        }
        Ok(map)
    }
}

/// In an arena.
impl<'a, K, V, A: AnyArena, S> FlatMap<K, V, &'a A, S> {
    /// An empty map in an arena that hashes with `hash`.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::{FixedState, FlatMap}};
    /// let arena = Arena::new();
    /// let mut seen = FlatMap::with_hasher_in(FixedState, &arena); // ids of the program's own
    /// seen.insert(17u64, ());
    /// assert!(seen.contains_key(&17));
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn with_hasher_in(hash: S, arena: &'a A) -> Self {
        Self { table: Table::new(arena), hash }
    }

    /// The pairs as a slice that lives as long as the arena's borrow. No copy. The index is left behind; what was
    /// reserved beyond the pairs goes back if they are the arena's newest block.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// #[derive(Clone, Copy)]
    /// struct Config<'a> { labels: &'a [(&'a str, &'a str)] } // can be copied, sealed, sent
    ///
    /// let arena = Arena::new();
    /// let config = Config { labels: FlatMap::from_iter_in([("zone", "b")], &arena).freeze() };
    /// assert_eq!(config.labels[0].1, "b");
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn freeze(self) -> &'a mut [(K, V)] {
        Vec::from_list(self.table.into_entries()).into_slice()
    }

    /// The arena it lies in.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// let arena = Arena::new();
    /// let mut labels: FlatMap<&str, &str, _> = FlatMap::new_in(&arena);
    /// let arena = labels.arena(); // so a function that takes the map needs no arena beside it
    /// labels.insert("host", arena.concat(("node-", 7)));
    /// assert_eq!(labels["host"], "node-7");
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn arena(&self) -> &'a A {
        self.table.entries().memory()
    }
}

/// Looking at it.
impl<K, V, A: Memory, S> FlatMap<K, V, A, S> {
    /// The number of pairs.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut by_tenant = FlatMap::new();
    /// for (vm, tenant) in [("vm-1", "acme"), ("vm-2", "acme"), ("vm-3", "umbrella")] {
    ///     by_tenant.insert(tenant, vm);
    /// }
    /// assert_eq!(by_tenant.len(), 2); // tenants, not VMs
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.entries().len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let wanted = FlatMap::from([("vm-1", 4)]);
    /// let mut changes = FlatMap::new();
    /// for (vm, cores) in wanted.iter().filter(|(_, cores)| **cores != 4) {
    ///     changes.insert(*vm, *cores);
    /// }
    /// assert!(changes.is_empty()); // nothing to propose
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pairs there is room for without growing the slice.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// let arena = Arena::new();
    /// let mut scores = FlatMap::with_capacity_in(20, &arena);
    /// let room = scores.capacity();
    /// scores.extend([("node-1", 0.5), ("node-2", 0.25), ("node-3", 1.0)]);
    /// assert_eq!(scores.capacity(), room); // the guess was right: nothing moved
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.table.entries().capacity()
    }

    /// The pairs, in their order.
    ///
    /// ```
    /// use blixard_arena::collections::FlatMap;
    /// let map = FlatMap::from([("a", 1), ("b", 2)]);
    /// assert_eq!(map.as_slice().last(), Some(&("b", 2))); // the newest
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn as_slice(&self) -> &[(K, V)] {
        self.table.as_slice()
    }

    /// Goes through the pairs, in their order.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let free = FlatMap::from([("node-1", 2), ("node-2", 8)]);
    /// let best = free.iter().max_by_key(|(_, cores)| **cores);
    /// assert_eq!(best, Some((&"node-2", &8)));
    /// ```
    #[inline(always)]
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter(self.as_slice().iter())
    }

    /// Goes through the pairs, in their order, with values that may be changed.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut free = FlatMap::from([("node-1", 2), ("node-2", 8)]);
    /// for (node, cores) in free.iter_mut() {
    ///     if *node == "node-2" {
    ///         *cores -= 4; // placed there
    ///     }
    /// }
    /// assert_eq!(free["node-2"], 4);
    /// ```
    #[inline(always)]
    pub fn iter_mut(&mut self) -> IterMut<'_, K, V> {
        IterMut(self.table.as_mut_slice().iter_mut())
    }

    /// The keys, in their order.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let limits = FlatMap::from([("cpu", 4), ("memory", 2048)]);
    /// let unknown = limits.keys().find(|key| !["cpu", "memory"].contains(key));
    /// assert_eq!(unknown, None); // every limit is one that we know
    /// ```
    #[inline(always)]
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.as_slice().iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let cores = FlatMap::from([("vm-1", 4), ("vm-2", 8)]);
    /// assert!(cores.values().sum::<u32>() <= 16); // they fit the node together
    /// ```
    #[inline(always)]
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.as_slice().iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut scores = FlatMap::from([("node-1", 3.0), ("node-2", 1.0)]);
    /// let all: f64 = scores.values().sum();
    /// scores.values_mut().for_each(|score| *score /= all);
    /// assert_eq!(scores["node-2"], 0.25);
    /// ```
    #[inline(always)]
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
        self.table.as_mut_slice().iter_mut().map(|(_, value)| value)
    }

    /// Removes all pairs and keeps the room.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// let arena = Arena::new();
    /// let mut seen = FlatMap::with_capacity_in(64, &arena);
    /// for batch in [&["vm-1", "vm-2"][..], &["vm-1"]] {
    ///     seen.clear(); // one map for all batches of the request
    ///     seen.extend(batch.iter().map(|vm| (*vm, ())));
    /// }
    /// assert_eq!((seen.len(), seen.capacity()), (1, 64));
    /// ```
    #[inline]
    pub fn clear(&mut self) {
        self.table.clear();
    }

    /// What it hashes with.
    ///
    /// ```
    /// # use blixard_arena::collections::{FixedState, FlatMap};
    /// let columns = FlatMap::<_, _, _, FixedState>::from_iter([("cpu_milli", 4)]);
    /// let mut others = FlatMap::with_hasher(*columns.hasher()); // equal keys, equal hashes
    /// others.insert("memory_mib", 2048);
    /// assert_ne!(columns, others);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn hasher(&self) -> &S {
        &self.hash
    }
}

/// Finding and changing.
impl<K: Eq + Hash, V, A: Memory, S: BuildHasher> FlatMap<K, V, A, S> {
    #[inline(always)]
    fn position<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Result<usize, Absent>
    where
        K: Borrow<Q>,
    {
        self.table.find(|| self.hash.hash_one(key), |(other, _)| other.borrow() == key)
    }

    #[inline(always)]
    fn put<E: Refusal>(&mut self, key: K, value: V) -> Result<Option<V>, E> {
        // Small maps, and most are, in line and without what an index needs.
        if self.table.is_small() {
            return match self.table.as_mut_slice().iter_mut().find(|(other, _)| *other == key) {
                Some((_, old)) => Ok(Some(replaced(old, value, key))),
                None => self.table.push_scanned((key, value)).map(|()| None),
            };
        }
        self.put_indexed(key, value)
    }

    #[inline(never)]
    fn put_indexed<E: Refusal>(&mut self, key: K, value: V) -> Result<Option<V>, E> {
        match self.position(&key) {
            Ok(position) => Ok(Some(replaced(&mut self.table.as_mut_slice()[position].1, value, key))),
            Err(absent) => self.push(key, value, absent).map(|_| None),
        }
    }

    /// Sets the value of a key; answers the one it had. A key that is there stays as it is.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// use blixard_arena::collections::FlatMap;
    /// let mut state = FlatMap::new();
    /// assert_eq!(state.insert("vm-1", "starting"), None);
    /// assert_eq!(state.insert("vm-1", "running"), Some("starting"));
    /// ```
    #[inline(always)]
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        sure(self.put(key, value))
    }

    /// [`insert`](Self::insert), or an error; the map is as it was then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::FlatMap};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut labels = FlatMap::new_in(&arena);
    /// let refused = (0..10_000u32).find_map(|label| labels.try_insert(label, [0u8; 16]).err());
    /// assert_eq!(refused.unwrap().allowed, 4096); // an answer to the client; what was there still is
    /// assert!(labels.contains_key(&0));
    /// ```
    #[inline(always)]
    pub fn try_insert(&mut self, key: K, value: V) -> Result<Option<V>, BudgetExceeded> {
        self.put(key, value)
    }

    /// The value of a key.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let weights: FlatMap<String, u32> = FlatMap::from([("LS".to_owned(), 100)]);
    /// assert_eq!(weights.get("LS"), Some(&100)); // asked with a `&str`: no `String` is built
    /// assert_eq!(weights.get("BE").copied().unwrap_or(1), 1);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// A key as it is in the map, and its value.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// let arena = Arena::new();
    /// let nodes = FlatMap::from_iter_in([(&*arena.alloc_str("node-7"), 8)], &arena);
    /// let line = String::from("vm-1 node-7");
    /// let (node, _) = nodes.get_key_value(&line[5..]).unwrap();
    /// drop(line); // the key lives as long as the request, not as the text that was looked up
    /// assert_eq!(*node, "node-7");
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn get_key_value<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (key, value) = &self.as_slice()[self.position(key).ok()?];
        Some((key, value))
    }

    /// The value of a key, to be changed.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut free = FlatMap::from([("node-7", 8)]);
    /// if let Some(cores) = free.get_mut("node-7") {
    ///     *cores -= 4;
    /// }
    /// assert_eq!(free["node-7"], 4);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let position = self.position(key).ok()?;
        Some(&mut self.table.as_mut_slice()[position].1)
    }

    /// Whether a key is there.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut requests = vec![("id-1", "start"), ("id-2", "stop"), ("id-1", "start")];
    /// let mut answered = FlatMap::new();
    /// requests.retain(|(id, command)| !answered.contains_key(id) && answered.insert(*id, *command).is_none());
    /// assert_eq!(requests.len(), 2); // a repeated one is not done twice
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn contains_key<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.position(key).is_ok()
    }

    /// Takes a pair out; answers its value. The last pair takes its place.
    ///
    /// ```
    /// use blixard_arena::collections::FlatMap;
    /// let mut map = FlatMap::from([("a", 1), ("b", 2), ("c", 3)]);
    /// assert_eq!(map.remove("a"), Some(1));
    /// assert_eq!(map.as_slice(), [("c", 3), ("b", 2)]);
    /// ```
    #[inline]
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (key, value) = self.remove_entry(key)?;
        drop(key);
        Some(value)
    }

    /// [`remove`](Self::remove) that answers the key too.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let mut waiting = FlatMap::from([("vm-1".to_owned(), 4)]);
    /// let mut running = FlatMap::new();
    /// running.extend(waiting.remove_entry("vm-1")); // the key moves along, no copy
    /// assert_eq!(running["vm-1"], 4);
    /// ```
    #[inline]
    pub fn remove_entry<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        let position = self.position(key).ok()?;
        Some(self.remove_at(position))
    }

    pub(super) fn remove_at(&mut self, position: usize) -> (K, V) {
        let Self { table, hash } = self;
        table.swap_remove(position, |(key, _)| hash.hash_one(key))
    }

    /// Keeps the pairs for which `keep` says so, in their order.
    ///
    /// ```
    /// use blixard_arena::collections::FlatMap;
    /// let mut map = FlatMap::from([("a", 1), ("b", 2), ("c", 3)]);
    /// map.retain(|_, value| *value != 2);
    /// assert_eq!(map.as_slice(), [("a", 1), ("c", 3)]);
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let Self { table, hash } = self;
        table.retain(|(key, value)| keep(key, value), |(key, _)| hash.hash_one(key));
    }

    /// Makes room for `more` further pairs.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::FlatMap};
    /// let arena = Arena::new();
    /// let mut placed = FlatMap::new_in(&arena);
    /// placed.reserve(100); // so that it does not grow while other values are built
    /// placed.insert("vm-1", 17);
    /// assert!(placed.capacity() >= 100);
    /// ```
    pub fn reserve(&mut self, more: usize) {
        let Self { table, hash } = self;
        sure(table.reserve(more, |(key, _)| hash.hash_one(key)));
    }

    /// [`reserve`](Self::reserve), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::FlatMap};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut labels: FlatMap<&str, &str, _> = FlatMap::new_in(&arena);
    /// assert!(labels.try_reserve(100_000).is_err()); // said before the work is begun
    /// assert!(labels.try_reserve(10).is_ok());
    /// ```
    pub fn try_reserve(&mut self, more: usize) -> Result<(), BudgetExceeded> {
        let Self { table, hash } = self;
        table.reserve(more, |(key, _)| hash.hash_one(key))
    }

    /// The place of a key, there or not yet: to look once and then decide.
    ///
    /// ```
    /// use blixard_arena::collections::FlatMap;
    /// let mut counts: FlatMap<&str, u32> = FlatMap::new();
    /// for class in ["LS", "BE", "LS"] {
    ///     *counts.entry(class).or_insert(0) += 1;
    /// }
    /// assert_eq!(counts.as_slice(), [("LS", 2), ("BE", 1)]);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V, A, S> {
        match self.position(&key) {
            Ok(position) => Entry::Occupied(OccupiedEntry { map: self, position }),
            Err(absent) => Entry::Vacant(VacantEntry { map: self, key, absent }),
        }
    }

    /// Appends a pair that is not there.
    #[inline(always)]
    pub(super) fn push<E: Refusal>(&mut self, key: K, value: V, absent: Absent) -> Result<usize, E> {
        let Self { table, hash } = self;
        table.push((key, value), absent, |(key, _)| hash.hash_one(key))
    }

    pub(super) fn pair_mut(&mut self, position: usize) -> &mut (K, V) {
        &mut self.table.as_mut_slice()[position]
    }
}

/// By value.
impl<K, V, A: Memory, S> FlatMap<K, V, A, S> {
    /// The keys, by value, in their order.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let owners = FlatMap::from([("vm-1".to_owned(), 7), ("vm-2".to_owned(), 9)]);
    /// let names: Vec<String> = owners.into_keys().collect(); // moved, not copied
    /// assert_eq!(names, ["vm-1", "vm-2"]);
    /// ```
    pub fn into_keys(self) -> impl DoubleEndedIterator<Item = K> + ExactSizeIterator {
        self.into_iter().map(|(key, _)| key)
    }

    /// The values, by value, in the order of their keys.
    ///
    /// ```
    /// # use blixard_arena::collections::FlatMap;
    /// let latest = FlatMap::from([("vm-1", "start"), ("vm-2", "start"), ("vm-1", "stop")]);
    /// let commands: Vec<&str> = latest.into_values().collect(); // the last one of each VM
    /// assert_eq!(commands, ["stop", "start"]);
    /// ```
    pub fn into_values(self) -> impl DoubleEndedIterator<Item = V> + ExactSizeIterator {
        self.into_iter().map(|(_, value)| value)
    }
}

/// Replaces a value, then drops the key that brought it: if that panics, the old value is still a local and dropped too.
#[inline(always)]
fn replaced<K, V>(old: &mut V, value: V, key: K) -> V {
    let old = mem::replace(old, value);
    drop(key);
    old
}

impl<K, V, S: Default> Default for FlatMap<K, V, Heap, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> FromIterator<(K, V)> for FlatMap<K, V, Heap, S> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut map = Self::default();
        map.extend(pairs);
        map
    }
}

impl<K: Eq + Hash, V, const N: usize> From<[(K, V); N]> for FlatMap<K, V> {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

/// Panics with [`BudgetExceeded`] over budget; what was yielded by then is in the map.
impl<K: Eq + Hash, V, A: Memory, S: BuildHasher> Extend<(K, V)> for FlatMap<K, V, A, S> {
    #[inline]
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        let pairs = pairs.into_iter();
        // Keys may come twice: half of what is announced, as std's maps do, unless this is the first.
        let announced = pairs.size_hint().0;
        self.reserve(if self.is_empty() { announced } else { announced.div_ceil(2) });
        for (key, value) in pairs {
            self.insert(key, value);
        }
    }
}

impl<'p, K: Eq + Hash + Copy + 'p, V: Copy + 'p, A: Memory, S: BuildHasher> Extend<(&'p K, &'p V)>
    for FlatMap<K, V, A, S>
{
    fn extend<I: IntoIterator<Item = (&'p K, &'p V)>>(&mut self, pairs: I) {
        self.extend(pairs.into_iter().map(|(key, value)| (*key, *value)));
    }
}

impl<K: Eq + Hash + Borrow<Q>, Q: Eq + Hash + ?Sized, V, A: Memory, S: BuildHasher> Index<&Q> for FlatMap<K, V, A, S> {
    type Output = V;

    /// # Panics
    ///
    /// If the key is not there.
    #[inline(always)]
    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("no such key in the map")
    }
}

/// In the same arena.
impl<K: Clone, V: Clone, A: Memory, S: Clone> Clone for FlatMap<K, V, A, S> {
    fn clone(&self) -> Self {
        Self {
            table: sure(self.table.clone_with(|(key, value)| (key.clone(), value.clone()))),
            hash: self.hash.clone(),
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug, A: Memory, S> fmt::Debug for FlatMap<K, V, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// The same pairs, in whatever order.
impl<K: Eq + Hash, V: PartialEq, A: Memory, B: Memory, S: BuildHasher, U: BuildHasher> PartialEq<FlatMap<K, V, B, U>>
    for FlatMap<K, V, A, S>
{
    fn eq(&self, other: &FlatMap<K, V, B, U>) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Eq + Hash, V: Eq, A: Memory, S: BuildHasher> Eq for FlatMap<K, V, A, S> {}

impl<K, V, A: Memory, S> IntoIterator for FlatMap<K, V, A, S> {
    type Item = (K, V);
    type IntoIter = list::IntoIter<(K, V), A>;

    #[inline(always)]
    fn into_iter(self) -> Self::IntoIter {
        let entries: List<(K, V), A> = self.table.into_entries();
        entries.into_values()
    }
}

impl<'m, K, V, A: Memory, S> IntoIterator for &'m FlatMap<K, V, A, S> {
    type Item = (&'m K, &'m V);
    type IntoIter = Iter<'m, K, V>;

    #[inline(always)]
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'m, K, V, A: Memory, S> IntoIterator for &'m mut FlatMap<K, V, A, S> {
    type Item = (&'m K, &'m mut V);
    type IntoIter = IterMut<'m, K, V>;

    #[inline(always)]
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// The pairs of a [`FlatMap`].
///
/// ```
/// # use blixard_arena::collections::{FlatMap, Iter};
/// fn line(labels: Iter<'_, &str, &str>) -> String { // whatever map they lie in
///     labels.map(|(key, value)| format!("{key}={value};")).collect()
/// }
/// assert_eq!(line(FlatMap::from([("zone", "b"), ("tier", "edge")]).iter()), "zone=b;tier=edge;");
/// ```
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct Iter<'m, K, V>(slice::Iter<'m, (K, V)>);

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The pairs of a [`FlatMap`], with values that may be changed.
///
/// ```
/// # use blixard_arena::collections::FlatMap;
/// let mut tries = FlatMap::from([("vm-1", 1), ("vm-2", 1)]);
/// for (_, count) in tries.iter_mut().rev().take(1) {
///     *count += 1; // the newest alone
/// }
/// assert_eq!(tries.as_slice(), [("vm-1", 1), ("vm-2", 2)]);
/// ```
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct IterMut<'m, K, V>(slice::IterMut<'m, (K, V)>);

macro_rules! iterator {
    ($name:ident, $value:ty) => {
        impl<'m, K, V> Iterator for $name<'m, K, V> {
            type Item = (&'m K, $value);

            #[inline(always)]
            fn next(&mut self) -> Option<Self::Item> {
                self.0.next().map(|(key, value)| (&*key, value))
            }

            #[inline(always)]
            fn size_hint(&self) -> (usize, Option<usize>) {
                self.0.size_hint()
            }
        }

        impl<K, V> DoubleEndedIterator for $name<'_, K, V> {
            #[inline(always)]
            fn next_back(&mut self) -> Option<Self::Item> {
                self.0.next_back().map(|(key, value)| (&*key, value))
            }
        }

        impl<K, V> ExactSizeIterator for $name<'_, K, V> {}
        impl<K, V> FusedIterator for $name<'_, K, V> {}
    };
}
iterator!(Iter, &'m V);
iterator!(IterMut, &'m mut V);
