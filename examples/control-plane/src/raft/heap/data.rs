//! What can be proposed, owned: each text a `String` of its own.
//!
//! The twin of the forms in `raft::data`. Invariant: what a proposal says is what its twin says. Cost: an allocation per text, list and
//! pair; none for what a pool has kept.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::iter::Map;
use std::net::IpAddr;
use std::slice;
use std::sync::LazyLock;

use blixard_arena::pool::TypedObjectPool;

use crate::names::{NodeRole, VmStatus};
use crate::raft::data::reason;
use crate::raft::{AnyProposal, Lifetime, NodeSpec, ProposalId, Reply, TaskSpec, View};
use crate::scheduler::VmSpec;
use crate::scheduler::heap::{Pairs, VmConfig};

/// What is proposed: the twin of [`ProposalData`](crate::raft::ProposalData).
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProposalData {
    /// Create this VM, or replace the one of its name.
    CreateVm {
        /// Its config.
        config: VmConfig,
        /// When it is wanted.
        lifetime: Lifetime,
    },
    /// Start this VM.
    StartVm {
        /// Its name.
        vm: String,
    },
    /// Stop this VM.
    StopVm {
        /// Its name.
        vm: String,
        /// Seconds until it is stopped by force.
        grace_seconds: u32,
    },
    /// Delete this VM, whatever it does.
    DeleteVm {
        /// Its name.
        vm: String,
    },
    /// A node tells what a VM is doing.
    UpdateVmStatus {
        /// The VM's name.
        vm: String,
        /// What it does.
        status: VmStatus,
        /// The node that tells.
        node: String,
    },
    /// A node joins.
    JoinNode(Node),
    /// A node leaves.
    LeaveNode {
        /// Its name.
        node: String,
    },
    /// A node gets a task.
    AssignTask {
        /// The node's name.
        node: String,
        /// The task.
        task: Task,
        /// The program's arguments.
        arguments: Vec<String>,
    },
    /// Proposals that are applied together, in their order: all or none.
    Batch {
        /// They may themselves be batches, [`NESTING_MAX`](crate::raft::NESTING_MAX) deep.
        proposals: Vec<Proposal>,
    },
}

/// A node that joins: the twin of [`NodeSpec`], whose fields are described there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the twin's fields are described")]
pub struct Node {
    pub name: String,
    pub ip: IpAddr,
    pub port: u16,
    pub role: NodeRole,
    pub cpu_milli: u32,
    pub memory_mib: u32,
    pub gpus: u8,
    pub gpu_model: String,
}

impl Node {
    /// A look at the fields.
    #[must_use]
    pub fn spec(&self) -> NodeSpec<'_> {
        let Self { ref name, ip, port, role, cpu_milli, memory_mib, gpus, ref gpu_model } = *self;
        NodeSpec { name, ip, port, role, cpu_milli, memory_mib, gpus, gpu_model }
    }
}

impl From<NodeSpec<'_>> for Node {
    fn from(spec: NodeSpec<'_>) -> Self {
        let NodeSpec { name, ip, port, role, cpu_milli, memory_mib, gpus, gpu_model } = spec;
        let (name, gpu_model) = (name.to_owned(), gpu_model.to_owned());
        Self { name, ip, port, role, cpu_milli, memory_mib, gpus, gpu_model }
    }
}

/// A task for a node: the twin of [`TaskSpec`], whose fields are described there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the twin's fields are described")]
pub struct Task {
    pub name: String,
    pub command: String,
    pub timeout_seconds: u32,
}

impl Task {
    /// A look at the fields.
    #[must_use]
    pub fn spec(&self) -> TaskSpec<'_> {
        TaskSpec { name: &self.name, command: &self.command, timeout_seconds: self.timeout_seconds }
    }
}

impl From<TaskSpec<'_>> for Task {
    fn from(spec: TaskSpec<'_>) -> Self {
        let TaskSpec { name, command, timeout_seconds } = spec;
        Self { name: name.to_owned(), command: command.to_owned(), timeout_seconds }
    }
}

