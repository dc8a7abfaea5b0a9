//! How a pool of objects is set up: its rules, its name, its limits with their defaults.
//!
//! Stands before everything else of `pool`. Plain values. Invariant: every limit but `live_max` has a number.
#![forbid(unsafe_code)]

use super::objects::TypedObjectPool;
use super::rules::{Callbacks, Recycle};
use std::fmt;
use std::marker::PhantomData;

/// What a pool is built from: see [`TypedObjectPool::builder`].
///
/// ```
/// use blixard_arena::pool::TypedObjectPool;
///
/// struct Connection {
///     log: Vec<u8>,
///     broken: bool,
/// }
///
/// let pool = TypedObjectPool::builder(|| Connection { log: Vec::new(), broken: false })
///     .name("connections")
///     .reset(|connection| connection.log.clear())
///     .check(|connection| !connection.broken)
///     .retained_bytes(|connection| connection.log.capacity())
///     .retain_bytes_max(4 << 10) // one whose log has grown beyond 4 KiB is not kept
///     .idle_max(64)
///     .build();
///
/// pool.acquire().broken = true;
/// assert!(!pool.acquire().broken);
/// assert_eq!(pool.figures().dropped, 1);
/// ```
#[must_use]
pub struct ObjectPoolBuilder<T, R = Callbacks<T>> {
    pub(super) rules: R,
    pub(super) name: &'static str,
    pub(super) idle_max: usize,
    pub(super) per_thread_bytes_max: usize,
    pub(super) retain_bytes_max: usize,
    pub(super) live_max: Option<usize>,
    pub(super) leak_sites_one_in: Option<u64>,
    object: PhantomData<fn() -> T>,
}

