//! The program as a whole, on small runs: its report, its table, and what an interrupt leaves.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without may panic")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path} of {value}"))
}

#[test]
fn a_small_run_writes_a_whole_report() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("deep/profile");
    let output = common::program(&["--requests", "40", "--batch", "8", "--seed", "9", "--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    let said = common::text(&output);
    assert!(output.stderr.is_empty(), "quiet where standard error is no terminal: {:?}", output.stderr);
    let strategies = ["arena", "heap-mimalloc", "heap", "pooled", "shared-arena"];
    let dhat = strategies.map(|name| format!("dhat-{name}.json"));
    assert_eq!(names(&out), [&dhat[..], &["report.html", "report.json"].map(str::to_owned)].concat());

    let report: Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["schema"], 1);
    for (field, expected) in [("vms", 8_000), ("nodes", 1_500), ("requests", 40), ("batch", 8), ("threads", 1)] {
        assert_eq!(report["input"][field], expected, "{field}");
    }
    assert!(report["input"]["source"].as_str().unwrap().contains("seed 9"));
    let strategies = report["strategies"].as_array().unwrap();
    let found: Vec<_> = strategies.iter().map(|strategy| strategy["name"].as_str().unwrap()).collect();
    assert_eq!(found, ["heap", "heap-mimalloc", "pooled", "arena", "shared-arena"]);
    let checksum = strategies[0]["checksum"].as_str().unwrap();
    assert!(u64::from_str_radix(checksum, 16).is_ok(), "{checksum}");
    for strategy in strategies {
        let name = strategy["name"].as_str().unwrap();
        assert!(said.contains(name), "{said}");
        assert_eq!(strategy["checksum"], checksum);
        assert_eq!(strategy["requests"], 40);
        assert!((number(strategy, "/placed") + number(strategy, "/rejected") - 320.0).abs() < 0.5);
        let (p50, p99) = (number(strategy, "/ns_per_request/p50"), number(strategy, "/ns_per_request/p99"));
        assert!(0.0 < p50 && p50 <= p99, "{name}: p50 {p50}, p99 {p99}");
        let phases: f64 = ["parse", "build", "place", "encode", "release"]
            .iter()
            .map(|phase| number(strategy, &format!("/phase_ns_mean/{phase}")))
            .inspect(|&ns| assert!(ns > 0.0))
            .sum();
        // Both are medians over the processes, of a sum and of its parts.
        let mean = number(strategy, "/ns_per_request/mean");
        assert!((phases / mean - 1.0).abs() < 0.5, "{name}: phases {phases}, mean {mean}");
        assert!(number(strategy, "/peak_live_bytes") > 0.0);
        let dhat: Value = serde_json::from_slice(&fs::read(out.join(format!("dhat-{name}.json"))).unwrap()).unwrap();
        assert_eq!(dhat["mode"], "rust-heap", "{name}");
    }
    let steady = |at: usize| number(&strategies[at], "/steady_allocator_calls_per_request");
    // Eight VMs with three texts, a reason, a decision's reason each, and their metadata.
    assert!(steady(0) > 8.0 * 5.0 * 2.0 && (steady(0) - steady(1)).abs() < 1e-9, "{} {}", steady(0), steady(1));
    // Though every VM of so short a run is met for the first time, and the pooled strategy makes a config of each for its cache.
    assert!(steady(2) < steady(0) / 10.0, "{} {}", steady(2), steady(0));
    assert!(steady(3) < 1.0 && steady(4) < 1.0, "{} {}", steady(3), steady(4));
    for phase in ["build", "release", "total"] {
        assert!(number(&report, &format!("/ratios/heap~1arena/{phase}")) > 0.0);
    }
    for strategy in strategies {
        let name = strategy["name"].as_str().unwrap();
        let (calling, most) = (number(strategy, "/steady_requests_calling"), number(strategy, "/steady_calls_most"));
        let calls = number(strategy, "/steady_allocator_calls_per_request") * 20.0;
        assert!(calling <= 20.0 && most <= calls + 0.5 && calls <= most * calling + 0.5, "{strategy}");
        assert_eq!(strategy["arenas"].is_object(), name.contains("arena"), "{name}");
        if name.contains("arena") {
            let (median, largest) =
                (number(strategy, "/arenas/median_bytes"), number(strategy, "/arenas/largest_bytes"));
            assert!(number(strategy, "/arenas/made") > 0.0 && median > 1_000.0 && largest >= median, "{strategy}");
        } else if name.starts_with("heap") {
            assert!((calling - 20.0).abs() < 0.5, "{name}: {calling}");
        }
    }
    assert!(said.lines().any(|line| line.starts_with("arenas") && line.contains("outliers")), "{said}");
    let claims = report["claims"].as_array().unwrap();
    let hoped = ["[70,90]", "[60,80]", "[40,60]", "[50,70]"];
    let kinds = ["string allocations", "object allocations", "collection allocations", "Arc operations"];
    assert_eq!(claims.len(), 4);
    for ((claim, kind), hoped) in claims.iter().zip(kinds).zip(hoped) {
        assert_eq!((claim["name"].as_str(), claim["hoped_percent"].to_string().as_str()), (Some(kind), hoped));
        assert!(said.contains(kind), "{said}");
        let heap = number(claim, "/heap_per_request");
        for form in ["pooled", "arena"] {
            let (count, fewer) =
                (number(claim, &format!("/{form}_per_request")), number(claim, &format!("/{form}_percent")));
            assert!((fewer - (100.0 - 100.0 * count / heap)).abs() < 1e-9, "{claim}");
            // Of forty requests what is made once is a larger part.
            assert!(heap > 0.0 && count > 0.0 && fewer > 50.0, "{claim}");
        }
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("</html>") && kinds.iter().all(|kind| page.contains(kind)));
}

