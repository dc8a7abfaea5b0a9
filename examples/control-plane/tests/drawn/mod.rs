//! Proposals as tests draw them, and how each form builds them.

#![allow(dead_code, reason = "each test uses its part")]

use std::net::IpAddr;

use blixard_arena::arena::AnyArena;
use control_plane::names::{NodeRole, VmStatus};
use control_plane::raft::{
    Lifetime, NodeSpec, ProposalBuilder, ProposalData, ProposalError, ProposalIds, ProposalLimits, TaskSpec, heap,
};
use control_plane::scheduler::{GpuRequest, Qos, Resources, VmSpec};
use proptest::prelude::*;

/// What is to be proposed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Drawn {
    Create { vm: String, version: u8, metadata: Vec<(String, String)> },
    Start(String),
    Stop(String, u32),
    Delete(String),
    Status(String, VmStatus),
    Join(String, NodeRole, IpAddr),
    Leave(String),
    Task(String, Vec<String>),
    Batch(Vec<Drawn>),
}

pub(crate) const LIFETIME: Lifetime = Lifetime { from_seconds: 10, until_seconds: Some(20) };

/// The spec of a VM; its version shows in its memory.
pub(crate) fn spec(vm: &str, version: u8) -> VmSpec<'_> {
    VmSpec {
        name: vm,
        config_path: "/etc/vm.toml",
        tenant: "acme",
        gpu_spec: "",
        resources: Resources { cpu_milli: 1_000, memory_mib: version.into(), gpus: GpuRequest::default() },
        ip: IpAddr::from([10, 0, 0, 1]),
        qos: Qos::Burstable,
        ..VmSpec::default()
    }
}

fn node(name: &str, role: NodeRole, ip: IpAddr) -> NodeSpec<'_> {
    NodeSpec { name, ip, port: 7_000, role, cpu_milli: 64_000, memory_mib: 262_144, gpus: 4, gpu_model: "T4" }
}

/// Any proposal, batches in one another up to `depth` deep; few VMs, so that commands meet.
pub(crate) fn any(depth: u32) -> BoxedStrategy<Drawn> {
    let vm = || prop_oneof!["[abc]", "[abc]", "vm-[0-9]{1,2}"];
    let text = || "[a-zé ]{0,12}";
    let leaf = prop_oneof![
        2 => (vm(), any_u8(), proptest::collection::vec(("[k-m]", text()), 0..5))
            .prop_map(|(vm, version, metadata)| Drawn::Create { vm, version, metadata }),
        3 => vm().prop_map(Drawn::Start),
        3 => (vm(), any_u32()).prop_map(|(vm, seconds)| Drawn::Stop(vm, seconds)),
        1 => vm().prop_map(Drawn::Delete),
        2 => (vm(), 0..VmStatus::ALL.len()).prop_map(|(vm, at)| Drawn::Status(vm, VmStatus::ALL[at])),
        1 => ("node-[0-9]", 0..NodeRole::ALL.len(), proptest::arbitrary::any::<IpAddr>())
            .prop_map(|(node, at, ip)| Drawn::Join(node, NodeRole::ALL[at], ip)),
        1 => "node-[0-9]".prop_map(Drawn::Leave),
        1 => ("task-[0-9]", proptest::collection::vec(text().prop_map(String::from), 0..4))
            .prop_map(|(task, arguments)| Drawn::Task(task, arguments)),
    ];
    leaf.prop_recursive(depth, 24, 4, |inner| proptest::collection::vec(inner, 1..4).prop_map(Drawn::Batch)).boxed()
}

fn any_u8() -> impl Strategy<Value = u8> {
    proptest::arbitrary::any::<u8>()
}

fn any_u32() -> impl Strategy<Value = u32> {
    proptest::arbitrary::any::<u32>()
}

pub(crate) fn batch(depth: u32) -> impl Strategy<Value = Vec<Drawn>> {
    proptest::collection::vec(any(depth), 0..20)
}

/// The commands in their order, without batches.
pub(crate) fn flat(drawn: &[Drawn]) -> Vec<&Drawn> {
    drawn
        .iter()
        .flat_map(|drawn| match drawn {
            Drawn::Batch(inner) => flat(inner),
            one => vec![one],
        })
        .collect()
}

