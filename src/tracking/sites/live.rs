//! The blocks that are live, and whose they are: a word per block, address and site, in a static of fixed size.
//!
//! Stands behind `sites::follow` and `sites::forget`. A block lies in one of two cache lines of eight words: the one that its address
//! names as it is (neighbours on the heap are neighbours here), or one that a hash of it names. `line.rs` has what threads do at them.
//!
//! A look reads two cache lines at most.
#![forbid(unsafe_code)]

use super::filter::SPREAD;
use super::line::{self, Line, WAYS};
use crate::sync::AtomicU64;

/// Lines, a power of two.
const LINES: usize = 1 << LINES_BITS;
const LINES_BITS: u32 = 17;
/// What is left for the address once the site has its 16 bits.
const ADDRESS_BITS: u32 = 48;

static LIVE: [Line; LINES] = [const { Line([const { AtomicU64::new(0) }; WAYS]) }; LINES];

fn lines(address: usize) -> [&'static Line; 2] {
    // 128 bytes of the heap hold at most four blocks of glibc's.
    let plain = (address >> 7) & (LINES - 1);
    let hashed = ((address as u64).wrapping_mul(SPREAD) >> (u64::BITS - LINES_BITS)) as usize;
    [&LIVE[plain], &LIVE[hashed]]
}

/// Writes a block down; `false` if there is no place.
pub(super) fn insert(address: usize, site: u16) -> bool {
    if address >> ADDRESS_BITS != 0 {
        return false;
    }
    line::insert(lines(address), (address as u64) << 16 | u64::from(site))
}

/// Takes a block out: its site, if it was written down.
pub(super) fn remove(address: usize) -> Option<u16> {
    line::remove(lines(address), address as u64)
}
