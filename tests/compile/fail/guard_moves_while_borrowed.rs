use blixard_arena::ArenaPool;

fn main() {
    let arena = ArenaPool::new().acquire();
    let name = arena.alloc_str("vm-1");
    let thread = std::thread::spawn(move || drop(arena));
    println!("{name}");
    thread.join().unwrap();
}
