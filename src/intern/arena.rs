//! `ArenaInterner`: the names of a request, once each in its arena.
//!
//! Stands on the collections and on `text`. A table of numbers finds a name by its hash, a list finds its text by its number:
//!
//! ```text
//!     groups: | hash 27, nth 5 | 0 | 0 | 0 |   open addressing, at most half full; 0 is empty, `nth` counts from 1
//!     names:  "vm-1", "node-7", ...            in order of interning, each with its hash; the texts lie in the arena
//! ```
//!
//! A slot is 4 bytes: a number, and as many bits of the hash as the number leaves. Four slots are compared at once, so that
//! whether a name lies in the first or the third makes no branch; a branch that goes either way costs more than all the rest.
//!
//! Invariants: every `nth` in a slot is a name of the list, each name has one slot, slots of a group fill up in order, and
//! half of all are empty. A caller's hasher runs before anything is changed, once per call, and never for a name that
//! is there already: so one that panics leaves the interner as it was, and one that lies can only hide a name, which is then
//! stored again. What is found is always compared by its text.
//! Cost: no heap call while the arena's chunk has room. A hit touches the slot, the list's entry and the text; growing
//! touches no text.
//!
//! Longer than most files here: half of its lines are the examples of its calls.
#![forbid(unsafe_code)]

use super::symbol::{NAMES_MAX, Numbering, Symbol};
use super::text::{TEXT_BYTES_MAX, Text, same};
use crate::arena::{AnyArena, BudgetExceeded};
use crate::collections::{SeededState, Vec};
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::iter::{Enumerate, FusedIterator};
use std::ops::Index;
use std::panic::{RefUnwindSafe, UnwindSafe, panic_any};
use std::slice;

/// Names of a request, each stored once in its arena and known by a [`Symbol`] of four bytes.
///
/// For the names that a request meets again and again: its tenants, nodes, label keys. Comparing two of them compares two
/// numbers, and a thousand mentions of one name cost its text once. Everything lies in the arena, so that it vanishes
/// with the request and needs no `Drop`; the texts that it lends live as long as the arena, not as the interner.
///
/// ```
/// use blixard_arena::ArenaPool;
/// use blixard_arena::intern::ArenaInterner;
///
/// let pool = ArenaPool::new();
/// let arena = pool.acquire();
/// let mut names = ArenaInterner::new_in(&*arena);
///
/// let line = String::from("vm-1@node-7 vm-2@node-7 vm-3@node-9");
/// let mut placed = line.split(' ').filter_map(|word| word.split_once('@'));
/// let (_, first) = placed.next().unwrap();
/// let first = names.intern(first);
/// let beside = placed.filter(|(_, node)| names.intern(node) == first).count();
/// drop(line); // the names are copies
/// assert_eq!((beside, names.resolve(first), names.len()), (1, "node-7", 2));
/// ```
///
/// Over a [`SharedArena`](crate::SharedArena) it may be held across `.await` in spawned tasks, and its finished names read
/// from many threads. Interning takes `&mut self`: names that threads intern at the same time belong into the process's pool.
///
/// Hashes with a seed of the process; `S` is another hasher, given with
/// [`with_hasher_in`](Self::with_hasher_in).
///
/// It holds at most 2^30 names of less than 4 GiB each, and otherwise what the arena's budget allows. Growing leaves the smaller table and list
/// behind in the arena, together no larger than the ones in use: [`with_capacity_in`](Self::with_capacity_in) avoids it.
pub struct ArenaInterner<'a, A, S = SeededState> {
    arena: &'a A,
    groups: &'a mut [Group],
    /// The bits of a slot that are the hash's, for each slot of a group; the others are the number.
    tag: Group,
    names: Vec<Text<'a>, &'a A>,
    numbering: Numbering,
    hasher: S,
}

// A call that panics leaves it as it was.
impl<A: RefUnwindSafe, S: UnwindSafe> UnwindSafe for ArenaInterner<'_, A, S> {}

