//! `Symbol`: a name as four bytes, and how an interner numbers its names.
//!
//! Stands under `arena` and the backend for string-interner. Invariants: a symbol is never 0, so that `Option<Symbol>`
//! takes four bytes too; the numbers of one interner ascend in the order of interning, without a gap.
//! In debug builds each interner begins at a number of its own, so that the symbol of another lies outside of its numbers.
//! Cost: an addition, in debug builds alone.
#![forbid(unsafe_code)]

use std::fmt;
use std::num::NonZeroU32;

/// A name that an interner holds: four bytes, compared and hashed as a number.
///
/// Two symbols of one interner are equal exactly where their names are, and ascend in the order in which the names were
/// first interned. A symbol means nothing to any other interner, which in release builds takes it for a name of its own or
/// panics. Debug builds catch it: there each interner's numbers begin elsewhere, surely apart where the interner's names
/// times the distance between the two stay below 400 million (the distance counts the interners, and shared or pooled
/// arenas, that one thread makes in between), and else with a chance of names in 2^30 to go unseen.
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::intern::{ArenaInterner, Symbol};
///
/// #[derive(PartialEq)]
/// struct Placement {
///     vm: Symbol,           // 4 bytes instead of the 16 of a `&str`, compared as a number
///     node: Option<Symbol>, // 4 bytes as well
/// }
/// assert_eq!(size_of::<Placement>(), 8);
///
/// let arena = Arena::new();
/// let mut names = ArenaInterner::new_in(&arena);
/// let mut placement = |vm, node| Placement { vm: names.intern(vm), node: Some(names.intern(node)) };
/// assert!(placement("vm-1", "node-7") == placement("vm-1", "node-7"));
/// assert!(placement("vm-1", "node-7") != placement("vm-1", "node-8"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(NonZeroU32);

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({})", self.number())
    }
}

/// Names are numbered below 2^31, and the highest bit is set in every symbol, so that none is 0.
const MARK: NonZeroU32 = NonZeroU32::new(1 << 31).expect("not 0");

impl Symbol {
    /// The symbol of a number below 2^31.
    #[inline(always)]
    pub(super) fn new(number: u32) -> Self {
        Self(MARK | number)
    }

    /// Below 2^31.
    #[inline(always)]
    pub(super) const fn number(self) -> u32 {
        self.0.get() ^ MARK.get()
    }
}

/// Names that an interner can hold. A debug build's first number may be any below that, too.
/// Fewer in the library's own tests, which reach it.
pub(super) const NAMES_MAX: usize = if cfg!(test) { 1 << 12 } else { 1 << 30 };

/// How one interner numbers its names: the first one gets `first`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbering {
    #[cfg(debug_assertions)]
    first: u32,
}

impl Numbering {
    /// For a new interner.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self {
            #[cfg(debug_assertions)]
            first: spread(crate::sync::unique_id()),
        }
    }

    #[inline(always)]
    #[cfg_attr(not(debug_assertions), expect(clippy::unused_self, reason = "used in debug builds"))]
    const fn first(self) -> u32 {
        #[cfg(debug_assertions)]
        return self.first;
        #[cfg(not(debug_assertions))]
        return 0;
    }

    /// The symbol of the name at `index` of the list.
    #[inline(always)]
    pub(super) fn symbol(self, index: u32) -> Symbol {
        // Below 2^31, since both are below 2^30.
        Symbol::new(self.first().wrapping_add(index))
    }

    /// Where the name of `symbol` stands in the list; beyond the list's end for a symbol that is caught.
    #[inline(always)]
    pub(super) const fn index(self, symbol: Symbol) -> usize {
        symbol.number().wrapping_sub(self.first()) as usize
    }
}

/// A number below 2^30 for the `id`-th interner: multiples of the golden ratio, which keep those of near `id`s apart. Two
/// that are `d` apart differ by at least `0.38 / d` of the range (Hurwitz; Knuth, The Art of Computer Programming 6.4).
#[cfg(debug_assertions)]
const fn spread(id: u64) -> u32 {
    (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 34) as u32
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_takes_four_bytes_and_so_does_none() {
        assert_eq!((size_of::<Symbol>(), size_of::<Option<Symbol>>()), (4, 4));
    }

    #[test]
    fn every_name_has_a_symbol_and_an_index() {
        for _ in 0..1000 {
            let numbering = Numbering::new();
            for index in [0, 1, 1 << 20, (1 << 30) - 1] {
                assert_eq!(numbering.index(numbering.symbol(index)), index as usize);
            }
            assert!(numbering.symbol(0) < numbering.symbol((1 << 30) - 1), "symbols ascend");
        }
    }

    #[cfg(debug_assertions)]
    #[test]
    fn numbers_of_near_interners_lie_apart() {
        for first in [1, 65_537, 1 << 40] {
            for distance in 1..20_000_u64 {
                let apart = spread(first).abs_diff(spread(first + distance));
                assert!(u64::from(apart) * distance > 400_000_000, "{first} and {distance} more: {apart}");
            }
        }
    }

    /// What a foreign symbol meets: outside of an interner's names from either side.
    #[cfg(debug_assertions)]
    #[test]
    fn a_symbol_of_a_near_interner_has_no_index_here() {
        let many: Vec<Numbering> = (0..100).map(|_| Numbering::new()).collect();
        let foreign = many.iter().enumerate().flat_map(|(i, one)| many[..i].iter().map(move |other| (*one, *other)));
        for (one, other) in foreign.flat_map(|(one, other)| [(one, other), (other, one)]) {
            let symbols = [0, 9_999].map(|index| one.symbol(index));
            assert!(symbols.iter().all(|symbol| other.index(*symbol) >= 1_000_000), "{one:?} {other:?}");
        }
    }
}
