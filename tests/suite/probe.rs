//! Which traits a type has, told at compile time without a bound: so a trait that is missing is tested as one that is there.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// An inherent constant, where its bounds hold, shadows that of [`Lacks`] of the same name: so each name says whether `T`
/// implements the trait.
pub(crate) struct Probe<T: ?Sized>(PhantomData<T>);

pub(crate) trait Lacks {
    const SEND: bool = false;
    const SYNC: bool = false;
    const UNPIN: bool = false;
    const UNWIND: bool = false;
    const REF_UNWIND: bool = false;
    const DEBUG: bool = false;
    const CLONE: bool = false;
    const COPY: bool = false;
}
impl<T: ?Sized> Lacks for Probe<T> {}

impl<T: ?Sized + Send> Probe<T> {
    pub(crate) const SEND: bool = true;
}
impl<T: ?Sized + Sync> Probe<T> {
    pub(crate) const SYNC: bool = true;
}
impl<T: ?Sized + Unpin> Probe<T> {
    pub(crate) const UNPIN: bool = true;
}
impl<T: ?Sized + UnwindSafe> Probe<T> {
    pub(crate) const UNWIND: bool = true;
}
impl<T: ?Sized + RefUnwindSafe> Probe<T> {
    pub(crate) const REF_UNWIND: bool = true;
}
impl<T: ?Sized + Debug> Probe<T> {
    pub(crate) const DEBUG: bool = true;
}
impl<T: Clone> Probe<T> {
    pub(crate) const CLONE: bool = true;
}
impl<T: Copy> Probe<T> {
    pub(crate) const COPY: bool = true;
}
