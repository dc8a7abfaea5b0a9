//! What an arena keeps when it lies idle, by its figures and by a counting global allocator: the usual size, within
//! every limit, and nothing after the end.
//!
//! The allocator writes in front of each block who pays for it: the account that was switched on when the block was
//! made. So memory freed later, by whichever thread, comes off the right account.
#![cfg(not(blixard_no_recycle))]
#![expect(
    clippy::unwrap_used,
    clippy::cast_ptr_alignment,
    reason = "a test: what cannot be had ends it; the allocator's fronts are aligned to 16"
)]
#![expect(unsafe_code, reason = "a counting global allocator")]

mod during;
mod random;

use blixard_arena::{Arena, ArenaOptions, ArenaPool, PooledArena, Reset};
use during::during;
use random::Random;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Barrier;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};

const ACCOUNTS: usize = 256;
static LIVE: [AtomicIsize; ACCOUNTS] = [const { AtomicIsize::new(0) }; ACCOUNTS];
static CALLS: [AtomicUsize; ACCOUNTS] = [const { AtomicUsize::new(0) }; ACCOUNTS];
static OPENED: AtomicUsize = AtomicUsize::new(1);

thread_local! {
    /// The account that pays on this thread; 0: nobody's.
    static PAYS: Cell<usize> = const { Cell::new(0) }
}

struct Counting;

/// A block with room for the account's number in front.
fn with_front(layout: Layout) -> (Layout, usize) {
    let front = layout.align().max(16);
    (Layout::from_size_align(layout.size() + front, front).unwrap_or(layout), front)
}

// SAFETY: blocks come from the system's allocator, larger by a front that keeps their alignment; the layout of `dealloc`
// is that of `alloc`, so the front is found again.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (whole, front) = with_front(layout);
        // SAFETY: the size is not 0.
        let start = unsafe { System.alloc(whole) };
        if start.is_null() {
            return start;
        }
        let account = PAYS.get();
        CALLS[account].fetch_add(1, SeqCst);
        LIVE[account].fetch_add(layout.size().cast_signed(), SeqCst);
        // SAFETY: the front has 16 bytes at least, aligned to 16.
        unsafe { start.cast::<usize>().write(account) };
        // SAFETY: within the block.
        unsafe { start.add(front) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (whole, front) = with_front(layout);
        // SAFETY: `alloc` returned `front` bytes behind the start.
        let start = unsafe { block.sub(front) };
        // SAFETY: written by `alloc`.
        let account = unsafe { start.cast::<usize>().read() };
        CALLS[account].fetch_add(1, SeqCst);
        LIVE[account].fetch_sub(layout.size().cast_signed(), SeqCst);
        // SAFETY: the system's block and layout.
        unsafe { System.dealloc(start, whole) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Clone, Copy)]
struct Account(usize);

impl Account {
    fn open() -> Self {
        let account = OPENED.fetch_add(1, SeqCst);
        assert!(account < ACCOUNTS);
        Self(account)
    }

    fn on<R>(self, call: impl FnOnce() -> R) -> R {
        during(&PAYS, self.0, call)
    }

    fn live(self) -> usize {
        usize::try_from(LIVE[self.0].load(SeqCst)).unwrap()
    }

    /// Allocator calls that `call` makes.
    fn calls(self, call: impl FnOnce()) -> usize {
        let before = CALLS[self.0].load(SeqCst);
        self.on(call);
        CALLS[self.0].load(SeqCst) - before
    }
}

/// Uses `bytes` bytes of an arena in blocks of 64.
fn fill(arena: &Arena, bytes: usize) {
    for _ in 0..bytes / 64 {
        arena.alloc([0u64; 8]);
    }
}

fn request(pool: &ArenaPool, bytes: usize) {
    fill(&pool.acquire(), bytes);
}

/// What an idle arena holds beside its chunk: its own struct and the chunk's footer.
const BESIDE: usize = 1024;

