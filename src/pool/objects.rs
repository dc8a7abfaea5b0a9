//! `TypedObjectPool`: objects that are emptied and used again instead of dropped and made anew.
//!
//! Stands over `recycle`: an item there is an object here, with a note of what is known of its present use. Invariants: a
//! guard has its object to itself; rules run before anything of the pool is touched, so they may use it; an object whose
//! rules say no, or panic, is dropped and never handed out; every object is dropped, detached or kept exactly once.
//! Cost: acquire and return touch memory of the calling thread only; no heap call while an idle object is there.
#![expect(unsafe_code, reason = "guards own objects by address")]

use super::builder::ObjectPoolBuilder;
use super::figures::{ObjectPoolFigures, PoolExhausted};
use super::rules::{Callbacks, Recycle};
use super::sites::{LeakSite, Sites};
use crate::recycle::{Kind, Limits, Link, Recycler, Taken};
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::unwind::{self, Payload};
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// An object and what is noted of its present use. Aligned so that objects of two threads share no cache line, which cost
/// one of them 10 ns a use where the allocator had put them side by side.
#[repr(align(64))]
pub(super) struct Object<T> {
    value: T,
    note: Option<Note>,
}

/// What is to be undone when the object comes back.
struct Note {
    /// It counts towards `live_max`.
    counted: bool,
    /// Its place among the leak sites.
    site: Option<usize>,
}

/// What a pool's threads share.
pub(super) struct Objects<T, R> {
    rules: R,
    retain_bytes_max: usize,
    /// A thread's n-th acquisition has something to note where `n & notice` is 0.
    notice: u64,
    name: &'static str,
    live_max: Option<usize>,
    sites: Sites,
    /// Objects out, where there is a `live_max`.
    live: AtomicUsize,
    /// Objects live and idle, and the most that there were.
    existing: AtomicUsize,
    high_water: AtomicUsize,
    dropped: AtomicU64,
    detached: AtomicU64,
    panics_swallowed: AtomicU64,
    object: PhantomData<fn() -> T>,
}

impl<T: Send + 'static, R: Recycle<T>> Kind for Objects<T, R> {
    type Item = Object<T>;
    type Local = ();

    fn discard(&self, object: Box<Object<T>>) {
        self.existing.fetch_sub(1, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Relaxed);
        // A destructor's panic ends here: whoever trims, returns or closes has others to see to.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(object))) {
            self.swallow(payload);
        }
    }
}

impl<T, R: Recycle<T>> Objects<T, R> {
    fn entered(&self, value: T) -> Object<T> {
        let existing = self.existing.fetch_add(1, Ordering::Relaxed) + 1;
        self.high_water.fetch_max(existing, Ordering::Relaxed);
        Object { value, note: None }
    }

    /// Runs the rules on an object that came back: whether to keep it, or a panic.
    #[inline(always)]
    fn settle(&self, value: &mut T) -> Result<bool, Payload> {
        catch_unwind(AssertUnwindSafe(|| {
            self.rules.reset(value)
                && self.rules.retained_bytes(value) <= self.retain_bytes_max
                && !cfg!(blixard_no_recycle)
        }))
    }

    /// What a new guard has to note. `counted`: by the caller already.
    #[cold]
    #[inline(never)]
    fn notice(&self, nth: u64, counted: bool) -> Option<Note> {
        if self.live_max.is_some() && !counted {
            self.live.fetch_add(1, Ordering::Relaxed);
        }
        let counted = self.live_max.is_some();
        let site = if nth & self.sites.mask() == 0 { self.sites.remember() } else { None };
        (counted || site.is_some()).then_some(Note { counted, site })
    }

