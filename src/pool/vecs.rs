//! Pools of vectors: scratch space, byte buffers of two sizes for the whole process, byte buffers by size class.
//!
//! Stands over `objects` with rules of its own, so that emptying a vector is inlined into its return. Invariant: an idle
//! vector is empty and holds at least the capacity that it was made with, at most twice that unless its pool is built otherwise. Cost: as the pool's; no
//! byte is ever zeroed.
#![forbid(unsafe_code)]

use super::builder::ObjectPoolBuilder;
use super::figures::ObjectPoolFigures;
use super::objects::{Pooled, TypedObjectPool};
use super::rules::Recycle;
use crate::collections::FlatMap;
use std::io;
use std::sync::LazyLock;

/// The rules of a [`VecPool`]: vectors of at least one capacity, emptied when they come back.
///
/// ```
/// use blixard_arena::pool::{ObjectPoolBuilder, VecPool, Vecs};
///
/// /// For a function that finishes any pool of vectors in the house's way.
/// fn in_house(builder: ObjectPoolBuilder<Vec<u64>, Vecs>) -> VecPool<u64> {
///     builder.idle_max(64).build()
/// }
/// assert!(in_house(VecPool::builder_with_capacity(32)).acquire().capacity() >= 32);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Vecs {
    capacity: usize,
}

impl<T: 'static> Recycle<Vec<T>> for Vecs {
    fn make(&self) -> Vec<T> {
        Vec::with_capacity(self.capacity)
    }

    #[inline(always)]
    fn reset(&self, vec: &mut Vec<T>) -> bool {
        vec.clear();
        vec.capacity() >= self.capacity
    }

    #[inline(always)]
    fn retained_bytes(&self, vec: &Vec<T>) -> usize {
        vec.capacity() * size_of::<T>()
    }
}

/// A pool of vectors that keep their capacity: scratch space for what every request sorts, collects or writes.
///
/// ```
/// use blixard_arena::pool::VecPool;
///
/// let candidates: VecPool<(u32, f64)> = VecPool::with_capacity(128);
/// let best = candidates.with(|candidates| {
///     candidates.extend((0..100).map(|node| (node, f64::from(node * 7 % 13))));
///     candidates.sort_by(|a, b| b.1.total_cmp(&a.1));
///     candidates[0].0
/// });
/// assert_eq!(best, 11);
/// ```
///
/// A vector that has grown beyond twice its first capacity, or lost some of it, is dropped when it comes back. Other
/// limits: [`VecPool::builder_with_capacity`].
pub type VecPool<T> = TypedObjectPool<Vec<T>, Vecs>;

impl<T: Send + 'static> VecPool<T> {
    /// A pool of vectors for `capacity` elements.
    ///
    /// ```
    /// let pool = blixard_arena::pool::VecPool::<u64>::with_capacity(32);
    /// assert!(pool.acquire().capacity() >= 32);
    /// ```
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::builder_with_capacity(capacity).build()
    }

    /// The same, with a name and limits to be set.
    ///
    /// ```
    /// use blixard_arena::pool::VecPool;
    ///
    /// let pool = VecPool::<u64>::builder_with_capacity(32).name("scores").idle_max(8).build();
    /// assert_eq!(pool.figures().name, "scores");
    /// ```
    pub fn builder_with_capacity(capacity: usize) -> ObjectPoolBuilder<Vec<T>, Vecs> {
        let retain = capacity.saturating_mul(size_of::<T>()).saturating_mul(2);
        ObjectPoolBuilder::new(Vecs { capacity }).retain_bytes_max(retain)
    }
}

/// A byte buffer out of a pool: a `Vec<u8>` that comes back.
///
/// It is written to through [`io::Write`], through `bytes::BufMut` (feature `bytes`), or as the vector that it is; with that
/// feature `freeze` makes it a `bytes::Bytes` without a copy, which comes back when the last holder lets go.
///
/// ```
/// use blixard_arena::pool::SMALL_BUFFER_POOL;
/// use std::io::{Read as _, Write as _};
///
/// let mut out = SMALL_BUFFER_POOL.acquire();
/// write!(out, "PUT /vm/{}", 17)?;
/// assert_eq!(&out[..], b"PUT /vm/17");
///
/// // Reads go into the spare capacity as it is; nothing is zeroed first.
/// let mut frame = SMALL_BUFFER_POOL.acquire();
/// (&b"length-prefixed"[..]).take(6).read_to_end(&mut frame)?;
/// assert_eq!(frame.as_slice(), b"length");
/// # Ok::<(), std::io::Error>(())
/// ```
pub type Buffer = Pooled<Vec<u8>, Vecs>;

