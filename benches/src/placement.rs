//! Placing one VM and giving one back, on half-full clusters of 10 to 100,000 nodes: the kernels beside the plain ways.
//!
//! Each operation ranks the nodes (the best and three runners-up), takes from the best, and gives back what was placed 64
//! operations before, so that a cluster stays as full as it is. Before anything is timed, all contenders of a group must have
//! made the same decisions.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use control_plane::scheduler::baseline::{OnePass, rank_original};
use control_plane::scheduler::{
    Candidate, Demand, GpuRequest, Kernel, ModelSet, Node, NodeSet, NodeTable, Placement, Ranking, Resources,
};

use crate::contest::{Contender, Group, Named, Role};
use crate::random::Random;

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("placement/10", || group("placement/10", 10)),
    ("placement/100", || group("placement/100", 100)),
    ("placement/1000", || group("placement/1000", 1_000)),
    ("placement/10000", || group("placement/10000", 10_000)),
    ("placement/100000", || group("placement/100000", 100_000)),
];

/// Placements that are out at a time, beside those that fill the cluster.
const OUT: usize = 64;

/// Different VMs, over which the operations cycle.
const DEMANDS: usize = 1_024;

/// Decisions compared before the clock runs.
const COMPARED: usize = 100;

/// A cluster and how it is searched.
struct Cluster<R> {
    table: NodeTable,
    demands: Vec<Demand>,
    next: usize,
    out: VecDeque<Placement>,
    ranker: R,
}

/// A way to find nodes.
trait Ranker {
    fn rank(&mut self, table: &NodeTable, demand: &Demand) -> Ranked;
    /// A node of the table has changed.
    fn changed(&mut self, _table: &NodeTable, _placement: &Placement) {}
}

/// What a way finds: all, or the best alone.
enum Ranked {
    All(Ranking),
    Best(Option<Candidate>),
}

impl Ranked {
    fn best(&self) -> Option<Candidate> {
        match self {
            Self::All(ranking) => ranking.best(),
            Self::Best(best) => *best,
        }
    }
}

struct Ours;

impl Ranker for Ours {
    fn rank(&mut self, table: &NodeTable, demand: &Demand) -> Ranked {
        Ranked::All(table.rank(demand))
    }
}

struct Original;

impl Ranker for Original {
    fn rank(&mut self, table: &NodeTable, demand: &Demand) -> Ranked {
        Ranked::All(rank_original(table, demand, &NodeSet::new()))
    }
}

struct Scalar {
    columns: OnePass,
    alternatives: bool,
}

impl Ranker for Scalar {
    fn rank(&mut self, _table: &NodeTable, demand: &Demand) -> Ranked {
        if self.alternatives { Ranked::All(self.columns.rank(demand)) } else { Ranked::Best(self.columns.best(demand)) }
    }

    fn changed(&mut self, table: &NodeTable, placement: &Placement) {
        self.columns.update(table, placement.node);
    }
}

impl<R: Ranker> Cluster<R> {
    fn step(&mut self) -> Ranked {
        let demand = self.demands[self.next];
        self.next = (self.next + 1) % DEMANDS;
        let found = self.ranker.rank(&self.table, &demand);
        if let Some(best) = found.best() {
            let placement = self.table.take(best, &demand);
            self.ranker.changed(&self.table, &placement);
            self.out.push_back(placement);
        }
        if self.out.len() > OUT
            && let Some(placement) = self.out.pop_front()
        {
            self.table.give_back(&placement);
            self.ranker.changed(&self.table, &placement);
        }
        found
    }

    fn time(&mut self, iterations: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..iterations {
            black_box(self.step());
        }
        start.elapsed()
    }
}

