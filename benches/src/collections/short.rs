//! Lists of 4 and of 12 `u64`, pushed one by one, kept in a list of lists, and let go together: when does a list in place pay?
//!
//! Per list; 128 of them are kept at a time. Up to eight lie inside a `SmallVec`, twelve do not.

use std::hint::black_box;

use blixard_arena::collections::{SmallVec, Vec as ArenaVec};
use blixard_arena::{Arena, ArenaOptions};

use crate::contest::{CHUNK_BYTES, Contender, Group, Named, Role};

/// Lists that are kept at a time.
const BATCH: u64 = 128;

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("collections/short-4", || group("collections/short-4", 4)),
    ("collections/short-12", || group("collections/short-12", 12)),
];

/// A contender that makes a list by `$make`, pushes, and keeps it.
macro_rules! kept {
    ($name:literal, $role:ident, $pushes:ident, $make:expr $(,)?) => {
        Contender::alone(
            $name,
            Role::$role,
            BATCH,
            Vec::with_capacity(128),
            move |kept, _| {
                let mut list = $make;
                for number in 0..$pushes {
                    list.push(number);
                }
                kept.push(list);
                black_box(kept.as_mut_ptr());
            },
            Vec::clear,
        )
    };
}

fn group(name: &'static str, pushes: u64) -> Group {
    // Not known when the program is built.
    let pushes = black_box(pushes);
    let capacity = usize::try_from(pushes).unwrap_or(0);
    let contenders = vec![
        frozen("blixard Vec, frozen, Arena", pushes, 0),
        frozen("blixard Vec, with capacity, frozen, Arena", pushes, capacity),
        kept!("SmallVec of 8", Ours, pushes, SmallVec::<u64>::new()),
        kept!("std Vec", Peer, pushes, Vec::<u64>::new()),
        kept!("std Vec, with capacity", Peer, pushes, Vec::<u64>::with_capacity(capacity)),
    ];
    Group { name, note: "per list; kept until 128 are there, then let go together", elements: 1, contenders }
}

/// Ours in an arena, where what is kept lies too.
fn frozen(name: &'static str, pushes: u64, capacity: usize) -> Contender {
    let arena = ArenaOptions::new().first_chunk_bytes(CHUNK_BYTES).arena();
    let make = move |arena: &mut Arena, _| {
        let mut list = ArenaVec::with_capacity_in(capacity, &*arena);
        for number in 0..pushes {
            list.push(number);
        }
        let list: &[u64] = list.into_slice();
        black_box(arena.alloc(list));
    };
    Contender::alone(name, Role::Ours, BATCH, arena, make, Arena::reset)
}
