//! `StringPool`: names of the process, found without a lock under a pin, freed when nobody holds them.
//!
//! On the data's way it stands beside the arena: names that outlive their request come from here. A hit is a hash, the
//! shard's published table, the entry, and a read of its count word; a miss takes the shard's lock. `shard.rs` has the
//! steps of reclaiming, `sync/pins.rs` what a pin is.
//!
//! Invariants: equal texts of one pool that anybody can use at the same time have one address; a name is freed only when nobody
//! holds it and nobody is pinned who could have found it; caps are never passed. Cost: no heap call for a hit, a pin
//! and a clone; a new name costs a part of a chunk, now and then a chunk or a table.
//!
//! Longer than most files here: half of its lines are the examples of its calls.
#![expect(unsafe_code, reason = "says how long entries and tables stay")]

use super::account::{Account, PoolFull};
use super::constants::ConstantSet;
use super::entry::Entry;
use super::figures::StringPoolFigures;
use super::hash::{SHARDS, TextHash};
use super::shard::{Around, Shard, Walk};
use super::string::{InternedString, Name};
use super::table::{Published, Retired, Table, TableList};
use super::tables::Tables;
use crate::sync::{Arc, AtomicUsize, Grace, Mutex, Ordering, PinCount, Pins, lock, try_lock};
use std::fmt;
use std::num::NonZero;

/// New names of a shard between two steps of a sweep that names set off.
const STEP_EVERY: u64 = if cfg!(blixard_loom) { 1 } else { 8 };
/// Slots that such a step walks.
const STEP_SLOTS: usize = 256;
/// Slots that an explicit sweep walks under a shard's lock before it lets others in.
const SWEEP_SLOTS: usize = 4096;
/// Walks that a name nobody holds is marked, unlinked and freed in.
const WALKS: usize = 3;
/// Below so many names none sets off a sweep.
const SWEEP_ENTRIES_MIN: usize = 1024;

/// Limits of a pool, and the sets of constants that it knows.
///
/// ```
/// use blixard_arena::intern::StringPoolOptions;
///
/// // Labels of tenants: a million at most, in 64 MiB.
/// let labels = StringPoolOptions::new().entries_max(1_000_000).bytes_max(64 << 20).build();
/// let label = labels.intern("tenant-17");
/// assert_eq!(&*label, "tenant-17");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StringPoolOptions {
    entries_max: usize,
    bytes_max: usize,
    constants: Vec<&'static ConstantSet>,
    tables: Tables,
}

impl Default for StringPoolOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl StringPoolOptions {
    /// The default cap on names: 4,194,304.
    ///
    /// ```
    /// use blixard_arena::intern::StringPoolOptions;
    /// let tenants = StringPoolOptions::new().entries_max(StringPoolOptions::ENTRIES_DEFAULT / 64).build();
    /// assert_eq!(tenants.figures().entries, 0);
    /// ```
    pub const ENTRIES_DEFAULT: usize = 1 << 22;
    /// The default cap on bytes: 256 MiB.
    ///
    /// ```
    /// use blixard_arena::intern::StringPoolOptions;
    /// let small_node = StringPoolOptions::new().bytes_max(StringPoolOptions::BYTES_DEFAULT / 16); // 16 MiB
    /// assert!(small_node.build().try_intern("vm-1").is_ok());
    /// ```
    pub const BYTES_DEFAULT: usize = 256 << 20;

    /// The defaults, no constants.
    ///
    /// ```
    /// use blixard_arena::intern::StringPoolOptions;
    /// let pool = StringPoolOptions::new().entries_max(100_000).build(); // as many names as there are tenants, and then some
    /// assert_eq!(pool.intern("acme"), pool.intern("acme"));
    /// ```
    pub fn new() -> Self {
        let (constants, tables) = (Vec::new(), Tables::default());
        Self { entries_max: Self::ENTRIES_DEFAULT, bytes_max: Self::BYTES_DEFAULT, constants, tables }
    }

    /// The most names that the pool has at one time, constants and those that wait to be freed included.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPoolOptions;
    /// let tenants = StringPoolOptions::new().entries_max(1).build(); // what strangers may fill
    /// let _held = tenants.intern("acme");
    /// assert!(tenants.try_intern("umbrella").is_err());
    /// ```
    pub fn entries_max(mut self, entries: usize) -> Self {
        self.entries_max = entries;
        self
    }

