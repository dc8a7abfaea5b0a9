//! What must run when a request ends: destructors of values in the arena, deferred calls, adopted counts.
//!
//! Stands in `Arena`; the nodes lie in the arena beside the values, linked newest first. Invariants: each node runs
//! once, last in, first out; a panic in one does not keep the others from running; the first panic is handed back.
//! Cost: a node is 16 bytes beside its value; a push is one compare-and-swap, which shared arenas need; no heap call.
#![expect(unsafe_code, reason = "nodes of any type are linked through one header")]

use crate::sync::{AtomicPtr, Ordering};
use crate::unwind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

pub(crate) use crate::unwind::{Payload, resume};

/// The head of every node. The node's memory lives until the arena is rewound, which happens after `run_all`.
struct Header {
    next: *mut Header,
    /// Drops the value behind this header.
    ///
    /// # Safety
    ///
    /// The header is that of an `Entry` of the type this was made for, and its value has not been dropped.
    drop_value: unsafe fn(*mut Header),
}

/// A node: its header first, so that the two have one address.
#[repr(C)]
pub(crate) struct Entry<T> {
    header: Header,
    value: T,
}

/// The list.
#[derive(Debug, Default)]
pub struct Cleanups {
    newest: AtomicPtr<Header>,
}

/// A call that happens when this is dropped, if it was armed.
pub(crate) struct Deferred<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Deferred<F> {
    pub(crate) fn idle() -> Self {
        Self(None)
    }

    pub(crate) fn arm(&mut self, call: F) {
        self.0 = Some(call);
    }
}

impl<F: FnOnce()> Drop for Deferred<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

/// # Safety
///
/// As for `Header::drop_value`, with `T` the type of the entry.
unsafe fn drop_entry<T>(header: *mut Header) {
    // SAFETY: the header is the first field of an `Entry<T>` (`repr(C)`), written by `push` through a pointer to all
    // of it, so the cast reaches the value.
    let value = unsafe { &raw mut (*header.cast::<Entry<T>>()).value };
    // SAFETY: the value is initialised, and dropped here for the first time.
    unsafe { ptr::drop_in_place(value) };
}

impl Cleanups {
    /// Whether nothing has to run.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.load(Ordering::Relaxed).is_null()
    }

    /// Writes a value into memory of the arena and links it.
    ///
    /// `T: Send`, because whichever thread ends the request drops it; `T: 'static`, because by then nothing that it
    /// could borrow from the arena is alive.
    ///
    /// # Safety
    ///
    /// `at` is unused memory for an `Entry<T>`, and stays untouched by others until after `run_all`.
    pub(crate) unsafe fn push<T: Send + 'static>(&self, at: NonNull<Entry<T>>, value: T) -> NonNull<T> {
        let entry = at.as_ptr();
        let header = Header { next: ptr::null_mut(), drop_value: drop_entry::<T> };
        // SAFETY: the memory is ours to write, by the caller's promise.
        unsafe { entry.write(Entry { header, value }) };
        let header = entry.cast::<Header>();
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: not linked yet, so nobody else looks at it.
            unsafe { (*header).next = newest };
            // Release: its partner is whatever makes `run_all` exclusive (the last guard's drop, a join): `&mut` is
            // only had after an acquire of this thread's doings. Release here keeps a walk over the list sound on its
            // own.
            match self.newest.compare_exchange_weak(newest, header, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => newest = now,
            }
        }
        // SAFETY: a field of the entry just written.
        let value = unsafe { &raw mut (*entry).value };
        // SAFETY: not at null, as the entry is not.
        unsafe { NonNull::new_unchecked(value) }
    }

    /// Runs and forgets everything, newest first. The first panic comes back once the others have run.
    pub(crate) fn run_all(&mut self) -> Option<Payload> {
        if self.is_empty() { None } else { self.run_some() }
    }

    #[cold]
    fn run_some(&mut self) -> Option<Payload> {
        let mut first = None;
        loop {
            // Acquire: pairs with the Release in `push`, which wrote the node.
            let header = self.newest.load(Ordering::Acquire);
            if header.is_null() {
                return first;
            }
            // SAFETY: linked nodes are initialised and live until the arena is rewound, after this.
            let Header { next, drop_value } = unsafe { header.read() };
            // Unlinked before it runs: a node never runs twice, whatever it does.
            self.newest.store(next, Ordering::Relaxed);
            // SAFETY: `drop_value` was written with the entry's own type, and this is its one call.
            let ran = catch_unwind(AssertUnwindSafe(|| unsafe { drop_value(header) }));
            if let Err(payload) = ran {
                match first {
                    None => first = Some(payload),
                    Some(_) => unwind::discard(payload),
                }
            }
        }
    }
}

/// Panics dropped by [`must_swallow`], process-wide. A figure, so std's atomic serves under loom too.
static SWALLOWED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// How many panics of destructors and deferred calls were swallowed in this process, because the thread that ended the
/// arena, pooled or not, was unwinding already.
///
/// ```
/// use blixard_arena::{Arena, arena::panics_swallowed};
///
/// let before = panics_swallowed();
/// let result = std::panic::catch_unwind(|| {
///     let arena = Arena::new();
///     arena.defer(|| panic!("second"));
///     panic!("first");
/// });
/// assert_eq!(result.unwrap_err().downcast_ref(), Some(&"first"));
/// assert_eq!(panics_swallowed() - before, 1);
/// ```
#[must_use]
pub fn panics_swallowed() -> u64 {
    SWALLOWED.load(Ordering::Relaxed)
}

/// While the thread is already unwinding, drops a cleanup's panic, counts it and says so.
pub(crate) fn must_swallow(payload: &mut Option<Payload>) -> bool {
    let swallowed = unwind::must_swallow(payload);
    if swallowed {
        SWALLOWED.fetch_add(1, Ordering::Relaxed);
    }
    swallowed
}
