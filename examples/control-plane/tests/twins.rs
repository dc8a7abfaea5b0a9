//! The arena forms, in both kinds of arena, and the heap twins encode to the same bytes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use blixard_arena::arena::AnyArena;
use blixard_arena::collections::Vec as ArenaVec;
use blixard_arena::{Arena, SharedArena, archive};
use bytes::Bytes;
use control_plane::raft::heap::{self, RAFT_PROPOSAL_POOL};
use control_plane::raft::{self, AnyBatch as _, Lifetime, Proposal, ProposalBatch, ProposalId};
use control_plane::scheduler::heap::VM_CONFIG_POOL;
use control_plane::scheduler::{
    self, AntiAffinity, Chosen, Decision, GpuRequest, Level, Node, NodeTable, Qos, Resources, Shortage, VmConfig,
    VmSpec,
};
use proptest::prelude::*;

/// A VM as the test draws it.
#[derive(Debug, Clone)]
struct Drawn {
    id: [u8; 16],
    from_seconds: u64,
    until_seconds: Option<u64>,
    texts: [String; 3],
    gpu_spec: &'static str,
    resources: Resources,
    ip: IpAddr,
    qos: Qos,
    wish: Option<(String, usize)>,
    priority: u8,
    preemptible: bool,
    metadata: Vec<(String, String)>,
}

impl Drawn {
    fn spec(&self) -> VmSpec<'_> {
        VmSpec {
            name: &self.texts[0],
            config_path: &self.texts[1],
            tenant: &self.texts[2],
            gpu_spec: self.gpu_spec,
            resources: self.resources,
            ip: self.ip,
            qos: self.qos,
            anti_affinity: self.wish.as_ref().map(|(group, level)| AntiAffinity { group, level: Level::ALL[*level] }),
            priority: self.priority,
            preemptible: self.preemptible,
        }
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime { from_seconds: self.from_seconds, until_seconds: self.until_seconds }
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

fn any_vm() -> impl Strategy<Value = Drawn> {
    let resources =
        (0..40_000_u32, 0..200_000_u32, 0..4_u8, 1..=1_000_u16).prop_map(|(cpu_milli, memory_mib, count, milli)| {
            Resources { cpu_milli, memory_mib, gpus: GpuRequest { count, milli } }
        });
    let texts = (any::<[u8; 16]>(), any::<u64>(), any::<Option<u64>>(), any::<[String; 3]>());
    let rest = (
        prop_oneof![Just(""), Just("T4"), Just("A10|T4"), Just("none")],
        resources,
        any::<IpAddr>(),
        (0..Qos::ALL.len()).prop_map(|at| Qos::ALL[at]),
        (proptest::option::of((any::<String>(), 0..Level::ALL.len())), any::<u8>(), any::<bool>()),
        // Few keys, so that they repeat.
        proptest::collection::vec(
            (prop_oneof!["[a-e]{0,2}", "same-lead-[a-e]?\\PC?", "\\PC{0,9}"], any::<String>()),
            0..20,
        ),
    );
    (texts, rest).prop_map(
        |(
            (id, from_seconds, until_seconds, texts),
            (gpu_spec, resources, ip, qos, (wish, priority, preemptible), metadata),
        )| {
            Drawn {
                id,
                from_seconds,
                until_seconds,
                texts,
                gpu_spec,
                resources,
                ip,
                qos,
                wish,
                priority,
                preemptible,
                metadata,
            }
        },
    )
}

fn nodes() -> NodeTable {
    let node = |name: &str, gpus, model: &str| Node {
        name: name.to_owned(),
        cpu_milli: 64_000,
        memory_mib: 262_144,
        gpus,
        model: model.to_owned(),
    };
    NodeTable::new(&[node("plain", 0, ""), node("t4", 4, "T4"), node("a10", 8, "A10")])
        .expect("three plain nodes make a table")
}

fn place(table: &mut NodeTable, spec: &VmSpec<'_>) -> Result<Chosen, Shortage> {
    let demand = table.demand(spec);
    table.place(&demand)
}

fn bytes_in<'a, A: AnyArena>(arena: &'a A, drawn: &'a [Drawn]) -> Bytes {
    let mut table = nodes();
    let mut proposals = ArenaVec::new_in(arena);
    let mut decisions = ArenaVec::new_in(arena);
    for vm in drawn {
        let proposal = Proposal::create_vm_in(arena, ProposalId(vm.id), vm.lifetime(), vm.spec(), &vm.pairs());
        let placement = place(&mut table, &vm.spec());
        proposals.push(proposal);
        decisions.push(Decision::new_in(arena, &table, &vm.spec(), placement));
    }
    let batch = ProposalBatch::new(proposals.into_slice(), decisions.into_slice());
    archive::encode(&batch).expect("small")
}

