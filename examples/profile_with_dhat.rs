//! Profile with dhat: what 1,000 requests ask of the heap, with plain collections and with an arena each.
//!
//! ```sh
//! cargo run --release --example profile_with_dhat
//! ```
//!
//! Writes `target/dhat-heap.json` and `target/dhat-arena.json`: open them in DHAT's viewer (`dh_view.html`, part of
//! valgrind) to see which lines the blocks came from.
#![expect(clippy::print_stdout, reason = "an example prints what it found")]

use blixard_arena::{Arena, ArenaPool};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const REQUESTS: usize = 1_000;
const NODES: usize = 40;

/// Names and scores of all nodes, best first, as `String`s and a `Vec`.
fn ranked_on_the_heap(request: usize) -> usize {
    let mut ranked: Vec<_> = (0..NODES).map(|node| (score(request, node), format!("node-{node}"))).collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    black_box(&ranked)[0].1.len()
}

/// The same with names and slice in the arena.
fn ranked_in_an_arena(arena: &Arena, request: usize) -> usize {
    let ranked = arena.alloc_slice_fill_with(NODES, |node| {
        let name: &str = arena.format(format_args!("node-{node}"));
        (score(request, node), name)
    });
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    black_box(&ranked)[0].1.len()
}

fn score(request: usize, node: usize) -> usize {
    (request * 31 + node * 7919) % 1009
}

/// Runs all requests under dhat, prints what they took and writes the profile; gives the sum of the results.
fn profile(name: &str, mut request: impl FnMut(usize) -> usize) -> usize {
    let profiler = dhat::Profiler::builder().file_name(format!("target/dhat-{name}.json")).build();
    let sum = (0..REQUESTS).map(&mut request).sum();
    let stats = dhat::HeapStats::get();
    println!(
        "{name:<6} {:>6} blocks, {:>9} bytes in all, at most {:>6} bytes at once",
        stats.total_blocks, stats.total_bytes, stats.max_bytes
    );
    drop(profiler); // writes the file, and says so
    sum
}

fn main() -> std::io::Result<()> {
    std::fs::create_dir_all("target")?;
    println!("{REQUESTS} requests, {NODES} nodes ranked in each");
    let heap = profile("heap", ranked_on_the_heap);
    let pool = ArenaPool::new();
    let arena = profile("arena", |request| ranked_in_an_arena(&pool.acquire(), request));
    assert_eq!(heap, arena, "the same work");
    let figures = pool.figures();
    println!("{} requests were served from {} arena(s)", figures.acquired, figures.created);
    Ok(())
}
