//! What counting costs under each allocator that counts, each in processes of its own: `cargo bench -p benches --bench tracking`.

use benches::tracking::{Program, main as measure};
use std::process::ExitCode;

fn main() -> ExitCode {
    let ours = env!("CARGO_BIN_EXE_tracking_ours");
    measure(&[
        Program { name: "nothing", path: env!("CARGO_BIN_EXE_tracking_nothing"), mode: "-" },
        Program { name: "blixard, counting", path: ours, mode: "counting" },
        Program { name: "blixard, sampled sites", path: ours, mode: "sampled" },
        Program { name: "blixard, complete sites", path: ours, mode: "complete" },
        Program { name: "alloc_tracker", path: env!("CARGO_BIN_EXE_tracking_alloc_tracker"), mode: "-" },
        Program { name: "divan AllocProfiler", path: env!("CARGO_BIN_EXE_tracking_divan"), mode: "-" },
        Program { name: "stats_alloc", path: env!("CARGO_BIN_EXE_tracking_stats_alloc"), mode: "-" },
        Program { name: "tracking-allocator", path: env!("CARGO_BIN_EXE_tracking_tracking_allocator"), mode: "-" },
        Program { name: "dhat", path: env!("CARGO_BIN_EXE_tracking_dhat"), mode: "-" },
    ])
}
