//! What several tests start from.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use profiling::input;
use profiling::placement::Placing;
use profiling::strategy::Name;
use profiling::worker::Job;

/// A small job over generated input.
#[allow(dead_code, reason = "each test binary uses a part of this module")]
pub(crate) fn small_job(requests: usize) -> Job {
    let tasks = input::generate::tasks(200, 7);
    Job {
        strategy: Name::Heap,
        requests,
        batch: 16,
        threads: 1,
        placement: Placing::MostAvailable,
        warm_up: false,
        claim: None,
        dhat_file: None,
        sites_file: None,
        nodes: input::generate::nodes(4, 7),
        pass: input::requests(&tasks, 16, 7),
    }
}

/// The program, told not to ask cargo for the workers: cargo built them for this test.
#[allow(dead_code, reason = "each test binary uses a part of this module")]
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profiling"));
    command.args(arguments).env_remove("CARGO");
    command
}

/// The program's standard output, after success.
#[allow(dead_code, reason = "each test binary uses a part of this module")]
pub(crate) fn text(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout.clone()).expect("the program writes UTF-8")
}

/// The directory of the real trace, where it is present.
#[allow(dead_code, reason = "each test binary uses a part of this module")]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn real_trace() -> Option<(PathBuf, PathBuf)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let files = (data.join("openb_pod_list_default.csv"), data.join("openb_node_list_all_node.csv"));
    if files.0.is_file() && files.1.is_file() {
        return Some(files);
    }
    println!("skipped: the real trace is not at {}", data.display());
    None
}
