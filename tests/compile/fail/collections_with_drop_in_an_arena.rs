//! Elements whose destructors would be lost, in each way to make a collection. Seen when code is generated.
use blixard_arena::collections::{FlatMap, FlatSet, Vec};
use blixard_arena::{Arena, SharedArena};
use std::rc::Rc;

struct Owner<const CASE: u8>(#[allow(dead_code)] Box<u8>);

impl<const CASE: u8> PartialEq for Owner<CASE> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<const CASE: u8> Eq for Owner<CASE> {}
impl<const CASE: u8> std::hash::Hash for Owner<CASE> {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

fn main() {
    let arena = Arena::new();
    let shared = SharedArena::new();
    drop(Vec::<Owner<0>, _>::new_in(&arena));
    drop(Vec::<Owner<1>, _>::with_capacity_in(1, &shared));
    drop(Vec::<Owner<2>, _>::try_with_capacity_in(1, &arena));
    drop(Vec::from_iter_in([Owner::<3>(Box::new(1))], &arena));
    drop(Vec::try_from_iter_in([Owner::<4>(Box::new(1))], &arena));
    drop(FlatMap::<Owner<5>, (), _>::new_in(&arena));
    drop(FlatMap::<(), Owner<6>, _>::new_in(&shared));
    drop(FlatMap::from_iter_in([(1, Owner::<7>(Box::new(1)))], &arena));
    drop(FlatMap::try_from_iter_in([(Owner::<8>(Box::new(1)), 1)], &arena));
    drop(FlatSet::<Owner<9>, _>::new_in(&arena));
    drop(FlatSet::from_iter_in([Owner::<10>(Box::new(1))], &arena));
    // Nested, and the arena's own box.
    drop(Vec::<Option<(u8, [Rc<u8>; 2])>, _>::new_in(&arena));
    drop(Vec::<blixard_arena::collections::Box<'_, u8>, _>::new_in(&arena));
    drop(Vec::<FlatMap<u8, u8>, _>::new_in(&arena));
}
