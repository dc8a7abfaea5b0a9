//! The `ratios` program: ours against each peer in one process, in interleaved rounds, as Markdown tables.
//!
//! A round runs every contender of a group once for about the same time, forwards in even rounds and backwards in odd ones, so
//! that whatever disturbs the machine disturbs neighbours alike; a ratio is taken within a round, and the median over the rounds is
//! what counts. A sample from a disturbed core is taken again or left out ([`crate::yardstick`]). Cost: about `rounds x contenders x 2 ms` per group.

use std::fmt;
use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::contest::{self, Contender, Group, Named, Role};
use crate::yardstick::Yardstick;
use crate::{
    archive, bump, collections, intern_arena, intern_pool, mapped, object_pool, placement, pool, proposals, request,
    shared, shared_values,
};

/// What a contender's share of a round should take at least: less than a scheduler's slice, so that few samples are interrupted.
const SHARE: Duration = Duration::from_micros(1500);

/// Rounds unless told otherwise.
const ROUNDS: usize = 31;

/// Operations that the instruction count is taken over: the difference of two runs, so that start-up cancels out.
const COUNTED: u64 = 200_000;

const USAGE: &str = "\
usage: ratios [OPTIONS] [GROUP]...
  GROUP              run the groups whose name contains the word: bump, shared, pool, arc, archive,
                     intern, mapped, placement, request, proposals, collections (default: all)
  --rounds N         interleaved rounds per group (default 31)
  --list             print the names of groups and contenders
  --exact            the groups of these very names, not those that contain them
  --rows             print each contender's times as a line instead: group, role, threads, name, a time per round, by tabs
  --instructions     count instructions per operation under callgrind instead (single-threaded contenders)
  --work GROUP CONTENDER N
                     only do the contender's work N times: for callgrind, perf and other observers";

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if even this cannot be written.
            let _ = writeln!(io::stderr(), "ratios: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What the program can stumble over.
#[derive(Debug)]
enum Error {
    Argument(String),
    Callgrind(String),
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(what) => write!(f, "{what}"),
            Self::Callgrind(what) => {
                write!(f, "valgrind --tool=callgrind did not give a count: {what}")
            }
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn run(arguments: &[String], out: &mut impl Write) -> Result<(), Error> {
    let mut rounds = ROUNDS;
    let mut instructions = false;
    let mut list = false;
    let mut exact = false;
    let mut rows = false;
    let mut words = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--rounds" => rounds = number(rest.next(), "--rounds")?,
            "--instructions" => instructions = true,
            "--list" => list = true,
            "--exact" => exact = true,
            "--rows" => rows = true,
            "--work" => {
                let (Some(group), Some(contender)) = (rest.next(), rest.next()) else {
                    return Err(Error::Argument("--work takes a group, a contender and a number".to_owned()));
                };
                return work(group, contender, number(rest.next(), "--work")?);
            }
            option if option.starts_with('-') => {
                return Err(Error::Argument(format!("unknown option {option}")));
            }
            word => words.push(word),
        }
    }
    let asked = |name: &str, word: &str| if exact { name == word } else { name.contains(word) };
    let groups: Vec<_> =
        all().filter(|(name, _)| words.is_empty() || words.iter().any(|word| asked(name, word))).collect();
    if groups.is_empty() {
        return Err(Error::Argument(format!("no group is called like {words:?}")));
    }
    contest::pin(0);
    for (_, make) in groups {
        let mut group = make();
        if list {
            writeln!(out, "{}", group.name)?;
            for contender in &group.contenders {
                writeln!(out, "    {}", contender.label())?;
            }
        } else if instructions {
            count_instructions(&group, out)?;
        } else {
            let table = Table::measure(&mut group, rounds.max(1));
            if rows {
                table.write_rows(out)?;
            } else {
                write!(out, "{table}")?;
            }
            out.flush()?;
        }
    }
    Ok(())
}

fn all() -> impl Iterator<Item = Named> {
    let groups = [
        bump::GROUPS,
        shared::GROUPS,
        shared_values::GROUPS,
        pool::GROUPS,
        object_pool::GROUPS,
        intern_arena::GROUPS,
        intern_pool::GROUPS,
        placement::GROUPS,
        mapped::GROUPS,
        request::GROUPS,
        proposals::GROUPS,
        archive::GROUPS,
    ];
    groups.into_iter().chain(collections::GROUPS.iter().copied()).flatten().copied()
}

