//! `String`: growing text in an arena.
//!
//! Stands on `list`, as `Vec<u8>` does; written piece by piece or by `write!`, and frozen by `into_str`.
//! Invariant: its bytes are UTF-8 whenever a caller can see them. Cost: as `Vec`'s.
//!
//! Longer than most files here: half of its lines are the examples of its calls.
#![expect(unsafe_code, reason = "keeps UTF-8 by construction and lends it as `str`")]

use super::list::List;
use super::vec::{Vec, bounds, sure};
use crate::arena::ledger::Refusal;
use crate::arena::text::{Sink, inside::Piece};
use crate::arena::values::copy_short;
use crate::arena::{AnyArena, BudgetExceeded, Concat};
use std::borrow::{Borrow, BorrowMut, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::MaybeUninit;
use std::ops::{Add, AddAssign, Deref, DerefMut, RangeBounds};
use std::slice;
use std::str::{Chars, Utf8Error};

/// Growing text in an arena: std's `String` by the same method names, with `_in` constructors that take `&Arena` or
/// `&SharedArena`.
///
/// Needs no `Drop`, freezes by [`into_str`](Self::into_str), grows in place while nothing was built in the arena since.
/// For a text that is known in one piece take [`Arena::alloc_str`](crate::Arena::alloc_str),
/// [`format`](crate::Arena::format) or [`concat`](crate::Arena::concat); this is for text that comes in pieces.
///
/// Calls that grow panic with [`BudgetExceeded`] over budget; `try_` twins return it and leave the text as it was.
///
/// ```
/// use blixard_arena::{Arena, collections::String};
/// use std::fmt::Write;
///
/// let arena = Arena::new();
/// let mut line = String::new_in(&arena);
/// for (index, node) in ["n1", "n2"].iter().enumerate() {
///     if index > 0 {
///         line.push_str(", ");
///     }
///     write!(line, "{node}={:.1}", index as f64 / 2.0).unwrap();
/// }
/// let frozen: &str = line.into_str();
/// assert_eq!(frozen, "n1=0.0, n2=0.5");
/// ```
pub struct String<A>(List<u8, A>);

/// Making one.
impl<'a, A: AnyArena> String<&'a A> {
    /// An empty text; takes no memory before the first byte.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut missing = String::new_in(&arena); // costs nothing where nothing is missing
    /// for (label, present) in [("zone", true), ("tier", false)] {
    ///     if !present {
    ///         missing += label;
    ///     }
    /// }
    /// assert_eq!(missing, "tier");
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn new_in(arena: &'a A) -> Self {
        Self(List::new(arena))
    }

    /// An empty text with room for `bytes`.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut page = String::with_capacity_in(4096, &arena); // grows no more, whatever is built beside it
    /// page.push_str("<ul>");
    /// assert_eq!(page.capacity(), 4096);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn with_capacity_in(bytes: usize, arena: &'a A) -> Self {
        Self(sure(List::with_capacity(bytes, arena)))
    }

    /// [`with_capacity_in`](Self::with_capacity_in), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::String};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let announced = 1 << 40; // by a request's header
    /// assert!(String::try_with_capacity_in(announced, &arena).is_err());
    /// ```
    #[inline(always)]
    pub fn try_with_capacity_in(bytes: usize, arena: &'a A) -> Result<Self, BudgetExceeded> {
        List::with_capacity(bytes, arena).map(Self)
    }

    /// A copy of `text`, to be changed.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut path = String::from_str_in("/vm", &arena);
    /// path += "/config";
    /// assert_eq!(path, "/vm/config");
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn from_str_in(text: &str, arena: &'a A) -> Self {
        let mut string = Self::with_capacity_in(text.len(), arena);
        string.push_str(text);
        string
    }

    /// All that an iterator of `char`, `&str` or other pieces yields, as `collect` does.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let upper = String::from_iter_in("vm-1".chars().map(|c| c.to_ascii_uppercase()), &arena);
    /// assert_eq!(upper, "VM-1");
    /// ```
    #[inline]
    #[must_use]
    pub fn from_iter_in<P>(pieces: impl IntoIterator<Item = P>, arena: &'a A) -> Self
    where
        Self: Extend<P>,
    {
        let mut string = Self::new_in(arena);
        string.extend(pieces);
        string
    }

    /// The bytes of `bytes` as text, if they are UTF-8. No copy.
    ///
    /// # Errors
    ///
    /// Where they are not; the bytes are lost then, so check with `str::from_utf8` first where that matters.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::{String, Vec}};
    /// let arena = Arena::new();
    /// let frame = Vec::from_iter_in(*b"vm-1\xff", &arena);
    /// assert_eq!(String::from_utf8(frame).unwrap_err().valid_up_to(), 4);
    /// ```
    #[inline]
    pub fn from_utf8(bytes: Vec<u8, &'a A>) -> Result<Self, Utf8Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Self(bytes.into_list()))
    }

    /// The text with `U+FFFD` in place of what is not UTF-8.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// assert_eq!(String::from_utf8_lossy_in(b"vm-\xff1", &arena), "vm-\u{fffd}1"); // a peer's name, to be logged
    /// ```
    #[must_use]
    pub fn from_utf8_lossy_in(bytes: &[u8], arena: &'a A) -> Self {
        let mut string = Self::with_capacity_in(bytes.len(), arena);
        for chunk in bytes.utf8_chunks() {
            string.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                string.push(char::REPLACEMENT_CHARACTER);
            }
        }
        string
    }

    /// The text as a `&str` that lives as long as the arena's borrow. No copy; what was reserved beyond it goes back if
    /// the text is the arena's newest block.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// struct Vm<'a> { name: &'a str } // plain data: can be copied, sealed, sent
    ///
    /// let mut name = String::from_str_in("vm", &arena);
    /// name.push_str("-1");
    /// let vm = Vm { name: name.into_str() };
    /// assert_eq!(vm.name, "vm-1");
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn into_str(mut self) -> &'a mut str {
        self.0.shrink(0);
        // SAFETY: the first `len` bytes are alive in the arena, which is borrowed for `'a`, and nobody else has them: this
        // text ends here without a destructor.
        let bytes = unsafe { slice::from_raw_parts_mut(self.0.as_ptr().as_ptr(), self.0.len()) };
        // SAFETY: UTF-8, by the invariant.
        unsafe { std::str::from_utf8_unchecked_mut(bytes) }
    }

    /// The bytes, as a vector. No copy.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut line = String::from_str_in("vm-1 started", &arena);
    /// line.push('\n');
    /// let mut frame = line.into_bytes(); // text so far, and then a byte that is none
    /// frame.push(0xff);
    /// assert_eq!(frame, b"vm-1 started\n\xff");
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8, &'a A> {
        Vec::from_list(self.0)
    }

    /// The arena it lies in.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let tenant = String::from_str_in("acme", &arena);
    /// let key = tenant.arena().concat((&*tenant, "/vm-1")); // beside it, with no arena at hand
    /// assert_eq!(key, "acme/vm-1");
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn arena(&self) -> &'a A {
        self.0.memory()
    }

    /// Takes the text from byte `at` on into a string of its own.
    ///
    /// # Panics
    ///
    /// If `at` is not on the boundary of a `char`. With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut vm = String::from_str_in("vm-1@node-7", &arena);
    /// let node = vm.split_off(vm.find('@').unwrap());
    /// assert_eq!((&*vm, &node[1..]), ("vm-1", "node-7"));
    /// ```
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        let rest = Self::from_str_in(&self[at..], self.arena());
        self.truncate(at);
        rest
    }
}

