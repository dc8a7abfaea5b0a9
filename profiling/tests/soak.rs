//! The soak for five seconds: its curve, its sums, its last line, its exit code. The long one is run by hand and before a release:
//! `cargo run --release -p profiling -- soak --minutes 3`.

mod common;

#[test]
fn a_short_soak_draws_its_curve_and_everything_adds_up() {
    let output = common::program(&["soak", "--minutes", "0.08", "--threads", "3"]).output().expect("the program");
    let said = common::text(&output);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = said.lines().collect();
    assert!(lines.iter().filter(|line| line.contains(" MiB |█")).count() >= 2, "{said}");
    assert!(lines.iter().filter(|line| line.starts_with("  even ")).count() >= 40, "{said}");
    assert!(!said.contains("UNEVEN"), "{said}");
    let last = lines.last().expect("it says something");
    assert!(last.starts_with("soak: good: ") && last.ends_with("memory flat"), "{last}");
}

#[test]
fn a_soak_of_no_time_is_refused() {
    for minutes in ["0", "-1", "nan", "soon"] {
        let output = common::program(&["soak", "--minutes", minutes]).output().expect("the program");
        assert_eq!(output.status.code(), Some(2), "{minutes}");
    }
}
