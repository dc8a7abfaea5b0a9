//! Batches: all or nothing, kept apart, explained; and an independent checker goes over every decision.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without may panic")]

use std::collections::{HashMap, HashSet};

use blixard_arena::arena::{AnyArena, typed};
use blixard_arena::{Arena, ArenaOptions, SharedArena};
use control_plane::scheduler::{
    AntiAffinity, BATCH_VMS_MAX, BatchError, BatchScheduler, Decision, Domain, GPU_MILLI, GROUPS_MAX, GpuRequest,
    Level, Node, NodeId, NodeTable, Placement, PlacementStrategy, Resource, Resources, Shortage, Topology, VmSpec,
};
use proptest::prelude::*;

fn node(name: &str, cpu_milli: u32, gpus: u8, model: &str) -> Node {
    Node { name: name.to_owned(), cpu_milli, memory_mib: 16_384, gpus, model: model.to_owned() }
}

fn scheduler(nodes: &[Node]) -> BatchScheduler<'static> {
    BatchScheduler::new(NodeTable::new(nodes).unwrap())
}

fn vm(name: &str, cpu_milli: u32) -> VmSpec<'_> {
    VmSpec { name, resources: Resources { cpu_milli, memory_mib: 1, ..Resources::default() }, ..VmSpec::default() }
}

/// What a table says of a node: cores and memory left, devices, VMs.
type NodeState = (NodeId, (u32, u32), [u16; 16], u32);

fn snapshot(scheduler: &BatchScheduler<'_>) -> Vec<NodeState> {
    let table = scheduler.table();
    table.nodes().map(|node| (node, table.left(node), *table.devices(node), table.vms(node))).collect()
}

