//! Panics of callers' code: what to do with one that was caught where nothing may unwind.
//!
//! Stands under `arena` and `pool`. Invariant: no call here unwinds but [`resume`]. Cost: nothing unless there was a panic.
#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Payloads in a row that are given a chance to be dropped.
const DISCARDS_MAX: usize = 16;

/// Drops a panic's payload, whose own destructor may panic, with a payload whose own destructor may panic ...
pub(crate) fn discard(mut payload: Payload) {
    for _ in 0..DISCARDS_MAX {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    // One that never ends is let go without its destructor.
    let _ = std::mem::ManuallyDrop::new(payload);
}

/// While the thread is already unwinding, drops a panic and says so: a second one would end the process.
pub(crate) fn must_swallow(payload: &mut Option<Payload>) -> bool {
    if payload.is_some() && std::thread::panicking() {
        if let Some(payload) = payload.take() {
            discard(payload);
        }
        return true;
    }
    false
}

/// Resumes what is left after [`must_swallow`].
pub(crate) fn resume(payload: Option<Payload>) {
    if let Some(payload) = payload {
        resume_unwind(payload);
    }
}
