//! The plain twins of [`VmConfig`](super::VmConfig) and [`Decision`](super::Decision): std types, one allocation per text.
//!
//! They are what the arena forms are compared with, written as one would who knows no arenas: texts are owned
//! `String`s, metadata is a `BTreeMap`, and nothing is copied that the arena form borrows.

use std::collections::BTreeMap;
use std::fmt;

use super::config::{Resources, VmSpec};
use super::nodes::NodeTable;
use super::place::{Placement, decision_reason};

/// A VM's config that owns its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmConfig {
    /// Name, unique in the cluster.
    pub name: String,
    /// Path of the VM's configuration file.
    pub config_path: String,
    /// Whom the VM belongs to.
    pub tenant: String,
    /// GPU models that will do, joined by `|`; empty if any will.
    pub gpu_spec: String,
    /// What it needs of a node.
    pub resources: Resources,
    /// Its address.
    pub ip: std::net::IpAddr,
    /// Its class of service.
    pub qos: super::Qos,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
}

impl VmConfig {
    /// Copies the fields and the pairs.
    #[must_use]
    pub fn new(spec: &VmSpec<'_>, metadata: &[(&str, &str)]) -> Self {
        let mut owned = BTreeMap::new();
        for &(key, value) in metadata {
            owned.insert(key.to_owned(), value.to_owned());
        }
        Self {
            name: spec.name.to_owned(),
            config_path: spec.config_path.to_owned(),
            tenant: spec.tenant.to_owned(),
            gpu_spec: spec.gpu_spec.to_owned(),
            resources: spec.resources,
            ip: spec.ip,
            qos: spec.qos,
            metadata: owned,
        }
    }

    /// A look at the fields, for placement and encoding.
    #[must_use]
    pub fn spec(&self) -> VmSpec<'_> {
        VmSpec {
            name: &self.name,
            config_path: &self.config_path,
            tenant: &self.tenant,
            gpu_spec: &self.gpu_spec,
            resources: self.resources,
            ip: self.ip,
            qos: self.qos,
        }
    }
}

/// What was decided for one VM, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where it goes; `None` if no node has what it needs.
    pub placement: Option<Placement>,
    /// Why, for people.
    pub reason: String,
}

impl Decision {
    /// Words and keeps the decision.
    #[must_use]
    pub fn new(table: &NodeTable, spec: &VmSpec<'_>, placement: Option<Placement>) -> Self {
        Self { placement, reason: decision_reason(table, spec, placement, fmt::format) }
    }
}