impl<'a, A: AnyArena> ArenaInterner<'a, A> {
    /// No names yet, and nothing taken from the arena.
    ///
    /// ```
    /// # use blixard_arena::{Arena, intern::ArenaInterner};
    /// let arena = Arena::new();
    /// let mut tenants = ArenaInterner::new_in(&arena);
    /// let owners: Vec<_> = ["acme", "umbrella", "acme"].into_iter().map(|name| tenants.intern(name)).collect();
    /// assert_eq!((owners[0] == owners[2], tenants.len()), (true, 2)); // compared as numbers, stored once
    /// ```
    #[must_use]
    pub fn new_in(arena: &'a A) -> Self {
        Self::with_hasher_in(SeededState, arena)
    }

    /// With room for `names` names: none of them makes the table grow.
    ///
    /// # Panics
    ///
    /// As [`reserve`](Self::reserve).
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use blixard_arena::intern::ArenaInterner;
    ///
    /// let arena = Arena::new();
    /// let lines = ["vm-1", "vm-2", "vm-3"]; // at most so many names
    /// let mut names = ArenaInterner::with_capacity_in(lines.len(), &arena);
    /// let before = arena.figures().used_bytes;
    /// names.extend(lines);
    /// assert_eq!(arena.figures().used_bytes - before, 3 * 8, "the texts alone, in whole words");
    /// ```
    #[must_use]
    pub fn with_capacity_in(names: usize, arena: &'a A) -> Self {
        let mut interner = Self::new_in(arena);
        interner.reserve(names);
        interner
    }

    /// Interns all of `texts`.
    ///
    /// # Panics
    ///
    /// As [`intern`](Self::intern).
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use blixard_arena::intern::ArenaInterner;
    ///
    /// let arena = Arena::new();
    /// let names = ArenaInterner::from_iter_in("a b a c".split(' '), &arena);
    /// assert!(names.iter().map(|(_, name)| name).eq(["a", "b", "c"]));
    /// ```
    #[must_use]
    pub fn from_iter_in(texts: impl IntoIterator<Item: AsRef<str>>, arena: &'a A) -> Self {
        let mut interner = Self::new_in(arena);
        interner.extend(texts);
        interner
    }
}

impl<'a, A: AnyArena, S: BuildHasher> ArenaInterner<'a, A, S> {
    /// No names yet, to be hashed with `hasher`.
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use blixard_arena::collections::FixedState;
    /// use blixard_arena::intern::ArenaInterner;
    ///
    /// // Field names of our own: nobody chooses them to collide.
    /// let arena = Arena::new();
    /// let mut fields = ArenaInterner::with_hasher_in(FixedState, &arena);
    /// assert_eq!(fields.intern("cpu_milli"), fields.intern("cpu_milli"));
    /// ```
    #[must_use]
    pub fn with_hasher_in(hasher: S, arena: &'a A) -> Self {
        Self { arena, groups: &mut [], tag: [0; SLOTS], names: Vec::new_in(arena), numbering: Numbering::new(), hasher }
    }

    /// The symbol of `text`, which is copied into the arena unless it is there already.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget; with 2^30 names; with a text of 4 GiB.
    /// As the hasher does; nothing is interned then.
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use blixard_arena::intern::ArenaInterner;
    ///
    /// let arena = Arena::new();
    /// let mut names = ArenaInterner::new_in(&arena);
    /// let tenant = names.intern("tenant-9");
    /// assert_eq!(names.intern(&String::from("tenant-9")), tenant); // found, not stored again
    /// ```
    #[inline]
    pub fn intern(&mut self, text: &str) -> Symbol {
        let Ok(nth) = self.nth::<Panicked>(text);
        self.symbol(nth)
    }

