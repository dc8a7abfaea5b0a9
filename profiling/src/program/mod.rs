//! The program around the replays: reads the input, starts the worker processes, compares and reports.
//!
//! Invariants: nothing is written before the input and the options are known to be good; the strategies' timed processes
//! alternate, forwards in one round and backwards in the next; files appear under their names together, when all of them
//! are complete, or not at all, and those of an earlier run stay until then; an interrupt ends the children and leaves nothing behind.

mod options;
mod processes;
mod table;
mod workers;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use control_plane::scheduler::NodeTable;
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;

pub use options::Options;
use processes::{ProcessError, Processes};
use table::table;
use workers::{Purpose, Tracked, Workers};

use crate::claims::{Claim, Count};
use crate::input::{self, Trace};
use crate::replay::Outcome;
use crate::report::{self, Input, PhaseNs, Report, RequestNs, Round, Spread};
use crate::sites::SitesFile;
use crate::strategy::Name;
use crate::worker::Job;

/// The argument that makes the program a worker.
pub const WORKER: &str = "worker";

/// Timed processes of each strategy. Odd, so that the median is one of them.
const ROUNDS: usize = 9;

/// Rounds that find out what tracking costs. Odd, as above.
const TRACKING_ROUNDS: usize = 7;

/// Most requests that a claim's replay serves: enough for what is set up once to be a small part.
const CLAIM_REQUESTS_MAX: usize = 10_000;

/// Most requests that are served under dhat, which takes a microsecond and more per allocation.
const DHAT_REQUESTS_MAX: usize = 1_000;

/// Why the program ends without success.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProgramError {
    /// Input or options are bad: exit code 2.
    Input(String),
    /// Something else went wrong: exit code 1.
    Failed(String),
    /// The user does not want to wait: exit code 130.
    Interrupted,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(message) | Self::Failed(message) => f.write_str(message),
            Self::Interrupted => f.write_str("interrupted, nothing was written"),
        }
    }
}

impl std::error::Error for ProgramError {}

/// The whole program: options from the command line, the report's table on standard output.
#[must_use]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where the program speaks")]
pub fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("profiling: {error}");
            ExitCode::from(match error {
                ProgramError::Input(_) => 2,
                ProgramError::Failed(_) => 1,
                ProgramError::Interrupted => 130,
            })
        }
    }
}

/// Does what the options ask for and returns what is to be printed.
///
/// # Errors
///
/// [`ProgramError`] if the input is bad, a worker fails, the strategies differ in what they did, the report cannot be
/// written, or the program is interrupted.
pub fn run(options: &Options) -> Result<String, ProgramError> {
    let trace = read(options)?;
    let processes = Processes::default();
    processes.end_at_interrupt().map_err(|error| ProgramError::Failed(format!("no interrupt handler: {error}")))?;
    let workers = Workers::ready(&processes)?;
    let partial = Partial::new(&options.out)?;
    let run = Run { options, trace: &trace, processes: &processes, workers: &workers, partial: partial.path() };
    let strategies = run.strategies()?;
    // Arguments may be paths, which need not be text.
    let command = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let mut report = Report::new(run.input(), command, machine(), strategies);
    report.same_work().map_err(|mismatch| ProgramError::Failed(mismatch.to_string()))?;
    report.claims = run.claims()?;
    if options.sites {
        report.tracking = Some(run.tracking()?);
    }
    let failed = |error: &dyn fmt::Display| ProgramError::Failed(error.to_string());
    if processes.interrupted() {
        return Err(ProgramError::Interrupted);
    }
    let dhat_files = report.strategies.iter().filter_map(|strategy| strategy.dhat_file.as_ref());
    let sites = report.tracking.iter().flat_map(|tracking| &tracking.strategies);
    let files = dhat_files.chain(sites.map(|sites| &sites.pprof_file)).map(|name| partial.path().join(name));
    let files: Vec<PathBuf> = files.collect();
    let written = report.write_with(&options.out, &files).map_err(|error| failed(&error))?;
    drop(partial);
    Ok(format!("{}\n{}\n\n{}\n{}", table(&report), report.summary(), written.html.display(), written.json.display()))
}

