//! `CacheReader`: a thread's or a task's own look at an `ArcCache`.
//!
//! Stands before the cache, on a hit's way. Invariants: a slot is believed only while the stamp of its key is the one that was
//! read before the entry; what has left the cache is never handed out once its leaving is known to the reader's thread.
//! Cost: a hash, a stamp that is only read, and the comparison of the key; no lock, no count, no heap call.
#![forbid(unsafe_code)]

use super::cache::ArcCache;
use super::entries::{Stamps, hash};
use quick_cache::Equivalent;
use std::borrow::ToOwned;
use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// Values that a reader keeps at hand.
const SLOTS: usize = 256;

/// So often a value is handed out before the cache is told that it is in use.
const USES: u32 = 128;

/// A reader of an [`ArcCache`] that lends values instead of counting them: one per thread or task.
///
/// It keeps up to 256 of the values that it has met at hand, rather those that it meets again. One of them costs a hash, a number that is read and the comparison of the
/// key: no lock, no count, nothing that threads fight for. Each 128th time the cache is asked, so that it knows what is in use. It is for
/// workers that meet the same few hundred keys again and again: over 10,000 that are met seldom, asking the cache is a third faster.
///
/// ```
/// use blixard_arena::arc::ArcCache;
///
/// struct Tenant {
///     share: f64,
/// }
///
/// let tenants = ArcCache::<String, Tenant>::new();
/// let workers = (0..2).map(|_| {
///     let mut reader = tenants.reader(); // owned: it goes into the worker
///     std::thread::spawn(move || {
///         let load = |name: &str| Tenant { share: 1.0 / name.len() as f64 };
///         ["acme", "umbrella", "acme"].map(|name| reader.get_or_build(name, || load(name)).share)
///     })
/// });
/// for worker in workers.collect::<Vec<_>>() {
///     assert_eq!(worker.join().unwrap(), [0.25, 0.125, 0.25]);
/// }
/// ```
///
/// What is evicted, removed or replaced is not handed out any more: the next look-up asks the cache. But it lives on while a
/// reader has it at hand, until its place is needed or the reader is dropped: at most 257 values per reader, the last one that
/// found no place included.
///
/// # Cost
/// 14 KiB for its places, where a key is 24 bytes. A value that is not at hand costs a look-up in the cache, and if it gets
/// a place, a copy of the key, in the memory of the one before where [`ToOwned::clone_into`] can. Hits are added to the cache's figures when
/// a place is taken, each 128th time, and at the reader's end.
pub struct CacheReader<K, V: ?Sized> {
    cache: ArcCache<K, V>,
    slots: Box<[Option<Slot<K, V>>; SLOTS]>,
    /// The last value that found no place.
    spare: Option<Arc<V>>,
}

struct Slot<K, V: ?Sized> {
    hash: u64,
    stamp: u64,
    /// Times that it was handed out since the cache was asked.
    uses: u32,
    /// Handed out since another key wanted the place.
    again: bool,
    key: K,
    value: Arc<V>,
}

impl<K: Hash + Eq, V: ?Sized> CacheReader<K, V> {
    pub(super) fn new(cache: ArcCache<K, V>) -> Self {
        Self { cache, slots: Box::new([const { None }; SLOTS]), spare: None }
    }

    /// The cache that it reads.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let zones = ArcCache::<String, u32>::new();
    /// let reader = zones.reader();
    /// reader.cache().insert("eu-1".into(), 3); // a worker that changes what it reads needs no second handle
    /// assert_eq!(zones.get("eu-1").as_deref(), Some(&3));
    /// ```
    #[must_use]
    pub fn cache(&self) -> &ArcCache<K, V> {
        &self.cache
    }

