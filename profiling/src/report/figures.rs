//! The figures of a run as `report.json` holds them: the input, the strategies, and the ratios between these.
//!
//! Filled in by whoever ran the strategies, read by the page and the plots. Invariants: field names are the contract of
//! `report.json`; what is optional may stay empty; a ratio is a finite number or absent. Plain values; the only cost is
//! the memory of the points and rounds.

use blixard_arena::arena::PoolFigures;
use serde::{Deserialize, Serialize};

use super::ReportError;

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
    /// How many requests of the second half called the allocator at all.
    #[serde(default)]
    pub steady_requests_calling: u64,
    /// Most calls of one of them.
    #[serde(default)]
    pub steady_calls_most: u64,
    /// Most bytes live at any moment of the run.
    pub peak_live_bytes: u64,
    /// One entry per timed process, in the order of the rounds; the spread and the paired ratios come from here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// Live bytes over the run, by rising request number. A few hundred points are plenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live_bytes: Vec<LivePoint>,
    /// What its arenas were asked for, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arenas: Option<Arenas>,
    /// Name of its DHAT file, in the report's own directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhat_file: Option<String>,
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

/// What a strategy's pool of arenas saw over the whole run of the process that counts, the first request included.
///
/// Sizes are the pool's own figures, at most a quarter too high. A pool keeps arenas for usual requests: one far beyond these, an
/// outlier, has to ask the allocator for what it needs, however warm the pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Arenas {
    /// Arenas made because none was idle.
    pub made: u64,
    /// Bytes of the median request.
    pub median_bytes: u64,
    /// Bytes of the largest request.
    pub largest_bytes: u64,
    /// Requests of more than four times the median, which is more than an idle arena keeps.
    pub outliers: u64,
}

impl Arenas {
    pub(crate) fn of(figures: &PoolFigures) -> Self {
        let sizes = &figures.request_bytes;
        let median = sizes.quantile(0.5);
        let outliers = sizes.buckets().filter(|(bytes, _)| *bytes > 4 * median).map(|(_, requests)| requests).sum();
        Self { made: figures.created, median_bytes: median as u64, largest_bytes: sizes.quantile(1.0) as u64, outliers }
    }
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
        Some(Self { min, median: f64::midpoint(figures[lower], figures[upper]), max })
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
        Spread::of(self.rounds.iter().map(|round| round.ns_per_request_mean).collect())
    }

    /// Refuses figures that are no figures.
    pub(super) fn check(&self) -> Result<(), ReportError> {
        let refuse_bad = |field: &str, value: f64| refuse_bad(&self.name, field, value);
        refuse_bad("ns_per_request.p50", self.ns_per_request.p50)?;
        refuse_bad("ns_per_request.p99", self.ns_per_request.p99)?;
        refuse_bad("ns_per_request.mean", self.ns_per_request.mean)?;
        for (phase, ns) in self.phase_ns_mean.named() {
            refuse_bad(&format!("phase_ns_mean.{phase}"), ns)?;
        }
        refuse_bad("allocator_calls_per_request", self.allocator_calls_per_request)?;
        refuse_bad("allocated_bytes_per_request", self.allocated_bytes_per_request)?;
        refuse_bad("steady_allocator_calls_per_request", self.steady_allocator_calls_per_request)?;
        for (at, round) in self.rounds.iter().enumerate() {
            refuse_bad(&format!("rounds[{at}].ns_per_request_mean"), round.ns_per_request_mean)?;
            for (phase, ns) in round.phase_ns_mean.named() {
                refuse_bad(&format!("rounds[{at}].phase_ns_mean.{phase}"), ns)?;
            }
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
            rounds: if a.rounds.len() == b.rounds.len() { RoundRatios::between(&a.rounds, &b.rounds) } else { None },
        }
    }
}

impl RoundRatios {
    fn between(a: &[Round], b: &[Round]) -> Option<Self> {
        let (build_and_release, total): (Vec<f64>, Vec<f64>) = a
            .iter()
            .zip(b)
            .filter_map(|(a, b)| {
                let phases = quotient(a.phase_ns_mean.build_and_release(), b.phase_ns_mean.build_and_release())?;
                Some((phases, quotient(a.ns_per_request_mean, b.ns_per_request_mean)?))
            })
            .unzip();
        Some(Self {
            count: total.len() as u64,
            build_and_release: Spread::of(build_and_release)?,
            total: Spread::of(total)?,
        })
    }
}

pub(super) fn refuse_bad(of: &str, field: &str, value: f64) -> Result<(), ReportError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(ReportError::BadFigure { of: of.to_owned(), field: field.to_owned(), value })
}

/// `a / b`, or nothing where that is no number.
fn quotient(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|q| q.is_finite())
}
