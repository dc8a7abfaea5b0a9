//! `Text`: a text in an arena beside its hash, in 16 bytes.
//!
//! Stands under `arena`. The hash takes the place of the length's upper half, so that a table grows without hashing
//! again and without touching a text.
//! Invariants: `at` and `len` are those of a `&'a str`. Cost: no heap call.
#![expect(unsafe_code, reason = "a reference taken apart and put together")]

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::{slice, str};

/// A text's bytes at most: what half a word counts. Less in the library's own tests, which reach it.
pub(super) const TEXT_BYTES_MAX: usize = if cfg!(test) { 1 << 16 } else { u32::MAX as usize };

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    at: NonNull<u8>,
    len: u32,
    hash: u32,
    _lent: PhantomData<&'a str>,
}

// SAFETY: a `&str` in other words, and that is `Send`.
unsafe impl Send for Text<'_> {}
// SAFETY: as above: `Sync`.
unsafe impl Sync for Text<'_> {}

impl<'a> Text<'a> {
    /// # Panics
    ///
    /// Beyond [`TEXT_BYTES_MAX`].
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "asserted")]
    pub(super) fn new(text: &'a str, hash: u32) -> Self {
        assert!(text.len() <= TEXT_BYTES_MAX, "a longer text is refused before it is copied");
        Self { at: NonNull::from(text).cast(), len: text.len() as u32, hash, _lent: PhantomData }
    }

    #[inline(always)]
    pub(super) const fn hash(self) -> u32 {
        self.hash
    }

    #[inline(always)]
    pub(super) const fn text(self) -> &'a str {
        // SAFETY: address and length are those of the `&'a str` that `new` got.
        let bytes = unsafe { slice::from_raw_parts(self.at.as_ptr(), self.len as usize) };
        // SAFETY: as above.
        unsafe { str::from_utf8_unchecked(bytes) }
    }
}

/// Whether two texts are equal. Names are short, and for them a call of `memcmp` costs more than the comparison: up to 32
/// bytes are compared as words that may overlap.
#[inline(always)]
pub(super) fn same(a: &str, b: &str) -> bool {
    /// Whether the first and the last `N` bytes are equal.
    #[inline(always)]
    fn ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
    }
    let (a, b) = (a.as_bytes(), b.as_bytes());
    a.len() == b.len()
        && match b.len() {
            8..=16 => ends::<8>(a, b),
            17..=32 => ends::<16>(a, b),
            4..=7 => ends::<4>(a, b),
            2..=3 => ends::<2>(a, b),
            _ => a == b,
        }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_as_it_was() {
        assert_eq!(size_of::<Text<'_>>(), 16);
        for len in 0..80 {
            let text: String = ('a'..='z').cycle().take(len).collect();
            let held = Text::new(&text, u32::MAX - 1);
            assert_eq!((held.text(), held.hash()), (&*text, u32::MAX - 1));
        }
    }

    #[test]
    fn texts_are_the_same_when_no_byte_differs() {
        for len in 0..80 {
            let text: String = ('a'..='z').cycle().take(len).collect();
            assert!(same(&text, &text.clone()) && !same(&text, &format!("{text}!")));
            for at in 0..len {
                let mut other = text.clone();
                other.replace_range(at..=at, "_");
                assert!(!same(&text, &other), "{len} bytes, the one at {at} differs");
            }
        }
    }
}
