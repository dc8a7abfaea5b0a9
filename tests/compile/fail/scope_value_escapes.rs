use blixard_arena::{Arena, ArenaPool};

fn main() {
    let arena = Arena::new();
    let name = arena.scope(|inner| inner.alloc_str("returned"));
    println!("{name}");

    let mut kept = None;
    ArenaPool::new().acquire().scope(|inner| kept = Some(inner.alloc_str("stored")));
    println!("{kept:?}");

    let outer = Arena::new();
    let value = outer.alloc(Some("held outside"));
    _ = outer.try_scope(|inner| *value = Some(inner.alloc_str("held outside")));
    println!("{value:?}");
}
