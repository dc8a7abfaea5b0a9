//! A request's memory: everything that is built while answering it, let go at once when it ends.
//!
//! | take | for |
//! |---|---|
//! | [`Arena`] | a request on one thread at a time |
//! | [`SharedArena`] | a request that fans out over threads, or is held across `.await` in spawned tasks |
//! | [`ArenaPool`] | either of them, recycled one request at a time |
//! | [`Sealed`] | a finished batch that leaves its thread as one value |
//! | [`typed`] | a graph of values of one type |
//!
//! What a request may hold is bounded by a [budget](ArenaOptions::budget_bytes_max): over it, `try_` calls return
//! [`BudgetExceeded`] and the others panic with it, so that one request ends and the process lives. What an idle arena
//! keeps is bounded too, by four times the median of the requests that its thread has seen.
//!
//! Values are not dropped one by one, so types that need `Drop` are refused at compile time, with three ways out:
//! [`alloc_with_drop`](Arena::alloc_with_drop), [`defer`](Arena::defer) and [`adopt`](Arena::adopt), which run when the
//! request ends, last in, first out, each of them even when another panics.
//!
//! # Allocators for other people's collections
//!
//! `&Arena` and `&SharedArena` implement the `Allocator` of allocator-api2 **0.2**, re-exported as
//! [`allocator_api2`] (later versions are other traits to hashbrown 0.17 and to this crate):
//!
//! ```
//! use blixard_arena::ArenaPool;
//! use hashbrown::{DefaultHashBuilder, HashMap};
//!
//! let pool = ArenaPool::new();
//! let arena = pool.acquire();
//! let mut labels = HashMap::with_hasher_in(DefaultHashBuilder::default(), &*arena);
//! labels.insert("tenant", &*arena.alloc_str("t-9"));
//! assert_eq!(labels["tenant"], "t-9");
//! ```

mod allocator;
mod any;
#[expect(clippy::module_inception, reason = "the module's main type has its name")]
mod arena;
pub(crate) mod blocks;
mod chunk;
mod cleanups;
mod figures;
pub(crate) mod ledger;
pub(crate) mod local;
#[cfg(all(test, blixard_loom))]
mod loom_models;
mod methods;
mod options;
mod pool;
mod region;
mod sealed;
mod shared;
mod sizing;
pub(crate) mod text;
pub mod typed;
pub(crate) mod values;

pub use allocator::Fallible;
pub use allocator_api2;
pub use any::AnyArena;
pub use arena::Arena;
pub use cleanups::panics_swallowed;
pub use figures::{ArenaFigures, Histogram, PoolFigures};
pub use ledger::BudgetExceeded;
pub use options::{ArenaOptions, Reset};
pub use pool::{ArenaPool, PooledArena, PooledSharedArena};
pub use sealed::{Guard, Root, Sealed};
pub use shared::SharedArena;
pub use text::Concat;