#[test]
fn after_a_burst_of_large_requests_the_usual_size_comes_back() {
    const USUAL: usize = 8 << 10;
    let account = Account::open();
    let pool = account.on(ArenaPool::new);
    account.on(|| (0..2_000).for_each(|_| request(&pool, USUAL)));
    let at_rest = account.live();
    // Twenty requests of a mebibyte at one time, three times over.
    for _ in 0..3 {
        account.on(|| {
            let guards: Vec<PooledArena> = (0..20).map(|_| pool.acquire()).collect();
            for guard in &guards {
                fill(guard, 1 << 20);
            }
            assert!(account.live() > 20 << 20);
        });
        let idle = pool.figures().idle;
        assert_eq!(idle, 20);
        // At once, not slowly: none keeps more than four usual requests.
        assert!(account.live() < at_rest + idle * (4 * USUAL + BESIDE), "{} bytes lie idle", account.live());
    }
    account.on(|| (0..2_000).for_each(|_| request(&pool, USUAL)));
    assert_eq!(account.calls(|| (0..1_000).for_each(|_| request(&pool, USUAL))), 0, "calls once it has settled");
    account.on(|| pool.trim());
    account.on(|| request(&pool, USUAL));
    assert!(account.live() <= at_rest + 4 * USUAL, "{} of {at_rest}", account.live());
    let figures = pool.figures();
    assert!((USUAL..=USUAL + USUAL / 4).contains(&figures.request_bytes.quantile(0.5)), "{figures:?}");
    assert_eq!((figures.idle, figures.live), (1, 0));
}

#[test]
fn an_arena_with_scopes_and_chunks_settles_to_no_call() {
    for (bytes, scratch) in [(500, 0), (3_000, 500), (10_000, 2_000), (100_000, 10_000), (1_000_000, 100_000)] {
        let account = Account::open();
        let pool = account.on(ArenaPool::new);
        let once = || {
            let guard = pool.acquire();
            fill(&guard, bytes);
            if scratch > 0 {
                guard.scope(|inner| fill(inner, scratch));
            }
        };
        account.on(|| (0..500).for_each(|_| once()));
        assert_eq!(account.calls(|| (0..100).for_each(|_| once())), 0, "{bytes} and {scratch}");

        let mut own = account.on(Arena::new);
        let mut once = || {
            fill(&own, bytes);
            own.scope(|inner| fill(inner, scratch));
            own.reset();
        };
        account.on(|| (0..10).for_each(|_| once()));
        assert_eq!(account.calls(|| (0..100).for_each(|_| once())), 0, "{bytes} and {scratch}, reset");
    }
}

#[test]
fn an_idle_arena_keeps_at_most_four_median_requests() {
    // Nine small requests to one huge one, in random order, with scopes: what lies idle is bounded after each.
    for median in [1_000, 4_000, 30_000] {
        let mut random = Random(median as u64);
        let account = Account::open();
        let pool = account.on(ArenaPool::new);
        account.on(|| (0..2_000).for_each(|_| request(&pool, median)));
        let mut sizes = Vec::new();
        for round in 0..600 {
            let bytes = if random.below(10) == 0 { median * 30 } else { median / 2 + random.below(median) };
            let scratch = if random.below(3) == 0 { random.below(median) } else { 0 };
            account.on(|| {
                let guard = pool.acquire();
                fill(&guard, bytes);
                if scratch > 0 {
                    guard.scope(|inner| fill(inner, scratch));
                }
            });
            sizes.push(bytes + scratch);
            sizes.sort_unstable();
            // The middle request so far, scopes included; the nominal one while there are few.
            let median = if round < 64 { median * 5 / 4 } else { sizes[round / 2] };
            let guard = account.on(|| pool.acquire());
            let kept = guard.figures().reserved_bytes;
            account.on(|| drop(guard));
            assert!(kept <= 4 * median + BESIDE, "{kept} bytes kept after round {round}, median {median}");
        }
    }
}

