//! No allocator call where a table promises none: look-ups by text and by number, values, first touches included.
#![cfg(feature = "mapped")]
#![expect(unsafe_code, reason = "maps a file")]

mod counting;

use blixard_arena::mapped::{Table, TableBuilder};
use counting::calls_in;

#[test]
fn look_ups_call_no_allocator() {
    let names: Vec<String> = (0..20_000).map(|i| format!("vm-{i}")).collect();
    let mut builder = TableBuilder::new();
    for name in &names {
        builder.add_value(name, name.as_bytes()).unwrap();
    }
    let path = std::env::temp_dir().join(format!("blixard-steady-{}", std::process::id()));
    builder.write(&path).unwrap();
    let (opening, (mapped, opened)) = calls_in(|| {
        // SAFETY: a file of this test's own, which is only deleted.
        let mapped = unsafe { Table::map(&path) }.unwrap();
        (mapped, Table::open(&path).unwrap())
    });
    assert!(opening <= 2 * 5, "{opening} calls for two tables of {} names", names.len());
    std::fs::remove_file(&path).unwrap();

    let (looking_up, ()) = calls_in(|| {
        for table in [&mapped, &opened] {
            for (number, name) in (0..).zip(&names) {
                let (found, row) = (table.find(name).unwrap().unwrap(), table.row(number).unwrap().unwrap());
                assert_eq!((found.number(), row.name()), (number, &**name));
                assert_eq!(found.value().unwrap(), Some(name.as_bytes()));
            }
            assert!(table.find("nobody").unwrap().is_none() && table.row(20_000).unwrap().is_none());
            table.verify().unwrap();
        }
    });
    assert_eq!(looking_up, 0);
}
