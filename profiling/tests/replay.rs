//! The replay itself: one checksum for all strategies, every byte counts, capacity comes back when its time is up.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without may panic")]

mod common;

use std::panic::catch_unwind;
use std::sync::mpsc;
use std::time::Duration;

use control_plane::raft::Lifetime;
use control_plane::scheduler::{Node, NodeTable, Resources, VmSpec};
use profiling::input;
use profiling::placement::Placing;
use profiling::replay::{Cluster, Desk, Outcome, Strategy, replay};
use profiling::request::{Request, RequestError};
use profiling::strategy::Name;
use profiling::worker::Job;

fn outcome(job: &Job, strategy: Name) -> Outcome {
    Job { strategy, ..job.clone() }.run(&()).unwrap()
}

#[test]
fn all_strategies_agree() {
    for (threads, warm_up) in [(1, false), (1, true), (3, true)] {
        let job = Job { threads, warm_up, ..common::small_job(60) };
        let heap = outcome(&job, Name::Heap);
        assert_eq!(heap.placed + heap.rejected, 4 * 200 + 8 * 16, "60 requests are four passes of 13 and 8 more");
        assert!(heap.placed > 0 && heap.rejected > 0, "{heap:?}");
        for name in Name::ALL {
            let other = outcome(&job, name);
            assert_eq!(
                (&other.checksum, other.placed, other.rejected),
                (&heap.checksum, heap.placed, heap.rejected),
                "{name} on {threads} threads"
            );
            assert!(other.ns_per_request.p50 > 0.0 && other.ns_per_request.p50 <= other.ns_per_request.p99);
        }
        assert_eq!(outcome(&job, Name::Arena).checksum, heap.checksum, "a second run is the same");
    }
}

#[test]
fn warming_up_leaves_no_trace_in_the_result() {
    let job = common::small_job(40);
    let warm = Job { warm_up: true, ..job.clone() };
    let (cold, warm) = (outcome(&job, Name::Arena), outcome(&warm, Name::Arena));
    assert_eq!((cold.checksum, cold.placed), (warm.checksum, warm.placed));
}

#[test]
fn every_byte_of_the_input_counts() {
    let tasks = input::generate::tasks(4, 11);
    let job = Job { pass: input::requests(&tasks, 2, 11), requests: 2, ..common::small_job(2) };
    let expected = outcome(&job, Name::Arena).checksum;
    let (mut refused, mut served) = (0, 0);
    for request in 0..job.pass.len() {
        for at in 0..job.pass[request].len() {
            let mut changed = job.clone();
            // The next character: digits and letters stay digits and letters, mostly.
            changed.pass[request][at] ^= 1;
            for strategy in [Name::Heap, Name::Pooled, Name::Arena] {
                changed.strategy = strategy;
                match changed.run(&()) {
                    Ok(outcome) => {
                        served += 1;
                        let text = String::from_utf8_lossy(&job.pass[request]);
                        assert_ne!(outcome.checksum, expected, "request {request}, byte {at} of {text}");
                    }
                    Err(error) => {
                        refused += 1;
                        assert!(error.to_string().contains("expected"), "{error}");
                    }
                }
            }
        }
    }
    assert!(served > refused, "{served} served, {refused} refused");
}

/// Each placement decides alike in every strategy, and the original one as the kernels do.
#[test]
fn placements_differ_and_strategies_do_not() {
    let mut checksums = Vec::new();
    for placement in Placing::ALL {
        let job = Job { placement, ..common::small_job(30) };
        let heap = outcome(&job, Name::Heap);
        for name in Name::ALL {
            assert_eq!(outcome(&job, name).checksum, heap.checksum, "{name}, {placement}");
        }
        checksums.push(heap.checksum);
    }
    assert_eq!(checksums.pop(), Some(checksums[0].clone()), "the original way decides as most-available does");
    checksums.sort();
    checksums.dedup();
    assert_eq!(checksums.len(), 4);
}

#[test]
fn a_pass_starts_afresh() {
    let job = common::small_job(13);
    let once = outcome(&job, Name::Heap);
    let twice = outcome(&Job { requests: 26, ..job }, Name::Heap);
    assert_eq!((twice.placed, twice.rejected), (2 * once.placed, 2 * once.rejected));
}

fn vm(cpu_milli: u32) -> VmSpec<'static> {
    VmSpec { name: "vm", resources: Resources { cpu_milli, ..Resources::default() }, ..VmSpec::default() }
}

#[test]
fn capacity_comes_back_at_its_time_and_not_before() {
    let node = Node { name: "n".into(), cpu_milli: 8_000, memory_mib: 1, gpus: 0, model: String::new() };
    let mut cluster = Cluster::new(NodeTable::new(&[node]).unwrap(), Placing::MostAvailable, 8);
    let span = |from_seconds, until: u64| Lifetime { from_seconds, until_seconds: (until > 0).then_some(until) };
    assert!(cluster.place(&vm(4_000), span(0, 100)).is_ok());
    assert!(cluster.place(&vm(4_000), span(10, 50)).is_ok());
    assert!(cluster.place(&vm(1_000), span(49, 60)).is_err(), "both are still there");
    assert!(cluster.place(&vm(4_000), span(50, 0)).is_ok(), "the second went at 50");
    assert!(cluster.place(&vm(1_000), span(99, 0)).is_err());
    assert!(cluster.place(&vm(4_001), span(100, 0)).is_err(), "the first went, the third stays for ever");
    assert!(cluster.place(&vm(4_000), span(u64::MAX, 0)).is_ok());
    cluster.start_over();
    assert!(cluster.nodes().is_free());
    assert!(cluster.place(&vm(8_000), span(0, 0)).is_ok(), "no old lease comes back");
}

