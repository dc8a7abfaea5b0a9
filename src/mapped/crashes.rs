//! What is left of a writer that ends half way: at each step it is killed, refused, or raced by another one.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test may panic, its helper functions too")]

use super::replace::Step;
use super::{Table, TableBuilder, TableError, TableProblem};
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set to the folder and the step in a process that is to be killed.
const KILLED: &str = "BLIXARD_MAPPED_KILLED";
const SIGKILL: i32 = 9;

struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("blixard-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn table(&self) -> PathBuf {
        self.0.join("names")
    }

    /// What lies beside the table.
    fn beside(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| *path != self.table()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn builder(kind: &str) -> TableBuilder {
    let mut builder = TableBuilder::new();
    for i in 0..12 {
        builder.add_value(&format!("{kind}-{i}"), kind.as_bytes()).unwrap();
    }
    builder
}

/// Which table lies there, whole.
fn kind_of(path: &Path) -> String {
    let table = Table::open(path).unwrap();
    table.verify().unwrap();
    let kind = table.row(0).unwrap().unwrap().name().trim_end_matches("-0").to_owned();
    assert_eq!(fs::read(path).unwrap(), builder(&kind).to_bytes().unwrap());
    kind
}

/// The steps of writing a table; the test's folder is its own, since tests run side by side.
fn steps(test: &str) -> Vec<Step> {
    let folder = Folder::new(&format!("{test}-steps"));
    let mut steps = Vec::new();
    let told = builder("new").write_in_steps(&folder.table(), |step| {
        steps.push(step);
        Ok(())
    });
    told.unwrap();
    steps
}

#[test]
fn all_is_written_before_it_is_synchronised_and_that_before_it_is_renamed() {
    let steps = steps("order");
    let (first, last) = (steps.first(), &steps[steps.len() - 3..]);
    assert_eq!((first, last), (Some(&Step::Create), &[Step::Sync, Step::Rename, Step::SyncFolder][..]));
    let writes = &steps[1..steps.len() - 3];
    assert!(writes.len() > 5 && writes.iter().all(|step| *step == Step::Write), "{writes:?}");
}

#[test]
fn a_writer_killed_at_any_step_leaves_the_old_table_or_the_new_one() {
    if let Some(killed) = std::env::var_os(KILLED) {
        let killed = killed.into_string().unwrap();
        let (at, path) = killed.split_once(' ').unwrap();
        let mut left: usize = at.parse().unwrap();
        let told = builder("new").write_in_steps(Path::new(path), |_| {
            if left == 0 {
                let own = std::process::id().to_string();
                Command::new("kill").args(["-9", &own]).status().unwrap();
                loop {
                    std::thread::park();
                }
            }
            left -= 1;
            Ok(())
        });
        return told.unwrap();
    }
    let (folder, steps) = (Folder::new("killed"), steps("killed"));
    let path = folder.table();
    for at in 0..=steps.len() {
        builder("old").write(&path).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["mapped::crashes::a_writer_killed_at_any_step_leaves_the_old_table_or_the_new_one", "--exact"])
            .env(KILLED, format!("{at} {}", path.display()))
            .output()
            .unwrap();
        let (step, signal) = (steps.get(at), output.status.signal());
        assert_eq!(signal, step.map(|_| SIGKILL), "{at}: {}", String::from_utf8_lossy(&output.stdout));
        let renamed = step.is_none_or(|step| *step == Step::SyncFolder);
        assert_eq!(kind_of(&path), if renamed { "new" } else { "old" }, "killed before {step:?}, {at}");
        let beside = folder.beside();
        assert_eq!(beside.len(), usize::from(!renamed && at > 0), "{beside:?}");
        for left in beside {
            let name = left.file_name().unwrap().to_str().unwrap();
            let extension = left.extension().unwrap();
            assert!(name.starts_with(".names.") && extension == "tmp", "{name}");
            fs::remove_file(left).unwrap();
        }
    }
}

#[test]
fn a_step_that_fails_is_named_and_leaves_nothing_behind() {
    let (folder, steps) = (Folder::new("refused"), steps("refused"));
    let path = folder.table();
    for (at, step) in steps.into_iter().enumerate() {
        builder("old").write(&path).unwrap();
        let mut left = at;
        let told: Result<(), TableError> = builder("new").write_in_steps(&path, |_| {
            let refused = left == 0;
            left = left.wrapping_sub(1);
            if refused { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        let error = told.unwrap_err();
        let TableProblem::File { doing, source } = error.problem() else { panic!("{error}") };
        assert_eq!((error.path(), source.kind()), (Some(&*path), io::ErrorKind::StorageFull));
        let (verb, kind) = match step {
            Step::Create => ("creating", "old"),
            Step::Write => ("writing", "old"),
            Step::Sync => ("synchronising the file", "old"),
            Step::Rename => ("renaming", "old"),
            Step::SyncFolder => ("synchronising its folder", "new"),
        };
        assert!(doing.starts_with(verb), "{error}");
        assert_eq!(kind_of(&path), kind, "{error}");
        assert!(folder.beside().is_empty(), "{error}");
    }
}

#[test]
fn two_writers_and_a_reader_never_see_a_torn_table() {
    let folder = Folder::new("raced");
    let (path, done) = (folder.table(), AtomicBool::new(false));
    builder("old").write(&path).unwrap();
    std::thread::scope(|scope| {
        let write = |kind| {
            for _ in 0..50 {
                builder(kind).write(&path).unwrap();
            }
        };
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                Table::open(&path).unwrap().verify().unwrap();
                seen += 1;
            }
            seen
        });
        let writers = ["old", "new"].map(|kind| scope.spawn(move || write(kind)));
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    kind_of(&path);
    assert!(folder.beside().is_empty());
}

/// A process with this one's number was killed here before.
#[test]
fn what_a_killed_writer_left_is_in_nobodys_way() {
    let folder = Folder::new("left");
    // Numbers that this process comes to next, whatever other tests take meanwhile.
    for number in 0..200 {
        fs::write(folder.0.join(format!(".names.{}-{number}.tmp", std::process::id())), "left").unwrap();
    }
    builder("new").write(folder.table()).unwrap();
    assert_eq!(kind_of(&folder.table()), "new");
    assert!(folder.beside().len() == 200);
}
