//! What the cluster agrees on: proposals, batches of them with their placement decisions, and their bytes.
//!
//! On the data's way:
//!
//! 1. [`ProposalBuilder`] makes [`Proposal`]s of what was parsed, each with an id ([`ProposalIds`]), a reason and, if somebody waits
//!    for it, a [`Reply`].
//! 2. [`deduplicate_in`] takes out what a later command of the batch supersedes.
//! 3. `scheduler` places the VMs; proposals and decisions are a [`ProposalBatch`], which may be sealed with its arena
//!    ([`SealedBatch`]) and go to another thread.
//! 4. [`ProposalProcessor`] checks it against the [`ProposalLimits`] and archives it; those bytes outlive the request.
//! 5. Each node reads them where they lie, checked once: [`ArchivedProposalBatch`].
//! 6. The log's thread answers ([`Answer`]) and drops the batch; who was not answered hears that it was dropped.
//!
//! Proposals that wait for their quorum without their request are pooled: [`heap::RAFT_PROPOSAL_POOL`].
//!
//! Invariants: a batch has one decision per VM created, in order; it is plain data that needs no drop; everything is bounded
//! by [`ProposalLimits`] and [`NESTING_MAX`].
//! Cost: one bump per text, one slice per batch; archiving goes into a pooled buffer.

mod archived;
mod batch;
mod build;
mod data;
mod dedupe;
pub mod heap;
mod id;
mod limits;
mod process;
mod reply;
mod size;

pub use archived::{
    ArchivedNodeSpec, ArchivedProposal, ArchivedProposalBatch, ArchivedProposalData, ArchivedTaskSpec, BatchView,
};
pub use batch::{AnyBatch, Outcome, ProposalBatch, SealedBatch};
pub use build::ProposalBuilder;
pub use data::{AnyProposal, ArchivedLifetime, Lifetime, NodeSpec, Proposal, ProposalData, TaskSpec, View};
pub use dedupe::{deduplicate, deduplicate_in};
pub use id::{ArchivedProposalId, ProposalId, ProposalIds};
pub use limits::{Fault, NESTING_MAX, Place, ProposalError, ProposalLimits};
pub use process::ProposalProcessor;
pub use reply::{Answer, Reply, Waiter, WaiterFuture};
