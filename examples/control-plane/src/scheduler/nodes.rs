//! The node table: who the nodes are and what each has left, GPUs as residuals per device.
//!
//! It outlives every request. [`NodeTable::take`] and [`NodeTable::give_back`] move capacity, [`NodeTable::join`] and
//! [`NodeTable::leave`] nodes; whatever changes a node writes its row of the columns that the kernels read.
//!
//! Invariants: no residual ever exceeds its node's capacity nor falls below zero; a node's row is what its residuals say;
//! a node leaves when everything that was taken of it is back, so that no placement outlives its node.
//! Cost: memory is allocated when nodes come, never by taking and giving back.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use blixard_arena::collections::FlatMap;

use super::columns::{Columns, NodeSet, Row};
use super::config::GPU_MILLI;
use super::kernel::Kernel;
use super::node::{
    GPU_MODELS_MAX, GPUS_PER_NODE_MAX, ModelSet, NODES_MAX, Node, NodeId, NodeTableError, Slot, State, choose_devices,
};
use super::place::{Candidate, Demand, Placement};
use super::strategy::{Largest, PlacementStrategy, Scale};

/// The cluster's nodes and what each has left, ranked by one [`PlacementStrategy`] at a time.
///
/// ```
/// use control_plane::scheduler::{Demand, ModelSet, Node, NodeTable, Resources};
///
/// let node = |name: &str, cpu_milli| Node {
///     name: name.to_owned(), cpu_milli, memory_mib: 65_536, gpus: 0, model: String::new(),
/// };
/// let mut table = NodeTable::new(&[node("small", 8_000), node("large", 32_000)])?;
/// let demand = Demand {
///     resources: Resources { cpu_milli: 20_000, memory_mib: 1_024, ..Resources::default() },
///     models: ModelSet::ANY,
/// };
/// let first = table.place(&demand)?.placement;
/// assert_eq!(table.name(first.node), "large");
/// let shortage = table.place(&demand).unwrap_err();
/// assert_eq!(shortage.to_string(), "20000 mCPU asked for, no node has more than 12000 left");
/// table.join(&node("second", 32_000))?;
/// assert!(table.place(&demand).is_ok());
/// table.give_back(&first);
/// table.leave(first.node)?;
/// assert_eq!(table.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NodeTable {
    pub(super) slots: Vec<Slot>,
    /// Slots whose nodes left; the lowest is used next.
    vacant: BinaryHeap<Reverse<u32>>,
    by_name: FlatMap<Box<str>, NodeId>,
    models: Vec<Box<str>>,
    /// The nodes of each model.
    model_nodes: Vec<NodeSet>,
    /// Nodes that take VMs.
    open: NodeSet,
    pub(super) columns: Columns,
    largest: Largest,
    pub(super) scale: Scale,
    pub(super) strategy: PlacementStrategy,
    pub(super) kernel: Kernel,
}

