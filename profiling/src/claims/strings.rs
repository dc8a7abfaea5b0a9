//! The strings of a request and nothing else: each VM's texts, its metadata, and the formatted reason of its proposal.

use std::fmt::Write as _;
use std::ops::Deref;

use blixard_arena::Arena;
use blixard_arena::collections;
use blixard_arena::intern::{InternedString, StringPool};
use blixard_arena::pool::{Pooled, TypedObjectPool};
use xxhash_rust::xxh3::Xxh3;

use super::{Form, InArena, Parsed, add_text, no_form};
use crate::request::VmRequest;
use crate::strategy::Name;

pub(super) fn form(name: Name, pass: &[Parsed<'_>]) -> Box<dyn Form> {
    // The list of the texts is no text.
    let most = pass.iter().map(|request| request.vms.len() * 5 + request.pairs.len() * 2).max().unwrap_or(0);
    match name {
        Name::Heap => Box::new(Heap { texts: Vec::with_capacity(most) }),
        Name::Pooled => Box::new(FromPools {
            names: StringPool::new(),
            own: TypedObjectPool::builder(String::new)
                .reset(String::clear)
                .retained_bytes(String::capacity)
                .retain_bytes_max(4 << 10)
                .build(),
            texts: Vec::with_capacity(most),
        }),
        Name::Arena => Box::new(InArena::new(in_arena)),
        other => no_form(other),
    }
}

/// Words a proposal's reason.
macro_rules! reason {
    ($vm:expr, $write:ident $(, $into:expr)?) => {
        $write!($($into,)? "create {} for {}, class {}", $vm.spec.name, $vm.spec.tenant, $vm.spec.qos.as_str())
    };
}

/// What this VM alone is called, or few others are.
fn own<'b>(vm: &VmRequest<'b>, request: &Parsed<'b>) -> impl Iterator<Item = &'b str> {
    let values = request.pairs[vm.pairs.clone()].iter().map(|&(_, value)| value);
    [vm.spec.name, vm.spec.config_path].into_iter().chain(values)
}

/// Names of which there are few.
fn shared<'b>(vm: &VmRequest<'b>, request: &Parsed<'b>) -> impl Iterator<Item = &'b str> {
    let keys = request.pairs[vm.pairs.clone()].iter().map(|&(key, _)| key);
    [vm.spec.tenant, vm.spec.gpu_spec].into_iter().chain(keys)
}

/// An owned `String` for each text.
struct Heap {
    texts: Vec<String>,
}

impl Form for Heap {
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3) {
        for vm in &request.vms {
            self.texts.extend(own(vm, request).map(str::to_owned));
            self.texts.extend(shared(vm, request).map(str::to_owned));
            self.texts.push(reason!(vm, format));
        }
        for text in &self.texts {
            add_text(sum, text);
        }
        self.texts.clear();
    }
}

/// Names of which there are few are interned, the rest goes into recycled `String`s.
struct FromPools {
    names: StringPool,
    own: TypedObjectPool<String>,
    texts: Vec<Text>,
}

enum Text {
    Name(InternedString),
    Own(Pooled<String>),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Own(text) => text,
        }
    }
}

impl FromPools {
    fn write(&self, write: impl FnOnce(&mut String)) -> Text {
        let mut text = self.own.acquire();
        write(&mut text);
        Text::Own(text)
    }
}

impl Form for FromPools {
    fn serve(&mut self, request: &Parsed<'_>, sum: &mut Xxh3) {
        let mut texts = std::mem::take(&mut self.texts);
        let pin = self.names.pin();
        for vm in &request.vms {
            texts.extend(own(vm, request).map(|text| self.write(|into| into.push_str(text))));
            texts.extend(shared(vm, request).map(|text| Text::Name(pin.intern(text).to_interned())));
            texts.push(self.write(|into| reason!(vm, write, into).expect("a `String` takes all")));
        }
        for text in &texts {
            add_text(sum, text);
        }
        texts.clear();
        drop(pin);
        self.texts = texts;
    }
}

/// Each text copied into the request's arena.
fn in_arena(arena: &Arena, request: &Parsed<'_>, sum: &mut Xxh3) {
    let mut texts = collections::Vec::new_in(arena);
    for vm in &request.vms {
        texts.extend(own(vm, request).map(|text| &*arena.alloc_str(text)));
        texts.extend(shared(vm, request).map(|text| &*arena.alloc_str(text)));
        texts.push(&*arena.format(reason!(vm, format_args)));
    }
    for text in &texts {
        add_text(sum, text);
    }
}