    fn forget(&self, note: &Note) {
        if note.counted {
            self.live.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(site) = note.site {
            self.sites.forget(site);
        }
    }

    fn swallow(&self, payload: Payload) {
        unwind::discard(payload);
        self.panics_swallowed.fetch_add(1, Ordering::Relaxed);
    }
}

/// A pool of objects of one type: a cheap handle, to be cloned into every task or kept in a static.
///
/// [`acquire`](Self::acquire) hands out an idle object, or a new one; dropping the guard, on whatever thread, resets it
/// and keeps it for the next. An object whose reset or check fails or panics is dropped.
///
/// ```
/// use blixard_arena::pool::TypedObjectPool;
/// use std::sync::LazyLock;
///
/// #[derive(Default)]
/// struct Proposal {
///     vm: String,
///     scores: Vec<f64>,
/// }
///
/// // A static needs no start-up call.
/// static PROPOSALS: LazyLock<TypedObjectPool<Proposal>> = LazyLock::new(|| {
///     TypedObjectPool::builder(Proposal::default)
///         .name("proposals")
///         .reset(|proposal| {
///             proposal.vm.clear();
///             proposal.scores.clear();
///         })
///         .retained_bytes(|proposal| proposal.vm.capacity() + 8 * proposal.scores.capacity())
///         .build()
/// });
///
/// let mut proposal = PROPOSALS.acquire();
/// proposal.vm.push_str("vm-1");
/// proposal.scores.extend([0.7, 0.9]);
/// let decided = std::thread::spawn(move || proposal.scores.len()); // goes back from there
/// assert_eq!(decided.join().unwrap(), 2);
/// assert!(PROPOSALS.acquire().vm.is_empty());
/// ```
///
/// Guards are owned, `'static`, and count nothing, so that a borrowed form would be no cheaper; [`with`](Self::with)
/// lends an object to a closure. Guards may outlive the pool's last handle; their objects are then dropped. Bounds: see
/// [the module](super). The pool itself holds 384 bytes for each thread that uses it at a time.
pub struct TypedObjectPool<T: Send + 'static, R: Recycle<T> = Callbacks<T>> {
    recycler: Recycler<Objects<T, R>>,
}

impl<T: Send + 'static> TypedObjectPool<T> {
    /// A pool whose rules are closures: `factory` makes an object where none is idle.
    ///
    /// It may itself acquire objects, of this pool too.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// let texts = TypedObjectPool::builder(|| String::with_capacity(256)).reset(String::clear).build();
    /// texts.acquire().push_str("scratch");
    /// assert_eq!(texts.acquire().capacity(), 256);
    /// ```
    pub fn builder(factory: impl Fn() -> T + Send + Sync + 'static) -> ObjectPoolBuilder<T> {
        ObjectPoolBuilder::with_factory(factory)
    }
}

