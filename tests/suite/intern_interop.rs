//! string-interner over our symbol and our backend: its whole interface, beside its own backend.
#![cfg(feature = "string-interner")]

use blixard_arena::intern::{ArenaBackend, Symbol};
use proptest::prelude::*;
use string_interner::backend::{Backend, BucketBackend, BufferBackend, StringBackend};
use string_interner::{StringInterner, Symbol as _};

type Ours = StringInterner<ArenaBackend>;

/// The same texts, interned by both: the same answers.
fn compare<B: Backend>(texts: &[String]) {
    let mut ours = Ours::with_capacity(texts.len() / 2);
    let mut theirs = StringInterner::<B>::new();
    for text in texts {
        let (here, there) = (ours.get_or_intern(text), theirs.get_or_intern(text));
        assert_eq!(ours.resolve(here), theirs.resolve(there));
        assert_eq!(ours.get(text), Some(here));
        // SAFETY: made by this interner a moment ago.
        #[expect(unsafe_code, reason = "the call under test")]
        let unchecked = unsafe { ours.resolve_unchecked(here) };
        assert_eq!(unchecked, text);
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().map(|(_, text)| text).eq(theirs.iter().map(|(_, text)| text)));
    assert!(ours.iter().all(|(symbol, text)| ours.get(text) == Some(symbol)) && ours.iter().len() == ours.len());
    ours.shrink_to_fit();
    let copy = ours.clone();
    assert_eq!(copy, ours);
    assert!(copy.iter().eq(ours.iter()), "a clone knows its original's symbols");
    drop(ours);
    assert!(copy.iter().map(|(_, text)| text).eq(theirs.iter().map(|(_, text)| text)), "and has texts of its own");
}

proptest! {
    #[test]
    fn our_backend_answers_as_theirs_do(texts in prop::collection::vec("[a-c]{0,3}|\\PC{0,40}", 0..200)) {
        compare::<BucketBackend>(&texts);
        compare::<StringBackend>(&texts);
        compare::<BufferBackend>(&texts);
    }
}

#[test]
fn our_symbol_serves_their_backends() {
    let mut names = StringInterner::<StringBackend<Symbol>>::new();
    let symbols: Vec<Symbol> = (0..1000).map(|i| names.get_or_intern(i.to_string())).collect();
    assert!(symbols.iter().enumerate().all(|(i, symbol)| names.resolve(*symbol) == Some(&*i.to_string())));
    for index in [0, 1, 12_345, (1 << 31) - 1] {
        assert_eq!(Symbol::try_from_usize(index).unwrap().to_usize(), index);
    }
    for index in [1 << 31, 1 << 32, usize::MAX] {
        assert_eq!(Symbol::try_from_usize(index), None);
    }
}

#[test]
fn static_texts_are_not_copied_and_the_others_never_move() {
    let mut names = Ours::new();
    let fixed = "the static one";
    let symbol = names.get_or_intern_static(fixed);
    let copied = names.get_or_intern("a copy");
    let at = names.resolve(copied).unwrap().as_ptr();
    names.extend((0..10_000).map(|i| i.to_string()));
    let names = Box::new(names);
    assert!(std::ptr::eq(names.resolve(symbol).unwrap(), fixed));
    assert_eq!(names.resolve(copied).unwrap().as_ptr(), at);
}

#[test]
fn equal_backends_hold_the_same_texts_in_the_same_order() {
    let of = |texts: &[&str]| texts.iter().collect::<Ours>();
    assert_eq!(of(&["a", "b", "a"]), of(&["a", "b"]));
    assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
    assert!(format!("{:?}", of(&["a"])).contains("\"a\""));
}

#[cfg(debug_assertions)]
#[test]
fn debug_builds_know_no_symbol_of_another_interner() {
    let texts = (0..1000).map(|i| i.to_string());
    let (here, mut there): (Ours, Ours) = (texts.clone().collect(), texts.collect());
    assert_eq!(here.resolve(there.get_or_intern("7")), None);
}

#[test]
fn a_backend_is_shared_by_threads_and_moves_between_them() {
    let mut names: Ours = ["a", "b"].into_iter().collect();
    let symbol = names.get_or_intern("b");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(names.resolve(symbol), Some("b")));
        }
    });
    let there = std::thread::spawn(move || {
        names.get_or_intern("c");
        names
    });
    assert_eq!(there.join().unwrap().len(), 3);
}
