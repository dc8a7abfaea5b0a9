//! The plain twins of [`VmConfig`](super::VmConfig) and [`Decision`](super::Decision): std types, one allocation per text.
//!
//! They are what the arena forms are compared with, written as one would who knows no arenas: texts are owned
//! `String`s, metadata is a `BTreeMap`, and nothing is copied that the arena form borrows.
//!
//! Those that outlive a request may come from a pool instead: [`VM_CONFIG_POOL`].

use std::collections::{BTreeMap, btree_map};
use std::fmt::{self, Write as _};
use std::iter::Map;
use std::net::IpAddr;
use std::sync::LazyLock;

use blixard_arena::pool::TypedObjectPool;

use super::archived::VmConfigView;
use super::config::{Qos, Resources, VmSpec};
use super::nodes::NodeTable;
use super::place::{Candidate, Chosen, Placement, Shortage, decision_reason};
use super::topology::Level;

/// The plain twin of [`AntiAffinity`](super::AntiAffinity).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AntiAffinity {
    /// The group.
    pub group: String,
    /// What its VMs must not share.
    pub level: Level,
}

/// Goes through metadata as pairs of texts.
pub type Pairs<'m> = Map<btree_map::Iter<'m, String, String>, fn((&'m String, &'m String)) -> (&'m str, &'m str)>;

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
    pub ip: IpAddr,
    /// Its class of service.
    pub qos: Qos,
    /// The group that it must stand apart from.
    pub anti_affinity: Option<AntiAffinity>,
    /// VMs of higher priority choose their nodes first.
    pub priority: u8,
    /// Whether it may be stopped to make room.
    pub preemptible: bool,
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
            anti_affinity: own_wish(spec),
            priority: spec.priority,
            preemptible: spec.preemptible,
            metadata: owned,
        }
    }

    /// A config of nothing, for [`assign`](Self::assign); takes no memory.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(&VmSpec::default(), &[])
    }

    /// Becomes what [`new`](Self::new) makes, in the memory that it has: texts are copied over the old ones.
    pub fn assign(&mut self, spec: &VmSpec<'_>, metadata: &[(&str, &str)]) {
        spec.name.clone_into(&mut self.name);
        spec.config_path.clone_into(&mut self.config_path);
        spec.tenant.clone_into(&mut self.tenant);
        spec.gpu_spec.clone_into(&mut self.gpu_spec);
        (self.resources, self.ip, self.qos) = (spec.resources, spec.ip, spec.qos);
        match (&mut self.anti_affinity, spec.anti_affinity) {
            (Some(own), Some(wish)) => {
                wish.group.clone_into(&mut own.group);
                own.level = wish.level;
            }
            (own, _) => *own = own_wish(spec),
        }
        (self.priority, self.preemptible) = (spec.priority, spec.preemptible);
        self.metadata.clear();
        self.metadata.extend(metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
    }

    /// Becomes [`empty`](Self::empty) and keeps its texts' memory.
    pub fn clear(&mut self) {
        self.assign(&VmSpec::default(), &[]);
    }

    /// Bytes on the heap, a pair of metadata counted as two `String`s.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let pair = |(key, value): (&String, &String)| 2 * size_of::<String>() + key.capacity() + value.capacity();
        [&self.name, &self.config_path, &self.tenant, &self.gpu_spec].map(String::capacity).iter().sum::<usize>()
            + self.anti_affinity.as_ref().map_or(0, |wish| wish.group.capacity())
            + self.metadata.iter().map(pair).sum::<usize>()
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
            anti_affinity: self
                .anti_affinity
                .as_ref()
                .map(|wish| super::AntiAffinity { group: &wish.group, level: wish.level }),
            priority: self.priority,
            preemptible: self.preemptible,
        }
    }

    /// A look at the whole of it, which can be archived.
    #[must_use]
    pub fn view(&self) -> VmConfigView<'_, Pairs<'_>> {
        VmConfigView {
            spec: self.spec(),
            metadata: self.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())),
        }
    }
}

fn own_wish(spec: &VmSpec<'_>) -> Option<AntiAffinity> {
    spec.anti_affinity.map(|wish| AntiAffinity { group: wish.group.to_owned(), level: wish.level })
}

/// Configs that outlive a request, recycled: texts keep their memory, pairs of metadata are made anew.
///
/// At most 1,024 lie idle; one of more than 4 KiB is dropped when it comes back.
///
/// ```
/// use control_plane::scheduler::heap::VM_CONFIG_POOL;
/// use control_plane::scheduler::{Qos, Resources, VmSpec};
///
/// let spec = VmSpec {
///     name: "vm-1", config_path: "/etc/vm/1.toml", tenant: "acme", gpu_spec: "",
///     resources: Resources::default(), ip: [10, 0, 0, 1].into(), qos: Qos::Guaranteed, ..VmSpec::default()
/// };
/// let mut config = VM_CONFIG_POOL.acquire();
/// config.assign(&spec, &[("app", "db")]);
/// assert_eq!(config.spec(), spec);
/// ```
pub static VM_CONFIG_POOL: LazyLock<TypedObjectPool<VmConfig>> = LazyLock::new(|| {
    TypedObjectPool::builder(VmConfig::empty)
        .name("VM configs")
        .reset(VmConfig::clear)
        .retained_bytes(VmConfig::heap_bytes)
        .retain_bytes_max(4 << 10)
        .build()
});

/// What was decided for one VM, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where it goes; `None` if no node has what it needs.
    pub placement: Option<Placement>,
    /// Where it might have gone instead, best first: up to three.
    pub alternatives: Vec<Candidate>,
    /// Why, for people.
    pub reason: String,
}

impl Decision {
    /// Words and keeps the decision.
    #[must_use]
    pub fn new(table: &NodeTable, spec: &VmSpec<'_>, chosen: Result<Chosen, Shortage>) -> Self {
        let reason = decision_reason(table, spec, chosen, fmt::format);
        match chosen {
            Ok(Chosen { placement, ranking }) => {
                Self { placement: Some(placement), alternatives: ranking.alternatives().to_vec(), reason }
            }
            Err(_) => Self { placement: None, alternatives: Vec::new(), reason },
        }
    }

    /// No decision yet, for [`assign`](Self::assign); takes no memory.
    #[must_use]
    pub fn empty() -> Self {
        Self { placement: None, alternatives: Vec::new(), reason: String::new() }
    }

    /// Becomes what [`new`](Self::new) makes, in the memory that it has.
    pub fn assign(&mut self, table: &NodeTable, spec: &VmSpec<'_>, chosen: Result<Chosen, Shortage>) {
        self.clear();
        if let Ok(Chosen { placement, ranking }) = &chosen {
            self.placement = Some(*placement);
            self.alternatives.extend_from_slice(ranking.alternatives());
        }
        decision_reason(table, spec, chosen, |text| write!(self.reason, "{text}").expect("a `String` takes all"));
    }

    /// Becomes [`empty`](Self::empty) and keeps its memory.
    pub fn clear(&mut self) {
        self.placement = None;
        self.alternatives.clear();
        self.reason.clear();
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.alternatives.capacity() * size_of::<Candidate>() + self.reason.capacity()
    }
}
