//! Values that are being built: one builder per key, everybody else who wants it waits.
//!
//! Stands under both caches, on their way to a miss. Who misses first enters the key here and builds, outside all locks; who
//! misses next waits for the end. If the builder fails or panics, the next one builds. A key that is withdrawn meanwhile is built
//! to the end, for those who asked before, and not kept.
//!
//! Invariants: at most one build of a key is listed; a value is kept under the same lock that takes it off the list, so nobody
//! finds it in neither place; no caller's code runs under a lock here but `Hash` and `Eq` of keys; a thread never waits
//! for a build that waits for that thread. Cost: an `Arc` and a copy of the key per build, and locks; a hit never comes here.
#![forbid(unsafe_code)]

use super::figures::Counts;
use crate::sync::{self, Condvar, Mutex, lock, thread_id, unique_id};
use quick_cache::Equivalent;
use std::borrow::ToOwned;
use std::sync::PoisonError;

/// Keys built at the same time contend only by chance.
const SHARDS: usize = if cfg!(blixard_loom) { 1 } else { 16 };

/// The builds of a cache that are under way.
#[derive(Debug)]
pub(super) struct Builds<K, T> {
    // Few per shard, since each has a thread that works on it: searched one by one.
    shards: [Mutex<Vec<Listed<K, T>>>; SHARDS],
}

#[derive(Debug)]
struct Listed<K, T> {
    hash: u64,
    key: K,
    build: sync::Arc<Build<T>>,
}

#[derive(Debug)]
struct Build<T> {
    /// Never used twice.
    id: u64,
    /// The thread that builds.
    builder: u64,
    state: Mutex<State<T>>,
    ended: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Underway { awaited: bool },
    Built(T),
    Failed,
}

/// What a thread that missed has found here.
enum Turn<T> {
    /// It was built in the meantime.
    Found(T),
    /// Somebody builds it.
    Theirs(sync::Arc<Build<T>>),
    /// The thread itself builds it.
    Ours(sync::Arc<Build<T>>),
}

impl<K, T: Clone> Builds<K, T> {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(Vec::new())) }
    }

    fn shard(&self, hash: u64) -> &Mutex<Vec<Listed<K, T>>> {
        // Other bits than those that the caches choose their shards and slots by.
        &self.shards[(hash >> 48) as usize % SHARDS]
    }

    /// The value of a key that was not found: built by this thread, or by another that is at it. `find` looks again, `keep`
    /// puts the value into the cache; both run under a lock, and what `keep` returns is dropped after it.
    ///
    /// # Panics
    /// As the builder does; and where the build would wait for itself.
    pub(super) fn once<Q, E, G: Default>(
        &self,
        (hash, key): (u64, &Q),
        counts: &Counts,
        find: impl Fn() -> Option<T>,
        build: impl FnOnce() -> Result<T, E>,
        keep: impl FnOnce(K, &T, &mut G),
    ) -> Result<T, E>
    where
        Q: Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        let mut owned = Some(key.to_owned());
        let ours = loop {
            match self.turn((hash, key), &mut owned, &find) {
                Turn::Found(value) => return Ok(value),
                Turn::Ours(build) => break build,
                Turn::Theirs(build) => {
                    if let Some(value) = build.wait() {
                        counts.joined();
                        return Ok(value);
                    }
                }
            }
        };
        let mut underway = Underway { builds: self, counts, hash, build: ours, ended: false };
        let value = build()?;
        underway.finish(&value, keep);
        Ok(value)
    }

    fn turn<Q>(&self, (hash, key): (u64, &Q), owned: &mut Option<K>, find: &impl Fn() -> Option<T>) -> Turn<T>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let mut listed = lock(self.shard(hash));
        if let Some(at) = position(&listed, hash, key) {
            return Turn::Theirs(sync::Arc::clone(&listed[at].build));
        }
        if let Some(value) = find() {
            return Turn::Found(value);
        }
        let build = sync::Arc::new(Build::new());
        let key = owned.take().expect("a thread has its turn once");
        listed.push(Listed { hash, key, build: sync::Arc::clone(&build) });
        Turn::Ours(build)
    }

    /// Has a build of the key that is under way not be kept. Until what this returns is dropped, none of it can begin or end.
    pub(super) fn withdraw<'a, Q>(&'a self, hash: u64, key: &Q) -> impl Sized + use<'a, K, T, Q>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let mut listed = lock(self.shard(hash));
        let withdrawn = position(&listed, hash, key).map(|at| listed.swap_remove(at));
        // Dropped in this order: the key after the lock.
        (listed, withdrawn)
    }

    /// The same for all keys.
    pub(super) fn withdraw_all(&self) -> impl Sized {
        // Nobody holds two of these locks but here, always in this order.
        let mut shards = self.shards.each_ref().map(lock);
        let withdrawn = shards.each_mut().map(|listed| std::mem::take(&mut **listed));
        (shards, withdrawn)
    }
}

