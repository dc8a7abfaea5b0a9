//! Writes a profile as pprof's protobuf message, which is simple enough to need no library.
//!
//! Stands behind `SiteProfile::to_pprof`. Field numbers are those of `profile.proto` in google/pprof.
//!
//! Invariants: the string table begins with the empty string; identifiers of locations and functions begin at 1; a sample
//! has as many values as there are sample types; every reference is to something in the message.
#![forbid(unsafe_code)]

use super::profile::{SiteFrame, SiteProfile};
use std::collections::HashMap;

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }

    /// A number; 0 is what a missing one means.
    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn numbers(&mut self, field: u64, values: impl IntoIterator<Item = u64>) {
        let mut packed = Self::default();
        values.into_iter().for_each(|value| packed.varint(value));
        self.bytes(field, &packed.0);
    }
}

/// Strings by number, each once.
struct Strings {
    numbers: HashMap<String, u64>,
    all: Vec<String>,
}

impl Strings {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.all.len() as u64;
        self.all.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

/// What samples refer to.
struct Tables {
    strings: Strings,
    functions: HashMap<(u64, u64), u64>,
    /// By address and, where it is the same for several, by the first function.
    locations: HashMap<(usize, String), u64>,
    written: Message,
}

impl Tables {
    fn function(&mut self, frame: &SiteFrame) -> u64 {
        let name = self.strings.number(&frame.function);
        let file = self.strings.number(frame.file.as_deref().unwrap_or(""));
        let next = self.functions.len() as u64 + 1;
        *self.functions.entry((name, file)).or_insert_with(|| {
            let mut function = Message::default();
            function.number(1, next);
            function.number(2, name);
            function.number(3, name);
            function.number(4, file);
            self.written.bytes(5, &function.0);
            next
        })
    }

    /// The location of one address: its functions, innermost first.
    fn location(&mut self, frames: &[SiteFrame]) -> u64 {
        let key = (frames[0].address, frames[0].function.clone());
        if let Some(number) = self.locations.get(&key) {
            return *number;
        }
        let number = self.locations.len() as u64 + 1;
        let mut location = Message::default();
        location.number(1, number);
        location.number(3, frames[0].address as u64);
        for frame in frames {
            let mut line = Message::default();
            line.number(1, self.function(frame));
            line.number(2, u64::from(frame.line.unwrap_or(0)));
            location.bytes(4, &line.0);
        }
        self.written.bytes(4, &location.0);
        self.locations.insert(key, number);
        number
    }
}

pub(super) fn encode(profile: &SiteProfile) -> Vec<u8> {
    let strings = Strings { numbers: HashMap::from([(String::new(), 0)]), all: vec![String::new()] };
    let mut tables =
        Tables { strings, functions: HashMap::new(), locations: HashMap::new(), written: Message::default() };
    let mut message = Message::default();
    let mut value_type = |field: u64, name: &str, unit: &str, strings: &mut Strings| {
        let mut inner = Message::default();
        inner.number(1, strings.number(name));
        inner.number(2, strings.number(unit));
        message.bytes(field, &inner.0);
    };
    for (name, unit) in
        [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")]
    {
        value_type(1, name, unit, &mut tables.strings);
    }
    value_type(11, "space", "bytes", &mut tables.strings);
    for site in &profile.sites {
        // Frames that were put into one another are one location.
        let mut locations = Vec::new();
        let mut rest = &site.frames[..];
        while !rest.is_empty() {
            let end = rest.iter().position(|frame| !frame.inlined).map_or(rest.len(), |last| last + 1);
            locations.push(tables.location(&rest[..end]));
            rest = &rest[end..];
        }
        let mut sample = Message::default();
        sample.numbers(1, locations);
        sample.numbers(2, [site.blocks, site.bytes, site.live_blocks, site.live_bytes]);
        message.bytes(2, &sample.0);
    }
    let default = tables.strings.number("inuse_space");
    message.0.extend_from_slice(&tables.written.0);
    for text in &tables.strings.all {
        message.bytes(6, text.as_bytes());
    }
    message.number(12, profile.sample_bytes.max(1));
    message.number(14, default);
    message.0
}
