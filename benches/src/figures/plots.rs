//! The README's plots: a group's contenders as bars of their time over ours, on a scale of powers of ten.
//!
//! Invariants: text is SVG text, escaped; each bar carries its number, so that nothing hangs on the scale; ours is the line at 1.
//! Cost: a few kilobytes of text a plot.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Error;
use super::rows::{Figures, Measured};
use super::tables::short;
use crate::contest::Role;

/// The groups that have a plot, and the number of threads.
const PLOTTED: &[(&str, usize)] = &[
    ("request/reference", 1),
    ("request/random", 1),
    ("bump/u64", 1),
    ("bump/str of 16", 1),
    ("shared/u64", 2),
    ("pool/acquire and return", 1),
    ("pool/buffer-1k", 2),
    ("intern/hit-10000", 1),
    ("intern/shared-hit-10000", 2),
    ("arc/get-10000", 2),
    ("collections/format", 1),
    ("collections/map-16/build", 1),
    ("archive/read-one", 1),
    ("archive/encode-one", 1),
    ("mapped/find-1000000", 1),
    ("placement/1000", 1),
];

const WIDTH: i32 = 860;
const NAMES_WIDTH: i32 = 300;
const TOP: i32 = 40;
const ROW_HEIGHT: i32 = 24;
const BAR_HEIGHT: i32 = 15;
const TEXT_SIZE: i32 = 13;

const GROUND: RGBColor = RGBColor(0xff, 0xff, 0xff);
const INK: RGBColor = RGBColor(0x0b, 0x0b, 0x0b);
const QUIET: RGBColor = RGBColor(0x52, 0x51, 0x4e);
const GRID: RGBColor = RGBColor(0xe1, 0xe0, 0xd9);

fn colour(role: Role) -> RGBColor {
    match role {
        Role::Ours => RGBColor(0x2a, 0x78, 0xd6),
        Role::Peer => RGBColor(0x7b, 0x7a, 0x75),
        Role::Limit | Role::Control => RGBColor(0xed, 0xa1, 0x00),
    }
}

/// The plotted groups of those that were measured.
pub(super) fn names(measured: &Measured) -> Vec<&'static str> {
    let groups = measured.groups();
    PLOTTED.iter().map(|(group, _)| *group).filter(|group| groups.contains(group)).collect()
}

/// A plot's file in the folder of plots.
pub(super) fn file(group: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("{}.svg", group.chars().map(plain).collect::<String>())
}

/// File names and SVG texts.
pub(super) fn drawn(figures: &Figures) -> Result<Vec<(String, String)>, Error> {
    let groups = figures.system.groups();
    let there = PLOTTED.iter().filter(|(group, _)| groups.contains(group));
    there.map(|&(group, threads)| Ok((file(group), plot(&figures.system, group, threads)?))).collect()
}

struct Bar<'m> {
    name: &'m str,
    role: Role,
    over_ours: f64,
}

