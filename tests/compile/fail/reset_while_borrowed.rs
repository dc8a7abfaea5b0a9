use blixard_arena::{Arena, ArenaPool, SharedArena};

fn main() {
    let mut arena = Arena::new();
    let name = arena.alloc_str("vm-1");
    arena.reset();
    println!("{name}");

    let mut shared = SharedArena::new();
    let name = shared.alloc_str("vm-1");
    shared.reset();
    println!("{name}");

    let mut pooled = ArenaPool::new().acquire();
    let name = pooled.alloc_str("vm-1");
    pooled.reset();
    println!("{name}");
}