/// The everyday calls, as std's.
impl<A: AnyArena> String<&A> {
    /// Bytes there is room for.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut reply = String::with_capacity_in(256, &arena);
    /// reply.push_str("placed: vm-1, vm-2");
    /// assert_eq!(reply.capacity(), 256); // it was enough
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The number of bytes.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let name = String::from_str_in("b\u{fc}ro-1", &arena);
    /// assert_eq!(name.len(), 7); // bytes, as a frame's header counts them, not `char`s
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut list = String::new_in(&arena);
    /// for vm in ["vm-1", "vm-2"] {
    ///     if !list.is_empty() {
    ///         list.push_str(", ");
    ///     }
    ///     list.push_str(vm);
    /// }
    /// assert_eq!(list, "vm-1, vm-2");
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The text.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let command = String::from_str_in("start", &arena);
    /// let known = match command.as_str() {
    ///     "start" | "stop" => true,
    ///     _ => false,
    /// };
    /// assert!(known);
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn as_str(&self) -> &str {
        // SAFETY: UTF-8, by the invariant.
        unsafe { std::str::from_utf8_unchecked(self.0.as_slice()) }
    }

    /// The text, to be changed within its length.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut tenant = String::from_str_in("ACME", &arena);
    /// tenant.as_mut_str().make_ascii_lowercase(); // in place, for a look-up
    /// assert_eq!(tenant, "acme");
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn as_mut_str(&mut self) -> &mut str {
        // SAFETY: UTF-8, by the invariant, and a `&mut str` keeps it.
        unsafe { std::str::from_utf8_unchecked_mut(self.0.as_mut_slice()) }
    }

