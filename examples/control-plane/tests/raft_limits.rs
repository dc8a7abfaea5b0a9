//! Limits at their edges, what their errors say, and hostile input: an error, or a cost with a bound.

mod drawn;

use std::net::IpAddr;

use blixard_arena::{Arena, ArenaOptions, BudgetExceeded, archive};
use control_plane::names::{NodeRole, VmStatus};
use control_plane::raft::{
    Fault, NESTING_MAX, NodeSpec, Place, Proposal, ProposalBatch, ProposalBuilder, ProposalData, ProposalError,
    ProposalLimits, ProposalProcessor, TaskSpec, heap,
};
use control_plane::scheduler::{
    AntiAffinity, ArchivedDecision, Candidate, Decision, Level, NAME_BYTES_MAX, NodeId, NodeTable, Resource, Shortage,
    VmConfig, VmSpec,
};
use drawn::Drawn;
use proptest::prelude::*;

/// What one proposal is refused with, by the builder and, built by hand, by the processor.
fn refused(data: ProposalData<'_>) -> String {
    let arena = Arena::new();
    let mut ids = drawn::ids();
    let id = ids.next_id();
    let by_builder = ProposalBuilder::new_in(&arena, &mut ids).propose(data).expect_err("it is to be refused");
    let by_hand = [Proposal { id, data, reason: "", reply: None }];
    let by_processor = ProposalProcessor::default().encode(&ProposalBatch::new(&by_hand, &[])).expect_err("likewise");
    assert_eq!(by_builder, by_processor);
    by_builder.to_string()
}

#[test]
fn errors_name_place_value_and_limit() {
    let long = "v".repeat(254);
    assert_eq!(refused(ProposalData::StartVm { vm: "" }), "proposal 0, VM name: empty, at least 1 byte is needed");
    assert_eq!(
        refused(ProposalData::StopVm { vm: &long, grace_seconds: 0 }),
        "proposal 0, VM name: 254 bytes, at most 253 are allowed"
    );
    assert_eq!(
        refused(ProposalData::DeleteVm { vm: "vm\0" }),
        "proposal 0, VM name: control character '\\0' at byte 2"
    );
    assert_eq!(
        refused(ProposalData::UpdateVmStatus { vm: "vm", status: VmStatus::Running, node: "é\u{85}" }),
        "proposal 0, node name: control character '\\u{85}' at byte 2"
    );
    let task = TaskSpec { name: "t", command: "", timeout_seconds: 0 };
    let arguments = vec!["x"; 257];
    assert_eq!(
        refused(ProposalData::AssignTask { node: "n", task, arguments: &arguments }),
        "proposal 0, arguments: 257, at most 256 are allowed"
    );
    let argument = "x".repeat(4_097);
    assert_eq!(
        refused(ProposalData::AssignTask { node: "n", task, arguments: &[&argument] }),
        "proposal 0, argument: 4097 bytes, at most 4096 are allowed"
    );
    let node = NodeSpec {
        name: "n\u{7f}",
        ip: IpAddr::from([0; 4]),
        port: 0,
        role: NodeRole::Ready,
        cpu_milli: 0,
        memory_mib: 0,
        gpus: 0,
        gpu_model: "",
    };
    assert_eq!(refused(ProposalData::JoinNode(node)), "proposal 0, node name: control character '\\u{7f}' at byte 1");
    assert_eq!(
        refused(ProposalData::Batch { proposals: &[] }),
        "proposal 0, nested batch: empty, at least 1 byte is needed"
    );
}

#[test]
fn errors_name_the_place_in_nested_batches() {
    let arena = Arena::new();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    builder.propose(ProposalData::StartVm { vm: "a" }).unwrap();
    let error = builder
        .batch(|outer| {
            outer.propose(ProposalData::StartVm { vm: "b" })?;
            outer.propose(ProposalData::StartVm { vm: "c" })?;
            outer.batch(|inner| {
                inner.propose(ProposalData::StartVm { vm: "d" })?;
                inner.propose(ProposalData::StartVm { vm: "e\t" })
            })
        })
        .unwrap_err();
    assert_eq!(error.place.positions(), [1, 2, 1]);
    assert_eq!(error.to_string(), "proposal 1.2.1, VM name: control character '\\t' at byte 1");
    // Nothing was added.
    assert_eq!(builder.finish().len(), 1);
}

