//! Steady state of the whole way of a batch: building, de-duplicating, sealing, archiving, reading, and the way back to the pools make
//! no allocator call.
//!
//! dhat is the global allocator in its testing mode. This file holds one test, because dhat counts the whole process.

mod drawn;

use blixard_arena::arena::AnyArena;
use blixard_arena::{ArenaPool, PooledSharedArena, Sealed, archive};
use control_plane::names::VmStatus;
use control_plane::raft::{
    Answer, NodeSpec, ProposalBatch, ProposalBuilder, ProposalData, ProposalError, ProposalIds, ProposalProcessor,
    SealedBatch, TaskSpec, deduplicate_in,
};
use control_plane::scheduler::{Decision, GpuRequest, Qos, Resources, VmConfig, VmSpec};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Allocator calls and blocks so far.
fn calls() -> (u64, usize) {
    let stats = dhat::HeapStats::get();
    (stats.total_blocks, stats.curr_blocks)
}

const NODE: NodeSpec<'static> = NodeSpec {
    name: "node-9",
    ip: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    port: 7_000,
    role: control_plane::names::NodeRole::Learner,
    cpu_milli: 1,
    memory_mib: 1,
    gpus: 0,
    gpu_model: "",
};

const CONFIG: VmConfig<'static> = VmConfig { spec: CREATED, metadata: &[("app", "db"), ("zone", "c")] };

const CREATED: VmSpec<'static> = VmSpec {
    name: "vm-0",
    config_path: "/etc/vm.toml",
    tenant: "acme",
    gpu_spec: "T4",
    resources: Resources { cpu_milli: 1, memory_mib: 1, gpus: GpuRequest { count: 1, milli: 500 } },
    ip: NODE.ip,
    qos: Qos::Guaranteed,
    anti_affinity: None,
    priority: 0,
    preemptible: false,
};

/// A request of every kind of proposal, in the VMs of a request that has its own names.
fn build<'a, A: AnyArena>(
    arena: &'a A,
    ids: &mut ProposalIds,
    request: usize,
) -> Result<ProposalBatch<'a>, ProposalError> {
    let mut builder = ProposalBuilder::new_in(arena, ids);
    for at in 0..12 {
        let vm = &*arena.concat(("vm-", request % 7 + at / 4));
        match at % 6 {
            0 => builder.create_vm(
                drawn::LIFETIME,
                drawn::spec(vm, 1),
                &[("zone", "b"), ("app", "db"), ("zone", "c")],
            )?,
            1 => builder.propose(ProposalData::StartVm { vm })?,
            2 => builder.propose(ProposalData::StopVm { vm, grace_seconds: 30 })?,
            3 => builder.propose(ProposalData::UpdateVmStatus { vm, status: VmStatus::Running, node: "node-1" })?,
            4 => builder.batch(|both| {
                both.propose(ProposalData::StopVm { vm, grace_seconds: 0 })?;
                both.propose(ProposalData::DeleteVm { vm })
            })?,
            _ => builder.propose(ProposalData::UpdateVmStatus { vm, status: VmStatus::Failed, node: "node-2" })?,
        };
    }
    builder.propose(ProposalData::JoinNode(NODE))?;
    builder.propose(ProposalData::LeaveNode { node: "node-8" })?;
    let task = TaskSpec { name: "scrub", command: "/bin/scrub", timeout_seconds: 60 };
    builder.propose(ProposalData::AssignTask { node: "node-1", task, arguments: &["--all", "now"] })?;
    let all = builder.finish();
    let standing = deduplicate_in(arena, all)?;
    assert!(standing.len() < all.len());
    let created = standing.iter().filter(|proposal| proposal.data.create_vm().is_some()).count();
    let decisions =
        arena.alloc_slice_fill_with(created, |_| Decision { placement: None, alternatives: &[], reason: "none" });
    Ok(ProposalBatch::new(standing, decisions))
}

#[track_caller]
fn steady(what: &str, mut step: impl FnMut(usize)) {
    (0..500).for_each(&mut step);
    let before = calls();
    (0..500).for_each(&mut step);
    assert_eq!(calls(), before, "{what}");
}

#[test]
fn no_call_of_the_allocator_once_warm() {
    let pool = ArenaPool::new();
    let processor = ProposalProcessor::default();
    let mut ids = ProposalIds::from_clock();
    let _profiler = dhat::Profiler::builder().testing().build();

    steady("in an arena", |request| {
        let arena = pool.acquire();
        let batch = build(&*arena, &mut ids, request).expect("within the limits");
        let entry = processor.encode(&batch).expect("within the limits");
        let archived = archive::access::<ProposalBatch<'_>>(&entry).expect("just written");
        assert_eq!(archive::decode_in::<ProposalBatch<'_>, _>(archived, &*arena).expect("no budget"), batch);
        let config = archive::encode(&CONFIG).expect("small");
        assert_eq!(archive::access::<VmConfig<'_>>(&config).expect("just written").spec.name, *"vm-0");
    });
    steady("sealed", |request| {
        let batch = SealedBatch::try_build(pool.acquire(), |arena| build(arena, &mut ids, request));
        drop(processor.encode(batch.expect("within the limits").get()).expect("within the limits"));
    });
    steady("in a shared arena, sealed", |request| {
        let arena = pool.acquire_shared();
        let batch = Sealed::<ProposalBatch<'static>, PooledSharedArena>::try_build(arena, |arena| {
            build(arena, &mut ids, request)
        });
        drop(processor.encode(batch.expect("within the limits").get()).expect("within the limits"));
    });
    steady("what is refused", |request| {
        let arena = pool.acquire();
        let mut builder = ProposalBuilder::new_in(&*arena, &mut ids);
        let vm = ["", "a\nb"][request % 2];
        assert!(builder.propose(ProposalData::StartVm { vm }).is_err());
    });

    // A reply is one block, which goes with the later of its two ends; answering makes no call.
    let before = calls();
    let arena = pool.acquire();
    let mut builder = ProposalBuilder::new_in(&*arena, &mut ids);
    builder.propose(ProposalData::StartVm { vm: "a" }).expect("within the limits");
    let waiter = builder.waiter().expect("no budget");
    assert_eq!(calls(), (before.0 + 1, before.1 + 1));
    let proposals = builder.finish();
    assert!(proposals[0].reply.expect("it was asked for").answer(Answer::NotLeader));
    assert_eq!(waiter.wait(), Answer::NotLeader);
    drop(arena);
    assert_eq!(calls(), (before.0 + 1, before.1));
}
