use blixard_arena::Arena;
use blixard_arena::intern::ArenaInterner;

fn main() {
    let arena = Arena::new();
    let mut names = ArenaInterner::new_in(&arena);
    std::thread::scope(|scope| {
        scope.spawn(|| names.intern("vm-1"));
    });
}
