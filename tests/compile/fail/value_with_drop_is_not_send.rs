use blixard_arena::{Arena, SharedArena};
use std::rc::Rc;

fn main() {
    // Whichever thread ends the request drops it.
    Arena::new().alloc_with_drop(Rc::new(1));
    SharedArena::new().alloc_with_drop(Rc::new(1));
    _ = Arena::new().try_alloc_with_drop(Rc::new(1));
}
