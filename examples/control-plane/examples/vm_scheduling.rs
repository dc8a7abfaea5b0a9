//! VM scheduling: what each strategy places, what that costs beside the plain ways, and a batch whose VMs stand apart.
//!
//!     cargo run --release -p control-plane --example vm_scheduling
//!     cargo run --release -p control-plane --example vm_scheduling -- --pods PODS.csv --nodes NODES.csv
//!
//! Without files, nodes and VMs are made from a seed. The files are those of the public "openb" trace; every task is placed
//! in its order on free nodes, and none ends. Prints Markdown.

use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use std::{env, fs};

use blixard_arena::Arena;
use blixard_arena::arena::typed;
use control_plane::scheduler::baseline::{OnePass, rank_original};
use control_plane::scheduler::{
    AntiAffinity, BatchScheduler, Candidate, Demand, GpuRequest, Kernel, Level, Node, NodeSet, NodeTable,
    PlacementStrategy, Ranking, Resources, Topology, VmSpec,
};

/// Passes over all VMs; the shortest counts.
const PASSES: usize = 15;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[expect(clippy::print_stdout, reason = "an example speaks")]
fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (source, nodes, vms) = match &arguments[..] {
        [] => ("made from a seed".to_owned(), made_nodes(1_500), made_vms(8_000)),
        [pods, pods_file, nodes, nodes_file] if pods == "--pods" && nodes == "--nodes" => {
            (pods_file.clone(), read_nodes(nodes_file)?, read_vms(pods_file)?)
        }
        _ => return Err("usage: vm_scheduling [--pods FILE --nodes FILE]".into()),
    };
    let mut table = NodeTable::new(&nodes)?;
    let demands: Vec<Demand> =
        vms.iter().map(|(resources, models)| Demand { resources: *resources, models: table.models(models) }).collect();
    println!("{} VMs on {} nodes ({source}).\n", demands.len(), nodes.len());
    println!("{}\n{}", shares(&mut table, &demands), costs(&mut table, &demands));
    println!("{}", apart()?);
    Ok(())
}

/// The share of what is asked for that each strategy places.
fn shares(table: &mut NodeTable, demands: &[Demand]) -> String {
    let amounts = |demand: &Demand| {
        let Resources { cpu_milli, memory_mib, gpus } = demand.resources;
        [cpu_milli, memory_mib, u32::from(gpus.count) * u32::from(gpus.milli_per_device())].map(u64::from)
    };
    let mut text =
        "| strategy | VMs | cores | memory | GPUs | nodes used |\n|---|---:|---:|---:|---:|---:|\n".to_owned();
    for strategy in PlacementStrategy::ALL {
        table.free_all();
        table.rank_by(strategy);
        let (mut vms, mut placed, mut asked) = (0, [0; 3], [0; 3]);
        for demand in demands {
            let taken = table.place(demand).is_ok();
            vms += u64::from(taken);
            for (at, amount) in amounts(demand).into_iter().enumerate() {
                asked[at] += amount;
                placed[at] += if taken { amount } else { 0 };
            }
        }
        let used = table.nodes().filter(|&node| table.vms(node) > 0).count();
        let [cores, memory, gpus] = [0, 1, 2].map(|at| percent(placed[at], asked[at]));
        let vms = percent(vms, demands.len() as u64);
        let _ = writeln!(text, "| {strategy} | {vms} | {cores} | {memory} | {gpus} | {used} |");
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "sums far below 2^52")]
fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// What placing all VMs costs, each way making the same decisions.
fn costs(table: &mut NodeTable, demands: &[Demand]) -> String {
    table.rank_by(PlacementStrategy::MostAvailable);
    let mut decided = Vec::with_capacity(demands.len());
    run(table, demands, NodeTable::rank, |ranking, _| decided.push(*ranking));
    let mut ways: Vec<(String, Duration)> = Vec::new();
    let mut time = |name: String, spent: Duration| match ways.iter_mut().find(|(way, _)| *way == name) {
        Some((_, least)) => *least = spent.min(*least),
        None => ways.push((name, spent)),
    };
    for pass in 0..PASSES {
        for kernel in Kernel::all() {
            table.search_with(kernel);
            let name = format!("this scheduler, {}, with alternatives", kernel.name());
            time(name, run(table, demands, NodeTable::rank, check(&decided)));
        }
        table.free_all();
        let mut columns = OnePass::new(table);
        let start = Instant::now();
        for (demand, expected) in demands.iter().zip(&decided) {
            let best = columns.best(demand);
            assert_eq!(best, expected.best(), "the same decisions");
            take(table, best, demand);
            best.inspect(|best| columns.update(table, best.node));
        }
        time("one pass over columns, scalar, the best alone".to_owned(), start.elapsed());
        table.free_all();
        let mut columns = OnePass::new(table);
        let start = Instant::now();
        for (demand, expected) in demands.iter().zip(&decided) {
            let ranking = columns.rank(demand);
            assert_eq!(ranking, *expected, "the same decisions");
            take(table, ranking.best(), demand);
            ranking.best().inspect(|best| columns.update(table, best.node));
        }
        time("one pass over columns, scalar, with alternatives".to_owned(), start.elapsed());
        if pass < 2 {
            let name = "push, clone and sort".to_owned();
            let original = |table: &NodeTable, demand: &Demand| rank_original(table, demand, &NodeSet::new());
            time(name, run(table, demands, original, check(&decided)));
        }
        let mut next = decided.iter();
        let known = |_: &NodeTable, _: &Demand| *next.next().expect("one per VM");
        time("(taking alone, each node being known)".to_owned(), run(table, demands, known, |_, _| ()));
    }
    let best = format!("this scheduler, {}, with alternatives", Kernel::best().name());
    let ours = ways.iter().find(|(way, _)| *way == best).map_or(Duration::ZERO, |(_, spent)| *spent);
    let mut text = "| most available, all VMs | ms | ns per VM | over ours |\n|---|---:|---:|---:|\n".to_owned();
    for (way, spent) in ways {
        let (ms, ratio) = (spent.as_secs_f64() * 1e3, spent.as_secs_f64() / ours.as_secs_f64());
        let ns = spent.as_nanos() / demands.len().max(1) as u128;
        let _ = writeln!(text, "| {way} | {ms:.2} | {ns} | {ratio:.1} |");
    }
    text
}

