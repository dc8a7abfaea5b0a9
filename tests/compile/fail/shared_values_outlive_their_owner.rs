use blixard_arena::arc::{ArcCache, BatchedArc};
use std::sync::Arc;

fn main() {
    let cache = ArcCache::<String, u32>::new();

    let mut reader = cache.reader();
    let lent: &Arc<u32> = reader.get_or_build("vm-1", || 2_u32);
    reader.get("vm-2");
    println!("{lent}");

    let lent = reader.get("vm-1");
    drop(reader);
    println!("{lent:?}");

    let config = BatchedArc::new(String::from("2 cores"));
    let text: &str = &config;
    drop(config);
    println!("{text}");

    let mut batch = BatchedArc::new(String::from("4 cores")).batch(2);
    let owner = batch.next().unwrap();
    let text: &str = &owner;
    batch.put_back(owner);
    println!("{text}");

    let text = String::from("on this stack");
    let borrowed = BatchedArc::new(&*text);
    drop(text);
    println!("{borrowed}");
}
