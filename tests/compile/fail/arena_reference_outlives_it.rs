use blixard_arena::{Arena, SharedArena};

fn main() {
    let name = {
        let arena = Arena::new();
        &*arena.alloc_str("vm-1")
    };
    println!("{name}");

    let shared = SharedArena::new();
    let name = shared.alloc_str("vm-2");
    drop(shared);
    println!("{name}");
}
