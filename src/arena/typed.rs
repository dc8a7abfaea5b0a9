//! Graphs: `typed_arena::Arena`, re-exported for values of one type that need `Drop` or point at one another.
//!
//! Take it when nodes hold `Cell<Option<&Node>>` or the like in cycles, or own heap memory (a `String`, a `Vec`) and are
//! all of one type: it drops every value when it is dropped itself.
//!
//! It stands outside budget and pool: its memory is not counted, not recycled and not wiped. For values that own heap
//! memory inside a request take [`Arena::alloc_with_drop`](super::Arena::alloc_with_drop) instead.
//!
//! ```
//! use blixard_arena::arena::typed::Arena;
//! use std::cell::Cell;
//!
//! /// A rack or a node, and what it hangs from: nodes point at one another, in any direction.
//! struct Place<'a> {
//!     name: String,
//!     above: Cell<Option<&'a Place<'a>>>,
//! }
//!
//! let topology = Arena::new();
//! let rack = topology.alloc(Place { name: "rack-1".into(), above: Cell::new(None) });
//! let rack = &*rack;
//! let node = topology.alloc(Place { name: "node-7".into(), above: Cell::new(Some(rack)) });
//! rack.above.set(Some(node)); // a cycle, which no tree of boxes can hold
//! assert_eq!(node.above.get().unwrap().name, "rack-1");
//! ```
#![forbid(unsafe_code)]

pub use typed_arena::Arena;