    /// [`intern`](Self::intern), or an error.
    ///
    /// # Errors
    ///
    /// [`InternError`] over budget, with 2^30 names, and with a text of 4 GiB; what is interned stays. A name that is there already is found all the same.
    ///
    /// # Panics
    ///
    /// As the hasher does.
    ///
    /// ```
    /// # use blixard_arena::{ArenaOptions, intern::ArenaInterner};
    /// let arena = ArenaOptions::new().budget_bytes_max(16 << 10).arena();
    /// let mut labels = ArenaInterner::new_in(&arena);
    /// let zone = labels.intern("zone");
    /// assert!(labels.try_intern(&"x".repeat(1 << 20)).is_err()); // a label of a megabyte ends the request, no more
    /// assert_eq!(labels.try_intern("zone"), Ok(zone));
    /// ```
    #[inline]
    pub fn try_intern(&mut self, text: &str) -> Result<Symbol, InternError> {
        let nth = self.nth::<InternError>(text)?;
        Ok(self.symbol(nth))
    }

    /// The arena's own copy of `text`, made unless it is there already: for names that are kept as text and should be stored
    /// once. Equal texts have one address.
    ///
    /// # Panics
    ///
    /// As [`intern`](Self::intern).
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use blixard_arena::intern::ArenaInterner;
    ///
    /// let arena = Arena::new();
    /// let mut names = ArenaInterner::new_in(&arena);
    /// let (here, there) = (names.intern_str("node-7"), names.intern_str("node-7"));
    /// drop(names); // the texts live as long as the arena
    /// assert!(std::ptr::eq(here, there));
    /// ```
    #[inline]
    pub fn intern_str(&mut self, text: &str) -> &'a str {
        let Ok(nth) = self.nth::<Panicked>(text);
        self.names[nth as usize - 1].text()
    }

    /// The symbol of `text` if it is interned.
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use blixard_arena::intern::ArenaInterner;
    ///
    /// let arena = Arena::new();
    /// let nodes = ArenaInterner::from_iter_in(["node-1", "node-2"], &arena);
    /// assert!(nodes.get("node-2").is_some());
    /// assert_eq!(nodes.get("node-3"), None); // a stranger's name takes no memory
    /// ```
    #[inline]
    #[must_use]
    pub fn get(&self, text: &str) -> Option<Symbol> {
        self.find(text, self.hash(text)).ok().map(|nth| self.symbol(nth))
    }

    /// Makes room for `additional` more names, so that only their texts are still to be placed.
    ///
    /// # Panics
    ///
    /// With [`BudgetExceeded`] over budget; beyond 2^30 names.
    ///
    /// ```
    /// # use blixard_arena::{Arena, intern::ArenaInterner};
    /// let arena = Arena::new();
    /// let mut names = ArenaInterner::new_in(&arena);
    /// let batch = ["vm-1", "vm-2", "vm-3"];
    /// names.reserve(batch.len()); // no smaller table is left behind in the arena
    /// names.extend(batch);
    /// assert_eq!(names.len(), 3);
    /// ```
    pub fn reserve(&mut self, additional: usize) {
        if let Err(refused) = self.try_reserve(additional) {
            refused.panic();
        }
    }

    /// [`reserve`](Self::reserve), or an error.
    ///
    /// # Errors
    ///
    /// [`InternError`] over budget, and beyond 2^30 names; what is interned stays.
    ///
    /// ```
    /// use blixard_arena::ArenaOptions;
    /// use blixard_arena::intern::{ArenaInterner, InternError};
    ///
    /// let arena = ArenaOptions::new().budget_bytes_max(16 << 10).arena();
    /// let mut names = ArenaInterner::new_in(&arena);
    /// let claimed = 1_000_000; // says the request
    /// assert!(matches!(names.try_reserve(claimed), Err(InternError::Budget(_))));
    /// let vm = names.try_intern("vm-1")?; // it goes on with what there is
    /// assert_eq!(names.resolve(vm), "vm-1");
    /// # Ok::<_, InternError>(())
    /// ```
    #[cold]
    #[inline(never)]
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), InternError> {
        let names = self.names.len().saturating_add(additional);
        if names > NAMES_MAX {
            return Err(InternError::Full { names: self.names.len(), names_max: NAMES_MAX });
        }
        // Each is whole without the other.
        self.names.try_reserve(additional)?;
        if names > self.room() {
            self.grow_table(groups_for(names))?;
        }
        Ok(())
    }

    /// Names that the table has room for.
    #[inline(always)]
    fn room(&self) -> usize {
        self.groups.len() * SLOTS / 2
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "one half of the hash, which depends on all of the text")]
    fn hash(&self, text: &str) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        // Without the mark that `str`'s `Hash` appends: there is one text, and nothing after it.
        hasher.write(text.as_bytes());
        hasher.finish() as u32
    }

    /// Which name `text` is, or else the group where it would go. Straight on for what nearly every call meets: one slot of
    /// the first group agrees and is the name, or none does and the group has room.
    #[inline(always)]
    fn find(&self, text: &str, hash: u32) -> Result<u32, usize> {
        let at = first(self.groups, hash);
        // Without groups, the first one is missing.
        let Some(group) = self.groups.get(at) else { return Err(at) };
        let matching = matching(group, hash, &self.tag);
        if matching != 0 {
            let nth = group[matching.trailing_zeros() as usize % SLOTS] & !self.tag[0];
            if self.is(nth, text) {
                return Ok(nth);
            }
        } else if group[SLOTS - 1] == 0 {
            return Err(at);
        }
        self.find_beyond(text, hash)
    }

    /// [`find`](Self::find) for whatever there is to meet.
    #[inline(never)]
    fn find_beyond(&self, text: &str, hash: u32) -> Result<u32, usize> {
        let mut at = first(self.groups, hash);
        loop {
            let group = &self.groups[at];
            let mut matching = matching(group, hash, &self.tag);
            while matching != 0 {
                let nth = group[matching.trailing_zeros() as usize % SLOTS] & !self.tag[0];
                if self.is(nth, text) {
                    return Ok(nth);
                }
                matching &= matching - 1;
            }
            if group[SLOTS - 1] == 0 {
                return Err(at);
            }
            at = (at + 1) & (self.groups.len() - 1);
        }
    }

    /// Whether the `nth` name is `text`; 0 is none.
    #[inline(always)]
    fn is(&self, nth: u32, text: &str) -> bool {
        self.names.get((nth as usize).wrapping_sub(1)).is_some_and(|name| same(name.text(), text))
    }

    /// Which name `text` is, from now on.
    #[inline(always)]
    fn nth<E: From<InternError>>(&mut self, text: &str) -> Result<u32, E> {
        let hash = self.hash(text);
        match self.find(text, hash) {
            Ok(nth) => Ok(nth),
            Err(at) => self.insert(text, hash, at),
        }
    }

    /// Appends a name that goes into the group `at`.
    #[inline(never)]
    fn insert<E: From<InternError>>(&mut self, text: &str, hash: u32, mut at: usize) -> Result<u32, E> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(InternError::Long { bytes: text.len(), bytes_max: TEXT_BYTES_MAX }.into());
        }
        if self.names.len() >= self.room() {
            self.try_reserve(1)?;
            at = vacant(self.groups, hash);
        }
        self.names.try_reserve(1).map_err(InternError::Budget)?;
        let text = self.arena.try_alloc_str(text).map_err(InternError::Budget)?;
        self.names.push(Text::new(text, hash));
        #[expect(clippy::cast_possible_truncation, reason = "at most 2^30")]
        let nth = self.names.len() as u32;
        put(&mut self.groups[at], hash, self.tag[0], nth);
        Ok(nth)
    }

    /// A table of so many groups in place of the present one.
    fn grow_table(&mut self, groups: usize) -> Result<(), BudgetExceeded> {
        let wider = self.arena.try_alloc_slice_fill_with(groups, |_| [0; SLOTS])?;
        for (nth, name) in (1..).zip(&self.names) {
            put(&mut wider[vacant(wider, name.hash())], name.hash(), tag(groups), nth);
        }
        (self.groups, self.tag) = (wider, [tag(groups); SLOTS]);
        Ok(())
    }
}