#[test]
fn sites_add_their_part_and_files_for_pprof() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let arguments = ["--requests", "40", "--batch", "8", "--strategies", "heap,arena", "--sites", "--out", out];
    common::text(&common::program(&arguments).output().unwrap());
    let files = ["dhat-arena.json", "dhat-heap.json", "report.html", "report.json", "sites-arena.pb", "sites-heap.pb"];
    assert_eq!(names(dir.path()), files);
    let report: Value = serde_json::from_slice(&fs::read(dir.path().join("report.json")).unwrap()).unwrap();
    let kinds: Vec<_> = report["tracking"]["cost"].as_array().unwrap().iter().map(|cost| &cost["kind"]).collect();
    assert_eq!(kinds, ["counting", "sampled", "complete"]);
    for at in 0..3 {
        assert!(number(&report, &format!("/tracking/cost/{at}/times/median")) > 0.3);
    }
    // The replay asks for what the process that counts saw in requests, and a little around them.
    let blocks = number(&report, "/tracking/strategies/0/blocks");
    let calls = number(&report, "/strategies/0/allocator_calls_per_request") * 40.0;
    assert!(blocks > 0.45 * calls && blocks < 0.75 * calls, "{blocks} blocks, {calls} calls with those that free");
    let place = report.pointer("/tracking/strategies/0/top/0/place").unwrap().as_str().unwrap();
    assert!(place.contains(".rs:"), "{place}");
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(
        page.contains("Where memory comes from") && page.contains("sites-heap.pb") && page.contains("<title>all: ")
    );
}

/// On other systems a file's name is text.
#[test]
#[cfg(target_os = "linux")]
fn paths_need_not_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let dir = tempfile::tempdir().unwrap();
    let (out, pods) = (dir.path().join(OsStr::from_bytes(b"out-\xff")), OsStr::from_bytes(b"pods-\xff.csv"));
    let titles = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,creation_time,deletion_time";
    fs::write(dir.path().join(pods), format!("{titles}\na,1,1,0,0,,LS,0,1\n")).unwrap();
    // From a directory and to one, each named by what is no text.
    fs::create_dir(&out).unwrap();
    let mut program = common::program(&["--requests", "3", "--strategies", "heap,arena", "--sites", "--pods"]);
    common::text(&program.arg(dir.path().join(pods)).args(["--out", "deep"]).current_dir(&out).output().unwrap());
    let files = ["dhat-arena.json", "dhat-heap.json", "report.html", "report.json", "sites-arena.pb", "sites-heap.pb"];
    assert_eq!(names(&out.join("deep")), files);
    let report: Value = serde_json::from_slice(&fs::read(out.join("deep/report.json")).unwrap()).unwrap();
    let command = report["command"].as_array().unwrap();
    assert!(command.iter().any(|argument| argument.as_str().unwrap().ends_with("pods-\u{fffd}.csv")), "{command:?}");
}

