//! How keys are hashed: with a seed of this process by default, with a known one for keys that can be trusted.
//!
//! Stands under `collections` and `intern`. The function is foldhash's for both (Orson Peters, 2024: a folded multiply
//! per 16 bytes); they differ in what an outsider can know of it.
//! Invariant: one value has one hash for as long as the process lives. Cost: no heap call.
#![forbid(unsafe_code)]

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// What the process hashes with: drawn once.
struct Seeds {
    start: u64,
    shared: SharedSeed,
}

fn seeds() -> &'static Seeds {
    static SEEDS: OnceLock<Seeds> = OnceLock::new();
    SEEDS.get_or_init(|| {
        // The standard library's keys come from the operating system.
        let draw = |nonce: u64| RandomState::new().hash_one(nonce);
        Seeds { start: draw(1), shared: SharedSeed::from_u64(draw(2)) }
    })
}

/// Hashes with a seed that this process drew when it first hashed: for keys that come from outside, and the default.
///
/// Who cannot see the seed cannot choose keys that collide. Takes no room in a map and no time when one is made.
///
/// ```
/// use blixard_arena::collections::SeededState;
/// use std::hash::BuildHasher;
///
/// assert_eq!(SeededState.hash_one("vm-1"), SeededState.hash_one("vm-1")); // the same in the whole process
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SeededState;

impl BuildHasher for SeededState {
    type Hasher = FoldHasher<'static>;

    #[inline(always)]
    fn build_hasher(&self) -> FoldHasher<'static> {
        let seeds = seeds();
        FoldHasher::with_seed(seeds.start, &seeds.shared)
    }
}

/// Hashes with a seed that everybody knows: for keys that no outsider chooses, such as field names and identifiers of
/// one's own, where the same run twice should take the same time.
///
/// Saves the look at the seed, about half a nanosecond a hash. Keys that an adversary chose can all be made to collide.
///
/// ```
/// use blixard_arena::collections::FixedState;
/// use std::hash::BuildHasher;
///
/// assert_eq!(FixedState.hash_one("cpu_milli"), FixedState.hash_one("cpu_milli")); // the same in every run
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedState;

impl BuildHasher for FixedState {
    type Hasher = FoldHasher<'static>;

    #[inline(always)]
    fn build_hasher(&self) -> FoldHasher<'static> {
        FoldHasher::with_seed(START, SharedSeed::global_fixed())
    }
}

/// Any odd number with ones and zeros spread: foldhash's known seeds do the rest.
const START: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeded_hash_is_one_per_process_and_not_the_fixed_one() {
        let hashes = |text: &str| (SeededState.hash_one(text), FixedState.hash_one(text));
        assert_eq!(hashes("vm-1"), hashes("vm-1"));
        let elsewhere = std::thread::spawn(move || hashes("vm-1")).join().unwrap();
        assert_eq!(hashes("vm-1"), elsewhere);
        assert_ne!(SeededState.hash_one("vm-1"), FixedState.hash_one("vm-1"));
        assert_ne!(SeededState.hash_one("vm-1"), SeededState.hash_one("vm-2"));
    }
}
