//! Every kernel, and both plain ways, find what the scalar twin finds, and the scalar twin finds what a naive search does;
//! after any sequence of placing, giving back, joining and leaving the table balances.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without may panic")]

use control_plane::scheduler::baseline::{OnePass, rank_original};
use control_plane::scheduler::{
    Candidate, Chosen, Demand, GPU_MILLI, GPUS_PER_NODE_MAX, GpuRequest, Kernel, Node, NodeId, NodeSet, NodeTable,
    Placement, PlacementStrategy, Resources,
};
use proptest::prelude::*;

const MODELS: [&str; 3] = ["", "T4", "A10"];
const SPECS: [&str; 5] = ["", "T4", "A10", "T4|A10", "V100"];

/// Sizes around each kernel's lanes, a block of 32 nodes, and 16 blocks.
const LENGTHS: [usize; 24] =
    [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 127, 129, 511, 513, 545];

#[expect(clippy::print_stdout, reason = "a skipped kernel says so")]
fn kernels() -> Vec<Kernel> {
    if Kernel::avx512().is_none() {
        println!("skipped: this machine has no AVX-512 (as of Ice Lake)");
    }
    if Kernel::avx2().is_none() {
        println!("skipped: this machine has no AVX2");
    }
    Kernel::all().collect()
}

/// All ways to rank agree; what they agree on.
fn rank_all_ways(table: &NodeTable, demand: &Demand, without: &NodeSet, kernels: &[Kernel]) -> Vec<Candidate> {
    let expected = table.rank_scalar(demand, without);
    for &kernel in kernels {
        let mut table = table.clone();
        table.search_with(kernel);
        assert_eq!(table.rank_without(demand, without), expected, "{kernel:?} {demand:?}");
    }
    assert_eq!(rank_original(table, demand, without), expected, "{demand:?}");
    if without.iter().next().is_none() {
        assert_eq!(table.rank(demand), expected, "{demand:?}");
        let one_pass = OnePass::new(table);
        assert_eq!(one_pass.rank(demand), expected, "{demand:?}");
        assert_eq!(one_pass.best(demand), expected.best(), "{demand:?}");
    }
    expected.as_slice().to_vec()
}

fn extreme() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => (0..20_u32).prop_map(|n| n * 1_000),
        1 => Just(0),
        1 => Just(1),
        1 => Just(i32::MAX as u32),
        1 => Just(i32::MAX as u32 + 1),
        1 => Just(u32::MAX - 1),
        1 => Just(u32::MAX),
        1 => any::<u32>(),
    ]
}

fn any_node(name: usize) -> impl Strategy<Value = Node> {
    let plain = ((0..20_u32).prop_map(|n| n * 1_000), (0..20_u32).prop_map(|n| n * 1_024));
    (prop_oneof![3 => plain, 1 => (extreme(), extreme())], 0..=16_u8, 0..MODELS.len()).prop_map(
        move |((cpu_milli, memory_mib), gpus, model)| Node {
            name: format!("n{name}"),
            cpu_milli,
            memory_mib,
            gpus,
            model: MODELS[model].to_owned(),
        },
    )
}

fn any_nodes(lengths: &'static [usize]) -> impl Strategy<Value = Vec<Node>> {
    (0..lengths.len()).prop_flat_map(|at| (0..lengths[at]).map(any_node).collect::<Vec<_>>())
}

fn any_resources() -> impl Strategy<Value = Resources> {
    let gpus = prop_oneof![
        2 => Just(GpuRequest::default()),
        2 => (0..=1_001_u16).prop_map(|milli| GpuRequest { count: 1, milli }),
        2 => (2..=9_u8).prop_map(|count| GpuRequest { count, milli: 1_000 }),
        1 => (any::<u8>(), any::<u16>()).prop_map(|(count, milli)| GpuRequest { count, milli }),
    ];
    let small = ((0..8_u32).prop_map(|n| n * 500), (0..8_u32).prop_map(|n| n * 512));
    (prop_oneof![4 => small, 1 => (extreme(), extreme())], gpus).prop_map(|((cpu_milli, memory_mib), gpus)| Resources {
        cpu_milli,
        memory_mib,
        gpus,
    })
}

fn any_strategy() -> impl Strategy<Value = PlacementStrategy> {
    (0..PlacementStrategy::ALL.len()).prop_map(|at| PlacementStrategy::ALL[at])
}

#[derive(Debug, Clone)]
enum Step {
    Place(Resources, usize),
    GiveBack(usize),
    Join(u32, u32, u8, usize),
    Leave(usize),
    SetOpen(usize, bool),
    RankBy(PlacementStrategy),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any_resources(), 0..SPECS.len()).prop_map(|(resources, spec)| Step::Place(resources, spec)),
        4 => any::<usize>().prop_map(Step::GiveBack),
        1 => (extreme(), extreme(), 0..=16_u8, 0..MODELS.len())
            .prop_map(|(cpu, memory, gpus, model)| Step::Join(cpu, memory, gpus, model)),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(node, open)| Step::SetOpen(node, open)),
        1 => any_strategy().prop_map(Step::RankBy),
    ]
}

