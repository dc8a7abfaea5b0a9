//! A list of elements without bytes is a number that nothing bounds.

use blixard_arena::archive::{self, List, Schema, rkyv};

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Ticks {
    #[rkyv(with = List)]
    ticks: Vec<()>,
}

impl Schema for Ticks {
    const NAME: &'static str = "case.ticks";
}

fn main() {
    let _ = archive::encode(&Ticks { ticks: vec![(); 3] });
}
