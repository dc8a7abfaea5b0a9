//! Request-scoped memory for Rust services: an arena per request, recycled, budgeted and measured.
//!
//! A service answers a request by building many small, short-lived values and throws all of them away a moment later. Here
//! they are built in an arena of the request's own and go at once when it ends; the arena is recycled.
//!
//! ```
//! use blixard_arena::ArenaPool;
//!
//! let pool = ArenaPool::new(); // one per service
//! let arena = pool.acquire(); // one per request
//! let name: &str = arena.alloc_str("vm-1"); // lives as long as the request
//! let reply = arena.format(format_args!("{name} accepted"));
//! assert_eq!(reply, "vm-1 accepted");
//! drop(arena); // all of it is gone, the memory waits for the next request
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | [`arena`] | a request's memory: [`Arena`], [`SharedArena`] for threads and tasks, [`ArenaPool`], budgets, cleanups, [`Sealed`] |
//! | [`collections`] | what is built in it: `Vec`, `String`, `Box`, `FlatMap`, `FlatSet`; which to take when |
//! | [`intern`] | names: stored once in a request, or once in the process; which to take when |
//! | [`pool`] | what outlives a request: recycled objects, buffers, vectors |
//! | `archive` | zero-copy bytes: values out of an arena, read where they lie (feature `archive`) |
//! | `arc` | values that requests share: bounded and weak caches, owners by the batch (feature `cache`) |
//! | `mapped` | names and values in immutable tables on disk, opened or mapped (feature `mapped`) |
//! | [`tracking`] | allocation figures of sections, tasks and the process (feature `allocation-tracking`) |
//! | [`guide`] | which of them to take when, each advice with a figure |
//!
//! Features, all off by default: `archive` (rkyv), `bytes` (the bytes of sealed arenas and of pooled buffers become `bytes::Bytes` without a
//! copy), `serde` (collections serialise, and deserialise into an arena), `string-interner` (its traits for our symbols, and a
//! backend), `cache` (shared values), `mapped`, `allocation-tracking`.
//!
//! The library starts no thread. It prints nothing and reads no environment variable, unless `tracking::start` is called,
//! which says what it reads and prints.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("blixard-arena needs a target with 64-bit pointers");

#[cfg(feature = "cache")]
pub mod arc;
#[cfg(feature = "archive")]
pub mod archive;
pub mod arena;
pub mod collections;
pub mod guide;
mod hash;
pub mod intern;
#[cfg(feature = "mapped")]
pub mod mapped;
pub mod pool;
mod recycle;
mod sync;
pub mod tracking;
mod unwind;

#[doc(inline)]
pub use arena::{
    Arena, ArenaOptions, ArenaPool, BudgetExceeded, PooledArena, PooledSharedArena, Reset, Sealed, SharedArena,
};

/// The README's example is compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
