//! The report's plots: strategies in, SVG text out, for `html.rs` to set inline.
//!
//! Bars and dots are drawn in pixels, because every figure carries its number beside it and nothing may be cut; the lines
//! over the requests use the drawing library's own axes. Invariants: text is SVG text, escaped; zero has a place and a
//! label of its own, and what is not zero is at least one pixel wide; colours come only from [`Colour`], whose
//! values the page's style sheet maps to its light and dark palettes. Cost: a few tens of kilobytes of text per plot,
//! whatever the run's length, since lines are thinned to the width of the plot.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{ReportError, Strategy, units};

pub(super) use plotters::style::RGBColor as Rgb;

/// A colour of the light palette and what stands for it in the dark one.
#[derive(Clone, Copy)]
pub(super) struct Colour {
    pub(super) light: RGBColor,
    pub(super) dark: RGBColor,
}

const fn colour(light: u32, dark: u32) -> Colour {
    const fn rgb(hex: u32) -> RGBColor {
        let [_, r, g, b] = hex.to_be_bytes();
        RGBColor(r, g, b)
    }
    Colour { light: rgb(light), dark: rgb(dark) }
}

pub(super) const INK: Colour = colour(0x0b_0b_0b, 0xf2_f1_ec);
pub(super) const QUIET: Colour = colour(0x52_51_4e, 0xb5_b4_ab);
pub(super) const GRID: Colour = colour(0xe1_e0_d9, 0x38_38_35);
pub(super) const LANE: Colour = colour(0xf0_ef_ea, 0x26_26_24);

/// One for each phase, in the order of a request.
const PHASES: [Colour; 5] = [
    colour(0x2a_78_d6, 0x39_87_e5),
    colour(0x1b_af_7a, 0x19_9e_70),
    colour(0xed_a1_00, 0xc9_85_00),
    colour(0x00_83_00, 0x01_83_01),
    colour(0x4a_3a_a7, 0x90_85_e9),
];

/// One for each strategy, in the report's order; from the seventh on they come again.
const STRATEGIES: [Colour; 6] = [
    colour(0x7b_7a_75, 0xa3_a2_99),
    colour(0xeb_68_34, 0xd9_59_26),
    colour(0x2a_78_d7, 0x39_87_e6),
    colour(0xd5_51_81, 0xd5_51_82),
    colour(0x1b_ae_7a, 0x19_9e_71),
    colour(0x4a_3a_a8, 0x90_85_ea),
];

/// Every colour that a plot may hold, for the style sheet.
pub(super) fn colours() -> impl Iterator<Item = Colour> {
    [INK, QUIET, GRID, LANE].into_iter().chain(PHASES).chain(STRATEGIES)
}

/// The colours of the strategies whose lines are dashed, so that curves that cover each other can both be seen.
pub(super) fn dashed_colours() -> impl Iterator<Item = Colour> {
    STRATEGIES.into_iter().skip(1).step_by(2)
}

pub(super) const WIDTH: i32 = 960;
/// Left of it stand the names of the strategies.
const NAMES_WIDTH: i32 = 134;
pub(super) const ROW_HEIGHT: i32 = 34;
pub(super) const BAR_HEIGHT: i32 = 20;
const TEXT_SIZE: i32 = 14;

pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// All phases of a request, one stacked bar for each strategy.
pub(super) fn phases_stacked(strategies: &[Strategy]) -> Result<String, ReportError> {
    const TOP: i32 = 44;
    let bottom = TOP + rows_height(strategies);
    let most_ns = strategies.iter().map(|s| s.phase_ns_mean.sum()).fold(0.0, f64::max);
    let scale = Scale { zero: NAMES_WIDTH, length: WIDTH - NAMES_WIDTH - 90, most: most_ns };
    drawn("time per phase", bottom + 30, |canvas| {
        let mut x = NAMES_WIDTH;
        for ((phase, _), colour) in strategies[0].phase_ns_mean.named().into_iter().zip(PHASES) {
            canvas.block((x, 10), (x + 14, 24), colour)?;
            canvas.text(phase, (x + 20, 17), HPos::Left, QUIET)?;
            x += 96;
        }
        let (divisor, unit) = units::nanos_unit(most_ns);
        for tick in ticks(most_ns / divisor) {
            let x = scale.at(tick * divisor);
            canvas.line((x, TOP), (x, bottom), GRID)?;
            canvas.text(&format!("{} {unit}", units::tick(tick)), (x, bottom + 14), HPos::Center, QUIET)?;
        }
        for (strategy, y) in strategies.iter().zip(row_centres(TOP)) {
            canvas.name(strategy, y)?;
            let mut before_ns = 0.0;
            let mut end = NAMES_WIDTH;
            for ((_, ns), colour) in strategy.phase_ns_mean.named().into_iter().zip(PHASES) {
                let from = scale.at(before_ns).max(end);
                before_ns += ns;
                if ns > 0.0 {
                    end = scale.at(before_ns).max(from + 1);
                    // A hair of the ground between neighbours, where there is room for it.
                    let gap = if end - from > 4 { 2 } else { 0 };
                    canvas.block((from, y - BAR_HEIGHT / 2), (end - gap, y + BAR_HEIGHT / 2), colour)?;
                }
            }
            canvas.text(&units::nanos(before_ns), (end + 6, y), HPos::Left, INK)?;
        }
        canvas.line((NAMES_WIDTH, TOP), (NAMES_WIDTH, bottom), QUIET)
    })
}

