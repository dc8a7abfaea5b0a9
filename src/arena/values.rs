//! Building values: every `alloc` call of both kinds of arena, written once and generic over how a refusal is told.
//!
//! Stands between the public methods (stamped by `arena_methods!` below) and `Arena::raw`. Invariants: nothing that
//! needs `Drop` is placed without a cleanup; memory is written before a reference to it exists; a caller's closure or
//! iterator may allocate in the same arena, since its target is taken before it runs.
//! Cost: no heap call while a chunk has room.
#![expect(unsafe_code, reason = "turns fresh memory into references")]
#![expect(clippy::mut_from_ref, reason = "fresh memory: nobody else can have it")]

use super::cleanups::{Deferred, Entry};
use super::ledger::{BudgetExceeded, Refusal};
use super::local::Local;
use std::alloc::Layout;
use std::fmt::{self, Write as _};
use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};
use std::slice;

/// Refuses types whose destructor would be lost.
struct NoDrop<T>(T);

impl<T> NoDrop<T> {
    const CHECK: () = assert!(
        !mem::needs_drop::<T>(),
        "this type needs Drop, and an arena frees without dropping: use `alloc_with_drop` for a value that owns what it \
         holds, `adopt` for an Arc, `arena::typed` for a graph, or build it from `&'a str` and `&'a [T]` in the arena"
    );
}

#[inline(always)]
pub(super) fn raw<L: Local, E: Refusal>(arena: &L, layout: Layout) -> Result<NonNull<u8>, E> {
    arena.local::<E>()?.raw(layout)
}

#[inline(always)]
pub(super) fn alloc<L: Local, T, E: Refusal>(arena: &L, value: T) -> Result<&mut T, E> {
    const { NoDrop::<T>::CHECK }
    let at = raw::<L, E>(arena, Layout::new::<T>())?.cast::<T>();
    // SAFETY: fresh memory of `T`'s layout, disjoint from every other block.
    unsafe { at.write(value) };
    // SAFETY: just written; it stays until the arena is rewound, which needs the arena for itself, so not while this
    // borrow lives.
    Ok(unsafe { &mut *at.as_ptr() })
}

#[inline(always)]
pub(super) fn alloc_with<L: Local, T, E: Refusal>(arena: &L, f: impl FnOnce() -> T) -> Result<&mut T, E> {
    const { NoDrop::<T>::CHECK }
    let at = raw::<L, E>(arena, Layout::new::<T>())?.cast::<T>();
    // If it panics the block stays unused.
    let value = f();
    // SAFETY: as in `alloc`.
    unsafe { at.write(value) };
    // SAFETY: as in `alloc`.
    Ok(unsafe { &mut *at.as_ptr() })
}

#[inline(always)]
pub(super) fn alloc_uninit_slice<L: Local, T, E: Refusal>(arena: &L, len: usize) -> Result<&mut [MaybeUninit<T>], E> {
    const { NoDrop::<T>::CHECK }
    let at = raw_slice::<L, T, E>(arena, len)?;
    // SAFETY: fresh memory for `len` values; uninitialised is a valid state of `MaybeUninit`; lifetime as in `alloc`.
    Ok(unsafe { slice::from_raw_parts_mut(at.as_ptr().cast(), len) })
}

#[inline(always)]
fn raw_slice<L: Local, T, E: Refusal>(arena: &L, len: usize) -> Result<NonNull<T>, E> {
    let local = arena.local::<E>()?;
    match Layout::array::<T>(len) {
        Ok(layout) => Ok(local.raw::<E>(layout)?.cast()),
        Err(_) => Err(E::refuse(local.overflow())),
    }
}

