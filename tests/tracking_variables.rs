//! The two variables, value by value, each in a real process.
#![cfg(feature = "allocation-tracking")]
#![expect(clippy::unwrap_used, reason = "a test: what cannot be had ends it")]

use blixard_arena::tracking::{self, AllocationTracker, SiteSum, Track as _, TrackingAllocator};
use std::hint::black_box;
use std::process::{Command, Output};

const CHILD: &str = "BLIXARD_TRACKING_CHILD";
const SITES: &str = "BLIXARD_TRACK_ALLOCATION_SITES";
const PRINT: &str = "BLIXARD_PRINT_ALLOCATIONS";

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

#[inline(never)]
fn leak_in_the_child() -> Vec<Vec<u8>> {
    let mut kept = Vec::with_capacity(200);
    for _ in 0..200 {
        kept.push(black_box(vec![1; 10_000]));
    }
    kept
}

/// What a program with these variables does. Says on stdout what it found.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let guard = tracking::start();
    let section = AllocationTracker::new("a section");
    let kept = leak_in_the_child();
    let report = section.finish();
    drop(AllocationTracker::new("dropped early"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    _ = runtime.block_on(async { black_box(vec![1, 2, 3]) }.tracked("a task"));
    let profile = tracking::allocation_sites();
    let leak = profile.sites.iter().filter(|site| site.place().contains("leak_in_the_child"));
    let live: u64 = leak.map(|site| site.sum(SiteSum::LiveBytes)).sum();
    println!("sample_bytes={} live={live} counted={}", profile.sample_bytes, report.heap.unwrap().bytes);
    drop(guard);
    drop(kept);
}

fn run(variables: &[(&str, &str)]) -> (String, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    command.env_remove(SITES).env_remove(PRINT).envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{variables:?}\n{out}\n{err}");
    let found = out.lines().find_map(|line| line.find("sample_bytes=").map(|at| line[at..].to_owned())).unwrap();
    (found, err)
}

#[test]
fn unset_and_empty_and_zero_are_silent_and_off() {
    for variables in [&[][..], &[(SITES, ""), (PRINT, "")], &[(SITES, "0"), (PRINT, "0")]] {
        let (found, err) = run(variables);
        assert!(found.starts_with("sample_bytes=0 live=0 counted=20"), "{found}");
        assert_eq!(err, "", "{variables:?}");
    }
}

#[test]
fn one_is_complete() {
    let (found, err) = run(&[(SITES, "1")]);
    assert!(found.starts_with("sample_bytes=1 live=2004800 "), "{found}");
    assert_eq!(err, "");
}

#[test]
fn samples() {
    for (value, bytes) in [("sample", 524_288), ("sample:10000", 10_000)] {
        let (found, err) = run(&[(SITES, value)]);
        assert!(found.starts_with(&format!("sample_bytes={bytes} live=")), "{found}");
        assert_eq!(err, "");
    }
    // A rate far above all that the child asks for: estimates may be 0, and are no more than a few samples.
    let (found, _) = run(&[(SITES, "sample:1")]);
    assert!(found.starts_with("sample_bytes=1 live=2004800 "), "a sample per byte is each call: {found}");
}

#[test]
fn printing_reports_sections_and_the_process_at_exit() {
    let (_, err) = run(&[(PRINT, "1")]);
    let lines: Vec<_> = err.lines().collect();
    assert_eq!(lines.len(), 5, "{err}");
    for (line, begins) in lines.iter().zip(["section ", "a section ", "dropped early ", "a task ", "process "]) {
        assert!(line.starts_with(begins), "{err}");
    }
    assert!(lines[1].contains(" 2004800 "), "{err}");
}

#[test]
fn printing_with_sites_shows_the_leak() {
    let (_, err) = run(&[(PRINT, "1"), (SITES, "1")]);
    let (_, live) = err.split_once("most bytes live").unwrap();
    let first = live.lines().nth(2).unwrap();
    assert!(first.contains("leak_in_the_child") && first.contains("tracking_variables.rs:"), "{err}");
}

#[test]
fn what_is_not_understood_is_named_in_one_warning_and_ignored() {
    for (variable, value) in [(SITES, "yes"), (SITES, "sample:"), (SITES, "sample:12k"), (PRINT, "2"), (PRINT, "true")]
    {
        let (found, err) = run(&[(variable, value)]);
        assert!(found.starts_with("sample_bytes=0 "), "{found}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.starts_with(&format!("blixard-arena: {variable}={value} is not understood")), "{err}");
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_no_text_is_named_too() {
    use std::os::unix::ffi::OsStrExt as _;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "1").env_remove(PRINT);
    command.env(SITES, std::ffi::OsStr::from_bytes(b"1\xff"));
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && err.lines().count() == 1 && err.contains("is not understood"), "{err}");
}
