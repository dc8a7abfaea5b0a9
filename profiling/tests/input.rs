//! The generator is deterministic and follows its marginals; the reader accepts what is good and says what is not.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;

use control_plane::scheduler::{NodeTable, Qos};
use profiling::input::{METADATA_PAIRS_GIVEN_MAX, TENANTS, csv, generate, requests};
use profiling::request::{Request, VmRequest};

type Parsed<'b> = (Vec<VmRequest<'b>>, Vec<(&'b str, &'b str)>);

fn parse(bytes: &[u8]) -> Parsed<'_> {
    let request = Request::open(bytes).unwrap();
    let (mut vms, mut pairs) = (Vec::new(), Vec::new());
    request.parse(&mut vms, &mut pairs).unwrap();
    (vms, pairs)
}

#[test]
fn the_same_seed_gives_the_same_input_and_another_seed_another() {
    let all = |seed| {
        let tasks = generate::tasks(500, seed);
        let bytes = requests(&tasks, 16, seed);
        (tasks, generate::nodes(100, seed), bytes)
    };
    assert_eq!(all(1), all(1));
    let ((tasks, nodes, bytes), (other_tasks, other_nodes, other_bytes)) = (all(1), all(2));
    assert_ne!(tasks, other_tasks);
    assert_ne!(nodes, other_nodes);
    assert_ne!(bytes, other_bytes);
    // What the trace lacks comes from the seed too.
    assert_ne!(requests(&tasks, 16, 1), requests(&tasks, 16, 2));
}

/// A share of a sample, in thousandths.
fn share(count: usize, of: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap()) * 1_000.0 / f64::from(u32::try_from(of).unwrap())
}

#[test]
fn generated_tasks_follow_the_marginals() {
    const COUNT: usize = 40_000;
    let tasks = generate::tasks(COUNT, 3);
    for (gpus, expected) in generate::GPU_COUNTS {
        let found = share(tasks.iter().filter(|task| task.resources.gpus.count == gpus).count(), COUNT);
        assert!((found - expected).abs() < 6.0, "{gpus} GPUs: {found} in a thousand, expected {expected}");
    }
    for (qos, expected) in generate::CLASSES {
        let found = share(tasks.iter().filter(|task| task.qos == qos).count(), COUNT);
        assert!((found - expected).abs() < 10.0, "{qos:?}: {found} in a thousand, expected {expected}");
    }
    let mut lifetimes: Vec<u64> =
        tasks.iter().map(|task| task.deletion_seconds.unwrap() - task.creation_seconds).collect();
    lifetimes.sort_unstable();
    let median = lifetimes[COUNT / 2];
    assert!((480..=600).contains(&median), "half of the tasks live for {median} s, expected about 540");
    assert!(lifetimes[COUNT * 9 / 10] < 9_000 && lifetimes[COUNT - 1] > 1_000_000, "few live long, but some do");
    assert!(tasks.is_sorted_by_key(|task| task.creation_seconds));
    let gpu_tasks = tasks.iter().filter(|task| task.resources.gpus.count > 0).count();
    let restricted = share(tasks.iter().filter(|task| !task.gpu_spec.is_empty()).count(), gpu_tasks);
    assert!((restricted - 100.0).abs() < 10.0, "{restricted} in a thousand GPU tasks name models");
}

#[test]
fn generated_nodes_make_a_table_and_are_of_many_kinds() {
    let nodes = generate::nodes(generate::NODES, 3);
    assert_eq!(NodeTable::new(&nodes).unwrap().len(), generate::NODES);
    let kinds: BTreeMap<_, usize> = nodes.iter().fold(BTreeMap::new(), |mut kinds, node| {
        *kinds.entry((node.gpus, node.model.as_str())).or_default() += 1;
        kinds
    });
    assert!(kinds.len() >= 8, "{kinds:?}");
    let most = share(kinds[&(8, "G2")], generate::NODES);
    assert!((most - 360.0).abs() < 60.0, "{most} in a thousand have eight G2");
}

