//! One thread bumps values, strings, slices and formatted text: `Arena` beside every single-threaded peer.
//!
//! Each group does one call per operation, fills 16 KiB of a chunk that is there already, and rewinds. The heap's contenders keep what they
//! made until the same point and free it there. Below 2 ns a time says little: see the `ratios` program's `--instructions`.

use std::hint::black_box;

use blink_alloc::{Blink, BlinkAlloc};
use blixard_arena::{Arena, ArenaOptions};
use bump_scope::alloc::Global;
use bump_scope::settings::BumpSettings;
use bumpalo::Bump;

use crate::contest::{BATCH_BYTES, CHUNK_BYTES, Contender, Group, Named, Role};

type ScopeUp = bump_scope::Bump<Global, BumpSettings<1, true>>;
type ScopeDown = bump_scope::Bump<Global, BumpSettings<1, false>>;
type ScopeDown8 = bump_scope::Bump<Global, BumpSettings<8, false>>;

const ONE_CALL: &str = "one call per operation; 16 KiB, then a rewind (the heap: a free for each)";

/// The groups, by name.
pub const GROUPS: &[Named] = &[
    ("bump/u64", || values("bump/u64", |i| i)),
    ("bump/24 bytes", || values("bump/24 bytes", |i| [i, i + 1, i + 2])),
    ("bump/64 bytes", || values("bump/64 bytes", |i| [i; 8])),
    ("bump/str of 16", strings),
    ("bump/slice of 8 u64", slices),
    ("bump/format 45 bytes", formats),
];

fn ours() -> Arena {
    ArenaOptions::new().first_chunk_bytes(CHUNK_BYTES).arena()
}

fn blink() -> Blink<BlinkAlloc> {
    Blink::new_in(BlinkAlloc::with_chunk_size(CHUNK_BYTES))
}

fn multitude() -> multitude::Arena {
    multitude::Arena::builder().with_capacity(CHUNK_BYTES).build()
}

fn values<T: Copy + 'static>(name: &'static str, make: impl Fn(u64) -> T + Copy + 'static) -> Group {
    let batch = (BATCH_BYTES / size_of::<T>()) as u64;
    let capacity = BATCH_BYTES / size_of::<T>();
    let contenders = vec![
        alone!("blixard Arena", Ours, batch, ours(), |a, i| a.alloc(make(i)), Arena::reset),
        alone!("bumpalo", Peer, batch, Bump::with_capacity(CHUNK_BYTES), |a, i| a.alloc(make(i)), Bump::reset),
        alone!(
            "bumpalo Bump<8>",
            Peer,
            batch,
            Bump::<8>::with_min_align_and_capacity(CHUNK_BYTES),
            |a, i| a.alloc(make(i)),
            Bump::reset,
        ),
        alone!("bump-scope up", Peer, batch, ScopeUp::with_size(CHUNK_BYTES), |a, i| a.alloc(make(i)), ScopeUp::reset),
        alone!(
            "bump-scope down",
            Peer,
            batch,
            ScopeDown::with_size(CHUNK_BYTES),
            |a, i| a.alloc(make(i)),
            ScopeDown::reset
        ),
        alone!(
            "bump-scope down, 8",
            Peer,
            batch,
            ScopeDown8::with_size(CHUNK_BYTES),
            |a, i| a.alloc(make(i)),
            ScopeDown8::reset,
        ),
        alone!("blink-alloc", Peer, batch, blink(), |a, i| a.put_no_drop(make(i)), Blink::reset),
        // It has no reset: a new one per batch is how it is used.
        alone!(
            "typed-arena",
            Peer,
            batch,
            typed_arena::Arena::with_capacity(capacity),
            |a, i| a.alloc(make(i)),
            move |a| *a = typed_arena::Arena::with_capacity(capacity),
        ),
        alone!(
            "oxc_allocator",
            Peer,
            batch,
            oxc_allocator::Allocator::with_capacity(CHUNK_BYTES),
            |a, i| a.alloc(make(i)),
            oxc_allocator::Allocator::reset
        ),
        alone!("multitude", Peer, batch, multitude(), |a, i| a.alloc(make(i)), multitude::Arena::reset),
        alone!(
            "multitude alloc_with",
            Peer,
            batch,
            multitude(),
            |a, i| a.alloc_with(|| make(i)),
            multitude::Arena::reset
        ),
        // What remains when nothing is allocated: the loop, and the value written to one place.
        alone!(
            "one place, no allocation",
            Limit,
            batch,
            make(0),
            |place, i| {
                *place = make(i);
                std::ptr::from_mut(place)
            },
            |_| (),
        ),
        alone!(
            "Box",
            Peer,
            batch,
            Vec::with_capacity(capacity),
            |kept, i| kept.push(black_box(Box::new(make(i)))),
            Vec::clear,
        ),
    ];
    Group { name, note: ONE_CALL, elements: 1, contenders }
}