impl<'a, A: AnyArena, S> ArenaInterner<'a, A, S> {
    /// The name of a symbol that this interner made; it lives as long as the arena.
    ///
    /// # Panics
    ///
    /// With a symbol of another interner, where that is noticed: see [`Symbol`].
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use blixard_arena::intern::{ArenaInterner, Symbol};
    ///
    /// let arena = Arena::new();
    /// let mut names = ArenaInterner::new_in(&arena);
    /// let mut chosen: Vec<Symbol> = ["node-9", "node-7", "node-9"].map(|node| names.intern(node)).into();
    /// chosen.dedup();
    /// chosen.sort_by_key(|node| names.resolve(*node));
    /// assert_eq!(names.resolve(chosen[0]), "node-7");
    /// ```
    #[inline]
    #[must_use]
    pub fn resolve(&self, symbol: Symbol) -> &'a str {
        match self.names.get(self.numbering.index(symbol)) {
            Some(name) => name.text(),
            None => foreign(symbol, self.len()),
        }
    }

    /// How many names there are.
    ///
    /// ```
    /// # use blixard_arena::{Arena, intern::ArenaInterner};
    /// let arena = Arena::new();
    /// let zones = ArenaInterner::from_iter_in(["eu", "us", "eu"], &arena);
    /// assert!(zones.len() >= 2, "replicas in two zones at least");
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// # use blixard_arena::{Arena, intern::ArenaInterner};
    /// let arena = Arena::new();
    /// let mut missing = ArenaInterner::new_in(&arena);
    /// missing.extend(["gpu", "ssd"].iter().filter(|tag| !["ssd", "gpu"].contains(*tag)));
    /// assert!(missing.is_empty()); // the node has every tag
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All names with their symbols, in the order in which they were first interned.
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use blixard_arena::intern::ArenaInterner;
    ///
    /// let arena = Arena::new();
    /// let names = ArenaInterner::from_iter_in(["vm-2", "vm-1", "vm-2"], &arena);
    /// // A reply sends each name once, and after that numbers.
    /// let table: Vec<&str> = names.iter().map(|(_, name)| name).collect();
    /// assert_eq!(table, ["vm-2", "vm-1"]);
    /// ```
    #[inline]
    pub fn iter(&self) -> Iter<'_, 'a> {
        Iter { names: self.names.iter().enumerate(), numbering: self.numbering }
    }

    /// Of the `nth` name, counted from 1.
    #[inline(always)]
    fn symbol(&self, nth: u32) -> Symbol {
        self.numbering.symbol(nth.wrapping_sub(1))
    }
}