    /// The most bytes that the pool holds from the global allocator, for texts and tables, those that wait to be freed
    /// included; the pool's own 13 KiB and the allocator's headers are left out.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPoolOptions;
    /// let labels = StringPoolOptions::new().bytes_max(1 << 20).build(); // of a machine that is small
    /// assert!(labels.try_intern(&"x".repeat(2 << 20)).is_err());
    /// assert!(labels.try_intern("zone").is_ok());
    /// ```
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Has the pool know a set of constants: interning one of their texts gives the constant. A set that is named twice counts once.
    ///
    /// ```
    /// use blixard_arena::intern::StringPoolOptions;
    ///
    /// blixard_arena::constant_names! {
    ///     /// What a door can be.
    ///     pub DoorState { OPEN = "open", CLOSED = "closed" }
    /// }
    ///
    /// let pool = StringPoolOptions::new().constants(DoorState::SET).build();
    /// let state = pool.intern("closed"); // from a request, say
    /// match state {
    ///     DoorState::OPEN => panic!("it is closed"),
    ///     DoorState::CLOSED => {}
    ///     other => panic!("no state of a door: {other}"),
    /// }
    /// ```
    pub fn constants(mut self, set: &'static ConstantSet) -> Self {
        self.constants.push(set);
        self
    }

    /// Has the pool know the names of a table on disk: interning one of them gives a constant of the table, which is equal in every
    /// pool that knows the same `table`, and never freed. The table is verified here; a name is looked up in it, and entered, when it is first
    /// met, so that a pool over a million names begins as small as any other.
    ///
    /// A name that a constant set of the pool has too is the set's; one that two tables have is the first one's. Two `Table`s of one file
    /// are two tables: open it once per process.
    ///
    /// # Errors
    /// What [`Table::verify`](crate::mapped::Table::verify) says, which looks at the whole table.
    ///
    /// # Panics
    /// Beyond 64 tables in the process.
    ///
    /// ```
    /// use blixard_arena::intern::StringPoolOptions;
    /// use blixard_arena::mapped::{Table, TableBuilder};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut builder = TableBuilder::new();
    /// # ["tenant-1", "tenant-2"].iter().try_for_each(|name| builder.add(name).map(drop))?;
    /// # let bytes = builder.to_bytes()?;
    /// let tenants: &'static Table = Box::leak(Box::new(Table::from_bytes(&bytes)?)); // or `Table::open`, once at the start
    /// let (requests, state) =
    ///     (StringPoolOptions::new().table(tenants)?.build(), StringPoolOptions::new().table(tenants)?.build());
    /// assert_eq!(requests.intern("tenant-2"), state.intern("tenant-2")); // one word, whichever the pool
    /// assert!(requests.pin().get("tenant-1").is_some() && requests.pin().get("tenant-9").is_none());
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "mapped")]
    pub fn table(mut self, table: &'static crate::mapped::Table) -> Result<Self, crate::mapped::TableError> {
        self.tables.add(table)?;
        Ok(self)
    }

    /// Makes the pool, and enters its constants.
    ///
    /// ```
    /// use blixard_arena::intern::StringPoolOptions;
    /// blixard_arena::constant_names! { pub Role { LEADER = "leader", FOLLOWER = "follower" } }
    ///
    /// let pool = StringPoolOptions::new().constants(&Role::SET).build();
    /// assert_eq!(pool.intern("leader"), Role::LEADER);
    /// ```
    ///
    /// # Panics
    /// Where a text is in two different sets, or with [`PoolFull`] where the constants do not fit the caps. Beyond
    /// 64 different sets in the process.
    #[must_use]
    pub fn build(self) -> StringPool {
        let pool = StringPool(Arc::new(Inner::new(self.bytes_max, self.entries_max, self.tables)));
        for set in self.constants {
            set.register();
            for (text, word) in set.words() {
                pool.enter_constant(text, word.word());
            }
        }
        pool
    }
}

