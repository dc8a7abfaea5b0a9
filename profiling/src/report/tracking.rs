//! Where each strategy's memory comes from, and what it cost to find out: figures, their part of the page, a flame graph.
//!
//! Invariant: widths are shares of bytes; whatever is narrower than half a pixel is left out, so a graph stays some hundred
//! kilobytes however many sites there are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Spread;
use super::html::{Escaped, Table, path_in_link, push, push_figure};
use super::units;
use crate::sites::{SiteEntry, SitesFile};

/// Sites in a table.
const TOP: usize = 12;

/// What `--sites` adds to a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tracking {
    /// The strategy whose time was taken under each kind of tracking.
    pub timed: String,
    /// How many times its own time it took.
    pub cost: Vec<Cost>,
    /// Where memory comes from, strategy by strategy.
    pub strategies: Vec<StrategySites>,
}

/// What one kind of tracking cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// `counting`, `sampled` or `complete`.
    pub kind: String,
    /// Mean time of a request under it over that without, within a round.
    pub times: Spread,
}

/// The sites of one strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrategySites {
    /// Its name.
    pub strategy: String,
    /// The profile for pprof, beside the report.
    pub pprof_file: String,
    /// Blocks asked for in the whole replay.
    pub blocks: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// The sites with most bytes.
    pub top: Vec<TopSite>,
    /// All that the graph is drawn from.
    #[serde(skip)]
    pub sites: Vec<SiteEntry>,
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopSite {
    /// Function, file and line.
    pub place: String,
    /// Blocks asked for.
    pub blocks: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// Bytes live at the end.
    pub live_bytes: u64,
}

impl StrategySites {
    /// From what the strategy's worker wrote.
    #[must_use]
    pub fn new(strategy: &str, pprof_file: String, file: SitesFile) -> Self {
        let top = file.sites.iter().take(TOP).map(|site| TopSite {
            place: site.place.clone(),
            blocks: site.blocks,
            bytes: site.bytes,
            live_bytes: site.live_bytes,
        });
        let top = top.collect();
        Self {
            strategy: strategy.to_owned(),
            pprof_file,
            blocks: file.blocks,
            bytes: file.bytes,
            top,
            sites: file.sites,
        }
    }
}

/// The part of the page.
pub(super) fn push_tracking(html: &mut String, tracking: &Tracking) {
    html.push_str("<section>\n<h2>Where memory comes from</h2>\n");
    let mut table = Table::open(html, ["median", "least", "most"]);
    for Cost { kind, times } in &tracking.cost {
        table.cells(kind, [times.median, times.min, times.max].map(|times| format!("{times:.3}x")));
    }
    table.close();
    push(
        html,
        format_args!(
            "<p class=\"note\">What tracking cost: mean time of a request of {} under it over that without, round by \
             round. The tables and graphs below are from processes of their own, complete, over the whole run.</p>\n",
            Escaped(&tracking.timed)
        ),
    );
    for strategy in &tracking.strategies {
        push(html, format_args!("<h3>{}</h3>\n", Escaped(&strategy.strategy)));
        let mut table = Table::open(html, ["bytes", "blocks", "live bytes"]);
        for site in &strategy.top {
            let cells = [units::bytes(units::real(site.bytes)), units::count(units::real(site.blocks))];
            let [bytes, blocks] = cells;
            table.cells(&site.place, [bytes, blocks, units::bytes(units::real(site.live_bytes))]);
        }
        table.close();
        let caption = format!("Bytes asked for by {}, from the outermost function inwards", strategy.strategy);
        push_figure(html, &caption, &flame_graph(&strategy.sites));
        push(
            html,
            format_args!(
                "<p>For pprof: <a href=\"{}\"><code>{}</code></a> (<code>go tool pprof -http=: FILE</code>)</p>\n",
                path_in_link(&strategy.pprof_file),
                Escaped(&strategy.pprof_file)
            ),
        );
    }
    html.push_str("</section>\n");
}

#[derive(Default)]
struct Node {
    bytes: u64,
    callees: BTreeMap<String, Node>,
}