/// Each phase on a scale of its own, so that the short ones can be compared too.
pub(super) fn phases_apart(strategies: &[Strategy]) -> Result<String, ReportError> {
    const TOP: i32 = 36;
    const COLUMN_WIDTH: i32 = (WIDTH - NAMES_WIDTH) / 5;
    let bottom = TOP + rows_height(strategies);
    drawn("each phase", bottom + 6, |canvas| {
        for (strategy, y) in strategies.iter().zip(row_centres(TOP)) {
            canvas.name(strategy, y)?;
        }
        for (phase, x) in (0..PHASES.len()).zip((NAMES_WIDTH..).step_by(COLUMN_WIDTH as usize)) {
            let of = |s: &Strategy| s.phase_ns_mean.named()[phase];
            let most = strategies.iter().map(|s| of(s).1).fold(0.0, f64::max);
            let scale = Scale { zero: x, length: COLUMN_WIDTH - 80, most };
            canvas.text(of(&strategies[0]).0, (x, 17), HPos::Left, QUIET)?;
            for (strategy, y) in strategies.iter().zip(row_centres(TOP)) {
                let ns = of(strategy).1;
                let end = if ns > 0.0 { scale.at(ns).max(x + 1) } else { x };
                canvas.block((x, y - BAR_HEIGHT / 2), (end, y + BAR_HEIGHT / 2), PHASES[phase])?;
                canvas.text(&units::nanos(ns), (end + 6, y), HPos::Left, INK)?;
            }
            canvas.line((x, TOP), (x, bottom), QUIET)?;
        }
        Ok(())
    })
}

/// Allocator calls per request, over the run and in its second half, by powers of ten with a lane for zero.
pub(super) fn allocator_calls(strategies: &[Strategy]) -> Result<String, ReportError> {
    const TOP: i32 = 40;
    const PANEL_WIDTH: i32 = (WIDTH - NAMES_WIDTH) / 2;
    type Figure = fn(&Strategy) -> f64;
    let panels: [(&str, Figure); 2] = [
        ("whole run", |s| s.allocator_calls_per_request),
        ("second half of the run", |s| s.steady_allocator_calls_per_request),
    ];
    let bottom = TOP + rows_height(strategies);
    let figures = strategies.iter().flat_map(|s| panels.map(|(_, figure)| figure(s)));
    let decades = Decades::around(figures.filter(|calls| *calls > 0.0), PANEL_WIDTH - 150);
    drawn("allocator calls", bottom + 30, |canvas| {
        for (strategy, y) in strategies.iter().zip(row_centres(TOP)) {
            canvas.name(strategy, y)?;
        }
        for ((title, figure), left) in panels.into_iter().zip([NAMES_WIDTH, NAMES_WIDTH + PANEL_WIDTH]) {
            // The lane of zero, then a gap in the axis, then the powers of ten.
            let (zero, first) = (left + 16, left + 62);
            canvas.text(title, (left, 17), HPos::Left, QUIET)?;
            canvas.block((left, TOP), (left + 32, bottom), LANE)?;
            canvas.text("0", (zero, bottom + 14), HPos::Center, QUIET)?;
            for (power, offset) in decades.ticks() {
                let x = first + offset;
                canvas.line((x, TOP), (x, bottom), GRID)?;
                canvas.text(&units::tick(10_f64.powi(power)), (x, bottom + 14), HPos::Center, QUIET)?;
            }
            for ((at, strategy), y) in strategies.iter().enumerate().zip(row_centres(TOP)) {
                let calls = figure(strategy);
                let x = if calls > 0.0 { first + decades.offset(calls) } else { zero };
                canvas.dot((x, y), strategy_colour(at))?;
                let aside = if calls > 0.0 { 10 } else { 20 };
                canvas.text(&short_count(calls), (x + aside, y), HPos::Left, INK)?;
            }
        }
        Ok(())
    })
}

