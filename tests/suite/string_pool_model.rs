//! A string pool against a naive model: long sequences of interning, borrowing, holding, dropping, pinning and sweeping.
//!
//! Over the public API. The model is a list of texts that are held. After every step held names read as they should and are
//! equal exactly where their texts are; borrowed ones of one text have one address; once nothing is held, nothing is left.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helper functions too")]

use blixard_arena::intern::{InternedString, Name, PoolFull, StringPin, StringPool, StringPoolOptions};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Intern(usize),
    Promote(Vec<usize>),
    Clone(usize),
    Drop(usize),
    Get(usize),
    /// Under the innermost pin, if any.
    Borrow(usize),
    Keep(usize),
    Sweep,
    PinBegin,
    PinEnd,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let text = 0..40_usize;
    let op = prop_oneof![
        4 => text.clone().prop_map(Op::Intern),
        1 => prop::collection::vec(text.clone(), 0..8).prop_map(Op::Promote),
        2 => any::<usize>().prop_map(Op::Clone),
        6 => any::<usize>().prop_map(Op::Drop),
        2 => text.clone().prop_map(Op::Get),
        5 => text.prop_map(Op::Borrow),
        2 => any::<usize>().prop_map(Op::Keep),
        3 => Just(Op::Sweep),
        1 => Just(Op::PinBegin),
        1 => Just(Op::PinEnd),
    ];
    prop::collection::vec(op, 0..300)
}

/// Texts of every length up to 39, and some long ones, the empty one first.
fn text(index: usize) -> String {
    let len = if index % 8 == 7 { index * 50 } else { index };
    (0..len).map(|i| char::from(b'a' + u8::try_from((i + index) % 26).unwrap())).collect()
}

#[derive(Default)]
struct Model {
    held: Vec<(InternedString, usize)>,
}

impl Model {
    fn check(&self) {
        for (at, (name, index)) in self.held.iter().enumerate() {
            assert_eq!(&**name, text(*index));
            for (other, its) in &self.held[..at] {
                assert_eq!(name == other, index == its, "{name:?} and {other:?}");
            }
        }
    }

    fn find(&self, index: usize) -> Option<&InternedString> {
        self.held.iter().find(|(_, its)| *its == index).map(|(name, _)| name)
    }

    fn run<'p>(&mut self, pool: &StringPool, ops: &mut std::vec::IntoIter<Op>, pin: Option<&'p StringPin<'_>>) {
        let mut borrowed: Vec<(Name<'p>, usize)> = Vec::new();
        while let Some(op) = ops.next() {
            match op {
                Op::Intern(index) => self.held.push((pool.intern(&text(index)), index)),
                Op::Promote(indices) => {
                    let texts: Vec<String> = indices.iter().map(|index| text(*index)).collect();
                    let mut names = Vec::new();
                    pool.promote(texts.iter().map(String::as_str), &mut names);
                    self.held.extend(names.into_iter().zip(indices));
                }
                Op::Clone(at) if !self.held.is_empty() => {
                    let (name, index) = &self.held[at % self.held.len()];
                    self.held.push((name.clone(), *index));
                }
                Op::Drop(at) if !self.held.is_empty() => drop(self.held.swap_remove(at % self.held.len())),
                Op::Get(index) => {
                    let pin = pool.pin();
                    let found = pin.get(&text(index));
                    match self.find(index) {
                        Some(held) => assert!(found.unwrap() == *held),
                        None => assert!(found.is_none_or(|name| name.as_str() == text(index))),
                    }
                }
                Op::Borrow(index) => {
                    let Some(pin) = pin else { continue };
                    let name = pin.intern(&text(index));
                    assert_eq!(name.as_str(), text(index));
                    for (other, its) in &borrowed {
                        assert_eq!(name == *other, index == *its);
                    }
                    if let Some(held) = self.find(index) {
                        assert!(name == *held);
                    }
                    borrowed.push((name, index));
                }
                Op::Keep(at) if !borrowed.is_empty() => {
                    let (name, index) = borrowed[at % borrowed.len()];
                    self.held.push((name.to_interned(), index));
                }
                Op::Clone(_) | Op::Drop(_) | Op::Keep(_) => {}
                Op::Sweep => {
                    pool.sweep();
                }
                Op::PinBegin => {
                    let inner = pool.pin();
                    self.run(pool, ops, Some(&inner));
                }
                Op::PinEnd => {
                    if pin.is_some() {
                        break;
                    }
                }
            }
            self.check();
            for (name, index) in &borrowed {
                assert_eq!(name.as_str(), text(*index), "borrowed before sweeps");
            }
        }
    }
}

/// Pins are recursion: a test's thread has room for as many as there are steps.
fn with_stack(run: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, run).unwrap().join().unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(debug_assertions) { 150 } else { 600 }, ..ProptestConfig::default() })]

    #[test]
    fn a_pool_is_what_the_model_is(ops in ops()) {
        with_stack(move || {
            let pool = StringPool::new();
            let empty = pool.figures().bytes;
            let mut model = Model::default();
            model.run(&pool, &mut ops.into_iter(), None);
            pool.sweep();
            let distinct: std::collections::HashSet<usize> = model.held.iter().map(|(_, index)| *index).collect();
            assert_eq!(pool.figures().entries, distinct.len(), "what is held, and nothing else");
            model.check();
            // Half outlives the pool.
            let half = model.held.len() / 2;
            model.held.truncate(half);
            pool.sweep();
            model.check();
            assert_eq!(empty, 0);
            drop(pool);
            model.check();
        });
    }

    #[test]
    fn caps_refuse_and_leave_everything_intact(
        texts in prop::collection::vec(0..200_usize, 1..300),
        entries_max in 1..40_usize,
        bytes_max in 0..40_000_usize,
    ) {
        let pool = StringPoolOptions::new().entries_max(entries_max).bytes_max(bytes_max).build();
        let mut model = Model::default();
        for (step, index) in texts.into_iter().enumerate() {
            match pool.try_intern(&text(index)) {
                Ok(name) => model.held.push((name, index)),
                Err(PoolFull::Entries { used, allowed }) => assert_eq!((used, allowed), (entries_max, entries_max)),
                Err(PoolFull::Bytes { asked, used, allowed }) => {
                    assert_eq!(allowed, bytes_max);
                    assert!(used + asked > allowed && used <= allowed);
                }
                Err(other) => panic!("{other}"),
            }
            let figures = pool.figures();
            assert!(figures.entries <= entries_max && figures.bytes <= bytes_max, "{figures}");
            model.check();
            if step % 3 == 0 {
                model.held.truncate(model.held.len() / 2);
            }
            if step % 50 == 49 {
                pool.sweep();
            }
        }
    }
}
