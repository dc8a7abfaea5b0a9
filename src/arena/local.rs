//! What the two kinds of arena have in common: a bump region for the calling thread, and one list of cleanups.
//!
//! Every call of `values`, `format` and `allocator` is written once over this trait.
#![forbid(unsafe_code)]

use super::Arena;
use super::cleanups::Cleanups;
use super::ledger::Refusal;

/// What the methods below ask for, so that nobody outside the crate can call them: they are reachable there as those
/// of a supertrait of `AnyArena`, and a shard of a shared arena must not be lent.
#[derive(Clone, Copy, Debug)]
pub struct Inside(());

pub(crate) const INSIDE: Inside = Inside(());

/// See the module.
pub trait Local {
    /// The region that the calling thread bumps, found or made.
    fn local<E: Refusal>(&self, inside: Inside) -> Result<&Arena, E>;

    /// The same if it is there already and cheap to find: who gives memory back need not go further.
    fn local_found(&self, inside: Inside) -> Option<&Arena>;

    /// The request's cleanups.
    fn cleanups(&self, inside: Inside) -> &Cleanups;
}
