//! Why `FlatMap` scans up to 8 pairs and hashes beyond: the same look-ups scanned always, and indexed always.
//!
//! For 4 to 16 pairs and three sorts of keys: names of mixed lengths (a scan mostly compares lengths), identifiers of equal length (it
//! compares bytes), and numbers. "scanned always" is a vector of pairs gone through by hand; "indexed always" a `FlatMap` that reserved room for 9
//! at first. The threshold is right where neither beats the map by much on either side of it, for strings above all.

use std::hash::Hash;
use std::rc::Rc;

use blixard_arena::collections::{FlatMap, Vec as ArenaVec};
use blixard_arena::{Arena, ArenaOptions};

use super::map::{FlatArena, Kind, Map, Sample, Work, contender, identifiers, names};
use crate::contest::{Group, Named, Role};
use crate::random::Random;

/// A sort of keys at all sizes and works, by name.
macro_rules! sorts {
    ($($sort:literal $keys:ident: $($n:literal)*;)*) => {
        &[$($(
            (
                concat!("collections/threshold/", $sort, "/build ", $n),
                || group(concat!("collections/threshold/", $sort, "/build ", $n), $n, Work::Build, $keys),
            ),
            (
                concat!("collections/threshold/", $sort, "/hit ", $n),
                || group(concat!("collections/threshold/", $sort, "/hit ", $n), $n, Work::Hit, $keys),
            ),
            (
                concat!("collections/threshold/", $sort, "/miss ", $n),
                || group(concat!("collections/threshold/", $sort, "/miss ", $n), $n, Work::Miss, $keys),
            ),
        )*)*]
    };
}

/// The groups, by name.
pub const GROUPS: &[Named] = sorts! {
    "names" names: 4 6 8 9 12 16;
    "identifiers" identifiers: 4 6 8 9 12 16;
    "numbers" numbers: 4 6 8 9 12 16;
};

/// Numbers, which do not come twice: 64 bits and a fixed seed.
fn numbers(random: &mut Random, count: usize) -> Vec<u64> {
    (0..count).map(|_| random.next()).collect()
}

/// Pairs that are always scanned.
struct Scanned<'h, K>(ArenaVec<(K, u64), &'h Arena>);

impl<K: Eq> Map<K> for Scanned<'_, K> {
    fn put(&mut self, key: K, value: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    fn find(&self, key: &K) -> Option<u64> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| *value)
    }

    fn each(&self, mut see: impl FnMut(&K, u64)) {
        for (key, value) in &self.0 {
            see(key, *value);
        }
    }
}

struct ScannedAlways;

// K must not need Drop, and the kinds of keys here are plain.
impl<K: Eq + Copy + 'static> Kind<K> for ScannedAlways {
    type Home = Arena;
    type Map<'h> = Scanned<'h, K>;

    fn home(bytes: usize) -> Arena {
        ArenaOptions::new().first_chunk_bytes(bytes).arena()
    }

    fn map(home: &Arena) -> Scanned<'_, K> {
        Scanned(ArenaVec::new_in(home))
    }

    fn rewind(home: &mut Arena) {
        home.reset();
    }
}

struct IndexedAlways;

impl<K: Eq + Hash + 'static> Kind<K> for IndexedAlways {
    type Home = Arena;
    type Map<'h> = FlatMap<K, u64, &'h Arena>;

    fn home(bytes: usize) -> Arena {
        ArenaOptions::new().first_chunk_bytes(bytes).arena()
    }

    fn map(home: &Arena) -> FlatMap<K, u64, &Arena> {
        let mut map = FlatMap::new_in(home);
        // More than is scanned.
        map.reserve(9);
        map
    }

    fn rewind(home: &mut Arena) {
        home.reset();
    }
}

fn group<K: Copy + Ord + Hash + 'static>(
    name: &'static str,
    n: usize,
    work: Work,
    keys: fn(&mut Random, usize) -> Vec<K>,
) -> Group {
    let mut all = keys(&mut Random::new(n as u64), 2 * (256 / n).max(1) * n);
    let sample = &Rc::new(Sample::new(n, |count| all.split_off(all.len() - count)));
    let contenders = vec![
        contender::<K, FlatArena>("blixard FlatMap", Role::Ours, work, sample),
        contender::<K, ScannedAlways>("scanned always", Role::Limit, work, sample),
        contender::<K, IndexedAlways>("indexed always", Role::Limit, work, sample),
    ];
    Group { name, note: work.note(), elements: work.elements(sample), contenders }
}
