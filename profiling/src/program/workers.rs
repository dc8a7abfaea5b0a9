//! The worker binaries: where they are, and how they come to be there.
//!
//! A global allocator is a matter of a whole binary, and `cargo run` builds one. So this program, once it runs, asks cargo
//! for the others, with the profile and target directory that it was built with itself. Cargo decides what is up
//! to date; in the usual case that takes a fraction of a second.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ProgramError;
use super::processes::{ProcessError, Processes};
use crate::strategy::Name;

/// The binaries beside the program itself, which is the worker with the system's allocator.
const BINARIES: [&str; 4] = ["replay-mimalloc", "replay-counting", "replay-dhat", "replay-sites"];

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be timed.
    Time,
    /// To count allocator calls.
    Count,
    /// To write a DHAT file.
    Dhat,
    /// To run with the tracking allocator.
    Track(Tracked),
}

/// What the tracking allocator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tracked {
    /// It counts.
    Counting,
    /// Sites of a sample.
    Sampled,
    /// Every call's site.
    Complete,
}

impl Tracked {
    pub(super) const ALL: [Self; 3] = [Self::Counting, Self::Sampled, Self::Complete];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::Sampled => "sampled",
            Self::Complete => "complete",
        }
    }

    /// What the environment says to the worker.
    const fn variable(self) -> &'static str {
        match self {
            Self::Counting => "0",
            Self::Sampled => "sample",
            Self::Complete => "1",
        }
    }
}

/// The worker binaries, known to exist.
#[derive(Debug)]
pub(super) struct Workers {
    program: PathBuf,
    directory: PathBuf,
}

impl Workers {
    /// Finds the binaries, after cargo has seen to them.
    pub(super) fn ready(processes: &Processes) -> Result<Self, ProgramError> {
        let program = std::env::current_exe().map_err(|error| ProgramError::Failed(format!("where am I? {error}")))?;
        let directory = program.parent().unwrap_or(Path::new(".")).to_owned();
        let workers = Self { program, directory };
        let by_hand = workers.build_command("cargo".into());
        // Set where cargo started this program; elsewhere the binaries are taken as they are.
        if let Some(cargo) = std::env::var_os("CARGO") {
            let loud = std::io::stderr().is_terminal();
            let mut build = workers.build_command(cargo);
            if !loud {
                build.arg("--quiet");
            }
            match processes.answer(&mut build, loud, |_| Ok(())) {
                Ok(_) => {}
                Err(ProcessError::Interrupted) => return Err(ProgramError::Interrupted),
                Err(ProcessError::Io(error)) => return Err(missing("cargo did not start", &error, &by_hand)),
                Err(ProcessError::Failed { stderr, .. }) => {
                    return Err(missing("cargo could not build the workers", &stderr.trim_end(), &by_hand));
                }
            }
        }
        for name in BINARIES {
            let path = workers.sibling(name);
            if !path.is_file() {
                return Err(missing("a worker is missing", &path.display(), &by_hand));
            }
        }
        Ok(workers)
    }

    /// The command that starts a worker.
    pub(super) fn command(&self, strategy: Name, purpose: Purpose) -> Command {
        match (purpose, strategy) {
            (Purpose::Count, _) => Command::new(self.sibling("replay-counting")),
            (Purpose::Dhat, _) => Command::new(self.sibling("replay-dhat")),
            (Purpose::Track(kind), _) => {
                let mut command = Command::new(self.sibling("replay-sites"));
                command.env("BLIXARD_TRACK_ALLOCATION_SITES", kind.variable()).env_remove("BLIXARD_PRINT_ALLOCATIONS");
                command
            }
            (Purpose::Time, Name::HeapMimalloc) => Command::new(self.sibling("replay-mimalloc")),
            (Purpose::Time, _) => {
                let mut command = Command::new(&self.program);
                command.arg(super::WORKER);
                command
            }
        }
    }

    fn sibling(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    fn build_command(&self, cargo: OsString) -> Command {
        let mut command = Command::new(cargo);
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        command.arg("build").arg("--manifest-path").arg(manifest);
        for name in BINARIES {
            command.args(["--bin", name]);
        }
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let profile = match name(&self.directory).as_str() {
            "debug" => "dev".to_owned(),
            other => other.to_owned(),
        };
        command.args(["--profile", &profile]);
        if let Some(parent) = self.directory.parent() {
            // A target directory carries cargo's tag; with `--target` there is the triple's directory in between.
            if !parent.join("CACHEDIR.TAG").is_file()
                && let Some(above) = parent.parent().filter(|above| above.join("CACHEDIR.TAG").is_file())
            {
                command.args(["--target", &name(parent)]).arg("--target-dir").arg(above);
            } else {
                command.arg("--target-dir").arg(parent);
            }
        }
        command
    }
}

/// Why there are no workers, and how they come to be there.
fn missing(what: &str, detail: &dyn std::fmt::Display, by_hand: &Command) -> ProgramError {
    let words: Vec<_> =
        std::iter::once(by_hand.get_program()).chain(by_hand.get_args()).map(|word| word.to_string_lossy()).collect();
    ProgramError::Failed(format!("{what}: {detail}\nthe workers are built by: {}", words.join(" ")))
}