/// Live bytes over the requests, one line for each strategy that has points; nothing if none has.
pub(super) fn live_bytes(strategies: &[Strategy]) -> Result<Option<String>, ReportError> {
    const LEFT: i32 = 84;
    const LEGEND_COLUMNS: i32 = 5;
    let with_points = || strategies.iter().enumerate().filter(|(_, s)| !s.live_bytes.is_empty());
    let points = || with_points().flat_map(|(_, s)| &s.live_bytes);
    let Some(last) = points().map(|p| p.request).max() else {
        return Ok(None);
    };
    let most_bytes = points().map(|p| units::real(p.live_bytes)).fold(1.0, f64::max);
    let (divisor, unit) = units::bytes_unit(most_bytes);
    let most_requests = units::real(last.max(1));
    let named = i32::try_from(with_points().count()).unwrap_or(i32::MAX / 64);
    let legend_height = 10 + 24 * ((named + LEGEND_COLUMNS - 1) / LEGEND_COLUMNS);
    let svg = drawn("live bytes", legend_height + 316, |canvas| {
        for (nth, (at, strategy)) in (0..).zip(with_points()) {
            let (x, y) = (LEFT + nth % LEGEND_COLUMNS * 170, 17 + nth / LEGEND_COLUMNS * 24);
            canvas.path([(x, y), (x + 28, y)], strategy_colour(at))?;
            canvas.text(&shortened(&strategy.name), (x + 36, y), HPos::Left, QUIET)?;
        }
        let area = canvas.area.margin(legend_height, 0, 0, 0);
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(48)
            .y_label_area_size(LEFT)
            .margin_top(8)
            .margin_right(40)
            .build_cartesian_2d(0.0..most_requests, 0.0..most_bytes * 1.05 / divisor)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.light)
            .axis_style(QUIET.light)
            .label_style(text_style(QUIET, HPos::Left))
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|request| units::tick(*request))
            .y_label_formatter(&|bytes| format!("{} {unit}", units::tick(*bytes)))
            .x_desc("request")
            .draw()?;
        for (at, strategy) in with_points() {
            let line = thinned(strategy).into_iter().map(|(request, bytes)| (request, bytes / divisor));
            chart.draw_series(LineSeries::new(line, strategy_colour(at).light.stroke_width(2)))?;
        }
        Ok(())
    })?;
    Ok(Some(svg))
}

/// The surface of one plot and the few shapes that plots are made of.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl Canvas<'_> {
    pub(super) fn text(&self, text: &str, at: (i32, i32), anchor: HPos, colour: Colour) -> Drawn {
        self.area.draw(&Text::new(text, at, text_style(colour, anchor)))
    }

    fn name(&self, strategy: &Strategy, y: i32) -> Drawn {
        self.text(&shortened(&strategy.name), (NAMES_WIDTH - 10, y), HPos::Right, INK)
    }

    pub(super) fn block(&self, from: (i32, i32), to: (i32, i32), colour: Colour) -> Drawn {
        if to.0 <= from.0 {
            return Ok(());
        }
        self.area.draw(&Rectangle::new([from, to], colour.light.filled()))
    }

    pub(super) fn line(&self, from: (i32, i32), to: (i32, i32), colour: Colour) -> Drawn {
        self.area.draw(&PathElement::new([from, to], colour.light))
    }

    fn path(&self, points: [(i32, i32); 2], colour: Colour) -> Drawn {
        self.area.draw(&PathElement::new(points, colour.light.stroke_width(2)))
    }

    fn dot(&self, at: (i32, i32), colour: Colour) -> Drawn {
        self.area.draw(&Circle::new(at, 6, colour.light.filled()))
    }
}

