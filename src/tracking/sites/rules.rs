//! `Rules`: how to get from a frame to its caller's, remembered by return address in words that all threads share.
//!
//! Stands under `walk`, which keeps them in a static, and under a model, which cannot. Invariant: what an address gets is the rule that was
//! looked up for it, whoever stores what meanwhile. Cost: a multiplication and a load where the rule is known.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};

/// Rules that are remembered. With this many the place and the tag hold all of an address between them.
pub(super) const PLACES: usize = if cfg!(blixard_loom) { 1 } else { 1 << 16 };

/// Odd, so that multiplying by it modulo 2^48 loses nothing.
const SPREAD: u64 = 0x9e37_79b9_7f4b;

/// How to get from a frame to its caller's, in one word.
///
/// | bits | |
/// |---|---|
/// | 0 to 15 | the canonical frame address is so many times 8 bytes above the base |
/// | 16 to 27 | the caller's frame pointer lies so many times 8 bytes below it; 0: unchanged |
/// | 28 | the base is the frame pointer, not the stack pointer |
/// | 29 | the walk ends here |
/// | 31 | set in every rule |
/// | 32 to 63 | in the cache: which address of those that share the place |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rule(u32);

impl Rule {
    pub(super) const END: Self = Self(1 << 31 | 1 << 29);

    pub(super) fn new(base_is_frame_pointer: bool, cfa: i64, frame_pointer: Option<i64>) -> Option<Self> {
        let eighths = |bytes: i64, max: i64| {
            u32::try_from(bytes / 8).ok().filter(|_| bytes % 8 == 0 && bytes > 0 && bytes / 8 <= max)
        };
        let cfa = eighths(cfa, 0xffff)?;
        let below = match frame_pointer {
            Some(offset) => eighths(-offset, 0xfff)?,
            None => 0,
        };
        Some(Self(1 << 31 | u32::from(base_is_frame_pointer) << 28 | below << 16 | cfa))
    }

    pub(super) const fn ends(self) -> bool {
        self.0 & (1 << 29) != 0
    }

    pub(super) const fn base_is_frame_pointer(self) -> bool {
        self.0 & (1 << 28) != 0
    }

    pub(super) const fn cfa(self) -> usize {
        (self.0 & 0xffff) as usize * 8
    }

    pub(super) const fn frame_pointer(self) -> usize {
        (self.0 >> 16 & 0xfff) as usize * 8
    }
}

/// Rules by return address. A word holds all 48 bits of the address, 16 by its place and 32 in itself, so it is the
/// right one or none; threads that find a rule at once store the same.
pub(super) struct Rules(pub(super) [AtomicU64; PLACES]);

impl Rules {
    /// The rule at an address: the one that is remembered, or the one that `learn` finds.
    #[inline(always)]
    pub(super) fn rule(&self, address: usize, learn: impl FnOnce(usize) -> Rule) -> Rule {
        let spread = (address as u64).wrapping_mul(SPREAD) & 0xffff_ffff_ffff;
        #[expect(clippy::cast_possible_truncation, reason = "16 bits, then 32")]
        let (place, tag) = ((spread >> 32) as usize % PLACES, spread as u32);
        // Relaxed, here and below: the word is all there is.
        let word = self.0[place].load(Ordering::Relaxed);
        if word >> 32 == u64::from(tag) && word != 0 {
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is the rule")]
            return Rule(word as u32);
        }
        let rule = learn(address);
        self.0[place].store(u64::from(tag) << 32 | u64::from(rule.0), Ordering::Relaxed);
        rule
    }
}
