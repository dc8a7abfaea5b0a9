//! Request-scoped memory for Rust services: an arena per request, recycled, budgeted and measured.

pub mod arena;
mod recycle;
mod sync;

#[doc(inline)]
pub use arena::{
    Arena, ArenaOptions, ArenaPool, BudgetExceeded, PooledArena, PooledSharedArena, Reset, Sealed, SharedArena,
};

/// The README's example is compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