#[test]
fn retain_bytes_max_is_never_passed() {
    let mut random = Random(5);
    for retain in [0, 100, 448, 1_000, 5_000, 10_000, 50_000] {
        let options = ArenaOptions::new().retain_bytes_max(retain);
        let account = Account::open();
        let mut own = options.arena();
        let mut shared = account.on(|| options.shared());
        let alone = account.live();
        let pool = options.pool();
        for _ in 0..200 {
            let bytes = random.below(3 * retain + 2_000);
            fill(&own, bytes);
            if bytes.is_multiple_of(2) {
                own.scope(|inner| fill(inner, bytes / 8));
            }
            own.reset();
            // A scope's box and the chunks' footers are not chunks' bytes.
            let kept = own.figures().reserved_bytes;
            assert!(kept <= retain + size_of::<Arena>() + 2 * 48, "{kept} bytes kept, {retain} allowed, {bytes} used");

            account.on(|| {
                shared.alloc_slice_fill_with(bytes, |_| 0u8);
                shared.reset();
            });
            assert!(account.live() <= alone + retain + 48, "{} kept, {retain} allowed, {bytes} used", account.live());

            request(&pool, bytes);
            let guard = pool.acquire();
            let kept = guard.figures().reserved_bytes;
            assert!(kept <= retain + BESIDE, "{kept} bytes kept in a pool, {retain} allowed, {bytes} used");
        }
    }
}

#[test]
fn idle_max_holds_over_all_threads() {
    const THREADS: usize = 4;
    for idle_max in [0, 1, 2, 7, 16, 40, 200] {
        let pool = ArenaOptions::new().idle_max(idle_max).pool();
        let barrier = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            let work = || {
                for count in [1, 30, 3, 60] {
                    let guards: Vec<_> = (0..count).map(|_| pool.acquire()).collect();
                    barrier.wait();
                    drop(guards);
                    barrier.wait();
                    assert!(pool.figures().idle <= idle_max, "{} idle, {idle_max} allowed", pool.figures().idle);
                    barrier.wait();
                }
            };
            // Joined one by one: that waits for a thread's very end, which frees its place in the pool.
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                thread.join().unwrap();
            }
        });
        let figures = pool.figures();
        assert!(figures.idle <= idle_max && figures.live == 0);
        // Not far below it either, where 240 arenas came back: a thread's stack may have had less than its room.
        assert!(figures.idle >= idle_max / 2, "{} idle, {idle_max} allowed", figures.idle);
        pool.trim();
        assert_eq!(pool.figures().idle, 0);
    }
}

#[test]
fn idle_memory_is_what_the_figures_say_and_goes_at_trim() {
    let account = Account::open();
    let pool = account.on(ArenaPool::new);
    account.on(|| request(&pool, 100));
    account.on(|| pool.trim());
    let bare = account.live();
    for count in [1, 5, 50, 300] {
        let guards: Vec<_> = (0..count).map(|_| account.on(|| pool.acquire())).collect();
        for guard in &guards {
            account.on(|| fill(guard, 5_000));
        }
        for guard in guards {
            account.on(|| drop(guard));
        }
        let idle = pool.figures().idle;
        assert!(idle == count.min(idle) && idle <= ArenaOptions::IDLE_DEFAULT);
        let guards: Vec<_> = (0..idle).map(|_| account.on(|| pool.acquire())).collect();
        let booked: usize = guards.iter().map(|guard| guard.figures().reserved_bytes).sum();
        assert_eq!(account.live(), bare + booked);
        for guard in guards {
            account.on(|| drop(guard));
        }
        account.on(|| pool.trim());
        assert_eq!((account.live(), pool.figures().idle), (bare, 0));
    }
}

#[test]
fn without_recycling_each_arena_is_freed() {
    let account = Account::open();
    let pool = account.on(|| ArenaOptions::new().recycle(false).pool());
    account.on(|| request(&pool, 100));
    let bare = account.live();
    for created in 2..50 {
        account.on(|| request(&pool, 5_000));
        assert_eq!(account.live(), bare);
        assert_eq!((pool.figures().created, pool.figures().idle), (created, 0));
    }
    let shared = account.on(|| pool.acquire_shared());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| account.on(|| shared.alloc([0u8; 3000])[0]));
        }
    });
    assert!(account.live() > bare + 9_000);
    account.on(|| drop(shared));
    // Each of the three threads left a slot of the pool.
    let slots = account.live() - bare;
    account.on(|| request(&pool, 5_000));
    assert_eq!(account.live(), bare + slots);
}

