//! What a collection freezes to lives as long as the arena's borrow, and no longer.
use blixard_arena::collections::{Box, FlatMap, FlatSet, String, Vec};
use blixard_arena::{Arena, ArenaPool, SharedArena};

fn slice<'a>() -> &'a mut [u8] {
    let arena = Arena::new();
    Vec::from_iter_in([1_u8], &arena).into_slice()
}

fn text<'a>() -> &'a str {
    let arena = SharedArena::new();
    String::from_str_in("text", &arena).into_str()
}

fn pairs<'a>() -> &'a [(u8, u8)] {
    let arena = Arena::new();
    FlatMap::from_iter_in([(1_u8, 2_u8)], &arena).freeze()
}

fn set<'a>() -> &'a [u8] {
    let arena = Arena::new();
    FlatSet::from_iter_in([1_u8], &arena).freeze()
}

fn boxed<'a>() -> Box<'a, u8> {
    let arena = Arena::new();
    Box::new_in(1_u8, &arena)
}

fn leaked<'a>() -> &'a mut u8 {
    let arena = Arena::new();
    Box::leak(Box::new_in(1_u8, &arena))
}

fn main() {
    slice();
    text();
    pairs();
    set();
    boxed();
    leaked();
    let mut arena = Arena::new();
    let frozen = Vec::from_iter_in([1_u8], &arena).into_slice();
    arena.reset();
    frozen[0] = 1;
    let guard = ArenaPool::new().acquire();
    let text = String::from_str_in("text", &*guard).into_str();
    drop(guard);
    println!("{text}");
}
