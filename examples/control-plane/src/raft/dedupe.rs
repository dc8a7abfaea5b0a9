//! De-duplication: of what a batch says about one VM, the last stands.
//!
//! Comes after building and before placement, so that no capacity is taken for what is superseded. Clients that try again and
//! controllers that change their mind put several commands for one VM into a batch; only the effect of the last one shows in
//! the end.
//!
//! A command supersedes earlier ones of the same VM whose whole effect it covers:
//!
//! | command | supersedes earlier |
//! |---|---|
//! | start, stop | start, stop |
//! | status | status |
//! | create (or replace) | create, start, stop, status |
//! | delete | all of them |
//!
//! So the last command of a VM always stands; what stands before it is what it needs: a create before a stop, a delete
//! before a create. Commands that stand keep their order. Nodes and tasks are left alone: a change of members is never skipped.
//! Nested batches count as if their proposals stood in the place of the batch; one of which nothing stands goes.
//!
//! Invariant: where every command can be applied, applying what stands ends in the same state as applying all (`tests/raft_dedupe.rs`). A
//! command that stands and then fails (a VM for which no node has room) takes what it superseded with it.
//! Cost: one pass from the end; in the request's memory a byte per proposal and an entry per VM, on the heap (the twin) as std's
//! map does. No copy where all stand.

use std::collections::HashMap;
use std::convert::Infallible;

use blixard_arena::BudgetExceeded;
use blixard_arena::arena::AnyArena;
use blixard_arena::collections::{FlatMap, Vec as ArenaVec};

use super::data::{AnyProposal, View};
use super::limits::{Fault, NESTING_MAX, Place};
use super::{Answer, Proposal, ProposalData, ProposalError, ProposalId};

/// The proposals that stand, in a request's memory. Whoever waits for one that does not is told [`Answer::Superseded`].
///
/// ```
/// use blixard_arena::Arena;
/// use control_plane::raft::{ProposalBuilder, ProposalData, ProposalIds, deduplicate_in};
///
/// let arena = Arena::new();
/// let mut ids = ProposalIds::from_clock();
/// let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
/// builder.propose(ProposalData::StartVm { vm: "vm-1" })?;
/// builder.propose(ProposalData::StartVm { vm: "vm-2" })?;
/// builder.propose(ProposalData::StopVm { vm: "vm-1", grace_seconds: 30 })?;
///
/// let standing = deduplicate_in(&arena, builder.finish())?;
/// let reasons: Vec<_> = standing.iter().map(|proposal| proposal.reason).collect();
/// assert_eq!(reasons, ["start vm-2", "stop vm-1 within 30 s"]);
/// # Ok::<(), control_plane::raft::ProposalError>(())
/// ```
///
/// # Errors
///
/// If batches lie in one another more than [`NESTING_MAX`] deep, or the request's budget is exceeded. Then nobody is told anything.
pub fn deduplicate_in<'a, A: AnyArena>(
    arena: &'a A,
    proposals: &'a [Proposal<'a>],
) -> Result<&'a [Proposal<'a>], ProposalError> {
    let mut end = count(proposals, 0)?;
    let marks = arena.try_alloc_slice_fill_with(end, |_| None)?;
    mark(proposals, marks, &mut end, &mut FlatMap::new_in(arena))?;
    if marks.iter().all(Option::is_none) {
        return Ok(proposals);
    }
    let standing = standing_in(arena, proposals, &mut marks.iter())?;
    tell(proposals, &mut marks.iter());
    Ok(standing)
}

/// The plain twin of [`deduplicate_in`], for whatever form owns its proposals: takes out of the list what does not stand.
///
/// # Errors
///
/// If batches lie in one another more than [`NESTING_MAX`] deep; then the proposals are as they were.
pub fn deduplicate<P: AnyProposal>(proposals: &mut Vec<P>) -> Result<(), ProposalError> {
    let mut end = count(proposals, 0)?;
    let mut marks = vec![None; end];
    let Ok(_) = mark(proposals, &mut marks, &mut end, &mut HashMap::new());
    if marks.iter().any(Option::is_some) {
        tell(proposals, &mut marks.iter());
        retain(proposals, &mut marks.iter());
    }
    Ok(())
}

/// What a command is about: the kinds whose effects cover each other or do not.
const RUN: usize = 0;
const STATUS: usize = 1;
const CREATE: usize = 2;
const DELETE: usize = 3;

