//! Recycling: the one mechanism behind every pool of the crate, a stack per thread with a bounded depot behind it.
//!
//! Stands between `sync` and the pools (`arena::ArenaPool`); private. An item is a `Box` handed over as a raw
//! pointer. Taking and giving back touch only memory that the calling thread owns: no lock, no locked instruction, no
//! heap call; only when a stack runs empty or full does the depot (a lock-free list) come in.
mod depot;
#[cfg(all(test, blixard_loom))]
mod loom_models;
mod recycler;
mod registry;
mod slot;

pub(crate) use recycler::{Kind, Limits, Link, Recycler, Taken, try_box};
#[cfg(all(test, blixard_loom))]
pub(crate) use registry::end_thread;
