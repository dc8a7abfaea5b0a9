//! Text built in an arena: `format`, and `concat` for strings and numbers without `fmt`'s machinery.
//!
//! Stands beside `values`. Both write straight into the arena, into a block that is shrunk to the text when it is done, so
//! nothing is copied twice. Invariants: the block is the text's own while a `Display` runs, which may build values in the
//! same arena; only whole `str`s are written.
//! Cost: a bump, and a growth for text longer than the first block; no heap call while the chunk has room.
#![expect(unsafe_code, reason = "writes into fresh memory")]
#![expect(clippy::mut_from_ref, reason = "fresh memory: nobody else can have it")]

use super::blocks;
use super::ledger::{BudgetExceeded, Refusal};
use super::local::Local;
use super::values::{self, copy_short};
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

/// What a text's first block has room for. The rest goes back, so it only has to save growing: a line.
const FIRST_BYTES: usize = 64;

/// A text that grows in the arena.
struct Text<'a, L: Local, E> {
    arena: &'a L,
    at: NonNull<u8>,
    cap: usize,
    len: usize,
    refused: Option<E>,
}

impl<L: Local, E: Refusal> Text<'_, L, E> {
    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) -> Result<(), E> {
        let needed = self.len.saturating_add(more);
        let wanted = needed.max(self.cap.saturating_mul(2)).max(FIRST_BYTES);
        // SAFETY: the text's block, and more than it has.
        let grown = unsafe { blocks::grow_values::<L, u8, BudgetExceeded>(self.arena, self.at, self.cap, wanted) };
        (self.at, self.cap) = if let Ok(at) = grown {
            (at, wanted)
        } else {
            // Without headroom.
            // SAFETY: as above; a refused call left the block as it was.
            (unsafe { blocks::grow_values::<L, u8, E>(self.arena, self.at, self.cap, needed) }?, needed)
        };
        Ok(())
    }
}

impl<L: Local, E> Text<'_, L, E> {
    /// Overwrites what was written: it goes back to the arena, where a reset may not find it.
    #[cold]
    fn take_back(&mut self) {
        for index in 0..self.len {
            // SAFETY: within the block.
            let place = unsafe { self.at.add(index) };
            // SAFETY: a byte of ours. Volatile, so that it is done though nobody reads it.
            unsafe { place.write_volatile(0) };
        }
        self.len = 0;
    }
}

impl<L: Local, E: Refusal> fmt::Write for Text<'_, L, E> {
    #[inline]
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if part.len() > self.cap - self.len
            && let Err(refused) = self.grow(part.len())
        {
            self.refused = Some(refused);
            return Err(fmt::Error);
        }
        // SAFETY: `len` is within the block.
        let end = unsafe { self.at.add(self.len) };
        // SAFETY: there is room for `part` behind `len`; our own block overlaps no `str` that a caller can have.
        unsafe { copy_short(part.as_ptr(), end.as_ptr(), part.len()) };
        self.len += part.len();
        Ok(())
    }
}

/// Gives back what the text does not fill, also when a `Display` panics.
impl<L: Local, E> Drop for Text<'_, L, E> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.cap > self.len {
            // SAFETY: the text's block. Behind the text nothing was written.
            unsafe { blocks::shrink_unwritten(self.arena, self.at, self.cap, self.len) };
        }
    }
}

pub(super) fn format<'a, L: Local, E: Refusal>(arena: &'a L, text: fmt::Arguments<'_>) -> Result<&'a mut str, E> {
    if let Some(literal) = text.as_str() {
        return values::alloc_str(arena, literal);
    }
    let mut to: Text<'a, L, E> = Text { arena, at: NonNull::dangling(), cap: 0, len: 0, refused: None };
    // SAFETY: there is no block yet.
    if let Some(at) = unsafe { blocks::grow_values_at_once(arena, to.at, 0, FIRST_BYTES) } {
        (to.at, to.cap) = (at, FIRST_BYTES);
    }
    let written = to.write_fmt(text);
    if let Some(refused) = to.refused.take() {
        to.take_back();
        return Err(refused);
    }
    assert!(written.is_ok(), "a Display implementation returned an error");
    // SAFETY: `len` bytes are written there; it stays until the arena is rewound, which needs the arena for itself.
    let bytes = unsafe { slice::from_raw_parts_mut(to.at.as_ptr(), to.len) };
    // SAFETY: only whole `str`s were appended.
    Ok(unsafe { std::str::from_utf8_unchecked_mut(bytes) })
}

/// What [`Arena::concat`](super::Arena::concat) joins: strings, whole numbers, `char`, `bool`, and tuples of up to twelve
/// of these.
///
/// Sealed. For whatever else there is [`format`](super::Arena::format).
///
/// ```
/// use blixard_arena::Arena;
/// use blixard_arena::arena::Concat;
///
/// fn key<'a>(arena: &'a Arena, tenant: impl Concat, vm: u64) -> &'a str {
///     arena.concat((tenant, "/vm/", vm))
/// }
///
/// let arena = Arena::new();
/// assert_eq!(key(&arena, "acme", 7), "acme/vm/7");
/// assert_eq!(key(&arena, ("acme", '-', 2), 7), "acme-2/vm/7");
/// ```
pub trait Concat: inside::Piece {}

