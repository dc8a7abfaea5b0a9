use blixard_arena::{Arena, SharedArena, arena::typed};
use std::mem::ManuallyDrop;
use std::sync::Arc;

fn main() {
    let arena = Arena::new();
    arena.alloc_with_drop(String::from("owned")).push('!');
    arena.adopt::<[u8]>(Arc::from([1, 2]));
    arena.defer(|| ());
    arena.alloc(ManuallyDrop::new(String::new())); // said aloud: it leaks
    arena.alloc(Some(&String::new())); // a reference needs no Drop
    SharedArena::new().alloc_with_drop(vec![1]);
    assert_eq!(typed::Arena::new().alloc(String::from("typed")), "typed");
}
