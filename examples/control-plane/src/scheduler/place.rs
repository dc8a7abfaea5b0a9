//! Placement of one VM: the nodes that suit it best, what is taken of the first, and the decision that tells of it.
//!
//! On the data's way it stands between building and encoding. The choice is made over the node table and knows
//! nothing of memory; [`Decision`] and its plain twin only differ in where their lists and texts lie.
//!
//! Invariants: scores are exact integers; of equal scores the first node wins; what a kernel finds is what
//! [`NodeTable::rank_scalar`] finds.
//! Cost: a search; no allocation but for the decision's reason and its alternatives.
#![forbid(unsafe_code)]

use std::fmt;

use blixard_arena::BudgetExceeded;
use blixard_arena::archive::rkyv::with::Skip;
use blixard_arena::archive::rkyv::{self, Archive, Deserialize, Serialize};
use blixard_arena::archive::{ArenaDecoder, List, Text};
use blixard_arena::arena::AnyArena;

use super::apart::GroupId;
use super::archived::ArchivedDecision;
use super::columns::{CPU, GPU_LARGEST, GPU_WHOLE, MEMORY, NodeSet};
use super::config::{Resources, VmSpec};
use super::kernel::{FOUND_MAX, Least, Top, search};
use super::node::{DeviceSet, ModelSet, NodeId, Slot};
use super::nodes::NodeTable;
use super::topology::Level;
use crate::granted;

/// What a node must have to be a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Cores, memory and GPUs.
    pub resources: Resources,
    /// GPU models that will do.
    pub models: ModelSet,
}

impl Demand {
    #[inline]
    pub(super) fn least(&self) -> Least {
        let Resources { cpu_milli, memory_mib, gpus } = self.resources;
        let gpu = match gpus.count {
            0 => None,
            1 => Some((GPU_LARGEST, u32::from(gpus.milli).max(1))),
            count => Some((GPU_WHOLE, u32::from(count))),
        };
        Least { cpu_milli, memory_mib, gpu }
    }

    /// Whether a node will do.
    pub(super) fn fits(&self, slot: &Slot) -> bool {
        let Least { cpu_milli, memory_mib, gpu } = self.least();
        let left = slot.left();
        slot.is_open()
            && self.models.allows(slot.model)
            && left.cpu_milli >= cpu_milli
            && left.memory_mib >= memory_mib
            && match gpu {
                None => true,
                Some((GPU_WHOLE, least)) => slot.gpus_whole() >= least,
                Some((_, least)) => slot.gpu_largest_milli() >= least,
            }
    }
}

/// A node that fits, with its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// How good it is by the table's strategy; the higher the better.
    pub score: u32,
}

/// The best nodes for a VM, best first: the one to take, and up to three alternatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranking {
    found: [Candidate; FOUND_MAX],
    len: u8,
}

impl Ranking {
    pub(super) fn of(top: Top) -> Self {
        let mut found = [Candidate { node: NodeId(0), score: 0 }; FOUND_MAX];
        let mut len = 0;
        for (at, (score, node)) in found.iter_mut().zip(top.iter()) {
            *at = Candidate { node: NodeId(node), score };
            len += 1;
        }
        Self { found, len }
    }

    /// All of them, best first.
    #[must_use]
    pub fn as_slice(&self) -> &[Candidate] {
        &self.found[..usize::from(self.len)]
    }

    /// The best; `None` if no node fits.
    #[must_use]
    pub fn best(&self) -> Option<Candidate> {
        self.as_slice().first().copied()
    }

    /// The next best, up to three.
    #[must_use]
    pub fn alternatives(&self) -> &[Candidate] {
        self.as_slice().get(1..).unwrap_or_default()
    }
}

/// Capacity taken from a node: all that is needed to give it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub struct Placement {
    /// The node.
    pub node: NodeId,
    /// Its score when it was chosen.
    pub score: u32,
    /// Thousandths of a core taken.
    pub cpu_milli: u32,
    /// MiB taken.
    pub memory_mib: u32,
    /// GPUs taken.
    pub devices: DeviceSet,
    /// The group that keeps others of its VMs away from there. It is the scheduler's own and not archived.
    #[rkyv(with = Skip)]
    pub group: Option<GroupId>,
}

