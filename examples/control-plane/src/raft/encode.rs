//! The bytes of a batch: field order and widths, written once for every form of a proposal.
//!
//! Last station on the data's way: what it appends goes to the log and outlives the request.
//!
//! The form: integers are little-endian, texts and lists carry their length as `u32` in front, an absent value is a 0
//! byte and a present one a 1 byte with the value behind it. A batch is its length and, for each proposal, what
//! [`create_vm`] and [`outcome`] write.
//! Cost: no allocation but the growth of the caller's buffer.

use std::net::IpAddr;

use super::{Lifetime, ProposalId};
use crate::scheduler::{Placement, VmSpec};

/// The tag of a proposal to create a VM.
const CREATE_VM: u8 = 1;

pub(super) fn batch_length(out: &mut Vec<u8>, proposals: usize) {
    length(out, proposals);
}

pub(super) fn create_vm<'v>(
    out: &mut Vec<u8>,
    id: ProposalId,
    lifetime: Lifetime,
    spec: &VmSpec<'_>,
    metadata: impl ExactSizeIterator<Item = (&'v str, &'v str)>,
) {
    out.extend_from_slice(&id.0);
    out.push(CREATE_VM);
    out.extend_from_slice(&lifetime.from_seconds.to_le_bytes());
    optional(out, lifetime.until_seconds, |out, until| {
        out.extend_from_slice(&until.to_le_bytes());
    });
    text(out, spec.name);
    text(out, spec.config_path);
    text(out, spec.tenant);
    text(out, spec.gpu_spec);
    out.extend_from_slice(&spec.resources.cpu_milli.to_le_bytes());
    out.extend_from_slice(&spec.resources.memory_mib.to_le_bytes());
    out.push(spec.resources.gpus.count);
    out.extend_from_slice(&spec.resources.gpus.milli.to_le_bytes());
    match spec.ip {
        IpAddr::V4(address) => {
            out.push(4);
            out.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.push(6);
            out.extend_from_slice(&address.octets());
        }
    }
    out.push(spec.qos as u8);
    length(out, metadata.len());
    for (key, value) in metadata {
        text(out, key);
        text(out, value);
    }
}

pub(super) fn outcome(out: &mut Vec<u8>, reason: &str, placement: Option<Placement>, decision_reason: &str) {
    text(out, reason);
    optional(out, placement, |out, placement| {
        out.extend_from_slice(&placement.node.0.to_le_bytes());
        out.extend_from_slice(&placement.score.to_le_bytes());
        out.extend_from_slice(&placement.cpu_milli.to_le_bytes());
        out.extend_from_slice(&placement.memory_mib.to_le_bytes());
        out.extend_from_slice(&placement.devices.mask.to_le_bytes());
        out.extend_from_slice(&placement.devices.milli.to_le_bytes());
    });
    text(out, decision_reason);
}

fn optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(out, value);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn length(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("texts and lists of a proposal stay below 4 Gi");
    out.extend_from_slice(&length.to_le_bytes());
}
