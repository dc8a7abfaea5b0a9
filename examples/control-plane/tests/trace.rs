//! The public "openb" trace, where it is present: every kernel decides as the scalar twin does, in every strategy.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without may panic")]

use std::fs;
use std::path::Path;

use control_plane::scheduler::baseline::OnePass;
use control_plane::scheduler::{
    Demand, GpuRequest, Kernel, Node, NodeSet, NodeTable, PlacementStrategy, Ranking, Resources,
};

/// Each so-many-th decision is compared with the scalar twin; all of them with a scalar pass over columns.
const TWIN_EVERY: usize = 64;

fn rows<const N: usize>(file: &Path, titles: [&str; N]) -> Option<Vec<[String; N]>> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let columns = titles.map(|title| header.iter().position(|name| *name == title).unwrap());
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        columns.map(|column| fields[column].to_owned())
    };
    Some(lines.map(row).collect())
}

/// Machines, and tasks with the GPU models that will do.
type Trace = (Vec<Node>, Vec<(Resources, String)>);

fn trace() -> Option<Trace> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let nodes = rows(&data.join("openb_node_list_all_node.csv"), ["sn", "cpu_milli", "memory_mib", "gpu", "model"])?;
    let nodes = nodes.into_iter().map(|[name, cpu, memory, gpus, model]| Node {
        name,
        cpu_milli: cpu.parse().unwrap(),
        memory_mib: memory.parse().unwrap(),
        gpus: gpus.parse().unwrap(),
        model,
    });
    let titles = ["cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec"];
    let pods = rows(&data.join("openb_pod_list_default.csv"), titles)?;
    let pods = pods.into_iter().map(|[cpu, memory, count, milli, models]| {
        let gpus = GpuRequest { count: count.parse().unwrap(), milli: milli.parse().unwrap() };
        (Resources { cpu_milli: cpu.parse().unwrap(), memory_mib: memory.parse().unwrap(), gpus }, models)
    });
    Some((nodes.collect(), pods.collect()))
}

fn decisions(table: &mut NodeTable, demands: &[Demand]) -> Vec<Ranking> {
    table.free_all();
    let place = |demand| {
        let ranking = table.rank(demand);
        ranking.best().inspect(|&best| {
            table.take(best, demand);
        });
        ranking
    };
    demands.iter().map(place).collect()
}

#[test]
fn every_kernel_decides_as_the_scalar_twin() {
    let Some((nodes, pods)) = trace() else {
        println!("skipped: the real trace is not here");
        return;
    };
    assert_eq!((nodes.len(), pods.len()), (1_523, 8_152));
    let mut table = NodeTable::new(&nodes).unwrap();
    let demands: Vec<Demand> =
        pods.iter().map(|(resources, models)| Demand { resources: *resources, models: table.models(models) }).collect();
    for strategy in PlacementStrategy::ALL {
        table.rank_by(strategy);
        table.search_with(Kernel::best());
        table.free_all();
        let mut columns = OnePass::new(&table);
        let mut expected = Vec::with_capacity(demands.len());
        for (at, demand) in demands.iter().enumerate() {
            let ranking = columns.rank(demand);
            if at % TWIN_EVERY == 0 {
                assert_eq!(table.rank_scalar(demand, &NodeSet::new()), ranking, "{strategy}, VM {at}");
            }
            if let Some(best) = ranking.best() {
                let placement = table.take(best, demand);
                columns.update(&table, placement.node);
            }
            expected.push(ranking);
        }
        // Without optimisation a search costs a hundred times as much.
        let kernels = Kernel::all().filter(|kernel| !cfg!(debug_assertions) || kernel.name() == Kernel::best().name());
        for kernel in kernels {
            table.search_with(kernel);
            let found = decisions(&mut table, &demands);
            let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
            assert_eq!(differs, None, "{strategy}, {kernel:?}");
        }
        let placed = expected.iter().filter(|ranking| ranking.best().is_some()).count();
        assert!(placed > 7_000, "{strategy}: {placed}");
    }
}
