//! The node table: what each node has left, in columns, with GPUs as residuals per device.
//!
//! It outlives every request. Placement reads its columns in one pass; [`NodeTable::take`] and [`NodeTable::give_back`]
//! move capacity.
//!
//! Invariants: no residual ever exceeds its node's capacity nor falls below zero; the GPU columns (sum, largest
//! residual, number of whole devices) always agree with the devices.
//! Cost: memory is allocated when the table is made, never afterwards.

use std::fmt;

use super::config::{GPU_MILLI, GpuRequest};
use super::place::{Demand, Placement};

/// Most GPUs that one node may have.
pub const GPUS_PER_NODE_MAX: usize = 16;

/// Most GPU models that one cluster may have.
pub const GPU_MODELS_MAX: usize = 63;

/// The bit of nodes that have no GPU model; no `gpu_spec` ever names it.
const NO_MODEL: u64 = 1 << 63;

/// A machine as it is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name, unique in the cluster.
    pub name: String,
    /// Thousandths of a core.
    pub cpu_milli: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Number of GPUs.
    pub gpus: u8,
    /// GPU model; empty where there is none.
    pub model: String,
}

/// A node's place in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// Devices of one node, and how much was taken of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceSet {
    /// Bit `i` stands for device `i`.
    pub mask: u16,
    /// Thousandths taken of each of them.
    pub milli: u16,
}

/// GPU models that will do, as a set of the table's models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelSet(u64);

impl ModelSet {
    /// Any node will do, with or without a GPU.
    pub const ANY: Self = Self(u64::MAX);

    /// Whether a node with these model bits is allowed.
    #[inline]
    pub(super) fn allows(self, node_bits: u64) -> bool {
        self.0 & node_bits != 0
    }
}

/// Why a table cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeTableError {
    /// A node has more GPUs than a table keeps residuals for.
    TooManyGpus {
        /// The node's name.
        node: String,
        /// Its GPUs.
        gpus: u8,
    },
    /// The nodes have more different GPU models than a table can tell apart.
    TooManyModels {
        /// Different models seen so far.
        models: usize,
    },
    /// More nodes than a [`NodeId`] can count.
    TooManyNodes {
        /// The number of nodes.
        nodes: usize,
    },
}

impl fmt::Display for NodeTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyGpus { node, gpus } => {
                write!(f, "node {node} has {gpus} GPUs, at most {GPUS_PER_NODE_MAX} are supported")
            }
            Self::TooManyModels { models } => {
                write!(f, "the nodes have {models} GPU models or more, at most {GPU_MODELS_MAX} are supported")
            }
            Self::TooManyNodes { nodes } => {
                write!(f, "{nodes} nodes, at most {} are supported", u32::MAX)
            }
        }
    }
}

impl std::error::Error for NodeTableError {}

/// Residuals of a node's GPUs, in thousandths; devices that it does not have are 0.
type Devices = [u16; GPUS_PER_NODE_MAX];

/// What every node has left. All columns have one entry per node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) cpu_milli: Vec<u32>,
    pub(super) memory_mib: Vec<u32>,
    /// Sum of the devices' residuals.
    pub(super) gpu_milli: Vec<u32>,
    /// The largest residual.
    pub(super) gpu_largest_milli: Vec<u32>,
    /// Number of devices of which nothing is taken.
    pub(super) gpu_whole: Vec<u32>,
    devices: Vec<Devices>,
}

impl Columns {
    fn copy_from(&mut self, other: &Self) {
        self.cpu_milli.copy_from_slice(&other.cpu_milli);
        self.memory_mib.copy_from_slice(&other.memory_mib);
        self.gpu_milli.copy_from_slice(&other.gpu_milli);
        self.gpu_largest_milli.copy_from_slice(&other.gpu_largest_milli);
        self.gpu_whole.copy_from_slice(&other.gpu_whole);
        self.devices.copy_from_slice(&other.devices);
    }

    /// Brings the GPU columns of a node in line with its devices.
    fn sum_up(&mut self, node: usize) {
        let devices = &self.devices[node];
        self.gpu_milli[node] = devices.iter().map(|&left| u32::from(left)).sum();
        self.gpu_largest_milli[node] = devices.iter().map(|&left| u32::from(left)).max().unwrap_or(0);
        self.gpu_whole[node] = devices.iter().map(|&left| u32::from(left == GPU_MILLI)).sum();
    }
}

/// Weights that turn what a node has left into one number: each resource counts as a share of the largest node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weights {
    pub(super) cpu: u64,
    pub(super) memory: u64,
    pub(super) gpu: u64,
}

impl Weights {
    fn for_capacity(capacity: &Columns) -> Self {
        let weight = |column: &[u32]| {
            let largest = column.iter().copied().max().unwrap_or(0);
            u64::from(u32::MAX / largest.max(1))
        };
        Self {
            cpu: weight(&capacity.cpu_milli),
            memory: weight(&capacity.memory_mib),
            gpu: weight(&capacity.gpu_milli),
        }
    }
}

/// The cluster's nodes and what each has left.
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
/// let first = table.place(&demand).expect("the large node is free");
/// assert_eq!(table.name(first.node), "large");
/// assert!(table.place(&demand).is_none(), "12 cores are left on it");
/// table.give_back(&first);
/// assert!(table.place(&demand).is_some());
/// # Ok::<(), control_plane::scheduler::NodeTableError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NodeTable {
    names: Vec<Box<str>>,
    models: Vec<Box<str>>,
    /// One bit per node: its model's, or [`NO_MODEL`].
    pub(super) model_bits: Vec<u64>,
    pub(super) left: Columns,
    capacity: Columns,
    pub(super) weights: Weights,
}

