//! The same as `ratios` in a process whose global allocator is mimalloc: what the heap's contenders, and nothing else, gain by it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    benches::ratios::main()
}
