//! The report as its readers meet it: the contract of `report.json`, the page, and the files on disk.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn input() -> Input {
    Input {
        source: "openb_pod_list_default.csv".to_owned(),
        vms: 8_152,
        nodes: 1_523,
        requests: 4_096,
        batch: 64,
        threads: 2,
        seed: 7,
    }
}

/// A strategy whose times are `slowness` times those of the quickest.
fn strategy(name: &str, slowness: f64, calls: f64) -> Strategy {
    let phases = |f: f64| PhaseNs {
        parse: 9_000.0 * f,
        build: 4_000.0 * f * slowness,
        place: 61_000.0 * f,
        encode: 3_000.0 * f,
        release: 500.0 * f * slowness,
    };
    let phase_ns_mean = phases(1.0);
    Strategy {
        name: name.to_owned(),
        requests: 4_096,
        checksum: "9f3a6c01d27be845".to_owned(),
        placed: 260_000,
        rejected: 2_144,
        ns_per_request: RequestNs {
            p50: phase_ns_mean.sum() * 0.97,
            p99: phase_ns_mean.sum() * 1.8,
            mean: phase_ns_mean.sum(),
        },
        phase_ns_mean,
        allocator_calls_per_request: calls * 1.01 + 0.25,
        allocated_bytes_per_request: 300.0 * calls + 2_000.5,
        steady_allocator_calls_per_request: calls,
        peak_live_bytes: 412_345,
        rounds: [1.02, 0.98, 1.0, 1.07, 0.99]
            .map(|f| Round { ns_per_request_mean: phases(f).sum(), phase_ns_mean: phases(f) })
            .to_vec(),
        live_bytes: (0..256)
            .map(|n| LivePoint { request: n * 16, live_bytes: 220_000 + (n * 7_919 % 61) * 1_500 })
            .collect(),
        steady_requests_calling: if calls > 0.0 { 2_048 } else { 0 },
        steady_calls_most: 2 * u64::from(calls > 0.0),
        arenas: name.contains("arena").then_some(Arenas {
            made: 3,
            median_bytes: 98_000,
            largest_bytes: 777_000,
            outliers: 41,
        }),
        dhat_file: Some(format!("dhat-{name}.json")),
    }
}

fn sample() -> Report {
    let mut mimalloc = strategy("heap-mimalloc", 4.1, 2_318.5);
    mimalloc.dhat_file = None;
    let command = ["cargo", "run", "--release", "-p", "profiling", "--", "--pods", "my pods.csv", "--seed", "7"];
    let mut report = Report::new(
        input(),
        command.map(str::to_owned).to_vec(),
        "Linux x86_64, 2 CPUs".to_owned(),
        vec![
            strategy("heap", 8.0, 2_318.5),
            mimalloc,
            strategy("arena", 1.0, 0.0),
            strategy("shared-arena", 1.3, 0.004_2),
        ],
    );
    report.claims = vec![
        Claim::new("string allocations", [70, 90], 4_096, [1_000_000, 9_000, 12]),
        Claim::new("Arc operations", [50, 70], 4_096, [1_048_576, 262_144, 8_192]),
    ];
    report
}

fn page(report: &Report) -> String {
    html::page(report).unwrap()
}

fn entries(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn json_comes_back_as_it_went() {
    let report = sample();
    let text = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[test]
fn json_keeps_the_contract() {
    let value: Value = serde_json::to_value(sample()).unwrap();
    assert_eq!(value["schema"], json!(1));
    for field in ["vms", "nodes", "requests", "batch", "threads"] {
        assert!(value["input"][field].is_u64(), "input.{field}");
    }
    assert!(value["input"]["source"].is_string());
    let heap = &value["strategies"][0];
    for field in ["name", "checksum"] {
        assert!(heap[field].is_string(), "{field}");
    }
    for field in ["requests", "placed", "rejected", "peak_live_bytes"] {
        assert!(heap[field].is_u64(), "{field}");
    }
    for path in [
        "/ns_per_request/p50",
        "/ns_per_request/p99",
        "/ns_per_request/mean",
        "/phase_ns_mean/parse",
        "/phase_ns_mean/build",
        "/phase_ns_mean/place",
        "/phase_ns_mean/encode",
        "/phase_ns_mean/release",
        "/allocator_calls_per_request",
        "/allocated_bytes_per_request",
        "/steady_allocator_calls_per_request",
    ] {
        assert!(heap.pointer(path).is_some_and(Value::is_f64), "{path}");
    }
    for figure in ["build", "release", "total"] {
        assert!(value["ratios"]["heap/arena"][figure].is_f64(), "ratios.{figure}");
    }
    let claim = value["claims"][1].as_object().unwrap();
    let mut fields: Vec<_> = claim.keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "arena_per_request",
            "arena_percent",
            "heap_per_request",
            "hoped_percent",
            "name",
            "pooled_per_request",
            "pooled_percent"
        ]
    );
    assert_eq!(claim["hoped_percent"], json!([50, 70]));
    let figures = ["heap", "pooled", "arena"].map(|form| claim[&format!("{form}_per_request")].as_f64().unwrap());
    assert_eq!((figures, &claim["pooled_percent"]), ([256.0, 64.0, 2.0], &json!(75.0)));
}