#[inline(always)]
pub(super) fn alloc_slice_copy<'a, L: Local, T: Copy, E: Refusal>(arena: &'a L, from: &[T]) -> Result<&'a mut [T], E> {
    let layout = Layout::for_value(from);
    let at = raw::<L, E>(arena, layout)?.cast::<T>();
    // SAFETY: both are valid for `from.len()` values, and fresh memory overlaps nothing. `T: Copy`.
    unsafe { copy_short(from.as_ptr().cast(), at.as_ptr().cast(), layout.size()) };
    // SAFETY: `from.len()` values were just copied there; lifetime as in `alloc`.
    Ok(unsafe { slice::from_raw_parts_mut(at.as_ptr(), from.len()) })
}

#[inline(always)]
pub(super) fn alloc_str<'a, L: Local, E: Refusal>(arena: &'a L, from: &str) -> Result<&'a mut str, E> {
    let at = raw::<L, E>(arena, Layout::for_value(from))?;
    // SAFETY: both are valid for `from.len()` bytes, and fresh memory overlaps nothing.
    unsafe { copy_short(from.as_ptr(), at.as_ptr(), from.len()) };
    // SAFETY: `from.len()` bytes were just copied there; lifetime as in `alloc`.
    let bytes = unsafe { slice::from_raw_parts_mut(at.as_ptr(), from.len()) };
    // SAFETY: the bytes are those of a `str`.
    Ok(unsafe { std::str::from_utf8_unchecked_mut(bytes) })
}

/// Copies bytes, initialised or not. Names are short, and for them a call of `memcpy` costs more than the copy: up to 64
/// bytes are moved as two words that may overlap.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
unsafe fn copy_short(from: *const u8, to: *mut u8, len: usize) {
    /// Copies the first and the last `size_of::<W>()` bytes.
    ///
    /// # Safety
    ///
    /// As for `ptr::copy_nonoverlapping`, and `size_of::<W>() <= len <= 2 * size_of::<W>()`.
    #[inline(always)]
    unsafe fn ends<W: Copy>(from: *const u8, to: *mut u8, len: usize) {
        let last = len - size_of::<W>();
        // SAFETY: a word fits into `len` bytes; `MaybeUninit` may hold any of them.
        let first_word = unsafe { from.cast::<MaybeUninit<W>>().read_unaligned() };
        // SAFETY: `last` bytes in, there is a word left.
        let last_word = unsafe { from.wrapping_byte_add(last).cast::<MaybeUninit<W>>().read_unaligned() };
        // SAFETY: as for the first read.
        unsafe { to.cast::<MaybeUninit<W>>().write_unaligned(first_word) };
        // SAFETY: as for the second read.
        unsafe { to.wrapping_byte_add(last).cast::<MaybeUninit<W>>().write_unaligned(last_word) };
    }
    match len {
        // SAFETY: the caller's promise, and `len` is in range.
        8..=16 => unsafe { ends::<u64>(from, to, len) },
        // SAFETY: as above.
        17..=32 => unsafe { ends::<u128>(from, to, len) },
        // SAFETY: as above.
        33..=64 => unsafe { ends::<[u128; 2]>(from, to, len) },
        // SAFETY: as above.
        4..=7 => unsafe { ends::<u32>(from, to, len) },
        // SAFETY: as above.
        2..=3 => unsafe { ends::<u16>(from, to, len) },
        // SAFETY: the caller's promise.
        _ => unsafe { ptr::copy_nonoverlapping(from, to, len) },
    }
}

#[inline(always)]
pub(super) fn alloc_slice_fill_with<L: Local, T, E: Refusal>(
    arena: &L,
    len: usize,
    mut f: impl FnMut(usize) -> T,
) -> Result<&mut [T], E> {
    const { NoDrop::<T>::CHECK }
    let at = raw_slice::<L, T, E>(arena, len)?;
    for i in 0..len {
        let value = f(i);
        // SAFETY: `i < len`, inside the block. If `f` panics, what was written is forgotten: nothing needs dropping.
        let place = unsafe { at.add(i) };
        // SAFETY: as above; aligned, since the block is.
        unsafe { place.write(value) };
    }
    // SAFETY: all `len` values are written; lifetime as in `alloc`.
    Ok(unsafe { slice::from_raw_parts_mut(at.as_ptr(), len) })
}

