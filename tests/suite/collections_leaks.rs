//! Values that others bring into trouble are dropped all the same: by a box that is refused, by a key whose destructor
//! panics (a value on its way to the caller would be forgotten with it).

use blixard_arena::{
    ArenaOptions,
    collections::{Box, FlatMap},
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

#[test]
fn a_box_over_budget_drops_its_value() {
    let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    let permit = Rc::new(());
    let held = permit.clone();
    let refused = catch_unwind(AssertUnwindSafe(|| drop(Box::new_in((held, [0_u8; 8192]), &arena))));
    assert!(refused.is_err());
    assert_eq!(Rc::strong_count(&permit), 1, "the permit is lost");
}

#[derive(PartialEq, Eq, Hash)]
struct Key(u32);
impl Drop for Key {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || self.0 != 1, "key");
    }
}

#[test]
fn a_key_whose_drop_panics_takes_no_value_along() {
    let value = Rc::new(());
    let mut map = FlatMap::new();
    map.insert(Key(1), value.clone());
    _ = catch_unwind(AssertUnwindSafe(|| map.insert(Key(1), value.clone())));
    assert_eq!(Rc::strong_count(&value), 2, "insert");
    let probe = std::mem::ManuallyDrop::new(Key(1));
    _ = catch_unwind(AssertUnwindSafe(|| map.remove(&*probe)));
    assert_eq!(Rc::strong_count(&value), 1, "remove");
}
