//! The replay: a thread's share of the requests, served one after the other, each phase timed.
//!
//! It stands between the worker process and the strategies. All that is not memory strategy is here, once: the cluster
//! with its leases, the clock, the buffer for encoded bytes, the checksum.
//!
//! Invariants: the timed part of a request begins and ends in [`Strategy::serve`]; checksum, probe and bookkeeping lie
//! outside it; everything that this module needs is allocated before the first request.
//! Cost: seven clock reads per request, about 20 ns each, the same in every strategy.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::time::Instant;

use blixard_arena::arena::PoolFigures;
use bytes::Bytes;
use control_plane::raft::{Lifetime, ProposalLimits, ProposalProcessor};
use control_plane::scheduler::baseline::rank_original;
use control_plane::scheduler::{BatchScheduler, Chosen, NodeTable, Placement, Shortage, VmSpec};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::counting::AllocatorFigures;
use crate::placement::Placing;
use crate::report::{Arenas, PhaseNs, RequestNs};
use crate::request::RequestError;
use crate::worker::Job;

/// Most requests served before the clock starts, in every strategy alike.
const WARM_UP_REQUESTS_MAX: usize = 500;

/// A way to hold a request's values: the one thing in which strategies differ.
pub trait Strategy: Sync {
    /// Serves a request: parses it, builds, places and encodes its proposals, lets everything go.
    ///
    /// # Errors
    ///
    /// If the bytes are no request.
    fn serve(&self, desk: &mut Desk, request: &[u8]) -> Result<(), RequestError>;

    /// What its pool of arenas has seen, if it has one.
    fn arenas(&self) -> Option<PoolFigures> {
        None
    }
}

/// Something that watches a replay from outside the requests. The timed processes have `()`, which does nothing.
pub trait Probe: Sync {
    /// Runs the whole replay; a profiler may be started and ended around it.
    fn around<R>(&self, job: &Job, replay: impl FnOnce() -> R) -> R {
        let _ = job;
        replay()
    }

    /// All memory of the replay itself is there; the strategy is made next.
    fn replay_begins(&self, _job: &Job) {}

    /// The calling thread begins a request.
    fn request_begins(&self) {}

    /// The calling thread has ended this request.
    fn request_ends(&self, _request: usize) {}

    /// What was seen of the allocator.
    fn figures(&self) -> Option<AllocatorFigures> {
        None
    }
}

impl Probe for () {}

/// The phases of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Fields out of bytes.
    Parse,
    /// Getting memory for the request; configs and proposals out of fields.
    Build,
    /// A node for each VM.
    Place,
    /// Bytes out of proposals and decisions.
    Encode,
    /// Everything goes.
    Release,
}

/// Times the phases of one thread's requests.
#[derive(Debug)]
pub struct Clock {
    last: Instant,
    request_ns: u64,
    phases_ns: [u64; 5],
}

impl Clock {
    /// A request begins.
    #[inline]
    pub fn begin(&mut self) {
        self.request_ns = 0;
        self.last = Instant::now();
    }

    /// What was done since the last call belongs to `phase`.
    #[inline]
    pub fn lap(&mut self, phase: Phase) {
        let now = Instant::now();
        // A phase of 584 years does not happen.
        let ns = u64::try_from((now - self.last).as_nanos()).unwrap_or(u64::MAX);
        self.phases_ns[phase as usize] += ns;
        self.request_ns += ns;
        self.last = now;
    }
}

/// Capacity that comes back at a time.
#[derive(Debug, Clone, Copy)]
struct Lease {
    until_seconds: u64,
    placement: Placement,
}

/// The nodes, and the leases on their capacity.
#[derive(Debug)]
pub struct Cluster {
    scheduler: BatchScheduler<'static>,
    placing: Placing,
    leases: BinaryHeap<Reverse<Lease>>,
}

impl PartialEq for Lease {
    fn eq(&self, other: &Self) -> bool {
        self.until_seconds == other.until_seconds
    }
}

impl Eq for Lease {}

impl PartialOrd for Lease {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Lease {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.until_seconds.cmp(&other.until_seconds)
    }
}

