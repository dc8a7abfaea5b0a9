//! A process of the benchmark `tracking` with our hook: counting, with sampled sites, with complete ones.

use std::process::ExitCode;

use blixard_arena::tracking::{Sites, TrackingAllocator, TrackingOptions};

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

fn main() -> ExitCode {
    benches::tracking::worker(|mode| {
        let options = match mode {
            "counting" => TrackingOptions::new(),
            "sampled" => TrackingOptions::new().sites(Sites::Sampled { bytes: 512 << 10 }),
            // As deep as dhat looks.
            "complete" => TrackingOptions::new().sites(Sites::Complete).frames_max(10),
            _ => return None,
        };
        Some(options.start())
    })
}