    /// The value of a key, if it is in the cache.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let zones = ArcCache::<String, u32>::new();
    /// zones.insert("eu-1".into(), 3);
    /// let mut reader = zones.reader();
    /// assert_eq!(reader.get("eu-1").map(|racks| **racks), Some(3));
    /// assert_eq!(reader.get("eu-2"), None);
    /// ```
    #[inline]
    pub fn get<Q>(&mut self, key: &Q) -> Option<&Arc<V>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        let hash = hash(key);
        if self.has(hash, key) {
            return self.slots[place(hash)].as_ref().map(|slot| &slot.value);
        }
        let stamp = self.cache.stamps().read(hash);
        let value = self.cache.look(hash, key)?;
        Some(self.keep((hash, stamp), key, value))
    }

    /// The value of a key; if it is not in the cache, it is built as [`ArcCache::get_or_build`] does.
    ///
    /// # Panics
    /// As [`ArcCache::get_or_build`].
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let zones = ArcCache::<String, [u32]>::new();
    /// let mut reader = zones.reader();
    /// let racks: &[u32] = reader.get_or_build("eu-1", || vec![1, 2, 3]); // lent, not counted
    /// assert_eq!(racks.len(), 3);
    /// ```
    #[inline]
    pub fn get_or_build<Q, R>(&mut self, key: &Q, build: impl FnOnce() -> R) -> &Arc<V>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        R: Into<Arc<V>>,
    {
        let Ok(value) = self.try_get_or_build::<Q, R, Infallible>(key, || Ok(build()));
        value
    }

    /// [`get_or_build`](Self::get_or_build) with a builder that may fail.
    ///
    /// # Errors
    /// The builder's.
    ///
    /// # Panics
    /// As [`ArcCache::get_or_build`].
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let limits = ArcCache::<String, u64>::new();
    /// let mut reader = limits.reader();
    /// assert_eq!(**reader.try_get_or_build("512", || "512".parse::<u64>())?, 512);
    /// assert!(reader.try_get_or_build("half", || "half".parse::<u64>()).is_err());
    /// # Ok::<(), std::num::ParseIntError>(())
    /// ```
    #[inline]
    pub fn try_get_or_build<Q, R, E>(&mut self, key: &Q, build: impl FnOnce() -> Result<R, E>) -> Result<&Arc<V>, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        R: Into<Arc<V>>,
    {
        let hash = hash(key);
        if self.has(hash, key) {
            return Ok(self.slots[place(hash)].as_ref().map(|slot| &slot.value).expect("it is at hand"));
        }
        // Before the look: one that leaves after it has another stamp.
        let stamp = self.cache.stamps().read(hash);
        let value = self.cache.look_or_build(hash, key, build)?;
        Ok(self.keep((hash, stamp), key, value))
    }

    /// Whether the value is at hand and in the cache; then it is a hit.
    #[inline(always)]
    fn has<Q: Equivalent<K> + ?Sized>(&mut self, hash: u64, key: &Q) -> bool {
        let Some(slot) = &mut self.slots[place(hash)] else { return false };
        if slot.hash != hash || slot.stamp != self.cache.stamps().read(hash) || !key.equivalent(&slot.key) {
            return false;
        }
        if slot.uses == USES - 1 {
            return false;
        }
        slot.uses += 1;
        slot.again = true;
        true
    }

    /// Gives a value a place, unless that of another is in use: then it is lent from the spare one.
    #[cold]
    #[inline(never)]
    fn keep<Q>(&mut self, (hash, stamp): (u64, u64), key: &Q, value: Arc<V>) -> &Arc<V>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        let place = &mut self.slots[place(hash)];
        if let Some(other) = place
            && other.hash != hash
            && std::mem::take(&mut other.again)
        {
            return self.spare.insert(value);
        }
        // Out of its place meanwhile: where a clone or a destructor panics, nothing is at hand.
        let key = match place.take() {
            Some(mut old) => {
                self.cache.counts().hits(u64::from(old.uses));
                key.clone_into(&mut old.key);
                old.key
            }
            None => key.to_owned(),
        };
        let stamp = Stamps::to_keep(stamp);
        &place.insert(Slot { hash, stamp, uses: 0, again: false, key, value }).value
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "only the low bits are kept")]
fn place(hash: u64) -> usize {
    hash as usize % SLOTS
}

impl<K, V: ?Sized> Drop for CacheReader<K, V> {
    fn drop(&mut self) {
        self.cache.counts().hits(self.slots.iter().flatten().map(|slot| u64::from(slot.uses)).sum());
    }
}

impl<K, V: ?Sized> fmt::Debug for CacheReader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_hand = self.slots.iter().flatten().count();
        f.debug_struct("CacheReader").field("at_hand", &at_hand).finish_non_exhaustive()
    }
}
