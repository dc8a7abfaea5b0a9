//! Collections in an arena make no allocator call once the arena has its chunk: not one, whatever is done with them.
//!
//! Over the public API, with dhat as the global allocator in its testing mode. This file holds one test, because dhat counts
//! the whole process.
#![cfg(not(blixard_no_recycle))]

mod blocks;

use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{
    Box, FixedState, FlatMap, FlatSet, SmallVec, String, Vec, collect_exact, headroom, reserve_with_headroom,
};
use blixard_arena::{ArenaOptions, Reset, unsize_box};
use blocks::{calls, wait_for_the_harness};
use std::fmt::Write;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Each collection grows from nothing, past its first blocks, the map past its index's, and is used in most ways.
fn request<A: AnyArena>(arena: &A) -> usize {
    let mut names = Vec::new_in(arena);
    for number in 0..200_u64 {
        names.push(&*arena.concat(("vm-", number)));
    }
    names.extend((200..250).map(|number| &*arena.format(format_args!("vm-{number:04}"))));
    names.insert(3, "inserted");
    names.retain(|name| name.len() < 7);
    names.sort_unstable();
    names.dedup();
    let mut half = names.split_off(names.len() / 2);
    half.append(&mut names.clone());
    half.drain(3..9).for_each(drop);
    half.extend_from_within(..5);
    half.resize(300, "more");
    half.shrink_to_fit();

    let mut text = String::new_in(arena);
    for name in &half {
        text.push_str(name);
        text.push_concat((',', name.len(), '\u{e9}'));
        write!(text, "{name:>9}").expect("a String takes all");
    }
    text.retain(|c| c != 'v');
    text.insert_str(2, "inserted");
    text.replace_range(..4, "replaced");

    let mut map = FlatMap::new_in(arena);
    let mut fixed = FlatMap::with_hasher_in(FixedState, arena);
    for (number, name) in half.iter().enumerate() {
        map.entry(*name).or_insert_with(|| Vec::new_in(arena)).push(number);
        fixed.insert(number, *name);
    }
    map.retain(|name, numbers| name.len() % 5 > 0 || !numbers.is_empty());
    map.remove("more");
    fixed.remove(&7);
    let again = map.clone();
    assert_eq!(map, again);
    let set = FlatSet::from_iter_in(fixed.values().map(|name| name.len()), arena);
    let of_set = set.len();
    let boxed: Box<'_, dyn Fn(usize) -> usize> =
        unsize_box!(Box::new_in(move |number| number + of_set, arena) => dyn Fn(usize) -> usize);
    let boxed = boxed(1);
    let frozen = (half.into_slice(), text.into_str(), map.freeze(), fixed.freeze(), set.freeze());
    boxed + frozen.0.len() + frozen.1.len() + frozen.2.len() + frozen.3.len() + frozen.4.len()
}

#[test]
fn no_collection_calls_the_allocator() {
    let _profiler = dhat::Profiler::builder().testing().build();
    wait_for_the_harness();
    for reset in [Reset::Keep, Reset::Poison, Reset::Wipe] {
        let options = ArenaOptions::new().on_reset(reset).first_chunk_bytes(4 << 20);
        let (mut arena, mut shared) = (options.arena(), options.shared());
        // The chunks, and what a thread and a process need once.
        let results = (request(&arena), request(&shared));
        for _ in 0..3 {
            arena.reset();
            shared.reset();
            let before = calls();
            assert_eq!((request(&arena), request(&shared)), results);
            assert_eq!(calls(), before, "{reset:?}");
        }
        let pool = options.pool();
        for round in 0..6 {
            let before = calls();
            let found = (request(&*pool.acquire()), request(&*pool.acquire_shared()));
            assert_eq!(found, results);
            assert!(round < 3 || calls() == before, "{reset:?}, round {round}: {before:?} became {:?}", calls());
        }
    }
    // On the heap: one block for the pairs, and one for the index, however they are found and changed.
    let before = calls();
    let mut map = FlatMap::new();
    assert_eq!(calls(), before, "an empty map has no block");
    map.reserve(100);
    let made = calls();
    assert_eq!((made.0 - before.0, made.1 - before.1), (2, 2), "two blocks");
    for number in 0..100 {
        map.insert(number, number);
        *map.entry(number).or_insert(0) += 1;
    }
    map.retain(|number, _| number % 3 > 0);
    map.remove(&1);
    map.clear();
    map.extend((0..100).map(|number| (number, number)));
    assert_eq!(calls(), made);
    drop(map);
    assert_eq!(calls().1, before.1, "and both are freed");

    // Room with headroom is one block, and so is a collect whose length nobody knows; short lists have none.
    let before = calls().0;
    let mut list = std::vec::Vec::with_capacity(headroom(1000));
    list.extend(0..1010_u32);
    reserve_with_headroom(&mut list, 10);
    assert_eq!(calls().0 - before, 1);
    let odd = collect_exact(list.iter().filter(|n| *n % 2 == 1));
    assert_eq!((odd.len(), calls().0 - before), (505, 2));
    let short: SmallVec<u32> = list[..8].iter().copied().collect();
    assert_eq!((short.spilled(), calls().0 - before), (false, 2));
}
