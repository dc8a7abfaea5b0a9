//! What counting costs: an allocation and its free, a request on the plain heap, and the main job's heap replay, under each
//! allocator that counts.
//!
//! A global allocator belongs to a whole program, so each contender is one of its own (`src/bin/tracking_*.rs`), started anew
//! for every sample. The benchmark `tracking` drives them: in each round every contender once, forwards and backwards by
//! turns; a ratio is taken within its round, the median over the rounds is what counts.
//!
//! A worker times its work on pinned threads, twelve calls deep, so that a contender that looks ten frames up finds them.

use std::fmt;
use std::hint::black_box;
use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::time::Duration;

use profiling::input::{self, Trace, csv, generate};
use profiling::placement::Placing;
use profiling::strategy::Name;
use profiling::worker::Job;

use crate::contest::{Contender, Role};
use crate::request;

/// Rounds unless told otherwise.
const ROUNDS: usize = 9;

/// What a worker's sample should take, at least.
const SHARE: Duration = Duration::from_millis(15);

/// Samples in one process; the shortest is its answer.
const SAMPLES: usize = 5;

/// Operations between two barriers.
const BATCH: u64 = 4096;

/// Calls between a thread's first function and the work.
const DEPTH: u32 = 12;

/// A program and what it is told to do.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// What it is called in the table.
    pub name: &'static str,
    /// Where it lies.
    pub path: &'static str,
    /// What it gets as its mode.
    pub mode: &'static str,
}

/// The programs of the benchmarks that drive them: paths of binaries are told to a package's benchmarks and not to its library.
#[macro_export]
macro_rules! tracking_programs {
    () => {{
        let program = |name, path, mode| $crate::tracking::Program { name, path, mode };
        let ours = env!("CARGO_BIN_EXE_tracking_ours");
        [
            program("nothing", env!("CARGO_BIN_EXE_tracking_nothing"), "-"),
            program("blixard, counting", ours, "counting"),
            program("blixard, sampled sites", ours, "sampled"),
            program("blixard, complete sites", ours, "complete"),
            program("alloc_tracker", env!("CARGO_BIN_EXE_tracking_alloc_tracker"), "-"),
            program("divan AllocProfiler", env!("CARGO_BIN_EXE_tracking_divan"), "-"),
            program("stats_alloc", env!("CARGO_BIN_EXE_tracking_stats_alloc"), "-"),
            program("tracking-allocator", env!("CARGO_BIN_EXE_tracking_tracking_allocator"), "-"),
            program("dhat", env!("CARGO_BIN_EXE_tracking_dhat"), "-"),
        ]
    }};
}

/// Requests in a sample of the replay, after as many that are not timed.
const REPLAYED: usize = 500;

const WORKS: [(&str, &str, u32); 4] = [
    ("pair", "an allocation of 64 bytes and its free, one thread, ns", 1),
    ("pair", "an allocation of 64 bytes and its free, two pinned threads, ns", 2),
    ("request", "the reference request on the plain heap (hashbrown), one thread, ns", 1),
    ("replay", "a request of 16 VMs in the main job's heap replay, all its phases, one thread, ns", 1),
];

/// A worker's life: what `begin` makes of the mode is kept while the work is timed. Prints the nanoseconds of one operation.
/// The replay takes its tasks and nodes from two CSV files where they are named, else from the generator.
pub fn worker<G>(begin: impl FnOnce(&str) -> Option<G>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, work, threads, files @ ..] = &arguments[..] else { return ExitCode::from(2) };
    let (Some(time), Ok(threads)) = (work_named(work, files), threads.parse()) else { return ExitCode::from(2) };
    let Some(guard) = begin(mode) else { return ExitCode::from(2) };
    let time = time(threads);
    drop(guard);
    if writeln!(io::stdout(), "{time}").is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What gives a work's nanoseconds per operation on so many threads. Its input is read or made before.
