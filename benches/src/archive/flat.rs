//! flatbuffers: the tables by hand, as its compiler would write them, with its verifier before each read.

#![expect(unsafe_code, reason = "flatbuffers' tables are read by unsafe calls, which its compiler's code makes too")]

use flatbuffers::{
    FlatBufferBuilder, Follow, ForwardsUOffset, InvalidFlatbuffer, Table, TableFinishedWIPOffset, Vector, Verifiable,
    Verifier, WIPOffset,
};

use super::{Fold, Messages, encoder, reader};
use crate::contest::{Contender, Role};

/// A table type: its wrapper, and what the verifier visits.
macro_rules! table {
    ($life:lifetime $name:ident, $($slot:literal $field:ident: $type:ty),+) => {
        #[derive(Clone, Copy)]
        struct $name<$life>(Table<$life>);

        impl<$life> Follow<$life> for $name<$life> {
            type Inner = Self;

            unsafe fn follow(bytes: &$life [u8], at: usize) -> Self {
                // SAFETY: passed on from the caller.
                Self(unsafe { Table::new(bytes, at) })
            }
        }

        impl<$life> Verifiable for $name<$life> {
            fn run_verifier(verifier: &mut Verifier<'_, '_>, at: usize) -> Result<(), InvalidFlatbuffer> {
                verifier.visit_table(at)?$(.visit_field::<ForwardsUOffset<$type>>(stringify!($field), $slot, true)?)+.finish();
                Ok(())
            }
        }

        impl<$life> $name<$life> {
            $(
                #[inline]
                fn $field(self) -> <$type as Follow<$life>>::Inner {
                    // SAFETY: the verifier has found this field in this table.
                    unsafe { self.0.get::<ForwardsUOffset<$type>>($slot, None) }.expect("required")
                }
            )+
        }
    };
}

table!('a Pair, 4 key: &'a str, 6 value: &'a str);
table!('a Proposal, 4 id: Vector<'a, u8>, 6 vm: &'a str, 8 tenant: &'a str,
    10 metadata: Vector<'a, ForwardsUOffset<Pair<'a>>>, 12 nodes: Vector<'a, u64>, 14 scores: Vector<'a, f64>,
    16 reason: &'a str);
table!('a Batch, 4 proposals: Vector<'a, ForwardsUOffset<Proposal<'a>>>);

fn write_proposal(
    builder: &mut FlatBufferBuilder<'_>,
    proposal: &super::Proposal,
) -> WIPOffset<TableFinishedWIPOffset> {
    let mut pairs = [WIPOffset::new(0); 16];
    for (pair, (key, value)) in pairs.iter_mut().zip(proposal.metadata) {
        let (key, value) = (builder.create_string(key), builder.create_string(value));
        let table = builder.start_table();
        builder.push_slot_always(4, key);
        builder.push_slot_always(6, value);
        *pair = builder.end_table(table);
    }
    let metadata = builder.create_vector(&pairs[..proposal.metadata.len()]);
    let nodes = builder.create_vector_from_iter(proposal.scores.iter().map(|(node, _)| *node));
    let scores = builder.create_vector_from_iter(proposal.scores.iter().map(|(_, score)| *score));
    let id = builder.create_vector(&proposal.id);
    let [vm, tenant, reason] = [proposal.vm, proposal.tenant, proposal.reason].map(|text| builder.create_string(text));
    let table = builder.start_table();
    builder.push_slot_always(4, id);
    builder.push_slot_always(6, vm);
    builder.push_slot_always(8, tenant);
    builder.push_slot_always(10, metadata);
    builder.push_slot_always(12, nodes);
    builder.push_slot_always(14, scores);
    builder.push_slot_always(16, reason);
    builder.end_table(table)
}

fn write(builder: &mut FlatBufferBuilder<'_>, batch: &[super::Proposal]) {
    builder.reset();
    let mut proposals = [WIPOffset::new(0); 16];
    for (offset, proposal) in proposals.iter_mut().zip(batch) {
        *offset = write_proposal(builder, proposal);
    }
    let proposals = builder.create_vector(&proposals[..batch.len()]);
    let table = builder.start_table();
    builder.push_slot_always(4, proposals);
    let root = builder.end_table(table);
    builder.finish(root, None);
}

fn read(bytes: &[u8]) -> Fold {
    let batch = flatbuffers::root::<Batch<'_>>(bytes).expect("written here");
    let mut fold = Fold::default();
    for proposal in batch.proposals() {
        fold.id(proposal.id().bytes().try_into().expect("16 bytes"));
        for text in [proposal.vm(), proposal.tenant(), proposal.reason()] {
            fold.text(text);
        }
        for pair in proposal.metadata() {
            fold.text(pair.key());
            fold.text(pair.value());
        }
        for (node, score) in proposal.nodes().iter().zip(proposal.scores()) {
            fold.score(node, score);
        }
    }
    fold
}

pub(super) fn encodes(messages: &Messages) -> Vec<Contender> {
    /// Bytes that stay in the builder.
    #[derive(Default)]
    struct Built(FlatBufferBuilder<'static>);
    impl AsRef<[u8]> for Built {
        fn as_ref(&self) -> &[u8] {
            if self.0.unfinished_data().is_empty() { &[] } else { self.0.finished_data() }
        }
    }
    let encode = |batch: &Vec<super::Proposal>, out: &mut Built| write(&mut out.0, batch);
    vec![encoder("flatbuffers", Role::Peer, (messages, messages.clone()), encode, read)]
}

pub(super) fn reads(messages: &Messages) -> Vec<Contender> {
    let built = |batch: &Vec<super::Proposal>| {
        let mut builder = FlatBufferBuilder::new();
        write(&mut builder, batch);
        builder.finished_data().to_vec()
    };
    vec![reader("flatbuffers, verified", Role::Peer, messages, messages.iter().map(built).collect(), read)]
}
