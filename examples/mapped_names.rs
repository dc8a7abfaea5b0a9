//! A table of a million names, built in one process and opened in another: how long each step takes.
//!
//! Run: `cargo run --release --example mapped_names --features mapped`
#![expect(unsafe_code, reason = "maps a file")]
#![expect(clippy::print_stdout, reason = "its result")]

use blixard_arena::mapped::{Row, Table, TableBuilder};
use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const NAMES: u32 = 1_000_000;

fn name(i: u32) -> String {
    format!("tenant-{:03}/vm-{i:08}", i % 997)
}

fn main() -> Result<(), Box<dyn Error>> {
    // Started again by itself, with the file to open.
    if let Some(path) = env::args_os().nth(1) {
        return open(Path::new(&path));
    }
    let path = env::temp_dir().join(format!("mapped-names-{}.table", std::process::id()));
    build(&path)?;
    let told = Command::new(env::current_exe()?).arg(&path).status();
    std::fs::remove_file(&path)?;
    if told?.success() { Ok(()) } else { Err("the other process failed".into()) }
}

fn build(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut builder = TableBuilder::new();
    step("add a million names", || (0..NAMES).try_for_each(|i| builder.add(&name(i)).map(drop)))?;
    step("index them, write, synchronise, rename", || builder.write(path))?;
    println!("{:>10} MB  in {}", std::fs::metadata(path)?.len() / 1_000_000, path.display());
    Ok(())
}

fn open(path: &Path) -> Result<(), Box<dyn Error>> {
    println!("in another process, {}:", std::process::id());
    // SAFETY: the file was written by a process that waits for this one, and alters none.
    let mapped = step("map", || unsafe { Table::map(path) })?;
    step("find the first name", || mapped.find(&name(500_000)))?.ok_or("it was added")?;
    step("find each name once, its block's first touch included", || {
        (0..NAMES).try_for_each(|i| mapped.find(&name(i)).map(|row| assert_eq!(row.map(Row::number), Some(i))))
    })?;
    step("find each name again", || (0..NAMES).try_for_each(|i| mapped.find(&name(i)).map(drop)))?;
    step("look at each by number", || (0..NAMES).try_for_each(|i| mapped.row(i).map(drop)))?;
    step("verify everything", || mapped.verify())?;
    let opened = step("open: into memory, every checksum looked at", || Table::open(path))?;
    assert_eq!(opened.len(), NAMES);
    Ok(())
}

fn step<T, E>(what: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let start = Instant::now();
    let result = work();
    println!("{:>10.3} ms  {what}", start.elapsed().as_secs_f64() * 1e3);
    result
}
