//! A process of the benchmark `tracking` whose allocator is the system's: what the others are compared with.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::tracking::worker(|_| Some(()))
}
