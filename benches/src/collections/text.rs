//! A text of 45 bytes out of a name, a number and two literals: through `fmt`, and joined without it.
//!
//! The limit of `format` is `write!` into memory that is there and large enough; that of `concat` is the same pieces copied one behind
//! the other, digits included. All build the same text, which is checked before they are timed.

use std::fmt::{self, Write};
use std::hint::black_box;

use blixard_arena::collections::String as ArenaString;
use blixard_arena::{Arena, ArenaOptions, SharedArena};
use bump_scope::BumpString;
use bumpalo::Bump;

use crate::contest::{BATCH_BYTES, CHUNK_BYTES, Contender, Group, Named, Role};
use crate::limits::{Region, RegionText};

const BYTES: usize = 45;

/// Texts between two rewinds.
const BATCH: u64 = (BATCH_BYTES / 64) as u64;

/// The groups, by name.
pub const GROUPS: &[Named] = &[("collections/format", formats), ("collections/concat", concats)];

fn ours() -> ArenaOptions {
    ArenaOptions::new().first_chunk_bytes(CHUNK_BYTES)
}

/// A contender that builds a text and answers its `str` or bytes: checked once, then timed.
macro_rules! builds {
    ($vm:ident, $name:literal, $role:ident, $arena:expr, |$on:ident, $node:ident| $make:expr, $reset:expr $(,)?) => {{
        let mut arena = $arena;
        let reset = $reset;
        for i in [0, 17] {
            let ($on, $node) = (&mut arena, 1000 + i);
            let text: &[u8] = (*$make).as_ref();
            assert_eq!(text, format!("{} on node {}: most available", $vm, 1000 + i).as_bytes(), "{}", $name);
            assert_eq!(text.len(), BYTES);
        }
        reset(&mut arena);
        alone!(
            $name,
            $role,
            BATCH,
            arena,
            |$on, i| {
                let $node = 1000 + i;
                let text: &[u8] = (*$make).as_ref();
                // Address and length.
                black_box(text);
            },
            reset,
        )
    }};
}

/// A contender on the heap, which keeps its texts until the others rewind.
macro_rules! keeps {
    ($vm:ident, $name:literal, |$node:ident| $make:expr $(,)?) => {
        builds!(
            $vm,
            $name,
            Peer,
            Vec::<String>::with_capacity(BATCH_BYTES / 64),
            |kept, $node| {
                kept.push($make);
                kept[kept.len() - 1].as_str()
            },
            Vec::clear,
        )
    };
}

/// Memory that is there and large enough: text is appended, nothing grows.
struct Page {
    bytes: Box<[u8]>,
    len: usize,
}

impl Page {
    fn new() -> Self {
        Self { bytes: vec![0; BATCH_BYTES].into(), len: 0 }
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    #[inline]
    fn push(&mut self, text: &str) -> Option<()> {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Some(())
    }

    /// What was written since `start`.
    fn since(&self, start: usize) -> &[u8] {
        &self.bytes[start..self.len]
    }
}

impl Write for Page {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text).ok_or(fmt::Error)
    }
}

fn formats() -> Group {
    let vm: &'static str = black_box("vm-000000000017a");
    let full = "there is room";
    let mut contenders = vec![
        builds!(
            vm,
            "blixard Arena::format",
            Ours,
            ours().arena(),
            |a, node| a.format(format_args!("{vm} on node {node}: most available")),
            Arena::reset,
        ),
        builds!(
            vm,
            "blixard SharedArena::format",
            Ours,
            ours().shared(),
            |a, node| a.format(format_args!("{vm} on node {node}: most available")),
            SharedArena::reset,
        ),
        builds!(
            vm,
            "blixard String, write!",
            Ours,
            ours().arena(),
            |a, node| {
                let mut text = ArenaString::new_in(&*a);
                write!(text, "{vm} on node {node}: most available").expect(full);
                text.into_str()
            },
            Arena::reset,
        ),
    ];
    contenders.extend(other_formats(vm));
    Group {
        name: "collections/format",
        note: "one text of 45 bytes; 256 of them, then a rewind",
        elements: 1,
        contenders,
    }
}

