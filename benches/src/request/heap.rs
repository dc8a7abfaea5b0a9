//! The request on the plain heap, with std's map and with hashbrown's, so that the hasher's share and the memory's can be told apart.

use std::hash::BuildHasher;

use super::{Input, Look, Proposal, Rendered};

struct Owned<M> {
    id: [u8; 16],
    vm: String,
    tenant: String,
    metadata: M,
    scores: Vec<(u64, f64)>,
    reason: String,
}

/// What the request asks of a map of strings.
trait Pairs: Default {
    fn put(&mut self, key: String, value: String);
    fn each(&self) -> impl Iterator<Item = (&str, &str)>;
}

impl Pairs for std::collections::HashMap<String, String> {
    fn put(&mut self, key: String, value: String) {
        self.insert(key, value);
    }
    fn each(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl<S: BuildHasher + Default> Pairs for hashbrown::HashMap<String, String, S> {
    fn put(&mut self, key: String, value: String) {
        self.insert(key, value);
    }
    fn each(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl<M: Pairs> Proposal for Owned<M> {
    fn render(&self) -> Rendered {
        Rendered::new(self.id, [&self.vm, &self.tenant, &self.reason], self.metadata.each(), &self.scores)
    }
}

fn serve<M: Pairs>(input: &Input, look: &mut impl Look) {
    let mut batch = Vec::with_capacity(input.proposals.len());
    for proposal in &input.proposals {
        let mut metadata = M::default();
        for (key, value) in &proposal.metadata {
            metadata.put(key.clone(), value.clone());
        }
        let mut scores = Vec::new();
        for score in &proposal.scores {
            scores.push(*score);
        }
        batch.push(Owned {
            id: proposal.id,
            vm: proposal.vm.clone(),
            tenant: proposal.tenant.clone(),
            metadata,
            scores,
            reason: format!("{} on node {}: most available", proposal.vm, proposal.node),
        });
    }
    look.look(&batch);
}

pub(super) fn serve_std((): &mut (), input: &Input, look: &mut impl Look) {
    serve::<std::collections::HashMap<String, String>>(input, look);
}

pub(super) fn serve_hashbrown((): &mut (), input: &Input, look: &mut impl Look) {
    serve::<hashbrown::HashMap<String, String>>(input, look);
}
