//! The project's main job: the same VM requests replayed once per memory strategy, each in processes of its own, and what
//! each costs.
//!
//! The data's way: [`input`] reads a trace or makes one; [`request`] gives each batch of tasks its bytes; [`replay`] serves
//! them with a [`strategy`] and times every phase; [`worker`] is that replay as a process, with [`counting`], [`sites`] or dhat
//! around it where it is not timed, or with one of the [`claims`] in its place; [`program`] starts the workers, compares what they say,
//! and hands it to [`report`]. [`soak`] is a program of its own: does memory stay flat, and do all figures add up?
//!
//! Invariants: all strategies get the same bytes, serve them in the same order and end with the same checksum; a timed
//! process contains nothing that counts or records allocations; a failed or interrupted run writes no report.

pub mod claims;
pub mod counting;
pub mod input;
pub mod placement;
pub mod program;
pub mod replay;
pub mod report;
pub mod request;
pub mod sites;
pub mod soak;
pub mod strategy;
pub mod worker;
