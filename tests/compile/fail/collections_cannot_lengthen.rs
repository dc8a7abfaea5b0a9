//! A shorter life does not stand in for a longer one, in elements and in the borrow of the arena.
use blixard_arena::Arena;
use blixard_arena::collections::{Box, Drain, FlatMap, IterMut, Vec};

fn elements<'s, 'l: 's>(short: Vec<&'s str, &'l Arena>) -> Vec<&'l str, &'l Arena> {
    short
}

fn arena<'s, 'l: 's>(short: Vec<&'l str, &'s Arena>) -> Vec<&'l str, &'l Arena> {
    short
}

fn boxed<'s, 'l: 's>(short: Box<'s, &'l str>) -> Box<'l, &'l str> {
    short
}

fn on_heap<'s, 'l: 's>(short: FlatMap<&'s str, &'l str>) -> FlatMap<&'l str, &'l str> {
    short
}

/// Through what may change a value, not even a longer one stands in for a shorter.
fn changed<'m, 's, 'l: 's>(long: &'m mut FlatMap<u8, &'l str>) -> &'m mut FlatMap<u8, &'s str> {
    long
}

fn iter_mut<'m, 's, 'l: 's>(long: IterMut<'m, u8, &'l str>) -> IterMut<'m, u8, &'s str> {
    long
}

fn kept<'m>(numbers: &'m mut Vec<u8, &'m Arena>) -> (Drain<'m, u8>, usize) {
    let drain = numbers.drain(..);
    (drain, numbers.len())
}

fn main() {}
