//! A worker under dhat, which writes its heap profile. Its times are not used.

use profiling::replay::Probe;
use profiling::worker::Job;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

struct DhatProbe;

impl Probe for DhatProbe {
    fn around<R>(&self, job: &Job, replay: impl FnOnce() -> R) -> R {
        let file = job.dhat_file.clone().unwrap_or_else(|| "dhat-heap.json".into());
        let profiler = dhat::Profiler::builder().file_name(file).build();
        let result = replay();
        drop(profiler);
        result
    }
}

fn main() -> std::process::ExitCode {
    profiling::worker::main(&DhatProbe)
}
