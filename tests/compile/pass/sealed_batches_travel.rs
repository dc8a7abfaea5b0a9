use allocator_api2::vec::Vec;
use blixard_arena::{ArenaPool, PooledSharedArena, Sealed, SharedArena, sealed_root};

struct Batch<'a> {
    names: &'a [&'a str],
}
sealed_root!(Batch);

struct Growing<'a>(Vec<u64, &'a SharedArena>);
sealed_root!(Growing);

fn main() {
    let pool = ArenaPool::new();
    let batch = Sealed::<Batch>::build(pool.acquire(), |arena| Batch {
        names: arena.alloc_slice_fill_iter(["a", "b"].map(|name| &*arena.alloc_str(name))),
    });
    let growing = Sealed::<Growing, PooledSharedArena>::build(pool.acquire_shared(), |arena| {
        let mut ids = Vec::new_in(arena);
        ids.extend(0..100);
        Growing(ids)
    });
    let thread = std::thread::spawn(move || batch.get().names.len() as u64 + growing.get().0.iter().sum::<u64>());
    assert_eq!(thread.join().unwrap(), 4952);
    assert_eq!(pool.figures().live, 0);
}
