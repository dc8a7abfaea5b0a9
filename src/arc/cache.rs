//! `ArcCache`: shared values by key, as many as fit.
//!
//! Stands over quick_cache, which holds the entries and chooses whom to evict, and over `builds`, which sees to it that a key is
//! built once. Invariants: a caller's key is hashed once per call and its value weighed once, outside all locks; what leaves is
//! dropped outside all locks; who leaves has its stamp renewed before a value of the same key can enter. Cost: a hit takes one shard's lock for reading and adds to the
//! count of one `Arc`, no heap call.
#![forbid(unsafe_code)]

use super::builds::Builds;
use super::entries::{Hashed, Kept, Leaving, Left, PassOn, Sought, Stamps, Weights, hash};
use super::figures::{CacheFigures, Counts};
use super::reader::CacheReader;
#[cfg(blixard_loom)]
use super::stand_in::{Cache, OptionsBuilder};
use quick_cache::Equivalent;
#[cfg(not(blixard_loom))]
use quick_cache::{OptionsBuilder, sync::Cache};
use std::borrow::ToOwned;
use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// The most shards that a cache has, each with its lock and its part of the bound.
const SHARDS_MAX: usize = 32;
/// What a shard holds at least, if the cache does: fewer would be evicted by chance.
const SHARD_ENTRIES_MIN: usize = 32;

/// A bounded cache of shared values: one `Arc` per key, however many threads miss at once.
///
/// A cheap, clonable handle. Entries are evicted by quick_cache's variant of S3-FIFO, which a scan over many keys does not
/// empty. What is evicted lives on where somebody holds it; asked for again, it is built again.
///
/// ```
/// use blixard_arena::arc::ArcCache;
/// use std::sync::Arc;
///
/// struct Image {
///     digest: String,
/// }
///
/// let images = ArcCache::<String, Image>::with_entries_max(1_000);
/// // Looked up by what a request has, a `&str`; the key is copied only when it is built.
/// let image: Arc<Image> = images.get_or_build("debian:13", || Image { digest: "sha256:9f2c".into() });
/// assert!(Arc::ptr_eq(&image, &images.get("debian:13").unwrap()));
/// assert_eq!(image.digest, "sha256:9f2c");
/// ```
///
/// # Keys
/// Any `Q` that hashes as `K` does and is [`Equivalent`] to it finds an entry: a `&str` that of a `String`, an
/// [`InternedString`](crate::intern::InternedString) its own without a look at the text. Their `Eq` runs under a shard's lock, and must not use
/// the cache.
///
/// # Builders
/// They run outside all locks and may use the cache, for other keys. Threads that want the same key wait for the one that
/// builds it, and block meanwhile: in async code, build slow values outside. One that fails or panics leaves nothing
/// behind, and the next thread that waits calls its own. A builder that asks for the key that it builds, or for one whose
/// builder waits for it, however many threads and caches lie between, panics instead of waiting for ever; what cannot be seen is a builder that
/// waits for another thread by other means.
///
/// # Bounds
/// 16,384 entries by default. Each of up to 32 shards has an equal part of the bound, rounded down, so it is never
/// exceeded; shards are fewer where that would be less than 32 entries each. A value heavier than 97 % of a shard's part is handed out
/// and not kept.
///
/// # Cost
/// A hit takes a shard's lock for reading and adds to an `Arc`'s count, no heap call; where threads look the same keys up all
/// the time, both are memory that they fight for, and a [`CacheReader`] touches neither. A miss makes some five heap calls
/// beside its builder's. The cache itself holds 12 KiB, and a key and 45 bytes for each entry, one and a half to three times.
pub struct ArcCache<K, V: ?Sized>(Arc<Inner<K, V>>);

struct Inner<K, V: ?Sized> {
    entries: Cache<Hashed<K>, Kept<V>, Weights, PassOn, Leaving>,
    builds: Builds<K, Kept<V>>,
    stamps: Arc<Stamps>,
    weigh: Option<Box<Weigh<V>>>,
    counts: Counts,
}

