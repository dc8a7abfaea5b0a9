//! Resident memory over time, as a curve in text, and whether it is flat.
//!
//! The first fifth of the samples is warm-up: pools fill, and the allocator learns. The rest is halved, and the median of the second half is
//! compared with that of the first: more than a twentieth and [`SLACK_MIB`] above is growth. Medians, because the most that is resident at
//! one time depends on which large requests meet. A leak is seen once it is more than what the allocator holds free after the
//! warm-up: the longer a soak, the smaller the leak that it finds.

use std::fmt::{self, Write as _};
use std::fs;
use std::time::Duration;

/// What an allocator may take or give back by whole pieces of its own, whoever asks.
const SLACK_MIB: f64 = 4.0;

/// Of the first half's median, what the second half's may be beyond it.
const GROWTH_MAX: f64 = 0.05;

/// Samples, one per interval.
#[derive(Debug)]
pub struct Curve {
    every: Duration,
    resident_mib: Vec<f64>,
    at: Duration,
    requests: (u64, u64),
    since: Duration,
}

impl Curve {
    /// Names of the columns of [`Curve::line`].
    pub const HEADING: &'static str = "    time   resident                             requests/s";

    /// Samples to be taken so far apart.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { every, resident_mib: Vec::new(), at: Duration::ZERO, requests: (0, 0), since: Duration::ZERO }
    }

    /// Whether it is time for another one.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.at + self.every
    }

    /// Takes one, with the requests served by now.
    pub fn sample(&mut self, now: Duration, requests: u64) {
        self.resident_mib.push(resident_mib());
        (self.at, self.requests.1) = (now, requests);
    }

    /// Samples taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.resident_mib.len()
    }

    /// Whether none was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resident_mib.is_empty()
    }

    /// The last sample in a line: when, how much, drawn, requests per second since the last line, and whatever else there is to say.
    #[expect(clippy::cast_precision_loss, reason = "requests stay far below 2^52")]
    pub fn line(&mut self, more: &str) -> String {
        let now = self.resident_mib.last().copied().unwrap_or(0.0);
        let seconds = self.at.saturating_sub(self.since).as_secs_f64();
        let rate = (self.requests.1 - self.requests.0) as f64 / seconds.max(1e-9);
        (self.requests.0, self.since) = (self.requests.1, self.at);
        let drawn = bar(now, self.most(0..self.len()), 24);
        format!("{:6.1} s {now:7.1} MiB |{drawn}| {rate:9.0}   {more}", self.at.as_secs_f64())
    }

    /// All samples in one line, a sign for each part of them.
    #[must_use]
    pub fn drawn(&self) -> String {
        const SIGNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let most = self.most(0..self.len());
        let mut line = String::from("resident ");
        for part in self.resident_mib.chunks(self.len().div_ceil(80).max(1)) {
            let value = part.iter().copied().fold(0.0, f64::max);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 7")]
            let at = (value / most * 7.0).round().clamp(0.0, 7.0) as usize;
            line.push(SIGNS[at]);
        }
        let _ = write!(line, " 0 to {most:.1} MiB");
        line
    }

    /// What the curve says.
    #[must_use]
    pub fn flatness(&self) -> Flatness {
        let warm = self.len() / 5;
        let half = warm + (self.len() - warm) / 2;
        Flatness {
            samples: self.len(),
            first_half_mib: self.median(warm..half),
            second_half_mib: self.median(half..self.len()),
            most_mib: self.most(0..self.len()),
        }
    }

    fn median(&self, of: std::ops::Range<usize>) -> f64 {
        let mut sorted = self.resident_mib[of].to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }

    fn most(&self, of: std::ops::Range<usize>) -> f64 {
        self.resident_mib[of].iter().copied().fold(0.0, f64::max)
    }
}

fn bar(value: f64, most: f64, width: usize) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "from 0 to a line's width"
    )]
    let filled = (value / most.max(1e-9) * width as f64).round().clamp(0.0, width as f64) as usize;
    format!("{}{}", "█".repeat(filled), " ".repeat(width - filled))
}

/// What was resident, after warm-up, in each half of the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flatness {
    /// Samples, those of the warm-up included.
    pub samples: usize,
    /// Median of the first half.
    pub first_half_mib: f64,
    /// Median of the second half.
    pub second_half_mib: f64,
    /// The most at any time.
    pub most_mib: f64,
}

impl Flatness {
    /// What the second half's median may be at most.
    #[must_use]
    pub fn allowed_mib(&self) -> f64 {
        self.first_half_mib * (1.0 + GROWTH_MAX) + SLACK_MIB
    }

    /// Whether it has no more; never of fewer samples than tell anything.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.samples >= 20 && self.first_half_mib > 0.0 && self.second_half_mib <= self.allowed_mib()
    }
}

impl fmt::Display for Flatness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second, allowed) = (self.first_half_mib, self.second_half_mib, self.allowed_mib());
        let (samples, most) = (self.samples, self.most_mib);
        write!(
            f,
            "resident: of {samples} samples, after a fifth for warm-up, median {first:.1} MiB in the first half and \
             {second:.1} MiB in the second; allowed {allowed:.1} MiB (5 % and {SLACK_MIB} MiB above); at most {most:.1} MiB"
        )
    }
}

/// What the system says is in memory of this process; 0 where it does not say.
fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(of: impl Fn(f64) -> f64) -> Flatness {
        let mut curve = Curve::new(Duration::from_secs(1));
        curve.resident_mib = (0..200).map(|at| of(f64::from(at) / 200.0)).collect();
        curve.flatness()
    }

    #[test]
    fn what_settles_is_flat_and_what_grows_is_not() {
        assert!(curve(|_| 100.0).is_flat());
        assert!(curve(|at| 100.0 * (at * 6.0).min(1.0)).is_flat(), "warm-up");
        assert!(curve(|at| 100.0 + 8.0 * (at * 50.0).sin()).is_flat(), "noise");
        assert!(curve(|at| if (0.7..0.72).contains(&at) { 150.0 } else { 100.0 }).is_flat(), "a burst");
        assert!(!curve(|at| 100.0 + 40.0 * at).is_flat(), "a leak");
        assert!(!curve(|at| if at < 0.7 { 100.0 } else { 120.0 }).is_flat(), "a step");
        assert!(!curve(|_| 0.0).is_flat(), "nothing was read");
    }

    #[test]
    fn this_process_is_resident() {
        assert!(resident_mib() > 0.5);
    }

    #[test]
    fn lines_show_when_how_much_and_how_fast() {
        let mut curve = Curve::new(Duration::from_secs(2));
        assert!(!curve.is_due(Duration::from_secs(1)) && curve.is_due(Duration::from_secs(2)));
        curve.sample(Duration::from_secs(2), 500);
        let line = curve.line("12 names");
        assert!(line.contains("2.0 s") && line.contains("250   12 names") && line.contains('█'), "{line}");
        assert!(curve.drawn().contains('█'));
    }
}