/// Names of the process: each text is stored once, for as long as somebody holds it.
///
/// A cheap, clonable handle. Threads that look names up wait for no one: under a [`pin`](Self::pin) a hit takes no lock
/// and writes nothing that threads share. What nobody holds any more is freed by sweeps, a bounded piece of
/// one with every eighth new name of a shard once the pool has twice the names that the last sweep left (never below 1,024 names), or seven
/// eighths of a cap; or all at once by [`sweep`](Self::sweep). The pool starts no thread: while no name is new and nobody calls `sweep`, nothing is freed.
///
/// ```
/// use blixard_arena::intern::StringPool;
///
/// let pool = StringPool::new();
/// // A request looks up many names; it pins the pool once.
/// let pin = pool.pin();
/// let (a, b) = (pin.intern("node-a"), pin.intern("node-a"));
/// assert_eq!(a, b); // by address
/// // What outlives the request is counted.
/// let kept = a.to_interned();
/// drop(pin);
/// assert_eq!(pool.intern("node-a"), kept); // by one word
/// ```
///
/// When the last handle goes, tables and texts that nobody holds go with it. An [`InternedString`] lives on: it keeps the chunk (64 KiB
/// at most, or its own) that its text lies in, and the last one of a chunk frees it.
///
/// # Cost
/// A pool holds 13 KiB, in one heap call. A new name takes 12 bytes and its text, rounded up to a multiple of 4, and 10
/// to 20 bytes of table; chunks of up to 64 KiB are taken for many names at once. A hit, a pin, a clone, a drop: no heap call.
#[derive(Clone)]
pub struct StringPool(Arc<Inner>);

struct Inner {
    published: [Published; SHARDS],
    pins: Pins,
    account: Account,
    shards: [Aligned<Mutex<Shard>>; SHARDS],
    retired: Retired,
    /// Bytes of tables that were retired and not freed yet. Relaxed throughout, as `sweep_at`: numbers that publish nothing.
    retired_bytes: AtomicUsize,
    /// So many names set off a sweep; 0 while one is under way.
    sweep_at: AtomicUsize,
    sweeper: Mutex<Sweeper>,
    /// What is looked at before a name is new.
    tables: Tables,
}

/// On a cache line of its own (with its prefetched neighbour).
#[repr(align(128))]
struct Aligned<T>(T);

/// Who sweeps: one thread at a time.
struct Sweeper {
    grace: Grace,
    /// Tables that were retired before `tables_at`.
    tables: TableList,
    tables_at: u64,
    /// The shard that the next step walks, and how many walks of all shards this sweep has done.
    shard: usize,
    walks: usize,
    /// Names that the last walk of this sweep has left in the tables.
    left: usize,
    sweeps: u64,
}

impl Default for StringPool {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StringPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = &self.0.account;
        f.debug_struct("StringPool")
            .field("entries", &account.entries())
            .field("bytes", &account.bytes())
            .finish_non_exhaustive()
    }
}

