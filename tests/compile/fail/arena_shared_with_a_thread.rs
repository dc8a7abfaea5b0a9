use blixard_arena::{Arena, ArenaPool};

fn main() {
    let arena = Arena::new();
    let pooled = ArenaPool::new().acquire();
    std::thread::scope(|scope| {
        scope.spawn(|| arena.alloc(1).to_string());
        scope.spawn(|| pooled.alloc(1).to_string());
    });
}
