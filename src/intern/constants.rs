//! Constants: sets of names that are numbers at compile time, for `const` and `match`, and equal in every pool that knows them.
//!
//! Stands beside the pool. A constant's word is odd: a number for its set above sixteen bits for its place there. The set's number
//! follows from its texts, so nobody has to hand numbers out, and two sets of the same texts are one. Where the texts lie
//! cannot be part of a number at compile time: a set is entered in a table of the process when a pool that knows it is made.
//! The highest bit is always set; odd words without it are names of tables on disk (`tables.rs`).
//!
//! Invariants: a number stands for one list of texts; what is entered stays. Cost: no heap call.
#![forbid(unsafe_code)]

use super::string::InternedString;
use super::tables;
use std::fmt;
use std::num::NonZero;
use std::sync::OnceLock;

/// Different sets in a process, at most.
const SETS_MAX: usize = 64;
/// Names of a set, at most.
const NAMES_MAX: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 16;
/// The lowest bit says that it is a constant.
const PLACE_SHIFT: u32 = 1;
const SET_SHIFT: u32 = PLACE_SHIFT + PLACE_BITS;
/// The bit that tells sets from tables.
const SET_BIT: usize = 1 << (usize::BITS - 1);

/// A set of constant names. Declared by [`constant_names!`](crate::constant_names).
///
/// ```
/// use blixard_arena::intern::StringPoolOptions;
/// blixard_arena::constant_names! { pub State { RUNNING = "running", STOPPED = "stopped" } }
///
/// let pool = StringPoolOptions::new().constants(&State::SET).build();
/// let told = pool.intern("running"); // by a node, as text
/// assert!(matches!(told, State::RUNNING)); // compared as a number
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct ConstantSet {
    /// Follows from the names; `SET_SHIFT` bits less than a word.
    number: usize,
    names: &'static [&'static str],
}

