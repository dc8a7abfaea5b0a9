//! The worked application of `blixard-arena`: the requests of a VM control plane, from fields to placed and encoded
//! proposals.
//!
//! On the data's way this is the middle: a caller brings parsed fields ([`scheduler::VmSpec`]), this package builds
//! [`scheduler::VmConfig`]s and [`raft::Proposal`]s from them, places each VM on a node
//! ([`scheduler::NodeTable`]) and writes the whole batch as bytes ([`raft::ProposalBatch::encode`]).
//!
//! Each domain type exists twice. The form in the module itself borrows from a request's memory, `&'a`, and vanishes with
//! it at once; its plain twin in std types lives in the module's `heap`. What decides — the node table, the score, the
//! order of encoded fields — is written once and used by both, so that they differ by memory alone; each words its texts
//! as its side would, to the same bytes.
//!
//! Invariants: no item here knows which kind of arena it runs in (`AnyArena` is all it asks for); both twins of
//! one value encode to the same bytes.

pub mod names;
pub mod raft;
pub mod scheduler;