const WIDTH: f64 = 1000.0;
const ROW: f64 = 17.0;
/// What a letter of the labels takes, at most.
const LETTER: f64 = 6.3;

/// Stacks as nested boxes, callers above callees, each as wide as its bytes. Plain SVG: no script.
fn flame_graph(sites: &[SiteEntry]) -> String {
    let mut root = Node::default();
    let shared = shared_frames(sites);
    for site in sites {
        let mut at = &mut root;
        at.bytes += site.bytes;
        for function in site.stack.iter().skip(shared) {
            at = at.callees.entry(function.clone()).or_default();
            at.bytes += site.bytes;
        }
    }
    let mut boxes = String::new();
    let depth = draw(&mut boxes, "all", &root, 0.0, WIDTH, 0);
    let height = ROW * f64::from(depth + 1);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"monospace\" \
         font-size=\"10\" role=\"img\">\n{boxes}</svg>"
    )
}

/// Frames that every stack begins with say nothing; all but the last of them are left out.
fn shared_frames(sites: &[SiteEntry]) -> usize {
    let Some((first, others)) = sites.split_first() else { return 0 };
    let same = |site: &SiteEntry| site.stack.iter().zip(&first.stack).take_while(|(a, b)| a == b).count();
    others.iter().map(same).min().unwrap_or(first.stack.len()).saturating_sub(1)
}

/// Draws a box and those below it; the depth of the deepest.
fn draw(boxes: &mut String, name: &str, node: &Node, left: f64, width: f64, depth: u32) -> u32 {
    let top = ROW * f64::from(depth);
    let hue = 20 + name.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte))) % 40;
    let bytes = units::bytes(units::real(node.bytes));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of letters, at most 160")]
    let room = ((width - 4.0) / LETTER).max(0.0) as usize;
    let label: String = if room >= 3 { name.chars().take(room).collect() } else { String::new() };
    // Writing to a `String` does not fail.
    _ = writeln!(
        boxes,
        "<g><title>{name}: {bytes}</title><rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
         fill=\"hsl({hue} 80% 72%)\"/><text x=\"{:.1}\" y=\"{:.1}\" fill=\"#111\">{label}</text></g>",
        (width - 0.4).max(0.3),
        ROW - 1.0,
        left + 2.0,
        top + 12.0,
        name = Escaped(name),
        label = Escaped(&label),
    );
    let mut deepest = depth;
    let mut at = left;
    for (name, callee) in &node.callees {
        let share = width * units::real(callee.bytes) / units::real(node.bytes.max(1));
        if share >= 0.5 {
            deepest = deepest.max(draw(boxes, name, callee, at, share, depth + 1));
        }
        at += share;
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(stack: &[&str], bytes: u64) -> SiteEntry {
        let stack: Vec<String> = stack.iter().map(|&name| name.to_owned()).collect();
        SiteEntry { place: stack.last().cloned().unwrap_or_default(), blocks: 1, bytes, live_bytes: 0, stack }
    }

    #[test]
    fn boxes_are_as_wide_as_their_bytes_and_names_are_no_markup() {
        let sites = [
            site(&["start", "main", "a<b>", "deep"], 300),
            site(&["start", "main", "other"], 100),
            site(&["start", "main"], 0),
        ];
        let svg = flame_graph(&sites);
        assert!(svg.contains("<title>a&lt;b&gt;: 300 B</title><rect x=\"0.0\" y=\"34.0\" width=\"749.6\""), "{svg}");
        assert!(svg.contains("<title>other: 100 B</title><rect x=\"750.0\" y=\"34.0\" width=\"249.6\""), "{svg}");
        assert!(
            svg.contains("<title>main: 400 B</title>") && !svg.contains("start"),
            "what all share is left out: {svg}"
        );
        assert!(svg.contains("viewBox=\"0 0 1000 68\""), "four rows: {svg}");
        assert!(flame_graph(&[]).contains("<title>all: 0 B</title>"));
    }
}