#[test]
fn requests_carry_every_field_and_what_the_trace_lacks() {
    const COUNT: usize = 8_000;
    let tasks = generate::tasks(COUNT, 5);
    let bytes = requests(&tasks, 16, 5);
    assert_eq!(bytes.len(), COUNT / 16);
    let mut tenants: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_pairs = [0_usize; METADATA_PAIRS_GIVEN_MAX + 1];
    let mut ids = std::collections::BTreeSet::new();
    for (bytes, tasks) in bytes.iter().zip(tasks.chunks(16)) {
        let (vms, pairs) = parse(bytes);
        assert_eq!(vms.len(), tasks.len());
        for (vm, task) in vms.iter().zip(tasks) {
            assert_eq!(vm.spec.name, task.name);
            assert_eq!(vm.spec.resources, task.resources);
            assert_eq!(vm.spec.gpu_spec, task.gpu_spec);
            assert_eq!(vm.spec.qos, task.qos);
            assert_eq!(vm.lifetime.from_seconds, task.creation_seconds);
            assert_eq!(vm.lifetime.until_seconds, task.deletion_seconds);
            assert!(vm.spec.config_path.ends_with(&format!("/{}/{}.toml", vm.spec.tenant, task.name)));
            let mut keys: Vec<_> = pairs[vm.pairs.clone()].iter().map(|(key, _)| key).collect();
            by_pairs[keys.len()] += 1;
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), vm.pairs.len(), "keys of one VM differ");
            *tenants.entry(vm.spec.tenant.to_owned()).or_default() += 1;
            ids.insert(vm.id);
        }
    }
    assert_eq!(ids.len(), COUNT);
    for (pairs, &count) in by_pairs.iter().enumerate() {
        assert!((share(count, COUNT) - 1_000.0 / 13.0).abs() < 15.0, "{count} VMs have {pairs} pairs");
    }
    // Zipf with exponent 1 over 200: the first has 1 / 5.878 of all, the tenth a tenth of that.
    let mut counts: Vec<usize> = tenants.values().copied().collect();
    counts.sort_unstable_by_key(|&count| std::cmp::Reverse(count));
    assert!(counts.len() > TENANTS * 9 / 10 && counts.len() <= TENANTS, "{} tenants", counts.len());
    assert!((share(counts[0], COUNT) - 170.1).abs() < 15.0, "the first tenant has {}", counts[0]);
    assert!((share(counts[9], COUNT) - 17.0).abs() < 5.0, "the tenth tenant has {}", counts[9]);
}

const PODS: &str =
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
a,12000,16384,1,460,,LS,Running,0,100,0
";
const NODES: &str = "sn,cpu_milli,memory_mib,gpu,model\nn1,32000,262144,2,T4\n";

#[test]
fn files_of_the_same_shape_are_read_whatever_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pods.csv");
    fs::write(
        &file,
        "\u{feff}qos,new,name,deletion_time,creation_time,gpu_spec,gpu_milli,num_gpu,memory_mib,cpu_milli\r\n\
         Burstable,x,\"one, two\",,5,T4|A10,1000,2,64,1\r\n",
    )
    .unwrap();
    let tasks = csv::tasks(&file).unwrap();
    let [task] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!((task.name.as_str(), task.gpu_spec.as_str(), task.qos), ("one, two", "T4|A10", Qos::Burstable));
    assert_eq!((task.resources.cpu_milli, task.resources.memory_mib), (1, 64));
    assert_eq!((task.resources.gpus.count, task.resources.gpus.milli), (2, 1_000));
    assert_eq!((task.creation_seconds, task.deletion_seconds), (5, None));
}

