//! A batch of the control plane's proposals, built, de-duplicated, encoded and let go, in each memory strategy.
//!
//! 64 commands for 24 VMs: 16 create a VM with four pairs of metadata, the others start, stop and tell of VMs, and repeat
//! themselves as clients do that try again. Texts are borrowed from the request's bytes, which are there; what owns its texts copies
//! them. Nobody waits for a reply.
//!
//! Invariant: before anybody is timed, all encode to the same bytes.

use std::hint::black_box;
use std::iter;
use std::sync::LazyLock;

use blixard_arena::ArenaPool;
use blixard_arena::arena::AnyArena;
use blixard_arena::pool::{Pooled, VecPool};
use control_plane::names::VmStatus;
use control_plane::raft::heap::{self, RAFT_PROPOSAL_POOL};
use control_plane::raft::{
    AnyBatch, AnyProposal, Lifetime, Outcome, ProposalBatch, ProposalBuilder, ProposalData, ProposalError, ProposalId,
    ProposalIds, ProposalProcessor, Reply, SealedBatch, View, deduplicate, deduplicate_in,
};
use control_plane::scheduler::{self, Decision, GpuRequest, Qos, Resources, VmSpec};

use crate::contest::{Contender, Group, Named, Role};
use crate::random::Random;

/// The groups, by name: each does what the one before does, and more. The last one only encodes a batch that is there.
pub const GROUPS: &[Named] = &[
    ("proposals/build", || group("proposals/build", Until::Built)),
    ("proposals/build, de-duplicate", || group("proposals/build, de-duplicate", Until::Standing)),
    ("proposals/build, de-duplicate, encode", || group("proposals/build, de-duplicate, encode", Until::Encoded)),
    ("proposals/encode", encode_alone),
];

/// How far a batch goes before it is let go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Until {
    Built,
    Standing,
    Encoded,
}

/// One command of the request.
struct Asked {
    kind: usize,
    vm: String,
    config_path: String,
    tenant: String,
    pairs: Vec<(&'static str, String)>,
    number: u32,
}

/// What the request asks for.
struct Input(Vec<Asked>);

static INPUT: LazyLock<Input> = LazyLock::new(Input::new);

impl Input {
    fn new() -> Self {
        let mut random = Random::new(6);
        let mut asked: Vec<_> = (0..64)
            .map(|at| {
                let vm = if at < 16 { at } else { random.below(24) };
                Asked {
                    kind: if at < 16 { 0 } else { 1 + random.below(3) },
                    vm: format!("vm-{vm:05}.prod"),
                    config_path: format!("/etc/blixard/vms/vm-{vm:05}.toml"),
                    tenant: format!("tenant-{:02}", vm % 7),
                    pairs: ["zone", "app", "owner", "tier"]
                        .map(|key| (key, format!("value-{:04x}", random.below(1 << 16))))
                        .into(),
                    number: u32::try_from(random.below(60)).expect("below 60"),
                }
            })
            .collect();
        random.shuffle(&mut asked);
        Self(asked)
    }
}

const LIFETIME: Lifetime = Lifetime { from_seconds: 1_700_000_000, until_seconds: None };
const NODE: &str = "node-0042";
const DECIDED: &str = "node-0042 is the most available of 1523 nodes, score 8589934591";

impl Asked {
    fn spec(&self) -> VmSpec<'_> {
        VmSpec {
            name: &self.vm,
            config_path: &self.config_path,
            tenant: &self.tenant,
            gpu_spec: "",
            resources: Resources { cpu_milli: 2_000, memory_mib: 4_096, gpus: GpuRequest::default() },
            ip: [10, 0, 0, 1].into(),
            qos: Qos::Burstable,
            ..VmSpec::default()
        }
    }

    fn pairs(&self) -> [(&str, &str); 4] {
        std::array::from_fn(|at| (self.pairs[at].0, self.pairs[at].1.as_str()))
    }

    fn status(&self) -> VmStatus {
        VmStatus::ALL[self.number as usize % VmStatus::ALL.len()]
    }

    /// Owned, unless a VM is created.
    fn owned(&self) -> heap::ProposalData {
        let vm = self.vm.clone();
        match self.kind {
            1 => heap::ProposalData::StartVm { vm },
            2 => heap::ProposalData::StopVm { vm, grace_seconds: self.number },
            _ => heap::ProposalData::UpdateVmStatus { vm, status: self.status(), node: NODE.to_owned() },
        }
    }
}

fn ids() -> ProposalIds {
    ProposalIds::from_seed(1, 1_700_000_000_000)
}

/// What a strategy keeps from one batch to the next, what it does with one, and its bytes for the check.
trait Strategy: 'static {
    fn serve(&mut self, input: &Input, until: Until, bytes: &mut dyn FnMut(&[u8])) -> Result<(), ProposalError>;
}

/// Plain std types.
struct Heap {
    ids: ProposalIds,
    processor: ProposalProcessor,
}