/// Places all VMs on free nodes and says how long it took.
fn run(
    table: &mut NodeTable,
    demands: &[Demand],
    mut rank: impl FnMut(&NodeTable, &Demand) -> Ranking,
    mut seen: impl FnMut(&Ranking, usize),
) -> Duration {
    table.free_all();
    let start = Instant::now();
    for (at, demand) in demands.iter().enumerate() {
        let ranking = rank(table, demand);
        seen(&ranking, at);
        take(table, ranking.best(), demand);
    }
    start.elapsed()
}

fn check(decided: &[Ranking]) -> impl FnMut(&Ranking, usize) {
    |ranking, at| assert_eq!(*ranking, decided[at], "the same decisions")
}

fn take(table: &mut NodeTable, best: Option<Candidate>, demand: &Demand) {
    if let Some(best) = best {
        table.take(best, demand);
    }
}

/// Replicas that must not share a rack, placed as a batch.
fn apart() -> Result<String> {
    let domains = typed::Arena::new();
    let mut topology = Topology::new(&domains);
    let mut scheduler = BatchScheduler::new(NodeTable::new(&[])?);
    let zone = topology.add(Level::Zone, "eu-1b", None)?;
    for rack in ["r1", "r2", "r3"] {
        let rack = topology.add(Level::Rack, rack, Some(zone))?;
        for at in 1..=2 {
            let name = format!("{}-n{at}", rack.name());
            let node = Node { name, cpu_milli: 32_000, memory_mib: 131_072, gpus: 0, model: String::new() };
            scheduler.join(&node, Some(rack))?;
        }
    }
    let arena = Arena::new();
    let replica = |name, memory_mib| VmSpec {
        name,
        resources: Resources { cpu_milli: 8_000, memory_mib, ..Resources::default() },
        anti_affinity: Some(AntiAffinity { group: "orders-db", level: Level::Rack }),
        ..VmSpec::default()
    };
    let mut text = "Three replicas that must not share a rack:\n\n".to_owned();
    let batch = [replica("db-1", 65_536), replica("db-2", 65_536), replica("db-3", 65_536)];
    let decisions = scheduler.place_all(&arena, &batch)?;
    for (vm, decision) in batch.iter().zip(decisions) {
        writeln!(text, "- {}: {}", vm.name, decision.reason)?;
    }
    writeln!(text, "\nAnd batches that cannot be placed, so that nothing of them is:\n")?;
    for batch in [[replica("db-4", 65_536)], [replica("db-5", 1 << 20)]] {
        let error = scheduler.place_all(&arena, &batch).expect_err("every rack has a replica");
        writeln!(text, "- {error}")?;
    }
    Ok(text)
}

