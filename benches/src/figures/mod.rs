//! The figures of `benches/README.md`, measured anew and written in their place: `cargo bench -p benches --bench figures -- --write`.
//!
//! Each group is measured by the `ratios` program in processes of its own, several times over: where loader and allocator put things
//! differs from process to process, and a figure is the median over them. Then the part of the README between two marks is replaced and
//! the plots beside it are drawn.
//!
//! Invariants: nothing is written before all is measured; a file is replaced whole or not at all; what stands outside the marks stays.
//! Cost: `runs` processes per group, about five seconds each; the groups of tables on disk take a minute. With `--kept FOLDER`
//! what each process printed is kept, so that a run that was stopped goes on where it was.

mod plots;
mod printed;
mod rows;
mod tables;
mod targets;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use printed::Printed;
use rows::{Figures, Measured};

use crate::tracking;

const USAGE: &str = "\
usage: cargo bench -p benches --bench figures -- [OPTIONS] [GROUP]...
  GROUP       measure the groups whose name contains the word (default: all)
  --write     replace the figures in benches/README.md and the plots in benches/plots; otherwise they go to standard output
  --runs N    processes per group (default 3)
  --rounds N  interleaved rounds per process (default 31)
  --kept FOLDER
              keep what each process prints there, and start none whose figures are there: for a run in several parts";

/// Processes per group and rounds in each unless told otherwise.
const RUNS: usize = 3;
const ROUNDS: usize = 31;

const BEGIN: &str =
    "<!-- figures: begin. What follows is written by `cargo bench -p benches --bench figures -- --write` -->\n";
const END: &str = "<!-- figures: end -->\n";

/// The programs that measure.
#[derive(Clone, Copy, Debug)]
pub struct Programs<'p> {
    /// `ratios`, over the system's allocator.
    pub system: &'p str,
    /// `ratios_mimalloc`, the same over mimalloc.
    pub mimalloc: &'p str,
    /// `names_memory`.
    pub names_memory: &'p str,
    /// `mapped_memory`.
    pub mapped_memory: &'p str,
    /// What the benchmark `tracking` starts.
    pub tracking: &'p [tracking::Program],
}

/// Runs the program with the process's arguments; `folder` holds the README.
#[must_use]
pub fn main(programs: Programs<'_>, folder: &Path) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments, programs, folder, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if even this cannot be written.
            let _ = writeln!(io::stderr(), "figures: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What the program can stumble over.
#[derive(Debug)]
enum Error {
    Argument(String),
    Program(String),
    Row { line: String, expected: &'static str },
    Marks,
    Plot(String),
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(what) | Self::Program(what) => write!(f, "{what}"),
            Self::Row { line, expected } => write!(f, "a row of figures is {line:?}: expected {expected}"),
            Self::Marks => write!(f, "README.md: expected the marks {BEGIN:?} and, after it, {END:?}"),
            Self::Plot(what) => write!(f, "a plot could not be drawn: {what}"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What was asked for.
struct Wishes<'a> {
    words: Vec<&'a str>,
    write: bool,
    runs: usize,
    rounds: usize,
    kept: Option<&'a Path>,
}

impl Wishes<'_> {
    fn wants(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word))
    }

    /// What `make` gives, or what was kept of it under that name.
    fn kept(&self, name: &str, make: impl FnOnce() -> Result<String, Error>) -> Result<String, Error> {
        let Some(folder) = self.kept else { return make() };
        let file = folder.join(format!("{name}-{}", self.rounds));
        if file.exists() {
            return Ok(fs::read_to_string(file)?);
        }
        let text = make()?;
        fs::create_dir_all(folder)?;
        write_whole(&file, &text)?;
        Ok(text)
    }

    /// The command line, less what only says where it is kept.
    fn command(&self) -> String {
        let mut words = vec!["cargo bench -p benches --bench figures -- --write".to_owned()];
        for (option, number, default) in [("--runs", self.runs, RUNS), ("--rounds", self.rounds, ROUNDS)] {
            if number != default {
                words.push(format!("{option} {number}"));
            }
        }
        words.join(" ")
    }
}

fn wishes(arguments: &[String]) -> Result<Option<Wishes<'_>>, Error> {
    let mut wishes = Wishes { words: Vec::new(), write: false, runs: RUNS, rounds: ROUNDS, kept: None };
    let mut asked = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        asked |= argument != "--bench";
        match argument.as_str() {
            "--bench" => {}
            "--write" => wishes.write = true,
            "--runs" => wishes.runs = number(rest.next(), "--runs")?,
            "--rounds" => wishes.rounds = number(rest.next(), "--rounds")?,
            "--kept" => {
                let folder = rest.next().ok_or_else(|| Error::Argument("--kept takes a folder".to_owned()))?;
                wishes.kept = Some(Path::new(folder));
            }
            "--test" => wishes = Wishes { words: vec!["bump/u64"], write: false, runs: 1, rounds: 1, kept: None },
            option if option.starts_with('-') => return Err(Error::Argument(format!("unknown option {option}"))),
            word => wishes.words.push(word),
        }
    }
    Ok(asked.then_some(wishes))
}

