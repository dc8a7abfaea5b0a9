//! `ProposalProcessor`: from a batch to the bytes of a log entry.
//!
//! Last station of the data's way. What leaves it is a pooled buffer that outlives the request; `freeze` makes it
//! `bytes::Bytes`, which is what the log entries of openraft and of raft-rs hold, so that no Raft library need be known here.
//!
//! Invariant: nothing leaves it that passes the limits. Cost: no heap call once the pool is warm, but one of 24 bytes to freeze.

use std::array;

use blixard_arena::pool::{Buffer, BufferPool, VecPool};

use super::batch::AnyBatch;
use super::limits::{Place, Totals};
use super::{ProposalError, ProposalLimits, encode};

/// Checks batches against limits and encodes them into buffers of pools of its own, of which 4 MiB of each size from 1 KiB to 1 MiB
/// lie idle at most. For all threads of a service; a clone shares the buffers.
///
/// ```
/// use blixard_arena::Arena;
/// use control_plane::raft::{ProposalBatch, ProposalBuilder, ProposalData, ProposalIds, ProposalLimits, ProposalProcessor};
///
/// let arena = Arena::new();
/// let mut ids = ProposalIds::from_clock();
/// let mut builder = ProposalBuilder::new_in(&arena, &mut ids);
/// builder.propose(ProposalData::LeaveNode { node: "node-7" })?;
/// let batch = ProposalBatch::new(builder.finish(), &[]);
///
/// let entry = ProposalProcessor::default().encode(&batch)?.freeze(); // comes back to the pool when the log lets go
/// assert!(entry.windows(6).any(|window| window == b"node-7"));
///
/// let narrow = ProposalProcessor::new(ProposalLimits { batch_bytes_max: 16, ..ProposalLimits::default() });
/// let refused = narrow.encode(&batch).unwrap_err().to_string();
/// assert!(refused.ends_with("encoded bytes, at most 16 are allowed"));
/// # Ok::<(), control_plane::raft::ProposalError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProposalProcessor {
    limits: ProposalLimits,
    /// Of [`BufferPool`]'s sizes, but without its samples of where buffers were taken, which take heap calls: here it is always the
    /// same place.
    buffers: [VecPool<u8>; BufferPool::CLASSES.len()],
}

/// Idle bytes of each size, at most.
const IDLE_BYTES_MAX: usize = 4 << 20;

impl ProposalProcessor {
    /// A processor with these limits; its buffers are made when they are needed.
    #[must_use]
    pub fn new(limits: ProposalLimits) -> Self {
        let buffers = array::from_fn(|class| {
            let bytes = BufferPool::CLASSES[class];
            let pool = VecPool::builder_with_capacity(bytes).name("log entries").leak_sites_one_in(0);
            pool.idle_max(IDLE_BYTES_MAX / bytes).build()
        });
        Self { limits, buffers }
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &ProposalLimits {
        &self.limits
    }

    /// The bytes of a batch, in a pooled buffer. Both forms of a batch have the same.
    ///
    /// # Errors
    ///
    /// If a limit is passed; nothing was encoded then.
    ///
    /// # Panics
    ///
    /// If an [`AnyBatch`] of the caller's shows something else each time it is looked at.
    pub fn encode(&self, batch: &impl AnyBatch) -> Result<Buffer, ProposalError> {
        let bytes = self.check(batch)?;
        // One beyond the largest size grows, and is freed when it comes back.
        let class =
            BufferPool::CLASSES.iter().position(|class| bytes <= *class).unwrap_or(BufferPool::CLASSES.len() - 1);
        let mut buffer = self.buffers[class].acquire();
        encode::batch(&mut buffer, batch.proposals(), batch.outcomes());
        assert_eq!(buffer.len(), bytes, "what was checked is what was encoded");
        Ok(buffer)
    }

    /// Checks a batch against the limits; answers its encoded bytes.
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
        for outcome in batch.outcomes() {
            bytes += encode::outcome_bytes(outcome);
            self.limits.batch_bytes(bytes)?;
        }
        Ok(bytes)
    }
}

impl Default for ProposalProcessor {
    fn default() -> Self {
        Self::new(ProposalLimits::default())
    }
}