impl<T: Send + 'static, R: Recycle<T>> TypedObjectPool<T, R> {
    pub(super) fn from_builder(builder: ObjectPoolBuilder<T, R>) -> Self {
        let ObjectPoolBuilder { rules, name, idle_max, per_thread_bytes_max, retain_bytes_max, live_max, .. } = builder;
        let sites = Sites::new(builder.leak_sites_one_in);
        let object_bytes_max = retain_bytes_max.saturating_add(size_of::<Object<T>>());
        let limits = Limits { per_thread: per_thread_bytes_max / object_bytes_max, idle_max };
        let objects = Objects {
            rules,
            retain_bytes_max,
            notice: if live_max.is_some() { 0 } else { sites.mask() },
            name,
            live_max,
            sites,
            live: AtomicUsize::new(0),
            existing: AtomicUsize::new(0),
            high_water: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            detached: AtomicU64::new(0),
            panics_swallowed: AtomicU64::new(0),
            object: PhantomData,
        };
        Self { recycler: Recycler::new(objects, limits) }
    }

    /// An object: one that was used before, emptied, or a new one.
    ///
    /// Never blocks and never fails, whatever `live_max` is. No heap call where an object is idle.
    ///
    /// # Panics
    ///
    /// Only as the factory does.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// let pool = TypedObjectPool::builder(Vec::<u64>::new).reset(Vec::clear).build();
    /// let mut ids = pool.acquire();
    /// ids.extend([3, 1, 2]);
    /// ids.sort_unstable();
    /// assert_eq!(*ids, [1, 2, 3]);
    /// ```
    #[inline]
    pub fn acquire(&self) -> Pooled<T, R> {
        self.take(false)
    }

    /// [`acquire`](Self::acquire), unless [`live_max`](ObjectPoolBuilder::live_max) objects are out.
    ///
    /// # Errors
    ///
    /// [`PoolExhausted`], which names the pool and the limit.
    ///
    /// # Panics
    ///
    /// Only as the factory does.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// let pool = TypedObjectPool::builder(String::new).name("sessions").live_max(2).build();
    /// let sessions = [pool.try_acquire()?, pool.try_acquire()?];
    /// assert_eq!(pool.try_acquire().unwrap_err().live_max, 2); // shed the load
    /// # drop(sessions);
    /// # Ok::<(), blixard_arena::pool::PoolExhausted>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Pooled<T, R>, PoolExhausted> {
        struct Permit<'a>(&'a AtomicUsize);
        impl Drop for Permit<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let objects = self.recycler.kind();
        let Some(live_max) = objects.live_max else { return Ok(self.take(false)) };
        // Relaxed, here and where it is lowered: a number that publishes nothing.
        let more = |live: usize| (live < live_max).then_some(live + 1);
        if objects.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(PoolExhausted { pool: objects.name, live_max });
        }
        // Given up again if the factory panics.
        let permit = Permit(&objects.live);
        let pooled = self.take(true);
        let _ = ManuallyDrop::new(permit);
        Ok(pooled)
    }

    #[inline(always)]
    fn take(&self, counted: bool) -> Pooled<T, R> {
        let objects = self.recycler.kind();
        let Ok(Taken { item, nth }) =
            self.recycler.take::<Infallible>(|_| Ok(Box::new(objects.entered(objects.rules.make()))));
        self.guard(item, nth, counted)
    }

    #[inline(always)]
    fn guard(&self, object: NonNull<Object<T>>, nth: u64, counted: bool) -> Pooled<T, R> {
        let mut pooled = Pooled { object, link: self.recycler.link() };
        let objects = self.recycler.kind();
        if nth & objects.notice == 0 {
            // SAFETY: the guard owns the object.
            let object = unsafe { pooled.object.as_mut() };
            object.note = objects.notice(nth, counted);
        }
        pooled
    }

    /// Brings an object that was made elsewhere: it comes back to this pool, if the rules have it.
    ///
    /// ```
    /// use blixard_arena::pool::VecPool;
    ///
    /// let pool = VecPool::with_capacity(4);
    /// let decoded = Vec::from([1, 2, 3, 4]); // by a library that makes its own
    /// let decoded = pool.attach(decoded); // so that its memory is used again
    /// assert_eq!(decoded.iter().sum::<i32>(), 10);
    /// drop(decoded);
    /// assert_eq!(pool.figures().idle, 1);
    /// ```
    pub fn attach(&self, object: T) -> Pooled<T, R> {
        let Taken { item, nth } = self.recycler.bring(Box::new(self.recycler.kind().entered(object)));
        self.guard(item, nth, false)
    }

    /// Lends an object to a closure: it is back when the closure has ended, on unwind too.
    ///
    /// ```
    /// use blixard_arena::pool::VecPool;
    ///
    /// let scratch = VecPool::with_capacity(64);
    /// let median = scratch.with(|scores| {
    ///     scores.extend([0.9, 0.1, 0.5]);
    ///     scores.sort_by(f64::total_cmp);
    ///     scores[1]
    /// });
    /// assert_eq!(median, 0.5);
    /// ```
    pub fn with<O>(&self, f: impl FnOnce(&mut T) -> O) -> O {
        f(&mut self.acquire())
    }

    /// Frees what has lain idle since the last call: of the depot, as many as were there all the time; of this thread's
    /// stack, and of those that threads left behind when they ended, what was there then if nothing was taken from it since.
    ///
    /// Called in a steady rhythm, it brings a pool back to what it needs after a burst. The stacks of other threads that
    /// live are out of reach, whether they work or are parked; [`per_thread_bytes_max`] bounds each.
    ///
    /// [`per_thread_bytes_max`]: ObjectPoolBuilder::per_thread_bytes_max
    ///
    /// ```
    /// let pool = blixard_arena::pool::VecPool::<u8>::with_capacity(1 << 10);
    /// let burst: Vec<_> = (0..100).map(|_| pool.acquire()).collect();
    /// drop(burst);
    /// pool.trim(); // what lies here now ...
    /// let quiet = pool.figures().idle;
    /// pool.trim(); // ... was not needed
    /// assert!(pool.figures().idle == 0 && quiet > 90);
    /// ```
    pub fn trim(&self) {
        self.recycler.trim();
    }

    /// Frees what lies idle at once, where [`trim`](Self::trim) would look again later.
    ///
    /// ```
    /// let pool = blixard_arena::pool::VecPool::<u8>::with_capacity(1 << 10);
    /// drop(pool.acquire());
    /// pool.clear(); // the limits have changed, or memory is short
    /// assert_eq!(pool.figures().idle, 0);
    /// ```
    pub fn clear(&self) {
        self.recycler.clear();
    }

    /// What the pool has done so far.
    ///
    /// ```
    /// let pool = blixard_arena::pool::VecPool::<u8>::with_capacity(16);
    /// let held = pool.acquire();
    /// assert_eq!((pool.figures().live, pool.figures().idle), (1, 0));
    /// drop(held);
    /// assert_eq!((pool.figures().live, pool.figures().idle), (0, 1));
    /// ```
    #[must_use]
    pub fn figures(&self) -> ObjectPoolFigures {
        let objects = self.recycler.kind();
        let totals = self.recycler.totals();
        ObjectPoolFigures {
            name: objects.name,
            acquired: totals.taken,
            reused: totals.taken.saturating_sub(totals.created),
            created: totals.created,
            dropped: objects.dropped.load(Ordering::Relaxed),
            detached: objects.detached.load(Ordering::Relaxed),
            live: totals.taken.saturating_sub(totals.returned),
            idle: totals.idle,
            high_water: objects.high_water.load(Ordering::Relaxed),
            panics_swallowed: objects.panics_swallowed.load(Ordering::Relaxed),
        }
    }

    /// Where objects that are still out were acquired, for a [sample](ObjectPoolBuilder::leak_sites_one_in) of them, the
    /// longest out first.
    ///
    /// An object leaks where its guard is forgotten or kept in a map that nobody empties. A site of which more and more
    /// objects are out, for longer and longer, is the place; it works in release builds, as far as they have symbols.
    ///
    /// ```
    /// use blixard_arena::pool::TypedObjectPool;
    ///
    /// let pool = TypedObjectPool::builder(String::new).leak_sites_one_in(1).build();
    /// let held = pool.acquire();
    /// assert_eq!(pool.leak_sites().len(), 1);
    /// drop(held);
    /// assert!(pool.leak_sites().is_empty());
    /// ```
    #[must_use]
    pub fn leak_sites(&self) -> Vec<LeakSite> {
        self.recycler.kind().sites.all()
    }
}

