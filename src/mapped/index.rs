//! The search for pilots: numbers that send the names of a table into slots of their own.
//!
//! Stands under the builder (`PTHash`: Pibiri and Trani, 2021). A name's hash says which pilot is its own; some four names share one.
//! Pilots are sought from the one with the most names on, while slots are free: each is the first number that sends all its
//! names into free slots. One slot in 32 stays free, so that the last ones are found soon.
//!
//! Invariants: no two names get one slot; the same hashes give the same pilots. Cost: 2.5 bytes and a bit per name, four heap calls.
#![forbid(unsafe_code)]

use super::builder::{count_u32, reserve, zeros};
use super::error::TableProblem;
use super::format::NameHash;
use std::cmp::Reverse;

/// Names that share a pilot, on average.
const NAMES_PER_PILOT: usize = 4;
/// Names per slot that stays free.
const NAMES_PER_FREE_SLOT: usize = 32;
/// The most names that one pilot is sought for; four are usual, twenty are not among a million.
const SHARERS_MAX: usize = 64;

/// A name to be found, by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) hash: u64,
    pub(super) number: u32,
}

/// Where each hash finds its slot.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) pilots: Vec<u16>,
    pub(super) slots: u32,
}

impl Index {
    /// The index of keys that are sorted; `None` where there is none: two hashes are equal, or too many share a pilot.
    pub(super) fn of(keys: &[Key]) -> Result<Option<Self>, TableProblem> {
        let slots = if keys.is_empty() { 0 } else { count_u32(keys.len() + keys.len() / NAMES_PER_FREE_SLOT + 1) };
        let mut pilots = zeros(keys.len().div_ceil(NAMES_PER_PILOT))?;
        let count = count_u32(pilots.len());
        let mut taken: Vec<u64> = zeros(slots.div_ceil(64) as usize)?;

        let own = |key: &Key| NameHash(key.hash).pilot(count);
        let mut sharing: Vec<&[Key]> = Vec::new();
        reserve(&mut sharing, pilots.len())?;
        sharing.extend(keys.chunk_by(|a, b| own(a) == own(b)));
        // Stable, and so the same each time; it takes half of what it sorts for the while.
        sharing.sort_by_key(|keys| Reverse(keys.len()));
        for keys in sharing {
            match seek(keys, slots, &mut taken) {
                Some(pilot) => pilots[own(&keys[0])] = pilot,
                None => return Ok(None),
            }
        }
        Ok(Some(Self { pilots, slots }))
    }
}

/// The first pilot that sends all keys into free slots, which it takes.
fn seek(keys: &[Key], slots: u32, taken: &mut [u64]) -> Option<u16> {
    let mut places = [0; SHARERS_MAX];
    let places = places.get_mut(..keys.len())?;
    let fits = |pilot: &u16| {
        for (i, key) in keys.iter().enumerate() {
            let slot = NameHash(key.hash).slot(*pilot, slots);
            if taken[slot / 64] >> (slot % 64) & 1 == 1 || places[..i].contains(&slot) {
                return false;
            }
            places[i] = slot;
        }
        true
    };
    let pilot = (0..=u16::MAX).find(fits)?;
    for slot in places {
        taken[*slot / 64] |= 1 << (*slot % 64);
    }
    Some(pilot)
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    fn keys(count: u32, hash: impl Fn(u32) -> u64) -> Vec<Key> {
        let mut keys: Vec<Key> = (0..count).map(|number| Key { hash: hash(number), number }).collect();
        keys.sort_unstable();
        keys
    }

    fn spread(number: u32) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes())
    }

    #[test]
    fn every_key_has_a_slot_of_its_own() {
        for count in [0, 1, 2, 3, 4, 5, 31, 32, 33, 1000, 50_000] {
            let keys = keys(count, spread);
            let index = Index::of(&keys).unwrap().unwrap();
            let pilots = count_u32(index.pilots.len());
            let mut slots: Vec<usize> = keys
                .iter()
                .map(|key| NameHash(key.hash).slot(index.pilots[NameHash(key.hash).pilot(pilots)], index.slots))
                .collect();
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(slots.len(), keys.len());
            assert!(slots.iter().all(|slot| *slot < index.slots as usize));
        }
    }

    #[test]
    fn hashes_that_cannot_be_told_apart_have_no_index() {
        assert!(Index::of(&keys(2, |_| 7)).unwrap().is_none());
        let crowded = keys(10_000, |number| if number < 100 { u64::from(number) << 8 } else { spread(number) });
        assert!(Index::of(&crowded).unwrap().is_none(), "a hundred share one pilot");
    }
}
