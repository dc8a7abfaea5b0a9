//! Each call that builds a value, given a type whose destructor would be lost. Seen when code is generated.
use blixard_arena::{Arena, SharedArena};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};

struct Owner<const CASE: u8>(#[allow(dead_code)] Box<u8>);

impl<const CASE: u8> Clone for Owner<CASE> {
    fn clone(&self) -> Self {
        Owner(self.0.clone())
    }
}

fn owner<const CASE: u8>() -> Owner<CASE> {
    Owner(Box::new(1))
}

fn main() {
    let arena = Arena::new();
    arena.alloc(owner::<0>());
    arena.alloc_with(owner::<1>);
    arena.alloc_slice_clone(&[owner::<2>()]);
    arena.alloc_slice_fill_with(1, |_| owner::<3>());
    arena.alloc_slice_fill_iter([owner::<4>()]);
    arena.alloc_uninit_slice::<Owner<5>>(1);
    _ = arena.try_alloc(owner::<6>());
    _ = arena.try_alloc_with(owner::<7>);
    _ = arena.try_alloc_slice_clone(&[owner::<8>()]);
    _ = arena.try_alloc_slice_fill_with(1, |_| owner::<9>());
    _ = arena.try_alloc_slice_fill_iter([owner::<10>()]);
    _ = arena.try_alloc_uninit_slice::<Owner<11>>(1);
    let shared = SharedArena::new();
    shared.alloc(owner::<12>());
    shared.alloc_slice_fill_iter([owner::<13>()]);
    // Nested, counted, and locked.
    shared.alloc(Some((1, [owner::<14>()])));
    arena.alloc(Rc::new(1));
    arena.alloc(Arc::new(1));
    let lock = Mutex::new(1);
    arena.alloc::<MutexGuard<'_, i32>>(lock.lock().unwrap());
}
