use blixard_arena::ArenaPool;

/// A guard of an arena for one thread at a time, and plain values in it, may be held across `.await`: they move together.
/// What may not is `&Arena` itself.
fn main() {
    let pool = ArenaPool::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let task = runtime.spawn(async move {
        let arena = pool.acquire();
        let name = arena.alloc_str("vm-1");
        let mut sum = 0;
        for i in 0..50 {
            tokio::task::yield_now().await;
            sum += *arena.alloc(i) + name.len();
        }
        sum
    });
    assert_eq!(runtime.block_on(task).unwrap(), 50 * 49 / 2 + 200);
}