impl<R: Recycle<Vec<u8>>> io::Write for Pooled<Vec<u8>, R> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Idle bytes of one size class, at most, if all were as large as they may be.
const CLASS_IDLE_BYTES_MAX: usize = 32 << 20;

fn buffers(name: &'static str, bytes: usize) -> VecPool<u8> {
    let idle_max = (CLASS_IDLE_BYTES_MAX / (2 * bytes)).min(ObjectPoolBuilder::<Vec<u8>, Vecs>::IDLE_DEFAULT);
    VecPool::builder_with_capacity(bytes).name(name).idle_max(idle_max).build()
}

/// Buffers of 1 KiB for the whole process: messages, keys, log records.
///
/// At most 1,024 lie idle, 32 of them with one thread; one that grew beyond 2 KiB is dropped when it comes back.
///
/// ```
/// use blixard_arena::pool::SMALL_BUFFER_POOL;
///
/// let mut record = SMALL_BUFFER_POOL.acquire(); // no heap call once a few have come back
/// record.extend_from_slice(b"vm-1 started");
/// let written = std::thread::spawn(move || record.len()); // goes home from the thread that writes the log
/// assert_eq!(written.join().unwrap(), 12);
/// ```
pub static SMALL_BUFFER_POOL: LazyLock<VecPool<u8>> = LazyLock::new(|| buffers("small buffers", 1 << 10));

/// Buffers of 64 KiB for the whole process: frames, snapshots' blocks, files read in pieces.
///
/// At most 256 lie idle, 7 of them with one thread; one that grew beyond 128 KiB is dropped when it comes back.
///
/// ```
/// use blixard_arena::pool::LARGE_BUFFER_POOL;
///
/// let mut frame = LARGE_BUFFER_POOL.acquire();
/// frame.resize(65_536, 0); // no heap call
/// assert_eq!(frame.len(), 65_536);
/// ```
pub static LARGE_BUFFER_POOL: LazyLock<VecPool<u8>> = LazyLock::new(|| buffers("large buffers", 64 << 10));

/// Buffers by size class: 1, 4, 16, 64 and 256 KiB and 1 MiB, for callers who know what they are about to write.
///
/// ```
/// use blixard_arena::pool::BufferPool;
///
/// let pool = BufferPool::new();
/// let body = pool.acquire(10_000);
/// assert_eq!(body.capacity(), 16 << 10);
/// drop(body);
/// assert_eq!(pool.acquire(16_000).capacity(), 16 << 10); // the same one
/// ```
///
/// Each class is a [`VecPool`] of its own, of which 32 MiB lie idle at most, 1,024 buffers at most, and 1 MiB with one
/// thread. What is asked beyond the largest class is made to measure, and dropped when it comes back if it has more than 2 MiB.
#[derive(Clone, Debug)]
pub struct BufferPool {
    classes: [VecPool<u8>; BufferPool::CLASSES.len()],
}

impl BufferPool {
    /// Bytes of the classes' buffers.
    ///
    /// ```
    /// use blixard_arena::pool::BufferPool;
    ///
    /// let largest = *BufferPool::CLASSES.last().unwrap();
    /// let body = 3 << 20;
    /// assert!(body > largest); // would be made to measure each time: read it in pieces instead
    /// ```
    pub const CLASSES: [usize; 6] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

    /// Buffers of all classes, none of which is made yet.
    ///
    /// ```
    /// let pool = blixard_arena::pool::BufferPool::new();
    /// let connection = pool.clone(); // a handle on the same buffers, for each connection
    /// drop(connection.acquire(100));
    /// assert_eq!(pool.figures().map(|class| class.created), [1, 0, 0, 0, 0, 0]); // none but what was asked for
    /// ```
    #[must_use]
    pub fn new() -> Self {
        const NAMES: [&str; BufferPool::CLASSES.len()] =
            ["buffers of 1 KiB", "of 4 KiB", "of 16 KiB", "of 64 KiB", "of 256 KiB", "of 1 MiB"];
        Self { classes: std::array::from_fn(|class| buffers(NAMES[class], Self::CLASSES[class])) }
    }