fn short(result: Result<&[Decision<'_>], BatchError<'_>>) -> (usize, String, Shortage) {
    match result {
        Err(BatchError::Short { at, vm, shortage }) => (at, vm.to_owned(), shortage),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_that_does_not_fit_says_what_was_short_and_takes_nothing() {
    let arena = Arena::new();
    let mut scheduler = scheduler(&[node("a", 8_000, 2, "T4"), node("b", 4_000, 1, "A10")]);
    let kept = scheduler.place(&vm("kept", 1_000)).unwrap();
    let before = snapshot(&scheduler);
    let with_gpus = |name, count, milli, gpu_spec| VmSpec {
        gpu_spec,
        resources: Resources { gpus: GpuRequest { count, milli }, ..Resources::default() },
        ..vm(name, 0)
    };
    let large = VmSpec { resources: Resources { memory_mib: 16_385, ..Resources::default() }, ..vm("large", 0) };
    let cases: [(VmSpec<'_>, Resource, u32, u32, &str); 7] = [
        (vm("cores", 7_500), Resource::CpuMilli, 7_500, 6_000, "7500 mCPU asked for, no node has more than 6000 left"),
        (large, Resource::MemoryMib, 16_385, 16_384, "16385 MiB asked for, no node has more than 16384 left"),
        (with_gpus("model", 1, 1, "V100"), Resource::GpuModel, 0, 0, "no node has a GPU of its models"),
        (
            with_gpus("share", 1, 1_001, ""),
            Resource::GpuMilli,
            1_001,
            1_000,
            "1001 mGPU of one device asked for, none has more than 1000 left",
        ),
        (
            with_gpus("whole", 2, 1_000, "A10"),
            Resource::Gpus,
            2,
            1,
            "2 whole GPUs asked for, no node has more than 1 left",
        ),
        (
            VmSpec { resources: Resources { cpu_milli: 5_000, ..Resources::default() }, gpu_spec: "A10", ..vm("m", 0) },
            Resource::CpuMilli,
            5_000,
            4_000,
            "5000 mCPU asked for, no node has more than 4000 left",
        ),
        (
            VmSpec {
                resources: Resources { cpu_milli: 5_000, memory_mib: 16_383, gpus: GpuRequest { count: 1, milli: 1 } },
                ..vm("all", 0)
            },
            Resource::Together,
            0,
            0,
            "no node has all of it left, though each resource is there",
        ),
    ];
    for (spec, resource, asked, most, text) in cases {
        // The first takes 1,000 of each of the two nodes' cores; only one of them has 5,000 left then.
        let batch = [vm("first", 1_000), spec, vm("third", 1)];
        let (at, name, shortage) = short(scheduler.place_all(&arena, &batch));
        assert_eq!((at, name.as_str()), (1, spec.name));
        assert_eq!(shortage, Shortage { resource, asked, most }, "{}", spec.name);
        assert_eq!(shortage.to_string(), text);
        assert_eq!(snapshot(&scheduler), before, "{}", spec.name);
    }
    let error = scheduler.place_all(&arena, &[vm("x", 1), vm("y", 9_000)]).unwrap_err();
    assert_eq!(error.to_string(), "VM 1 of the batch, \"y\": 9000 mCPU asked for, no node has more than 6999 left");
    scheduler.release(&kept.placement);
    assert!(scheduler.table().is_free());
}

#[test]
fn no_node_at_all_is_a_shortage_too() {
    let arena = Arena::new();
    let mut empty = scheduler(&[]);
    assert_eq!(short(empty.place_all(&arena, &[vm("vm", 0)])).2.resource, Resource::Nodes);
    assert_eq!(empty.place_all(&arena, &[]), Ok(&[][..]));
    let mut closed = scheduler(&[node("a", 8_000, 0, "")]);
    closed.set_open(NodeId(0), false);
    assert_eq!(short(closed.place_all(&arena, &[vm("vm", 0)])).2.resource, Resource::Nodes);
}

#[test]
fn hostile_batches_are_refused() {
    let arena = Arena::new();
    let mut scheduler = scheduler(&[node("a", 8_000, 0, "")]);
    let error = scheduler.place_all(&arena, &[vm("vm", 1), vm("other", 1), vm("vm", 1)]).unwrap_err();
    assert_eq!(error, BatchError::NameTwice { at: 2, vm: "vm" });
    let many = vec![vm("vm", 1); BATCH_VMS_MAX + 1];
    assert_eq!(scheduler.place_all(&arena, &many).unwrap_err(), BatchError::TooManyVms { vms: BATCH_VMS_MAX + 1 });
    assert!(scheduler.table().is_free());
}

#[test]
fn the_important_choose_first() {
    let arena = Arena::new();
    let mut scheduler = scheduler(&[node("large", 8_000, 0, ""), node("small", 4_000, 0, "")]);
    let batch = [
        VmSpec { preemptible: true, priority: 1, ..vm("late", 3_000) },
        vm("last", 3_000),
        VmSpec { priority: 1, ..vm("second", 5_000) },
        VmSpec { priority: 9, ..vm("first", 1_000) },
    ];
    let decisions = scheduler.place_all(&arena, &batch[..3]).unwrap();
    let nodes: Vec<u32> = decisions.iter().map(|decision| decision.placement.unwrap().node.0).collect();
    assert_eq!(nodes, [1, 0, 0], "`second` got the large node, then `late` the one with more left, then `last`");
    scheduler.free_all();
    let decisions = scheduler.place_all(&arena, &batch[2..]).unwrap();
    assert_eq!(decisions[1].placement.unwrap().score, decisions[1].placement.unwrap().score);
    assert!(decisions[0].placement.unwrap().score < decisions[1].placement.unwrap().score);
}

#[test]
fn decisions_tell_what_was_decided() {
    let nodes: Vec<Node> = (0..6).map(|at| node(&format!("n{at}"), 8_000 + at, 0, "")).collect();
    let mut table = NodeTable::new(&nodes).unwrap();
    table.rank_by(PlacementStrategy::BestFit);
    let mut scheduler = BatchScheduler::new(table);
    let shared = SharedArena::new();
    let decisions = scheduler.place_each(&shared, &[vm("vm", 8_001), vm("huge", 9_000)]);
    let placement = decisions[0].placement.unwrap();
    assert_eq!(placement.node, NodeId(1));
    let reason = format!("n1 is the tightest fit of 6 nodes, score {}, alternatives: 3", placement.score);
    assert_eq!(decisions[0].reason, reason);
    let others: Vec<u32> = decisions[0].alternatives.iter().map(|other| other.node.0).collect();
    assert_eq!(others, [2, 3, 4]);
    assert!(decisions[0].alternatives.is_sorted_by(|one, other| one.score >= other.score));
    assert_eq!((decisions[1].placement, decisions[1].alternatives), (None, &[][..]));
    assert_eq!(decisions[1].reason, "none of 6 nodes will do: 9000 mCPU asked for, no node has more than 8005 left");
}

#[test]
fn groups_end_with_their_last_vm_and_are_bounded() {
    let mut scheduler = scheduler(&[node("a", u32::MAX, 0, ""), node("b", u32::MAX, 0, "")]);
    let names: Vec<String> = (0..=GROUPS_MAX).map(|at| format!("g{at}")).collect();
    let wish = |group| VmSpec { anti_affinity: Some(AntiAffinity { group, level: Level::Rack }), ..vm("vm", 1) };
    let placed: Vec<Placement> =
        names[..GROUPS_MAX as usize].iter().map(|name| scheduler.place(&wish(name)).unwrap().placement).collect();
    let shortage = scheduler.place(&wish(&names[GROUPS_MAX as usize])).unwrap_err();
    assert_eq!(shortage.to_string(), "4096 anti-affinity groups have VMs, no more may");
    assert!(scheduler.place(&wish(&names[0])).is_ok(), "a group that is there may grow");
    assert_eq!(scheduler.place(&wish(&names[0])).unwrap_err().resource, Resource::Apart(Level::Rack));
    scheduler.release(&placed[7]);
    assert!(scheduler.place(&wish(&names[GROUPS_MAX as usize])).is_ok());
    scheduler.free_all();
    assert!(scheduler.place(&wish(&names[1])).is_ok() && scheduler.place(&wish(&names[1])).is_ok());
}

#[test]
fn who_joins_an_occupied_rack_is_kept_away_from() {
    let domains = typed::Arena::new();
    let mut topology = Topology::new(&domains);
    let racks = ["r1", "r2"].map(|name| topology.add(Level::Rack, name, None).unwrap());
    let mut scheduler = BatchScheduler::new(NodeTable::new(&[]).unwrap());
    scheduler.join(&node("a", 1_000, 0, ""), Some(racks[0])).unwrap();
    let wish = VmSpec { anti_affinity: Some(AntiAffinity { group: "g", level: Level::Rack }), ..vm("vm", 1) };
    let first = scheduler.place(&wish).unwrap().placement;
    let b = scheduler.join(&node("b", 64_000, 0, ""), Some(racks[0])).unwrap();
    assert_eq!(scheduler.place(&wish).unwrap_err().resource, Resource::Apart(Level::Rack));
    // Its place goes to a node of another rack.
    scheduler.leave(b).unwrap();
    let c = scheduler.join(&node("c", 1_000, 0, ""), Some(racks[1])).unwrap();
    assert_eq!((b, scheduler.domain(c).unwrap().name()), (c, "r2"));
    assert_eq!(scheduler.place(&wish).unwrap().placement.node, c);
    scheduler.release(&first);
    assert_eq!(scheduler.place(&wish).unwrap().placement.node, first.node);
}

#[test]
fn a_request_over_its_budget_leaves_everything_as_it_was() {
    let mut scheduler = scheduler(&[node("a", 64_000, 0, "")]);
    let names: Vec<String> = (0..64).map(|at| format!("vm-{at}")).collect();
    let batch: Vec<VmSpec<'_>> = names.iter().map(|name| vm(name, 10)).collect();
    let mut refused = 0;
    for budget in (1..64).map(|step| step * 1_024) {
        let arena = ArenaOptions::new().budget_bytes_max(budget).arena();
        match scheduler.place_all(&arena, &batch) {
            Ok(placed) => assert_eq!(placed.len(), 64),
            Err(BatchError::Budget(over)) => {
                refused += 1;
                assert_eq!(over.allowed, budget);
                assert!(scheduler.table().is_free(), "{budget}");
            }
            Err(other) => panic!("{other}"),
        }
        scheduler.free_all();
        let arena = ArenaOptions::new().budget_bytes_max(budget).arena();
        match scheduler.try_place_each(&arena, &batch) {
            Ok(placed) => assert_eq!(placed.len(), 64),
            Err(over) => {
                assert_eq!(over.allowed, budget);
                assert!(scheduler.table().is_free(), "{budget}");
            }
        }
        scheduler.free_all();
    }
    assert!(refused > 3 && refused < 63, "{refused}");
}

/// Checks what was decided against what the nodes had, knowing nothing of the scheduler but what it says.
struct Checker<'t> {
    left: HashMap<NodeId, (u64, u64, Vec<u16>)>,
    /// Who occupies what: the group's level and name, and the domain's or node's name.
    occupied: HashSet<(Level, String, String)>,
    stands_in: HashMap<NodeId, &'t Domain<'t>>,
}

impl<'t> Checker<'t> {
    fn new(scheduler: &BatchScheduler<'t>) -> Self {
        let (mut left, mut stands_in) = (HashMap::new(), HashMap::new());
        for id in scheduler.table().nodes() {
            let node = scheduler.table().node(id);
            let devices = vec![GPU_MILLI; usize::from(node.gpus)];
            left.insert(id, (node.cpu_milli.into(), node.memory_mib.into(), devices));
            if let Some(domain) = scheduler.domain(id) {
                stands_in.insert(id, domain);
            }
        }
        Self { left, occupied: HashSet::new(), stands_in }
    }

    fn place(&self, wish: AntiAffinity<'_>, node: NodeId) -> (Level, String, String) {
        let mut domain = self.stands_in.get(&node).copied();
        while domain.is_some_and(|domain| domain.level() != wish.level) {
            domain = domain.unwrap().above();
        }
        let name = domain.map_or_else(|| format!("node {}", node.0), |domain| domain.name().to_owned());
        (wish.level, wish.group.to_owned(), name)
    }

    fn take(&mut self, table: &NodeTable, spec: &VmSpec<'_>, placement: &Placement) {
        let node = table.node(placement.node);
        assert!(spec.gpu_spec.is_empty() || spec.gpu_spec.split('|').any(|model| model == node.model), "{spec:?}");
        let resources = spec.resources;
        let (cpu, memory, devices) = self.left.get_mut(&placement.node).unwrap();
        *cpu = cpu.checked_sub(resources.cpu_milli.into()).expect("cores were left");
        *memory = memory.checked_sub(resources.memory_mib.into()).expect("memory was left");
        assert_eq!(placement.devices.mask.count_ones(), u32::from(resources.gpus.count));
        for device in (0..16).filter(|device| placement.devices.mask >> device & 1 == 1) {
            let taken = resources.gpus.milli_per_device();
            assert_eq!(placement.devices.milli, taken);
            assert!(resources.gpus.count < 2 || devices[device] == GPU_MILLI, "several GPUs are whole ones");
            devices[device] = devices[device].checked_sub(taken).expect("the GPU was left");
        }
        if let Some(wish) = spec.anti_affinity {
            let place = self.place(wish, placement.node);
            assert!(self.occupied.insert(place), "{spec:?} shares its {}", wish.level);
        }
    }

    fn give_back(&mut self, spec: &VmSpec<'_>, placement: &Placement) {
        let (cpu, memory, devices) = self.left.get_mut(&placement.node).unwrap();
        *cpu += u64::from(spec.resources.cpu_milli);
        *memory += u64::from(spec.resources.memory_mib);
        for device in (0..16).filter(|device| placement.devices.mask >> device & 1 == 1) {
            devices[device] += placement.devices.milli;
        }
        if let Some(wish) = spec.anti_affinity {
            assert!(self.occupied.remove(&self.place(wish, placement.node)));
        }
    }

    fn agrees(&self, table: &NodeTable) {
        for (&node, (cpu, memory, devices)) in &self.left {
            assert_eq!((u64::from(table.left(node).0), u64::from(table.left(node).1)), (*cpu, *memory));
            assert_eq!(&table.devices(node)[..devices.len()], &devices[..]);
        }
    }
}

/// A VM as a test draws it: cores, MiB, GPUs, milli-GPUs, group and level, priority.
type Drawn = (u32, u32, u8, u16, Option<(u8, u8)>, u8);

fn any_vm() -> impl Strategy<Value = Drawn> {
    let wish = prop_oneof![1 => Just(None), 1 => (0..3_u8, 0..4_u8).prop_map(Some)];
    (0..6_u32, 0..6_u32, 0..3_u8, 0..=1_000_u16, wish, 0..3_u8)
}

const GROUPS: [&str; 3] = ["db", "web", "queue"];

fn spec<'v>(name: &'v str, &(cores, gib, gpus, milli, wish, priority): &Drawn) -> VmSpec<'v> {
    VmSpec {
        name,
        gpu_spec: if milli % 5 == 0 { "T4|A10" } else { "" },
        resources: Resources {
            cpu_milli: cores * 1_000,
            memory_mib: gib * 1_024,
            gpus: GpuRequest { count: gpus, milli },
        },
        anti_affinity: wish.map(|(group, level)| AntiAffinity {
            group: GROUPS[usize::from(group)],
            level: Level::ALL[usize::from(level)],
        }),
        priority,
        ..VmSpec::default()
    }
}

fn cluster<'t>(topology: &mut Topology<'t>, nodes: u32, strategy: PlacementStrategy) -> BatchScheduler<'t> {
    let region = topology.add(Level::Region, "eu", None).unwrap();
    let zones = ["z1", "z2"].map(|name| topology.add(Level::Zone, name, Some(region)).unwrap());
    let racks = [0, 1, 2, 3, 4].map(|at| topology.add(Level::Rack, &format!("r{at}"), Some(zones[at % 2])).unwrap());
    let mut table = NodeTable::new(&[]).unwrap();
    table.rank_by(strategy);
    let mut scheduler = BatchScheduler::new(table);
    for at in 0..nodes {
        // Some stand in no rack, and some in a zone without one.
        let domain = match at % 7 {
            5 => None,
            6 => Some(zones[at as usize % 2]),
            rack => Some(racks[rack as usize]),
        };
        let model = ["", "T4", "A10"][at as usize % 3];
        let gpus = if model.is_empty() { 0 } else { u8::try_from(at % 4).unwrap() };
        scheduler.join(&node(&format!("n{at}"), 4_000 + 4_000 * (at % 5), gpus, model), domain).unwrap();
    }
    scheduler
}

