//! Limits of a proposal and of a batch, and the error that says which was passed, where.
//!
//! Looked at twice on the data's way: when a proposal is built, so that its proposer hears of it at once, and before a batch
//! is encoded, so that nothing passes by. Both forms are checked by the same code.
//!
//! Invariant: a checked batch has an encoded form of at most [`ProposalLimits::batch_bytes_max`] bytes.
//! Cost: one walk over the proposal; no allocation.

use std::{fmt, iter};

use blixard_arena::BudgetExceeded;

use super::data::{AnyProposal, View};
use super::size::{self, BatchBytes};
use crate::scheduler::{NAME_BYTES_MAX, VmConfigView};

/// Batches in one another, at most: a batch of the outermost proposals is 1.
pub const NESTING_MAX: usize = 4;

/// What a proposal and a batch may be. The defaults suit log entries of at most 1 MiB.
///
/// ```
/// use control_plane::raft::ProposalLimits;
///
/// let small = ProposalLimits { batch_bytes_max: 4096, ..ProposalLimits::default() };
/// assert_eq!(small.name_bytes_max, 253);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProposalLimits {
    /// Bytes of a name of a VM, node, task or tenant, of an anti-affinity group and of a key of metadata: 253, as of a host name.
    pub name_bytes_max: usize,
    /// Bytes of any other text: 4,096, as of a path.
    pub text_bytes_max: usize,
    /// Pairs of metadata of a VM, and arguments of a task: 256.
    pub pairs_max: usize,
    /// Encoded bytes of one proposal, all that are nested in it counted: 256 KiB. Those that a batch of it alone has more than one of nothing.
    pub proposal_bytes_max: usize,
    /// Proposals of a batch, those nested in others counted: 4,096.
    pub batch_proposals_max: usize,
    /// Encoded bytes of a batch, decisions and header counted: 1 MiB.
    pub batch_bytes_max: usize,
}

impl Default for ProposalLimits {
    fn default() -> Self {
        Self {
            name_bytes_max: NAME_BYTES_MAX,
            text_bytes_max: 4 << 10,
            pairs_max: 256,
            proposal_bytes_max: 256 << 10,
            batch_proposals_max: 4 << 10,
            batch_bytes_max: 1 << 20,
        }
    }
}

/// Where in a batch: the position of a proposal, and of each that it is nested in, from 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Positions from the outermost on; unused ones are 0.
    positions: [usize; NESTING_MAX + 1],
    depth: usize,
}

impl Place {
    /// The batch as a whole.
    pub const BATCH: Self = Self { positions: [0; NESTING_MAX + 1], depth: 0 };

    /// The place of the `position`-th proposal of the batch.
    pub(super) fn outermost(position: usize) -> Self {
        Self::BATCH.inner(position).unwrap_or(Self::BATCH)
    }

    /// The positions, from the outermost proposal on; none for the batch as a whole.
    #[must_use]
    pub fn positions(&self) -> &[usize] {
        &self.positions[..self.depth]
    }

