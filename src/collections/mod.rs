//! What is built in an arena: `Vec`, `String`, `Box`, `FlatMap` and `FlatSet`, and a few things for the heap.

mod boxed;
mod entry;
mod flat_map;
mod flat_set;
mod heap;
mod list;
mod memory;
mod string;
mod table;
mod vec;

pub use crate::hash::{FixedState, SeededState};
pub use boxed::Box;
pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use flat_map::{FlatMap, Iter, IterMut};
pub use flat_set::FlatSet;
pub use heap::{SmallVec, collect_exact, headroom, reserve_with_headroom};
pub use list::IntoIter;
pub use memory::{Heap, Memory};
pub use string::String;
pub use vec::{Drain, Vec};
