use blixard_arena::Arena;

fn main() {
    let arena = Arena::new();
    let mut kept: Option<&Arena> = None;
    arena.scope(|inner| kept = Some(inner));
    kept.unwrap().alloc(1);
}
