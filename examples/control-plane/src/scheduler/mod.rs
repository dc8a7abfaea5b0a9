//! Which VM runs where: configs, the node table, placement, and the decision with its reason.
//!
//! On the data's way it follows parsing and precedes encoding. [`VmSpec`] is the borrowed look at a VM's fields that
//! parsers give; [`VmConfig`] is the VM as the request's memory holds it, [`ArchivedVmConfig`] as bytes do; [`BatchScheduler`] places VMs, one
//! by one or as batches, on the nodes of a [`NodeTable`], ranked by a [`PlacementStrategy`] and kept apart over a
//! [`Topology`]; [`Decision`] keeps what was decided and why.
//!
//! What each strategy places of the public "openb" trace, 8,152 tasks on 1,523 machines, every task in its order on free
//! machines and none ending (`cargo run --release -p control-plane --example vm_scheduling -- --pods PODS.csv --nodes
//! NODES.csv`):
//!
//! | strategy | VMs | cores | memory | GPUs |
//! |---|---:|---:|---:|---:|
//! | most-available | 98.2 % | 94.4 % | 93.1 % | 92.5 % |
//! | best-fit | 92.0 % | 92.7 % | 91.6 % | 90.5 % |
//! | spread | 99.0 % | 95.4 % | 94.3 % | 93.6 % |
//! | gpu-packing | 94.9 % | 95.5 % | 94.8 % | 94.0 % |
//!
//! Invariants: the table never gives out more than a node has; equal scores go to the node that comes first, so that
//! decisions depend on the input alone.

mod apart;
mod archived;
pub mod baseline;
mod batch;
mod cache;
mod columns;
mod config;
pub mod heap;
mod kernel;
mod node;
mod nodes;
mod place;
mod strategy;
mod topology;
mod validate;

pub use apart::{GROUPS_MAX, GroupId};
pub use archived::{ArchivedAntiAffinity, ArchivedDecision, ArchivedVmConfig, ArchivedVmSpec, VmConfigView};
pub use batch::{BATCH_VMS_MAX, BatchError, BatchScheduler};
pub use cache::{ConfigCache, LoadError, SharedPairs, SharedVmConfig};
pub use columns::NodeSet;
pub use config::{ArchivedGpuRequest, ArchivedResources, GPU_MILLI, GpuRequest, Qos, Resources, VmConfig, VmSpec};
pub use kernel::Kernel;
pub use node::{
    ArchivedDeviceSet, ArchivedNodeId, DeviceSet, GPU_MODELS_MAX, GPUS_PER_NODE_MAX, ModelSet, NODES_MAX, Node, NodeId,
    NodeTableError,
};
pub use nodes::NodeTable;
pub use place::{
    ArchivedCandidate, ArchivedPlacement, Candidate, Chosen, Decision, Demand, Placement, Ranking, Resource, Shortage,
    decision_reason,
};
pub use strategy::PlacementStrategy;
pub use topology::{AntiAffinity, DOMAINS_MAX, Domain, Level, Topology, TopologyError};
pub use validate::{
    CPU_MILLI_MAX, ConfigError, GPU_SPEC_BYTES_MAX, MEMORY_MIB_MAX, METADATA_PAIRS_MAX, METADATA_VALUE_BYTES_MAX,
    NAME_BYTES_MAX, PATH_BYTES_MAX,
};
