//! Sites: from which place in the program the memory comes, each call's or a sample's, and what of it is still live.
//!
//! Stands beside the counters, which call it for the calls that are to be recorded: all of them, or those that a Poisson
//! process over the bytes asked for picks out. A call's stack is walked (`walk`), its site found in a table (`table`), its block
//! written down (`live`), so that the site hears of it when the block goes back.
//!
//! Invariants:
//! - Once on, on: there is one mode per process, and its tables live as long. They are statics of fixed size, of which the system
//!   gives pages as they are touched: 16,384 sites of 32 frames, 1,048,576 blocks. What does not fit is counted under
//!   one site for all the rest; a block that finds no place is counted as given back at once, and as not followed.
//! - No count is lost: each recorded call is counted under one site, whatever is full.
//! - Nothing here allocates, takes a lock, reads the environment, or can panic.
//!
//! In a sample a block of `n` bytes is hit with the probability `1 - exp(-n / rate)` and then stands for the inverse of
//! that many blocks, so sums over sites are right on average, whatever the sizes.
//!
//! Cost: off, a comparison per call. On, for each recorded call, some nanoseconds per frame and five locked additions until its
//! block is gone. A sample costs each free a look into a filter of 16 KiB besides.
#![forbid(unsafe_code)]

use super::filter::{self, Filter};
use super::walk::{self, FRAMES_MAX};
use super::{live, table};
use crate::sync::{AtomicU8, AtomicU64, AtomicUsize, Ordering, thread_cell};
use std::cell::Cell;

/// 0: off. 1: each call. Above: one sample per so many bytes, on average.
static RATE: AtomicU64 = AtomicU64::new(0);
/// Frames kept per stack. 0 before anybody has asked for sites: who sets it sets the rate too.
static FRAMES: AtomicUsize = AtomicUsize::new(0);
/// What a sample costs the free of a block that is in none.
static FILTER: Filter = Filter([const { AtomicU8::new(0) }; filter::LEN]);
/// Blocks for which there was no place.
pub(super) static NOT_FOLLOWED: AtomicU64 = AtomicU64::new(0);

thread_cell! {
    // Set while a stack is walked or a report made: what comes back through the hook then is not walked again.
    static WALKING: Cell<bool> = Cell::new(false)
}

/// Relaxed: `Slot::draw` has the fence that orders it.
pub(in crate::tracking) fn rate() -> u64 {
    RATE.load(Ordering::Relaxed)
}

/// Turns sites on, unless an earlier caller has.
pub(in crate::tracking) fn start(rate: u64, frames_max: usize) {
    walk::prepare();
    let frames = frames_max.clamp(1, FRAMES_MAX);
    if FRAMES.compare_exchange(0, frames, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        RATE.store(rate, Ordering::Relaxed);
        crate::tracking::counters::wake();
    }
}

/// Whether a block's end may concern a site. A block of a site was recorded before its address went anywhere, so whoever frees it
/// sees the mode, too: relaxed loads.
#[inline(always)]
pub(in crate::tracking) fn may_follow(block: *mut u8) -> bool {
    match RATE.load(Ordering::Relaxed) {
        0 => false,
        1 => true,
        _ => FILTER.may_hold(block.addr()),
    }
}

/// What stands for how much: thousands and twenty-four parts of a block, and bytes.
fn weight(rate: u64, size: usize) -> (u64, u64) {
    if rate <= 1 {
        return (table::WHOLE, size as u64);
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, positive, far below 2^53"
    )]
    {
        let size = size.max(1) as f64;
        let blocks = 1.0 / -(-size / rate as f64).exp_m1();
        ((blocks * table::WHOLE as f64).round() as u64, (blocks * size).round() as u64)
    }
}

/// Bytes to the next sample: exponentially distributed, drawn from the thread's generator (xorshift64*).
pub(in crate::tracking) fn distance(rate: u64, state: &AtomicU64) -> u64 {
    let mut x = state.load(Ordering::Relaxed).max(1);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    state.store(x, Ordering::Relaxed);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a random distance, positive"
    )]
    {
        // 53 random bits, never 0.
        let uniform = ((x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        (-uniform.ln() * rate as f64) as u64
    }
}

/// Counts a call under its site.
#[inline(never)]
pub(in crate::tracking) fn allocated(rate: u64, block: *mut u8, size: usize) {
    let number = if WALKING.with(|walking| walking.replace(true)) {
        table::OWN
    } else {
        let mut frames = [0; FRAMES_MAX];
        // At least 1, though this thread may see the rate before it.
        let max = FRAMES.load(Ordering::Relaxed).clamp(1, FRAMES_MAX);
        let stack = walk::stack(&mut frames[..max]);
        let number = table::find(stack);
        WALKING.with(|walking| walking.set(false));
        number
    };
    follow(rate, block, size, number);
}

fn follow(rate: u64, block: *mut u8, size: usize, number: u16) {
    let weight = weight(rate, size);
    table::site(number).asked(weight);
    if live::insert(block.addr(), number) {
        if rate != 1 {
            FILTER.add(block.addr());
        }
    } else {
        // Relaxed: a counter that publishes nothing.
        NOT_FOLLOWED.fetch_add(1, Ordering::Relaxed);
        table::site(number).freed(weight);
    }
}

/// Tells the block's site that it goes back.
#[inline(never)]
pub(in crate::tracking) fn freeing(block: *mut u8, size: usize) {
    if let Some(number) = forget(block) {
        table::site(number).freed(weight(RATE.load(Ordering::Relaxed), size));
    }
}

fn forget(block: *mut u8) -> Option<u16> {
    let number = live::remove(block.addr())?;
    if RATE.load(Ordering::Relaxed) != 1 {
        FILTER.remove(block.addr());
    }
    Some(number)
}

/// A block whose size is being changed, and its site: taken out before the inner allocator may give its address away.
#[derive(Clone, Copy)]
pub(in crate::tracking) struct Held(Option<u16>);

impl Held {
    pub(in crate::tracking) const NONE: Self = Self(None);

    pub(in crate::tracking) const fn any(self) -> bool {
        self.0.is_some()
    }
}

#[inline(never)]
pub(in crate::tracking) fn hold(block: *mut u8) -> Held {
    Held(forget(block))
}

/// The inner allocator refused: the block is what it was.
pub(in crate::tracking) fn put_back(held: Held, block: *mut u8, size: usize) {
    let Some(number) = held.0 else { return };
    let rate = RATE.load(Ordering::Relaxed);
    if !live::insert(block.addr(), number) {
        NOT_FOLLOWED.fetch_add(1, Ordering::Relaxed);
        return table::site(number).freed(weight(rate, size));
    }
    if rate != 1 {
        FILTER.add(block.addr());
    }
}

/// The block has a new size and perhaps a new place. Where each call is recorded, it stays its first site's, as in dhat; in
/// a sample the old block ends and the new one has its own chance.
pub(in crate::tracking) fn reallocated(sample: Option<u64>, held: Held, block: *mut u8, old: usize, new: usize) {
    let rate = RATE.load(Ordering::Relaxed);
    if let Some(number) = held.0 {
        table::site(number).freed(weight(rate, old));
        if sample == Some(1) {
            return follow(1, block, new, number);
        }
    }
    if let Some(rate) = sample {
        allocated(rate, block, new);
    }
}

/// Runs a report: what it allocates is counted under a site of its own, so that reports do not appear in themselves.
pub(in crate::tracking) fn aside<R>(report: impl FnOnce() -> R) -> R {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            WALKING.with(|walking| walking.set(self.0));
        }
    }
    let _back = Back(WALKING.with(|walking| walking.replace(true)));
    report()
}
