//! Values that requests share: caches, and many owners at once.
//!
//! # First: does the request need an owner at all?
//!
//! A request that passes a shared value on to whatever it calls needs one count, not one for each place: `Arena::adopt` takes an `Arc`
//! once and lends the value for as long as the request lives.
//!
//! ```
//! use blixard_arena::{ArenaPool, arc::ArcCache};
//!
//! let (requests, configs) = (ArenaPool::new(), ArcCache::<String, String>::new());
//! let arena = requests.acquire();
//! let config: &String = arena.adopt(configs.get_or_build("vm-1", || String::from("2 cores"))); // one count for all
//! let handed_around = [config; 64]; // plain references: copied, never counted
//! assert_eq!(handed_around[63], "2 cores");
//! ```
//!
//! Figures, per place: 64 references to an adopted value cost 1.1 ns each, taking and returning the arena included, on two threads 2.9;
//! 64 owners from [`ArcCloneBatcher`] that are put back 2.3 and 4.7, dropped one by one 3.6 and 28; 64 times `Arc::clone` and drop 5.2
//! and 66. To find the value first costs 25 ns in an [`ArcCache`] (77 where two threads ask for the same), and 15 with a
//! [`CacheReader`]. `cargo bench -p benches --bench arc` repeats them; `benches/README.md` says how they were taken.
//!
//! An owner is needed where a value outlives the request or leaves its threads' reach: spawned tasks that nobody joins,
//! subscriptions, what a cache is to keep.
//!
//! # Then: which
//!
//! | take | for |
//! |---|---|
//! | [`ArcCache`] | values that are worth keeping: bounded by entries or weight, each built once |
//! | [`CacheReader`] | the same, asked all the time by one thread or task: no lock, no count |
//! | [`WeakCache`] | values to share for as long as somebody holds them: each built once, none kept alive |
//! | [`BatchedArc`], [`ArcCloneBatcher`] | one value for many tasks: owners by the dozen from one atomic addition |
//! | [`ArcOptimize`] | what std's `Arc` lacks: replace only what differs, let equal values become one |
//!
//! # Locks
//!
//! | call | takes |
//! |---|---|
//! | [`ArcCache::get`], a hit of [`get_or_build`](ArcCache::get_or_build) | one shard's lock, for reading |
//! | [`CacheReader::get`] of a value at hand | none; one look in 128 asks the cache |
//! | [`WeakCache::get`], a hit of [`get_or_build`](WeakCache::get_or_build) | one shard's lock, for reading |
//! | a miss | one of 16 locks over what is being built, twice, and under it the shard's; the builder runs outside both |
//! | [`BatchedArc`], [`ArcCloneBatcher`], [`ArcOptimize`] | none |

mod batch;
mod builds;
mod cache;
mod entries;
mod figures;
#[cfg(all(test, blixard_loom))]
mod loom_models;
mod optimize;
mod reader;
#[cfg(blixard_loom)]
mod stand_in;
mod weak;

pub use batch::{ArcCloneBatcher, BatchedArc};
pub use cache::ArcCache;
pub use figures::CacheFigures;
pub use optimize::ArcOptimize;
pub use quick_cache::Equivalent;
pub use reader::CacheReader;
pub use weak::WeakCache;