    /// Makes room for `more` further bytes, and some headroom.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let names = ["vm-1", "vm-2"];
    /// let mut line = String::from_str_in("placed ", &arena);
    /// line.reserve(names.iter().map(|name| name.len()).sum()); // once for all of them
    /// line.extend(names);
    /// assert_eq!(line, "placed vm-1vm-2");
    /// ```
    #[inline(always)]
    pub fn reserve(&mut self, more: usize) {
        sure(self.0.reserve(more));
    }

    /// [`reserve`](Self::reserve), or an error.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::String};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut body = String::new_in(&arena);
    /// assert!(body.try_reserve(1 << 20).is_err()); // refused before the first byte is read
    /// assert!(body.try_reserve(100).is_ok());
    /// ```
    #[inline(always)]
    pub fn try_reserve(&mut self, more: usize) -> Result<(), BudgetExceeded> {
        self.0.reserve(more)
    }

    /// Gives what is reserved beyond the text back to the arena, if this is its newest block and the arena keeps bytes at a reset as they
    /// are ([`Reset::Keep`](crate::Reset::Keep)); else the room stays unused until then.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut key = String::with_capacity_in(256, &arena);
    /// key.push_str("acme/vm-1");
    /// key.shrink_to_fit(); // the next value goes where the room was
    /// assert_eq!(key.capacity(), 9);
    /// ```
    #[inline(always)]
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink(0);
    }

    #[inline(always)]
    fn append<E: Refusal>(&mut self, text: &str) -> Result<(), E> {
        self.0.reserve::<E>(text.len())?;
        let len = self.0.len();
        // SAFETY: within the block.
        let end = unsafe { self.0.as_ptr().add(len) };
        // SAFETY: room for `text` was reserved there; nobody can have a `str` in room that is not filled yet.
        unsafe { copy_short(text.as_ptr(), end.as_ptr(), text.len()) };
        // SAFETY: so much was written.
        unsafe { self.0.set_len(len + text.len()) };
        Ok(())
    }

    /// Appends text.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut path = String::from_str_in("/v1", &arena);
    /// for part in ["tenants", "acme"] {
    ///     path.push('/');
    ///     path.push_str(part);
    /// }
    /// assert_eq!(path, "/v1/tenants/acme");
    /// ```
    #[inline(always)]
    pub fn push_str(&mut self, text: &str) {
        sure(self.append(text));
    }

    /// [`push_str`](Self::push_str), or an error; the text is as it was then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::String};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut log = String::new_in(&arena);
    /// while log.try_push_str("one line more\n").is_ok() {} // a request that would not end, ends here
    /// assert!(log.ends_with("more\n"));
    /// ```
    #[inline(always)]
    pub fn try_push_str(&mut self, text: &str) -> Result<(), BudgetExceeded> {
        self.append(text)
    }

    /// Appends a `char`.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut key = String::new_in(&arena);
    /// for c in "Acme Corp".chars() {
    ///     key.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    /// }
    /// assert_eq!(key, "acme-corp");
    /// ```
    #[inline(always)]
    pub fn push(&mut self, c: char) {
        sure(self.append(c.encode_utf8(&mut [0; 4])));
    }

    /// [`push`](Self::push), or an error; the text is as it was then.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, collections::String};
    /// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
    /// let mut quoted = String::new_in(&arena);
    /// let answer = "say \"hi\"".chars().flat_map(char::escape_default).try_for_each(|c| quoted.try_push(c));
    /// assert!(answer.is_ok());
    /// assert_eq!(quoted, r#"say \"hi\""#);
    /// ```
    #[inline(always)]
    pub fn try_push(&mut self, c: char) -> Result<(), BudgetExceeded> {
        self.append(c.encode_utf8(&mut [0; 4]))
    }

    /// Appends strings and numbers without `fmt`'s machinery, as [`Arena::concat`](crate::Arena::concat) joins them.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut lines = String::new_in(&arena);
    /// for (node, free) in [(1u32, 2048u64), (2, 512)] {
    ///     lines.push_concat(("node-", node, ' ', free, " MiB\n"));
    /// }
    /// assert_eq!(lines, "node-1 2048 MiB\nnode-2 512 MiB\n");
    /// ```
    #[inline(always)]
    pub fn push_concat(&mut self, pieces: impl Concat) {
        sure(self.0.reserve(pieces.bytes_max()));
        let (at, len) = (self.0.as_ptr(), self.0.len());
        // SAFETY: within the block.
        let end = unsafe { at.add(len) }.cast::<MaybeUninit<u8>>();
        // SAFETY: the room behind the text.
        let mut sink = Sink::new(unsafe { slice::from_raw_parts_mut(end.as_ptr(), self.0.capacity() - len) });
        pieces.put(&mut sink);
        let put = sink.len();
        // SAFETY: so much was put, in whole `str`s.
        unsafe { self.0.set_len(len + put) };
    }

    /// Takes the last `char`.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut line = String::from_str_in("start vm-1\r\n", &arena);
    /// while line.ends_with(['\r', '\n']) {
    ///     line.pop();
    /// }
    /// assert_eq!(line, "start vm-1");
    /// ```
    pub fn pop(&mut self) -> Option<char> {
        let last = self.chars().next_back()?;
        self.truncate(self.len() - last.len_utf8());
        Some(last)
    }

    /// Puts a `char` before byte `at`.
    ///
    /// # Panics
    ///
    /// If `at` is not on the boundary of a `char`. With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut delta = String::from_str_in("512 MiB", &arena);
    /// delta.insert(0, '-');
    /// assert_eq!(delta, "-512 MiB");
    /// ```
    pub fn insert(&mut self, at: usize, c: char) {
        self.insert_str(at, c.encode_utf8(&mut [0; 4]));
    }

    /// Puts text before byte `at`.
    ///
    /// # Panics
    ///
    /// If `at` is not on the boundary of a `char`. With [`BudgetExceeded`] over budget.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut url = String::from_str_in("node-7/metrics", &arena);
    /// if !url.contains("://") {
    ///     url.insert_str(0, "http://");
    /// }
    /// assert_eq!(url, "http://node-7/metrics");
    /// ```
    pub fn insert_str(&mut self, at: usize, text: &str) {
        assert!(self.is_char_boundary(at), "byte {at} of {} is no boundary of a char", self.len());
        self.push_str(text);
        // The new bytes come before those from `at` on: both are whole `str`s, so the text stays UTF-8.
        self.0.as_mut_slice()[at..].rotate_right(text.len());
    }

    /// Takes the `char` at byte `at` out.
    ///
    /// # Panics
    ///
    /// If there is none, or `at` is not on the boundary of a `char`.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut argument = String::from_str_in("@node-7", &arena);
    /// let mark = argument.remove(0);
    /// assert_eq!((mark, &*argument), ('@', "node-7"));
    /// ```
    pub fn remove(&mut self, at: usize) -> char {
        let c = self[at..].chars().next().expect("a char to remove");
        self.remove_range(at..at + c.len_utf8());
        c
    }

    /// Takes the text in `range` out; [`drain`](Self::drain) lends it.
    ///
    /// # Panics
    ///
    /// If the ends of `range` are not on boundaries of `char`s in the text.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut path = String::from_str_in("/tenant/vm-1", &arena);
    /// path.remove_range(..7);
    /// assert_eq!(path, "/vm-1");
    /// ```
    pub fn remove_range(&mut self, range: impl RangeBounds<usize>) {
        let (start, end) = bounds(&range, self.len());
        let ends_are_boundaries = self.is_char_boundary(start) && self.is_char_boundary(end);
        assert!(ends_are_boundaries, "bytes {start}..{end} are not on boundaries of chars");
        self.0.as_mut_slice()[start..].rotate_left(end - start);
        self.0.truncate(self.len() - (end - start));
    }

    /// Takes the text in `range` out and lends it, as its `char`s or, by [`as_str`](Chars::as_str), as a whole. It is gone from here at
    /// once, however many are read.
    ///
    /// # Panics
    ///
    /// If the ends of `range` are not on boundaries of `char`s in the text.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::{String, Vec}};
    /// let arena = Arena::new();
    /// let mut received = String::from_str_in("start vm-1\nstop v", &arena); // in whatever pieces a socket gives
    /// let mut lines = Vec::new_in(&arena);
    /// while let Some(end) = received.find('\n') {
    ///     lines.push(&*arena.alloc_str(received.drain(..=end).as_str()));
    /// }
    /// assert_eq!((lines.as_slice(), &*received), (&["start vm-1\n"][..], "stop v")); // the rest waits for its end
    /// ```
    pub fn drain(&mut self, range: impl RangeBounds<usize>) -> Chars<'_> {
        let (start, end) = bounds(&range, self.len());
        self.remove_range(start..end);
        // SAFETY: within the block: what was removed lies behind the end, as it was.
        let drained = unsafe { self.0.as_ptr().add(self.len()) };
        // SAFETY: bytes that were written, and that stay for as long as this text is borrowed.
        let drained = unsafe { slice::from_raw_parts(drained.as_ptr(), end - start) };
        // SAFETY: from one boundary of a `char` to another.
        unsafe { str::from_utf8_unchecked(drained) }.chars()
    }

    /// Puts `with` in place of the text in `range`.
    ///
    /// # Panics
    ///
    /// If the ends of `range` are not on boundaries of `char`s in the text. With [`BudgetExceeded`] over budget; the text
    /// is as it was then.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut endpoint = String::from_str_in("node-7:9000", &arena);
    /// let port = endpoint.find(':').unwrap() + 1;
    /// endpoint.replace_range(port.., "9443");
    /// assert_eq!(endpoint, "node-7:9443");
    /// ```
    pub fn replace_range(&mut self, range: impl RangeBounds<usize>, with: &str) {
        let (start, end) = bounds(&range, self.len());
        let ends_are_boundaries = self.is_char_boundary(start) && self.is_char_boundary(end);
        assert!(ends_are_boundaries, "bytes {start}..{end} are not on boundaries of chars");
        self.insert_str(end, with);
        self.remove_range(start..end);
    }

    /// Keeps the first `len` bytes.
    ///
    /// # Panics
    ///
    /// If that is within the text and not on the boundary of a `char`.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut scratch = String::from_str_in("node-", &arena);
    /// let stem = scratch.len();
    /// for node in 1..=3u32 {
    ///     scratch.truncate(stem); // one text for all names
    ///     scratch.push_concat(node);
    /// }
    /// assert_eq!(scratch, "node-3");
    /// ```
    pub fn truncate(&mut self, len: usize) {
        if len <= self.len() {
            assert!(self.is_char_boundary(len), "byte {len} of {} is no boundary of a char", self.len());
            self.0.truncate(len);
        }
    }

    /// Removes all text and keeps the room.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut line = String::with_capacity_in(80, &arena);
    /// for vm in ["vm-1", "vm-2"] {
    ///     line.clear(); // one buffer for every line
    ///     line.push_concat((vm, " started"));
    /// }
    /// assert_eq!((&*line, line.capacity()), ("vm-2 started", 80));
    /// ```
    #[inline(always)]
    pub fn clear(&mut self) {
        self.0.truncate(0);
    }

    /// Keeps the `char`s for which `keep` says so. If it panics, the text is what was kept by then.
    ///
    /// ```
    /// # use blixard_arena::{Arena, collections::String};
    /// let arena = Arena::new();
    /// let mut name = String::from_str_in("vm\t-1\u{7}", &arena);
    /// name.retain(|c| !c.is_control()); // before it is logged
    /// assert_eq!(name, "vm-1");
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(char) -> bool) {
        /// Holds what is kept, and puts the length right on every way out.
        struct Kept<'s, 'a, A: AnyArena> {
            string: &'s mut String<&'a A>,
            seen: usize,
            len: usize,
        }
        impl<A: AnyArena> Drop for Kept<'_, '_, A> {
            fn drop(&mut self) {
                // Whole `char`s, moved one by one.
                self.string.0.truncate(self.len);
            }
        }
        let mut at = Kept { seen: 0, len: 0, string: self };
        loop {
            // What lies between `kept` and `seen` may be parts of `char`s until the end, so only the rest is taken as text.
            // SAFETY: from `seen` on there are whole `char`s.
            let rest = unsafe { std::str::from_utf8_unchecked(&at.string.0.as_slice()[at.seen..]) };
            let Some(c) = rest.chars().next() else { return };
            let bytes = c.len_utf8();
            if keep(c) {
                let (seen, len) = (at.seen, at.len);
                at.string.0.as_mut_slice().copy_within(seen..seen + bytes, len);
                at.len += bytes;
            }
            at.seen += bytes;
        }
    }
}