impl Strategy for Heap {
    fn serve(&mut self, input: &Input, until: Until, bytes: &mut dyn FnMut(&[u8])) -> Result<(), ProposalError> {
        let mut builder = heap::ProposalBuilder::new(&mut self.ids);
        builder.reserve(input.0.len());
        for asked in &input.0 {
            match asked.kind {
                0 => builder.create_vm(LIFETIME, &asked.spec(), &asked.pairs())?,
                _ => builder.propose(asked.owned())?,
            };
        }
        let mut proposals = builder.finish();
        black_box(&proposals);
        if until >= Until::Standing {
            deduplicate(&mut proposals)?;
            black_box(&proposals);
        }
        if until >= Until::Encoded {
            let batch = decided(proposals);
            bytes(&self.processor.encode(&batch)?);
        }
        Ok(())
    }
}

fn decided(proposals: Vec<heap::Proposal>) -> heap::ProposalBatch {
    let created = proposals.iter().filter(|proposal| proposal.data.create_vm().is_some()).count();
    let decision = |_| scheduler::heap::Decision { reason: DECIDED.to_owned(), ..scheduler::heap::Decision::empty() };
    heap::ProposalBatch::new(proposals, (0..created).map(decision).collect())
}

/// The plain types out of pools: VMs that are created keep their texts' memory, lists theirs.
struct Pools {
    ids: ProposalIds,
    processor: ProposalProcessor,
    lists: VecPool<Kept>,
}

/// A proposal out of its pool.
struct Kept(Pooled<heap::Proposal>);

impl AnyProposal for Kept {
    type Pairs<'p> = <heap::Proposal as AnyProposal>::Pairs<'p>;
    type Arguments<'p> = <heap::Proposal as AnyProposal>::Arguments<'p>;

    fn id(&self) -> ProposalId {
        self.0.id
    }

    fn reason(&self) -> &str {
        &self.0.reason
    }

    fn reply(&self) -> Option<&Reply> {
        self.0.reply.as_ref()
    }

    fn view(&self) -> View<'_, Self> {
        match self.0.view() {
            View::CreateVm { config, lifetime } => View::CreateVm { config, lifetime },
            View::StartVm { vm } => View::StartVm { vm },
            View::StopVm { vm, grace_seconds } => View::StopVm { vm, grace_seconds },
            View::UpdateVmStatus { vm, status, node } => View::UpdateVmStatus { vm, status, node },
            _ => unreachable!("the input has four kinds"),
        }
    }
}

struct KeptBatch<'k>(&'k [Kept]);

impl AnyBatch for KeptBatch<'_> {
    type Proposal = Kept;

    fn proposals(&self) -> &[Kept] {
        self.0
    }

    fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'_>> + Clone {
        let created = self.0.iter().filter(|kept| kept.0.data.create_vm().is_some()).count();
        iter::repeat_n(Outcome { placement: None, alternatives: &[], reason: DECIDED }, created)
    }
}

impl Strategy for Pools {
    fn serve(&mut self, input: &Input, until: Until, bytes: &mut dyn FnMut(&[u8])) -> Result<(), ProposalError> {
        let mut proposals = self.lists.acquire();
        for asked in &input.0 {
            let mut proposal = RAFT_PROPOSAL_POOL.acquire();
            let id = self.ids.next_id();
            match asked.kind {
                0 => proposal.assign_create_vm(id, LIFETIME, &asked.spec(), &asked.pairs()),
                _ => *proposal = heap::Proposal::new(id, asked.owned()),
            }
            proposals.push(Kept(proposal));
        }
        black_box(&*proposals);
        if until >= Until::Standing {
            deduplicate(&mut proposals)?;
            black_box(&*proposals);
        }
        if until >= Until::Encoded {
            bytes(&self.processor.encode(&KeptBatch(&proposals))?);
        }
        Ok(())
    }
}

/// An arena per batch; `S` says of which kind.
struct Arenas<const SHARED: bool> {
    ids: ProposalIds,
    processor: ProposalProcessor,
    pool: ArenaPool,
}

impl<const SHARED: bool> Strategy for Arenas<SHARED> {
    fn serve(&mut self, input: &Input, until: Until, bytes: &mut dyn FnMut(&[u8])) -> Result<(), ProposalError> {
        let Self { ids, processor, pool } = self;
        if SHARED {
            serve_in(&*pool.acquire_shared(), ids, processor, input, until, bytes)
        } else {
            serve_in(&*pool.acquire(), ids, processor, input, until, bytes)
        }
    }
}

fn serve_in<A: AnyArena>(
    arena: &A,
    ids: &mut ProposalIds,
    processor: &ProposalProcessor,
    input: &Input,
    until: Until,
    bytes: &mut dyn FnMut(&[u8]),
) -> Result<(), ProposalError> {
    let mut proposals = build_in(arena, ids, input)?;
    black_box(proposals);
    if until >= Until::Standing {
        proposals = deduplicate_in(arena, proposals)?;
        black_box(proposals);
    }
    if until >= Until::Encoded {
        bytes(&processor.encode(&decided_in(arena, proposals))?);
    }
    Ok(())
}

