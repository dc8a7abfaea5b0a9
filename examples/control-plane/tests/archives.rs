//! Archived proposals and configs: what is written is read back, where it lies and into an arena; what is not as it was written is
//! refused; and files that were written before are read for ever.
//!
//! `tests/golden` has a folder per version. What is written today must be the newest version's files to the byte; where it is not, the
//! archived form has changed and takes the next [`Schema::VERSION`], a folder of its own and readers for the old one.
//! `cargo test -p control-plane --test archives -- --ignored` writes files that are missing, and touches none that are there.

mod drawn;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use blixard_arena::archive::{self, ArchiveError, ArchivedText, DecodeError, HEADER_BYTES, Header, Schema, tag};
use blixard_arena::intern::StringPool;
use blixard_arena::{Arena, ArenaOptions, SharedArena};
use bytes::Bytes;
use control_plane::names::{NodeRole, VmStatus};
use control_plane::raft::{
    AnyBatch as _, ArchivedProposal, ArchivedProposalData, Lifetime, NodeSpec, Proposal, ProposalBatch, ProposalData,
    ProposalId, ProposalLimits, TaskSpec, heap,
};
use control_plane::scheduler::{
    AntiAffinity, ArchivedVmConfig, Candidate, Decision, DeviceSet, GpuRequest, Level, NodeId, Placement, Qos,
    Resources, SharedVmConfig, VmConfig, VmSpec, heap as owned,
};
use drawn::Drawn;
use proptest::prelude::*;

const CONFIG: VmConfig<'static> = VmConfig {
    spec: VmSpec {
        name: "vm-7",
        config_path: "/etc/vm/größe.toml",
        tenant: "acme",
        gpu_spec: "A10|T4",
        resources: Resources { cpu_milli: 2_000, memory_mib: 4_096, gpus: GpuRequest { count: 1, milli: 500 } },
        ip: IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        qos: Qos::Burstable,
        anti_affinity: Some(AntiAffinity { group: "orders-db", level: Level::Zone }),
        priority: 3,
        preemptible: true,
    },
    metadata: &[("", "ключ"), ("app", ""), ("zone", "b")],
};

const PLAIN: VmConfig<'static> = VmConfig {
    spec: VmSpec { ip: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), anti_affinity: None, gpu_spec: "", ..CONFIG.spec },
    metadata: &[],
};

const DECISIONS: [Decision<'static>; 2] = [
    Decision {
        placement: Some(Placement {
            node: NodeId(42),
            score: 7,
            cpu_milli: 2_000,
            memory_mib: 4_096,
            devices: DeviceSet { mask: 0b101, milli: 500 },
            group: None,
        }),
        alternatives: &[Candidate { node: NodeId(1), score: 6 }, Candidate { node: NodeId(2), score: 5 }],
        reason: "node-42 is the most available of 3 nodes, score 7, alternatives: 2",
    },
    Decision { placement: None, alternatives: &[], reason: "none of 3 nodes will do" },
];

const fn proposal(id: u8, data: ProposalData<'static>, reason: &'static str) -> Proposal<'static> {
    Proposal { id: ProposalId([id; 16]), data, reason, reply: None }
}

/// One of each kind, by name.
const KINDS: [(&str, Proposal<'static>); 9] = [
    (
        "create-vm",
        proposal(
            1,
            ProposalData::CreateVm {
                config: CONFIG,
                lifetime: Lifetime { from_seconds: 10, until_seconds: Some(u64::MAX) },
            },
            "create vm-7 for acme, class Burstable",
        ),
    ),
    ("start-vm", proposal(2, ProposalData::StartVm { vm: "vm-7" }, "start vm-7")),
    ("stop-vm", proposal(3, ProposalData::StopVm { vm: "vm-7", grace_seconds: 30 }, "stop vm-7 within 30 s")),
    ("delete-vm", proposal(4, ProposalData::DeleteVm { vm: "vm-7" }, "delete vm-7")),
    (
        "update-vm-status",
        proposal(
            5,
            ProposalData::UpdateVmStatus { vm: "vm-7", status: VmStatus::Failed, node: "node-1" },
            "node-1 says that vm-7 is failed",
        ),
    ),
    (
        "join-node",
        proposal(
            6,
            ProposalData::JoinNode(NodeSpec {
                name: "node-9",
                ip: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9)),
                port: 7_000,
                role: NodeRole::Learner,
                cpu_milli: 64_000,
                memory_mib: 262_144,
                gpus: 4,
                gpu_model: "T4",
            }),
            "node-9 joins as learner",
        ),
    ),
    ("leave-node", proposal(7, ProposalData::LeaveNode { node: "node-8" }, "node-8 leaves")),
    (
        "assign-task",
        proposal(
            8,
            ProposalData::AssignTask {
                node: "node-1",
                task: TaskSpec { name: "scrub", command: "/bin/scrub", timeout_seconds: 60 },
                arguments: &["--all", "", "größe"],
            },
            "task scrub for node-1",
        ),
    ),
    (
        "batch",
        proposal(
            9,
            ProposalData::Batch {
                proposals: &[
                    proposal(10, ProposalData::StopVm { vm: "vm-8", grace_seconds: 0 }, ""),
                    proposal(
                        11,
                        ProposalData::Batch {
                            proposals: &[proposal(
                                12,
                                ProposalData::CreateVm {
                                    config: PLAIN,
                                    lifetime: Lifetime { from_seconds: 0, until_seconds: None },
                                },
                                "",
                            )],
                        },
                        "1 proposals together",
                    ),
                ],
            },
            "2 proposals together",
        ),
    ),
];