#[test]
fn the_contract_alone_is_enough_to_read() {
    let phases = json!({ "parse": 1.0, "build": 2.0, "place": 3.0, "encode": 4.0, "release": 0.5 });
    let value = json!({
        "schema": 1,
        "input": { "source": "generated", "vms": 1, "nodes": 1, "requests": 1, "batch": 1, "threads": 1 },
        "strategies": [{
            "name": "heap", "requests": 1, "checksum": "00", "placed": 1, "rejected": 0,
            "ns_per_request": { "p50": 1.0, "p99": 1.0, "mean": 1.0 }, "phase_ns_mean": phases,
            "allocator_calls_per_request": 0.0, "allocated_bytes_per_request": 0.0,
            "steady_allocator_calls_per_request": 0.0, "peak_live_bytes": 0, "of_a_later_version": [1, 2],
            "arena": { "used": 1.0, "reserved": 2.0, "wasted": 0.5 }
        }],
        "ratios": { "heap/arena": { "build": 1.0, "release": null, "total": 2.0 } }
    });
    let report: Report = serde_json::from_value(value).unwrap();
    assert!((report.strategies[0].phase_ns_mean.sum() - 10.5).abs() < 1e-12);
    assert_eq!(report.ratios["heap/arena"].release, None);
    assert!(page(&report).contains("generated"));
}

#[test]
fn ratios_divide_the_figures_shown() {
    let report = sample();
    let pairs: Vec<&str> = report.ratios.keys().map(String::as_str).collect();
    assert_eq!(
        pairs,
        ["heap-mimalloc/arena", "heap-mimalloc/shared-arena", "heap/arena", "heap/heap-mimalloc", "heap/shared-arena"]
    );
    let ratio = &report.ratios["heap/arena"];
    assert_eq!((ratio.build, ratio.release, ratio.build_and_release), (Some(8.0), Some(8.0), Some(8.0)));
    let (heap, arena) = (&report.strategies[0].ns_per_request, &report.strategies[2].ns_per_request);
    assert_eq!(ratio.total, Some(heap.mean / arena.mean));
    // Each round is slower or faster as a whole, so its ratio is the same in all.
    let rounds = ratio.rounds.unwrap();
    assert_eq!(rounds.count, 5);
    assert!((rounds.build_and_release.min - 8.0).abs() < 1e-9);
    assert!((rounds.build_and_release.max - 8.0).abs() < 1e-9);
}

#[test]
fn rounds_are_compared_in_pairs() {
    let mut report = sample();
    for round in &mut report.strategies[2].rounds[..2] {
        round.ns_per_request_mean /= 3.0;
    }
    let rounds = Ratio::between(&report.strategies[0], &report.strategies[2]).rounds.unwrap();
    assert!((rounds.total.max / rounds.total.min - 3.0).abs() < 1e-9);
    assert!((rounds.total.median / rounds.total.min - 1.0).abs() < 1e-9);
    report.strategies[2].rounds.pop();
    assert_eq!(Ratio::between(&report.strategies[0], &report.strategies[2]).rounds, None);
}

#[test]
fn the_median_of_an_even_number_lies_between() {
    assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
    assert_eq!(Spread::of(vec![7.0]), Some(Spread { min: 7.0, median: 7.0, max: 7.0 }));
    assert_eq!(Spread::of(Vec::new()), None);
}

