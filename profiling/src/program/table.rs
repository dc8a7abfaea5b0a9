//! What is printed: the report's figures as text in columns.

use crate::report::{Claim, Report, Spread, units};

/// The report's figures as text in columns.
#[expect(clippy::cast_precision_loss, reason = "bytes of a run stay far below 2^52")]
pub(super) fn table(report: &Report) -> String {
    let input = &report.input;
    let mut text = format!(
        "{} VMs on {} nodes ({}): {} requests of {} VMs, threads: {}\n\n",
        input.vms, input.nodes, input.source, input.requests, input.batch, input.threads
    );
    let titles = [
        "strategy",
        "p50",
        "p99",
        "mean",
        "parse",
        "build",
        "place",
        "encode",
        "release",
        "calls/req",
        "steady",
        "bytes/req",
        "peak",
    ];
    let row = |cells: &[String]| {
        let (first, others) = cells.split_first().expect("a row has a title");
        let others: Vec<_> = others.iter().map(|cell| format!("{cell:>11}")).collect();
        format!("{first:<26}{}\n", others.concat())
    };
    text.push_str(&row(&titles.map(str::to_owned)));
    for strategy in &report.strategies {
        let (whole, phases) = (&strategy.ns_per_request, &strategy.phase_ns_mean);
        let mut cells = vec![strategy.name.clone()];
        cells.extend([whole.p50, whole.p99, whole.mean].map(units::nanos));
        cells.extend(phases.named().map(|(_, ns)| units::nanos(ns)));
        cells.push(units::count(strategy.allocator_calls_per_request));
        cells.push(units::count(strategy.steady_allocator_calls_per_request));
        cells.push(units::bytes(strategy.allocated_bytes_per_request));
        cells.push(units::bytes(strategy.peak_live_bytes as f64));
        text.push_str(&row(&cells));
    }
    let with_arenas: Vec<_> =
        report.strategies.iter().filter_map(|strategy| Some((strategy, strategy.arenas?))).collect();
    if !with_arenas.is_empty() {
        text.push('\n');
        let titles = ["arenas", "made", "median", "largest", "outliers", "calling", "most calls"];
        text.push_str(&row(&titles.map(str::to_owned)));
    }
    for (strategy, arenas) in with_arenas {
        let mut cells = vec![strategy.name.clone(), arenas.made.to_string()];
        cells.extend([arenas.median_bytes, arenas.largest_bytes].map(|bytes| units::bytes(bytes as f64)));
        let counts = [arenas.outliers, strategy.steady_requests_calling, strategy.steady_calls_most];
        cells.extend(counts.map(|count| count.to_string()));
        text.push_str(&row(&cells));
    }
    if !report.ratios.is_empty() {
        text.push('\n');
        let titles = ["times", "build", "release", "both", "total", "  both by round"];
        text.push_str(&row(&titles.map(str::to_owned)));
    }
    for (name, ratio) in &report.ratios {
        let mut cells = vec![name.clone()];
        cells.extend([ratio.build, ratio.release, ratio.build_and_release, ratio.total].map(units::ratio));
        if let Some(rounds) = &ratio.rounds {
            let Spread { min, median, max } = rounds.build_and_release;
            cells.push(format!("  {median:.2} ({min:.2} to {max:.2})"));
        }
        text.push_str(&row(&cells));
    }
    if !report.claims.is_empty() {
        text.push('\n');
        let titles = ["per request"].into_iter().chain(Claim::COLUMNS);
        text.push_str(&row(&titles.map(str::to_owned).collect::<Vec<_>>()));
    }
    for claim in &report.claims {
        let mut cells = vec![claim.name.clone()];
        cells.extend(claim.cells());
        text.push_str(&row(&cells));
    }
    text
}
