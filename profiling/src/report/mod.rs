//! What a run found, as files: `report.json` for programs, `report.html` for people, both from one [`Report`].
//!
//! Stands at the very end of the data's way: the strategies have run in processes of their own, their figures come in
//! as [`Strategy`] values, the ratios are computed here and nowhere else. Invariants: a figure that is negative,
//! infinite or not a number is refused with its name, never written; each file appears whole or not at all (temporary
//! file in the same directory, fsync, rename, fsync of the directory); a failed [`Report::write`] leaves no new file behind.
//! Cost: everything is built in memory first, some hundreds of kilobytes; nothing here runs while a strategy is timed.

mod html;
mod plots;
#[cfg(test)]
mod tests;
pub mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// The version of `report.json` that this program writes. Fields may join within a version; none leaves or changes meaning.
pub const SCHEMA: u32 = 1;

/// Names of the two files in the output directory.
pub const JSON_FILE: &str = "report.json";
/// See [`JSON_FILE`].
pub const HTML_FILE: &str = "report.html";

/// All that one run of the program found.
///
/// Its serde form is `report.json`, whose field names are a contract: other programs read them.
///
/// ```
/// use profiling::report::{Input, PhaseNs, Report, RequestNs, Strategy};
///
/// let input = Input {
///     source: "generated".into(), vms: 640, nodes: 8, requests: 10, batch: 64, threads: 1, seed: 7,
/// };
/// let strategy = |name: &str, build, release| Strategy {
///     name: name.into(),
///     checksum: "9f3a".into(),
///     ns_per_request: RequestNs { p50: 90e3, p99: 99e3, mean: 60e3 + build + release },
///     phase_ns_mean: PhaseNs { place: 60e3, build, release, ..PhaseNs::default() },
///     ..Strategy::default()
/// };
/// let strategies = vec![strategy("heap", 30e3, 10e3), strategy("arena", 4e3, 1e3)];
/// let report = Report::new(input, vec!["profile".into()], String::new(), strategies);
///
/// // Never publish figures of strategies that did different work.
/// report.same_work()?;
/// assert_eq!(report.ratios["heap/arena"].build_and_release, Some(8.0));
/// let dir = tempfile::tempdir()?;
/// let written = report.write(dir.path())?;
/// assert!(written.json.exists() && written.html.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// The command line that repeats the run, program first, one argument per item.
    #[serde(default)]
    pub command: Vec<String>,
    /// The machine in words, e.g. `Linux x86_64, 2 CPUs`. Empty if unknown.
    #[serde(default)]
    pub machine: String,
    /// What was replayed.
    pub input: Input,
    /// The strategies in the order in which they were asked for.
    pub strategies: Vec<Strategy>,
    /// `"heap/arena"` and the like: how many times the first takes the time of the second.
    pub ratios: BTreeMap<String, Ratio>,
}

/// What was replayed, the same for every strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The files, or the generator, in words.
    pub source: String,
    /// Virtual machines in one pass over the input.
    pub vms: u64,
    /// Nodes in the cluster.
    pub nodes: u64,
    /// Requests replayed by each strategy.
    pub requests: u64,
    /// Virtual machines in one request.
    pub batch: u64,
    /// Threads that serve requests.
    pub threads: u64,
    /// The seed of everything that the input files lack.
    #[serde(default)]
    pub seed: u64,
}

/// The figures of one memory strategy.
///
/// Only the contract's fields are required; those with a default may stay empty and the report leaves their part out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Strategy {
    /// `heap`, `heap-mimalloc`, `arena`, …; unique within a report.
    pub name: String,
    /// Requests served in each of its processes.
    pub requests: u64,
    /// Hash over every decision and every encoded byte, in hexadecimal digits.
    pub checksum: String,
    /// Virtual machines that found a node.
    pub placed: u64,
    /// Virtual machines that found none.
    pub rejected: u64,
    /// Time of a whole request.
    pub ns_per_request: RequestNs,
    /// Mean time of each phase of a request.
    pub phase_ns_mean: PhaseNs,
    /// alloc + realloc + dealloc per request over the whole run.
    pub allocator_calls_per_request: f64,
    /// Bytes asked of the allocator per request over the whole run.
    pub allocated_bytes_per_request: f64,
    /// The same calls over every request of the second half, unrounded.
    pub steady_allocator_calls_per_request: f64,
    /// Most bytes live at any moment of the run.
    pub peak_live_bytes: u64,
    /// One entry per timed process, in the order of the rounds; the spread and the paired ratios come from here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// Live bytes over the run, by rising request number. A few hundred points are plenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live_bytes: Vec<LivePoint>,
    /// Name of its DHAT file, in the report's own directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhat_file: Option<String>,
    /// What its arenas hold, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arena: Option<ArenaBytes>,
}

