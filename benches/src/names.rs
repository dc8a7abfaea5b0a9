//! Names, and the order in which a service meets them: the same in every run.
//!
//! Names are of 3 to 32 bytes, as tenants, nodes, labels and services have them. They are met as names are: few again
//! and again, most of them seldom (Zipf: the k-th most frequent 1/k as often as the first), in an order that no branch
//! predictor learns. The texts that are met lie apart from every interner's own copies, as a request's input does.

use std::sync::OnceLock;

/// Names to be interned, and the same names as they are met.
#[derive(Debug)]
pub struct Names {
    /// Each once, in the order of interning, which says nothing about how often it is met.
    pub distinct: Vec<&'static str>,
    /// [`MEETINGS`] of them, by their place in `distinct`.
    pub met: Vec<u32>,
}

/// How many meetings there are before the same order comes again: a power of two.
pub const MEETINGS: usize = 1 << 14;

/// Ten names: what one request mentions.
///
/// # Panics
/// Never.
pub fn ten() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| Names::new(10))
}

/// Ten thousand: what a large batch mentions, more than the first-level cache holds.
///
/// # Panics
/// Never.
pub fn ten_thousand() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| Names::new(10_000))
}

impl Names {
    /// So many names, which stay for as long as the process.
    fn new(count: usize) -> Self {
        let mut random = Random(count as u64);
        let distinct = (0..count).map(|i| &*name(i, &mut random).leak()).collect();
        let mut sum = 0.0;
        let shares: Vec<f64> = (1..=u32::try_from(count).expect("few names"))
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        let mut of_rank: Vec<u32> = (0..).take(count).collect();
        for i in (1..count).rev() {
            of_rank.swap(i, random.below(i + 1));
        }
        let met = (0..MEETINGS)
            .map(|_| {
                let at = random.part() * sum;
                of_rank[shares.partition_point(|share| *share < at).min(count - 1)]
            })
            .collect();
        Self { distinct, met }
    }

    /// The texts met, one after the other.
    #[must_use]
    pub fn texts(&self) -> Vec<&'static str> {
        self.met.iter().map(|at| self.distinct[*at as usize]).collect()
    }
}

/// The `i`-th name: none other has its number.
fn name(i: usize, random: &mut Random) -> String {
    let zone = random.below(9);
    match random.below(8) {
        0 | 1 => format!("vm-{i}"),
        2 => format!("node-{i:04}"),
        3 => format!("tenant-{i:04}"),
        4 => format!("rack-{zone}/node-{i:04}"),
        5 => format!("tenant-{zone}/service-{i}"),
        6 => format!("zone-{zone}.example/label-{i:05}"),
        _ => format!("{i:x}-{zone}"),
    }
}

/// A linear congruence: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from((self.next() * bound as u64) >> 32).expect("below a usize")
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "32 bits")]
        let part = self.next() as f64 / (1_u64 << 32) as f64;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_distinct_and_few_are_met_often() {
        for names in [ten(), ten_thousand()] {
            let count = names.distinct.len();
            assert_eq!(names.distinct.iter().collect::<HashSet<_>>().len(), count);
            assert!(names.distinct.iter().all(|name| (3..=32).contains(&name.len())));
            let mut times = vec![0_u32; count];
            names.met.iter().for_each(|at| times[*at as usize] += 1);
            times.sort_unstable();
            let often: u32 = times[count - count.div_ceil(10)..].iter().sum();
            assert!(often as usize * 10 > MEETINGS * 3, "a tenth of the names: {often} of {MEETINGS} meetings");
            assert_eq!(names.texts().len(), MEETINGS);
        }
        assert_eq!(Names::new(10).distinct, ten().distinct, "the same in every run");
    }
}