impl StringPool {
    /// A pool with the default caps: 4,194,304 names in 256 MiB.
    ///
    /// ```
    /// use blixard_arena::intern::StringPool;
    /// let nodes = StringPool::new(); // one per kind of name, or one for all
    /// let id = nodes.intern("node-17"); // kept in the cluster's state, one word
    /// assert_eq!(id.as_str(), "node-17");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        StringPoolOptions::new().build()
    }

    /// Begins a pin: while it is held, nothing is freed that is found under it.
    ///
    /// One per request. It may be held across `.await` and end on another thread. While one is held, what nobody holds any
    /// more waits: [`figures`](Self::figures) show how long the oldest pin has been held and how much waits. One that is forgotten
    /// (`mem::forget`) keeps the pool from freeing anything, until its last handle goes.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPool;
    /// let pool = StringPool::new();
    /// let pin = pool.pin(); // once per request
    /// let tags: Vec<_> = ["web", "eu", "web"].into_iter().map(|tag| pin.intern(tag)).collect();
    /// assert_eq!(tags[0], tags[2]); // borrowed, not counted
    /// ```
    #[inline(always)]
    pub fn pin(&self) -> StringPin<'_> {
        StringPin { pool: &self.0, count: self.0.pins.begin() }
    }

    /// The name of a text, held: [`pin`](Self::pin), [`intern`](StringPin::intern) and
    /// [`to_interned`](Name::to_interned) in one. Who interns many names pins once instead.
    ///
    /// # Panics
    /// With [`PoolFull`] where the text is new and a cap is reached.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPool;
    /// let pool = StringPool::new();
    /// let leader = pool.intern("node-1"); // once, when the service starts
    /// let lookup = pool.clone();
    /// std::thread::spawn(move || assert_eq!(lookup.intern("node-1"), leader)).join().unwrap();
    /// ```
    #[inline]
    #[must_use]
    pub fn intern(&self, text: &str) -> InternedString {
        self.pin().intern(text).to_interned()
    }

    /// [`intern`](Self::intern) that returns what it would panic with.
    ///
    /// # Errors
    /// [`PoolFull`] where the text is new and a cap is reached, or the global allocator has no memory.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPoolOptions;
    /// let labels = StringPoolOptions::new().entries_max(2).build();
    /// let (_zone, _tier) = (labels.intern("zone"), labels.intern("tier"));
    /// assert!(labels.try_intern("one label too many").is_err()); // said to the client
    /// assert!(labels.try_intern("zone").is_ok()); // what is there is found
    /// ```
    #[inline]
    pub fn try_intern(&self, text: &str) -> Result<InternedString, PoolFull> {
        Ok(self.pin().try_intern(text)?.to_interned())
    }

    /// Interns the names of a request that have to outlive it, in one pass under one pin.
    ///
    /// ```
    /// use blixard_arena::{ArenaPool, intern::{InternedString, StringPool}};
    ///
    /// let (names, arenas) = (StringPool::new(), ArenaPool::new());
    /// let arena = arenas.acquire();
    /// let tags: [&str; 2] = [arena.alloc_str("web"), arena.alloc_str("eu-1")]; // gone with the request
    /// let mut kept: Vec<InternedString> = Vec::with_capacity(tags.len());
    /// names.promote(tags, &mut kept);
    /// drop(arena);
    /// assert_eq!(&*kept[1], "eu-1");
    /// ```
    ///
    /// # Panics
    /// With [`PoolFull`] where a text is new and a cap is reached; the names before it are in `into`.
    pub fn promote<'n>(&self, names: impl IntoIterator<Item = &'n str>, into: &mut impl Extend<InternedString>) {
        let pin = self.pin();
        into.extend(names.into_iter().map(|name| pin.intern(name).to_interned()));
    }

    /// [`promote`](Self::promote) that returns what it would panic with.
    ///
    /// # Errors
    /// [`PoolFull`] at the first text that is new and does not fit; the names before it are in `into`.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPoolOptions;
    /// let names = StringPoolOptions::new().entries_max(2).build();
    /// let mut kept = Vec::new();
    /// assert!(names.try_promote(["vm-1", "vm-2", "vm-3"], &mut kept).is_err());
    /// assert_eq!(kept.len(), 2); // those before the refused one
    /// ```
    pub fn try_promote<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
        into: &mut impl Extend<InternedString>,
    ) -> Result<(), PoolFull> {
        let pin = self.pin();
        let mut refused = None;
        let mut names = names.into_iter();
        let until_refused = std::iter::from_fn(|| match pin.try_intern(names.next()?) {
            Ok(name) => Some(name.to_interned()),
            Err(full) => {
                refused = Some(full);
                None
            }
        });
        into.extend(until_refused.fuse());
        refused.map_or(Ok(()), Err)
    }

    /// Frees what nobody holds and no pin may have found, and says how many names that were.
    ///
    /// Without pins that is every name that nobody holds. Pins that are held, this thread's own included, put off what is
    /// left to a later sweep. Takes each shard's lock for 4,096 slots at a time, and once for as long as it takes to walk the
    /// shard's texts, when free memory is joined and given back; hits do not wait, new names do.
    ///
    /// ```
    /// use blixard_arena::intern::StringPool;
    ///
    /// let pool = StringPool::new();
    /// let kept = pool.intern("vm-1");
    /// drop(pool.intern("vm-2"));
    /// assert_eq!(pool.sweep(), 1);
    /// assert_eq!(&*kept, "vm-1"); // never what is held
    /// ```
    #[expect(clippy::must_use_candidate, reason = "called for what it does")]
    pub fn sweep(&self) -> u64 {
        self.0.sweep()
    }

    /// What the pool holds and has done. Waits for a sweep that is under way, and takes each shard's lock for a moment.
    ///
    /// ```
    /// use blixard_arena::intern::StringPool;
    ///
    /// let pool = StringPool::new();
    /// let pin = pool.pin();
    /// pin.intern("vm-1");
    /// let figures = pool.figures();
    /// assert_eq!((figures.entries, figures.pins), (1, 1));
    /// ```
    #[must_use]
    pub fn figures(&self) -> StringPoolFigures {
        self.0.figures()
    }

    fn enter_constant(&self, text: &'static str, word: NonZero<usize>) {
        let pin = self.pin();
        let hash = TextHash::of(text);
        // SAFETY: pinned.
        let entry = match unsafe { pin.pool.find_or_enter(hash, text, Some(word)) } {
            Ok(entry) => entry,
            Err(full) => refuse(full),
        };
        assert!(entry.constant() == Some(word), "{text:?} is in two sets of constants of one pool");
    }
}