    /// An empty buffer for at least `bytes`.
    ///
    /// # Panics
    ///
    /// Where `bytes` is beyond `isize::MAX`. Where the allocator has not so many, the process ends, as with `Vec::with_capacity`: a length that
    /// comes from outside is to be bounded first.
    ///
    /// ```
    /// let pool = blixard_arena::pool::BufferPool::new();
    /// let announced = 3_000; // by the header of a message
    /// let mut body = pool.acquire(announced.min(8 << 20));
    /// body.resize(announced, 0); // it is there already: nothing grows
    /// assert_eq!(body.capacity(), 4 << 10);
    /// assert!(pool.acquire(3 << 20).capacity() >= 3 << 20); // above the classes, made to measure
    /// ```
    #[inline]
    pub fn acquire(&self, bytes: usize) -> Buffer {
        match self.classes.get(Self::class(bytes)) {
            Some(class) => class.acquire(),
            None => self.classes[Self::CLASSES.len() - 1].attach(Vec::with_capacity(bytes)),
        }
    }

    /// The smallest class that holds `bytes`; one too many where none does.
    fn class(bytes: usize) -> usize {
        // Classes are four times as large each: half the number of bits above the first.
        let bits = usize::BITS - bytes.saturating_sub(1).leading_zeros();
        (bits.saturating_sub(10) as usize).div_ceil(2)
    }

    /// [`TypedObjectPool::trim`] of each class.
    ///
    /// ```
    /// let pool = blixard_arena::pool::BufferPool::new();
    /// drop(pool.acquire(100));
    /// pool.trim();
    /// pool.trim(); // nobody needed it in between
    /// assert!(pool.figures().iter().all(|class| class.idle == 0));
    /// ```
    pub fn trim(&self) {
        self.classes.iter().for_each(TypedObjectPool::trim);
    }

    /// What each class has done so far.
    ///
    /// ```
    /// let pool = blixard_arena::pool::BufferPool::new();
    /// let body = pool.acquire(3_000);
    /// assert_eq!(pool.figures().map(|class| class.live), [0, 1, 0, 0, 0, 0]);
    /// # drop(body);
    /// ```
    #[must_use]
    pub fn figures(&self) -> [ObjectPoolFigures; Self::CLASSES.len()] {
        self.classes.each_ref().map(TypedObjectPool::figures)
    }
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new()
    }
}

/// A map of text to text on the heap.
///
/// ```
/// use blixard_arena::pool::{MetadataMap, METADATA_MAP_POOL, Pooled};
///
/// struct Node {
///     labels: Pooled<MetadataMap>, // lives as long as the node does, and comes back with it
/// }
/// let mut node = Node { labels: METADATA_MAP_POOL.acquire() };
/// node.labels.insert("zone".into(), "b".into());
/// assert_eq!(node.labels["zone"], "b");
/// ```
pub type MetadataMap = FlatMap<String, String>;

/// Maps of text to text for the whole process: labels and annotations that outlive a request.
///
/// At most 1,024 lie idle, 15 of them with one thread; one that takes more than 64 KiB is dropped when it comes back. The
/// texts are dropped at each return, the map's own memory stays.
///
/// ```
/// use blixard_arena::pool::METADATA_MAP_POOL;
///
/// let mut labels = METADATA_MAP_POOL.acquire();
/// labels.insert("tier".into(), "db".into());
/// assert_eq!(labels["tier"], "db");
/// drop(labels);
/// assert!(METADATA_MAP_POOL.acquire().is_empty());
/// ```
pub static METADATA_MAP_POOL: LazyLock<TypedObjectPool<MetadataMap>> = LazyLock::new(|| {
    TypedObjectPool::builder(MetadataMap::new)
        .name("metadata maps")
        .reset(FlatMap::clear)
        .retained_bytes(|map| map.capacity() * METADATA_PAIR_BYTES)
        .build()
});

/// A pair, and its part of the index: slots of 8 bytes, a power of two of them, at most five in eight taken.
const METADATA_PAIR_BYTES: usize = size_of::<(String, String)>() + 8 * 16 / 5;

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_smallest_that_holds_what_is_asked() {
        let naive =
            |bytes| BufferPool::CLASSES.iter().position(|class| bytes <= *class).unwrap_or(BufferPool::CLASSES.len());
        for class in BufferPool::CLASSES {
            for bytes in [0, 1, class - 1, class, class + 1, class * 2, class * 3] {
                assert_eq!(BufferPool::class(bytes).min(BufferPool::CLASSES.len()), naive(bytes), "{bytes}");
            }
        }
        assert!(BufferPool::class(usize::MAX) >= BufferPool::CLASSES.len());
    }
}
