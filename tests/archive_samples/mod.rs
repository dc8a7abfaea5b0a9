//! A value with all that an archive can hold, in an arena's form and in the heap's, for the tests of archives.
#![allow(dead_code, reason = "each test takes what it needs")]

use blixard_arena::archive::{ArenaDecoder, List, Pair, Schema, Text, rkyv};
use rkyv::with::Map;

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub(crate) enum Placement {
    Refused,
    On { node: u32, exclusive: bool },
    Spread(u16, u16),
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub(crate) struct HeapProposal {
    pub(crate) id: [u8; 16],
    #[rkyv(with = Text)]
    pub(crate) name: String,
    #[rkyv(with = Map<Text>)]
    pub(crate) tenant: Option<String>,
    #[rkyv(with = List<Pair<Text, Text>>)]
    pub(crate) metadata: Vec<(String, String)>,
    #[rkyv(with = List)]
    pub(crate) scores: Vec<(u64, f64)>,
    #[rkyv(with = List<List<Text>>)]
    pub(crate) zones: Vec<Vec<String>>,
    pub(crate) placement: Placement,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(crate = rkyv, as = ArchivedHeapProposal)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator))]
#[rkyv(deserialize_bounds(__D: ArenaDecoder<'a>))]
pub(crate) struct Proposal<'a> {
    pub(crate) id: [u8; 16],
    #[rkyv(omit_bounds, with = Text)]
    pub(crate) name: &'a str,
    #[rkyv(omit_bounds, with = Map<Text>)]
    pub(crate) tenant: Option<&'a str>,
    #[rkyv(omit_bounds, with = List<Pair<Text, Text>>)]
    pub(crate) metadata: &'a [(&'a str, &'a str)],
    #[rkyv(omit_bounds, with = List)]
    pub(crate) scores: &'a [(u64, f64)],
    #[rkyv(omit_bounds, with = List<List<Text>>)]
    pub(crate) zones: &'a [&'a [&'a str]],
    pub(crate) placement: Placement,
}

impl Schema for HeapProposal {
    const NAME: &'static str = "test.proposal";
    const VERSION: u32 = 3;
}

impl Schema for Proposal<'_> {
    const NAME: &'static str = "test.proposal";
    const VERSION: u32 = 3;
}

pub(crate) const PROPOSAL: Proposal<'static> = Proposal {
    id: *b"0123456789abcdef",
    name: "vm-frontend-0001",
    tenant: Some("mieter-größe"),
    metadata: &[("tier", "db"), ("", "ключ"), ("app", "")],
    scores: &[(1, 0.5), (u64::MAX, f64::NEG_INFINITY)],
    zones: &[&["a", "b"], &[], &["zone-with-a-long-name-beyond-any-inline-form"]],
    placement: Placement::On { node: 7, exclusive: true },
};

pub(crate) fn heap_proposal() -> HeapProposal {
    HeapProposal {
        id: PROPOSAL.id,
        name: PROPOSAL.name.to_owned(),
        tenant: PROPOSAL.tenant.map(str::to_owned),
        metadata: PROPOSAL.metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        scores: PROPOSAL.scores.to_vec(),
        zones: PROPOSAL.zones.iter().map(|zone| zone.iter().map(|name| (*name).to_owned()).collect()).collect(),
        placement: PROPOSAL.placement.clone(),
    }
}

/// Every byte that can be reached, read once.
pub(crate) fn read_all(archived: &ArchivedHeapProposal) -> u64 {
    let mut sum: u64 = archived.id.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let mut text = |text: &str| sum = sum.wrapping_add(text.chars().map(u64::from).sum());
    text(&archived.name);
    archived.tenant.iter().for_each(|tenant| text(tenant));
    archived.metadata.iter().for_each(|pair| [&pair.0, &pair.1].into_iter().for_each(|part| text(part)));
    archived.zones.iter().flat_map(|zone| zone.iter()).for_each(|name| text(name));
    for score in archived.scores.iter() {
        sum = sum.wrapping_add(score.0.to_native()).wrapping_add(score.1.to_native().to_bits());
    }
    match &archived.placement {
        ArchivedPlacement::Refused => sum,
        ArchivedPlacement::On { node, exclusive } => {
            sum.wrapping_add(u64::from(node.to_native()) + u64::from(*exclusive))
        }
        ArchivedPlacement::Spread(from, to) => {
            sum.wrapping_add(u64::from(from.to_native()) + u64::from(to.to_native()))
        }
    }
}
