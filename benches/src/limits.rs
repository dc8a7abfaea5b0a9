//! Hand-written lower bounds: what the work costs when nothing but the work is done.
//!
//! They are no libraries: a [`ShardedBump`] has no budget, no cleanups and no pool behind it. Each is sound, so that it shows a cost that
//! could be reached, not one that skips a check that must be there.
#![expect(
    unsafe_code,
    reason = "a bump that threads share cannot be written without it; proofs stand at each block"
)]

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bumpalo::Bump;

/// Identities are never used twice, so a stale cache entry can never match.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The identity of the arena that this thread used last, and this thread's shard of it.
    static CACHED: Cell<(u64, *const Bump)> = const { Cell::new((0, ptr::null())) };
}

/// A bump that any thread may use: a thread-local cache of one shard over one `Bump` per thread.
///
/// This is the lower bound for [`blixard_arena::SharedArena`].
#[derive(Debug)]
pub struct ShardedBump {
    id: u64,
    chunk_bytes: usize,
    taken: AtomicUsize,
    // Invariant: the boxes are never dropped or moved out before `self` is, and shard `i` is handed to one thread per `id`.
    #[expect(
        clippy::vec_box,
        reason = "threads keep the address of a shard while the list grows"
    )]
    shards: Mutex<Vec<Box<Bump>>>,
}

// SAFETY: through `&self` a thread only reaches the `Bump` that was handed to it alone: `attach` gives each index of `shards` out once per
// `id`, and the cache that remembers it is thread-local and keyed by that never-reused `id`. The values put in are `Copy + Send` (see `alloc`).
unsafe impl Sync for ShardedBump {}

impl ShardedBump {
    /// An empty one, whose shards begin with a chunk of `chunk_bytes`.
    #[must_use]
    pub fn new(chunk_bytes: usize) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            chunk_bytes,
            taken: AtomicUsize::new(0),
            shards: Mutex::new(Vec::new()),
        }
    }

    /// Bumps `value` into this thread's shard.
    #[expect(
        clippy::mut_from_ref,
        reason = "each call hands out a fresh place, as in bumpalo"
    )]
    pub fn alloc<T: Copy + Send>(&self, value: T) -> &mut T {
        let (id, shard) = CACHED.get();
        let shard = if id == self.id { shard } else { self.attach() };
        // SAFETY: `shard` points into a box of `self.shards`, which lives as long as `self`; it was handed to this thread alone under
        // this `id`, so no other thread touches the `Bump` while `&self` lives, and `reset` needs `&mut self`.
        unsafe { &*shard }.alloc(value)
    }

    #[cold]
    fn attach(&self) -> *const Bump {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: the lock orders it.
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        if index == shards.len() {
            shards.push(Box::new(Bump::with_capacity(self.chunk_bytes)));
        }
        let shard: *const Bump = &raw const *shards[index];
        CACHED.set((self.id, shard));
        shard
    }

    /// Rewinds every shard and takes a new identity, so that every thread's cache misses once.
    pub fn reset(&mut self) {
        self.id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        *self.taken.get_mut() = 0;
        for shard in self
            .shards
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
        {
            shard.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_get_shards_of_their_own_and_resets_reuse_them() {
        let mut sharded = ShardedBump::new(4096);
        for round in 0..10_u64 {
            std::thread::scope(|scope| {
                for thread in 0..2_u64 {
                    let sharded = &sharded;
                    scope.spawn(move || {
                        let mine: Vec<&mut u64> =
                            (0..100).map(|i| sharded.alloc(thread * 1000 + i)).collect();
                        for (i, value) in (0_u64..).zip(mine) {
                            assert_eq!(*value, thread * 1000 + i, "round {round}");
                        }
                    });
                }
            });
            sharded.reset();
            assert_eq!(sharded.shards.get_mut().unwrap().len(), 2);
        }
    }
}
