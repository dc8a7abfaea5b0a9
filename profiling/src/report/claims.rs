//! What was hoped for of pools and interned names, and what they and arenas reach: figures, their part of the page, a plot.
//!
//! Invariant: percentages are computed here from the counts beside them, and nowhere else.

use plotters::style::text_anchor::HPos;
use serde::{Deserialize, Serialize};

use super::html::{Table, push_figure};
use super::plots::{
    BAR_HEIGHT, Canvas, Drawn, GRID, INK, LANE, QUIET, ROW_HEIGHT, Scale, WIDTH, drawn, strategy_colour,
};
use super::{ReportError, units};

/// One kind of thing, counted by a replay that does nothing else, in three forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// What was counted.
    pub name: String,
    /// How many percent fewer were hoped for, from and to.
    pub hoped_percent: [u32; 2],
    /// Mean count per request on the plain heap.
    pub heap_per_request: f64,
    /// The same out of pools.
    pub pooled_per_request: f64,
    /// The same in an arena.
    pub arena_per_request: f64,
    /// How many percent fewer than on the heap that is; below 0 if it is more.
    pub pooled_percent: f64,
    /// Likewise in an arena.
    pub arena_percent: f64,
}

impl Claim {
    /// From what was counted in so many requests, at least one.
    #[must_use]
    pub fn new(name: &str, hoped_percent: [u32; 2], requests: u64, [heap, pooled, arena]: [u64; 3]) -> Self {
        let per_request = |count: u64| units::real(count) / units::real(requests.max(1));
        // Of nothing nothing can be saved.
        let fewer = |count: u64| if heap == 0 { 0.0 } else { 100.0 - 100.0 * units::real(count) / units::real(heap) };
        Self {
            name: name.to_owned(),
            hoped_percent,
            heap_per_request: per_request(heap),
            pooled_per_request: per_request(pooled),
            arena_per_request: per_request(arena),
            pooled_percent: fewer(pooled),
            arena_percent: fewer(arena),
        }
    }

    /// As text under [`COLUMNS`](Self::COLUMNS).
    #[must_use]
    pub fn cells(&self) -> [String; 6] {
        let [from, to] = self.hoped_percent;
        let counts = [self.heap_per_request, self.pooled_per_request, self.arena_per_request].map(units::count);
        let [heap, pooled, arena] = counts;
        let [pooled_percent, arena_percent] = [self.pooled_percent, self.arena_percent].map(percent);
        [format!("{from} to {to}"), heap, pooled, arena, pooled_percent, arena_percent]
    }

