//! Two plain ways to rank nodes, which the kernels are measured against and agree with.
//!
//! [`rank_original`] is the way most schedulers begin: per VM a list of copies of the nodes that fit, sorted.
//! [`OnePass`] is the way one writes it with care and without vector instructions: columns, one loop, no list.
//!
//! Invariant: both find what [`NodeTable::rank`] finds.
//! Cost: see each; neither is meant to be used.
#![forbid(unsafe_code)]

use std::cmp::Reverse;

use super::columns::{GPU_WHOLE, NodeSet};
use super::kernel::{FOUND_MAX, Least, Top};
use super::node::{ModelSet, NodeId};
use super::nodes::NodeTable;
use super::place::{Candidate, Demand, Ranking};

/// [`NodeTable::rank_without`] by push, clone and sort: every node that fits is copied, its name included, into a list, and the
/// list is sorted.
///
/// An allocation per node that fits, and some for the list.
#[must_use]
pub fn rank_original(table: &NodeTable, demand: &Demand, without: &NodeSet) -> Ranking {
    let mut candidates = Vec::new();
    for (slot, node) in table.slots.iter().zip(0..) {
        if demand.fits(slot) && !without.contains(NodeId(node)) {
            candidates.push((slot.clone(), Candidate { node: NodeId(node), score: table.score(slot, demand) }));
        }
    }
    candidates.sort_by_key(|(_, candidate)| (Reverse(candidate.score), candidate.node));
    let mut top = Top::NONE;
    for (_, Candidate { node, score }) in candidates.iter().take(FOUND_MAX) {
        top.enter(*score, node.0);
    }
    Ranking::of(top)
}

/// Columns of a table, for one loop over all nodes per VM.
///
/// ```
/// use control_plane::scheduler::baseline::OnePass;
/// use control_plane::scheduler::{Demand, ModelSet, Node, NodeTable, Resources};
///
/// let node = |name: &str, cpu_milli| Node {
///     name: name.to_owned(), cpu_milli, memory_mib: 65_536, gpus: 0, model: String::new(),
/// };
/// let mut table = NodeTable::new(&[node("a", 8_000), node("b", 32_000)])?;
/// let mut one_pass = OnePass::new(&table);
/// let resources = Resources { cpu_milli: 2_000, memory_mib: 1_024, ..Resources::default() };
/// let demand = Demand { resources, models: ModelSet::ANY };
/// assert_eq!(one_pass.rank(&demand), table.rank(&demand));
/// let chosen = table.place(&demand).expect("both fit");
/// one_pass.update(&table, chosen.placement.node);
/// assert_eq!(one_pass.best(&demand), table.rank(&demand).best());
/// # Ok::<(), control_plane::scheduler::NodeTableError>(())
/// ```
#[derive(Debug, Clone)]
pub struct OnePass {
    cpu_milli: Vec<u32>,
    memory_mib: Vec<u32>,
    gpu_largest_milli: Vec<u32>,
    gpu_whole: Vec<u32>,
    /// A bit per model; the highest for nodes without.
    model_bits: Vec<u64>,
    scores: [Vec<u32>; 2],
}

impl OnePass {
    /// The columns of a table whose nodes are all open.
    #[must_use]
    pub fn new(table: &NodeTable) -> Self {
        let zeros = vec![0; table.slots.len()];
        let mut columns = Self {
            cpu_milli: zeros.clone(),
            memory_mib: zeros.clone(),
            gpu_largest_milli: zeros.clone(),
            gpu_whole: zeros.clone(),
            model_bits: vec![0; table.slots.len()],
            scores: [zeros.clone(), zeros],
        };
        for node in table.nodes() {
            columns.update(table, node);
        }
        columns
    }

    /// Brings a node's values in line with the table.
    pub fn update(&mut self, table: &NodeTable, node: NodeId) {
        let at = node.0 as usize;
        let slot = &table.slots[at];
        let left = slot.left();
        let scores = table.scale.scores(table.strategy, &left);
        self.cpu_milli[at] = left.cpu_milli;
        self.memory_mib[at] = left.memory_mib;
        self.gpu_largest_milli[at] = slot.gpu_largest_milli();
        self.gpu_whole[at] = slot.gpus_whole();
        self.model_bits[at] = 1 << slot.model.unwrap_or(63);
        (self.scores[0][at], self.scores[1][at]) = (scores[0], scores[1]);
    }

    /// The best node alone, without alternatives.
    #[must_use]
    pub fn best(&self, demand: &Demand) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        self.pass(demand, |score, node| {
            if best.is_none_or(|best| score > best.score) {
                best = Some(Candidate { node: NodeId(node), score });
            }
        });
        best
    }

    /// The best node and its alternatives.
    #[must_use]
    pub fn rank(&self, demand: &Demand) -> Ranking {
        let mut top = Top::NONE;
        let mut to_beat = Some(0);
        self.pass(demand, |score, node| {
            if to_beat.is_some_and(|least| score >= least) {
                top.enter(score, node);
                to_beat = top.score_to_beat();
            }
        });
        Ranking::of(top)
    }

    #[inline(always)]
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "no branch per resource: one node fails on this one, the next on that"
    )]
    fn pass(&self, demand: &Demand, mut found: impl FnMut(u32, u32)) {
        let Least { cpu_milli, memory_mib, gpu } = demand.least();
        let (largest, whole) = match gpu {
            None => (0, 0),
            Some((GPU_WHOLE, least)) => (0, least),
            Some((_, least)) => (least, 0),
        };
        let models = demand.models;
        let scores = &self.scores[usize::from(gpu.is_some())];
        let columns = (self.cpu_milli.iter().zip(&self.memory_mib))
            .zip(self.gpu_largest_milli.iter().zip(&self.gpu_whole))
            .zip(scores.iter().zip(&self.model_bits));
        for (node, (((&cpu, &memory), (&gpu_largest, &gpu_whole)), (&score, &model))) in (0_u32..).zip(columns) {
            let fits = (cpu >= cpu_milli)
                & (memory >= memory_mib)
                & (gpu_largest >= largest)
                & (gpu_whole >= whole)
                & models.meets(model);
            if fits {
                found(score, node);
            }
        }
    }
}

impl ModelSet {
    /// Whether one of these bits, the highest standing for "no model", will do.
    #[inline]
    fn meets(self, bits: u64) -> bool {
        self.bits() & bits != 0
    }
}
