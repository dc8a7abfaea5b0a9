//! `ArchivedText`: a text in an archive, and `Text`, by which every kind of string becomes one.
//!
//! Stands below the derived code of rkyv: fields marked `with = Text` are written and checked here. Eight bytes, an offset from themselves
//! and a length; the text lies wherever the offset leads. Invariant: an `ArchivedText` that anybody can see has been checked, or was
//! written here. Cost: no heap call.
#![expect(unsafe_code, reason = "a text is found by its offset")]

use super::check::TextContext;
use super::decode::ArenaDecoder;
use super::errors::DecodeError;
use crate::arena::AnyArena as _;
use rkyv::bytecheck::CheckBytes;
use rkyv::munge::munge;
use rkyv::primitive::{ArchivedI32, ArchivedU32};
use rkyv::rancor::Fallible;
use rkyv::ser::Writer;
use rkyv::with::{ArchiveWith, DeserializeWith, SerializeWith};
use rkyv::{Place, Portable};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomPinned;
use std::ops::Deref;
use std::{slice, str};

/// A text in an archive: reads as the `&str` that it is.
///
/// ```
/// use blixard_arena::archive::{self, Schema, Text, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct Greeting<'a>(#[rkyv(with = Text)] &'a str);
///
/// impl Schema for Greeting<'_> {
///     const NAME: &'static str = "example.greeting";
/// }
///
/// let bytes = archive::encode(&Greeting("hello, vm-1"))?;
/// let greeting = archive::access::<Greeting<'_>>(&bytes)?;
/// assert_eq!(greeting.0, *"hello, vm-1");
/// assert!(greeting.0.ends_with("vm-1")); // by `Deref`
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Portable)]
#[rkyv(crate = rkyv)]
#[repr(C)]
pub struct ArchivedText {
    /// From this field's own first byte.
    offset: ArchivedI32,
    bytes: ArchivedU32,
    /// It means something in its place alone.
    _pinned: PhantomPinned,
}

impl ArchivedText {
    /// The text.
    ///
    /// ```
    /// use blixard_arena::archive::ArchivedText;
    ///
    /// fn shortest<'a>(names: &[&'a ArchivedText]) -> Option<&'a str> {
    ///     names.iter().map(|name| name.as_str()).min_by_key(|name| name.len()) // outlives the list, not the bytes
    /// }
    /// # assert!(shortest(&[]).is_none());
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.to_native() as usize;
        // SAFETY: it was checked, as `CheckBytes` says, or written by `resolve_with` behind the text: the offset leads to `bytes` bytes in the
        // same archive.
        let text = unsafe { slice::from_raw_parts(self.address(), bytes) };
        // SAFETY: as above, and they were found to be UTF-8 or were written as such.
        unsafe { str::from_utf8_unchecked(text) }
    }

    #[inline(always)]
    fn address(&self) -> *const u8 {
        (&raw const *self).cast::<u8>().wrapping_offset(self.offset.to_native() as isize)
    }
}

// SAFETY: any bits are an offset and a length; where the context says yes, the offset leads to so many bytes of UTF-8.
unsafe impl<C: TextContext + ?Sized> CheckBytes<C> for ArchivedText {
    #[inline(always)]
    unsafe fn check_bytes(value: *const Self, context: &mut C) -> Result<(), C::Error> {
        // SAFETY: the caller has checked that `value` is aligned and that its bytes are there; numbers may have any bits.
        let text = unsafe { &*value };
        context.check_text(text.address(), text.bytes.to_native() as usize)
    }
}

/// Archives any kind of string as [`ArchivedText`], without a copy on the way: `&str`, std's `String`, `Box<str>`, `Arc<str>`, this
/// library's [`String`](crate::collections::String), [`Name`](crate::intern::Name) and [`InternedString`](crate::intern::InternedString).
/// The bytes are the same whichever it was.
///
/// ```
/// use blixard_arena::archive::{self, Schema, Text, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct InArena<'a>(#[rkyv(with = Text)] &'a str);
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = rkyv)]
/// struct OnHeap(#[rkyv(with = Text)] String);
///
/// impl Schema for InArena<'_> {
///     const NAME: &'static str = "example.text";
/// }
///
/// impl Schema for OnHeap {
///     const NAME: &'static str = "example.text";
/// }
///
/// assert_eq!(archive::encode(&InArena("vm-1"))?, archive::encode(&OnHeap("vm-1".to_owned()))?);
/// # Ok::<(), archive::EncodeError>(())
/// ```
///
/// `Option<&str>` goes by `with = rkyv::with::Map<Text>`.
#[derive(Clone, Copy, Debug)]
pub struct Text;

impl<F: Deref<Target = str>> ArchiveWith<F> for Text {
    type Archived = ArchivedText;
    /// Where the text lies.
    type Resolver = usize;

    #[inline]
    fn resolve_with(field: &F, text_at: usize, out: Place<ArchivedText>) {
        let here = out.pos();
        munge!(let ArchivedText { offset, bytes, .. } = out);
        let to = i32::try_from(text_at.cast_signed() - here.cast_signed()).expect("payloads end before 2^31");
        offset.write(ArchivedI32::from_native(to));
        bytes.write(ArchivedU32::from_native(u32::try_from(field.len()).expect("payloads end before 2^31")));
    }
}

impl<F: Deref<Target = str>, S: Fallible + Writer + ?Sized> SerializeWith<F, S> for Text {
    #[inline(always)]
    fn serialize_with(field: &F, serializer: &mut S) -> Result<usize, S::Error> {
        let at = serializer.pos();
        serializer.write(field.as_bytes())?;
        Ok(at)
    }
}

impl<'a, D: ArenaDecoder<'a> + ?Sized> DeserializeWith<ArchivedText, &'a str, D> for Text {
    #[inline]
    fn deserialize_with(text: &ArchivedText, decoder: &mut D) -> Result<&'a str, DecodeError> {
        Ok(decoder.arena().try_alloc_str(text)?)
    }
}

macro_rules! on_the_heap {
    ($($string:ty),*) => { $(
        impl<D: Fallible + ?Sized> DeserializeWith<ArchivedText, $string, D> for Text {
            fn deserialize_with(text: &ArchivedText, _: &mut D) -> Result<$string, D::Error> {
                Ok(text.as_str().into())
            }
        }
    )* };
}
on_the_heap!(String, Box<str>, std::sync::Arc<str>);

impl Deref for ArchivedText {
    type Target = str;

    #[inline(always)]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for ArchivedText {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Debug for ArchivedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for ArchivedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl Eq for ArchivedText {}

impl PartialEq for ArchivedText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl PartialEq<str> for ArchivedText {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for ArchivedText {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Ord for ArchivedText {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for ArchivedText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for ArchivedText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
