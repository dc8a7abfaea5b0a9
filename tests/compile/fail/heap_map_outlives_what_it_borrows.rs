//! A map on the heap drops what it holds, so what that borrows must live longer: also through the iterator by value.
use blixard_arena::collections::{FlatMap, FlatSet};

#[derive(PartialEq, Eq, Hash)]
struct Loud<'a>(&'a String);

impl Drop for Loud<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn values() {
    let mut map = FlatMap::new();
    let text = String::from("dropped first");
    map.insert(1, Loud(&text));
}

fn keys() {
    let mut map = FlatMap::new();
    let text = String::from("dropped first");
    map.insert(Loud(&text), 1);
}

fn set() {
    let mut set = FlatSet::new();
    let text = String::from("dropped first");
    set.insert(Loud(&text));
}

fn by_value() {
    let pairs;
    let text = String::from("dropped first");
    pairs = FlatMap::from([(1, Loud(&text))]).into_iter();
}

fn main() {
    values();
    keys();
    set();
    by_value();
}