fn position<K, T, Q: Equivalent<K> + ?Sized>(listed: &[Listed<K, T>], hash: u64, key: &Q) -> Option<usize> {
    listed.iter().position(|one| one.hash == hash && key.equivalent(&one.key))
}

/// A build of this thread's. However it ends, those who wait are told.
struct Underway<'a, K, T: Clone> {
    builds: &'a Builds<K, T>,
    counts: &'a Counts,
    hash: u64,
    build: sync::Arc<Build<T>>,
    ended: bool,
}

impl<K, T: Clone> Underway<'_, K, T> {
    fn finish<G: Default>(&mut self, value: &T, keep: impl FnOnce(K, &T, &mut G)) {
        // Filled under the lock, and dropped without it, though an `Eq` panics meanwhile.
        let mut garbage = G::default();
        {
            let mut listed = lock(self.builds.shard(self.hash));
            if let Some(at) = listed.iter().position(|one| sync::Arc::ptr_eq(&one.build, &self.build)) {
                keep(listed.swap_remove(at).key, value, &mut garbage);
            }
        }
        self.ended = true;
        self.counts.built();
        self.build.end(State::Built(value.clone()));
        drop(garbage);
    }
}

impl<K, T: Clone> Drop for Underway<'_, K, T> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let withdrawn = {
            let mut listed = lock(self.builds.shard(self.hash));
            let at = listed.iter().position(|one| sync::Arc::ptr_eq(&one.build, &self.build));
            at.map(|at| listed.swap_remove(at))
        };
        self.counts.failed();
        self.build.end(State::Failed);
        drop(withdrawn);
    }
}

impl<T: Clone> Build<T> {
    fn new() -> Self {
        Self {
            id: unique_id(),
            builder: thread_id(),
            state: Mutex::new(State::Underway { awaited: false }),
            ended: Condvar::new(),
        }
    }

    /// Waits for the end: the value, or `None` if there is none.
    fn wait(&self) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entered = false;
        loop {
            match &mut *state {
                State::Built(value) => return Some(value.clone()),
                State::Failed => return None,
                State::Underway { awaited } => *awaited = true,
            }
            if !entered && !waits::enter(self.id, self.builder) {
                drop(state);
                deadlock(std::any::type_name::<T>());
            }
            entered = true;
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self, end: State<T>) {
        let mut state = lock(&self.state);
        if let State::Underway { awaited: true } = std::mem::replace(&mut *state, end) {
            // Under the lock: whoever is entered waits for a build that has not ended.
            waits::leave(self.id);
            drop(state);
            self.ended.notify_all();
        }
    }
}

#[cold]
#[inline(never)]
fn deadlock(value: &str) -> ! {
    panic!("a builder of `{value}` asked for a value whose own builder waits for it: waiting would never end");
}

/// Which threads of the process wait for which builds, over all caches: who would close a circle does not wait.
mod waits {
    use crate::sync::thread_id;
    // Not held while anything else happens, so std's own lock serves under loom too.
    use std::sync::{Mutex, PoisonError};

    struct Wait {
        waiter: u64,
        build: u64,
        builder: u64,
    }

    static WAITS: Mutex<Vec<Wait>> = Mutex::new(Vec::new());

    /// Enters the calling thread as one that waits, unless the builder waits for it, by way of others or not.
    pub(super) fn enter(build: u64, builder: u64) -> bool {
        let waiter = thread_id();
        let mut waits = WAITS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = builder;
        // It ends: a thread waits for one build at a time, and no circle is ever closed.
        while last != waiter {
            let Some(next) = waits.iter().find(|wait| wait.waiter == last) else {
                waits.push(Wait { waiter, build, builder });
                return true;
            };
            last = next.builder;
        }
        false
    }

    /// Takes out all who wait for a build.
    pub(super) fn leave(build: u64) {
        WAITS.lock().unwrap_or_else(PoisonError::into_inner).retain(|wait| wait.build != build);
    }
}
