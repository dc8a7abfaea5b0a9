//! Which blocks of a table were found to be as they were written: a bit for each, set at its first touch by whoever comes first.
//!
//! Stands under `Table`. A bit says something about bytes that nobody alters, and publishes nothing; two threads that check one block
//! come to the same result.
//!
//! Invariants: a bit is set only after the block's checksum was found right, and never cleared. Cost: one heap call per table.
#![forbid(unsafe_code)]

use super::builder::reserve;
use super::error::TableProblem;
use crate::sync::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Checked(Vec<AtomicU64>);

impl Checked {
    pub(super) fn none_of(blocks: usize) -> Result<Self, TableProblem> {
        let mut words = Vec::new();
        reserve(&mut words, blocks.div_ceil(64))?;
        words.extend((0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)));
        Ok(Self(words))
    }

    #[inline(always)]
    pub(super) fn has(&self, block: usize) -> bool {
        // Relaxed, here and below: it publishes nothing.
        self.0.get(block / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    pub(super) fn set(&self, block: usize) {
        self.0[block / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
    }
}
