//! A worker whose global allocator is mimalloc, from its first allocation on.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    profiling::worker::main(&())
}
