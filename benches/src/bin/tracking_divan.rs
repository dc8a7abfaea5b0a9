//! A process of the benchmark `tracking` with divan's `AllocProfiler`, which counts whether a benchmark runs or not.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() -> ExitCode {
    benches::tracking::worker(|_| Some(()))
}
