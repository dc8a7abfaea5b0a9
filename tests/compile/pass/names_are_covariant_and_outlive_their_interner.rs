use blixard_arena::intern::{ArenaInterner, Symbol};
use blixard_arena::{Arena, SharedArena};

/// One lifetime for the interner and the borrow of it: a longer-lived one may stand in.
struct Reader<'a> {
    names: &'a ArenaInterner<'a, Arena>,
}

fn shorter<'short, 'long: 'short>(names: ArenaInterner<'long, Arena>) -> ArenaInterner<'short, Arena> {
    names
}

fn text_of<'a>(arena: &'a Arena, text: &str) -> &'a str {
    let mut names = ArenaInterner::new_in(arena);
    let symbol = names.intern(text);
    names.resolve(symbol)
}

fn is_send<T: Send + Sync>(value: T) -> T {
    value
}

fn main() {
    let arena = Arena::new();
    assert_eq!(text_of(&arena, "vm-1"), "vm-1");
    let mut names = shorter(ArenaInterner::new_in(&arena));
    let symbol: Symbol = names.intern("vm-2");
    assert_eq!(Reader { names: &names }.names.resolve(symbol), "vm-2");

    let arena = SharedArena::new();
    let mut names = is_send(ArenaInterner::new_in(&arena));
    let there = std::thread::scope(|scope| scope.spawn(|| names.intern_str("vm-3")).join());
    assert_eq!(there.ok(), Some("vm-3"));
}
