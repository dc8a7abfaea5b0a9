use blixard_arena::arc::{ArcCache, BatchedArc, WeakCache};
use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::Rc;
use std::thread::spawn;

fn main() {
    let owner = BatchedArc::new(Rc::new(1));
    spawn(move || drop(owner));

    let batch = BatchedArc::new(Cell::new(1)).batch(2);
    spawn(move || drop(batch));

    let cache = ArcCache::<u32, Cell<u32>>::new();
    spawn(move || drop(cache));

    let reader = ArcCache::<u32, Rc<u32>>::new().reader();
    spawn(move || drop(reader));

    let cache = WeakCache::<NonNull<u32>, u32>::new();
    spawn(move || drop(cache));
}