/// Takes any iterator: the lower bound of its hint is reserved, and what comes beyond grows by doubling.
#[inline(always)]
pub(super) fn alloc_slice_fill_iter<L: Local, T, E: Refusal>(
    arena: &L,
    values: impl IntoIterator<Item = T>,
) -> Result<&mut [T], E> {
    const { NoDrop::<T>::CHECK }
    let mut values = values.into_iter();
    let mut room = values.size_hint().0;
    let mut at = raw_slice::<L, T, E>(arena, room)?;
    let mut len = 0;
    // The hint is believed for memory, never for length: an iterator may lie, and may allocate in this arena.
    while let Some(value) = values.next() {
        if len == room {
            let more = values.size_hint().0.saturating_add(1).max(room).max(4);
            (at, room) = grow_slice::<L, T, E>(arena, at, len, len.saturating_add(more))?;
        }
        // SAFETY: `len < room`, inside the block.
        let place = unsafe { at.add(len) };
        // SAFETY: as above.
        unsafe { place.write(value) };
        len += 1;
    }
    // SAFETY: `len` values are written; lifetime as in `alloc`.
    Ok(unsafe { slice::from_raw_parts_mut(at.as_ptr(), len) })
}

/// A block for `room` values that begins with the `len` values at `at`.
#[cold]
fn grow_slice<L: Local, T, E: Refusal>(
    arena: &L,
    at: NonNull<T>,
    len: usize,
    room: usize,
) -> Result<(NonNull<T>, usize), E> {
    let wider = raw_slice::<L, T, E>(arena, room)?;
    // SAFETY: the old block holds `len` values, the new one has room for more, and fresh memory overlaps nothing.
    unsafe { ptr::copy_nonoverlapping(at.as_ptr(), wider.as_ptr(), len) };
    Ok((wider, room))
}

pub(super) fn alloc_with_drop<L: Local, T: Send + 'static, E: Refusal>(arena: &L, value: T) -> Result<&mut T, E> {
    if !mem::needs_drop::<T>() {
        let at = raw::<L, E>(arena, Layout::new::<T>())?.cast::<T>();
        // SAFETY: as in `alloc`.
        unsafe { at.write(value) };
        // SAFETY: as in `alloc`.
        return Ok(unsafe { &mut *at.as_ptr() });
    }
    let at = raw::<L, E>(arena, Layout::new::<Entry<T>>())?.cast::<Entry<T>>();
    // SAFETY: fresh memory of this request, whose cleanups run before any of its memory is rewound.
    let value = unsafe { arena.cleanups().push(at, value) };
    // SAFETY: `push` wrote the value and returns its place; it is dropped by `run_all`, which needs the arena for itself.
    Ok(unsafe { &mut *value.as_ptr() })
}

pub(super) fn defer<L: Local, E: Refusal>(arena: &L, call: impl FnOnce() + Send + 'static) -> Result<(), E> {
    // Placed first and armed then: a call that finds no place is dropped without being called.
    alloc_with_drop::<L, _, E>(arena, Deferred::idle()).map(|deferred| deferred.arm(call))
}

/// Text up to this long is formatted on the stack first and copied once.
const STACK_BYTES: usize = 256;

/// Formats into the stack, and from there into growing blocks of the arena.
struct Text<'a, L: Local, E> {
    arena: &'a L,
    stack: [MaybeUninit<u8>; STACK_BYTES],
    /// Where the text lies once it is longer than that: the block and its room.
    spilled: Option<(NonNull<u8>, usize)>,
    len: usize,
    refused: Option<E>,
}

