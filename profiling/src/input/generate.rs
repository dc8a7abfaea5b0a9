//! Tasks and nodes from a seed, after the marginals of the public "openb" trace.
//!
//! Used where no file is named. The tables below are rounded marginals of the trace that Alibaba published with "Beware of
//! Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent" (USENIX ATC '23): what tasks
//! ask for by number of GPUs, shares of a GPU, classes of service, gaps and lifetimes, shapes of machines. How they go
//! together beyond that is left to chance. One GPU task in ten names its models, as in the trace's variant with 10 %.
//!
//! Cost: some microseconds per task; nothing of it is timed.

use control_plane::scheduler::{GPU_MILLI, GpuRequest, Node, Qos, Resources};

use super::Task;
use super::rng::{Rng, Weighted};

/// Tasks made where no file is named.
pub const TASKS: usize = 8_000;

/// Nodes made where no file is named.
pub const NODES: usize = 1_500;

/// Tasks per thousand by number of GPUs.
pub const GPU_COUNTS: [(u8, f64); 5] = [(0, 133.5), (1, 857.3), (2, 2.0), (4, 1.8), (8, 5.4)];

/// Thousandths of the device that tasks with one GPU ask for, with their weights.
const GPU_SHARES: [(u16, f64); 13] = [
    (1_000, 560.0),
    (810, 154.0),
    (470, 107.0),
    (320, 47.0),
    (650, 36.0),
    (230, 20.0),
    (460, 18.0),
    (590, 11.0),
    (160, 11.0),
    (550, 10.0),
    (220, 9.0),
    (370, 7.0),
    (110, 10.0),
];

/// Milli-cores, MiB and weight of what tasks ask for.
type Shape = (u32, u32, f64);

const WITHOUT_GPU: [Shape; 6] = [
    (12_500, 57_344, 335.0),
    (32_000, 49_152, 261.0),
    (8_000, 30_517, 150.0),
    (15_400, 51_200, 110.0),
    (16_500, 51_200, 87.0),
    (11_400, 57_344, 57.0),
];

const ONE_GPU: [Shape; 16] = [
    (3_152, 5_600, 228.0),
    (11_300, 49_152, 123.0),
    (11_908, 47_104, 111.0),
    (11_400, 48_128, 76.0),
    (8_000, 30_517, 70.0),
    (18_708, 64_512, 36.0),
    (9_810, 41_560, 28.0),
    (4_000, 22_888, 27.0),
    (4_000, 15_258, 26.0),
    (12_000, 24_576, 23.0),
    (15_700, 58_368, 23.0),
    (4_152, 10_600, 22.0),
    (16_000, 32_768, 45.0),
    (24_200, 93_184, 25.0),
    (6_000, 12_288, 60.0),
    (1_000, 2_048, 77.0),
];

/// Per GPU, for tasks with several.
const PER_GPU: [Shape; 4] =
    [(11_000, 40_960, 409.0), (8_025, 32_896, 409.0), (15_000, 92_160, 68.0), (8_000, 32_768, 113.0)];

/// Classes of service, per thousand tasks.
pub const CLASSES: [(Qos, f64); 4] =
    [(Qos::LatencySensitive, 570.0), (Qos::BestEffort, 417.0), (Qos::Burstable, 12.0), (Qos::Guaranteed, 1.0)];

/// Seconds between two tasks: share of the tasks in thousandths, and the gap that they do not exceed.
const GAPS: [(f64, f64); 9] = [
    (0.0, 0.0),
    (100.0, 6.0),
    (300.0, 59.0),
    (500.0, 161.0),
    (700.0, 356.0),
    (900.0, 948.0),
    (990.0, 3_426.0),
    (998.0, 68_040.0),
    (1_000.0, 427_061.0),
];

/// Seconds that a task lives, in the same form.
pub const LIFETIMES: [(f64, f64); 10] = [
    (0.0, 0.0),
    (100.0, 80.0),
    (300.0, 202.0),
    (500.0, 540.0),
    (700.0, 1_422.0),
    (900.0, 6_574.0),
    (980.0, 40_752.0),
    (995.0, 742_962.0),
    (999.0, 8_772_762.0),
    (1_000.0, 12_537_496.0),
];