    /// The place of the `position`-th proposal of a batch that lies here; `None` if that is too deep.
    pub(super) fn inner(mut self, position: usize) -> Option<Self> {
        *self.positions.get_mut(self.depth)? = position;
        self.depth += 1;
        Some(self)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, inner @ ..] = self.positions() else {
            return f.write_str("the batch");
        };
        write!(f, "proposal {first}")?;
        inner.iter().try_for_each(|position| write!(f, ".{position}"))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with a proposal or a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A name, or a nested batch, is empty.
    Empty {
        /// Of what.
        field: &'static str,
    },
    /// A text is too long.
    TooLong {
        /// Of what.
        field: &'static str,
        /// Its bytes.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// A name has a control character in it.
    ControlCharacter {
        /// Of what.
        field: &'static str,
        /// Which one.
        character: char,
        /// Bytes before it.
        at: usize,
    },
    /// Too many pairs of metadata, arguments, or proposals.
    TooMany {
        /// Of what.
        field: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        count_max: usize,
    },
    /// The encoded form of the proposal or batch is too large.
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// A batch is nested too deeply.
    TooDeep {
        /// Batches in one another that are allowed.
        depth_max: usize,
    },
    /// The request's memory does not suffice for it.
    Budget(BudgetExceeded),
}

/// A proposal or batch that cannot be proposed: where, and what is wrong.
///
/// ```
/// use blixard_arena::Arena;
/// use control_plane::raft::{ProposalBuilder, ProposalData, ProposalIds};
///
/// let arena = Arena::new();
/// let mut ids = ProposalIds::from_clock();
/// let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
/// builder.propose(ProposalData::StartVm { vm: "vm-1" })?;
/// let refused = builder.propose(ProposalData::StartVm { vm: "vm\n2" }).unwrap_err();
/// assert_eq!(refused.to_string(), "proposal 1, VM name: control character '\\n' at byte 2");
/// # Ok::<(), control_plane::raft::ProposalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProposalError {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for ProposalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place;
        match self.fault {
            Fault::Empty { field } => write!(f, "{place}, {field}: empty, at least 1 byte is needed"),
            Fault::TooLong { field, bytes, bytes_max } => {
                write!(f, "{place}, {field}: {bytes} bytes, at most {bytes_max} are allowed")
            }
            Fault::ControlCharacter { field, character, at } => {
                write!(f, "{place}, {field}: control character {character:?} at byte {at}")
            }
            Fault::TooMany { field, count, count_max } => {
                write!(f, "{place}, {field}: {count}, at most {count_max} are allowed")
            }
            Fault::TooLarge { bytes, bytes_max } => {
                write!(f, "{place}: {bytes} encoded bytes, at most {bytes_max} are allowed")
            }
            Fault::TooDeep { depth_max } => {
                write!(f, "{place}: batches may lie in one another {depth_max} deep")
            }
            Fault::Budget(budget) => write!(f, "{place}: {budget}"),
        }
    }
}

impl std::error::Error for ProposalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Budget(budget) => Some(budget),
            _ => None,
        }
    }
}

impl From<BudgetExceeded> for ProposalError {
    fn from(budget: BudgetExceeded) -> Self {
        Self { place: Place::BATCH, fault: Fault::Budget(budget) }
    }
}

/// How much a batch holds so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    /// Those nested in others counted.
    pub(super) proposals: usize,
    pub(super) bytes: BatchBytes,
}

impl Totals {
    /// Of a batch of nothing.
    pub(super) const EMPTY: Self = Self { proposals: 0, bytes: BatchBytes::EMPTY };
}

impl ProposalLimits {
    /// Checks all of a proposal but its bytes, with all that is nested in it; counts on.
    pub(super) fn texts<P: AnyProposal>(
        &self,
        place: Place,
        proposal: &P,
        proposals: &mut usize,
    ) -> Result<(), ProposalError> {
        *proposals += 1;
        counted("proposals", *proposals, self.batch_proposals_max)
            .map_err(|fault| ProposalError { place: Place::BATCH, fault })?;
        let View::Batch { proposals: inner } = proposal.view() else {
            return self.own_texts(proposal).map_err(|fault| ProposalError { place, fault });
        };
        let err = |fault| ProposalError { place, fault };
        if inner.is_empty() {
            return Err(err(Fault::Empty { field: "nested batch" }));
        }
        self.text("reason", proposal.reason()).map_err(err)?;
        for (position, inner) in inner.iter().enumerate() {
            let place = place.inner(position).ok_or(err(Fault::TooDeep { depth_max: NESTING_MAX }))?;
            self.texts(place, inner, proposals)?;
        }
        Ok(())
    }

    /// Checks the encoded bytes of a proposal that passed [`texts`](Self::texts), and of the batch that it is added to; counts on.
    pub(super) fn bytes<P: AnyProposal>(
        &self,
        place: Place,
        proposal: &P,
        batch: &mut BatchBytes,
    ) -> Result<(), ProposalError> {
        // What is nested takes less than what it is nested in, so one look tells that all of them are small enough.
        if batch.add(proposal) > self.proposal_bytes_max {
            self.proposal_bytes(place, proposal)?;
        }
        self.batch_bytes(batch.with(iter::empty()))
    }

