//! The program `profiling`: replays VM requests once per memory strategy and reports what each costs. As `profiling worker`
//! it is one of its own worker processes, the one with the system's allocator; as `profiling soak` it is the soak.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Decided before anything else, so that a worker holds nothing but its job.
    match std::env::args_os().nth(1) {
        Some(argument) if argument == profiling::program::WORKER => profiling::worker::main(&()),
        Some(argument) if argument == profiling::soak::SOAK => profiling::soak::main(),
        _ => profiling::program::main(),
    }
}
