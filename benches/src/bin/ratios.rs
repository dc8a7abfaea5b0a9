//! Ours against each peer, interleaved in one process, over the system's allocator: `cargo run --release -p benches --bin ratios`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::ratios::main()
}
