use blixard_arena::Arena;

fn main() {
    let arena = Arena::new();
    arena.scope(|inner| {
        std::thread::scope(|threads| {
            threads.spawn(|| inner.alloc(1).to_string());
        });
    });
}
