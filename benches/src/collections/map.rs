//! Maps of 4, 16, 256 and 10,000 pairs with strings for keys: build, find, not find, go through, let go.
//!
//! Keys are names of 6 to 24 bytes, values `u64`, both borrowed or plain, so that a map's own work is all there is. Look-ups go in a random order over
//! enough maps that no branch predictor knows the next one. Each way of hashing stands beside ours
//! once as it comes and once, "our hasher", with [`SeededState`], which is our default. bumpalo and bump-scope have no map of their own, and
//! multitude's is hashbrown's: theirs are hashbrown's in their memory.
//!
//! Invariant: before a contender is timed, its maps answer as a `BTreeMap` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, Hash, RandomState};
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use blixard_arena::collections::{FlatMap, Memory, SeededState};
use blixard_arena::{Arena, ArenaOptions, SharedArena};
use bumpalo::Bump;
use hashbrown::DefaultHashBuilder;

use crate::contest::{BATCH_BYTES, Contender, Group, Named, Role};
use crate::random::Random;

/// The groups of one size, by name.
macro_rules! sizes {
    ($($n:literal)*) => {
        &[$(
            (concat!("collections/map-", $n, "/build"), || group(concat!("collections/map-", $n, "/build"), $n, Work::Build)),
            (concat!("collections/map-", $n, "/hit"), || group(concat!("collections/map-", $n, "/hit"), $n, Work::Hit)),
            (concat!("collections/map-", $n, "/miss"), || group(concat!("collections/map-", $n, "/miss"), $n, Work::Miss)),
            (concat!("collections/map-", $n, "/iterate"), || group(concat!("collections/map-", $n, "/iterate"), $n, Work::Iterate)),
            (concat!("collections/map-", $n, "/drop"), || group(concat!("collections/map-", $n, "/drop"), $n, Work::Drop)),
        )*]
    };
}

/// The groups, by name.
pub const GROUPS: &[Named] = sizes!(4 16 256 10000);

/// What is timed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Build,
    Hit,
    Miss,
    Iterate,
    Drop,
}

/// A map as the contests see it.
pub(super) trait Map<K> {
    fn put(&mut self, key: K, value: u64);
    fn find(&self, key: &K) -> Option<u64>;
    fn each(&self, see: impl FnMut(&K, u64));
}

impl<K: Eq + Hash, A: Memory, S: BuildHasher> Map<K> for FlatMap<K, u64, A, S> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn find(&self, key: &K) -> Option<u64> {
        self.get(key).copied()
    }

    fn each(&self, mut see: impl FnMut(&K, u64)) {
        for (key, value) in self {
            see(key, *value);
        }
    }
}

impl<K: Eq + Hash, A: allocator_api2::alloc::Allocator, S: BuildHasher> Map<K> for hashbrown::HashMap<K, u64, S, A> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn find(&self, key: &K) -> Option<u64> {
        self.get(key).copied()
    }

    fn each(&self, mut see: impl FnMut(&K, u64)) {
        for (key, value) in self {
            see(key, *value);
        }
    }
}

impl<K: Eq + Hash, S: BuildHasher> Map<K> for std::collections::HashMap<K, u64, S> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn find(&self, key: &K) -> Option<u64> {
        self.get(key).copied()
    }

    fn each(&self, mut see: impl FnMut(&K, u64)) {
        for (key, value) in self {
            see(key, *value);
        }
    }
}

impl<K: Eq + Hash, S: BuildHasher> Map<K> for indexmap::IndexMap<K, u64, S> {
    fn put(&mut self, key: K, value: u64) {
        self.insert(key, value);
    }

    fn find(&self, key: &K) -> Option<u64> {
        self.get(key).copied()
    }

    fn each(&self, mut see: impl FnMut(&K, u64)) {
        for (key, value) in self {
            see(key, *value);
        }
    }
}

/// A kind of map, and the memory that maps of this kind lie in.
pub(super) trait Kind<K>: 'static {
    type Home;
    type Map<'h>: Map<K>;

    /// Memory for maps that take `bytes`.
    fn home(bytes: usize) -> Self::Home;
    fn map(home: &Self::Home) -> Self::Map<'_>;
    /// Frees all that was built in it.
    fn rewind(home: &mut Self::Home);
}

/// A kind: its name, the type of a map in a home, how a home is made and rewound, and how a map is made in it.
macro_rules! kind {
    ($name:ident, $map:ty, $home:ty, |$bytes:pat_param| $make_home:expr, $rewind:expr, |$h:pat_param| $make:expr) => {
        pub(super) struct $name;
        impl<K: Eq + Hash + 'static> Kind<K> for $name {
            type Home = $home;
            type Map<'h> = $map;

            fn home($bytes: usize) -> $home {
                $make_home
            }

            fn map($h: &Self::Home) -> Self::Map<'_> {
                $make
            }

            fn rewind(home: &mut Self::Home) {
                $rewind(home);
            }
        }
    };
}