fn bytes_on_the_heap(drawn: &[Drawn]) -> Bytes {
    let mut table = nodes();
    let mut proposals = Vec::new();
    let mut decisions = Vec::new();
    for vm in drawn {
        proposals.push(raft::heap::Proposal::create_vm(ProposalId(vm.id), vm.lifetime(), &vm.spec(), &vm.pairs()));
        let placement = place(&mut table, &vm.spec());
        decisions.push(scheduler::heap::Decision::new(&table, &vm.spec(), placement));
    }
    archive::encode(&raft::heap::ProposalBatch::new(proposals, decisions).view()).expect("small")
}

proptest! {
    #[test]
    fn all_forms_encode_to_the_same_bytes(drawn in proptest::collection::vec(any_vm(), 0..8)) {
        let expected = bytes_on_the_heap(&drawn);
        prop_assert_eq!(&bytes_in(&Arena::new(), &drawn), &expected);
        prop_assert_eq!(&bytes_in(&SharedArena::new(), &drawn), &expected);
    }

    #[test]
    fn metadata_is_unique_ascending_and_the_later_value_stands(vm in any_vm()) {
        let arena = Arena::new();
        let config = VmConfig::new_in(&arena, vm.spec(), &vm.pairs());
        let model: BTreeMap<&str, &str> = vm.pairs().into_iter().collect();
        prop_assert_eq!(config.metadata.to_vec(), model.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(config.spec, vm.spec());
    }

    /// Each object is used for one VM after the other, emptied by its pool in between or not.
    #[test]
    fn a_pooled_form_is_what_a_new_one_would_be(drawn in proptest::collection::vec(any_vm(), 1..8)) {
        let mut kept = heap::Proposal::empty();
        for vm in &drawn {
            let expected = heap::Proposal::create_vm(ProposalId(vm.id), vm.lifetime(), &vm.spec(), &vm.pairs());
            let mut pooled = RAFT_PROPOSAL_POOL.acquire();
            prop_assert_eq!(&*pooled, &heap::Proposal::empty());
            pooled.assign_create_vm(ProposalId(vm.id), vm.lifetime(), &vm.spec(), &vm.pairs());
            prop_assert_eq!(&*pooled, &expected);
            kept.assign_create_vm(ProposalId(vm.id), vm.lifetime(), &vm.spec(), &vm.pairs());
            prop_assert_eq!(&kept, &expected);
            let mut config = VM_CONFIG_POOL.acquire();
            config.assign(&vm.spec(), &vm.pairs());
            let (expected, _) = expected.data.create_vm().expect("it creates a VM");
            prop_assert_eq!(&*config, expected);
        }
    }
}

#[test]
fn every_field_shows_in_the_bytes() {
    let vm = Drawn {
        id: [7; 16],
        from_seconds: 10,
        until_seconds: Some(20),
        texts: ["vm".into(), "/vm.toml".into(), "acme".into()],
        gpu_spec: "T4",
        resources: Resources { cpu_milli: 1_000, memory_mib: 2_048, gpus: GpuRequest { count: 1, milli: 500 } },
        ip: IpAddr::from([10, 0, 0, 1]),
        qos: Qos::Burstable,
        wish: Some(("db".into(), 1)),
        priority: 1,
        preemptible: false,
        metadata: vec![("app".into(), "db".into())],
    };
    let changes: [fn(&mut Drawn); 18] = [
        |vm| vm.id[15] = 8,
        |vm| vm.from_seconds = 11,
        |vm| vm.until_seconds = None,
        |vm| vm.texts[0].push('x'),
        |vm| vm.texts[1].push('x'),
        |vm| vm.texts[2].push('x'),
        |vm| vm.gpu_spec = "A10|T4",
        |vm| vm.resources.cpu_milli = 1_001,
        |vm| vm.resources.memory_mib = 2_049,
        |vm| vm.resources.gpus.milli = 501,
        |vm| vm.resources.gpus.count = 2,
        |vm| vm.ip = IpAddr::from([10, 0, 0, 2]),
        |vm| vm.qos = Qos::BestEffort,
        |vm| vm.metadata[0].1.push('x'),
        |vm| vm.wish = None,
        |vm| vm.wish = Some(("db".into(), 2)),
        |vm| vm.priority = 2,
        |vm| vm.preemptible = true,
    ];
    let expected = bytes_on_the_heap(std::slice::from_ref(&vm));
    for (at, change) in changes.iter().enumerate() {
        let mut other = vm.clone();
        change(&mut other);
        assert_ne!(bytes_on_the_heap(&[other]), expected, "change {at}");
    }
}

#[test]
#[should_panic(expected = "one decision per VM created")]
fn a_batch_needs_a_decision_per_vm_created() {
    let arena = Arena::new();
    let vm = VmSpec { name: "vm", ..VmSpec::default() };
    let lifetime = Lifetime { from_seconds: 0, until_seconds: None };
    let proposal = Proposal::create_vm_in(&arena, ProposalId([0; 16]), lifetime, vm, &[]);
    let _ = ProposalBatch::new(std::slice::from_ref(&proposal), &[]);
}
