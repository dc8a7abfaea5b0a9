//! What outlives a request: objects, buffers and vectors that are recycled instead of freed.
//!
//! | take | for |
//! |---|---|
//! | [`TypedObjectPool`] | objects that are costly to make: a factory, a reset, limits |
//! | [`VecPool`] | vectors that keep their capacity |
//! | [`BufferPool`] | byte buffers of any size up to 1 MiB and beyond |
//! | [`SMALL_BUFFER_POOL`], [`LARGE_BUFFER_POOL`] | byte buffers of 1 KiB and of 64 KiB, for the whole process |
//! | [`METADATA_MAP_POOL`] | maps of text to text, for the whole process |
//!
//! What dies with its request belongs in an [arena](crate::arena): that is cheaper than any pool. A pool is for what does
//! not: a buffer on its way to a socket, a proposal that waits for its quorum, scratch space that every request needs.
//!
//! Acquiring and returning touch memory of the calling thread alone, as [`ArenaPool`](crate::ArenaPool) does, on the same
//! mechanism: a stack of idle objects per thread, and a bounded depot that the threads share for what one takes and
//! another gives back. Nothing blocks, and nothing fails unless it is [asked](TypedObjectPool::try_acquire) to.
//!
//! # Bounds
//!
//! | limit | default | what happens there |
//! |---|---|---|
//! | [`idle_max`](ObjectPoolBuilder::idle_max) | 1,024 objects | one that comes back beyond it is dropped |
//! | [`per_thread_bytes_max`](ObjectPoolBuilder::per_thread_bytes_max) | 1 MiB | further ones go to the depot |
//! | [`retain_bytes_max`](ObjectPoolBuilder::retain_bytes_max) | 64 KiB | an object that holds more is dropped when it comes back |
//! | [`live_max`](ObjectPoolBuilder::live_max) | none | [`try_acquire`](TypedObjectPool::try_acquire) says no |
//!
//! [`trim`](TypedObjectPool::trim), called now and then, frees what has lain idle since the last call. It cannot reach
//! the stacks of other threads that live: what those hold is bounded by `per_thread_bytes_max`.
//!
//! ```
//! use blixard_arena::pool::{SMALL_BUFFER_POOL, TypedObjectPool};
//!
//! struct Session {
//!     inbox: Vec<u64>,
//! }
//! let sessions = TypedObjectPool::builder(|| Session { inbox: Vec::with_capacity(256) })
//!     .reset(|session| session.inbox.clear())
//!     .retained_bytes(|session| 8 * session.inbox.capacity())
//!     .build(); // one per service
//!
//! let mut session = sessions.acquire(); // outlives the request that opened it, on whatever thread
//! session.inbox.push(17);
//! let mut frame = SMALL_BUFFER_POOL.acquire(); // on its way to a socket
//! frame.extend_from_slice(&session.inbox[0].to_le_bytes());
//! drop((session, frame)); // both are back, their memory with them
//! assert!(sessions.acquire().inbox.is_empty());
//! assert_eq!(sessions.figures().created, 1);
//! ```

mod builder;
#[cfg(feature = "bytes")]
mod bytes;
mod figures;
#[cfg(all(test, blixard_loom))]
mod loom_models;
mod objects;
mod rules;
mod sites;
mod vecs;

pub use builder::ObjectPoolBuilder;
pub use figures::{ObjectPoolFigures, PoolExhausted};
pub use objects::{Pooled, TypedObjectPool};
pub use rules::{Callbacks, Recycle};
pub use sites::LeakSite;
pub use vecs::{
    Buffer, BufferPool, LARGE_BUFFER_POOL, METADATA_MAP_POOL, MetadataMap, SMALL_BUFFER_POOL, VecPool, Vecs,
};