fn build_in<'a, A: AnyArena>(
    arena: &'a A,
    ids: &mut ProposalIds,
    input: &'a Input,
) -> Result<&'a [control_plane::raft::Proposal<'a>], ProposalError> {
    let mut builder = ProposalBuilder::new_in(arena, ids);
    builder.reserve(input.0.len())?;
    for asked in &input.0 {
        let vm = asked.vm.as_str();
        match asked.kind {
            0 => builder.create_vm(LIFETIME, asked.spec(), &asked.pairs())?,
            1 => builder.propose(ProposalData::StartVm { vm })?,
            2 => builder.propose(ProposalData::StopVm { vm, grace_seconds: asked.number })?,
            _ => builder.propose(ProposalData::UpdateVmStatus { vm, status: asked.status(), node: NODE })?,
        };
    }
    Ok(builder.finish())
}

fn decided_in<'a, A: AnyArena>(arena: &'a A, proposals: &'a [control_plane::raft::Proposal<'a>]) -> ProposalBatch<'a> {
    let created = proposals.iter().filter(|proposal| proposal.data.create_vm().is_some()).count();
    let decisions = arena.alloc_slice_fill_with(created, |_| Decision {
        placement: None,
        alternatives: &[],
        reason: arena.alloc_str(DECIDED),
    });
    ProposalBatch::new(proposals, decisions)
}

fn contender<S: Strategy>(name: &'static str, role: Role, until: Until, make: impl Fn() -> S) -> Contender {
    let first = |mut strategy: S| {
        let mut seen = Vec::new();
        let mut keep = |bytes: &[u8]| seen = bytes.to_vec();
        strategy.serve(&INPUT, Until::Encoded, &mut keep).expect("within the limits");
        seen
    };
    let expected = {
        let mut seen = Vec::new();
        let mut heap = Heap { ids: ids(), processor: ProposalProcessor::default() };
        heap.serve(&INPUT, Until::Encoded, &mut |bytes| seen = bytes.to_vec()).expect("within the limits");
        seen
    };
    assert!(!expected.is_empty() && first(make()) == expected, "{name} encodes something else");
    let serve = move |strategy: &mut S, _| {
        let mut used = |bytes: &[u8]| {
            black_box(bytes.as_ptr());
        };
        strategy.serve(&INPUT, until, &mut used).expect("within the limits");
    };
    Contender::alone(name, role, 1, make(), serve, |_| ())
}

fn group(name: &'static str, until: Until) -> Group {
    let processor = ProposalProcessor::default;
    let contenders = vec![
        contender("arena", Role::Ours, until, || Arenas::<false> {
            ids: ids(),
            processor: processor(),
            pool: ArenaPool::new(),
        }),
        contender("shared arena", Role::Ours, until, || Arenas::<true> {
            ids: ids(),
            processor: processor(),
            pool: ArenaPool::new(),
        }),
        contender("pooled", Role::Peer, until, || Pools {
            ids: ids(),
            processor: processor(),
            lists: VecPool::with_capacity(64),
        }),
        contender("heap", Role::Peer, until, || Heap { ids: ids(), processor: processor() }),
    ];
    Group { name, note: "time per batch of 64 commands; all encode to the same bytes", elements: 1, contenders }
}

fn encode_alone() -> Group {
    let on_heap = {
        let (mut ids, processor) = (ids(), ProposalProcessor::default());
        let mut builder = heap::ProposalBuilder::new(&mut ids);
        for asked in &INPUT.0 {
            let added = match asked.kind {
                0 => builder.create_vm(LIFETIME, &asked.spec(), &asked.pairs()),
                _ => builder.propose(asked.owned()),
            };
            added.expect("within the limits");
        }
        let batch = decided(builder.finish());
        let encode = move |(): &mut (), _| drop(black_box(processor.encode(&batch).expect("within the limits")));
        Contender::alone("heap", Role::Peer, 1, (), encode, |()| ())
    };
    let in_arena = {
        let (pool, mut ids, processor) = (ArenaPool::new(), ids(), ProposalProcessor::default());
        let sealed = SealedBatch::try_build(pool.acquire(), |arena| {
            Ok::<_, ProposalError>(decided_in(arena, build_in(arena, &mut ids, &INPUT)?))
        });
        let sealed = sealed.expect("within the limits");
        let encode = move |(): &mut (), _| drop(black_box(processor.encode(sealed.get()).expect("within the limits")));
        Contender::alone("arena", Role::Ours, 1, (), encode, |()| ())
    };
    Group {
        name: "proposals/encode",
        note: "time per batch of 64 commands that is there: limits and bytes alone",
        elements: 1,
        contenders: vec![in_arena, on_heap],
    }
}
