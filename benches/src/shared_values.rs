//! Values that requests share: find one by its key, hold it in many places at once, and what it costs when the request's arena holds
//! it instead.
//!
//! The values are a small config; keys are the names of [`crate::names`], met in their skewed order on one and two pinned threads.
//! Peers hold `Arc`s too. A hit is looked at, so that a value that is elsewhere costs its cache line everywhere.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use blixard_arena::ArenaPool;
use blixard_arena::arc::{ArcCache, BatchedArc, CacheReader, WeakCache};

use crate::contest::{Contender, Group, Named, Role};
use crate::names::{self, Names};

/// Operations per thread between two barriers: as many as there are meetings.
const BATCH: u64 = names::MEETINGS as u64;

/// Owners of one value that a request needs.
const OWNERS: usize = 64;

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("arc/get-10", || gets("arc/get-10", names::ten())),
    ("arc/get-10000", || gets("arc/get-10000", names::ten_thousand())),
    ("arc/weak-10000", weak_gets),
    ("arc/clone-64", clones),
];

/// What is shared.
#[derive(Debug)]
struct Config {
    cores: u64,
}

impl Config {
    fn of(name: &str) -> Self {
        Self { cores: name.len() as u64 }
    }
}

/// Texts in the order that they are met in, and what they are looked up in.
struct Met<C> {
    texts: Vec<&'static str>,
    cache: C,
}

fn gets(name: &'static str, names: &'static Names) -> Group {
    Group {
        name,
        note: "find a value by its key, in a skewed order, and look at it; caches of 16,384 entries",
        elements: 1,
        contenders: [1, 2].into_iter().flat_map(|threads| gets_at(names, threads)).collect(),
    }
}

/// Looks every text up that is met, the `n` first.
macro_rules! get {
    ($name:literal, $role:ident, $threads:expr, $names:expr, $cache:expr, |$found:ident, $text:ident| $get:expr $(,)?) => {
        Contender::pinned(
            $name,
            Role::$role,
            $threads,
            BATCH,
            Met { texts: $names.texts(), cache: $cache },
            |met, _, n| {
                let $found = &met.cache;
                for $text in met.texts.iter().copied().cycle().take(usize::try_from(n).unwrap_or(usize::MAX)) {
                    black_box($get);
                }
            },
            |_| (),
        )
        .warmed(BATCH)
    };
}

fn gets_at(names: &'static Names, threads: usize) -> Vec<Contender> {
    let ours = ArcCache::<String, Config>::new();
    let quick = quick_cache::sync::Cache::<String, Arc<Config>>::new(ArcCache::<String, Config>::ENTRIES_DEFAULT);
    let moka = moka::sync::Cache::<String, Arc<Config>>::new(ArcCache::<String, Config>::ENTRIES_DEFAULT as u64);
    let mut map = HashMap::<String, Config, blixard_arena::collections::SeededState>::default();
    for name in &names.distinct {
        ours.get_or_build(*name, || Config::of(name));
        quick.insert((*name).to_owned(), Arc::new(Config::of(name)));
        moka.insert((*name).to_owned(), Arc::new(Config::of(name)));
        map.insert((*name).to_owned(), Config::of(name));
    }
    moka.run_pending_tasks();
    vec![
        get!("blixard ArcCache::get", Ours, threads, names, ours.clone(), |cache, text| cache
            .get(text)
            .map(|config| config.cores)),
        readers(threads, names, &ours),
        get!("quick_cache", Peer, threads, names, quick, |cache, text| cache.get(text).map(|config| config.cores)),
        get!("moka", Peer, threads, names, moka, |cache, text| cache.get(text).map(|config| config.cores)),
        get!("a map that nobody changes", Control, threads, names, map, |map, text| map
            .get(text)
            .map(|config| config.cores)),
    ]
}

/// A reader for each thread.
fn readers(threads: usize, names: &'static Names, cache: &ArcCache<String, Config>) -> Contender {
    let readers: Vec<Mutex<CacheReader<String, Config>>> = (0..threads).map(|_| Mutex::new(cache.reader())).collect();
    Contender::pinned(
        "blixard CacheReader::get",
        Role::Ours,
        threads,
        BATCH,
        Met { texts: names.texts(), cache: readers },
        |met, thread, n| {
            let mut reader = met.cache[thread].lock().unwrap_or_else(PoisonError::into_inner);
            for text in met.texts.iter().copied().cycle().take(usize::try_from(n).unwrap_or(usize::MAX)) {
                black_box(reader.get(text).map(|config| config.cores));
            }
        },
        |_| (),
    )
    .warmed(BATCH)
}

fn weak_gets() -> Group {
    Group {
        name: "arc/weak-10000",
        note: "the same where others hold the values: nobody publishes a map for that, so it is compared with what one writes",
        elements: 1,
        contenders: [1, 2].into_iter().flat_map(weak_gets_at).collect(),
    }
}

