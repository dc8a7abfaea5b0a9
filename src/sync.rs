//! The one seam between std and loom: every atomic, cell, lock and thread-local that threads share comes from here.
//!
//! Stands under `arena`, `recycle` and `intern`; nothing here is public. With `--cfg blixard_loom` the same code runs on loom's
//! types, so the models in each module's `loom_models.rs` check what ships. Identifiers of threads, arenas and pools are handed out
//! here too: 64-bit, from 1, never used twice, so a stale cache entry can never match.
#![forbid(unsafe_code)]

#[cfg(not(blixard_loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
    #[cfg(feature = "allocation-tracking")]
    pub(crate) use std::sync::atomic::{AtomicI64, AtomicU8};
    use std::sync::atomic::{Ordering, compiler_fence};
    pub(crate) use std::sync::{Arc, Mutex};
    #[cfg(feature = "cache")]
    pub(crate) use std::sync::{Condvar, RwLock};

    /// A `SeqCst` fence that follows a `SeqCst` read-modify-write of the same thread.
    ///
    /// On x86-64 the locked instruction before it is a full fence already, so only the compiler must be held back; a second
    /// one would double what a pin costs.
    #[inline(always)]
    pub(crate) fn fence_after_update() {
        if cfg!(target_arch = "x86_64") { compiler_fence(Ordering::SeqCst) } else { fence(Ordering::SeqCst) }
    }

    /// Declares a thread-local whose first value is a constant; without a destructor it is a plain load.
    macro_rules! thread_cell {
        ($(#[$meta:meta])* static $name:ident: $type:ty = $init:expr) => {
            thread_local! { $(#[$meta])* static $name: $type = const { $init }; }
        };
    }
    pub(crate) use thread_cell;

    /// Declares a function that is `const`, but under loom, whose types no such function can make.
    #[cfg(feature = "allocation-tracking")]
    macro_rules! const_fn {
        ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
    }
    #[cfg(feature = "allocation-tracking")]
    pub(crate) use const_fn;

    /// Stands beside what one thread at a time may touch and no type of std checks. Here it is nothing.
    #[derive(Debug, Default)]
    pub(crate) struct Witness(());

    impl Witness {
        #[inline(always)]
        #[expect(clippy::unused_self, reason = "called as loom's form is")]
        pub(crate) const fn touch(&self) {}

        #[inline(always)]
        #[expect(clippy::unused_self, reason = "called as loom's form is")]
        pub(crate) const fn look(&self) {}
    }
}

#[cfg(blixard_loom)]
mod imp {
    use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
    #[cfg(test)]
    pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU8};
    pub(crate) use loom::sync::{Arc, Mutex};
    #[cfg(feature = "cache")]
    pub(crate) use loom::sync::{Condvar, RwLock};
    use loom::thread::{AccessError, LocalKey};
    use std::marker::PhantomData;

    pub(crate) fn fence_after_update() {
        fence(std::sync::atomic::Ordering::SeqCst);
    }

    /// The same on loom's thread-locals, which live as long as a thread of the model.
    macro_rules! thread_cell {
        ($(#[$meta:meta])* static $name:ident: $type:ty = $init:expr) => {
            $(#[$meta])*
            static $name: $crate::sync::ThreadCell<$type> = $crate::sync::ThreadCell::new(|| $init);
        };
    }
    pub(crate) use thread_cell;

    #[cfg(test)]
    macro_rules! const_fn {
        ($($function:tt)*) => { $($function)* };
    }
    #[cfg(test)]
    pub(crate) use const_fn;

    /// A thread-local of the model. loom ends all of a thread's together, so where std's cells without a destructor
    /// would still serve the destructor of another, a fresh one serves here.
    #[derive(Debug)]
    pub(crate) struct ThreadCell<T: 'static>(LocalKey<T>);

    impl<T: 'static> ThreadCell<T> {
        pub(crate) const fn new(init: fn() -> T) -> Self {
            Self(LocalKey { init, _p: PhantomData })
        }

        pub(crate) fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
            self.0.try_with(f)
        }

        pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
            let mut f = Some(f);
            let mut call = |value: &T| f.take().map(|f| f(value));
            self.0.try_with(&mut call).unwrap_or_else(|_| call(&(self.0.init)())).expect("called once")
        }
    }

    /// Tells loom of a touch of what no type of loom's checks: it reports two threads here without an order.
    #[derive(Debug)]
    pub(crate) struct Witness(UnsafeCell<()>);

    impl Default for Witness {
        fn default() -> Self {
            Self(UnsafeCell::new(()))
        }
    }

    impl Witness {
        pub(crate) fn touch(&self) {
            self.0.with_mut(|_| ());
        }

        /// A touch that only reads: others may read beside it.
        pub(crate) fn look(&self) {
            self.0.with(|_| ());
        }
    }

    /// The end is a touch too.
    impl Drop for Witness {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                self.touch();
            }
        }
    }
}

