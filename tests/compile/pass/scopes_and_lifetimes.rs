use blixard_arena::{Arena, arena::AnyArena};

struct Place<'a> {
    name: &'a str,
    above: Option<&'a Place<'a>>,
}

/// What is built in a scope may refer to the outer arena and be placed in it; a value of a longer life stands in for one
/// of a shorter.
fn topology<'a>(arena: &'a impl AnyArena, above: Option<&'a Place<'a>>) -> &'a Place<'a> {
    arena.alloc(Place { name: arena.format(format_args!("at {}", above.map_or(0, |place| place.name.len()))), above })
}

fn shorter<'s>(one: &Place<'s>, _: &'s str) -> &'s str {
    one.name
}

fn main() {
    let outer = Arena::new();
    let rack = topology(&outer, None);
    let node = outer.scope(|inner| {
        let temporary = topology(inner, Some(rack));
        assert_eq!(temporary.above.unwrap().name, "at 0");
        inner.scope(|innermost| assert_eq!(topology(innermost, Some(temporary)).name, "at 4"));
        topology(&outer, Some(rack))
    });
    assert_eq!((node.name, shorter(rack, &String::new())), ("at 4", "at 0"));
    let mut arena = Arena::new();
    for i in 0..3 {
        assert_eq!(*arena.alloc(i), i);
        arena.reset();
    }
}
