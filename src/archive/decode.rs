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
///
/// ```
/// use blixard_arena::archive::{ArenaDecoder, DecodeError, Text, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(crate = rkyv)]
/// struct StoredZone(#[rkyv(with = Text)] String);
///
/// /// A field whose place in the arena is chosen by hand: it says how it is built wherever there is an arena.
/// struct Upper<'a>(&'a str);
///
/// impl<'a, D: ArenaDecoder<'a> + ?Sized> rkyv::Deserialize<Upper<'a>, D> for ArchivedStoredZone {
///     fn deserialize(&self, decoder: &mut D) -> Result<Upper<'a>, DecodeError> {
///         use blixard_arena::arena::AnyArena;
///         let text = decoder.arena().try_alloc_str(self.0.as_str())?;
///         text.make_ascii_uppercase();
///         Ok(Upper(text))
///     }
/// }
/// ```
pub trait ArenaDecoder<'a>: Fallible<Error = DecodeError> {
    /// Which kind of arena.
    ///
    /// ```
    /// use blixard_arena::archive::ArenaDecoder;
    /// use blixard_arena::SharedArena;
    ///
    /// /// Decodes into arenas that threads share, and no others.
    /// fn arena_of<'a, D: ArenaDecoder<'a, Arena = SharedArena>>(decoder: &D) -> &'a SharedArena {
    ///     decoder.arena()
    /// }
    /// ```
    type Arena: AnyArena + 'a;

    /// Where to build.
    ///
    /// ```
    /// use blixard_arena::archive::{ArenaDecoder, DecodeError};
    /// use blixard_arena::arena::AnyArena;
    ///
    /// /// What a `deserialize` of one's own does with a text.
    /// fn text_in<'a, D: ArenaDecoder<'a>>(text: &str, decoder: &D) -> Result<&'a str, DecodeError> {
    ///     Ok(decoder.arena().try_alloc_str(text)?)
    /// }
    /// ```
    fn arena(&self) -> &'a Self::Arena;
}

/// What [`decode_in`] hands to rkyv's `Deserialize<T, D>` as `D`.
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::archive::{self, DecodeError, Decoder, Schema, rkyv};
///
/// /// A copy of whatever was read, in the arena of whoever wants to change it.
/// fn copied<'a, T>(archived: &T::Archived, arena: &'a Arena) -> Result<T, DecodeError>
/// where
///     T: Schema<Archived: rkyv::Deserialize<T, Decoder<'a, Arena>>>,
/// {
///     archive::decode_in(archived, arena)
/// }
///
/// # #[derive(Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// # #[rkyv(crate = rkyv)]
/// # struct Ping(u64);
/// # impl Schema for Ping {
/// #     const NAME: &'static str = "example.ping";
/// # }
/// let entry = archive::encode(&Ping(7))?;
/// let arena = Arena::new();
/// assert_eq!(copied::<Ping>(archive::access::<Ping>(&entry)?, &arena)?, Ping(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
