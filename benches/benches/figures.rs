//! The figures of `benches/README.md`, measured anew: `cargo bench -p benches --bench figures -- --write`.

use benches::figures::{Programs, main as measure};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let programs = Programs {
        system: env!("CARGO_BIN_EXE_ratios"),
        mimalloc: env!("CARGO_BIN_EXE_ratios_mimalloc"),
        names_memory: env!("CARGO_BIN_EXE_names_memory"),
        mapped_memory: env!("CARGO_BIN_EXE_mapped_memory"),
        tracking: &benches::tracking_programs!(),
    };
    measure(programs, Path::new(env!("CARGO_MANIFEST_DIR")))
}