impl<L: Local, E: Refusal> Text<'_, L, E> {
    fn start(&mut self) -> (*mut u8, usize) {
        match self.spilled {
            Some((at, room)) => (at.as_ptr(), room),
            None => (self.stack.as_mut_ptr().cast(), STACK_BYTES),
        }
    }

    #[cold]
    fn spill(&mut self, more: usize) -> Result<(), E> {
        let (from, room) = self.start();
        let wider = self.len.saturating_add(more).max(room.saturating_mul(2));
        let exact = self.len.saturating_add(more);
        let (at, wider) = match raw_slice::<L, u8, BudgetExceeded>(self.arena, wider) {
            Ok(at) => (at, wider),
            Err(_) => (raw_slice::<L, u8, E>(self.arena, exact)?, exact),
        };
        // SAFETY: `len` bytes are written at `from`; the new block has room for them and overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(from, at.as_ptr(), self.len) };
        self.spilled = Some((at, wider));
        Ok(())
    }
}

impl<L: Local, E: Refusal> fmt::Write for Text<'_, L, E> {
    #[inline]
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if part.len() > self.start().1 - self.len
            && let Err(refused) = self.spill(part.len())
        {
            self.refused = Some(refused);
            return Err(fmt::Error);
        }
        let (start, _) = self.start();
        // SAFETY: `len` is within the room, checked above.
        let end = unsafe { start.add(self.len) };
        // SAFETY: there is room for `part` behind `len`; our own block overlaps no `str` that a caller can have.
        unsafe { copy_short(part.as_ptr(), end, part.len()) };
        self.len += part.len();
        Ok(())
    }
}

impl<L: Local, E> Drop for Text<'_, L, E> {
    fn drop(&mut self) {
        if self.arena.local_found().is_some_and(super::Arena::wipes) {
            for byte in &mut self.stack {
                // SAFETY: a byte of our own. Volatile, so that the text does not outlive the request on the stack.
                unsafe { ptr::from_mut(byte).write_volatile(MaybeUninit::new(0)) };
            }
        }
    }
}

pub(super) fn format<'a, L: Local, E: Refusal>(arena: &'a L, text: fmt::Arguments<'_>) -> Result<&'a mut str, E> {
    if let Some(literal) = text.as_str() {
        return alloc_str(arena, literal);
    }
    let mut to: Text<'a, L, E> =
        Text { arena, stack: [MaybeUninit::uninit(); STACK_BYTES], spilled: None, len: 0, refused: None };
    let written = to.write_fmt(text);
    if let Some(refused) = to.refused.take() {
        return Err(refused);
    }
    assert!(written.is_ok(), "a Display implementation returned an error");
    let bytes = if let Some((at, _)) = to.spilled {
        // SAFETY: `len` bytes are written there; lifetime as in `alloc`.
        unsafe { slice::from_raw_parts_mut(at.as_ptr(), to.len) }
    } else {
        // SAFETY: the first `len` bytes of the stack are written.
        let text = unsafe { slice::from_raw_parts(to.stack.as_ptr().cast::<u8>(), to.len) };
        alloc_slice_copy::<L, u8, E>(arena, text)?
    };
    // SAFETY: only whole `str`s were appended.
    Ok(unsafe { std::str::from_utf8_unchecked_mut(bytes) })
}