#[test]
fn a_refused_proposal_leaves_the_builder_as_it_was() {
    let limits = ProposalLimits { batch_proposals_max: 3, ..ProposalLimits::default() };
    let arena = Arena::new();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::with_limits_in(&arena, &mut ids, limits);
    let start = ProposalData::StartVm { vm: "a" };
    builder.propose(start).unwrap();
    builder.propose(ProposalData::StartVm { vm: "" }).unwrap_err();
    builder.batch(|inner| inner.propose(start)).unwrap(); // two more: the batch and what is in it
    let full = builder.propose(start).unwrap_err();
    assert_eq!(full.place, Place::BATCH);
    assert_eq!(full.to_string(), "the batch, proposals: 4, at most 3 are allowed");
    assert_eq!(builder.finish().len(), 2);
}

/// Batches in one another, each of one.
fn nest(builder: &mut ProposalBuilder<'_, '_, Arena>, depth: usize) -> Result<(), ProposalError> {
    if depth == 0 {
        return builder.propose(ProposalData::StartVm { vm: "a" }).map(drop);
    }
    builder.batch(|inner| nest(inner, depth - 1)).map(drop)
}

#[test]
fn batches_nest_so_deep_and_no_deeper() {
    let arena = Arena::new();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    nest(&mut builder, NESTING_MAX).unwrap();
    let error = nest(&mut builder, NESTING_MAX + 1).unwrap_err();
    assert_eq!(error.fault, Fault::TooDeep { depth_max: NESTING_MAX });
    assert_eq!(error.to_string(), "proposal 1.0.0.0.0: batches may lie in one another 4 deep");
    let batch = ProposalBatch::new(builder.finish(), &[]);
    ProposalProcessor::default().encode(&batch).unwrap();

    // By hand, past the builder: a thousand deep.
    let mut proposals: &[Proposal<'_>] = batch.proposals();
    for _ in 0..1_000 {
        let outer = Proposal { data: ProposalData::Batch { proposals }, ..proposals[0] };
        proposals = std::slice::from_ref(arena.alloc(outer));
    }
    let error = ProposalProcessor::default().encode(&ProposalBatch::new(proposals, &[])).unwrap_err();
    assert_eq!(error.fault, Fault::TooDeep { depth_max: NESTING_MAX });
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    let error = builder.propose(ProposalData::Batch { proposals }).unwrap_err();
    assert_eq!(error.fault, Fault::TooDeep { depth_max: NESTING_MAX });

    let error = heap::ProposalBuilder::new(&mut ids)
        .batch(|a| a.batch(|b| b.batch(|c| c.batch(|d| d.batch(|_| Ok(()))))))
        .unwrap_err();
    assert_eq!(error.to_string(), "proposal 0.0.0.0.0: batches may lie in one another 4 deep");
}

/// Drawn proposals as a batch, with a decision of any length for each VM that is created.
fn drawn_batch<'a>(arena: &'a Arena, drawn: &'a [Drawn], reasons: &'a [String]) -> ProposalBatch<'a> {
    const SOME: [Candidate; 2] = [Candidate { node: NodeId(1), score: 6 }, Candidate { node: NodeId(2), score: 5 }];
    let proposals = drawn::build_in(arena, drawn, ProposalLimits::default()).expect("within the limits");
    let created = drawn::flat(drawn).into_iter().filter(|one| matches!(one, Drawn::Create { .. })).count();
    let decisions = arena.alloc_slice_fill_with(created, |vm| Decision {
        placement: None,
        alternatives: &SOME[..vm % 3],
        reason: reasons.get(vm).map_or("", String::as_str),
    });
    ProposalBatch::new(proposals, decisions)
}