impl ConstantSet {
    /// A set of these names, for sets that [`constant_names!`](crate::constant_names) does not declare.
    ///
    /// ```
    /// use blixard_arena::intern::{ConstantSet, StringPoolOptions};
    /// static ZONES: ConstantSet = ConstantSet::new(&["zone-a", "zone-b"]); // made by a build script, say
    ///
    /// let pool = StringPoolOptions::new().constants(&ZONES).build();
    /// assert_eq!(pool.intern("zone-b"), ZONES.name("zone-b"));
    /// ```
    ///
    /// # Panics
    /// If a name is there twice, or beyond 65,536 names: at compile time, where it is a constant.
    #[must_use]
    pub const fn new(names: &'static [&'static str]) -> Self {
        assert!(names.len() <= NAMES_MAX, "a set has at most 65,536 names");
        let mut number = 0xcbf2_9ce4_8422_2325; // FNV-1a
        let mut at = 0;
        while at < names.len() {
            let mut before = 0;
            while before < at {
                assert!(!same(names[before], names[at]), "a name is in the set twice");
                before += 1;
            }
            number = fnv(number, names[at]);
            at += 1;
        }
        // The upper bits have seen the most multiplications.
        Self { number: (number | SET_BIT) >> SET_SHIFT, names }
    }

    /// The constant of a name.
    ///
    /// ```
    /// use blixard_arena::intern::{ConstantSet, InternedString};
    /// const CLASSES: ConstantSet = ConstantSet::new(&["LS", "BE"]);
    /// const BEST_EFFORT: InternedString = CLASSES.name("BE"); // a misspelt one does not compile
    ///
    /// assert_ne!(BEST_EFFORT, CLASSES.name("LS"));
    /// ```
    ///
    /// # Panics
    /// If the set does not have it: at compile time, where it is a constant.
    #[must_use]
    pub const fn name(&self, text: &str) -> InternedString {
        let mut place = 0;
        while place < self.names.len() {
            if same(self.names[place], text) {
                return InternedString::constant(self.word(place));
            }
            place += 1;
        }
        panic!("no name of the set")
    }

    const fn word(&self, place: usize) -> NonZero<usize> {
        match NonZero::new(self.number << SET_SHIFT | place << PLACE_SHIFT | 1) {
            Some(word) => word,
            None => panic!("it is odd"),
        }
    }

    /// The names, in the order of their declaration.
    ///
    /// ```
    /// blixard_arena::constant_names! { pub Mode { READ = "read", WRITE = "write" } }
    ///
    /// assert_eq!(Mode::SET.names(), ["read", "write"]); // for an error that lists what is allowed
    /// ```
    #[must_use]
    pub const fn names(&self) -> &'static [&'static str] {
        self.names
    }

    pub(super) fn words(&'static self) -> impl Iterator<Item = (&'static str, InternedString)> {
        self.names.iter().enumerate().map(|(place, name)| (*name, InternedString::constant(self.word(place))))
    }

    /// Makes the texts of the set's constants known to the process.
    pub(super) fn register(&'static self) {
        for step in 0..SETS_MAX {
            let there = *SETS[(self.number + step) % SETS_MAX].get_or_init(|| self);
            if there.number == self.number {
                assert!(there.names == self.names, "two sets of constants have one number: change a name of either");
                return;
            }
        }
        panic!("{SETS_MAX} sets of constants are known to the process, and no more can be");
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// Takes a text into an FNV-1a hash (Fowler, Noll, Vo), and its end: 0xff is in no text.
const fn fnv(mut hash: usize, text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at <= bytes.len() {
        let byte = if at < bytes.len() { bytes[at] } else { 0xff };
        hash = (hash ^ byte as usize).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// The sets that the process knows, by their numbers. A place once taken stays.
static SETS: [OnceLock<&'static ConstantSet>; SETS_MAX] = [const { OnceLock::new() }; SETS_MAX];

fn find(word: NonZero<usize>) -> Option<&'static str> {
    if word.get() & SET_BIT == 0 {
        return tables::text(word);
    }
    let number = word.get() >> SET_SHIFT;
    for step in 0..SETS_MAX {
        let set = SETS[(number + step) % SETS_MAX].get()?;
        if set.number == number {
            return set.names.get(word.get() >> PLACE_SHIFT & (NAMES_MAX - 1)).copied();
        }
    }
    None
}

/// The text of a constant.
pub(super) fn text(word: NonZero<usize>) -> &'static str {
    match find(word) {
        Some(text) => text,
        None => panic!("a constant name whose set no string pool was made with"),
    }
}

pub(super) fn debug(word: NonZero<usize>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match find(word) {
        Some(text) => fmt::Debug::fmt(text, f),
        None => write!(f, "constant {} of a set no pool was made with", word.get() >> PLACE_SHIFT & (NAMES_MAX - 1)),
    }
}

/// Declares a set of constant names: a type with an [`InternedString`](crate::intern::InternedString) constant for each,
/// and `SET`, which makes a pool know them.
///
/// Such a constant stands in a `match` and in a `const`, costs no look-up and no count, and is what every pool that knows the set gives for
/// its text.
///
/// ```
/// use blixard_arena::intern::{InternedString, StringPoolOptions};
///
/// blixard_arena::constant_names! {
///     /// The methods that this service answers.
///     pub Method {
///         /// Reads.
///         GET = "get",
///         /// Writes.
///         PUT = "put",
///     }
/// }
///
/// fn writes(method: &InternedString) -> bool {
///     match *method {
///         Method::PUT => true, // one comparison of two numbers
///         _ => false,
///     }
/// }
///
/// const DEFAULT: InternedString = Method::GET;
/// let pool = StringPoolOptions::new().constants(Method::SET).build();
/// assert!(writes(&pool.intern("put")));
/// assert!(!writes(&DEFAULT));
/// assert_eq!(&*Method::PUT, "put");
/// ```
///
/// A name that is there twice does not compile:
///
/// ```compile_fail
/// blixard_arena::constant_names! { pub Method { GET = "get", READ = "get" } }
///
/// let get = Method::GET;
/// ```
#[macro_export]
macro_rules! constant_names {
    ($(#[$meta:meta])* $vis:vis $set:ident { $($(#[$name_meta:meta])* $name:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis enum $set {}

        impl $set {
            /// All names of the set, for a pool that is to know them.
            $vis const SET: &'static $crate::intern::ConstantSet = &$crate::intern::ConstantSet::new(&[$($text),+]);
            $(
                $(#[$name_meta])*
                $vis const $name: $crate::intern::InternedString = Self::SET.name($text);
            )+
        }
    };
}