impl<A: AnyArena, S> Index<Symbol> for ArenaInterner<'_, A, S> {
    type Output = str;

    /// [`resolve`](ArenaInterner::resolve).
    #[inline]
    fn index(&self, symbol: Symbol) -> &str {
        self.resolve(symbol)
    }
}

impl<A: AnyArena, S: BuildHasher, T: AsRef<str>> Extend<T> for ArenaInterner<'_, A, S> {
    /// [`intern`](ArenaInterner::intern)s all of them; the iterator may itself allocate in the arena.
    fn extend<I: IntoIterator<Item = T>>(&mut self, texts: I) {
        texts.into_iter().for_each(|text| _ = self.intern(text.as_ref()));
    }
}

impl<'i, 'a, A: AnyArena, S> IntoIterator for &'i ArenaInterner<'a, A, S> {
    type Item = (Symbol, &'a str);
    type IntoIter = Iter<'i, 'a>;

    fn into_iter(self) -> Iter<'i, 'a> {
        self.iter()
    }
}

impl<A: AnyArena, S> fmt::Debug for ArenaInterner<'_, A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// Names with their symbols, in the order of interning: see [`ArenaInterner::iter`].
///
/// ```
/// use blixard_arena::{Arena, intern::ArenaInterner};
///
/// let arena = Arena::new();
/// let mut names = ArenaInterner::new_in(&arena);
/// for tenant in ["acme", "duff", "acme"] {
///     names.intern(tenant);
/// }
/// assert!(names.iter().map(|(_, name)| name).eq(["acme", "duff"])); // a reply's table of names
/// ```
#[derive(Clone)]
#[must_use = "iterators are lazy"]
pub struct Iter<'i, 'a> {
    names: Enumerate<slice::Iter<'i, Text<'a>>>,
    numbering: Numbering,
}

impl<'a> Iterator for Iter<'_, 'a> {
    type Item = (Symbol, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (index, name) = self.names.next()?;
        #[expect(clippy::cast_possible_truncation, reason = "below 2^30")]
        let symbol = self.numbering.symbol(index as u32);
        Some((symbol, name.text()))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.names.size_hint()
    }
}