/// The names of a group's contenders with the threads each works on, if there is such a group.
#[cfg(test)]
pub(crate) fn contenders(group: &str) -> Option<Vec<(String, usize)>> {
    let make = all().find_map(|(name, make)| (name == group).then_some(make))?;
    Some(make().contenders.iter().map(|one| (one.name.to_owned(), one.threads)).collect())
}

fn number<N: std::str::FromStr>(argument: Option<&String>, of: &str) -> Result<N, Error> {
    argument.and_then(|text| text.parse().ok()).ok_or_else(|| Error::Argument(format!("{of} takes a number")))
}

fn work(group: &str, contender: &str, iterations: u64) -> Result<(), Error> {
    let make = all().find_map(|(name, make)| (name == group).then_some(make));
    let mut contenders = make.ok_or_else(|| Error::Argument(format!("no group {group:?}")))?().contenders;
    let found = contenders.iter_mut().find(|one| one.label() == contender);
    found.ok_or_else(|| Error::Argument(format!("no contender {contender:?} in {group}")))?.run(iterations);
    Ok(())
}

/// A group's times: one row per contender, one column per round, in nanoseconds per operation; not a number where no undisturbed
/// sample could be had.
struct Table<'a> {
    group: &'a Group,
    times: Vec<Vec<f64>>,
    /// Samples asked for, and those that could not be had.
    samples: (usize, usize),
}

impl<'a> Table<'a> {
    fn measure(group: &'a mut Group, rounds: usize) -> Self {
        let iterations: Vec<u64> = group.contenders.iter_mut().map(calibrate).collect();
        let mut times = vec![Vec::with_capacity(rounds); group.contenders.len()];
        let mut yardstick = Yardstick::new();
        for round in 0..rounds {
            let mut order: Vec<usize> = (0..group.contenders.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let contender = &mut group.contenders[index];
                let spent = yardstick.sample(contender.threads, || contender.run(iterations[index]));
                let operations = iterations[index] * group.elements;
                times[index].push(spent.map_or(f64::NAN, |spent| per_operation(spent, operations)));
            }
        }
        Self { group, times, samples: yardstick.counts() }
    }

