use blixard_arena::{Arena, SharedArena};
use std::cell::Cell;
use std::sync::Arc;

fn main() {
    Arena::new().adopt(Arc::new(Cell::new(1)));
    _ = SharedArena::new().try_adopt(Arc::new(Cell::new(1)));
}
