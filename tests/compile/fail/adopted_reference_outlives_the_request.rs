use blixard_arena::ArenaPool;
use std::sync::Arc;

fn main() {
    let arena = ArenaPool::new().acquire();
    let name: &String = arena.adopt(Arc::new(String::from("shared")));
    drop(arena); // gives its count up
    println!("{name}");
}
