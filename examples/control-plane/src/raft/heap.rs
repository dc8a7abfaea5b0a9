//! The plain twins of [`Proposal`](super::Proposal), [`ProposalData`](super::ProposalData) and
//! [`ProposalBatch`](super::ProposalBatch), in std types.
//!
//! They own every text and encode to the same bytes as the arena forms. Proposals that wait for their quorum outlive their
//! request and may come from a pool: [`RAFT_PROPOSAL_POOL`].

use std::fmt::Write as _;
use std::sync::LazyLock;

use blixard_arena::pool::TypedObjectPool;

use super::{Lifetime, ProposalId, encode};
use crate::scheduler::VmSpec;
use crate::scheduler::heap::{Decision, VmConfig};

/// What is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalData {
    /// Create this VM.
    CreateVm {
        /// Its config.
        config: VmConfig,
        /// When it is wanted.
        lifetime: Lifetime,
    },
}

/// One change to the cluster's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// What is proposed.
    pub data: ProposalData,
    /// Why, for people.
    pub reason: String,
}

impl Proposal {
    /// Proposes to create the VM of `spec` and `metadata`.
    #[must_use]
    pub fn create_vm(id: ProposalId, lifetime: Lifetime, spec: &VmSpec<'_>, metadata: &[(&str, &str)]) -> Self {
        let config = VmConfig::new(spec, metadata);
        let reason = format!("create {} for {}, class {}", spec.name, spec.tenant, spec.qos.as_str());
        Self { id, data: ProposalData::CreateVm { config, lifetime }, reason }
    }
}

impl Proposal {
    /// A proposal of nothing, for [`assign_create_vm`](Self::assign_create_vm); takes no memory.
    #[must_use]
    pub fn empty() -> Self {
        let lifetime = Lifetime { from_seconds: 0, until_seconds: None };
        let data = ProposalData::CreateVm { config: VmConfig::empty(), lifetime };
        Self { id: ProposalId([0; 16]), data, reason: String::new() }
    }

    /// Becomes what [`create_vm`](Self::create_vm) makes, in the memory that it has.
    pub fn assign_create_vm(
        &mut self,
        id: ProposalId,
        lifetime: Lifetime,
        spec: &VmSpec<'_>,
        metadata: &[(&str, &str)],
    ) {
        let ProposalData::CreateVm { config, lifetime: own } = &mut self.data;
        config.assign(spec, metadata);
        (self.id, *own) = (id, lifetime);
        self.reason.clear();
        write!(self.reason, "create {} for {}, class {}", spec.name, spec.tenant, spec.qos.as_str())
            .expect("a `String` takes all");
    }

    /// Becomes [`empty`](Self::empty) and keeps its texts' memory.
    pub fn clear(&mut self) {
        let ProposalData::CreateVm { config, lifetime } = &mut self.data;
        config.clear();
        (self.id, *lifetime) = (ProposalId([0; 16]), Lifetime { from_seconds: 0, until_seconds: None });
        self.reason.clear();
    }

    /// Bytes on the heap, as [`VmConfig::heap_bytes`] counts.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let ProposalData::CreateVm { config, .. } = &self.data;
        config.heap_bytes() + self.reason.capacity()
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
///     resources: Resources::default(), ip: [10, 0, 0, 1].into(), qos: Qos::Guaranteed,
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

/// Proposals and what was decided for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalBatch {
    proposals: Vec<Proposal>,
    decisions: Vec<Decision>,
}

impl ProposalBatch {
    /// A batch of proposals and their decisions.
    ///
    /// # Panics
    ///
    /// If there is not one decision per proposal.
    #[must_use]
    pub fn new(proposals: Vec<Proposal>, decisions: Vec<Decision>) -> Self {
        assert_eq!(proposals.len(), decisions.len(), "a batch has one decision per proposal");
        Self { proposals, decisions }
    }

    /// The proposals, in order.
    #[must_use]
    pub fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    /// The decisions, in the order of the proposals.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Appends the batch's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let vms = self.proposals.iter().zip(&self.decisions).map(|(proposal, decision)| {
            let ProposalData::CreateVm { config, .. } = &proposal.data;
            (proposal, config.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())), decision)
        });
        encode_batch(vms, out);
    }
}

/// Appends a batch's bytes to `out`: proposals, metadata in place of what their configs have, decisions.
///
/// For those who keep proposals elsewhere than in a [`ProposalBatch`], as pools do, and metadata in another form.
pub fn encode_batch<'v, M>(vms: impl ExactSizeIterator<Item = (&'v Proposal, M, &'v Decision)>, out: &mut Vec<u8>)
where
    M: ExactSizeIterator<Item = (&'v str, &'v str)>,
{
    encode::batch_length(out, vms.len());
    for (proposal, metadata, decision) in vms {
        let ProposalData::CreateVm { config, lifetime } = &proposal.data;
        encode::create_vm(out, proposal.id, *lifetime, &config.spec(), metadata);
        encode::outcome(out, &proposal.reason, decision.placement, &decision.reason);
    }
}
