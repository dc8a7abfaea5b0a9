//! A request's ledger: how many bytes it holds from the global allocator, and how many it may.
//!
//! One per request, shared by its bumps, shards and scopes. Touched only when a chunk is made or let go, never by the
//! bump itself. Invariant: `held <= allowed`, at every moment, on every thread. Cost: no heap call.
#![forbid(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering};
use std::convert::Infallible;
use std::fmt;

/// An arena was asked for more memory than its budget allows (or the global allocator has).
///
/// The `try_` calls return it; the others panic with it as payload, so that a server can catch the one request. Arenas,
/// pools and guards are `UnwindSafe`.
///
/// ```
/// use blixard_arena::{ArenaOptions, BudgetExceeded};
///
/// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
/// let refused = std::panic::catch_unwind(|| {
///     arena.alloc_slice_copy(&[0u8; 10_000]);
/// });
/// let budget = *refused.unwrap_err().downcast::<BudgetExceeded>().unwrap();
/// assert_eq!(budget.allowed, 4096);
/// assert_eq!(*arena.alloc(7), 7); // what fits is served as before
/// ```
///
/// The default panic hook prints such a payload as `Box<dyn Any>`. To see the numbers, set one of your own that tries
/// `info.payload().downcast_ref::<BudgetExceeded>()` first; after a tokio task, `JoinError::into_panic` gives the same
/// payload. With `panic = "abort"` every panic ends the process, so use the `try_` calls there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetExceeded {
    /// Bytes that the call asked for, or what had to come before them: a thread's part of a shared arena, a scope; `usize::MAX` where a
    /// size overflows, or entries do.
    pub asked: usize,
    /// Bytes that the request held from the global allocator at that moment.
    pub used: usize,
    /// Bytes that it may hold. Not more than `used` where the global allocator itself had no memory.
    pub allowed: usize,
}

impl fmt::Display for BudgetExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, used, allowed } = self;
        if *asked == usize::MAX {
            return write!(f, "arena: a size that overflows was asked for, {used} bytes are held of {allowed} allowed");
        }
        write!(f, "arena: {asked} bytes asked for, {used} bytes are held of {allowed} allowed")
    }
}

impl std::error::Error for BudgetExceeded {}

/// What a call does when memory is refused: each path is written once and serves both twins.
pub trait Refusal {
    fn refuse(error: BudgetExceeded) -> Self;
}

impl Refusal for BudgetExceeded {
    fn refuse(error: BudgetExceeded) -> Self {
        error
    }
}

/// The infallible twin: no value of this type exists, so its `Result` has no error case and costs nothing.
impl Refusal for Infallible {
    #[cold]
    fn refuse(error: BudgetExceeded) -> Self {
        std::panic::panic_any(error)
    }
}

#[derive(Debug)]
pub(crate) struct Ledger {
    held: AtomicUsize,
    held_max: AtomicUsize,
    allowed: usize,
}

impl Ledger {
    pub(crate) fn new(allowed: usize) -> Self {
        Self { held: AtomicUsize::new(0), held_max: AtomicUsize::new(0), allowed }
    }

    /// Books `bytes` or leaves the ledger as it was. `asked` is what the user's call wanted, for the error.
    pub(crate) fn reserve(&self, bytes: usize, asked: usize) -> Result<(), BudgetExceeded> {
        let add = |held: usize| held.checked_add(bytes).filter(|&sum| sum <= self.allowed);
        // Relaxed, here and below: the ledger is a number and publishes nothing else.
        match self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(()),
            Err(held) => Err(BudgetExceeded { asked, used: held, allowed: self.allowed }),
        }
    }

    /// What was booked has been had: counts towards the high water.
    pub(crate) fn note_high_water(&self) {
        self.held_max.fetch_max(self.held(), Ordering::Relaxed);
    }

    /// Takes `bytes` off.
    pub(crate) fn refund(&self, bytes: usize) {
        let before = self.held.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{bytes} bytes refunded of {before} held");
    }

    /// Starts anew with `bytes`, when shards have left or an idle arena is told what it is.
    pub(crate) fn set_held(&self, bytes: usize) {
        self.held.store(bytes, Ordering::Relaxed);
        self.restart();
    }

    /// The next request's high water begins with what is held.
    pub(crate) fn restart(&self) {
        self.held_max.store(self.held(), Ordering::Relaxed);
    }

    /// The global allocator had no memory: what is held is all that there is.
    pub(crate) fn refused_by_allocator(&self, asked: usize) -> BudgetExceeded {
        let held = self.held();
        BudgetExceeded { asked, used: held, allowed: held }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn held_max(&self) -> usize {
        self.held_max.load(Ordering::Relaxed)
    }

    pub(crate) fn room(&self) -> usize {
        self.allowed.saturating_sub(self.held())
    }

    pub(crate) const fn allowed(&self) -> usize {
        self.allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_up_to_the_last_byte_and_refuses_the_next() {
        let ledger = Ledger::new(100);
        assert_eq!(ledger.reserve(60, 60), Ok(()));
        assert_eq!(ledger.reserve(41, 30), Err(BudgetExceeded { asked: 30, used: 60, allowed: 100 }));
        assert_eq!(ledger.reserve(40, 40), Ok(()));
        assert_eq!(ledger.room(), 0);
        ledger.note_high_water();
        ledger.refund(100);
        assert_eq!((ledger.held(), ledger.held_max()), (0, 100));
        assert!(ledger.reserve(usize::MAX, 1).is_err());
        assert_eq!(ledger.held(), 0);
    }

    #[test]
    fn an_error_says_its_numbers() {
        let error = BudgetExceeded { asked: 10, used: 20, allowed: 25 };
        assert_eq!(error.to_string(), "arena: 10 bytes asked for, 20 bytes are held of 25 allowed");
        let overflow = BudgetExceeded { asked: usize::MAX, used: 0, allowed: 1 };
        assert!(overflow.to_string().contains("overflows"));
    }
}