/// Reads or makes tasks and nodes, and checks all that can be known before anything is written.
fn read(options: &Options) -> Result<Trace, ProgramError> {
    let bad = |error: &dyn fmt::Display| ProgramError::Input(error.to_string());
    for (at, name) in options.strategies.iter().enumerate() {
        if options.strategies[..at].contains(name) {
            return Err(ProgramError::Input(format!("--strategies names {name} twice")));
        }
    }
    if options.out.exists() && !options.out.is_dir() {
        return Err(ProgramError::Input(format!("--out {}: expected a directory", options.out.display())));
    }
    let tasks = match &options.pods {
        Some(file) => input::csv::tasks(file).map_err(|error| bad(&error))?,
        None => input::generate::tasks(input::generate::TASKS, options.seed),
    };
    let nodes = match &options.nodes {
        Some(file) => input::csv::nodes(file).map_err(|error| bad(&error))?,
        None => input::generate::nodes(input::generate::NODES, options.seed),
    };
    NodeTable::new(&nodes).map_err(|error| bad(&error))?;
    let named = |file: &Option<PathBuf>| match file {
        Some(file) => file.display().to_string(),
        None => format!("generated, seed {}", options.seed),
    };
    let (pods, nodes_file) = (named(&options.pods), named(&options.nodes));
    let source = format!("tasks: {pods}; nodes: {nodes_file}; placement: {}", options.placement);
    Ok(Trace { source, tasks, nodes })
}

/// A hidden directory inside the output directory; it goes when this does, and the output directory too if it was made
/// for it and is empty.
struct Partial {
    hidden: Option<tempfile::TempDir>,
    made: Option<PathBuf>,
}

impl Partial {
    fn new(out: &Path) -> Result<Self, ProgramError> {
        let made = (!out.exists()).then(|| out.to_owned());
        let bad = |error: &dyn fmt::Display| ProgramError::Input(format!("--out {}: {error}", out.display()));
        fs::create_dir_all(out).map_err(|error| bad(&error))?;
        let hidden = tempfile::Builder::new().prefix(".partial-").tempdir_in(out).map_err(|error| bad(&error))?;
        Ok(Self { hidden: Some(hidden), made })
    }

    fn path(&self) -> &Path {
        self.hidden.as_ref().map_or(Path::new("."), tempfile::TempDir::path)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        drop(self.hidden.take());
        if let Some(out) = &self.made {
            // Fails, as it should, where a report is in it.
            drop(fs::remove_dir(out));
        }
    }
}

/// All that the processes of a run have in common.
struct Run<'r> {
    options: &'r Options,
    trace: &'r Trace,
    processes: &'r Processes,
    workers: &'r Workers,
    partial: &'r Path,
}