fn run_batches<A: AnyArena>(
    arena: &A,
    nodes: u32,
    strategy: PlacementStrategy,
    batches: &[Vec<Drawn>],
    releases: &[usize],
) {
    let domains = typed::Arena::new();
    let mut topology = Topology::new(&domains);
    let mut scheduler = cluster(&mut topology, nodes, strategy);
    let mut checker = Checker::new(&scheduler);
    let names: Vec<String> = (0..64).map(|at| format!("vm-{at}")).collect();
    let mut running: Vec<(VmSpec<'_>, Placement)> = Vec::new();
    for (round, batch) in batches.iter().enumerate() {
        let specs: Vec<VmSpec<'_>> = batch.iter().zip(&names).map(|(vm, name)| spec(name, vm)).collect();
        let before = snapshot(&scheduler);
        match scheduler.place_all(arena, &specs) {
            Ok(decisions) => {
                for (spec, decision) in specs.iter().zip(decisions) {
                    let placement = decision.placement.unwrap();
                    checker.take(scheduler.table(), spec, &placement);
                    assert!(decision.reason.contains(scheduler.table().name(placement.node)));
                    assert!(decision.alternatives.iter().all(|other| {
                        other.node != placement.node
                            && (other.score, std::cmp::Reverse(other.node))
                                < (placement.score, std::cmp::Reverse(placement.node))
                    }));
                    running.push((*spec, placement));
                }
            }
            Err(error) => {
                assert_eq!(snapshot(&scheduler), before, "{error}");
                for (spec, decision) in specs.iter().zip(scheduler.place_each(arena, &specs)) {
                    if let Some(placement) = decision.placement {
                        checker.take(scheduler.table(), spec, &placement);
                        running.push((*spec, placement));
                    } else {
                        assert!(decision.reason.starts_with("none of"), "{}", decision.reason);
                    }
                }
            }
        }
        checker.agrees(scheduler.table());
        for _ in 0..releases.get(round).copied().unwrap_or(0) % 12 {
            if running.is_empty() {
                break;
            }
            let (spec, placement) = running.swap_remove(releases[round] % running.len());
            scheduler.release(&placement);
            checker.give_back(&spec, &placement);
        }
        checker.agrees(scheduler.table());
    }
    for (spec, placement) in running {
        scheduler.release(&placement);
        checker.give_back(&spec, &placement);
    }
    assert!(scheduler.table().is_free() && checker.occupied.is_empty());
    for node in scheduler.table().nodes().collect::<Vec<_>>() {
        scheduler.leave(node).unwrap();
    }
    assert!(scheduler.table().is_empty());
}

proptest! {
    #[test]
    fn every_decision_stands_up_to_an_independent_checker(
        nodes in 0..60_u32,
        strategy in (0..PlacementStrategy::ALL.len()).prop_map(|at| PlacementStrategy::ALL[at]),
        batches in proptest::collection::vec(proptest::collection::vec(any_vm(), 0..20), 1..12),
        releases in proptest::collection::vec(any::<usize>(), 0..12),
        shared in any::<bool>(),
    ) {
        if shared {
            run_batches(&SharedArena::new(), nodes, strategy, &batches, &releases);
        } else {
            run_batches(&Arena::new(), nodes, strategy, &batches, &releases);
        }
    }
}
