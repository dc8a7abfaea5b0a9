//! The table of sites: a stack's key, its frames, and four sums, in statics of fixed size.
//!
//! Stands behind `sites::allocated`. A site is found by a 64-bit hash of its frames; two stacks that agree in all 64 bits would be
//! one (for 16,000 sites: one chance in 10^11). `site.rs` has what threads do at one.
#![forbid(unsafe_code)]

use super::site::{Site, claim};
use super::walk::{FRAMES_MAX, Stack};
use crate::sync::AtomicUsize;

pub(super) use super::site::Sums;

/// Entries, a power of two.
const SITES_MAX: usize = 1 << 14;
/// Entries looked at before a stack is counted among the others.
const PROBES_MAX: usize = 64;

/// The site of all stacks that found no entry.
pub(super) const OTHERS: u16 = 0;
/// The site of what reports allocate, and of what comes back through the hook.
pub(super) const OWN: u16 = 1;
/// Sums of blocks are in parts of a block, because a sample stands for no whole number of them.
pub(super) const WHOLE: u64 = 1024;

static SITES: [Site; SITES_MAX] = [const { Site::new() }; SITES_MAX];
static FRAMES: [[AtomicUsize; FRAMES_MAX]; SITES_MAX] =
    [const { [const { AtomicUsize::new(0) }; FRAMES_MAX] }; SITES_MAX];

impl Sums {
    pub(super) const ZERO: Self = Self { blocks: 0, bytes: 0, freed_blocks: 0, freed_bytes: 0 };
}

pub(super) fn site(number: u16) -> &'static Site {
    &SITES[usize::from(number)]
}

/// The site of a stack; a new one if it was never seen.
pub(super) fn find(stack: Stack<'_>) -> u16 {
    let start = (stack.hash >> 40) as usize;
    let places = (0..PROBES_MAX).map(|probe| (start + probe) & (SITES_MAX - 1)).filter(|at| *at > usize::from(OWN));
    let found = claim(&SITES, &FRAMES, places, stack.hash | 1, stack.frames);
    found.and_then(|at| u16::try_from(at).ok()).unwrap_or(OTHERS)
}

/// Calls `f` with each site's number, frames (innermost first; none where they are not known) and sums.
pub(super) fn each(mut f: impl FnMut(u16, &[usize], Sums)) {
    let mut frames = [0; FRAMES_MAX];
    for (number, (site, stored)) in (0..).zip(SITES.iter().zip(&FRAMES)) {
        if site.is_free() && number > OWN {
            continue;
        }
        let len = site.frames(stored, &mut frames);
        f(number, &frames[..len], site.sums());
    }
}
