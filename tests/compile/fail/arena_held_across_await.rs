use allocator_api2::vec::Vec;
use blixard_arena::{Arena, ArenaPool};
use std::future::Future;

/// The bounds of `tokio::spawn`.
fn spawn<F: Future<Output = ()> + Send + 'static>(_: F) {}

async fn reply() {}

fn main() {
    let pool = ArenaPool::new();
    let guard = pool.acquire();
    spawn(async move {
        let arena: &Arena = &guard;
        reply().await;
        arena.alloc(1);
    });
    let guard = pool.acquire();
    spawn(async move {
        let mut ids = Vec::new_in(&*guard);
        reply().await;
        ids.push(1);
    });
}