impl Run<'_> {
    fn input(&self) -> Input {
        Input {
            source: self.trace.source.clone(),
            vms: self.trace.tasks.len() as u64,
            nodes: self.trace.nodes.len() as u64,
            requests: self.options.requests as u64,
            batch: self.options.batch as u64,
            threads: self.options.threads as u64,
            seed: self.options.seed,
        }
    }

    /// The whole input, timed and with the clock warmed up.
    fn job(&self) -> Job {
        let mut pass = input::requests(&self.trace.tasks, self.options.batch, self.options.seed);
        pass.truncate(self.options.requests);
        Job {
            strategy: Name::Heap,
            requests: self.options.requests,
            batch: self.options.batch,
            threads: self.options.threads,
            placement: self.options.placement,
            warm_up: true,
            claim: None,
            dhat_file: None,
            sites_file: None,
            nodes: self.trace.nodes.clone(),
            pass,
        }
    }

    /// Runs every process and sums up each strategy's.
    fn strategies(&self) -> Result<Vec<report::Strategy>, ProgramError> {
        let names = &self.options.strategies;
        let mut job = self.job();
        let progress = progress(names.len() * (ROUNDS + 2));
        let mut timed: Vec<Vec<Outcome>> = vec![Vec::new(); names.len()];
        for round in 0..ROUNDS {
            for step in 0..names.len() {
                let at = if round % 2 == 0 { step } else { names.len() - 1 - step };
                job.strategy = names[at];
                progress.set_message(format!("timing {}, round {} of {ROUNDS}", names[at], round + 1));
                timed[at].push(self.answer(&job, Purpose::Time)?);
                progress.inc(1);
            }
        }
        job.warm_up = false;
        let mut strategies = Vec::with_capacity(names.len());
        for (&name, timed) in names.iter().zip(&timed) {
            job.strategy = name;
            progress.set_message(format!("counting {name}"));
            let counted = self.answer(&job, Purpose::Count)?;
            progress.inc(1);
            strategies.push(sum_up(name, self.options.requests, timed, &counted)?);
        }
        job.requests = job.requests.min(DHAT_REQUESTS_MAX);
        job.pass.truncate(job.requests);
        for &name in names {
            job.strategy = name;
            job.dhat_file = Some(dhat_file(name.as_str()).into());
            progress.set_message(format!("{name} under dhat"));
            self.answer::<Outcome>(&job, Purpose::Dhat)?;
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(strategies)
    }

    /// Counts each claim in each of its forms, whichever strategies are compared.
    fn claims(&self) -> Result<Vec<report::Claim>, ProgramError> {
        let mut job = self.job();
        job.requests = job.requests.min(CLAIM_REQUESTS_MAX);
        let progress = progress(Claim::ALL.len() * Claim::FORMS.len());
        let mut claims = Vec::with_capacity(Claim::ALL.len());
        for claim in Claim::ALL {
            job.claim = Some(claim);
            let mut counts: Vec<Count> = Vec::with_capacity(Claim::FORMS.len());
            for form in Claim::FORMS {
                job.strategy = form;
                progress.set_message(format!("counting {claim}, {form}"));
                counts.push(self.answer(&job, Purpose::Count)?);
                progress.inc(1);
            }
            if counts.iter().any(|count| count.checksum != counts[0].checksum) {
                let sums: Vec<_> = counts.iter().map(|count| count.checksum.as_str()).collect();
                let sums = sums.join(", ");
                return Err(ProgramError::Failed(format!("the forms of {claim} differ in what they built: {sums}")));
            }
            let operations: Option<Vec<u64>> = counts.iter().map(|count| count.operations).collect();
            let operations = operations.and_then(|all| all.try_into().ok());
            let operations =
                operations.ok_or_else(|| ProgramError::Failed(format!("a worker did not count {claim}")))?;
            let requests = job.requests as u64;
            claims.push(report::Claim::new(claim.as_str(), claim.hoped_percent(), requests, operations));
        }
        progress.finish_and_clear();
        Ok(claims)
    }

    /// Where each strategy's memory comes from, and what it costs to find out. On the system's allocator: mimalloc's heap
    /// would ask for the same.
    fn tracking(&self) -> Result<report::Tracking, ProgramError> {
        let names: Vec<Name> =
            self.options.strategies.iter().copied().filter(|name| *name != Name::HeapMimalloc).collect();
        let timed = names.first().copied().unwrap_or(Name::Heap);
        let progress = progress(TRACKING_ROUNDS * (1 + Tracked::ALL.len()) + names.len());
        let mut job = self.job();
        job.strategy = timed;
        let mut ratios = [const { Vec::new() }; Tracked::ALL.len()];
        for round in 0..TRACKING_ROUNDS {
            progress.set_message(format!("tracking {timed}, round {} of {TRACKING_ROUNDS}", round + 1));
            let mean = |purpose| {
                progress.inc(1);
                Ok(self.answer::<Outcome>(&job, purpose)?.ns_per_request.mean)
            };
            let mut tracked = [0.0; Tracked::ALL.len()];
            // Forwards and backwards by turns, as the strategies are.
            let plain_first = if round % 2 == 0 { Some(mean(Purpose::Time)?) } else { None };
            for step in 0..tracked.len() {
                let at = if round % 2 == 0 { step } else { tracked.len() - 1 - step };
                tracked[at] = mean(Purpose::Track(Tracked::ALL[at]))?;
            }
            let plain = if let Some(plain) = plain_first { plain } else { mean(Purpose::Time)? };
            ratios.iter_mut().zip(tracked).for_each(|(ratios, tracked)| ratios.push(tracked / plain));
        }
        let cost = Tracked::ALL.iter().zip(ratios).filter_map(|(kind, ratios)| {
            Some(report::Cost { kind: kind.as_str().to_owned(), times: Spread::of(ratios)? })
        });
        let cost = cost.collect();
        job.warm_up = false;
        let mut strategies = Vec::new();
        for name in names {
            job.strategy = name;
            let file = format!("sites-{name}");
            job.sites_file = Some(file.clone().into());
            progress.set_message(format!("sites of {name}"));
            self.answer::<Outcome>(&job, Purpose::Track(Tracked::Complete))?;
            progress.inc(1);
            let read = SitesFile::read(&self.partial.join(file).with_extension("json"));
            let read = read.map_err(|error| ProgramError::Failed(format!("the sites of {name}: {error}")))?;
            strategies.push(report::StrategySites::new(name.as_str(), format!("sites-{name}.pb"), read));
        }
        progress.finish_and_clear();
        Ok(report::Tracking { timed: timed.to_string(), cost, strategies })
    }

    /// Starts a worker and hears it out. It writes its files where it runs, so that their names in the job are text, whatever the
    /// output directory's is.
    fn answer<T: DeserializeOwned>(&self, job: &Job, purpose: Purpose) -> Result<T, ProgramError> {
        let name = job.strategy;
        let mut command = self.workers.command(name, purpose);
        command.current_dir(self.partial);
        let answer = self.processes.answer(&mut command, false, |mut pipe| job.send(&mut pipe));
        let failed = |message: String| ProgramError::Failed(format!("the worker of {name} {message}"));
        match answer {
            Ok(answer) => serde_json::from_slice(&answer).map_err(|error| failed(format!("gave no answer: {error}"))),
            Err(ProcessError::Interrupted) => Err(ProgramError::Interrupted),
            Err(ProcessError::Io(error)) => Err(failed(format!("could not be spoken to: {error}"))),
            Err(ProcessError::Failed { status, stderr }) => {
                Err(failed(format!("ended with {status}: {}", stderr.trim_end())))
            }
        }
    }
}

