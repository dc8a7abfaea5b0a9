use blixard_arena::pool::{Recycle, TypedObjectPool};
use std::cell::Cell;
use std::rc::Rc;

/// Rules are shared by all threads.
struct Counted(Cell<u32>);

impl Recycle<u8> for Counted {
    fn make(&self) -> u8 {
        0
    }
    fn reset(&self, _: &mut u8) -> bool {
        self.0.set(self.0.get() + 1);
        true
    }
}

fn main() {
    let _ = TypedObjectPool::builder(|| Rc::new(1));
}
