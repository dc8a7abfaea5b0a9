use blixard_arena::{Arena, SharedArena};
use hashbrown::{DefaultHashBuilder, HashMap};

fn labels<'a>() -> HashMap<&'a str, u32, DefaultHashBuilder, &'a SharedArena> {
    let arena = SharedArena::new();
    HashMap::with_hasher_in(DefaultHashBuilder::default(), &arena)
}

fn main() {
    let mut ids = {
        let arena = Arena::new();
        allocator_api2::vec::Vec::<u8, _>::new_in(arena.fallible())
    };
    ids.push(1);
    labels();
}
