//! Proposals from request to log and back: three clients put commands into batches, a proposer archives and replicates them to three nodes,
//! which read the commands where they lie and apply them, and everybody who waits hears what became of it.
//!
//! ```sh
//! cargo run --release -p control-plane --example raft_proposals
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it found")]
#![expect(unsafe_code, reason = "a counting global allocator shows what the heap is asked for")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use blixard_arena::archive::{self, ArchiveError, Header};
use blixard_arena::{ArenaPool, PooledArena};
use bytes::Bytes;
use control_plane::names::VmStatus;
use control_plane::raft::{
    Answer, ArchivedProposal, ArchivedProposalData, ProposalBatch, ProposalBuilder, ProposalData, ProposalError,
    ProposalId, ProposalIds, ProposalProcessor, SealedBatch, Waiter, deduplicate, deduplicate_in, heap,
};

/// Counts what the program asks the allocator for.
struct Counting;
static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes everything on to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Of each client.
const REQUESTS: u64 = 2_000;

/// What a client sends: a line per command, as a service would read it from a socket.
fn request(client: u64, number: u64) -> String {
    let commands =
        [("start", 0), ("stop", 1), ("tell", 2), ("start", 1), ("stop", 0), ("delete", 3), ("start", 4), ("stop", 1)];
    let line = |(verb, at)| format!("{verb} vm-{client}-{:03}\n", (number * 7 + at) % 200);
    commands.map(line).concat()
}

/// A command of a line.
fn parse(line: &str) -> ProposalData<'_> {
    let (verb, vm) = line.split_once(' ').unwrap_or((line, ""));
    match verb {
        "start" => ProposalData::StartVm { vm },
        "stop" => ProposalData::StopVm { vm, grace_seconds: 30 },
        "delete" => ProposalData::DeleteVm { vm },
        _ => ProposalData::UpdateVmStatus { vm, status: VmStatus::Running, node: "node-1" },
    }
}

/// The same on the plain heap.
fn parse_owned(line: &str) -> heap::ProposalData {
    let (verb, vm) = line.split_once(' ').unwrap_or((line, ""));
    let vm = vm.to_owned();
    match verb {
        "start" => heap::ProposalData::StartVm { vm },
        "stop" => heap::ProposalData::StopVm { vm, grace_seconds: 30 },
        "delete" => heap::ProposalData::DeleteVm { vm },
        _ => heap::ProposalData::UpdateVmStatus { vm, status: VmStatus::Running, node: "node-1".to_owned() },
    }
}

/// A request's commands in its arena, without those that later ones supersede, sealed. Who waits for the last one goes to `waiter`.
fn batch(
    arena: PooledArena,
    ids: &mut ProposalIds,
    request: &str,
    waiter: impl FnOnce(Waiter),
) -> Result<SealedBatch, ProposalError> {
    SealedBatch::try_build(arena, |arena| {
        let request = &*arena.alloc_str(request); // once, as a whole: all texts are borrowed from it
        let mut builder = ProposalBuilder::new_in(arena, ids);
        for line in request.lines() {
            builder.propose(parse(line))?;
        }
        waiter(builder.waiter()?);
        Ok(ProposalBatch::new(deduplicate_in(arena, builder.finish())?, &[]))
    })
}

/// Replicates entries to the nodes, and answers a batch when two of three have it. Leads for so many entries; then another does.
fn propose(log: Receiver<SealedBatch>, nodes: &[Sender<Bytes>], leads: u64) -> usize {
    let processor = ProposalProcessor::default();
    let mut bytes = 0;
    for (log_index, batch) in (1..).zip(log) {
        if log_index > leads {
            batch.get().answer(Answer::NotLeader);
            continue;
        }
        let entry = processor.encode(batch.get()).expect("the builder has checked it");
        bytes += entry.len();
        if nodes.iter().filter(|node| node.send(entry.clone()).is_ok()).count() >= 2 {
            batch.get().answer(Answer::Applied { log_index });
        }
    } // each batch goes here, and its arena back to the pool; who was not answered hears that it was dropped
    bytes
}

