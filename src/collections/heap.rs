//! For the heap: vectors that begin in place, room with headroom, and a collect that allocates once.
//!
//! Stands beside the arena's collections, for values that outlive a request and for code that has no arena at hand. Cost: as
//! each says.
#![forbid(unsafe_code)]

use std::vec::Vec;

/// A vector on the heap whose first elements lie in itself: [smallvec](https://docs.rs/smallvec)'s, eight of them unless said
/// otherwise.
///
/// Take it for short lists in long-lived values, where a heap block for each would cost more than the list. In a request take
/// [`Vec`](super::Vec), which moves in 32 bytes whatever its length.
///
/// ```
/// use blixard_arena::collections::SmallVec;
///
/// struct Route { hops: SmallVec<u32> } // up to eight hops without a heap block
///
/// let mut route = Route { hops: SmallVec::new() };
/// route.hops.extend([7, 11, 13]);
/// assert!(!route.hops.spilled());
/// ```
pub type SmallVec<T, const N: usize = 8> = smallvec::SmallVec<[T; N]>;

/// `len` and an eighth more, at least four: what to reserve for a list that is about `len` long and must not grow by
/// doubling when it turns out a little longer.
///
/// ```
/// use blixard_arena::collections::headroom;
///
/// let usual = 1000; // measured
/// let nodes: std::vec::Vec<u32> = std::vec::Vec::with_capacity(headroom(usual));
/// assert!((1100..1200).contains(&nodes.capacity()));
/// ```
#[must_use]
pub const fn headroom(len: usize) -> usize {
    let more = len / 8;
    len.saturating_add(if more < 4 { 4 } else { more })
}

/// Makes room in a std vector for `more` elements and [`headroom`], where its own `reserve` would double.
///
/// At most one heap call; none where the room is there.
///
/// ```
/// use blixard_arena::collections::reserve_with_headroom;
///
/// let mut log = vec![0u8; 1_000_000];
/// reserve_with_headroom(&mut log, 100);
/// assert!(log.capacity() < 1_200_000); // not 2,000,000
/// ```
///
/// # Panics
///
/// If the new capacity overflows.
pub fn reserve_with_headroom<T>(list: &mut Vec<T>, more: usize) {
    let needed = list.len().saturating_add(more);
    if needed > list.capacity() {
        list.reserve_exact(headroom(needed).saturating_sub(list.len()));
    }
}

/// Collects an iterator whose hint is too low, such as a filter, in one heap block: the elements are counted by a first pass
/// over a clone of the iterator.
///
/// One heap call of exactly the needed size, against one for each doubling. Pays where a pass costs less than the copies:
/// not for iterators that compute much.
///
/// ```
/// use blixard_arena::collections::collect_exact;
///
/// let nodes: std::vec::Vec<u32> = (0..1000).collect();
/// let free = collect_exact(nodes.iter().filter(|node| *node % 3 == 0).copied());
/// assert_eq!((free.len(), free.capacity()), (334, 334));
/// ```
#[must_use]
pub fn collect_exact<I: Iterator + Clone>(values: I) -> Vec<I::Item> {
    let mut list = Vec::with_capacity(values.clone().count());
    list.extend(values);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headroom_is_an_eighth_and_at_least_four() {
        assert_eq!([0, 1, 32, 80, usize::MAX].map(headroom), [4, 5, 36, 90, usize::MAX]);
    }

    #[test]
    fn reserving_allocates_only_when_there_is_no_room() {
        let mut list = Vec::with_capacity(10);
        list.push(1);
        let before = list.as_ptr();
        reserve_with_headroom(&mut list, 9);
        assert_eq!((list.capacity(), list.as_ptr()), (10, before));
        reserve_with_headroom(&mut list, 10);
        assert_eq!((list.capacity(), list[0]), (15, 1));
    }

    #[test]
    fn a_collect_that_miscounts_is_still_right() {
        use std::cell::Cell;
        let passes = Cell::new(0);
        // Another number of elements in each pass.
        let values = (0..10).filter(|_| {
            passes.set(passes.get() + 1);
            passes.get() > 10 || passes.get() % 2 == 0
        });
        assert_eq!(collect_exact(values), (0..10).collect::<Vec<_>>());
    }
}
