//! Sequences of operations on `ArenaInterner` and `StringPool` beside naive models: each name has one symbol and one text, equal live texts one
//! address; what is held is never freed; caps and budgets refuse and lose nothing; when all is let go the pool is empty.
//!
//! Run: `cargo +nightly fuzz run interner_ops fuzz/corpus/interner_ops fuzz/seeds/interner_ops`
#![no_main]

use arbitrary::Arbitrary;
use blixard_arena::intern::{ArenaInterner, InternedString, StringPin, StringPool, StringPoolOptions, Symbol};
use blixard_arena::{Arena, ArenaOptions, Reset};
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;

#[derive(Arbitrary, Debug)]
struct Input {
    budget: u16,
    entries_max: u8,
    capped: bool,
    ops: Vec<Op>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    /// In the arena.
    Intern(u8),
    Get(u8),
    Reserve(u8),
    InternOwn(String),
    /// In the pool.
    Hold(u8),
    HoldUnderPin(u8, bool),
    LetGo(u8),
    Clone(u8),
    Sweep,
    Pin,
    Unpin,
    Promote(u8),
}

/// Texts of every length up to 300, of which some begin alike and some end alike.
fn text(id: u8) -> String {
    match id % 4 {
        0 => format!("{:0width$}", id, width = usize::from(id)),
        1 => format!("{id}{}", "n".repeat(usize::from(id) % 40)),
        2 => format!("vm-{}", id / 4 % 8),
        _ => "é".repeat(usize::from(id) * 150 / 255),
    }
}

/// The arena's half.
struct Local<'a> {
    names: ArenaInterner<'a, Arena>,
    model: Vec<String>,
    symbols: HashMap<String, Symbol>,
}

impl Local<'_> {
    fn intern(&mut self, text: &str) {
        let before = self.names.len();
        match self.names.try_intern(text) {
            Ok(symbol) => {
                let known = self.symbols.entry(text.to_owned()).or_insert_with(|| {
                    self.model.push(text.to_owned());
                    symbol
                });
                assert_eq!(*known, symbol, "{text:?} has two symbols");
            }
            Err(_) => {
                assert!(!self.symbols.contains_key(text), "{text:?} is there and was refused");
                assert_eq!(self.names.len(), before);
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.names.len(), self.model.len());
        for (text, symbol) in &self.symbols {
            assert_eq!(self.names.resolve(*symbol), text);
            assert_eq!(self.names.get(text), Some(*symbol));
        }
        assert!(self.names.iter().map(|(_, text)| text).eq(self.model.iter().map(String::as_str)));
    }
}

/// The process's half: who holds which text.
struct Shared<'p> {
    pool: &'p StringPool,
    held: Vec<(String, InternedString)>,
    pins: Vec<StringPin<'p>>,
    entries_max: Option<usize>,
}

impl Shared<'_> {
    fn hold(&mut self, text: String, interned: Option<InternedString>) {
        let Some(interned) = interned else {
            let max = self.entries_max.expect("without a cap nothing is refused");
            assert!(self.pool.figures().entries >= max, "refused with room left");
            assert!(self.held.iter().all(|(held, _)| *held != text), "{text:?} is held and was refused");
            return;
        };
        assert_eq!(interned.as_str(), text);
        self.held.push((text, interned));
    }

    fn check(&self) {
        let mut addresses: HashMap<&str, *const u8> = HashMap::new();
        for (text, interned) in &self.held {
            assert_eq!(interned.as_str(), text);
            let address = interned.as_str().as_ptr();
            assert_eq!(*addresses.entry(text).or_insert(address), address, "{text:?} lies in two places");
        }
        let figures = self.pool.figures();
        assert!(figures.entries >= addresses.len());
        assert_eq!(figures.pins, self.pins.len());
        assert!(self.entries_max.is_none_or(|max| figures.entries <= max));
    }
}

fuzz_target!(|input: Input| {
    let options = ArenaOptions::new().budget_bytes_max(1024 + usize::from(input.budget)).on_reset(Reset::Poison);
    let arena = options.arena();
    let mut local = Local { names: ArenaInterner::new_in(&arena), model: Vec::new(), symbols: HashMap::new() };
    let entries_max = input.capped.then_some(usize::from(input.entries_max));
    let pool = match entries_max {
        Some(max) => StringPoolOptions::new().entries_max(max).build(),
        None => StringPool::new(),
    };
    let mut shared = Shared { pool: &pool, held: Vec::new(), pins: Vec::new(), entries_max };
    for op in input.ops {
        match op {
            Op::Intern(id) => local.intern(&text(id)),
            Op::InternOwn(text) => local.intern(&text),
            Op::Get(id) => {
                let text = text(id);
                assert_eq!(local.names.get(&text), local.symbols.get(&text).copied());
            }
            Op::Reserve(more) => _ = local.names.try_reserve(usize::from(more)),
            Op::Hold(id) => {
                let text = text(id);
                let interned = pool.try_intern(&text).ok();
                shared.hold(text, interned);
            }
            Op::HoldUnderPin(id, known) => {
                let text = text(id);
                let pin = pool.pin();
                let name = if known { pin.get(&text) } else { pin.try_intern(&text).ok() };
                if name.is_some() || !known {
                    let interned = name.map(|name| name.to_interned());
                    drop(pin);
                    shared.hold(text, interned);
                } else {
                    assert!(shared.held.iter().all(|(held, _)| *held != text), "{text:?} is held and was not found");
                }
            }
            Op::LetGo(at) => {
                if !shared.held.is_empty() {
                    let at = usize::from(at) % shared.held.len();
                    shared.held.swap_remove(at);
                }
            }
            Op::Clone(at) => {
                if let Some((text, interned)) = shared.held.get(usize::from(at)) {
                    let (text, again) = (text.clone(), interned.clone());
                    assert!(*interned == again);
                    shared.held.push((text, again));
                }
            }
            Op::Sweep => _ = pool.sweep(),
            Op::Pin if shared.pins.len() < 4 => shared.pins.push(pool.pin()),
            Op::Pin => {}
            Op::Unpin => _ = shared.pins.pop(),
            Op::Promote(few) => {
                let some: Vec<&str> = local.model.iter().take(usize::from(few)).map(String::as_str).collect();
                let mut promoted: Vec<InternedString> = Vec::new();
                let whole = pool.try_promote(some.iter().copied(), &mut promoted).is_ok();
                assert!(!whole || promoted.len() == some.len());
                for (text, interned) in some.iter().zip(promoted) {
                    assert_eq!(interned.as_str(), *text);
                    shared.held.push(((*text).to_owned(), interned));
                }
            }
        }
        local.check();
        shared.check();
    }
    shared.held.clear();
    shared.pins.clear();
    for _ in 0..3 {
        pool.sweep();
    }
    let figures = pool.figures();
    assert_eq!((figures.entries, figures.dead, figures.entered), (0, 0, figures.freed), "{figures}");
});