impl ProposalData {
    /// The config and lifetime, if this creates a VM.
    #[must_use]
    pub fn create_vm(&self) -> Option<(&VmConfig, Lifetime)> {
        match self {
            Self::CreateVm { config, lifetime } => Some((config, *lifetime)),
            _ => None,
        }
    }

    const NO_LIFETIME: Lifetime = Lifetime { from_seconds: 0, until_seconds: None };

    /// A VM of nothing; takes no memory.
    fn empty() -> Self {
        Self::CreateVm { config: VmConfig::empty(), lifetime: Self::NO_LIFETIME }
    }

    /// Bytes on the heap, as [`VmConfig::heap_bytes`] counts.
    fn heap_bytes(&self) -> usize {
        let texts = |texts: &[String]| size_of_val(texts) + texts.iter().map(String::capacity).sum::<usize>();
        match self {
            Self::CreateVm { config, .. } => config.heap_bytes(),
            Self::StartVm { vm } | Self::StopVm { vm, .. } | Self::DeleteVm { vm } => vm.capacity(),
            Self::UpdateVmStatus { vm, node, .. } => vm.capacity() + node.capacity(),
            Self::JoinNode(node) => node.name.capacity() + node.gpu_model.capacity(),
            Self::LeaveNode { node } => node.capacity(),
            Self::AssignTask { node, task, arguments } => {
                node.capacity() + task.name.capacity() + task.command.capacity() + texts(arguments)
            }
            Self::Batch { proposals } => {
                proposals.capacity() * size_of::<Proposal>() + proposals.iter().map(Proposal::heap_bytes).sum::<usize>()
            }
        }
    }
}

/// One change to the cluster's state: the twin of [`Proposal`](crate::raft::Proposal).
#[derive(Debug)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// What is proposed.
    pub data: ProposalData,
    /// Why, for people.
    pub reason: String,
    /// Whom to tell what became of it.
    pub reply: Option<Reply>,
}

impl PartialEq for Proposal {
    fn eq(&self, other: &Self) -> bool {
        (self.id, &self.data, &self.reason) == (other.id, &other.data, &other.reason)
    }
}

impl Eq for Proposal {}

impl Proposal {
    /// Proposes this.
    #[must_use]
    pub fn new(id: ProposalId, data: ProposalData) -> Self {
        let mut proposal = Self { id, data, reason: String::new(), reply: None };
        proposal.reason = proposal.worded();
        proposal
    }

    /// Proposes to create the VM of `spec` and `metadata`.
    #[must_use]
    pub fn create_vm(id: ProposalId, lifetime: Lifetime, spec: &VmSpec<'_>, metadata: &[(&str, &str)]) -> Self {
        Self::new(id, ProposalData::CreateVm { config: VmConfig::new(spec, metadata), lifetime })
    }

    pub(super) fn worded(&self) -> String {
        macro_rules! hole {
            ($piece:expr) => {
                "{}"
            };
        }
        macro_rules! put {
            ($($piece:expr),+) => { format!(concat!($(hole!($piece)),+), $($piece),+) };
        }
        reason!(self.view(), put)
    }

    /// A proposal of nothing, for [`assign_create_vm`](Self::assign_create_vm); takes no memory.
    #[must_use]
    pub fn empty() -> Self {
        Self { id: ProposalId([0; 16]), data: ProposalData::empty(), reason: String::new(), reply: None }
    }

    /// Becomes what [`create_vm`](Self::create_vm) makes, in the memory that it has.
    pub fn assign_create_vm(
        &mut self,
        id: ProposalId,
        lifetime: Lifetime,
        spec: &VmSpec<'_>,
        metadata: &[(&str, &str)],
    ) {
        self.clear();
        if let ProposalData::CreateVm { config, lifetime: own } = &mut self.data {
            config.assign(spec, metadata);
            *own = lifetime;
        }
        self.id = id;
        write!(self.reason, "create {} for {}, class {}", spec.name, spec.tenant, spec.qos.as_str())
            .expect("a `String` takes all");
    }