fn strings() -> Group {
    let text: &str = black_box("vm-000000000017a");
    let batch = (BATCH_BYTES / text.len()) as u64;
    let capacity = BATCH_BYTES / text.len();
    let contenders = vec![
        alone!("blixard Arena", Ours, batch, ours(), |a, _| a.alloc_str(text), Arena::reset),
        alone!("bumpalo", Peer, batch, Bump::with_capacity(CHUNK_BYTES), |a, _| a.alloc_str(text), Bump::reset),
        alone!(
            "bumpalo Bump<8>",
            Peer,
            batch,
            Bump::<8>::with_min_align_and_capacity(CHUNK_BYTES),
            |a, _| a.alloc_str(text),
            Bump::reset,
        ),
        alone!("bump-scope up", Peer, batch, ScopeUp::with_size(CHUNK_BYTES), |a, _| a.alloc_str(text), ScopeUp::reset),
        alone!(
            "bump-scope down",
            Peer,
            batch,
            ScopeDown::with_size(CHUNK_BYTES),
            |a, _| a.alloc_str(text),
            ScopeDown::reset
        ),
        alone!("blink-alloc", Peer, batch, blink(), |a, _| a.copy_str(text), Blink::reset),
        alone!(
            "typed-arena",
            Peer,
            batch,
            typed_arena::Arena::<u8>::with_capacity(BATCH_BYTES),
            |a, _| a.alloc_str(text),
            |a| *a = typed_arena::Arena::with_capacity(BATCH_BYTES),
        ),
        alone!(
            "oxc_allocator",
            Peer,
            batch,
            oxc_allocator::Allocator::with_capacity(CHUNK_BYTES),
            |a, _| a.alloc_str(text),
            oxc_allocator::Allocator::reset,
        ),
        alone!("multitude", Peer, batch, multitude(), |a, _| a.alloc_str(text), multitude::Arena::reset),
        alone!(
            "String",
            Peer,
            batch,
            Vec::with_capacity(capacity),
            |kept, _| kept.push(black_box(String::from(text))),
            Vec::clear
        ),
    ];
    Group { name: "bump/str of 16", note: ONE_CALL, elements: 1, contenders }
}

