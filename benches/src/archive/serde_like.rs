//! Formats that are decoded: postcard, wincode (which continues bincode), bitcode, prost.
//!
//! Where a format can lend texts from the bytes, it does; lists it has to collect. prost's messages own their texts.

#![allow(clippy::mem_forget, reason = "in code that wincode derives")]

use bitcode::Buffer;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use twox_hash::XxHash3_64;
use wincode::{SchemaRead, SchemaWrite};

use super::{Fold, Messages, encoder, reader};
use crate::contest::{Contender, Role};

#[derive(Clone, Serialize, Deserialize, SchemaRead, SchemaWrite, bitcode::Encode, bitcode::Decode)]
struct Proposal<'a> {
    id: [u8; 16],
    #[serde(borrow)]
    vm: &'a str,
    tenant: &'a str,
    metadata: Vec<(&'a str, &'a str)>,
    scores: Vec<(u64, f64)>,
    reason: &'a str,
}

mod protobuf {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Pair {
        #[prost(string, tag = "1")]
        pub(super) key: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Proposal {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) id: Vec<u8>,
        #[prost(string, tag = "2")]
        pub(super) vm: String,
        #[prost(string, tag = "3")]
        pub(super) tenant: String,
        #[prost(message, repeated, tag = "4")]
        pub(super) metadata: Vec<Pair>,
        #[prost(uint64, repeated, tag = "5")]
        pub(super) nodes: Vec<u64>,
        #[prost(double, repeated, tag = "6")]
        pub(super) scores: Vec<f64>,
        #[prost(string, tag = "7")]
        pub(super) reason: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Batch {
        #[prost(message, repeated, tag = "1")]
        pub(super) proposals: Vec<Proposal>,
    }
}

type Batch = Vec<Proposal<'static>>;

fn batches(messages: &Messages) -> Vec<Batch> {
    let proposal = |&super::Proposal { id, vm, tenant, metadata, scores, reason }: &super::Proposal| Proposal {
        id,
        vm,
        tenant,
        metadata: metadata.to_vec(),
        scores: scores.to_vec(),
        reason,
    };
    messages.iter().map(|message| message.iter().map(proposal).collect()).collect()
}

fn protobufs(messages: &Messages) -> Vec<protobuf::Batch> {
    let pair = |(key, value): &(&str, &str)| protobuf::Pair { key: (*key).to_owned(), value: (*value).to_owned() };
    let proposal = |proposal: &super::Proposal| protobuf::Proposal {
        id: proposal.id.to_vec(),
        vm: proposal.vm.to_owned(),
        tenant: proposal.tenant.to_owned(),
        metadata: proposal.metadata.iter().map(pair).collect(),
        nodes: proposal.scores.iter().map(|(node, _)| *node).collect(),
        scores: proposal.scores.iter().map(|(_, score)| *score).collect(),
        reason: proposal.reason.to_owned(),
    };
    messages.iter().map(|message| protobuf::Batch { proposals: message.iter().map(proposal).collect() }).collect()
}

#[inline(always)]
fn fold(batch: &[Proposal<'_>]) -> Fold {
    let mut fold = Fold::default();
    for proposal in batch {
        fold.id(&proposal.id);
        for text in [proposal.vm, proposal.tenant, proposal.reason] {
            fold.text(text);
        }
        for (key, value) in &proposal.metadata {
            fold.text(key);
            fold.text(value);
        }
        for (node, score) in &proposal.scores {
            fold.score(*node, *score);
        }
    }
    fold
}

fn fold_protobuf(batch: &protobuf::Batch) -> Fold {
    let mut fold = Fold::default();
    for proposal in &batch.proposals {
        fold.id(proposal.id.as_slice().try_into().expect("16 bytes"));
        for text in [&proposal.vm, &proposal.tenant, &proposal.reason] {
            fold.text(text);
        }
        for pair in &proposal.metadata {
            fold.text(&pair.key);
            fold.text(&pair.value);
        }
        for (node, score) in proposal.nodes.iter().zip(&proposal.scores) {
            fold.score(*node, *score);
        }
    }
    fold
}

fn read_postcard(bytes: &[u8]) -> Fold {
    fold(&postcard::from_bytes::<Vec<Proposal<'_>>>(bytes).expect("written here"))
}

fn read_wincode(bytes: &[u8]) -> Fold {
    fold(&wincode::deserialize::<Vec<Proposal<'_>>>(bytes).expect("written here"))
}

fn read_bitcode(bytes: &[u8]) -> Fold {
    thread_local! {
        static BUFFER: RefCell<Buffer> = RefCell::new(Buffer::new());
    }
    BUFFER.with_borrow_mut(|buffer| fold(&buffer.decode::<Vec<Proposal<'_>>>(bytes).expect("written here")))
}

fn read_prost(bytes: &[u8]) -> Fold {
    fold_protobuf(&protobuf::Batch::decode(bytes).expect("written here"))
}

fn to_postcard(batch: &Batch, out: &mut Vec<u8>) {
    out.clear();
    *out = postcard::to_extend(batch, std::mem::take(out)).expect("small");
}

fn to_wincode(batch: &Batch, out: &mut Vec<u8>) {
    out.clear();
    wincode::serialize_into(&mut *out, batch).expect("small");
}

pub(super) fn encodes(messages: &Messages) -> Vec<Contender> {
    let mut buffer = Buffer::new();
    let to_bitcode = move |batch: &Batch, out: &mut Vec<u8>| {
        out.clear();
        out.extend_from_slice(buffer.encode(batch));
    };
    let to_prost = |batch: &protobuf::Batch, out: &mut Vec<u8>| {
        out.clear();
        batch.encode(out).expect("a `Vec` takes all");
    };
    let batches = |()| (messages, batches(messages));
    vec![
        encoder("postcard", Role::Peer, batches(()), to_postcard, read_postcard),
        encoder("wincode", Role::Peer, batches(()), to_wincode, read_wincode),
        encoder("bitcode", Role::Peer, batches(()), to_bitcode, read_bitcode),
        encoder("prost", Role::Peer, (messages, protobufs(messages)), to_prost, read_prost),
    ]
}

pub(super) fn reads(messages: &Messages) -> Vec<Contender> {
    let written = |write: &mut dyn FnMut(&Batch, &mut Vec<u8>)| -> Vec<Vec<u8>> {
        let one = |batch: &Batch| {
            let mut out = Vec::new();
            write(batch, &mut out);
            out
        };
        batches(messages).iter().map(one).collect()
    };
    let postcards = written(&mut to_postcard);
    let summed = |bytes: &Vec<u8>| {
        let mut summed = XxHash3_64::oneshot(bytes).to_le_bytes().to_vec();
        summed.extend_from_slice(bytes);
        summed
    };
    let summed: Vec<_> = postcards.iter().map(summed).collect();
    let read_summed = |bytes: &[u8]| {
        let (sum, bytes) = bytes.split_first_chunk::<8>().expect("written here");
        assert_eq!(u64::from_le_bytes(*sum), XxHash3_64::oneshot(bytes));
        read_postcard(bytes)
    };
    let protobufs: Vec<_> = protobufs(messages).iter().map(prost::Message::encode_to_vec).collect();
    vec![
        reader("postcard, texts borrowed", Role::Peer, messages, postcards, read_postcard),
        reader("the same behind XXH3", Role::Peer, messages, summed, read_summed),
        reader("wincode, texts borrowed", Role::Peer, messages, written(&mut to_wincode), read_wincode),
        reader(
            "bitcode, texts borrowed",
            Role::Peer,
            messages,
            written(&mut |batch, out| *out = bitcode::encode(batch)),
            read_bitcode,
        ),
        reader("prost, texts owned", Role::Peer, messages, protobufs, read_prost),
    ]
}
