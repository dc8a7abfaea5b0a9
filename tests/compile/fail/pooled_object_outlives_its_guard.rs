use blixard_arena::pool::{TypedObjectPool, VecPool};

fn main() {
    let pool = VecPool::<u8>::with_capacity(8);

    let guard = pool.acquire();
    let returned = &guard[..];
    drop(guard);
    println!("{returned:?}");

    let guard = pool.acquire();
    let detached = &guard[..];
    let owned = guard.detach();
    println!("{detached:?} {owned:?}");

    let mut kept = None;
    pool.with(|vec| kept = Some(vec));

    let text = String::from("on this stack");
    let texts = TypedObjectPool::builder(Vec::<&str>::new).build();
    texts.acquire().push(&text);
}
