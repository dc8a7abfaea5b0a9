//! Tables on disk: build, open, verify, look up. `mapped::Table` beside fst, redb and maps in memory.
//!
//! A million names of 16 to 24 bytes, numbered. They are looked up in an order that says nothing: what is met next lies in
//! no cache, as in a service whose requests are of many tenants. The texts that are met lie one behind the other, so that
//! fetching them costs everybody the same and little. Files are built once per group, by each contender's own builder, and lie in
//! the page cache.
#![expect(unsafe_code, reason = "maps files that nobody else knows of")]

#[forbid(unsafe_code)]
pub mod designs;

use std::cell::OnceCell;
use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use blixard_arena::mapped::{Table, TableBuilder};
use hashbrown::{DefaultHashBuilder, HashMap};
use memmap2::Mmap;
use redb::{Database, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase, TableDefinition};
use tempfile::TempDir;

use crate::contest::{Contender, Group, Named, Role};
use designs::{Perfect, SortedByHash, SortedByText};

/// The groups that look up, by name.
pub const GROUPS: &[Named] = &[
    ("mapped/find-1000000", || finds("mapped/find-1000000", 1_000_000)),
    ("mapped/find-10000", || finds("mapped/find-10000", 10_000)),
    ("mapped/absent-1000000", absents),
    ("mapped/number-1000000", numbers),
];

/// The groups whose single operation takes long: for criterion alone.
pub const FILES: &[Named] = &[("mapped/build", builds), ("mapped/open", opens), ("mapped/verify", verifies)];

/// Look-ups before the same order comes again: a power of two.
const MEETINGS: usize = 1 << 20;

/// The `i`-th name.
#[must_use]
pub fn name(i: usize) -> String {
    format!("tenant-{:03}/vm-{i:0width$}", i % 997, width = 2 + i % 9)
}

/// The first names.
#[must_use]
pub fn names(count: usize) -> Vec<String> {
    (0..count).map(name).collect()
}

/// Texts one behind the other.
struct Texts {
    joined: String,
    ends: Vec<usize>,
}

impl Texts {
    /// So many texts of numbers below `count`, in an order that says nothing.
    fn new(count: usize, text: impl Fn(usize) -> String) -> Self {
        let (mut joined, mut ends) = (String::new(), vec![0]);
        for at in order(count) {
            joined.push_str(&text(at));
            ends.push(joined.len());
        }
        Self { joined, ends }
    }

    #[inline]
    fn at(&self, i: u64) -> &str {
        let i = usize::try_from(i).unwrap_or_default() & (MEETINGS - 1);
        &self.joined[self.ends[i]..self.ends[i + 1]]
    }
}

/// Numbers below `count`, [`MEETINGS`] of them.
fn order(count: usize) -> impl Iterator<Item = usize> {
    let mut random = count as u64;
    (0..MEETINGS).map(move |_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(((random >> 32) * count as u64) >> 32).unwrap_or_default()
    })
}

/// Something that finds a name's number.
pub trait Find {
    /// The number of a name that is there.
    fn find(&self, name: &str) -> Option<u64>;
}

impl Find for Table {
    #[inline]
    fn find(&self, name: &str) -> Option<u64> {
        self.find(name).expect("nothing was altered").map(|row| row.number().into())
    }
}

impl Find for HashMap<Box<str>, u32, DefaultHashBuilder> {
    #[inline]
    fn find(&self, name: &str) -> Option<u64> {
        self.get(name).map(|number| (*number).into())
    }
}

impl<S: std::hash::BuildHasher> Find for std::collections::HashMap<String, u32, S> {
    #[inline]
    fn find(&self, name: &str) -> Option<u64> {
        self.get(name).map(|number| (*number).into())
    }
}

impl Find for fst::Map<Mmap> {
    #[inline]
    fn find(&self, name: &str) -> Option<u64> {
        self.get(name)
    }
}

