//! `Filter`: says quickly that a block is not among the live ones, where few are written down.
//!
//! Stands before `live`; the recorder keeps one in a static, a model one of its own. Invariant: the count of a block's hash is above zero
//! from before the block is written down until after it is taken out. Cost: 16 KiB, and a load for each block that is freed.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU8, Ordering};

/// Counts, a power of two.
pub(super) const LEN: usize = if cfg!(blixard_loom) { 1 } else { 1 << 14 };

/// A multiplier whose high bits depend on all of an address. `live` spreads by it too.
pub(super) const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A count per hash of an address.
pub(super) struct Filter(pub(super) [AtomicU8; LEN]);

impl Filter {
    #[inline(always)]
    fn count(&self, address: usize) -> &AtomicU8 {
        let at = ((address as u64).wrapping_mul(SPREAD) >> 50) as usize;
        &self.0[at & (LEN - 1)]
    }

    /// Relaxed: who frees a block that was added got its address from whoever added it.
    #[inline(always)]
    pub(super) fn may_hold(&self, address: usize) -> bool {
        self.count(address).load(Ordering::Relaxed) != 0
    }

    /// A count that has reached its most stays there: then it says `maybe` for ever.
    pub(super) fn add(&self, address: usize) {
        _ = self.count(address).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_add(1));
    }

    pub(super) fn remove(&self, address: usize) {
        let less = |count: u8| if count == u8::MAX { None } else { count.checked_sub(1) };
        _ = self.count(address).fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}