/// What a node has left, kept the naive way.
struct Model {
    node: Node,
    cpu_milli: u32,
    memory_mib: u32,
    devices: Vec<u16>,
    vms: u32,
    open: bool,
}

impl Model {
    fn new(node: Node) -> Self {
        let devices = vec![GPU_MILLI; usize::from(node.gpus)];
        Self { cpu_milli: node.cpu_milli, memory_mib: node.memory_mib, devices, vms: 0, open: true, node }
    }

    fn fits(&self, resources: Resources, spec: &str) -> bool {
        let model = &self.node.model;
        let model_will_do = spec.is_empty() || spec.split('|').any(|name| name == model && !model.is_empty());
        let milli = resources.gpus.milli_per_device();
        let fitting = self.devices.iter().filter(|&&left| left >= milli && left > 0).count();
        self.open
            && model_will_do
            && self.cpu_milli >= resources.cpu_milli
            && self.memory_mib >= resources.memory_mib
            && fitting >= usize::from(resources.gpus.count)
    }

    /// The score in the words of the strategies' documentation, wide enough that nothing is cut but where they say so.
    fn score(&self, strategy: PlacementStrategy, largest: [u32; 3], gpus: bool) -> u64 {
        let whole = 1_u128 << 62;
        let share = |left: u32, largest: u32| (u128::from(left) * (whole / u128::from(largest.max(1)))) >> 32;
        let gpu_left: u32 = self.devices.iter().map(|&left| u32::from(left)).sum();
        let plain = share(self.cpu_milli, largest[0]) + share(self.memory_mib, largest[1]);
        let all = plain + if gpus { share(gpu_left, largest[2]) } else { 0 };
        let score = match strategy {
            PlacementStrategy::MostAvailable => all,
            PlacementStrategy::BestFit => u128::from(u32::MAX) - all,
            PlacementStrategy::Spread => u128::from(0xffff - self.vms.min(0xffff)) * 65_536 + all / 65_536,
            PlacementStrategy::GpuPacking => {
                u128::from(u32::MAX) - (u128::from(gpu_left) * (1 << 18) + plain / (1 << 14))
            }
        };
        u64::try_from(score).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_ways_to_rank_agree(
        nodes in any_nodes(&LENGTHS),
        strategy in any_strategy(),
        demands in proptest::collection::vec((any_resources(), 0..SPECS.len()), 1..40),
        without in proptest::collection::vec(0..600_u32, 0..40),
    ) {
        let kernels = kernels();
        let mut table = NodeTable::new(&nodes).unwrap();
        table.rank_by(strategy);
        let mut set = NodeSet::new();
        for node in without {
            set.insert(NodeId(node));
        }
        for (resources, spec) in demands {
            let demand = Demand { resources, models: table.models(SPECS[spec]) };
            let limited = rank_all_ways(&table, &demand, &set, &kernels);
            prop_assert!(limited.iter().all(|candidate| !set.contains(candidate.node)));
            let found = rank_all_ways(&table, &demand, &NodeSet::new(), &kernels);
            // Where there are choices, not always the best, so that the table gets uneven.
            if let Some(&candidate) = found.get(1).or(found.first()) {
                table.take(candidate, &demand);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_table_balances_and_agrees_with_a_naive_search(
        nodes in any_nodes(&[0, 1, 3, 11, 40]),
        steps in proptest::collection::vec(any_step(), 1..200),
    ) {
        let kernels = kernels();
        let mut table = NodeTable::new(&nodes).unwrap();
        let mut model: Vec<Option<Model>> = nodes.into_iter().map(Model::new).map(Some).collect();
        let mut largest = [0; 3];
        for model in model.iter().flatten() {
            grow(&mut largest, &model.node);
        }
        let mut strategy = PlacementStrategy::MostAvailable;
        let mut placed: Vec<Placement> = Vec::new();
        let mut joined = 0;
        for step in steps {
            match step {
                Step::GiveBack(at) if !placed.is_empty() => {
                    let placement = placed.swap_remove(at % placed.len());
                    table.give_back(&placement);
                    let left = model[placement.node.0 as usize].as_mut().unwrap();
                    left.cpu_milli += placement.cpu_milli;
                    left.memory_mib += placement.memory_mib;
                    left.vms -= 1;
                    for (device, milli) in left.devices.iter_mut().enumerate() {
                        if placement.devices.mask >> device & 1 == 1 { *milli += placement.devices.milli; }
                    }
                }
                Step::Join(cpu_milli, memory_mib, gpus, at) => {
                    joined += 1;
                    let name = format!("joined-{joined}");
                    let node = Node { name, cpu_milli, memory_mib, gpus, model: MODELS[at].to_owned() };
                    let id = table.join(&node).unwrap().0 as usize;
                    prop_assert_eq!(id, model.iter().position(Option::is_none).unwrap_or(model.len()));
                    grow(&mut largest, &node);
                    if id == model.len() { model.push(None); }
                    model[id] = Some(Model::new(node));
                }
                Step::Leave(at) if !model.is_empty() => {
                    let at = at % model.len();
                    let Some(left) = &model[at] else { continue };
                    let node = table.find(&left.node.name).unwrap();
                    prop_assert_eq!(table.node(node), left.node.clone());
                    prop_assert_eq!(table.leave(node).is_ok(), left.vms == 0);
                    if left.vms == 0 { model[at] = None; }
                }
                Step::SetOpen(at, open) if !model.is_empty() => {
                    let at = at % model.len();
                    let Some(left) = &mut model[at] else { continue };
                    left.open = open;
                    table.set_open(table.find(&left.node.name).unwrap(), open);
                }
                Step::GiveBack(_) | Step::Leave(_) | Step::SetOpen(..) => {}
                Step::RankBy(other) => {
                    strategy = other;
                    table.rank_by(strategy);
                }
                Step::Place(resources, spec) => {
                    let spec = SPECS[spec];
                    let demand = Demand { resources, models: table.models(spec) };
                    let gpus = resources.gpus.count > 0;
                    let mut expected: Vec<(u64, usize)> = (0..model.len())
                        .filter_map(|at| Some((at, model[at].as_ref()?)))
                        .filter(|(_, left)| left.fits(resources, spec))
                        .map(|(at, left)| (left.score(strategy, largest, gpus), at))
                        .collect();
                    expected.sort_by_key(|&(score, at)| (std::cmp::Reverse(score), at));
                    expected.truncate(4);
                    let without = NodeSet::new();
                    let set_free = table.nodes().all(|node| model[node.0 as usize].as_ref().unwrap().open);
                    let found = if set_free {
                        rank_all_ways(&table, &demand, &without, &kernels)
                    } else {
                        table.rank(&demand).as_slice().to_vec()
                    };
                    let found: Vec<_> =
                        found.iter().map(|found| (u64::from(found.score), found.node.0 as usize)).collect();
                    prop_assert_eq!(&found, &expected);
                    let before = table.clone();
                    let Ok(Chosen { placement, ranking }) = table.place(&demand) else { continue };
                    prop_assert_eq!(ranking, before.rank(&demand));
                    prop_assert_eq!(placement.node.0 as usize, expected[0].1);
                    let left = model[placement.node.0 as usize].as_mut().unwrap();
                    // Subtraction panics where the node does not have it.
                    left.cpu_milli -= placement.cpu_milli;
                    left.memory_mib -= placement.memory_mib;
                    left.vms += 1;
                    prop_assert_eq!(placement.devices.mask.count_ones(), u32::from(resources.gpus.count));
                    for device in 0..GPUS_PER_NODE_MAX {
                        if placement.devices.mask >> device & 1 == 1 { left.devices[device] -= placement.devices.milli; }
                    }
                    placed.push(placement);
                }
            }
            for (at, left) in model.iter().enumerate() {
                let Some(left) = left else { continue };
                let node = NodeId(u32::try_from(at).unwrap());
                prop_assert_eq!(table.left(node), (left.cpu_milli, left.memory_mib));
                prop_assert_eq!(&table.devices(node)[..left.devices.len()], &left.devices[..]);
                prop_assert_eq!(table.vms(node), left.vms);
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

fn grow(largest: &mut [u32; 3], node: &Node) {
    let has = [node.cpu_milli, node.memory_mib, u32::from(node.gpus) * u32::from(GPU_MILLI)];
    for (largest, has) in largest.iter_mut().zip(has) {
        *largest = has.max(*largest);
    }
}

#[test]
fn equal_nodes_come_in_their_order() {
    for count in LENGTHS {
        let node =
            |at| Node { name: format!("n{at}"), cpu_milli: 8_000, memory_mib: 8_192, gpus: 1, model: String::new() };
        let table = NodeTable::new(&(0..count).map(node).collect::<Vec<_>>()).unwrap();
        let demand = Demand { resources: Resources::default(), models: table.models("") };
        let found = rank_all_ways(&table, &demand, &NodeSet::new(), &kernels());
        let nodes: Vec<_> = found.iter().map(|candidate| candidate.node.0 as usize).collect();
        assert_eq!(nodes, (0..count.min(4)).collect::<Vec<_>>());
        let too_much = Resources { cpu_milli: 8_001, ..Resources::default() };
        let demand = Demand { resources: too_much, models: table.models("") };
        assert_eq!(rank_all_ways(&table, &demand, &NodeSet::new(), &kernels()), []);
    }
}

#[test]
fn nodes_without_capacity_serve_what_asks_for_nothing() {
    let node = |name: &str| Node { name: name.to_owned(), cpu_milli: 0, memory_mib: 0, gpus: 0, model: String::new() };
    let table = NodeTable::new(&[node("a"), node("b")]).unwrap();
    let demand = Demand { resources: Resources::default(), models: table.models("") };
    assert_eq!(rank_all_ways(&table, &demand, &NodeSet::new(), &kernels()).len(), 2);
    let one_core = Resources { cpu_milli: 1, ..Resources::default() };
    let demand = Demand { resources: one_core, models: table.models("") };
    assert_eq!(rank_all_ways(&table, &demand, &NodeSet::new(), &kernels()), []);
}