/// The batches that are in files: one for each kind, and one of all of them.
fn batches(arena: &Arena) -> Vec<(&'static str, ProposalBatch<'_>)> {
    let of = |kinds: &[(&str, Proposal<'static>)]| {
        let proposals = arena.alloc_slice_fill_iter(kinds.iter().map(|(_, proposal)| *proposal));
        // The second VM is created in the nested batch.
        let decisions: &[_] = match kinds {
            [("create-vm", _)] => &DECISIONS[..1],
            [("batch", _)] => &DECISIONS[1..],
            [_] => &[],
            _ => &DECISIONS,
        };
        ProposalBatch::new(proposals, decisions)
    };
    let one = |at: usize| (KINDS[at].0, of(&KINDS[at..=at]));
    (0..KINDS.len()).map(one).chain([("all", of(&KINDS)), ("nothing", ProposalBatch::new(&[], &[]))]).collect()
}

/// Holds an archived config against its source, where it lies.
fn same_config(archived: &ArchivedVmConfig, config: &VmConfig<'_>) {
    let (found, spec) = (&archived.spec, &config.spec);
    let texts = [&found.name, &found.config_path, &found.tenant, &found.gpu_spec].map(ArchivedText::as_str);
    assert_eq!(texts, [spec.name, spec.config_path, spec.tenant, spec.gpu_spec]);
    let Resources { cpu_milli, memory_mib, gpus } = spec.resources;
    assert_eq!(
        (found.resources.cpu_milli.to_native(), found.resources.memory_mib.to_native()),
        (cpu_milli, memory_mib)
    );
    assert_eq!((found.resources.gpus.count, found.resources.gpus.milli.to_native()), (gpus.count, gpus.milli));
    assert_eq!((found.ip.as_ipaddr(), found.qos), (spec.ip, spec.qos));
    let wish = found.anti_affinity.as_ref().map(|wish| AntiAffinity { group: &wish.group, level: wish.level });
    assert_eq!((wish, found.priority, found.preemptible), (spec.anti_affinity, spec.priority, spec.preemptible));
    let pairs: Vec<_> = archived.metadata.iter().map(|pair| (pair.0.as_str(), pair.1.as_str())).collect();
    assert_eq!(pairs, config.metadata);
}

/// Holds an archived proposal against its source, where it lies.
fn same(archived: &ArchivedProposal, source: &Proposal<'_>) {
    assert_eq!((archived.id.0, archived.reason.as_str()), (source.id.0, source.reason));
    match (&archived.data, &source.data) {
        (
            ArchivedProposalData::CreateVm { config, lifetime },
            ProposalData::CreateVm { config: source, lifetime: when },
        ) => {
            same_config(config, source);
            let until = lifetime.until_seconds.as_ref().map(|until| until.to_native());
            assert_eq!((lifetime.from_seconds.to_native(), until), (when.from_seconds, when.until_seconds));
        }
        (ArchivedProposalData::StartVm { vm }, ProposalData::StartVm { vm: source })
        | (ArchivedProposalData::DeleteVm { vm }, ProposalData::DeleteVm { vm: source })
        | (ArchivedProposalData::LeaveNode { node: vm }, ProposalData::LeaveNode { node: source }) => {
            assert_eq!(vm, source);
        }
        (
            ArchivedProposalData::StopVm { vm, grace_seconds },
            ProposalData::StopVm { vm: name, grace_seconds: grace },
        ) => {
            assert_eq!((vm.as_str(), grace_seconds.to_native()), (*name, *grace));
        }
        (
            ArchivedProposalData::UpdateVmStatus { vm, status, node },
            ProposalData::UpdateVmStatus { vm: name, status: told, node: by },
        ) => assert_eq!((vm.as_str(), *status, node.as_str()), (*name, *told, *by)),
        (ArchivedProposalData::JoinNode(node), ProposalData::JoinNode(source)) => {
            let found = NodeSpec {
                name: &node.name,
                ip: node.ip.as_ipaddr(),
                port: node.port.to_native(),
                role: node.role,
                cpu_milli: node.cpu_milli.to_native(),
                memory_mib: node.memory_mib.to_native(),
                gpus: node.gpus,
                gpu_model: &node.gpu_model,
            };
            assert_eq!(found, *source);
        }
        (
            ArchivedProposalData::AssignTask { node, task, arguments },
            ProposalData::AssignTask { node: name, task: asked, arguments: given },
        ) => {
            let timeout_seconds = task.timeout_seconds.to_native();
            let found = TaskSpec { name: &task.name, command: &task.command, timeout_seconds };
            assert_eq!((node.as_str(), found), (*name, *asked));
            assert!(arguments.iter().map(ArchivedText::as_str).eq(given.iter().copied()));
        }
        (ArchivedProposalData::Batch { proposals }, ProposalData::Batch { proposals: sources }) => {
            assert_eq!(proposals.len(), sources.len());
            proposals.iter().zip(*sources).for_each(|(archived, source)| same(archived, source));
        }
        (found, source) => panic!("{found:?} of {source:?}"),
    }
}

/// What comes back of a batch's bytes is the batch.
fn comes_back(bytes: &[u8], batch: &ProposalBatch<'_>) {
    let archived = archive::access::<ProposalBatch<'_>>(bytes).expect("an archive of a batch");
    assert_eq!(archived.proposals.len(), batch.proposals().len());
    archived.proposals.iter().zip(batch.proposals()).for_each(|(archived, source)| same(archived, source));
    assert_eq!(archived.decisions.len(), batch.decisions().len());
    let (arena, shared) = (Arena::new(), SharedArena::new());
    assert_eq!(archive::decode_in::<ProposalBatch<'_>, _>(archived, &arena).expect("no budget"), *batch);
    assert_eq!(archive::decode_in::<ProposalBatch<'_>, _>(archived, &shared).expect("no budget"), *batch);
}

fn created(drawn: &[Drawn]) -> usize {
    drawn::flat(drawn).into_iter().filter(|one| matches!(one, Drawn::Create { .. })).count()
}

fn batch_in<'a>(arena: &'a Arena, drawn: &'a [Drawn]) -> ProposalBatch<'a> {
    let proposals = drawn::build_in(arena, drawn, ProposalLimits::default()).expect("within the limits");
    let decisions = arena.alloc_slice_fill_with(created(drawn), |vm| DECISIONS[vm % 2]);
    ProposalBatch::new(proposals, decisions)
}

/// The bytes after `alter`, with a checksum that holds again.
fn resealed(bytes: &[u8], alter: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = bytes.to_vec();
    alter(&mut bytes);
    // The error says what the checksum should be.
    if let Err(ArchiveError::Checksum { found, .. }) = archive::access::<ProposalBatch<'_>>(&archive::aligned(&bytes)) {
        bytes[8..16].copy_from_slice(&found.to_le_bytes());
    }
    archive::aligned(&bytes)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(drawn in drawn::batch(3)) {
        let arena = Arena::new();
        let batch = batch_in(&arena, &drawn);
        comes_back(&archive::encode(&batch).expect("small"), &batch);
        let decision = |vm: usize| owned::Decision {
            placement: DECISIONS[vm % 2].placement,
            alternatives: DECISIONS[vm % 2].alternatives.to_vec(),
            reason: DECISIONS[vm % 2].reason.to_owned(),
        };
        let on_heap = drawn::build(&drawn, ProposalLimits::default()).expect("within the limits");
        let on_heap = heap::ProposalBatch::new(on_heap, (0..created(&drawn)).map(decision).collect());
        comes_back(&archive::encode(&on_heap.view()).expect("small"), &batch);
    }

    #[test]
    fn what_is_cut_or_altered_is_refused(
        drawn in drawn::batch(2),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let arena = Arena::new();
        let bytes = archive::encode(&batch_in(&arena, &drawn)).expect("small");
        let cut = at.index(bytes.len());
        let refused = archive::access::<ProposalBatch<'_>>(&bytes[..cut]).err();
        prop_assert!(matches!(refused, Some(ArchiveError::Truncated { found, .. }) if found == cut), "{refused:?}");
        let mut altered = bytes.to_vec();
        altered[cut] ^= 1 << bit;
        prop_assert!(archive::access::<ProposalBatch<'_>>(&archive::aligned(&altered)).is_err());
    }

    /// Where the checksum was made to hold again, all offsets, texts and states still lead somewhere, or it is refused.
    #[test]
    fn what_is_forged_is_refused_or_read(
        drawn in drawn::batch(2),
        forged in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let arena = Arena::new();
        let bytes = archive::encode(&batch_in(&arena, &drawn)).expect("small");
        let bytes = resealed(&bytes, |bytes| {
            for (at, byte) in &forged {
                let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES);
                bytes[at] = *byte;
            }
        });
        if let Ok(archived) = archive::access::<ProposalBatch<'_>>(&bytes) {
            let read: ProposalBatch<'_> = archive::decode_in(archived, &arena).expect("no budget");
            let again = archive::encode(&read).expect("small");
            comes_back(&again, &read);
        }
    }
}

#[test]
fn a_state_that_is_none_is_refused_by_name() {
    let arena = Arena::new();
    let (_, batch) = batches(&arena)[4];
    let bytes = archive::encode(&batch).expect("small");
    let failed = VmStatus::Failed as u8;
    let refusals: Vec<String> = (HEADER_BYTES..bytes.len())
        .filter(|&at| bytes[at] == failed)
        .filter_map(|at| archive::access::<ProposalBatch<'_>>(&resealed(&bytes, |bytes| bytes[at] = 6)).err())
        .map(|refused| refused.to_string())
        .collect();
    assert!(refusals.iter().any(|refused| refused.contains("status")), "{refusals:?}");
}

#[test]
fn every_form_of_a_config_has_the_same_bytes() {
    let names = StringPool::new();
    for config in [CONFIG, PLAIN] {
        let expected = archive::encode(&config).expect("small");
        let owned = owned::VmConfig::new(&config.spec, config.metadata);
        assert_eq!(archive::encode(&owned.view()).expect("small"), expected);
        let shared = SharedVmConfig::new(&names, owned.view()).expect("few names");
        assert_eq!(archive::encode(&shared.view()).expect("small"), expected);
    }
}

#[test]
fn a_config_is_no_batch() {
    let config = archive::encode(&CONFIG).expect("small");
    assert_eq!(Header::of(&config).expect("an archive").tag, tag("control-plane.vm-config"));
    let refused = archive::access::<ProposalBatch<'_>>(&config).expect_err("of another type");
    assert!(matches!(refused, ArchiveError::OtherType { name: "control-plane.batch", .. }), "{refused}");
}

#[test]
fn decoding_stays_within_the_budget() {
    let arena = Arena::new();
    let batches = batches(&arena);
    let (_, all) = batches.iter().find(|(name, _)| *name == "all").expect("it is among them");
    let bytes = archive::encode(all).expect("small");
    let archived = archive::access::<ProposalBatch<'_>>(&bytes).expect("just written");
    let mut refused = 0;
    for budget in (0..8 << 10).step_by(256) {
        let arena = ArenaOptions::new().budget_bytes_max(budget).arena();
        match archive::decode_in::<ProposalBatch<'_>, _>(archived, &arena) {
            Ok(decoded) => assert_eq!(decoded, *all),
            Err(DecodeError::Budget(over)) => {
                refused += 1;
                assert_eq!(over.allowed, budget);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 3 && refused < 31, "{refused}");
}

fn file(version: u32, name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden", &format!("version-{version}"), name].iter().collect()
}

fn golden(version: u32, name: &str) -> Bytes {
    archive::aligned(&fs::read(file(version, name)).unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Each file's name, and what is written today.
fn today() -> Vec<(&'static str, Bytes)> {
    let arena = Arena::new();
    let batches = batches(&arena).into_iter().map(|(name, batch)| (name, archive::encode(&batch)));
    let configs = [("config", archive::encode(&CONFIG)), ("config-plain", archive::encode(&PLAIN))];
    batches.chain(configs).map(|(name, bytes)| (name, bytes.expect("small"))).collect()
}

const VERSION: u32 = <ProposalBatch<'_> as Schema>::VERSION;

#[test]
fn what_is_written_today_is_what_was_written() {
    for (name, bytes) in today() {
        assert_eq!(golden(VERSION, name), bytes, "{name}");
    }
}

#[test]
fn old_bytes_stay_readable() {
    assert_eq!(<VmConfig<'_> as Schema>::VERSION, VERSION, "files of both lie in one folder");
    let arena = Arena::new();
    for version in 1..=VERSION {
        for (name, batch) in batches(&arena) {
            let bytes = golden(version, name);
            assert_eq!(Header::of(&bytes).expect("an archive").version, version);
            comes_back(&bytes, &batch);
        }
        for (name, config) in [("config", CONFIG), ("config-plain", PLAIN)] {
            let bytes = golden(version, name);
            let archived = archive::access::<VmConfig<'_>>(&bytes).expect("a config");
            same_config(archived, &config);
            assert_eq!(archive::decode_in::<VmConfig<'_>, _>(archived, &arena).expect("no budget"), config);
        }
    }
}

#[test]
#[ignore = "writes files"]
fn write_files_that_are_missing() {
    for (name, bytes) in today() {
        let file = file(VERSION, name);
        fs::create_dir_all(file.parent().expect("in a folder")).expect("a folder");
        if !file.exists() {
            fs::write(&file, &bytes).expect("a file");
        }
    }
}