    /// Titles: percent hoped for; per request on the heap, pooled, in an arena; percent fewer in the latter two.
    pub const COLUMNS: [&'static str; 6] = ["hoped, %", "heap", "pooled", "arena", "pooled, %", "arena, %"];

    pub(super) fn figures(&self) -> [(&'static str, f64); 5] {
        [
            ("heap_per_request", self.heap_per_request),
            ("pooled_per_request", self.pooled_per_request),
            ("arena_per_request", self.arena_per_request),
            // Percentages may be negative; what they are formed of may not.
            ("pooled_percent", self.pooled_percent.abs()),
            ("arena_percent", self.arena_percent.abs()),
        ]
    }
}

/// Rounded down, so that 100 % is all of it.
fn percent(value: f64) -> String {
    format!("{:.2}", (value * 100.0).floor() / 100.0)
}

/// The part of the page.
pub(super) fn push_claims(html: &mut String, claims: &[Claim]) -> Result<(), ReportError> {
    if claims.is_empty() {
        return Ok(());
    }
    html.push_str("<section>\n<h2>Fewer allocations, by kind</h2>\n");
    let mut table = Table::open(html, Claim::COLUMNS);
    for claim in claims {
        table.cells(&claim.name, claim.cells());
    }
    table.close();
    push_figure(html, "Percent fewer than on the heap; the shaded band is what was hoped for of pools", &plot(claims)?);
    html.push_str(
        "<p class=\"note\">Per request, from the first one on, each kind counted by a replay of the same requests that builds nothing \
         else: calls that ask the allocator for memory; of <code>Arc</code>s their clones and drops, where every VM's \
         line, config, proposal and decision refer to two shared configs.</p>\n</section>\n",
    );
    Ok(())
}

/// Two bars for each claim, over the band that was hoped for.
fn plot(claims: &[Claim]) -> Result<String, ReportError> {
    const NAMES_WIDTH: i32 = 190;
    const TOP: i32 = 44;
    let scale = Scale { zero: NAMES_WIDTH, length: WIDTH - NAMES_WIDTH - 90, most: 100.0 };
    let rows = 2 * ROW_HEIGHT * i32::try_from(claims.len()).unwrap_or(8);
    let bottom = TOP + rows;
    // The colours that the strategies have where all of them run.
    let forms = [("pooled", strategy_colour(2)), ("arena", strategy_colour(3))];
    let bar = |canvas: &Canvas<'_>, value: f64, y: i32, colour| -> Drawn {
        let end = if value > 0.0 { scale.at(value.min(100.0)).max(scale.zero + 1) } else { scale.zero };
        canvas.block((scale.zero, y - BAR_HEIGHT / 2), (end, y + BAR_HEIGHT / 2), colour)?;
        canvas.text(&percent(value), (end + 6, y), HPos::Left, INK)
    };
    drawn("claims", bottom + 30, |canvas| {
        for ((name, colour), x) in forms.into_iter().zip((NAMES_WIDTH..).step_by(96)) {
            canvas.block((x, 10), (x + 14, 24), colour)?;
            canvas.text(name, (x + 20, 17), HPos::Left, QUIET)?;
        }
        for (claim, top) in claims.iter().zip((TOP..).step_by(2 * ROW_HEIGHT.unsigned_abs() as usize)) {
            let [from, to] = claim.hoped_percent.map(|percent| scale.at(f64::from(percent)));
            canvas.block((from, top + 2), (to, top + 2 * ROW_HEIGHT - 2), LANE)?;
        }
        for percent in (0..=100).step_by(20) {
            let x = scale.at(f64::from(percent));
            canvas.line((x, TOP), (x, bottom), GRID)?;
            canvas.text(&format!("{percent} %"), (x, bottom + 14), HPos::Center, QUIET)?;
        }
        for (claim, top) in claims.iter().zip((TOP..).step_by(2 * ROW_HEIGHT.unsigned_abs() as usize)) {
            canvas.text(&claim.name, (NAMES_WIDTH - 10, top + ROW_HEIGHT), HPos::Right, INK)?;
            bar(canvas, claim.pooled_percent, top + ROW_HEIGHT / 2 + 3, forms[0].1)?;
            bar(canvas, claim.arena_percent, top + ROW_HEIGHT * 3 / 2 - 3, forms[1].1)?;
        }
        canvas.line((NAMES_WIDTH, TOP), (NAMES_WIDTH, bottom), QUIET)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_of_the_counts_beside_them() {
        let claim = Claim::new("string allocations", [70, 90], 10, [400, 100, 1]);
        assert_eq!((claim.heap_per_request, claim.pooled_per_request, claim.arena_per_request), (40.0, 10.0, 0.1));
        assert_eq!((claim.pooled_percent, claim.arena_percent), (75.0, 99.75));
        assert_eq!(claim.cells(), ["70 to 90", "40", "10", "0.100", "75.00", "99.75"]);
        let more = Claim::new("more", [40, 60], 1, [2, 3, 2]);
        assert_eq!((more.pooled_percent, more.arena_percent), (-50.0, 0.0));
        let none = Claim::new("none", [0, 0], 1, [0, 7, 0]);
        assert_eq!((none.pooled_percent, none.arena_percent), (0.0, 0.0));
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(percent(99.9999), "99.99");
        assert_eq!(percent(100.0), "100.00");
    }

    #[test]
    fn bars_are_as_long_as_their_percentages_and_bands_as_was_hoped() {
        let claims = [Claim::new("a", [50, 75], 1, [100, 50, 0]), Claim::new("b", [0, 25], 1, [100, 110, 75])];
        let svg = plot(&claims).unwrap();
        let width = |colour: &str| -> Vec<i32> {
            let rects = svg.split(['<', '>']).filter(|tag| tag.starts_with("rect") && tag.contains(colour));
            rects
                .map(|tag| tag.split_once(" width=\"").unwrap().1.split('"').next().unwrap().parse().unwrap())
                .collect()
        };
        let (pooled, arena, bands) = (width("#2A78D7"), width("#D55181"), width("#F0EFEA"));
        // The first of each is the legend's; no bar for none fewer.
        assert_eq!((pooled.len(), arena.len()), (2, 3));
        assert!((arena[1] - 2 * pooled[1]).abs() <= 2 && (arena[1] - 4 * arena[2]).abs() <= 4, "{pooled:?} {arena:?}");
        assert!(
            bands.len() == 2 && (bands[0] - bands[1]).abs() <= 1 && (arena[1] - 4 * bands[0]).abs() <= 4,
            "{bands:?}"
        );
        assert!(svg.contains("-10.00"));
    }
}
