//! `ProposalBuilder`: proposals of a request, one after the other, in its memory.
//!
//! Second station of the data's way: what was parsed becomes proposals here, with an id and a reason each, before they are placed.
//!
//! Invariant: what was built passes the builder's limits, decisions not yet counted. Cost: no heap call but one per [`waiter`](ProposalBuilder::waiter);
//! in the arena a text and a place in a list per proposal.

use blixard_arena::arena::AnyArena;
use blixard_arena::collections::Vec as ArenaVec;

use super::data::reason;
use super::limits::{Fault, NESTING_MAX, Place, Totals};
use super::{
    AnyProposal, Lifetime, Proposal, ProposalData, ProposalError, ProposalId, ProposalIds, ProposalLimits, Reply, View,
    Waiter,
};
use crate::scheduler::{VmConfig, VmSpec};

/// Builds a request's proposals.
///
/// Texts are borrowed: copy a request's bytes into its arena once, as a whole, and take the texts from there.
///
/// ```
/// use blixard_arena::ArenaPool;
/// use control_plane::names::VmStatus;
/// use control_plane::raft::{ProposalBuilder, ProposalData, ProposalIds};
///
/// let pool = ArenaPool::new();
/// let mut ids = ProposalIds::from_clock(); // one per thread that proposes
///
/// let arena = pool.acquire(); // a request
/// let mut builder = ProposalBuilder::new_in(&*arena, &mut ids);
/// builder.propose(ProposalData::StartVm { vm: "vm-1" })?;
/// let waiter = builder.waiter()?; // of the start
/// builder.batch(|both| {
///     both.propose(ProposalData::StopVm { vm: "vm-2", grace_seconds: 30 })?;
///     both.propose(ProposalData::DeleteVm { vm: "vm-2" })
/// })?;
/// let told = ProposalData::UpdateVmStatus { vm: "vm-3", status: VmStatus::Failed, node: "node-7" };
/// builder.propose(told)?;
///
/// let proposals = builder.finish();
/// assert!(proposals.is_sorted_by_key(|proposal| proposal.id));
/// assert_eq!(proposals[2].reason, "node-7 says that vm-3 is failed");
/// # drop(waiter);
/// # Ok::<(), control_plane::raft::ProposalError>(())
/// ```
#[derive(Debug)]
pub struct ProposalBuilder<'a, 'i, A: AnyArena> {
    arena: &'a A,
    ids: &'i mut ProposalIds,
    limits: ProposalLimits,
    proposals: ArenaVec<Proposal<'a>, &'a A>,
    /// Where the batch lies that is built.
    place: Place,
    totals: Totals,
}

impl<'a, 'i, A: AnyArena> ProposalBuilder<'a, 'i, A> {
    /// A builder with the default limits. Takes no memory before the first proposal.
    pub fn new_in(arena: &'a A, ids: &'i mut ProposalIds) -> Self {
        Self::with_limits_in(arena, ids, ProposalLimits::default())
    }

    /// A builder with these limits.
    pub fn with_limits_in(arena: &'a A, ids: &'i mut ProposalIds, limits: ProposalLimits) -> Self {
        let proposals = ArenaVec::new_in(arena);
        Self { arena, ids, limits, proposals, place: Place::BATCH, totals: Totals::EMPTY }
    }

    /// Makes room for this many more, so that the list need not grow.
    ///
    /// # Errors
    ///
    /// If the request's budget does not allow it.
    pub fn reserve(&mut self, proposals: usize) -> Result<(), ProposalError> {
        Ok(self.proposals.try_reserve(proposals)?)
    }

    /// Proposes to create the VM of `spec` and `metadata`, whose texts live as long as the arena's borrow.
    ///
    /// # Errors
    ///
    /// If a limit is passed, or the request's budget exceeded. Then nothing was added.
    pub fn create_vm(
        &mut self,
        lifetime: Lifetime,
        spec: VmSpec<'a>,
        metadata: &[(&'a str, &'a str)],
    ) -> Result<ProposalId, ProposalError> {
        // Before they are sorted: what is too much is to cost nothing.
        self.limits.pairs(metadata.len()).map_err(|fault| self.error(fault))?;
        let config =
            VmConfig::try_new_in(self.arena, spec, metadata).map_err(|budget| self.error(Fault::Budget(budget)))?;
        self.propose(ProposalData::CreateVm { config, lifetime })
    }

    /// Proposes this.
    ///
    /// # Errors
    ///
    /// As [`create_vm`](Self::create_vm).
    pub fn propose(&mut self, data: ProposalData<'a>) -> Result<ProposalId, ProposalError> {
        let place = self.next_place();
        let mut proposal = Proposal { id: self.ids.next_id(), data, reason: "", reply: None };
        let mut totals = self.totals;
        self.limits.texts(place, &proposal, &mut totals.proposals)?;
        let arena = self.arena;
        macro_rules! put {
            ($($piece:expr),+) => { arena.try_concat(($($piece,)+)) };
        }
        let over = |budget| ProposalError { place, fault: Fault::Budget(budget) };
        proposal.reason = reason!(proposal.view(), put).map_err(over)?;
        self.limits.bytes(place, &proposal, &mut totals.bytes)?;
        self.proposals.try_push(proposal).map_err(over)?;
        self.totals = totals;
        Ok(proposal.id)
    }

    /// Proposes, as one, what `build` adds to the builder that it is given.
    ///
    /// # Errors
    ///
    /// What `build` returns, and as [`create_vm`](Self::create_vm); a batch of nothing is an error too. Then nothing was added, and who
    /// waits for a part of it is told when the arena goes.
    pub fn batch<T>(
        &mut self,
        build: impl FnOnce(&mut ProposalBuilder<'a, '_, A>) -> Result<T, ProposalError>,
    ) -> Result<ProposalId, ProposalError> {
        let place = self.next_place();
        if place.positions().len() > NESTING_MAX {
            return Err(self.error(Fault::TooDeep { depth_max: NESTING_MAX }));
        }
        let mut inner = ProposalBuilder {
            arena: self.arena,
            ids: self.ids,
            limits: self.limits,
            proposals: ArenaVec::new_in(self.arena),
            place,
            totals: self.totals,
        };
        build(&mut inner)?;
        let proposals = inner.finish();
        self.propose(ProposalData::Batch { proposals })
    }

    /// Who waits for the proposal that was added last: hears what became of it, whatever way the arena goes.
    ///
    /// # Errors
    ///
    /// If the request's budget is exceeded.
    ///
    /// # Panics
    ///
    /// If there is no proposal yet, or somebody waits for it already.
    pub fn waiter(&mut self) -> Result<Waiter, ProposalError> {
        let (reply, waiter) = Reply::new();
        let place = self.proposals.len().checked_sub(1).and_then(|last| self.place.inner(last));
        let last = self.proposals.last_mut().expect("a proposal is waited for after it was added");
        assert!(last.reply.is_none(), "a proposal is waited for once");
        let over = |budget| ProposalError { place: place.unwrap_or(Place::BATCH), fault: Fault::Budget(budget) };
        last.reply = Some(self.arena.try_alloc_with_drop(reply).map_err(over)?);
        Ok(waiter)
    }

    /// The proposals, in order.
    #[must_use]
    pub fn finish(self) -> &'a [Proposal<'a>] {
        self.proposals.into_slice()
    }

    fn next_place(&self) -> Place {
        self.place.inner(self.proposals.len()).expect("a builder lies no deeper than a batch may")
    }

    fn error(&self, fault: Fault) -> ProposalError {
        ProposalError { place: self.next_place(), fault }
    }
}
