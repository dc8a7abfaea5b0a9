//! What can be proposed, in a request's memory, and the view through which both forms of it are read.
//!
//! On the data's way proposals are built here before placement; limits, de-duplication and encoding read them through
//! [`View`], so that each rule is written once for the arena form and for its plain twin.
//!
//! Invariant: an arena form is plain data that borrows and needs no drop. Cost: as the texts that it points at.

use std::iter::Copied;
use std::net::IpAddr;
use std::slice::Iter;

use blixard_arena::BudgetExceeded;
use blixard_arena::archive::rkyv::with::AsBox;
use blixard_arena::archive::rkyv::{self, Archive, Deserialize, Serialize};
use blixard_arena::archive::{ArenaDecoder, Each, List, Text};
use blixard_arena::arena::AnyArena;

use super::archived::{ArchivedNodeSpec, ArchivedProposalData, ArchivedTaskSpec, Proposals};
use super::{ProposalId, Reply};
use crate::granted;
use crate::names::{NodeRole, VmStatus};
use crate::scheduler::{VmConfig, VmConfigView, VmSpec};

/// When a VM is wanted, in seconds of the cluster's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub struct Lifetime {
    /// The VM is wanted from here on.
    pub from_seconds: u64,
    /// Its capacity comes back here; `None` if it stays.
    pub until_seconds: Option<u64>,
}

/// A node that joins: a look at its fields that owns none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, as = ArchivedNodeSpec)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer), deserialize_bounds(__D: ArenaDecoder<'n>))]
pub struct NodeSpec<'n> {
    /// Name, unique in the cluster.
    #[rkyv(omit_bounds, with = Text)]
    pub name: &'n str,
    /// Where its Raft peers reach it.
    pub ip: IpAddr,
    /// At which port.
    pub port: u16,
    /// What it is to the group at first.
    pub role: NodeRole,
    /// Thousandths of a core.
    pub cpu_milli: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Number of GPUs.
    pub gpus: u8,
    /// Their model; empty without GPUs.
    #[rkyv(omit_bounds, with = Text)]
    pub gpu_model: &'n str,
}

/// A task for a node, other than a VM's life: a look at its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, as = ArchivedTaskSpec)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer), deserialize_bounds(__D: ArenaDecoder<'t>))]
pub struct TaskSpec<'t> {
    /// Name, unique in the cluster.
    #[rkyv(omit_bounds, with = Text)]
    pub name: &'t str,
    /// The program.
    #[rkyv(omit_bounds, with = Text)]
    pub command: &'t str,
    /// Seconds it may take.
    pub timeout_seconds: u32,
}

/// What is proposed.
///
/// A `match` tells the kinds apart; [`create_vm`](Self::create_vm) looks for the one that has to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Deserialize)]
#[rkyv(crate = rkyv, as = ArchivedProposalData, deserialize_bounds(__D: ArenaDecoder<'a>))]
#[non_exhaustive]
pub enum ProposalData<'a> {
    /// Create this VM, or replace the one of its name.
    CreateVm {
        /// Its config.
        #[rkyv(omit_bounds, with = AsBox)]
        config: VmConfig<'a>,
        /// When it is wanted.
        lifetime: Lifetime,
    },
    /// Start this VM.
    StartVm {
        /// Its name.
        #[rkyv(omit_bounds, with = Text)]
        vm: &'a str,
    },
    /// Stop this VM.
    StopVm {
        /// Its name.
        #[rkyv(omit_bounds, with = Text)]
        vm: &'a str,
        /// Seconds until it is stopped by force.
        grace_seconds: u32,
    },
    /// Delete this VM, whatever it does.
    DeleteVm {
        /// Its name.
        #[rkyv(omit_bounds, with = Text)]
        vm: &'a str,
    },
    /// A node tells what a VM is doing.
    UpdateVmStatus {
        /// The VM's name.
        #[rkyv(omit_bounds, with = Text)]
        vm: &'a str,
        /// What it does.
        status: VmStatus,
        /// The node that tells.
        #[rkyv(omit_bounds, with = Text)]
        node: &'a str,
    },
    /// A node joins.
    JoinNode(#[rkyv(omit_bounds, with = AsBox)] NodeSpec<'a>),
    /// A node leaves.
    LeaveNode {
        /// Its name.
        #[rkyv(omit_bounds, with = Text)]
        node: &'a str,
    },
    /// A node gets a task.
    AssignTask {
        /// The node's name.
        #[rkyv(omit_bounds, with = Text)]
        node: &'a str,
        /// The task.
        #[rkyv(omit_bounds, with = AsBox)]
        task: TaskSpec<'a>,
        /// The program's arguments.
        #[rkyv(omit_bounds, with = List<Text>)]
        arguments: &'a [&'a str],
    },
    /// Proposals that are applied together, in their order: all or none.
    Batch {
        /// They may themselves be batches, [`NESTING_MAX`](super::NESTING_MAX) deep.
        #[rkyv(omit_bounds, with = Proposals)]
        proposals: &'a [Proposal<'a>],
    },
}

