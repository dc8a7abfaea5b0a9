use blixard_arena::ArenaPool;

fn main() {
    let pool = ArenaPool::new();
    let arena = pool.acquire();
    let name = arena.alloc_str("vm-1");
    drop(arena); // back to the pool: the next request writes over it
    println!("{name}");
}
