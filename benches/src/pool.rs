//! Take an arena, allocate once, give it back: what a request pays before it does anything, on one and two pinned threads.
//!
//! All pools are warm: each thread's arena has been taken and returned before the clock runs.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use blixard_arena::ArenaPool;
use bumpalo::Bump;
use bumpalo_herd::Herd;
use oxc_allocator::AllocatorPool;

use crate::contest::{Contender, Group, Named, Role};

/// Operations per thread between two barriers.
const BATCH: u64 = 4096;

/// The groups, by name.
pub const GROUPS: &[Named] = &[("pool/acquire and return", group)];

thread_local! {
    static STACK: RefCell<Vec<Bump>> = const { RefCell::new(Vec::new()) };
}

fn group() -> Group {
    Group {
        name: "pool/acquire and return",
        note: "take an arena, allocate one `u64`, give it back rewound",
        elements: 1,
        contenders: [1, 2].into_iter().flat_map(at).collect(),
    }
}

fn at(threads: usize) -> Vec<Contender> {
    vec![
        pinned!(
            "blixard ArenaPool::acquire",
            Ours,
            threads,
            ArenaPool::new(),
            |pool, i| pool.acquire().alloc(i),
            |_| ()
        ),
        pinned!(
            "blixard ArenaPool::acquire_shared",
            Ours,
            threads,
            ArenaPool::new(),
            |pool, i| pool.acquire_shared().alloc(i),
            |_| (),
        ),
        pinned!(
            "thread-local stack of bumps",
            Control,
            threads,
            (),
            |_nothing, i| {
                let mut bump = STACK.with(|stack| stack.borrow_mut().pop()).unwrap_or_default();
                black_box(bump.alloc(i));
                bump.reset();
                STACK.with(|stack| stack.borrow_mut().push(bump));
            },
            |()| (),
        ),
        pinned!(
            "Mutex<Vec<Bump>>",
            Peer,
            threads,
            Mutex::new(Vec::<Bump>::new()),
            |stack, i| {
                let mut bump = stack.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
                black_box(bump.alloc(i));
                bump.reset();
                stack.lock().unwrap_or_else(PoisonError::into_inner).push(bump);
            },
            |_| (),
        ),
        pinned!(
            "oxc_allocator AllocatorPool",
            Peer,
            threads,
            AllocatorPool::new(threads),
            |pool, i| pool.get().alloc(i),
            |_| ()
        ),
        // These two rewind the whole pool at once, not the arena that comes back: less work than the rest do.
        pinned!("bumpalo-herd, not rewound", Peer, threads, Herd::new(), |herd, i| herd.get().alloc(i), Herd::reset),
        pinned!(
            "bump-scope BumpPool, not rewound",
            Peer,
            threads,
            <bump_scope::BumpPool>::new(),
            |pool, i| pool.get().alloc(i),
            <bump_scope::BumpPool>::reset,
        ),
        pinned!("new Bump each time", Peer, threads, (), |_nothing, i| Bump::new().alloc(i), |()| ()),
    ]
}
