//! The search: of all nodes that fit, the four with the highest scores, in one pass over the columns.
//!
//! The algorithm stands here once, over vectors of whatever width an instruction set has; [`fearless_simd`] brings the
//! instruction sets, and each [`Kernel`] is this code compiled for one of them. The scalar twin is
//! [`NodeTable::rank_scalar`](super::NodeTable::rank_scalar).
//!
//! First the heads: whole vectors of blocks are compared with what is asked for and with the fourth best score so far, and
//! only blocks that may hold something better are read. Then a block: the nodes that fit and are better come out as 32
//! bits, and only they are looked at one by one. Nodes are visited in their order, so a node must be *better* than the
//! fourth to enter: of equals the first stays.
//!
//! Cost: nodes / 32 heads in three to four columns, then as a rule a handful of blocks; no allocation.
#![forbid(unsafe_code)]

use std::fmt;

use fearless_simd::{Level, dispatch, prelude::*};

use super::columns::{Block, CPU, Columns, HEADS_STEP, LANES, MEMORY, SCORE, SCORE_WITH_GPUS};

/// An instruction set that the search is compiled for, and that this machine has.
///
/// ```
/// use control_plane::scheduler::Kernel;
///
/// let names: Vec<&str> = Kernel::all().map(Kernel::name).collect();
/// assert!(names.contains(&Kernel::best().name()));
/// assert_eq!(names[0], Kernel::portable().name());
/// ```
#[derive(Clone, Copy)]
pub struct Kernel(Level);

impl Kernel {
    /// The widest that this machine has; found out once per process.
    #[must_use]
    pub fn best() -> Self {
        Self(Level::new())
    }

    /// What every machine of this architecture has: 128-bit vectors on x86-64 and ARM, else plain integers.
    #[must_use]
    pub fn portable() -> Self {
        Self(Level::baseline())
    }

    /// 256-bit vectors, where the machine has AVX2.
    #[must_use]
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return Level::new().as_avx2().map(|proof| Self(Level::Avx2(proof)));
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// 512-bit vectors, where the machine has AVX-512 as of Ice Lake: before that it slows the core down.
    #[must_use]
    pub fn avx512() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return Level::new().as_avx512().map(|proof| Self(Level::Avx512(proof)));
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// Every kernel that this machine has, the portable one first, the best last.
    pub fn all() -> impl Iterator<Item = Self> {
        [Some(Self::portable()), Self::avx2(), Self::avx512()].into_iter().flatten()
    }

    /// The name of the instruction set.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Level::Sse2(_) => "SSE2",
            #[cfg(target_arch = "aarch64")]
            Level::Neon(_) => "NEON",
            _ => "portable",
        }
    }

    #[inline]
    pub(super) fn level(self) -> Level {
        self.0
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({})", self.name())
    }
}

/// The least that a node must have left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Least {
    pub(super) cpu_milli: u32,
    pub(super) memory_mib: u32,
    /// The column of GPUs that counts, and the least in it; `None` if no GPU is asked for.
    pub(super) gpu: Option<(usize, u32)>,
}

/// How many nodes a search finds: the best and three runners-up.
pub(super) const FOUND_MAX: usize = 4;

/// The best nodes so far, best first: the score above, the node's complement below, so that of equals the first is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Top([u64; FOUND_MAX]);

impl Top {
    pub(super) const NONE: Self = Self([0; FOUND_MAX]);

    /// Lets a node in, if it is better than the last.
    #[inline]
    pub(super) fn enter(&mut self, score: u32, node: u32) {
        let mut rest = u64::from(score) << 32 | u64::from(!node);
        for slot in &mut self.0 {
            (*slot, rest) = ((*slot).max(rest), (*slot).min(rest));
        }
    }

    /// The least score that a later node needs to enter; `None` if none would.
    #[inline]
    pub(super) fn score_to_beat(&self) -> Option<u32> {
        let last = self.0[FOUND_MAX - 1];
        if last == 0 { Some(0) } else { halves(last).0.checked_add(1) }
    }

