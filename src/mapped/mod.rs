//! Immutable tables on disk: names, and values by name, opened or mapped by any number of processes.
//!
//! | take | for |
//! |---|---|
//! | [`TableBuilder`] | writing a table: all of it or nothing, durable |
//! | [`Table::open`] | reading one into memory: safe, whatever becomes of the file |
//! | [`Table::map`] | sharing the file's pages, ready at once: `unsafe`, since nobody may alter the file |
//! | [`Table::find`], [`Table::row`] | a name by its text, by its number; its value |
//! | [`StringPoolOptions::table`](crate::intern::StringPoolOptions::table) | the names as the constants of a string pool |
//!
//! A table is for what is the same for long and for many: the names of a fleet, a catalogue, what a build step made. What changes
//! singly belongs into a database; what one request needs, into its arena.
//!
//! ```
//! use blixard_arena::mapped::{Table, TableBuilder};
//! # let folder = std::env::temp_dir().join(format!("mapped-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! # let path = folder.join("flavours.table");
//!
//! // Once, by whoever knows them:
//! let mut builder = TableBuilder::new();
//! builder.add_value("small", b"2 cores").unwrap();
//! builder.add_value("large", b"64 cores").unwrap();
//! builder.write(&path).unwrap();
//!
//! // In every process, at its start:
//! let flavours = Table::open(&path).unwrap();
//! let large = flavours.find("large").unwrap().expect("a flavour that there is");
//! assert_eq!((large.number(), large.value().unwrap()), (1, Some(&b"64 cores"[..])));
//! # std::fs::remove_dir_all(&folder).unwrap();
//! ```
//!
//! A million names: mapped in less than a tenth of a millisecond, found as fast as in a hash map in memory, among ten thousand too; a name that is
//! absent takes 1.4 times a hash map's time. Beside fst, redb and maps: `cargo run --release -p benches --bin ratios -- mapped`.

mod builder;
mod checked;
#[cfg(all(test, unix, not(blixard_loom)))]
mod crashes;
mod error;
mod format;
mod index;
#[cfg(all(test, blixard_loom))]
mod loom_models;
mod replace;
mod table;

pub use builder::TableBuilder;
pub use error::{TableError, TableProblem};
pub use table::{Row, Table};
