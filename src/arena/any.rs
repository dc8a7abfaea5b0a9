//! `AnyArena`: code written once for both kinds of arena.
//!
//! Stands above `Arena` and `SharedArena`; every method is theirs. Sealed.
#![forbid(unsafe_code)]

use super::local::Local;
use super::{Arena, ArenaFigures, BudgetExceeded, Concat, SharedArena};
use std::alloc::Layout;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

/// Either kind of arena: for functions that build values and collections and do not care which. One that also builds
/// other people's collections asks for `&'a A: Allocator` beside it.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an arena",
    note = "from a pool's guard, pass the arena in it: `&*guard`"
)]
#[expect(clippy::mut_from_ref, reason = "fresh memory: nobody else can have it")]
pub trait AnyArena: Local {
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
    /// [`Arena::concat`].
    fn concat(&self, pieces: impl Concat) -> &mut str;
    /// [`Arena::alloc_with`].
    fn alloc_with<T>(&self, f: impl FnOnce() -> T) -> &mut T;
    /// [`Arena::alloc_slice_clone`].
    fn alloc_slice_clone<T: Clone>(&self, from: &[T]) -> &mut [T];
    /// [`Arena::alloc_uninit_slice`].
    fn alloc_uninit_slice<T>(&self, len: usize) -> &mut [MaybeUninit<T>];
    /// [`Arena::alloc_with_drop`].
    fn alloc_with_drop<T: Send + 'static>(&self, value: T) -> &mut T;
    /// [`Arena::defer`].
    fn defer(&self, call: impl FnOnce() + Send + 'static);
    /// [`Arena::adopt`].
    fn adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> &T;
    /// [`Arena::figures`].
    #[must_use]
    fn figures(&self) -> ArenaFigures;
    /// [`Arena::try_alloc_slice_copy`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    fn try_alloc_slice_copy<T: Copy>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded>;
    /// [`Arena::try_alloc_slice_fill_with`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    fn try_alloc_slice_fill_with<T>(&self, len: usize, f: impl FnMut(usize) -> T) -> Result<&mut [T], BudgetExceeded>;
    /// [`Arena::try_alloc_slice_fill_iter`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    fn try_alloc_slice_fill_iter<T>(&self, values: impl IntoIterator<Item = T>) -> Result<&mut [T], BudgetExceeded>;
    /// [`Arena::try_format`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    fn try_format(&self, text: fmt::Arguments<'_>) -> Result<&mut str, BudgetExceeded>;
    /// [`Arena::try_concat`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    fn try_concat(&self, pieces: impl Concat) -> Result<&mut str, BudgetExceeded>;
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
    /// [`Arena::try_alloc_with_drop`].
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    fn try_alloc_with_drop<T: Send + 'static>(&self, value: T) -> Result<&mut T, BudgetExceeded>;
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
            fn concat(&self, pieces: impl Concat) -> &mut str {
                self.concat(pieces)
            }
            #[inline(always)]
            fn try_concat(&self, pieces: impl Concat) -> Result<&mut str, BudgetExceeded> {
                self.try_concat(pieces)
            }
            #[inline(always)]
            fn alloc_with<T>(&self, f: impl FnOnce() -> T) -> &mut T {
                self.alloc_with(f)
            }
            #[inline(always)]
            fn alloc_slice_clone<T: Clone>(&self, from: &[T]) -> &mut [T] {
                self.alloc_slice_clone(from)
            }
            #[inline(always)]
            fn alloc_uninit_slice<T>(&self, len: usize) -> &mut [MaybeUninit<T>] {
                self.alloc_uninit_slice(len)
            }
            #[inline(always)]
            fn alloc_with_drop<T: Send + 'static>(&self, value: T) -> &mut T {
                self.alloc_with_drop(value)
            }
            #[inline(always)]
            fn defer(&self, call: impl FnOnce() + Send + 'static) {
                self.defer(call)
            }
            #[inline(always)]
            fn adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> &T {
                self.adopt(value)
            }
            #[inline(always)]
            fn figures(&self) -> ArenaFigures {
                self.figures()
            }
            #[inline(always)]
            fn try_alloc_slice_copy<T: Copy>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded> {
                self.try_alloc_slice_copy(from)
            }
            #[inline(always)]
            fn try_alloc_slice_fill_with<T>(
                &self,
                len: usize,
                f: impl FnMut(usize) -> T,
            ) -> Result<&mut [T], BudgetExceeded> {
                self.try_alloc_slice_fill_with(len, f)
            }
            #[inline(always)]
            fn try_alloc_slice_fill_iter<T>(
                &self,
                values: impl IntoIterator<Item = T>,
            ) -> Result<&mut [T], BudgetExceeded> {
                self.try_alloc_slice_fill_iter(values)
            }
            #[inline(always)]
            fn try_format(&self, text: fmt::Arguments<'_>) -> Result<&mut str, BudgetExceeded> {
                self.try_format(text)
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
            #[inline(always)]
            fn try_alloc_with_drop<T: Send + 'static>(&self, value: T) -> Result<&mut T, BudgetExceeded> {
                self.try_alloc_with_drop(value)
            }
        }
    };
}
any_arena!(Arena);
any_arena!(SharedArena);
