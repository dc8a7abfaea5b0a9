//! The request tuned by hand over bumpalo, with the same meaning: how far the obvious code could go.
//!
//! The map is a flat vector of pairs, scanned for the key before each insertion (the later value wins, as in a hash map); vectors begin at the
//! usual size and double beyond it; the reason is written straight into its place. Nothing is known beforehand that the others are
//! not told: lists may be longer than the usual, and are in the random variant.

use std::fmt::Write as _;

use allocator_api2::vec::Vec;
use bumpalo::Bump;
use bumpalo::collections::String;

use super::{Input, Look, Proposal, ProposalInput, Rendered};

const PAIRS_USUAL: usize = 4;
const SCORES_USUAL: usize = 8;
const REASON_BYTES_USUAL: usize = 48;

struct Tuned<'a> {
    id: [u8; 16],
    vm: &'a str,
    tenant: &'a str,
    metadata: &'a [(&'a str, &'a str)],
    scores: &'a [(u64, f64)],
    reason: &'a str,
}

impl Proposal for Tuned<'_> {
    fn render(&self) -> Rendered {
        let pairs = self.metadata.iter().copied();
        Rendered::new(
            self.id,
            [self.vm, self.tenant, self.reason],
            pairs,
            self.scores,
        )
    }
}

pub(super) fn serve(bump: &mut Bump, input: &Input, look: &mut impl Look) {
    build(bump, input, look, formatted);
    bump.reset();
}

pub(super) fn serve_by_hand(bump: &mut Bump, input: &Input, look: &mut impl Look) {
    build(bump, input, look, by_hand);
    bump.reset();
}

#[inline]
fn build<'a>(
    bump: &'a Bump,
    input: &Input,
    look: &mut impl Look,
    reason: impl Fn(&'a Bump, &ProposalInput) -> &'a str,
) {
    let mut batch = Vec::with_capacity_in(input.proposals.len(), bump);
    for proposal in &input.proposals {
        let mut metadata: Vec<(&str, &str), &Bump> = Vec::new_in(bump);
        if !proposal.metadata.is_empty() {
            metadata.reserve_exact(PAIRS_USUAL);
        }
        for (key, value) in &proposal.metadata {
            let value = &*bump.alloc_str(value);
            match metadata.iter_mut().find(|(known, _)| known == key) {
                Some((_, old)) => *old = value,
                None => metadata.push((bump.alloc_str(key), value)),
            }
        }
        let mut scores = Vec::new_in(bump);
        if !proposal.scores.is_empty() {
            scores.reserve_exact(SCORES_USUAL);
        }
        for score in &proposal.scores {
            scores.push(*score);
        }
        batch.push(Tuned {
            id: proposal.id,
            vm: bump.alloc_str(&proposal.vm),
            tenant: bump.alloc_str(&proposal.tenant),
            metadata: Vec::leak(metadata),
            scores: Vec::leak(scores),
            reason: reason(bump, proposal),
        });
    }
    look.look(&batch);
}

#[inline]
fn formatted<'a>(bump: &'a Bump, proposal: &ProposalInput) -> &'a str {
    let mut text = String::with_capacity_in(REASON_BYTES_USUAL, bump);
    write!(
        text,
        "placed {} on node {} score {}",
        proposal.vm, proposal.node, proposal.score
    )
    .expect("a String takes any text");
    text.into_bump_str()
}

#[inline]
fn by_hand<'a>(bump: &'a Bump, proposal: &ProposalInput) -> &'a str {
    let mut text = String::with_capacity_in(REASON_BYTES_USUAL, bump);
    text.push_str("placed ");
    text.push_str(&proposal.vm);
    text.push_str(" on node ");
    push_number(&mut text, proposal.node);
    text.push_str(" score ");
    push_number(&mut text, proposal.score);
    text.into_bump_str()
}

#[inline]
fn push_number(text: &mut String<'_>, number: u32) {
    let mut unit = 1;
    while number / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        let digit = u8::try_from(number / unit % 10).expect("one digit");
        text.push(char::from(b'0' + digit));
        unit /= 10;
    }
}