impl<P: inside::Piece + ?Sized> Concat for P {}

pub(crate) mod inside {
    use super::Sink;

    /// A piece of text. Public by necessity only, since it stands in a bound; nobody else can name it.
    pub trait Piece {
        /// At most so many bytes will be put.
        fn bytes_max(&self) -> usize;

        /// Puts the text.
        fn put(&self, to: &mut Sink<'_>);
    }
}
use inside::Piece;

/// Where pieces are put: room for as much as they announced.
#[derive(Debug)]
pub struct Sink<'t> {
    room: &'t mut [MaybeUninit<u8>],
    len: usize,
}

impl<'t> Sink<'t> {
    pub(crate) fn new(room: &'t mut [MaybeUninit<u8>]) -> Self {
        Self { room, len: 0 }
    }

    /// Bytes put: whole `str`s.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn put(&mut self, text: &str) {
        assert!(text.len() <= self.room.len() - self.len, "a piece is longer than it announced");
        // SAFETY: `len` is within the room.
        let end = unsafe { self.room.as_mut_ptr().add(self.len) };
        // SAFETY: there is room for `text`, checked above; what is borrowed mutably overlaps no `str`.
        unsafe { copy_short(text.as_ptr(), end.cast(), text.len()) };
        self.len += text.len();
    }
}

pub(super) fn concat<'a, L: Local, E: Refusal>(arena: &'a L, pieces: &impl Piece) -> Result<&'a mut str, E> {
    let cap = pieces.bytes_max();
    let at = values::raw_slice::<L, u8, E>(arena, cap)?;
    let len = {
        // SAFETY: fresh memory for `cap` bytes, which nobody else has; uninitialised is fine for `MaybeUninit`.
        let mut sink = Sink::new(unsafe { slice::from_raw_parts_mut(at.as_ptr().cast(), cap) });
        pieces.put(&mut sink);
        sink.len()
    };
    if len < cap {
        // SAFETY: the block just allocated. Behind the text nothing was written.
        unsafe { blocks::shrink_unwritten(arena, at, cap, len) };
    }
    // SAFETY: `len` bytes are written there; lifetime as in `format`.
    let bytes = unsafe { slice::from_raw_parts_mut(at.as_ptr(), len) };
    // SAFETY: only whole `str`s were put.
    Ok(unsafe { std::str::from_utf8_unchecked_mut(bytes) })
}

impl Piece for str {
    #[inline(always)]
    fn bytes_max(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn put(&self, to: &mut Sink<'_>) {
        to.put(self);
    }
}

impl Piece for Cow<'_, str> {
    #[inline(always)]
    fn bytes_max(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn put(&self, to: &mut Sink<'_>) {
        to.put(self);
    }
}

impl Piece for String {
    #[inline(always)]
    fn bytes_max(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn put(&self, to: &mut Sink<'_>) {
        to.put(self);
    }
}

impl<P: Piece + ?Sized> Piece for &P {
    #[inline(always)]
    fn bytes_max(&self) -> usize {
        (**self).bytes_max()
    }

    #[inline(always)]
    fn put(&self, to: &mut Sink<'_>) {
        (**self).put(to);
    }
}

impl<P: Piece + ?Sized> Piece for &mut P {
    #[inline(always)]
    fn bytes_max(&self) -> usize {
        (**self).bytes_max()
    }

    #[inline(always)]
    fn put(&self, to: &mut Sink<'_>) {
        (**self).put(to);
    }
}

impl Piece for char {
    #[inline(always)]
    fn bytes_max(&self) -> usize {
        self.len_utf8()
    }

    #[inline(always)]
    fn put(&self, to: &mut Sink<'_>) {
        to.put(self.encode_utf8(&mut [0; 4]));
    }
}

impl Piece for bool {
    #[inline(always)]
    fn bytes_max(&self) -> usize {
        5
    }

    #[inline(always)]
    fn put(&self, to: &mut Sink<'_>) {
        to.put(if *self { "true" } else { "false" });
    }
}

macro_rules! integers {
    ($($type:ty)*) => { $(
        impl Piece for $type {
            #[inline(always)]
            fn bytes_max(&self) -> usize {
                <$type as itoa::Integer>::MAX_STR_LEN
            }

            #[inline(always)]
            fn put(&self, to: &mut Sink<'_>) {
                to.put(itoa::Buffer::new().format(*self));
            }
        }
    )* };
}
integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: Piece),+> Piece for ($($name,)+) {
            #[inline(always)]
            #[expect(non_snake_case, reason = "a variable for each type")]
            fn bytes_max(&self) -> usize {
                let ($($name,)+) = self;
                0_usize$(.saturating_add($name.bytes_max()))+
            }

            #[inline(always)]
            #[expect(non_snake_case, reason = "a variable for each type")]
            fn put(&self, to: &mut Sink<'_>) {
                let ($($name,)+) = self;
                $($name.put(to);)+
            }
        }
    };
}
tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D F);
tuples!(A B C D F G);
tuples!(A B C D F G H);
tuples!(A B C D F G H I);
tuples!(A B C D F G H I J);
tuples!(A B C D F G H I J K);
tuples!(A B C D F G H I J K L);
tuples!(A B C D F G H I J K L M);