kind!(FlatArena, FlatMap<K, u64, &'h Arena>, Arena, |bytes| arena(bytes).arena(), Arena::reset, |home| FlatMap::new_in(home));
kind!(
    FlatShared,
    FlatMap<K, u64, &'h SharedArena>,
    SharedArena,
    |bytes| arena(bytes).shared(),
    SharedArena::reset,
    |home| FlatMap::new_in(home)
);
kind!(FlatHeap, FlatMap<K, u64>, (), |_| (), nothing, |()| FlatMap::new());
kind!(Std, std::collections::HashMap<K, u64, RandomState>, (), |_| (), nothing, |()| std::collections::HashMap::new());
kind!(
    HashbrownHeap,
    hashbrown::HashMap<K, u64, DefaultHashBuilder>,
    (),
    |_| (),
    nothing,
    |()| hashbrown::HashMap::new()
);
kind!(
    HashbrownHeapEqual,
    hashbrown::HashMap<K, u64, SeededState>,
    (),
    |_| (),
    nothing,
    |()| hashbrown::HashMap::with_hasher(SeededState)
);
kind!(
    HashbrownArena,
    hashbrown::HashMap<K, u64, SeededState, &'h Arena>,
    Arena,
    |bytes| arena(bytes).arena(),
    Arena::reset,
    |home| hashbrown::HashMap::with_hasher_in(SeededState, home)
);
kind!(
    HashbrownBumpalo,
    hashbrown::HashMap<K, u64, DefaultHashBuilder, &'h Bump>,
    Bump,
    |bytes| Bump::with_capacity(bytes),
    Bump::reset,
    |home| hashbrown::HashMap::new_in(home)
);
kind!(
    HashbrownBumpaloEqual,
    hashbrown::HashMap<K, u64, SeededState, &'h Bump>,
    Bump,
    |bytes| Bump::with_capacity(bytes),
    Bump::reset,
    |home| hashbrown::HashMap::with_hasher_in(SeededState, home)
);
kind!(
    HashbrownScope,
    hashbrown::HashMap<K, u64, DefaultHashBuilder, &'h bump_scope::Bump>,
    bump_scope::Bump,
    |bytes| <bump_scope::Bump>::with_size(bytes),
    <bump_scope::Bump>::reset,
    |home| hashbrown::HashMap::new_in(home)
);
kind!(
    Multitude,
    hashbrown::HashMap<K, u64, DefaultHashBuilder, &'h multitude::Arena>,
    multitude::Arena,
    |bytes| multitude::Arena::builder().with_capacity(bytes).build(),
    multitude::Arena::reset,
    |home| home.alloc_hash_map()
);
kind!(Index, indexmap::IndexMap<K, u64, RandomState>, (), |_| (), nothing, |()| indexmap::IndexMap::new());
kind!(
    IndexEqual,
    indexmap::IndexMap<K, u64, SeededState>,
    (),
    |_| (),
    nothing,
    |()| indexmap::IndexMap::with_hasher(SeededState)
);

fn arena(bytes: usize) -> ArenaOptions {
    ArenaOptions::new().first_chunk_bytes(bytes)
}

/// How the heap is rewound: its maps have freed what they had.
fn nothing(_: &mut ()) {}

/// What maps are built of and asked for.
pub(super) struct Sample<K> {
    /// The pairs of each map.
    maps: Vec<Vec<(K, u64)>>,
    /// Look-ups in a random order: which map, which key.
    hits: Vec<(usize, K)>,
    misses: Vec<(usize, K)>,
}

/// Look-ups in one iteration: a power of two.
const LOOKUPS: usize = 8192;

/// A sample that drops are timed on has so many pairs, since all must be built first.
const DROPPED_PAIRS: u64 = 40_000;

impl<K: Copy + Ord> Sample<K> {
    /// Maps of `n` pairs whose keys come out of `keys`, which never gives one twice; so many maps that they fill half of a first-level
    /// cache, if more than one does.
    pub(super) fn new(n: usize, mut keys: impl FnMut(usize) -> Vec<K>) -> Self {
        let mut random = Random::new(7);
        let count = (256 / n).max(1);
        let (present, absent) = (keys(count * n), keys(count * n));
        let maps = present.chunks(n).map(|keys| keys.iter().map(|&key| (key, random.next() >> 1)).collect()).collect();
        let mut draw = |from: &[K]| {
            let one = |_| {
                let at = random.below(from.len());
                (at / n, from[at])
            };
            (0..LOOKUPS).map(one).collect()
        };
        Self { maps, hits: draw(&present), misses: draw(&absent) }
    }

    /// What a kind of map must answer, by std's tree.
    fn check<M: Kind<K>>(&self, name: &str) {
        let home = M::home(1 << 20);
        for (index, pairs) in self.maps.iter().enumerate() {
            let map = build::<K, M>(&home, pairs);
            let oracle: BTreeMap<K, u64> = pairs.iter().copied().collect();
            let mut seen = BTreeMap::new();
            map.each(|&key, value| assert!(seen.insert(key, value).is_none(), "{name}: a key stands twice"));
            assert!(seen == oracle, "{name} holds something else");
            for (of, key) in self.hits.iter().chain(&self.misses).filter(|(of, _)| *of == index) {
                assert!(map.find(key) == oracle.get(key).copied(), "{name} answers otherwise in map {of}");
            }
        }
        assert!(self.hits.iter().all(|(of, key)| self.maps[*of].iter().any(|(known, _)| known == key)));
    }
}

fn build<'h, K: Copy, M: Kind<K>>(home: &'h M::Home, pairs: &[(K, u64)]) -> M::Map<'h> {
    let mut map = M::map(home);
    for &(key, value) in pairs {
        map.put(key, value);
    }
    map
}