/// The VM that a proposal is about, its own kind, and the kinds that it covers.
fn command<P: AnyProposal>(proposal: &P) -> Option<(&str, usize, &'static [usize])> {
    Some(match proposal.view() {
        View::StartVm { vm } | View::StopVm { vm, .. } => (vm, RUN, &[RUN]),
        View::UpdateVmStatus { vm, .. } => (vm, STATUS, &[STATUS]),
        View::CreateVm { config, .. } => (config.spec.name, CREATE, &[RUN, STATUS, CREATE]),
        View::DeleteVm { vm } => (vm, DELETE, &[RUN, STATUS, CREATE, DELETE]),
        View::JoinNode(_) | View::LeaveNode { .. } | View::AssignTask { .. } | View::Batch { .. } => return None,
    })
}

/// What covers each kind of command to one VM later in the batch.
type Later = [Option<ProposalId>; 4];

/// The VMs seen so far, from the end.
trait Seen<'p> {
    type Error;

    fn later(&mut self, vm: &'p str) -> Result<&mut Later, Self::Error>;
}

impl<'p, A: AnyArena> Seen<'p> for FlatMap<&'p str, Later, &A> {
    type Error = BudgetExceeded;

    fn later(&mut self, vm: &'p str) -> Result<&mut Later, BudgetExceeded> {
        self.entry(vm).or_try_insert([None; 4])
    }
}

impl<'p> Seen<'p> for HashMap<&'p str, Later> {
    type Error = Infallible;

    fn later(&mut self, vm: &'p str) -> Result<&mut Later, Infallible> {
        Ok(self.entry(vm).or_default())
    }
}

/// By what each proposal is superseded: a batch first, then what is nested in it.
type Marks<'m> = std::slice::Iter<'m, Option<ProposalId>>;

/// The number of marks.
fn count<P: AnyProposal>(proposals: &[P], depth: usize) -> Result<usize, ProposalError> {
    if depth > NESTING_MAX {
        return Err(ProposalError { place: Place::BATCH, fault: Fault::TooDeep { depth_max: NESTING_MAX } });
    }
    proposals.iter().try_fold(proposals.len(), |sum, proposal| match proposal.view() {
        View::Batch { proposals } => Ok(sum + count(proposals, depth + 1)?),
        _ => Ok(sum),
    })
}

/// Marks proposals, the last first, in `marks` before `end`, which moves down. Answers by what the last of them is superseded if all of
/// them are.
fn mark<'p, P: AnyProposal, S: Seen<'p>>(
    proposals: &'p [P],
    marks: &mut [Option<ProposalId>],
    end: &mut usize,
    seen: &mut S,
) -> Result<Option<ProposalId>, S::Error> {
    let (mut last, mut standing) = (None, proposals.is_empty());
    for proposal in proposals.iter().rev() {
        let by = if let View::Batch { proposals } = proposal.view() {
            mark(proposals, marks, end, seen)?
        } else if let Some((vm, kind, covers)) = command(proposal) {
            let later = seen.later(vm)?;
            let by = later[kind];
            if by.is_none() {
                for &kind in covers {
                    later[kind].get_or_insert(proposal.id());
                }
            }
            by
        } else {
            None
        };
        *end -= 1;
        marks[*end] = by;
        standing |= by.is_none();
        last = last.or(by);
    }
    Ok(if standing { None } else { last })
}

fn next(marks: &mut Marks<'_>) -> Option<ProposalId> {
    *marks.next().expect("there is a mark for each proposal")
}

fn standing_in<'a, A: AnyArena>(
    arena: &'a A,
    proposals: &'a [Proposal<'a>],
    marks: &mut Marks<'_>,
) -> Result<&'a [Proposal<'a>], BudgetExceeded> {
    let mut standing = ArenaVec::try_with_capacity_in(proposals.len(), arena)?;
    for proposal in proposals {
        let (mut proposal, by) = (*proposal, next(marks));
        if let ProposalData::Batch { proposals } = &mut proposal.data {
            *proposals = standing_in(arena, proposals, marks)?;
        }
        if by.is_none() {
            standing.try_push(proposal)?;
        }
    }
    Ok(standing.into_slice())
}

fn retain<P: AnyProposal>(proposals: &mut Vec<P>, marks: &mut Marks<'_>) {
    proposals.retain_mut(|proposal| {
        let by = next(marks);
        if let Some(proposals) = proposal.nested() {
            retain(proposals, marks);
        }
        by.is_none()
    });
}

/// Tells those who wait for what is superseded.
fn tell<P: AnyProposal>(proposals: &[P], marks: &mut Marks<'_>) {
    for proposal in proposals {
        if let (Some(by), Some(reply)) = (next(marks), proposal.reply()) {
            reply.answer(Answer::Superseded { by });
        }
        if let View::Batch { proposals } = proposal.view() {
            tell(proposals, marks);
        }
    }
}
