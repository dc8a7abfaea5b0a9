//! Which VM runs where: configs, the node table, placement, and the decision with its reason.
//!
//! On the data's way it follows parsing and precedes encoding. [`VmSpec`] is the borrowed look at a VM's fields that
//! parsers give and encoders take; [`VmConfig`] is the VM as the request's memory holds it; [`NodeTable`] finds the
//! most available node in one pass and takes the capacity; [`Decision`] keeps what was decided and why.
//!
//! Invariants: the table never gives out more than a node has; equal scores go to the node that comes first, so that
//! decisions depend on the input alone.

mod config;
pub mod heap;
mod nodes;
mod place;

pub use config::{GPU_MILLI, GpuRequest, Qos, Resources, VmConfig, VmSpec};
pub use nodes::{DeviceSet, GPU_MODELS_MAX, GPUS_PER_NODE_MAX, ModelSet, Node, NodeId, NodeTable, NodeTableError};
pub use place::{Candidate, Decision, Demand, Placement, decision_reason};
