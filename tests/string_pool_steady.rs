//! No allocator call where a string pool promises none: hits, pins, holding, clones, drops, constants, promotion into room.
#![expect(unsafe_code, reason = "a counting global allocator")]

use blixard_arena::intern::{InternedString, StringPoolOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Calls of this thread: the one that runs the tests makes its own.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: passes everything on to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's contract.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

blixard_arena::constant_names! { Role { LEADER = "leader", FOLLOWER = "follower" } }

#[test]
fn hits_pins_and_holders_call_no_allocator() {
    let pool = StringPoolOptions::new().constants(Role::SET).build();
    let texts: Vec<String> = (0..500).map(|i| format!("vm-{i}")).collect();
    let held: Vec<InternedString> = texts.iter().map(|text| pool.intern(text)).collect();
    let mut kept: Vec<InternedString> = Vec::with_capacity(texts.len());
    // Frees the tables that were replaced on the way.
    pool.sweep();
    let before = CALLS.get();
    assert!(before > 0);
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
    assert_eq!(CALLS.get() - before, 0);
}