    /// Becomes [`empty`](Self::empty) and keeps its texts' memory. Who waits for it is told that it was dropped.
    pub fn clear(&mut self) {
        match &mut self.data {
            ProposalData::CreateVm { config, lifetime } => {
                config.clear();
                *lifetime = ProposalData::NO_LIFETIME;
            }
            data => *data = ProposalData::empty(),
        }
        self.id = ProposalId([0; 16]);
        self.reason.clear();
        self.reply = None;
    }

    /// Bytes on the heap, as [`VmConfig::heap_bytes`] counts.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.data.heap_bytes() + self.reason.capacity()
    }
}

impl AnyProposal for Proposal {
    type Pairs<'p> = Pairs<'p>;
    type Arguments<'p> = Map<slice::Iter<'p, String>, fn(&'p String) -> &'p str>;

    fn id(&self) -> ProposalId {
        self.id
    }

    fn reason(&self) -> &str {
        &self.reason
    }

    fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    fn view(&self) -> View<'_, Self> {
        match &self.data {
            ProposalData::CreateVm { config, lifetime } => {
                View::CreateVm { config: config.view(), lifetime: *lifetime }
            }
            ProposalData::StartVm { vm } => View::StartVm { vm },
            ProposalData::StopVm { vm, grace_seconds } => View::StopVm { vm, grace_seconds: *grace_seconds },
            ProposalData::DeleteVm { vm } => View::DeleteVm { vm },
            ProposalData::UpdateVmStatus { vm, status, node } => View::UpdateVmStatus { vm, status: *status, node },
            ProposalData::JoinNode(node) => View::JoinNode(node.spec()),
            ProposalData::LeaveNode { node } => View::LeaveNode { node },
            ProposalData::AssignTask { node, task, arguments } => {
                View::AssignTask { node, task: task.spec(), arguments: arguments.iter().map(String::as_str) }
            }
            ProposalData::Batch { proposals } => View::Batch { proposals },
        }
    }

    fn nested(&mut self) -> Option<&mut Vec<Self>> {
        match &mut self.data {
            ProposalData::Batch { proposals } => Some(proposals),
            _ => None,
        }
    }
}

/// Proposals that outlive their request, recycled: texts keep their memory, pairs of metadata are made anew.
///
/// At most 1,024 lie idle; one of more than 4 KiB is dropped when it comes back. Batches that go with their request do
/// better in its arena.
///
/// ```
/// use control_plane::raft::heap::{Proposal, RAFT_PROPOSAL_POOL};
/// use control_plane::raft::{Lifetime, ProposalId};
/// use control_plane::scheduler::{Qos, Resources, VmSpec};
///
/// let spec = VmSpec {
///     name: "vm-1", config_path: "/etc/vm/1.toml", tenant: "acme", gpu_spec: "",
///     resources: Resources::default(), ip: [10, 0, 0, 1].into(), qos: Qos::Guaranteed, ..VmSpec::default()
/// };
/// let lifetime = Lifetime { from_seconds: 0, until_seconds: None };
/// let mut proposal = RAFT_PROPOSAL_POOL.acquire();
/// proposal.assign_create_vm(ProposalId([7; 16]), lifetime, &spec, &[("app", "db")]);
/// let committed = std::thread::spawn(move || proposal.reason.len()); // comes back from the log's thread
/// assert_eq!(committed.join().unwrap(), "create vm-1 for acme, class Guaranteed".len());
/// assert_eq!(*RAFT_PROPOSAL_POOL.acquire(), Proposal::empty());
/// ```
pub static RAFT_PROPOSAL_POOL: LazyLock<TypedObjectPool<Proposal>> = LazyLock::new(|| {
    TypedObjectPool::builder(Proposal::empty)
        .name("Raft proposals")
        .reset(Proposal::clear)
        .retained_bytes(Proposal::heap_bytes)
        .retain_bytes_max(4 << 10)
        .build()
});