fn number(argument: Option<&String>, of: &str) -> Result<usize, Error> {
    let number = argument.and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| Error::Argument(format!("{of} takes a number from 1 up")))
}

fn run(arguments: &[String], programs: Programs<'_>, folder: &Path, out: &mut impl Write) -> Result<(), Error> {
    let Some(wishes) = wishes(arguments)? else {
        // `cargo bench` runs every benchmark; the groups have been measured by the others.
        return Ok(writeln!(out, "{USAGE}")?);
    };
    if wishes.write && !wishes.words.is_empty() {
        return Err(Error::Argument(
            "--write is of all groups: a part would leave figures of two machines side by side".to_owned(),
        ));
    }
    let figures = measured(&wishes, programs)?;
    let section = tables::section(&figures);
    let plots = plots::drawn(&figures)?;
    if !wishes.write {
        return Ok(out.write_all(section.as_bytes())?);
    }
    let readme = folder.join("README.md");
    let text = replaced(&fs::read_to_string(&readme)?, &section)?;
    let plots_folder = folder.join("plots");
    fs::create_dir_all(&plots_folder)?;
    for (name, svg) in plots {
        write_whole(&plots_folder.join(name), &svg)?;
    }
    write_whole(&readme, &text)
}

/// Replaces a file at once.
fn write_whole(path: &Path, text: &str) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A text with the part between the marks replaced.
fn replaced(text: &str, section: &str) -> Result<String, Error> {
    let (before, rest) = text.split_once(BEGIN).ok_or(Error::Marks)?;
    let (_, after) = rest.split_once(END).ok_or(Error::Marks)?;
    Ok(format!("{before}{BEGIN}\n{section}\n{END}{after}"))
}

fn measured(wishes: &Wishes<'_>, programs: Programs<'_>) -> Result<Figures, Error> {
    let listed = output(programs.system, &["--list".to_owned()])?;
    let groups = listed.lines().filter(|line| !line.starts_with(' '));
    let groups: Vec<&str> = groups.filter(|group| wishes.wants(group)).collect();
    let rounds = wishes.rounds.to_string();
    let mut system = Vec::new();
    let mut mimalloc = Vec::new();
    for run in 0..wishes.runs {
        for group in &groups {
            let arguments = ["--rows", "--rounds", &rounds, "--exact", group].map(str::to_owned);
            let rows = |of: &str, program: &str| {
                let name = format!("{run}-{of}-{}", group.replace('/', "-"));
                rows::read(&wishes.kept(&name, || output(program, &arguments))?)
            };
            system.extend(rows("system", programs.system)?);
            if group.starts_with("request/") {
                mimalloc.extend(rows("mimalloc", programs.mimalloc)?);
            }
        }
    }
    let printed = printed(wishes, programs)?;
    if groups.is_empty() && printed.is_empty() {
        return Err(Error::Argument(format!("no group is called like {:?}", wishes.words)));
    }
    Ok(Figures {
        machine: machine(),
        command: wishes.command(),
        runs: wishes.runs,
        rounds: wishes.rounds,
        system: Measured::new(system),
        mimalloc: Measured::new(mimalloc),
        printed,
    })
}