/// Milli-cores, MiB, GPUs, model and weight of machines.
const MACHINES: [(u32, u32, u8, &str, f64); 14] = [
    (96_000, 393_216, 8, "G2", 549.0),
    (104_000, 524_288, 2, "T4", 387.0),
    (32_000, 262_144, 0, "", 129.0),
    (16_000, 122_880, 2, "P100", 107.0),
    (96_000, 524_288, 0, "", 89.0),
    (128_000, 786_432, 8, "G3", 39.0),
    (32_000, 131_072, 4, "V100M16", 36.0),
    (64_000, 524_288, 0, "", 92.0),
    (64_000, 262_144, 2, "P100", 24.0),
    (96_000, 786_432, 8, "V100M32", 21.0),
    (8_000, 32_768, 1, "V100M16", 19.0),
    (96_000, 393_216, 4, "T4", 17.0),
    (48_000, 376_832, 4, "V100M32", 9.0),
    (128_000, 1_048_576, 1, "A10", 5.0),
];

/// GPU models that tasks name.
const SPECS: [&str; 5] = ["G2", "T4", "V100M16|V100M32", "G2|G3", "P100|T4"];

/// As many tasks as asked for, in the order of their creation.
#[must_use]
pub fn tasks(count: usize, seed: u64) -> Vec<Task> {
    let mut rng = Rng::new(seed ^ 0x7a5c);
    let pick = Picks::new();
    let mut now = 0;
    (0..count)
        .map(|at| {
            let (gpus, _) = GPU_COUNTS[pick.gpu_counts.draw(&mut rng)];
            let (resources, gpu_spec) = pick.resources(&mut rng, gpus);
            now += quantile(&GAPS, rng.unit());
            Task {
                name: format!("task-{at:05}"),
                resources,
                gpu_spec: gpu_spec.to_owned(),
                qos: CLASSES[pick.classes.draw(&mut rng)].0,
                creation_seconds: now,
                deletion_seconds: Some(now + quantile(&LIFETIMES, rng.unit())),
            }
        })
        .collect()
}

/// As many nodes as asked for.
#[must_use]
pub fn nodes(count: usize, seed: u64) -> Vec<Node> {
    let mut rng = Rng::new(seed ^ 0x0de5);
    let machines = Weighted::new(&MACHINES.map(|(.., weight)| weight));
    (0..count)
        .map(|at| {
            let (cpu_milli, memory_mib, gpus, model, _) = MACHINES[machines.draw(&mut rng)];
            Node { name: format!("node-{at:04}"), cpu_milli, memory_mib, gpus, model: model.to_owned() }
        })
        .collect()
}

/// The tables, ready to be drawn from.
struct Picks {
    gpu_counts: Weighted,
    shares: Weighted,
    classes: Weighted,
    without_gpu: Weighted,
    one_gpu: Weighted,
    per_gpu: Weighted,
}

impl Picks {
    fn new() -> Self {
        let weights = |shapes: &[Shape]| Weighted::new(&shapes.iter().map(|shape| shape.2).collect::<Vec<_>>());
        Self {
            gpu_counts: Weighted::new(&GPU_COUNTS.map(|(_, weight)| weight)),
            shares: Weighted::new(&GPU_SHARES.map(|(_, weight)| weight)),
            classes: Weighted::new(&CLASSES.map(|(_, weight)| weight)),
            without_gpu: weights(&WITHOUT_GPU),
            one_gpu: weights(&ONE_GPU),
            per_gpu: weights(&PER_GPU),
        }
    }

    fn resources(&self, rng: &mut Rng, count: u8) -> (Resources, &'static str) {
        let (cpu_milli, memory_mib, _) = match count {
            0 => WITHOUT_GPU[self.without_gpu.draw(rng)],
            1 => ONE_GPU[self.one_gpu.draw(rng)],
            several => {
                let (cpu_milli, memory_mib, weight) = PER_GPU[self.per_gpu.draw(rng)];
                (cpu_milli * u32::from(several), memory_mib * u32::from(several), weight)
            }
        };
        let milli = match count {
            0 => 0,
            1 => GPU_SHARES[self.shares.draw(rng)].0,
            _ => GPU_MILLI,
        };
        let spec = if count > 0 && rng.below(10) == 0 { SPECS[rng.below(SPECS.len())] } else { "" };
        (Resources { cpu_milli, memory_mib, gpus: GpuRequest { count, milli } }, spec)
    }
}

/// The value below which the share `unit` of all values lies, straight between the table's points.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tables hold 0 to 12,537,496 seconds")]
fn quantile(table: &[(f64, f64)], unit: f64) -> u64 {
    let at = unit * 1_000.0;
    let above = table.partition_point(|&(share, _)| share <= at).clamp(1, table.len() - 1);
    let ((low, from), (high, to)) = (table[above - 1], table[above]);
    (from + (to - from) * (at - low) / (high - low)) as u64
}