impl<T: Send + 'static, R: Recycle<T>> ObjectPoolBuilder<T, R> {
    /// How many objects lie idle at most by default: 1,024.
    ///
    /// ```
    /// use blixard_arena::pool::{ObjectPoolBuilder, TypedObjectPool};
    ///
    /// let idle_max = 10 * ObjectPoolBuilder::<String>::IDLE_DEFAULT; // for a service with larger bursts
    /// let pool = TypedObjectPool::builder(String::new).idle_max(idle_max).build();
    /// # drop(pool);
    /// ```
    pub const IDLE_DEFAULT: usize = 1024;
    /// The bytes of idle objects that a thread keeps at most by default: 1 MiB.
    ///
    /// ```
    /// use blixard_arena::pool::{ObjectPoolBuilder, TypedObjectPool};
    ///
    /// let share = ObjectPoolBuilder::<String>::PER_THREAD_BYTES_DEFAULT / 16; // a thousand threads: 64 MiB, not 1 GiB
    /// let pool = TypedObjectPool::builder(String::new).per_thread_bytes_max(share).build();
    /// # drop(pool);
    /// ```
    pub const PER_THREAD_BYTES_DEFAULT: usize = 1 << 20;
    /// The bytes that a returned object may hold by default: 64 KiB.
    ///
    /// ```
    /// use blixard_arena::pool::{ObjectPoolBuilder, TypedObjectPool};
    ///
    /// let retain = 4 * ObjectPoolBuilder::<String>::RETAIN_BYTES_DEFAULT; // texts of some 200 KiB are the rule here
    /// let pool = TypedObjectPool::builder(String::new).retained_bytes(String::capacity).retain_bytes_max(retain).build();
    /// # drop(pool);
    /// ```
    pub const RETAIN_BYTES_DEFAULT: usize = 64 << 10;

    /// A pool with rules of a type of their own. With closures: [`TypedObjectPool::builder`].
    ///
    /// ```
    /// use blixard_arena::pool::{ObjectPoolBuilder, Recycle};
    ///
    /// struct Counters; // known to the compiler: emptying is inlined into the return
    ///
    /// impl Recycle<[u64; 64]> for Counters {
    ///     fn make(&self) -> [u64; 64] {
    ///         [0; 64]
    ///     }
    ///     fn reset(&self, counters: &mut [u64; 64]) -> bool {
    ///         counters.fill(0);
    ///         true
    ///     }
    /// }
    /// let pool = ObjectPoolBuilder::new(Counters).build();
    /// pool.acquire()[3] += 1;
    /// assert_eq!(pool.acquire()[3], 0);
    /// ```
    pub fn new(rules: R) -> Self {
        Self {
            rules,
            name: std::any::type_name::<T>(),
            idle_max: Self::IDLE_DEFAULT,
            per_thread_bytes_max: Self::PER_THREAD_BYTES_DEFAULT,
            retain_bytes_max: Self::RETAIN_BYTES_DEFAULT,
            live_max: None,
            leak_sites_one_in: None,
            object: PhantomData,
        }
    }

    /// What figures and errors call the pool. The type's name by default.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// let pool = TypedObjectPool::builder(Vec::<u64>::new).name("shard scores").live_max(0).build();
    /// assert!(pool.try_acquire().unwrap_err().to_string().contains("shard scores")); // which of forty pools it was
    /// ```
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The most objects that lie idle, over all threads and the depot; at most 65,536. What comes back beyond that is
    /// dropped. Half of them may lie in the threads' stacks, half in the depot, whose places are made with the pool, 8
    /// bytes each and 4 for a batch.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// let pool = TypedObjectPool::builder(|| vec![0_u8; 1 << 20]).idle_max(4).build();
    /// drop([(); 100].map(|()| pool.acquire())); // a burst of 100 MiB
    /// assert!(pool.figures().idle <= 4); // of which at most 4 stay
    /// ```
    pub fn idle_max(mut self, objects: usize) -> Self {
        self.idle_max = objects;
        self
    }

    /// The most bytes of idle objects that one thread keeps for itself, out of reach of [`TypedObjectPool::trim`] by
    /// others. An object is taken to hold all that it may, `retain_bytes_max` and its own size, so that nothing has to
    /// be counted at a return: a thread keeps as many as then fit, at most 32. If none does, every object comes from
    /// the depot and goes back there, which costs some ten times as much.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// // A thousand threads that sleep most of the time: 0, so that what they used is there for whoever is awake.
    /// let pool = TypedObjectPool::builder(String::new).per_thread_bytes_max(0).build();
    /// std::thread::scope(|scope| _ = scope.spawn(|| pool.acquire().push_str("vm-1")));
    /// drop(pool.acquire());
    /// assert_eq!(pool.figures().created, 1);
    /// ```
    pub fn per_thread_bytes_max(mut self, bytes: usize) -> Self {
        self.per_thread_bytes_max = bytes;
        self
    }

    /// The most bytes that an object may hold, beyond its own size, to be kept when it comes back. What it holds the
    /// rules say: [`Recycle::retained_bytes`], or [`retained_bytes`](ObjectPoolBuilder::retained_bytes) of a builder
    /// with closures, without which it is 0.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// let pool = TypedObjectPool::builder(String::new)
    ///     .reset(String::clear)
    ///     .retained_bytes(String::capacity)
    ///     .retain_bytes_max(1 << 10)
    ///     .build();
    /// pool.acquire().reserve(1 << 20); // the one large text of the day
    /// assert!(pool.acquire().capacity() <= 1 << 10); // is not kept
    /// ```
    pub fn retain_bytes_max(mut self, bytes: usize) -> Self {
        self.retain_bytes_max = bytes;
        self
    }

    /// The most objects that [`TypedObjectPool::try_acquire`] lets out at a time. It costs a counter that all threads
    /// share, so there is none by default.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// let connections = TypedObjectPool::builder(|| "a connection").live_max(1).build();
    /// let first = connections.try_acquire().unwrap();
    /// assert!(connections.try_acquire().is_err()); // the caller waits, or sheds load
    /// drop(first);
    /// assert!(connections.try_acquire().is_ok());
    /// ```
    pub fn live_max(mut self, objects: usize) -> Self {
        self.live_max = Some(objects);
        self
    }

    /// One in so many acquisitions, rounded up to a power of two, keeps its backtrace until its object comes back (see
    /// [`TypedObjectPool::leak_sites`]); 0 for none. A backtrace takes some microseconds and heap calls. By default one
    /// in 128 does, and no more than one in a millisecond; what is set here holds whatever it costs.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// let pool = TypedObjectPool::builder(String::new).leak_sites_one_in(1).build(); // each, while hunting
    /// let forgotten = pool.acquire();
    /// assert_eq!(pool.leak_sites().len(), 1); // with the place that took it
    /// # drop(forgotten);
    /// ```
    pub fn leak_sites_one_in(mut self, acquisitions: u64) -> Self {
        self.leak_sites_one_in = Some(acquisitions);
        self
    }

    /// The pool. Some six heap calls.
    ///
    /// ```
    /// let texts = blixard_arena::pool::TypedObjectPool::builder(String::new).reset(String::clear).build();
    /// texts.acquire().push_str("vm-1");
    /// assert!(texts.acquire().is_empty());
    /// ```
    #[must_use]
    pub fn build(self) -> TypedObjectPool<T, R> {
        TypedObjectPool::from_builder(self)
    }
}

