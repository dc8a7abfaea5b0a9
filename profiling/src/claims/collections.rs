//! The lists and maps of a request and nothing else, over numbers instead of texts: the VMs, the pairs, each VM's
//! metadata as a sorted map, the proposals, the decisions.

use std::collections::BTreeMap;

use blixard_arena::Arena;
use blixard_arena::collections::{self, FlatMap, SmallVec};
use blixard_arena::pool::{Pooled, TypedObjectPool, VecPool};
use xxhash_rust::xxh3::Xxh3;

use super::{Form, InArena, Parsed, no_form};
use crate::strategy::Name;
use crate::strategy::pooled::lists;

pub(super) fn form(name: Name) -> Box<dyn Form> {
    match name {
        Name::Heap => Box::new(Heap),
        Name::Pooled => Box::new(FromPools::default()),
        Name::Arena => Box::new(InArena::new(in_arena)),
        other => no_form(other),
    }
}

/// A VM's line, and where its pairs begin and end.
type Vm = (usize, usize, usize);

fn vms<'r>(request: &'r Parsed<'_>) -> impl Iterator<Item = Vm> + 'r {
    request.vms.iter().enumerate().map(|(line, vm)| (line, vm.pairs.start, vm.pairs.end))
}

/// What a decision is in numbers.
fn decision(line: usize, labels: usize) -> u64 {
    (line as u64) << 32 | labels as u64
}

fn add(sum: &mut Xxh3, labels: impl Iterator<Item = (u32, u32)>, decision: u64) {
    for (key, value) in labels {
        sum.update(&key.to_le_bytes());
        sum.update(&value.to_le_bytes());
    }
    sum.update(&decision.to_le_bytes());
}

/// `Vec`s and `BTreeMap`s.
struct Heap;

impl Form for Heap {
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3) {
        let mut lines: Vec<Vm> = Vec::with_capacity(request.vms.len());
        lines.extend(vms(request));
        let mut pairs = Vec::with_capacity(request.numbers.len());
        pairs.extend_from_slice(&request.numbers);
        let mut proposals: Vec<BTreeMap<u32, u32>> = Vec::with_capacity(lines.len());
        proposals.extend(lines.iter().map(|&(_, from, to)| pairs[from..to].iter().copied().collect()));
        let mut decisions = Vec::with_capacity(lines.len());
        decisions.extend(lines.iter().zip(&proposals).map(|(&(line, ..), labels)| decision(line, labels.len())));
        for (labels, &decision) in proposals.iter().zip(&decisions) {
            add(sum, labels.iter().map(|(&key, &value)| (key, value)), decision);
        }
    }
}

/// Pairs by ascending key.
type Labels = SmallVec<(u32, u32)>;

/// Lists out of pools; maps are sorted short lists that lie in place up to eight pairs, and whose memory is kept beyond.
struct FromPools {
    lines: VecPool<Vm>,
    pairs: VecPool<(u32, u32)>,
    labels: TypedObjectPool<Labels>,
    proposals: VecPool<Pooled<Labels>>,
    decisions: VecPool<u64>,
}

impl Default for FromPools {
    fn default() -> Self {
        Self {
            lines: lists(),
            pairs: lists(),
            labels: TypedObjectPool::builder(Labels::new).reset(Labels::clear).build(),
            proposals: lists(),
            decisions: lists(),
        }
    }
}

impl Form for FromPools {
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3) {
        let mut lines = self.lines.acquire();
        lines.extend(vms(request));
        let mut pairs = self.pairs.acquire();
        pairs.extend_from_slice(&request.numbers);
        let mut proposals = self.proposals.acquire();
        proposals.extend(lines.iter().map(|&(_, from, to)| {
            let mut labels = self.labels.acquire();
            labels.extend_from_slice(&pairs[from..to]);
            // No key comes twice.
            labels.sort_unstable();
            labels
        }));
        let mut decisions = self.decisions.acquire();
        decisions.extend(lines.iter().zip(&*proposals).map(|(&(line, ..), labels)| decision(line, labels.len())));
        for (labels, &decision) in proposals.iter().zip(&*decisions) {
            add(sum, labels.iter().copied(), decision);
        }
    }
}

/// Lists and maps of the request's arena.
fn in_arena(arena: &Arena, request: &Parsed<'_>, sum: &mut Xxh3) {
    let mut lines = collections::Vec::with_capacity_in(request.vms.len(), arena);
    lines.extend(vms(request));
    let pairs = arena.alloc_slice_copy(&request.numbers);
    let mut proposals = collections::Vec::with_capacity_in(lines.len(), arena);
    proposals.extend(lines.iter().map(|&(_, from, to)| {
        let labels = FlatMap::from_iter_in(pairs[from..to].iter().copied(), arena).freeze();
        labels.sort_unstable_by_key(|(key, _)| *key);
        labels
    }));
    let mut decisions = collections::Vec::with_capacity_in(lines.len(), arena);
    decisions.extend(lines.iter().zip(&*proposals).map(|(&(line, ..), labels)| decision(line, labels.len())));
    for (labels, &decision) in proposals.iter().zip(&*decisions) {
        add(sum, labels.iter().copied(), decision);
    }
}
