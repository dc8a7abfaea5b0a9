//! `ProposalProcessor`: from a batch to the bytes of a log entry.
//!
//! Last station of the data's way. What leaves it is an archive in a pooled buffer that outlives the request, as `bytes::Bytes`, which is what
//! the log entries of openraft and of raft-rs hold, so that no Raft library need be known here.
//!
//! Invariant: nothing leaves it that passes the limits. Cost: no heap call once warm; see [`archive::encode`].
#![forbid(unsafe_code)]

use blixard_arena::archive::{self, EncodeError, PAYLOAD_BYTES_MAX};
use bytes::Bytes;

use super::batch::AnyBatch;
use super::limits::{Fault, Place, Totals};
use super::{ProposalError, ProposalLimits};

/// Checks batches against limits and archives them. For all threads of a service.
///
/// ```
/// use blixard_arena::{Arena, archive};
/// use control_plane::raft::{
///     ArchivedProposalData, ProposalBatch, ProposalBuilder, ProposalData, ProposalIds, ProposalLimits, ProposalProcessor,
/// };
///
/// let arena = Arena::new();
/// let mut ids = ProposalIds::from_clock();
/// let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
/// builder.propose(ProposalData::LeaveNode { node: "node-7" })?;
/// let batch = ProposalBatch::new(builder.finish(), &[]);
/// let entry = ProposalProcessor::default().encode(&batch)?; // `Bytes`; the buffer is used again when the log lets go
///
/// // On every node: checked once, then read where it lies.
/// let read = archive::access::<ProposalBatch<'_>>(&entry)?;
/// let ArchivedProposalData::LeaveNode { node } = &read.proposals[0].data else { panic!() };
/// assert_eq!((node.as_str(), read.proposals[0].reason.as_str()), ("node-7", "node-7 leaves"));
///
/// // For what is to outlive its bytes.
/// let applied = Arena::new();
/// let copy: ProposalBatch<'_> = archive::decode_in(read, &applied)?;
/// assert_eq!(copy, batch);
///
/// let narrow = ProposalProcessor::new(ProposalLimits { batch_bytes_max: 16, ..ProposalLimits::default() });
/// let refused = narrow.encode(&batch).unwrap_err().to_string();
/// assert!(refused.ends_with("encoded bytes, at most 16 are allowed"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProposalProcessor {
    limits: ProposalLimits,
}

impl ProposalProcessor {
    /// A processor with these limits.
    #[must_use]
    pub fn new(limits: ProposalLimits) -> Self {
        Self { limits }
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &ProposalLimits {
        &self.limits
    }

    /// The batch as an archive of a [`ProposalBatch`](super::ProposalBatch), whatever form it has; every form has the same bytes.
    ///
    /// # Errors
    ///
    /// If a limit is passed; nothing was encoded then.
    ///
    /// # Panics
    ///
    /// If an [`AnyBatch`] of the caller's shows something else each time it is looked at.
    pub fn encode(&self, batch: &impl AnyBatch) -> Result<Bytes, ProposalError> {
        let bytes = self.check(batch)?;
        let entry = archive::encode(&batch.view()).map_err(|error| {
            let fault = match error {
                EncodeError::TooLong { bytes } => Fault::TooLarge { bytes, bytes_max: PAYLOAD_BYTES_MAX },
                EncodeError::Scratch(budget) => Fault::Budget(budget),
                other => unreachable!("no part of a batch refuses: {other}"),
            };
            ProposalError { place: Place::BATCH, fault }
        })?;
        assert_eq!(entry.len(), bytes, "what was checked is what was encoded");
        Ok(entry)
    }

    /// Checks a batch against the limits; answers how many bytes [`encode`](Self::encode) makes of it. Nothing is written for that.
    ///
    /// # Errors
    ///
    /// At the first limit that is passed.
    pub fn check(&self, batch: &impl AnyBatch) -> Result<usize, ProposalError> {
        let Totals { mut proposals, mut bytes } = Totals::EMPTY;
        for (position, proposal) in batch.proposals().iter().enumerate() {
            let place = Place::outermost(position);
            self.limits.texts(place, proposal, &mut proposals)?;
            self.limits.bytes(place, proposal, &mut bytes)?;
        }
        let bytes = bytes.with(batch.outcomes());
        self.limits.batch_bytes(bytes)?;
        Ok(bytes)
    }
}