pub(crate) fn ids() -> ProposalIds {
    ProposalIds::from_seed(7, 1_700_000_000_000)
}

pub(crate) fn add_in<'a, A: AnyArena>(
    builder: &mut ProposalBuilder<'a, '_, A>,
    arena: &'a A,
    drawn: &'a Drawn,
) -> Result<(), ProposalError> {
    match drawn {
        Drawn::Create { vm, version, metadata } => {
            let pairs: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            builder.create_vm(LIFETIME, spec(vm, *version), &pairs)
        }
        Drawn::Start(vm) => builder.propose(ProposalData::StartVm { vm }),
        Drawn::Stop(vm, grace_seconds) => builder.propose(ProposalData::StopVm { vm, grace_seconds: *grace_seconds }),
        Drawn::Delete(vm) => builder.propose(ProposalData::DeleteVm { vm }),
        Drawn::Status(vm, status) => {
            builder.propose(ProposalData::UpdateVmStatus { vm, status: *status, node: "node-1" })
        }
        Drawn::Join(name, role, ip) => builder.propose(ProposalData::JoinNode(node(name, *role, *ip))),
        Drawn::Leave(node) => builder.propose(ProposalData::LeaveNode { node }),
        Drawn::Task(name, arguments) => builder.propose(ProposalData::AssignTask {
            node: "node-2",
            task: TaskSpec { name, command: "/bin/run", timeout_seconds: 60 },
            arguments: arena.alloc_slice_fill_iter(arguments.iter().map(String::as_str)),
        }),
        Drawn::Batch(inner) => builder.batch(|builder| inner.iter().try_for_each(|one| add_in(builder, arena, one))),
    }
    .map(drop)
}

pub(crate) fn add(builder: &mut heap::ProposalBuilder<'_>, drawn: &Drawn) -> Result<(), ProposalError> {
    let owned = |text: &String| text.clone();
    match drawn {
        Drawn::Create { vm, version, metadata } => {
            let pairs: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            builder.create_vm(LIFETIME, &spec(vm, *version), &pairs)
        }
        Drawn::Start(vm) => builder.propose(heap::ProposalData::StartVm { vm: owned(vm) }),
        Drawn::Stop(vm, grace_seconds) => {
            builder.propose(heap::ProposalData::StopVm { vm: owned(vm), grace_seconds: *grace_seconds })
        }
        Drawn::Delete(vm) => builder.propose(heap::ProposalData::DeleteVm { vm: owned(vm) }),
        Drawn::Status(vm, status) => builder.propose(heap::ProposalData::UpdateVmStatus {
            vm: owned(vm),
            status: *status,
            node: "node-1".into(),
        }),
        Drawn::Join(name, role, ip) => builder.propose(heap::ProposalData::JoinNode(node(name, *role, *ip).into())),
        Drawn::Leave(node) => builder.propose(heap::ProposalData::LeaveNode { node: owned(node) }),
        Drawn::Task(name, arguments) => builder.propose(heap::ProposalData::AssignTask {
            node: "node-2".into(),
            task: TaskSpec { name, command: "/bin/run", timeout_seconds: 60 }.into(),
            arguments: arguments.clone(),
        }),
        Drawn::Batch(inner) => builder.batch(|builder| inner.iter().try_for_each(|one| add(builder, one))),
    }
    .map(drop)
}

/// The proposals in the arena, under identifiers that follow from [`ids`].
pub(crate) fn build_in<'a, A: AnyArena>(
    arena: &'a A,
    drawn: &'a [Drawn],
    limits: ProposalLimits,
) -> Result<&'a [control_plane::raft::Proposal<'a>], ProposalError> {
    let mut ids = ids();
    let mut builder = ProposalBuilder::with_limits_in(arena, &mut ids, limits);
    drawn.iter().try_for_each(|one| add_in(&mut builder, arena, one))?;
    Ok(builder.finish())
}

/// The same on the heap.
pub(crate) fn build(drawn: &[Drawn], limits: ProposalLimits) -> Result<Vec<heap::Proposal>, ProposalError> {
    let mut ids = ids();
    let mut builder = heap::ProposalBuilder::with_limits(&mut ids, limits);
    drawn.iter().try_for_each(|one| add(&mut builder, one))?;
    Ok(builder.finish())
}
