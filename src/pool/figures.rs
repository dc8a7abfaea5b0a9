//! What a pool of objects has done, in numbers, and how it says no.
//!
//! Stands at the end of the data's way. Plain values, copied out; reading them never slows the threads that acquire.
#![forbid(unsafe_code)]

use std::fmt;

/// What a pool of objects has done so far.
///
/// Counts come from the threads' own counters, added up when asked for: exact once the threads rest. Then `created` is
/// `live + idle + dropped + detached`.
///
/// ```
/// use blixard_arena::pool::TypedObjectPool;
///
/// let pool = TypedObjectPool::builder(String::new).name("lines").build();
/// drop((pool.acquire(), pool.acquire()));
/// let kept = pool.acquire();
/// let figures = pool.figures();
/// assert_eq!((figures.acquired, figures.created, figures.reused), (3, 2, 1));
/// assert_eq!((figures.live, figures.idle, figures.high_water), (1, 1, 2));
/// assert_eq!(figures.to_string(), "lines: 1 live, 1 idle, high water 2, 3 acquired of which 1 reused, 2 created, 0 dropped, 0 detached, 0 panics");
/// # drop(kept);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectPoolFigures {
    /// The pool's name.
    pub name: &'static str,
    /// Objects handed out.
    pub acquired: u64,
    /// Of those, objects that had been used before.
    pub reused: u64,
    /// Objects made because none was idle, and objects [attached](super::TypedObjectPool::attach).
    pub created: u64,
    /// Objects dropped: for a limit, for a rule that said no or panicked, by a trim.
    pub dropped: u64,
    /// Objects that [left](super::Pooled::detach) for good.
    pub detached: u64,
    /// Objects out at this moment.
    pub live: u64,
    /// Objects that lie idle at this moment.
    pub idle: usize,
    /// The most objects that there were at one time, live and idle: `live` has never been above it.
    pub high_water: usize,
    /// Panics of rules and of objects' destructors that were caught and not passed on.
    pub panics_swallowed: u64,
}

impl fmt::Display for ObjectPoolFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, acquired, reused, created, dropped, detached, live, idle, high_water, panics_swallowed } =
            self;
        write!(
            f,
            "{name}: {live} live, {idle} idle, high water {high_water}, {acquired} acquired of which {reused} reused, \
             {created} created, {dropped} dropped, {detached} detached, {panics_swallowed} panics"
        )
    }
}

/// A pool was asked for more objects than may be out at a time.
///
/// ```
/// use blixard_arena::pool::TypedObjectPool;
///
/// let pool = TypedObjectPool::builder(Vec::<u8>::new).name("frames").live_max(1).build();
/// let frame = pool.try_acquire()?;
/// let refused = pool.try_acquire().unwrap_err();
/// assert_eq!(refused.to_string(), "pool frames: 1 object may be out at a time, and is");
/// drop(frame);
/// assert!(pool.try_acquire().is_ok());
/// # Ok::<(), blixard_arena::pool::PoolExhausted>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolExhausted {
    /// The pool's name.
    pub pool: &'static str,
    /// Objects that may be out at a time.
    pub live_max: usize,
}

impl fmt::Display for PoolExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, live_max } = self;
        if *live_max == 1 {
            return write!(f, "pool {pool}: 1 object may be out at a time, and is");
        }
        write!(f, "pool {pool}: {live_max} objects may be out at a time, and are")
    }
}

impl std::error::Error for PoolExhausted {}