#[test]
fn other_work_is_named_and_shown() {
    let mut report = sample();
    assert_eq!(report.same_work(), Ok(()));
    assert!(!page(&report).contains("class=\"summary alarm\""));
    report.strategies[3].checksum = "0bad".to_owned();
    let mismatch = report.same_work().unwrap_err();
    assert_eq!(
        mismatch.to_string(),
        "the strategies differ in what they decided or encoded: checksum 9f3a6c01d27be845 of heap, heap-mimalloc, arena; 0bad of shared-arena"
    );
    assert!(page(&report).contains("class=\"summary alarm\""));
    assert!(report.summary().ends_with("0bad of shared-arena."), "{}", report.summary());
}

#[test]
fn the_summary_says_the_figures() {
    let summary = sample().summary();
    assert!(
        summary.starts_with(
            "arena serves a request of 64 VMs in 77.5 µs on average, heap in 109 µs: 1.41 times as fast. Build plus \
             release take 4.50 µs instead of 36.0 µs, 8.00 times as fast. In the second half of the run arena calls the \
             allocator 0 times per request, heap 2,318.5 times. All 4 strategies"
        ),
        "{summary}"
    );
}

#[test]
fn nothing_from_the_input_becomes_markup() {
    let hostile = "<img src=x onerror=alert(1)>\"'&</svg></style><script>alert(2)</script>";
    let mut report = sample();
    report.input.source = hostile.to_owned();
    report.machine = hostile.to_owned();
    report.command.push(hostile.to_owned());
    report.strategies[0].name = hostile.to_owned();
    report.strategies[0].checksum = hostile.to_owned();
    report.strategies[0].dhat_file = Some(format!("javascript:{hostile}"));
    let report = Report::new(report.input, report.command, report.machine, report.strategies);
    let page = page(&report);
    for markup in ["<img", "<script", "href=\"javascript"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"));
}

#[test]
fn the_page_needs_no_network() {
    let page = page(&sample());
    for fetching in ["src=", "url(", "@import", "<link", "<script", "<iframe"] {
        assert!(!page.contains(fetching), "{fetching}");
    }
    assert_eq!(page.matches("<svg").count(), 5);
    assert!(page.contains("cargo run --release -p profiling -- --pods &#39;my pods.csv&#39; --seed 7"));
    assert!(page.contains("href=\"./dhat-arena.json\""));
}

#[test]
fn outliers_stand_apart_and_only_where_there_are_arenas() {
    let mut report = sample();
    let rows = |report: &Report| -> Vec<String> {
        let page = page(report);
        let rows = page.lines().filter(|line| line.contains(">outliers<") || line.contains(">requests with calls"));
        rows.map(str::to_owned).collect()
    };
    let both = rows(&report);
    assert_eq!(both.len(), 2);
    assert!(both[0].ends_with("<td>2,048</td><td>2,048</td><td>0</td><td>2,048</td></tr>"), "{both:?}");
    assert!(both[1].ends_with("<td>–</td><td>–</td><td>41</td><td>41</td></tr>"), "{both:?}");
    report.strategies.truncate(2);
    assert_eq!(rows(&report).len(), 1);
}

#[test]
fn one_strategy_makes_a_report() {
    for name in ["heap", "arena"] {
        let report = Report::new(input(), Vec::new(), String::new(), vec![strategy(name, 1.0, 0.0)]);
        assert!(report.ratios.is_empty());
        assert!(report.summary().starts_with(&format!("{name} serves a request of 64 VMs in 77.5 µs")));
        let page = page(&report);
        assert!(!page.contains("How many times"));
        assert!(!page.contains("Repeat it"));
    }
}

#[test]
fn zero_is_shown_as_zero() {
    let nothing = |name: &str| Strategy { name: name.to_owned(), ..Strategy::default() };
    let report = Report::new(input(), Vec::new(), String::new(), vec![nothing("heap"), nothing("arena")]);
    let ratio = report.ratios["heap/arena"];
    assert_eq!((ratio.build, ratio.release, ratio.total), (None, None, None));
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["ratios"]["heap/arena"]["total"].is_null());
    let page = page(&report);
    assert!(!page.contains("NaN") && !page.contains("inf"));
    assert!(page.contains("0 ns"));
    // Two panels with two strategies, each with the number beside its dot, and the lane's own label in each panel.
    let plot = plots::allocator_calls(&report.strategies).unwrap();
    assert_eq!(plot.matches(">\n0\n</text>").count(), 6);
    assert!(!page.contains("Live bytes"));
}

