//! What a thread knows of the recyclers it uses: where its slots are, and what to leave when it ends.
//!
//! Stands under `recycler`. The hot half is a cache without a destructor, keyed by identifiers that are never reused; the
//! cold half is a list with one, which marks the thread's slots free. Identifiers carry, in their low bits, a place in
//! the cache that as few living recyclers as possible share: up to [`PLACES`] of them, none evicts another.
//! Cost: a hit is two loads and a comparison; a thread's first four recyclers need no heap call.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU32, IdCache, Ordering, thread_cell, unique_id};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// Recyclers that a thread may use in turn without looking one up; more take places by turns.
const PLACES: usize = 64;

thread_cell! { static SLOTS: IdCache<PLACES> = IdCache::new() }
thread_cell! { static ENDED: Cell<bool> = Cell::new(false) }
thread_cell! { static REGISTRY: Registry = Registry(RefCell::new(Members::new())) }

#[cfg(not(blixard_loom))]
static USED: Places<PLACES> = Places([const { AtomicU32::new(0) }; PLACES]);

/// A recycler's identifier: never used twice; its place is one of those least used. To be [let go](release_id).
pub(super) fn new_id() -> u64 {
    // A model's recyclers share one place: statics are beside each model and no part of it. `Places` has a model of its own.
    #[cfg(blixard_loom)]
    let place = 0;
    #[cfg(not(blixard_loom))]
    let place = USED.take();
    unique_id() * PLACES as u64 + place as u64
}

/// Lets an identifier's place be used by another.
pub(super) fn release_id(id: u64) {
    #[cfg(blixard_loom)]
    let _ = id;
    #[cfg(not(blixard_loom))]
    #[expect(clippy::cast_possible_truncation, reason = "only the low bits are kept")]
    USED.leave(id as usize % PLACES);
}

/// Living recyclers by place.
#[cfg_attr(all(blixard_loom, not(test)), expect(dead_code, reason = "its model alone has one"))]
pub(super) struct Places<const N: usize>(pub(super) [AtomicU32; N]);

#[cfg_attr(all(blixard_loom, not(test)), expect(dead_code, reason = "its model alone has one"))]
impl<const N: usize> Places<N> {
    /// One of the places that fewest use. All orderings are relaxed: the numbers publish nothing.
    pub(super) fn take(&self) -> usize {
        loop {
            let loads = self.0.iter().map(|used| used.load(Ordering::Relaxed));
            let (place, used) = loads.enumerate().min_by_key(|&(_, used)| used).expect("there are places");
            if self.0[place].compare_exchange(used, used + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return place;
            }
        }
    }

    pub(super) fn leave(&self, place: usize) {
        self.0[place].fetch_sub(1, Ordering::Relaxed);
    }
}

/// The calling thread's slot of a recycler, if it is known.
#[inline(always)]
pub(super) fn known(id: u64) -> *const () {
    SLOTS.with(|cache| cache.get(id))
}

/// The calling thread's slot of a recycler: the one it has, or the one that `enter` brings. `None` once the thread is
/// ending, for a call from within another one, and where `enter` or the heap has none.
pub(super) fn join(id: u64, enter: impl FnOnce() -> Option<Membership>) -> Option<*const ()> {
    if ENDED.with(Cell::get) {
        return None;
    }
    let slot = REGISTRY
        .try_with(|registry| {
            // Borrowed by an outer call of this function: then this one is a stray, once.
            let mut members = registry.0.try_borrow_mut().ok()?;
            if let Some(member) = members.iter().find(|member| member.recycler.id() == id) {
                return Some(member.slot);
            }
            members.reserve()?;
            let member = enter()?;
            let slot = member.slot;
            members.push(member);
            Some(slot)
        })
        .ok()??;
    SLOTS.with(|cache| cache.set(id, slot));
    // One after the other by their identifiers: a list of them would take memory, which there may be none of.
    let mut closed = next_closed(0);
    while let Some(recycler) = closed {
        // What a return beside the closing may have left behind; see `recycler`. While items are out the slot stays ours:
        // they may come back to it, and another thread's use of it beside that would lose a count.
        if recycler.try_finish() {
            // Dropped outside the borrow.
            drop(REGISTRY.try_with(|registry| registry.0.borrow_mut().remove(recycler.id())));
        }
        closed = next_closed(recycler.id());
    }
    Some(slot)
}