/// A VM's node, and what else would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// What was taken.
    pub placement: Placement,
    /// The nodes that suited best before it was taken, this one first.
    pub ranking: Ranking,
}

/// What a VM can lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// A node that takes VMs.
    Nodes,
    /// A GPU of a model that will do.
    GpuModel,
    /// Thousandths of a core.
    CpuMilli,
    /// MiB of memory.
    MemoryMib,
    /// Thousandths of one GPU.
    GpuMilli,
    /// Whole GPUs.
    Gpus,
    /// All of it on one node: each resource alone is there.
    Together,
    /// A domain of this level without a VM of its group.
    Apart(Level),
    /// Room for another group.
    Groups,
}

/// Why no node will do: the first resource that no node has enough of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// The resource.
    pub resource: Resource,
    /// How much of it is asked for; 0 where it has no number.
    pub asked: u32,
    /// The most that one of the nodes has left that take VMs and are of the right model.
    pub most: u32,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, asked, most } = self;
        match resource {
            Resource::Nodes => write!(f, "no node takes VMs"),
            Resource::GpuModel => write!(f, "no node has a GPU of its models"),
            Resource::CpuMilli => write!(f, "{asked} mCPU asked for, no node has more than {most} left"),
            Resource::MemoryMib => write!(f, "{asked} MiB asked for, no node has more than {most} left"),
            Resource::GpuMilli => write!(f, "{asked} mGPU of one device asked for, none has more than {most} left"),
            Resource::Gpus => write!(f, "{asked} whole GPUs asked for, no node has more than {most} left"),
            Resource::Together => write!(f, "no node has all of it left, though each resource is there"),
            Resource::Apart(level) => write!(f, "every node that fits shares a {level} with its group"),
            Resource::Groups => write!(f, "{most} anti-affinity groups have VMs, no more may"),
        }
    }
}

impl std::error::Error for Shortage {}

/// What was decided for one VM, and why, in a request's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, as = ArchivedDecision)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator), deserialize_bounds(__D: ArenaDecoder<'a>))]
pub struct Decision<'a> {
    /// Where it goes; `None` if no node has what it needs.
    pub placement: Option<Placement>,
    /// Where it might have gone instead, best first: up to three.
    #[rkyv(omit_bounds, with = List)]
    pub alternatives: &'a [Candidate],
    /// Why, for people.
    #[rkyv(omit_bounds, with = Text)]
    pub reason: &'a str,
}

impl<'a> Decision<'a> {
    /// Writes the decision with its alternatives and its reason into `arena`.
    ///
    /// # Panics
    ///
    /// With the arena's `BudgetExceeded` when the request's budget does not allow it.
    pub fn new_in<A: AnyArena>(
        arena: &'a A,
        table: &NodeTable,
        spec: &VmSpec<'_>,
        chosen: Result<Chosen, Shortage>,
    ) -> Self {
        granted(Self::try_new_in(arena, table, spec, chosen))
    }

    /// [`new_in`](Self::new_in) where the request's budget may not allow it.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    pub fn try_new_in<A: AnyArena>(
        arena: &'a A,
        table: &NodeTable,
        spec: &VmSpec<'_>,
        chosen: Result<Chosen, Shortage>,
    ) -> Result<Self, BudgetExceeded> {
        let reason = decision_reason(table, spec, chosen, |text| arena.try_format(text))?;
        Ok(match chosen {
            Ok(Chosen { placement, ranking }) => Self {
                placement: Some(placement),
                alternatives: arena.try_alloc_slice_copy(ranking.alternatives())?,
                reason,
            },
            Err(_) => Self { placement: None, alternatives: &[], reason },
        })
    }
}

