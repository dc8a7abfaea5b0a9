//! What the two kinds of arena have in common: a bump region for the calling thread, and one list of cleanups.
//!
//! Every call of `values`, `format` and `allocator` is written once over this trait.
#![forbid(unsafe_code)]

use super::Arena;
use super::cleanups::Cleanups;
use super::ledger::Refusal;

pub(crate) trait Local {
    /// The region that the calling thread bumps, found or made.
    fn local<E: Refusal>(&self) -> Result<&Arena, E>;

    /// The same if it is there already and cheap to find: who gives memory back need not go further.
    fn local_found(&self) -> Option<&Arena>;

    /// The request's cleanups.
    fn cleanups(&self) -> &Cleanups;
}