impl<T: Send + 'static, R: Recycle<T>> Clone for TypedObjectPool<T, R> {
    fn clone(&self) -> Self {
        Self { recycler: self.recycler.clone() }
    }
}

impl<T: Send + 'static, R: Recycle<T>> fmt::Debug for TypedObjectPool<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedObjectPool").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

// Rules that panic leave nothing half done that is ours; what they share is theirs to keep whole.
impl<T: Send + 'static, R: Recycle<T>> UnwindSafe for TypedObjectPool<T, R> {}
impl<T: Send + 'static, R: Recycle<T>> RefUnwindSafe for TypedObjectPool<T, R> {}

/// An object out of its pool; dropping it resets the object and brings it back, on whatever thread.
///
/// `'static`, and as `Send` and `Sync` as the object: keep it in a request's struct, send it to the thread that ends its
/// use.
///
/// # Panics
///
/// Dropping it panics if the pool's reset or check does, after the object was dropped and counted; not while the thread
/// is unwinding.
///
/// ```
/// use blixard_arena::pool::{Pooled, TypedObjectPool};
///
/// struct Session {
///     inbox: Pooled<Vec<String>>, // comes back with the session
/// }
/// let pool = TypedObjectPool::builder(Vec::new).reset(Vec::clear).build();
/// let mut session = Session { inbox: pool.acquire() };
/// session.inbox.push("vm-1 started".into());
/// drop(session);
/// assert_eq!(pool.figures().idle, 1);
/// ```
#[must_use = "dropping the guard returns the object at once"]
pub struct Pooled<T: Send + 'static, R: Recycle<T> = Callbacks<T>> {
    object: NonNull<Object<T>>,
    link: Link<Objects<T, R>>,
}

