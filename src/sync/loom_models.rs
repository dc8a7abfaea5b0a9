//! Models of what threads draw identifiers from: loom runs them through every order of steps that the memory model allows. See
//! `recycle::loom_models`, which says how.
#![forbid(unsafe_code)]

use super::{AtomicU64, Blocks, race};
use std::sync::Arc;

#[test]
fn no_two_threads_get_one_block() {
    let take: fn(&Arc<Blocks>) -> [u64; 2] = |blocks| [blocks.take(), blocks.take()];
    let end = |_, blocks: [[u64; 2]; 3]| {
        let mut all = blocks.concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), all[0]), (6, 1), "{blocks:?}");
    };
    race(None, || Arc::new(Blocks(AtomicU64::new(0))), [take; 3], end);
}
