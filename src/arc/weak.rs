//! `WeakCache`: shared values by key, for as long as somebody else holds them.
//!
//! Stands beside `cache`, over the same `builds`. Entries are `Weak`s in sharded tables; who enters a new one into a full shard
//! first sweeps the dead out of it. Invariants: a key has one living value; no caller's code runs under a shard's lock but
//! `Eq` of keys; a shard has at most twice the entries that its last sweep left, or 32. Cost: a hit takes one shard's lock
//! for reading and adds to the count of one `Arc`, no heap call.
#![forbid(unsafe_code)]

use super::builds::Builds;
use super::entries::hash;
use super::figures::{CacheFigures, Counts};
use crate::sync::{RwLock, read, write};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use quick_cache::Equivalent;
use std::borrow::ToOwned;
use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};

/// Threads contend only by chance.
const SHARDS: usize = if cfg!(blixard_loom) { 1 } else { 32 };
/// Below so many entries a shard is not swept.
const SWEEP_MIN: usize = if cfg!(blixard_loom) { 1 } else { 32 };

/// A concurrent map of values that others hold: it builds each once and keeps none alive.
///
/// For what is worth sharing while it is in use and not worth keeping afterwards: connections, parsed configs of running VMs,
/// tables that clients subscribe to. A cheap, clonable handle.
///
/// ```
/// use blixard_arena::arc::WeakCache;
/// use std::sync::Arc;
///
/// let sessions = WeakCache::<String, Vec<u8>>::new();
/// let first = sessions.get_or_build("vm-1", || vec![0; 4096]);
/// let second = sessions.get_or_build("vm-1", || vec![1; 4096]); // there is one
/// assert!(Arc::ptr_eq(&first, &second));
/// drop((first, second));
/// assert!(sessions.get("vm-1").is_none()); // gone with the last holder
/// ```
///
/// Keys, and what builders may do, are as in [`ArcCache`](super::ArcCache#keys).
///
/// # Bounds
/// The cache grows with what others hold. A value's memory (not what its destructor frees) stays until its entry is swept:
/// when a shard, of which there are 32, has twice the entries that its last sweep left, and 32 at least, the next new key sweeps it,
/// in as long as the growth of a hash table takes. [`sweep`](Self::sweep) sweeps all.
///
/// # Cost
/// A hit takes a shard's lock for reading and adds to an `Arc`'s count, no heap call. A miss makes some five heap calls
/// beside its builder's. The cache itself holds 7 KiB.
pub struct WeakCache<K, V: ?Sized>(Arc<Inner<K, V>>);

struct Inner<K, V: ?Sized> {
    shards: [Aligned<RwLock<Shard<K, V>>>; SHARDS],
    builds: Builds<K, Arc<V>>,
    counts: Counts,
}

/// On a cache line of its own (with its prefetched neighbour).
#[repr(align(128))]
struct Aligned<T>(T);

struct Shard<K, V: ?Sized> {
    table: HashTable<Held<K, V>>,
    /// With so many entries the next new one sweeps.
    sweep_at: usize,
}

struct Held<K, V: ?Sized> {
    hash: u64,
    key: K,
    value: Weak<V>,
}

