use blixard_arena::{ArenaPool, Sealed, sealed_root};

struct Batch<'a> {
    names: &'a [&'a str],
}
sealed_root!(Batch);

fn batch() -> Sealed<Batch<'static>> {
    Sealed::<Batch>::build(ArenaPool::new().acquire(), |arena| Batch { names: arena.alloc_slice_copy(&["vm-1"]) })
}

fn main() {
    let dropped = batch();
    let names = dropped.get().names;
    drop(dropped);
    println!("{names:?}");

    let opened = batch();
    let names = opened.get().names;
    let guard = opened.into_guard();
    println!("{names:?}");
    drop(guard);

    let first: &'static str = batch().get().names[0];
    println!("{first}");
}
