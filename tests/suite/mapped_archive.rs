//! Archived values in a table: accessed where they lie, in the file's pages.
#![cfg(all(feature = "mapped", feature = "archive"))]

use blixard_arena::archive::{self, Schema, rkyv};
use blixard_arena::mapped::{Table, TableBuilder};

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Flavour {
    cores: u128,
    zones: Vec<u32>,
}

impl Schema for Flavour {
    const NAME: &'static str = "test.flavour";
}

#[test]
fn archives_are_accessed_where_they_lie() {
    let mut builder = TableBuilder::new();
    for i in 0..500_u32 {
        let flavour = Flavour { cores: u128::from(i), zones: (0..i % 7).collect() };
        builder.add_value(&format!("flavour-{i}"), &archive::encode(&flavour).unwrap()).unwrap();
    }
    let table = Table::from_bytes(&builder.to_bytes().unwrap()).unwrap();
    for i in 0..500_u32 {
        let row = table.find(&format!("flavour-{i}")).unwrap().unwrap();
        let flavour = archive::access::<Flavour>(row.value().unwrap().unwrap()).unwrap();
        assert_eq!((flavour.cores.to_native(), flavour.zones.len()), (u128::from(i), i as usize % 7));
    }
}
