//! Ours: archives, and what their parts cost.

use blixard_arena::archive::rkyv::{self, rancor};
use blixard_arena::archive::{self, List, Pair, Schema, Text};
use bytes::Bytes;
use rkyv::primitive::{ArchivedF64, ArchivedU64};
use rkyv::tuple::ArchivedTuple2;
use rkyv::util::AlignedVec;
use std::ops::Deref;
use twox_hash::XxHash3_64;

use super::{Fold, Messages, encoder, reader};
use crate::contest::{Contender, Role};

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Proposal {
    id: [u8; 16],
    #[rkyv(with = Text)]
    vm: &'static str,
    #[rkyv(with = Text)]
    tenant: &'static str,
    #[rkyv(with = List<Pair<Text, Text>>)]
    metadata: &'static [(&'static str, &'static str)],
    #[rkyv(with = List)]
    scores: &'static [(u64, f64)],
    #[rkyv(with = Text)]
    reason: &'static str,
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Batch {
    #[rkyv(with = List)]
    proposals: Vec<Proposal>,
}

impl Schema for Batch {
    const NAME: &'static str = "benches.batch";
}

/// The same in rkyv's own types, for its own checks.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Plain {
    id: [u8; 16],
    vm: String,
    tenant: String,
    metadata: Vec<(String, String)>,
    scores: Vec<(u64, f64)>,
    reason: String,
}

fn batches(messages: &Messages) -> Vec<Batch> {
    let proposal = |&super::Proposal { id, vm, tenant, metadata, scores, reason }: &super::Proposal| Proposal {
        id,
        vm,
        tenant,
        metadata,
        scores,
        reason,
    };
    messages.iter().map(|message| Batch { proposals: message.iter().map(proposal).collect() }).collect()
}

fn plain(messages: &Messages) -> Vec<Vec<Plain>> {
    let proposal = |proposal: &super::Proposal| Plain {
        id: proposal.id,
        vm: proposal.vm.to_owned(),
        tenant: proposal.tenant.to_owned(),
        metadata: proposal.metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        scores: proposal.scores.to_vec(),
        reason: proposal.reason.to_owned(),
    };
    messages.iter().map(|message| message.iter().map(proposal).collect()).collect()
}

/// A proposal's fields as they lie in an archive: id, texts, pairs, scores.
type Fields<'a, T> =
    (&'a [u8; 16], [&'a T; 3], &'a [ArchivedTuple2<T, T>], &'a [ArchivedTuple2<ArchivedU64, ArchivedF64>]);

#[inline(always)]
fn fold<'a, T: Deref<Target = str> + 'a>(proposals: impl Iterator<Item = Fields<'a, T>>) -> Fold {
    let mut fold = Fold::default();
    for (id, texts, metadata, scores) in proposals {
        fold.id(id);
        for text in texts {
            fold.text(text);
        }
        for pair in metadata {
            fold.text(&pair.0);
            fold.text(&pair.1);
        }
        for score in scores {
            fold.score(score.0.to_native(), score.1.to_native());
        }
    }
    fold
}

fn read(bytes: &[u8]) -> Fold {
    let batch = archive::access::<Batch>(bytes).expect("written here");
    fold(batch.proposals.iter().map(|proposal| {
        let ArchivedProposal { id, vm, tenant, metadata, scores, reason } = proposal;
        (id, [vm, tenant, reason], metadata.as_slice(), scores.as_slice())
    }))
}

fn read_plain(bytes: &[u8]) -> Fold {
    let batch = rkyv::access::<rkyv::Archived<Vec<Plain>>, rancor::Failure>(bytes).expect("written here");
    fold(batch.iter().map(|proposal| {
        let ArchivedPlain { id, vm, tenant, metadata, scores, reason } = proposal;
        (id, [vm, tenant, reason], metadata.as_slice(), scores.as_slice())
    }))
}

pub(super) fn encodes(messages: &Messages) -> Vec<Contender> {
    let encode = |batch: &Batch, out: &mut Bytes| *out = archive::encode(batch).expect("small");
    let encode_plain = |batch: &Vec<Plain>, out: &mut AlignedVec<16>| {
        let mut reused = std::mem::take(out);
        reused.clear();
        *out = rkyv::api::high::to_bytes_in::<_, rancor::Failure>(batch, reused).expect("small");
    };
    vec![
        encoder("blixard archive", Role::Ours, (messages, batches(messages)), encode, read),
        encoder("rkyv's own types, no checksum", Role::Peer, (messages, plain(messages)), encode_plain, read_plain),
    ]
}

pub(super) fn reads(messages: &Messages) -> Vec<Contender> {
    let bytes: Vec<_> = batches(messages).iter().map(|batch| archive::encode(batch).expect("small")).collect();
    let plain: Vec<_> =
        plain(messages).iter().map(|batch| rkyv::to_bytes::<rancor::Error>(batch).expect("small")).collect();
    let hash = |bytes: &[u8]| std::hint::black_box(XxHash3_64::oneshot(bytes));
    let hashed = move |bytes: &[u8]| {
        hash(bytes);
        read_plain(bytes)
    };
    vec![
        reader("blixard archive", Role::Ours, messages, bytes, read),
        reader("rkyv's own types and checks, no checksum", Role::Peer, messages, plain.clone(), read_plain),
        reader("the same and XXH3", Role::Peer, messages, plain, hashed),
    ]
}
