//! A pool's account: what it holds, and how much it may.
//!
//! Stands under a pool's tables and storage. Touched when a name is new or freed, never by a hit. Invariants:
//! `bytes <= bytes_max` and `entries <= entries_max`, at every moment, on every thread. Cost: no heap call.
#![forbid(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering};
use std::fmt;

/// A name was refused: its pool holds as much as it may, or the global allocator has no memory.
///
/// The `try_` calls return it; the others panic with it as payload. What the pool holds is as it was, and names that it
/// has are found as before.
///
/// ```
/// use blixard_arena::intern::{PoolFull, StringPoolOptions};
///
/// let pool = StringPoolOptions::new().entries_max(2).build();
/// let pin = pool.pin();
/// pin.intern("leader");
/// pin.intern("follower");
/// let refused = pin.try_intern("learner").unwrap_err();
/// assert!(matches!(refused, PoolFull::Entries { used: 2, allowed: 2 }));
/// assert!(pin.try_intern("leader").is_ok()); // what is there is found, whatever the caps say
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolFull {
    /// The pool has as many names as it may.
    Entries {
        /// Names in the pool, those that wait to be freed included.
        used: usize,
        /// Names that it may have.
        allowed: usize,
    },
    /// The pool would hold more memory than it may.
    Bytes {
        /// Bytes that were needed: a block for texts, or a table; the text alone where no block can hold it.
        asked: usize,
        /// Bytes that the pool held from the global allocator.
        used: usize,
        /// Bytes that it may hold. Not more than `used` where the global allocator itself had no memory.
        allowed: usize,
    },
}

impl fmt::Display for PoolFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries { used, allowed } => write!(f, "string pool: {used} names are held of {allowed} allowed"),
            Self::Bytes { asked, used, allowed } => {
                write!(f, "string pool: {asked} bytes asked for, {used} bytes are held of {allowed} allowed")
            }
        }
    }
}

impl std::error::Error for PoolFull {}

/// Aligned so that what misses write shares no cache line with what hits read.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Account {
    bytes: AtomicUsize,
    entries: AtomicUsize,
    pub(super) bytes_max: usize,
    pub(super) entries_max: usize,
}

impl Account {
    pub(super) fn new(bytes_max: usize, entries_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), entries: AtomicUsize::new(0), bytes_max, entries_max }
    }

    // Relaxed throughout: the account is numbers and publishes nothing else.

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Books `bytes` about to be taken from the global allocator, or leaves the account as it was.
    pub(super) fn reserve(&self, bytes: usize) -> Result<(), PoolFull> {
        let add = |held: usize| held.checked_add(bytes).filter(|&sum| sum <= self.bytes_max);
        match self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(()),
            Err(used) => Err(PoolFull::Bytes { asked: bytes, used, allowed: self.bytes_max }),
        }
    }

    /// Takes off what was freed.
    pub(super) fn refund(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{bytes} bytes refunded of {before} held");
    }

    /// The global allocator had no memory for what was booked: it is taken off, and what is held is all that there is.
    pub(super) fn refused_by_allocator(&self, bytes: usize) -> PoolFull {
        self.refund(bytes);
        let used = self.bytes();
        PoolFull::Bytes { asked: bytes, used, allowed: used }
    }

    /// Books one more name, or leaves the account as it was.
    pub(super) fn add_entry(&self) -> Result<(), PoolFull> {
        let add = |entries: usize| (entries < self.entries_max).then_some(entries + 1);
        match self.entries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(()),
            Err(used) => Err(PoolFull::Entries { used, allowed: self.entries_max }),
        }
    }

    /// Takes names off that were freed, or not had after all.
    pub(super) fn remove_entries(&self, entries: usize) {
        let before = self.entries.fetch_sub(entries, Ordering::Relaxed);
        debug_assert!(before >= entries, "{entries} names taken off {before}");
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn books_up_to_the_last_byte_and_name_and_refuses_the_next() {
        let account = Account::new(100, 1);
        assert_eq!(account.reserve(60), Ok(()));
        assert_eq!(account.reserve(41), Err(PoolFull::Bytes { asked: 41, used: 60, allowed: 100 }));
        assert_eq!(account.reserve(40), Ok(()));
        assert!(account.reserve(usize::MAX).is_err());
        assert_eq!(account.refused_by_allocator(40), PoolFull::Bytes { asked: 40, used: 60, allowed: 60 });
        assert_eq!(account.add_entry(), Ok(()));
        let full = account.add_entry().unwrap_err();
        assert_eq!(full.to_string(), "string pool: 1 names are held of 1 allowed");
        account.remove_entries(1);
        assert_eq!((account.entries(), account.bytes()), (0, 60));
    }
}