/// What a node knows of the VMs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cluster {
    applied: usize,
    running: BTreeMap<String, bool>,
}

impl Cluster {
    /// Applies commands, read where they lie in the entry.
    fn apply(&mut self, proposals: &[ArchivedProposal]) {
        for proposal in proposals {
            let (vm, runs) = match &proposal.data {
                ArchivedProposalData::StartVm { vm } => (vm, true),
                ArchivedProposalData::StopVm { vm, .. } => (vm, false),
                ArchivedProposalData::UpdateVmStatus { vm, status, .. } => (vm, *status == VmStatus::Running),
                ArchivedProposalData::DeleteVm { vm } => {
                    self.running.remove(vm.as_str());
                    continue;
                }
                ArchivedProposalData::Batch { proposals } => {
                    self.apply(proposals);
                    continue;
                }
                _ => continue,
            };
            match self.running.get_mut(vm.as_str()) {
                Some(known) => *known = runs,
                None => drop(self.running.insert(vm.to_string(), runs)),
            }
        }
        self.applied += proposals.len();
    }
}

/// A node: applies the entries of its log.
fn node(entries: Receiver<Bytes>) -> Cluster {
    let mut cluster = Cluster::default();
    for entry in entries {
        let batch = archive::access::<ProposalBatch<'_>>(&entry).expect("the proposer has archived it");
        cluster.apply(&batch.proposals);
    } // each entry goes here, and its buffer back to the proposer
    cluster
}

/// One client: sends its requests, and counts what it hears.
fn client(client: u64, pool: &ArenaPool, to_log: &mpsc::SyncSender<SealedBatch>) -> BTreeMap<&'static str, u64> {
    let mut ids = ProposalIds::from_clock();
    let mut heard = BTreeMap::new();
    for number in 0..REQUESTS {
        let mut waiter = None;
        let sealed = batch(pool.acquire(), &mut ids, &request(client, number), |one| waiter = Some(one));
        let sealed = sealed.expect("within the limits");
        if number % 100 == 99 {
            drop(sealed); // the client changes its mind
        } else {
            to_log.send(sealed).expect("the proposer outlives its clients");
        }
        let answer = match waiter.expect("there is one").wait() {
            Answer::Applied { .. } => "applied",
            Answer::NotLeader => "not the leader",
            _ => "dropped",
        };
        *heard.entry(answer).or_insert(0) += 1;
    }
    heard
}

/// Three clients, a proposer, three nodes.
fn replicate(pool: &ArenaPool) {
    let (nodes, logs): (Vec<_>, Vec<_>) = (0..3)
        .map(|_| {
            let (to_node, entries) = mpsc::channel::<Bytes>();
            (to_node, thread::spawn(move || node(entries)))
        })
        .unzip();
    let (to_log, log) = mpsc::sync_channel(64);
    let proposer = thread::spawn(move || propose(log, &nodes, 3 * REQUESTS - 500));
    let begun = Instant::now();
    let mut heard = BTreeMap::new();
    thread::scope(|scope| {
        let to_log = &to_log;
        let clients: Vec<_> = (0..3).map(|number| scope.spawn(move || client(number, pool, to_log))).collect();
        for (answer, count) in clients.into_iter().flat_map(|client| client.join().expect("no panic")) {
            *heard.entry(answer).or_insert(0) += count;
        }
    });
    let time = begun.elapsed();
    drop(to_log);
    let bytes = proposer.join().expect("no panic");
    let clusters: Vec<_> = logs.into_iter().map(|log| log.join().expect("no panic")).collect();
    assert!(clusters.iter().all(|cluster| *cluster == clusters[0]), "nodes that read the same know the same");
    println!("{} requests of three clients in {time:.0?}; they heard {heard:?}", 3 * REQUESTS);
    let Cluster { applied, running } = &clusters[0];
    let up = running.values().filter(|runs| **runs).count();
    println!(
        "{bytes} bytes of log entries; each node applied {applied} commands and knows {up} of {} VMs to run",
        running.len()
    );
    let figures = pool.figures();
    let out = figures.acquired - figures.returned;
    println!("{} arenas handed out, {} ever made, {out} still out\n", figures.acquired, figures.created);
}

