//! Proposals of every kind: both forms pass the same limits, word the same reasons, and encode to the same bytes.

mod drawn;

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use blixard_arena::arena::AnyArena;
use blixard_arena::{Arena, ArenaPool, SharedArena, archive};
use control_plane::raft::{
    AnyBatch, AnyProposal, Lifetime, Outcome, ProposalBatch, ProposalLimits, ProposalProcessor, View, heap,
};
use control_plane::scheduler::{self, Decision};
use drawn::{Drawn, build, build_in};
use proptest::prelude::*;

/// VMs that are created.
fn created(drawn: &[Drawn]) -> usize {
    drawn::flat(drawn).into_iter().filter(|one| matches!(one, Drawn::Create { .. })).count()
}

fn batch_in<'a, A: AnyArena>(arena: &'a A, drawn: &'a [Drawn]) -> ProposalBatch<'a> {
    let decisions = arena.alloc_slice_fill_with(created(drawn), |vm| Decision {
        placement: None,
        alternatives: &[],
        reason: arena.concat(("no ", vm)),
    });
    let proposals = build_in(arena, drawn, ProposalLimits::default()).expect("within the limits");
    ProposalBatch::new(proposals, decisions)
}

fn batch(drawn: &[Drawn]) -> heap::ProposalBatch {
    let decision = |vm| scheduler::heap::Decision { reason: format!("no {vm}"), ..scheduler::heap::Decision::empty() };
    let proposals = build(drawn, ProposalLimits::default()).expect("within the limits");
    heap::ProposalBatch::new(proposals, (0..created(drawn)).map(decision).collect())
}

/// A proposal that somebody keeps otherwise.
struct Kept(heap::Proposal);

impl AnyProposal for Kept {
    type Pairs<'p> = <heap::Proposal as AnyProposal>::Pairs<'p>;
    type Arguments<'p> = <heap::Proposal as AnyProposal>::Arguments<'p>;

    fn id(&self) -> control_plane::raft::ProposalId {
        self.0.id
    }

    fn reason(&self) -> &str {
        &self.0.reason
    }

    fn reply(&self) -> Option<&control_plane::raft::Reply> {
        None
    }

    fn view(&self) -> View<'_, Self> {
        match self.0.view() {
            View::CreateVm { config, lifetime } => View::CreateVm { config, lifetime },
            View::StartVm { vm } => View::StartVm { vm },
            other => panic!("not kept here: {other:?}"),
        }
    }
}

struct KeptBatch(Vec<Kept>);

impl AnyBatch for KeptBatch {
    type Proposal = Kept;

    fn proposals(&self) -> &[Kept] {
        &self.0
    }

    fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'_>> + Clone {
        let created = self.0.iter().filter(|kept| matches!(kept.view(), View::CreateVm { .. })).count();
        std::iter::repeat_n(Outcome { placement: None, alternatives: &[], reason: "" }, created)
    }
}

proptest! {
    #[test]
    fn every_form_encodes_to_the_same_bytes(drawn in drawn::batch(3)) {
        let processor = ProposalProcessor::default();
        let expected = processor.encode(&batch(&drawn)).expect("within the limits");
        for repeat in 0..2 {
            let arena = Arena::new();
            let shared = SharedArena::new();
            let bytes = processor.encode(&batch_in(&arena, &drawn)).expect("within the limits");
            prop_assert_eq!(&*bytes, &*expected, "arena, {}", repeat);
            let bytes = processor.encode(&batch_in(&shared, &drawn)).expect("within the limits");
            prop_assert_eq!(&*bytes, &*expected, "shared arena, {}", repeat);
        }
        let arena = Arena::new();
        let unchecked = archive::encode(&batch_in(&arena, &drawn)).expect("small");
        prop_assert_eq!(&unchecked, &expected);
    }

    /// Where one form is refused the other is, with the same words.
    #[test]
    fn every_form_has_the_same_limits(
        drawn in drawn::batch(6),
        name_bytes_max in 1..7_usize,
        pairs_max in 0..5_usize,
        proposal_bytes_max in 40..400_usize,
        batch_proposals_max in 1..30_usize,
        batch_bytes_max in 100..4_000_usize,
    ) {
        let limits = ProposalLimits {
            name_bytes_max, text_bytes_max: 40, pairs_max, proposal_bytes_max, batch_proposals_max, batch_bytes_max,
        };
        let arena = Arena::new();
        let in_arena = build_in(&arena, &drawn, limits);
        match (build(&drawn, limits), in_arena) {
            (Ok(on_heap), Ok(in_arena)) => prop_assert_eq!(on_heap.len(), in_arena.len()),
            (Err(on_heap), Err(in_arena)) => prop_assert_eq!(on_heap, in_arena),
            (on_heap, in_arena) => prop_assert!(false, "{on_heap:?} on the heap, {in_arena:?} in the arena"),
        }
    }
}