/// A table of redb's, open for reading, and the database around it.
pub struct Redb(
    ReadOnlyTable<&'static str, u32>,
    #[expect(dead_code, reason = "keeps the file open")] ReadOnlyDatabase,
);

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redb").finish_non_exhaustive()
    }
}

impl Find for Redb {
    #[inline]
    fn find(&self, name: &str) -> Option<u64> {
        self.0.get(name).expect("nothing was altered").map(|number| number.value().into())
    }
}

/// Builds ours, and makes it durable.
///
/// # Panics
/// If the disk is full.
pub fn build_ours(path: &Path, names: &[String]) {
    let mut builder = TableBuilder::new();
    for name in names {
        builder.add(name).expect("few names");
    }
    builder.write(path).expect("there is room");
}

/// Builds fst's, which takes its keys in order, and makes it durable.
///
/// # Panics
/// If the disk is full.
pub fn build_fst(path: &Path, names: &[String]) {
    let mut sorted: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(0..).collect();
    sorted.sort_unstable();
    let file = File::create(path).expect("a file");
    let mut builder = fst::MapBuilder::new(BufWriter::new(file)).expect("a builder");
    for (name, number) in sorted {
        builder.insert(name, number).expect("in order");
    }
    let mut file = builder.into_inner().expect("there is room");
    file.flush().expect("there is room");
    file.get_ref().sync_all().expect("there is room");
}

const REDB: TableDefinition<'static, &str, u32> = TableDefinition::new("names");

/// Builds redb's, in order and in one transaction, which suits it best.
///
/// # Panics
/// If the disk is full.
pub fn build_redb(path: &Path, names: &[String]) {
    let mut sorted: Vec<(&str, u32)> = names.iter().map(String::as_str).zip(0..).collect();
    sorted.sort_unstable();
    // It opens what is there.
    _ = std::fs::remove_file(path);
    let database = Database::create(path).expect("a file");
    let transaction = database.begin_write().expect("the only one");
    {
        let mut table = transaction.open_table(REDB).expect("a table");
        for (name, number) in sorted {
            table.insert(name, number).expect("there is room");
        }
    }
    transaction.commit().expect("there is room");
}

/// Our table, mapped.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn map_ours(path: &Path) -> Table {
    // SAFETY: a file in a folder of this process's own; nobody alters it.
    unsafe { Table::map(path) }.expect("just built")
}

/// fst's table, mapped.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn map_fst(path: &Path) -> fst::Map<Mmap> {
    let file = File::open(path).expect("just built");
    // SAFETY: as for ours.
    let bytes = unsafe { Mmap::map(&file) }.expect("just built");
    fst::Map::new(bytes).expect("just built")
}

/// redb's table, read-only.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn open_redb(path: &Path) -> Redb {
    let database = ReadOnlyDatabase::open(path).expect("just built");
    let table = database.begin_read().expect("just built").open_table(REDB).expect("just built");
    Redb(table, database)
}

/// The map that hashbrown makes of them, texts and all.
#[must_use]
pub fn hashbrown_of(names: &[String]) -> HashMap<Box<str>, u32, DefaultHashBuilder> {
    names.iter().map(|name| name.as_str().into()).zip(0..).collect()
}

/// A file of its own that `build` writes and `open` opens; deleted again at once, which who has it open does not notice.
fn through_file<T>(names: &[String], build: fn(&Path, &[String]), open: impl FnOnce(&Path) -> T) -> T {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("names");
    build(&path, names);
    open(&path)
}

/// A contender that is made when it is first asked: a list of groups costs nothing.
fn lazily<T: 'static>(
    name: &'static str,
    role: Role,
    make: impl Fn() -> T + 'static,
    mut work: impl FnMut(&T, u64) + 'static,
) -> Contender {
    let kept = OnceCell::new();
    let mut next = 0;
    Contender::timed(name, role, move |iterations| {
        let kept = kept.get_or_init(&make);
        let start = Instant::now();
        // Goes on where it ended: short runs do not meet the same names again and again.
        for i in next..next + iterations {
            work(kept, i);
        }
        next += iterations;
        start.elapsed()
    })
}

