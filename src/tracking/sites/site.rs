//! `Site`: a stack's key, how many frames of it are written, and four sums; how threads claim one and read it.
//!
//! Stands under `table`, which keeps sites and frames in statics, and under a model, which cannot. Invariants: an entry is claimed once, by a
//! compare-and-swap of its key from 0, and never given back; its frames are written once, by who claimed it, and published by their
//! number. Sums only grow; no addition is lost.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering, const_fn};

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

/// A site's sums at one moment, blocks in parts of [`WHOLE`](super::table::WHOLE).
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    pub(super) freed_blocks: u64,
    pub(super) freed_bytes: u64,
}

impl Site {
    const_fn! {
        pub(super) fn new() -> Self {
            Self {
                key: AtomicU64::new(0),
                frames: AtomicU32::new(0),
                blocks: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
                freed_blocks: AtomicU64::new(0),
                freed_bytes: AtomicU64::new(0),
            }
        }
    }

    /// Whether nobody has it.
    pub(super) fn is_free(&self) -> bool {
        self.key.load(Ordering::Relaxed) == 0
    }

    pub(super) fn asked(&self, (blocks, bytes): (u64, u64)) {
        // Relaxed: a block is handed to who frees it, and with it what was counted here.
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn freed(&self, (blocks, bytes): (u64, u64)) {
        // Release: pairs with the Acquire in `sums`.
        self.freed_blocks.fetch_add(blocks, Ordering::Release);
        self.freed_bytes.fetch_add(bytes, Ordering::Release);
    }

    pub(super) fn sums(&self) -> Sums {
        // What was given back is read first: it was asked for before, so no site reads below zero.
        // Acquire: pairs with the Release in `freed`.
        let (freed_blocks, freed_bytes) =
            (self.freed_blocks.load(Ordering::Acquire), self.freed_bytes.load(Ordering::Acquire));
        let (blocks, bytes) = (self.blocks.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        Sums { blocks, bytes, freed_blocks, freed_bytes }
    }

    /// The frames that are written, copied from where they are stored; their number.
    pub(super) fn frames(&self, stored: &[AtomicUsize], into: &mut [usize]) -> usize {
        // Acquire: pairs with the Release in `claim`.
        let len = self.frames.load(Ordering::Acquire) as usize;
        for (to, from) in into.iter_mut().zip(&stored[..len]) {
            *to = from.load(Ordering::Relaxed);
        }
        len
    }
}

/// Of the sites at these places, the first that has the key, or that nobody has and that is claimed here.
pub(super) fn claim<const FRAMES: usize>(
    sites: &[Site],
    stored: &[[AtomicUsize; FRAMES]],
    places: impl Iterator<Item = usize>,
    key: u64,
    frames: &[usize],
) -> Option<usize> {
    for at in places {
        let site = &sites[at];
        // Relaxed: the key is all that is compared; frames are published by their number.
        let mut found = site.key.load(Ordering::Relaxed);
        if found == 0 {
            match site.key.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    for (to, from) in stored[at].iter().zip(frames) {
                        to.store(*from, Ordering::Relaxed);
                    }
                    // Release: pairs with the Acquire in `Site::frames`.
                    site.frames.store(u32::try_from(frames.len()).unwrap_or(0), Ordering::Release);
                    return Some(at);
                }
                Err(now) => found = now,
            }
        }
        if found == key {
            return Some(at);
        }
    }
    None
}