/// Time of whole requests, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RequestNs {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Arithmetic mean.
    pub mean: f64,
}

/// One time for each phase of a request, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PhaseNs {
    /// Read the fields out of the request's bytes.
    pub parse: f64,
    /// Build configs and proposals.
    pub build: f64,
    /// Choose a node for each.
    pub place: f64,
    /// Write the batch as bytes.
    pub encode: f64,
    /// Let everything go.
    pub release: f64,
}

impl PhaseNs {
    /// The phases with their names, in the order of a request.
    #[must_use]
    pub fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("parse", self.parse),
            ("build", self.build),
            ("place", self.place),
            ("encode", self.encode),
            ("release", self.release),
        ]
    }

    /// What the memory strategy itself costs: making the values and letting them go.
    #[must_use]
    pub fn build_and_release(&self) -> f64 {
        self.build + self.release
    }

    /// All phases together.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.named().iter().map(|(_, ns)| ns).sum()
    }
}

/// The means of one timed process.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Round {
    /// Mean time of a request in this process, in nanoseconds.
    pub ns_per_request_mean: f64,
    /// Mean time of each phase in this process.
    pub phase_ns_mean: PhaseNs,
}

/// One point of a strategy's live bytes over the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivePoint {
    /// Number of the request, counted from zero.
    pub request: u64,
    /// Most bytes live at once since the point before.
    pub live_bytes: u64,
}

/// What a strategy's arenas hold at the end of a request, as means over the run, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ArenaBytes {
    /// In values.
    pub used: f64,
    /// In chunks, obtained from the allocator.
    pub reserved: f64,
    /// In gaps that no value can use any more.
    pub wasted: f64,
}

/// How many times one strategy takes the time of another; above 1 the second is the faster.
///
/// Every number is `null` where the second takes no time at all.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Ratio {
    /// `phase_ns_mean.build` over `phase_ns_mean.build`.
    pub build: Option<f64>,
    /// `phase_ns_mean.release` over `phase_ns_mean.release`.
    pub release: Option<f64>,
    /// `build` plus `release` over the same sum.
    #[serde(default)]
    pub build_and_release: Option<f64>,
    /// `ns_per_request.mean` over `ns_per_request.mean`.
    pub total: Option<f64>,
    /// The same ratios round by round, if both strategies have the same number of rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<RoundRatios>,
}

/// Ratios between processes of the same round, which ran next to each other in time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RoundRatios {
    /// Number of rounds in which every ratio could be formed.
    pub count: u64,
    /// Of `build` plus `release`.
    pub build_and_release: Spread,
    /// Of the whole request.
    pub total: Spread,
}

/// The middle and the ends of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one; the mean of the two middle ones of an even number.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The spread of `figures`, or `None` of no figures.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let upper = figures.len() / 2;
        let lower = (figures.len() - 1) / 2;
        Some(Self {
            min,
            median: f64::midpoint(figures[lower], figures[upper]),
            max,
        })
    }
}

impl Report {
    /// A report of these strategies, with the ratios between them.
    ///
    /// A ratio stands for each pair of a heap (`heap`, `heap-…`) and a strategy that is none, and for `heap` over the other
    /// heaps. They divide the figures that the report itself shows, so a reader can check them; where the strategies ran in
    /// paired rounds, [`Ratio::rounds`] adds the median and spread of the ratios round by round.
    #[must_use]
    pub fn new(
        input: Input,
        command: Vec<String>,
        machine: String,
        strategies: Vec<Strategy>,
    ) -> Self {
        let ratios = ratios(&strategies);
        Self {
            schema: SCHEMA,
            command,
            machine,
            input,
            strategies,
            ratios,
        }
    }