#[test]
fn the_first_chunk_of_a_new_arena_comes_from_history() {
    for usual in [5_000, 20_000, 300_000] {
        let account = Account::open();
        let pool = account.on(ArenaPool::new);
        account.on(|| (0..1_000).for_each(|_| request(&pool, usual)));
        account.on(|| pool.trim());
        let guard = account.on(|| pool.acquire());
        assert_eq!(account.calls(|| fill(&guard, usual)), 1, "one chunk, made in one call");
        let figures = guard.figures();
        assert_eq!(figures.chunks, 1);
        assert!(figures.reserved_bytes >= usual && figures.reserved_bytes <= 2 * usual + BESIDE, "{figures}");
    }
    // Before anything is known: as the options say.
    let guard = ArenaOptions::new().first_chunk_bytes(50_000).pool().acquire();
    guard.alloc(1);
    assert!((50_000..60_000).contains(&guard.figures().reserved_bytes));
}

#[test]
fn guards_that_outlive_their_pool_free_everything() {
    let account = Account::open();
    for reset in [Reset::Keep, Reset::Wipe] {
        // On threads of their own, which end: a thread keeps its place in a pool until it ends or looks again.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (plain, shared, clone) = account.on(|| {
                    let pool = ArenaOptions::new().on_reset(reset).pool();
                    (0..20).map(|_| pool.acquire()).for_each(|guard| fill(&guard, 10_000));
                    let (plain, shared) = (pool.acquire(), pool.acquire_shared());
                    let clone = shared.clone();
                    drop(pool.clone());
                    (plain, shared, clone)
                    // The last handle goes here.
                });
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        account.on(|| {
                            assert_eq!(shared.alloc_str("from elsewhere"), "from elsewhere");
                            drop(shared);
                        });
                    });
                });
                account.on(|| {
                    fill(&plain, 100_000);
                    plain.scope(|inner| fill(inner, 10_000));
                    assert_eq!(clone.alloc_str("still here"), "still here");
                    drop(plain);
                });
                std::thread::scope(|scope| {
                    scope.spawn(|| account.on(|| drop(clone)));
                });
            });
        });
        wait_for_nothing(account);
    }
}

/// A scoped thread has been joined before its thread-locals are gone; those let the last of a pool go.
#[track_caller]
fn wait_for_nothing(account: Account) {
    for _ in 0..1_000 {
        if account.live() == 0 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("{} bytes are still there", account.live());
}

#[test]
fn a_pool_that_is_dropped_at_rest_frees_everything() {
    let account = Account::open();
    std::thread::spawn(move || {
        account.on(|| {
            let pool = ArenaPool::new();
            (0..20).map(|_| pool.acquire()).for_each(|guard| fill(&guard, 10_000));
            drop(pool.acquire_shared());
        });
    })
    .join()
    .unwrap();
    wait_for_nothing(account);
}

/// A scope's spare chunk that makes way for the request raises the high water of this request, and not of the next one.
#[test]
fn a_request_begins_with_the_high_water_of_what_it_holds() {
    let pool = ArenaOptions::new().budget_bytes_max(64 << 10).on_reset(Reset::Keep).pool();
    {
        let arena = pool.acquire();
        arena.scope(|scope| {
            scope.alloc_uninit_slice::<u8>(50_000);
        });
        arena.alloc_uninit_slice::<u8>(20_000);
        assert!(arena.figures().high_water_bytes > 50_000);
    }
    let figures = pool.acquire().figures();
    assert_eq!(figures.high_water_bytes, figures.reserved_bytes, "{figures}");
}

/// What one reset keeps is within the limit, so the next one keeps it too.
#[test]
fn what_a_reset_keeps_the_next_one_keeps() {
    for retain in 8_000..8_200 {
        let mut arena = ArenaOptions::new().retain_bytes_max(retain).arena();
        arena.alloc_uninit_slice::<u8>(100);
        arena.alloc_uninit_slice::<u8>(5_000);
        arena.reset();
        let kept = arena.figures().reserved_bytes;
        arena.reset();
        assert_eq!(arena.figures().reserved_bytes, kept, "retain {retain}");
    }
}
