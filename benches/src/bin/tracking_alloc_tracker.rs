//! A process of the benchmark `tracking` with `alloc_tracker`'s hook. Its spans only read what the hook counts, so none is open.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: alloc_tracker::Allocator<std::alloc::System> = alloc_tracker::Allocator::system();

fn main() -> ExitCode {
    benches::tracking::worker(|_| Some(()))
}