/// A pin on a [`StringPool`]: under it names are looked up without a lock, and borrowed.
///
/// `Send`: it moves with its task, and ends wherever it is dropped.
///
/// ```
/// use blixard_arena::intern::StringPool;
///
/// let pool = StringPool::new();
/// let pin = pool.pin();
/// let name = pin.intern("vm-1");
/// let other = std::thread::scope(|scope| scope.spawn(|| pin.intern("vm-1")).join().unwrap());
/// assert_eq!(name, other);
/// ```
#[must_use]
pub struct StringPin<'pool> {
    pool: &'pool Inner,
    count: PinCount<'pool>,
}

impl Drop for StringPin<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.count.end();
    }
}

impl fmt::Debug for StringPin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StringPin").finish_non_exhaustive()
    }
}

impl StringPin<'_> {
    /// The name of a text; it is entered if it is new.
    ///
    /// # Panics
    /// With [`PoolFull`] where the text is new and a cap is reached.
    ///
    /// # Cost
    /// A hit takes no lock, makes no heap call and writes nothing that threads share. A new name takes its shard's lock.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPool;
    /// let pool = StringPool::new();
    /// let pin = pool.pin();
    /// let (node, again) = (pin.intern("node-7"), pin.intern("node-7")); // a hit: no lock, no heap call
    /// assert!(std::ptr::eq(node.as_str(), again.as_str())); // stored once
    /// ```
    #[inline]
    #[must_use]
    pub fn intern(&self, text: &str) -> Name<'_> {
        let hash = TextHash::of(text);
        match self.find(hash, text) {
            Some(entry) => Name::new(entry),
            None => match self.find_or_enter(hash, text) {
                Ok(name) => name,
                Err(full) => refuse(full),
            },
        }
    }

    /// [`intern`](Self::intern) that returns what it would panic with.
    ///
    /// # Errors
    /// [`PoolFull`] where the text is new and a cap is reached, or the global allocator has no memory. A pin holds back
    /// what could be freed instead, so a later request may succeed.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPoolOptions;
    /// let tenants = StringPoolOptions::new().entries_max(1).build();
    /// let _held = tenants.intern("acme");
    /// let pin = tenants.pin();
    /// assert!(pin.try_intern("umbrella").is_err()); // a stranger's request ends, no held name is lost
    /// assert_eq!(pin.try_intern("acme").unwrap().as_str(), "acme");
    /// ```
    #[inline]
    pub fn try_intern(&self, text: &str) -> Result<Name<'_>, PoolFull> {
        self.try_intern_hashed(TextHash::of(text), text)
    }

    /// The name of a text, if the pool has it: for texts that nobody vouches for, and that should not be kept for having
    /// been asked for.
    ///
    /// # Panics
    /// With [`PoolFull`] where the text is of a table on disk that the pool knows, was not met before, and a cap is reached.
    ///
    /// ```
    /// use blixard_arena::intern::StringPool;
    ///
    /// let tenants = StringPool::new();
    /// let known = tenants.intern("tenant-17");
    /// let pin = tenants.pin();
    /// assert!(pin.get("tenant-17").is_some());
    /// assert!(pin.get("someone else").is_none()); // and is not kept
    /// ```
    #[inline]
    #[must_use]
    pub fn get(&self, text: &str) -> Option<Name<'_>> {
        self.get_hashed(TextHash::of(text), text)
    }

    /// [`get`](Self::get) that returns what it would panic with.
    ///
    /// # Errors
    /// [`PoolFull`] where the text is of a table of the pool, was not met before, and a cap is reached.
    ///
    /// ```
    /// # use blixard_arena::intern::StringPoolOptions;
    /// # use blixard_arena::mapped::{Table, TableBuilder};
    /// # let mut builder = TableBuilder::new();
    /// # builder.add("tenant-1").unwrap();
    /// # let tenants: &'static Table = Box::leak(Box::new(Table::from_bytes(&builder.to_bytes().unwrap()).unwrap()));
    /// let pool = StringPoolOptions::new().entries_max(1).table(tenants).unwrap().build();
    /// let _full = pool.intern("somebody");
    /// let pin = pool.pin();
    /// assert!(pin.try_get("nobody").unwrap().is_none());
    /// assert!(pin.try_get("tenant-1").is_err()); // it is known, and there is no room to say so
    /// ```
    #[cfg(feature = "mapped")]
    #[inline]
    pub fn try_get(&self, text: &str) -> Result<Option<Name<'_>>, PoolFull> {
        self.try_get_hashed(TextHash::of(text), text)
    }

    /// Apart from its hash, so that tests can lie about it.
    #[inline(always)]
    pub(super) fn try_intern_hashed(&self, hash: TextHash, text: &str) -> Result<Name<'_>, PoolFull> {
        match self.find(hash, text) {
            Some(entry) => Ok(Name::new(entry)),
            None => self.find_or_enter(hash, text),
        }
    }

    #[inline(always)]
    pub(super) fn get_hashed(&self, hash: TextHash, text: &str) -> Option<Name<'_>> {
        match self.try_get_hashed(hash, text) {
            Ok(name) => name,
            Err(full) => refuse(full),
        }
    }

    #[inline(always)]
    fn try_get_hashed(&self, hash: TextHash, text: &str) -> Result<Option<Name<'_>>, PoolFull> {
        match self.table(hash).and_then(|table| table.find(hash, text)) {
            Some(entry) if entry.is_plain() => Ok(Some(Name::new(entry))),
            // SAFETY: this pin, while it is borrowed.
            Some(_) => Ok(unsafe { self.pool.revive(hash, text) }.map(Name::new)),
            None if self.pool.tables.is_empty() => Ok(None),
            None => self.get_of_tables(hash, text),
        }
    }

    /// The name of a text that is not in the pool yet, if one of its tables has it.
    #[cold]
    fn get_of_tables(&self, hash: TextHash, text: &str) -> Result<Option<Name<'_>>, PoolFull> {
        let word = self.pool.tables.word(text);
        // SAFETY: this pin, while it is borrowed.
        word.map(|word| unsafe { self.pool.find_or_enter(hash, text, Some(word)) }.map(Name::new)).transpose()
    }

    #[inline(always)]
    fn table(&self, hash: TextHash) -> Option<Table<'_>> {
        // SAFETY: this pin, while it is borrowed.
        unsafe { self.pool.published[hash.shard()].table() }
    }

    /// The entry of a text, without a lock. `None` also where a sweep has it in hand.
    #[inline(always)]
    fn find(&self, hash: TextHash, text: &str) -> Option<Entry<'_>> {
        self.table(hash)?.find(hash, text).filter(|entry| entry.is_plain())
    }

    fn find_or_enter(&self, hash: TextHash, text: &str) -> Result<Name<'_>, PoolFull> {
        // SAFETY: this pin, while it is borrowed.
        unsafe { self.pool.find_or_enter(hash, text, None) }.map(Name::new)
    }
}