impl<T: Send + 'static> ObjectPoolBuilder<T> {
    pub(super) fn with_factory(factory: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::new(Callbacks { make: Box::new(factory), reset: None, check: None, retained_bytes: None })
    }

    /// Prepares an object for its next use, when it comes back. If it panics the object is dropped, and the panic goes
    /// on from where the object came back, or is counted and swallowed if the thread unwinds already.
    ///
    /// ```
    /// let maps = blixard_arena::pool::TypedObjectPool::builder(std::collections::HashMap::<u32, u32>::new)
    ///     .reset(|map| map.clear()) // keeps its memory, not its entries
    ///     .build();
    /// maps.acquire().insert(1, 2);
    /// assert!(maps.acquire().is_empty());
    /// ```
    pub fn reset(mut self, reset: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        self.rules.reset = Some(Box::new(reset));
        self
    }

    /// Says whether an object that came back, reset, is fit for another use; if not, or if it panics, the object is
    /// dropped.
    ///
    /// ```
    /// use std::net::UdpSocket;
    ///
    /// let sockets = blixard_arena::pool::TypedObjectPool::builder(|| UdpSocket::bind("127.0.0.1:0"))
    ///     .check(Result::is_ok) // one that could not be had is not handed out again
    ///     .build();
    /// # drop(sockets);
    /// ```
    pub fn check(mut self, check: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.rules.check = Some(Box::new(check));
        self
    }

    /// Says what an object holds on the heap, for [`retain_bytes_max`](Self::retain_bytes_max).
    ///
    /// ```
    /// let texts = blixard_arena::pool::TypedObjectPool::builder(String::new)
    ///     .reset(String::clear)
    ///     .retained_bytes(String::capacity) // without it a text of any size is kept
    ///     .build();
    /// texts.acquire().reserve(1 << 20);
    /// assert_eq!(texts.figures().dropped, 1);
    /// ```
    pub fn retained_bytes(mut self, bytes: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        self.rules.retained_bytes = Some(Box::new(bytes));
        self
    }
}

impl<T, R> fmt::Debug for ObjectPoolBuilder<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectPoolBuilder")
            .field("name", &self.name)
            .field("idle_max", &self.idle_max)
            .field("per_thread_bytes_max", &self.per_thread_bytes_max)
            .field("retain_bytes_max", &self.retain_bytes_max)
            .field("live_max", &self.live_max)
            .field("leak_sites_one_in", &self.leak_sites_one_in)
            .finish_non_exhaustive()
    }
}
