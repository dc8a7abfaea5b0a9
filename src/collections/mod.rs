//! What is built in an arena: `Vec`, `String`, `Box`, `FlatMap` and `FlatSet`, and a few things for the heap.

mod boxed;
mod entry;
mod flat_map;
mod flat_set;
mod heap;
mod list;
mod memory;
#[cfg(feature = "serde")]
mod serde_in;
mod string;
mod table;
mod vec;

pub use crate::hash::{FixedState, SeededState};
#[cfg(feature = "serde")]
#[doc(hidden)]
pub use ::serde;
pub use boxed::Box;
pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use flat_map::{FlatMap, Iter, IterMut};
pub use flat_set::FlatSet;
pub use heap::{SmallVec, collect_exact, headroom, reserve_with_headroom};
pub use list::IntoIter;
pub use memory::{Heap, Memory};
#[cfg(feature = "serde")]
pub use serde_in::{DeserializeIn, SeedIn, seed_in};
#[cfg(feature = "serde")]
#[doc(hidden)]
pub use serde_in::{FieldOf, missing_in};
pub use string::String;
pub use vec::{Drain, Vec};
