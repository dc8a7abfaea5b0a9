//! A worker with the tracking allocator, which records what the environment asks for. Timed to say what that costs.

use blixard_arena::tracking::TrackingAllocator;
use profiling::sites::SitesProbe;

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

#[expect(clippy::print_stderr, reason = "a worker's last words go to the program that started it")]
fn main() -> std::process::ExitCode {
    let probe = SitesProbe::default();
    let code = profiling::worker::main(&probe);
    if let Some(error) = probe.failed() {
        eprintln!("the sites could not be written: {error}");
        return std::process::ExitCode::FAILURE;
    }
    code
}