fn dhat_file(strategy: &str) -> String {
    format!("dhat-{strategy}.json")
}

/// One strategy's figures: times are medians over its timed processes, the rest is from the process that counts.
#[expect(clippy::cast_precision_loss, reason = "calls and bytes of a run stay far below 2^52")]
fn sum_up(name: Name, requests: usize, timed: &[Outcome], counted: &Outcome) -> Result<report::Strategy, ProgramError> {
    let median =
        |of: &dyn Fn(&Outcome) -> f64| Spread::of(timed.iter().map(of).collect()).map_or(0.0, |spread| spread.median);
    let phase = |of: fn(&PhaseNs) -> f64| median(&|outcome| of(&outcome.phase_ns_mean));
    if let Some(other) = timed.iter().find(|outcome| outcome.checksum != counted.checksum) {
        return Err(ProgramError::Failed(format!(
            "{name} is not of one mind: checksum {} in one process, {} in another",
            other.checksum, counted.checksum
        )));
    }
    let allocator = counted
        .allocator
        .clone()
        .ok_or_else(|| ProgramError::Failed(format!("the counting worker of {name} did not count")))?;
    let per_request = |sum: u64, requests: u64| sum as f64 / requests.max(1) as f64;
    Ok(report::Strategy {
        name: name.to_string(),
        requests: requests as u64,
        checksum: counted.checksum.clone(),
        placed: counted.placed,
        rejected: counted.rejected,
        ns_per_request: RequestNs {
            p50: median(&|outcome| outcome.ns_per_request.p50),
            p99: median(&|outcome| outcome.ns_per_request.p99),
            mean: median(&|outcome| outcome.ns_per_request.mean),
        },
        phase_ns_mean: PhaseNs {
            parse: phase(|ns| ns.parse),
            build: phase(|ns| ns.build),
            place: phase(|ns| ns.place),
            encode: phase(|ns| ns.encode),
            release: phase(|ns| ns.release),
        },
        allocator_calls_per_request: per_request(allocator.calls, requests as u64),
        allocated_bytes_per_request: per_request(allocator.bytes, requests as u64),
        steady_allocator_calls_per_request: per_request(allocator.steady_calls, allocator.steady_requests),
        steady_requests_calling: allocator.steady_requests_calling,
        steady_calls_most: allocator.steady_calls_most,
        peak_live_bytes: allocator.peak_live_bytes,
        rounds: timed
            .iter()
            .map(|outcome| Round {
                ns_per_request_mean: outcome.ns_per_request.mean,
                phase_ns_mean: outcome.phase_ns_mean,
            })
            .collect(),
        live_bytes: allocator.live_bytes,
        arenas: counted.arenas,
        dhat_file: Some(dhat_file(name.as_str())),
    })
}

/// A bar on the terminal; nothing where standard error is none.
fn progress(steps: usize) -> ProgressBar {
    let progress = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        progress.set_style(style);
    }
    progress
}

fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{} {}, {processors} CPUs", std::env::consts::OS, std::env::consts::ARCH)
}