/// An entry: archived, read where it lies, and refused once a bit of it has flipped.
fn show(batch: &ProposalBatch<'_>) -> Result<(), Box<dyn Error>> {
    let entry = ProposalProcessor::default().encode(batch)?;
    let Header { version, payload_bytes, .. } = Header::of(&entry)?;
    println!(
        "Archived: {} bytes, {payload_bytes} of them behind a header (version {version}); read where they lie:",
        entry.len()
    );
    for proposal in archive::access::<ProposalBatch<'_>>(&entry)?.proposals.iter() {
        println!("    {}  {}", ProposalId(proposal.id.0), proposal.reason);
    }
    let mut altered = entry.to_vec();
    altered[100] ^= 1;
    let refused: ArchiveError = archive::access::<ProposalBatch<'_>>(&archive::aligned(&altered)).expect_err("altered");
    println!("With one bit of it flipped: {refused}");
    Ok(())
}

/// Serves the requests and says what one cost.
fn measure<R>(name: &str, requests: &[R], mut serve: impl FnMut(&R) -> Result<usize, Box<dyn Error>>) {
    let mut all = || requests.iter().map(|request| serve(request).expect("it was served before")).sum::<usize>();
    let expected = all(); // warm
    let (calls, begun) = (CALLS.load(Relaxed), Instant::now());
    assert_eq!(all(), expected);
    let (time, calls) = (begun.elapsed().as_nanos(), CALLS.load(Relaxed) - calls);
    println!("{name:<40} {:>6} ns a batch, {:>3} allocator calls", time / u128::from(REQUESTS), calls / REQUESTS);
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = ArenaPool::new();
    let mut ids = ProposalIds::from_clock();

    println!("A request:");
    let text = request(1, 0);
    text.lines().for_each(|line| println!("    {line}"));
    println!("What stands of it, the rest being superseded:");
    let standing = batch(pool.acquire(), &mut ids, &text, drop)?;
    for proposal in standing.get().proposals() {
        println!("    {}  {}", proposal.id, proposal.reason);
    }
    show(standing.get())?;
    drop(standing);
    let refused = batch(pool.acquire(), &mut ids, "start vm-1\nstart vm-\u{7}2\n", drop);
    println!("One that is refused: {}\n", refused.expect_err("a bell is no name"));

    replicate(&pool);

    println!("The same requests on one thread");
    let processor = ProposalProcessor::default();
    let requests: Vec<_> = (0..REQUESTS).map(|number| request(0, number)).collect();
    measure("heap: parse, build, de-duplicate, encode", &requests, |request| {
        let mut builder = heap::ProposalBuilder::new(&mut ids);
        request.lines().try_for_each(|line| builder.propose(parse_owned(line)).map(drop))?;
        let mut proposals = builder.finish();
        deduplicate(&mut proposals)?;
        Ok(processor.encode(&heap::ProposalBatch::new(proposals, vec![]))?.len())
    });
    let mut in_arena = |request: &String| -> Result<Bytes, Box<dyn Error>> {
        let arena = pool.acquire();
        let request = &*arena.alloc_str(request);
        let mut builder = ProposalBuilder::new_in(&*arena, &mut ids);
        request.lines().try_for_each(|line| builder.propose(parse(line)).map(drop))?;
        let standing = deduplicate_in(&*arena, builder.finish())?;
        Ok(processor.encode(&ProposalBatch::new(standing, &[]))?)
    };
    measure("arena: the same", &requests, |request| Ok(in_arena(request)?.len()));
    let entries = requests.iter().map(in_arena).collect::<Result<Vec<_>, _>>()?;
    measure("each entry accessed, every reason read", &entries, |entry| {
        let batch = archive::access::<ProposalBatch<'_>>(entry)?;
        Ok(batch.proposals.iter().map(|proposal| proposal.reason.len()).sum())
    });
    Ok(())
}
