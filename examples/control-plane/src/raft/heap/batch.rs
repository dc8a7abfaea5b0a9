//! `ProposalBatch`: proposals and what was decided for the VMs that they create, on the heap.
//!
//! The twin of `raft::batch`. Invariant: one decision per proposal that creates a VM, in order. Cost: none of its own.
#![forbid(unsafe_code)]

use super::data::Proposal;
use crate::raft::batch::{check_decisions, tell_all};
use crate::raft::{Answer, AnyBatch, Outcome};
use crate::scheduler::heap::Decision;

/// Proposals and what was decided for the VMs that they create: the twin of [`ProposalBatch`](crate::raft::ProposalBatch).
#[derive(Debug, PartialEq, Eq)]
pub struct ProposalBatch {
    proposals: Vec<Proposal>,
    decisions: Vec<Decision>,
}

impl ProposalBatch {
    /// A batch of proposals and the decisions for those that create a VM.
    ///
    /// # Panics
    ///
    /// If there is not one decision per VM created.
    #[must_use]
    pub fn new(proposals: Vec<Proposal>, decisions: Vec<Decision>) -> Self {
        check_decisions(&proposals, decisions.len());
        Self { proposals, decisions }
    }

    /// The proposals, in order.
    #[must_use]
    pub fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    /// The decisions, in the order of the VMs created.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Tells whoever waits for any of the proposals, and was not told yet.
    pub fn answer(&self, answer: Answer) {
        tell_all(&self.proposals, answer);
    }
}

impl AnyBatch for ProposalBatch {
    type Proposal = Proposal;

    fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'_>> + Clone {
        self.decisions.iter().map(|decision| Outcome {
            placement: decision.placement,
            alternatives: &decision.alternatives,
            reason: &decision.reason,
        })
    }
}
