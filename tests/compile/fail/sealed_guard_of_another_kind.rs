use blixard_arena::{Arena, PooledArena, Sealed, sealed_root};

struct Name<'a>(&'a str);
sealed_root!(Name);

/// Its arena moves with it, under the root's feet.
fn seal(boxed: Box<PooledArena>) {
    Sealed::<Name, Arena>::build(Arena::new(), |arena| Name(arena.alloc_str("vm-1")));
    Sealed::<Name, Box<PooledArena>>::build(boxed, |_| Name(""));
}

fn main() {
    seal(Box::new(blixard_arena::ArenaPool::new().acquire()));
}
