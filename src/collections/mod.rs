//! What is built in an arena: `Vec`, `String`, `Box`, `FlatMap` and `FlatSet`, and a few things for the heap.
//!
//! The methods are std's by the same names, the constructors end in `_in` and take `&Arena` or `&SharedArena` (from a
//! pool's guard `&*guard`). So the obvious code is the fast code: what a list grows by lies behind it already, a map of four
//! pairs hashes nothing, a text is written where it stays.
//!
//! | take | for |
//! |---|---|
//! | [`Vec`] | a list that comes one by one; frozen by [`into_slice`](Vec::into_slice). If all of it is at hand, [`alloc_slice_fill_iter`](crate::Arena::alloc_slice_fill_iter) and its like are shorter |
//! | [`String`] | text that comes in pieces; frozen by [`into_str`](String::into_str). In one piece: [`alloc_str`](crate::Arena::alloc_str), [`concat`](crate::Arena::concat), [`format`](crate::Arena::format) |
//! | [`FlatMap`], [`FlatSet`] | keys of any number, few above all; in the order of insertion; frozen by [`freeze`](FlatMap::freeze). On the heap too |
//! | [`Box`] | a value that needs `Drop`, or a trait object ([`unsize_box!`](crate::unsize_box)) |
//! | [`SmallVec`], [`headroom`], [`collect_exact`] | lists on the heap, in values that outlive a request |
//! | hashbrown, allocator-api2 | whatever else: both take `&Arena` as an allocator |
//!
//! Elements of `Vec`, `FlatMap` and `FlatSet` in an arena must not need `Drop`, and then these need none: they nest, and
//! go with the arena for free. Values that travel hold what was frozen, `&'a str`, `&'a [T]`, `&'a [(K, V)]`; over a
//! `SharedArena` growing collections may travel too.
//!
//! ```
//! use blixard_arena::ArenaPool;
//! use blixard_arena::collections::{FlatMap, Vec};
//!
//! struct Reply<'a> {
//!     placed: &'a [(&'a str, u32)],
//!     refused: &'a [(&'a str, &'a [&'a str])], // by reason
//! }
//!
//! let pool = ArenaPool::new();
//! let arena = &*pool.acquire();
//! let (mut placed, mut refused) = (Vec::new_in(arena), FlatMap::new_in(arena));
//! for (index, line) in "vm-1 ok|vm-2 no-memory|vm-3 no-memory".split('|').enumerate() {
//!     let (vm, verdict) = line.split_once(' ').unwrap();
//!     match verdict {
//!         "ok" => placed.push((vm, index as u32)),
//!         reason => refused.entry(reason).or_insert_with(|| Vec::new_in(arena)).push(vm),
//!     }
//! }
//! let refused = arena.alloc_slice_fill_iter(refused.into_iter().map(|(reason, vms)| (reason, &*vms.into_slice())));
//! let reply = Reply { placed: placed.into_slice(), refused };
//! assert_eq!((reply.placed.len(), reply.refused[0].1), (1, &["vm-2", "vm-3"][..]));
//! ```
//!
//! # Figures
//!
//! Sixteen proposals, each with a map of four pairs, a list of eight scores and a formatted text, built in these and let go:
//! plain std types take 8.7 times as long on glibc's heap, the best arena peer with hashbrown 2.7 times, and code tuned by
//! hand 0.86 times (`cargo run --release -p benches --bin ratios -- request/reference`). `format` takes 0.81 of the best
//! peer's time (`-- bump/format`). Among hundreds of keys a look-up in a `FlatMap` takes 1.2 to 1.4 times as long as in
//! hashbrown's map, which keeps no order (`-- collections/map-`): take hashbrown for large tables that are mostly read.
//!
//! With feature `serde` all of them serialise, and deserialise into an arena: `seed_in`, and `deserialize_in!` for
//! structs.

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
pub use serde_in::{FieldOf, missing_in, plain_name};
pub use string::String;
pub use vec::{Drain, Vec};
