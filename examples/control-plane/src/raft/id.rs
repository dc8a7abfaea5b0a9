//! Identifiers of proposals: UUIDs of version 7, which ascend with time.
//!
//! Made where a proposal is built; log, replies and logs for people carry them on. Invariant: one [`ProposalIds`] gives
//! strictly ascending identifiers, also where its clock stands still or steps back. Cost: no heap call, no lock; a
//! look at the clock each.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use blixard_arena::archive::rkyv::{self, Archive, Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// A proposal's id, 16 bytes, unique in the cluster.
///
/// ```
/// use control_plane::raft::ProposalId;
///
/// let id: ProposalId = "0190d6c4-8f00-7abc-8def-0123456789ab".parse()?;
/// assert_eq!(id.unix_millis(), Some(0x0190_d6c4_8f00));
/// assert_eq!(id.to_string(), "0190d6c4-8f00-7abc-8def-0123456789ab");
/// # Ok::<(), uuid::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub struct ProposalId(pub [u8; 16]);

impl ProposalId {
    /// When it was made, in milliseconds since 1970; `None` if it is no UUID of version 7.
    #[must_use]
    pub fn unix_millis(self) -> Option<u64> {
        let uuid = Uuid::from_bytes(self.0);
        (uuid.get_version_num() == 7).then(|| (uuid.as_u128() >> 80) as u64)
    }
}

impl fmt::Display for ProposalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Uuid::from_bytes(self.0), f)
    }
}

impl FromStr for ProposalId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(|uuid: Uuid| Self(uuid.into_bytes()))
    }
}

/// Bits of an identifier that are not its milliseconds, version and variant.
const RANDOM_BITS: u32 = 74;

/// Makes identifiers, each greater than the one before.
///
/// From a clock for a service, from a seed for a test or a simulation that is to be repeated. An identifier is its
/// millisecond and 74 random bits; within one millisecond a random step of up to 2^32 is added to the last one, so that neither order
/// nor uniqueness needs the clock (RFC 9562, section 6.2, method 2).
///
/// ```
/// use control_plane::raft::ProposalIds;
///
/// let mut ids = ProposalIds::from_clock();
/// let (first, second) = (ids.next_id(), ids.next_id());
/// assert!(first < second);
///
/// let mut again = ProposalIds::from_seed(7, 1_700_000_000_000);
/// assert_eq!(again.next_id(), ProposalIds::from_seed(7, 1_700_000_000_000).next_id());
/// ```
#[derive(Debug)]
pub struct ProposalIds {
    /// Milliseconds above the random bits; 0 before the first.
    last: u128,
    random: u64,
    fixed_unix_millis: Option<u64>,
}

impl ProposalIds {
    /// Identifiers of the system's time, told apart from other nodes' by bits that this process draws from the operating
    /// system. They can be guessed: an identifier is no secret.
    #[must_use]
    pub fn from_clock() -> Self {
        // std's hash keys come from the operating system.
        Self { last: 0, random: RandomState::new().hash_one(unix_millis()), fixed_unix_millis: None }
    }

    /// Identifiers that follow from a seed, at one instant. Two with the same seed give the same ones.
    #[must_use]
    pub fn from_seed(seed: u64, unix_millis: u64) -> Self {
        Self { last: 0, random: seed, fixed_unix_millis: Some(unix_millis) }
    }

    /// The next one.
    ///
    /// # Panics
    ///
    /// When the milliseconds leave their 48 bits, in the year 10889.
    pub fn next_id(&mut self) -> ProposalId {
        let now = self.fixed_unix_millis.unwrap_or_else(unix_millis);
        self.next_id_at(now)
    }

    fn next_id_at(&mut self, unix_millis: u64) -> ProposalId {
        // The highest random bit is left free: steps within a millisecond do not run over into the next before 2^41 of them.
        let random = u128::from(self.random()) << (RANDOM_BITS - 1 - 64) | u128::from(self.random() >> 55);
        assert!(unix_millis >> 48 == 0, "milliseconds of an identifier fit into 48 bits");
        let fresh = u128::from(unix_millis) << RANDOM_BITS | random;
        let step = 1 + u128::from(self.random() >> 32);
        self.last = fresh.max(self.last + step);
        let millis = self.last >> RANDOM_BITS;
        assert!(millis >> 48 == 0, "milliseconds of an identifier fit into 48 bits");
        // Of ten bytes it takes 12 bits of the first two and 62 of the others; shifted, the 12 lie above the 62.
        let bits = self.last >> 62 << 64 | self.last & (u128::MAX >> (128 - 62));
        let bits = bits.to_be_bytes();
        let bytes = bits.last_chunk().expect("ten of sixteen");
        ProposalId(Builder::from_unix_timestamp_millis(millis as u64, bytes).into_uuid().into_bytes())
    }

    /// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

fn unix_millis() -> u64 {
    // A clock before 1970 is a clock that stands still.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn they_are_of_version_7_and_ascend_whatever_the_clock_does() {
        let mut ids = ProposalIds::from_seed(1, 0);
        let clock = [0, 0, 5, 5, 5, 4, 0, 1_700_000_000_000, 3, 1_700_000_000_001, (1 << 48) - 1];
        let made: Vec<_> = clock.iter().cycle().take(8).chain(&clock).map(|&now| ids.next_id_at(now)).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        for id in made {
            let uuid = Uuid::from_bytes(id.0);
            assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn they_tell_their_millisecond() {
        let mut ids = ProposalIds::from_seed(9, 0);
        assert_eq!(ids.next_id_at(1_700_000_000_000).unix_millis(), Some(1_700_000_000_000));
        assert_eq!(ids.next_id_at(1_600_000_000_000).unix_millis(), Some(1_700_000_000_000));
        assert_eq!(ProposalId([0; 16]).unix_millis(), None);
        let before = unix_millis();
        let made = ProposalIds::from_clock().next_id().unix_millis();
        assert!(made >= Some(before) && made <= Some(unix_millis()));
    }

    #[test]
    fn a_hundred_thousand_of_one_millisecond_are_different_and_stay_in_it() {
        let mut ids = ProposalIds::from_seed(3, 7);
        let made: HashSet<_> = (0..100_000).map(|_| ids.next_id()).collect();
        assert_eq!(made.len(), 100_000);
        assert!(made.iter().all(|id| id.unix_millis() == Some(7)));
        let others: HashSet<_> = std::iter::repeat_with({
            let mut others = ProposalIds::from_seed(4, 7);
            move || others.next_id()
        })
        .take(100_000)
        .collect();
        assert!(made.is_disjoint(&others));
    }

    #[test]
    fn two_from_the_clock_are_different() {
        assert_ne!(ProposalIds::from_clock().next_id(), ProposalIds::from_clock().next_id());
    }

    #[test]
    #[should_panic(expected = "48 bits")]
    fn the_year_10889_is_the_end() {
        let _ = ProposalIds::from_seed(0, 1 << 48).next_id();
    }
}
