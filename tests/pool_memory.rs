//! After a burst, trims bring the process's resident memory back.
//!
//! Over the public API, by what the kernel says. One test in this file: the figure is the whole process's.
#![cfg(all(target_os = "linux", not(blixard_no_recycle)))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use blixard_arena::pool::VecPool;

/// Resident bytes of this process.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_burst_is_over_two_trims_later() {
    const BYTES: usize = 1 << 20;
    const BURST: usize = 200;
    const USUAL: usize = 3;
    let pool = VecPool::<u8>::builder_with_capacity(BYTES).per_thread_bytes_max(8 << 20).idle_max(500).build();
    let use_at_once = |n: usize| {
        let mut all: Vec<_> = (0..n).map(|_| pool.acquire()).collect();
        for buffer in &mut all {
            buffer.resize(BYTES, 1);
        }
    };
    use_at_once(USUAL);
    let before = resident();

    use_at_once(BURST);
    let burst = resident();
    assert!(burst > before + (BURST - 10) * BYTES, "the pool keeps what the burst made: {before}, then {burst}");
    pool.trim();
    use_at_once(USUAL);
    pool.trim();

    let after = resident();
    let stacks = 8 << 20;
    assert!(after < before + stacks + (8 << 20), "{before} bytes before, {burst} in the burst, {after} after");
    assert!(pool.figures().idle >= USUAL);
    let created = pool.figures().created;
    use_at_once(USUAL);
    assert_eq!(pool.figures().created, created, "what is usual is still there");
}
