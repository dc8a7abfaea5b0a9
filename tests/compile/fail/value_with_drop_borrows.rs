use blixard_arena::{Arena, SharedArena};

/// Would read memory that is gone, or going.
struct Noisy<'a>(&'a str);

impl Drop for Noisy<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn main() {
    let text = String::from("text");
    let arena = Arena::new();
    arena.alloc_with_drop(Noisy(&text));
    arena.alloc_with_drop(Noisy(arena.alloc_str("its own arena")));
    let shared = SharedArena::new();
    _ = shared.try_alloc_with_drop(Noisy(shared.alloc_str("its own arena")));
}
