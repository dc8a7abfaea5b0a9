use blixard_arena::{ArenaPool, PooledArena};
use std::sync::{Mutex, mpsc};

static PARKED: Mutex<Option<PooledArena>> = Mutex::new(None);

/// A guard moves into a struct, a thread, a static and a box, and its values stay where they are in between.
fn main() {
    let pool = ArenaPool::new();
    let (to, from) = mpsc::channel::<PooledArena>();
    let thread = std::thread::spawn(move || *from.recv().unwrap().alloc(7) + 1);
    to.send(pool.acquire()).unwrap();
    assert_eq!(thread.join().unwrap(), 8);
    *PARKED.lock().unwrap() = Some(pool.acquire());
    drop(PARKED.lock().unwrap().take());
    assert_eq!((pool.figures().acquired, pool.figures().returned), (2, 2));
}
