use allocator_api2::vec::Vec;
use blixard_arena::Arena;

fn main() {
    let arena = Arena::new();
    let mut ids: Vec<u64, &Arena> = Vec::new_in(&arena);
    std::thread::scope(|scope| {
        scope.spawn(move || ids.push(1)); // it would bump beside us
    });
    arena.alloc(1);
}
