//! What is left of a secret: nothing, in any block that an arena ever had.
//!
//! The global allocator of this file keeps a list of the blocks that arenas obtained (those allocated while the thread
//! is marked) and searches each for pieces of a secret when it is freed, and all of them whenever a test asks, which is after
//! each release. The same search finds the secret under `Reset::Keep`: it can see.
#![expect(
    clippy::unwrap_used,
    clippy::naive_bytecount,
    reason = "a test: what cannot be had ends it, and it need not be fast"
)]
#![expect(unsafe_code, reason = "an allocator that reads the blocks it hands out")]

mod during;

use allocator_api2::vec::Vec as ArenaVec;
use blixard_arena::{Arena, ArenaOptions, ArenaPool, Reset, SharedArena};
use during::during;
use hashbrown::{DefaultHashBuilder, HashMap};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// What must not survive.
const SECRET: [u8; 8] = *b"S3cr3t!~";
/// A search looks for this many bytes in a row.
const PIECE: usize = 4;

/// Chunks are aligned like this and nothing else of an arena is. Its own small structs are left out: no caller's byte
/// is put into them, but their padding may hold what a caller's stack held before.
const CHUNK_ALIGN: usize = 16;

const TESTS: usize = 64;
const BLOCKS: usize = 8192;

#[derive(Clone, Copy)]
struct Block {
    start: usize,
    size: usize,
    test: usize,
}

static LIST: Mutex<([Block; BLOCKS], usize)> = Mutex::new(([Block { start: 0, size: 0, test: 0 }; BLOCKS], 0));
/// Blocks that were freed with a piece of the secret in them, by test.
static FREED_DIRTY: [AtomicUsize; TESTS] = [const { AtomicUsize::new(0) }; TESTS];
static NEXT_TEST: AtomicUsize = AtomicUsize::new(1);
thread_local! {
    /// The test whose arena is at work on this thread; 0: none.
    static TEST: Cell<usize> = const { Cell::new(0) }
}

/// Pieces of the secret in a block.
fn pieces(block: Block) -> usize {
    // SAFETY: a live block of the list, zeroed when it was made; nobody writes it while its test searches.
    let bytes = unsafe { std::slice::from_raw_parts(block.start as *const u8, block.size) };
    (0..bytes.len().saturating_sub(PIECE - 1))
        .filter(|&at| {
            let from = SECRET.iter().position(|&byte| byte == bytes[at]);
            // The secret has one byte twice: look at both rotations by comparing with the doubled secret.
            from.is_some() && doubled().windows(PIECE).any(|piece| piece == &bytes[at..at + PIECE])
        })
        .count()
}

fn doubled() -> [u8; 16] {
    std::array::from_fn(|i| SECRET[i % 8])
}

struct Searching;

// SAFETY: passes everything on to the system's allocator; the list allocates nothing, and its lock is held briefly.
unsafe impl GlobalAlloc for Searching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let test = TEST.get();
        if test == 0 || layout.align() != CHUNK_ALIGN {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        // Zeroed, so that what a search finds was written by an arena.
        // SAFETY: the caller's promise.
        let start = unsafe { System.alloc_zeroed(layout) };
        let mut list = LIST.lock().unwrap();
        let len = list.1;
        list.0[len] = Block { start: start as usize, size: layout.size(), test };
        list.1 = len + 1;
        start
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let mut list = LIST.lock().unwrap();
        let len = list.1;
        if let Some(at) = list.0[..len].iter().position(|listed| listed.start == block as usize) {
            let listed = list.0[at];
            list.0[at] = list.0[len - 1];
            list.1 = len - 1;
            if pieces(listed) > 0 {
                FREED_DIRTY[listed.test].fetch_add(1, SeqCst);
            }
        }
        drop(list);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Searching = Searching;

/// One test's blocks.
#[derive(Clone, Copy)]
struct Watch(usize);

impl Watch {
    fn new() -> Self {
        let test = NEXT_TEST.fetch_add(1, SeqCst);
        assert!(test < TESTS);
        Self(test)
    }

    /// Runs a call into an arena: what it allocates is watched.
    fn on<R>(self, call: impl FnOnce() -> R) -> R {
        during(&TEST, self.0, call)
    }

    fn each_block(self, mut f: impl FnMut(Block)) {
        let list = LIST.lock().unwrap();
        list.0[..list.1].iter().filter(|block| block.test == self.0).for_each(|&block| f(block));
    }

    /// Live blocks, and pieces of the secret in them.
    fn found(self) -> (usize, usize) {
        let mut found = (0, 0);
        self.each_block(|block| found = (found.0 + 1, found.1 + pieces(block)));
        found
    }

    #[track_caller]
    fn assert_clean(self) {
        // Judged once the list is unlocked: a panic allocates.
        let mut dirty = Vec::with_capacity(8);
        self.each_block(|block| {
            let pieces = pieces(block);
            if pieces > 0 && dirty.len() < 8 {
                dirty.push((block.size, pieces));
            }
        });
        assert_eq!(dirty, [], "sizes of live blocks, and pieces of the secret in them");
        assert_eq!(FREED_DIRTY[self.0].load(SeqCst), 0, "blocks freed with the secret in them");
    }
}

/// Clone without Copy, so that it takes the cloning way.
#[derive(Clone)]
struct Key([u8; 16]);

struct Session([u8; 24]);

impl Drop for Session {
    fn drop(&mut self) {
        assert_eq!(self.0[..8], SECRET, "not wiped before its destructor ran");
    }
}

fn text() -> &'static str {
    std::str::from_utf8(&SECRET).unwrap()
}

