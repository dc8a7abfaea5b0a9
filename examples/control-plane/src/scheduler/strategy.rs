//! Which node is preferred: each strategy as one number per node, larger being better.
//!
//! Pure arithmetic, between the node table, which keeps the numbers up to date, and the kernels, which compare them: that
//! is why a node is scored when something is taken from it and not each time that one is sought.
//!
//! Invariants: a score depends on the node, the strategy and whether GPUs are asked for, and on nothing else of the
//! VM; all of it is integers, so that every kernel decides alike.
#![forbid(unsafe_code)]

use std::fmt;

/// By which rule one node that fits is preferred to another; of equals the first in the table wins.
///
/// What a node has left counts in shares of the largest node's: 2^30 stands for all of it, for cores, for memory and, where a
/// VM asks for them, for GPUs. Their sum is what the strategies compare.
///
/// ```
/// use control_plane::scheduler::{Demand, ModelSet, Node, NodeTable, PlacementStrategy, Resources};
///
/// let node = |name: &str, cpu_milli| Node {
///     name: name.to_owned(), cpu_milli, memory_mib: 65_536, gpus: 0, model: String::new(),
/// };
/// let mut table = NodeTable::new(&[node("large", 64_000), node("small", 8_000)])?;
/// let resources = Resources { cpu_milli: 4_000, memory_mib: 1_024, ..Resources::default() };
/// let demand = Demand { resources, models: ModelSet::ANY };
/// let mut chosen = |strategy| {
///     table.rank_by(strategy);
///     table.name(table.rank(&demand).best().expect("both fit").node).to_owned()
/// };
/// assert_eq!(chosen(PlacementStrategy::MostAvailable), "large");
/// assert_eq!(chosen(PlacementStrategy::BestFit), "small");
/// # Ok::<(), control_plane::scheduler::NodeTableError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum PlacementStrategy {
    /// The most left of what is asked for: keeps room on every node for VMs that grow.
    #[default]
    MostAvailable,
    /// The least left of what is asked for: keeps large nodes free for large VMs.
    BestFit,
    /// The fewest VMs, of these the most left: a node that fails takes few along.
    Spread,
    /// The fewest GPUs left, of these the least left: keeps whole GPUs together, and VMs without GPUs away from them.
    GpuPacking,
}

impl PlacementStrategy {
    /// Every strategy.
    pub const ALL: [Self; 4] = [Self::MostAvailable, Self::BestFit, Self::Spread, Self::GpuPacking];

    /// The name used on command lines and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MostAvailable => "most-available",
            Self::BestFit => "best-fit",
            Self::Spread => "spread",
            Self::GpuPacking => "gpu-packing",
        }
    }

    /// The strategy of that name, if there is one.
    ///
    /// ```
    /// use control_plane::scheduler::PlacementStrategy;
    /// assert_eq!(PlacementStrategy::from_name("spread"), Some(PlacementStrategy::Spread));
    /// assert_eq!(PlacementStrategy::from_name("Spread"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == name)
    }

    /// What the chosen node is among those that fit, for people.
    pub(super) const fn superlative(self) -> &'static str {
        match self {
            Self::MostAvailable => "the most available",
            Self::BestFit => "the tightest fit",
            Self::Spread => "the least crowded",
            Self::GpuPacking => "the one with the fewest GPUs left",
        }
    }
}

impl fmt::Display for PlacementStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a node has left, as far as scores look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) cpu_milli: u32,
    pub(super) memory_mib: u32,
    /// At most 16 GPUs of 1,000.
    pub(super) gpu_milli: u32,
    /// VMs on the node.
    pub(super) vms: u32,
}

/// The capacities that count as a whole share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Largest {
    pub(super) cpu_milli: u32,
    pub(super) memory_mib: u32,
    pub(super) gpu_milli: u32,
}

/// Turns what is left into shares and scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    cpu: u64,
    memory: u64,
    gpu: u64,
}

