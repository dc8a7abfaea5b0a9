//! `report.html`: the report as one page that a browser shows without a network.
//!
//! Style and plots are inline, there is no script, and nothing is fetched; the only addresses are links that a reader may
//! follow. Invariants: every text that comes from a run passes through [`Escaped`] or, in a link, through
//! [`path_in_link`], so that no name of a file can become markup; parts without figures are left out, not shown
//! empty. A part is a function that pushes onto the page, so a further one is a line in [`page`]. Cost: some hundreds of
//! kilobytes of text, built once.

use std::fmt::{self, Write as _};

use super::claims::push_claims;
use super::tracking::push_tracking;
use super::{Arenas, Ratio, Report, ReportError, Spread, Strategy, plots, units};

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub(super) fn page(report: &Report) -> Result<String, ReportError> {
    let mut html = String::with_capacity(128 << 10);
    html.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    // Even if a name got through, nothing of it could run or call out.
    html.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    html.push_str("<title>Memory strategies compared</title>\n<style>\n");
    html.push_str(STYLE);
    push_palette(&mut html);
    html.push_str("</style>\n</head>\n<body>\n<main>\n<h1>Memory strategies compared</h1>\n");
    let mood = if report.same_work().is_ok() { "summary" } else { "summary alarm" };
    push(&mut html, format_args!("<p class=\"{mood}\">{}</p>\n", Escaped(&report.summary())));

    push_input(&mut html, report);
    push_strategies(&mut html, report);
    push_ratios(&mut html, report);
    push_phases(&mut html, report)?;
    push_allocator_calls(&mut html, report)?;
    push_live_bytes(&mut html, report)?;
    push_claims(&mut html, &report.claims)?;
    if let Some(tracking) = &report.tracking {
        push_tracking(&mut html, tracking);
    }
    push_dhat(&mut html, report);
    push_repeat(&mut html, report);

    html.push_str("</main>\n</body>\n</html>\n");
    Ok(html)
}

fn push_input(html: &mut String, report: &Report) {
    let input = &report.input;
    html.push_str("<section>\n<h2>Input</h2>\n<dl>\n");
    let mut entry = |term: &str, value: &str| {
        push(html, format_args!("<div><dt>{term}</dt><dd>{}</dd></div>\n", Escaped(value)));
    };
    entry("source", &input.source);
    for (term, value) in [
        ("VMs", input.vms),
        ("nodes", input.nodes),
        ("requests", input.requests),
        ("VMs per request", input.batch),
        ("threads", input.threads),
    ] {
        entry(term, &units::count(units::real(value)));
    }
    entry("seed", &input.seed.to_string());
    if !report.machine.is_empty() {
        entry("machine", &report.machine);
    }
    html.push_str("</dl>\n</section>\n");
}

fn push_strategies(html: &mut String, report: &Report) {
    let strategies = &report.strategies;
    html.push_str("<section>\n<h2>Strategies</h2>\n");
    let mut table = Table::open(html, strategies.iter().map(|s| s.name.as_str()));
    table.group("Time of a request");
    table.row("median", strategies, |s| units::nanos(s.ns_per_request.p50));
    table.row("99th percentile", strategies, |s| units::nanos(s.ns_per_request.p99));
    table.row("mean", strategies, |s| units::nanos(s.ns_per_request.mean));
    if strategies.iter().any(|s| !s.rounds.is_empty()) {
        let end = |s: &Strategy, pick: fn(Spread) -> f64| {
            s.spread_ns().map_or_else(dash, |spread| units::nanos(pick(spread)))
        };
        table.row("mean, fastest round", strategies, |s| end(s, |spread| spread.min));
        table.row("mean, slowest round", strategies, |s| end(s, |spread| spread.max));
        table.row("rounds", strategies, |s| s.rounds.len().to_string());
    }
    table.group("Mean time of each phase");
    for (at, (phase, _)) in strategies[0].phase_ns_mean.named().iter().enumerate() {
        table.row(phase, strategies, |s| units::nanos(s.phase_ns_mean.named()[at].1));
    }
    table.group("Allocator, per request");
    table.row("calls, whole run", strategies, |s| units::count(s.allocator_calls_per_request));
    table.row("calls, second half", strategies, |s| units::count(s.steady_allocator_calls_per_request));
    table.row("requests with calls, second half", strategies, |s| units::count(units::real(s.steady_requests_calling)));
    table.row("most calls of one, second half", strategies, |s| units::count(units::real(s.steady_calls_most)));
    table.row("bytes asked for", strategies, |s| units::bytes(s.allocated_bytes_per_request));
    if strategies.iter().any(|s| s.arenas.is_some()) {
        let of = |s: &Strategy, text: fn(Arenas) -> String| s.arenas.map_or_else(dash, text);
        table.group("Arenas, whole run");
        table.row("made", strategies, |s| of(s, |arenas| units::count(units::real(arenas.made))));
        table.row("median request", strategies, |s| of(s, |arenas| units::bytes(units::real(arenas.median_bytes))));
        table.row("largest request", strategies, |s| of(s, |arenas| units::bytes(units::real(arenas.largest_bytes))));
        table.row("outliers", strategies, |s| of(s, |arenas| units::count(units::real(arenas.outliers))));
    }
    table.group("Whole run");
    table.row("peak of live bytes", strategies, |s| units::bytes(units::real(s.peak_live_bytes)));
    table.row("requests", strategies, |s| units::count(units::real(s.requests)));
    table.row("VMs placed", strategies, |s| units::count(units::real(s.placed)));
    table.row("VMs rejected", strategies, |s| units::count(units::real(s.rejected)));
    table.row("checksum", strategies, |s| s.checksum.clone());
    table.close();
    html.push_str(
        "<p class=\"note\">Calls are alloc, realloc and dealloc together, inside the library and the request's code. Times \
         and calls come from processes of their own: nothing is counted where time is taken. An outlier is a request of more than four \
         times the median, more than an idle arena keeps: it calls the allocator however warm the pool is. Other requests with calls in \
         the second half are, where there are arenas, steps in which one of them or a buffer became larger or smaller.</p>\n</section>\n",
    );
}