#[test]
fn what_is_no_figure_is_refused_by_name() {
    type Spoil = fn(&mut Strategy);
    let dir = tempfile::tempdir().unwrap();
    let spoil: [(&str, Spoil); 5] = [
        ("ns_per_request.mean", |s| s.ns_per_request.mean = f64::NAN),
        ("phase_ns_mean.release", |s| s.phase_ns_mean.release = -1.0),
        ("steady_allocator_calls_per_request", |s| {
            s.steady_allocator_calls_per_request = f64::INFINITY;
        }),
        ("rounds[3].ns_per_request_mean", |s| {
            s.rounds[3].ns_per_request_mean = f64::NAN;
        }),
        ("rounds[0].phase_ns_mean.place", |s| {
            s.rounds[0].phase_ns_mean.place = f64::NEG_INFINITY;
        }),
    ];
    for (name, spoil) in spoil {
        let mut report = sample();
        spoil(&mut report.strategies[2]);
        let error = report.write(dir.path()).unwrap_err();
        assert!(matches!(&error, ReportError::BadFigure { field, .. } if field == name), "{name}: {error}");
        assert!(error.to_string().contains("\"arena\""), "{error}");
    }
    let mut claims = sample();
    claims.claims[1].arena_percent = f64::NAN;
    let error = claims.write(dir.path()).unwrap_err();
    assert!(error.to_string().starts_with("arena_percent of \"Arc operations\" is NaN"), "{error}");
    let mut twice = sample();
    twice.strategies[1].name = "heap".to_owned();
    assert!(matches!(twice.write(dir.path()), Err(ReportError::SameName { name }) if name == "heap"));
    let none = Report::new(input(), Vec::new(), String::new(), Vec::new());
    assert_eq!(none.summary(), "");
    assert!(matches!(none.write(dir.path()), Err(ReportError::NoStrategies)));
    assert!(entries(dir.path()).is_empty());
}

#[test]
fn huge_figures_still_make_a_page() {
    let mut report = sample();
    let arena = &mut report.strategies[2];
    arena.ns_per_request.mean = 1e300;
    arena.phase_ns_mean.build = f64::MAX;
    arena.phase_ns_mean.release = f64::MIN_POSITIVE;
    arena.allocator_calls_per_request = f64::MAX;
    arena.steady_allocator_calls_per_request = f64::MIN_POSITIVE;
    arena.peak_live_bytes = u64::MAX;
    arena.live_bytes.push(LivePoint { request: u64::MAX, live_bytes: u64::MAX });
    let report = Report::new(report.input, report.command, report.machine, report.strategies);
    let page = page(&report);
    assert!(!page.contains("NaN") && !page.contains(">inf"));
    assert!(page.len() < 400_000, "{} bytes", page.len());
}

#[test]
fn both_files_are_written_whole() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("target/profile");
    let report = sample();
    for _ in 0..2 {
        let written = report.write(&dir).unwrap();
        assert_eq!(entries(&dir), [HTML_FILE, JSON_FILE]);
        let read: Report = serde_json::from_slice(&fs::read(&written.json).unwrap()).unwrap();
        assert_eq!(read, report);
        assert!(fs::read_to_string(&written.html).unwrap().ends_with("</html>\n"));
    }
}

#[cfg(unix)]
#[test]
fn everyone_whom_the_umask_lets_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let usual = File::create(dir.path().join("usual")).unwrap().metadata().unwrap().permissions().mode();
    let written = sample().write(dir.path()).unwrap();
    for path in [written.json, written.html] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode(), usual);
    }
}

#[test]
fn a_directory_that_fails_is_left_as_it_was() {
    for blocked in [JSON_FILE, HTML_FILE] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(blocked).join("in the way")).unwrap();
        let error = sample().write(dir.path()).unwrap_err();
        assert!(error.to_string().contains(blocked), "{error}");
        assert_eq!(entries(dir.path()), [blocked]);
    }
    // Nor is an earlier page lost where the new one had its name already.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(JSON_FILE)).unwrap();
    fs::write(dir.path().join(HTML_FILE), "an earlier page").unwrap();
    sample().write(dir.path()).unwrap_err();
    assert_eq!(entries(dir.path()), [HTML_FILE, JSON_FILE]);
    assert_eq!(fs::read_to_string(dir.path().join(HTML_FILE)).unwrap(), "an earlier page");
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("a file");
    fs::write(&file, "kept").unwrap();
    assert!(matches!(sample().write(&file), Err(ReportError::Io { path, .. }) if path == file));
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    assert_eq!(entries(parent.path()), ["a file"]);
}