impl NodeTable {
    /// A table in which every node is free.
    ///
    /// # Errors
    ///
    /// Where a node has more GPUs, or all of them more models, than a table can hold.
    pub fn new(nodes: &[Node]) -> Result<Self, NodeTableError> {
        if u32::try_from(nodes.len()).is_err() {
            return Err(NodeTableError::TooManyNodes { nodes: nodes.len() });
        }
        let mut models: Vec<Box<str>> = Vec::new();
        let mut model_bits = Vec::with_capacity(nodes.len());
        let mut devices = Vec::with_capacity(nodes.len());
        for node in nodes {
            let gpus = usize::from(node.gpus);
            if gpus > GPUS_PER_NODE_MAX {
                return Err(NodeTableError::TooManyGpus { node: node.name.clone(), gpus: node.gpus });
            }
            let mut residuals: Devices = [0; GPUS_PER_NODE_MAX];
            residuals[..gpus].fill(GPU_MILLI);
            devices.push(residuals);
            if node.model.is_empty() {
                model_bits.push(NO_MODEL);
                continue;
            }
            let at = models.iter().position(|model| **model == *node.model).unwrap_or_else(|| {
                models.push(node.model.as_str().into());
                models.len() - 1
            });
            if at >= GPU_MODELS_MAX {
                return Err(NodeTableError::TooManyModels { models: models.len() });
            }
            model_bits.push(1 << at);
        }
        let mut capacity = Columns {
            cpu_milli: nodes.iter().map(|node| node.cpu_milli).collect(),
            memory_mib: nodes.iter().map(|node| node.memory_mib).collect(),
            gpu_milli: vec![0; nodes.len()],
            gpu_largest_milli: vec![0; nodes.len()],
            gpu_whole: vec![0; nodes.len()],
            devices,
        };
        for node in 0..nodes.len() {
            capacity.sum_up(node);
        }
        Ok(Self {
            names: nodes.iter().map(|node| node.name.as_str().into()).collect(),
            models,
            model_bits,
            left: capacity.clone(),
            weights: Weights::for_capacity(&capacity),
            capacity,
        })
    }

    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no node at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether every node is as free as at the start.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.left == self.capacity
    }

    /// A node's name.
    ///
    /// # Panics
    ///
    /// If the id is of another table and beyond this one.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        &self.names[node.0 as usize]
    }

    /// The residual of each of a node's devices, in thousandths; devices that it does not have are 0.
    ///
    /// # Panics
    ///
    /// If the id is of another table and beyond this one.
    #[must_use]
    pub fn devices(&self, node: NodeId) -> &[u16; GPUS_PER_NODE_MAX] {
        &self.left.devices[node.0 as usize]
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

    /// Makes every node free again.
    pub fn free_all(&mut self) {
        self.left.copy_from(&self.capacity);
    }

    /// Takes what `demand` asks for from a node that has it.
    ///
    /// A share of a GPU comes from the device with the smallest residual that suffices, whole GPUs from the first that
    /// are whole.
    ///
    /// # Panics
    ///
    /// If the node does not have it: candidates come from [`NodeTable::most_available`].
    pub fn take(&mut self, node: NodeId, demand: &Demand) -> DeviceSet {
        let at = node.0 as usize;
        let resources = &demand.resources;
        let (cpu, memory) = (&mut self.left.cpu_milli[at], &mut self.left.memory_mib[at]);
        *cpu = cpu.checked_sub(resources.cpu_milli).expect("a candidate has the cores");
        *memory = memory.checked_sub(resources.memory_mib).expect("a candidate has the memory");
        let taken = choose_devices(&self.left.devices[at], resources.gpus).expect("a candidate has the GPUs");
        if taken.mask != 0 {
            for (device, left) in self.left.devices[at].iter_mut().enumerate() {
                *left -= if taken.mask >> device & 1 == 1 { taken.milli } else { 0 };
            }
            self.left.sum_up(at);
        }
        taken
    }

    /// Gives back what a placement took.
    ///
    /// # Panics
    ///
    /// If the node would then have more than its capacity: the placement is of another table, or was given back before.
    pub fn give_back(&mut self, placement: &Placement) {
        let at = placement.node.0 as usize;
        self.left.cpu_milli[at] += placement.cpu_milli;
        self.left.memory_mib[at] += placement.memory_mib;
        let taken = placement.devices;
        if taken.mask != 0 {
            for (device, left) in self.left.devices[at].iter_mut().enumerate() {
                *left += if taken.mask >> device & 1 == 1 { taken.milli } else { 0 };
            }
            self.left.sum_up(at);
        }
        assert!(
            self.left.cpu_milli[at] <= self.capacity.cpu_milli[at]
                && self.left.memory_mib[at] <= self.capacity.memory_mib[at]
                && self.left.devices[at].iter().zip(&self.capacity.devices[at]).all(|(left, has)| left <= has),
            "{} got back more than it has",
            self.names[at],
        );
    }
}

/// The devices that serve a request, if the node's residuals allow it.
fn choose_devices(devices: &Devices, gpus: GpuRequest) -> Option<DeviceSet> {
    let milli = gpus.milli_per_device();
    let mask = match gpus.count {
        0 => 0,
        1 => {
            let fits = devices.iter().enumerate().filter(|&(_, &left)| left >= milli && left > 0);
            let (device, _) = fits.min_by_key(|&(_, &left)| left)?;
            1 << device
        }
        count => {
            let whole = devices.iter().enumerate().filter(|&(_, &left)| left == GPU_MILLI);
            let chosen = whole.take(usize::from(count)).fold(0_u16, |mask, (device, _)| mask | 1 << device);
            if chosen.count_ones() < u32::from(count) {
                return None;
            }
            chosen
        }
    };
    Some(DeviceSet { mask, milli })
}
