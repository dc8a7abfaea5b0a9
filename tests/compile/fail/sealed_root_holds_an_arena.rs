use blixard_arena::{Arena, sealed_root};
use std::rc::Rc;

struct Growing<'a>(allocator_api2::vec::Vec<u8, &'a Arena>);
sealed_root!(Growing);

struct Counted<'a>(&'a str, Rc<u8>);
sealed_root!(Counted);

fn main() {}
