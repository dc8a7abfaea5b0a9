use blixard_arena::ArenaPool;

fn main() {
    let pool = ArenaPool::new();
    let arena = pool.acquire_shared();
    let other = arena.clone();
    let name = other.alloc_str("vm-1");
    drop(other); // `arena` still holds the memory, but nothing says that it will
    println!("{name}");
    drop(arena);
}
