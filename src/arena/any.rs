//! `AnyArena`: code written once for both kinds of arena.
//!
//! Stands above `Arena` and `SharedArena`; every method is theirs. Sealed.
#![forbid(unsafe_code)]

use super::{Arena, BudgetExceeded, SharedArena};
use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Arena {}
    impl Sealed for super::SharedArena {}
}

/// Either kind of arena: for functions that build values and do not care which.
///
/// ```
/// use blixard_arena::arena::{AnyArena, Arena, SharedArena};
///
/// fn greet<'a>(arena: &'a impl AnyArena, name: &str) -> &'a str {
///     arena.format(format_args!("hello {name}"))
/// }
///
/// assert_eq!(greet(&Arena::new(), "vm-1"), greet(&SharedArena::new(), "vm-1"));
/// ```
#[expect(clippy::mut_from_ref, reason = "fresh memory: nobody else can have it")]
pub trait AnyArena: sealed::Sealed {
    /// [`Arena::alloc`].
    fn alloc<T>(&self, value: T) -> &mut T;
    /// [`Arena::alloc_str`].
    fn alloc_str(&self, text: &str) -> &mut str;
    /// [`Arena::alloc_slice_copy`].
    fn alloc_slice_copy<T: Copy>(&self, from: &[T]) -> &mut [T];
    /// [`Arena::alloc_slice_fill_with`].
    fn alloc_slice_fill_with<T>(&self, len: usize, f: impl FnMut(usize) -> T) -> &mut [T];
    /// [`Arena::alloc_slice_fill_iter`].
    fn alloc_slice_fill_iter<T>(&self, values: impl IntoIterator<Item = T>) -> &mut [T];
    /// [`Arena::alloc_layout`].
    fn alloc_layout(&self, layout: Layout) -> NonNull<u8>;
    /// [`Arena::format`].
    fn format(&self, text: fmt::Arguments<'_>) -> &mut str;
    /// [`Arena::try_alloc`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    fn try_alloc<T>(&self, value: T) -> Result<&mut T, BudgetExceeded>;
    /// [`Arena::try_alloc_str`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    fn try_alloc_str(&self, text: &str) -> Result<&mut str, BudgetExceeded>;
    /// [`Arena::try_alloc_layout`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    fn try_alloc_layout(&self, layout: Layout) -> Result<NonNull<u8>, BudgetExceeded>;
}

macro_rules! any_arena {
    ($type:ident) => {
        impl AnyArena for $type {
            #[inline(always)]
            fn alloc<T>(&self, value: T) -> &mut T {
                self.alloc(value)
            }
            #[inline(always)]
            fn alloc_str(&self, text: &str) -> &mut str {
                self.alloc_str(text)
            }
            #[inline(always)]
            fn alloc_slice_copy<T: Copy>(&self, from: &[T]) -> &mut [T] {
                self.alloc_slice_copy(from)
            }
            #[inline(always)]
            fn alloc_slice_fill_with<T>(&self, len: usize, f: impl FnMut(usize) -> T) -> &mut [T] {
                self.alloc_slice_fill_with(len, f)
            }
            #[inline(always)]
            fn alloc_slice_fill_iter<T>(&self, values: impl IntoIterator<Item = T>) -> &mut [T] {
                self.alloc_slice_fill_iter(values)
            }
            #[inline(always)]
            fn format(&self, text: fmt::Arguments<'_>) -> &mut str {
                self.format(text)
            }
            #[inline(always)]
            fn try_alloc<T>(&self, value: T) -> Result<&mut T, BudgetExceeded> {
                self.try_alloc(value)
            }
            #[inline(always)]
            fn try_alloc_str(&self, text: &str) -> Result<&mut str, BudgetExceeded> {
                self.try_alloc_str(text)
            }
            #[inline(always)]
            fn alloc_layout(&self, layout: Layout) -> NonNull<u8> {
                self.alloc_layout(layout)
            }
            #[inline(always)]
            fn try_alloc_layout(&self, layout: Layout) -> Result<NonNull<u8>, BudgetExceeded> {
                self.try_alloc_layout(layout)
            }
        }
    };
}
any_arena!(Arena);
any_arena!(SharedArena);
