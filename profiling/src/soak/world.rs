//! What the requests of a soak share, and what has to be equal when nothing is out any more.
//!
//! Limits are set so low that they are met all the time. Every count that the library keeps is compared with one that was kept here, or with
//! others of its own.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use blixard_arena::arc::{ArcCache, CacheFigures, WeakCache};
use blixard_arena::intern::{InternedString, StringPool, StringPoolOptions};
use blixard_arena::pool::{BufferPool, ObjectPoolFigures, Pooled, TypedObjectPool};
use blixard_arena::{ArenaOptions, ArenaPool, PooledSharedArena, Sealed, sealed_root};
use bytes::Bytes;

/// What one request may hold.
pub(super) const BUDGET_BYTES_MAX: usize = 4 << 20;
/// Caps of the names' pool.
const NAMES_MAX: usize = 30_000;
const NAMES_BYTES_MAX: usize = 4 << 20;
/// Drafts that may be out at a time.
const DRAFTS_MAX: usize = 4;
/// What configs in the cache may weigh together.
const CONFIGS_WEIGHT_MAX: u64 = 1 << 20;
/// Parcels that wait for another thread.
const PARCELS_MAX: usize = 256;

/// What is pooled as an object.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) vm: String,
    pub(super) scores: Vec<u64>,
}

/// A finished batch that leaves its thread.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) names: &'a [&'a str],
    /// Bytes of all names.
    pub(super) sum: usize,
}
sealed_root!(Batch);

/// What one thread makes and another one ends.
#[derive(Debug)]
pub(super) enum Parcel {
    /// So many bytes of one value.
    Bytes(Bytes, u8),
    /// An archive of a message with this number.
    Archive(Bytes, u64),
    Sealed(Sealed<Batch<'static>>),
    /// Part of a request that is served on two threads.
    Shared(PooledSharedArena, usize),
    Draft(Pooled<Draft>),
    Names(Vec<InternedString>),
}

/// What happened, counted here.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: AtomicU64,
    /// Arenas taken, and calls deferred in them, and run.
    pub(super) arenas: AtomicU64,
    pub(super) deferred: AtomicU64,
    pub(super) ran: AtomicU64,
    pub(super) over_budget: AtomicU64,
    pub(super) names_full: AtomicU64,
    pub(super) drafts: AtomicU64,
    pub(super) drafts_refused: AtomicU64,
    pub(super) drafts_detached: AtomicU64,
    pub(super) buffers: AtomicU64,
    pub(super) config_look_ups: AtomicU64,
    pub(super) topic_look_ups: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) adopted: AtomicU64,
    pub(super) let_go: AtomicU64,
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// What requests share.
pub(super) struct World {
    pub(super) arenas: ArenaPool,
    pub(super) names: StringPool,
    pub(super) drafts: TypedObjectPool<Draft>,
    pub(super) buffers: BufferPool,
    pub(super) configs: ArcCache<usize, str>,
    pub(super) topics: WeakCache<usize, [usize]>,
    /// Outlives requests that count when they end.
    pub(super) counts: Arc<Counts>,
    parcels: Mutex<VecDeque<Parcel>>,
    closed: AtomicBool,
}

