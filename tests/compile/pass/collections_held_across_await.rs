use blixard_arena::{ArenaPool, unsize_box};
use blixard_arena::collections::{Box, FlatMap, String, Vec};

/// Collections over a shared arena are held across `.await` in a spawned task; those on the heap are sent by value.
async fn request(pool: ArenaPool) -> FlatMap<std::string::String, usize> {
    let arena = pool.acquire_shared();
    let mut names = Vec::new_in(&*arena);
    let mut text = String::new_in(&*arena);
    let mut map = FlatMap::new_in(&*arena);
    let step: Box<'_, dyn Fn(usize) -> usize + Send + Sync> =
        unsize_box!(Box::new_in(|number| number + 1, &*arena) => dyn Fn(usize) -> usize + Send + Sync);
    let mut sums = FlatMap::new();
    for number in 0..20 {
        tokio::task::yield_now().await;
        names.push(arena.concat(("vm-", number)));
        text.push_concat((number, ','));
        map.insert(number, step(number));
        *sums.entry(format!("mod {}", number % 3)).or_insert(0) += map[&number];
    }
    assert_eq!((names.len(), text.len(), map.len()), (20, 50, 20));
    sums
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let pool = ArenaPool::new();
    let sums = runtime.block_on(async {
        let task = tokio::spawn(request(pool.clone()));
        task.await.unwrap()
    });
    assert_eq!(sums["mod 0"], (0..20).step_by(3).map(|number| number + 1).sum());
    assert_eq!(pool.figures().live, 0);
}
