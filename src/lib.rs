//! Request-scoped memory for Rust services: an arena per request, recycled, budgeted and measured.

pub mod arena;
mod recycle;
mod sync;

#[doc(inline)]
pub use arena::{
    Arena, ArenaOptions, ArenaPool, BudgetExceeded, PooledArena, PooledSharedArena, Reset, Sealed, SharedArena,
};
