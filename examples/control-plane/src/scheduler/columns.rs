//! What each node has left, in columns that a kernel reads: blocks of 32 nodes, and of each block its largest values.
//!
//! Between the node table, which writes a node's row, and the kernels, which read columns. A block holds all columns of
//! its 32 nodes one after the other; [`Columns::heads`] hold, per column, the largest value of each block, so that most
//! blocks need not be read at all.
//!
//! Invariants: a head is exactly the largest value of its block's column; rows of no node are zeros, and no set of nodes
//! has their bits.
//! Cost: a row is written by six stores; a block's column is read again only where its largest value went down.
#![forbid(unsafe_code)]

use std::mem;

use fearless_simd::{dispatch, prelude::*};

use super::kernel::Kernel;
use super::node::NodeId;

/// Nodes of a block, and bits of a [`NodeSet`]'s word.
pub(super) const LANES: usize = 32;

/// Heads are padded to a multiple of this, the most lanes that a kernel has.
pub(super) const HEADS_STEP: usize = 16;

/// Thousandths of a core.
pub(super) const CPU: usize = 0;
/// Memory in MiB.
pub(super) const MEMORY: usize = 1;
/// The largest residual of a node's GPUs, in thousandths.
pub(super) const GPU_LARGEST: usize = 2;
/// Number of GPUs of which nothing is taken.
pub(super) const GPU_WHOLE: usize = 3;
/// Score for VMs without GPUs.
pub(super) const SCORE: usize = 4;
/// Score for VMs with GPUs.
pub(super) const SCORE_WITH_GPUS: usize = 5;
/// Number of columns.
pub(super) const COLUMNS: usize = 6;

/// A node's values, one per column.
pub(super) type Row = [u32; COLUMNS];

/// The columns of 32 nodes.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Block(pub(super) [[u32; LANES]; COLUMNS]);

/// Blocks and their largest values.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    blocks: Vec<Block>,
    heads: [Vec<u32>; COLUMNS],
}

impl Columns {
    /// Every block.
    #[inline]
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The largest value of each block in each column, followed by zeros up to a multiple of [`HEADS_STEP`].
    #[inline]
    pub(super) fn heads(&self) -> &[Vec<u32>; COLUMNS] {
        &self.heads
    }

    /// Makes room for a node, and for up to 31 more.
    pub(super) fn cover(&mut self, node: usize) {
        while self.blocks.len() * LANES <= node {
            self.blocks.push(Block([[0; LANES]; COLUMNS]));
        }
        for heads in &mut self.heads {
            heads.resize(self.blocks.len().next_multiple_of(HEADS_STEP), 0);
        }
    }

    /// Writes a node's row.
    #[inline]
    pub(super) fn set(&mut self, kernel: Kernel, node: usize, row: &Row) {
        let (at, lane) = (node / LANES, node % LANES);
        let block = &mut self.blocks[at];
        let mut lost = 0_u32;
        for (column, &new) in row.iter().enumerate() {
            let old = mem::replace(&mut block.0[column][lane], new);
            let head = &mut self.heads[column][at];
            lost |= u32::from(old == *head && new < old) << column;
            *head = new.max(*head);
        }
        if lost != 0 {
            dispatch!(kernel.level(), simd => self.read_again(simd, at, lost));
        }
    }

    /// Finds a block's largest values anew, in the columns whose bits are set.
    #[inline(always)]
    fn read_again<S: Simd>(&mut self, simd: S, at: usize, mut columns: u32) {
        while columns != 0 {
            let column = columns.trailing_zeros() as usize;
            columns &= columns - 1;
            let values = &self.blocks[at].0[column];
            let lanes = S::u32s::LEN;
            let mut largest = S::u32s::from_slice(simd, &values[..lanes]);
            for from in (lanes..LANES).step_by(lanes) {
                largest = largest.max(S::u32s::from_slice(simd, &values[from..from + lanes]));
            }
            self.heads[column][at] = largest.reduce_max();
        }
    }
}

/// Nodes of one table, a bit each.
///
/// ```
/// use control_plane::scheduler::{NodeId, NodeSet};
///
/// let mut set = NodeSet::new();
/// assert!(set.insert(NodeId(70)));
/// assert!(set.contains(NodeId(70)) && !set.contains(NodeId(7)));
/// assert!(set.remove(NodeId(70)) && !set.remove(NodeId(70)));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeSet {
    words: Vec<u32>,
}

impl NodeSet {
    /// No node. Takes no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// Adds a node; whether it was not there. Takes memory for all nodes up to it, a bit each.
    pub fn insert(&mut self, node: NodeId) -> bool {
        let (at, bit) = place(node);
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
        }
        let was = self.words[at];
        self.words[at] |= bit;
        was & bit == 0
    }

    /// Takes a node out; whether it was there.
    pub fn remove(&mut self, node: NodeId) -> bool {
        let (at, bit) = place(node);
        let Some(word) = self.words.get_mut(at) else { return false };
        let was = mem::replace(word, *word & !bit);
        was & bit != 0
    }

    /// Whether a node is there.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        let (at, bit) = place(node);
        self.word(at) & bit != 0
    }

    /// Takes all nodes out and keeps the memory.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// The nodes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> {
        let bits = |(at, &word): (u32, &u32)| {
            let set = (0..u32::BITS).filter(move |bit| word >> bit & 1 == 1);
            set.map(move |bit| NodeId(at * u32::BITS + bit))
        };
        (0..).zip(&self.words).flat_map(bits)
    }

    /// The bits of a block.
    #[inline]
    pub(super) fn word(&self, block: usize) -> u32 {
        self.words.get(block).copied().unwrap_or(0)
    }
}

fn place(node: NodeId) -> (usize, u32) {
    let at = node.0 as usize;
    (at / LANES, 1 << (at % LANES))
}
