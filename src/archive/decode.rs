//! `decode_in`: from an archive that was accessed back to a value, built in an arena.
//!
//! Stands behind `access`, for values that are to outlive their bytes or to be changed. Cost: no heap call; texts and lists are copied into
//! the arena.
#![forbid(unsafe_code)]

use super::errors::DecodeError;
use crate::arena::AnyArena;
use rkyv::rancor::Fallible;
use rkyv::{Archive, Deserialize};
use std::fmt;

/// Builds a `T` in `arena`: texts as `&'a str`, lists as `&'a [T]`.
///
/// The rare case. What an archive holds can be read where it lies, as [`access`](super::access) lends it.
///
/// # Errors
///
/// [`DecodeError::Budget`] where the arena's budget does not allow it; what was built by then stays in the arena.
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::archive::{self, List, Schema, Text, rkyv};
///
/// #[derive(Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(crate = rkyv)]
/// struct Zone<'a> {
///     #[rkyv(with = Text)]
///     name: &'a str,
///     #[rkyv(with = List<Text>)]
///     nodes: &'a [&'a str],
/// }
///
/// impl Schema for Zone<'_> {
///     const NAME: &'static str = "example.zone";
/// }
///
/// let arena = Arena::new();
/// let zone: Zone<'_> = {
///     let bytes = archive::encode(&Zone { name: "b", nodes: &["n1", "n2"] })?;
///     archive::decode_in(archive::access::<Zone<'_>>(&bytes)?, &arena)?
/// }; // the bytes are gone
/// assert_eq!(zone, Zone { name: "b", nodes: &["n1", "n2"] });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decode_in<'a, T, A>(archived: &T::Archived, arena: &'a A) -> Result<T, DecodeError>
where
    T: Archive<Archived: Deserialize<T, Decoder<'a, A>>>,
    A: AnyArena,
{
    archived.deserialize(&mut Decoder { arena })
}

/// A deserializer that has an arena: the bound of `Deserialize` for types that borrow from it.
///
/// Needed by name only where a derive's bounds are written by hand: see [the module](super) on types that share an archived form.
pub trait ArenaDecoder<'a>: Fallible<Error = DecodeError> {
    /// Which kind of arena.
    type Arena: AnyArena + 'a;

    /// Where to build.
    fn arena(&self) -> &'a Self::Arena;
}

/// What [`decode_in`] hands to rkyv's `Deserialize<T, D>` as `D`.
pub struct Decoder<'a, A> {
    arena: &'a A,
}

impl<A> Fallible for Decoder<'_, A> {
    type Error = DecodeError;
}

impl<'a, A: AnyArena> ArenaDecoder<'a> for Decoder<'a, A> {
    type Arena = A;

    #[inline]
    fn arena(&self) -> &'a A {
        self.arena
    }
}

impl<A> fmt::Debug for Decoder<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}
