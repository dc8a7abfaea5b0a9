//! The program `profiling`: replays VM requests once per memory strategy and reports what each costs. As `profiling worker`
//! it is one of its own worker processes, the one with the system's allocator.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Decided before anything else, so that a worker holds nothing but its job.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == profiling::program::WORKER) {
        return profiling::worker::main(&());
    }
    profiling::program::main()
}
