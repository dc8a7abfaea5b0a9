//! Values that requests share: caches, and many owners at once.
//!
//! | take | for |
//! |---|---|
//! | [`ArcCache`] | values that are worth keeping: bounded by entries or weight, each built once |
//! | [`CacheReader`] | the same, asked all the time by one thread or task: no lock, no count |
//! | [`WeakCache`] | values to share for as long as somebody holds them: each built once, none kept alive |
//! | [`BatchedArc`], [`ArcCloneBatcher`] | one value for many tasks: owners by the dozen from one atomic addition |
//! | [`ArcOptimize`] | what std's `Arc` lacks: replace only what differs, let equal values become one |

mod batch;
mod builds;
mod cache;
mod entries;
mod figures;
#[cfg(all(test, blixard_loom))]
mod loom_models;
mod optimize;
mod reader;
mod weak;

pub use batch::{ArcCloneBatcher, BatchedArc};
pub use cache::ArcCache;
pub use figures::CacheFigures;
pub use optimize::ArcOptimize;
pub use quick_cache::Equivalent;
pub use reader::CacheReader;
pub use weak::WeakCache;