/// Finds names that are there, and looks at what comes back when it is made.
fn find<F: Find + 'static>(name: &'static str, role: Role, count: usize, make: fn(&[String]) -> F) -> Contender {
    let make = move || {
        let names = names(count);
        let found = make(&names);
        // Each page has been touched when the clock begins.
        for (number, name) in (0..).zip(&names) {
            assert_eq!(found.find(name), Some(number));
        }
        assert_eq!(found.find("tenant-1/vm-none"), None);
        (found, Texts::new(count, self::name))
    };
    lazily(name, role, make, |(found, texts), i| _ = black_box(found.find(texts.at(i))))
}

fn finds(group: &'static str, count: usize) -> Group {
    let contenders = vec![
        find("blixard Table, mapped", Role::Ours, count, |names| through_file(names, build_ours, map_ours)),
        find("blixard Table, opened", Role::Ours, count, |names| {
            through_file(names, build_ours, |path| Table::open(path).expect("just built"))
        }),
        find("hashbrown, foldhash", Role::Peer, count, hashbrown_of),
        find("std HashMap", Role::Peer, count, |names| {
            names.iter().cloned().zip(0..).collect::<std::collections::HashMap<_, _>>()
        }),
        find("fst, mapped", Role::Peer, count, |names| through_file(names, build_fst, map_fst)),
        find("redb, read-only", Role::Peer, count, |names| through_file(names, build_redb, open_redb)),
        find("perfect hash, unchecked", Role::Limit, count, Perfect::new),
        find("sorted by hash, unchecked", Role::Limit, count, SortedByHash::new),
        find("sorted by text, unchecked", Role::Limit, count, SortedByText::new),
    ];
    let note = "a name that is there, in an order that says nothing: its number";
    Group { name: group, note, elements: 1, contenders }
}

fn absent<F: Find + 'static>(name: &'static str, role: Role, make: fn(&[String]) -> F) -> Contender {
    let make = move || {
        let names = names(1_000_000);
        let found = make(&names);
        // Each page has been touched when the clock begins.
        assert!((0..).zip(&names).all(|(number, name)| found.find(name) == Some(number)));
        (found, Texts::new(1_000_000, |at| format!("{}?", self::name(at))))
    };
    lazily(name, role, make, |(found, texts), i| _ = black_box(found.find(texts.at(i))))
}

fn absents() -> Group {
    let contenders = vec![
        absent("blixard Table, mapped", Role::Ours, |names| through_file(names, build_ours, map_ours)),
        absent("hashbrown, foldhash", Role::Peer, hashbrown_of),
        absent("fst, mapped", Role::Peer, |names| through_file(names, build_fst, map_fst)),
        absent("redb, read-only", Role::Peer, |names| through_file(names, build_redb, open_redb)),
        absent("perfect hash, unchecked", Role::Limit, Perfect::new),
        absent("sorted by hash, unchecked", Role::Limit, SortedByHash::new),
        absent("sorted by text, unchecked", Role::Limit, SortedByText::new),
    ];
    Group { name: "mapped/absent-1000000", note: "a name that is not there", elements: 1, contenders }
}

fn numbers() -> Group {
    const COUNT: usize = 1_000_000;
    let numbers = || order(COUNT).map(|at| u32::try_from(at).unwrap_or_default()).collect::<Vec<u32>>();
    let at = |i: u64| usize::try_from(i).unwrap_or_default() & (MEETINGS - 1);
    let contenders = vec![
        lazily(
            "blixard Table, mapped",
            Role::Ours,
            move || {
                let table = through_file(&names(COUNT), build_ours, map_ours);
                table.verify().expect("just built"); // so that each page has been touched
                (table, numbers())
            },
            move |(table, numbers), i| {
                let row = table.row(numbers[at(i)]).expect("nothing was altered").expect("there are so many");
                black_box(row.name().len());
            },
        ),
        lazily(
            "Vec<Box<str>>",
            Role::Peer,
            move || (names(COUNT).into_iter().map(String::into_boxed_str).collect::<Vec<_>>(), numbers()),
            move |(names, numbers), i| {
                let name = &names[numbers[at(i)] as usize];
                // Ours has looked at each byte too.
                black_box(str::from_utf8(black_box(name.as_bytes())).expect("a text").len());
            },
        ),
    ];
    Group { name: "mapped/number-1000000", note: "the text of a number, found to be UTF-8", elements: 1, contenders }
}

