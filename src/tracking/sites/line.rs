//! `Line`: words for live blocks, an address above a site's number; how threads write blocks down and take them out.
//!
//! Stands under `live`, which keeps lines in a static, and under a model, which cannot. Invariants: a word is claimed by a compare-and-swap
//! from 0 and cleared by the one thread that frees the block; a block is taken out before its address can be given to anyone else.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};

/// Words in a line.
pub(super) const WAYS: usize = if cfg!(blixard_loom) { 1 } else { 8 };

#[repr(align(64))]
pub(super) struct Line(pub(super) [AtomicU64; WAYS]);

/// Writes a word down; `false` if there is no place.
pub(super) fn insert(lines: [&Line; 2], word: u64) -> bool {
    for line in lines {
        for place in &line.0 {
            // Relaxed throughout: the word is all there is, and who frees the block got its address from us.
            if place.load(Ordering::Relaxed) == 0
                && place.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                return true;
            }
        }
    }
    false
}

/// Takes a block's word out: its site, if it was written down.
pub(super) fn remove(lines: [&Line; 2], address: u64) -> Option<u16> {
    for line in lines {
        for place in &line.0 {
            let word = place.load(Ordering::Relaxed);
            if word >> 16 == address && word != 0 {
                // Nobody else frees this block, and nobody claims a place that is taken: a plain store.
                place.store(0, Ordering::Relaxed);
                return Some((word & 0xffff) as u16);
            }
        }
    }
    None
}