#[test]
fn chosen_strategies_and_threads_are_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let run = |threads| {
        let arguments = ["--requests", "30", "--threads", threads, "--strategies", "arena,heap", "--out", out];
        common::text(&common::program(&arguments).output().unwrap());
        let report: Value = serde_json::from_slice(&fs::read(dir.path().join("report.json")).unwrap()).unwrap();
        let strategies = report["strategies"].as_array().unwrap().clone();
        assert_eq!(strategies.len(), 2);
        assert_eq!(strategies[0]["name"], "arena");
        strategies[0]["checksum"].as_str().unwrap().to_owned()
    };
    let (once, again, alone) = (run("2"), run("2"), run("1"));
    assert_eq!(once, again, "deterministic on two threads");
    assert_ne!(once, alone, "two node tables place differently from one");
}

/// Processes whose parent is this one.
fn children_of(parent: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| {
            let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
            // The parent is the second field after the name in brackets.
            let after = stat.rsplit(')').next().unwrap_or_default();
            after.split_whitespace().nth(1) == Some(parent.to_string().as_str())
        })
        .collect()
}

#[test]
#[cfg(unix)]
fn a_program_that_is_not_to_hear_a_signal_runs() {
    let dir = tempfile::tempdir().unwrap();
    let program = common::program(&["--requests", "3", "--strategies", "heap", "--out", dir.path().to_str().unwrap()]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).env_remove("CARGO");
    common::text(&shell.arg(program.get_program()).args(program.get_args()).output().unwrap());
    assert_eq!(names(dir.path()), ["dhat-heap.json", "report.html", "report.json"]);
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupt_ends_the_children_and_leaves_nothing() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    if u64::from_str_radix(ignored, 16).unwrap() & 1 << (2 - 1) != 0 {
        println!("skipped: whoever started the tests has interrupts ignored, and so has the program");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("profile");
    let mut program = common::program(&["--requests", "50000000", "--out", out.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let workers = loop {
        let workers = children_of(program.id());
        if !workers.is_empty() && out.exists() {
            break workers;
        }
        assert!(Instant::now() < deadline, "no worker was started");
        std::thread::sleep(Duration::from_millis(5));
    };
    let interrupt = Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let status = loop {
        if let Some(status) = program.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the program goes on after an interrupt");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(130));
    assert!(!out.exists(), "{:?} is left", names(&out));
    for worker in workers {
        let left = fs::read_to_string(format!("/proc/{worker}/cmdline")).unwrap_or_default();
        assert!(!left.contains("profiling"), "worker {worker} lives on: {left}");
    }
}

#[test]
fn an_old_report_stays_when_a_run_fails() {
    let dir = tempfile::tempdir().unwrap();
    let (out, pods) = (dir.path().join("out"), dir.path().join("pods.csv"));
    fs::create_dir(&out).unwrap();
    fs::write(out.join("report.json"), "old").unwrap();
    fs::write(&pods, "name\n").unwrap();
    let arguments = ["--pods", pods.to_str().unwrap(), "--out", out.to_str().unwrap()];
    assert_eq!(common::program(&arguments).output().unwrap().status.code(), Some(2));
    assert_eq!(names(&out), ["report.json"]);
    assert_eq!(fs::read_to_string(out.join("report.json")).unwrap(), "old");

    // And every file of it where the run was good and its report cannot be put in place.
    let files = ["dhat-heap.json", "report.html", "sites-heap.pb"];
    for file in files {
        fs::write(out.join(file), "old").unwrap();
    }
    fs::remove_file(out.join("report.json")).unwrap();
    fs::create_dir(out.join("report.json")).unwrap();
    let arguments = ["--requests", "3", "--strategies", "heap", "--sites", "--out", out.to_str().unwrap()];
    let output = common::program(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("report.json: "), "{output:?}");
    assert_eq!(names(&out), ["dhat-heap.json", "report.html", "report.json", "sites-heap.pb"]);
    assert!(files.iter().all(|file| fs::read_to_string(out.join(file)).unwrap() == "old"));
}
