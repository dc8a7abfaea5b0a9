use blixard_arena::arc::{ArcCache, BatchedArc, CacheReader, WeakCache};
use std::sync::{Arc, LazyLock};

static CONFIGS: LazyLock<ArcCache<String, str>> = LazyLock::new(ArcCache::new);

fn shorter<'a>(owner: BatchedArc<&'static str>) -> BatchedArc<&'a str> {
    owner
}

fn main() {
    let mut reader: CacheReader<String, str> = CONFIGS.reader();
    let worker = std::thread::spawn(move || Arc::clone(reader.get_or_build("vm-1", || "2 cores")));
    assert_eq!(&*worker.join().unwrap(), "2 cores");

    let text = String::from("on this stack");
    let weak = WeakCache::<&str, &str>::new(); // of what lives longer than it
    let held = weak.get_or_build(&"vm-1", || &*text);
    assert_eq!(*held, "on this stack");

    let config = BatchedArc::new(&*text);
    std::thread::scope(|scope| {
        for owner in config.batch(3) {
            scope.spawn(move || assert_eq!(owner.len(), 13));
        }
    });
    assert_eq!(*shorter(BatchedArc::new("static")), "static");
}
