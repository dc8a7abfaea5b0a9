//! Strategy `pooled`: plain std types that are recycled one by one instead of freed, and names that are stored once.
//!
//! Metadata keys, of which there are few, are interned: a word each, counted. All other texts are copied over old ones, in proposals
//! and decisions out of pools. Lists come from pools too.
//!
//! Invariants: the same values as in [`heap`](super::heap), each owned, each fit to outlive the request.
//! Cost: no heap call once the pools are warm, but for the backtraces of sampled leak sites; an atomic addition and a
//! subtraction for each key.

use std::mem;
use std::slice;

use blixard_arena::collections::SmallVec;
use blixard_arena::intern::{InternedString, StringPin, StringPool};
use blixard_arena::pool::{Pooled, TypedObjectPool, VecPool};
use control_plane::raft::heap::{Proposal, RAFT_PROPOSAL_POOL};
use control_plane::raft::{AnyBatch, AnyProposal, Outcome, ProposalId, Reply, View};
use control_plane::scheduler::VmConfigView;
use control_plane::scheduler::heap::Decision;

use crate::replay::{Desk, Phase, Strategy};
use crate::request::{Request, RequestError, VmRequest};

/// Metadata: unique keys, ascending; the values one after the other in one text, so that all share its memory.
#[derive(Debug, Default)]
struct Labels {
    keys: SmallVec<Key>,
    values: String,
}

/// A key, and where its value ends.
type Key = (InternedString, usize);

impl Labels {
    /// Takes pairs over in any order, of equal keys the last.
    fn assign(&mut self, pin: &StringPin<'_>, pairs: &[(&str, &str)]) {
        let mut sorted: SmallVec<(&str, &str), 16> = SmallVec::from_slice(pairs);
        sorted.sort_by_key(|(key, _)| *key);
        sorted.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                *earlier = *later;
            }
            same
        });
        self.clear();
        for (key, value) in sorted {
            self.values.push_str(value);
            self.keys.push((pin.intern(key).to_interned(), self.values.len()));
        }
    }

    fn pairs(&self) -> Pairs<'_> {
        Pairs { keys: self.keys.iter(), values: &self.values, start: 0 }
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
    }

    fn heap_bytes(&self) -> usize {
        let spilled = if self.keys.spilled() { self.keys.capacity() } else { 0 };
        spilled * size_of::<Key>() + self.values.capacity()
    }
}

/// Goes through [`Labels`].
#[derive(Clone)]
struct Pairs<'l> {
    keys: slice::Iter<'l, Key>,
    values: &'l str,
    start: usize,
}

impl<'l> Iterator for Pairs<'l> {
    type Item = (&'l str, &'l str);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, end) = self.keys.next()?;
        let value = &self.values[mem::replace(&mut self.start, *end)..*end];
        Some((key.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.keys.size_hint()
    }
}

impl ExactSizeIterator for Pairs<'_> {}

/// What stands beside a proposal: its metadata, and what was decided.
#[derive(Debug)]
struct Beside {
    labels: Labels,
    decision: Decision,
}

impl Beside {
    fn empty() -> Self {
        Self { labels: Labels::default(), decision: Decision::empty() }
    }

    fn clear(&mut self) {
        self.labels.clear();
        self.decision.clear();
    }

    fn heap_bytes(&self) -> usize {
        self.labels.heap_bytes() + self.decision.heap_bytes()
    }
}

/// A VM of the request at hand.
#[derive(Debug)]
struct Vm {
    proposal: Pooled<Proposal>,
    beside: Pooled<Beside>,
}

/// The proposal, with its metadata from beside it.
impl AnyProposal for Vm {
    type Pairs<'p> = Pairs<'p>;
    type Arguments<'p> = std::iter::Empty<&'p str>;

    fn id(&self) -> ProposalId {
        self.proposal.id
    }

    fn reason(&self) -> &str {
        &self.proposal.reason
    }

    fn reply(&self) -> Option<&Reply> {
        self.proposal.reply.as_ref()
    }

    fn view(&self) -> View<'_, Self> {
        let (config, lifetime) = self.proposal.data.create_vm().expect("a request creates VMs");
        let config = VmConfigView { spec: config.spec(), metadata: self.beside.labels.pairs() };
        View::CreateVm { config, lifetime }
    }
}

/// The VMs of the request at hand, all placed.
struct Batch<'v>(&'v [Vm]);

