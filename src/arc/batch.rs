//! `BatchedArc` and `ArcCloneBatcher`: many owners of one value from one atomic addition.
//!
//! Stands beside the caches, for what is handed to many tasks at once. std's `Arc` adds one at a time, and its count is out of
//! reach; here the header is ours. Invariants: `owners` is the number of counts that owners and batchers hold; a value and its header
//! live while that is not 0, and are dropped and freed once, by whoever takes the last ones off; a batcher that holds no count does not follow its pointer.
//! Cost: one atomic addition per batch and one per owner that is dropped, or one for all that were put back; one heap call per value.
#![expect(unsafe_code, reason = "a header and a value are owned by count")]

use crate::sync::{AtomicUsize, Ordering, fence};
use std::alloc::{Layout, alloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};

/// Beyond so many owners the process ends, as with std's `Arc`: a count that wrapped would free what is held.
const OWNERS_MAX: usize = isize::MAX.cast_unsigned();

/// A value and its header.
#[repr(C)]
struct Shared<T: ?Sized> {
    owners: AtomicUsize,
    value: T,
}

/// One of many owners of a value, as an `Arc`, without weak ones: what [`ArcCloneBatcher`] hands out.
///
/// ```
/// use blixard_arena::arc::BatchedArc;
///
/// let config = BatchedArc::new(String::from("2 cores"));
/// // A request fans out: 64 owners by one atomic addition instead of 64.
/// let mut batch = config.batch(64);
/// let workers = batch.by_ref().take(3).map(|config| std::thread::spawn(move || config.len()));
/// for worker in workers.collect::<Vec<_>>() {
///     assert_eq!(worker.join().unwrap(), 7);
/// }
/// drop(batch); // 61 were not used, and go by one subtraction
/// assert_eq!(config.owners(), 1);
/// ```
///
/// `T` may be a `str` or a slice (see the `From` impls); what else has no size goes in a box: `BatchedArc<Box<dyn Trait>>`.
///
/// # Panics
/// Never. Beyond `isize::MAX` owners, and where there is no memory for a value, the process ends, as with std's `Arc`.
pub struct BatchedArc<T: ?Sized> {
    shared: NonNull<Shared<T>>,
    /// It may drop the value.
    owns: PhantomData<Shared<T>>,
}

/// A stock of owners of one value, paid for by one atomic addition: see [`BatchedArc::batch`].
///
/// An iterator: each [`next`](Iterator::next) hands out an owner and touches no count. Dropped, however that comes about, it gives
/// back what it has left by one subtraction.
///
/// ```
/// use blixard_arena::arc::BatchedArc;
///
/// let image = BatchedArc::<str>::from("debian:13");
/// let mut batch = image.batch(8);
/// let lent: Vec<_> = batch.by_ref().collect();
/// assert_eq!(image.owners(), 9);
/// lent.into_iter().for_each(|owner| batch.put_back(owner)); // no atomic operation
/// assert_eq!((batch.len(), image.owners()), (8, 9));
/// drop(batch); // the only other one
/// assert_eq!(image.owners(), 1);
/// ```
pub struct ArcCloneBatcher<T: ?Sized> {
    /// Points at a value that is alive while `left` is not 0.
    shared: NonNull<Shared<T>>,
    /// Counts that this batcher holds.
    left: usize,
    owns: PhantomData<Shared<T>>,
}

// SAFETY: as for std's `Arc`: an owner gives `&T` on its thread, so `T: Sync`, and the last one drops the `T` there, so `T: Send`.
unsafe impl<T: ?Sized + Send + Sync> Send for BatchedArc<T> {}
// SAFETY: through `&BatchedArc` a thread gets `&T`, and owners of its own by `clone` and `batch`: as above.
unsafe impl<T: ?Sized + Send + Sync> Sync for BatchedArc<T> {}
// SAFETY: a batcher is so many owners in one.
unsafe impl<T: ?Sized + Send + Sync> Send for ArcCloneBatcher<T> {}
// SAFETY: `&ArcCloneBatcher` gives a number and nothing else.
unsafe impl<T: ?Sized + Send + Sync> Sync for ArcCloneBatcher<T> {}

// As for std's `Arc`: the value is reached by `&T` alone.
impl<T: ?Sized + RefUnwindSafe> UnwindSafe for BatchedArc<T> {}
impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for BatchedArc<T> {}
impl<T: ?Sized + RefUnwindSafe> UnwindSafe for ArcCloneBatcher<T> {}
impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for ArcCloneBatcher<T> {}

impl<T> BatchedArc<T> {
    /// The first owner of a value. One heap call.
    ///
    /// ```
    /// use blixard_arena::arc::BatchedArc;
    ///
    /// let limits = BatchedArc::new([2, 4, 8]); // made once, handed out by the batch
    /// let of_workers: Vec<_> = limits.batch(16).collect();
    /// assert_eq!(of_workers.iter().map(|limits| limits[1]).sum::<i32>(), 64);
    /// ```
    #[must_use]
    pub fn new(value: T) -> Self {
        let shared = Box::new(Shared { owners: AtomicUsize::new(1), value });
        Self { shared: NonNull::from(Box::leak(shared)), owns: PhantomData }
    }
}