// SAFETY: a guard owns its object, which is Send; the link is an address whose target is Sync and kept alive by the
// object being out.
unsafe impl<T: Send + 'static, R: Recycle<T>> Send for Pooled<T, R> {}
// SAFETY: `&self` gives `&T` and nothing else.
unsafe impl<T: Send + Sync + 'static, R: Recycle<T>> Sync for Pooled<T, R> {}

impl<T: Send + UnwindSafe + 'static, R: Recycle<T>> UnwindSafe for Pooled<T, R> {}
impl<T: Send + RefUnwindSafe + 'static, R: Recycle<T>> RefUnwindSafe for Pooled<T, R> {}

impl<T: Send + 'static, R: Recycle<T>> Pooled<T, R> {
    /// Takes the object out for good: the pool forgets it.
    ///
    /// ```
    /// use blixard_arena::pool::VecPool;
    ///
    /// let pool = VecPool::with_capacity(8);
    /// let mut reply = pool.acquire();
    /// reply.extend(*b"accepted");
    /// let reply: Vec<u8> = reply.detach(); // someone wants the vector itself
    /// assert_eq!((reply.len(), pool.figures().live), (8, 0));
    /// ```
    #[must_use = "the object is yours"]
    pub fn detach(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the object is out until it is detached below.
        let objects = unsafe { this.link.kind() };
        // SAFETY: the guard owns the object.
        if let Some(note) = mem::take(&mut unsafe { this.object.as_mut() }.note) {
            objects.forget(&note);
        }
        objects.existing.fetch_sub(1, Ordering::Relaxed);
        objects.detached.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the object came from this pool, leaves it once, and the guard is not used again.
        unsafe { this.link.detach(this.object) }.value
    }

    /// What a return does where something is noted, the rules said no, or the stack has no room.
    ///
    /// # Safety
    ///
    /// As for `Link::give_back`.
    #[cold]
    #[inline(never)]
    unsafe fn give_back_slow(
        mut object: NonNull<Object<T>>,
        link: Link<Objects<T, R>>,
        settled: Result<bool, Payload>,
    ) {
        // SAFETY: the object is still out.
        let objects = unsafe { link.kind() };
        // SAFETY: the caller owns the object.
        if let Some(note) = mem::take(&mut unsafe { object.as_mut() }.note) {
            objects.forget(&note);
        }
        let keep = matches!(settled, Ok(true));
        let mut payload = settled.err();
        if unwind::must_swallow(&mut payload) {
            objects.panics_swallowed.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: passed on from the caller.
        unsafe { link.give_back(object, |_, _| keep) };
        unwind::resume(payload);
    }
}

impl<T: Send + 'static, R: Recycle<T>> Drop for Pooled<T, R> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: our object is out.
        let objects = unsafe { self.link.kind() };
        // SAFETY: the guard owns the object, and nothing borrows from it any more.
        let object = unsafe { self.object.as_mut() };
        let noted = object.note.is_some();
        let settled = objects.settle(&mut object.value);
        if !noted && matches!(settled, Ok(true)) {
            // SAFETY: the object came from this pool, goes back once, and nobody uses it any more.
            if unsafe { self.link.try_give_back(self.object, |_, _, ()| true) } {
                return;
            }
        }
        // SAFETY: as above; where `try_give_back` answers `false` it has changed nothing.
        unsafe { Self::give_back_slow(self.object, self.link, settled) };
    }
}

impl<T: Send + 'static, R: Recycle<T>> Deref for Pooled<T, R> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard owns the object.
        &unsafe { self.object.as_ref() }.value
    }
}

impl<T: Send + 'static, R: Recycle<T>> DerefMut for Pooled<T, R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard owns the object, and `&mut self` says nobody else looks at it.
        &mut unsafe { self.object.as_mut() }.value
    }
}

impl<U: ?Sized, T: AsRef<U> + Send + 'static, R: Recycle<T>> AsRef<U> for Pooled<T, R> {
    fn as_ref(&self) -> &U {
        (**self).as_ref()
    }
}

impl<T: fmt::Debug + Send + 'static, R: Recycle<T>> fmt::Debug for Pooled<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&**self).finish()
    }
}