/// The bytes of one proposal are those that a batch of it has more than one of nothing.
fn alone(proposal: Proposal<'_>) -> usize {
    let decision = Decision { placement: None, alternatives: &[], reason: "" };
    let encoded = |proposals: &[Proposal<'_>], decisions: &[Decision<'_>]| {
        archive::encode(&ProposalBatch::new(proposals, decisions)).expect("small").len()
    };
    let created = usize::from(proposal.data.create_vm().is_some());
    let decision_bytes = size_of::<ArchivedDecision>() * created;
    encoded(&[proposal], &[decision][..created]) - encoded(&[], &[]) - decision_bytes
}

#[test]
fn a_batch_that_has_exactly_the_bytes_passes_and_one_byte_more_does_not() {
    let (arena, all) = (Arena::new(), ProposalLimits::default());
    // Every remainder that the padding depends on.
    for bytes in 1..=40 {
        let name = "v".repeat(bytes);
        let mut ids = drawn::ids();
        let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
        builder.propose(ProposalData::StartVm { vm: &name }).unwrap();
        builder.batch(|inner| inner.propose(ProposalData::StartVm { vm: "vm-2" })).unwrap();
        let batch = ProposalBatch::new(builder.finish(), &[]);
        let encoded = archive::encode(&batch).unwrap().len();

        let of = |limits| ProposalProcessor::new(limits).encode(&batch).map(|entry| entry.len());
        assert_eq!(of(ProposalLimits { batch_bytes_max: encoded, ..all }), Ok(encoded));
        let error = of(ProposalLimits { batch_bytes_max: encoded - 1, ..all }).unwrap_err();
        assert_eq!(error.fault, Fault::TooLarge { bytes: encoded, bytes_max: encoded - 1 });
        assert!(error.to_string().starts_with("the batch: "), "{error}");

        // A builder knows it too.
        let build = |batch_bytes_max| {
            let mut ids = drawn::ids();
            let mut builder =
                ProposalBuilder::with_limits_in(&arena, &mut ids, ProposalLimits { batch_bytes_max, ..all });
            builder
                .propose(batch.proposals()[0].data)
                .and_then(|_| builder.propose(batch.proposals()[1].data))
                .map(drop)
        };
        assert_eq!(build(encoded), Ok(()));
        assert_eq!(build(encoded - 1), Err(error));

        // The larger one is refused by its own bytes: what is nested counts.
        let sizes = [alone(batch.proposals()[0]), alone(batch.proposals()[1])];
        let at = usize::from(sizes[1] > sizes[0]);
        assert_eq!(of(ProposalLimits { proposal_bytes_max: sizes[at], ..all }), Ok(encoded));
        let error = of(ProposalLimits { proposal_bytes_max: sizes[at] - 1, ..all }).unwrap_err();
        assert_eq!(error.place.positions(), [at]);
        assert_eq!(error.fault, Fault::TooLarge { bytes: sizes[at], bytes_max: sizes[at] - 1 });
    }
}

#[test]
fn a_hundred_thousand_pairs_are_refused_before_they_cost_anything() {
    let keys: Vec<String> = (0..100_000).map(|key| format!("key-{key}")).collect();
    let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "value")).collect();
    let arena = ArenaOptions::new().budget_bytes_max(64 << 10).arena();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    let before = arena.figures().used_bytes;
    let error = builder.create_vm(drawn::LIFETIME, drawn::spec("a", 1), &pairs).unwrap_err();
    assert_eq!(error.to_string(), "proposal 0, pairs of metadata: 100000, at most 256 are allowed");
    assert_eq!(arena.figures().used_bytes, before);
}

#[test]
fn a_name_of_64_mib_is_not_copied() {
    let name = "v".repeat(64 << 20);
    let arena = ArenaOptions::new().budget_bytes_max(64 << 10).arena();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    for data in [ProposalData::StartVm { vm: &name }, ProposalData::LeaveNode { node: &name }] {
        let error = builder.propose(data).unwrap_err();
        assert!(matches!(error.fault, Fault::TooLong { bytes: 0x400_0000, bytes_max: 253, .. }), "{error}");
    }
}

