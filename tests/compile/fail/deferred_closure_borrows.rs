use blixard_arena::{Arena, SharedArena};

fn main() {
    let mut ended = false;
    let arena = Arena::new();
    arena.defer(|| ended = true);
    let shared = SharedArena::new();
    let name = &*shared.alloc_str("its own arena");
    shared.defer(move || println!("{name}"));
}
