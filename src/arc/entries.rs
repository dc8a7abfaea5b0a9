//! What `ArcCache` keeps in quick_cache: keys with their hashes, values with their weights; and the stamps of those who leave.
//!
//! Stands between the two. Invariants: quick_cache never runs a caller's `Hash` or weigher, so that neither can panic or change its
//! mind halfway through its bookkeeping; who leaves has its stamp renewed while nobody can enter the key. Cost: 16 bytes per entry.
#![forbid(unsafe_code)]

use crate::hash::SeededState;
use crate::sync::{AtomicU64, Ordering};
use quick_cache::{Equivalent, Lifecycle, Weighter};
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// Keys that share a stamp do so by chance.
const STAMPS: usize = if cfg!(blixard_loom) { 1 } else { 256 };

#[inline(always)]
pub(super) fn hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
    SeededState.hash_one(key)
}

/// A key with its hash.
pub(super) struct Hashed<K> {
    pub(super) hash: u64,
    pub(super) key: K,
}

/// A key that is looked for, in whatever form.
pub(super) struct Sought<'a, Q: ?Sized> {
    pub(super) hash: u64,
    pub(super) key: &'a Q,
}

impl<K> Hash for Hashed<K> {
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<Q: ?Sized> Hash for Sought<'_, Q> {
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Eq> PartialEq for Hashed<K> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.key == other.key
    }
}

impl<K: Eq> Eq for Hashed<K> {}

impl<K, Q: Equivalent<K> + ?Sized> Equivalent<Hashed<K>> for Sought<'_, Q> {
    #[inline(always)]
    fn equivalent(&self, other: &Hashed<K>) -> bool {
        self.hash == other.hash && self.key.equivalent(&other.key)
    }
}

/// Hands a hash that was computed before on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PassOn;

#[derive(Debug)]
pub(super) struct Passed(u64);

impl BuildHasher for PassOn {
    type Hasher = Passed;

    #[inline(always)]
    fn build_hasher(&self) -> Passed {
        Passed(0)
    }
}

impl Hasher for Passed {
    #[inline(always)]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        unreachable!("a hash is a u64, not {} bytes", bytes.len());
    }

    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// A value and its weight, taken when it was entered: one that changed later would upset the sums.
pub(super) struct Kept<V: ?Sized> {
    pub(super) value: Arc<V>,
    pub(super) weight: u64,
}

impl<V: ?Sized> Clone for Kept<V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), weight: self.weight }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Weights;

impl<K, V: ?Sized> Weighter<K, Kept<V>> for Weights {
    fn weight(&self, _: &K, kept: &Kept<V>) -> u64 {
        kept.weight
    }
}

/// Told of who leaves, under its shard's lock.
#[derive(Clone, Debug)]
pub(super) struct Leaving(pub(super) Arc<Stamps>);

/// Who left.
pub(super) type Left<K, V> = SmallVec<[(Hashed<K>, Kept<V>); 2]>;

impl<K, V: ?Sized> Lifecycle<Hashed<K>, Kept<V>> for Leaving {
    type RequestState = Left<K, V>;

    fn on_evict(&self, left: &mut Left<K, V>, key: Hashed<K>, kept: Kept<V>) {
        self.0.renew(key.hash);
        left.push((key, kept));
    }
}

/// Numbers that say whether an entry may have left since: each key has one, which changes whenever the key, or another
/// that shares it, leaves.
#[derive(Debug)]
pub(super) struct Stamps([AtomicU64; STAMPS]);

impl Stamps {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    #[inline(always)]
    fn at(&self, hash: u64) -> &AtomicU64 {
        &self.0[(hash >> 16) as usize % STAMPS]
    }

    /// To be read before the entry is.
    #[inline(always)]
    pub(super) fn read(&self, hash: u64) -> u64 {
        // Acquire: pairs with `renew`. Who reads a number that was renewed finds the entry gone.
        self.at(hash).load(Ordering::Acquire)
    }

    /// To be called with the lock under which the entry leaves, or once a build of the key is withdrawn, and before another value of the key
    /// can be entered or built.
    pub(super) fn renew(&self, hash: u64) {
        // Release: pairs with `read`, here and in `turn_all`.
        self.at(hash).fetch_add(2, Ordering::Release);
    }

    /// While all entries leave, one by one, every stamp is odd, and none that is odd is [believed](Self::to_keep). To be called before the
    /// first leaves and after the last, by one thread at a time.
    pub(super) fn turn_all(&self) {
        for stamp in &self.0 {
            stamp.fetch_add(1, Ordering::Release);
        }
    }

    /// The stamp that a value is kept at hand with which was found under this one: one that never comes, if the value may be leaving.
    pub(super) fn to_keep(stamp: u64) -> u64 {
        if stamp.is_multiple_of(2) { stamp } else { u64::MAX }
    }
}
