//! How a pool treats its objects: makes them, empties them, judges them.
//!
//! Stands under `objects`, which calls it outside all that threads share. Invariant: an object for which a rule says no,
//! or panics, is dropped. Cost: what the rules do; closures cost an indirect call each.
#![forbid(unsafe_code)]

use std::fmt;

/// The rules of a pool's objects.
///
/// Most pools have [`Callbacks`], from [`TypedObjectPool::builder`](super::TypedObjectPool::builder). A type of one's
/// own saves the indirect calls of closures:
///
/// ```
/// use blixard_arena::pool::{ObjectPoolBuilder, Recycle};
///
/// struct Scores; // vectors of scores, emptied when they come back
///
/// impl Recycle<Vec<f64>> for Scores {
///     fn make(&self) -> Vec<f64> {
///         Vec::with_capacity(128)
///     }
///     fn reset(&self, scores: &mut Vec<f64>) -> bool {
///         scores.clear();
///         true
///     }
///     fn retained_bytes(&self, scores: &Vec<f64>) -> usize {
///         8 * scores.capacity()
///     }
/// }
///
/// let pool = ObjectPoolBuilder::new(Scores).build();
/// pool.acquire().push(0.5);
/// assert!(pool.acquire().is_empty());
/// ```
pub trait Recycle<T>: Send + Sync + 'static {
    /// A new object, where none is idle.
    ///
    /// ```
    /// use blixard_arena::pool::{ObjectPoolBuilder, Recycle};
    ///
    /// struct Frames(usize); // the rules may have settings of their own
    ///
    /// impl Recycle<Vec<u8>> for Frames {
    ///     fn make(&self) -> Vec<u8> {
    ///         Vec::with_capacity(self.0)
    ///     }
    ///     fn reset(&self, frame: &mut Vec<u8>) -> bool {
    ///         frame.clear();
    ///         true
    ///     }
    /// }
    /// assert!(ObjectPoolBuilder::new(Frames(1500)).build().acquire().capacity() >= 1500);
    /// ```
    fn make(&self) -> T;

    /// Prepares an object that came back for its next use, and says whether it may have one.
    ///
    /// ```
    /// # use blixard_arena::pool::{ObjectPoolBuilder, Recycle};
    /// #[derive(Default)]
    /// struct Connection {
    ///     broken: bool,
    /// }
    /// struct Connections;
    ///
    /// impl Recycle<Connection> for Connections {
    ///     fn make(&self) -> Connection {
    ///         Connection::default()
    ///     }
    ///     fn reset(&self, connection: &mut Connection) -> bool {
    ///         !connection.broken // nobody gets that one again
    ///     }
    /// }
    /// let pool = ObjectPoolBuilder::new(Connections).build();
    /// pool.acquire().broken = true;
    /// assert!(!pool.acquire().broken);
    /// ```
    fn reset(&self, object: &mut T) -> bool;

    /// The bytes that an object holds beyond its own size, as
    /// [`retain_bytes_max`](super::ObjectPoolBuilder::retain_bytes_max) bounds them. Asked after `reset`.
    ///
    /// ```
    /// # use blixard_arena::pool::{ObjectPoolBuilder, Recycle};
    /// struct Lines;
    ///
    /// impl Recycle<String> for Lines {
    ///     fn make(&self) -> String {
    ///         String::new()
    ///     }
    ///     fn reset(&self, line: &mut String) -> bool {
    ///         line.clear();
    ///         true
    ///     }
    ///     fn retained_bytes(&self, line: &String) -> usize {
    ///         line.capacity() // without it a line of any length is kept
    ///     }
    /// }
    /// let pool = ObjectPoolBuilder::new(Lines).build();
    /// pool.acquire().reserve(1 << 20); // the longest of the day
    /// assert_eq!(pool.figures().dropped, 1);
    /// ```
    fn retained_bytes(&self, object: &T) -> usize {
        let _ = object;
        0
    }
}

/// Rules given as closures.
///
/// ```
/// use blixard_arena::pool::{Callbacks, TypedObjectPool};
///
/// struct Parser {
///     lines: TypedObjectPool<String>, // `Callbacks` is what stands behind it
/// }
/// let parser = Parser { lines: TypedObjectPool::<_, Callbacks<String>>::builder(String::new).build() };
/// assert!(parser.lines.acquire().is_empty());
/// ```
pub struct Callbacks<T> {
    pub(super) make: Box<dyn Fn() -> T + Send + Sync>,
    pub(super) reset: Option<Box<Reset<T>>>,
    pub(super) check: Option<Box<Check<T>>>,
    pub(super) retained_bytes: Option<Box<RetainedBytes<T>>>,
}

type Reset<T> = dyn Fn(&mut T) + Send + Sync;
type Check<T> = dyn Fn(&T) -> bool + Send + Sync;
type RetainedBytes<T> = dyn Fn(&T) -> usize + Send + Sync;

impl<T: 'static> Recycle<T> for Callbacks<T> {
    fn make(&self) -> T {
        (self.make)()
    }

    #[inline(always)]
    fn reset(&self, object: &mut T) -> bool {
        if let Some(reset) = &self.reset {
            reset(object);
        }
        self.check.as_ref().is_none_or(|check| check(object))
    }

    #[inline(always)]
    fn retained_bytes(&self, object: &T) -> usize {
        self.retained_bytes.as_ref().map_or(0, |bytes| bytes(object))
    }
}

impl<T> fmt::Debug for Callbacks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("reset", &self.reset.is_some())
            .field("check", &self.check.is_some())
            .field("retained_bytes", &self.retained_bytes.is_some())
            .finish_non_exhaustive()
    }
}
