//! Memory that a table of a million names takes in a process: `cargo run --release -p benches --bin mapped_memory`.
//!
//! Each contender is opened in a process of its own, from a file that another process has built. What counts is the memory that the
//! process has more than before: resident, as Linux says it, and of that the part that it shares with nobody (mapped pages
//! of a file are the page cache's, and every process's that maps it). After opening, and after every name was looked up once.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "its result")]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use benches::mapped::{self, Find};
use blixard_arena::mapped::Table;
use tempfile::TempDir;

const NAMES: usize = 1_000_000;

const WHO: [&str; 5] =
    ["blixard Table, mapped", "blixard Table, opened", "fst, mapped", "redb, read-only", "hashbrown, built from texts"];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[..] {
        [_, step, who, path] if step == "build" => return build(who, Path::new(path)),
        [_, step, who, path] if step == "open" => return open(who, Path::new(path)),
        _ => {}
    }
    println!(
        "| {NAMES} names | file MB | opened in | MB then | of its own | a first pass over all names | MB then | of its own |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let program = std::env::current_exe().expect("this program");
    let folder = TempDir::new().expect("a folder");
    for who in WHO {
        let path = folder.path().join("names");
        _ = fs::remove_file(&path);
        let step = |step: &str| {
            let output = Command::new(&program).args([step, who]).arg(&path).output().expect("runs itself");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        step("build");
        let file = fs::metadata(&path).map_or("none".to_owned(), |file| megabytes(file.len()));
        println!("| {who} | {file} | {} |", step("open"));
    }
}

fn build(who: &str, path: &Path) {
    let names = mapped::names(NAMES);
    match who {
        "fst, mapped" => mapped::build_fst(path, &names),
        "redb, read-only" => mapped::build_redb(path, &names),
        "hashbrown, built from texts" => {}
        _ => mapped::build_ours(path, &names),
    }
}

fn open(who: &str, path: &Path) {
    match who {
        "blixard Table, mapped" => measure(|| mapped::map_ours(path)),
        "blixard Table, opened" => measure(|| Table::open(path).expect("just built")),
        "fst, mapped" => measure(|| mapped::map_fst(path)),
        "redb, read-only" => measure(|| mapped::open_redb(path)),
        // Its names come one by one, as from a file of lines.
        _ => measure(|| -> hashbrown::HashMap<Box<str>, u32> {
            (0..NAMES).map(|i| mapped::name(i).into()).zip(0..).collect()
        }),
    }
}

fn measure<F: Find>(open: impl FnOnce() -> F) {
    let before = memory();
    let start = Instant::now();
    let table = open();
    let opened = start.elapsed();
    let then = memory();
    let start = Instant::now();
    for i in 0..NAMES {
        assert_eq!(black_box(table.find(&mapped::name(i))), Some(i as u64));
    }
    let passed = start.elapsed();
    let [first, second] = [then, memory()].map(|memory| {
        let [resident, own] = [0, 1].map(|i| megabytes(memory[i].saturating_sub(before[i])));
        format!("{resident} | {own}")
    });
    println!("{} | {first} | {} | {second}", milliseconds(opened), milliseconds(passed));
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// Bytes that are resident, and those of them that no other process has.
fn memory() -> [u64; 2] {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let sum = |keys: &[&str]| {
        let lines = rollup.lines().filter(|line| keys.iter().any(|key| line.starts_with(key)));
        lines
            .map(|line| {
                line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() * 1024
            })
            .sum()
    };
    [sum(&["Rss:"]), sum(&["Anonymous:"])]
}