#[test]
fn a_budget_that_is_exceeded_is_an_error_like_others() {
    let arena = ArenaOptions::new().budget_bytes_max(16 << 10).arena();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    let error = (0..10_000).find_map(|_| builder.propose(ProposalData::StartVm { vm: "vm-1" }).err()).unwrap();
    let source = std::error::Error::source(&error).unwrap().downcast_ref::<BudgetExceeded>().unwrap();
    assert_eq!(source.allowed, 16 << 10);
    assert!(!builder.finish().is_empty());
}

/// What a builder adds within `budget`, until it is refused: never a panic, and what was added before stands.
fn within(budget: usize, add: impl Fn(&mut ProposalBuilder<'_, '_, Arena>) -> Result<(), ProposalError>) -> bool {
    let arena = ArenaOptions::new().budget_bytes_max(budget).arena();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    for added in 0..64 {
        if let Err(error) = add(&mut builder) {
            assert!(matches!(error.fault, Fault::Budget(over) if over.allowed == budget), "{error}");
            assert_eq!(error.place.positions().first(), Some(&added));
            assert_eq!(builder.finish().len(), added);
            return false;
        }
    }
    true
}

#[test]
fn every_way_to_propose_is_refused_over_its_budget() {
    let many = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"]
        .map(|key| (key, "value"));
    let lists: [&[(&str, &str)]; 4] = [&[], &many[..8], &[("zone", "b"), ("zone", "c")], &many];
    for pairs in lists {
        let create = |builder: &mut ProposalBuilder<'_, '_, Arena>| {
            builder.create_vm(drawn::LIFETIME, drawn::spec("vm-1", 1), pairs).map(drop)
        };
        let nested = |builder: &mut ProposalBuilder<'_, '_, Arena>| {
            builder
                .batch(|both| {
                    both.create_vm(drawn::LIFETIME, drawn::spec("vm-1", 1), pairs)?;
                    both.propose(ProposalData::StartVm { vm: "vm-1" })
                })
                .map(drop)
        };
        let budgets = || (0..=256 << 10).step_by(1 << 9);
        let refused = [
            budgets().filter(|&budget| !within(budget, create)).count(),
            budgets().filter(|&budget| !within(budget, nested)).count(),
        ];
        assert!(refused.iter().all(|&refused| refused > 16 && refused < 512), "{} pairs: {refused:?}", pairs.len());
    }
}

#[test]
fn infallible_twins_panic_with_what_the_fallible_ones_return() {
    let arena = ArenaOptions::new().budget_bytes_max(64).arena();
    let pairs = ["app", "zone", "owner", "tier"].map(|key| (key, "value")).repeat(8);
    let (id, spec) = (drawn::ids().next_id(), drawn::spec("vm-1", 1));
    let refused = VmConfig::try_new_in(&arena, spec, &pairs).unwrap_err();
    assert_eq!(Proposal::try_create_vm_in(&arena, id, drawn::LIFETIME, spec, &pairs).unwrap_err(), refused);
    let panicked = |call: &dyn Fn()| {
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_err();
        *payload.downcast::<BudgetExceeded>().unwrap()
    };
    assert_eq!(panicked(&|| _ = VmConfig::new_in(&arena, spec, &pairs)), refused);
    assert_eq!(panicked(&|| _ = Proposal::create_vm_in(&arena, id, drawn::LIFETIME, spec, &pairs)), refused);

    let table = NodeTable::new(&[]).unwrap();
    let chosen = Err(Shortage { resource: Resource::Nodes, asked: 0, most: 0 });
    let full = ArenaOptions::new().budget_bytes_max(16).arena();
    let refused = Decision::try_new_in(&full, &table, &spec, chosen).unwrap_err();
    assert_eq!(panicked(&|| _ = Decision::new_in(&full, &table, &spec, chosen)), refused);
}

