//! What the cluster agrees on: proposals, batches of them with their placement decisions, and their bytes.
//!
//! On the data's way it wraps what `scheduler` decides: a [`Proposal`] is built before placement, the
//! [`ProposalBatch`] of proposals and decisions is encoded after it, and those bytes outlive the request.
//!
//! Invariants: a batch has one decision per proposal, in order; it is plain data that needs no drop.
//! Cost: one bump per text, one slice per batch; encoding goes into a buffer that the caller keeps.

mod encode;
pub mod heap;

use blixard_arena::arena::AnyArena;

use crate::scheduler::{Decision, VmConfig, VmSpec};

/// A proposal's id, 16 bytes, unique in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId(pub [u8; 16]);

/// When a VM is wanted, in seconds of the cluster's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// The VM is wanted from here on.
    pub from_seconds: u64,
    /// Its capacity comes back here; `None` if it stays.
    pub until_seconds: Option<u64>,
}

/// What is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalData<'a> {
    /// Create this VM.
    CreateVm {
        /// Its config.
        config: VmConfig<'a>,
        /// When it is wanted.
        lifetime: Lifetime,
    },
}

/// One change to the cluster's state, in a request's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal<'a> {
    /// Its id.
    pub id: ProposalId,
    /// What is proposed.
    pub data: ProposalData<'a>,
    /// Why, for people.
    pub reason: &'a str,
}

impl<'a> Proposal<'a> {
    /// Proposes to create the VM of `spec` and `metadata`, whose texts already live as long as the arena's borrow: see
    /// [`VmConfig::new_in`].
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
        let config = VmConfig::new_in(arena, spec, metadata);
        let reason = arena.concat(("create ", spec.name, " for ", spec.tenant, ", class ", spec.qos.as_str()));
        Self { id, data: ProposalData::CreateVm { config, lifetime }, reason }
    }
}

/// Proposals and what was decided for each, frozen: one value that can be encoded, sealed or dropped as a whole.
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::collections::Vec;
/// use control_plane::raft::{Lifetime, Proposal, ProposalBatch, ProposalId};
/// use control_plane::scheduler::{Decision, Node, NodeTable, Qos, Resources, VmSpec};
///
/// let node = Node { name: "n1".into(), cpu_milli: 8_000, memory_mib: 16_384, gpus: 0, model: String::new() };
/// let mut table = NodeTable::new(&[node])?;
/// let spec = VmSpec {
///     name: "vm-1", config_path: "/etc/vm/1.toml", tenant: "acme", gpu_spec: "",
///     resources: Resources { cpu_milli: 2_000, memory_mib: 4_096, ..Resources::default() },
///     ip: [10, 0, 0, 1].into(), qos: Qos::Guaranteed,
/// };
///
/// let arena = Arena::new();
/// let mut proposals = Vec::new_in(&arena);
/// let lifetime = Lifetime { from_seconds: 0, until_seconds: None };
/// proposals.push(Proposal::create_vm_in(&arena, ProposalId([7; 16]), lifetime, spec, &[("app", "db")]));
/// let placement = table.place(&table.demand(&spec));
/// let mut decisions = Vec::new_in(&arena);
/// decisions.push(Decision::new_in(&arena, &table, &spec, placement));
///
/// let batch = ProposalBatch::new(proposals.into_slice(), decisions.into_slice());
/// let mut bytes = std::vec::Vec::new();
/// batch.encode(&mut bytes);
/// assert!(bytes.windows(4).any(|window| window == b"vm-1"));
/// # Ok::<(), control_plane::scheduler::NodeTableError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProposalBatch<'a> {
    proposals: &'a [Proposal<'a>],
    decisions: &'a [Decision<'a>],
}

impl<'a> ProposalBatch<'a> {
    /// A batch of proposals and their decisions.
    ///
    /// # Panics
    ///
    /// If there is not one decision per proposal.
    #[must_use]
    pub fn new(proposals: &'a [Proposal<'a>], decisions: &'a [Decision<'a>]) -> Self {
        assert_eq!(proposals.len(), decisions.len(), "a batch has one decision per proposal");
        Self { proposals, decisions }
    }

    /// The proposals, in order.
    #[must_use]
    pub fn proposals(&self) -> &'a [Proposal<'a>] {
        self.proposals
    }

    /// The decisions, in the order of the proposals.
    #[must_use]
    pub fn decisions(&self) -> &'a [Decision<'a>] {
        self.decisions
    }

    /// Appends the batch's bytes to `out`; allocates only if `out` has to grow.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::batch_length(out, self.proposals.len());
        for (proposal, decision) in self.proposals.iter().zip(self.decisions) {
            let ProposalData::CreateVm { config, lifetime } = &proposal.data;
            encode::create_vm(out, proposal.id, *lifetime, &config.spec, config.metadata.iter().copied());
            encode::outcome(out, proposal.reason, decision.placement, decision.reason);
        }
    }
}
