//! A process of the benchmark `tracking` with `stats_alloc`'s hook.

use std::process::ExitCode;

use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    benches::tracking::worker(|_| Some(()))
}
