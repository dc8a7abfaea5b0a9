//! The soak: requests of all kinds for as long as asked for, on threads that come and go; is memory flat, and does it all add up?
//!
//! Stands beside the main job, over the library alone: `cargo run --release -p profiling -- soak --minutes 3`. `world` is what
//! requests share, `load` what they do, `memory` the curve; this module starts threads, looks after the pools in a steady rhythm, and judges.
//!
//! Invariants: at the end nothing is out, so that every balance is exact; the verdict is the last line, and the exit code its short form.
//! Cost: memory for one number per sample, whatever the duration.

mod load;
mod memory;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;

use crate::input::rng::Rng;
pub use memory::{Curve, Flatness};
pub use world::Balance;
use world::World;

/// The first argument that asks for it.
pub const SOAK: &str = "soak";

/// Between two looks at the threads.
const TICK: Duration = Duration::from_millis(10);

/// Samples of resident memory in all; the curve shows every `SAMPLES_PER_LINE`th.
const SAMPLES: u32 = 240;
const SAMPLES_PER_LINE: usize = 8;

/// Requests that a thread serves before it ends, and another takes its place.
const LIFE: std::ops::Range<usize> = 20..4_000;

/// Serves requests of all kinds on threads that come and go, and checks that memory stays flat and that all figures add up.
///
/// Ends with 0 if resident memory was flat and everything balanced, with 1 if not.
#[derive(Debug, Clone, Parser)]
#[command(name = "profiling soak")]
pub struct Options {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = minutes)]
    pub minutes: f64,

    /// Threads at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: u8,

    /// Where everything random comes from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if minutes > 0.0 && minutes <= 10_080.0 {
        Ok(minutes)
    } else {
        Err("expected more than 0 and at most 10080".into())
    }
}

/// The program: options from the command line, the curve and the verdict on standard output.
#[must_use]
#[expect(clippy::print_stdout, reason = "this is where the program speaks")]
pub fn main() -> ExitCode {
    // The first argument has been read: it led here.
    let options = Options::parse_from(std::env::args_os().skip(1));
    let verdict = soak(&options, |line| println!("{line}"));
    println!("{}", verdict.last_line());
    if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of it.
#[derive(Debug)]
pub struct Verdict {
    /// Requests served, and the threads that served them.
    pub requests: u64,
    /// Threads that were started.
    pub threads: u64,
    /// What has to be equal.
    pub balances: Vec<Balance>,
    /// Resident memory.
    pub flatness: Flatness,
}

impl Verdict {
    /// Whether everything adds up and memory was flat.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.flatness.is_flat() && self.balances.iter().all(Balance::is_even)
    }

    /// The verdict in a line.
    #[must_use]
    pub fn last_line(&self) -> String {
        let Self { requests, threads, balances, flatness } = self;
        let uneven = balances.iter().filter(|balance| !balance.is_even()).count();
        let (good, sums) = (if self.is_good() { "good" } else { "BAD" }, balances.len());
        let flat = if flatness.is_flat() { "flat" } else { "NOT FLAT" };
        format!("soak: {good}: {requests} requests on {threads} threads, {uneven} of {sums} sums uneven, memory {flat}")
    }
}

/// Serves requests for as long as the options say; `say` gets the lines of the curve and of the sums.
///
/// # Panics
///
/// If a request finds something that it built otherwise than it built it.
pub fn soak(options: &Options, mut say: impl FnMut(&str)) -> Verdict {
    load::expect_greed();
    let duration = Duration::from_secs_f64(options.minutes * 60.0);
    let world = Arc::new(World::new());
    warm_up(&world, options);
    let mut crew = Crew::new(options, &world);
    let mut curve = Curve::new(duration / SAMPLES);
    let begun = Instant::now();
    say(Curve::HEADING);
    while begun.elapsed() < duration {
        crew.replace_those_who_ended();
        if curve.is_due(begun.elapsed()) {
            world.look_after();
            curve.sample(begun.elapsed(), world.requests());
            if curve.len().is_multiple_of(SAMPLES_PER_LINE) {
                say(&curve.line(&world.summary()));
            }
        }
        thread::sleep(TICK);
    }
    let threads = crew.end();
    let requests = world.requests();
    let flatness = curve.flatness();
    say(&format!("\n{}\n{flatness}\n", curve.drawn()));
    let world = Arc::into_inner(world).expect("all threads have ended");
    let balances = world.balances();
    for balance in &balances {
        say(&balance.to_string());
    }
    Verdict { requests, threads, balances, flatness }
}

/// Serves one request of each kind, as large as they come, on many threads at once: so the allocator's own arenas, of which glibc makes
/// new ones for as many threads, are there before anything is measured.
fn warm_up(world: &Arc<World>, options: &Options) {
    let processors = thread::available_parallelism().map_or(2, usize::from);
    let mut rng = Rng::new(!options.seed);
    thread::scope(|scope| {
        for _ in 0..8 * processors.min(8) {
            let rng = Rng::new(rng.next());
            scope.spawn(|| load::serve(world, rng, load::KINDS.len()));
        }
    });
}

/// The threads that serve.
struct Crew<'s> {
    world: &'s Arc<World>,
    threads: Vec<JoinHandle<()>>,
    started: u64,
    rng: Rng,
}

impl<'s> Crew<'s> {
    fn new(options: &Options, world: &'s Arc<World>) -> Self {
        let mut crew = Self { world, threads: Vec::new(), started: 0, rng: Rng::new(options.seed) };
        for _ in 0..options.threads {
            let thread = crew.start();
            crew.threads.push(thread);
        }
        crew
    }

    fn start(&mut self) -> JoinHandle<()> {
        self.started += 1;
        // Most live shortly.
        let most = self.rng.below(LIFE.end - LIFE.start) + 1;
        let requests = LIFE.start + self.rng.below(most);
        let (world, rng) = (Arc::clone(self.world), Rng::new(self.rng.next()));
        let thread = thread::Builder::new().name(format!("soak-{}", self.started));
        thread.spawn(move || load::serve(&world, rng, requests)).expect("the system has a thread")
    }

    fn replace_those_who_ended(&mut self) {
        for at in 0..self.threads.len() {
            if self.threads[at].is_finished() {
                let next = self.start();
                let ended = std::mem::replace(&mut self.threads[at], next);
                ended.join().expect("a thread of the soak panicked");
            }
        }
    }

    /// Ends all; says how many there were.
    fn end(self) -> u64 {
        self.world.close();
        for thread in self.threads {
            thread.join().expect("a thread of the soak panicked");
        }
        self.started
    }
}