    pub(super) fn batch_bytes(&self, bytes: usize) -> Result<(), ProposalError> {
        bounded(bytes, self.batch_bytes_max).map_err(|fault| ProposalError { place: Place::BATCH, fault })
    }

    pub(super) fn pairs(&self, pairs: usize) -> Result<(), Fault> {
        counted("pairs of metadata", pairs, self.pairs_max)
    }

    /// Checks a proposal's encoded bytes; first those of what is nested in it, so that the innermost is named that is too large.
    fn proposal_bytes<P: AnyProposal>(&self, place: Place, proposal: &P) -> Result<(), ProposalError> {
        if let View::Batch { proposals } = proposal.view() {
            for (position, inner) in proposals.iter().enumerate() {
                self.proposal_bytes(place.inner(position).unwrap_or(place), inner)?;
            }
        }
        bounded(size::alone(proposal), self.proposal_bytes_max).map_err(|fault| ProposalError { place, fault })
    }

    /// Checks the texts of a proposal that is no batch.
    fn own_texts<P: AnyProposal>(&self, proposal: &P) -> Result<(), Fault> {
        match proposal.view() {
            View::CreateVm { config: VmConfigView { spec, metadata }, .. } => {
                self.name("VM name", spec.name)?;
                self.name("tenant", spec.tenant)?;
                self.text("config path", spec.config_path)?;
                self.text("GPU models", spec.gpu_spec)?;
                if let Some(wish) = spec.anti_affinity {
                    self.name("anti-affinity group", wish.group)?;
                }
                self.pairs(metadata.len())?;
                for (key, value) in metadata {
                    self.name("metadata key", key)?;
                    self.text("metadata value", value)?;
                }
            }
            View::StartVm { vm } | View::StopVm { vm, .. } | View::DeleteVm { vm } => self.name("VM name", vm)?,
            View::UpdateVmStatus { vm, node, .. } => {
                self.name("VM name", vm)?;
                self.name("node name", node)?;
            }
            View::JoinNode(node) => {
                self.name("node name", node.name)?;
                self.text("GPU model", node.gpu_model)?;
            }
            View::LeaveNode { node } => self.name("node name", node)?,
            View::AssignTask { node, task, arguments } => {
                self.name("node name", node)?;
                self.name("task name", task.name)?;
                self.text("command", task.command)?;
                counted("arguments", arguments.len(), self.pairs_max)?;
                for argument in arguments {
                    self.text("argument", argument)?;
                }
            }
            View::Batch { .. } => {}
        }
        self.text("reason", proposal.reason())
    }

    fn name(&self, field: &'static str, name: &str) -> Result<(), Fault> {
        if name.is_empty() {
            return Err(Fault::Empty { field });
        }
        if name.len() > self.name_bytes_max {
            return Err(Fault::TooLong { field, bytes: name.len(), bytes_max: self.name_bytes_max });
        }
        // Bytes first, without a branch for each: a name without a control byte can only have one of U+0080 to U+009F.
        if name.bytes().fold(false, |any, byte| any | !matches!(byte, b' '..0x7f))
            && let Some((at, character)) = name.char_indices().find(|(_, character)| character.is_control())
        {
            return Err(Fault::ControlCharacter { field, character, at });
        }
        Ok(())
    }

    fn text(&self, field: &'static str, text: &str) -> Result<(), Fault> {
        if text.len() > self.text_bytes_max {
            return Err(Fault::TooLong { field, bytes: text.len(), bytes_max: self.text_bytes_max });
        }
        Ok(())
    }
}

fn counted(field: &'static str, count: usize, count_max: usize) -> Result<(), Fault> {
    if count > count_max { Err(Fault::TooMany { field, count, count_max }) } else { Ok(()) }
}

fn bounded(bytes: usize, bytes_max: usize) -> Result<(), Fault> {
    if bytes > bytes_max { Err(Fault::TooLarge { bytes, bytes_max }) } else { Ok(()) }
}