fn other_formats(vm: &'static str) -> Vec<Contender> {
    let full = "there is room";
    let bump = || Bump::with_capacity(CHUNK_BYTES);
    let scope = || <bump_scope::Bump>::with_size(CHUNK_BYTES);
    vec![
        builds!(
            vm,
            "bumpalo format!",
            Peer,
            bump(),
            |a, node| bumpalo::format!(in a, "{} on node {}: most available", vm, node).into_bump_str(),
            Bump::reset,
        ),
        builds!(
            vm,
            "bumpalo String with capacity, write!",
            Peer,
            bump(),
            |a, node| {
                let mut text = bumpalo::collections::String::with_capacity_in(64, a);
                write!(text, "{vm} on node {node}: most available").expect(full);
                text.into_bump_str()
            },
            Bump::reset,
        ),
        builds!(
            vm,
            "bump-scope bump_format!",
            Peer,
            scope(),
            |a, node| bump_scope::bump_format!(in &*a, "{vm} on node {node}: most available").into_str(),
            <bump_scope::Bump>::reset,
        ),
        builds!(
            vm,
            "bump-scope mut_bump_format!",
            Peer,
            scope(),
            |a, node| bump_scope::mut_bump_format!(in &mut *a, "{vm} on node {node}: most available").into_str(),
            <bump_scope::Bump>::reset,
        ),
        builds!(
            vm,
            "multitude format!",
            Peer,
            multitude::Arena::builder().with_capacity(CHUNK_BYTES).build(),
            |a, node| multitude::strings::format!(in a, "{vm} on node {node}: most available").leak(),
            multitude::Arena::reset,
        ),
        keeps!(vm, "std format!", |node| format!("{vm} on node {node}: most available")),
        builds!(
            vm,
            "write! into memory that is there",
            Limit,
            Page::new(),
            |page, node| {
                let start = page.len;
                write!(page, "{vm} on node {node}: most available").expect(full);
                page.since(start)
            },
            Page::clear,
        ),
        builds!(
            vm,
            "write! into a hand-written region",
            Limit,
            Region::new(CHUNK_BYTES),
            |a, node| {
                let mut text = RegionText::with_capacity_in(64, &*a);
                write!(text, "{vm} on node {node}: most available").expect(full);
                text.into_str()
            },
            Region::reset,
        ),
    ]
}

fn concats() -> Group {
    let vm: &'static str = black_box("vm-000000000017a");
    let mut contenders = vec![
        builds!(
            vm,
            "blixard Arena::concat",
            Ours,
            ours().arena(),
            |a, node| a.concat((vm, " on node ", node, ": most available")),
            Arena::reset,
        ),
        builds!(
            vm,
            "blixard SharedArena::concat",
            Ours,
            ours().shared(),
            |a, node| a.concat((vm, " on node ", node, ": most available")),
            SharedArena::reset,
        ),
        builds!(
            vm,
            "blixard String::push_concat",
            Ours,
            ours().arena(),
            |a, node| {
                let mut text = ArenaString::new_in(&*a);
                text.push_concat((vm, " on node ", node, ": most available"));
                text.into_str()
            },
            Arena::reset,
        ),
        builds!(
            vm,
            "blixard Arena::format",
            Ours,
            ours().arena(),
            |a, node| a.format(format_args!("{vm} on node {node}: most available")),
            Arena::reset,
        ),
    ];
    contenders.extend(other_concats(vm));
    Group {
        name: "collections/concat",
        note: "one text of 45 bytes; 256 of them, then a rewind",
        elements: 1,
        contenders,
    }
}

fn other_concats(vm: &'static str) -> Vec<Contender> {
    vec![
        builds!(
            vm,
            "bumpalo String, push_str and itoa",
            Peer,
            Bump::with_capacity(CHUNK_BYTES),
            |a, node| {
                let mut text = bumpalo::collections::String::with_capacity_in(64, a);
                text.push_str(vm);
                text.push_str(" on node ");
                text.push_str(itoa::Buffer::new().format(node));
                text.push_str(": most available");
                text.into_bump_str()
            },
            Bump::reset,
        ),
        builds!(
            vm,
            "bump-scope BumpString, push_str and itoa",
            Peer,
            <bump_scope::Bump>::with_size(CHUNK_BYTES),
            |a, node| {
                let mut text = BumpString::with_capacity_in(64, &*a);
                text.push_str(vm);
                text.push_str(" on node ");
                text.push_str(itoa::Buffer::new().format(node));
                text.push_str(": most available");
                text.into_str()
            },
            <bump_scope::Bump>::reset,
        ),
        keeps!(vm, "std String, push_str and itoa", |node| {
            let mut text = String::with_capacity(64);
            text.push_str(vm);
            text.push_str(" on node ");
            text.push_str(itoa::Buffer::new().format(node));
            text.push_str(": most available");
            text
        }),
        keeps!(vm, "std concat of a slice", |node| {
            [vm, " on node ", itoa::Buffer::new().format(node), ": most available"].concat()
        }),
        builds!(
            vm,
            "hand-written",
            Limit,
            Region::new(CHUNK_BYTES),
            |a, node| {
                let mut text = RegionText::with_capacity_in(64, &*a);
                text.push_str(vm);
                text.push_str(" on node ");
                text.push_str(itoa::Buffer::new().format(node));
                text.push_str(": most available");
                text.into_str()
            },
            Region::reset,
        ),
    ]
}
