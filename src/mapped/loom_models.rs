//! Models of the blocks that threads find right: loom runs them through every order of steps that the memory model allows. See
//! `recycle::loom_models`, which says how.
#![forbid(unsafe_code)]

use super::checked::Checked;
use crate::sync::race;
use std::sync::Arc;

fn touch(checked: &Checked, blocks: [usize; 3]) {
    for block in blocks {
        if !checked.has(block) {
            checked.set(block);
        }
        assert!(checked.has(block), "a thread sees what it found itself");
    }
}

/// Blocks of one word and of the next, found by two threads at once, one of them by both: no bit is lost, and none is set that nobody
/// has found.
#[test]
fn no_block_that_was_found_right_is_forgotten() {
    let make = || Arc::new(Checked::none_of(130).expect("two words and two bits"));
    let low: fn(&Arc<Checked>) = |checked| touch(checked, [0, 63, 65]);
    let high: fn(&Arc<Checked>) = |checked| touch(checked, [62, 63, 129]);
    race(Some(4), make, [low, high], |checked, _| {
        let found: Vec<usize> = (0..130).filter(|block| checked.has(*block)).collect();
        assert_eq!(found, [0, 62, 63, 65, 129]);
        assert!(!checked.has(192), "beyond the last word");
    });
}
