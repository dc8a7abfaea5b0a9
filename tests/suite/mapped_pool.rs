//! String pools over a table on disk: its names are constants, entered when they are first met.
#![cfg(feature = "mapped")]
#![expect(clippy::unwrap_used, reason = "a test may panic, its helper functions too")]

use blixard_arena::intern::{InternedString, PoolFull, StringPool, StringPoolOptions};
use blixard_arena::mapped::{Table, TableBuilder};
use std::sync::OnceLock;

blixard_arena::constant_names! { Role { LEADER = "leader", FOLLOWER = "follower" } }

fn table(names: impl IntoIterator<Item = String>) -> &'static Table {
    let mut builder = TableBuilder::new();
    for name in names {
        builder.add(&name).unwrap();
    }
    Box::leak(Box::new(Table::from_bytes(&builder.to_bytes().unwrap()).unwrap()))
}

fn pool(table: &'static Table) -> StringPool {
    StringPoolOptions::new().constants(Role::SET).table(table).unwrap().build()
}

#[test]
fn names_of_a_table_are_equal_in_every_pool_and_outlive_them() {
    let fleet = table((0..2000).map(|i| format!("vm-{i}")));
    let (one, other) = (pool(fleet), pool(fleet));
    let kept: Vec<InternedString> = (0..2000).rev().map(|i| one.intern(&format!("vm-{i}"))).rev().collect();
    assert_eq!(one.figures().entries, 2002);
    assert_eq!(other.figures().entries, 2, "entered when they are met");
    for (i, name) in kept.iter().enumerate() {
        assert_eq!(other.intern(&format!("vm-{i}")), *name);
        assert!(other.pin().get(&format!("vm-{i}")).unwrap() == *name);
    }
    assert_ne!(one.intern("vm-2000"), other.intern("vm-2000"), "what the table does not have is as ever");
    drop(one);
    drop(other);
    for (i, name) in kept.iter().enumerate() {
        assert_eq!((name.as_str(), format!("{name:?}")), (&*format!("vm-{i}"), format!("\"vm-{i}\"")));
        let _clone = name.clone();
    }
}

#[test]
fn a_table_and_a_set_of_one_pool_do_not_mix() {
    let fleet = table(["leader", "vm-1", ""].map(str::to_owned));
    let (with, without) = (pool(fleet), StringPoolOptions::new().table(fleet).unwrap().build());
    assert_eq!(with.intern("leader"), Role::LEADER, "the set comes first");
    assert_ne!(without.intern("leader"), Role::LEADER);
    assert_eq!(&*without.intern("leader"), "leader");
    assert_eq!(with.intern(""), without.intern(""));
    let other = table(["vm-1", "vm-2"].map(str::to_owned));
    let both = StringPoolOptions::new().table(fleet).unwrap().table(other).unwrap().build();
    assert_eq!(both.intern("vm-1"), without.intern("vm-1"), "the first table");
    assert_eq!(both.intern("vm-2"), pool(other).intern("vm-2"));
}

#[test]
fn sweeps_leave_what_a_table_has() {
    let fleet = table((0..100).map(|i| format!("vm-{i}")));
    let pool = pool(fleet);
    let names: Vec<_> = (0..200).map(|i| pool.intern(&format!("vm-{i}"))).collect();
    drop(names);
    assert_eq!(pool.sweep(), 100);
    assert_eq!(pool.figures().entries, 102);
    assert_eq!(&*pool.intern("vm-99"), "vm-99");
}

#[test]
fn a_full_pool_says_so_of_a_name_that_was_not_met() {
    let fleet = table((0..10).map(|i| format!("vm-{i}")));
    let pool = StringPoolOptions::new().entries_max(2).table(fleet).unwrap().build();
    let (_one, _two) = (pool.intern("vm-1"), pool.intern("somebody"));
    let pin = pool.pin();
    assert!(pin.try_get("vm-1").unwrap().is_some() && pin.try_get("nobody").unwrap().is_none());
    assert!(matches!(pin.try_get("vm-2"), Err(PoolFull::Entries { used: 2, allowed: 2 })));
    assert!(pin.try_intern("vm-2").is_err());
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pin.get("vm-2").is_some())).unwrap_err();
    assert!(payload.is::<PoolFull>());
}

#[test]
fn threads_that_meet_a_name_at_once_get_one() {
    let fleet = table((0..500).map(|i| format!("vm-{i}")));
    let pool = pool(fleet);
    let meet = || -> Vec<InternedString> {
        let pin = pool.pin();
        (0..500).map(|i| pin.intern(&format!("vm-{i}")).to_interned()).collect()
    };
    let all: Vec<Vec<InternedString>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(meet)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|names| *names == all[0]));
    assert_eq!(pool.figures().entries, 502);
}

#[test]
fn a_falsified_table_is_not_taken() {
    static FALSIFIED: OnceLock<Table> = OnceLock::new();
    let mut builder = TableBuilder::new();
    builder.add("vm-1").unwrap();
    let mut bytes = builder.to_bytes().unwrap();
    let last = bytes.len() - 4;
    bytes[last] = 0xff; // no UTF-8
    let data_at = 128;
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[data_at..]).to_le_bytes();
    bytes[64..72].copy_from_slice(&sum);
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[64..data_at]).to_le_bytes();
    bytes[40..48].copy_from_slice(&sum);
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[..56]).to_le_bytes();
    bytes[56..64].copy_from_slice(&sum);
    let table = FALSIFIED.get_or_init(|| Table::from_bytes(&bytes).unwrap());
    let error = StringPoolOptions::new().table(table).unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
}
