//! Models of the hook's list of slots: loom runs them through every order of steps that the memory model allows. See
//! `recycle::loom_models`, which says how.
//!
//! The hook's own state is in statics, which loom's types cannot be; here each run has a list of its own, and threads do what
//! the hook does at their first call, at their end, and where sites are turned on.
#![forbid(unsafe_code)]

use super::slots::{Balance, Slot, Slots};
use crate::sync::{Witness, add_owned, race};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};

/// What an owner writes: `calls` as a counter is written, the witness as anything that is not atomic would be.
#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    witness: Witness,
}

/// A list, and the rate of samples.
type Hook = Arc<(Slots<Counts>, AtomicU64)>;

fn hook() -> Hook {
    Arc::new((Slots::new(), AtomicU64::new(0)))
}

/// A slot that another thread has left, or a new one. Slots are never freed, here neither.
fn slot(hook: &Hook) -> &'static Slot<Counts> {
    let slot = hook.0.adopt().unwrap_or_else(|| {
        let slot = Box::leak(Box::new(Slot::new(Counts::default())));
        hook.0.add(slot);
        slot
    });
    slot.witness.touch();
    slot
}

/// A thread's first call.
fn begin(hook: &Hook) -> &'static Slot<Counts> {
    let slot = slot(hook);
    slot.draw(|| hook.1.load(Ordering::Relaxed), |rate| rate + 100);
    slot
}

fn calls(hook: &Hook) -> u64 {
    let mut calls = 0;
    hook.0.each(|slot| calls += slot.calls.load(Ordering::Relaxed));
    calls
}

/// A thread that counts a call and leaves its slot to the next.
fn live(hook: &Hook) {
    let slot = slot(hook);
    add_owned(&slot.calls, 1);
    slot.leave();
}

/// Each of the threads' calls is counted once, in no more slots than threads, each whole for whoever comes next.
fn all_is_counted(hook: &Hook, threads: u64) {
    assert_eq!(calls(hook), threads);
    let mut slots = 0;
    hook.0.each(|slot| {
        slot.witness.touch();
        slots += 1;
    });
    assert!((1..=threads).contains(&slots), "{slots}");
}

#[test]
fn no_count_is_lost_however_slots_change_hands() {
    race(Some(3), hook, [live, live], |hook, _| all_is_counted(&hook, 2));
    race(Some(1), hook, [live, live, live], |hook, _| all_is_counted(&hook, 3));
}

#[test]
fn whoever_sums_meanwhile_sees_whole_slots() {
    let sum = |hook: &Hook| assert!(calls(hook) <= 1);
    race(Some(4), hook, [live, sum], |_, _| ());
}

/// The rate that `turn_on` sets.
const RATE: u64 = 5;

fn turn_on(hook: &Hook) {
    hook.1.store(RATE, Ordering::Relaxed);
    hook.0.wake();
}

fn go_on(hook: &Hook) {
    let slot = begin(hook);
    slot.draw(|| hook.1.load(Ordering::Relaxed), |rate| rate + 200);
    slot.leave();
}

fn all_have_heard(hook: &Hook) {
    hook.0.each(|slot| {
        let at = slot.sample_at();
        assert!([0, RATE + 100, RATE + 200].contains(&at), "drawn at no rate or another one: {at}");
        assert!(slot.is_due(RATE + 201));
    });
}

/// Sites are turned on while threads begin, go on and end: none is left with a sample drawn at the rate before.
#[test]
fn every_slot_hears_that_sites_are_on() {
    race(None, hook, [turn_on, go_on], |hook, _| all_have_heard(&hook));
    race(Some(2), hook, [turn_on, go_on, |hook| begin(hook).leave()], |hook, _| all_have_heard(&hook));
}

/// The highest balance is remembered, whoever looks first.
#[test]
fn the_peak_is_one_that_was_and_no_lower_than_any() {
    let grow: fn(&Arc<Balance>) = |balance| balance.tell(3);
    let shrink: fn(&Arc<Balance>) = |balance| {
        balance.tell(2);
        balance.tell(-2);
    };
    race(None, || Arc::new(Balance::new()), [grow, grow], |balance, _| assert_eq!(balance.peak(), 6));
    race(None, || Arc::new(Balance::new()), [grow, shrink], |balance, _| assert!([3, 5].contains(&balance.peak())));
}
