//! De-duplication beside a naive model, and the promise behind it: applying what stands ends where applying all ends.

mod drawn;

use std::collections::BTreeMap;

use blixard_arena::{Arena, ArenaOptions, SharedArena};
use control_plane::names::VmStatus;
use control_plane::raft::{
    Answer, AnyProposal, Fault, NESTING_MAX, Proposal, ProposalBuilder, ProposalData, ProposalId, ProposalLimits, View,
    deduplicate, deduplicate_in, heap,
};
use drawn::{Drawn, build, build_in};
use proptest::prelude::*;

const LIMITS: fn() -> ProposalLimits = ProposalLimits::default;

/// What a cluster knows.
#[derive(Debug, Clone, Default, PartialEq)]
struct Cluster {
    /// Version, what it was last told to do, what it was last said to do.
    vms: BTreeMap<String, (u32, Option<u32>, VmStatus)>,
    /// All that was said of nodes and tasks.
    others: Vec<String>,
}

impl Cluster {
    fn apply<P: AnyProposal>(&mut self, proposals: &[P]) {
        const START: u32 = u32::MAX;
        for proposal in proposals {
            match proposal.view() {
                View::CreateVm { config, .. } => {
                    let created = (config.spec.resources.memory_mib, None, VmStatus::Creating);
                    self.vms.insert(config.spec.name.to_owned(), created);
                }
                View::StartVm { vm } => drop(self.vms.get_mut(vm).map(|vm| vm.1 = Some(START))),
                View::StopVm { vm, grace_seconds } => drop(self.vms.get_mut(vm).map(|vm| vm.1 = Some(grace_seconds))),
                View::DeleteVm { vm } => drop(self.vms.remove(vm)),
                View::UpdateVmStatus { vm, status, .. } => drop(self.vms.get_mut(vm).map(|vm| vm.2 = status)),
                View::Batch { proposals } => self.apply(proposals),
                _ => self.others.push(proposal.reason().to_owned()),
            }
        }
    }
}

/// Identifiers of all that are no batches, in order.
fn flat<P: AnyProposal>(proposals: &[P]) -> Vec<ProposalId> {
    let one = |proposal: &P| match proposal.view() {
        View::Batch { proposals } => flat(proposals),
        _ => vec![proposal.id()],
    };
    proposals.iter().flat_map(one).collect()
}

/// What supersedes each command of the list, written without regard to cost.
fn naive(drawn: &[&Drawn]) -> Vec<bool> {
    let of = |drawn: &Drawn| match drawn {
        Drawn::Create { vm, .. } => Some((vm.clone(), "create")),
        Drawn::Start(vm) | Drawn::Stop(vm, _) => Some((vm.clone(), "run")),
        Drawn::Delete(vm) => Some((vm.clone(), "delete")),
        Drawn::Status(vm, _) => Some((vm.clone(), "status")),
        _ => None,
    };
    let covers = |later: &str, earlier: &str| match later {
        "delete" => true,
        "create" => earlier != "delete",
        same => same == earlier,
    };
    let superseded = |at: usize| {
        let Some((vm, kind)) = of(drawn[at]) else { return false };
        drawn[at + 1..].iter().filter_map(|later| of(later)).any(|(other, later)| other == vm && covers(later, kind))
    };
    (0..drawn.len()).map(superseded).collect()
}

proptest! {
    #[test]
    fn what_stands_is_what_the_model_leaves_in_order(drawn in drawn::batch(4)) {
        let all = build(&drawn, LIMITS()).expect("within the limits");
        let superseded = naive(&drawn::flat(&drawn));
        let expected: Vec<_> = flat(&all).into_iter().zip(superseded).filter(|(_, gone)| !gone).map(|(id, _)| id).collect();

        let mut on_heap = build(&drawn, LIMITS()).expect("within the limits");
        deduplicate(&mut on_heap).expect("not too deep");
        prop_assert_eq!(flat(&on_heap), expected.clone());

        let arena = Arena::new();
        let in_arena = deduplicate_in(&arena, build_in(&arena, &drawn, LIMITS()).expect("within the limits"));
        let in_arena = in_arena.expect("no budget");
        prop_assert_eq!(flat(in_arena), expected.clone());
        let shared = SharedArena::new();
        let in_shared = deduplicate_in(&shared, build_in(&shared, &drawn, LIMITS()).expect("within the limits"));
        prop_assert_eq!(flat(in_shared.expect("no budget")), expected);

        // Once more changes nothing, and copies nothing.
        let again = deduplicate_in(&arena, in_arena).expect("no budget");
        prop_assert!(std::ptr::eq(again, in_arena));
        // No batch is left empty.
        let empty = format!("{in_arena:?}").contains("proposals: []");
        prop_assert!(!empty);
    }

    #[test]
    fn applying_what_stands_ends_where_applying_all_ends(before in drawn::batch(0), drawn in drawn::batch(3)) {
        let all = build(&drawn, LIMITS()).expect("within the limits");
        let mut standing = build(&drawn, LIMITS()).expect("within the limits");
        deduplicate(&mut standing).expect("not too deep");
        let mut cluster = Cluster::default();
        cluster.apply(&build(&before, LIMITS()).expect("within the limits"));
        let mut other = cluster.clone();
        cluster.apply(&all);
        other.apply(&standing);
        prop_assert_eq!(cluster, other);
    }

    /// Each that waits hears of the one that stands for it, and of nothing else.
    #[test]
    fn who_waits_is_told_by_what_it_is_superseded(drawn in drawn::batch(2)) {
        let arena = Arena::new();
        let mut ids = drawn::ids();
        let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
        let mut waiters = Vec::new();
        for one in &drawn {
            drawn::add_in(&mut builder, &arena, one).expect("within the limits");
            waiters.push(builder.waiter().expect("no budget"));
        }
        let proposals = builder.finish();
        let standing = deduplicate_in(&arena, proposals).expect("no budget");
        let kept = flat(standing);
        for (proposal, waiter) in proposals.iter().zip(waiters) {
            match waiter.try_wait() {
                Ok(Answer::Superseded { by }) => {
                    prop_assert!(!standing.iter().any(|other| other.id == proposal.id));
                    prop_assert!(kept.contains(&by) && by > proposal.id);
                }
                Ok(other) => prop_assert!(false, "{other:?}"),
                Err(_) => prop_assert!(standing.iter().any(|other| other.id == proposal.id)),
            }
        }
    }
}