/// Puts the secret into an arena by every call, grows it, shrinks it, pops it, gives it back, and panics half way.
macro_rules! spill {
    ($arena:expr) => {{
        let arena = $arena;
        let key = Key(std::array::from_fn(|i| SECRET[i % 8]));
        arena.alloc(SECRET);
        arena.alloc_with(|| key.clone());
        arena.alloc_str(text());
        arena.alloc_slice_copy(&key.0);
        arena.alloc_slice_clone(&[key.clone(), key.clone()]);
        arena.alloc_slice_fill_with(100, |i| SECRET[i % 8]);
        // Of unknown length: grows, and leaves its earlier blocks behind.
        arena.alloc_slice_fill_iter((0..700usize).filter(|_| true).map(|i| SECRET[i % 8]));
        arena.alloc_uninit_slice::<u8>(8).copy_from_slice(&SECRET.map(MaybeUninit::new));
        arena.format(format_args!("password={}", text()));
        let long: [&str; 100] = [text(); 100];
        arena.format(format_args!("{long:?}")); // grows, too
        arena.alloc_with_drop(Session(std::array::from_fn(|i| SECRET[i % 8])));
        let moved = Session(std::array::from_fn(|i| SECRET[i % 8]));
        arena.defer(move || drop(moved));

        let mut vec = ArenaVec::new_in(arena);
        for i in 0..500 {
            vec.push(SECRET[i % 8]);
            if i % 100 == 0 {
                arena.alloc(0u64); // something behind it: the next growth must move
            }
        }
        vec.truncate(300);
        while vec.len() > 100 {
            vec.pop();
        }
        vec.shrink_to_fit();
        let mut newest: ArenaVec<u8, _> = ArenaVec::with_capacity_in(256, arena);
        newest.extend((0..256).map(|i| SECRET[i % 8]));
        newest.truncate(8);
        newest.shrink_to_fit();
        newest.clear();
        newest.shrink_to_fit();
        drop(newest);
        drop(vec);
        let mut given_back: ArenaVec<[u8; 8], _> = ArenaVec::with_capacity_in(64, arena);
        given_back.extend([SECRET; 64]);
        drop(given_back);
        let mut reused: ArenaVec<u8, _> = ArenaVec::with_capacity_in(16, arena);
        reused.push(1);

        let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena);
        for i in 0..200u64 {
            map.insert(i, SECRET);
        }
        map.retain(|i, _| i % 7 == 0);
        map.shrink_to_fit();
        drop(map);

        let half_way = catch_unwind(AssertUnwindSafe(|| {
            arena.alloc_slice_fill_with(64, |i| if i < 40 { SECRET } else { std::panic::resume_unwind(Box::new(())) });
        }));
        assert!(half_way.is_err());
        for _ in 0..10 {
            arena.alloc_slice_fill_with(3000, |i| SECRET[i % 8]); // several chunks
        }
        // The last block of all, given back: nothing is written over it any more.
        let mut last: ArenaVec<u8, _> = ArenaVec::with_capacity_in(200, arena);
        last.extend((0..200).map(|i| SECRET[i % 8]));
        drop(last);
    }};
}