#[cfg(blixard_loom)]
pub(crate) use imp::ThreadCell;
pub(crate) use imp::{
    Arc, AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Mutex, Witness, fence, fence_after_update,
    thread_cell,
};
#[cfg(any(all(feature = "allocation-tracking", not(blixard_loom)), all(test, blixard_loom)))]
pub(crate) use imp::{AtomicI64, AtomicU8, const_fn};
#[cfg(feature = "cache")]
pub(crate) use imp::{Condvar, RwLock};
pub(crate) use pins::{Grace, PinCount, Pins};
#[cfg(all(feature = "allocation-tracking", not(blixard_loom)))]
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::Ordering;

#[cfg(all(test, blixard_loom))]
mod loom_models;
#[cfg(all(test, blixard_loom))]
mod model;
mod pins;

#[cfg(all(test, blixard_loom))]
pub(crate) use model::{Part, model, race};

use std::cell::Cell;

/// Locks and looks through poison: what these locks guard is valid between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The same where another thread's lock is a reason to do without.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<impl std::ops::DerefMut<Target = T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(std::sync::TryLockError::WouldBlock) => None,
    }
}

/// [`lock`] for readers, who may be many.
#[cfg(feature = "cache")]
#[inline(always)]
pub(crate) fn read<T>(lock: &RwLock<T>) -> impl std::ops::Deref<Target = T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// [`lock`] for the one who writes.
#[cfg(feature = "cache")]
pub(crate) fn write<T>(lock: &RwLock<T>) -> impl std::ops::DerefMut<Target = T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Adds to a counter that only the calling thread writes: a load and a store, no locked instruction.
///
/// Relaxed is enough: readers want a recent value, not an order.
#[inline(always)]
pub(crate) fn add_owned(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// Identifiers come to a thread in blocks of this many, so that the shared counter is touched once in 65,536 uses.
const IDS_PER_BLOCK: u64 = 1 << 16;

thread_cell! { static THREAD_ID: Cell<u64> = Cell::new(0) }
thread_cell! { static NEXT_ID: Cell<u64> = Cell::new(0) }

/// The calling thread's identifier: never 0, never that of another thread, past ones included.
#[inline(always)]
pub(crate) fn thread_id() -> u64 {
    let id = THREAD_ID.with(Cell::get);
    if id != 0 { id } else { first_thread_id() }
}

#[cold]
fn first_thread_id() -> u64 {
    let id = unique_id();
    THREAD_ID.with(|cell| cell.set(id));
    id
}

/// A number that spreads threads over stripes: those started one after another get different ones.
#[cfg(not(blixard_loom))]
#[inline(always)]
pub(crate) fn thread_stripe(stripes: usize) -> usize {
    // A thread's identifier is the first or an early one of a block that only this thread draws from.
    let block = (thread_id() / IDS_PER_BLOCK) as usize;
    block % stripes
}

/// The same in every run of a model, as loom asks for.
#[cfg(blixard_loom)]
pub(crate) fn thread_stripe(stripes: usize) -> usize {
    // loom counts threads from 0 in each run, which only `Debug` shows.
    let id = format!("{:?}", loom::thread::current().id());
    let digits = id.bytes().filter(u8::is_ascii_digit);
    digits.fold(0, |id, digit| id * 10 + usize::from(digit - b'0')) % stripes
}

/// A new identifier: never 0, never one handed out before in this process.
#[inline(always)]
pub(crate) fn unique_id() -> u64 {
    NEXT_ID.with(|next| {
        let id = next.get();
        if id % IDS_PER_BLOCK == 0 {
            return new_block(next);
        }
        next.set(id + 1);
        id
    })
}

#[cold]
fn new_block(next: &Cell<u64>) -> u64 {
    let first = next_block();
    next.set(first + 1);
    first
}

#[cfg(not(blixard_loom))]
fn next_block() -> u64 {
    static BLOCKS: Blocks = Blocks(AtomicU64::new(0));
    BLOCKS.take()
}

/// Beside each model, and no part of it: it would multiply the orders of all of them. `Blocks` has a model of its own.
#[cfg(blixard_loom)]
fn next_block() -> u64 {
    static BLOCKS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    BLOCKS.fetch_add(1, Ordering::Relaxed) * IDS_PER_BLOCK + 1
}

/// Where threads get their blocks of identifiers.
#[cfg_attr(all(blixard_loom, not(test)), expect(dead_code, reason = "its model alone has one"))]
struct Blocks(AtomicU64);

impl Blocks {
    /// The first identifier of a block that nobody else gets.
    fn take(&self) -> u64 {
        // Relaxed: a number that publishes nothing. 2^48 blocks outlast any process.
        self.0.fetch_add(1, Ordering::Relaxed) * IDS_PER_BLOCK + 1
    }
}

/// A small thread-local map from a never-reused identifier to an address: direct-mapped by the identifier's low bits, no
/// destructor, no clearing needed, because an identifier that is gone can never be asked for again.
///
/// Interleaved tasks on one thread share the entries; a collision costs a walk of a short list, never more.
#[derive(Debug)]
pub(crate) struct IdCache<const ENTRIES: usize = 8> {
    entries: [(Cell<u64>, Cell<*const ()>); ENTRIES],
}

impl<const ENTRIES: usize> IdCache<ENTRIES> {
    pub(crate) const fn new() -> Self {
        const { assert!(ENTRIES.is_power_of_two(), "an entry is found by a mask") }
        Self { entries: [const { (Cell::new(0), Cell::new(std::ptr::null())) }; ENTRIES] }
    }

    #[inline(always)]
    fn entry(&self, id: u64) -> &(Cell<u64>, Cell<*const ()>) {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are kept")]
        let index = id as usize & (ENTRIES - 1);
        &self.entries[index]
    }

    /// The address kept for `id`, or null.
    #[inline(always)]
    pub(crate) fn get(&self, id: u64) -> *const () {
        let entry = self.entry(id);
        if entry.0.get() == id { entry.1.get() } else { std::ptr::null() }
    }

    pub(crate) fn set(&self, id: u64, address: *const ()) {
        let entry = self.entry(id);
        entry.0.set(id);
        entry.1.set(address);
    }

    /// Forgets everything, for a thread about to end.
    pub(crate) fn clear(&self) {
        for (id, address) in &self.entries {
            id.set(0);
            address.set(std::ptr::null());
        }
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_never_used_twice() {
        let ids = |n| (0..n).map(|_| unique_id()).collect::<Vec<_>>();
        let mut all: Vec<u64> = (0..4)
            .map(|_| std::thread::spawn(move || ids(100_000)))
            .collect::<Vec<_>>()
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert!(!all.contains(&0));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 400_000);
    }

    #[test]
    fn a_thread_keeps_its_id_and_shares_it_with_none() {
        let mine = thread_id();
        assert_eq!(mine, thread_id());
        let other = std::thread::spawn(thread_id).join().unwrap();
        assert_ne!(mine, other);
    }

    #[test]
    fn cache_answers_only_for_the_identifier_it_holds() {
        let cache = IdCache::<8>::new();
        let value = 7u8;
        cache.set(3, (&raw const value).cast());
        assert_eq!(cache.get(3), (&raw const value).cast());
        assert!(cache.get(3 + 8).is_null());
        assert!(cache.get(4).is_null());
        cache.clear();
        assert!(cache.get(3).is_null());
    }
}