#[test]
fn every_kind_shows_in_the_bytes() {
    let kinds = [
        Drawn::Create { vm: "a".into(), version: 1, metadata: vec![] },
        Drawn::Start("a".into()),
        Drawn::Stop("a".into(), 1),
        Drawn::Stop("a".into(), 2),
        Drawn::Delete("a".into()),
        Drawn::Status("a".into(), control_plane::names::VmStatus::Running),
        Drawn::Status("a".into(), control_plane::names::VmStatus::Failed),
        Drawn::Join("a".into(), control_plane::names::NodeRole::Learner, [10, 0, 0, 1].into()),
        Drawn::Join("a".into(), control_plane::names::NodeRole::Follower, [10, 0, 0, 1].into()),
        Drawn::Join("a".into(), control_plane::names::NodeRole::Follower, [0_u16; 8].into()),
        Drawn::Leave("a".into()),
        Drawn::Task("a".into(), vec![]),
        Drawn::Task("a".into(), vec![String::new()]),
        Drawn::Batch(vec![Drawn::Start("a".into())]),
        Drawn::Batch(vec![Drawn::Batch(vec![Drawn::Start("a".into())])]),
    ];
    let processor = ProposalProcessor::default();
    let encoded = |kind| processor.encode(&batch(std::slice::from_ref(kind))).expect("within the limits");
    let bytes: std::collections::HashSet<bytes::Bytes> = kinds.iter().map(encoded).collect();
    assert_eq!(bytes.len(), kinds.len());
}

#[test]
fn a_form_of_ones_own_is_encoded_too() {
    let drawn = [Drawn::Start("a".into()), Drawn::Create { vm: "b".into(), version: 2, metadata: vec![] }];
    let kept = KeptBatch(build(&drawn, ProposalLimits::default()).unwrap().into_iter().map(Kept).collect());
    let expected = heap::ProposalBatch::new(
        build(&drawn, ProposalLimits::default()).unwrap(),
        vec![scheduler::heap::Decision::empty()],
    );
    let processor = ProposalProcessor::default();
    assert_eq!(*processor.encode(&kept).unwrap(), *processor.encode(&expected).unwrap());
}

/// A proposal that is another one at each look.
struct Fickle(Vec<heap::Proposal>, Cell<usize>);

impl AnyProposal for Fickle {
    type Pairs<'p> = <heap::Proposal as AnyProposal>::Pairs<'p>;
    type Arguments<'p> = <heap::Proposal as AnyProposal>::Arguments<'p>;

    fn id(&self) -> control_plane::raft::ProposalId {
        self.0[0].id
    }

    fn reason(&self) -> &str {
        &self.0[0].reason
    }

    fn reply(&self) -> Option<&control_plane::raft::Reply> {
        None
    }

    fn view(&self) -> View<'_, Self> {
        let look = self.1.replace(self.1.get() + 1);
        match self.0[look % self.0.len()].view() {
            View::CreateVm { config, lifetime } => View::CreateVm { config, lifetime },
            View::StartVm { vm } => View::StartVm { vm },
            other => panic!("not drawn here: {other:?}"),
        }
    }
}

impl AnyBatch for Fickle {
    type Proposal = Self;

    fn proposals(&self) -> &[Self] {
        std::slice::from_ref(self)
    }

    fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'_>> + Clone {
        std::iter::empty()
    }
}

#[test]
fn a_proposal_that_looks_different_each_time_is_not_encoded() {
    let id = drawn::ids().next_id();
    let start = || heap::Proposal::new(id, heap::ProposalData::StartVm { vm: "vm-1".into() });
    let create = |until_seconds| {
        let lifetime = Lifetime { until_seconds, ..drawn::LIFETIME };
        heap::Proposal::create_vm(id, lifetime, &drawn::spec("vm-1", 1), &[("zone", "b")])
    };
    let encoded = |looks| {
        let batch = Fickle(looks, Cell::new(0));
        std::panic::catch_unwind(AssertUnwindSafe(|| archive::encode(&AnyBatch::view(&batch))))
    };
    assert!(encoded(vec![start()]).unwrap().is_ok());
    assert!(encoded(vec![create(Some(7)), create(Some(8))]).unwrap().is_ok(), "either is as good as the other");
    for looks in [
        [start(), create(None)],
        [create(None), start()],
        [create(None), create(Some(7))],
        [create(Some(7)), create(None)],
    ] {
        let panicked = encoded(looks.into()).unwrap_err();
        assert_eq!(panicked.downcast_ref(), Some(&"a proposal looks the same each time"));
    }
}

#[test]
fn buffers_come_back_from_the_log() {
    let processor = ProposalProcessor::default();
    let pool = ArenaPool::new();
    let drawn = [Drawn::Start("a".into())];
    let mut addresses = std::collections::HashSet::new();
    for _ in 0..100 {
        let arena = pool.acquire();
        let entry = processor.encode(&batch_in(&*arena, &drawn)).unwrap();
        let magic: bytes::Bytes = entry.slice(..4);
        addresses.insert(entry.as_ptr().addr());
        std::thread::spawn(move || drop(entry)).join().unwrap();
        assert_eq!(&magic[..], b"\xB1xar");
    }
    assert_eq!(addresses.len(), 1);
}