impl NodeTable {
    /// What a VM asks of the nodes of this table.
    #[must_use]
    pub fn demand(&self, spec: &VmSpec<'_>) -> Demand {
        Demand { resources: spec.resources, models: self.models(spec.gpu_spec) }
    }

    /// The best nodes that fit, by the table's strategy; of equals the first in the table.
    #[must_use]
    pub fn rank(&self, demand: &Demand) -> Ranking {
        let allowed = |block| self.allowed(block, demand.models, None);
        Ranking::of(search(self.kernel, &self.columns, demand.least(), allowed))
    }

    /// [`rank`](Self::rank), some nodes being out of the question.
    #[must_use]
    pub fn rank_without(&self, demand: &Demand, without: &NodeSet) -> Ranking {
        let allowed = |block| self.allowed(block, demand.models, Some(without));
        Ranking::of(search(self.kernel, &self.columns, demand.least(), allowed))
    }

    /// What [`rank_without`](Self::rank_without) finds, found by looking at each node's residuals: the kernels' oracle.
    #[must_use]
    pub fn rank_scalar(&self, demand: &Demand, without: &NodeSet) -> Ranking {
        let mut top = Top::NONE;
        for (slot, node) in self.slots.iter().zip(0..) {
            if demand.fits(slot) && !without.contains(NodeId(node)) {
                top.enter(self.score(slot, demand), node);
            }
        }
        Ranking::of(top)
    }

    pub(super) fn score(&self, slot: &Slot, demand: &Demand) -> u32 {
        self.scale.scores(self.strategy, &slot.left())[usize::from(demand.resources.gpus.count > 0)]
    }

    /// Chooses the best node and takes the capacity from it.
    ///
    /// # Errors
    ///
    /// If no node will do: what was short.
    #[inline]
    pub fn place(&mut self, demand: &Demand) -> Result<Chosen, Shortage> {
        let ranking = self.rank(demand);
        match ranking.best() {
            Some(best) => Ok(Chosen { placement: self.take(best, demand), ranking }),
            None => Err(self.shortage(demand)),
        }
    }

    /// Why no node will do, provided that none will.
    #[cold]
    pub(super) fn shortage(&self, demand: &Demand) -> Shortage {
        let short = |resource, asked, most| Shortage { resource, asked, most };
        if self.most(CPU, ModelSet::ANY).is_none() {
            return short(Resource::Nodes, 0, 0);
        }
        let Least { cpu_milli, memory_mib, gpu } = demand.least();
        let numbers = [(CPU, Resource::CpuMilli, cpu_milli), (MEMORY, Resource::MemoryMib, memory_mib)];
        let gpu = gpu.map(|(column, least)| {
            (column, if column == GPU_WHOLE { Resource::Gpus } else { Resource::GpuMilli }, least)
        });
        for (column, resource, asked) in numbers.into_iter().chain(gpu) {
            match self.most(column, demand.models) {
                None => return short(Resource::GpuModel, 0, 0),
                Some(most) if most < asked => return short(resource, asked, most),
                Some(_) => {}
            }
        }
        short(Resource::Together, 0, 0)
    }
}

/// Words a decision, once for every form: `write` puts the text where that form keeps it.
pub fn decision_reason<T>(
    table: &NodeTable,
    spec: &VmSpec<'_>,
    chosen: Result<Chosen, Shortage>,
    write: impl FnOnce(fmt::Arguments<'_>) -> T,
) -> T {
    let nodes = table.len();
    match chosen {
        Ok(Chosen { placement: Placement { node, score, .. }, ranking }) => {
            let best = table.strategy().superlative();
            let others = ranking.alternatives().len();
            let name = table.name(node);
            write(format_args!("{name} is {best} of {nodes} nodes, score {score}, alternatives: {others}"))
        }
        Err(shortage) if spec.gpu_spec.is_empty() => write(format_args!("none of {nodes} nodes will do: {shortage}")),
        Err(shortage) => {
            write(format_args!("none of {nodes} nodes will do, GPU models [{}]: {shortage}", spec.gpu_spec))
        }
    }
}
