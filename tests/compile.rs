//! What must not compile, and what must: lifetimes, threads and destructors, as the compiler sees them.
//!
//! Over the public API. There are cases that pass and run, so the set is built, not only checked: types that need `Drop`
//! are refused when code is generated. Compared are the codes of the errors and the lines of the case that they point at:
//! the words of a message change with the compiler and with private fields. The `.stderr` files are what is expected, for
//! reading, too; `TRYBUILD=overwrite cargo test --all-features --test compile` writes them anew.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const PASS: &str = "tests/compile/pass/*.rs";
const FAIL: &str = "tests/compile/fail";
/// Set to a folder in a process of its own, which has the errors of the cases there written out.
const FOLDER: &str = "BLIXARD_COMPILE_CASES";

#[test]
fn cases() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        run(Path::new(&folder));
    } else if std::env::var_os("TRYBUILD").is_some() {
        run(Path::new(FAIL));
    } else {
        compare();
    }
}

fn run(fail: &Path) {
    let cases = trybuild::TestCases::new();
    cases.pass(PASS);
    cases.compile_fail(fail.join("*.rs"));
}

/// Has copies of the cases refused, and compares the errors.
fn compare() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile-fail");
    _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let cases: Vec<_> = fs::read_dir(FAIL)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    assert!(!cases.is_empty());
    for case in &cases {
        fs::copy(case, folder.join(case.file_name().unwrap())).unwrap();
    }
    let refused = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cases", "--nocapture"])
        .env(FOLDER, &folder)
        .env("TRYBUILD", "overwrite")
        .output()
        .unwrap();
    assert!(refused.status.success(), "{}", String::from_utf8_lossy(&refused.stderr));
    for case in &cases {
        let expected = case.with_extension("stderr");
        let found = folder.join(expected.file_name().unwrap());
        assert_eq!(errors(&found), errors(&expected), "{}\n{}", case.display(), fs::read_to_string(&found).unwrap());
    }
}

/// The errors in a compiler's output by code and line of the case, and how many there are of those that point elsewhere.
fn errors(output: &Path) -> BTreeMap<(String, Option<usize>), usize> {
    let text = fs::read_to_string(output).unwrap();
    let case = format!("{}.rs:", output.file_stem().unwrap().to_str().unwrap());
    let mut errors = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("error") {
            continue;
        }
        let code = line.split(':').next().unwrap().to_owned();
        let place = lines.next().unwrap_or_default();
        let at = place.split_once(&case).and_then(|(_, at)| at.split(':').next()?.parse().ok());
        let count = errors.entry((code, at)).or_default();
        *count = if at.is_some() { 1 } else { *count + 1 };
    }
    assert!(!errors.is_empty(), "{} has errors", output.display());
    errors
}
