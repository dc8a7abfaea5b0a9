//! What is built in an arena: `Vec`, `String`, `Box`, `FlatMap` and `FlatSet`, and a few things for the heap.

pub use crate::hash::{FixedState, SeededState};