/// Of the calling thread's recyclers that were closed, the first one behind an identifier.
fn next_closed(behind: u64) -> Option<Arc<dyn Member>> {
    let next = REGISTRY.try_with(|registry| {
        let members = registry.0.borrow();
        let closed = members.iter().map(|member| &member.recycler).filter(|member| member.is_closed());
        closed.filter(|member| member.id() > behind).min_by_key(|member| member.id()).map(Arc::clone)
    });
    next.ok().flatten()
}

/// One slot of the current thread, and the count that keeps its recycler's memory in place.
pub(super) struct Membership {
    pub(super) recycler: Arc<dyn Member>,
    pub(super) slot: *const (),
}

/// A recycler, whatever its items are.
pub(super) trait Member {
    fn id(&self) -> u64;
    fn is_closed(&self) -> bool;
    /// Marks a slot free.
    fn leave(&self, slot: *const ());
    /// Finishes a closed recycler if all is home; says whether it is finished.
    fn try_finish(&self) -> bool;
}

/// The current thread's slots. The first few need no heap call, so that threads may come and go without one.
struct Members {
    first: [Option<Membership>; Members::FIRST],
    more: Vec<Membership>,
}

impl Members {
    const FIRST: usize = 4;

    const fn new() -> Self {
        Self { first: [const { None }; Self::FIRST], more: Vec::new() }
    }

    fn iter(&self) -> impl Iterator<Item = &Membership> {
        self.first.iter().flatten().chain(&self.more)
    }

    /// Room for one more; `None` when the global allocator has no memory for it.
    fn reserve(&mut self) -> Option<()> {
        if self.first.iter().all(Option::is_some) { self.more.try_reserve(1).ok() } else { Some(()) }
    }

    fn push(&mut self, member: Membership) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(member),
            None => self.more.push(member),
        }
    }

    /// Takes the membership in a recycler out.
    fn remove(&mut self, id: u64) -> Option<Membership> {
        let is = |member: &Membership| member.recycler.id() == id;
        if let Some(place) = self.first.iter_mut().find(|place| place.as_ref().is_some_and(is)) {
            return place.take();
        }
        let at = self.more.iter().position(is)?;
        Some(self.more.swap_remove(at))
    }
}

struct Registry(RefCell<Members>);

impl Drop for Registry {
    fn drop(&mut self) {
        self.leave_all();
    }
}

impl Registry {
    /// Ends the calling thread's part in every recycler.
    fn leave_all(&self) {
        // From here on this thread is a stray: destructors that run later must not find the slots let go below.
        ENDED.with(|ended| ended.set(true));
        SLOTS.with(IdCache::clear);
        let members = self.0.replace(Members::new());
        for member in members.first.into_iter().flatten().chain(members.more) {
            member.recycler.leave(member.slot);
            member.recycler.try_finish();
        }
    }
}

/// What the end of the calling thread does, at a moment that a model can wait for.
#[cfg(all(test, blixard_loom))]
pub(crate) fn end_thread() {
    REGISTRY.with(Registry::leave_all);
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn as_many_recyclers_as_there_are_places_share_none() {
        // Other tests of this process hold identifiers too: these are as far apart as those let them be.
        let ids: Vec<u64> = (0..PLACES as u64 * 3).map(|_| new_id()).collect();
        let mut uses = [0; PLACES];
        for id in &ids {
            uses[usize::try_from(id % PLACES as u64).unwrap()] += 1;
        }
        let others: u32 =
            USED.0.iter().map(|used| used.load(Ordering::Relaxed)).sum::<u32>() - uses.iter().sum::<u32>();
        let spread = uses.iter().max().unwrap() - uses.iter().min().unwrap();
        assert!(spread <= 1 + others, "{uses:?}");
        let all: std::collections::HashSet<u64> = ids.iter().copied().collect();
        assert_eq!(all.len(), ids.len(), "and none is used twice");
        ids.into_iter().for_each(release_id);
    }
}
