//! The library's own `Box` in archives: as rkyv's `ArchivedBox`, which std's becomes too.
//!
//! Stands beside `list`. Invariant: the bytes depend on the value alone. Cost: no heap call; decoding bumps the value into the arena.
#![forbid(unsafe_code)]

use super::decode::ArenaDecoder;
use super::errors::DecodeError;
use crate::collections::Box;
use rkyv::boxed::{ArchivedBox, BoxResolver};
use rkyv::rancor::Fallible;
use rkyv::{Archive, ArchiveUnsized, Deserialize, Place, Serialize, SerializeUnsized};

impl<T: ArchiveUnsized + ?Sized> Archive for Box<'_, T> {
    type Archived = ArchivedBox<T::Archived>;
    type Resolver = BoxResolver;

    fn resolve(&self, resolver: BoxResolver, out: Place<Self::Archived>) {
        ArchivedBox::resolve_from_ref(&**self, resolver, out);
    }
}

impl<T: SerializeUnsized<S> + ?Sized, S: Fallible + ?Sized> Serialize<S> for Box<'_, T> {
    fn serialize(&self, serializer: &mut S) -> Result<BoxResolver, S::Error> {
        ArchivedBox::serialize_from_ref(&**self, serializer)
    }
}

impl<'a, T, D> Deserialize<Box<'a, T>, D> for ArchivedBox<T::Archived>
where
    T: Archive<Archived: Deserialize<T, D>> + 'a,
    D: ArenaDecoder<'a> + ?Sized,
{
    fn deserialize(&self, decoder: &mut D) -> Result<Box<'a, T>, DecodeError> {
        let value = self.get().deserialize(decoder)?;
        Ok(Box::try_new_in(value, decoder.arena())?)
    }
}
