//! Zero-copy bytes: a value out of an arena becomes an archive that is read where it lies.
//!
//! What leaves a request, to a log, a socket or a disk, leaves as bytes. Here they are written by rkyv straight from the values in the
//! arena into a pooled buffer, and read without being decoded: [`access`] checks them once and lends the archived value, whose fields are
//! then read like a struct's.
//!
//! | take | for |
//! |---|---|
//! | [`encode`] | any rkyv type to `Bytes` |
//! | [`access`] | bytes to a reference |
//! | [`Checked`] | bytes that are kept and read more than once |
//! | [`decode_in`] | a value in an arena out of an archive, the rare case |
//! | [`Schema`], [`Header`] | what bytes are an archive of; reading older versions |
//! | [`Text`], [`List`], [`Pair`] | fields that hold `&str`, `&[T]`, `&[(K, V)]`, or their heap twins: the same bytes |
//! | [`Each`] | fields that hold an iterator: the same bytes again |
//! | nothing | fields that hold a [`Box`](crate::collections::Box), a [`Vec`](crate::collections::Vec), a [`FlatMap`](crate::collections::FlatMap) or a [`FlatSet`](crate::collections::FlatSet) of what archives by itself |
//! | [`aligned`] | bytes that lie where they cannot be accessed |
//!
//! ```
//! use blixard_arena::ArenaPool;
//! use blixard_arena::archive::{self, ArenaDecoder, List, Pair, Schema, Text, rkyv};
//!
//! /// Lives on the heap, and gives the archived form its name.
//! #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
//! #[rkyv(crate = rkyv, derive(Debug))]
//! struct StoredConfig {
//!     #[rkyv(with = Text)]
//!     name: String,
//!     #[rkyv(with = List<Pair<Text, Text>>)]
//!     labels: Vec<(String, String)>,
//! }
//!
//! /// Lives in a request's arena, and becomes the same bytes.
//! #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
//! #[rkyv(crate = rkyv, as = ArchivedStoredConfig)]
//! #[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator))]
//! #[rkyv(deserialize_bounds(__D: ArenaDecoder<'a>))]
//! struct Config<'a> {
//!     #[rkyv(omit_bounds, with = Text)]
//!     name: &'a str,
//!     #[rkyv(omit_bounds, with = List<Pair<Text, Text>>)]
//!     labels: &'a [(&'a str, &'a str)],
//! }
//!
//! impl Schema for StoredConfig {
//!     const NAME: &'static str = "example.config";
//! }
//!
//! impl Schema for Config<'_> {
//!     const NAME: &'static str = "example.config";
//! }
//!
//! let pool = ArenaPool::new();
//! let arena = pool.acquire();
//! let config = Config { name: arena.alloc_str("vm-1"), labels: &[("tier", "db")] };
//! let bytes = archive::encode(&config)?; // no heap call once warm
//! drop(arena); // the request is over, its bytes stay
//!
//! let stored = archive::access::<StoredConfig>(&bytes)?;
//! assert_eq!((stored.name.as_str(), stored.labels[0].1.as_str()), ("vm-1", "db"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Types that share an archived form
//!
//! A type that borrows and has no twin derives as in [`encode`]'s example; its archived type then has its lifetime too. Where there is a
//! twin on the heap, as above, let that one name the archived form: it has no lifetime, prints, and both become it and come out of it. The price is
//! a few words on the borrowing type: `as`, `omit_bounds` on every field with a lifetime, and the two bounds that are then left to say.
//!
//! # The bytes
//!
//! | bytes | what | |
//! |---|---|---|
//! | 0 to 3 | magic | `B1 78 61 72` |
//! | 4, 5 | form of header and payload | 1; a newer one is refused, all older ones are read |
//! | 6, 7 | reserved | 0 |
//! | 8 to 15 | checksum | XXH3, 64 bits, of bytes 16 to the end, XOR bytes 0 to 7 times `9E3779B97F4A7C15` |
//! | 16 to 23 | type tag | FNV-1a of [`Schema::NAME`] |
//! | 24 to 27 | version of the type | [`Schema::VERSION`] |
//! | 28 to 31 | bytes that follow | at most 2^31 - 1 |
//! | 32 and on | payload | rkyv 0.8's: little-endian, offsets of 32 bits, aligned to 16 bytes, the root last |
//!
//! A checksum finds accidents, not enemies: anybody can compute it. What [`access`] has checked is safe to read whoever wrote it; whether it
//! is true is another matter.
//!
//! # Bounds
//!
//! | limit | number | what happens there |
//! |---|---|---|
//! | a payload | [`PAYLOAD_BYTES_MAX`] | [`EncodeError::TooLong`] |
//! | lists and boxes within one another | [`DEPTH_MAX`], 64 | [`ArchiveError::Invalid`] |
//! | elements of a [`List`] or [`Each`] | those that the payload has bytes for | [`ArchiveError::Invalid`]; elements without bytes are refused when code is generated |
//! | buffers of one size that a thread keeps | 1 MiB, at 1, 4, 16, 64, 256 KiB and 1 MiB each | the oldest is let go |
//! | one buffer | no limit; beyond 1 MiB made to measure | freed after its use |
//! | scratch memory of an encoder | 1 GiB; what was used is kept up to 4 MiB | [`EncodeError::Scratch`] |
//!
//! A `Vec` of elements without bytes that is archived by rkyv's own means, without [`List`], has any length that its bytes say: checking it is a loop over
//! nothing, which optimised code leaves out; reading it should not be one.
//!
//! Types with `Rc` or `Arc` fields are written with rkyv's `with = Unshare`; shared pointers in archives are not read here.

mod access;
mod boxed;
mod check;
mod decode;
mod encode;
mod errors;
mod frames;
mod header;
mod list;
#[cfg(all(test, blixard_loom))]
mod loom_models;
mod text;

pub use access::{Checked, access};
pub use check::{Checker, DEPTH_MAX, TextContext};
pub use decode::{ArenaDecoder, Decoder, decode_in};
pub use encode::{Encoder, aligned, encode};
pub use errors::{ArchiveError, DecodeError, EncodeError, Fault};
pub use header::{ALIGNMENT, FORMAT_NEWEST, HEADER_BYTES, Header, PAYLOAD_BYTES_MAX, Schema, tag};
pub use list::{Each, List, Pair};
/// The serialiser underneath, for derives: `#[derive(rkyv::Archive)] #[rkyv(crate = rkyv)]`.
pub use rkyv;
pub use text::{ArchivedText, Text};