    /// Scores and nodes, best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.0.iter().take_while(|&&found| found != 0).map(|&found| halves(found)).map(|(score, node)| (score, !node))
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn halves(found: u64) -> (u32, u32) {
    ((found >> 32) as u32, found as u32)
}

/// The best nodes that have the least, of those whose bits `allowed` gives for their block.
#[inline]
pub(super) fn search(kernel: Kernel, columns: &Columns, least: Least, allowed: impl Fn(usize) -> u32) -> Top {
    if least.gpu.is_some() {
        dispatch!(kernel.level(), simd => blocks::<_, true>(simd, columns, least, allowed))
    } else {
        dispatch!(kernel.level(), simd => blocks::<_, false>(simd, columns, least, allowed))
    }
}

const fn score_column<const GPUS: bool>() -> usize {
    if GPUS { SCORE_WITH_GPUS } else { SCORE }
}

/// What is asked for, in every lane.
struct Wanted<S: Simd> {
    cpu_milli: S::u32s,
    memory_mib: S::u32s,
    gpu: S::u32s,
    gpu_column: usize,
}

impl<S: Simd> Wanted<S> {
    /// The lanes that have what is asked for and a score of at least `score`.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "at most 16 lanes")]
    fn met<'c, const GPUS: bool>(&self, simd: S, score: u32, column: impl Fn(usize) -> &'c [u32]) -> u32 {
        let load = |at| S::u32s::from_slice(simd, column(at));
        let scores = load(score_column::<GPUS>());
        let mut met = load(CPU).simd_ge(self.cpu_milli)
            & load(MEMORY).simd_ge(self.memory_mib)
            & scores.simd_ge(S::u32s::splat(simd, score));
        if GPUS {
            met &= load(self.gpu_column).simd_ge(self.gpu);
        }
        met.to_bitmask() as u32
    }
}

/// All blocks.
#[inline(always)]
fn blocks<S: Simd, const GPUS: bool>(simd: S, columns: &Columns, least: Least, allowed: impl Fn(usize) -> u32) -> Top {
    let (gpu_column, gpu) = least.gpu.unwrap_or((0, 0));
    let wanted = Wanted::<S> {
        cpu_milli: S::u32s::splat(simd, least.cpu_milli),
        memory_mib: S::u32s::splat(simd, least.memory_mib),
        gpu: S::u32s::splat(simd, gpu),
        gpu_column,
    };
    let lanes = S::u32s::LEN;
    let (blocks, heads) = (columns.blocks(), columns.heads());
    let padded = blocks.len().next_multiple_of(HEADS_STEP);
    let mut top = Top::NONE;
    let mut to_beat = 0;
    for from in (0..padded).step_by(lanes) {
        let mut promising = wanted.met::<GPUS>(simd, to_beat, |column| &heads[column][from..from + lanes]);
        while promising != 0 {
            let at = from + promising.trailing_zeros() as usize;
            promising &= promising - 1;
            let Some(block) = blocks.get(at) else { break };
            if heads[score_column::<GPUS>()][at] < to_beat {
                continue;
            }
            let mut better = block_hits::<S, GPUS>(simd, &wanted, to_beat, block);
            if better != 0 {
                better &= allowed(at);
            }
            let scores = &block.0[score_column::<GPUS>()];
            while better != 0 {
                let lane = better.trailing_zeros() as usize;
                better &= better - 1;
                if scores[lane] >= to_beat {
                    top.enter(scores[lane], node(at, lane));
                    let Some(next) = top.score_to_beat() else { return top };
                    to_beat = next;
                }
            }
        }
    }
    top
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a table has at most 2^20 nodes")]
fn node(block: usize, lane: usize) -> u32 {
    (block * LANES + lane) as u32
}

/// The nodes of a block that have what is asked for and a score of at least `score`.
#[inline(always)]
fn block_hits<S: Simd, const GPUS: bool>(simd: S, wanted: &Wanted<S>, score: u32, block: &Block) -> u32 {
    let lanes = S::u32s::LEN;
    let mut hits = 0;
    for from in (0..LANES).step_by(lanes) {
        hits |= wanted.met::<GPUS>(simd, score, |column| &block.0[column][from..from + lanes]) << from;
    }
    hits
}
