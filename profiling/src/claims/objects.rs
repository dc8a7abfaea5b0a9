//! The objects of a request and nothing else: a config and a proposal for each VM, without their texts and metadata.

use std::ops::DerefMut;

use blixard_arena::Arena;
use blixard_arena::collections;
use blixard_arena::pool::Pooled;
use control_plane::raft::heap::{self, RAFT_PROPOSAL_POOL};
use control_plane::raft::{Lifetime, Proposal, ProposalData, ProposalId};
use control_plane::scheduler::heap::{VM_CONFIG_POOL, VmConfig as HeapConfig};
use control_plane::scheduler::{VmConfig, VmSpec};
use xxhash_rust::xxh3::Xxh3;

use super::{Form, InArena, Parsed, add_text, no_form};
use crate::request::VmRequest;
use crate::strategy::Name;

pub(super) fn form(name: Name, pass: &[Parsed<'_>]) -> Box<dyn Form> {
    // The list of the objects is no object.
    let most = pass.iter().map(|request| request.vms.len()).max().unwrap_or(0);
    match name {
        Name::Heap => Box::new(Owned { make: boxed, objects: Vec::with_capacity(most) }),
        Name::Pooled => Box::new(Owned { make: pooled, objects: Vec::with_capacity(most) }),
        Name::Arena => Box::new(InArena::new(in_arena)),
        other => no_form(other),
    }
}

/// What an object is about, without its texts.
fn numbers<'v>(vm: &VmRequest<'v>) -> VmSpec<'v> {
    VmSpec { name: "", config_path: "", tenant: "", gpu_spec: "", ..vm.spec }
}

fn add(sum: &mut Xxh3, spec: &VmSpec<'_>, id: ProposalId, lifetime: Lifetime) {
    let resources = spec.resources;
    sum.update(&resources.cpu_milli.to_le_bytes());
    sum.update(&resources.memory_mib.to_le_bytes());
    sum.update(&[resources.gpus.count, spec.qos as u8]);
    sum.update(&resources.gpus.milli.to_le_bytes());
    match spec.ip {
        std::net::IpAddr::V4(address) => sum.update(&address.octets()),
        std::net::IpAddr::V6(address) => sum.update(&address.octets()),
    }
    sum.update(&id.0);
    sum.update(&lifetime.from_seconds.to_le_bytes());
    sum.update(&lifetime.until_seconds.unwrap_or(u64::MAX).to_le_bytes());
    add_text(sum, spec.name);
}

/// Puts a VM's numbers into an empty proposal.
fn fill(proposal: &mut heap::Proposal, vm: &VmRequest<'_>) {
    proposal.id = vm.id;
    if let heap::ProposalData::CreateVm { lifetime, .. } = &mut proposal.data {
        *lifetime = vm.lifetime;
    }
}

fn add_owned(sum: &mut Xxh3, config: &HeapConfig, proposal: &heap::Proposal) {
    if let Some((_, lifetime)) = proposal.data.create_vm() {
        add(sum, &config.spec(), proposal.id, lifetime);
    }
}

/// Objects that own what they hold: where `make` gets them from, in a list that is kept.
struct Owned<C, P> {
    make: fn() -> (C, P),
    objects: Vec<(C, P)>,
}

impl<C: DerefMut<Target = HeapConfig>, P: DerefMut<Target = heap::Proposal>> Form for Owned<C, P> {
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3) {
        for vm in &request.vms {
            let (mut config, mut proposal) = (self.make)();
            config.assign(&numbers(vm), &[]);
            fill(&mut proposal, vm);
            self.objects.push((config, proposal));
        }
        for (config, proposal) in &self.objects {
            add_owned(sum, config, proposal);
        }
        self.objects.clear();
    }
}

/// A box for each.
fn boxed() -> (Box<HeapConfig>, Box<heap::Proposal>) {
    (Box::new(HeapConfig::empty()), Box::new(heap::Proposal::empty()))
}

/// Each out of its pool.
fn pooled() -> (Pooled<HeapConfig>, Pooled<heap::Proposal>) {
    (VM_CONFIG_POOL.acquire(), RAFT_PROPOSAL_POOL.acquire())
}

/// Each in the request's arena.
fn in_arena(arena: &Arena, request: &Parsed<'_>, sum: &mut Xxh3) {
    let mut objects = collections::Vec::new_in(arena);
    for vm in &request.vms {
        let config = VmConfig { spec: numbers(vm), metadata: &[] };
        let data = ProposalData::CreateVm { config, lifetime: vm.lifetime };
        let proposal = Proposal { id: vm.id, data, reason: "", reply: None };
        objects.push((&*arena.alloc(config), &*arena.alloc(proposal)));
    }
    for (config, proposal) in &objects {
        if let Some((_, lifetime)) = proposal.data.create_vm() {
            add(sum, &config.spec, proposal.id, lifetime);
        }
    }
}
