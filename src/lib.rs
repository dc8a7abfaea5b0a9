//! Request-scoped memory for Rust services: an arena per request, recycled, budgeted and measured.
#![doc(test(attr(deny(warnings))))]

pub mod arena;
mod recycle;
mod sync;

#[doc(inline)]
pub use arena::{
    Arena, ArenaOptions, ArenaPool, BudgetExceeded, PooledArena, PooledSharedArena, Reset, Sealed, SharedArena,
};
