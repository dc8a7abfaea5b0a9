//! Input that means harm: it is refused with its place, its value and what was expected, or served in bounded time. It never hangs.
//!
//! Names that collide under a known hash, lengths beyond all measure, deep nesting, control characters; in the trace's files, in requests'
//! bytes, and in the program's options. Each test has a deadline: what runs longer fails.
#![expect(clippy::unwrap_used, reason = "what a test cannot go on without may panic")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::hash::BuildHasher;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use blixard_arena::collections::FixedState;
use control_plane::raft::{Lifetime, ProposalId, ProposalLimits};
use control_plane::scheduler::{NODES_MAX, Qos, Resources, VmSpec};
use profiling::input::{self, csv};
use profiling::request;
use profiling::strategy::Name;
use profiling::worker::Job;

/// Far beyond what any of these takes in a debug build on a busy machine, and far below what a hang would.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs what must end, and says how long it took.
#[track_caller]
fn in_time<R: Send + 'static>(what: &str, run: impl FnOnce() -> R + Send + 'static) -> (R, Duration) {
    let (done, is_done) = mpsc::channel();
    let begun = Instant::now();
    std::thread::spawn(move || done.send(run()));
    match is_done.recv_timeout(DEADLINE) {
        Ok(result) => (result, begun.elapsed()),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: no end after {DEADLINE:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what}: a panic"),
    }
}

const TITLES: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,creation_time,deletion_time\n";

/// What the reader says of a file of tasks.
fn said_of_tasks(bytes: Vec<u8>) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pods.csv");
    fs::write(&file, bytes).unwrap();
    let (said, _) = in_time("a file of tasks", move || csv::tasks(&file).unwrap_err().to_string());
    said
}