impl<K: Hash + Eq, V: ?Sized> WeakCache<K, V> {
    /// An empty one.
    ///
    /// ```
    /// use blixard_arena::arc::WeakCache;
    ///
    /// let topics = WeakCache::<u64, str>::new(); // `Arc<str>`s by number
    /// assert_eq!(topics.figures().entries, 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let shard = || Shard { table: HashTable::new(), sweep_at: SWEEP_MIN };
        Self(Arc::new(Inner {
            shards: std::array::from_fn(|_| Aligned(RwLock::new(shard()))),
            builds: Builds::new(),
            counts: Counts::default(),
        }))
    }

    /// The value of a key, if somebody holds it.
    ///
    /// ```
    /// use blixard_arena::arc::WeakCache;
    ///
    /// let topics = WeakCache::<String, str>::new();
    /// let held = topics.get_or_build("vms", || "started, stopped");
    /// assert_eq!(topics.get("vms"), Some(held));
    /// assert_eq!(topics.get("vms"), None); // nobody held it any more
    /// ```
    #[inline]
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Arc<V>> {
        self.look(hash(key), key)
    }

    /// The value of a key; if nobody holds it, it is built, by this thread or by one that is at it already.
    ///
    /// What a builder gives becomes an `Arc`, if it is none: a `V` does, a `String` for an `Arc<str>`, a `Box<dyn Trait>`.
    ///
    /// # Panics
    /// As the builder does, and where it would wait for itself: see [builders](super::ArcCache#builders).
    ///
    /// ```
    /// use blixard_arena::arc::WeakCache;
    ///
    /// let topics = WeakCache::<u32, [u32]>::new();
    /// let subscribers = topics.get_or_build(&1, || vec![7, 8]);
    /// assert_eq!(*subscribers, [7, 8]);
    /// ```
    #[inline]
    pub fn get_or_build<Q, R>(&self, key: &Q, build: impl FnOnce() -> R) -> Arc<V>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        R: Into<Arc<V>>,
    {
        let Ok(value) = self.try_get_or_build::<Q, R, Infallible>(key, || Ok(build()));
        value
    }

    /// [`get_or_build`](Self::get_or_build) with a builder that may fail. Who waits for one that fails calls its own.
    ///
    /// # Errors
    /// The builder's. Nothing is kept then.
    ///
    /// # Panics
    /// As [`get_or_build`](Self::get_or_build).
    ///
    /// ```
    /// use blixard_arena::arc::WeakCache;
    /// use std::net::{SocketAddr, AddrParseError};
    ///
    /// let peers = WeakCache::<String, SocketAddr>::new();
    /// let parse = |text: &str| peers.try_get_or_build(text, || text.parse::<SocketAddr>());
    /// assert_eq!(parse("10.0.0.7:80")?.port(), 80);
    /// assert!(parse("nowhere").is_err());
    /// # Ok::<(), AddrParseError>(())
    /// ```
    #[inline]
    pub fn try_get_or_build<Q, R, E>(&self, key: &Q, build: impl FnOnce() -> Result<R, E>) -> Result<Arc<V>, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        R: Into<Arc<V>>,
    {
        let hash = hash(key);
        match self.look(hash, key) {
            Some(value) => Ok(value),
            None => self.build((hash, key), build),
        }
    }

    #[inline(always)]
    fn look<Q: Equivalent<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<Arc<V>> {
        let found = self.0.find(hash, key);
        self.0.counts.look(found.is_some());
        found
    }

    #[cold]
    #[inline(never)]
    fn build<Q, R, E>(&self, (hash, key): (u64, &Q), build: impl FnOnce() -> Result<R, E>) -> Result<Arc<V>, E>
    where
        Q: Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        R: Into<Arc<V>>,
    {
        let Inner { builds, counts, .. } = &*self.0;
        let find = || self.0.find(hash, key);
        let enter = |key, value: &Arc<V>, dead: &mut Vec<Held<K, V>>| self.0.enter(hash, key, value, dead);
        builds.once((hash, key), counts, find, || build().map(Into::into), enter)
    }

    /// Forgets a key: who asks for it next builds it anew. Who holds the value keeps it.
    ///
    /// Gives it back if there was one. A build of the key that is under way is not kept, since what it was built from may have
    /// changed.
    ///
    /// ```
    /// use blixard_arena::arc::WeakCache;
    ///
    /// let configs = WeakCache::<String, u32>::new();
    /// let old = configs.get_or_build("vm-1", || 2_u32);
    /// configs.remove("vm-1"); // changed on disk, say
    /// assert_eq!((*old, *configs.get_or_build("vm-1", || 4_u32)), (2, 4));
    /// ```
    pub fn remove<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Arc<V>> {
        let hash = hash(key);
        let withdrawn = self.0.builds.withdraw(hash, key);
        let removed = {
            let mut shard = write(self.0.shard(hash));
            let found = shard.table.find_entry(hash, |held| held.is(hash, key));
            found.ok().map(|entry| entry.remove().0)
        };
        drop(withdrawn);
        let Held { key, value, .. } = removed?;
        // A value that is on its way out of a function is lost where a destructor after it panics; so none comes after it.
        drop(key);
        value.upgrade()
    }

    /// Takes out every entry that nobody holds any more, and says how many those were. Takes each shard's lock in turn.
    ///
    /// ```
    /// use blixard_arena::arc::WeakCache;
    ///
    /// let topics = WeakCache::<u32, str>::new();
    /// let _held = topics.get_or_build(&1, || "held");
    /// drop(topics.get_or_build(&2, || "dropped"));
    /// assert_eq!((topics.sweep(), topics.figures().entries), (1, 1));
    /// ```
    #[expect(clippy::must_use_candidate, reason = "called for what it does")]
    pub fn sweep(&self) -> usize {
        let swept = self.0.shards.iter().map(|shard| {
            // The lock is let go of before the dead are dropped.
            let dead = write(&shard.0).sweep();
            self.0.counts.dropped(dead.len());
            dead.len()
        });
        swept.sum()
    }

    /// What the cache holds and has done. Takes each shard's lock for a moment.
    ///
    /// ```
    /// use blixard_arena::arc::WeakCache;
    ///
    /// let topics = WeakCache::<u32, str>::new();
    /// topics.get_or_build(&1, || "dropped at once");
    /// assert_eq!((topics.figures().entries, topics.figures().built), (1, 1)); // not yet swept
    /// ```
    #[must_use]
    pub fn figures(&self) -> CacheFigures {
        let entries = self.0.shards.iter().map(|shard| read(&shard.0).table.len()).sum();
        self.0.counts.figures(entries, entries as u64)
    }
}

