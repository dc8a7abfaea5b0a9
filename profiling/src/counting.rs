//! A global allocator that counts: calls and bytes inside requests, live bytes all the time.
//!
//! Only the process that counts has it; no timed process is built with it. It is the one file of this package with
//! `unsafe` code.
//!
//! Invariants: nothing in it allocates while it counts; each thread's request counters are written by that thread alone.
//! Cost: a few thread-local and shared counters per call, which is why it never stands beside a clock.

#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; every call is passed on to System")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::replay::Probe;
use crate::report::LivePoint;
use crate::worker::Job;

/// Most points of the curve of live bytes.
const LIVE_POINTS_MAX: usize = 512;

/// Bytes live in the process. Relaxed throughout: each is a counter of its own, read when the threads are done or as a
/// sample.
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
/// Most bytes live at once since the replay began.
static PEAK_BYTES: AtomicI64 = AtomicI64::new(0);
/// Most bytes live at once since the last point of the curve.
static WINDOW_PEAK_BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    // Without destructors, so that the allocator may touch them at any time in a thread's life.
    static IN_REQUEST: Cell<bool> = const { Cell::new(false) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static ASKS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// System's allocator with counters.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

impl CountingAllocator {
    fn note(asked_bytes: Option<usize>, freed_bytes: usize) {
        let (asked, freed) = (signed(asked_bytes.unwrap_or(0)), signed(freed_bytes));
        let live = LIVE_BYTES.fetch_add(asked - freed, Relaxed) + asked - freed;
        PEAK_BYTES.fetch_max(live, Relaxed);
        WINDOW_PEAK_BYTES.fetch_max(live, Relaxed);
        if IN_REQUEST.get() {
            CALLS.set(CALLS.get() + 1);
            ASKS.set(ASKS.get() + u64::from(asked_bytes.is_some()));
            BYTES.set(BYTES.get() + asked_bytes.unwrap_or(0) as u64);
        }
    }
}

fn signed(bytes: usize) -> i64 {
    // A layout never exceeds isize::MAX.
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// SAFETY: every method passes its arguments on to `System`, unchanged, and returns what it returned; counting neither
// allocates nor panics.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(Some(layout.size()), 0);
        // SAFETY: the caller's promise is the same as System's demand.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(Some(layout.size()), 0);
        // SAFETY: the caller's promise is the same as System's demand.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::note(None, layout.size());
        // SAFETY: `block` came from System by one of the methods above, with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::note(Some(new_size), layout.size());
        // SAFETY: `block` came from System by one of the methods above, with this layout.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

/// What [`CountingAllocator`] saw of a replay.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AllocatorFigures {
    /// alloc, realloc and dealloc calls inside requests.
    pub calls: u64,
    /// Those of them that ask for memory: alloc and realloc.
    pub asks: u64,
    /// Bytes asked for inside requests; a realloc asks for its new size.
    pub bytes: u64,
    /// The calls of the second half of the requests.
    pub steady_calls: u64,
    /// Number of requests in the second half.
    pub steady_requests: u64,
    /// Those of them that called the allocator at all.
    pub steady_requests_calling: u64,
    /// Most calls of one of them.
    pub steady_calls_most: u64,
    /// Most bytes live at once during the replay, over what was live before it.
    pub peak_live_bytes: u64,
    /// Most bytes live at once in each stretch of requests, over what was live before the replay.
    pub live_bytes: Vec<LivePoint>,
}

/// Reads the counters around every request of a replay.
#[derive(Debug, Default)]
pub struct CountingProbe {
    requests: AtomicU64,
    window_requests: AtomicU64,
    before_bytes: AtomicI64,
    calls: AtomicU64,
    asks: AtomicU64,
    bytes: AtomicU64,
    steady_calls: AtomicU64,
    steady_requests_calling: AtomicU64,
    steady_calls_most: AtomicU64,
    live: Mutex<Vec<LivePoint>>,
}

impl CountingProbe {
    fn over_before(&self, bytes: i64) -> u64 {
        u64::try_from(bytes - self.before_bytes.load(Relaxed)).unwrap_or(0)
    }

    fn live(&self) -> std::sync::MutexGuard<'_, Vec<LivePoint>> {
        self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Probe for CountingProbe {
    fn replay_begins(&self, job: &Job) {
        let requests = job.requests as u64;
        self.requests.store(requests, Relaxed);
        self.window_requests.store(requests.div_ceil(LIVE_POINTS_MAX as u64).max(1), Relaxed);
        self.live().reserve_exact(LIVE_POINTS_MAX + 1);
        let before = LIVE_BYTES.load(Relaxed);
        self.before_bytes.store(before, Relaxed);
        PEAK_BYTES.store(before, Relaxed);
        WINDOW_PEAK_BYTES.store(before, Relaxed);
    }

    fn request_begins(&self) {
        CALLS.set(0);
        ASKS.set(0);
        BYTES.set(0);
        IN_REQUEST.set(true);
    }

    fn request_ends(&self, request: usize) {
        IN_REQUEST.set(false);
        let request = request as u64;
        self.calls.fetch_add(CALLS.get(), Relaxed);
        self.asks.fetch_add(ASKS.get(), Relaxed);
        self.bytes.fetch_add(BYTES.get(), Relaxed);
        if request >= self.requests.load(Relaxed) / 2 {
            self.steady_calls.fetch_add(CALLS.get(), Relaxed);
            self.steady_requests_calling.fetch_add(u64::from(CALLS.get() > 0), Relaxed);
            self.steady_calls_most.fetch_max(CALLS.get(), Relaxed);
        }
        if (request + 1).is_multiple_of(self.window_requests.load(Relaxed)) {
            let peak = WINDOW_PEAK_BYTES.swap(LIVE_BYTES.load(Relaxed), Relaxed);
            self.live().push(LivePoint { request, live_bytes: self.over_before(peak) });
        }
    }

    fn figures(&self) -> Option<AllocatorFigures> {
        let requests = self.requests.load(Relaxed);
        let mut live_bytes = std::mem::take(&mut *self.live());
        live_bytes.sort_by_key(|point| point.request);
        Some(AllocatorFigures {
            calls: self.calls.load(Relaxed),
            asks: self.asks.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            steady_calls: self.steady_calls.load(Relaxed),
            steady_requests: requests - requests / 2,
            steady_requests_calling: self.steady_requests_calling.load(Relaxed),
            steady_calls_most: self.steady_calls_most.load(Relaxed),
            peak_live_bytes: self.over_before(PEAK_BYTES.load(Relaxed)),
            live_bytes,
        })
    }
}
