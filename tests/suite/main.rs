//! The tests over the public API that can share a process, one file a subject: one program to build and link in place of thirty.
//!
//! What installs an allocator of its own, counts what a whole process does or ends processes lies beside this folder, one program a file.

#[cfg(feature = "archive")]
#[path = "../archive_samples/mod.rs"]
mod archive_samples;
#[path = "../random/mod.rs"]
mod random;

mod arc_batch;
mod arc_cache;
mod arc_weak;
mod archive;
mod archive_golden;
mod archive_mutations;
mod auto_traits;
mod callers;
mod cleanups;
mod collections_box;
mod collections_flat_map;
mod collections_leaks;
mod collections_serde;
mod collections_string;
mod collections_traits;
mod collections_vec;
mod intern_arena;
mod intern_interop;
mod isolation;
mod mapped;
mod mapped_archive;
mod mapped_pool;
mod pool;
mod pool_buffers;
mod probe;
mod stress;
mod string_pool;
mod string_pool_model;
mod string_pool_threads;
mod tasks;
