//! The global allocator of this suite: it refuses the n-th call of the library, or all from there on, and knows what is out.
//!
//! Only calls that the library makes are counted and refused: those between [`ours`] on the thread that runs it. What a test
//! takes for itself, and what a panic takes to be thrown, is served always. What is out is counted over all threads but the
//! first, where the tests' harness waits and prints: so a run may spread over threads and must end where it began.
#![expect(unsafe_code, reason = "a global allocator")]

use super::during::during;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::SeqCst};

thread_local! {
    static OURS: Cell<bool> = const { Cell::new(false) };
    /// Calls that are served whatever was ordered: the two boxes of a panic.
    static SERVED: Cell<u32> = const { Cell::new(0) };
}

/// Bytes out.
static LIVE: AtomicIsize = AtomicIsize::new(0);
/// Calls of the library.
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// The call that is refused, counted from 1; 0: none.
static REFUSED: AtomicUsize = AtomicUsize::new(0);
/// Whether all that follow are refused too.
static AND_ALL_AFTER: AtomicBool = AtomicBool::new(false);
/// The first thread, by where it keeps what is its own.
static FIRST: AtomicUsize = AtomicUsize::new(0);

/// How memory runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// One call is refused, the next one served.
    Once,
    /// None is served any more.
    Lasting,
}

struct Faulty;

impl Faulty {
    fn refuses() -> bool {
        if !OURS.get() {
            return false;
        }
        if SERVED.get() > 0 {
            SERVED.set(SERVED.get() - 1);
            return false;
        }
        let (call, refused) = (CALLS.fetch_add(1, SeqCst) + 1, REFUSED.load(SeqCst));
        refused != 0 && (call == refused || call > refused && AND_ALL_AFTER.load(SeqCst))
    }
}

fn book(bytes: usize, sign: isize) {
    let me = OURS.with(|own| std::ptr::from_ref(own).addr());
    let first = FIRST.compare_exchange(0, me, SeqCst, SeqCst).unwrap_or_else(|first| first);
    if first != 0 && first != me {
        LIVE.fetch_add(sign * bytes.cast_signed(), SeqCst);
    }
}

// SAFETY: passes everything on to the system's allocator, or returns null, which an allocator may. `realloc` and
// `alloc_zeroed` are the trait's own, over these two.
unsafe impl GlobalAlloc for Faulty {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::refuses() {
            return std::ptr::null_mut();
        }
        book(layout.size(), 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        book(layout.size(), -1);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Faulty = Faulty;

/// Runs a call into the library: what it asks for may be refused.
pub(crate) fn ours<R>(call: impl FnOnce() -> R) -> R {
    during(&OURS, true, call)
}

/// Runs code of the user's inside of a call into the library: it gets what it asks for.
pub(crate) fn theirs<R>(call: impl FnOnce() -> R) -> R {
    during(&OURS, false, call)
}

/// What is dropped as a call into the library, on unwind too.
pub(crate) struct Ours<T>(Option<T>);

impl<T> Ours<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) fn take(mut self) -> T {
        self.0.take().expect("taken once")
    }

    pub(crate) fn as_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("there until it is taken")
    }
}

impl<T> Deref for Ours<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("there until it is taken")
    }
}

impl<T> Drop for Ours<T> {
    fn drop(&mut self) {
        ours(|| drop(self.0.take()));
    }
}

/// Lets panics that are expected pass quietly, and with the memory that they need: those inside of [`ours`].
pub(crate) fn expect_panics() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if OURS.get() {
            // The box around the payload, and the one around that: without them the process would end.
            SERVED.set(2);
        } else {
            loud(info);
        }
    }));
}

/// Orders the n-th call of the library to be refused; 0: none.
pub(crate) fn order(nth: usize, shortage: Shortage) {
    AND_ALL_AFTER.store(shortage == Shortage::Lasting, SeqCst);
    CALLS.store(0, SeqCst);
    REFUSED.store(nth, SeqCst);
}

/// Whether a shortage is ordered that lasts.
pub(crate) fn shortage_lasts() -> bool {
    REFUSED.load(SeqCst) != 0 && AND_ALL_AFTER.load(SeqCst)
}

/// Calls of the library since the last order.
pub(crate) fn calls() -> usize {
    CALLS.load(SeqCst)
}

/// Bytes out.
pub(crate) fn live() -> isize {
    LIVE.load(SeqCst)
}