#[test]
fn bad_files_are_refused_with_line_column_and_what_was_expected() {
    let pod = |line: &str| format!("{PODS}{line}\n");
    let many_models: String = (0..64).map(|at| format!("m{at},1,1,1,M{at}")).collect::<Vec<_>>().join("\n");
    // A task or a machine file, what is in it, and what the message must hold.
    let cases: Vec<(&str, String, &[&str])> = vec![
        ("pods", String::new(), &["line 1", "column 1 (name)", "expected a column of this name"]),
        (
            "pods",
            PODS.replace("cpu_milli", "cpu"),
            &["line 1", "(cpu_milli)", "expected a column of this name", "name,cpu,"],
        ),
        ("pods", PODS.replace("gpu_spec", "qos"), &["line 1", "column 12 (gpu_spec)", "expected a column"]),
        (
            "pods",
            PODS.replace("pod_phase", "qos"),
            &["line 1", "column 8 (qos)", "expected one column", "another at 7"],
        ),
        ("pods", PODS.lines().next().unwrap().to_owned() + "\n", &["line 2", "column 1", "expected at least one task"]),
        (
            "pods",
            pod("b,12x,1,0,0,,LS,R,0,1,0"),
            &["line 3", "column 2 (cpu_milli)", "whole number from 0 to 4294967295", "\"12x\""],
        ),
        ("pods", pod("b,-1,1,0,0,,LS,R,0,1,0"), &["line 3", "column 2 (cpu_milli)", "\"-1\""]),
        ("pods", pod("b,1,4294967296,0,0,,LS,R,0,1,0"), &["line 3", "column 3 (memory_mib)", "4294967295"]),
        ("pods", pod("b,1,1,17,0,,LS,R,0,1,0"), &["line 3", "column 4 (num_gpu)", "from 0 to 16", "\"17\""]),
        ("pods", pod("b,1,1,1,1001,,LS,R,0,1,0"), &["line 3", "column 5 (gpu_milli)", "from 0 to 1000"]),
        (
            "pods",
            pod("b,1,1,1,1,\"T\t4\",LS,R,0,1,0"),
            &["line 3", "column 6 (gpu_spec)", "without control characters"],
        ),
        (
            "pods",
            pod("b,1,1,1,1,,ls,R,0,1,0"),
            &["line 3", "column 7 (qos)", "LS, Guaranteed, Burstable or BE", "\"ls\""],
        ),
        ("pods", pod("b,1,1,1,1,,LS,R,,1,0"), &["line 3", "column 9 (creation_time)", "\"\""]),
        (
            "pods",
            pod("b,1,1,1,1,,LS,R,50,49,0"),
            &["line 3", "column 10 (deletion_time)", "not before", "50", "\"49\""],
        ),
        ("pods", pod(",1,1,1,1,,LS,R,0,1,0"), &["line 3", "column 1 (name)", "expected a name"]),
        ("pods", pod("\"b\nc\",1,1,1,1,,LS,R,0,1,0"), &["line 3", "column 1 (name)", "without control characters"]),
        (
            "pods",
            pod(&format!("{},1,1,1,1,,LS,R,0,1,0", "x".repeat(256))),
            &["line 3", "column 1 (name)", "at most 253 bytes instead of 256"],
        ),
        ("pods", pod("b,1,1"), &["line 3", "column 4", "expected 11 columns", "found 3"]),
        ("pods", pod("b,1,1,0,0,,LS,R,0,1,0,more"), &["line 3", "column 12", "expected 11 columns", "found 12"]),
        ("nodes", NODES.replace("32000", "3.2"), &["line 2", "column 2 (cpu_milli)", "whole number", "\"3.2\""]),
        ("nodes", NODES.replace(",2,", ",17,"), &["line 2", "column 4 (gpu)", "from 0 to 16"]),
        ("nodes", format!("{NODES}{many_models}"), &["line 65", "column 5 (model)", "63 GPU models", "\"M62\""]),
        (
            "nodes",
            format!("{NODES}n2,1,1,0,\nn1,1,1,0,\n"),
            &["line 4", "column 1 (sn)", "a name other than that of the machine in line 2", "found \"n1\""],
        ),
        ("nodes", "sn,cpu_milli,memory_mib,gpu,model\n".to_owned(), &["line 2", "expected at least one machine"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (kind, contents, expected) in cases {
        let file = dir.path().join(format!("{kind}.csv"));
        fs::write(&file, &contents).unwrap();
        let error = match kind {
            "pods" => csv::tasks(&file).unwrap_err(),
            _ => csv::nodes(&file).unwrap_err(),
        };
        let message = error.to_string();
        assert!(message.contains(&format!("{kind}.csv")), "{message}");
        for part in expected {
            assert!(message.contains(part), "{message:?} does not say {part:?}\n{contents}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pods.csv");
    let mut contents = PODS.as_bytes().to_vec();
    contents.extend_from_slice(b"b,1,1,0,0,T\xff4,LS,R,0,1,0\n");
    fs::write(&file, contents).unwrap();
    let message = csv::tasks(&file).unwrap_err().to_string();
    assert!(message.contains("line 3, column 6: expected UTF-8"), "{message}");
}

#[test]
fn bad_input_ends_the_program_with_2_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good.csv"), dir.path().join("bad.csv"));
    fs::write(&good, PODS).unwrap();
    fs::write(&bad, PODS.replace("12000", "twelve")).unwrap();
    let out = dir.path().join("out");
    let (good, bad, out_name) = (good.to_str().unwrap(), bad.to_str().unwrap(), out.to_str().unwrap());
    let cases: &[(&[&str], &str)] = &[
        (&["--pods", bad], "bad.csv, line 2, column 2 (cpu_milli): expected a whole number"),
        (&["--pods", good, "--nodes", good], "good.csv, line 1"),
        (&["--pods", "/does/not/exist.csv"], "/does/not/exist.csv: cannot be read"),
        (&["--pods", "."], "cannot be read"),
        (&["--requests", "0"], "--requests"),
        (&["--batch", "many"], "--batch"),
        (&["--threads", "257"], "--threads"),
        (&["--strategies", "heap,stack"], "stack"),
        (&["--strategies", "heap,heap"], "heap twice"),
        (&["--seed=-1"], "--seed"),
        (&["--frobnicate"], "--frobnicate"),
    ];
    for (arguments, expected) in cases {
        let output = common::program(arguments).args(["--out", out_name]).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty());
        assert!(!out.exists(), "{arguments:?} wrote something");
    }
    let file = common::program(&["--out", good]).output().unwrap();
    assert_eq!(file.status.code(), Some(2));
    assert_eq!(fs::read_to_string(good).unwrap(), PODS);
}