#[test]
fn files_with_control_characters_are_refused_by_line_column_and_value() {
    for (name, found) in [
        ("a\u{1b}[2J", r#"found "a\u{1b}[2J""#),
        ("a\0b", r#"found "a\0b""#),
        ("\"a\nb\"", r#"found "a\nb""#),
        ("a\tb", r#"found "a\tb""#),
        ("a\u{85}b", r#"found "a\u{85}b""#),
        ("\u{7f}", r#"found "\u{7f}""#),
    ] {
        let said = said_of_tasks(format!("{TITLES}ok,1,1,0,0,,LS,0,1\n{name},1,1,0,0,,LS,0,1\n").into_bytes());
        assert!(said.contains("line 3, column 1 (name): expected text without control characters"), "{said}");
        assert!(said.ends_with(found) && !said.contains(|c: char| c.is_control()), "{said}");
    }
    // In the other texts, too, and in the titles nothing of the kind is a column's name.
    let said = said_of_tasks(format!("{TITLES}a,1,1,1,1,T4\u{7},LS,0,1\n").into_bytes());
    assert!(said.contains("line 2, column 6 (gpu_spec)") && said.ends_with(r#"found "T4\u{7}""#), "{said}");
    let said = said_of_tasks(TITLES.replace("qos", "qos\u{8}").into_bytes());
    assert!(said.contains("line 1") && said.contains("(qos)"), "{said}");
}

#[test]
fn files_without_end_are_refused_by_their_line() {
    // A quote that is never closed, a line that never ends, columns without number, a value of megabytes.
    let long = "x".repeat(3 << 20);
    let lines = "y\n".repeat(1 << 20);
    for (bytes, expected) in [
        (format!("{TITLES}{long}"), "the record that begins in line 2 has"),
        (format!("{TITLES}ok,1,1,0,0,,LS,0,1\n\"{long}"), "the record that begins in line 3 has"),
        (long.clone(), "the record that begins in line 1 has"),
        (",".repeat(1 << 20), "the record that begins in line 1 has"),
        // Each line is short, the field has them all.
        (format!("{TITLES}\"{lines}\",1,1,0,0,,LS,0,1\n"), "the record that begins in line 2 has"),
        (format!("{TITLES}ok,1,1,0,0,,LS,0,1\n\"{lines}"), "the record that begins in line 3 has"),
        (
            format!("{TITLES}{},1,1,0,0,,LS,0,1\n", "n".repeat(256)),
            "line 2, column 1 (name): expected at most 253 bytes instead of 256, found \"nnn",
        ),
        (
            format!("{TITLES}a,1,1,1,1,{},LS,0,1\n", "T".repeat(256)),
            "line 2, column 6 (gpu_spec): expected at most 255 bytes instead of 256, found \"TTT",
        ),
        (format!("{TITLES}a,{},1,0,0,,LS,0,1\n", "9".repeat(5_000)), "line 2, column 2 (cpu_milli): expected a whole"),
        (format!("{TITLES}a,1,1,0,0,,LS,0,1{}\n", ",".repeat(5_000)), "line 2, column 10: expected 9 columns"),
    ] {
        let said = said_of_tasks(bytes.into_bytes());
        assert!(said.contains(expected) && said.len() < 500, "{expected}: {}", &said[..said.len().min(600)]);
    }
    if fs::exists("/dev/zero").unwrap() {
        let (said, _) = in_time("a device", || csv::tasks("/dev/zero".as_ref()).unwrap_err().to_string());
        assert!(said.contains("the record that begins in line 1 has"), "{said}");
    }
}

/// A name that the reader lets through is one that can be proposed, and with it everything that is made of it.
#[test]
fn names_are_as_long_as_a_proposal_takes_them_and_no_longer() {
    let longest = ProposalLimits::default().name_bytes_max;
    let dir = tempfile::tempdir().unwrap();
    let (file, machines, out) = (dir.path().join("pods.csv"), dir.path().join("nodes.csv"), dir.path().join("out"));
    let row = |bytes| format!("{TITLES}ok,1,1,0,0,,LS,0,1\n{},1,1,0,0,,LS,0,1\n", "n".repeat(bytes));
    fs::write(&file, row(longest)).unwrap();
    let tasks = csv::tasks(&file).unwrap();
    assert_eq!(tasks[1].name.len(), longest);
    assert_eq!(served(input::requests(&tasks, 16, 1)).0, Ok(()));
    for bytes in [longest + 1, longest + 2] {
        fs::write(&file, row(bytes)).unwrap();
        let arguments = ["--pods", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
        let output = common::program(&arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let place = "pods.csv, line 3, column 1 (name): ";
        let found = format!("expected at most {longest} bytes instead of {bytes}, found \"nnn");
        assert!(said.contains(place) && said.contains(&found), "{said}");
        assert_eq!((output.status.code(), out.exists()), (Some(2), false), "{said}");
        // Of a machine it stands in decisions.
        fs::write(&machines, format!("sn,cpu_milli,memory_mib,gpu,model\n{},1,1,0,\n", "n".repeat(bytes))).unwrap();
        let said = csv::nodes(&machines).unwrap_err().to_string();
        assert!(said.contains("nodes.csv, line 2, column 1 (sn): ") && said.contains(&found), "{said}");
    }
}

#[test]
fn a_quote_that_never_ends_takes_no_memory_for_the_file_behind_it() {
    // Short lines, far more of them than are read: the reader has to stop early, not to hold them all and complain at the end.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pods.csv");
    fs::write(&file, format!("{TITLES}ok,1,1,0,0,,LS,0,1\n\"{}", "y\n".repeat(16 << 20))).unwrap();
    let (said, _) = in_time("a quote", move || csv::tasks(&file).unwrap_err().to_string());
    let bytes = said.split("the record that begins in line 3 has ").nth(1).and_then(|rest| rest.split(' ').next());
    let bytes: usize = bytes.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
    assert!(bytes < 100_000, "{said}");
}

#[test]
fn files_of_many_quotes_and_models_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pods.csv");
    // Quotes within quotes as deep as they go, and a specification of nothing but bars.
    let row = format!("\"{}\",1,1,1,1,{},LS,0,1\n", "\"\"".repeat(253), "|".repeat(255));
    fs::write(&file, format!("{TITLES}{row}")).unwrap();
    let (tasks, _) = in_time("quotes", move || csv::tasks(&file).unwrap());
    assert_eq!((tasks[0].name.len(), tasks[0].gpu_spec.len()), (253, 255));
    assert_eq!(tasks[0].name, "\"".repeat(253));
    // A cluster of more models than there may be is refused at the first one too many.
    let mut nodes = "sn,cpu_milli,memory_mib,gpu,model\n".to_owned();
    (0..100_000).for_each(|at| writeln!(nodes, "n{at},1,1,1,model-{at}").unwrap());
    let file = dir.path().join("nodes.csv");
    fs::write(&file, nodes).unwrap();
    let (said, _) = in_time("models", move || csv::nodes(&file).unwrap_err().to_string());
    assert!(said.contains("(model): expected one of the") && said.contains("found \"model-"), "{said}");
}

#[test]
fn a_cluster_of_more_machines_than_there_may_be_is_refused_at_the_first_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nodes.csv");
    let mut nodes = "sn,cpu_milli,memory_mib,gpu,model\n".to_owned();
    (0..NODES_MAX + 3).for_each(|at| writeln!(nodes, "n{at},1,1,1,").unwrap());
    fs::write(&file, nodes).unwrap();
    let (said, _) = in_time("machines", move || csv::nodes(&file).unwrap_err().to_string());
    let (line, name) = (NODES_MAX + 2, format!("\"n{NODES_MAX}\""));
    assert!(said.contains(&format!("line {line}, column 1 (sn): expected no machine after {NODES_MAX}")), "{said}");
    assert!(said.ends_with(&name), "{said}");
}

/// Serves requests' bytes with each strategy; the error that all of them agree on, if there is one.
fn served(pass: Vec<Vec<u8>>) -> (Result<(), String>, Duration) {
    in_time("requests", move || {
        let job = Job { requests: pass.len(), pass, ..common::small_job(1) };
        let mut outcomes = Name::ALL.map(|strategy| {
            let outcome = Job { strategy, ..job.clone() }.run(&());
            outcome.map(|outcome| outcome.checksum).map_err(|error| error.to_string())
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        std::mem::replace(&mut outcomes[0], Ok(String::new())).map(drop)
    })
}

fn spec(name: &str) -> VmSpec<'_> {
    VmSpec {
        name,
        config_path: "/etc/vm.toml",
        tenant: "acme",
        resources: Resources { cpu_milli: 1, memory_mib: 1, ..Resources::default() },
        qos: Qos::BestEffort,
        ..VmSpec::default()
    }
}

fn lifetime() -> Lifetime {
    Lifetime { from_seconds: 1, until_seconds: Some(2) }
}

/// A request of one VM.
fn one(name: &str, pairs: &[(&str, String)]) -> Vec<u8> {
    request::write(&[(ProposalId([7; 16]), lifetime(), spec(name), pairs)])
}

#[test]
fn requests_that_promise_too_much_are_refused_by_line_field_and_value() {
    let good = String::from_utf8(one("vm-1", &[])).unwrap();
    assert_eq!(served(vec![good.clone().into_bytes()]).0, Ok(()));
    let huge = usize::MAX.to_string();
    for (bytes, expected) in [
        (
            good.replacen("batch\t1", &format!("batch\t{huge}"), 1),
            format!("line 1, field 2: expected the number of VMs, found \"{huge}\""),
        ),
        (
            good.replacen("\t0\n", &format!("\t{huge}\n"), 1),
            format!("line 1, field 3: expected the number of metadata pairs, found \"{huge}\""),
        ),
        (
            good.replacen("batch\t1", "batch\t9", 1),
            "line 1, field 2: expected the number of VMs, found \"9\"".to_owned(),
        ),
        // The line is as long as nine.
        (
            good.replacen("batch\t1", "batch\t9", 1).replace("vm-1", &"n".repeat(500)),
            "line 3, field 1: expected a VM, found \"\"".to_owned(),
        ),
        (
            good.replacen("batch\t1", &format!("batch\t{}", "1".repeat(1 << 20)), 1),
            "line 1, field 2: expected the number of VMs, found \"111".to_owned(),
        ),
        (
            good.replace("vm-1\t", &format!("vm-1\t{}", "\t".repeat(100_000))),
            "line 2, field 5: expected thousandths of a core, found \"\"".to_owned(),
        ),
        (good.replace("07070", "0707x"), "line 2, field 1: expected 32 hex digits, found \"0707x".to_owned()),
        ("no\nbatch".to_owned(), "line 1, field 1: expected `batch`, found \"no\"".to_owned()),
    ] {
        let (outcome, _) = served(vec![bytes.into_bytes()]);
        let said = outcome.unwrap_err();
        assert!(said.contains(&expected) && said.len() < 600, "{expected}: {}", &said[..said.len().min(700)]);
    }
    // Within what as many bytes could be if each were a VM or a pair, and far beyond what they can be.
    for (promise, expected) in [
        ("batch\t7900000\t0\n", "line 1, field 2: expected the number of VMs, found \"7900000\""),
        ("batch\t0\t7900000\n", "line 1, field 3: expected the number of metadata pairs, found \"7900000\""),
        // Each by itself would have room.
        ("batch\t150000\t4000000\n", "line 1, field 3: expected the number of metadata pairs, found \"4000000\""),
    ] {
        let mut bytes = promise.as_bytes().to_vec();
        bytes.resize(8 << 20, b'x');
        let said = served(vec![bytes]).0.unwrap_err();
        assert!(said.contains(expected) && said.len() < 600, "{expected}: {said}");
    }
    let (outcome, _) = served(vec![b"batch\xff\t1\t0\n".to_vec()]);
    assert!(outcome.unwrap_err().contains("line 1, field 1: expected UTF-8, found \"batch"));
}

#[test]
fn what_no_proposal_may_hold_is_refused_by_the_vm_that_has_it() {
    let long = "n".repeat(10 << 20);
    let many: Vec<_> = (0..200_000).map(|at| (&*format!("key-{at}").leak(), String::new())).collect();
    let same: Vec<_> = (0..5_000).map(|_| ("key", "value".to_owned())).collect();
    let wide = [("key", "v".repeat(10 << 20))];
    for (bytes, expected) in [
        (one(&long, &[]), "name"),
        (one("", &[]), "name"),
        (one("vm-1", &many), "metadata"),
        (one("vm-1", &wide), "metadata"),
        (one("vm\u{1b}[2J", &[]), "name"),
    ] {
        let (outcome, took) = served(vec![bytes]);
        let said = outcome.unwrap_err();
        assert!(
            said.starts_with("request, line 2, field 2: expected a VM within the limits of a proposal, found "),
            "{said}"
        );
        assert!(said.contains(expected) && said.len() < 600, "{took:?} {said}");
    }
    // One key five thousand times is one pair.
    let (outcome, _) = served(vec![one("vm-1", &same)]);
    assert_eq!(outcome, Ok(()));
}

/// Texts whose hashes under the known seed have these many low bits in common, and texts of the same length that were not chosen.
fn colliding(count: usize, bits: u32) -> (Vec<String>, Vec<String>) {
    let mask = (1_u64 << bits) - 1;
    let texts = || (0..).map(|at| format!("vm-{at:012}"));
    let chosen: Vec<_> = texts().filter(|text| FixedState.hash_one(text) & mask == 0).take(count).collect();
    assert!(chosen.iter().all(|text| FixedState.hash_one(text) & mask == FixedState.hash_one(&chosen[0]) & mask));
    (chosen, texts().take(count).collect())
}

#[test]
fn names_chosen_to_collide_take_no_longer_than_others() {
    let (chosen, usual) = colliding(2_000, 8);
    // As names of VMs, and as keys of their metadata, which are interned and looked up.
    let pass = |texts: &[String]| -> Vec<Vec<u8>> {
        let batches = texts.chunks(50);
        batches
            .map(|names| {
                let vms: Vec<_> = names
                    .iter()
                    .enumerate()
                    .map(|(at, name)| {
                        let keys = texts.iter().cycle().skip(at * 37).take(8);
                        let pairs: Vec<(&str, String)> = keys.map(|key| (&**key, name.clone())).collect();
                        (ProposalId([u8::try_from(at).unwrap(); 16]), lifetime(), spec(name), pairs)
                    })
                    .collect();
                request::write(&vms)
            })
            .collect()
    };
    // The best of three, since others work on this machine too.
    let best = |texts: &[String]| (0..3).map(|_| served(pass(texts))).min_by_key(|(_, took)| *took).unwrap();
    let ((outcome, chosen_took), (usual_outcome, usual_took)) = (best(&chosen), best(&usual));
    assert_eq!((outcome, usual_outcome), (Ok(()), Ok(())));
    assert!(chosen_took < 4 * usual_took + Duration::from_secs(1), "chosen {chosen_took:?}, usual {usual_took:?}");
}

#[test]
fn generated_input_is_within_every_limit_whatever_the_seed() {
    for seed in [0, 1, u64::MAX, 0x5eed] {
        let tasks = input::generate::tasks(500, seed);
        assert!(tasks.iter().all(|task| !task.name.contains(|c: char| c.is_control())));
        // Batches of one and of all.
        for batch in [1, 500, 65_536] {
            assert_eq!(served(input::requests(&tasks[..if batch == 1 { 40 } else { 500 }], batch, seed)).0, Ok(()));
        }
    }
}

#[test]
fn hostile_files_end_the_program_with_2_and_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("pods.csv"), dir.path().join("out"));
    fs::write(&file, format!("{TITLES}a\u{1b}]0;title\u{7},1,1,0,0,,LS,0,1\n")).unwrap();
    let arguments = ["--pods", file.to_str().unwrap(), "--out", out.to_str().unwrap()].map(str::to_owned);
    let (output, _) =
        in_time("the program", move || common::program(&arguments.each_ref().map(String::as_str)).output());
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    // What a terminal would obey does not come through.
    assert!(said.contains(r#"found "a\u{1b}]0;title\u{7}""#) && !out.exists(), "{said}");
}
