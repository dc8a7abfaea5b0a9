//! Archives beside other formats: encode a proposal and a batch of 16, and from raw bytes to every field read.
//!
//! The proposals are those of the reference request: an id of 16 bytes, two names of 16 bytes, 4 pairs of text, 8 scores, a reason of 45 bytes.
//! Ours checks a checksum over the whole message before anything else; of the others only flatbuffers checks its offsets, and none finds a flipped bit
//! in a number, so postcard is also measured behind the same checksum.
//!
//! Invariant: before a contender is timed it reads each message once, and what it reads must be what all others do.

mod flat;
mod ours;
mod serde_like;

use std::hint::black_box;

use blixard_arena::Arena;

use crate::contest::{Contender, Group, Named, Role};
use crate::request::{Input, ProposalInput};

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("archive/encode-one", || encodes("archive/encode-one", &ones())),
    ("archive/encode-batch", || encodes("archive/encode-batch", &batches())),
    ("archive/read-one", || reads("archive/read-one", &ones())),
    ("archive/read-batch", || reads("archive/read-batch", &batches())),
    ("archive/checksum-20", || checksums("archive/checksum-20", 20)),
    ("archive/checksum-400", || checksums("archive/checksum-400", 400)),
    ("archive/checksum-16384", || checksums("archive/checksum-16384", 16_384)),
];

/// Operations between two looks at nothing: there is nothing to rewind.
const BATCH: u64 = 1 << 20;

/// A proposal as a request has it: texts and lists in its arena.
#[derive(Clone, Copy, Debug)]
struct Proposal {
    id: [u8; 16],
    vm: &'static str,
    tenant: &'static str,
    metadata: &'static [(&'static str, &'static str)],
    scores: &'static [(u64, f64)],
    reason: &'static str,
}

/// Messages to encode, each of one or more proposals.
type Messages = Vec<Vec<Proposal>>;

/// The reference request's proposals. They live as long as the program, as contenders do.
fn proposals() -> Vec<Proposal> {
    let arena: &'static Arena = Box::leak(Box::new(Arena::new()));
    let proposal = |input: &ProposalInput| Proposal {
        id: input.id,
        vm: arena.alloc_str(&input.vm),
        tenant: arena.alloc_str(&input.tenant),
        metadata: arena.alloc_slice_fill_iter(
            input.metadata.iter().map(|(key, value)| (&*arena.alloc_str(key), &*arena.alloc_str(value))),
        ),
        scores: arena.alloc_slice_copy(&input.scores),
        reason: arena.format(format_args!("{} on node {}: most available", input.vm, input.node)),
    };
    Input::reference().proposals.iter().map(proposal).collect()
}

fn ones() -> Messages {
    proposals().into_iter().map(|proposal| vec![proposal]).collect()
}

fn batches() -> Messages {
    vec![proposals()]
}

/// Every field that is read, folded into a number by additions, which wait for nothing but one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fold(u64);

impl Fold {
    #[inline(always)]
    fn number(&mut self, number: u64) {
        self.0 = self.0.wrapping_add(number);
    }

    #[inline(always)]
    fn id(&mut self, id: &[u8; 16]) {
        let (low, high) = id.split_at(8);
        self.number(u64::from_le_bytes(low.try_into().expect("8 bytes")));
        self.number(u64::from_le_bytes(high.try_into().expect("8 bytes")));
    }

    /// Its length, and its last byte.
    #[inline(always)]
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.number(u64::from(text.as_bytes().last().copied().unwrap_or_default()));
    }

    #[inline(always)]
    fn score(&mut self, node: u64, score: f64) {
        self.number(node);
        self.number(score.to_bits());
    }
}

/// What reading a message must come to.
fn expected(message: &[Proposal]) -> Fold {
    let mut fold = Fold::default();
    for proposal in message {
        fold.id(&proposal.id);
        for text in [proposal.vm, proposal.tenant, proposal.reason] {
            fold.text(text);
        }
        for (key, value) in proposal.metadata {
            fold.text(key);
            fold.text(value);
        }
        for (node, score) in proposal.scores {
            fold.score(*node, *score);
        }
    }
    fold
}

/// Which of the messages comes next: the contenders see them in turn.
#[expect(clippy::cast_possible_truncation, reason = "a remainder of few")]
fn next<M>(messages: &[M], i: u64) -> &M {
    &messages[i as usize % messages.len()]
}

/// A contender that encodes `values` in turn into `out`, or in place of it; the bytes are checked by `read` first.
fn encoder<V: 'static, B: Default + AsRef<[u8]> + 'static>(
    name: &'static str,
    role: Role,
    (messages, values): (&Messages, Vec<V>),
    mut encode: impl FnMut(&V, &mut B) + 'static,
    read: impl Fn(&[u8]) -> Fold,
) -> Contender {
    let mut out = B::default();
    for (message, value) in messages.iter().zip(&values) {
        encode(value, &mut out);
        assert_eq!(read(out.as_ref()), expected(message), "{name}");
    }
    Contender::alone(
        name,
        role,
        BATCH,
        (values, out),
        move |(values, out), i| {
            encode(next(values, i), out);
            black_box(out.as_ref());
        },
        |_| (),
    )
}

/// A contender that reads every field of messages in turn, from raw bytes.
fn reader<B: AsRef<[u8]> + 'static>(
    name: &'static str,
    role: Role,
    messages: &Messages,
    bytes: Vec<B>,
    read: impl Fn(&[u8]) -> Fold + 'static,
) -> Contender {
    for (message, bytes) in messages.iter().zip(&bytes) {
        assert_eq!(read(bytes.as_ref()), expected(message), "{name}");
    }
    Contender::alone(
        name,
        role,
        BATCH,
        bytes,
        move |bytes, i| {
            black_box(read(black_box(next(bytes, i).as_ref())));
        },
        |_| (),
    )
}

fn encodes(name: &'static str, messages: &Messages) -> Group {
    Group {
        name,
        note: "from values in memory to bytes; ours with checksum, to bytes that can be given away; the others into a buffer that is written again",
        elements: 1,
        contenders: [ours::encodes(messages), serde_like::encodes(messages), flat::encodes(messages)]
            .into_iter()
            .flatten()
            .collect(),
    }
}

fn reads(name: &'static str, messages: &Messages) -> Group {
    Group {
        name,
        note: "from raw bytes to every field read; ours with checksum and all offsets and texts checked",
        elements: 1,
        contenders: [ours::reads(messages), serde_like::reads(messages), flat::reads(messages)]
            .into_iter()
            .flatten()
            .collect(),
    }
}

/// XXH3 by the two crates that have it: over a name, a message and a block of a table.
fn checksums(name: &'static str, bytes: usize) -> Group {
    let texts: Vec<Vec<u8>> = (0..16).map(|text: u8| vec![text; bytes]).collect();
    let sum = |name, role, sum: fn(&[u8]) -> u64| {
        let work = move |texts: &mut Vec<Vec<u8>>, i| _ = black_box(sum(black_box(next::<Vec<u8>>(texts, i))));
        Contender::alone(name, role, BATCH, texts.clone(), work, |_| ())
    };
    let contenders = vec![
        sum("twox-hash", Role::Ours, twox_hash::XxHash3_64::oneshot),
        sum("xxhash-rust", Role::Peer, xxhash_rust::xxh3::xxh3_64),
    ];
    Group { name, note: "XXH3 of 64 bits, which archives and tables on disk have", elements: 1, contenders }
}