impl<'a> ProposalData<'a> {
    /// The config and lifetime, if this creates a VM.
    #[must_use]
    pub fn create_vm(&self) -> Option<(&VmConfig<'a>, Lifetime)> {
        match self {
            Self::CreateVm { config, lifetime } => Some((config, *lifetime)),
            _ => None,
        }
    }
}

/// One change to the cluster's state, in a request's memory. [`ProposalBuilder`](super::ProposalBuilder) makes it.
///
/// Equal if id, data and reason are; who waits for it does not count.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// Its id.
    pub id: ProposalId,
    /// What is proposed.
    pub data: ProposalData<'a>,
    /// Why, for people.
    pub reason: &'a str,
    /// Whom to tell what became of it.
    pub reply: Option<&'a Reply>,
}

impl<'a> Proposal<'a> {
    /// Proposes, under an id that is known already and without a look at limits, to create the VM of `spec` and `metadata`, whose
    /// texts live as long as the arena's borrow: see [`VmConfig::new_in`].
    ///
    /// # Panics
    ///
    /// With the arena's `BudgetExceeded` when the request's budget does not allow it.
    pub fn create_vm_in<A: AnyArena>(
        arena: &'a A,
        id: ProposalId,
        lifetime: Lifetime,
        spec: VmSpec<'a>,
        metadata: &[(&'a str, &'a str)],
    ) -> Self {
        granted(Self::try_create_vm_in(arena, id, lifetime, spec, metadata))
    }

    /// [`create_vm_in`](Self::create_vm_in) where the request's budget may not allow it.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    pub fn try_create_vm_in<A: AnyArena>(
        arena: &'a A,
        id: ProposalId,
        lifetime: Lifetime,
        spec: VmSpec<'a>,
        metadata: &[(&'a str, &'a str)],
    ) -> Result<Self, BudgetExceeded> {
        let config = VmConfig::try_new_in(arena, spec, metadata)?;
        let reason = arena.try_concat(("create ", spec.name, " for ", spec.tenant, ", class ", spec.qos.as_str()))?;
        Ok(Self { id, data: ProposalData::CreateVm { config, lifetime }, reason, reply: None })
    }
}

impl PartialEq for Proposal<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.id, &self.data, self.reason) == (other.id, &other.data, other.reason)
    }
}

impl Eq for Proposal<'_> {}

/// A proposal of whatever form, as limits, de-duplication and encoding read it: arena, heap, or one that somebody keeps otherwise, in
/// pools for example.
pub trait AnyProposal: Sized {
    /// Pairs of metadata, by ascending key.
    type Pairs<'p>: ExactSizeIterator<Item = (&'p str, &'p str)> + Clone
    where
        Self: 'p;
    /// A task's arguments.
    type Arguments<'p>: ExactSizeIterator<Item = &'p str> + Clone
    where
        Self: 'p;

    /// Its id.
    fn id(&self) -> ProposalId;
    /// Why, for people.
    fn reason(&self) -> &str;
    /// Whom to tell what became of it.
    fn reply(&self) -> Option<&Reply>;
    /// What is proposed.
    fn view(&self) -> View<'_, Self>;
    /// The proposals of a batch that owns them, for [`deduplicate`](super::deduplicate) to take some out; forms without such
    /// batches have none.
    fn nested(&mut self) -> Option<&mut Vec<Self>> {
        None
    }
}

