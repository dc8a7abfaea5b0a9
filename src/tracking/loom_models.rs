//! Models of the hook's list of slots, and of what sites and live blocks are: loom runs them through every order of steps that the memory model allows. See
//! `recycle::loom_models`, which says how.
//!
//! The hook's own state is in statics, which loom's types cannot be; here each run has a list of its own, and threads do what
//! the hook does at their first call, at their end, and where sites are turned on.
#![forbid(unsafe_code)]

#[path = "sites/filter.rs"]
mod filter;
#[path = "sites/line.rs"]
mod line;
#[path = "sites/rules.rs"]
mod rules;
#[path = "sites/site.rs"]
mod site;

use super::slots::{Balance, Slot, Slots};
use crate::sync::{Witness, add_owned, race};
use filter::Filter;
use line::Line;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use rules::{Rule, Rules};
use site::Site;

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

/// Two sites of two frames, two words for live blocks, and a block of the heap on its way from one thread to another.
struct Table {
    sites: [Site; 2],
    frames: [[AtomicUsize; 2]; 2],
    lines: [Line; 2],
    handed_on: AtomicBool,
}

/// Blocks by address; two of them.
const BLOCKS: [u64; 2] = [7, 9];

impl Table {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            sites: [Site::new(), Site::new()],
            frames: [[AtomicUsize::new(0), AtomicUsize::new(0)], [AtomicUsize::new(0), AtomicUsize::new(0)]],
            lines: [Line([AtomicU64::new(0)]), Line([AtomicU64::new(0)])],
            handed_on: AtomicBool::new(false),
        })
    }

    /// The site of the stack with this key, whose frames follow from it.
    fn site(&self, key: u64) -> usize {
        let frame = usize::try_from(key).expect("a small number");
        site::claim(&self.sites, &self.frames, 0..2, key, &[frame, frame + 1]).expect("no more stacks than sites")
    }

    fn lines(&self) -> [&Line; 2] {
        self.lines.each_ref()
    }

    /// Asks for a block at a stack, and writes it down.
    fn ask(&self, block: u64, key: u64) {
        let site = self.site(key);
        self.sites[site].asked((1, 10));
        let number = u64::try_from(site).expect("one of two");
        assert!(line::insert(self.lines(), block << 16 | number), "there are words for two blocks");
    }

    /// Frees a block that this thread has.
    fn free(&self, block: u64) {
        let site = line::remove(self.lines(), block).expect("it was written down");
        self.sites[usize::from(site)].freed((1, 10));
    }

    /// What a report reads: frames whole or not there, nothing below zero.
    fn look(&self) {
        for (site, stored) in self.sites.iter().zip(&self.frames) {
            let mut frames = [0; 2];
            let len = site.frames(stored, &mut frames);
            assert!(len == 0 || len == 2 && frames[0] + 1 == frames[1] && frames[0] > 0, "{frames:?}");
            let sums = site.sums();
            assert!(sums.freed_blocks <= sums.blocks && sums.freed_bytes <= sums.bytes, "{sums:?}");
        }
    }

    /// At the end: so many blocks were asked for, all are freed, and each stack has one site.
    fn assert_sums(&self, blocks: u64, stacks: usize) {
        self.look();
        let sums = self.sites.each_ref().map(Site::sums);
        assert_eq!(
            sums.iter().map(|sums| (sums.blocks, sums.bytes)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
            (blocks, 10 * blocks)
        );
        assert!(sums.iter().all(|sums| (sums.freed_blocks, sums.freed_bytes) == (sums.blocks, sums.bytes)));
        assert_eq!(self.sites.iter().filter(|site| !site.is_free()).count(), stacks);
        assert!(self.lines.iter().all(|line| line.0.iter().all(|word| word.load(Ordering::Relaxed) == 0)));
    }
}

/// Two threads meet one stack, or two, for the first time: a site for each, its frames whole for whoever looks.
#[test]
fn a_stack_has_one_site_and_its_frames_whole() {
    let first: fn(&Arc<Table>) = |table| {
        table.ask(BLOCKS[0], 1);
        table.free(BLOCKS[0]);
    };
    let same: fn(&Arc<Table>) = |table| {
        table.ask(BLOCKS[1], 1);
        table.free(BLOCKS[1]);
    };
    let other: fn(&Arc<Table>) = |table| {
        table.ask(BLOCKS[1], 3);
        table.free(BLOCKS[1]);
    };
    race(Some(3), Table::new, [first, same], |table, _| table.assert_sums(2, 1));
    race(Some(3), Table::new, [first, other], |table, _| table.assert_sums(2, 2));
    race(Some(3), Table::new, [first, |table| table.look()], |table, _| table.assert_sums(1, 1));
}

/// A block that one thread asks for and another one frees: no report sees more freed than was asked for.
#[test]
fn a_block_that_another_thread_frees_is_asked_for_first() {
    let asks: fn(&Arc<Table>) = |table| {
        table.ask(BLOCKS[0], 1);
        // Release, and Acquire below: as whatever hands a block on.
        table.handed_on.store(true, Ordering::Release);
    };
    let frees: fn(&Arc<Table>) = |table| {
        if table.handed_on.load(Ordering::Acquire) {
            table.free(BLOCKS[0]);
        }
    };
    race(Some(3), Table::new, [asks, frees, |table| table.look()], |table, _| {
        if table.sites[0].sums().freed_blocks == 0 {
            table.free(BLOCKS[0]);
        }
        table.assert_sums(1, 1);
    });
}

/// What an address's unwind table says.
fn rule(address: usize) -> Rule {
    Rule::new(address % 2 == 1, 8 * i64::try_from(address).expect("small"), None).expect("a usual one")
}

/// Two threads walk the same frames, whose rules fight for one place: each frame gets its own.
#[test]
fn an_address_gets_its_own_rule_whoever_stores_what() {
    let walk: fn(&Arc<Rules>) = |rules| {
        for address in [1, 2, 1] {
            let found = rules.rule(address, rule);
            assert_eq!((found.cfa(), found.base_is_frame_pointer()), (8 * address, address % 2 == 1));
            assert!(!found.ends() && found.frame_pointer() == 0);
        }
    };
    race(
        Some(4),
        || Arc::new(Rules([AtomicU64::new(0)])),
        [walk, walk],
        |rules, _| {
            let last = rules.rule(1, |_| Rule::END);
            assert!(last == rule(1) || last == Rule::END, "it was the last, or another took its place");
        },
    );
}

/// Blocks of one hash come and go on two threads: the filter says `maybe` as long as one of them is there, and no longer.
#[test]
fn the_filter_knows_of_each_block_that_is_there() {
    let lives: fn(&Arc<Filter>) = |filter| {
        filter.add(1);
        assert!(filter.may_hold(1));
    };
    let goes: fn(&Arc<Filter>) = |filter| {
        filter.add(2);
        assert!(filter.may_hold(2));
        filter.remove(2);
    };
    race(
        Some(2),
        || Arc::new(Filter([AtomicU8::new(0)])),
        [lives, goes, goes],
        |filter, _| {
            assert!(filter.may_hold(1));
            filter.remove(1);
            assert!(!filter.may_hold(1));
        },
    );
    // One that has counted as far as it can says `maybe` for ever.
    race(
        Some(3),
        || Arc::new(Filter([AtomicU8::new(u8::MAX - 1)])),
        [lives, goes],
        |filter, _| {
            assert!(filter.may_hold(1));
        },
    );
}
