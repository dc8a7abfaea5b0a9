//! The whole main job over pools that wipe: once a request has ended no byte of its names is left in any block that its arena had.
//!
//! The global allocator of this file keeps a list of the blocks that were asked for while a request was served, and searches each for pieces
//! of a marker, which stands in every VM's name: when it is freed, and all of them after each request. What outlives a request on purpose
//! is its encoded batch: it lies in the frames of the encoders, byte buffers that are told apart by their alignment of 1, are few, and are
//! not wiped. Under `Reset::Keep` the same search finds the marker: it can see.
#![expect(unsafe_code, reason = "an allocator that reads the blocks it hands out")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use blixard_arena::{ArenaOptions, Reset};
use control_plane::scheduler::NodeTable;
use profiling::input;
use profiling::replay::{Outcome, Probe, Strategy, replay};
use profiling::strategy::arena::PerRequest;
use profiling::strategy::shared_arena::PerRequestShared;
use profiling::worker::Job;

/// What stands in every name.
const MARKER: &str = "W1pe-Me!";
/// A search looks for this many of its bytes in a row.
const PIECE: usize = 5;

/// Frames that the encoders of three threads have, four sizes each.
const FRAMES_MAX: usize = 12;

const BLOCKS: usize = 16_384;

#[derive(Clone, Copy)]
struct Block {
    start: usize,
    bytes: usize,
    /// Whether it may hold an encoded batch.
    buffer: bool,
}

/// Blocks of requests, and how many there are.
static LIST: Mutex<([Block; BLOCKS], usize)> = Mutex::new(([Block { start: 0, bytes: 0, buffer: false }; BLOCKS], 0));
/// Blocks that were freed with a piece of the marker in them.
static FREED_DIRTY: AtomicUsize = AtomicUsize::new(0);
static LISTED: AtomicUsize = AtomicUsize::new(0);

thread_local! { static SERVES: Cell<bool> = const { Cell::new(false) } }

/// Pieces of the marker in a block.
fn pieces(block: Block) -> usize {
    // SAFETY: a live block of the list, zeroed when it was made; nobody writes to it while it is searched, since requests are at rest.
    let bytes = unsafe { std::slice::from_raw_parts(block.start as *const u8, block.bytes) };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| MARKER.as_bytes().contains(byte));
    let is_piece = |at: usize| MARKER.as_bytes().windows(PIECE).any(|piece| bytes[at..].starts_with(piece));
    starts.filter(|(at, _)| is_piece(*at)).count()
}

struct Searching;

// SAFETY: passes everything on to the system's allocator; the list allocates nothing, and its lock is held briefly.
unsafe impl GlobalAlloc for Searching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !SERVES.get() {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        // Zeroed, so that what a search finds was written for a request.
        // SAFETY: the caller's promise.
        let start = unsafe { System.alloc_zeroed(layout) };
        let mut list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let len = list.1;
        if len < BLOCKS {
            list.0[len] = Block { start: start as usize, bytes: layout.size(), buffer: layout.align() == 1 };
            list.1 = len + 1;
            LISTED.fetch_add(1, SeqCst);
        }
        start
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let mut list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let len = list.1;
        if let Some(at) = list.0[..len].iter().position(|listed| listed.start == block as usize) {
            let listed = list.0[at];
            list.0[at] = list.0[len - 1];
            list.1 = len - 1;
            FREED_DIRTY.fetch_add(usize::from(pieces(listed) > 0), SeqCst);
        }
        drop(list);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Searching = Searching;

/// Pieces of the marker in all blocks of requests but for buffers, and buffers with one.
fn found() -> (usize, usize) {
    let list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
    list.0[..list.1].iter().fold((0, 0), |(found, buffers), block| match (pieces(*block), block.buffer) {
        (pieces, false) => (found + pieces, buffers),
        (pieces, true) => (found, buffers + usize::from(pieces > 0)),
    })
}

/// Searches after each request, where one thread serves; with several, once they have ended.
#[derive(Default)]
struct Searcher {
    requests: AtomicUsize,
    dirty: AtomicUsize,
}

impl Probe for Searcher {
    fn request_begins(&self) {
        SERVES.set(true);
    }

    fn request_ends(&self, _: usize) {
        SERVES.set(false);
        self.requests.fetch_add(1, SeqCst);
        self.dirty.fetch_add(found().0, SeqCst);
    }
}

/// The same without a search beside requests that run.
#[derive(Default)]
struct Marker;

impl Probe for Marker {
    fn request_begins(&self) {
        SERVES.set(true);
    }

    fn request_ends(&self, _: usize) {
        SERVES.set(false);
    }
}

/// A job whose names hold the marker.
fn job(threads: usize) -> Job {
    let mut tasks = input::generate::tasks(200, 7);
    for task in &mut tasks {
        task.name = format!("{MARKER}{}", task.name);
    }
    Job { threads, pass: input::requests(&tasks, 16, 7), ..common::small_job(60) }
}

fn run<S: Strategy>(job: &Job, strategy: S, probe: &impl Probe) -> Outcome {
    let nodes = NodeTable::new(&job.nodes).expect("generated nodes make a table");
    replay(job, &nodes, || strategy, probe).expect("generated requests are served")
}

/// One test, because the list is the whole process's.
#[test]
fn no_byte_of_a_request_is_left_once_it_has_ended() {
    let alone = job(1);
    let keeping = Searcher::default();
    let expected = run(&alone, PerRequest::over(ArenaOptions::new().on_reset(Reset::Keep).pool()), &keeping);
    assert!(keeping.dirty.load(SeqCst) > 10_000, "the search sees what is kept: {:?}", keeping.dirty);
    assert!(FREED_DIRTY.swap(0, SeqCst) > 0);

    let wiping = || ArenaOptions::new().on_reset(Reset::Wipe);
    // As they are; with arenas that are too small at first and grow; with nothing kept; with arenas that are never used twice.
    let options = [
        wiping(),
        wiping().first_chunk_bytes(256),
        wiping().retain_bytes_max(0),
        wiping().idle_max(0),
        wiping().recycle(false),
    ];
    for options in options {
        let listed = LISTED.load(SeqCst);
        for outcome in
            [search(&alone, PerRequest::over(options.pool())), search(&alone, PerRequestShared::over(options.pool()))]
        {
            assert_eq!(outcome.checksum, expected.checksum, "the same work");
        }
        assert!(LISTED.load(SeqCst) > listed, "blocks were listed");
        // Two threads, whose arenas pass from one to the other through the pool.
        for threads in [2, 3] {
            run(&job(threads), PerRequest::over(options.pool()), &Marker);
            run(&job(threads), PerRequestShared::over(options.pool()), &Marker);
            let (found, buffers) = found();
            assert_eq!((found, FREED_DIRTY.load(SeqCst)), (0, 0), "{threads} threads, {options:?}");
            assert!(buffers <= FRAMES_MAX, "{buffers} buffers hold names");
        }
    }
}

fn search<S: Strategy>(job: &Job, strategy: S) -> Outcome {
    let searcher = Searcher::default();
    let outcome = run(job, strategy, &searcher);
    assert_eq!(searcher.requests.load(SeqCst), job.requests);
    assert_eq!((searcher.dirty.load(SeqCst), FREED_DIRTY.load(SeqCst)), (0, 0), "pieces in live and in freed blocks");
    outcome
}
