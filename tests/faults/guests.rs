//! Values that are watched: each is dropped once, and none is left over.
//!
//! Every callback of a user's that they are (`Drop`, `Clone`, `Hash`, `Eq`), and every closure of a test that calls [`tick`], counts
//! as one; the n-th can be ordered to panic, or the n-th destructor and all after it.
#![forbid(unsafe_code)]

use std::hash::{Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// The payload of the panics that are ordered.
pub(crate) struct Bomb;

static TICKS: AtomicUsize = AtomicUsize::new(0);
static PANICS_AT: AtomicUsize = AtomicUsize::new(0);
/// Destructors until those that panic.
static DROPS_PANIC: AtomicBool = AtomicBool::new(false);
static THROWN: AtomicUsize = AtomicUsize::new(0);
/// By number: whether the guest is alive.
static ALIVE: Mutex<Vec<bool>> = Mutex::new(Vec::new());
static DROPPED_TWICE: AtomicBool = AtomicBool::new(false);

/// A callback is called. The one that was ordered to panic does.
pub(crate) fn tick() {
    if TICKS.fetch_add(1, SeqCst) + 1 == PANICS_AT.load(SeqCst) {
        throw();
    }
}

/// Panics without a word.
pub(crate) fn throw() -> ! {
    THROWN.fetch_add(1, SeqCst);
    resume_unwind(Box::new(Bomb))
}

/// Orders the n-th callback from now on to panic; 0: none.
pub(crate) fn panic_at(nth: usize) {
    TICKS.store(0, SeqCst);
    THROWN.store(0, SeqCst);
    PANICS_AT.store(nth, SeqCst);
}

/// Orders every destructor of a [`Guest`] to panic, or none.
pub(crate) fn drops_panic(all: bool) {
    THROWN.store(0, SeqCst);
    DROPS_PANIC.store(all, SeqCst);
}

/// Callbacks since the last order.
pub(crate) fn ticks() -> usize {
    TICKS.load(SeqCst)
}

/// Panics since the last order.
pub(crate) fn thrown() -> usize {
    THROWN.load(SeqCst)
}

fn locked() -> std::sync::MutexGuard<'static, Vec<bool>> {
    ALIVE.lock().expect("nothing panics under it")
}

/// Guests alive.
pub(crate) fn alive() -> usize {
    assert!(!DROPPED_TWICE.load(SeqCst), "a guest was dropped twice");
    locked().iter().filter(|alive| **alive).count()
}

/// Makes room for so many guests, so that none of them takes memory to be registered.
pub(crate) fn make_room(guests: usize) {
    let mut list = locked();
    list.clear();
    list.reserve(guests);
}

/// A value that is registered while it lives. Equal to others of its worth.
#[derive(Debug)]
pub(crate) struct Guest {
    number: usize,
    pub(crate) worth: u32,
}

impl Guest {
    pub(crate) fn new(worth: u32) -> Self {
        let mut list = locked();
        assert!(list.len() < list.capacity(), "more guests than there is room for");
        list.push(true);
        Self { number: list.len() - 1, worth }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !std::mem::replace(&mut locked()[self.number], false) {
            DROPPED_TWICE.store(true, SeqCst);
        }
        if DROPS_PANIC.load(SeqCst) {
            throw();
        }
        // A destructor that panics while the thread unwinds ends the process, wherever it is run by the language itself.
        if !std::thread::panicking() {
            tick();
        }
    }
}

impl Clone for Guest {
    fn clone(&self) -> Self {
        tick();
        Self::new(self.worth)
    }
}

impl Hash for Guest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        tick();
        self.worth.hash(state);
    }
}

impl PartialEq for Guest {
    fn eq(&self, other: &Self) -> bool {
        tick();
        self.worth == other.worth
    }
}

impl Eq for Guest {}

/// A text that is cloned and displayed as a user's type is, without a destructor.
#[derive(Debug)]
pub(crate) struct Label(pub(crate) u32);

impl Clone for Label {
    fn clone(&self) -> Self {
        tick();
        Self(self.0)
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        tick();
        write!(f, "vm-{}", self.0)
    }
}