fn work_named(work: &str, files: &[String]) -> Option<Box<dyn FnOnce(usize) -> f64>> {
    match work {
        "pair" => Some(Box::new(|threads| {
            best(Contender::pinned("pair", Role::Control, threads, BATCH, (), |(), _, n| pairs(DEPTH, n), |()| ()))
        })),
        "request" => Some(Box::new(|_| best(request::on_the_heap()))),
        "replay" => replay(files).map(|job| -> Box<dyn FnOnce(usize) -> f64> {
            Box::new(move |_| {
                crate::contest::pin(0);
                let samples =
                    (0..SAMPLES).map(|_| job.run(&()).map_or(f64::NAN, |outcome| outcome.ns_per_request.mean));
                samples.fold(f64::INFINITY, f64::min)
            })
        }),
        _ => None,
    }
}

/// The main job's heap strategy, over its own input.
fn replay(files: &[String]) -> Option<Job> {
    const SEED: u64 = 1;
    let trace = match files {
        [] => Trace {
            source: String::new(),
            tasks: generate::tasks(generate::TASKS, SEED),
            nodes: generate::nodes(generate::NODES, SEED),
        },
        [pods, nodes] => Trace {
            source: String::new(),
            tasks: csv::tasks(pods.as_ref()).ok()?,
            nodes: csv::nodes(nodes.as_ref()).ok()?,
        },
        _ => return None,
    };
    Some(Job {
        strategy: Name::Heap,
        requests: REPLAYED,
        batch: 16,
        threads: 1,
        placement: Placing::default(),
        warm_up: true,
        claim: None,
        dhat_file: None,
        sites_file: None,
        pass: input::requests(&trace.tasks, 16, SEED),
        nodes: trace.nodes,
    })
}

/// `n` pairs, so many calls further down.
#[inline(never)]
fn pairs(depth: u32, n: u64) {
    if depth > 0 {
        pairs(depth - 1, n);
        // Not a jump: a frame stays.
        black_box(depth);
        return;
    }
    for _ in 0..n {
        drop(black_box(Box::<[u64; 8]>::new_uninit()));
    }
}

/// The shortest of a few samples, in nanoseconds per operation.
fn best(mut contender: Contender) -> f64 {
    let mut iterations = 1;
    while contender.run(iterations) < SHARE {
        iterations *= 2;
    }
    let times = (0..SAMPLES).map(|_| contender.run(iterations));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let per_operation = |time: Duration| time.as_nanos() as f64 / iterations as f64;
    times.min().map_or(f64::NAN, per_operation)
}