impl Cluster {
    /// A cluster of free nodes, placed upon in this way, with room for this many leases.
    #[must_use]
    pub fn new(mut nodes: NodeTable, placing: Placing, leases_max: usize) -> Self {
        nodes.rank_by(placing.strategy());
        let leases = BinaryHeap::with_capacity(leases_max);
        Self { scheduler: BatchScheduler::new(nodes), placing, leases }
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &NodeTable {
        self.scheduler.table()
    }

    /// Places a VM, after all capacity came back whose time is up when this VM is wanted.
    ///
    /// # Errors
    ///
    /// If no node will do: what was short.
    pub fn place(&mut self, spec: &VmSpec<'_>, lifetime: Lifetime) -> Result<Chosen, Shortage> {
        while let Some(Reverse(lease)) = self.leases.peek() {
            if lease.until_seconds > lifetime.from_seconds {
                break;
            }
            self.scheduler.release(&lease.placement);
            self.leases.pop();
        }
        let chosen = match self.placing {
            Placing::Original => self.scheduler.place_by(spec, rank_original)?,
            _ => self.scheduler.place(spec)?,
        };
        if let Some(until_seconds) = lifetime.until_seconds {
            self.leases.push(Reverse(Lease { until_seconds, placement: chosen.placement }));
        }
        Ok(chosen)
    }

    /// Forgets all leases and frees all nodes: a new pass over the file begins.
    pub fn start_over(&mut self) {
        self.leases.clear();
        self.scheduler.free_all();
    }
}

/// What one thread works with, request after request, whatever the strategy.
#[derive(Debug)]
pub struct Desk {
    /// Where VMs go.
    pub cluster: Cluster,
    /// Checks and encodes batches.
    pub processor: ProposalProcessor,
    /// The archived batch, whose buffer is used again when the next one has taken its place.
    pub encoded: Bytes,
    /// Times the phases.
    pub clock: Clock,
    /// VMs that got a node.
    pub placed: u64,
    /// VMs that got none.
    pub rejected: u64,
}

impl Desk {
    fn new(nodes: NodeTable, placing: Placing, leases_max: usize) -> Self {
        // A batch is as large as the job says.
        let limits = ProposalLimits {
            batch_proposals_max: usize::MAX,
            batch_bytes_max: usize::MAX,
            ..ProposalLimits::default()
        };
        let processor = ProposalProcessor::new(limits);
        Self {
            cluster: Cluster::new(nodes, placing, leases_max),
            processor,
            encoded: Bytes::new(),
            clock: Clock { last: Instant::now(), request_ns: 0, phases_ns: [0; 5] },
            placed: 0,
            rejected: 0,
        }
    }

    /// Counts a decision.
    #[inline]
    pub fn tally(&mut self, chosen: &Result<Chosen, Shortage>) {
        self.placed += u64::from(chosen.is_ok());
        self.rejected += u64::from(chosen.is_err());
    }

    fn forget_figures(&mut self) {
        self.clock.phases_ns = [0; 5];
        (self.placed, self.rejected) = (0, 0);
    }
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Hash over every encoded byte, decisions among them.
    pub checksum: String,
    /// VMs that got a node.
    pub placed: u64,
    /// VMs that got none.
    pub rejected: u64,
    /// Time of whole requests.
    pub ns_per_request: RequestNs,
    /// Mean time of each phase.
    pub phase_ns_mean: PhaseNs,
    /// What the allocator was asked, if this process counts.
    pub allocator: Option<AllocatorFigures>,
    /// What the strategy's arenas were asked for, if it has any.
    pub arenas: Option<Arenas>,
}

/// One thread's part of a replay.
struct Share<'j> {
    job: &'j Job,
    thread: usize,
    desk: Desk,
    requests_ns: Vec<u64>,
    hash: Box<Xxh3>,
}

impl<'j> Share<'j> {
    fn new(job: &'j Job, nodes: &NodeTable, thread: usize) -> Self {
        let requests = job.requests.div_ceil(job.threads);
        let leases_max = job.pass.len().min(requests + WARM_UP_REQUESTS_MAX) * job.batch;
        Self {
            job,
            thread,
            desk: Desk::new(nodes.clone(), job.placement, leases_max),
            requests_ns: Vec::with_capacity(requests),
            hash: Box::new(Xxh3::new()),
        }
    }