/// Runs `draw` on an empty surface of this height and gives back the SVG.
pub(super) fn drawn(
    plot: &'static str,
    height: i32,
    draw: impl FnOnce(&Canvas<'_>) -> Drawn,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
    let canvas = Canvas { area: SVGBackend::with_string(&mut svg, size).into_drawing_area() };
    let result = draw(&canvas).and_then(|()| canvas.area.present());
    drop(canvas);
    result.map_err(|e| ReportError::Plot { plot, reason: e.to_string() })?;
    Ok(svg)
}

/// A bar's way from zero to the largest figure of its panel.
pub(super) struct Scale {
    pub(super) zero: i32,
    pub(super) length: i32,
    pub(super) most: f64,
}

impl Scale {
    pub(super) fn at(&self, value: f64) -> i32 {
        if self.most > 0.0 { self.zero + pixels(value / self.most * f64::from(self.length)) } else { self.zero }
    }
}

/// A logarithmic axis of whole powers of ten.
struct Decades {
    first: i32,
    last: i32,
    length: i32,
}

impl Decades {
    fn around(positive: impl Iterator<Item = f64>, length: i32) -> Self {
        let (mut first, mut last) = (i32::MAX, i32::MIN);
        for value in positive {
            let power = value.log10();
            first = first.min(pixels(power.floor()));
            last = last.max(pixels(power.ceil()));
        }
        if first > last {
            (first, last) = (0, 1);
        }
        Self { first, last: last.max(first + 1), length }
    }

    fn offset(&self, value: f64) -> i32 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        pixels(share * f64::from(self.length))
    }

    /// As many of the powers as have room for their labels, with their places.
    fn ticks(&self) -> impl Iterator<Item = (i32, i32)> {
        const LABEL_WIDTH: i32 = 52;
        let decades = self.last - self.first;
        let step = (decades * LABEL_WIDTH).unsigned_abs().div_ceil(self.length.unsigned_abs());
        (self.first..=self.last).step_by(step as usize).map(move |power| {
            let share = f64::from(power - self.first) / f64::from(decades);
            (power, pixels(share * f64::from(self.length)))
        })
    }
}

/// Round numbers from zero to `most`, between four and eight of them.
fn ticks(most: f64) -> Vec<f64> {
    if most <= 0.0 || !most.is_finite() {
        return vec![0.0];
    }
    let rough = most / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    (0..=8).map(|n| f64::from(n) * step).take_while(|tick| *tick <= most).collect()
}

/// The points of a strategy's line: at most two for each pixel of the width, of each stretch the largest.
fn thinned(strategy: &Strategy) -> Vec<(f64, f64)> {
    let points = &strategy.live_bytes;
    let stretch = points.len().div_ceil(WIDTH.unsigned_abs() as usize).max(1);
    points
        .chunks(stretch)
        .filter_map(|chunk| chunk.iter().max_by_key(|point| point.live_bytes))
        .map(|point| (units::real(point.request), units::real(point.live_bytes)))
        .collect()
}

pub(super) fn strategy_colour(at: usize) -> Colour {
    STRATEGIES[at % STRATEGIES.len()]
}

fn rows_height(strategies: &[Strategy]) -> i32 {
    ROW_HEIGHT * i32::try_from(strategies.len()).unwrap_or(i32::MAX / ROW_HEIGHT)
}

fn row_centres(top: i32) -> impl Iterator<Item = i32> {
    (top + ROW_HEIGHT / 2..).step_by(ROW_HEIGHT as usize)
}

fn text_style(colour: Colour, anchor: HPos) -> TextStyle<'static> {
    // The backend divides by 1.24 to get from its own measure to the pixels of `font-size`.
    let font = ("sans-serif", f64::from(TEXT_SIZE) * 1.24).into_font();
    TextStyle { font, color: colour.light.to_backend_color(), pos: Pos::new(anchor, VPos::Center) }
}

/// A count that fits beside a dot at the end of its axis.
fn short_count(value: f64) -> String {
    let text = units::count(value);
    if text.len() <= 9 { text } else { format!("{value:.2e}") }
}

