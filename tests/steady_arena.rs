//! Steady state of pooled arenas on one thread: in the second half of a run no request calls the allocator.
//!
//! Over the public API, with dhat as the global allocator in its testing mode. Sizes are random, the largest below three
//! times the median (below two and a half where scopes keep a part of what an idle arena may); requests use scopes,
//! cleanups, collections, and several arenas at a time. This file holds one test, because dhat counts the whole process.
#![cfg(not(blixard_no_recycle))]
#![expect(clippy::cast_possible_truncation, reason = "small numbers")]

mod blocks;
mod random;

use allocator_api2::vec::Vec as ArenaVec;
use blixard_arena::{Arena, ArenaOptions, ArenaPool, Reset};
use blocks::calls;
use hashbrown::{DefaultHashBuilder, HashMap};
use random::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const REQUESTS: u64 = 2_000;
const MEDIAN: usize = 8_000;
const MAX: usize = MEDIAN * 29 / 10;
const MAX_WITH_SCOPES: usize = MEDIAN * 24 / 10;

static DROPPED: AtomicU64 = AtomicU64::new(0);

struct Permit;

impl Drop for Permit {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Relaxed);
    }
}

/// Bytes of a request: half of all are below the median, none is above `max`.
fn size(random: &mut Random, max: usize) -> usize {
    if random.below(2) == 0 { MEDIAN / 2 + random.below(MEDIAN / 2) } else { MEDIAN + random.below(max - MEDIAN) }
}

/// A request that uses `size` bytes of the arena in all its ways, and checks what it built.
fn request(arena: &Arena, scopes: u64, random: &mut Random, config: &Arc<[u64]>) {
    let size = size(random, if scopes == 0 { MAX } else { MAX_WITH_SCOPES });
    let before = arena.figures().used_bytes;
    let used = || arena.figures().used_bytes - before;
    let lent = arena.adopt(Arc::clone(config));
    arena.alloc_with_drop(Permit);
    arena.defer(|| _ = DROPPED.fetch_add(1, Relaxed));
    let mut sum = 0;
    let mut names: ArenaVec<&str, &Arena> = ArenaVec::new_in(arena);
    let mut labels = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena);
    for i in 0..10 {
        let name = &*arena.format(format_args!("vm-{i}"));
        names.push(name);
        labels.insert(name, i);
    }
    for scope in 0..scopes {
        sum += arena.scope(|inner| {
            inner.alloc_with_drop(Permit);
            let fits = inner.alloc_slice_fill_with(size / 200, |i| i as u64 + scope);
            inner.scope(|inmost| inmost.alloc_slice_copy(fits).iter().sum::<u64>())
        });
    }
    assert!(used() + 256 < MEDIAN / 2, "the fixed part took {} bytes", used());
    while used() + 256 < size {
        let len = random.below(240);
        let block = arena.alloc_slice_fill_with(len, |i| i as u8);
        assert!(block.iter().enumerate().all(|(i, byte)| *byte == i as u8));
    }
    assert!((sum > 0) == (scopes > 0) && labels.len() == names.len() && lent.len() == config.len());
    assert_eq!(names[9], "vm-9");
}

#[test]
fn no_request_calls_the_allocator() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let config: Arc<[u64]> = Arc::from(vec![1, 2, 3]);
    let (mut runs, mut cleanups) = (0, 0);
    for reset in [Reset::Keep, Reset::Poison, Reset::Wipe] {
        for scopes in [0, 2] {
            let options = ArenaOptions::new().on_reset(reset);
            one_at_a_time(&options.pool(), scopes, &config);
            several_at_a_time(&options.pool(), scopes, &config);
            reset_in_place(options.arena(), scopes, &config);
            (runs, cleanups) = (runs + 3, cleanups + 3 * REQUESTS * (2 + scopes));
        }
    }
    assert_eq!(
        (runs, DROPPED.load(Relaxed)),
        (18, cleanups),
        "two cleanups in a request and one in each of its scopes"
    );
    assert_eq!(Arc::strong_count(&config), 1);
}

#[track_caller]
fn run(kind: &str, mut step: impl FnMut(&mut Random)) {
    let mut random = Random(1);
    (0..REQUESTS / 2).for_each(|_| step(&mut random));
    let before = calls();
    for i in 0..REQUESTS / 2 {
        step(&mut random);
        assert_eq!(calls(), before, "{kind}: request {i} of the second half called the allocator");
    }
}

fn one_at_a_time(pool: &ArenaPool, scopes: u64, config: &Arc<[u64]>) {
    run(&format!("one at a time, {scopes} scopes"), |random| request(&pool.acquire(), scopes, random, config));
    assert_eq!(pool.figures().created, 1);
    let sizes = pool.figures().request_bytes;
    assert!(sizes.quantile(1.0) < 4 * sizes.quantile(0.5), "{sizes:?}");
}

/// Up to five guards are out, and end in another order than they began.
fn several_at_a_time(pool: &ArenaPool, scopes: u64, config: &Arc<[u64]>) {
    let mut out = [const { None }; 5];
    run(&format!("several at a time, {scopes} scopes"), |random| {
        let arena = pool.acquire();
        request(&arena, scopes, random, config);
        out[random.below(5)] = Some(arena);
    });
}

fn reset_in_place(mut arena: Arena, scopes: u64, config: &Arc<[u64]>) {
    run(&format!("reset, {scopes} scopes"), |random| {
        request(&arena, scopes, random, config);
        arena.reset();
    });
}