fn reasons(commands: &[ProposalData<'static>]) -> Vec<String> {
    let arena = Arena::new();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    for command in commands {
        builder.propose(*command).expect("within the limits");
    }
    let standing = deduplicate_in(&arena, builder.finish()).expect("within the limits");
    standing.iter().map(|proposal| proposal.reason.to_owned()).collect()
}

/// The fault of the code that this comes from: the first command of a VM stood, so that a VM went on running.
#[test]
fn the_later_stop_stands() {
    let (start, stop) = (ProposalData::StartVm { vm: "a" }, ProposalData::StopVm { vm: "a", grace_seconds: 5 });
    assert_eq!(reasons(&[start, stop]), ["stop a within 5 s"]);
    assert_eq!(reasons(&[stop, start, stop]), ["stop a within 5 s"]);
    assert_eq!(reasons(&[stop, start]), ["start a"]);
}

#[test]
fn what_a_later_command_needs_stands_before_it() {
    let delete = ProposalData::DeleteVm { vm: "a" };
    let start = ProposalData::StartVm { vm: "a" };
    let arena = Arena::new();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    for version in 1..3 {
        builder.propose(delete).unwrap();
        builder.create_vm(drawn::LIFETIME, drawn::spec("a", version), &[]).unwrap();
        builder.propose(start).unwrap();
    }
    let standing = deduplicate_in(&arena, builder.finish()).unwrap();
    let reasons: Vec<_> = standing.iter().map(|proposal| proposal.reason).collect();
    assert_eq!(reasons, ["delete a", "create a for acme, class Burstable", "start a"]);
    assert_eq!(standing[1].data.create_vm().unwrap().0.spec.resources.memory_mib, 2);
}

#[test]
fn batches_too_deep_and_budgets_too_small_are_refused_and_nobody_is_told() {
    let arena = Arena::new();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    builder.propose(ProposalData::StartVm { vm: "a" }).unwrap();
    let mut proposals: &[Proposal<'_>] = builder.finish();
    for _ in 0..=NESTING_MAX {
        let mut outer = proposals[0];
        outer.data = ProposalData::Batch { proposals };
        proposals = std::slice::from_ref(arena.alloc(outer));
    }
    assert_eq!(deduplicate_in(&arena, proposals).unwrap_err().fault, Fault::TooDeep { depth_max: NESTING_MAX });
    let ProposalData::Batch { proposals: inner } = proposals[0].data else { panic!("a batch") };
    assert_eq!(deduplicate_in(&arena, inner).unwrap(), inner);

    let small = ArenaOptions::new().budget_bytes_max(64 << 10).arena();
    let names: Vec<String> = (0..60).map(|vm| format!("vm-{}", vm / 2)).collect();
    let mut builder = ProposalBuilder::new_in(&small, &mut ids);
    let mut waiters = Vec::new();
    for name in &names {
        builder.propose(ProposalData::StartVm { vm: name }).unwrap();
        waiters.push(builder.waiter().unwrap());
    }
    let proposals = builder.finish();
    while small.try_alloc(0_u64).is_ok() {}
    let refused = deduplicate_in(&small, proposals).unwrap_err();
    assert!(matches!(refused.fault, Fault::Budget(budget) if budget.allowed == 64 << 10), "{refused}");
    assert!(refused.to_string().starts_with("the batch: arena: "), "{refused}");
    assert!(waiters.into_iter().all(|waiter| waiter.try_wait().is_err()));
}

/// A list of names of which all meet in the map is bounded by the batch's limit; here at its size.
#[test]
fn the_largest_batch_of_one_vm_leaves_one_command() {
    let arena = Arena::new();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
    for seconds in 0..4_096 {
        builder.propose(ProposalData::StopVm { vm: "a", grace_seconds: seconds }).unwrap();
    }
    let standing = deduplicate_in(&arena, builder.finish()).unwrap();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].reason, "stop a within 4095 s");

    let mut on_heap: Vec<_> = (0..4_096)
        .map(|seconds| {
            let data = heap::ProposalData::StopVm { vm: "a".into(), grace_seconds: seconds };
            heap::Proposal::new(ids.next_id(), data)
        })
        .collect();
    deduplicate(&mut on_heap).unwrap();
    assert_eq!(on_heap.len(), 1);
}