/// Never an error: over budget it panics with [`BudgetExceeded`].
impl<A: AnyArena> fmt::Write for String<&A> {
    #[inline(always)]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }

    #[inline(always)]
    fn write_char(&mut self, c: char) -> fmt::Result {
        self.push(c);
        Ok(())
    }
}

impl<A: AnyArena> Deref for String<&A> {
    type Target = str;

    #[inline(always)]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<A: AnyArena> DerefMut for String<&A> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut str {
        self.as_mut_str()
    }
}

impl<A: AnyArena> AsRef<str> for String<&A> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl<A: AnyArena> AsRef<[u8]> for String<&A> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<A: AnyArena> AsRef<std::ffi::OsStr> for String<&A> {
    fn as_ref(&self) -> &std::ffi::OsStr {
        self.as_str().as_ref()
    }
}

impl<A: AnyArena> AsRef<std::path::Path> for String<&A> {
    fn as_ref(&self) -> &std::path::Path {
        self.as_str().as_ref()
    }
}

impl<A: AnyArena> Borrow<str> for String<&A> {
    fn borrow(&self) -> &str {
        self
    }
}

impl<A: AnyArena> BorrowMut<str> for String<&A> {
    fn borrow_mut(&mut self) -> &mut str {
        self
    }
}

/// In the same arena.
impl<A: AnyArena> Clone for String<&A> {
    fn clone(&self) -> Self {
        Self::from_str_in(self, self.arena())
    }
}

