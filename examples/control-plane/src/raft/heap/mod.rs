//! The plain twins of [`Proposal`](super::Proposal), [`ProposalData`](super::ProposalData),
//! [`ProposalBuilder`](super::ProposalBuilder) and [`ProposalBatch`](super::ProposalBatch), in std types.
//!
//! They stand where the arena forms stand on the data's way. Invariants: they own every text, pass the same limits, and are archived as
//! the same bytes as the arena forms. Cost: an allocation per text. Proposals that wait for their quorum outlive their request and may come from
//! a pool: [`RAFT_PROPOSAL_POOL`].

mod batch;
mod build;
mod data;

pub use batch::ProposalBatch;
pub use build::ProposalBuilder;
pub use data::{Node, Proposal, ProposalData, RAFT_PROPOSAL_POOL, Task};