impl Scale {
    pub(super) fn new(largest: Largest) -> Self {
        // Shares end at 2^30, and a product of a capacity and its weight at 2^62.
        let weight = |largest: u32| (1_u64 << 62) / u64::from(largest.max(1));
        Self { cpu: weight(largest.cpu_milli), memory: weight(largest.memory_mib), gpu: weight(largest.gpu_milli) }
    }

    /// The scores of a node, for VMs without GPUs and for VMs with.
    #[inline]
    pub(super) fn scores(&self, strategy: PlacementStrategy, left: &Left) -> [u32; 2] {
        let share = |left: u32, weight: u64| ((u64::from(left) * weight) >> 32) as u32;
        // At most 2^31, at most 3 x 2^30.
        let plain = share(left.cpu_milli, self.cpu) + share(left.memory_mib, self.memory);
        let with_gpus = plain + share(left.gpu_milli, self.gpu);
        match strategy {
            PlacementStrategy::MostAvailable => [plain, with_gpus],
            PlacementStrategy::BestFit => [!plain, !with_gpus],
            PlacementStrategy::Spread => {
                let room = u32::from(u16::MAX) - left.vms.min(u16::MAX.into());
                [plain, with_gpus].map(|left| room << 16 | left >> 16)
            }
            // 14 bits for 16,000 thousandths, 18 for what is left besides.
            PlacementStrategy::GpuPacking => [!(left.gpu_milli << 18 | plain >> 14); 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_end_at_a_whole_and_never_overflow() {
        for largest in [0, 1, 3, 1_000, 128_000, 1 << 30, u32::MAX - 1, u32::MAX] {
            let gpu_milli = largest.min(16_000);
            let scale = Scale::new(Largest { cpu_milli: largest, memory_mib: largest, gpu_milli });
            let mut before = 0;
            let mut lefts = [0, 1.min(largest), largest / 3, largest / 2, largest.saturating_sub(1), largest];
            lefts.sort_unstable();
            for left in lefts {
                let left = Left { cpu_milli: left, memory_mib: left, gpu_milli: left.min(gpu_milli), vms: u32::MAX };
                let [plain, with_gpus] = scale.scores(PlacementStrategy::MostAvailable, &left);
                assert!(plain <= 1 << 31 && with_gpus <= 3 << 30, "{largest} {left:?}");
                assert!(with_gpus >= plain && plain >= before, "{largest} {left:?}");
                before = plain;
                for strategy in PlacementStrategy::ALL {
                    let _ = scale.scores(strategy, &left);
                }
            }
        }
    }

    #[test]
    fn each_strategy_prefers_what_it_says() {
        let scale = Scale::new(Largest { cpu_milli: 64_000, memory_mib: 65_536, gpu_milli: 8_000 });
        let left = |cpu_milli, gpu_milli, vms| Left { cpu_milli, memory_mib: 1_024, gpu_milli, vms };
        let better = |strategy, one: Left, other: Left| {
            let (one, other) = (scale.scores(strategy, &one), scale.scores(strategy, &other));
            (one[0] > other[0], one[1] > other[1])
        };
        let both = (true, true);
        assert_eq!(better(PlacementStrategy::MostAvailable, left(2, 0, 9), left(1, 0, 0)), both);
        assert_eq!(better(PlacementStrategy::MostAvailable, left(1, 1_000, 0), left(2, 0, 0)), (false, true));
        assert_eq!(better(PlacementStrategy::BestFit, left(1, 0, 9), left(2, 0, 0)), both);
        assert_eq!(better(PlacementStrategy::Spread, left(0, 0, 1), left(64_000, 8_000, 2)), both);
        assert_eq!(better(PlacementStrategy::Spread, left(64_000, 0, 2), left(0, 0, 2)), both);
        assert_eq!(better(PlacementStrategy::GpuPacking, left(64_000, 999, 0), left(0, 1_000, 0)), both);
        assert_eq!(better(PlacementStrategy::GpuPacking, left(0, 16_000, 0), left(64_000, 16_000, 0)), both);
    }
}