impl fmt::Debug for Iter<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

impl ExactSizeIterator for Iter<'_, '_> {}
impl FusedIterator for Iter<'_, '_> {}

/// A name could not be interned.
///
/// ```
/// use blixard_arena::ArenaOptions;
/// use blixard_arena::intern::{ArenaInterner, InternError};
///
/// let arena = ArenaOptions::new().budget_bytes_max(4096).arena();
/// let mut names = ArenaInterner::new_in(&arena);
/// let known = names.intern("vm-1");
/// match names.try_intern(&"x".repeat(10_000)) {
///     Err(InternError::Budget(over)) => assert_eq!((over.asked, over.allowed), (10_000, 4096)),
///     other => panic!("{other:?}"),
/// }
/// assert_eq!(names.try_intern("vm-1"), Ok(known)); // what was interned stays
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InternError {
    /// The arena has no room within its budget.
    Budget(BudgetExceeded),
    /// All numbers are given.
    Full {
        /// Names interned.
        names: usize,
        /// Names that an interner holds at most.
        names_max: usize,
    },
    /// The text is too long for a name.
    Long {
        /// Bytes of the text.
        bytes: usize,
        /// Bytes that a name has at most.
        bytes_max: usize,
    },
}

/// The error of a call that panics instead: no value of this type exists.
enum Panicked {}

impl From<InternError> for Panicked {
    #[cold]
    fn from(refused: InternError) -> Self {
        refused.panic()
    }
}

impl InternError {
    /// Over budget the payload is the same as that of the arena's own calls.
    #[cold]
    fn panic(self) -> ! {
        match self {
            Self::Budget(over) => panic_any(over),
            _ => panic!("{self}"),
        }
    }
}

impl From<BudgetExceeded> for InternError {
    fn from(over: BudgetExceeded) -> Self {
        Self::Budget(over)
    }
}

impl fmt::Display for InternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget(over) => over.fmt(f),
            Self::Full { names, names_max } => write!(f, "interner: {names} names are held of {names_max} possible"),
            Self::Long { bytes, bytes_max } => write!(f, "interner: a name of {bytes} bytes, {bytes_max} are possible"),
        }
    }
}

impl std::error::Error for InternError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Budget(over) => Some(over),
            _ => None,
        }
    }
}

#[cold]
#[track_caller]
fn foreign(symbol: Symbol, names: usize) -> ! {
    panic!("{symbol:?} is none of this interner's {names} names: another interner made it")
}

/// What is looked at in one step: as many slots as a vector register of every processor holds. They fill up in order.
type Group = [u32; SLOTS];

const SLOTS: usize = 4;

/// The table for so many names: a power of two, at least half of the slots empty.
const fn groups_for(names: usize) -> usize {
    let groups = (2 * names).next_power_of_two() / SLOTS;
    if groups < GROUPS_MIN { GROUPS_MIN } else { groups }
}

/// The first table: two cache lines, which the hardware fetches together.
const GROUPS_MIN: usize = 8;

