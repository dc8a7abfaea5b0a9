//! What dhat has counted, for test programs that have it as their global allocator in its testing mode, or under theirs.
//!
//! dhat counts the whole process: a program that asks holds one test.
#![allow(dead_code, reason = "each program uses a part of this")]

/// Blocks asked for so far, and blocks live: as far as dhat tells them apart, the allocator calls and frees.
pub(crate) fn calls() -> (u64, usize) {
    let stats = dhat::HeapStats::get();
    (stats.total_blocks, stats.curr_blocks)
}

/// Waits for the harness's own thread, which allocates when it has started the test's: until nothing was asked for in half a second, since
/// on a busy machine that thread may be kept waiting itself.
pub(crate) fn wait_for_the_harness() {
    let mut quiet = 0;
    while quiet < 5 {
        let before = calls();
        std::thread::sleep(std::time::Duration::from_millis(100));
        quiet = if calls() == before { quiet + 1 } else { 0 };
    }
}

/// Repeats a step that is warm after 2,000 times, and calls no allocator in 2,000 more.
#[track_caller]
pub(crate) fn steady(what: &str, mut step: impl FnMut(usize)) {
    (0..2_000).for_each(&mut step);
    let before = calls();
    (0..2_000).for_each(&mut step);
    assert_eq!(calls(), before, "{what}");
}
