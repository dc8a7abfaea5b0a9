//! How a replay places VMs: by which strategy, and whether the plain way that the kernels are measured against.
//!
//! The same in every memory strategy of a run, so that strategies differ by memory alone.

use std::fmt;

use clap::ValueEnum;
use control_plane::scheduler::PlacementStrategy;
use serde::{Deserialize, Serialize};

/// The ways by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placing {
    /// The node with the most left
    #[default]
    MostAvailable,
    /// The node with the least left
    BestFit,
    /// The node with the fewest VMs
    Spread,
    /// The node with the fewest GPUs left
    GpuPacking,
    /// As most-available, by push, clone and sort per VM
    Original,
}

impl Placing {
    /// Every way.
    pub const ALL: [Self; 5] = [Self::MostAvailable, Self::BestFit, Self::Spread, Self::GpuPacking, Self::Original];

    /// By which strategy nodes are ranked.
    #[must_use]
    pub fn strategy(self) -> PlacementStrategy {
        match self {
            Self::MostAvailable | Self::Original => PlacementStrategy::MostAvailable,
            Self::BestFit => PlacementStrategy::BestFit,
            Self::Spread => PlacementStrategy::Spread,
            Self::GpuPacking => PlacementStrategy::GpuPacking,
        }
    }
}

impl fmt::Display for Placing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if *self == Self::Original { "original" } else { self.strategy().as_str() })
    }
}