/// What the benchmark can stumble over.
#[derive(Debug)]
enum Error {
    Worker { name: &'static str, said: String },
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker { name, said } => write!(f, "the process for {name} gave no time: {said}"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What the command line asks for.
struct Options {
    rounds: usize,
    /// Works by the beginning of their names; all if there are none.
    works: Vec<String>,
    /// Programs by a part of their names, beside the first; all if there are none.
    under: Vec<String>,
    /// The replay's tasks and nodes.
    files: Vec<String>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self { rounds: ROUNDS, works: Vec::new(), under: Vec::new(), files: Vec::new() };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--test" => options.rounds = 1,
                "--rounds" => options.rounds = arguments.next()?.parse().ok().filter(|rounds| *rounds > 0)?,
                "--under" => options.under.extend(arguments.next()?.split(',').map(str::to_owned)),
                "--trace" => options.files = vec![arguments.next()?, arguments.next()?],
                work if WORKS.iter().any(|(name, _, _)| name.starts_with(work)) => options.works.push(argument),
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Runs the programs, the first being the one that all are compared with, and prints a table per work.
///
/// Takes names of works (`pair`, `request`, `replay`), `--rounds N`, `--under NAME,NAME` for some of the programs, and `--trace
/// PODS.csv NODES.csv` for the replay; `--test` is one round, to see that everything works.
#[must_use]
pub fn main(programs: &[Program]) -> ExitCode {
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        _ = writeln!(
            io::stderr(),
            "tracking: [pair|request|replay]... [--rounds N] [--under NAME,...] [--trace PODS NODES]"
        );
        return ExitCode::from(2);
    };
    let asked = |name: &str| options.under.is_empty() || options.under.iter().any(|part| name.contains(part.as_str()));
    let (first, others) = programs.split_at(1);
    let programs: Vec<Program> =
        first.iter().chain(others.iter().filter(|program| asked(program.name))).copied().collect();
    match run(&programs, &options, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "tracking: {error}");
            ExitCode::FAILURE
        }
    }
}

/// All tables, as [`main`] prints them.
pub(crate) fn tables(programs: &[Program]) -> Result<String, String> {
    let options = Options { rounds: ROUNDS, works: Vec::new(), under: Vec::new(), files: Vec::new() };
    let mut out = Vec::new();
    run(programs, &options, &mut out).map_err(|error| error.to_string())?;
    String::from_utf8(out).map_err(|error| error.to_string())
}

fn run(programs: &[Program], options: &Options, out: &mut impl Write) -> Result<(), Error> {
    for (work, title, threads) in WORKS {
        if !options.works.is_empty() && !options.works.iter().any(|asked| work.starts_with(asked.as_str())) {
            continue;
        }
        let mut times = vec![Vec::new(); programs.len()];
        for round in 0..options.rounds {
            let mut order: Vec<usize> = (0..programs.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for at in order {
                times[at].push(sample(programs[at], work, threads, &options.files)?);
            }
        }
        writeln!(
            out,
            "\n### {title}\n\n| under | least | median | over nothing | middle 80 % | range |\n|---|---|---|---|---|---|"
        )?;
        for (program, own) in programs.iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, nothing)| own / nothing).collect();
            let (own, ratios) = (Spread::of(own.clone()), Spread::of(ratios));
            writeln!(
                out,
                "| {} | {:.1} | {:.1} | {:.3} | {:.3} to {:.3} | {:.3} to {:.3} |",
                program.name, own.least, own.median, ratios.median, ratios.low, ratios.high, ratios.least, ratios.most
            )?;
        }
        out.flush()?;
    }
    Ok(())
}

fn sample(program: Program, work: &str, threads: u32, files: &[String]) -> Result<f64, Error> {
    let files = if work == "replay" { files } else { &[] };
    let output = Command::new(program.path).args([program.mode, work, &threads.to_string()]).args(files).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let time = said.lines().next().and_then(|line| line.parse().ok()).filter(|_| output.status.success());
    time.ok_or_else(|| Error::Worker {
        name: program.name,
        said: format!("{said}{}", String::from_utf8_lossy(&output.stderr)),
    })
}

struct Spread {
    least: f64,
    /// A tenth is lower.
    low: f64,
    median: f64,
    /// A tenth is higher.
    high: f64,
    most: f64,
}

impl Spread {
    fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        let (last, tenth) = (all.len() - 1, all.len() / 10);
        Self { least: all[0], low: all[tenth], median: all[all.len() / 2], high: all[last - tenth], most: all[last] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_ordered() {
        let Spread { least, low, median, high, most } = Spread::of((0..11).rev().map(f64::from).collect());
        assert_eq!([least, low, median, high, most].map(f64::to_bits), [0.0, 1.0, 5.0, 9.0, 10.0].map(f64::to_bits));
    }

    #[test]
    fn every_work_is_known() {
        for (work, _, _) in WORKS {
            assert!(work_named(work, &[]).is_some(), "{work}");
        }
        assert!(work_named("nothing", &[]).is_none());
    }

    #[test]
    fn options_are_read_or_refused() {
        let read = |words: &str| Options::read(words.split_whitespace().map(str::to_owned));
        let options = read("replay --rounds 15 --under sampled,dhat --trace a.csv b.csv --bench").expect("all known");
        assert_eq!((options.rounds, options.under.len(), options.files.len()), (15, 2, 2));
        assert_eq!(options.works, ["replay"]);
        assert!(["--rounds", "--rounds 0", "elsewhere", "--trace a.csv"].iter().all(|words| read(words).is_none()));
    }
}