    /// A line per contender, for programs.
    fn write_rows(&self, out: &mut impl Write) -> io::Result<()> {
        for (contender, times) in self.group.contenders.iter().zip(&self.times) {
            let Contender { name, role, threads, .. } = contender;
            write!(out, "{}\t{}\t{threads}\t{name}", self.group.name, role.as_str())?;
            for time in times {
                write!(out, "\t{time}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// Within each round, the time of `index` over that of `base`: median, and the middle 80 %.
    fn ratio(&self, index: usize, base: usize) -> Spread {
        Spread::of(self.times[index].iter().zip(&self.times[base]).map(|(time, base)| time / base).collect())
    }

    /// The time of `index` when nothing disturbed it.
    fn least(&self, index: usize) -> f64 {
        self.times[index].iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn find(&self, name: &str, threads: usize) -> Option<usize> {
        self.group.contenders.iter().position(|one| one.name == name && one.threads == threads)
    }
}

/// So many iterations that a share of a round takes about [`SHARE`].
fn calibrate(contender: &mut Contender) -> u64 {
    let mut iterations = 1_u64;
    loop {
        let spent = contender.run(iterations);
        if spent * 2 >= SHARE || iterations >= 1 << 32 {
            return iterations;
        }
        iterations *= 2;
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_operation(spent: Duration, operations: u64) -> f64 {
    spent.as_secs_f64() * 1e9 / operations as f64
}

struct Spread {
    least: f64,
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.retain(|value| !value.is_nan());
        values.sort_by(f64::total_cmp);
        let at =
            |percent: usize| values.get(values.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::NAN);
        Self { least: at(0), low: at(10), median: at(50), high: at(90) }
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Group { name, note, contenders, .. } = self.group;
        let (samples, disturbed) = self.samples;
        writeln!(f, "\n### {name}\n\n{note}. Left out, the core being disturbed: {disturbed} of {samples} samples.\n")?;
        let threads: Vec<usize> =
            [1, 2].into_iter().filter(|n| contenders.iter().any(|one| one.threads == *n)).collect();
        for threads in &threads {
            if *threads > 1 {
                writeln!(f, "\n{threads} pinned threads, time per thread:\n")?;
            }
            self.rows(f, *threads)?;
        }
        if threads.len() > 1 {
            self.scaling(f)?;
        }
        Ok(())
    }
}

impl Table<'_> {
    fn rows(&self, f: &mut fmt::Formatter<'_>, threads: usize) -> fmt::Result {
        let contenders = &self.group.contenders;
        let here: Vec<usize> = (0..contenders.len()).filter(|i| contenders[*i].threads == threads).collect();
        let ours = here[0];
        writeln!(f, "| contender | min ns | median ns | its time / ours | middle 80 % |\n|---|---:|---:|---:|---:|")?;
        for &index in &here {
            let time = Spread::of(self.times[index].clone());
            let ratio = self.ratio(index, ours);
            let (least, median) = (time.least, time.median);
            let name = contenders[index].name;
            let kind = match contenders[index].role {
                Role::Ours | Role::Peer => "",
                Role::Limit => " (limit)",
                Role::Control => " (shares nothing)",
            };
            let Spread { low, high, median: times, .. } = ratio;
            writeln!(f, "| {name}{kind} | {least:.2} | {median:.2} | {times:.2} | {low:.2} to {high:.2} |")?;
        }
        writeln!(f, "\n| ours | over | times | middle 80 % | of the minima |\n|---|---|---:|---:|---:|")?;
        let median = |index: &&usize| Spread::of(self.times[**index].clone()).median;
        let best = here.iter().filter(|i| contenders[**i].role == Role::Peer);
        let best = best.min_by(|a, b| median(a).total_cmp(&median(b)));
        let first = |role| here.iter().find(|i| contenders[**i].role == role);
        let others = [("the best peer, ", best), ("", first(Role::Control)), ("", first(Role::Limit))];
        for &ours in here.iter().filter(|i| contenders[**i].role == Role::Ours) {
            for (what, other) in others {
                let Some(&other) = other else { continue };
                let Spread { low, median, high, .. } = self.ratio(ours, other);
                let minima = self.least(ours) / self.least(other);
                let (ours, other) = (contenders[ours].name, contenders[other].name);
                writeln!(f, "| {ours} | {what}{other} | {median:.2} | {low:.2} to {high:.2} | {minima:.2} |")?;
            }
        }
        Ok(())
    }

    /// What the second thread costs, divided by what it costs the first control, which shares nothing.
    fn scaling(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contenders = &self.group.contenders;
        let pair = |name| Some((self.find(name, 1)?, self.find(name, 2)?));
        let Some((alone, together)) =
            contenders.iter().find(|one| one.role == Role::Control).and_then(|one| pair(one.name))
        else {
            return Ok(());
        };
        let control = self.ratio(together, alone);
        writeln!(
            f,
            "\nTwo threads over one, divided by the same for \"{}\" ({:.2}):\n\n| contender | time per thread | middle 80 % | of the minima |\n|---|---:|---:|---:|",
            contenders[alone].name, control.median
        )?;
        for (index, contender) in contenders.iter().enumerate().filter(|(_, one)| one.threads == 1) {
            let Some(other) = self.find(contender.name, 2) else {
                continue;
            };
            let rounds = (0..self.times[index].len()).map(|round| {
                let of = |row: usize| self.times[row][round];
                (of(other) / of(index)) / (of(together) / of(alone))
            });
            let Spread { low, median, high, .. } = Spread::of(rounds.collect());
            let minima = self.least(other) / self.least(index) / (self.least(together) / self.least(alone));
            writeln!(f, "| {} | {median:.2} | {low:.2} to {high:.2} | {minima:.2} |", contender.name)?;
        }
        Ok(())
    }
}

/// Instructions per operation, by callgrind, for the contenders that work on one thread.
fn count_instructions(group: &Group, out: &mut impl Write) -> Result<(), Error> {
    writeln!(out, "\n### {}\n\n| contender | instructions per operation |\n|---|---:|", group.name)?;
    // Callgrind runs threads one after another: those that spin for each other would count their waiting.
    for contender in group.contenders.iter().filter(|one| one.threads == 1) {
        let counted = COUNTED / group.elements / if group.name.starts_with("request") { 1000 } else { 1 };
        let counted = counted.max(10);
        let once = callgrind(group.name, &contender.label(), counted)?;
        let twice = callgrind(group.name, &contender.label(), 2 * counted)?;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let per_operation = twice.saturating_sub(once) as f64 / (counted * group.elements) as f64;
        writeln!(out, "| {} | {per_operation:.2} |", contender.label())?;
        out.flush()?;
    }
    Ok(())
}

/// The instructions that this program takes to do a contender's work so often.
fn callgrind(group: &str, contender: &str, iterations: u64) -> Result<u64, Error> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--work", group, contender, &iterations.to_string()])
        .output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let count = report.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.ok_or_else(|| Error::Callgrind(report.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(name: &'static str, role: Role, threads: usize) -> Contender {
        let mut one = Contender::alone(
            name,
            role,
            1 << 20,
            (),
            |(), i| {
                std::hint::black_box(i);
            },
            |()| (),
        );
        one.threads = threads;
        one
    }

    #[test]
    fn a_spread_is_ordered_and_takes_the_median() {
        let Spread { least, low, median, high } = Spread::of((1_u8..=101).rev().map(f64::from).collect());
        assert_eq!([least, low, median, high].map(f64::to_bits), [1.0, 11.0, 51.0, 91.0].map(f64::to_bits));
    }

    #[test]
    fn samples_that_could_not_be_had_do_not_count() {
        let Spread { least, median, high, .. } = Spread::of(vec![f64::NAN, 3.0, 1.0, f64::NAN, 2.0]);
        assert_eq!([least, median, high].map(f64::to_bits), [1.0, 2.0, 2.0].map(f64::to_bits));
        assert!(Spread::of(vec![f64::NAN]).median.is_nan());
    }

    #[test]
    fn ratios_are_taken_within_rounds_and_scaling_is_divided_by_the_control() {
        let contenders = vec![
            fixed("ours", Role::Ours, 1),
            fixed("control", Role::Control, 1),
            fixed("peer", Role::Peer, 1),
            fixed("ours", Role::Ours, 2),
            fixed("control", Role::Control, 2),
            fixed("peer", Role::Peer, 2),
        ];
        let group = Group { name: "test", note: "a test", elements: 1, contenders };
        // The machine is twice as slow in the second round; the control loses 1.5x to the second thread.
        let times = [1.0, 1.0, 3.0, 1.5, 1.5, 9.0].iter().map(|time| vec![*time, 2.0 * time]).collect();
        let printed = Table { group: &group, times, samples: (12, 3) }.to_string();
        assert!(printed.contains("| peer | 3.00 | 3.00 | 3.00 | 3.00 to 3.00 |"), "{printed}");
        assert!(printed.contains("| ours | the best peer, peer | 0.33 | 0.33 to 0.33 | 0.33 |"), "{printed}");
        assert!(printed.contains("| ours | 1.00 | 1.00 to 1.00 | 1.00 |"), "{printed}");
        assert!(printed.contains("| peer | 2.00 | 2.00 to 2.00 | 2.00 |"), "{printed}");
    }

    #[test]
    fn wrong_arguments_are_refused_by_name() {
        let told = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
            run(&arguments, &mut Vec::new()).unwrap_err().to_string()
        };
        assert_eq!(told(&["--rounds", "many"]), "--rounds takes a number");
        assert_eq!(told(&["--fast"]), "unknown option --fast");
        assert_eq!(told(&["nothing"]), "no group is called like [\"nothing\"]");
        assert_eq!(told(&["--work", "bump/u64", "none", "1"]), "no contender \"none\" in bump/u64");
    }

    #[test]
    fn every_listed_group_goes_by_its_own_name() {
        for (name, make) in all() {
            assert_eq!(make().name, name);
        }
    }
}
