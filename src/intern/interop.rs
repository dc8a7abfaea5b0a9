//! string-interner: our `Symbol` is one of its symbols, and `ArenaBackend` keeps its texts in an arena of its own.
//!
//! Stands beside `ArenaInterner`, for code that is written over `StringInterner<B>`. The trait makes a backend out of
//! nothing (`Default`), so this one owns its arena and cannot be given a request's.
//! Invariants: every text in the list lies in `arena`, which is never reset, or is `'static`; through `&self` the arena is
//! not touched, so that threads may share a backend. Cost: the list is on the heap; a text is a bump.
#![expect(unsafe_code, reason = "texts in an arena that moves with them")]

use super::symbol::{NAMES_MAX, Numbering, Symbol};
use crate::arena::{Arena, ArenaOptions};
use std::fmt;
use std::iter::{Enumerate, FusedIterator};
use std::ptr::NonNull;
use std::slice;
use string_interner::backend::Backend;

impl string_interner::Symbol for Symbol {
    /// The symbol of this number: each below 2^31 has one.
    #[inline]
    fn try_from_usize(index: usize) -> Option<Self> {
        u32::try_from(index).ok().filter(|number| *number < 1 << 31).map(Self::new)
    }

    /// Its number. Debug builds begin at another one in each interner: see [`Symbol`].
    #[inline]
    fn to_usize(self) -> usize {
        self.number() as usize
    }
}

/// A backend for string-interner's `StringInterner` whose texts lie in an arena of its own: no text is ever moved, and all
/// are freed at once.
///
/// For code that is written over `StringInterner`; a request's names belong into an
/// [`ArenaInterner`](super::ArenaInterner), which finds them faster and calls no allocator. A static text is not copied. In
/// debug builds a symbol of another interner resolves to `None`, as far as [`Symbol`] says; a clone knows the symbols
/// of its original.
///
/// Interning panics with [`BudgetExceeded`](crate::BudgetExceeded) beyond
/// [`BUDGET_BYTES_DEFAULT`](crate::ArenaOptions::BUDGET_BYTES_DEFAULT), and with 2^30 names.
///
/// ```
/// use blixard_arena::intern::{ArenaBackend, Symbol};
/// use string_interner::StringInterner;
///
/// let mut names: StringInterner<ArenaBackend> = StringInterner::new();
/// let vm: Symbol = names.get_or_intern("vm-1"); // 4 bytes
/// assert_eq!(names.get_or_intern(String::from("vm-1")), vm);
/// assert_eq!(names.resolve(vm), Some("vm-1"));
/// ```
pub struct ArenaBackend {
    arena: Arena,
    texts: Vec<NonNull<str>>,
    numbering: Numbering,
}

// SAFETY: the texts lie in the arena, which is `Send` and moves along, or are `'static`.
unsafe impl Send for ArenaBackend {}
// SAFETY: what takes `&self` reads texts, which nobody writes, and never the arena.
unsafe impl Sync for ArenaBackend {}

impl ArenaBackend {
    fn push(&mut self, text: NonNull<str>) -> Symbol {
        assert!(self.texts.len() < NAMES_MAX, "interner: {NAMES_MAX} names are held of {NAMES_MAX} possible");
        #[expect(clippy::cast_possible_truncation, reason = "below 2^30")]
        let index = self.texts.len() as u32;
        self.texts.push(text);
        self.numbering.symbol(index)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(_, text)| text)
    }
}

impl Default for ArenaBackend {
    fn default() -> Self {
        Self { arena: Arena::new(), texts: Vec::new(), numbering: Numbering::new() }
    }
}

impl Backend for ArenaBackend {
    type Symbol = Symbol;
    type Iter<'a> = BackendIter<'a>;

    fn with_capacity(cap: usize) -> Self {
        Self { texts: Vec::with_capacity(cap), ..Self::default() }
    }

    #[inline]
    fn intern(&mut self, string: &str) -> Symbol {
        let text = NonNull::from(&*self.arena.alloc_str(string));
        self.push(text)
    }

    #[inline]
    fn intern_static(&mut self, string: &'static str) -> Symbol {
        self.push(NonNull::from(string))
    }

    fn shrink_to_fit(&mut self) {
        self.texts.shrink_to_fit();
    }

    #[inline]
    fn resolve(&self, symbol: Symbol) -> Option<&str> {
        // SAFETY: a text of the list; the arena that it lies in lives as long as `self`.
        self.texts.get(self.numbering.index(symbol)).map(|text| unsafe { text.as_ref() })
    }

    #[inline]
    unsafe fn resolve_unchecked(&self, symbol: Symbol) -> &str {
        // SAFETY: the caller's promise: this backend made the symbol, or the one that it was cloned from.
        let text = unsafe { self.texts.get_unchecked(self.numbering.index(symbol)) };
        // SAFETY: as in `resolve`.
        unsafe { text.as_ref() }
    }

    fn iter(&self) -> BackendIter<'_> {
        BackendIter { texts: self.texts.iter().enumerate(), numbering: self.numbering }
    }
}

/// With copies of all texts, in one chunk, under the same symbols.
impl Clone for ArenaBackend {
    fn clone(&self) -> Self {
        let bytes = self.texts().map(|text| text.len().next_multiple_of(8)).sum();
        let arena = ArenaOptions::new().first_chunk_bytes(bytes).arena();
        let texts = self.texts().map(|text| NonNull::from(&*arena.alloc_str(text))).collect();
        Self { arena, texts, numbering: self.numbering }
    }
}

/// The same texts in the same order.
impl PartialEq for ArenaBackend {
    fn eq(&self, other: &Self) -> bool {
        self.texts().eq(other.texts())
    }
}

impl Eq for ArenaBackend {}

impl fmt::Debug for ArenaBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The texts of an [`ArenaBackend`] with their symbols, in the order of interning.
///
/// ```
/// use blixard_arena::intern::ArenaBackend;
/// use string_interner::StringInterner;
///
/// let names: StringInterner<ArenaBackend> = ["b", "a", "b"].into_iter().collect();
/// assert!(names.iter().map(|(_, name)| name).eq(["b", "a"]));
/// ```
#[derive(Clone)]
#[must_use = "iterators are lazy"]
pub struct BackendIter<'a> {
    texts: Enumerate<slice::Iter<'a, NonNull<str>>>,
    numbering: Numbering,
}

// SAFETY: it lends `&str`s of a backend that is borrowed for `'a`, and those are `Send`.
unsafe impl Send for BackendIter<'_> {}
// SAFETY: as above: `Sync`.
unsafe impl Sync for BackendIter<'_> {}

impl<'a> Iterator for BackendIter<'a> {
    type Item = (Symbol, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (index, text) = self.texts.next()?;
        #[expect(clippy::cast_possible_truncation, reason = "below 2^30")]
        let symbol = self.numbering.symbol(index as u32);
        // SAFETY: as in `resolve`; the backend is borrowed for `'a`.
        Some((symbol, unsafe { text.as_ref() }))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.texts.size_hint()
    }
}

impl ExactSizeIterator for BackendIter<'_> {}
impl FusedIterator for BackendIter<'_> {}

impl fmt::Debug for BackendIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}
