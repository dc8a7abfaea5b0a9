//! `Name`, borrowed under a pin, and `InternedString`, which outlives it: a name of the process in one word.
//!
//! Stands at the end of a look-up. The word of an interned string is the address of its entry, or, with its lowest bit set,
//! the number of a constant. It is an integer and not a pointer so that a constant can stand in a pattern.
//!
//! Invariants: an even word is the exposed address of an entry in whose count this string is one; a string never changes
//! its word. Cost: no heap call; the last string of a chunk whose pool is gone frees it.
#![expect(unsafe_code, reason = "an entry is found by its address")]

use super::constants;
use super::entry::{Entry, Header};
use super::storage;
use std::cmp;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZero;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// A name of a [`StringPool`](super::StringPool), held: it lives on without pin and pool, and is one word.
///
/// Two of one pool are equal if their texts are, and that is seen from the word alone: comparing, hashing and finding in
/// a map touch no text. Two of different pools are never equal, constants apart. There is no `Borrow<str>`, since a text
/// hashes otherwise. `Ord` goes by text, then by word.
///
/// ```
/// use blixard_arena::intern::{InternedString, intern};
/// use std::collections::HashMap;
///
/// // A table that outlives requests, keyed by names: 8 bytes per key, no text compared.
/// let mut load: HashMap<InternedString, u32> = HashMap::new();
/// load.insert(intern("node-a"), 70);
/// assert_eq!(load[&intern("node-a")], 70);
/// assert_eq!(size_of::<Option<InternedString>>(), size_of::<usize>());
/// ```
///
/// # Panics
/// A clone does where half a billion of one text exist already. A constant's text is known once a pool was made that has
/// its set: before that, to look at it panics (`Debug` does not).
///
/// # Cost
/// A clone is one atomic addition, a drop one subtraction; neither makes a heap call.
#[derive(PartialEq, Eq)]
pub struct InternedString(NonZero<usize>);

impl InternedString {
    /// A constant's word: odd.
    pub(super) const fn constant(word: NonZero<usize>) -> Self {
        assert!(word.get() & 1 == 1);
        Self(word)
    }

    #[inline(always)]
    pub(super) const fn word(&self) -> NonZero<usize> {
        self.0
    }

    /// The entry, unless it is a constant.
    #[inline(always)]
    fn entry(&self) -> Option<Entry<'_>> {
        if self.0.get() & 1 == 1 {
            return None;
        }
        let at = NonNull::new(ptr::with_exposed_provenance_mut::<Header>(self.0.get()))?;
        // SAFETY: an even word is an entry's address, and its count keeps it while this string lives.
        Some(unsafe { Entry::at(at) })
    }

    /// The text.
    ///
    /// # Panics
    /// Of a constant whose set no pool was made with.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPool;
    /// let pool = StringPool::new();
    /// let node = pool.intern("node-7");
    /// let number = node.as_str().strip_prefix("node-").and_then(|digits| digits.parse().ok());
    /// assert_eq!(number, Some(7));
    /// ```
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self.entry() {
            Some(entry) => entry.text(),
            None => constants::text(self.0),
        }
    }
}

impl Clone for InternedString {
    #[inline]
    fn clone(&self) -> Self {
        if let Some(entry) = self.entry() {
            entry.hold_again();
        }
        Self(self.0)
    }
}

impl Drop for InternedString {
    #[inline]
    fn drop(&mut self) {
        if let Some(entry) = self.entry()
            && entry.let_go()
        {
            // SAFETY: it was, and this string is gone.
            unsafe { storage::leave(entry) };
        }
    }
}

impl Deref for InternedString {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for InternedString {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// By the word: equal strings of one pool have one.
impl Hash for InternedString {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// By text, then by word, so that it agrees with `Eq`: equal texts of different pools are neighbours, and not equal.
impl Ord for InternedString {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        if self == other {
            return cmp::Ordering::Equal;
        }
        self.as_str().cmp(other).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for InternedString {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for InternedString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for InternedString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some(entry) => fmt::Debug::fmt(entry.text(), f),
            None => constants::debug(self.0, f),
        }
    }
}

/// A name found under a pin: a borrowed address, for as long as the pin is.
///
/// Compared by address. Becomes an [`InternedString`] where it has to outlive the pin.
///
/// ```
/// use blixard_arena::intern::{Name, StringPool};
///
/// fn same_rack(a: Name<'_>, b: Name<'_>) -> bool {
///     a == b // no text is looked at
/// }
///
/// let pool = StringPool::new();
/// let pin = pool.pin();
/// assert!(same_rack(pin.intern("rack-3"), pin.intern("rack-3")));
/// assert_eq!(pin.intern("rack-3").len(), 6); // and it is a str
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'pin>(Entry<'pin>);

impl<'pin> Name<'pin> {
    #[inline(always)]
    pub(super) fn new(entry: Entry<'pin>) -> Self {
        Self(entry)
    }

    /// The text, for as long as the pin is held.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPool;
    /// let pool = StringPool::new();
    /// let pin = pool.pin();
    /// let shortest = ["node-10", "edge"].map(|name| pin.intern(name).as_str()).into_iter().min_by_key(|name| name.len());
    /// assert_eq!(shortest, Some("edge")); // text that lives as long as the pin, without the `Name`
    /// ```
    #[inline]
    #[must_use]
    pub fn as_str(self) -> &'pin str {
        self.0.text()
    }

    /// The name counted, to outlive the pin. A constant gives its constant.
    ///
    /// # Panics
    /// Where half a billion of the name exist already.
    ///
    /// # Cost
    /// One compare-and-swap on the name; no heap call.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPool;
    /// let pool = StringPool::new();
    /// let owner = {
    ///     let pin = pool.pin(); // a request
    ///     let tenant = pin.intern("acme");
    ///     tenant.to_interned() // what is kept of it
    /// };
    /// pool.sweep();
    /// assert_eq!(&*owner, "acme");
    /// ```
    #[inline]
    #[must_use]
    pub fn to_interned(self) -> InternedString {
        if let Some(word) = self.0.constant() {
            return InternedString(word);
        }
        self.0.hold();
        InternedString(self.address())
    }

    #[inline(always)]
    fn address(self) -> NonZero<usize> {
        // Exposed: `InternedString::entry` takes it up again.
        let address = self.0.pointer().as_ptr().expose_provenance();
        // SAFETY: the address of something.
        unsafe { NonZero::new_unchecked(address) }
    }
}

impl From<Name<'_>> for InternedString {
    fn from(name: Name<'_>) -> Self {
        name.to_interned()
    }
}

/// The same name, without counting it: also of a constant.
///
/// ```
/// use blixard_arena::intern::StringPool;
///
/// let pool = StringPool::new();
/// let leader = pool.intern("node-a"); // kept for long
/// let pin = pool.pin();
/// assert!(pin.intern("node-a") == leader);
/// ```
impl PartialEq<InternedString> for Name<'_> {
    #[inline]
    fn eq(&self, other: &InternedString) -> bool {
        self.address() == other.0 || self.0.constant() == Some(other.0)
    }
}

impl Deref for Name<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Name<'_> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// By the address.
impl Hash for Name<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