fn parse(bytes: &[u8]) -> Result<usize, RequestError> {
    let (mut vms, mut pairs) = (Vec::new(), Vec::new());
    Request::open(bytes)?.parse(&mut vms, &mut pairs)?;
    Ok(vms.len())
}

#[test]
fn bad_requests_are_refused_where_they_are_bad() {
    const ID: &str = "00112233445566778899aabbccddeeff";
    let line = |tail: &str| format!("batch\t1\t0\n{ID}\tvm\t/p\tt\t1\t2\t0\t0\t{tail}\n");
    let good = line("\tLS\t10.0.0.1\t0\t-");
    assert_eq!(parse(good.as_bytes()), Ok(1));
    assert_eq!(parse(b"batch\t0\t0\n"), Ok(0));
    let cases: Vec<(String, usize, usize)> = vec![
        (String::new(), 1, 1),
        ("batsh\t0\t0\n".into(), 1, 1),
        ("batch\t99999999999\t0\n".into(), 1, 2),
        ("batch\t0\t1\n".into(), 1, 3),
        ("batch\t0\t0\t0\n".into(), 1, 4),
        ("batch\t0\t0\nmore\n".into(), 2, 1),
        (good.replace("batch\t1", "batch\t2"), 1, 2),
        (good.replace("batch\t1", "batch\t2").replace("\tvm\t", &format!("\t{}\t", "n".repeat(99))), 3, 1),
        (good.replace("batch\t1\t0", "batch\t1\t1"), 3, 1),
        (good.replace("aabb", "AABB"), 2, 1),
        (good.replace("\t2\t0", "\t02\t0"), 2, 6),
        (good.replace("\t2\t0", "\t+2\t0"), 2, 6),
        (line("\tls\t10.0.0.1\t0\t-"), 2, 10),
        (line("\tLS\t10.0.0.256\t0\t-"), 2, 11),
        (line("\tLS\t10.0.0.1\t\t-"), 2, 12),
        (line("\tLS\t10.0.0.1\t0"), 2, 13),
        (line("\tLS\t10.0.0.1\t0\t-\tkey"), 2, 14),
        (good.trim_end().to_owned(), 2, 1),
    ];
    for (bytes, line, field) in cases {
        let error = parse(bytes.as_bytes()).unwrap_err();
        assert_eq!((error.line, error.field), (line, field), "{error}: {bytes:?}");
    }
    assert!(parse(b"batch\t0\t0\n\xff").is_err());
}

#[test]
fn the_shortest_request_has_room_for_what_it_promises() {
    let vm = "00112233445566778899aabbccddeeff\t\t\t\t0\t0\t0\t0\t\tLS\t::\t0\t-";
    for (vms, pairs) in [(1, 0), (3, 0), (1, 4), (5, 7)] {
        let lines = format!("{vm}{}\n{}", "\t=".repeat(pairs), format!("{vm}\n").repeat(vms - 1));
        let bytes = format!("batch\t{vms}\t{pairs}\n{lines}");
        assert_eq!(parse(bytes.as_bytes()), Ok(vms), "{bytes}");
        // One byte fewer, and the first line alone says that it cannot be.
        let field = if pairs == 0 { 2 } else { 3 };
        let error = Request::open(&bytes.as_bytes()[..bytes.len() - 1]).unwrap_err();
        assert_eq!((error.line, error.field), (1, field), "{error}");
    }
}

/// Panics in the first request that a thread of this name serves.
struct PanicsIn(&'static str);

impl Strategy for PanicsIn {
    fn serve(&self, _: &mut Desk, _: &[u8]) -> Result<(), RequestError> {
        let is_calling = std::thread::current().name() == Some("calling");
        assert_ne!(if is_calling { "calling" } else { "another" }, self.0, "in the warm-up");
        Ok(())
    }
}

#[test]
fn a_panic_in_the_warm_up_of_one_thread_ends_the_replay() {
    for thread in ["calling", "another"] {
        let (said, has_ended) = mpsc::channel();
        let replay = move || {
            let job = Job { threads: 3, warm_up: true, ..common::small_job(60) };
            let nodes = NodeTable::new(&job.nodes).unwrap();
            let panic = catch_unwind(|| replay(&job, &nodes, || PanicsIn(thread), &())).unwrap_err();
            said.send(panic.downcast::<String>().map_or_else(|_| String::new(), |said| *said)).unwrap();
        };
        std::thread::Builder::new().name("calling".into()).spawn(replay).unwrap();
        let said = has_ended.recv_timeout(Duration::from_secs(60)).expect("it ends, with the thread's own panic");
        assert!(said.contains("in the warm-up"), "{thread}: {said}");
    }
}

#[test]
fn the_real_trace_gives_one_checksum() {
    let Some((pods, nodes)) = common::real_trace() else { return };
    let tasks = input::csv::tasks(&pods).unwrap();
    assert_eq!(tasks.len(), 8_152);
    let nodes = input::csv::nodes(&nodes).unwrap();
    assert_eq!(nodes.len(), 1_523);
    let pass = input::requests(&tasks, 16, 1);
    let job = Job { requests: pass.len(), pass, nodes, ..common::small_job(1) };
    let heap = outcome(&job, Name::Heap);
    assert_eq!(heap.placed + heap.rejected, 8_152);
    for name in [Name::Pooled, Name::Arena, Name::SharedArena] {
        assert_eq!(outcome(&job, name).checksum, heap.checksum, "{name}");
    }
}