fn slices() -> Group {
    let source: &[u64] = black_box(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let batch = (BATCH_BYTES / size_of_val(source)) as u64;
    let capacity = BATCH_BYTES / size_of::<u64>();
    let contenders = vec![
        alone!("blixard Arena", Ours, batch, ours(), |a, _| a.alloc_slice_copy(source), Arena::reset),
        alone!(
            "bumpalo",
            Peer,
            batch,
            Bump::with_capacity(CHUNK_BYTES),
            |a, _| a.alloc_slice_copy(source),
            Bump::reset
        ),
        alone!(
            "bumpalo Bump<8>",
            Peer,
            batch,
            Bump::<8>::with_min_align_and_capacity(CHUNK_BYTES),
            |a, _| a.alloc_slice_copy(source),
            Bump::reset,
        ),
        alone!(
            "bump-scope up",
            Peer,
            batch,
            ScopeUp::with_size(CHUNK_BYTES),
            |a, _| a.alloc_slice_copy(source),
            ScopeUp::reset
        ),
        alone!(
            "bump-scope down",
            Peer,
            batch,
            ScopeDown::with_size(CHUNK_BYTES),
            |a, _| a.alloc_slice_copy(source),
            ScopeDown::reset,
        ),
        alone!("blink-alloc", Peer, batch, blink(), |a, _| a.copy_slice(source), Blink::reset),
        alone!(
            "typed-arena",
            Peer,
            batch,
            typed_arena::Arena::<u64>::with_capacity(capacity),
            |a, _| a.alloc_extend(source.iter().copied()),
            move |a| *a = typed_arena::Arena::with_capacity(capacity),
        ),
        alone!(
            "oxc_allocator",
            Peer,
            batch,
            oxc_allocator::Allocator::with_capacity(CHUNK_BYTES),
            |a, _| a.alloc_slice_copy(source),
            oxc_allocator::Allocator::reset,
        ),
        alone!("multitude", Peer, batch, multitude(), |a, _| a.alloc_slice_copy(source), multitude::Arena::reset),
        alone!(
            "Box<[u64]>",
            Peer,
            batch,
            Vec::with_capacity(capacity),
            |kept, _| kept.push(black_box(Box::<[u64]>::from(source))),
            Vec::clear,
        ),
    ];
    Group { name: "bump/slice of 8 u64", note: ONE_CALL, elements: 1, contenders }
}

fn formats() -> Group {
    use std::fmt::Write as _;

    let vm: &str = black_box("vm-000000000017a");
    let batch = BATCH_BYTES as u64 / 64;
    let capacity = BATCH_BYTES / 64;
    let contenders = vec![
        alone!(
            "blixard Arena",
            Ours,
            batch,
            ours(),
            |a, i| {
                let node = 1000 + i;
                a.format(format_args!("{vm} on node {node}: most available"))
            },
            Arena::reset,
        ),
        alone!(
            "bumpalo format!",
            Peer,
            batch,
            Bump::with_capacity(CHUNK_BYTES),
            |a, i| {
                let node = 1000 + i;
                bumpalo::format!(in a, "{} on node {}: most available", vm, node).into_bump_str()
            },
            Bump::reset,
        ),
        alone!(
            "reused String, bumpalo alloc_str",
            Peer,
            batch,
            (String::with_capacity(64), Bump::with_capacity(CHUNK_BYTES)),
            |pair, i| {
                let node = 1000 + i;
                let (text, bump) = pair;
                text.clear();
                write!(text, "{vm} on node {node}: most available").expect("a String takes any text");
                bump.alloc_str(text)
            },
            |pair| pair.1.reset(),
        ),
        alone!(
            "bump-scope bump_format!",
            Peer,
            batch,
            ScopeUp::with_size(CHUNK_BYTES),
            |a, i| {
                let node = 1000 + i;
                bump_scope::bump_format!(in &*a, "{vm} on node {node}: most available").into_str()
            },
            ScopeUp::reset,
        ),
        alone!(
            "bump-scope mut_bump_format!",
            Peer,
            batch,
            ScopeUp::with_size(CHUNK_BYTES),
            |a, i| {
                let node = 1000 + i;
                bump_scope::mut_bump_format!(in &mut *a, "{vm} on node {node}: most available").into_str()
            },
            ScopeUp::reset,
        ),
        alone!(
            "multitude format!",
            Peer,
            batch,
            multitude(),
            |a, i| {
                let node = 1000 + i;
                multitude::strings::format!(in a, "{vm} on node {node}: most available").leak()
            },
            multitude::Arena::reset,
        ),
        alone!(
            "std format!",
            Peer,
            batch,
            Vec::with_capacity(capacity),
            |kept, i| {
                let node = 1000 + i;
                kept.push(black_box(format!("{vm} on node {node}: most available")));
            },
            Vec::clear,
        ),
    ];
    Group { name: "bump/format 45 bytes", note: ONE_CALL, elements: 1, contenders }
}
