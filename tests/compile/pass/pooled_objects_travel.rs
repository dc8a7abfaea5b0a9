//! Guards outlive their pool's handles, go to other threads and into tasks, and are held across awaits.

use blixard_arena::pool::{BufferPool, Pooled, SMALL_BUFFER_POOL, TypedObjectPool};
use std::cell::Cell;
use std::sync::Arc;

struct Session {
    state: Pooled<Cell<u32>>,
}

#[tokio::main]
async fn main() {
    let session = {
        let pool = TypedObjectPool::builder(|| Cell::new(1)).build();
        Session { state: pool.acquire() }
    };
    std::thread::spawn(move || assert_eq!(session.state.get(), 1)).join().unwrap();

    let mut buffer = SMALL_BUFFER_POOL.acquire();
    let task = tokio::spawn(async move {
        buffer.push(1);
        tokio::task::yield_now().await;
        buffer.push(2);
        let kept = buffer.detach();
        tokio::task::yield_now().await;
        kept.len()
    });
    assert_eq!(task.await.unwrap(), 2);

    let shared = Arc::new(BufferPool::new().acquire(10));
    let other = Arc::clone(&shared);
    assert!(std::thread::spawn(move || other.is_empty()).join().unwrap());
}