fn wiping() -> ArenaOptions {
    ArenaOptions::new().on_reset(Reset::Wipe)
}

#[test]
fn the_search_sees_what_keep_leaves_behind() {
    let watch = Watch::new();
    let mut arena = ArenaOptions::new().on_reset(Reset::Keep).first_chunk_bytes(100_000).arena();
    // The chunk came before the watch: nothing is listed yet.
    assert_eq!(watch.found(), (0, 0));
    watch.on(|| {
        arena = ArenaOptions::new().on_reset(Reset::Keep).first_chunk_bytes(100_000).arena();
        spill!(&arena);
        arena.reset();
    });
    let (blocks, pieces) = watch.found();
    assert!(blocks == 1 && pieces > 30_000, "{blocks} blocks with {pieces} pieces");
    drop(arena);
    assert_eq!(FREED_DIRTY[watch.0].load(SeqCst), 1);
}

#[test]
fn an_arena_is_clean_after_reset_and_drop() {
    let watch = Watch::new();
    watch.on(|| {
        for first in [0, 100_000] {
            let mut arena = wiping().first_chunk_bytes(first).arena();
            for _ in 0..4 {
                spill!(&arena);
                assert!(watch.found().1 > 30_000, "the secret is there while it is used");
                arena.reset();
                watch.assert_clean();
                assert!(watch.found().0 > 0, "and its memory is kept");
            }
            spill!(&arena);
            drop(arena);
            watch.assert_clean();
            assert_eq!(watch.found().0, 0);
        }
    });
}

#[test]
fn scopes_are_clean_when_they_end() {
    let watch = Watch::new();
    watch.on(|| {
        let mut arena = wiping().arena();
        for round in 0..4 {
            arena.scope(|inner| {
                spill!(inner);
                inner.scope(|innermost| spill!(innermost));
            });
            watch.assert_clean();
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                arena.scope(|inner| {
                    spill!(inner);
                    std::panic::resume_unwind(Box::new(()));
                })
            }));
            assert!(unwound.is_err());
            watch.assert_clean();
            if round == 2 {
                spill!(&arena);
                arena.reset();
                watch.assert_clean();
            }
        }
        arena.scope(|inner| spill!(inner));
        drop(arena);
        watch.assert_clean();
        assert_eq!(watch.found().0, 0);
    });
}

#[test]
fn a_shared_arena_is_clean_on_every_thread() {
    let watch = Watch::new();
    let spill_everywhere = |arena: &SharedArena| {
        watch.on(|| spill!(arena));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| watch.on(|| spill!(arena)));
            }
        });
        assert!(watch.found().1 > 100_000, "{:?}", watch.found());
    };
    let mut arena = watch.on(|| wiping().shared());
    for _ in 0..3 {
        spill_everywhere(&arena);
        watch.on(|| arena.reset());
        watch.assert_clean();
    }
    spill_everywhere(&arena);
    drop(arena);
    watch.assert_clean();
    assert_eq!(watch.found().0, 0);
}

/// A block that grew on one thread and was given back or grown on another.
#[test]
fn blocks_that_travel_are_clean_too() {
    let watch = Watch::new();
    let mut arena = watch.on(|| wiping().shared());
    for _ in 0..3 {
        let mut vec = watch.on(|| {
            let mut vec: ArenaVec<[u8; 8], _> = ArenaVec::new_in(&arena);
            vec.extend([SECRET; 30]);
            vec
        });
        std::thread::scope(|scope| {
            scope.spawn(move || {
                watch.on(|| {
                    vec.extend([SECRET; 300]);
                    vec.truncate(10);
                    vec.shrink_to_fit();
                    drop(vec);
                });
            });
        });
        assert!(watch.found().1 > 300 * 8);
        watch.on(|| arena.reset());
        watch.assert_clean();
    }
}

