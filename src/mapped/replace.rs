//! Replaces a file at once and for good: written beside it, synchronised, renamed, the folder synchronised.
//!
//! Stands under the builder. With std alone: `tempfile` would bring random numbers, a mode that keeps other users from
//! reading, and no synchronisation.
//!
//! Invariants: up to the renaming, `path` is what it was; at an error before it, the file beside it is deleted. Cost: the file's
//! name in memory, some heap calls of std's.
#![forbid(unsafe_code)]

use super::error::TableProblem;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are given to the operating system at once, at most.
const WRITE_BYTES: usize = if cfg!(test) { 64 } else { 1 << 20 };
/// Names that are tried for the file beside: one is taken where a process with our identifier was killed.
const NAMES: u64 = 1000;

/// What the name of the file beside has of the file's own: at most 200 of the 255 bytes that file systems allow.
const NAME_CHARS: usize = 50;

/// What is done, in this order; `Write` once or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Write,
    Sync,
    Rename,
    SyncFolder,
}

impl Step {
    const fn doing(self) -> &'static str {
        match self {
            Self::Create => "creating the file beside it",
            Self::Write => "writing the file beside it",
            Self::Sync => "synchronising the file beside it",
            Self::Rename => "renaming the file beside it",
            Self::SyncFolder => "synchronising its folder",
        }
    }
}

/// Puts `parts`, joined, in the place of `path`. `before` is asked at each step, and may refuse it as the operating system may.
pub(super) fn replace(
    path: &Path,
    parts: &[&[u8]],
    mut before: impl FnMut(Step) -> io::Result<()>,
) -> Result<(), TableProblem> {
    let mut step = Step::Create;
    let mut take = |next: Step, step: &mut Step| {
        *step = next;
        before(next)
    };
    let mut all = || -> io::Result<()> {
        take(Step::Create, &mut step)?;
        let (mut file, beside) = create_beside(path)?;
        let chunks = parts.iter().flat_map(|part| part.chunks(WRITE_BYTES));
        for chunk in chunks {
            take(Step::Write, &mut step)?;
            file.write_all(chunk)?;
        }
        take(Step::Sync, &mut step)?;
        file.sync_all()?;
        take(Step::Rename, &mut step)?;
        beside.rename(path)?;
        take(Step::SyncFolder, &mut step)?;
        sync_folder(folder_of(path))
    };
    all().map_err(|source| TableProblem::File { doing: step.doing(), source })
}

/// The file beside, deleted unless it was renamed.
struct Beside(PathBuf);

impl Beside {
    fn rename(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)?;
        self.0 = PathBuf::new();
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // The error that led here is the one to report.
            _ = fs::remove_file(&self.0);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create_beside(path: &Path) -> io::Result<(File, Beside)> {
    // A counter and nothing else: two threads that write one table get files of their own.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "the path ends in no name"))?;
    // Its beginning is enough to be recognised by, and leaves room for what comes behind.
    let name: String = name.to_string_lossy().chars().take(NAME_CHARS).collect();
    let mut result = Err(ErrorKind::AlreadyExists.into());
    for _ in 0..NAMES {
        let mut beside = OsString::from(".");
        beside.push(&name);
        beside.push(format!(".{}-{}.tmp", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        let beside = folder_of(path).join(beside);
        result = OpenOptions::new().write(true).create_new(true).open(&beside).map(|file| (file, Beside(beside)));
        if !result.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
            break;
        }
    }
    result
}

/// What was renamed in a folder is durable once the folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
