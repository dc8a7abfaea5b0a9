//! Placement never exceeds capacity, obeys the rules for GPUs, and chooses what a naive search chooses.

use control_plane::scheduler::{
    Demand, GPU_MILLI, GPU_MODELS_MAX, GPUS_PER_NODE_MAX, GpuRequest, Node, NodeId, NodeTable, NodeTableError,
    Placement, Resources,
};
use proptest::prelude::*;

fn node(name: &str, cpu_milli: u32, gpus: u8, model: &str) -> Node {
    Node { name: name.to_owned(), cpu_milli, memory_mib: 65_536, gpus, model: model.to_owned() }
}

fn gpus(count: u8, milli: u16) -> Resources {
    Resources { cpu_milli: 1_000, memory_mib: 1_024, gpus: GpuRequest { count, milli } }
}

fn place(table: &mut NodeTable, resources: Resources, gpu_spec: &str) -> Option<Placement> {
    let models = table.models(gpu_spec);
    table.place(&Demand { resources, models })
}

#[test]
fn the_node_with_the_most_left_wins_and_of_equals_the_first() {
    let nodes = [node("a", 8_000, 0, ""), node("b", 16_000, 0, ""), node("c", 16_000, 0, "")];
    let mut table = NodeTable::new(&nodes).unwrap();
    let chosen: Vec<u32> = (0..3).map(|_| place(&mut table, gpus(0, 0), "").unwrap().node.0).collect();
    // b and c are equal at first; b then has less than c; after that they are equal again.
    assert_eq!(chosen, [1, 2, 1]);
}

#[test]
fn what_does_not_fit_anywhere_is_refused_and_takes_nothing() {
    let mut table = NodeTable::new(&[node("a", 8_000, 1, "T4")]).unwrap();
    let refused = [
        Resources { cpu_milli: 8_001, ..Resources::default() },
        Resources { memory_mib: 65_537, ..Resources::default() },
        Resources { gpus: GpuRequest { count: 2, milli: 1_000 }, ..Resources::default() },
        Resources { gpus: GpuRequest { count: 1, milli: 1_001 }, ..Resources::default() },
    ];
    for resources in refused {
        assert_eq!(place(&mut table, resources, ""), None, "{resources:?}");
        assert!(table.is_free());
    }
    assert_eq!(place(&mut NodeTable::new(&[]).unwrap(), Resources::default(), ""), None);
}

#[test]
fn a_share_of_a_gpu_comes_from_one_device_only() {
    let mut table = NodeTable::new(&[node("a", 64_000, 2, "T4")]).unwrap();
    place(&mut table, gpus(1, 600), "").unwrap();
    place(&mut table, gpus(1, 600), "").unwrap();
    assert_eq!(table.devices(NodeId(0))[..3], [400, 400, 0]);
    // 800 are left in all, but no device has 500.
    assert_eq!(place(&mut table, gpus(1, 500), ""), None);
    let exact = place(&mut table, gpus(1, 400), "").unwrap();
    assert_eq!((exact.devices.mask, exact.devices.milli), (0b01, 400));
}

#[test]
fn a_share_goes_to_the_fullest_device_that_has_it() {
    let mut table = NodeTable::new(&[node("a", 64_000, 2, "T4")]).unwrap();
    place(&mut table, gpus(1, 300), "").unwrap();
    let second = place(&mut table, gpus(1, 300), "").unwrap();
    assert_eq!(second.devices.mask, 0b01, "the second device stays whole");
    assert_eq!(table.devices(NodeId(0))[..2], [400, 1_000]);
}

#[test]
fn several_gpus_are_whole_ones() {
    let mut table = NodeTable::new(&[node("a", 64_000, 4, "T4")]).unwrap();
    let share = place(&mut table, gpus(1, 10), "").unwrap();
    let three = place(&mut table, gpus(3, 1_000), "").unwrap();
    assert_eq!(three.devices.mask, 0b1110);
    assert_eq!(place(&mut table, gpus(2, 1_000), ""), None, "990 of a device are not a device");
    table.give_back(&share);
    table.give_back(&three);
    assert!(table.is_free());
    assert!(place(&mut table, gpus(4, 1_000), "").is_some());
}

