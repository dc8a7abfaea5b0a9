use blixard_arena::ArenaPool;

fn main() {
    let mut arena = ArenaPool::new().acquire_shared();
    let other = arena.clone();
    let name = other.alloc_str("vm-1");
    arena.reset(); // other guards may lend its memory
    println!("{name}");
}
