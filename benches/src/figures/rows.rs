//! What `ratios --rows` prints, read back: a line per contender, its times round by round.
//!
//! Invariant: ratios are taken within a round; a round in which either sample could not be had does not count.

use super::Error;
use super::printed::Printed;
use crate::contest::Role;

/// One contender's times in one process.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) group: String,
    pub(super) role: Role,
    pub(super) threads: usize,
    pub(super) name: String,
    /// Nanoseconds per operation, not a number where no undisturbed sample could be had.
    pub(super) times: Vec<f64>,
}

/// All that was measured.
pub(super) struct Figures {
    pub(super) machine: String,
    /// What repeats them.
    pub(super) command: String,
    pub(super) runs: usize,
    pub(super) rounds: usize,
    pub(super) system: Measured,
    pub(super) mimalloc: Measured,
    pub(super) printed: Vec<Printed>,
}

/// The rows of several processes under one allocator, one process after another.
pub(super) struct Measured(Vec<Row>);

/// A figure of each process: their median, the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Measured {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        Self(rows)
    }

    /// The groups, each once, as they were measured.
    pub(super) fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for row in &self.0 {
            if !groups.contains(&&*row.group) {
                groups.push(&row.group);
            }
        }
        groups
    }

    /// The contenders of a group on so many threads, each once, ours first.
    pub(super) fn contenders(&self, group: &str, threads: usize) -> Vec<(&str, Role)> {
        let mut contenders: Vec<(&str, Role)> = Vec::new();
        for row in self.0.iter().filter(|row| row.group == group && row.threads == threads) {
            if !contenders.iter().any(|(name, _)| *name == row.name) {
                contenders.push((&row.name, row.role));
            }
        }
        contenders
    }

    /// The median time of a contender.
    pub(super) fn time(&self, group: &str, name: &str, threads: usize) -> Option<Range> {
        Range::of(self.rows(group, name, threads).filter_map(|row| median(row.times.iter().copied())))
    }

    /// The time of one contender over another's.
    pub(super) fn ratio(&self, group: &str, of: (&str, usize), over: (&str, usize)) -> Option<Range> {
        let pairs = self.rows(group, of.0, of.1).zip(self.rows(group, over.0, over.1));
        Range::of(pairs.filter_map(|(of, over)| median(of.times.iter().zip(&over.times).map(|(of, over)| of / over))))
    }

    /// The contender of a role that takes the least time.
    pub(super) fn best(&self, group: &str, role: Role, threads: usize) -> Option<&str> {
        self.best_but(group, role, threads, "")
    }

    /// The same among all others than `but`.
    pub(super) fn best_but(&self, group: &str, role: Role, threads: usize, but: &str) -> Option<&str> {
        let others = self.contenders(group, threads).into_iter();
        let of_role = others.filter(|(name, its)| *its == role && *name != but);
        self.fastest(group, of_role.map(|(name, _)| name), threads)
    }

    /// The one of these that takes the least time.
    pub(super) fn best_of<'n>(&self, group: &str, names: &[&'n str], threads: usize) -> Option<&'n str> {
        self.fastest(group, names.iter().copied(), threads)
    }

    fn fastest<'n>(&self, group: &str, names: impl Iterator<Item = &'n str>, threads: usize) -> Option<&'n str> {
        let timed = names.filter_map(|name| Some((name, self.time(group, name, threads)?.median)));
        Some(timed.min_by(|a, b| a.1.total_cmp(&b.1))?.0)
    }

    fn rows<'m>(&'m self, group: &'m str, name: &'m str, threads: usize) -> impl Iterator<Item = &'m Row> {
        self.0.iter().filter(move |row| row.group == group && row.name == name && row.threads == threads)
    }
}

impl Range {
    fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let (&least, &most) = (figures.first()?, figures.last()?);
        Some(Self { least, median: median(figures.into_iter())?, most })
    }

    /// One over each of them.
    pub(super) fn inverse(self) -> Self {
        Self { least: self.most.recip(), median: self.median.recip(), most: self.least.recip() }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// Reads rows as [`ratios`](crate::ratios) prints them.
pub(super) fn read(text: &str) -> Result<Vec<Row>, Error> {
    text.lines().map(row).collect()
}

fn row(line: &str) -> Result<Row, Error> {
    let error = |expected| Error::Row { line: line.to_owned(), expected };
    let mut fields = line.split('\t');
    let group = fields.next().filter(|group| group.contains('/')).ok_or_else(|| error("a group's name first"))?;
    let role = fields.next().and_then(Role::from_name).ok_or_else(|| error("a role second"))?;
    let threads = fields.next().and_then(|text| text.parse().ok()).ok_or_else(|| error("a number of threads third"))?;
    let name = fields.next().ok_or_else(|| error("a contender's name fourth"))?;
    let times: Result<Vec<f64>, _> = fields.map(str::parse).collect();
    let times = times.ok().filter(|times| !times.is_empty()).ok_or_else(|| error("times from the fifth on"))?;
    Ok(Row { group: group.to_owned(), role, threads, name: name.to_owned(), times })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(text: &str) -> Measured {
        Measured::new(read(&text.replace(' ', "\t")).unwrap())
    }

    #[test]
    fn ratios_are_taken_within_rounds_and_their_median_over_processes() {
        let all = measured(
            "g/w ours 1 a 1 10 NaN\ng/w peer 1 b 2 20 5\ng/w ours 1 a 1 1 1\ng/w peer 1 b 4 4 NaN\ng/w ours 1 a 2 2 2\ng/w peer 1 b 6 6 6",
        );
        let range = all.ratio("g/w", ("b", 1), ("a", 1)).unwrap();
        assert_eq!(range, Range { least: 2.0, median: 3.0, most: 4.0 });
        let inverse = range.inverse();
        assert!(inverse.least < inverse.median && inverse.median < inverse.most);
        assert_eq!(all.ratio("g/w", ("b", 2), ("a", 1)), None);
    }

    #[test]
    fn the_best_of_a_role_takes_the_least_time() {
        let all = measured("g/w ours 1 a 1\ng/w peer 1 b 3\ng/w peer 1 c 2\ng/w limit 1 d 1\ng/w peer 2 b 1");
        assert_eq!(all.best("g/w", Role::Peer, 1), Some("c"));
        assert_eq!(all.best_but("g/w", Role::Peer, 1, "c"), Some("b"));
        assert_eq!(all.best("g/w", Role::Peer, 2), Some("b"));
        assert_eq!(all.best("g/w", Role::Control, 1), None);
        assert_eq!(all.best_of("g/w", &["b", "a", "d"], 1), Some("a"));
        assert_eq!(all.groups(), ["g/w"]);
    }

    #[test]
    fn what_is_no_row_is_refused_with_its_line() {
        for (line, expected) in [
            ("", "a group's name first"),
            ("g/w\tfriend", "a role second"),
            ("g/w\tpeer\tmany", "a number of threads third"),
            ("g/w\tpeer\t1", "a contender's name fourth"),
            ("g/w\tpeer\t1\ta", "times from the fifth on"),
            ("g/w\tpeer\t1\ta\tfast", "times from the fifth on"),
        ] {
            let told = row(line).unwrap_err().to_string();
            assert!(told.contains(&format!("{line:?}")) && told.ends_with(expected), "{told}");
        }
    }
}
