//! How many bytes a batch takes when it is encoded, to the byte, without encoding it.
//!
//! Stands beside limits, which builders and the processor ask before anything is written. It goes the encoder's way: what a value leads to
//! comes first, then the value itself, at a multiple of its alignment. So the padding between them is counted as it falls.
//!
//! Invariants: texts and lists stand here in the order in which they are written, which is that of the fields in [`View`] and [`Outcome`];
//! tests hold every shape against what is encoded. What is added to a batch never makes it smaller, and nothing that is taken out makes it larger.
//! Cost: an addition per text and list; no allocation.
#![forbid(unsafe_code)]

use blixard_arena::archive::{ALIGNMENT, ArchivedText, HEADER_BYTES};

use super::archived::{ArchivedNodeSpec, ArchivedProposal, ArchivedProposalBatch, ArchivedTaskSpec};
use super::batch::Outcome;
use super::data::{AnyProposal, View};
use crate::scheduler::{ArchivedCandidate, ArchivedDecision, ArchivedVmConfig};

/// A batch whose proposals are counted one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchBytes {
    /// Where the encoder stands: all is written that the proposals lead to,
    at: Position,
    /// and none of so many proposals themselves.
    proposals: usize,
}

impl BatchBytes {
    /// Of a batch of nothing.
    pub(super) const EMPTY: Self = Self { at: Position(HEADER_BYTES), proposals: 0 };

    /// Adds a proposal; answers what it takes [`alone`], at most.
    pub(super) fn add<P: AnyProposal>(&mut self, proposal: &P) -> usize {
        let before = self.at.0;
        self.at.parts_of(proposal);
        self.proposals += 1;
        // From where it stands here to where it stands alone, each end moves by less than an alignment.
        self.at.0 - before + size_of::<ArchivedProposal>() + 2 * ALIGNMENT
    }

    /// Bytes of the batch with these decisions.
    pub(super) fn with<'o>(self, outcomes: impl Iterator<Item = Outcome<'o>>) -> usize {
        let Self { mut at, proposals } = self;
        at.values::<ArchivedProposal>(proposals);
        let mut decisions = 0;
        for Outcome { placement: _, alternatives, reason } in outcomes {
            at.values::<ArchivedCandidate>(alternatives.len());
            at.text(reason);
            decisions += 1;
        }
        at.values::<ArchivedDecision>(decisions);
        at.values::<ArchivedProposalBatch>(1);
        at.0
    }
}

/// Bytes of a proposal alone, with all that is nested in it: those that a batch of it has more than one of nothing.
pub(super) fn alone<P: AnyProposal>(proposal: &P) -> usize {
    let mut at = Position(0);
    at.parts_of(proposal);
    at.values::<ArchivedProposal>(1);
    at.0
}

/// How many bytes an encoder has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position(usize);

impl Position {
    fn text(&mut self, text: &str) {
        self.0 += text.len();
    }

    fn values<T>(&mut self, count: usize) {
        self.0 = self.0.next_multiple_of(align_of::<T>()) + count * size_of::<T>();
    }

    /// All that a proposal leads to.
    fn parts_of<P: AnyProposal>(&mut self, proposal: &P) {
        match proposal.view() {
            View::CreateVm { config, lifetime: _ } => {
                let spec = config.spec;
                let group = spec.anti_affinity.map_or("", |wish| wish.group);
                for text in [spec.name, spec.config_path, spec.tenant, spec.gpu_spec, group] {
                    self.text(text);
                }
                let mut pairs = 0;
                for (key, value) in config.metadata {
                    self.text(key);
                    self.text(value);
                    pairs += 1;
                }
                self.values::<[ArchivedText; 2]>(pairs);
                self.values::<ArchivedVmConfig>(1);
            }
            View::StartVm { vm } | View::StopVm { vm, .. } | View::DeleteVm { vm } => self.text(vm),
            View::UpdateVmStatus { vm, status: _, node } => {
                self.text(vm);
                self.text(node);
            }
            View::JoinNode(node) => {
                self.text(node.name);
                self.text(node.gpu_model);
                self.values::<ArchivedNodeSpec>(1);
            }
            View::LeaveNode { node } => self.text(node),
            View::AssignTask { node, task, arguments } => {
                self.text(node);
                self.text(task.name);
                self.text(task.command);
                self.values::<ArchivedTaskSpec>(1);
                let mut count = 0;
                for argument in arguments {
                    self.text(argument);
                    count += 1;
                }
                self.values::<ArchivedText>(count);
            }
            View::Batch { proposals } => {
                for proposal in proposals {
                    self.parts_of(proposal);
                }
                self.values::<ArchivedProposal>(proposals.len());
            }
        }
        self.text(proposal.reason());
    }
}