#[test]
fn gpu_spec_restricts_models() {
    let nodes = [node("plain", 99_000, 0, ""), node("t4", 64_000, 1, "T4"), node("a10", 32_000, 1, "A10")];
    let mut table = NodeTable::new(&nodes).unwrap();
    let chosen = |table: &mut NodeTable, resources, spec| {
        let placement = place(table, resources, spec)?;
        table.give_back(&placement);
        Some(nodes[placement.node.0 as usize].name.as_str())
    };
    assert_eq!(chosen(&mut table, gpus(1, 500), ""), Some("t4"));
    assert_eq!(chosen(&mut table, gpus(1, 500), "A10"), Some("a10"));
    assert_eq!(chosen(&mut table, gpus(1, 500), "V100|A10|G2"), Some("a10"));
    assert_eq!(chosen(&mut table, gpus(1, 500), "T4|A10"), Some("t4"));
    assert_eq!(chosen(&mut table, gpus(1, 500), "V100"), None, "no node has one");
    assert_eq!(chosen(&mut table, gpus(1, 500), "T"), None, "a part of a name is no name");
    assert_eq!(chosen(&mut table, gpus(0, 0), ""), Some("plain"), "without GPUs their number does not count");
    assert_eq!(chosen(&mut table, gpus(0, 0), "A10"), Some("a10"));
}

#[test]
fn tables_that_cannot_be_kept_are_refused() {
    let gpus_max = u8::try_from(GPUS_PER_NODE_MAX).unwrap();
    assert!(NodeTable::new(&[node("a", 1, gpus_max, "T4")]).is_ok());
    let error = NodeTable::new(&[node("a", 1, gpus_max + 1, "T4")]).unwrap_err();
    assert_eq!(error.to_string(), "node a has 17 GPUs, at most 16 are supported");

    let models = |count: usize| -> Vec<Node> { (0..count).map(|i| node("a", 1, 1, &format!("M{i}"))).collect() };
    let mut full = NodeTable::new(&models(GPU_MODELS_MAX)).unwrap();
    assert!(place(&mut full, Resources::default(), "M62").is_some());
    assert_eq!(NodeTable::new(&models(64)).unwrap_err(), NodeTableError::TooManyModels { models: 64 });
}

#[test]
#[should_panic(expected = "got back more than it has")]
fn capacity_comes_back_once() {
    let mut table = NodeTable::new(&[node("a", 8_000, 0, "")]).unwrap();
    let placement = place(&mut table, gpus(0, 0), "").unwrap();
    table.give_back(&placement);
    table.give_back(&placement);
}

const MODELS: [&str; 3] = ["", "T4", "A10"];
const SPECS: [&str; 5] = ["", "T4", "A10", "T4|A10", "V100"];

fn any_node() -> impl Strategy<Value = Node> {
    (0..20_u32, 0..20_u32, 0..9_u8, 0..MODELS.len()).prop_map(|(cores, gib, gpus, model)| Node {
        name: "n".to_owned(),
        cpu_milli: cores * 1_000,
        memory_mib: gib * 1_024,
        gpus,
        model: MODELS[model].to_owned(),
    })
}

fn any_resources() -> impl Strategy<Value = Resources> {
    let gpus = prop_oneof![
        Just(GpuRequest::default()),
        (1..=1_000_u16).prop_map(|milli| GpuRequest { count: 1, milli }),
        (2..9_u8).prop_map(|count| GpuRequest { count, milli: 1_000 }),
    ];
    (0..8_u32, 0..8_u32, gpus).prop_map(|(cores, gib, gpus)| Resources {
        cpu_milli: cores * 500,
        memory_mib: gib * 512,
        gpus,
    })
}

