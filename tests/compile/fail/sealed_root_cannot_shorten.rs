use blixard_arena::sealed_root;
use std::cell::Cell;

/// Through `get` a shorter-lived name could be put in, and read after its end.
struct Slot<'a>(Cell<&'a str>);
sealed_root!(Slot);

fn main() {}