fn push_ratios(html: &mut String, report: &Report) {
    if report.ratios.is_empty() {
        return;
    }
    let ratios: Vec<(&String, &Ratio)> = report.ratios.iter().collect();
    html.push_str("<section>\n<h2>How many times as fast</h2>\n");
    let mut table =
        Table::open(html, ["build", "release", "build + release", "whole request", "whole request, by rounds"]);
    for (pair, ratio) in ratios {
        table.cells(
            pair,
            [
                units::ratio(ratio.build),
                units::ratio(ratio.release),
                units::ratio(ratio.build_and_release),
                units::ratio(ratio.total),
                ratio.rounds.map_or_else(dash, |rounds| {
                    let [median, min, max] =
                        [rounds.total.median, rounds.total.min, rounds.total.max].map(|r| units::ratio(Some(r)));
                    format!("{median} ({min} to {max})")
                }),
            ],
        );
    }
    table.close();
    html.push_str(
        "<p class=\"note\">Time of the first over time of the second, of the means above; more than 1x says that the second is \
         faster. By rounds: the median of the ratios between processes that ran next to each other, and its ends.</p>\n\
         </section>\n",
    );
}

fn push_phases(html: &mut String, report: &Report) -> Result<(), ReportError> {
    html.push_str("<section>\n<h2>Time per phase</h2>\n");
    push_figure(html, "Mean time of a request's phases, end to end", &plots::phases_stacked(&report.strategies)?);
    push_figure(html, "The same phases, each on a scale of its own", &plots::phases_apart(&report.strategies)?);
    html.push_str("</section>\n");
    Ok(())
}

fn push_allocator_calls(html: &mut String, report: &Report) -> Result<(), ReportError> {
    html.push_str("<section>\n<h2>Allocator calls</h2>\n");
    push_figure(
        html,
        "Calls per request, by powers of ten; the shaded lane is zero",
        &plots::allocator_calls(&report.strategies)?,
    );
    html.push_str("</section>\n");
    Ok(())
}

fn push_live_bytes(html: &mut String, report: &Report) -> Result<(), ReportError> {
    if let Some(plot) = plots::live_bytes(&report.strategies)? {
        html.push_str("<section>\n<h2>Live bytes</h2>\n");
        push_figure(html, "Most bytes live at once, over the requests of the run", &plot);
        html.push_str("</section>\n");
    }
    Ok(())
}

fn push_dhat(html: &mut String, report: &Report) {
    let files: Vec<(&str, &str)> =
        report.strategies.iter().filter_map(|s| Some((s.name.as_str(), s.dhat_file.as_deref()?))).collect();
    if files.is_empty() {
        return;
    }
    html.push_str("<section>\n<h2>Every allocation, by its place in the code</h2>\n<ul>\n");
    for (name, file) in files {
        push(
            html,
            format_args!(
                "<li>{}: <a href=\"{}\"><code>{}</code></a></li>\n",
                Escaped(name),
                path_in_link(file),
                Escaped(file)
            ),
        );
    }
    html.push_str(
        "</ul>\n<p>These files are for DHAT's viewer, one page that needs no server: open <code>dh_view.html</code> from a \
         Valgrind installation (<code>/usr/libexec/valgrind/dh_view.html</code> on many systems) or \
         <a href=\"https://nnethercote.github.io/dh_view/dh_view.html\">nnethercote.github.io/dh_view</a>, press \
         “Load…” and choose a file. Sort by “Total (blocks)” to see which lines call the allocator, by “At t-gmax \
         (bytes)” to see what the peak consists of.</p>\n</section>\n",
    );
}

