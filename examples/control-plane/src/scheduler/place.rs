//! Placement: the most available node in one pass, and the decision that tells of it.
//!
//! On the data's way it stands between building and encoding. The choice is written once, over the node table, and knows
//! nothing of memory; [`Decision`] and its plain twin only differ in where the reason lies.
//!
//! Invariants: scores are exact integers; of equal scores the first node wins.
//! Cost: one pass over six columns per VM, no allocation; the decision's reason is one text.

use std::fmt;

use super::config::{Resources, VmSpec};
use super::nodes::{DeviceSet, ModelSet, NodeId, NodeTable};
use blixard_arena::arena::AnyArena;

/// What a node must have to be a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Cores, memory and GPUs.
    pub resources: Resources,
    /// GPU models that will do.
    pub models: ModelSet,
}

/// A node that fits, with its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// What it has left of each resource asked for, as a share of the largest node's, `u32::MAX` standing for all of it.
    pub score: u64,
}

/// Capacity taken from a node: all that is needed to give it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The node.
    pub node: NodeId,
    /// Its score when it was chosen.
    pub score: u64,
    /// Thousandths of a core taken.
    pub cpu_milli: u32,
    /// MiB taken.
    pub memory_mib: u32,
    /// GPUs taken.
    pub devices: DeviceSet,
}

/// What was decided for one VM, and why, in a request's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Where it goes; `None` if no node has what it needs.
    pub placement: Option<Placement>,
    /// Why, for people.
    pub reason: &'a str,
}

impl<'a> Decision<'a> {
    /// Writes the decision with its reason into `memory`.
    pub fn new_in<A: AnyArena>(
        arena: &'a A,
        table: &NodeTable,
        spec: &VmSpec<'_>,
        placement: Option<Placement>,
    ) -> Self {
        let reason = decision_reason(table, spec, placement, |text| &*arena.format(text));
        Self { placement, reason }
    }
}

impl NodeTable {
    /// What a VM asks of the nodes of this table.
    #[must_use]
    pub fn demand(&self, spec: &VmSpec<'_>) -> Demand {
        Demand { resources: spec.resources, models: self.models(spec.gpu_spec) }
    }

    /// The node that fits and has the most left of what is asked for; of equals the first.
    #[must_use]
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "no branch per resource: one node fails on this one, the next on that"
    )]
    pub fn most_available(&self, demand: &Demand) -> Option<Candidate> {
        let Resources { cpu_milli, memory_mib, gpus } = demand.resources;
        let (largest_milli, whole) = match gpus.count {
            0 => (0, 0),
            1 => (u32::from(gpus.milli).max(1), 0),
            count => (0, u32::from(count)),
        };
        let gpu_weight = if gpus.count == 0 { 0 } else { self.weights.gpu };
        let left = &self.left;
        let columns = (left.cpu_milli.iter().zip(&left.memory_mib))
            .zip(left.gpu_milli.iter().zip(&left.gpu_largest_milli))
            .zip(left.gpu_whole.iter().zip(&self.model_bits));
        // Scores are kept one higher, so that 0 says "none yet".
        let mut best = (0_u64, 0_u32);
        for (node, (((&cpu, &memory), (&gpu, &gpu_largest)), (&gpu_whole, &model))) in (0_u32..).zip(columns) {
            let fits = (cpu >= cpu_milli)
                & (memory >= memory_mib)
                & (gpu_largest >= largest_milli)
                & (gpu_whole >= whole)
                & demand.models.allows(model);
            let score = 1
                + u64::from(cpu) * self.weights.cpu
                + u64::from(memory) * self.weights.memory
                + u64::from(gpu) * gpu_weight;
            if fits && score > best.0 {
                best = (score, node);
            }
        }
        (best.0 > 0).then(|| Candidate { node: NodeId(best.1), score: best.0 - 1 })
    }

    /// Chooses the most available node and takes the capacity from it.
    pub fn place(&mut self, demand: &Demand) -> Option<Placement> {
        let Candidate { node, score } = self.most_available(demand)?;
        let devices = self.take(node, demand);
        let Resources { cpu_milli, memory_mib, .. } = demand.resources;
        Some(Placement { node, score, cpu_milli, memory_mib, devices })
    }
}

/// Words a decision, once for every form: `write` puts the text where that form keeps it.
pub fn decision_reason<T>(
    table: &NodeTable,
    spec: &VmSpec<'_>,
    placement: Option<Placement>,
    write: impl FnOnce(fmt::Arguments<'_>) -> T,
) -> T {
    let nodes = table.len();
    if let Some(Placement { node, score, .. }) = placement {
        return write(format_args!("{} is the most available of {nodes} nodes, score {score}", table.name(node)));
    }
    let Resources { cpu_milli, memory_mib, gpus } = spec.resources;
    write(format_args!(
        "none of {nodes} nodes has {cpu_milli} mCPU, {memory_mib} MiB and {} x {} mGPU of [{}] left",
        gpus.count,
        gpus.milli_per_device(),
        spec.gpu_spec,
    ))
}