    /// Whether all strategies did the same work.
    ///
    /// # Errors
    /// [`ChecksumMismatch`], which names the strategies and their checksums, if there are two different ones.
    pub fn same_work(&self) -> Result<(), ChecksumMismatch> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for strategy in &self.strategies {
            match groups
                .iter_mut()
                .find(|(checksum, _)| *checksum == strategy.checksum)
            {
                Some((_, names)) => names.push(strategy.name.clone()),
                None => groups.push((strategy.checksum.clone(), vec![strategy.name.clone()])),
            }
        }
        if groups.len() > 1 {
            Err(ChecksumMismatch { groups })
        } else {
            Ok(())
        }
    }

    /// The run in a few sentences of plain text: the times, the allocator's part, and whether the work was the same.
    ///
    /// Strategies that did different work are not compared; the text then says how they differ.
    #[must_use]
    pub fn summary(&self) -> String {
        let Some(first) = self.strategies.first() else {
            return String::new();
        };
        if let Err(mismatch) = self.same_work() {
            return format!("The figures below do not compare: {mismatch}.");
        }
        let figures = match self.heap_and_other() {
            Some((heap, other)) => self.comparison(heap, other),
            None => self.alone(first),
        };
        let who = match self.strategies.len() {
            1 => "Its decisions and encoded bytes have".to_owned(),
            n => format!("All {n} strategies took the same decisions and encoded the same bytes:"),
        };
        format!("{figures} {who} checksum {}.", first.checksum)
    }

    /// Writes `report.html` and `report.json` into `dir`, which is created if need be, and returns their paths.
    ///
    /// Both are complete on disk, under temporary names, before either takes its own name; `report.json` comes last, so
    /// whoever waits for it finds `report.html` beside it. Reports of an earlier run are replaced.
    ///
    /// # Errors
    /// [`ReportError`] if a figure is not a finite number of at least zero, if there is no strategy or two of one name, or
    /// if the directory cannot be written. Then no new file is left behind.
    pub fn write(&self, dir: &Path) -> Result<Written, ReportError> {
        self.check()?;
        let page = html::page(self)?;
        let mut json = serde_json::to_string_pretty(self).map_err(ReportError::Json)?;
        json.push('\n');

        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| ReportError::Io { path, source }
        };
        fs::create_dir_all(dir).map_err(at(dir))?;
        let written = Written {
            json: dir.join(JSON_FILE),
            html: dir.join(HTML_FILE),
        };
        let page_file =
            complete_file(dir, HTML_FILE, page.as_bytes()).map_err(at(&written.html))?;
        let json_file =
            complete_file(dir, JSON_FILE, json.as_bytes()).map_err(at(&written.json))?;
        page_file
            .persist(&written.html)
            .map_err(|e| at(&written.html)(e.error))?;
        if let Err(e) = json_file.persist(&written.json) {
            // The page alone would be half a report. If it cannot go either, the first error is the one to tell.
            drop(fs::remove_file(&written.html));
            return Err(at(&written.json)(e.error));
        }
        File::open(dir)
            .and_then(|open| open.sync_all())
            .map_err(at(dir))?;
        Ok(written)
    }

    /// Refuses what no reader could use: no strategies, two of one name, figures that are no figures.
    fn check(&self) -> Result<(), ReportError> {
        if self.strategies.is_empty() {
            return Err(ReportError::NoStrategies);
        }
        for (at, strategy) in self.strategies.iter().enumerate() {
            if self.strategies[..at]
                .iter()
                .any(|earlier| earlier.name == strategy.name)
            {
                return Err(ReportError::SameName {
                    name: strategy.name.clone(),
                });
            }
            strategy.check()?;
        }
        Ok(())
    }

    /// The pair that the summary speaks of: the first heap, and `arena` or else the first strategy that is no heap.
    fn heap_and_other(&self) -> Option<(&Strategy, &Strategy)> {
        let heap = self.strategies.iter().find(|s| s.is_heap())?;
        let other = self
            .strategies
            .iter()
            .find(|s| s.name == "arena")
            .or_else(|| self.strategies.iter().find(|s| !s.is_heap()))?;
        Some((heap, other))
    }

    fn comparison(&self, heap: &Strategy, other: &Strategy) -> String {
        let ratio = Ratio::between(heap, other);
        let times = |value: Option<f64>| {
            value.map_or_else(String::new, |v| {
                format!(
                    ", {} times as fast",
                    units::ratio(Some(v)).trim_end_matches('x')
                )
            })
        };
        format!(
            "{} serves a request of {} VMs in {} on average, {} in {}{}. Build plus release take {} instead of {}{}. In \
             the second half of the run {} calls the allocator {} times per request, {} {} times.",
            other.name,
            units::count(units::real(self.input.batch)),
            units::nanos(other.ns_per_request.mean),
            heap.name,
            units::nanos(heap.ns_per_request.mean),
            times(ratio.total).replacen(',', ":", 1),
            units::nanos(other.phase_ns_mean.build_and_release()),
            units::nanos(heap.phase_ns_mean.build_and_release()),
            times(ratio.build_and_release),
            other.name,
            units::count(other.steady_allocator_calls_per_request),
            heap.name,
            units::count(heap.steady_allocator_calls_per_request),
        )
    }

    fn alone(&self, only: &Strategy) -> String {
        format!(
            "{} serves a request of {} VMs in {} on average, {} of it to build and release. In the second half of the run \
             it calls the allocator {} times per request.",
            only.name,
            units::count(units::real(self.input.batch)),
            units::nanos(only.ns_per_request.mean),
            units::nanos(only.phase_ns_mean.build_and_release()),
            units::count(only.steady_allocator_calls_per_request),
        )
    }
}

