//! 100 `u64` pushed one by one, with room for them from the start and without.
//!
//! Nothing else is built meanwhile, so those that can grow in place do. Per push; a rewind, or for the heap the frees, after 20 vectors.

use std::hint::black_box;

use blixard_arena::collections::Vec as ArenaVec;
use blixard_arena::{Arena, ArenaOptions, SharedArena};
use bump_scope::{BumpVec, MutBumpVec};
use bumpalo::Bump;

use crate::contest::{BATCH_BYTES, CHUNK_BYTES, Contender, Group, Named, Role};
use crate::limits::{Region, RegionVec};

const PUSHES: u64 = 100;

/// Vectors between two rewinds.
const BATCH: u64 = (BATCH_BYTES / 800) as u64;

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("collections/push 100 u64", || group("collections/push 100 u64", 0)),
    ("collections/push 100 u64, with capacity", || group("collections/push 100 u64, with capacity", 100)),
];

/// A contender that makes a vector, pushes and lets go of it: the vector's making by `$make` from the arena `$on`.
macro_rules! pushes {
    ($name:literal, $role:ident, $arena:expr, |$on:ident| $make:expr, $reset:expr $(,)?) => {
        alone!(
            $name,
            $role,
            BATCH,
            $arena,
            |$on, _| {
                let mut numbers = $make;
                for number in 0..PUSHES {
                    numbers.push(number);
                }
                black_box(numbers.as_mut_slice().as_mut_ptr())
            },
            $reset,
        )
    };
}

fn group(name: &'static str, capacity: usize) -> Group {
    let options = || ArenaOptions::new().first_chunk_bytes(CHUNK_BYTES);
    // Not known when the program is built.
    let capacity = black_box(capacity);
    let scope = || <bump_scope::Bump>::with_size(CHUNK_BYTES);
    let contenders = vec![
        pushes!(
            "blixard Vec, Arena",
            Ours,
            options().arena(),
            |a| ArenaVec::with_capacity_in(capacity, &*a),
            Arena::reset
        ),
        pushes!(
            "blixard Vec, SharedArena",
            Ours,
            options().shared(),
            |a| ArenaVec::with_capacity_in(capacity, &*a),
            SharedArena::reset,
        ),
        pushes!(
            "allocator-api2 Vec, blixard Arena",
            Peer,
            options().arena(),
            |a| allocator_api2::vec::Vec::with_capacity_in(capacity, &*a),
            Arena::reset,
        ),
        pushes!(
            "bumpalo's Vec",
            Peer,
            Bump::with_capacity(CHUNK_BYTES),
            |a| bumpalo::collections::Vec::with_capacity_in(capacity, a),
            Bump::reset,
        ),
        pushes!(
            "allocator-api2 Vec, bumpalo",
            Peer,
            Bump::with_capacity(CHUNK_BYTES),
            |a| allocator_api2::vec::Vec::with_capacity_in(capacity, &*a),
            Bump::reset,
        ),
        pushes!(
            "bump-scope BumpVec",
            Peer,
            scope(),
            |a| BumpVec::with_capacity_in(capacity, &*a),
            <bump_scope::Bump>::reset
        ),
        pushes!(
            "bump-scope MutBumpVec",
            Peer,
            scope(),
            |a| MutBumpVec::with_capacity_in(capacity, &mut *a),
            <bump_scope::Bump>::reset,
        ),
        pushes!(
            "multitude's Vec",
            Peer,
            multitude::Arena::builder().with_capacity(CHUNK_BYTES).build(),
            |a| a.alloc_vec_with_capacity(capacity),
            multitude::Arena::reset,
        ),
        alone!(
            "std Vec",
            Peer,
            BATCH,
            Vec::with_capacity(BATCH_BYTES / 800),
            |kept, _| {
                let mut numbers = Vec::with_capacity(capacity);
                for number in 0..PUSHES {
                    numbers.push(number);
                }
                kept.push(numbers);
            },
            Vec::clear,
        ),
        pushes!(
            "hand-written",
            Limit,
            Region::new(CHUNK_BYTES),
            |a| RegionVec::with_capacity_in(capacity, &*a),
            Region::reset
        ),
    ];
    Group {
        name,
        note: "per push; a vector of 100 at a time, 16 KiB of them, then a rewind (the heap: frees)",
        elements: PUSHES,
        contenders,
    }
}