impl<T: ?Sized> BatchedArc<T> {
    /// So many further owners, by one atomic addition. Their number is a `u32`, so that no two threads can carry the count from below its
    /// limit to 0.
    ///
    /// ```
    /// use blixard_arena::arc::BatchedArc;
    ///
    /// let config = BatchedArc::new(17);
    /// let copies: Vec<BatchedArc<i32>> = config.batch(64).collect();
    /// assert_eq!((copies.len(), *copies[63]), (64, 17));
    /// ```
    #[inline]
    #[must_use = "dropping the batch gives its owners back"]
    pub fn batch(&self, owners: u32) -> ArcCloneBatcher<T> {
        self.add(owners);
        ArcCloneBatcher { shared: self.shared, left: owners as usize, owns: PhantomData }
    }

    /// The number of owners at this moment, what batchers have left included.
    ///
    /// ```
    /// use blixard_arena::arc::BatchedArc;
    ///
    /// let config = BatchedArc::new(17);
    /// let _second = config.clone();
    /// assert_eq!(config.owners(), 2);
    /// ```
    #[must_use]
    pub fn owners(&self) -> usize {
        // Relaxed: a number that publishes nothing.
        self.shared().owners.load(Ordering::Relaxed)
    }

    /// Whether two are owners of one value.
    ///
    /// ```
    /// use blixard_arena::arc::BatchedArc;
    ///
    /// let config = BatchedArc::new(17);
    /// assert!(config.ptr_eq(&config.clone()));
    /// assert!(!config.ptr_eq(&BatchedArc::new(17)));
    /// ```
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        ptr::addr_eq(self.shared.as_ptr(), other.shared.as_ptr())
    }

    #[inline(always)]
    fn shared(&self) -> &Shared<T> {
        // SAFETY: this owner's count keeps header and value alive for as long as it is borrowed; nobody has `&mut` to them
        // before the last owner is gone.
        unsafe { self.shared.as_ref() }
    }

    #[inline(always)]
    fn add(&self, owners: u32) {
        // Relaxed, as in std's `Arc`: who is given one of them got it from this thread, and with it what this thread knew.
        let before = self.shared().owners.fetch_add(owners as usize, Ordering::Relaxed);
        // Between a count beyond `OWNERS_MAX` and one that wraps lie 2^31 threads that are right here.
        if before > OWNERS_MAX - owners as usize {
            too_many_owners();
        }
    }
}

#[cold]
#[inline(never)]
fn too_many_owners() -> ! {
    std::process::abort();
}

impl<T: ?Sized> ArcCloneBatcher<T> {
    /// Takes an owner back into the stock: its count is kept for the next, or for the one subtraction in the end. One of another
    /// value than this batcher's is dropped as it would be otherwise, unless the batcher has none left: then it goes on with that value.
    ///
    /// ```
    /// use blixard_arena::arc::BatchedArc;
    ///
    /// let config = BatchedArc::new(17);
    /// let mut batch = config.batch(1);
    /// for _ in 0..100 {
    ///     let owner = batch.next().unwrap();
    ///     batch.put_back(owner);
    /// }
    /// assert_eq!(config.owners(), 2);
    /// ```
    #[inline]
    pub fn put_back(&mut self, owner: BatchedArc<T>) {
        if self.left != 0 && !ptr::addr_eq(self.shared.as_ptr(), owner.shared.as_ptr()) {
            return;
        }
        // Also where `left` was 0: the value may be another one then, at the same address or not.
        self.shared = owner.shared;
        self.left += 1;
        // Its count is the batcher's now.
        let _ = ManuallyDrop::new(owner);
    }
}

impl<T: ?Sized> Iterator for ArcCloneBatcher<T> {
    type Item = BatchedArc<T>;

    #[inline]
    fn next(&mut self) -> Option<BatchedArc<T>> {
        self.left = self.left.checked_sub(1)?;
        // One of the batcher's counts is that owner's now.
        Some(BatchedArc { shared: self.shared, owns: PhantomData })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: ?Sized> ExactSizeIterator for ArcCloneBatcher<T> {}

impl<T: ?Sized> Drop for ArcCloneBatcher<T> {
    #[inline]
    fn drop(&mut self) {
        if self.left != 0 {
            // SAFETY: the batcher holds `left` counts, and this is its end.
            unsafe { release(self.shared, self.left) };
        }
    }
}

impl<T: ?Sized> Drop for BatchedArc<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: an owner holds one count, and this is its end.
        unsafe { release(self.shared, 1) };
    }
}

