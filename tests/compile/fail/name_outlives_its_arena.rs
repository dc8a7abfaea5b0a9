use blixard_arena::intern::ArenaInterner;
use blixard_arena::{Arena, ArenaPool, SharedArena};

fn interner<'a>() -> ArenaInterner<'a, SharedArena> {
    let arena = SharedArena::new();
    ArenaInterner::new_in(&arena)
}

fn main() {
    let resolved = {
        let arena = Arena::new();
        let mut names = ArenaInterner::new_in(&arena);
        let symbol = names.intern("vm-1");
        names.resolve(symbol)
    };
    let interned = {
        let arena = ArenaPool::new().acquire();
        ArenaInterner::new_in(&*arena).intern_str("vm-1")
    };
    let mut arena = Arena::new();
    let names = ArenaInterner::from_iter_in(["vm-1"], &arena);
    let listed = names.iter().next();
    arena.reset();
    println!("{resolved} {interned} {listed:?} {}", interner().len());
}
