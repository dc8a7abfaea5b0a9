//! An arena per request: the same small request answered 20,000 times, from the heap and from recycled arenas.
//!
//! ```sh
//! cargo run --release --example arena_per_request
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it found")]
#![expect(unsafe_code, reason = "a counting global allocator shows what the heap is asked for")]

use blixard_arena::{Arena, ArenaPool};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Counts what the program asks the allocator for.
struct Counting;
static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes everything on to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUESTS: u64 = 20_000;
const LINE: &str = "tenant-7 create web-1,web-2,db-1,db-2,cache-1,cache-2,queue-1,queue-2";

/// The reply as the heap's own types hold it: a `String` per name.
fn on_the_heap(line: &str) -> usize {
    let mut words = line.split(' ');
    let (tenant, verb) = (words.next().unwrap_or("").to_owned(), words.next().unwrap_or("").to_owned());
    let names: Vec<String> = words.next().unwrap_or("").split(',').map(|vm| format!("{tenant}/{vm}")).collect();
    let reply = format!("{verb}: {} accepted, first {}", names.len(), names[0]);
    black_box(reply).len()
}

/// The same in the request's arena: `&str` and `&[&str]` that live as long as the request.
fn in_an_arena(arena: &Arena, line: &str) -> usize {
    let mut words = line.split(' ');
    let (tenant, verb) = (arena.alloc_str(words.next().unwrap_or("")), arena.alloc_str(words.next().unwrap_or("")));
    let names = words.next().unwrap_or("").split(',').map(|vm| &*arena.format(format_args!("{tenant}/{vm}")));
    let names: &[&str] = arena.alloc_slice_fill_iter(names);
    let reply = arena.format(format_args!("{verb}: {} accepted, first {}", names.len(), names[0]));
    black_box(reply).len()
}

/// Answers all requests and prints what that cost.
fn measure(name: &str, mut request: impl FnMut() -> usize) {
    let expected = request(); // once to warm up
    let (calls, start) = (CALLS.load(Relaxed), Instant::now());
    for _ in 0..REQUESTS {
        assert_eq!(request(), expected);
    }
    let (time, calls) = (start.elapsed(), CALLS.load(Relaxed) - calls);
    println!(
        "{name:<10} {:>6} ns a request, {:>3} allocator calls",
        time.as_nanos() / u128::from(REQUESTS),
        calls / REQUESTS
    );
}

fn main() {
    println!("{REQUESTS} requests of 8 names each");
    measure("heap", || on_the_heap(black_box(LINE)));

    let pool = ArenaPool::new();
    measure("arena", || {
        let arena = pool.acquire(); // the last request's memory, emptied
        in_an_arena(&arena, black_box(LINE))
    }); // dropping the guard lets everything go at once

    let figures = pool.figures();
    println!(
        "the pool handed out {} arenas and made {}; a request used {} bytes at the median",
        figures.acquired,
        figures.created,
        figures.request_bytes.quantile(0.5)
    );
    println!("an arena after one request: {}", {
        let arena = pool.acquire();
        in_an_arena(&arena, LINE);
        arena.figures()
    });
}
