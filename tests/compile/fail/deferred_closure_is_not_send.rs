use blixard_arena::{Arena, SharedArena};
use std::rc::Rc;

fn main() {
    let one = Rc::new(1u8);
    let other = Rc::new(1u16);
    Arena::new().defer(move || drop(one));
    _ = SharedArena::new().try_defer(move || drop(other));
}