type Weigh<V> = dyn Fn(&V) -> u64 + Send + Sync;

impl<K: Hash + Eq, V: ?Sized> ArcCache<K, V> {
    /// The bound of a cache that is given none: 16,384 entries.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let tenants = 100_000; // more than that: the rare ones would be built again and again
    /// let configs = ArcCache::<u64, str>::with_entries_max(tenants.max(ArcCache::<u64, str>::ENTRIES_DEFAULT));
    /// assert_eq!(configs.figures().entries, 0); // a bound, not a reservation
    /// ```
    pub const ENTRIES_DEFAULT: usize = 16_384;

    /// A cache of up to 16,384 entries.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let templates = ArcCache::<u64, str>::new(); // `Arc<str>`s by number
    /// assert!(templates.get(&1).is_none());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_entries_max(Self::ENTRIES_DEFAULT)
    }

    /// A cache of up to so many entries, at least one.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let squares = ArcCache::<u64, u64>::with_entries_max(100);
    /// for i in 0..1_000 {
    ///     squares.get_or_build(&i, || i * i);
    /// }
    /// assert_eq!(squares.figures().entries, 100);
    /// ```
    #[must_use]
    pub fn with_entries_max(entries: usize) -> Self {
        Self::bounded(entries.max(1), entries.max(1) as u64, None)
    }

    /// A cache whose entries weigh up to so much together, at most 2^62. `weigh` is called once for each value, when it
    /// enters; one that weighs 0 counts as 1, so that the bound bounds the entries too.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// // 64 KiB of text, whatever the number of texts.
    /// let pages = ArcCache::<u32, str>::with_weight_max(64 << 10, |page| page.len() as u64);
    /// for i in 0..1_000 {
    ///     pages.get_or_build(&i, || "page ".repeat(100));
    /// }
    /// assert!(pages.figures().weight <= 64 << 10 && pages.figures().entries > 100);
    /// ```
    #[must_use]
    pub fn with_weight_max(weight: u64, weigh: impl Fn(&V) -> u64 + Send + Sync + 'static) -> Self {
        let entries = usize::try_from(weight).unwrap_or(usize::MAX).clamp(1, Self::ENTRIES_DEFAULT);
        Self::bounded(entries, weight.max(1), Some(Box::new(weigh)))
    }

    fn bounded(entries: usize, weight: u64, weigh: Option<Box<Weigh<V>>>) -> Self {
        let most = (entries / SHARD_ENTRIES_MIN).clamp(1, SHARDS_MAX);
        let shards = 1 << most.ilog2();
        // A whole part for each shard, where quick_cache would round up; and two of them can be added.
        let weight = weight.min(1 << 62) / shards as u64 * shards as u64;
        let mut options = OptionsBuilder::new();
        options.shards(shards).estimated_items_capacity(entries).weight_capacity(weight);
        let options = options.build().expect("both capacities are set");
        let stamps = Arc::new(Stamps::new());
        let leaving = Leaving(Arc::clone(&stamps));
        Self(Arc::new(Inner {
            entries: Cache::with_options(options, Weights, PassOn, leaving),
            builds: Builds::new(),
            stamps,
            weigh,
            counts: Counts::default(),
        }))
    }

    /// The value of a key, if it is there.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let zones = ArcCache::<String, [u8]>::new();
    /// zones.insert("eu-1".into(), vec![1, 2, 3]);
    /// assert_eq!(zones.get("eu-1").as_deref(), Some(&[1, 2, 3][..]));
    /// ```
    #[inline]
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Arc<V>> {
        self.look(hash(key), key)
    }

    #[inline(always)]
    pub(super) fn look<Q: Equivalent<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<Arc<V>> {
        let found = self.find(hash, key);
        self.0.counts.look(found.is_some());
        found
    }

    #[inline(always)]
    fn find<Q: Equivalent<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<Arc<V>> {
        self.0.entries.get(&Sought { hash, key }).map(|kept| kept.value)
    }

    /// The value of a key; if it is not there, it is built, by this thread or by one that is at it already.
    ///
    /// What a builder gives becomes an `Arc`, if it is none: a `V` does, a `String` for an `Arc<str>`, a `Box<dyn Trait>`.
    ///
    /// # Panics
    /// As the builder does, and where it would wait for itself: see [builders](Self#builders).
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let routes = ArcCache::<u32, Vec<u32>>::new();
    /// let built = std::sync::atomic::AtomicU32::new(0);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         scope.spawn(|| {
    ///             routes.get_or_build(&17, || {
    ///                 built.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    ///                 vec![17, 4, 1]
    ///             })
    ///         });
    ///     }
    /// });
    /// assert_eq!(built.into_inner(), 1);
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
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let limits = ArcCache::<String, u64>::new();
    /// let parse = |text: &str| limits.try_get_or_build(text, || text.parse::<u64>());
    /// assert_eq!(*parse("512")?, 512);
    /// assert!(parse("half").is_err() && limits.figures().entries == 1);
    /// # Ok::<(), std::num::ParseIntError>(())
    /// ```
    #[inline]
    pub fn try_get_or_build<Q, R, E>(&self, key: &Q, build: impl FnOnce() -> Result<R, E>) -> Result<Arc<V>, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        R: Into<Arc<V>>,
    {
        self.look_or_build(hash(key), key, build)
    }

    #[inline(always)]
    pub(super) fn look_or_build<Q, R, E>(
        &self,
        hash: u64,
        key: &Q,
        build: impl FnOnce() -> Result<R, E>,
    ) -> Result<Arc<V>, E>
    where
        Q: Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        R: Into<Arc<V>>,
    {
        match self.look(hash, key) {
            Some(value) => Ok(value),
            None => self.build((hash, key), build),
        }
    }

    #[cold]
    #[inline(never)]
    fn build<Q, R, E>(&self, (hash, key): (u64, &Q), build: impl FnOnce() -> Result<R, E>) -> Result<Arc<V>, E>
    where
        Q: Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        R: Into<Arc<V>>,
    {
        let Inner { builds, counts, entries, .. } = &*self.0;
        let kept = builds.once(
            (hash, key),
            counts,
            || entries.get(&Sought { hash, key }),
            || build().map(|value| self.0.weighed(value.into())),
            |key, kept, left: &mut Left<K, V>| {
                self.0.entries.insert_with_lifecycle(Hashed { hash, key }, kept.clone(), left);
                counts.dropped(left.len());
            },
        )?;
        Ok(kept.value)
    }

    /// Enters a value, and gives back the one that it takes the place of. A build of the key that is under way is not kept.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let configs = ArcCache::<u32, str>::new();
    /// configs.insert(1, "2 cores");
    /// let old = configs.insert(1, "4 cores"); // who holds the old one keeps it
    /// assert_eq!((old.as_deref(), configs.get(&1).as_deref()), (Some("2 cores"), Some("4 cores")));
    /// ```
    pub fn insert(&self, key: K, value: impl Into<Arc<V>>) -> Option<Arc<V>> {
        let hash = hash(&key);
        let kept = self.0.weighed(value.into());
        let withdrawn = self.0.builds.withdraw(hash, &key);
        let old = self.0.entries.peek(&Sought { hash, key: &key }).map(|kept| kept.value);
        let mut left = Left::new();
        self.0.entries.insert_with_lifecycle(Hashed { hash, key }, kept, &mut left);
        self.0.stamps.renew(hash);
        drop(withdrawn);
        let replaced = |kept: &Kept<V>| old.as_ref().is_some_and(|old| Arc::ptr_eq(old, &kept.value));
        self.0.counts.dropped(left.iter().filter(|(_, kept)| !replaced(kept)).count());
        // As in `remove`.
        drop(left);
        old
    }

    /// Takes a value out. A build of the key that is under way is not kept, since what it was built from may have changed.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let configs = ArcCache::<String, u32>::new();
    /// configs.insert("vm-1".into(), 2);
    /// assert_eq!(configs.remove("vm-1").as_deref(), Some(&2)); // changed on disk, say
    /// assert!(configs.get("vm-1").is_none());
    /// ```
    pub fn remove<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Arc<V>> {
        let hash = hash(key);
        let withdrawn = self.0.builds.withdraw(hash, key);
        // Under the shard's lock, so that who finds it gone finds its stamp renewed.
        let leaving = |_: &_| {
            self.0.stamps.renew(hash);
            true
        };
        let removed = self.0.entries.remove_if(&Sought { hash, key }, leaving);
        // For a build that was withdrawn.
        self.0.stamps.renew(hash);
        drop(withdrawn);
        let (key, kept) = removed?;
        // A value that is on its way out of a function is lost where a destructor after it panics; so none comes after it.
        drop(key);
        Some(kept.value)
    }

    /// Takes all values out; builds that are under way are not kept.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let configs = ArcCache::<u32, u32>::new();
    /// configs.insert(1, 2);
    /// configs.clear(); // a new version of the configs has been rolled out
    /// assert_eq!(configs.get(&1), None);
    /// ```
    pub fn clear(&self) {
        let withdrawn = self.0.builds.withdraw_all();
        // `withdrawn` holds every lock of the builds: one thread clears at a time.
        self.0.stamps.turn_all();
        let removed: Vec<_> = self.0.entries.drain().collect();
        self.0.stamps.turn_all();
        drop(withdrawn);
        drop(removed);
    }

    /// A reader of this cache, for one thread or task: a hit of its takes no lock and counts nothing.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let configs = ArcCache::<String, u32>::new();
    /// let mut reader = configs.reader(); // one per worker
    /// for vm in ["vm-1", "vm-2", "vm-1"] {
    ///     let cores: u32 = **reader.get_or_build(vm, || vm.len() as u32);
    ///     assert_eq!(cores, 4);
    /// }
    /// ```
    #[must_use]
    pub fn reader(&self) -> CacheReader<K, V> {
        CacheReader::new(self.clone())
    }

    /// What the cache holds and has done. Takes each shard's lock for a moment.
    ///
    /// ```
    /// use blixard_arena::arc::ArcCache;
    ///
    /// let configs = ArcCache::<u32, u32>::with_entries_max(1);
    /// configs.insert(1, 2);
    /// configs.insert(2, 4);
    /// assert_eq!((configs.figures().entries, configs.figures().dropped), (1, 1));
    /// ```
    #[must_use]
    pub fn figures(&self) -> CacheFigures {
        self.0.counts.figures(self.0.entries.len(), self.0.entries.weight())
    }
}

impl<K, V: ?Sized> ArcCache<K, V> {
    #[inline(always)]
    pub(super) fn stamps(&self) -> &Stamps {
        &self.0.stamps
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }
}

impl<K: Hash + Eq, V: ?Sized> Inner<K, V> {
    fn weighed(&self, value: Arc<V>) -> Kept<V> {
        let weight = self.weigh.as_ref().map_or(1, |weigh| weigh(&value).max(1));
        Kept { value, weight }
    }
}

impl<K, V: ?Sized> Clone for ArcCache<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Hash + Eq, V: ?Sized> Default for ArcCache<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq, V: ?Sized> fmt::Debug for ArcCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcCache").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

// Builders and weighers that panic leave nothing half done that is ours.
impl<K, V: ?Sized> UnwindSafe for ArcCache<K, V> {}
impl<K, V: ?Sized> RefUnwindSafe for ArcCache<K, V> {}
