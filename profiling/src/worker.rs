//! A replay as a process: reads a [`Job`] from its standard input, writes the [`Outcome`] to its standard output, or the
//! [`Count`](claims::Count) of a claim.
//!
//! Each worker binary is this module with one global allocator and one [`Probe`]: `profiling worker` has the system's
//! allocator, `replay-mimalloc` mimalloc, `replay-counting` and `replay-dhat` are the ones that are not timed, `replay-sites` is timed apart.
//!
//! Invariant: everything is read and set up before the replay begins, and written after it ended.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use control_plane::scheduler::{Node, NodeTable};
use serde::{Deserialize, Serialize};

use crate::claims::{self, Claim};
use crate::placement::Placing;
use crate::replay::{Outcome, Probe, replay};
use crate::strategy::Name;
use crate::strategy::arena::PerRequest;
use crate::strategy::heap::Heap;
use crate::strategy::pooled::Pools;
use crate::strategy::shared_arena::PerRequestShared;

/// What a worker is to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// With which strategy.
    pub strategy: Name,
    /// Requests in all.
    pub requests: usize,
    /// Most VMs in one request.
    pub batch: usize,
    /// Threads that share them.
    pub threads: usize,
    /// How VMs are placed.
    pub placement: Placing,
    /// Whether requests are served before the clock starts.
    pub warm_up: bool,
    /// The claim whose work is to be done instead of the whole request's, in the form of `strategy`.
    pub claim: Option<Claim>,
    /// Where dhat writes its profile. Must be UTF-8, as the other.
    pub dhat_file: Option<PathBuf>,
    /// Where sites are written, but for the extension.
    pub sites_file: Option<PathBuf>,
    /// The cluster.
    pub nodes: Vec<Node>,
    /// The requests of one pass over the input; at least one. The replay cycles over them.
    pub pass: Vec<Vec<u8>>,
}

/// The first line of a job on its way to a worker; the requests' bytes follow it, one after the other.
#[derive(Serialize, Deserialize)]
struct Header {
    version: String,
    strategy: Name,
    requests: usize,
    batch: usize,
    threads: usize,
    placement: Placing,
    warm_up: bool,
    claim: Option<Claim>,
    dhat_file: Option<PathBuf>,
    sites_file: Option<PathBuf>,
    /// Name, milli-cores, MiB, GPUs, model.
    nodes: Vec<(String, u32, u32, u8, String)>,
    request_bytes: Vec<usize>,
}

/// The version that both ends of the pipe must have.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "/5");

impl Job {
    /// Sends the job to a worker.
    ///
    /// # Errors
    ///
    /// If the pipe breaks.
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let header = Header {
            version: VERSION.to_owned(),
            strategy: self.strategy,
            requests: self.requests,
            batch: self.batch,
            threads: self.threads,
            placement: self.placement,
            warm_up: self.warm_up,
            claim: self.claim,
            dhat_file: self.dhat_file.clone(),
            sites_file: self.sites_file.clone(),
            nodes: self
                .nodes
                .iter()
                .map(|node| (node.name.clone(), node.cpu_milli, node.memory_mib, node.gpus, node.model.clone()))
                .collect(),
            request_bytes: self.pass.iter().map(Vec::len).collect(),
        };
        let mut line = serde_json::to_vec(&header)?;
        line.push(b'\n');
        to.write_all(&line)?;
        for request in &self.pass {
            to.write_all(request)?;
        }
        to.flush()
    }

    /// Receives a job.
    ///
    /// # Errors
    ///
    /// If it is not whole, or comes from another version of the program.
    pub fn receive(from: &mut impl Read) -> io::Result<Self> {
        let mut all = Vec::new();
        from.read_to_end(&mut all)?;
        let end = all.iter().position(|&byte| byte == b'\n').ok_or(io::ErrorKind::UnexpectedEof)?;
        let header: Header = serde_json::from_slice(&all[..end])?;
        if header.version != VERSION {
            let (theirs, ours) = (header.version, VERSION);
            return Err(io::Error::other(format!("a job of version {theirs} for a worker of version {ours}")));
        }
        let mut rest = &all[end + 1..];
        let mut pass = Vec::with_capacity(header.request_bytes.len());
        for length in header.request_bytes {
            let (request, after) = rest.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
            pass.push(request.to_vec());
            rest = after;
        }
        if header.threads == 0 || header.batch == 0 || pass.is_empty() {
            return Err(io::Error::other("a job needs at least 1 thread, 1 VM per request and 1 request"));
        }
        let nodes = header.nodes.into_iter();
        Ok(Self {
            strategy: header.strategy,
            requests: header.requests,
            batch: header.batch,
            threads: header.threads,
            placement: header.placement,
            warm_up: header.warm_up,
            claim: header.claim,
            dhat_file: header.dhat_file,
            sites_file: header.sites_file,
            nodes: nodes
                .map(|(name, cpu_milli, memory_mib, gpus, model)| Node { name, cpu_milli, memory_mib, gpus, model })
                .collect(),
            pass,
        })
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// If the nodes make no table or a request's bytes are no request.
    pub fn run(&self, probe: &impl Probe) -> Result<Outcome, Box<dyn std::error::Error>> {
        let nodes = NodeTable::new(&self.nodes)?;
        Ok(match self.strategy {
            Name::Heap | Name::HeapMimalloc => replay(self, &nodes, Heap::default, probe),
            Name::Pooled => replay(self, &nodes, Pools::default, probe),
            Name::Arena => replay(self, &nodes, PerRequest::default, probe),
            Name::SharedArena => replay(self, &nodes, PerRequestShared::default, probe),
        }?)
    }
}

/// The whole life of a worker process.
#[expect(clippy::print_stderr, reason = "a worker's last words go to the program that started it")]
pub fn main(probe: &impl Probe) -> ExitCode {
    let work = || -> Result<(), Box<dyn std::error::Error>> {
        let job = Job::receive(&mut io::stdin().lock())?;
        let answer = match job.claim {
            Some(claim) => serde_json::to_vec(&claims::count(&job, claim, probe)?)?,
            None => serde_json::to_vec(&job.run(probe)?)?,
        };
        Ok(io::stdout().lock().write_all(&answer)?)
    };
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