/// The public face of this file, stamped onto `Arena` and `SharedArena`.
macro_rules! arena_methods {
    ($type:ident, $new:literal, $make:literal) => {
        /// Building values. Each call has a `try_` twin that returns [`BudgetExceeded`] and leaves every earlier value
        /// intact (what a `fill_iter` or `format` had begun stays used until the reset); the call itself panics with
        /// that value. No heap call while the present chunk has room, one when a new chunk
        /// is needed.
        impl $type {
            /// Places a value.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let limit = arena.alloc(16u32); // lives as long as the request, freed with it
            /// *limit += 1;
            /// assert_eq!(*limit, 17);
            /// ```
            #[inline(always)]
            pub fn alloc<T>(&self, value: T) -> &mut T {
                let Ok(value) = values::alloc::<_, _, Infallible>(self, value);
                value
            }

            /// [`alloc`](Self::alloc), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`] when neither the chunk nor the budget has room.
            #[inline(always)]
            pub fn try_alloc<T>(&self, value: T) -> Result<&mut T, BudgetExceeded> {
                values::alloc(self, value)
            }

            /// Places what `f` returns, built in place where the compiler can.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let table = arena.alloc_with(|| [0u64; 512]); // usually without a copy of 4 KiB on the stack
            /// assert_eq!(table.len(), 512);
            /// ```
            #[inline(always)]
            pub fn alloc_with<T>(&self, f: impl FnOnce() -> T) -> &mut T {
                let Ok(value) = values::alloc_with::<_, _, Infallible>(self, f);
                value
            }

            /// [`alloc_with`](Self::alloc_with), or an error; `f` is not called then.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            #[inline(always)]
            pub fn try_alloc_with<T>(&self, f: impl FnOnce() -> T) -> Result<&mut T, BudgetExceeded> {
                values::alloc_with(self, f)
            }

            /// Copies a string.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let input = String::from("tenant-9 rest of the line");
            /// let tenant: &str = arena.alloc_str(&input[..8]);
            /// drop(input); // the name outlives the buffer it came in
            /// assert_eq!(tenant, "tenant-9");
            /// ```
            #[inline(always)]
            pub fn alloc_str(&self, text: &str) -> &mut str {
                let Ok(text) = values::alloc_str::<_, Infallible>(self, text);
                text
            }

            /// [`alloc_str`](Self::alloc_str), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            #[inline(always)]
            pub fn try_alloc_str(&self, text: &str) -> Result<&mut str, BudgetExceeded> {
                values::alloc_str(self, text)
            }

            /// Copies a slice.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// assert_eq!(arena.alloc_slice_copy(&[3, 1, 2]), [3, 1, 2]);
            /// ```
            #[inline(always)]
            pub fn alloc_slice_copy<T: Copy>(&self, from: &[T]) -> &mut [T] {
                let Ok(slice) = values::alloc_slice_copy::<_, _, Infallible>(self, from);
                slice
            }

            /// [`alloc_slice_copy`](Self::alloc_slice_copy), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            #[inline(always)]
            pub fn try_alloc_slice_copy<T: Copy>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded> {
                values::alloc_slice_copy(self, from)
            }

            /// Clones a slice, for elements that are `Clone` without being `Copy`.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            /// As `T::clone` does; what was cloned by then is forgotten.
            ///
            /// ```
            /// #[derive(Clone)]
            /// struct Score { node: u32, fit: f64 }
            #[doc = $new]
            /// let scores = arena.alloc_slice_clone(&[Score { node: 7, fit: 0.5 }]);
            /// scores[0].fit += 0.25;
            /// assert_eq!((scores[0].node, scores[0].fit), (7, 0.75));
            /// ```
            #[inline(always)]
            pub fn alloc_slice_clone<T: Clone>(&self, from: &[T]) -> &mut [T] {
                self.alloc_slice_fill_with(from.len(), |i| from[i].clone())
            }

            /// [`alloc_slice_clone`](Self::alloc_slice_clone), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            #[inline(always)]
            pub fn try_alloc_slice_clone<T: Clone>(&self, from: &[T]) -> Result<&mut [T], BudgetExceeded> {
                self.try_alloc_slice_fill_with(from.len(), |i| from[i].clone())
            }

            /// A slice of `len` values, the i-th made by `f(i)`.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            /// As `f` does; what was made by then is forgotten.
            ///
            /// ```
            #[doc = $new]
            /// assert_eq!(arena.alloc_slice_fill_with(4, |i| i * i), [0, 1, 4, 9]);
            /// ```
            #[inline(always)]
            pub fn alloc_slice_fill_with<T>(&self, len: usize, f: impl FnMut(usize) -> T) -> &mut [T] {
                let Ok(slice) = values::alloc_slice_fill_with::<_, _, Infallible>(self, len, f);
                slice
            }

            /// [`alloc_slice_fill_with`](Self::alloc_slice_fill_with), or an error; `f` is not called then.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            #[inline(always)]
            pub fn try_alloc_slice_fill_with<T>(
                &self,
                len: usize,
                f: impl FnMut(usize) -> T,
            ) -> Result<&mut [T], BudgetExceeded> {
                values::alloc_slice_fill_with(self, len, f)
            }

            /// A slice of all that an iterator yields. The iterator may itself allocate in this arena.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let names = arena.alloc_slice_fill_iter("web,db,cache".split(',').map(|name| &*arena.alloc_str(name)));
            /// assert_eq!(names, ["web", "db", "cache"]);
            /// ```
            #[inline(always)]
            pub fn alloc_slice_fill_iter<T>(&self, values: impl IntoIterator<Item = T>) -> &mut [T] {
                let Ok(slice) = values::alloc_slice_fill_iter::<_, _, Infallible>(self, values);
                slice
            }

            /// [`alloc_slice_fill_iter`](Self::alloc_slice_fill_iter), or an error; what the iterator had yielded by
            /// then is lost.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            #[inline(always)]
            pub fn try_alloc_slice_fill_iter<T>(
                &self,
                values: impl IntoIterator<Item = T>,
            ) -> Result<&mut [T], BudgetExceeded> {
                values::alloc_slice_fill_iter(self, values)
            }

            /// A slice to be written later, piece by piece.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let frame = arena.alloc_uninit_slice::<u8>(4096); // not zeroed first
            /// frame[0].write(1);
            /// assert_eq!(frame.len(), 4096);
            /// ```
            #[inline(always)]
            pub fn alloc_uninit_slice<T>(&self, len: usize) -> &mut [MaybeUninit<T>] {
                let Ok(slice) = values::alloc_uninit_slice::<_, _, Infallible>(self, len);
                slice
            }

            /// [`alloc_uninit_slice`](Self::alloc_uninit_slice), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            #[inline(always)]
            pub fn try_alloc_uninit_slice<T>(&self, len: usize) -> Result<&mut [MaybeUninit<T>], BudgetExceeded> {
                values::alloc_uninit_slice(self, len)
            }

            /// Uninitialised memory for `layout`, for what the other calls do not cover. A size of 0 gives a dangling,
            /// aligned pointer.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            /// use std::alloc::Layout;
            #[doc = $new]
            /// let page = arena.alloc_layout(Layout::from_size_align(8192, 4096).unwrap());
            /// assert_eq!(page.addr().get() % 4096, 0);
            /// ```
            #[inline(always)]
            pub fn alloc_layout(&self, layout: Layout) -> NonNull<u8> {
                let Ok(block) = values::raw::<_, Infallible>(self, layout);
                block
            }

            /// [`alloc_layout`](Self::alloc_layout), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            #[inline(always)]
            pub fn try_alloc_layout(&self, layout: Layout) -> Result<NonNull<u8>, BudgetExceeded> {
                values::raw(self, layout)
            }

            /// Formats text into the arena: `arena.format(format_args!(...))` for `format!(...)`.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            /// When a `Display` implementation returns an error, as `format!` does.
            ///
            /// ```
            #[doc = $new]
            /// let reason = arena.format(format_args!("node-{} has {} MiB free", 17, 2048));
            /// assert_eq!(reason, "node-17 has 2048 MiB free");
            /// ```
            pub fn format(&self, text: fmt::Arguments<'_>) -> &mut str {
                let Ok(text) = values::format::<_, Infallible>(self, text);
                text
            }

            /// [`format`](Self::format), or an error.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            ///
            /// # Panics
            ///
            /// As [`format`](Self::format).
            pub fn try_format(&self, text: fmt::Arguments<'_>) -> Result<&mut str, BudgetExceeded> {
                values::format(self, text)
            }

            /// Places a value whose destructor runs when the request ends: last in, first out with other cleanups.
            ///
            /// The value may not borrow (`'static`), since by then nothing of the arena is alive, and must be `Send`,
            /// since whichever thread ends the request drops it. Costs 16 bytes beside the value, no heap call.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            #[doc = $new]
            /// let log = arena.alloc_with_drop(vec![1, 2, 3]); // a heap Vec, freed with the request
            /// log.push(4);
            /// assert_eq!(log.len(), 4);
            /// ```
            pub fn alloc_with_drop<T: Send + 'static>(&self, value: T) -> &mut T {
                let Ok(value) = values::alloc_with_drop::<_, _, Infallible>(self, value);
                value
            }

            /// [`alloc_with_drop`](Self::alloc_with_drop), or an error; the value is then dropped at once.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            pub fn try_alloc_with_drop<T: Send + 'static>(&self, value: T) -> Result<&mut T, BudgetExceeded> {
                values::alloc_with_drop(self, value)
            }

            /// Calls `call` when the request ends: to give back a permit, count a request, wake a waiter.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
            /// static ENDED: AtomicU32 = AtomicU32::new(0);
            #[doc = $new]
            /// arena.defer(|| _ = ENDED.fetch_add(1, Relaxed));
            /// drop(arena);
            /// assert_eq!(ENDED.load(Relaxed), 1);
            /// ```
            pub fn defer(&self, call: impl FnOnce() + Send + 'static) {
                let Ok(()) = values::defer::<_, Infallible>(self, call);
            }

            /// [`defer`](Self::defer), or an error; `call` is then dropped and never called.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            pub fn try_defer(&self, call: impl FnOnce() + Send + 'static) -> Result<(), BudgetExceeded> {
                values::defer(self, call)
            }

            /// Keeps one count of an `Arc` for the whole request and lends the value: what a request shares is then
            /// passed on as a plain reference, without counting.
            ///
            /// # Panics
            ///
            /// With [`BudgetExceeded`] over budget.
            ///
            /// ```
            /// use std::sync::Arc;
            /// let config = Arc::new(String::from("shared"));
            #[doc = $new]
            /// let lent: &String = arena.adopt(Arc::clone(&config)); // the request's only atomic operation on it
            /// assert_eq!((lent.as_str(), Arc::strong_count(&config)), ("shared", 2));
            /// drop(arena);
            /// assert_eq!(Arc::strong_count(&config), 1);
            /// ```
            pub fn adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> &T {
                self.alloc_with_drop(value)
            }

            /// [`adopt`](Self::adopt), or an error; the count is then given up at once.
            ///
            /// # Errors
            ///
            /// [`BudgetExceeded`].
            pub fn try_adopt<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) -> Result<&T, BudgetExceeded> {
                self.try_alloc_with_drop(value).map(|value| &**value)
            }

            /// The arena as an allocator that returns `AllocError` when the budget is exceeded, for `try_reserve` and
            /// its like. `&self` itself is an allocator too, one that panics with [`BudgetExceeded`]: collections would
            /// end the process on an `AllocError` from their infallible calls.
            ///
            /// ```
            /// use allocator_api2::vec::Vec;
            /// # use blixard_arena::*;
            #[doc = concat!("let arena = ArenaOptions::new().budget_bytes_max(4096).", $make, "();")]
            /// let mut scores: Vec<u64, _> = Vec::new_in(arena.fallible());
            /// assert!(scores.try_reserve(10).is_ok());
            /// assert!(scores.try_reserve(10_000).is_err()); // refused, and the Vec is as it was
            /// ```
            pub fn fallible(&self) -> Fallible<'_, Self> {
                Fallible::new(self)
            }
        }
    };
}
pub(super) use arena_methods;
