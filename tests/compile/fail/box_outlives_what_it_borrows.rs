//! A box drops its value, so what that borrows must live longer.
use blixard_arena::Arena;
use blixard_arena::collections::Box;

struct Loud<'a>(&'a String);

impl Drop for Loud<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn main() {
    let arena = Arena::new();
    let boxed;
    let text = String::from("dropped first");
    boxed = Box::new_in(Loud(&text), &arena);
}
