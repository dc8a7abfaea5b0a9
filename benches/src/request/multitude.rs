//! The request over multitude: its own vector, map (hashbrown in the arena) and `format!`, references leaked into the arena's lifetime.

use hashbrown::{DefaultHashBuilder, HashMap};
use multitude::{Alloc, Arena};

use super::{Input, Look, Proposal, Rendered};

struct InArena<'a> {
    id: [u8; 16],
    vm: &'a str,
    tenant: &'a str,
    metadata: HashMap<&'a str, &'a str, DefaultHashBuilder, &'a Arena>,
    scores: multitude::vec::Vec<'a, (u64, f64)>,
    reason: &'a str,
}

impl Proposal for InArena<'_> {
    fn render(&self) -> Rendered {
        let pairs = self.metadata.iter().map(|(key, value)| (*key, *value));
        Rendered::new(self.id, [self.vm, self.tenant, self.reason], pairs, &self.scores)
    }
}

pub(super) fn serve(arena: &mut Arena, input: &Input, look: &mut impl Look) {
    build(arena, input, look);
    arena.reset();
}

fn build(arena: &Arena, input: &Input, look: &mut impl Look) {
    let mut batch = arena.alloc_vec_with_capacity(input.proposals.len());
    for proposal in &input.proposals {
        let mut metadata = arena.alloc_hash_map();
        for (key, value) in &proposal.metadata {
            metadata.insert(&*Alloc::leak(arena.alloc_str(key)), &*Alloc::leak(arena.alloc_str(value)));
        }
        let mut scores = arena.alloc_vec();
        for score in &proposal.scores {
            scores.push(*score);
        }
        batch.push(InArena {
            id: proposal.id,
            vm: Alloc::leak(arena.alloc_str(&proposal.vm)),
            tenant: Alloc::leak(arena.alloc_str(&proposal.tenant)),
            metadata,
            scores,
            reason: multitude::strings::format!(in arena, "{} on node {}: most available", proposal.vm, proposal.node)
                .leak(),
        });
    }
    look.look(&batch);
}