impl Strategy {
    /// Whether it works on a general-purpose allocator alone: `heap`, or `heap-` and the allocator's name.
    #[must_use]
    pub fn is_heap(&self) -> bool {
        self.name == "heap" || self.name.starts_with("heap-")
    }

    /// The mean request of each round, from the fastest to the slowest.
    #[must_use]
    pub fn spread_ns(&self) -> Option<Spread> {
        Spread::of(
            self.rounds
                .iter()
                .map(|round| round.ns_per_request_mean)
                .collect(),
        )
    }

    fn check(&self) -> Result<(), ReportError> {
        let refuse_bad = |field: &str, value: f64| {
            if value.is_finite() && value >= 0.0 {
                return Ok(());
            }
            Err(ReportError::BadFigure {
                strategy: self.name.clone(),
                field: field.to_owned(),
                value,
            })
        };
        refuse_bad("ns_per_request.p50", self.ns_per_request.p50)?;
        refuse_bad("ns_per_request.p99", self.ns_per_request.p99)?;
        refuse_bad("ns_per_request.mean", self.ns_per_request.mean)?;
        for (phase, ns) in self.phase_ns_mean.named() {
            refuse_bad(&format!("phase_ns_mean.{phase}"), ns)?;
        }
        refuse_bad(
            "allocator_calls_per_request",
            self.allocator_calls_per_request,
        )?;
        refuse_bad(
            "allocated_bytes_per_request",
            self.allocated_bytes_per_request,
        )?;
        refuse_bad(
            "steady_allocator_calls_per_request",
            self.steady_allocator_calls_per_request,
        )?;
        for (at, round) in self.rounds.iter().enumerate() {
            refuse_bad(
                &format!("rounds[{at}].ns_per_request_mean"),
                round.ns_per_request_mean,
            )?;
            for (phase, ns) in round.phase_ns_mean.named() {
                refuse_bad(&format!("rounds[{at}].phase_ns_mean.{phase}"), ns)?;
            }
        }
        if let Some(arena) = &self.arena {
            refuse_bad("arena.used", arena.used)?;
            refuse_bad("arena.reserved", arena.reserved)?;
            refuse_bad("arena.wasted", arena.wasted)?;
        }
        Ok(())
    }
}

