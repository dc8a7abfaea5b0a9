//! `Box`: one value in an arena, dropped by whoever owns the box.
//!
//! Stands beside `Vec` for what the others refuse: values that need `Drop`, that borrow from the arena, and trait objects.
//! Invariant: a box is the only way to its value, which it drops; the memory goes with the arena.
//! Cost: one bump; no heap call.
#![expect(unsafe_code, reason = "drops values in place")]

use crate::arena::{AnyArena, BudgetExceeded};
use std::borrow::{Borrow, BorrowMut};
use std::cmp::Ordering;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

/// An owned value in an arena: dropped with its box, while its memory stays the arena's.
///
/// For values that need `Drop` and may borrow from the request, and for trait objects; what needs no `Drop` is better placed
/// by [`Arena::alloc`](crate::Arena::alloc). Holds no reference to the arena, so it is `Send` where its value is.
///
/// There is no way to pin it: a box that is forgotten is never dropped, and its memory is used again with the next request,
/// which pinning rules out. Pin futures on the stack or on the heap.
///
/// ```
/// use blixard_arena::{Arena, collections::Box};
///
/// struct Reply<'a> {
///     to: &'a str,
///     permit: std::sync::Arc<()>, // given back when the reply is dropped
/// }
///
/// let arena = Arena::new();
/// let permits = std::sync::Arc::new(());
/// let reply = Box::new_in(Reply { to: arena.alloc_str("tenant-9"), permit: permits.clone() }, &arena);
/// assert_eq!((reply.to, std::sync::Arc::strong_count(&reply.permit)), ("tenant-9", 2));
/// drop(reply); // not at the end of the request: now
/// assert_eq!(std::sync::Arc::strong_count(&permits), 1);
/// ```
pub struct Box<'a, T: ?Sized> {
    value: NonNull<T>,
    /// It owns a value in what is borrowed for `'a`.
    _in: PhantomData<(&'a (), T)>,
}

// SAFETY: a box owns its value; the memory around it is nobody else's and is freed by the arena.
unsafe impl<T: ?Sized + Send> Send for Box<'_, T> {}
// SAFETY: as above: `&Box` lends `&T`.
unsafe impl<T: ?Sized + Sync> Sync for Box<'_, T> {}

impl<'a, T: 'a> Box<'a, T> {
    /// Places a value. No heap call.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Box};
    /// let arena = Arena::new();
    /// let members = Box::new_in(vec!["node-1".to_owned()], &arena); // heap blocks within
    /// let kept: Vec<String> = Box::into_inner(members); // what no arena could give back: it moves on
    /// assert_eq!(kept, ["node-1"]);
    /// ```
    #[inline]
    #[must_use = "a value that is not used is dropped at once"]
    pub fn new_in<A: AnyArena>(value: T, arena: &'a A) -> Self {
        // The place first: over budget the value is still ours, and is dropped.
        // As `MaybeUninit`, which needs no Drop: the box sees to that.
        let place = arena.alloc_with(MaybeUninit::uninit);
        place.write(value);
        Self::owning_uninit(place)
    }

    /// [`new_in`](Self::new_in), or an error; the value is dropped then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::Box};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// assert!(Box::try_new_in([0u8; 8192], &arena).is_err());
    /// ```
    #[inline]
    pub fn try_new_in<A: AnyArena>(value: T, arena: &'a A) -> Result<Self, BudgetExceeded> {
        let place = arena.try_alloc(MaybeUninit::uninit())?;
        place.write(value);
        Ok(Self::owning_uninit(place))
    }

    /// Owns a value that was written.
    fn owning_uninit(place: &'a mut MaybeUninit<T>) -> Self {
        Self { value: NonNull::from(place).cast(), _in: PhantomData }
    }

    /// Takes the value out.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Box};
    /// let arena = Arena::new();
    /// let name = Box::new_in(String::from("moved out"), &arena);
    /// let name: String = Box::into_inner(name);
    /// assert_eq!(name, "moved out");
    /// ```
    #[inline]
    #[must_use]
    pub fn into_inner(boxed: Self) -> T {
        let boxed = ManuallyDrop::new(boxed);
        // SAFETY: the box was its only owner and is gone without dropping it.
        unsafe { boxed.value.read() }
    }
}