/// A contender: checked, then timed at its work.
pub(super) fn contender<K: Copy + Ord + 'static, M: Kind<K>>(
    name: &'static str,
    role: Role,
    work: Work,
    sample: &Rc<Sample<K>>,
) -> Contender {
    sample.check::<M>(name);
    let sample = Rc::clone(sample);
    let mut random = Random::new(3);
    let n = sample.maps[0].len();
    let mut home = M::home((n * 400).max(1 << 16));
    match work {
        Work::Build => Contender::timed(name, role, move |iterations| {
            let mut spent = Duration::ZERO;
            in_batches::<K, M>(&mut home, &sample, iterations, (BATCH_BYTES / (n * 64)).max(1), |building, _| {
                spent += building;
            });
            spent
        }),
        Work::Drop => Contender::timed(name, role, move |iterations| {
            let sampled = iterations.min(DROPPED_PAIRS / n as u64);
            let mut spent = Duration::ZERO;
            in_batches::<K, M>(&mut home, &sample, sampled, (BATCH_BYTES / (n * 64)).max(4), |_, dropping| {
                spent += dropping;
            });
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
            spent.mul_f64(iterations as f64 / sampled as f64)
        }),
        Work::Hit | Work::Miss => Contender::timed(name, role, move |iterations| {
            let spent = {
                let maps: Vec<_> = sample.maps.iter().map(|pairs| build::<K, M>(&home, pairs)).collect();
                let lookups = if matches!(work, Work::Hit) { &sample.hits } else { &sample.misses };
                let start = Instant::now();
                for _ in 0..iterations {
                    // Another order each time, so that no branch predictor can learn it.
                    let (first, step) = (random.below(LOOKUPS), 2 * random.below(LOOKUPS) + 1);
                    for at in 0..LOOKUPS {
                        let (of, key) = &lookups[(first + at * step) % LOOKUPS];
                        black_box(maps[*of].find(key));
                    }
                }
                start.elapsed()
            };
            M::rewind(&mut home);
            spent
        }),
        Work::Iterate => Contender::timed(name, role, move |iterations| {
            let spent = {
                let maps: Vec<_> = sample.maps.iter().map(|pairs| build::<K, M>(&home, pairs)).collect();
                let start = Instant::now();
                for _ in 0..iterations {
                    for map in &maps {
                        let mut sum = 0_u64;
                        map.each(|key, value| {
                            black_box(key);
                            sum = sum.wrapping_add(value);
                        });
                        black_box(sum);
                    }
                }
                start.elapsed()
            };
            M::rewind(&mut home);
            spent
        }),
    }
}

/// Builds `count` maps and lets them go, `batch` at a time; tells how long each took. Letting go is dropping them all, and the rewind.
fn in_batches<K: Copy, M: Kind<K>>(
    home: &mut M::Home,
    sample: &Sample<K>,
    count: u64,
    batch: usize,
    mut tell: impl FnMut(Duration, Duration),
) {
    let mut inputs = sample.maps.iter().cycle();
    let mut left = usize::try_from(count).expect("a count of maps");
    while left > 0 {
        let now = left.min(batch);
        let mut maps = Vec::with_capacity(now);
        let start = Instant::now();
        for pairs in inputs.by_ref().take(now) {
            maps.push(build::<K, M>(home, pairs));
        }
        let built = start.elapsed();
        black_box(&mut maps);
        let start = Instant::now();
        drop(maps);
        M::rewind(home);
        tell(built, start.elapsed());
        left -= now;
    }
}

