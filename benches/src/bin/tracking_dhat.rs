//! A process of the benchmark `tracking` under dhat, ten frames deep.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() -> ExitCode {
    // Its testing mode records all the same, and writes no file.
    benches::tracking::worker(|_| Some(dhat::Profiler::builder().testing().build()))
}
