//! What counting costs: an allocation and its free, and a request on the plain heap, under each allocator that counts.
//!
//! A global allocator belongs to a whole program, so each contender is one of its own (`src/bin/tracking_*.rs`), started anew
//! for every sample. The benchmark `tracking` drives them: in each round every contender once, forwards and backwards by
//! turns; a ratio is taken within its round, the median over the rounds is what counts.
//!
//! A worker times its work on pinned threads, twelve calls deep, so that a contender that looks ten frames up finds them.

use std::fmt;
use std::hint::black_box;
use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::contest::{Contender, Role};
use crate::request;

/// Rounds unless told otherwise.
const ROUNDS: usize = 9;

/// What a worker's sample should take, at least.
const SHARE: Duration = Duration::from_millis(15);

/// Samples in one process; the shortest is its answer.
const SAMPLES: usize = 5;

/// Operations between two barriers.
const BATCH: u64 = 4096;

/// Calls between a thread's first function and the work.
const DEPTH: u32 = 12;

/// A program and what it is told to do.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// What it is called in the table.
    pub name: &'static str,
    /// Where it lies.
    pub path: &'static str,
    /// What it gets as its mode.
    pub mode: &'static str,
}

const WORKS: [(&str, &str, u32); 3] = [
    ("pair", "an allocation of 64 bytes and its free, one thread, ns", 1),
    ("pair", "an allocation of 64 bytes and its free, two pinned threads, ns", 2),
    ("request", "the reference request on the plain heap (hashbrown), one thread, ns", 1),
];

/// A worker's life: what `begin` makes of the mode is kept while the work is timed. Prints the nanoseconds of one operation.
pub fn worker<G>(begin: impl FnOnce(&str) -> Option<G>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, work, threads] = &arguments[..] else { return ExitCode::from(2) };
    let (Some(contender), Ok(threads)) = (contender(work), threads.parse()) else { return ExitCode::from(2) };
    let Some(guard) = begin(mode) else { return ExitCode::from(2) };
    let time = best(contender(threads));
    drop(guard);
    if writeln!(io::stdout(), "{time}").is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn contender(work: &str) -> Option<fn(usize) -> Contender> {
    match work {
        "pair" => Some(|threads| {
            Contender::pinned("pair", Role::Control, threads, BATCH, (), |(), _, n| pairs(DEPTH, n), |()| ())
        }),
        "request" => Some(|_| request::on_the_heap()),
        _ => None,
    }
}

/// `n` pairs, so many calls further down.
#[inline(never)]
fn pairs(depth: u32, n: u64) {
    if depth > 0 {
        pairs(depth - 1, n);
        // Not a jump: a frame stays.
        black_box(depth);
        return;
    }
    for _ in 0..n {
        drop(black_box(Box::<[u64; 8]>::new_uninit()));
    }
}

/// The shortest of a few samples, in nanoseconds per operation.
fn best(mut contender: Contender) -> f64 {
    let mut iterations = 1;
    while contender.run(iterations) < SHARE {
        iterations *= 2;
    }
    let times = (0..SAMPLES).map(|_| contender.run(iterations));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let per_operation = |time: Duration| time.as_nanos() as f64 / iterations as f64;
    times.min().map_or(f64::NAN, per_operation)
}

/// What the benchmark can stumble over.
#[derive(Debug)]
enum Error {
    Worker { name: &'static str, said: String },
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker { name, said } => write!(f, "the process for {name} gave no time: {said}"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Runs all programs, the first being the one that all are compared with, and prints a table per work.
///
/// Takes `--rounds N`; `--test` is one round, to see that everything works.
#[must_use]
pub fn main(programs: &[Program]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = arguments.iter().position(|argument| argument == "--rounds");
    let asked = asked.and_then(|at| arguments.get(at + 1)?.parse().ok());
    let rounds = if arguments.iter().any(|argument| argument == "--test") { 1 } else { asked.unwrap_or(ROUNDS) };
    match run(programs, rounds.max(1), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "tracking: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(programs: &[Program], rounds: usize, out: &mut impl Write) -> Result<(), Error> {
    for (work, title, threads) in WORKS {
        let mut times = vec![Vec::new(); programs.len()];
        for round in 0..rounds {
            let mut order: Vec<usize> = (0..programs.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for at in order {
                times[at].push(sample(programs[at], work, threads)?);
            }
        }
        writeln!(out, "\n### {title}\n\n| under | least | median | over nothing | range |\n|---|---|---|---|---|")?;
        for (program, own) in programs.iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, nothing)| own / nothing).collect();
            let (own, ratios) = (Spread::of(own.clone()), Spread::of(ratios));
            writeln!(
                out,
                "| {} | {:.1} | {:.1} | {:.2} | {:.2} to {:.2} |",
                program.name, own.least, own.median, ratios.median, ratios.least, ratios.most
            )?;
        }
        out.flush()?;
    }
    Ok(())
}

fn sample(program: Program, work: &str, threads: u32) -> Result<f64, Error> {
    let output = Command::new(program.path).args([program.mode, work, &threads.to_string()]).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let time = said.lines().next().and_then(|line| line.parse().ok()).filter(|_| output.status.success());
    time.ok_or_else(|| Error::Worker {
        name: program.name,
        said: format!("{said}{}", String::from_utf8_lossy(&output.stderr)),
    })
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        Self { least: all[0], median: all[all.len() / 2], most: all[all.len() - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_ordered() {
        let Spread { least, median, most } = Spread::of(vec![3.0, 1.0, 2.0]);
        assert_eq!([least, median, most].map(f64::to_bits), [1.0, 2.0, 3.0].map(f64::to_bits));
    }

    #[test]
    fn every_work_has_a_contender() {
        for (work, _, _) in WORKS {
            assert!(contender(work).is_some(), "{work}");
        }
        assert!(contender("nothing").is_none());
    }
}
