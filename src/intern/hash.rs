//! A text's hash, and which of its bits serve for what.
//!
//! Stands under the table of a pool. Invariant: shard, place and tag come from different bits, so that a text that shares
//! one with another shares nothing else by that. Cost: no heap call.
#![forbid(unsafe_code)]

use crate::hash::SeededState;
use std::hash::{BuildHasher, Hasher};

/// Shards of a pool: how many misses can be under way at once.
pub(super) const SHARDS: usize = if cfg!(blixard_loom) { 1 } else { 16 };
const SHARD_BITS: u32 = SHARDS.ilog2();

/// What a table needs of a hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextHash {
    /// Shard and place; kept in the entry.
    pub(super) position: u32,
    /// Seven bits, kept beside the slot.
    pub(super) tag: u8,
}

impl TextHash {
    /// The hash of a text under the process's seed.
    #[inline(always)]
    pub(super) fn of(text: &str) -> Self {
        let mut hasher = SeededState.build_hasher();
        // Not `Hash::hash`, which adds a byte that keeps neighbours apart: there is none here.
        hasher.write(text.as_bytes());
        Self::from_bits(hasher.finish())
    }

    #[inline(always)]
    pub(super) fn from_bits(bits: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
        Self { position: (bits >> 32) as u32, tag: bits as u8 & 0x7f }
    }

    #[inline(always)]
    pub(super) fn shard(self) -> usize {
        // In two steps: a single shard leaves nothing to shift.
        (self.position >> 1 >> (u32::BITS - 1 - SHARD_BITS)) as usize
    }
}
