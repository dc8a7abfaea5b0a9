//! A collection over `&Arena` stays on its thread: it would bump beside us.
use blixard_arena::Arena;
use blixard_arena::collections::FlatMap;

fn main() {
    let arena = Arena::new();
    let mut map = FlatMap::<u8, u8, _>::new_in(&arena);
    std::thread::scope(|scope| {
        scope.spawn(move || map.insert(1, 1));
    });
    arena.alloc(1);
}
