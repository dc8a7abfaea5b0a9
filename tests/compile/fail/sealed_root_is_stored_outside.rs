use blixard_arena::{ArenaPool, PooledSharedArena, Sealed, SharedArena, sealed_root};
use std::sync::Mutex;

struct Name<'a>(&'a str);
sealed_root!(Name);

static KEPT: Mutex<Option<&'static str>> = Mutex::new(None);

fn main() {
    let pool = ArenaPool::new();
    let mut kept = None;
    let sealed = Sealed::<Name>::build(pool.acquire(), |arena| {
        let name = &*arena.alloc_str("vm-1");
        kept = Some(name);
        Name(name)
    });
    drop(sealed);
    println!("{kept:?}");

    let mut arena_kept: Option<&SharedArena> = None;
    Sealed::<Name, PooledSharedArena>::build(pool.acquire_shared(), |arena| {
        arena_kept = Some(arena);
        Name("")
    });

    Sealed::<Name>::build(pool.acquire(), |arena| {
        let name = &*arena.alloc_str("vm-1");
        *KEPT.lock().unwrap() = Some(name);
        Name(name)
    });
}
