//! The worked application of `blixard-arena`: the requests of a VM control plane, from fields to placed and archived
//! proposals, and back.
//!
//! On the data's way this is the middle: a caller brings parsed fields ([`scheduler::VmSpec`]), this package builds
//! [`scheduler::VmConfig`]s and [`raft::Proposal`]s from them, places each VM on a node
//! ([`scheduler::NodeTable`]) and archives the whole batch ([`raft::ProposalProcessor::encode`]), which every node of the cluster then reads
//! where it lies ([`raft::ArchivedProposalBatch`]).
//!
//! Each domain type exists twice. The form in the module itself borrows from a request's memory, `&'a`, and vanishes with
//! it at once; its plain twin in std types lives in the module's `heap`. What decides — the node table, the score, the
//! archived form — is written once and used by both, so that they differ by memory alone; each words its texts
//! as its side would, to the same bytes.
//!
//! Invariants: no item here knows which kind of arena it runs in (`AnyArena` is all it asks for); both twins of
//! one value are archived as the same bytes; what can lack a request's memory has a `try_` twin or returns an error.

pub mod names;
pub mod raft;
pub mod scheduler;

use blixard_arena::BudgetExceeded;

/// What an infallible twin makes of a fallible one: panics with the error as payload, as an arena's own calls do.
#[inline]
pub(crate) fn granted<T>(result: Result<T, BudgetExceeded>) -> T {
    result.unwrap_or_else(|budget| std::panic::panic_any(budget))
}
