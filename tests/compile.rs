//! What must not compile, and what must: lifetimes, threads and destructors, as the compiler sees them.
//!
//! Over the public API. There are cases that pass and run, so the set is built, not only checked: types that need `Drop`
//! are refused when code is generated. Each `.stderr` is compared word for word under the compiler that it was written
//! with; the next one words its errors anew, so under any other a case must be refused with the same error codes.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The compiler that `tests/compile/fail/*.stderr` were written with (`TRYBUILD=overwrite cargo test --all-features --test compile`).
const WRITTEN_WITH: &str = "rustc 1.95.";

const PASS: &str = "tests/compile/pass/*.rs";
const FAIL: &str = "tests/compile/fail";
/// Set in a process of its own that has the errors written out instead of compared.
const OTHER_COMPILER: &str = "BLIXARD_COMPILE_CASES";

#[test]
fn cases() {
    if let Some(folder) = std::env::var_os(OTHER_COMPILER) {
        return run(Path::new(&folder));
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = String::from_utf8(Command::new(rustc).arg("--version").output().unwrap().stdout).unwrap();
    if version.starts_with(WRITTEN_WITH) {
        run(Path::new(FAIL));
    } else {
        compare_codes();
    }
}

fn run(fail: &Path) {
    let cases = trybuild::TestCases::new();
    cases.pass(PASS);
    cases.compile_fail(fail.join("*.rs"));
}

/// Has copies of the cases refused by this compiler, and compares the codes of the errors.
fn compare_codes() {
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
        .env(OTHER_COMPILER, &folder)
        .env("TRYBUILD", "overwrite")
        .output()
        .unwrap();
    assert!(refused.status.success(), "{}", String::from_utf8_lossy(&refused.stderr));
    for case in &cases {
        let written = case.with_extension("stderr");
        let now = folder.join(written.file_name().unwrap());
        assert_eq!(codes(&now), codes(&written), "{}", case.display());
    }
}

/// The codes of all errors in a compiler's output; `error` for those without one.
fn codes(output: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(output).unwrap();
    let codes: BTreeSet<_> = text
        .lines()
        .filter(|line| line.starts_with("error"))
        .filter_map(|line| line.split(':').next())
        .map(str::to_owned)
        .collect();
    assert!(!codes.is_empty(), "{} has errors", output.display());
    codes
}