impl<K, V: ?Sized> Inner<K, V> {
    fn shard(&self, hash: u64) -> &RwLock<Shard<K, V>> {
        // Other bits than the table chooses its slots and tags by.
        &self.shards[(hash >> 32) as usize % SHARDS].0
    }

    #[inline(always)]
    fn find<Q: Equivalent<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<Arc<V>> {
        let shard = read(self.shard(hash));
        shard.table.find(hash, |held| held.is(hash, key))?.value.upgrade()
    }

    /// Enters a value that has just been built; who is dead is to be dropped when no lock is held.
    fn enter(&self, hash: u64, key: K, value: &Arc<V>, dead: &mut Vec<Held<K, V>>)
    where
        K: Eq,
    {
        let mut shard = write(self.shard(hash));
        if shard.table.len() >= shard.sweep_at {
            *dead = shard.sweep();
        }
        let value = Arc::downgrade(value);
        match shard.table.entry(hash, |held| held.hash == hash && held.key == key, |held| held.hash) {
            // The one before is dead: its build's end would have been found otherwise.
            Entry::Occupied(mut held) => {
                let value = std::mem::replace(&mut held.get_mut().value, value);
                dead.push(Held { hash, key, value });
            }
            Entry::Vacant(place) => {
                place.insert(Held { hash, key, value });
            }
        }
        drop(shard);
        self.counts.dropped(dead.len());
    }
}

impl<K, V: ?Sized> Shard<K, V> {
    /// Takes out the dead, and gives them back: their keys are the caller's code to drop, and it may use the cache.
    fn sweep(&mut self) -> Vec<Held<K, V>> {
        let dead = self.table.extract_if(|held| held.value.strong_count() == 0).collect();
        let living = self.table.len();
        self.sweep_at = (2 * living).max(SWEEP_MIN);
        if self.table.capacity() > 4 * self.sweep_at {
            self.table.shrink_to(self.sweep_at, |held| held.hash);
        }
        dead
    }
}

impl<K, V: ?Sized> Held<K, V> {
    #[inline(always)]
    fn is<Q: Equivalent<K> + ?Sized>(&self, hash: u64, key: &Q) -> bool {
        self.hash == hash && key.equivalent(&self.key)
    }
}

impl<K, V: ?Sized> Clone for WeakCache<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Hash + Eq, V: ?Sized> Default for WeakCache<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq, V: ?Sized> fmt::Debug for WeakCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakCache").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

// Builders that panic leave nothing half done that is ours.
impl<K, V: ?Sized> UnwindSafe for WeakCache<K, V> {}
impl<K, V: ?Sized> RefUnwindSafe for WeakCache<K, V> {}