#[cold]
#[inline(never)]
fn refuse(full: PoolFull) -> ! {
    std::panic::panic_any(full)
}

impl Inner {
    fn new(bytes_max: usize, entries_max: usize, tables: Tables) -> Self {
        let sweeper = Sweeper {
            grace: Grace::new(),
            tables: TableList::new(),
            tables_at: 0,
            shard: 0,
            walks: 0,
            left: 0,
            sweeps: 0,
        };
        Self {
            published: std::array::from_fn(|_| Published::new()),
            pins: Pins::new(),
            account: Account::new(bytes_max, entries_max),
            shards: std::array::from_fn(|_| Aligned(Mutex::new(Shard::new()))),
            retired: Retired::new(),
            retired_bytes: AtomicUsize::new(0),
            sweep_at: AtomicUsize::new(SWEEP_ENTRIES_MIN),
            sweeper: Mutex::new(sweeper),
            tables,
        }
    }

    fn around(&self, shard: usize) -> Around<'_> {
        Around {
            published: &self.published[shard],
            retired: &self.retired,
            retired_bytes: &self.retired_bytes,
            account: &self.account,
        }
    }

    /// The entry of a text, under its shard's lock; a new one is entered if `enter`.
    ///
    /// # Safety
    /// The caller is pinned for `'p`.
    #[cold]
    #[inline(never)]
    unsafe fn find_or_enter<'p>(
        &self,
        hash: TextHash,
        text: &str,
        constant: Option<NonZero<usize>>,
    ) -> Result<Entry<'p>, PoolFull> {
        // Before the lock: a table's pages may have to come from the disk.
        let constant = constant.or_else(|| self.tables.word(text));
        let index = hash.shard();
        let around = self.around(index);
        let mut shard = lock(&self.shards[index].0);
        // SAFETY: the caller's contract.
        if let Some(entry) = unsafe { shard.find(around, hash, text) } {
            return Ok(entry);
        }
        // SAFETY: likewise.
        let entered = unsafe { shard.enter(around, hash, text, constant) };
        let due = shard.counts.entered.is_multiple_of(STEP_EVERY) || entered.is_err();
        drop(shard);
        if due {
            self.step(entered.is_err());
        }
        entered
    }

    /// The entry of a text that a sweep has in hand, if it is not gone.
    ///
    /// # Safety
    /// The caller is pinned for `'p`.
    #[cold]
    unsafe fn revive<'p>(&self, hash: TextHash, text: &str) -> Option<Entry<'p>> {
        let shard = hash.shard();
        // SAFETY: the caller's contract.
        unsafe { lock(&self.shards[shard].0).find(self.around(shard), hash, text) }
    }

    /// Whether names are many enough to look for those that nobody holds.
    fn is_due(&self) -> bool {
        let Account { bytes_max, entries_max, .. } = self.account;
        let entries = self.account.entries();
        entries >= self.sweep_at.load(Ordering::Relaxed)
            || entries >= entries_max - entries_max / 8
            || self.account.bytes() >= bytes_max - bytes_max / 8
    }

    /// A bounded piece of what is due: tables are freed, a few slots walked. `now`: whatever the numbers say.
    fn step(&self, now: bool) {
        let walk = now || self.is_due();
        if !walk && self.retired_bytes.load(Ordering::Relaxed) == 0 {
            return;
        }
        // If another one is at it, that will do.
        let Some(mut sweeper) = try_lock(&self.sweeper) else { return };
        let sweeper = &mut *sweeper;
        self.free_tables(sweeper);
        if !walk {
            return;
        }
        // Once begun, it goes on to its end: what it frees on the way would put off its rest.
        self.sweep_at.store(0, Ordering::Relaxed);
        let index = sweeper.shard;
        let Some(mut shard) = try_lock(&self.shards[index].0) else { return };
        let walked = shard.walk(self.around(index), &self.pins, &mut sweeper.grace, STEP_SLOTS);
        let entries = shard.entries();
        drop(shard);
        if walked == Walk::Ended {
            if sweeper.walks == WALKS - 1 {
                sweeper.left += entries;
            }
            sweeper.shard = (index + 1) % SHARDS;
            sweeper.walks += usize::from(sweeper.shard == 0);
            if sweeper.walks == WALKS {
                self.swept(sweeper, sweeper.left);
            }
        }
    }

    /// A sweep has come to its end. So many names are `left`, without those that wait to be freed: counting these, a slow
    /// sweep would put off the next one the more.
    fn swept(&self, sweeper: &mut Sweeper, left: usize) {
        (sweeper.shard, sweeper.walks, sweeper.left) = (0, 0, 0);
        sweeper.sweeps += 1;
        let sweep_at = left.saturating_mul(2).max(SWEEP_ENTRIES_MIN);
        self.sweep_at.store(sweep_at, Ordering::Relaxed);
    }

    /// Frees the tables that nobody can be reading.
    fn free_tables(&self, sweeper: &mut Sweeper) {
        loop {
            if !sweeper.tables.is_empty() {
                if !self.pins.pass(&mut sweeper.grace, sweeper.tables_at) {
                    return;
                }
                // SAFETY: retired before a moment since which a grace period has passed.
                let freed = unsafe { sweeper.tables.free(&self.account) };
                self.retired_bytes.fetch_sub(freed, Ordering::Relaxed);
            }
            sweeper.tables = self.retired.take();
            sweeper.tables_at = sweeper.grace.moment();
            if sweeper.tables.is_empty() {
                return;
            }
        }
    }

    fn sweep(&self) -> u64 {
        let mut sweeper = lock(&self.sweeper);
        let sweeper = &mut *sweeper;
        let before = self.freed();
        // First what a sweep of before has left half done.
        self.walk_all(sweeper, true);
        for _ in 0..WALKS {
            self.walk_all(sweeper, false);
        }
        self.swept(sweeper, self.account.entries());
        self.free_tables(sweeper);
        for shard in 0..SHARDS {
            lock(&self.shards[shard].0).tidy(self.around(shard));
        }
        self.freed() - before
    }

    fn walk_all(&self, sweeper: &mut Sweeper, only_underway: bool) {
        for index in 0..SHARDS {
            loop {
                let mut shard = lock(&self.shards[index].0);
                if only_underway && !shard.is_underway() {
                    break;
                }
                if shard.walk(self.around(index), &self.pins, &mut sweeper.grace, SWEEP_SLOTS) != Walk::Underway {
                    break;
                }
            }
        }
    }

    fn freed(&self) -> u64 {
        self.shards.iter().map(|shard| lock(&shard.0).counts.freed).sum()
    }

    fn figures(&self) -> StringPoolFigures {
        let sweeper = lock(&self.sweeper);
        let retired_bytes = self.retired_bytes.load(Ordering::Relaxed);
        let mut figures = StringPoolFigures {
            entries: self.account.entries(),
            bytes: self.account.bytes(),
            held_back_bytes: retired_bytes,
            table_bytes: retired_bytes,
            pins: self.pins.held(),
            oldest_pin_age: self.pins.oldest_age(&sweeper.grace),
            sweeps: sweeper.sweeps,
            ..StringPoolFigures::default()
        };
        for (index, shard) in self.shards.iter().enumerate() {
            let shard = lock(&shard.0);
            figures.table_bytes += shard.table_bytes(self.around(index));
            let counts = shard.counts;
            figures.entered += counts.entered;
            figures.freed += counts.freed;
            figures.candidates += counts.candidates;
            figures.dead += counts.dead;
            figures.held_back_bytes += counts.dead_bytes;
        }
        figures
    }
}