/// The bits of a slot that are the hash's, in a table of so many groups.
#[expect(clippy::cast_possible_truncation, reason = "at most 2^31 slots")]
const fn tag(groups: usize) -> u32 {
    !((groups * SLOTS - 1) as u32)
}

/// The group where names of this hash begin.
#[inline(always)]
fn first(groups: &[Group], hash: u32) -> usize {
    hash as usize & groups.len().wrapping_sub(1)
}

/// The slots of a group that agree with `hash` in the bits of `tag`, a bit for each: four at once where there are vectors.
#[inline(always)]
fn matching(group: &Group, hash: u32, tag: &Group) -> u32 {
    (0..SLOTS).fold(0, |matching, at| matching | u32::from((group[at] ^ hash) & tag[at] == 0) << at)
}

/// The first group from that of `hash` on which is not full.
#[inline(always)]
fn vacant(groups: &[Group], hash: u32) -> usize {
    let mut at = first(groups, hash);
    while groups[at][SLOTS - 1] != 0 {
        at = (at + 1) & (groups.len() - 1);
    }
    at
}

/// Enters the `nth` name into a group that is not full.
#[inline(always)]
fn put(group: &mut Group, hash: u32, tag: u32, nth: u32) {
    let free = matching(group, 0, &[u32::MAX; SLOTS]).trailing_zeros() as usize;
    group[free] = (hash & tag) | nth;
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;
    use crate::Arena;

    #[test]
    fn the_last_name_of_all_is_held_and_the_next_refused() {
        let arena = Arena::new();
        let mut names = ArenaInterner::new_in(&arena);
        names.extend((0..NAMES_MAX).map(|i| i.to_string()));
        let full = InternError::Full { names: NAMES_MAX, names_max: NAMES_MAX };
        assert_eq!(names.try_intern("one more"), Err(full));
        assert_eq!(names.try_reserve(1), Err(full));
        assert_eq!(names.try_reserve(usize::MAX), Err(full));
        assert_eq!(full.to_string(), "interner: 4096 names are held of 4096 possible");
        let last = names.try_intern(&(NAMES_MAX - 1).to_string()).unwrap();
        assert_eq!((names.resolve(last), names.len()), ("4095", NAMES_MAX));
        assert!(names.iter().all(|(symbol, name)| names.get(name) == Some(symbol)));
    }

    #[test]
    fn the_longest_text_of_all_is_held_and_a_longer_one_refused() {
        let arena = Arena::new();
        let mut names = ArenaInterner::new_in(&arena);
        let text = "x".repeat(TEXT_BYTES_MAX + 1);
        let long = InternError::Long { bytes: TEXT_BYTES_MAX + 1, bytes_max: TEXT_BYTES_MAX };
        assert_eq!(names.try_intern(&text), Err(long));
        assert_eq!(long.to_string(), "interner: a name of 65537 bytes, 65536 are possible");
        assert_eq!(names.intern_str(&text[1..]), &text[1..]);
        assert_eq!((names.len(), names.get(&text)), (1, None));
    }

    #[test]
    fn half_of_the_slots_are_empty_at_any_number_of_names() {
        let arena = Arena::new();
        let mut names = ArenaInterner::new_in(&arena);
        for i in 0..300 {
            names.intern(&i.to_string());
            let free = names.groups.iter().flatten().filter(|slot| **slot == 0).count();
            assert!(free >= names.len() && free + names.len() == names.groups.len() * SLOTS, "{i}: {free} free");
        }
    }

    #[test]
    fn a_table_has_room_for_what_it_is_made_for_and_an_empty_slot() {
        for names in (1..5000).chain([1 << 30]) {
            let slots = SLOTS * groups_for(names);
            assert!(slots.is_power_of_two() && slots / 2 >= names, "{names}");
            assert!(slots == SLOTS * GROUPS_MIN || slots / 4 < names, "no larger than need be: {names}");
        }
    }
}
