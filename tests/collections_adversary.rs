//! Keys that an adversary chose to collide: harmless under the default hash.
//!
//! Over the public API. The keys are made for the known seed of `FixedState`: their lower half cancels its start value, so
//! that its multiplication is one by zero and all hashes are equal, which is shown first. Comparisons of keys are counted,
//! since they do not depend on the machine; time, with a generous margin, only looks for what no key sees: long probing.

use blixard_arena::Arena;
use blixard_arena::collections::{FixedState, FlatMap, FlatSet, SeededState};
use std::cell::Cell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::time::{Duration, Instant};

thread_local! { static COMPARED: Cell<u64> = const { Cell::new(0) }; }

#[derive(Clone, Copy, Debug)]
struct Key(u128);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.set(COMPARED.get() + 1);
        self.0 == other.0
    }
}
impl Eq for Key {}
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0);
    }
}

/// What `FixedState` starts with: known to everybody.
const START: u128 = 0x9e37_79b9_7f4a_7c15;

fn chosen(count: u64) -> impl Iterator<Item = Key> + Clone {
    (0..u128::from(count)).map(|i| Key(i << 64 | START))
}

fn usual(count: u64) -> impl Iterator<Item = Key> + Clone {
    let mut state = 1_u128;
    (0..count).map(move |_| {
        state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
        Key(state)
    })
}

/// Comparisons and time for building a map of the keys, and for finding each of them.
fn cost<S: BuildHasher>(hash: S, keys: impl Iterator<Item = Key> + Clone) -> (u64, Duration) {
    let arena = Arena::new();
    COMPARED.set(0);
    let from = Instant::now();
    let mut map = FlatMap::with_hasher_in(hash, &arena);
    for key in keys.clone() {
        map.insert(key, ());
    }
    assert!(keys.clone().all(|key| map.contains_key(&key)));
    let took = from.elapsed();
    assert_eq!(map.len(), keys.count());
    (COMPARED.get(), took)
}

#[test]
fn chosen_keys_collide_under_the_known_seed() {
    let hashes: Vec<u64> = chosen(100).map(|key| FixedState.hash_one(key)).collect();
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "the keys are no longer what they are meant to be");
    let (compared, _) = cost(FixedState, chosen(1000));
    assert!(compared > 400_000, "{compared}");
}

#[test]
fn chosen_keys_cost_no_more_than_others_under_the_seed_of_the_process() {
    const KEYS: u64 = 100_000;
    let (of_usual, _) = cost(SeededState, usual(KEYS));
    let (of_chosen, _) = cost(SeededState, chosen(KEYS));
    // One comparison finds a key; half a hash is kept, of which two among so many keys may well be equal.
    assert!(of_usual < KEYS + 100 && of_chosen < KEYS + 100, "{of_chosen} comparisons, of usual keys {of_usual}");
    let best = |keys: &dyn Fn() -> Duration| (0..5).map(|_| keys()).min().expect("five");
    let of_usual = best(&|| cost(SeededState, usual(KEYS)).1);
    let of_chosen = best(&|| cost(SeededState, chosen(KEYS)).1);
    assert!(of_chosen < 4 * of_usual, "{of_chosen:?}, usual keys {of_usual:?}");
}

#[test]
fn and_so_do_sets_and_texts() {
    let arena = Arena::new();
    let mut set = FlatSet::new_in(&arena);
    COMPARED.set(0);
    set.extend(chosen(20_000));
    assert!(COMPARED.get() < 100, "{} comparisons", COMPARED.get());
    // Texts that differ in their last byte, their length, or not at all in 8-byte steps.
    let mut texts = FlatMap::new_in(&arena);
    let from = Instant::now();
    for i in 0..20_000_u32 {
        let zeros = i as usize % 200;
        texts.insert(&*arena.format(format_args!("{:0zeros$}{i}", 0)), i);
    }
    assert_eq!(texts.len(), 20_000);
    assert!(from.elapsed() < Duration::from_secs(20), "{:?}", from.elapsed());
}
