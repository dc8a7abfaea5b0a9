//! No allocator call where a table promises none: look-ups by text and by number, values, first touches included.
#![cfg(feature = "mapped")]
#![expect(unsafe_code, reason = "a counting global allocator; maps a file")]

use blixard_arena::mapped::{Table, TableBuilder};
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

#[test]
fn look_ups_call_no_allocator() {
    let names: Vec<String> = (0..20_000).map(|i| format!("vm-{i}")).collect();
    let mut builder = TableBuilder::new();
    for name in &names {
        builder.add_value(name, name.as_bytes()).unwrap();
    }
    let path = std::env::temp_dir().join(format!("blixard-steady-{}", std::process::id()));
    builder.write(&path).unwrap();
    let before = CALLS.get();
    // SAFETY: a file of this test's own, which is only deleted.
    let mapped = unsafe { Table::map(&path) }.unwrap();
    let opened = Table::open(&path).unwrap();
    let opening = CALLS.get() - before;
    assert!(opening <= 2 * 5, "{opening} calls for two tables of {} names", names.len());
    std::fs::remove_file(&path).unwrap();

    let before = CALLS.get();
    for table in [&mapped, &opened] {
        for (number, name) in (0..).zip(&names) {
            let (found, row) = (table.find(name).unwrap().unwrap(), table.row(number).unwrap().unwrap());
            assert_eq!((found.number(), row.name()), (number, &**name));
            assert_eq!(found.value().unwrap(), Some(name.as_bytes()));
        }
        assert!(table.find("nobody").unwrap().is_none() && table.row(20_000).unwrap().is_none());
        table.verify().unwrap();
    }
    assert_eq!(CALLS.get(), before);
}