fn weak_gets_at(threads: usize) -> Vec<Contender> {
    type Map = HashMap<String, Weak<Config>, blixard_arena::collections::SeededState>;
    fn held(names: &Names) -> (Vec<Arc<Config>>, Map) {
        let held: Vec<_> = names.distinct.iter().map(|name| Arc::new(Config::of(name))).collect();
        let map = names.distinct.iter().zip(&held).map(|(name, config)| ((*name).to_owned(), Arc::downgrade(config)));
        let map = map.collect();
        (held, map)
    }
    let names = names::ten_thousand();
    let ours = WeakCache::<String, Config>::new();
    let holders: Vec<_> = names.distinct.iter().map(|name| ours.get_or_build(*name, || Config::of(name))).collect();
    let (locked_held, locked) = held(names);
    let (read_held, read) = held(names);
    vec![
        get!("blixard WeakCache::get", Ours, threads, names, (ours, holders), |cache, text| cache
            .0
            .get(text)
            .map(|config| config.cores)),
        get!("Mutex<HashMap<_, Weak>>", Peer, threads, names, (Mutex::new(locked), locked_held), |cache, text| {
            let map = cache.0.lock().unwrap_or_else(PoisonError::into_inner);
            map.get(text).and_then(Weak::upgrade).map(|config| config.cores)
        }),
        get!("RwLock<HashMap<_, Weak>>", Peer, threads, names, (RwLock::new(read), read_held), |cache, text| {
            let map = cache.0.read().unwrap_or_else(PoisonError::into_inner);
            map.get(text).and_then(Weak::upgrade).map(|config| config.cores)
        }),
    ]
}

fn clones() -> Group {
    Group {
        name: "arc/clone-64",
        note: "64 owners of one shared value, each looked at and dropped; per owner",
        elements: OWNERS as u64,
        contenders: [1, 2].into_iter().flat_map(clones_at).collect(),
    }
}

fn clones_at(threads: usize) -> Vec<Contender> {
    /// Fills a list with owners, and looks at each.
    fn fill<O>(owners: &mut Vec<O>, from: impl Iterator<Item = O>, cores: impl Fn(&O) -> u64) {
        owners.extend(from.take(OWNERS));
        black_box(owners.iter().map(cores).sum::<u64>());
    }
    /// A list of room for them per thread, which is empty between two uses.
    fn listed<O: Send + 'static, S: Send + Sync + 'static>(
        name: &'static str,
        role: Role,
        threads: usize,
        shared: S,
        each: impl Fn(&S, &mut Vec<O>) + Sync + 'static,
    ) -> Contender {
        let lists: Vec<Mutex<Vec<O>>> = (0..threads).map(|_| Mutex::new(Vec::with_capacity(OWNERS))).collect();
        Contender::pinned(
            name,
            role,
            threads,
            256,
            (shared, lists),
            move |(shared, lists), thread, n| {
                let mut owners = lists[thread].lock().unwrap_or_else(PoisonError::into_inner);
                for _ in 0..n {
                    each(shared, &mut owners);
                }
            },
            |_| (),
        )
    }
    let config = || Config { cores: 4 };
    vec![
        listed("blixard batch, owners put back", Role::Ours, threads, BatchedArc::new(config()), |shared, owners| {
            let mut batch = shared.batch(64);
            fill(owners, batch.by_ref(), |config| config.cores);
            owners.drain(..).for_each(|owner| batch.put_back(owner));
        }),
        listed("blixard batch, owners dropped", Role::Ours, threads, BatchedArc::new(config()), |shared, owners| {
            fill(owners, shared.batch(64), |config| config.cores);
            owners.clear();
        }),
        listed("Arc::clone", Role::Peer, threads, Arc::new(config()), |shared, owners| {
            fill(owners, std::iter::repeat_with(|| Arc::clone(shared)), |config| config.cores);
            owners.clear();
        }),
        // The request takes an arena anyway; here it pays for it too.
        listed(
            "blixard Arena::adopt, one arena for the 64",
            Role::Ours,
            threads,
            (Arc::new(config()), ArenaPool::new()),
            |(shared, pool), owners: &mut Vec<usize>| {
                let arena = pool.acquire();
                let config: &Config = arena.adopt(Arc::clone(shared));
                let lent = arena.alloc_slice_fill_iter((0..OWNERS).map(|_| config));
                black_box(lent.iter().map(|config| config.cores).sum::<u64>());
                owners.clear();
            },
        ),
        listed("references to a value that outlives all", Role::Control, threads, config(), |shared, owners| {
            owners.clear();
            let lent: [&Config; OWNERS] = black_box([shared; OWNERS]);
            owners.push(lent.iter().map(|config| config.cores).sum::<u64>());
            black_box(owners);
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_group_does_its_work() {
        for (name, make) in GROUPS {
            for contender in &mut make().contenders {
                assert!(contender.run(3) > Duration::ZERO, "{name}: {}", contender.label());
            }
        }
    }

    #[test]
    fn everything_that_is_met_is_found() {
        let names = names::ten_thousand();
        let cache = ArcCache::<String, Config>::new();
        let quick = quick_cache::sync::Cache::<String, Arc<Config>>::new(16_384);
        for name in &names.distinct {
            cache.get_or_build(*name, || Config::of(name));
            quick.insert((*name).to_owned(), Arc::new(Config::of(name)));
        }
        let mut reader = cache.reader();
        for text in names.texts() {
            let cores = Some(text.len() as u64);
            assert_eq!(cache.get(text).map(|config| config.cores), cores);
            assert_eq!(reader.get(text).map(|config| config.cores), cores);
            assert_eq!(quick.get(text).map(|config| config.cores), cores);
        }
    }
}