impl AnyBatch for Batch<'_> {
    type Proposal = Vm;

    fn proposals(&self) -> &[Vm] {
        self.0
    }

    fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'_>> + Clone {
        self.0.iter().map(|vm| {
            let Decision { placement, alternatives, reason } = &vm.beside.decision;
            Outcome { placement: *placement, alternatives, reason }
        })
    }
}

/// Serves requests from pools that all threads share.
#[derive(Debug)]
pub struct Pools {
    names: StringPool,
    beside: TypedObjectPool<Beside>,
    vms: VecPool<Vm>,
    // Empty whenever they lie in their pools: the lifetimes of what they hold in a request are another's.
    fields: VecPool<VmRequest<'static>>,
    pairs: VecPool<(&'static str, &'static str)>,
}

impl Default for Pools {
    fn default() -> Self {
        let beside = TypedObjectPool::builder(Beside::empty).name("decisions").reset(Beside::clear);
        Self {
            names: StringPool::new(),
            beside: beside.retained_bytes(Beside::heap_bytes).retain_bytes_max(4 << 10).build(),
            vms: lists(),
            fields: lists(),
            pairs: lists(),
        }
    }
}

/// Lists as long as a request needs them, of which one thread keeps four.
pub(crate) fn lists<T: Send + 'static>() -> VecPool<T> {
    VecPool::builder_with_capacity(0).retain_bytes_max(200 << 10).build()
}

impl Strategy for Pools {
    fn serve(&self, desk: &mut Desk, bytes: &[u8]) -> Result<(), RequestError> {
        desk.clock.begin();
        let pin = self.names.pin();
        let (mut kept_fields, mut kept_pairs) = (self.fields.acquire(), self.pairs.acquire());
        let mut fields = emptied(mem::take(&mut *kept_fields));
        let mut pairs = emptied(mem::take(&mut *kept_pairs));
        let mut vms = self.vms.acquire();
        desk.clock.lap(Phase::Build);

        let request = Request::open(bytes)?;
        fields.reserve(request.vms);
        pairs.reserve(request.pairs);
        request.parse(&mut fields, &mut pairs)?;
        desk.clock.lap(Phase::Parse);

        vms.reserve(fields.len());
        for vm in &fields {
            let (mut proposal, mut beside) = (RAFT_PROPOSAL_POOL.acquire(), self.beside.acquire());
            proposal.assign_create_vm(vm.id, vm.lifetime, &vm.spec, &[]);
            beside.labels.assign(&pin, &pairs[vm.pairs.clone()]);
            vms.push(Vm { proposal, beside });
        }
        desk.clock.lap(Phase::Build);

        for Vm { proposal, beside } in &mut *vms {
            let Some((config, lifetime)) = proposal.data.create_vm() else { continue };
            let spec = config.spec();
            let chosen = desk.cluster.place(&spec, lifetime);
            desk.tally(&chosen);
            beside.decision.assign(desk.cluster.nodes(), &spec, chosen);
        }
        desk.clock.lap(Phase::Place);

        desk.encoded = desk.processor.encode(&Batch(&vms))?;
        desk.clock.lap(Phase::Encode);

        (*kept_fields, *kept_pairs) = (emptied(fields), emptied(pairs));
        drop((vms, kept_fields, kept_pairs, pin));
        desk.clock.lap(Phase::Release);
        Ok(())
    }
}

/// An empty list of other elements of the same size in the same memory: std collects in place.
fn emptied<A, B>(mut list: Vec<A>) -> Vec<B> {
    list.clear();
    list.into_iter().filter_map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn labels_are_what_a_sorted_map_would_hold() {
        let names = StringPool::new();
        let mut labels = Labels::default();
        let many: Vec<_> =
            (0..100).map(|at| (["b", "", "a", "zone", "app"][at * 7 % 5], ["x", "", "longer"][at % 3])).collect();
        for pairs in [&many[..0], &many[..1], &many[..5], &many[..12], &many] {
            labels.assign(&names.pin(), pairs);
            let found: Vec<_> = labels.pairs().collect();
            let model: BTreeMap<_, _> = pairs.iter().copied().collect();
            assert_eq!(found, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_emptied_list_keeps_its_memory() {
        let list: Vec<&str> = Vec::with_capacity(40);
        let before = list.as_ptr().addr();
        let list: Vec<(usize, usize)> = emptied(list);
        assert_eq!((list.as_ptr().addr(), list.capacity(), list.len()), (before, 40, 0));
    }
}