/// Takes counts off; with the last ones the value goes.
///
/// # Safety
/// The caller holds so many counts, at least one, and gives them up.
#[inline(always)]
unsafe fn release<T: ?Sized>(shared: NonNull<Shared<T>>, counts: usize) {
    // SAFETY: the caller's counts keep the header alive up to the subtraction.
    let owners = unsafe { &(*shared.as_ptr()).owners };
    // Release: what this owner did with the value lies before its end. Partner: the fence.
    if owners.fetch_sub(counts, Ordering::Release) == counts {
        fence(Ordering::Acquire);
        // SAFETY: these were the last counts, so nobody else reaches the value any more.
        unsafe { free(shared) };
    }
}

/// # Safety
/// Nobody holds a count of it, and it has not been freed.
#[inline(never)]
unsafe fn free<T: ?Sized>(shared: NonNull<Shared<T>>) {
    // SAFETY: it came from a `Box` in `new`, or from the global allocator by the layout of a `Shared<[T]>` of its length in
    // `from`. The box frees the memory even if the value's destructor panics.
    drop(unsafe { Box::from_raw(shared.as_ptr()) });
}

impl<T: ?Sized> Clone for BatchedArc<T> {
    /// One further owner, by one atomic addition.
    #[inline]
    fn clone(&self) -> Self {
        self.add(1);
        Self { shared: self.shared, owns: PhantomData }
    }
}

impl<T: ?Sized> Deref for BatchedArc<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.shared().value
    }
}

impl<T: ?Sized> AsRef<T> for BatchedArc<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> From<T> for BatchedArc<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// Moves the elements behind a header. One heap call, and the vector's memory is freed.
impl<T> From<Vec<T>> for BatchedArc<[T]> {
    fn from(mut values: Vec<T>) -> Self {
        let len = values.len();
        let elements = Layout::array::<T>(len).expect("a vector has this layout");
        let header = Layout::new::<AtomicUsize>();
        let (layout, offset) = header.extend(elements).expect("shorter than `isize::MAX` by more than a header");
        let layout = layout.pad_to_align();
        // SAFETY: the layout has a header's size at least.
        let Some(block) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        // SAFETY: the header lies at the block's beginning, aligned as the layout says.
        unsafe { block.cast::<AtomicUsize>().write(AtomicUsize::new(1)) };
        // SAFETY: the elements' place begins at `offset`, within the block.
        let place = unsafe { block.add(offset) }.cast::<T>();
        // SAFETY: the vector has `len` elements, the place room for as many, and the block is new.
        unsafe { ptr::copy_nonoverlapping(values.as_ptr(), place.as_ptr(), len) };
        // SAFETY: 0 elements are left: they have moved.
        unsafe { values.set_len(0) };
        // The length goes along: a `Shared<[T]>` ends in its elements, with their number.
        let shared = ptr::slice_from_raw_parts_mut(block.as_ptr().cast::<T>(), len) as *mut Shared<[T]>;
        // SAFETY: not at null, as the block is not.
        Self { shared: unsafe { NonNull::new_unchecked(shared) }, owns: PhantomData }
    }
}

/// Copies the text behind a header. Two heap calls, of which one is given back.
impl From<&str> for BatchedArc<str> {
    fn from(text: &str) -> Self {
        let bytes = ManuallyDrop::new(BatchedArc::<[u8]>::from(text.as_bytes().to_vec()));
        // UTF-8 since it was copied from a `str`; a `str` has the layout of its bytes. The count goes along.
        let shared = bytes.shared.as_ptr() as *mut Shared<str>;
        // SAFETY: not at null, as before.
        Self { shared: unsafe { NonNull::new_unchecked(shared) }, owns: PhantomData }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for BatchedArc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for BatchedArc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> fmt::Debug for ArcCloneBatcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcCloneBatcher").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    /// Set in a process of its own, which is to end at the count's limit.
    const CHILD: &str = "BLIXARD_TOO_MANY_OWNERS";

    #[test]
    fn the_process_ends_at_the_counts_limit() {
        if let Some(how) = std::env::var_os(CHILD) {
            let value = ManuallyDrop::new(BatchedArc::new(0_u8));
            let below = if how == "clone" { 1 } else { 64 };
            value.shared().owners.store(OWNERS_MAX - below, Ordering::Relaxed);
            let _last = ManuallyDrop::new(if below == 1 { value.batch(1) } else { value.batch(64) });
            println!("at the limit");
            let _beyond = if below == 1 { ManuallyDrop::new(value.clone()) } else { return drop(value.batch(1)) };
            println!("beyond it");
            return;
        }
        for how in ["clone", "batch"] {
            let name = "arc::batch::tests::the_process_ends_at_the_counts_limit";
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(CHILD, how)
                .output()
                .unwrap();
            let out = String::from_utf8_lossy(&child.stdout);
            assert!(!child.status.success() && out.contains("at the limit") && !out.contains("beyond"), "{how}: {out}");
        }
    }
}
