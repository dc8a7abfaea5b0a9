//! What a run found, as files: `report.json` for programs, `report.html` for people, both from one [`Report`].
//!
//! Stands at the very end of the data's way: the strategies have run in processes of their own, their figures come in
//! as [`Strategy`] values, the ratios are computed here and nowhere else. Invariants: a figure that is negative,
//! infinite or not a number is refused with its name, never written; each file appears whole or not at all (written in a
//! hidden directory beside it, fsync, rename, fsync of the directory); a failed [`Report::write`] leaves no new file behind, and
//! every earlier one where it was.
//! Cost: everything is built in memory first, some hundreds of kilobytes; nothing here runs while a strategy is timed.

mod claims;
mod figures;
mod files;
mod html;
mod plots;
#[cfg(test)]
mod tests;
mod tracking;
pub mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use claims::Claim;
pub use tracking::{Cost, StrategySites, TopSite, Tracking};

pub use figures::{Arenas, Input, LivePoint, PhaseNs, Ratio, RequestNs, Round, RoundRatios, Spread, Strategy};

/// The version of `report.json` that this program writes. Fields may join within a version; none leaves or changes meaning.
pub const SCHEMA: u32 = 1;

/// Name in the output directory of the form for programs.
pub const JSON_FILE: &str = "report.json";
/// Name in the output directory of the form for people.
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
    /// How many fewer allocations and `Arc` operations pools and arenas need, kind by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
    /// Where memory comes from, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Tracking>,
}

impl Report {
    /// A report of these strategies, with the ratios between them.
    ///
    /// A ratio stands for each pair of a heap (`heap`, `heap-…`) and a strategy that is none, and for `heap` over the other
    /// heaps. They divide the figures that the report itself shows, so a reader can check them; where the strategies ran in
    /// paired rounds, [`Ratio::rounds`] adds the median and spread of the ratios round by round.
    #[must_use]
    pub fn new(input: Input, command: Vec<String>, machine: String, strategies: Vec<Strategy>) -> Self {
        let ratios = ratios(&strategies);
        Self { schema: SCHEMA, command, machine, input, strategies, ratios, claims: Vec::new(), tracking: None }
    }

    /// Whether all strategies did the same work.
    ///
    /// # Errors
    /// [`ChecksumMismatch`], which names the strategies and their checksums, if there are two different ones.
    pub fn same_work(&self) -> Result<(), ChecksumMismatch> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for strategy in &self.strategies {
            match groups.iter_mut().find(|(checksum, _)| *checksum == strategy.checksum) {
                Some((_, names)) => names.push(strategy.name.clone()),
                None => groups.push((strategy.checksum.clone(), vec![strategy.name.clone()])),
            }
        }
        if groups.len() > 1 { Err(ChecksumMismatch { groups }) } else { Ok(()) }
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
    /// if the directory cannot be written. Then no new file is left behind, and those of an earlier run are as they were.
    pub fn write(&self, dir: &Path) -> Result<Written, ReportError> {
        self.write_with(dir, &[])
    }

    /// As [`write`](Self::write), with further files that the report speaks of. They are moved into `dir`, each with its own name, and
    /// must lie on the same file system; they, too, replace those of an earlier run together with the report or not at all.
    ///
    /// # Errors
    /// As [`write`](Self::write), and if one of the files is not there.
    pub fn write_with(&self, dir: &Path, files: &[PathBuf]) -> Result<Written, ReportError> {
        self.check()?;
        let page = html::page(self)?;
        let mut json = serde_json::to_string_pretty(self).map_err(ReportError::Json)?;
        json.push('\n');

        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| ReportError::Io { path, source }
        };
        fs::create_dir_all(dir).map_err(at(dir))?;
        let written = Written { json: dir.join(JSON_FILE), html: dir.join(HTML_FILE) };
        let hidden = tempfile::Builder::new().prefix(".report-").tempdir_in(dir).map_err(at(dir))?;
        let (page_file, json_file) = (hidden.path().join(HTML_FILE), hidden.path().join(JSON_FILE));
        fs::write(&page_file, page).map_err(at(&written.html))?;
        fs::write(&json_file, json).map_err(at(&written.json))?;
        let files: Vec<PathBuf> = files.iter().cloned().chain([page_file, json_file]).collect();
        files::take_names(dir, hidden.path(), &files, |dir| File::open(dir)?.sync_all())?;
        Ok(written)
    }

    /// Refuses what no reader could use: no strategies, two of one name, figures that are no figures.
    fn check(&self) -> Result<(), ReportError> {
        if self.strategies.is_empty() {
            return Err(ReportError::NoStrategies);
        }
        for (at, strategy) in self.strategies.iter().enumerate() {
            if self.strategies[..at].iter().any(|earlier| earlier.name == strategy.name) {
                return Err(ReportError::SameName { name: strategy.name.clone() });
            }
            strategy.check()?;
        }
        for claim in &self.claims {
            for (field, value) in claim.figures() {
                figures::refuse_bad(&claim.name, field, value)?;
            }
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
                format!(", {} times as fast", units::ratio(Some(v)).trim_end_matches('x'))
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
        /// The strategy or claim that it belongs to.
        of: String,
        /// Its place in there, as in `report.json`.
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
            Self::BadFigure { of, field, value } => {
                write!(f, "{field} of {of:?} is {value}, expected a finite number of at least 0")
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