impl<A: AnyArena> fmt::Debug for String<&A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<A: AnyArena> fmt::Display for String<&A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<A: AnyArena> Hash for String<&A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl<A: AnyArena> Eq for String<&A> {}

impl<A: AnyArena> PartialOrd for String<&A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<A: AnyArena> Ord for String<&A> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other)
    }
}

macro_rules! equal {
    ([$($generics:tt)*] $other:ty) => {
        impl<A: AnyArena, $($generics)*> PartialEq<$other> for String<&A> {
            #[inline]
            fn eq(&self, other: &$other) -> bool {
                self.as_str() == &other[..]
            }
        }
    };
}
equal!([B: AnyArena] String<&B>);
equal!([] str);
equal!([] & str);
equal!([] std::string::String);
equal!([] Cow<'_, str>);

macro_rules! equal_to {
    ($other:ty) => {
        impl<A: AnyArena> PartialEq<String<&A>> for $other {
            #[inline]
            fn eq(&self, other: &String<&A>) -> bool {
                &self[..] == other.as_str()
            }
        }
    };
}
equal_to!(str);
equal_to!(&str);
equal_to!(std::string::String);
equal_to!(Cow<'_, str>);

macro_rules! extend {
    ([$($generics:tt)*] $piece:ty, |$string:ident, $item:ident| $push:expr) => {
        /// Panics with [`BudgetExceeded`] over budget; what was yielded by then is in the text.
        impl<$($generics)* A: AnyArena> Extend<$piece> for String<&A> {
            #[inline]
            fn extend<I: IntoIterator<Item = $piece>>(&mut self, pieces: I) {
                let $string = self;
                for $item in pieces {
                    $push;
                }
            }
        }
    };
}
extend!([] char, |string, c| string.push(c));
extend!(['p,] &'p char, |string, c| string.push(*c));
extend!(['p,] &'p str, |string, text| string.push_str(text));
extend!([] std::string::String, |string, text| string.push_str(&text));
extend!(['p,] Cow<'p, str>, |string, text| string.push_str(&text));
extend!(['p, B: AnyArena,] String<&'p B>, |string, text| string.push_str(&text));

impl<A: AnyArena> AddAssign<&str> for String<&A> {
    fn add_assign(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl<A: AnyArena> Add<&str> for String<&A> {
    type Output = Self;

    fn add(mut self, text: &str) -> Self {
        self.push_str(text);
        self
    }
}

impl<A: AnyArena> Piece for String<&A> {
    #[inline(always)]
    fn bytes_max(&self) -> usize {
        self.as_str().bytes_max()
    }

    #[inline(always)]
    fn put(&self, to: &mut Sink<'_>) {
        self.as_str().put(to);
    }
}
