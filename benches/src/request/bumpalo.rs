//! The request over bumpalo: hashbrown's map and allocator-api2's `Vec` in `&Bump`, bumpalo's own `format!`.

use allocator_api2::vec::Vec;
use bumpalo::Bump;
use hashbrown::{DefaultHashBuilder, HashMap};

use super::{Input, Look, Proposal, Rendered};

struct InBump<'a> {
    id: [u8; 16],
    vm: &'a str,
    tenant: &'a str,
    metadata: HashMap<&'a str, &'a str, DefaultHashBuilder, &'a Bump>,
    scores: Vec<(u64, f64), &'a Bump>,
    reason: &'a str,
}

impl Proposal for InBump<'_> {
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
    let mut batch = Vec::with_capacity_in(input.proposals.len(), bump);
    for proposal in &input.proposals {
        let mut metadata = HashMap::new_in(bump);
        for (key, value) in &proposal.metadata {
            metadata.insert(&*bump.alloc_str(key), &*bump.alloc_str(value));
        }
        let mut scores = Vec::new_in(bump);
        for score in &proposal.scores {
            scores.push(*score);
        }
        batch.push(InBump {
            id: proposal.id,
            vm: bump.alloc_str(&proposal.vm),
            tenant: bump.alloc_str(&proposal.tenant),
            metadata,
            scores,
            reason: bumpalo::format!(in bump, "{} on node {}: most available", proposal.vm, proposal.node)
                .into_bump_str(),
        });
    }
    look.look(&batch);
}