impl World {
    pub(super) fn new() -> Self {
        let drafts = TypedObjectPool::builder(Draft::default)
            .name("drafts")
            .reset(|draft: &mut Draft| {
                draft.vm.clear();
                draft.scores.clear();
            })
            .check(|draft| draft.vm.is_empty() && draft.scores.is_empty())
            .retained_bytes(|draft| draft.vm.capacity() + 8 * draft.scores.capacity())
            .live_max(DRAFTS_MAX)
            .build();
        Self {
            arenas: ArenaOptions::new().budget_bytes_max(BUDGET_BYTES_MAX).pool(),
            names: StringPoolOptions::new().entries_max(NAMES_MAX).bytes_max(NAMES_BYTES_MAX).build(),
            drafts,
            buffers: BufferPool::new(),
            configs: ArcCache::with_weight_max(CONFIGS_WEIGHT_MAX, |config: &str| config.len() as u64),
            topics: WeakCache::new(),
            counts: Arc::default(),
            parcels: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    fn parcels(&self) -> std::sync::MutexGuard<'_, VecDeque<Parcel>> {
        self.parcels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a parcel; where too many wait it comes back, to be ended here.
    pub(super) fn send(&self, parcel: Parcel) -> Result<(), Parcel> {
        count(&self.counts.sent);
        let mut parcels = self.parcels();
        if parcels.len() < PARCELS_MAX {
            parcels.push_back(parcel);
            return Ok(());
        }
        Err(parcel)
    }

    pub(super) fn receive(&self) -> Option<Parcel> {
        self.parcels().pop_front()
    }

    /// From now on threads end after the request that they serve.
    pub(super) fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    pub(super) fn requests(&self) -> u64 {
        self.counts.requests.load(Relaxed)
    }

    /// What a service does in a steady rhythm.
    pub(super) fn look_after(&self) {
        self.arenas.trim();
        self.drafts.trim();
        self.buffers.trim();
        self.names.sweep();
        self.topics.sweep();
    }

    /// For a line of the curve.
    pub(super) fn summary(&self) -> String {
        let (names, configs) = (self.names.figures(), self.configs.figures());
        let Counts { over_budget, names_full, drafts_refused, .. } = &*self.counts;
        format!(
            "{} arenas idle, {} names, {} sweeps, {} configs; refused: {} budgets, {} names, {} drafts",
            self.arenas.figures().idle,
            names.entries,
            names.sweeps,
            configs.entries,
            over_budget.load(Relaxed),
            names_full.load(Relaxed),
            drafts_refused.load(Relaxed),
        )
    }

    /// Ends what is left, and says what must be equal. No other thread is at work.
    pub(super) fn balances(self) -> Vec<Balance> {
        while let Some(parcel) = self.receive() {
            super::load::end(&self, parcel);
        }
        let counts = |counter: &AtomicU64| counter.load(Relaxed);
        let mut all = Vec::new();
        let mut even = |what: &str, left: u64, right: u64| all.push(Balance { what: what.into(), left, right });
        even("parcels sent = received", counts(&self.counts.sent), counts(&self.counts.received));

        let arenas = self.arenas.figures();
        // Shards of shared arenas are items of the pool too.
        even("arenas acquired = returned + live", arenas.acquired, arenas.returned + arenas.live);
        even("arenas live = 0", arenas.live, 0);
        let taken = counts(&self.counts.arenas);
        even("arenas taken by requests, among those acquired", taken.min(arenas.acquired), taken);
        even("calls deferred = run", counts(&self.counts.deferred), counts(&self.counts.ran));
        even("counts adopted = let go", counts(&self.counts.adopted), counts(&self.counts.let_go));
        even("panics swallowed = 0", arenas.panics_swallowed, 0);
        self.arenas.trim();
        even("arenas idle after a trim = 0", self.arenas.figures().idle as u64, 0);

        let drafts = self.drafts.figures();
        even("drafts acquired here and there", drafts.acquired, counts(&self.counts.drafts));
        even("drafts detached here and there", drafts.detached, counts(&self.counts.drafts_detached));
        let buffers = self.buffers.figures();
        let acquired = buffers.iter().map(|class| class.acquired).sum();
        even("buffers acquired here and there", acquired, counts(&self.counts.buffers));
        for pool in buffers.into_iter().chain([drafts]) {
            all.extend(Balance::of_objects(&pool));
        }
        let mut even = |what: &str, left: u64, right: u64| all.push(Balance { what: what.into(), left, right });

        self.names.sweep();
        let names = self.names.figures();
        even("names entered = freed + held", names.entered, names.freed + names.entries as u64);
        even("names held = 0", names.entries as u64, 0);
        even("names' bytes = those of their tables", names.bytes as u64, names.table_bytes as u64);
        even("pins = 0", names.pins as u64, 0);

        self.topics.sweep();
        let topics = self.topics.figures();
        even("topics held by nobody = 0", topics.entries as u64, 0);
        all.extend(Balance::of_cache("configs", &self.configs.figures(), counts(&self.counts.config_look_ups)));
        all.extend(Balance::of_cache("topics", &topics, counts(&self.counts.topic_look_ups)));
        all
    }
}

/// Two numbers that have to be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Of what.
    pub what: String,
    /// The one.
    pub left: u64,
    /// The other.
    pub right: u64,
}

impl Balance {
    /// Whether they are.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.left == self.right
    }

    fn of_objects(pool: &ObjectPoolFigures) -> [Self; 3] {
        let balance = |what: &str, left, right| Self { what: format!("{}: {what}", pool.name), left, right };
        [
            balance("acquired = reused + created", pool.acquired, pool.reused + pool.created),
            balance(
                "created = idle + dropped + detached",
                pool.created,
                pool.idle as u64 + pool.dropped + pool.detached,
            ),
            balance("live = 0", pool.live, 0),
        ]
    }

    fn of_cache(name: &str, cache: &CacheFigures, look_ups: u64) -> [Self; 3] {
        let balance = |what: &str, left, right| Self { what: format!("{name}: {what}"), left, right };
        [
            balance("hits + misses = look-ups", cache.hits + cache.misses, look_ups),
            balance("built = entries + dropped", cache.built, cache.entries as u64 + cache.dropped),
            balance("builders failed = 0", cache.failed, 0),
        ]
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, left, right } = self;
        if self.is_even() {
            write!(f, "  even    {what}: {left}")
        } else {
            write!(f, "  UNEVEN  {what}: {left}, {right}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_seen() {
        let world = World::new();
        assert!(world.balances().iter().all(Balance::is_even), "nothing has happened");
        let world = World::new();
        let _lost = std::mem::ManuallyDrop::new(world.arenas.acquire());
        count(&world.counts.arenas);
        world.send(Parcel::Names(vec![world.names.intern("tenant-sent")])).expect("room");
        let kept = world.names.intern("kept");
        let balances = world.balances();
        let uneven: Vec<_> = balances.iter().filter(|balance| !balance.is_even()).map(|one| &*one.what).collect();
        assert_eq!(uneven, ["arenas live = 0", "names held = 0", "names' bytes = those of their tables"]);
        drop(kept);
    }
}
