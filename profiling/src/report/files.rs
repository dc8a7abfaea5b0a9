//! Files that take their names in the report's directory together, or not at all.
//!
//! The last step of [`Report::write`](super::Report::write). Invariants: every file is whole on disk before the first takes its name;
//! where one cannot have its name, those before it give theirs back, and what stood there before the call stands there again.
//! Cost: a second name for each file that is replaced, until all of them are.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::ReportError;

/// Moves files into `dir`, in this order, each with its own name. What they replace is kept in `hidden`, a directory of the caller's in
/// `dir`, until `sync` has brought the directory to disk.
pub(super) fn take_names(
    dir: &Path,
    hidden: &Path,
    files: &[PathBuf],
    sync: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), ReportError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Io { path, source }
    };
    for file in files {
        OpenOptions::new().write(true).open(file).and_then(|open| open.sync_all()).map_err(at(file))?;
    }
    let mut taken = Taken::default();
    for (number, file) in files.iter().enumerate() {
        let name = file.file_name().ok_or(io::ErrorKind::InvalidFilename.into()).map_err(at(file))?;
        let target = dir.join(name);
        taken.take(file, &target, hidden.join(format!("earlier-{number}"))).map_err(at(&target))?;
    }
    sync(dir).map_err(at(dir))?;
    taken.0.clear();
    Ok(())
}

/// Names that were taken, each with where the file lies that had it. All go back when this is dropped.
#[derive(Default)]
struct Taken(Vec<(PathBuf, Option<PathBuf>)>);

impl Taken {
    fn take(&mut self, file: &Path, target: &Path, aside: PathBuf) -> io::Result<()> {
        let earlier = match fs::symlink_metadata(target) {
            // It would be moved aside with all that is in it.
            Ok(earlier) if earlier.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(_) => {
                // A second name, so that there is a file of the first at every moment; where the file system has no such thing, a move.
                fs::hard_link(target, &aside).or_else(|_| fs::rename(target, &aside))?;
                Some(aside)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.0.push((target.to_owned(), earlier));
        fs::rename(file, target)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        for (target, earlier) in self.0.drain(..).rev() {
            // If one cannot go back either, the first error is the one to tell.
            drop(match earlier {
                Some(earlier) => fs::rename(earlier, target),
                None => fs::remove_file(target),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// New files of these names in a directory of their own.
    fn written(hidden: &Path, names: &[&str]) -> Vec<PathBuf> {
        names
            .iter()
            .map(|name| {
                fs::write(hidden.join(name), "new").unwrap();
                hidden.join(name)
            })
            .collect()
    }

    fn contents(dir: &Path) -> Vec<(String, String)> {
        let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let mut contents: Vec<_> = files
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
            .collect();
        contents.sort();
        contents
    }

    #[test]
    fn whatever_fails_everything_stands_as_it_stood() {
        // The first replaces, the second is new, the third fails: it is no file, its place is taken, or the directory cannot be synced.
        for failing in ["missing", "taken", "unsynced", "nothing"] {
            let dir = tempfile::tempdir().unwrap();
            let hidden = tempfile::tempdir_in(dir.path()).unwrap();
            fs::write(dir.path().join("a"), "earlier").unwrap();
            let mut files = written(hidden.path(), &["a", "b", "c"]);
            match failing {
                "missing" => files[2] = hidden.path().join("d"),
                "taken" => fs::create_dir(dir.path().join("c")).unwrap(),
                _ => {}
            }
            let before = contents(dir.path());
            let result = take_names(dir.path(), hidden.path(), &files, |_| match failing {
                "unsynced" => Err(io::Error::other("no sync")),
                _ => Ok(()),
            });
            if failing == "nothing" {
                result.unwrap();
                assert_eq!(contents(dir.path()), ["a", "b", "c"].map(|name| (name.to_owned(), "new".to_owned())));
            } else {
                result.unwrap_err();
                assert_eq!(contents(dir.path()), before, "{failing}");
            }
        }
    }
}
