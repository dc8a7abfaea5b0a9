//! What domain code asks of a request's memory: an allocator handle that also copies and formats text.
//!
//! It stands between the domain types and the library's arenas: `&Arena` and `&SharedArena` both are a [`Region`], so a
//! builder written once serves the request of one thread and the request whose tasks hop threads.
//!
//! Cost: none of its own; each call is one call of the arena.

use std::fmt;

use allocator_api2::alloc::Allocator;
use blixard_arena::{Arena, SharedArena};

/// A handle to memory that lives for `'a` and goes all at once.
///
/// It is `Copy`, and an allocator, so collections take it as it is:
///
/// ```
/// use allocator_api2::vec::Vec;
/// use blixard_arena::Arena;
/// use control_plane::Region;
///
/// fn names<'a>(memory: impl Region<'a>, given: &[&str]) -> &'a [&'a str] {
///     let mut names = Vec::with_capacity_in(given.len(), memory);
///     names.extend(given.iter().map(|name| memory.copy_str(name)));
///     names.leak()
/// }
///
/// let arena = Arena::new();
/// assert_eq!(names(&arena, &["vm-1", "vm-2"]), ["vm-1", "vm-2"]);
/// ```
pub trait Region<'a>: Allocator + Copy + 'a {
    /// Copies `text` into the region.
    ///
    /// # Panics
    ///
    /// With the arena's `BudgetExceeded` when the request's budget does not allow it.
    fn copy_str(self, text: &str) -> &'a str;

    /// Formats straight into the region.
    ///
    /// # Panics
    ///
    /// With the arena's `BudgetExceeded` when the request's budget does not allow it.
    fn format_str(self, arguments: fmt::Arguments<'_>) -> &'a str;

    /// A slice of `len` values, made in order of their positions.
    ///
    /// # Panics
    ///
    /// With the arena's `BudgetExceeded` when the request's budget does not allow it, and as `make` does.
    fn slice_with<T>(self, len: usize, make: impl FnMut(usize) -> T) -> &'a mut [T];
}

impl<'a> Region<'a> for &'a Arena {
    #[inline]
    fn copy_str(self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    #[inline]
    fn format_str(self, arguments: fmt::Arguments<'_>) -> &'a str {
        self.format(arguments)
    }

    #[inline]
    fn slice_with<T>(self, len: usize, make: impl FnMut(usize) -> T) -> &'a mut [T] {
        self.alloc_slice_fill_with(len, make)
    }
}

impl<'a> Region<'a> for &'a SharedArena {
    #[inline]
    fn copy_str(self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    #[inline]
    fn format_str(self, arguments: fmt::Arguments<'_>) -> &'a str {
        self.format(arguments)
    }

    #[inline]
    fn slice_with<T>(self, len: usize, make: impl FnMut(usize) -> T) -> &'a mut [T] {
        self.alloc_slice_fill_with(len, make)
    }
}