impl<'a, T: ?Sized + 'a> Box<'a, T> {
    /// Owns a value that needs no Drop.
    pub(super) fn owning(value: &'a mut T) -> Self {
        Self { value: NonNull::from(value), _in: PhantomData }
    }

    /// The address of the value, and the borrow that it lives in: for [`unsize_box!`](crate::unsize_box). Whoever has them
    /// owns the value.
    #[doc(hidden)]
    #[must_use]
    pub fn into_parts(boxed: Self) -> (*mut T, PhantomData<&'a ()>) {
        (ManuallyDrop::new(boxed).value.as_ptr(), PhantomData)
    }

    /// Owns a value again.
    ///
    /// # Safety
    ///
    /// The parts come from one call of [`into_parts`](Self::into_parts), the address unsized at most, and are used once.
    #[doc(hidden)]
    #[must_use]
    pub unsafe fn from_parts(value: *mut T, borrow: PhantomData<&'a ()>) -> Self {
        let _ = borrow;
        // SAFETY: it was that of a box, which is not null.
        Self { value: unsafe { NonNull::new_unchecked(value) }, _in: PhantomData }
    }

    /// Lends the value for the rest of the request. It is not dropped.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::Box};
    /// let arena = Arena::new();
    /// let limit: &mut u32 = Box::leak(Box::new_in(7, &arena));
    /// *limit += 1;
    /// assert_eq!(*limit, 8);
    /// ```
    #[inline]
    #[must_use = "the value is not dropped any more"]
    pub fn leak(boxed: Self) -> &'a mut T {
        let mut value = ManuallyDrop::new(boxed).value;
        // SAFETY: the box was the only way to it, and the arena is borrowed for `'a`.
        unsafe { value.as_mut() }
    }
}

impl<T: ?Sized> Deref for Box<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: alive as long as the box.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for Box<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: alive as long as the box, which is the only way to it.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized> Drop for Box<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: alive, and dropped once: those who take the value out keep this from running.
        unsafe { self.value.drop_in_place() };
    }
}

impl<T: ?Sized> AsRef<T> for Box<'_, T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized> AsMut<T> for Box<'_, T> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: ?Sized> Borrow<T> for Box<'_, T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T: ?Sized> BorrowMut<T> for Box<'_, T> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Box<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for Box<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + PartialEq> PartialEq for Box<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ?Sized + Eq> Eq for Box<'_, T> {}

impl<T: ?Sized + PartialOrd> PartialOrd for Box<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: ?Sized + Ord> Ord for Box<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: ?Sized + Hash> Hash for Box<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<I: ?Sized + Iterator> Iterator for Box<'_, I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        (**self).next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (**self).size_hint()
    }
}

impl<F: ?Sized + Future + Unpin> Future for Box<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut **self).poll(context)
    }
}

impl<E: ?Sized + std::error::Error> std::error::Error for Box<'_, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        (**self).source()
    }
}

/// Makes a [`Box`](crate::collections::Box) one of a trait object or of a slice, as the compiler does by itself for std's.
///
/// ```
/// use blixard_arena::{Arena, collections::{Box, Vec}, unsize_box};
///
/// trait Check { fn passes(&self, cores: u32) -> bool; }
/// struct Below(u32);
/// impl Check for Below { fn passes(&self, cores: u32) -> bool { cores < self.0 } }
/// struct Even;
/// impl Check for Even { fn passes(&self, cores: u32) -> bool { cores % 2 == 0 } }
///
/// let arena = Arena::new();
/// let checks = [
///     unsize_box!(Box::new_in(Below(8), &arena) => dyn Check),
///     unsize_box!(Box::new_in(Even, &arena) => dyn Check),
/// ];
/// assert!(checks.iter().all(|check| check.passes(4)));
/// ```
///
/// Only a coercion gets through, never another value:
///
/// ```compile_fail
/// # use blixard_arena::{Arena, collections::Box, unsize_box};
/// let arena = Arena::new();
/// unsize_box!(Box::new_in(1u64, &arena) => u32);
/// ```
#[macro_export]
macro_rules! unsize_box {
    ($boxed:expr => $type:ty) => {{
        let (value, borrow) = $crate::collections::Box::into_parts($boxed);
        // From one raw pointer to another only an unsizing coercion is left.
        let wide: *mut $type = value;
        // SAFETY: the parts of the box above, used once, its address unsized at most.
        unsafe { $crate::collections::Box::from_parts(wide, borrow) }
    }};
}
