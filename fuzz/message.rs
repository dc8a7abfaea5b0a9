//! What the target `archive` reads and writes: every form that a field can have. `seeds.rs` writes some of them.

use arbitrary::Arbitrary;
use blixard_arena::archive::{List, Pair, Schema, Text, rkyv};
use rkyv::with::Map;

#[derive(Arbitrary, Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(crate = rkyv)]
pub enum Kind<'a> {
    None,
    Text(#[rkyv(with = Text)] &'a str),
    Numbers { flag: bool, letter: char, wide: u128 },
}

#[derive(Arbitrary, Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
pub struct Message<'a> {
    pub id: [u8; 16],
    #[rkyv(with = Text)]
    pub name: &'a str,
    #[rkyv(with = Map<Text>)]
    pub tenant: Option<&'a str>,
    #[rkyv(with = List<Pair<Text, Text>>)]
    pub metadata: Vec<(&'a str, &'a str)>,
    #[rkyv(with = List)]
    pub scores: Vec<(u64, u32)>,
    #[rkyv(with = List<List<Text>>)]
    pub zones: Vec<Vec<&'a str>>,
    #[rkyv(with = List)]
    pub kinds: Vec<Kind<'a>>,
    // rkyv's own forms.
    pub own: String,
    pub boxed: Option<Box<[u16]>>,
}

impl Schema for Message<'_> {
    const NAME: &'static str = "fuzz.message";
}

/// Lists within lists.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator))]
#[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
pub struct Tree {
    pub value: bool,
    #[rkyv(omit_bounds)]
    pub inner: Vec<Tree>,
}

impl Schema for Tree {
    const NAME: &'static str = "fuzz.tree";
}