#[derive(Debug, Clone)]
enum Step {
    Place(Resources, usize),
    GiveBack(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any_resources(), 0..SPECS.len()).prop_map(|(resources, spec)| Step::Place(resources, spec)),
        1 => any::<usize>().prop_map(Step::GiveBack),
    ]
}

/// What a node has left, kept the naive way.
struct Model {
    cpu_milli: u32,
    memory_mib: u32,
    devices: Vec<u16>,
}

impl Model {
    fn fits(&self, node: &Node, resources: Resources, spec: &str) -> bool {
        let model_will_do = spec.is_empty() || spec.split('|').any(|model| model == node.model && !model.is_empty());
        let milli = resources.gpus.milli_per_device();
        let fitting = self.devices.iter().filter(|&&left| left >= milli).count();
        model_will_do
            && self.cpu_milli >= resources.cpu_milli
            && self.memory_mib >= resources.memory_mib
            && fitting >= usize::from(resources.gpus.count)
    }
}

proptest! {
    #[test]
    fn a_table_balances_and_agrees_with_a_naive_search(
        nodes in proptest::collection::vec(any_node(), 0..12),
        steps in proptest::collection::vec(any_step(), 1..200),
    ) {
        let mut table = NodeTable::new(&nodes).unwrap();
        let mut model: Vec<Model> = nodes.iter().map(|node| Model {
            cpu_milli: node.cpu_milli,
            memory_mib: node.memory_mib,
            devices: vec![GPU_MILLI; usize::from(node.gpus)],
        }).collect();
        let largest = |of: fn(&Node) -> u32| u64::from(u32::MAX / nodes.iter().map(of).max().unwrap_or(0).max(1));
        let weights = [
            largest(|node| node.cpu_milli),
            largest(|node| node.memory_mib),
            largest(|node| u32::from(node.gpus) * u32::from(GPU_MILLI)),
        ];
        let mut placed: Vec<Placement> = Vec::new();
        for step in steps {
            match step {
                Step::GiveBack(at) if !placed.is_empty() => {
                    let placement = placed.swap_remove(at % placed.len());
                    table.give_back(&placement);
                    let left = &mut model[placement.node.0 as usize];
                    left.cpu_milli += placement.cpu_milli;
                    left.memory_mib += placement.memory_mib;
                    for (device, milli) in left.devices.iter_mut().enumerate() {
                        if placement.devices.mask >> device & 1 == 1 { *milli += placement.devices.milli; }
                    }
                }
                Step::GiveBack(_) => {}
                Step::Place(resources, spec) => {
                    let spec = SPECS[spec];
                    let score = |left: &Model| {
                        let free: u64 = left.devices.iter().map(|&milli| u64::from(milli)).sum();
                        u64::from(left.cpu_milli) * weights[0]
                            + u64::from(left.memory_mib) * weights[1]
                            + if resources.gpus.count > 0 { free * weights[2] } else { 0 }
                    };
                    let expected = (0..nodes.len())
                        .filter(|&at| model[at].fits(&nodes[at], resources, spec))
                        .map(|at| (score(&model[at]), at))
                        .max_by_key(|&(score, at)| (score, std::cmp::Reverse(at)));
                    let placement = place(&mut table, resources, spec);
                    prop_assert_eq!(
                        placement.map(|placement| (placement.score, placement.node.0 as usize)),
                        expected
                    );
                    let Some(placement) = placement else { continue };
                    let left = &mut model[placement.node.0 as usize];
                    // Subtraction panics where the node does not have it.
                    left.cpu_milli -= placement.cpu_milli;
                    left.memory_mib -= placement.memory_mib;
                    prop_assert_eq!(placement.devices.mask.count_ones(), u32::from(resources.gpus.count));
                    for device in 0..GPUS_PER_NODE_MAX {
                        if placement.devices.mask >> device & 1 == 1 { left.devices[device] -= placement.devices.milli; }
                    }
                    placed.push(placement);
                }
            }
        }
        for placement in &placed {
            table.give_back(placement);
        }
        prop_assert!(table.is_free());
        table.free_all();
        prop_assert!(table.is_free());
    }
}