/// Names as services have them, of 6 to 24 bytes, none of which comes twice.
pub(super) fn names(random: &mut Random, count: usize) -> Vec<&'static str> {
    const KINDS: [&str; 6] = ["vm-", "node-", "tenant-", "region-", "deployment-", "app.zone/"];
    in_one_block(count, |text| {
        let digits = 3 + random.below(11);
        let number = random.next() >> (64 - 4 * digits);
        write!(text, "{}{number:0digits$x}", KINDS[random.below(KINDS.len())])
    })
}

/// Identifiers of 16 bytes, none of which comes twice.
pub(super) fn identifiers(random: &mut Random, count: usize) -> Vec<&'static str> {
    in_one_block(count, |text| write!(text, "vm-{:013x}", random.next() >> 12))
}

/// Distinct texts that lie one behind the other, as in a request's bytes. They stay for good, so that maps may hold them.
fn in_one_block(count: usize, mut write: impl FnMut(&mut String) -> fmt::Result) -> Vec<&'static str> {
    let mut known = BTreeSet::new();
    let (mut block, mut ends) = (String::new(), Vec::new());
    while ends.len() < count {
        let start = block.len();
        write(&mut block).expect("a String takes any text");
        if known.insert(block[start..].to_owned()) {
            ends.push(block.len());
        } else {
            block.truncate(start);
        }
    }
    let mut block: &'static str = block.leak();
    let mut before = 0;
    let mut next = |end: usize| {
        let (one, rest) = block.split_at(end - before);
        (block, before) = (rest, end);
        one
    };
    ends.into_iter().map(&mut next).collect()
}

fn group(name: &'static str, n: usize, work: Work) -> Group {
    let mut random = Random::new(n as u64);
    // Present and absent keys are drawn together, so that they differ.
    let count = (256 / n).max(1) * n;
    let mut all = names(&mut random, 2 * count);
    random.shuffle(&mut all);
    let sample = &Rc::new(Sample::new(n, |count| all.split_off(all.len() - count)));
    let mut contenders = vec![
        contender::<_, FlatArena>("blixard FlatMap, Arena", Role::Ours, work, sample),
        contender::<_, FlatShared>("blixard FlatMap, SharedArena", Role::Ours, work, sample),
        contender::<_, FlatHeap>("blixard FlatMap, heap", Role::Ours, work, sample),
        contender::<_, Std>("std HashMap", Role::Peer, work, sample),
        contender::<_, HashbrownHeap>("hashbrown, heap", Role::Peer, work, sample),
        contender::<_, HashbrownHeapEqual>("hashbrown, heap, our hasher", Role::Peer, work, sample),
        contender::<_, HashbrownBumpalo>("hashbrown, bumpalo", Role::Peer, work, sample),
        contender::<_, HashbrownBumpaloEqual>("hashbrown, bumpalo, our hasher", Role::Peer, work, sample),
        contender::<_, HashbrownArena>("hashbrown, blixard Arena, our hasher", Role::Peer, work, sample),
        contender::<_, HashbrownScope>("hashbrown, bump-scope", Role::Peer, work, sample),
        contender::<_, Multitude>("multitude's map", Role::Peer, work, sample),
        contender::<_, Index>("indexmap", Role::Peer, work, sample),
        contender::<_, IndexEqual>("indexmap, our hasher", Role::Peer, work, sample),
    ];
    if let Work::Hit | Work::Miss | Work::Iterate = work {
        // What memory a map lies in makes no difference to these.
        let same = ["bumpalo", "bump-scope", "multitude", "SharedArena", "blixard Arena, our"];
        contenders.retain(|one| !same.iter().any(|memory| one.name.contains(memory)));
    }
    Group { name, note: work.note(), elements: work.elements(sample), contenders }
}

impl Work {
    pub(super) fn elements<K>(self, sample: &Sample<K>) -> u64 {
        let elements = match self {
            Self::Build => sample.maps[0].len(),
            Self::Drop => 1,
            Self::Hit | Self::Miss => LOOKUPS,
            Self::Iterate => sample.maps.iter().map(Vec::len).sum(),
        };
        elements as u64
    }

    pub(super) const fn note(self) -> &'static str {
        match self {
            Self::Build => "per pair; pairs inserted one by one into a new map without capacity",
            Self::Hit => "per look-up of a key that is there, in a random order",
            Self::Miss => "per look-up of a key that is not there, in a random order",
            Self::Iterate => "per pair that is gone through",
            Self::Drop => "per map; dropped one after the other, and the arena's rewind shared among them",
        }
    }
}