    /// Serves the requests `thread`, `thread + threads`, … below `requests`, cycling over the pass.
    fn serve<P: Probe>(&mut self, strategy: &impl Strategy, probe: &P, requests: usize) -> Result<(), RequestError> {
        let pass = &self.job.pass;
        let mut last_pass = 0;
        self.desk.cluster.start_over();
        for request in (self.thread..requests).step_by(self.job.threads) {
            if request / pass.len() != last_pass {
                last_pass = request / pass.len();
                self.desk.cluster.start_over();
            }
            let bytes = &pass[request % pass.len()];
            probe.request_begins();
            let served = strategy.serve(&mut self.desk, bytes);
            probe.request_ends(request);
            served?;
            self.hash.update(&self.desk.encoded);
            self.requests_ns.push(self.desk.clock.request_ns);
        }
        Ok(())
    }

    fn run<P: Probe>(&mut self, strategy: &impl Strategy, probe: &P, start: &Barrier) -> Result<(), RequestError> {
        let warm_up = if self.job.warm_up { self.job.requests.min(WARM_UP_REQUESTS_MAX) } else { 0 };
        // A panic, too, waits until all are there: the others would wait for this thread for ever.
        let warmed = catch_unwind(AssertUnwindSafe(|| self.serve(strategy, &(), warm_up)));
        self.requests_ns.clear();
        self.hash.reset();
        self.desk.forget_figures();
        // Reached by every thread, whatever happened to it before.
        start.wait();
        warmed.unwrap_or_else(|panic| resume_unwind(panic))?;
        self.serve(strategy, probe, self.job.requests)
    }
}

/// Replays a job with the strategy that `make` makes, and says what was found.
///
/// The calling thread serves the first share; each further thread is started here.
///
/// # Errors
///
/// If a request's bytes are no request.
///
/// # Panics
///
/// If a thread panics, with what it panicked with, once all others have ended.
pub fn replay<S: Strategy, P: Probe>(
    job: &Job,
    nodes: &NodeTable,
    make: impl FnOnce() -> S,
    probe: &P,
) -> Result<Outcome, RequestError> {
    let mut shares: Vec<Share<'_>> = (0..job.threads).map(|thread| Share::new(job, nodes, thread)).collect();
    let served = probe.around(job, || {
        probe.replay_begins(job);
        let strategy = make();
        let start = Barrier::new(job.threads);
        let (first, others) = shares.split_first_mut().expect("a job has at least one thread");
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                others.iter_mut().map(|share| scope.spawn(|| share.run(&strategy, probe, &start))).collect();
            let served = first.run(&strategy, probe, &start);
            let served = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
                .fold(served, Result::and);
            served.map(|()| strategy.arenas())
        })
    });
    let arenas = served?.map(|figures| Arenas::of(&figures));
    Ok(sum_up(&shares, probe.figures(), arenas))
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds and requests stay far below 2^52")]
fn sum_up(shares: &[Share<'_>], allocator: Option<AllocatorFigures>, arenas: Option<Arenas>) -> Outcome {
    let mut hash = Xxh3::new();
    let mut requests_ns: Vec<u64> = Vec::new();
    let mut phases_ns = [0_u64; 5];
    for share in shares {
        hash.update(&share.hash.digest().to_le_bytes());
        requests_ns.extend(&share.requests_ns);
        for (sum, ns) in phases_ns.iter_mut().zip(share.desk.clock.phases_ns) {
            *sum += ns;
        }
    }
    requests_ns.sort_unstable();
    let requests = requests_ns.len().max(1);
    // The nearest rank: the smallest time that this share of the requests does not exceed.
    let percentile = |percent: usize| {
        let rank = (requests * percent).div_ceil(100).max(1);
        requests_ns.get(rank - 1).copied().unwrap_or(0) as f64
    };
    let mean = |ns: u64| ns as f64 / requests as f64;
    let [parse, build, place, encode, release] = phases_ns.map(mean);
    Outcome {
        checksum: format!("{:016x}", hash.digest()),
        placed: shares.iter().map(|share| share.desk.placed).sum(),
        rejected: shares.iter().map(|share| share.desk.rejected).sum(),
        ns_per_request: RequestNs { p50: percentile(50), p99: percentile(99), mean: mean(requests_ns.iter().sum()) },
        phase_ns_mean: PhaseNs { parse, build, place, encode, release },
        allocator,
        arenas,
    }
}