proptest! {
    /// Whatever is proposed, what passes is within the limits, and a name that passes has no control character.
    #[test]
    fn any_text_passes_or_is_refused(vm in "\\PC{0,300}|[\\x00-\\x20a]{0,8}|\u{80}|.{0,300}") {
        let arena = Arena::new();
        let mut ids = drawn::ids();
        let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
        let passes = builder.propose(ProposalData::StartVm { vm: &vm }).is_ok();
        prop_assert_eq!(passes, !vm.is_empty() && vm.len() <= 253 && !vm.chars().any(char::is_control));
    }

    /// Whatever is in a batch and in whatever form, its bytes are known before it is encoded.
    #[test]
    fn bytes_are_counted_as_they_are_written(
        drawn in drawn::batch(4),
        reasons in proptest::collection::vec("[a-z]{0,20}", 0..4),
    ) {
        let arena = Arena::new();
        let batch = drawn_batch(&arena, &drawn, &reasons);
        let encoded = archive::encode(&batch).expect("small").len();
        prop_assert_eq!(ProposalProcessor::default().check(&batch), Ok(encoded));
        let exactly = |batch_bytes_max| ProposalProcessor::new(ProposalLimits { batch_bytes_max, ..ProposalLimits::default() });
        prop_assert_eq!(exactly(encoded).check(&batch), Ok(encoded));
        let error = exactly(encoded - 1).check(&batch).expect_err("a byte more than is allowed");
        let too_large = matches!(error.fault, Fault::TooLarge { bytes_max, .. } if bytes_max == encoded - 1);
        prop_assert!(too_large, "{}", error);

        // Each proposal by itself, and none of them a byte less.
        let singles = batch.proposals().iter().filter(|one| !matches!(one.data, ProposalData::Batch { .. }));
        if let Some(largest) = singles.map(|one| alone(*one)).max() {
            let nested = drawn.iter().any(|one| matches!(one, Drawn::Batch(_)));
            let of = |proposal_bytes_max| {
                ProposalProcessor::new(ProposalLimits { proposal_bytes_max, ..ProposalLimits::default() }).check(&batch)
            };
            prop_assert!(nested || of(largest).is_ok());
            prop_assert!(of(largest - 1).is_err());
        }
    }

    #[test]
    fn what_a_builder_passes_a_processor_passes(drawn in drawn::batch(4)) {
        let limits = ProposalLimits { batch_bytes_max: 900, proposal_bytes_max: 300, ..ProposalLimits::default() };
        let arena = Arena::new();
        let Ok(proposals) = drawn::build_in(&arena, &drawn, limits) else { return Ok(()) };
        let created = drawn::flat(&drawn).into_iter().any(|one| matches!(one, drawn::Drawn::Create { .. }));
        prop_assume!(!created);
        let passed = ProposalProcessor::new(limits).check(&ProposalBatch::new(proposals, &[]));
        prop_assert!(passed.is_ok(), "{passed:?}");
    }
}

/// A group of VMs that keep apart is a name like others: in a log entry, and in what is printed of it.
#[test]
fn an_anti_affinity_group_is_bounded_as_names_are() {
    let long = "g".repeat(NAME_BYTES_MAX + 1);
    for (group, why) in [
        ("", "empty, at least 1 byte is needed"),
        ("a\n\u{1b}[2J", "control character '\\n' at byte 1"),
        (&long, "254 bytes, at most 253 are allowed"),
    ] {
        let apart = Some(AntiAffinity { group, level: Level::Rack });
        let spec = VmSpec { name: "vm", tenant: "t", anti_affinity: apart, ..VmSpec::default() };
        let arena = Arena::new();
        let mut ids = drawn::ids();
        let lifetime = control_plane::raft::Lifetime { from_seconds: 0, until_seconds: None };
        let refused = ProposalBuilder::new_in(&arena, &mut ids).create_vm(lifetime, spec, &[]).unwrap_err();
        assert_eq!(refused.to_string(), format!("proposal 0, anti-affinity group: {why}"));
    }
}

#[test]
#[should_panic(expected = "milliseconds of an identifier fit into 48 bits")]
fn an_identifier_has_48_bits_for_its_milliseconds() {
    control_plane::raft::ProposalIds::from_seed(0, 1 << 54).next_id();
}
