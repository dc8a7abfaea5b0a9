//! The bytes of a batch: field order and widths, written once for every form of a proposal.
//!
//! Last station on the data's way: what it appends goes to the log and outlives the request.
//!
//! The form: integers are little-endian, texts and lists carry their length as `u32` in front, an absent value is a 0
//! byte and a present one a 1 byte with the value behind it. A batch is its length and its proposals. A proposal is its id, a
//! tag, its fields, its reason and, if it creates a VM, what was decided for it; one that is itself a batch has its
//! proposals for fields.
//! Cost: no allocation but the growth of the caller's buffer.

use std::net::IpAddr;

use super::Outcome;
use super::data::{AnyProposal, View};

/// Where bytes go: into a buffer, or nowhere, to be counted.
pub(super) trait Out {
    fn put(&mut self, bytes: &[u8]);
}

impl Out for Vec<u8> {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts.
struct Bytes(usize);

impl Out for Bytes {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// The bytes of a proposal but for those nested in it, and without a decision.
pub(super) fn own_bytes<P: AnyProposal>(proposal: &P) -> usize {
    let mut bytes = Bytes(0);
    command(&mut bytes, proposal);
    bytes.0
}

/// The bytes of a decision.
pub(super) fn outcome_bytes(decided: Outcome<'_>) -> usize {
    let mut bytes = Bytes(0);
    outcome(&mut bytes, decided);
    bytes.0
}

/// Bytes of a batch's own.
pub(super) const BATCH_BYTES: usize = size_of::<u32>();

/// A batch: its proposals, and one decision for each that creates a VM.
pub(super) fn batch<'p, P: AnyProposal>(
    out: &mut Vec<u8>,
    proposals: &[P],
    outcomes: impl IntoIterator<Item = Outcome<'p>>,
) {
    length(out, proposals.len());
    let mut outcomes = outcomes.into_iter();
    for one in proposals {
        proposal(out, one, &mut outcomes);
    }
}

fn proposal<'p, P: AnyProposal>(out: &mut Vec<u8>, one: &P, outcomes: &mut impl Iterator<Item = Outcome<'p>>) {
    command(out, one);
    match one.view() {
        View::CreateVm { .. } => outcome(out, outcomes.next().expect("a batch has one decision per VM created")),
        View::Batch { proposals } => proposals.iter().for_each(|inner| proposal(out, inner, outcomes)),
        _ => {}
    }
}

/// Id, tag, fields and reason.
fn command<P: AnyProposal>(out: &mut impl Out, proposal: &P) {
    out.put(&proposal.id().0);
    match proposal.view() {
        View::CreateVm { spec, metadata, lifetime } => {
            out.put(&[1]);
            out.put(&lifetime.from_seconds.to_le_bytes());
            optional(out, lifetime.until_seconds, |out, until| out.put(&until.to_le_bytes()));
            text(out, spec.name);
            text(out, spec.config_path);
            text(out, spec.tenant);
            text(out, spec.gpu_spec);
            out.put(&spec.resources.cpu_milli.to_le_bytes());
            out.put(&spec.resources.memory_mib.to_le_bytes());
            out.put(&[spec.resources.gpus.count]);
            out.put(&spec.resources.gpus.milli.to_le_bytes());
            address(out, spec.ip);
            out.put(&[spec.qos as u8]);
            optional(out, spec.anti_affinity, |out, wish| {
                text(out, wish.group);
                out.put(&[wish.level as u8]);
            });
            out.put(&[spec.priority, u8::from(spec.preemptible)]);
            length(out, metadata.len());
            for (key, value) in metadata {
                text(out, key);
                text(out, value);
            }
        }
        View::StartVm { vm } => {
            out.put(&[2]);
            text(out, vm);
        }
        View::StopVm { vm, grace_seconds } => {
            out.put(&[3]);
            text(out, vm);
            out.put(&grace_seconds.to_le_bytes());
        }
        View::DeleteVm { vm } => {
            out.put(&[4]);
            text(out, vm);
        }
        View::UpdateVmStatus { vm, status, node } => {
            out.put(&[5]);
            text(out, vm);
            out.put(&[status as u8]);
            text(out, node);
        }
        View::JoinNode(node) => {
            out.put(&[6]);
            text(out, node.name);
            address(out, node.ip);
            out.put(&node.port.to_le_bytes());
            out.put(&[node.role as u8]);
            out.put(&node.cpu_milli.to_le_bytes());
            out.put(&node.memory_mib.to_le_bytes());
            out.put(&[node.gpus]);
            text(out, node.gpu_model);
        }
        View::LeaveNode { node } => {
            out.put(&[7]);
            text(out, node);
        }
        View::AssignTask { node, task, arguments } => {
            out.put(&[8]);
            text(out, node);
            text(out, task.name);
            text(out, task.command);
            out.put(&task.timeout_seconds.to_le_bytes());
            length(out, arguments.len());
            arguments.for_each(|argument| text(out, argument));
        }
        View::Batch { proposals } => {
            out.put(&[9]);
            length(out, proposals.len());
        }
    }
    text(out, proposal.reason());
}

fn outcome(out: &mut impl Out, decided: Outcome<'_>) {
    optional(out, decided.placement, |out, placement| {
        out.put(&placement.node.0.to_le_bytes());
        out.put(&placement.score.to_le_bytes());
        out.put(&placement.cpu_milli.to_le_bytes());
        out.put(&placement.memory_mib.to_le_bytes());
        out.put(&placement.devices.mask.to_le_bytes());
        out.put(&placement.devices.milli.to_le_bytes());
    });
    length(out, decided.alternatives.len());
    for other in decided.alternatives {
        out.put(&other.node.0.to_le_bytes());
        out.put(&other.score.to_le_bytes());
    }
    text(out, decided.reason);
}

fn address(out: &mut impl Out, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            out.put(&[4]);
            out.put(&address.octets());
        }
        IpAddr::V6(address) => {
            out.put(&[6]);
            out.put(&address.octets());
        }
    }
}

fn optional<O: Out, T>(out: &mut O, value: Option<T>, write: impl FnOnce(&mut O, T)) {
    out.put(&[u8::from(value.is_some())]);
    if let Some(value) = value {
        write(out, value);
    }
}

fn text(out: &mut impl Out, text: &str) {
    length(out, text.len());
    out.put(text.as_bytes());
}

fn length(out: &mut impl Out, length: usize) {
    let length = u32::try_from(length).expect("texts and lists of a proposal stay below 4 Gi");
    out.put(&length.to_le_bytes());
}