impl NodeTable {
    /// A table in which every node is free, ranked as [`PlacementStrategy::MostAvailable`] and searched by
    /// [`Kernel::best`].
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join), for the first node that cannot be in it.
    pub fn new(nodes: &[Node]) -> Result<Self, NodeTableError> {
        let mut table = Self {
            slots: Vec::with_capacity(nodes.len().min(NODES_MAX)),
            vacant: BinaryHeap::new(),
            by_name: FlatMap::with_capacity(nodes.len().min(NODES_MAX)),
            models: Vec::new(),
            model_nodes: Vec::new(),
            open: NodeSet::new(),
            columns: Columns::default(),
            largest: Largest::default(),
            scale: Scale::new(Largest::default()),
            strategy: PlacementStrategy::default(),
            kernel: Kernel::best(),
        };
        for node in nodes {
            table.add(node)?;
        }
        table.write_rows();
        Ok(table)
    }

    /// Takes in a node that is free. Allocates; all nodes are scored anew if it is larger than the largest so far.
    ///
    /// # Errors
    ///
    /// If it has a name that is taken or more GPUs, or with it the table has more nodes or GPU models, than there may be.
    pub fn join(&mut self, node: &Node) -> Result<NodeId, NodeTableError> {
        let before = self.largest;
        let id = self.add(node)?;
        if self.largest == before {
            self.write_row(id.0 as usize);
        } else {
            self.write_rows();
        }
        Ok(id)
    }

    /// Takes in a node, all but the scores.
    fn add(&mut self, node: &Node) -> Result<NodeId, NodeTableError> {
        let gpus = usize::from(node.gpus);
        if gpus > GPUS_PER_NODE_MAX {
            return Err(NodeTableError::TooManyGpus { node: node.name.clone(), gpus: node.gpus });
        }
        if self.by_name.contains_key(node.name.as_str()) {
            return Err(NodeTableError::NameTaken { node: node.name.clone() });
        }
        let at = self.vacant.peek().map_or(self.slots.len(), |&Reverse(at)| at as usize);
        if at >= NODES_MAX {
            return Err(NodeTableError::TooManyNodes { nodes: at + 1 });
        }
        let model = if node.model.is_empty() { None } else { Some(self.model(&node.model)?) };
        let id = NodeId(u32::try_from(at).expect("`NODES_MAX` is less"));
        let mut slot = Slot {
            name: node.name.as_str().into(),
            cpu_milli: node.cpu_milli,
            memory_mib: node.memory_mib,
            gpus: node.gpus,
            model,
            state: State::Open,
            ..Slot::vacant()
        };
        slot.free();
        self.by_name.insert(slot.name.clone(), id);
        if self.vacant.pop().is_some() {
            self.slots[at] = slot;
        } else {
            self.slots.push(slot);
        }
        if let Some(model) = model {
            self.model_nodes[usize::from(model)].insert(id);
        }
        self.open.insert(id);
        self.columns.cover(at);
        self.largest = Largest {
            cpu_milli: self.largest.cpu_milli.max(node.cpu_milli),
            memory_mib: self.largest.memory_mib.max(node.memory_mib),
            gpu_milli: self.largest.gpu_milli.max(u32::from(node.gpus) * u32::from(GPU_MILLI)),
        };
        Ok(id)
    }

    /// The number of a model, a new one if need be.
    fn model(&mut self, name: &str) -> Result<u8, NodeTableError> {
        let known = self.models.iter().position(|model| **model == *name);
        let at = known.unwrap_or(self.models.len());
        if at >= GPU_MODELS_MAX {
            return Err(NodeTableError::TooManyModels { models: at + 1 });
        }
        if known.is_none() {
            self.models.push(name.into());
            self.model_nodes.push(NodeSet::new());
        }
        Ok(u8::try_from(at).expect("at most 63 models"))
    }

    /// Lets a node go; its id goes to the next node that joins.
    ///
    /// To lose a node that still runs VMs, give back their placements first: then nothing can come back for a node that
    /// is another by then.
    ///
    /// # Errors
    ///
    /// [`NodeTableError::InUse`] if it still has VMs.
    ///
    /// # Panics
    ///
    /// If the table has no such node.
    pub fn leave(&mut self, node: NodeId) -> Result<(), NodeTableError> {
        let at = node.0 as usize;
        let slot = self.slot(node);
        if slot.vms > 0 {
            return Err(NodeTableError::InUse { node: slot.name.to_string(), vms: slot.vms });
        }
        debug_assert!(slot.is_free(), "a node without VMs has all that it had");
        let model = slot.model;
        self.by_name.remove(&*self.slots[at].name);
        if let Some(model) = model {
            self.model_nodes[usize::from(model)].remove(node);
        }
        self.slots[at] = Slot::vacant();
        self.open.remove(node);
        self.columns.set(self.kernel, at, &Row::default());
        self.vacant.push(Reverse(node.0));
        Ok(())
    }

    /// Whether a node takes VMs from now on; those that it has stay.
    ///
    /// # Panics
    ///
    /// If the table has no such node.
    pub fn set_open(&mut self, node: NodeId, open: bool) {
        let _ = self.slot(node);
        self.slots[node.0 as usize].state = if open { State::Open } else { State::Closed };
        if open {
            self.open.insert(node);
        } else {
            self.open.remove(node);
        }
    }

    /// Ranks the nodes by another strategy. Costs some nanoseconds per node.
    pub fn rank_by(&mut self, strategy: PlacementStrategy) {
        self.strategy = strategy;
        self.write_rows();
    }

    /// The strategy by which nodes are ranked.
    #[must_use]
    pub fn strategy(&self) -> PlacementStrategy {
        self.strategy
    }

    /// Searches with another kernel; the decisions are the same.
    pub fn search_with(&mut self, kernel: Kernel) {
        self.kernel = kernel;
    }

    /// Brings a node's row in line with what it has left.
    #[inline]
    fn write_row(&mut self, at: usize) {
        let slot = &self.slots[at];
        let left = slot.left();
        let [score, score_with_gpus] = self.scale.scores(self.strategy, &left);
        let row =
            [left.cpu_milli, left.memory_mib, slot.gpu_largest_milli(), slot.gpus_whole(), score, score_with_gpus];
        self.columns.set(self.kernel, at, &row);
    }

    /// Brings every row in line.
    fn write_rows(&mut self) {
        self.scale = Scale::new(self.largest);
        for at in 0..self.slots.len() {
            if self.slots[at].state != State::Vacant {
                self.write_row(at);
            }
        }
    }

    fn slot(&self, node: NodeId) -> &Slot {
        let slot = &self.slots[node.0 as usize];
        assert!(slot.state != State::Vacant, "node {} left the table", node.0);
        slot
    }

    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no node at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether nothing is taken of any node.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.slots.iter().all(Slot::is_free)
    }

    /// The nodes, in their order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let present = (0..).zip(&self.slots).filter(|(_, slot)| slot.state != State::Vacant);
        present.map(|(node, _)| NodeId(node))
    }

    /// The node of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.by_name.get(name).copied()
    }

    /// A node's name; empty once it left.
    ///
    /// # Panics
    ///
    /// If the id is of another table and beyond this one.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        &self.slots[node.0 as usize].name
    }

    /// What a node was announced as.
    ///
    /// # Panics
    ///
    /// If the table has no such node.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Node {
        let slot = self.slot(node);
        Node {
            name: slot.name.to_string(),
            cpu_milli: slot.cpu_milli,
            memory_mib: slot.memory_mib,
            gpus: slot.gpus,
            model: slot.model.map_or_else(String::new, |model| self.models[usize::from(model)].to_string()),
        }
    }

    /// Thousandths of a core, and MiB, that a node has left.
    ///
    /// # Panics
    ///
    /// If the id is of another table and beyond this one.
    #[must_use]
    pub fn left(&self, node: NodeId) -> (u32, u32) {
        let slot = &self.slots[node.0 as usize];
        (slot.cpu_left_milli, slot.memory_left_mib)
    }

    /// The residual of each of a node's devices, in thousandths; devices that it does not have are 0.
    ///
    /// # Panics
    ///
    /// If the id is of another table and beyond this one.
    #[must_use]
    pub fn devices(&self, node: NodeId) -> &[u16; GPUS_PER_NODE_MAX] {
        &self.slots[node.0 as usize].devices
    }

    /// The VMs on a node.
    ///
    /// # Panics
    ///
    /// If the id is of another table and beyond this one.
    #[must_use]
    pub fn vms(&self, node: NodeId) -> u32 {
        self.slots[node.0 as usize].vms
    }

    /// The models that `gpu_spec` names, joined by `|`; those that no node has match nothing.
    #[must_use]
    pub fn models(&self, gpu_spec: &str) -> ModelSet {
        if gpu_spec.is_empty() {
            return ModelSet::ANY;
        }
        let bits = gpu_spec
            .split('|')
            .filter_map(|name| self.models.iter().position(|model| **model == *name))
            .fold(0, |bits, at| bits | 1 << at);
        ModelSet(bits)
    }

    /// The nodes of a block that take VMs, are of one of the models and not among `without`.
    #[inline]
    pub(super) fn allowed(&self, block: usize, models: ModelSet, without: Option<&NodeSet>) -> u32 {
        let mut allowed = self.open.word(block);
        if models != ModelSet::ANY {
            allowed &= models.iter().fold(0, |nodes, model| nodes | self.model_nodes[model].word(block));
        }
        allowed & !without.map_or(0, |without| without.word(block))
    }

    /// The largest value in a column, of the nodes that take VMs and are of one of the models; `None` if there is none.
    pub(super) fn most(&self, column: usize, models: ModelSet) -> Option<u32> {
        let blocks = self.columns.blocks().iter().enumerate();
        let most = blocks.filter_map(|(at, block)| {
            let allowed = self.allowed(at, models, None);
            if allowed == u32::MAX {
                return Some(self.columns.heads()[column][at]);
            }
            let lanes = block.0[column].iter().enumerate();
            lanes.filter(|(lane, _)| allowed >> lane & 1 == 1).map(|(_, &value)| value).max()
        });
        most.max()
    }

    /// Makes every node free again.
    pub fn free_all(&mut self) {
        self.slots.iter_mut().for_each(Slot::free);
        self.write_rows();
    }

    /// Takes what `demand` asks for from a node that has it.
    ///
    /// A share of a GPU comes from the device with the smallest residual that suffices, whole GPUs from the first that
    /// are whole.
    ///
    /// # Panics
    ///
    /// If the node does not have it: candidates come from [`NodeTable::rank`].
    pub fn take(&mut self, candidate: Candidate, demand: &Demand) -> Placement {
        let Candidate { node, score } = candidate;
        let at = node.0 as usize;
        let slot = &mut self.slots[at];
        let (cpu_milli, memory_mib) = (demand.resources.cpu_milli, demand.resources.memory_mib);
        let cpu = slot.cpu_left_milli.checked_sub(cpu_milli).expect("a candidate has the cores");
        let memory = slot.memory_left_mib.checked_sub(memory_mib).expect("a candidate has the memory");
        let devices = choose_devices(&slot.devices, demand.resources.gpus).expect("a candidate has the GPUs");
        if devices.mask != 0 {
            for (device, left) in slot.devices.iter_mut().enumerate() {
                *left -= if devices.mask >> device & 1 == 1 { devices.milli } else { 0 };
            }
        }
        (slot.cpu_left_milli, slot.memory_left_mib) = (cpu, memory);
        slot.vms += 1;
        self.write_row(at);
        Placement { node, score, cpu_milli, memory_mib, devices, group: None }
    }

    /// Gives back what a placement took.
    ///
    /// # Panics
    ///
    /// If the node would then have more than its capacity: the placement is of another table, or was given back before.
    pub fn give_back(&mut self, placement: &Placement) {
        let at = placement.node.0 as usize;
        let slot = &mut self.slots[at];
        let whole = slot.whole_devices();
        let taken = placement.devices;
        let mut devices = slot.devices;
        if taken.mask != 0 {
            for (device, left) in devices.iter_mut().enumerate() {
                *left = left.saturating_add(if taken.mask >> device & 1 == 1 { taken.milli } else { 0 });
            }
        }
        let cpu = slot.cpu_left_milli.saturating_add(placement.cpu_milli);
        let memory = slot.memory_left_mib.saturating_add(placement.memory_mib);
        assert!(
            slot.vms > 0
                && cpu <= slot.cpu_milli
                && memory <= slot.memory_mib
                && devices.iter().zip(&whole).all(|(left, has)| left <= has),
            "{} got back more than it has",
            slot.name,
        );
        (slot.cpu_left_milli, slot.memory_left_mib, slot.devices) = (cpu, memory, devices);
        slot.vms -= 1;
        self.write_row(at);
    }
}