/// What the programs print that are no groups of `ratios`.
fn printed(wishes: &Wishes<'_>, programs: Programs<'_>) -> Result<Vec<Printed>, Error> {
    type Make<'p> = Box<dyn Fn() -> Result<String, Error> + 'p>;
    let programs: [(_, _, Make<'_>); 3] = [
        (
            "names_memory",
            "cargo run --release -p benches --bin names_memory",
            Box::new(|| output(programs.names_memory, &[])),
        ),
        (
            "mapped_memory",
            "cargo run --release -p benches --bin mapped_memory",
            Box::new(|| output(programs.mapped_memory, &[])),
        ),
        (
            "tracking",
            "cargo bench -p benches --bench tracking",
            Box::new(|| tracking::tables(programs.tracking).map_err(Error::Program)),
        ),
    ];
    let wanted = programs.iter().filter(|(program, _, _)| wishes.wants(program));
    wanted.map(|(program, command, make)| Ok(Printed { program, command, text: wishes.kept(program, make)? })).collect()
}

fn output(program: &str, arguments: &[String]) -> Result<String, Error> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Program(format!("{program} {arguments:?}: {}, {told}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| Error::Program(format!("{program}: expected UTF-8")))
}

/// Processor, cores and compiler, as far as they can be had.
fn machine() -> String {
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of = |key: &str| {
        let line = told.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
        Some(line.split_once(':')?.1.trim())
    };
    let mut processor = vec![of("model name").unwrap_or(std::env::consts::ARCH).to_owned()];
    // A virtual machine may tell no more than the maker.
    if let (Some(family), Some(model)) = (of("cpu family"), of("model")) {
        processor.push(format!("(family {family}, model {model})"));
    }
    let has = |flag: &str| of("flags").is_some_and(|flags| flags.split(' ').any(|one| one == flag));
    if let Some((_, widest)) = [("avx512f", "AVX-512"), ("avx2", "AVX2")].into_iter().find(|(flag, _)| has(flag)) {
        processor.push(format!("with {widest}"));
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let compiler = output("rustc", &["--version".to_owned()]).unwrap_or_default();
    format!("{}, {cores} cores, {}", processor.join(" "), compiler.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Programs<'_> =
        Programs { system: "none", mimalloc: "none", names_memory: "none", mapped_memory: "none", tracking: &[] };

    #[test]
    fn what_stands_outside_the_marks_stays() {
        let text = format!("before\n{BEGIN}old\n{END}after\n");
        let new = replaced(&text, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n\n{END}after\n"));
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        for broken in ["", BEGIN, END, &format!("{END}{BEGIN}")] {
            assert!(matches!(replaced(broken, ""), Err(Error::Marks)), "{broken:?}");
        }
    }

    #[test]
    fn the_readme_has_the_marks() {
        let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
        assert!(replaced(&readme, "").is_ok());
    }

    #[test]
    fn wrong_arguments_are_refused_by_name() {
        let told = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
            run(&arguments, NONE, Path::new("."), &mut Vec::new()).unwrap_err().to_string()
        };
        assert_eq!(told(&["--runs", "0"]), "--runs takes a number from 1 up");
        assert_eq!(told(&["--fast"]), "unknown option --fast");
        assert_eq!(told(&["--kept"]), "--kept takes a folder");
        assert!(told(&["--write", "bump"]).starts_with("--write is of all groups"));
    }

    #[test]
    fn cargo_bench_alone_measures_nothing() {
        let mut out = Vec::new();
        run(&["--bench".to_owned()], NONE, Path::new("."), &mut out).unwrap();
        assert!(out.starts_with(b"usage:"));
    }
    #[test]
    fn what_is_kept_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--kept", folder.path().to_str().unwrap(), "--rounds", "7"].map(str::to_owned);
        let wishes = wishes(&arguments).unwrap().unwrap();
        let made = |text: &'static str| wishes.kept("a", || Ok(text.to_owned())).unwrap();
        assert_eq!((made("first"), made("second")), ("first".to_owned(), "first".to_owned()));
        assert_eq!(wishes.command(), "cargo bench -p benches --bench figures -- --write --rounds 7");
    }
}