/// One operation per iteration, on a file that is built when it is first asked for.
fn on_file(
    name: &'static str,
    role: Role,
    build: fn(&Path, &[String]),
    mut work: impl FnMut(&Path, &[String]) -> Duration + 'static,
) -> Contender {
    let made = OnceCell::new();
    Contender::timed(name, role, move |iterations| {
        let (folder, names) = made.get_or_init(|| {
            let (folder, names) = (TempDir::new().expect("a folder"), names(1_000_000));
            build(&folder.path().join("names"), &names);
            (folder, names)
        });
        (0..iterations).map(|_| work(&folder.path().join("names"), names)).sum()
    })
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let result = black_box(work());
    let spent = start.elapsed();
    drop(result);
    spent
}

fn builds() -> Group {
    let build = |name, role, build: fn(&Path, &[String])| {
        on_file(name, role, |_, _| (), move |path, names| timed(|| build(path, names)))
    };
    let contenders = vec![
        build("blixard TableBuilder", Role::Ours, build_ours),
        build("fst", Role::Peer, build_fst),
        build("redb", Role::Peer, build_redb),
        on_file("hashbrown, in memory", Role::Control, |_, _| (), |_, names| timed(|| hashbrown_of(names))),
    ];
    let note = "a million names in no order, to a file that is synchronised; sorting where it is needed is part of it";
    Group { name: "mapped/build", note, elements: 1, contenders }
}

fn opens() -> Group {
    let first = || name(77_777);
    let contenders = vec![
        on_file("blixard Table, mapped", Role::Ours, build_ours, move |path, _| {
            let first = first();
            timed(|| {
                let table = map_ours(path);
                assert_eq!(Find::find(&table, &first), Some(77_777));
                table
            })
        }),
        on_file("blixard Table, opened", Role::Ours, build_ours, move |path, _| {
            let first = first();
            timed(|| {
                let table = Table::open(path).expect("just built");
                assert_eq!(Find::find(&table, &first), Some(77_777));
                table
            })
        }),
        on_file("fst, mapped", Role::Peer, build_fst, move |path, _| {
            let first = first();
            timed(|| {
                let table = map_fst(path);
                assert_eq!(table.find(&first), Some(77_777));
                table
            })
        }),
        on_file("redb, read-only", Role::Peer, build_redb, move |path, _| {
            let first = first();
            timed(|| {
                let table = open_redb(path);
                assert_eq!(table.find(&first), Some(77_777));
                table
            })
        }),
    ];
    Group {
        name: "mapped/open",
        note: "to the answer to the first look-up, from the page cache",
        elements: 1,
        contenders,
    }
}

fn verifies() -> Group {
    let contenders = vec![
        on_file("blixard Table, mapped", Role::Ours, build_ours, |path, _| {
            timed(|| map_ours(path).verify().expect("just built"))
        }),
        on_file("fst, mapped: its checksum", Role::Peer, build_fst, |path, _| {
            timed(|| map_fst(path).as_fst().verify().expect("just built"))
        }),
        on_file("redb, writable: its own check", Role::Peer, build_redb, |path, _| {
            let mut database = Database::open(path).expect("just built");
            timed(|| database.check_integrity().expect("just built"))
        }),
    ];
    Group {
        name: "mapped/verify",
        note: "everything that there is to check, mapping included",
        elements: 1,
        contenders,
    }
}
