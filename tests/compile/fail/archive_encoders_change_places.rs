//! An encoder that is lent to a value cannot take the place of another: what it has lent memory for is still in use.

use blixard_arena::archive::{self, EncodeError, Encoder, Schema, rkyv};
use rkyv::{Archive, Place, Serialize};
use std::cell::RefCell;

struct Outer;

impl Archive for Outer {
    type Archived = ();
    type Resolver = ();
    fn resolve(&self, (): (), _: Place<()>) {}
}

impl Schema for Outer {
    const NAME: &'static str = "example.outer";
}

impl Serialize<Encoder<'_>> for Outer {
    fn serialize(&self, encoder: &mut Encoder<'_>) -> Result<(), EncodeError> {
        archive::encode(&Inner(RefCell::new(Some(encoder)))).map(drop)
    }
}

struct Inner<'a, 'e>(RefCell<Option<&'a mut Encoder<'e>>>);

impl Archive for Inner<'_, '_> {
    type Archived = ();
    type Resolver = ();
    fn resolve(&self, (): (), _: Place<()>) {}
}

impl Schema for Inner<'_, '_> {
    const NAME: &'static str = "example.inner";
}

impl Serialize<Encoder<'_>> for Inner<'_, '_> {
    fn serialize(&self, encoder: &mut Encoder<'_>) -> Result<(), EncodeError> {
        std::mem::swap(encoder, self.0.borrow_mut().take().unwrap());
        Ok(())
    }
}

fn main() {
    archive::encode(&Outer).unwrap();
}
