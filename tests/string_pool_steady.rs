//! No allocator call where a string pool promises none: hits, pins, holding, clones, drops, constants, promotion into room,
//! the process's own pool; and few where names are new.
//!
//! Over the public API, with dhat as the global allocator in its testing mode. This file holds one test, because dhat counts
//! the whole process.

mod blocks;

use blixard_arena::intern::{InternedString, StringPoolOptions, intern, pin};
use blocks::{calls, wait_for_the_harness};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

blixard_arena::constant_names! { Role { LEADER = "leader", FOLLOWER = "follower" } }

#[test]
fn hits_pins_and_holders_call_no_allocator() {
    let _profiler = dhat::Profiler::builder().testing().build();
    wait_for_the_harness();
    let pool = StringPoolOptions::new().constants(Role::SET).build();
    let texts: Vec<String> = (0..500).map(|i| format!("vm-{i}")).collect();
    let held: Vec<InternedString> = texts.iter().map(|text| pool.intern(text)).collect();
    let mut kept: Vec<InternedString> = Vec::with_capacity(texts.len());
    // Frees the tables that were replaced on the way.
    pool.sweep();
    let before = calls();
    for _ in 0..20 {
        let pin = pool.pin();
        for (text, held) in texts.iter().zip(&held) {
            let name = pin.intern(text);
            assert!(name == *held && pin.get(text) == Some(name) && pin.get("nobody").is_none());
            assert_eq!(name.to_interned().clone(), *held);
        }
        assert_eq!(pin.intern("leader").to_interned(), Role::LEADER);
        drop(pin);
        pool.promote(texts.iter().map(String::as_str), &mut kept);
        kept.clear();
        assert_eq!(pool.intern("vm-7"), held[7]);
        assert!(pool.figures().entries == 502 && pool.clone().figures().pins == 0);
        assert_eq!(pool.sweep(), 0);
    }
    assert_eq!(calls(), before);

    // The process's own pool, its pins held and moved.
    let held: Vec<InternedString> = texts.iter().map(|text| intern(text)).collect();
    let before = calls();
    for (text, held) in texts.iter().zip(&held) {
        let pin = pin();
        assert!(pin.intern(text) == *held && intern(text) == held.clone());
    }
    assert_eq!(calls(), before);

    // New names lie in chunks and tables that double: far less than a block for each.
    let texts: Vec<String> = (0..10_000).map(|i| format!("new-{i}")).collect();
    let mut kept = Vec::with_capacity(texts.len());
    let before = calls();
    kept.extend(texts.iter().map(|text| pool.intern(text)));
    let blocks = calls().0 - before.0;
    assert!(blocks < 1_000, "{blocks} blocks for 10,000 new names");
}
