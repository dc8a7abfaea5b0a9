//! The table of sites: a stack's key, its frames, and four sums, in statics of fixed size.
//!
//! Stands behind `sites::allocated`. A site is found by a 64-bit hash of its frames; two stacks that agree in all 64 bits would be
//! one (for 16,000 sites: one chance in 10^11).
//!
//! Invariants: an entry is claimed once, by a compare-and-swap of its key from 0, and never given back; its frames are
//! written once, by who claimed it, and published by their number. Sums only grow; no addition is lost.
#![forbid(unsafe_code)]

use super::walk::{FRAMES_MAX, Stack};
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

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

/// One place from which memory comes.
#[repr(align(64))]
pub(super) struct Site {
    /// 0 while it is nobody's.
    key: AtomicU64,
    /// Number of frames; 0 until they are written.
    frames: AtomicU32,
    blocks: AtomicU64,
    bytes: AtomicU64,
    freed_blocks: AtomicU64,
    freed_bytes: AtomicU64,
}

/// A site's sums at one moment, blocks in parts of [`WHOLE`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    pub(super) freed_blocks: u64,
    pub(super) freed_bytes: u64,
}

impl Sums {
    pub(super) const ZERO: Self = Self { blocks: 0, bytes: 0, freed_blocks: 0, freed_bytes: 0 };
}

impl Site {
    const fn new() -> Self {
        Self {
            key: AtomicU64::new(0),
            frames: AtomicU32::new(0),
            blocks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            freed_blocks: AtomicU64::new(0),
            freed_bytes: AtomicU64::new(0),
        }
    }

    // Relaxed, here and below: sums that publish nothing.
    pub(super) fn asked(&self, (blocks, bytes): (u64, u64)) {
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn freed(&self, (blocks, bytes): (u64, u64)) {
        self.freed_blocks.fetch_add(blocks, Ordering::Relaxed);
        self.freed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn sums(&self) -> Sums {
        // What was given back is read first: it was asked for before, so no site reads below zero.
        let (freed_blocks, freed_bytes) =
            (self.freed_blocks.load(Ordering::Acquire), self.freed_bytes.load(Ordering::Acquire));
        let (blocks, bytes) = (self.blocks.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        Sums { blocks, bytes, freed_blocks, freed_bytes }
    }
}

pub(super) fn site(number: u16) -> &'static Site {
    &SITES[usize::from(number)]
}

/// The site of a stack; a new one if it was never seen.
pub(super) fn find(stack: Stack<'_>) -> u16 {
    let key = stack.hash | 1;
    let start = (stack.hash >> 40) as usize;
    for probe in 0..PROBES_MAX {
        let at = (start + probe) & (SITES_MAX - 1);
        let number = u16::try_from(at).unwrap_or(OTHERS);
        if number <= OWN {
            continue;
        }
        let site = &SITES[at];
        // Relaxed: the key is all that is compared; frames are published by their number.
        let mut found = site.key.load(Ordering::Relaxed);
        if found == 0 {
            match site.key.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    for (to, from) in FRAMES[at].iter().zip(stack.frames) {
                        to.store(*from, Ordering::Relaxed);
                    }
                    // Release: pairs with the Acquire in `each`.
                    site.frames.store(u32::try_from(stack.frames.len()).unwrap_or(0), Ordering::Release);
                    return number;
                }
                Err(now) => found = now,
            }
        }
        if found == key {
            return number;
        }
    }
    OTHERS
}

/// Calls `f` with each site's number, frames (innermost first; none where they are not known) and sums.
pub(super) fn each(mut f: impl FnMut(u16, &[usize], Sums)) {
    let mut frames = [0; FRAMES_MAX];
    for (number, (site, stored)) in (0..).zip(SITES.iter().zip(&FRAMES)) {
        if site.key.load(Ordering::Relaxed) == 0 && number > OWN {
            continue;
        }
        // Acquire: pairs with the Release in `find`.
        let len = site.frames.load(Ordering::Acquire) as usize;
        for (to, from) in frames.iter_mut().zip(&stored[..len]) {
            *to = from.load(Ordering::Relaxed);
        }
        f(number, &frames[..len], site.sums());
    }
}
