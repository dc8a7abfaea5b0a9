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
pub enum Entry<'m, K, V, A, S> {
    /// The key is there.
    Occupied(OccupiedEntry<'m, K, V, A, S>),
    /// It is not.
    Vacant(VacantEntry<'m, K, V, A, S>),
}

/// A key that is there.
pub struct OccupiedEntry<'m, K, V, A, S> {
    pub(super) map: &'m mut FlatMap<K, V, A, S>,
    pub(super) position: usize,
}

/// A key that is not there yet.
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
    #[inline(always)]
    pub fn or_insert(self, value: V) -> &'m mut V {
        self.or_insert_with(|| value)
    }

    /// [`or_insert`](Self::or_insert), or an error; the map is as it was then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
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
    #[must_use]
    pub fn key(&self) -> &K {
        &self.map.as_slice()[self.position].0
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> &V {
        &self.map.as_slice()[self.position].1
    }

    /// The value, to be changed.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.map.pair_mut(self.position).1
    }

    /// The value, as long as the map is borrowed.
    #[inline(always)]
    #[must_use]
    pub fn into_mut(self) -> &'m mut V {
        &mut self.map.pair_mut(self.position).1
    }

    /// Sets the value; answers the one before.
    pub fn insert(&mut self, value: V) -> V {
        mem::replace(self.get_mut(), value)
    }

    /// Takes the pair out; the last one takes its place.
    #[must_use]
    pub fn remove(self) -> V {
        let (key, value) = self.remove_entry();
        drop(key);
        value
    }

    /// [`remove`](Self::remove) that answers the key too.
    #[must_use]
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
    #[inline(always)]
    pub fn insert(self, value: V) -> &'m mut V {
        sure(self.put(value))
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key back, with nothing added.
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