/// A name that fits its place and holds nothing that a text cannot show.
fn shortened(name: &str) -> String {
    const CHARS_MAX: usize = 16;
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    if name.chars().count() <= CHARS_MAX {
        return name.chars().map(shown).collect();
    }
    name.chars().take(CHARS_MAX - 1).map(shown).chain(['…']).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and plots are a thousand pixels wide")]
fn pixels(length: f64) -> i32 {
    length.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{LivePoint, PhaseNs};

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(0.0), [0.0]);
        for most in [1e-300, 0.3, 1.0, 99.0, 101.0, 7e12, 1e300, f64::MAX] {
            let ticks = ticks(most);
            assert!((4..=8).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(ticks.iter().all(|tick| *tick <= most), "{most}: {ticks:?}");
        }
    }

    #[test]
    fn decades_hold_every_figure() {
        let figures = [812.0, 0.0004, 1.0];
        let axis = Decades::around(figures.into_iter(), 200);
        assert_eq!((axis.first, axis.last), (-4, 3));
        for figure in figures {
            assert!((0..=200).contains(&axis.offset(figure)), "{figure}");
        }
        let alone = Decades::around([10.0].into_iter(), 200);
        assert_eq!((alone.first, alone.last), (1, 2));
        let none = Decades::around(std::iter::empty(), 200);
        assert_eq!((none.first, none.last), (0, 1));
        let wide = Decades::around([1e-300, 1e300].into_iter(), 200);
        assert!(wide.ticks().count() <= 5);
        assert_eq!(axis.ticks().map(|(power, _)| power).collect::<Vec<_>>(), [-4, -2, 0, 2]);
    }

    /// The whole numbers that an attribute has in the shapes of one fill, in the order of drawing.
    fn numbers(svg: &str, shape: &str, attribute: &str, fill: Colour) -> Vec<i32> {
        let RGBColor(r, g, b) = fill.light;
        let fill = format!("fill=\"#{r:02X}{g:02X}{b:02X}\"");
        svg.split(['<', '>'])
            .filter(|tag| tag.starts_with(shape) && tag.contains(&fill))
            .filter_map(|tag| tag.split_once(&format!(" {attribute}=\""))?.1.split('"').next())
            .map(|number| number.parse().unwrap())
            .collect()
    }

    #[test]
    fn dots_stand_where_their_calls_are() {
        let calls = [1_000.0, 10.0, 0.0].map(|calls| Strategy {
            allocator_calls_per_request: calls,
            steady_allocator_calls_per_request: calls / 10.0,
            ..Strategy::default()
        });
        let svg = allocator_calls(&calls).unwrap();
        let dots = [0, 1, 2].map(|at| numbers(&svg, "circle", "cx", strategy_colour(at)));
        // Axis of three decades; the second panel is the first one moved, its dots a decade lower.
        let decade = (dots[0][0] - dots[1][0]) / 2;
        let panel = dots[2][1] - dots[2][0];
        assert!(decade > 50, "{dots:?}");
        let moved = dots[0][1] - dots[0][0];
        assert!((moved - (panel - decade)).abs() <= 1, "beyond rounding: {dots:?}");
        assert!(dots[2][0] < dots[1][0] - decade, "zero has a lane of its own: {dots:?}");
    }

    #[test]
    fn bars_are_as_long_as_their_times() {
        let times = [(400.0, 100.0), (200.0, 0.0), (0.001, 0.0)].map(|(build, release)| Strategy {
            phase_ns_mean: PhaseNs { build, release, ..Default::default() },
            ..Strategy::default()
        });
        let apart = phases_apart(&times).unwrap();
        let build = numbers(&apart, "rect", "width", PHASES[1]);
        assert!((build[0] - 2 * build[1]).abs() <= 1 && build[2] == 1, "{build:?}");
        assert_eq!(numbers(&apart, "rect", "width", PHASES[4]).len(), 1, "no bar for no time");
        let stacked = phases_stacked(&times).unwrap();
        // The first is the legend's.
        let build = numbers(&stacked, "rect", "width", PHASES[1]);
        assert!((build[1] - 2 * build[2]).abs() <= 3 && build[3] == 1, "{build:?}");
        let release = numbers(&stacked, "rect", "width", PHASES[4]);
        assert!((build[1] - 4 * release[1]).abs() <= 8 && release.len() == 2, "{release:?}");
    }

    #[test]
    fn thinning_keeps_the_peak() {
        let live_bytes =
            (0..100_000).map(|n| LivePoint { request: n, live_bytes: if n == 54_321 { 9_999 } else { 5 } }).collect();
        let strategy = Strategy { live_bytes, ..Strategy::default() };
        let line = thinned(&strategy);
        assert!(line.len() <= 960, "{}", line.len());
        assert!(line.contains(&(54_321.0, 9_999.0)));
    }

    #[test]
    fn no_two_colours_share_a_light_value_and_differ_in_the_dark() {
        let all: Vec<Colour> = colours().collect();
        for (at, a) in all.iter().enumerate() {
            for b in &all[at + 1..] {
                assert!(a.light != b.light || a.dark == b.dark, "{:?}", a.light);
            }
        }
    }

    #[test]
    fn names_are_cut_by_characters() {
        assert_eq!(shortened("heap-mimalloc"), "heap-mimalloc");
        assert_eq!(shortened("ääääääääääääääääää"), "äääääääääääääää…");
        assert_eq!(shortened("a\u{7}b"), "a\u{fffd}b");
    }
}
