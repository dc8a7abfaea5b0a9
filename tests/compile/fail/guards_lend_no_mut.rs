use blixard_arena::{ArenaPool, SharedArena};

fn main() {
    let pool = ArenaPool::new();
    let mut one = pool.acquire();
    let mut other = pool.acquire();
    std::mem::swap(&mut *one, &mut *other); // arenas of two requests, under the values of both
    let mut shared = pool.acquire_shared();
    *shared = SharedArena::new();
}