/// [`ProposalData`] of whatever form: what is archived of it.
#[derive(Debug, Archive, Serialize)]
#[rkyv(crate = rkyv, as = ArchivedProposalData)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator))]
pub enum View<'p, P: AnyProposal> {
    /// [`ProposalData::CreateVm`].
    CreateVm {
        /// Its config.
        #[rkyv(omit_bounds, with = AsBox)]
        config: VmConfigView<'p, P::Pairs<'p>>,
        /// When it is wanted.
        lifetime: Lifetime,
    },
    /// [`ProposalData::StartVm`].
    StartVm {
        /// Its name.
        #[rkyv(omit_bounds, with = Text)]
        vm: &'p str,
    },
    /// [`ProposalData::StopVm`].
    StopVm {
        /// Its name.
        #[rkyv(omit_bounds, with = Text)]
        vm: &'p str,
        /// Seconds until it is stopped by force.
        grace_seconds: u32,
    },
    /// [`ProposalData::DeleteVm`].
    DeleteVm {
        /// Its name.
        #[rkyv(omit_bounds, with = Text)]
        vm: &'p str,
    },
    /// [`ProposalData::UpdateVmStatus`].
    UpdateVmStatus {
        /// The VM's name.
        #[rkyv(omit_bounds, with = Text)]
        vm: &'p str,
        /// What it does.
        status: VmStatus,
        /// The node that tells.
        #[rkyv(omit_bounds, with = Text)]
        node: &'p str,
    },
    /// [`ProposalData::JoinNode`].
    JoinNode(#[rkyv(omit_bounds, with = AsBox)] NodeSpec<'p>),
    /// [`ProposalData::LeaveNode`].
    LeaveNode {
        /// Its name.
        #[rkyv(omit_bounds, with = Text)]
        node: &'p str,
    },
    /// [`ProposalData::AssignTask`].
    AssignTask {
        /// The node's name.
        #[rkyv(omit_bounds, with = Text)]
        node: &'p str,
        /// The task.
        #[rkyv(omit_bounds, with = AsBox)]
        task: TaskSpec<'p>,
        /// The program's arguments.
        #[rkyv(omit_bounds, with = Each<Text>)]
        arguments: P::Arguments<'p>,
    },
    /// [`ProposalData::Batch`].
    Batch {
        /// The proposals.
        #[rkyv(omit_bounds, with = Proposals)]
        proposals: &'p [P],
    },
}

impl<'a> AnyProposal for Proposal<'a> {
    type Pairs<'p>
        = Copied<Iter<'p, (&'p str, &'p str)>>
    where
        'a: 'p;
    type Arguments<'p>
        = Copied<Iter<'p, &'p str>>
    where
        'a: 'p;

    fn id(&self) -> ProposalId {
        self.id
    }

    fn reason(&self) -> &str {
        self.reason
    }

    fn reply(&self) -> Option<&Reply> {
        self.reply
    }

    fn view(&self) -> View<'_, Self> {
        match self.data {
            ProposalData::CreateVm { config: VmConfig { spec, metadata }, lifetime } => {
                View::CreateVm { config: VmConfigView { spec, metadata: metadata.iter().copied() }, lifetime }
            }
            ProposalData::StartVm { vm } => View::StartVm { vm },
            ProposalData::StopVm { vm, grace_seconds } => View::StopVm { vm, grace_seconds },
            ProposalData::DeleteVm { vm } => View::DeleteVm { vm },
            ProposalData::UpdateVmStatus { vm, status, node } => View::UpdateVmStatus { vm, status, node },
            ProposalData::JoinNode(node) => View::JoinNode(node),
            ProposalData::LeaveNode { node } => View::LeaveNode { node },
            ProposalData::AssignTask { node, task, arguments } => {
                View::AssignTask { node, task, arguments: arguments.iter().copied() }
            }
            ProposalData::Batch { proposals } => View::Batch { proposals },
        }
    }
}

/// Words a proposal, once for both forms: `$put!(pieces)` joins them where that form keeps texts.
macro_rules! reason {
    ($view:expr, $put:ident) => {
        match $view {
            View::CreateVm { config, .. } => {
                $put!("create ", config.spec.name, " for ", config.spec.tenant, ", class ", config.spec.qos.as_str())
            }
            View::StartVm { vm } => $put!("start ", vm),
            View::StopVm { vm, grace_seconds } => $put!("stop ", vm, " within ", grace_seconds, " s"),
            View::DeleteVm { vm } => $put!("delete ", vm),
            View::UpdateVmStatus { vm, status, node } => $put!(node, " says that ", vm, " is ", status.as_str()),
            View::JoinNode(node) => $put!(node.name, " joins as ", node.role.as_str()),
            View::LeaveNode { node } => $put!(node, " leaves"),
            View::AssignTask { node, task, .. } => $put!("task ", task.name, " for ", node),
            View::Batch { proposals } => $put!(proposals.len(), " proposals together"),
        }
    };
}
pub(super) use reason;