/// The fields of each line after the titles, in the order of `titles`.
fn read<const N: usize>(file: &str, titles: [&str; N]) -> Result<Vec<[String; N]>> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let mut columns = [0; N];
    for (column, title) in columns.iter_mut().zip(titles) {
        let found = header.iter().position(|name| *name == title);
        *column = found.ok_or_else(|| format!("{file}, line 1: expected a column {title}, found {header:?}"))?;
    }
    let row = |(at, line): (usize, &str)| {
        let fields: Vec<&str> = line.split(',').collect();
        if fields.len() != header.len() {
            return Err(format!("{file}, line {}: expected {} columns, found {}", at + 2, header.len(), fields.len()));
        }
        Ok(columns.map(|column| fields[column].to_owned()))
    };
    Ok(lines.enumerate().map(row).collect::<std::result::Result<_, _>>()?)
}

fn number<T: std::str::FromStr>(file: &str, text: &str) -> Result<T> {
    Ok(text.parse().map_err(|_| format!("{file}: expected a whole number in range, found {text:?}"))?)
}

fn read_nodes(file: &str) -> Result<Vec<Node>> {
    let rows = read(file, ["sn", "cpu_milli", "memory_mib", "gpu", "model"])?;
    let node = |[name, cpu, memory, gpus, model]: [String; 5]| {
        let (cpu_milli, memory_mib) = (number(file, &cpu)?, number(file, &memory)?);
        Ok(Node { name, cpu_milli, memory_mib, gpus: number(file, &gpus)?, model })
    };
    rows.into_iter().map(node).collect()
}

fn read_vms(file: &str) -> Result<Vec<(Resources, String)>> {
    let rows = read(file, ["cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec"])?;
    let vm = |[cpu, memory, count, milli, models]: [String; 5]| {
        let gpus = GpuRequest { count: number(file, &count)?, milli: number(file, &milli)? };
        Ok((Resources { cpu_milli: number(file, &cpu)?, memory_mib: number(file, &memory)?, gpus }, models))
    };
    rows.into_iter().map(vm).collect()
}

/// Numbers below a bound, the same in every run.
fn random() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 32).expect("32 bits") % bound
    }
}

fn made_nodes(count: usize) -> Vec<Node> {
    let shapes =
        [(96_000, 393_216, 8, "G2"), (96_000, 393_216, 8, "G2"), (104_000, 524_288, 2, "T4"), (64_000, 262_144, 0, "")];
    let mut below = random();
    let node = |at| {
        let (cpu_milli, memory_mib, gpus, model) = shapes[below(shapes.len())];
        Node { name: format!("node-{at:04}"), cpu_milli, memory_mib, gpus, model: model.to_owned() }
    };
    (0..count).map(node).collect()
}

fn made_vms(count: usize) -> Vec<(Resources, String)> {
    let shapes = [(3_200, 5_600), (11_300, 49_152), (8_000, 30_517), (12_500, 57_344), (4_000, 22_888)];
    let mut below = random();
    let vm = |_| {
        let (cpu_milli, memory_mib) = shapes[below(shapes.len())];
        let gpus = match below(20) {
            0..=2 => GpuRequest::default(),
            3 => GpuRequest { count: 4, milli: 1_000 },
            4..=10 => GpuRequest { count: 1, milli: 100 + u16::try_from(below(8)).expect("below 8") * 100 },
            _ => GpuRequest { count: 1, milli: 1_000 },
        };
        let models = if gpus.count > 0 && below(10) == 0 { "T4" } else { "" };
        (Resources { cpu_milli, memory_mib, gpus }, models.to_owned())
    };
    (0..count).map(vm).collect()
}