impl Ratio {
    /// How many times `a` takes the time of `b`.
    #[must_use]
    pub fn between(a: &Strategy, b: &Strategy) -> Self {
        let (phases_a, phases_b) = (&a.phase_ns_mean, &b.phase_ns_mean);
        Self {
            build: quotient(phases_a.build, phases_b.build),
            release: quotient(phases_a.release, phases_b.release),
            build_and_release: quotient(phases_a.build_and_release(), phases_b.build_and_release()),
            total: quotient(a.ns_per_request.mean, b.ns_per_request.mean),
            rounds: if a.rounds.len() == b.rounds.len() {
                RoundRatios::between(&a.rounds, &b.rounds)
            } else {
                None
            },
        }
    }
}

impl RoundRatios {
    fn between(a: &[Round], b: &[Round]) -> Option<Self> {
        let (build_and_release, total): (Vec<f64>, Vec<f64>) = a
            .iter()
            .zip(b)
            .filter_map(|(a, b)| {
                let phases = quotient(
                    a.phase_ns_mean.build_and_release(),
                    b.phase_ns_mean.build_and_release(),
                )?;
                Some((
                    phases,
                    quotient(a.ns_per_request_mean, b.ns_per_request_mean)?,
                ))
            })
            .unzip();
        Some(Self {
            count: total.len() as u64,
            build_and_release: Spread::of(build_and_release)?,
            total: Spread::of(total)?,
        })
    }
}

/// `a / b`, or nothing where that is no number.
fn quotient(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|q| q.is_finite())
}

fn ratios(strategies: &[Strategy]) -> BTreeMap<String, Ratio> {
    let mut ratios = BTreeMap::new();
    for a in strategies.iter().filter(|s| s.is_heap()) {
        for b in strategies {
            let another_heap = a.name == "heap" && b.is_heap() && b.name != a.name;
            if !b.is_heap() || another_heap {
                ratios.insert(format!("{}/{}", a.name, b.name), Ratio::between(a, b));
            }
        }
    }
    ratios
}

/// A temporary file in `dir` whose bytes are on disk, ready to take its name.
fn complete_file(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    // A report is for everyone whom the umask lets read; temporary files are for their owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Where [`Report::write`] put its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The machine's form.
    pub json: PathBuf,
    /// The people's form.
    pub html: PathBuf,
}

/// Strategies that did not do the same work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChecksumMismatch {
    /// Each checksum with the names of the strategies that have it, in the report's order; at least two entries.
    pub groups: Vec<(String, Vec<String>)>,
}

impl fmt::Display for ChecksumMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the strategies differ in what they decided or encoded: checksum ")?;
        for (at, (checksum, names)) in self.groups.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{checksum} of {}", names.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for ChecksumMismatch {}

/// Why no report was written.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReportError {
    /// There is nothing to report.
    NoStrategies,
    /// Two strategies have one name.
    SameName {
        /// The name.
        name: String,
    },
    /// A figure is negative, infinite or not a number.
    BadFigure {
        /// The strategy that it belongs to.
        strategy: String,
        /// Its place in the strategy, as in `report.json`.
        field: String,
        /// What it is.
        value: f64,
    },
    /// A plot could not be drawn.
    Plot {
        /// Which one.
        plot: &'static str,
        /// What the drawing library said.
        reason: String,
    },
    /// The report could not be put into JSON.
    Json(serde_json::Error),
    /// A file or directory could not be written.
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStrategies => f.write_str("a report needs at least 1 strategy, it has 0"),
            Self::SameName { name } => {
                write!(f, "two strategies of a report have the name {name:?}")
            }
            Self::BadFigure {
                strategy,
                field,
                value,
            } => {
                write!(
                    f,
                    "{field} of strategy {strategy:?} is {value}, expected a finite number of at least 0"
                )
            }
            Self::Plot { plot, reason } => {
                write!(f, "the plot of {plot} could not be drawn: {reason}")
            }
            Self::Json(source) => write!(f, "the report could not be put into JSON: {source}"),
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(source) => Some(source),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
