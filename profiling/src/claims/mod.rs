//! The claims: how many allocations and `Arc` operations of a request pools and arenas save, counted one kind at a time.
//!
//! A claim's replay builds, reads and lets go one kind of thing for every request and nothing else: `strings`,
//! `objects`, `collections`, `arcs`, each in three forms: plain heap, pooled, arena. It stands beside the replay of whole requests
//! and runs in a counting process of its own for each form.
//!
//! Invariants: what is counted lies between the probe's two calls, the first request's set-up included; parsing and
//! numbering come before; the checksum is of what was built, read back from where it lies, and equal in the three forms.
//! Cost: the fields of a whole pass lie in memory.

mod arcs;
mod collections;
mod objects;
mod strings;

use std::collections::BTreeMap;
use std::fmt;

use blixard_arena::{Arena, ArenaPool};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::replay::Probe;
use crate::request::{Request, RequestError, VmRequest};
use crate::strategy::Name;
use crate::worker::Job;

pub use arcs::Counted;

/// What is claimed to become fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Heap blocks for texts.
    Strings,
    /// Heap blocks for proposals and configs.
    Objects,
    /// Heap blocks for lists and maps.
    Collections,
    /// Clones and drops of `Arc`s.
    Arcs,
}

impl Claim {
    /// Every claim, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Strings, Self::Objects, Self::Collections, Self::Arcs];

    /// The forms that are compared.
    pub const FORMS: [Name; 3] = [Name::Heap, Name::Pooled, Name::Arena];

    /// What is counted, as the report calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strings => "string allocations",
            Self::Objects => "object allocations",
            Self::Collections => "collection allocations",
            Self::Arcs => "Arc operations",
        }
    }

    /// How many percent fewer were hoped for when pools and interned names were all there was, from and to.
    #[must_use]
    pub fn hoped_percent(self) -> [u32; 2] {
        match self {
            Self::Strings => [70, 90],
            Self::Objects => [60, 80],
            Self::Collections => [40, 60],
            Self::Arcs => [50, 70],
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a claim's replay found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Hash over all that was built.
    pub checksum: String,
    /// Calls that asked for memory inside requests, or clones and drops of `Arc`s; `None` if this process does not count.
    pub operations: Option<u64>,
}

/// One form of one claim's work.
trait Form {
    /// Builds what the claim is about, adds it to the checksum as it lies there, lets it go.
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3);
}

/// The form that works in an arena of the request's own: what is done there, for every request.
struct InArena<F> {
    pool: ArenaPool,
    work: F,
}

impl<F: Fn(&Arena, &Parsed<'_>, &mut Xxh3)> InArena<F> {
    fn new(work: F) -> Self {
        Self { pool: ArenaPool::new(), work }
    }
}

impl<F: Fn(&Arena, &Parsed<'_>, &mut Xxh3)> Form for InArena<F> {
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3) {
        (self.work)(&self.pool.acquire(), request, sum);
    }
}

/// A request as every form gets it.
struct Parsed<'b> {
    vms: Vec<VmRequest<'b>>,
    pairs: Vec<(&'b str, &'b str)>,
    /// The pairs' texts as numbers, for what is to hold no text. In the order of the texts.
    numbers: Vec<(u32, u32)>,
}

/// Replays a job's requests with the claim's work, in the form that the job's strategy names.
///
/// # Errors
///
/// If a request's bytes are no request.
///
/// # Panics
///
/// If the strategy is none of [`Claim::FORMS`].
pub fn count(job: &Job, claim: Claim, probe: &impl Probe) -> Result<Count, RequestError> {
    let pass = parsed(&job.pass)?;
    let mut form: Box<dyn Form> = match claim {
        Claim::Strings => strings::form(job.strategy, &pass),
        Claim::Objects => objects::form(job.strategy, &pass),
        Claim::Collections => collections::form(job.strategy),
        Claim::Arcs => arcs::form(job.strategy, &pass),
    };
    let mut sum = Box::new(Xxh3::new());
    let before = arcs::operations();
    probe.replay_begins(job);
    for request in 0..job.requests {
        let parsed = &pass[request % pass.len()];
        probe.request_begins();
        form.serve(parsed, &mut sum);
        probe.request_ends(request);
    }
    let operations = match claim {
        Claim::Arcs => Some(arcs::operations() - before),
        _ => probe.figures().map(|figures| figures.asks),
    };
    Ok(Count { checksum: format!("{:016x}", sum.digest()), operations })
}

fn no_form(name: Name) -> ! {
    panic!("{name} is no form of a claim")
}

fn parsed(pass: &[Vec<u8>]) -> Result<Vec<Parsed<'_>>, RequestError> {
    let mut requests = Vec::with_capacity(pass.len());
    for bytes in pass {
        let (mut vms, mut pairs) = (Vec::new(), Vec::new());
        Request::open(bytes)?.parse(&mut vms, &mut pairs)?;
        requests.push(Parsed { vms, pairs, numbers: Vec::new() });
    }
    let texts = requests.iter().flat_map(|request| &request.pairs).flat_map(|&(key, value)| [key, value]);
    let numbers: BTreeMap<&str, u32> = texts.map(|text| (text, 0)).collect();
    let numbers: BTreeMap<&str, u32> = numbers.into_keys().zip(0..).collect();
    for Parsed { pairs, numbers: own, .. } in &mut requests {
        own.extend(pairs.iter().map(|(key, value)| (numbers[key], numbers[value])));
    }
    Ok(requests)
}

/// Adds a text and its end.
fn add_text(sum: &mut Xxh3, text: &str) {
    sum.update(text.as_bytes());
    sum.update(&[0xff]);
}
