//! Names, stored once: in a request, or in the process.
//!
//! | take | for |
//! |---|---|
//! | [`ArenaInterner`] | names that end with a request: in its arena, no heap call, a [`Symbol`] of 4 bytes or the `&str` itself |
//! | [`StringPool`], [`InternedString`] | names that outlive requests, shared by all threads |
//! | `ArenaBackend` (feature `string-interner`) | code that is written over string-interner's `StringInterner` |
//!
//! An interner in the arena is the faster one and needs no care: its names go with the request. The pool is for names that are
//! kept, compared or looked up across requests. Under a [`pin`] a hit costs about 1.1 times the bare look-up, whatever other
//! threads do (20 ns over 10,000 names, where the bare one takes 18), and to hold a name an atomic addition more; entering a
//! new one, a lock. A million names take 32 bytes each beside their texts, at most 36. Ours and eight peers':
//! `cargo run --release -p benches --bin ratios -- intern` and `cargo run --release -p benches --bin names_memory`.
//!
//! A name that is known when the program is written is a constant: [`constant_names!`](crate::constant_names). Names that are known when it
//! starts, and too many to be written into it, come from a table on disk: `StringPoolOptions::table` (feature `mapped`).
//!
//! Names are compared by number or address, not by text: two symbols of one interner, or two strings of one pool, are
//! equal exactly where their texts are.
//!
//! ```
//! use blixard_arena::intern::{ArenaInterner, InternedString, StringPool};
//! use blixard_arena::{ArenaPool, intern::Symbol};
//!
//! let (arenas, names) = (ArenaPool::new(), StringPool::new()); // one each per service
//! let mut owners: Vec<InternedString> = Vec::new(); // outlives requests
//! for request in ["acme/vm-1 acme/vm-2", "acme/vm-3 duff/vm-4"] {
//!     let arena = arenas.acquire();
//!     let mut tenants = ArenaInterner::new_in(&*arena);
//!     let asked: [Symbol; 2] = // 4 bytes a name, while the request lasts
//!         std::array::from_fn(|vm| tenants.intern(request.split(' ').nth(vm).unwrap().split('/').next().unwrap()));
//!     if asked[0] == asked[1] {
//!         owners.push(names.intern(tenants.resolve(asked[0]))); // kept
//!     }
//! }
//! assert_eq!(owners, [names.intern("acme")]);
//! ```

mod account;
mod arena;
mod constants;
mod entry;
mod figures;
mod global;
mod hash;
#[cfg(feature = "string-interner")]
mod interop;
#[cfg(all(test, blixard_loom))]
mod loom_models;
mod pool;
mod shard;
mod storage;
mod string;
mod symbol;
mod table;
mod tables;
mod text;

pub use account::PoolFull;
pub use arena::{ArenaInterner, InternError, Iter};
pub use constants::ConstantSet;
pub use figures::StringPoolFigures;
pub use global::{GlobalPoolExists, global, intern, pin};
#[cfg(feature = "string-interner")]
pub use interop::{ArenaBackend, BackendIter};
pub use pool::{StringPin, StringPool, StringPoolOptions};
pub use string::{InternedString, Name};
pub use symbol::Symbol;
