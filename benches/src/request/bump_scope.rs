//! The request over bump-scope: its own vector and text, hashbrown's map in `&Bump`.

use bump_scope::{Bump, BumpVec, bump_format};
use hashbrown::{DefaultHashBuilder, HashMap};

use super::{Input, Look, Proposal, Rendered};

struct InScope<'a> {
    id: [u8; 16],
    vm: &'a str,
    tenant: &'a str,
    metadata: HashMap<&'a str, &'a str, DefaultHashBuilder, &'a Bump>,
    scores: BumpVec<(u64, f64), &'a Bump>,
    reason: &'a str,
}

impl Proposal for InScope<'_> {
    fn render(&self) -> Rendered {
        let pairs = self.metadata.iter().map(|(key, value)| (*key, *value));
        Rendered::new(self.id, [self.vm, self.tenant, self.reason], pairs, &self.scores)
    }
}

pub(super) fn serve(bump: &mut Bump, input: &Input, look: &mut impl Look) {
    build(bump, input, look);
    bump.reset();
}

fn build(bump: &Bump, input: &Input, look: &mut impl Look) {
    let mut batch = BumpVec::with_capacity_in(input.proposals.len(), bump);
    for proposal in &input.proposals {
        let mut metadata = HashMap::new_in(bump);
        for (key, value) in &proposal.metadata {
            metadata.insert(bump.alloc_str(key).into_ref(), bump.alloc_str(value).into_ref());
        }
        let mut scores = BumpVec::new_in(bump);
        for score in &proposal.scores {
            scores.push(*score);
        }
        batch.push(InScope {
            id: proposal.id,
            vm: bump.alloc_str(&proposal.vm).into_ref(),
            tenant: bump.alloc_str(&proposal.tenant).into_ref(),
            metadata,
            scores,
            reason: bump_format!(in bump, "{} on node {}: most available", proposal.vm, proposal.node).into_str(),
        });
    }
    look.look(&batch);
}
