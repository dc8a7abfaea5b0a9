//! `ProposalBuilder`: a request's proposals, one after the other, on the heap.
//!
//! The twin of `raft::build`. Invariant: what was built passes the builder's limits, decisions not yet counted. Cost: what the proposals cost.
#![forbid(unsafe_code)]

use super::data::{Proposal, ProposalData};
use crate::raft::limits::{Fault, Place, Totals};
use crate::raft::{Lifetime, NESTING_MAX, ProposalError, ProposalId, ProposalIds, ProposalLimits, Reply, Waiter};
use crate::scheduler::VmSpec;
use crate::scheduler::heap::VmConfig;

/// Builds a request's proposals: the twin of [`ProposalBuilder`](crate::raft::ProposalBuilder).
#[derive(Debug)]
pub struct ProposalBuilder<'i> {
    ids: &'i mut ProposalIds,
    limits: ProposalLimits,
    proposals: Vec<Proposal>,
    /// Where the batch lies that is built.
    place: Place,
    totals: Totals,
}

impl<'i> ProposalBuilder<'i> {
    /// A builder with the default limits.
    pub fn new(ids: &'i mut ProposalIds) -> Self {
        Self::with_limits(ids, ProposalLimits::default())
    }

    /// A builder with these limits.
    pub fn with_limits(ids: &'i mut ProposalIds, limits: ProposalLimits) -> Self {
        Self { ids, limits, proposals: Vec::new(), place: Place::BATCH, totals: Totals::EMPTY }
    }

    /// Makes room for this many more.
    pub fn reserve(&mut self, proposals: usize) {
        self.proposals.reserve(proposals);
    }

    /// Proposes to create the VM of `spec` and `metadata`.
    ///
    /// # Errors
    ///
    /// If a limit is passed. Then nothing was added.
    pub fn create_vm(
        &mut self,
        lifetime: Lifetime,
        spec: &VmSpec<'_>,
        metadata: &[(&str, &str)],
    ) -> Result<ProposalId, ProposalError> {
        self.limits.pairs(metadata.len()).map_err(|fault| self.error(fault))?;
        self.propose(ProposalData::CreateVm { config: VmConfig::new(spec, metadata), lifetime })
    }

    /// Proposes this.
    ///
    /// # Errors
    ///
    /// If a limit is passed. Then nothing was added.
    pub fn propose(&mut self, data: ProposalData) -> Result<ProposalId, ProposalError> {
        let (place, id) = (self.next_place(), self.ids.next_id());
        let mut proposal = Proposal { id, data, reason: String::new(), reply: None };
        let mut totals = self.totals;
        self.limits.texts(place, &proposal, &mut totals.proposals)?;
        proposal.reason = proposal.worded();
        self.limits.bytes(place, &proposal, &mut totals.bytes)?;
        self.proposals.push(proposal);
        self.totals = totals;
        Ok(id)
    }

    /// Proposes, as one, what `build` adds to the builder that it is given.
    ///
    /// # Errors
    ///
    /// What `build` returns, and if a limit is passed; a batch of nothing is an error too. Then nothing was added.
    pub fn batch<T>(
        &mut self,
        build: impl FnOnce(&mut ProposalBuilder<'_>) -> Result<T, ProposalError>,
    ) -> Result<ProposalId, ProposalError> {
        let place = self.next_place();
        if place.positions().len() > NESTING_MAX {
            return Err(self.error(Fault::TooDeep { depth_max: NESTING_MAX }));
        }
        let (limits, totals) = (self.limits, self.totals);
        let mut inner = ProposalBuilder { ids: self.ids, limits, proposals: Vec::new(), place, totals };
        build(&mut inner)?;
        let proposals = inner.finish();
        self.propose(ProposalData::Batch { proposals })
    }

    /// Who waits for the proposal that was added last.
    ///
    /// # Panics
    ///
    /// If there is no proposal yet, or somebody waits for it already.
    pub fn waiter(&mut self) -> Waiter {
        let (reply, waiter) = Reply::new();
        let last = self.proposals.last_mut().expect("a proposal is waited for after it was added");
        assert!(last.reply.is_none(), "a proposal is waited for once");
        last.reply = Some(reply);
        waiter
    }

    /// The proposals, in order.
    #[must_use]
    pub fn finish(self) -> Vec<Proposal> {
        self.proposals
    }

    fn next_place(&self) -> Place {
        self.place.inner(self.proposals.len()).expect("a builder lies no deeper than a batch may")
    }

    fn error(&self, fault: Fault) -> ProposalError {
        ProposalError { place: self.next_place(), fault }
    }
}
