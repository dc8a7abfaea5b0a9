use allocator_api2::vec::Vec;
use blixard_arena::{ArenaPool, SharedArena};
use hashbrown::{DefaultHashBuilder, HashMap};
use std::cell::Cell;

/// A map, a `Vec` and plain values in a shared arena, held across `.await`s of a task that any worker may run.
async fn request(arena: &SharedArena) -> usize {
    let mut labels = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena);
    let mut ids: Vec<u64, _> = Vec::new_in(arena);
    let hits = arena.alloc(Cell::new(0)); // Send, not Sync: `&mut` may travel
    for i in 0..100u64 {
        let name: &str = arena.format(format_args!("vm-{i}"));
        tokio::task::yield_now().await;
        labels.insert(name, i);
        ids.push(i);
        hits.set(hits.get() + 1);
    }
    labels.len() + ids.len() + hits.get()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let pool = ArenaPool::new();
    let tasks: std::vec::Vec<_> = (0..4)
        .map(|_| {
            let arena = pool.acquire_shared();
            runtime.spawn(async move { request(&arena).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(runtime.block_on(task).unwrap(), 300);
    }
    assert_eq!(pool.figures().live, 0);
}