fn plot(measured: &Measured, group: &str, threads: usize) -> Result<String, Error> {
    let contenders = measured.contenders(group, threads);
    let ours = contenders.first().map_or("", |(name, _)| *name);
    let bars: Vec<Bar<'_>> = contenders
        .iter()
        .filter_map(|&(name, role)| {
            let over_ours = measured.ratio(group, (name, threads), (ours, threads))?.median;
            Some(Bar { name, role, over_ours })
        })
        .collect();
    let on = if threads == 1 { String::new() } else { format!(", {threads} threads") };
    let title = format!("{group}{on}: time over {ours}'s, by powers of ten; less is faster");
    svg(&title, &bars).map_err(|error| Error::Plot(format!("{group}: {error}")))
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn svg(title: &str, bars: &[Bar<'_>]) -> Result<String, DrawingAreaErrorKind<std::io::Error>> {
    let rows = i32::try_from(bars.len()).unwrap_or(i32::MAX / ROW_HEIGHT / 2);
    let height = TOP + rows * ROW_HEIGHT + 12;
    let mut text = String::new();
    {
        let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&GROUND)?;
        draw(&area, title, bars, height)?;
        area.present()?;
    }
    Ok(text)
}

fn draw(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, bars: &[Bar<'_>], height: i32) -> Drawn {
    let scale = Scale::around(bars);
    put(area, title, (12, 18), HPos::Left, QUIET)?;
    for power in scale.low..=scale.high {
        let x = scale.at(10_f64.powi(power));
        area.draw(&PathElement::new([(x, TOP - 8), (x, height - 8)], GRID))?;
    }
    for (bar, y) in bars.iter().zip((TOP + ROW_HEIGHT / 2..).step_by(ROW_HEIGHT.unsigned_abs() as usize)) {
        put(area, bar.name, (NAMES_WIDTH - 8, y), HPos::Right, INK)?;
        let end = scale.at(bar.over_ours).max(NAMES_WIDTH + 1);
        let corners = [(NAMES_WIDTH, y - BAR_HEIGHT / 2), (end, y + BAR_HEIGHT / 2)];
        area.draw(&Rectangle::new(corners, colour(bar.role).filled()))?;
        put(area, &short(bar.over_ours), (end + 6, y), HPos::Left, INK)?;
    }
    let one = scale.at(1.0);
    area.draw(&PathElement::new([(one, TOP - 8), (one, height - 8)], INK))
}

fn put(area: &DrawingArea<SVGBackend<'_>, Shift>, text: &str, at: (i32, i32), side: HPos, colour: RGBColor) -> Drawn {
    let style = ("sans-serif", TEXT_SIZE).into_text_style(area).color(&colour).pos(Pos::new(side, VPos::Center));
    area.draw_text(text, &style, at)
}

/// Powers of ten from the left edge of the bars to the right one.
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    fn around(bars: &[Bar<'_>]) -> Self {
        let ratios = || bars.iter().map(|bar| bar.over_ours).filter(|ratio| *ratio > 0.0);
        #[expect(clippy::cast_possible_truncation, reason = "powers of ten of ratios: small")]
        let [low, high] = [ratios().fold(1.0, f64::min).log10().floor(), ratios().fold(1.0, f64::max).log10().ceil()]
            .map(|power| power as i32);
        // A lone 1 would leave no length: the scale begins one power below what is shortest.
        Self { low: low - 1, high: high.max(low + 1) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    fn at(&self, ratio: f64) -> i32 {
        let length = f64::from(WIDTH - NAMES_WIDTH - 70);
        let whole = f64::from(self.high - self.low);
        NAMES_WIDTH + ((ratio.log10() - f64::from(self.low)) / whole * length).round() as i32
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::read;
    use super::*;

    #[test]
    fn a_plot_has_a_bar_and_a_number_for_each_contender() {
        let rows =
            "bump/u64\tours\t1\tblixard Arena\t2\nbump/u64\tpeer\t1\ta <peer>\t5\nbump/u64\tlimit\t1\tlimit\t0.5";
        let svg = plot(&Measured::new(read(rows).unwrap()), "bump/u64", 1).unwrap();
        for text in ["a &lt;peer&gt;", "2.50", "0.25", "1.00"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn one_lies_where_ours_ends_and_a_tenth_of_it_a_power_to_the_left() {
        let bar = |over_ours| Bar { name: "", role: Role::Ours, over_ours };
        let scale = Scale::around(&[bar(1.0), bar(100.0)]);
        assert_eq!((scale.low, scale.high), (-1, 2));
        assert_eq!(scale.at(0.1), NAMES_WIDTH);
        assert_eq!(scale.at(100.0), WIDTH - 70);
    }

    #[test]
    fn a_files_name_is_plain() {
        assert_eq!(file("bump/str of 16"), "bump-str-of-16.svg");
    }
}