fn pooled(pool: &ArenaPool, watch: Watch) {
    for _ in 0..3 {
        let guard = watch.on(|| pool.acquire());
        watch.on(|| spill!(&*guard));
        watch.on(|| guard.scope(|inner| spill!(inner)));
        assert!(watch.found().1 > 30_000);
        watch.on(|| drop(guard));
        watch.assert_clean();

        let mut guard = watch.on(|| pool.acquire());
        watch.on(|| spill!(&*guard));
        watch.on(|| guard.reset());
        watch.assert_clean();
        watch.on(|| spill!(&*guard));
        std::thread::spawn(move || watch.on(|| drop(guard))).join().unwrap();
        watch.assert_clean();

        let guard = watch.on(|| pool.acquire_shared());
        watch.on(|| spill!(&*guard));
        let clone = guard.clone();
        let other = std::thread::spawn(move || watch.on(|| spill!(&*clone)));
        other.join().unwrap();
        assert!(watch.found().1 > 60_000);
        watch.on(|| drop(guard));
        watch.assert_clean();

        let unwound = catch_unwind(AssertUnwindSafe(|| {
            watch.on(|| {
                let guard = pool.acquire();
                spill!(&*guard);
                guard.defer(|| std::panic::resume_unwind(Box::new(())));
                std::panic::resume_unwind(Box::new("the request's own"));
            });
        }));
        assert!(unwound.is_err());
        watch.assert_clean();
    }
    watch.on(|| pool.trim());
    watch.assert_clean();
}

#[test]
fn a_pool_is_clean_after_each_request() {
    pooled(&wiping().pool(), Watch::new());
}

#[test]
fn a_pool_that_keeps_little_or_nothing_frees_clean_blocks() {
    pooled(&wiping().recycle(false).pool(), Watch::new());
    pooled(&wiping().retain_bytes_max(1000).pool(), Watch::new());
    pooled(&wiping().retain_bytes_max(0).pool(), Watch::new());
    pooled(&wiping().idle_max(0).pool(), Watch::new());
    // As large as its requests need, no larger: refused chunks along the way.
    pooled(&wiping().budget_bytes_max(200_000).pool(), Watch::new());
}

#[cfg(not(blixard_no_recycle))]
#[test]
fn poison_covers_every_byte_that_was_used() {
    let watch = Watch::new();
    watch.on(|| {
        let mut arena = ArenaOptions::new().on_reset(Reset::Poison).first_chunk_bytes(100_000).arena();
        spill!(&arena);
        let used = arena.figures().used_bytes;
        let before = watch.found();
        assert!(before.0 == 1 && before.1 > 30_000);
        arena.reset();
        watch.assert_clean();
        let mut poisoned = 0;
        watch.each_block(|block| {
            // SAFETY: a live block of the list; the arena is at rest.
            let bytes = unsafe { std::slice::from_raw_parts(block.start as *const u8, block.size) };
            poisoned += bytes.iter().filter(|&&byte| byte == 0xDB).count();
        });
        assert!((used..used + 64).contains(&poisoned), "{poisoned} bytes poisoned of {used} used");

        // In a pool: what the next request gets is poison, never the last one's bytes.
        let pool = ArenaOptions::new().on_reset(Reset::Poison).pool();
        for _ in 0..50 {
            drop(watch.on(|| pool.acquire()));
            let guard = pool.acquire();
            guard.alloc_slice_fill_with(300, |i| SECRET[i % 8]);
        }
        watch.assert_clean();
        let guard = pool.acquire();
        let block = guard.alloc_uninit_slice::<u8>(300);
        // SAFETY: the bytes were written: by the last request, and then by the poison.
        assert!(block.iter().all(|byte| unsafe { byte.assume_init() } == 0xDB));
    });
}

#[test]
fn a_wiped_arena_hands_out_zeroes() {
    let mut arena: Arena = wiping().first_chunk_bytes(4000).arena();
    arena.alloc_slice_fill_with(3000, |i| SECRET[i % 8]);
    arena.reset();
    let block = arena.alloc_uninit_slice::<u8>(3000);
    // SAFETY: the bytes were written before the reset, and by the wipe.
    assert!(block.iter().all(|byte| unsafe { byte.assume_init() } == 0));
}
