//! A node: what it is announced as, what is left of it, and why it cannot be in a table.
//!
//! Under the node table, which holds a [`Slot`] per node. Invariant: a slot's residuals never exceed what its node has.
//! Cost: a name on the heap.
#![forbid(unsafe_code)]

use std::fmt;

use blixard_arena::archive::rkyv::{self, Archive, Deserialize, Serialize};

use super::config::{GPU_MILLI, GpuRequest};
use super::strategy::Left;

/// Most nodes that one table may have.
pub const NODES_MAX: usize = 1 << 20;

/// Most GPUs that one node may have.
pub const GPUS_PER_NODE_MAX: usize = 16;

/// Most GPU models that one table may have, those of nodes that left among them.
pub const GPU_MODELS_MAX: usize = 63;

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

/// A node's place in its table, which the next node gets when it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub struct NodeId(pub u32);

/// Devices of one node, and how much was taken of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub struct DeviceSet {
    /// Bit `i` stands for device `i`.
    pub mask: u16,
    /// Thousandths taken of each of them.
    pub milli: u16,
}

/// GPU models that will do, as a set of the table's models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelSet(pub(super) u64);

impl ModelSet {
    /// Any node will do, with or without a GPU.
    pub const ANY: Self = Self(u64::MAX);

    #[inline]
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// Whether a node of this model is allowed.
    pub(super) fn allows(self, model: Option<u8>) -> bool {
        self == Self::ANY || model.is_some_and(|model| self.0 >> model & 1 == 1)
    }

    /// The models.
    #[inline]
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let model = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
            bits &= bits - 1;
            Some(model)
        })
    }
}

/// Why a node cannot be in a table, or not leave it.
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
    /// More nodes than a table may have.
    TooManyNodes {
        /// The number of nodes.
        nodes: usize,
    },
    /// Another node has this name.
    NameTaken {
        /// The name.
        node: String,
    },
    /// A node that is to leave still has VMs.
    InUse {
        /// The node's name.
        node: String,
        /// The VMs on it.
        vms: u32,
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
                write!(f, "{nodes} nodes, at most {NODES_MAX} are supported")
            }
            Self::NameTaken { node } => write!(f, "node {node} is in the table already, names must be unique"),
            Self::InUse { node, vms } => write!(f, "node {node} has {vms} VMs, it may leave when it has none"),
        }
    }
}

impl std::error::Error for NodeTableError {}

/// Residuals of a node's GPUs, in thousandths; devices that it does not have are 0.
pub(super) type Devices = [u16; GPUS_PER_NODE_MAX];

/// A node: what it has, and what is left of it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) name: Box<str>,
    pub(super) cpu_milli: u32,
    pub(super) memory_mib: u32,
    pub(super) gpus: u8,
    pub(super) model: Option<u8>,
    pub(super) cpu_left_milli: u32,
    pub(super) memory_left_mib: u32,
    pub(super) devices: Devices,
    pub(super) vms: u32,
    pub(super) state: State,
}

/// What a slot is to placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its node left.
    Vacant,
    /// Its node takes no VMs.
    Closed,
    /// Its node takes VMs.
    Open,
}

impl Slot {
    /// A slot without a node.
    pub(super) fn vacant() -> Self {
        Self {
            name: Box::default(),
            cpu_milli: 0,
            memory_mib: 0,
            gpus: 0,
            model: None,
            cpu_left_milli: 0,
            memory_left_mib: 0,
            devices: [0; GPUS_PER_NODE_MAX],
            vms: 0,
            state: State::Vacant,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The node's devices, nothing taken of them.
    pub(super) fn whole_devices(&self) -> Devices {
        let mut devices = [0; GPUS_PER_NODE_MAX];
        devices[..usize::from(self.gpus)].fill(GPU_MILLI);
        devices
    }

    pub(super) fn is_free(&self) -> bool {
        self.vms == 0
            && self.cpu_left_milli == self.cpu_milli
            && self.memory_left_mib == self.memory_mib
            && self.devices == self.whole_devices()
    }

    pub(super) fn free(&mut self) {
        self.cpu_left_milli = self.cpu_milli;
        self.memory_left_mib = self.memory_mib;
        self.devices = self.whole_devices();
        self.vms = 0;
    }

    pub(super) fn left(&self) -> Left {
        Left {
            cpu_milli: self.cpu_left_milli,
            memory_mib: self.memory_left_mib,
            gpu_milli: self.devices.iter().map(|&left| u32::from(left)).sum(),
            vms: self.vms,
        }
    }

    pub(super) fn gpu_largest_milli(&self) -> u32 {
        self.devices.iter().copied().fold(0, u16::max).into()
    }

    pub(super) fn gpus_whole(&self) -> u32 {
        self.devices.iter().map(|&left| u32::from(left == GPU_MILLI)).sum()
    }
}

/// The devices that serve a request, if the node's residuals allow it.
pub(super) fn choose_devices(devices: &Devices, gpus: GpuRequest) -> Option<DeviceSet> {
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
