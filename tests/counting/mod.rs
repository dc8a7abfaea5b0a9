//! The global allocator of test programs that count or refuse calls: `System`, and beside it a few numbers of each thread.
//!
//! - [`calls_in`]: the allocator calls that a thread makes; frees count too.
//! - [`live`]: the bytes that a thread has allocated, less those that it has freed.
//! - [`inside`], [`calls_inside`]: the calls of all threads together, only while they are marked as inside of the library.
//! - [`refuse`] and what follows it: the n-th allocation of a thread from now on returns null.
//!
//! All but `calls_inside` is the calling thread's own: tests run side by side, and what the harness's thread does is nobody's.
//! A reallocation is one call and may be refused as an allocation is; a block that is freed by another thread than the one that made it
//! is taken off the other's bytes. What is counted by request, account or process is counted by an allocator in the program that does so.
#![allow(dead_code, reason = "each program uses a part of this")]
#![expect(unsafe_code, reason = "a global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// For [`refuse`]: none is served any more.
pub(crate) const LASTING: usize = usize::MAX;

/// What is refused.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    /// Allocations up to the first that is refused, which is the last of them; 0: none is.
    nth: usize,
    /// So many are refused from there, one after the other.
    run: usize,
}

const NOTHING: Refusal = Refusal { nth: 0, run: 0 };

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static REFUSAL: Cell<Refusal> = const { Cell::new(NOTHING) };
    static SPARED_BELOW: Cell<usize> = const { Cell::new(0) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

static CALLS_INSIDE: AtomicU64 = AtomicU64::new(0);

struct Counting;

fn count() {
    CALLS.set(CALLS.get() + 1);
    if INSIDE.get() {
        CALLS_INSIDE.fetch_add(1, SeqCst);
    }
}

/// Books the bytes of a block that was had, less those that go for it.
fn book(block: *mut u8, come: usize, go: usize) -> *mut u8 {
    if !block.is_null() {
        LIVE.set(LIVE.get() + come.cast_signed() - go.cast_signed());
    }
    block
}

/// Whether an allocation is to be refused.
fn refuses(bytes: usize) -> bool {
    if bytes < SPARED_BELOW.get() {
        return false;
    }
    ASKED.set(ASKED.get() + 1);
    let Refusal { nth, run } = REFUSAL.get();
    match nth {
        0 => return false,
        1 if run == LASTING => {}
        1 if run > 1 => REFUSAL.set(Refusal { nth, run: run - 1 }),
        1 => REFUSAL.set(NOTHING),
        _ => {
            REFUSAL.set(Refusal { nth: nth - 1, run });
            return false;
        }
    }
    REFUSED.set(REFUSED.get() + 1);
    true
}

// SAFETY: passes everything on to `System`, or returns null, which an allocator may; nothing here allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        if refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's contract.
        book(unsafe { System.alloc(layout) }, layout.size(), 0)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count();
        book(at, 0, layout.size());
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(at, layout) };
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        if refuses(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's contract.
        book(unsafe { System.realloc(at, layout, size) }, size, layout.size())
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocator calls of this thread in `of`, and its result.
pub(crate) fn calls_in<R>(of: impl FnOnce() -> R) -> (u64, R) {
    let before = CALLS.get();
    let result = of();
    (CALLS.get() - before, result)
}

/// Bytes that this thread has allocated, less those that it has freed.
pub(crate) fn live() -> isize {
    LIVE.get()
}

/// A call into the library: what it asks of the allocator is counted in [`calls_inside`].
pub(crate) fn inside<R>(call: impl FnOnce() -> R) -> R {
    INSIDE.set(true);
    let result = call();
    INSIDE.set(false);
    result
}

/// The rest of this thread's life is [`inside`], with the destructors of its thread-locals and what std itself does at its end.
pub(crate) fn inside_from_here() {
    INSIDE.set(true);
}

/// Allocator calls of all threads while they were [`inside`].
pub(crate) fn calls_inside() -> u64 {
    CALLS_INSIDE.load(SeqCst)
}

/// From now on the `nth` allocation of this thread is refused, counted from 1 (0: none is), and so are those that follow it, `run` of them in all.
pub(crate) fn refuse(nth: usize, run: usize) {
    ASKED.set(0);
    REFUSED.set(0);
    REFUSAL.set(Refusal { nth, run });
}

/// From now on all allocations of this thread are served. Gives what was still to be refused, for [`resume`].
pub(crate) fn serve() -> Refusal {
    REFUSAL.replace(NOTHING)
}

/// Goes on refusing where [`serve`] ended it.
pub(crate) fn resume(rest: Refusal) {
    REFUSAL.set(rest);
}

/// Allocations of fewer bytes are neither refused on this thread nor counted by [`asked`].
pub(crate) fn spare_below(bytes: usize) {
    SPARED_BELOW.set(bytes);
}

/// Allocations since the last [`refuse`], those refused included.
pub(crate) fn asked() -> usize {
    ASKED.get()
}

/// Allocations that were refused since the last [`refuse`].
pub(crate) fn refused() -> usize {
    REFUSED.get()
}
