//! A worker that counts every call of the allocator. Its times are not used.

use profiling::counting::{CountingAllocator, CountingProbe};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> std::process::ExitCode {
    profiling::worker::main(&CountingProbe::default())
}
