//! The request tuned by hand, with the same meaning: how far the obvious code could go.
//!
//! The map is a flat list of pairs, scanned for the key before each insertion (the later value wins, as in a hash map); lists begin at the
//! usual size and double beyond it, in place while they lie last; short strings are copied without a call; the reason is written straight into
//! its place. Nothing is known beforehand that the others are not told: lists may be longer than the usual, and are in the
//! random variant, and the memory may run out of its chunk, as it does in [`Region`]'s tests.

use std::fmt::Write as _;

use super::{Input, Look, Proposal, ProposalInput, Rendered};
use crate::limits::{Region, RegionText, RegionVec};

const PAIRS_USUAL: usize = 4;
const SCORES_USUAL: usize = 8;
const REASON_BYTES_USUAL: usize = 64;

#[derive(Clone, Copy)]
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
        Rendered::new(self.id, [self.vm, self.tenant, self.reason], pairs, self.scores)
    }
}

pub(super) fn serve(region: &mut Region, input: &Input, look: &mut impl Look) {
    build(region, input, look, formatted);
    region.reset();
}

pub(super) fn serve_by_hand(region: &mut Region, input: &Input, look: &mut impl Look) {
    build(region, input, look, by_hand);
    region.reset();
}

#[inline]
fn build<'a>(
    region: &'a Region,
    input: &Input,
    look: &mut impl Look,
    reason: impl Fn(&'a Region, &ProposalInput) -> &'a str,
) {
    let mut batch = RegionVec::with_capacity_in(input.proposals.len(), region);
    for proposal in &input.proposals {
        let mut metadata: RegionVec<'_, (&str, &str)> = RegionVec::with_capacity_in(PAIRS_USUAL, region);
        for (key, value) in &proposal.metadata {
            match metadata.as_mut_slice().iter_mut().find(|(known, _)| known == key) {
                Some((_, old)) => *old = region.alloc_str(value),
                None => metadata.push((region.alloc_str(key), region.alloc_str(value))),
            }
        }
        let mut scores = RegionVec::with_capacity_in(SCORES_USUAL, region);
        for score in &proposal.scores {
            scores.push(*score);
        }
        batch.push(Tuned {
            id: proposal.id,
            scores: scores.into_slice(),
            vm: region.alloc_str(&proposal.vm),
            tenant: region.alloc_str(&proposal.tenant),
            metadata: metadata.into_slice(),
            reason: reason(region, proposal),
        });
    }
    look.look(batch.into_slice());
}

#[inline]
fn formatted<'a>(region: &'a Region, proposal: &ProposalInput) -> &'a str {
    let mut text = RegionText::with_capacity_in(REASON_BYTES_USUAL, region);
    write!(text, "{} on node {}: most available", proposal.vm, proposal.node).expect("a RegionText takes any text");
    text.into_str()
}

#[inline]
fn by_hand<'a>(region: &'a Region, proposal: &ProposalInput) -> &'a str {
    let mut text = RegionText::with_capacity_in(REASON_BYTES_USUAL, region);
    text.push_str(&proposal.vm);
    text.push_str(" on node ");
    // Digits from the last to the first.
    let mut digits = [0_u8; 10];
    let mut first = digits.len();
    let mut number = proposal.node;
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).expect("one digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[first..]).expect("digits are ASCII"));
    text.push_str(": most available");
    text.into_str()
}