/// The last handle has gone, and with it the last pin.
impl Drop for Inner {
    fn drop(&mut self) {
        for (shard, published) in self.shards.iter().zip(&self.published) {
            lock(&shard.0).close();
            // SAFETY: no look-up is under way, since pins borrow a handle.
            unsafe { self.retired.push_present(published) };
        }
        let mut sweeper = lock(&self.sweeper);
        // SAFETY: likewise.
        unsafe { sweeper.tables.free(&self.account) };
        // SAFETY: likewise.
        unsafe { self.retired.take().free(&self.account) };
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    /// Names under hashes that are not theirs: all the same, or another one each time.
    #[expect(clippy::unwrap_used, reason = "a test may panic, its helper functions too")]
    fn lie(hash_of: impl Fn(usize, usize) -> u64) {
        let pool = StringPool::new();
        let texts: Vec<String> = (0..300).map(|i| format!("vm-{i}")).collect();
        let mut held = Vec::new();
        for round in 0..4 {
            let pin = pool.pin();
            for (i, text) in texts.iter().enumerate() {
                let hash = TextHash::from_bits(hash_of(i, round));
                let name = pin.try_intern_hashed(hash, text).unwrap();
                assert_eq!(name.as_str(), text);
                assert_eq!(pin.get_hashed(hash, text), Some(name));
                held.push((name.to_interned(), text));
            }
            drop(pin);
            held.retain(|(name, _)| name.len() % 2 == 0 || round == 3);
            pool.sweep();
            assert!(held.iter().all(|(name, text)| **name == ***text));
        }
        assert!(pool.figures().freed > 0);
        drop(held);
        pool.sweep();
        assert_eq!(pool.figures().entries, 0);
    }

    #[test]
    fn one_hash_for_all_texts_is_slow_and_nothing_else() {
        lie(|_, _| 0);
        lie(|_, _| u64::MAX);
    }

    #[test]
    fn hashes_that_lie_give_no_wrong_string() {
        lie(|i, round| (i as u64 + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(u32::try_from(round).unwrap()));
    }
}
