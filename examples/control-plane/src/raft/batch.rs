//! `ProposalBatch`: proposals and what was decided for the VMs that they create, frozen.
//!
//! Stands between placement and the log. It is the root that a [`SealedBatch`] carries to the thread that proposes it.
//!
//! Invariant: one decision per proposal that creates a VM, in the order in which they are encoded; plain data that needs no drop.
//! Cost: none of its own.

use blixard_arena::Sealed;
use blixard_arena::archive::rkyv::{self, Archive, Deserialize, Serialize};
use blixard_arena::archive::{ArenaDecoder, List};

use super::archived::{ArchivedProposalBatch, BatchView, Proposals};
use super::data::{AnyProposal, View};
use super::{Answer, Proposal};
use crate::scheduler::Decision;

/// Proposals and what was decided for each VM that they create, frozen: one value that can be encoded, sealed or dropped as a
/// whole.
///
/// ```
/// use blixard_arena::ArenaPool;
/// use blixard_arena::collections::Vec;
/// use control_plane::raft::{
///     Answer, Lifetime, ProposalBatch, ProposalBuilder, ProposalError, ProposalIds, ProposalProcessor, SealedBatch,
/// };
/// use control_plane::scheduler::{Decision, Node, NodeTable, Qos, Resources, VmSpec};
///
/// let node = Node { name: "n1".into(), cpu_milli: 8_000, memory_mib: 16_384, gpus: 0, model: String::new() };
/// let mut table = NodeTable::new(&[node])?;
/// let spec = VmSpec {
///     name: "vm-1", config_path: "/etc/vm/1.toml", tenant: "acme", gpu_spec: "",
///     resources: Resources { cpu_milli: 2_000, memory_mib: 4_096, ..Resources::default() },
///     ip: [10, 0, 0, 1].into(), qos: Qos::Guaranteed, ..VmSpec::default()
/// };
///
/// let pool = ArenaPool::new();
/// let mut ids = ProposalIds::from_clock();
/// let mut waiter = None;
/// let batch = SealedBatch::try_build(pool.acquire(), |arena| {
///     let mut builder = ProposalBuilder::new_in(arena, &mut ids);
///     builder.create_vm(Lifetime { from_seconds: 0, until_seconds: None }, spec, &[("app", "db")])?;
///     waiter = Some(builder.waiter()?);
///     let placement = table.place(&table.demand(&spec));
///     let decision = arena.alloc(Decision::new_in(arena, &table, &spec, placement));
///     Ok::<_, ProposalError>(ProposalBatch::new(builder.finish(), std::slice::from_ref(decision)))
/// })?;
///
/// let proposer = std::thread::spawn(move || {
///     let entry = ProposalProcessor::default().encode(batch.get())?; // `Bytes`, for the log
///     batch.get().answer(Answer::Applied { log_index: 7 });
///     Ok::<_, ProposalError>(entry)
/// }); // the batch goes there, and its arena back to the pool
/// assert_eq!(waiter.unwrap().wait(), Answer::Applied { log_index: 7 });
/// assert!(proposer.join().unwrap()?.windows(4).any(|window| window == b"vm-1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, as = ArchivedProposalBatch)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator), deserialize_bounds(__D: ArenaDecoder<'a>))]
pub struct ProposalBatch<'a> {
    #[rkyv(omit_bounds, with = Proposals)]
    proposals: &'a [Proposal<'a>],
    #[rkyv(omit_bounds, with = List)]
    decisions: &'a [Decision<'a>],
}

blixard_arena::sealed_root!(ProposalBatch);

/// A batch together with the arena that it lies in: goes through a channel, and drops as a whole. Who waits for a proposal that
/// was not answered by then is told [`Answer::Dropped`].
pub type SealedBatch = Sealed<ProposalBatch<'static>>;

impl<'a> ProposalBatch<'a> {
    /// A batch of proposals and the decisions for those that create a VM; where such proposals are nested, in the order in
    /// which one meets them.
    ///
    /// # Panics
    ///
    /// If there is not one decision per VM created.
    #[must_use]
    pub fn new(proposals: &'a [Proposal<'a>], decisions: &'a [Decision<'a>]) -> Self {
        check_decisions(proposals, decisions.len());
        Self { proposals, decisions }
    }

    /// The proposals, in order.
    #[must_use]
    pub fn proposals(&self) -> &'a [Proposal<'a>] {
        self.proposals
    }

    /// The decisions, in the order of the VMs created.
    #[must_use]
    pub fn decisions(&self) -> &'a [Decision<'a>] {
        self.decisions
    }

    /// Tells whoever waits for any of the proposals, and was not told yet. No heap call.
    pub fn answer(&self, answer: Answer) {
        tell_all(self.proposals, answer);
    }
}

/// A batch of whatever form, as [`ProposalProcessor`](super::ProposalProcessor) reads it.
pub trait AnyBatch {
    /// Its proposals.
    type Proposal: AnyProposal;

    /// The proposals, in order.
    fn proposals(&self) -> &[Self::Proposal];
    /// What was decided, in the order of the VMs created.
    fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'_>> + Clone;

    /// A look at the whole of it, which is what is archived, whatever the limits.
    fn view(&self) -> BatchView<'_, Self::Proposal, impl ExactSizeIterator<Item = Outcome<'_>> + Clone> {
        BatchView { proposals: self.proposals(), decisions: self.outcomes() }
    }
}

/// What was decided for a VM, as a batch of any form shows it.
pub type Outcome<'d> = Decision<'d>;

impl<'a> AnyBatch for ProposalBatch<'a> {
    type Proposal = Proposal<'a>;

    fn proposals(&self) -> &[Proposal<'a>] {
        self.proposals
    }

    fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'_>> + Clone {
        self.decisions.iter().copied()
    }
}

pub(super) fn tell_all<P: AnyProposal>(proposals: &[P], answer: Answer) {
    for proposal in proposals {
        if let Some(reply) = proposal.reply() {
            reply.answer(answer);
        }
        if let View::Batch { proposals } = proposal.view() {
            tell_all(proposals, answer);
        }
    }
}

pub(super) fn check_decisions<P: AnyProposal>(proposals: &[P], decisions: usize) {
    fn created<P: AnyProposal>(proposals: &[P]) -> usize {
        let created = |proposal: &P| match proposal.view() {
            View::CreateVm { .. } => 1,
            View::Batch { proposals } => created(proposals),
            _ => 0,
        };
        proposals.iter().map(created).sum()
    }
    let created = created(proposals);
    assert_eq!(created, decisions, "a batch has one decision per VM created");
}