fn group(name: &'static str, nodes: usize) -> Group {
    let (table, demands) = half_full(nodes);
    let cluster = || (table.clone(), demands.clone());
    let mut contenders = vec![ours("blixard, best kernel", Kernel::best(), cluster())];
    contenders.push(ours("blixard, portable kernel", Kernel::portable(), cluster()));
    contenders.extend(Kernel::avx2().map(|kernel| ours("blixard, AVX2", kernel, cluster())));
    contenders.extend(Kernel::avx512().map(|kernel| ours("blixard, AVX-512", kernel, cluster())));
    let columns = || OnePass::new(&table);
    let all = Scalar { columns: columns(), alternatives: true };
    contenders.push(contender("one pass, scalar, with alternatives", Role::Peer, all, cluster()));
    let best = Scalar { columns: columns(), alternatives: false };
    contenders.push(contender("one pass, scalar, the best alone", Role::Peer, best, cluster()));
    contenders.push(contender("push, clone and sort", Role::Peer, Original, cluster()));
    Group {
        name,
        note: "place a VM with three alternatives, give one back; half-full cluster",
        elements: 1,
        contenders,
    }
}

fn ours(name: &'static str, kernel: Kernel, (mut table, demands): (NodeTable, Vec<Demand>)) -> Contender {
    table.search_with(kernel);
    contender(name, Role::Ours, Ours, (table, demands))
}

fn contender<R: Ranker + 'static>(
    name: &'static str,
    role: Role,
    ranker: R,
    (table, demands): (NodeTable, Vec<Demand>),
) -> Contender {
    let mut oracle =
        Cluster { table: table.clone(), demands: demands.clone(), next: 0, out: VecDeque::new(), ranker: Ours };
    let mut cluster = Cluster { table, demands, next: 0, out: VecDeque::with_capacity(OUT + 1), ranker };
    for at in 0..COMPARED {
        let (Ranked::All(expected), found) = (oracle.step(), cluster.step()) else { unreachable!("ours finds all") };
        match found {
            Ranked::All(found) => assert_eq!(found, expected, "{name}, decision {at}"),
            Ranked::Best(found) => assert_eq!(found, expected.best(), "{name}, decision {at}"),
        }
    }
    Contender::timed(name, role, move |iterations| cluster.time(iterations))
}

/// A cluster of which half the cores are taken, and VMs to come, shaped like those of a GPU cluster.
fn half_full(nodes: usize) -> (NodeTable, Vec<Demand>) {
    let mut random = Random::new(0x91ac_e001);
    let shapes =
        [(96_000, 393_216, 8, "G2"), (96_000, 393_216, 8, "G2"), (104_000, 524_288, 2, "T4"), (64_000, 262_144, 0, "")];
    let nodes: Vec<Node> = (0..nodes)
        .map(|at| {
            let (cpu_milli, memory_mib, gpus, model) = shapes[random.below(shapes.len())];
            Node { name: format!("node-{at}"), cpu_milli, memory_mib, gpus, model: model.to_owned() }
        })
        .collect();
    let mut table = NodeTable::new(&nodes).expect("few models, few GPUs, names of their own");
    let demands: Vec<Demand> = (0..DEMANDS).map(|_| demand(&mut random, &table)).collect();
    let free: u64 = nodes.iter().map(|node| u64::from(node.cpu_milli)).sum();
    let mut taken = 0;
    for demand in demands.iter().cycle().take(64 * nodes.len()) {
        if taken >= free / 2 {
            break;
        }
        if table.place(demand).is_ok() {
            taken += u64::from(demand.resources.cpu_milli);
        }
    }
    (table, demands)
}

fn demand(random: &mut Random, table: &NodeTable) -> Demand {
    let shapes = [(3_200, 5_600), (11_300, 49_152), (8_000, 30_517), (12_500, 57_344), (4_000, 22_888)];
    let (cpu_milli, memory_mib) = shapes[random.below(shapes.len())];
    let share = 100 * u16::try_from(1 + random.below(9)).expect("below 10");
    let gpus = match random.below(20) {
        0..=9 => GpuRequest::default(),
        10..=13 => GpuRequest { count: 1, milli: share },
        14 => GpuRequest { count: 2, milli: 1_000 },
        _ => GpuRequest { count: 1, milli: 1_000 },
    };
    let models = if gpus.count > 0 && random.below(10) == 0 { table.models("T4") } else { ModelSet::ANY };
    Demand { resources: Resources { cpu_milli, memory_mib, gpus }, models }
}
