//! What callers of collections do that a test has to do on purpose: misjudge a length, and get a panic where a budget refuses.

use blixard_arena::BudgetExceeded;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// An iterator whose lower bound is the number beside it, whether it has so many or not.
pub(crate) struct Hinting<I>(pub(crate) I, pub(crate) usize);

impl<I: Iterator> Iterator for Hinting<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, None)
    }
}

/// A call that may be refused, whose refusal is a panic.
pub(crate) fn refused<R>(call: impl FnOnce() -> R) -> Result<R, BudgetExceeded> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| match payload.downcast::<BudgetExceeded>() {
        Ok(refused) => *refused,
        Err(other) => resume_unwind(other),
    })
}