fn push_repeat(html: &mut String, report: &Report) {
    if report.command.is_empty() {
        return;
    }
    let command: Vec<String> = report.command.iter().map(|argument| in_shell(argument)).collect();
    push(
        html,
        format_args!(
            "<section>\n<h2>Repeat it</h2>\n<pre><code>{}</code></pre>\n<p>The same figures for programs: \
             <a href=\"./{file}\"><code>{file}</code></a></p>\n</section>\n",
            Escaped(&command.join(" ")),
            file = super::JSON_FILE
        ),
    );
}

pub(super) fn push_figure(html: &mut String, caption: &str, svg: &str) {
    push(
        html,
        format_args!(
            "<figure>\n<figcaption>{}</figcaption>\n<div class=\"wide\">{svg}</div>\n</figure>\n",
            Escaped(caption)
        ),
    );
}

/// The plots' colours as rules of the style sheet, so that one drawing serves a light and a dark page.
fn push_palette(html: &mut String) {
    html.push_str("@media (prefers-color-scheme: dark) {\n");
    for colour in plots::colours() {
        let (light, dark) = (hex(colour.light), hex(colour.dark));
        push(html, format_args!("svg [fill=\"{light}\"]{{fill:{dark}}} svg [stroke=\"{light}\"]{{stroke:{dark}}}\n"));
    }
    html.push_str("}\n");
    for colour in plots::dashed_colours() {
        push(html, format_args!("svg polyline[stroke=\"{}\"]{{stroke-dasharray:7 4}}\n", hex(colour.light)));
    }
}

/// A table whose first column names the rows.
pub(super) struct Table<'a> {
    html: &'a mut String,
    columns: usize,
}

impl<'a> Table<'a> {
    pub(super) fn open<'n>(html: &'a mut String, columns: impl IntoIterator<Item = &'n str>) -> Self {
        html.push_str("<div class=\"wide\"><table>\n<thead><tr><td></td>");
        let mut count = 0;
        for column in columns {
            push(html, format_args!("<th scope=\"col\">{}</th>", Escaped(column)));
            count += 1;
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        Self { html, columns: count }
    }

    /// A heading over the rows that follow.
    fn group(&mut self, title: &str) {
        let span = self.columns + 1;
        push(self.html, format_args!("<tr class=\"group\"><th colspan=\"{span}\">{}</th></tr>\n", Escaped(title)));
    }

    fn row(&mut self, name: &str, strategies: &[Strategy], cell: impl Fn(&Strategy) -> String) {
        self.cells(name, strategies.iter().map(cell));
    }

    pub(super) fn cells(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        push(self.html, format_args!("<tr><th scope=\"row\">{}</th>", Escaped(name)));
        for cell in cells {
            push(self.html, format_args!("<td>{}</td>", Escaped(&cell)));
        }
        self.html.push_str("</tr>\n");
    }

    pub(super) fn close(self) {
        self.html.push_str("</tbody>\n</table></div>\n");
    }
}

/// Text that cannot be markup, neither between tags nor in a quoted attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A file beside the page as the target of a link; never another scheme, host or folder level by accident.
pub(super) fn path_in_link(file: &str) -> String {
    let mut link = "./".to_owned();
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            link.push(char::from(byte));
        } else {
            push(&mut link, format_args!("%{byte:02X}"));
        }
    }
    link
}

/// An argument as a POSIX shell reads it back.
fn in_shell(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

/// A colour as the plots' SVG spells it.
fn hex(colour: plots::Rgb) -> String {
    let plots::Rgb(r, g, b) = colour;
    format!("#{r:02X}{g:02X}{b:02X}")
}

fn dash() -> String {
    "–".to_owned()
}

pub(super) fn push(html: &mut String, text: fmt::Arguments<'_>) {
    html.write_fmt(text).expect("writing into a String does not fail, and no Display of this file does");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let hostile = "<script>alert(1)</script>\" onload='x' & \u{0}\u{1b}";
        assert_eq!(
            Escaped(hostile).to_string(),
            "&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&#39;x&#39; &amp; \u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn a_link_stays_beside_the_page() {
        assert_eq!(path_in_link("dhat-heap.json"), "./dhat-heap.json");
        assert_eq!(path_in_link("javascript:alert(1)"), "./javascript%3Aalert%281%29");
        assert_eq!(path_in_link("//host/x"), ".///host/x");
        assert_eq!(path_in_link("a \"b\"é"), "./a%20%22b%22%C3%A9");
    }

    #[test]
    fn arguments_survive_a_shell() {
        assert_eq!(in_shell("--pods"), "--pods");
        assert_eq!(in_shell("data/pods.csv"), "data/pods.csv");
        assert_eq!(in_shell(""), "''");
        assert_eq!(in_shell("my file; rm -rf $HOME"), "'my file; rm -rf $HOME'");
        assert_eq!(in_shell("it's"), r"'it'\''s'");
    }
}
