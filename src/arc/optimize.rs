//! `ArcOptimize`: the little that `std::sync::Arc` lacks for values that are shared by many and seldom change.
//!
//! Stands beside the caches. std has the rest: `make_mut` copies only what is shared, `get_mut` says whether it is,
//! `unwrap_or_clone` and `into_inner` take the value of the last owner without a copy, and `==` on `Arc`s of an `Eq` type looks at their addresses
//! first. Cost: one comparison of values; a heap call where a shared value changes.
#![forbid(unsafe_code)]

use std::sync::Arc;

/// What std's `Arc` lacks: fewer copies of equal values. Sealed: it is for `Arc` alone.
///
/// ```
/// use blixard_arena::arc::ArcOptimize;
/// use std::sync::Arc;
///
/// let mut config = Arc::new(String::from("2 cores"));
/// let worker = Arc::clone(&config);
/// // A reload that changes nothing leaves everybody with the one value that they share.
/// assert!(!config.set_if_changed(String::from("2 cores")));
/// assert!(Arc::ptr_eq(&config, &worker));
/// ```
pub trait ArcOptimize<T: ?Sized>: private::Sealed {
    /// Puts a value in the place of one that differs, and says whether it did. An equal one is dropped, and the `Arc` stays the one that
    /// others have. A value that nobody else holds is overwritten in its memory; what others hold stays theirs.
    ///
    /// ```
    /// use blixard_arena::arc::ArcOptimize;
    /// use std::sync::Arc;
    ///
    /// let mut weights = Arc::new(vec![1, 2]);
    /// let reader = Arc::clone(&weights);
    /// assert!(weights.set_if_changed(vec![1, 3]));
    /// assert_eq!((&*reader, &*weights), (&vec![1, 2], &vec![1, 3]));
    /// ```
    fn set_if_changed(&mut self, value: T) -> bool
    where
        T: Sized + PartialEq;

    /// Becomes an owner of `twin` if it is equal, so that one of two equal values may go, and says whether the two are one now.
    ///
    /// ```
    /// use blixard_arena::arc::ArcOptimize;
    /// use std::sync::Arc;
    ///
    /// let known: Arc<str> = "debian:13".into();
    /// let mut decoded: Arc<str> = "debian:13".into(); // from another request
    /// assert!(decoded.unify(&known));
    /// assert_eq!(Arc::strong_count(&known), 2);
    /// ```
    fn unify(&mut self, twin: &Self) -> bool
    where
        T: PartialEq;
}

mod private {
    pub trait Sealed {}
    impl<T: ?Sized> Sealed for std::sync::Arc<T> {}
}

impl<T: ?Sized> ArcOptimize<T> for Arc<T> {
    fn set_if_changed(&mut self, value: T) -> bool
    where
        T: Sized + PartialEq,
    {
        if **self == value {
            return false;
        }
        match Arc::get_mut(self) {
            Some(place) => *place = value,
            None => *self = Arc::new(value),
        }
        true
    }

    fn unify(&mut self, twin: &Self) -> bool
    where
        T: PartialEq,
    {
        if Arc::ptr_eq(self, twin) {
            return true;
        }
        let equal = **self == **twin;
        if equal {
            *self = Arc::clone(twin);
        }
        equal
    }
}
