//! The plain twins of [`Proposal`](super::Proposal), [`ProposalData`](super::ProposalData) and
//! [`ProposalBatch`](super::ProposalBatch), in std types.
//!
//! They own every text and encode to the same bytes as the arena forms.

use super::{Lifetime, ProposalId, encode};
use crate::scheduler::VmSpec;
use crate::scheduler::heap::{Decision, VmConfig};

/// What is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalData {
    /// Create this VM.
    CreateVm {
        /// Its config.
        config: VmConfig,
        /// When it is wanted.
        lifetime: Lifetime,
    },
}

/// One change to the cluster's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// What is proposed.
    pub data: ProposalData,
    /// Why, for people.
    pub reason: String,
}

impl Proposal {
    /// Proposes to create the VM of `spec` and `metadata`.
    #[must_use]
    pub fn create_vm(id: ProposalId, lifetime: Lifetime, spec: &VmSpec<'_>, metadata: &[(&str, &str)]) -> Self {
        let config = VmConfig::new(spec, metadata);
        let reason = format!("create {} for {}, class {}", spec.name, spec.tenant, spec.qos.as_str());
        Self { id, data: ProposalData::CreateVm { config, lifetime }, reason }
    }
}

/// Proposals and what was decided for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalBatch {
    proposals: Vec<Proposal>,
    decisions: Vec<Decision>,
}

impl ProposalBatch {
    /// A batch of proposals and their decisions.
    ///
    /// # Panics
    ///
    /// If there is not one decision per proposal.
    #[must_use]
    pub fn new(proposals: Vec<Proposal>, decisions: Vec<Decision>) -> Self {
        assert_eq!(proposals.len(), decisions.len(), "a batch has one decision per proposal");
        Self { proposals, decisions }
    }

    /// The proposals, in order.
    #[must_use]
    pub fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    /// The decisions, in the order of the proposals.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Appends the batch's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::batch_length(out, self.proposals.len());
        for (proposal, decision) in self.proposals.iter().zip(&self.decisions) {
            let ProposalData::CreateVm { config, lifetime } = &proposal.data;
            let metadata = config.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            encode::create_vm(out, proposal.id, *lifetime, &config.spec(), metadata);
            encode::outcome(out, &proposal.reason, decision.placement, &decision.reason);
        }
    }
}
