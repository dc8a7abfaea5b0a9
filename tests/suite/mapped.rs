//! Tables beside a plain map, and what becomes of them when their files are cut, altered, falsified, replaced or not there.
#![cfg(feature = "mapped")]
#![expect(unsafe_code, reason = "maps files")]
#![expect(clippy::unwrap_used, reason = "a test may panic, its helper functions too")]

use super::random::Random;
use blixard_arena::mapped::{Table, TableBuilder, TableError, TableProblem};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;

/// A folder of a test's own, deleted at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("blixard-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

type Rows = Vec<(String, Option<Vec<u8>>)>;

fn builder_of(rows: &Rows) -> TableBuilder {
    let mut builder = TableBuilder::new();
    for (number, (name, value)) in rows.iter().enumerate() {
        let added = match value {
            Some(value) => builder.add_value(name, value),
            None => builder.add(name),
        };
        assert_eq!(added.unwrap() as usize, number);
    }
    builder
}

/// Names that no oracle of these tests has.
const ABSENT: [&str; 5] = ["nobody", "vm-", "vm-99999999", "~", "\u{1f980}\u{1f980}\u{1f980}"];

/// Every answer that a table gives: where one is an error, that error.
fn answers_are(table: &Table, rows: &Rows) -> Result<(), TableError> {
    assert_eq!(table.len() as usize, rows.len());
    for (number, (name, value)) in rows.iter().enumerate() {
        let number = u32::try_from(number).unwrap();
        for row in [table.find(name)?, table.row(number)?] {
            let row = row.unwrap_or_else(|| panic!("{name:?} is there"));
            assert_eq!((row.number(), row.name()), (number, &**name));
            let found = row.value()?;
            assert_eq!(found, value.as_deref());
            assert!(found.is_none_or(|value| value.as_ptr().addr().is_multiple_of(16)));
        }
    }
    for absent in ABSENT {
        assert!(table.find(absent)?.is_none(), "{absent}");
    }
    assert!(table.row(table.len())?.is_none() && table.row(u32::MAX)?.is_none());
    Ok(())
}

/// Names without values and with empty, small and larger ones; names of all lengths around a block.
fn rows(count: usize) -> Rows {
    (0..count)
        .map(|i| {
            let name = format!("vm-{i}{}", "x".repeat(i * i % 41));
            let value = (i % 3 != 0).then(|| vec![u8::try_from(i % 251).unwrap(); i % 7 * 11]);
            (name, value)
        })
        .collect()
}

fn map(path: &Path) -> Result<Table, TableError> {
    // SAFETY: the tests alter a mapped file only by `write` and by deleting it.
    unsafe { Table::map(path) }
}

#[test]
fn a_table_answers_as_it_was_told_opened_and_mapped() {
    let folder = Folder::new("answers");
    for count in [0, 1, 2, 3, 17, 1000, 20_000] {
        let (rows, path) = (rows(count), folder.file("names"));
        let builder = builder_of(&rows);
        builder.write(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), builder.to_bytes().unwrap());
        for table in
            [Table::open(&path).unwrap(), map(&path).unwrap(), Table::from_bytes(&fs::read(&path).unwrap()).unwrap()]
        {
            answers_are(&table, &rows).unwrap();
            table.verify().unwrap();
            answers_are(&table, &rows).unwrap();
        }
        let mapped = map(&path).unwrap();
        mapped.verify().unwrap(); // before anything was touched
    }
    assert_eq!(folder.files(), ["names"]);
}

#[test]
fn the_longest_name_and_a_value_of_many_blocks_are_found() {
    let long = "n".repeat(TableBuilder::NAME_BYTES_MAX);
    let rows: Rows = vec![
        (String::new(), Some(vec![7; 100_000])),
        (long.clone(), None),
        (long[1..].to_owned(), Some(vec![9; 16_384])),
        ("small".to_owned(), Some(Vec::new())),
    ];
    let folder = Folder::new("long");
    let path = folder.file("names");
    builder_of(&rows).write(&path).unwrap();
    let mapped = map(&path).unwrap();
    answers_are(&mapped, &rows).unwrap();
    mapped.verify().unwrap();

    let mut builder = builder_of(&rows);
    let refused = builder.add(&format!("{long}n")).unwrap_err();
    assert!(matches!(refused.problem(), TableProblem::Limit { asked: 65_536, most: 65_535, .. }), "{refused}");
    assert_eq!(builder.to_bytes().unwrap(), fs::read(&path).unwrap(), "what was refused left no trace");
}

proptest! {
    #[test]
    fn any_names_and_values_are_found(map in prop::collection::hash_map(
        ".{0,40}", prop::option::of(prop::collection::vec(any::<u8>(), 0..200)), 0..200)) {
        let map: HashMap<String, Option<Vec<u8>>> = map;
        let rows: Rows = map.into_iter().filter(|(name, _)| !ABSENT.contains(&&**name)).collect();
        let table = Table::from_bytes(&builder_of(&rows).to_bytes().unwrap()).unwrap();
        answers_are(&table, &rows).unwrap();
        table.verify().unwrap();
    }
}

#[test]
fn a_name_that_is_there_twice_is_said() {
    let mut rows = rows(1000);
    rows.push((rows[17].0.clone(), None));
    let twice = builder_of(&rows).to_bytes().unwrap_err();
    let TableProblem::Twice { name, first, second } = twice.problem() else { panic!("{twice}") };
    assert_eq!((&**name, *first, *second), (&*rows[17].0, 17, 1000));
}

#[test]
fn a_file_that_was_cut_anywhere_or_grew_is_refused() {
    let folder = Folder::new("cut");
    let path = folder.file("names");
    builder_of(&rows(9)).write(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        for error in
            [Table::open(&path).unwrap_err(), map(&path).unwrap_err(), Table::from_bytes(&whole[..len]).unwrap_err()]
        {
            let TableProblem::Length { found, expected } = error.problem() else { panic!("{len}: {error}") };
            assert_eq!((*found, *expected), (len as u64, if len < 64 { 64 } else { whole.len() as u64 }));
        }
        assert!(Table::open(&path).unwrap_err().to_string().contains("names"));
    }
    fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
    let error = Table::open(&path).unwrap_err();
    assert!(matches!(error.problem(), TableProblem::Length { .. }), "{error}");
}

#[test]
fn a_flipped_bit_anywhere_gives_an_error_or_the_same_answers() {
    let folder = Folder::new("flipped");
    let (path, rows) = (folder.file("names"), rows(9));
    builder_of(&rows).write(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut altered = whole.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        Table::from_bytes(&altered).expect_err("every byte lies under a checksum");
        fs::write(&path, &altered).unwrap();
        Table::open(&path).expect_err("likewise");
        match map(&path) {
            // The blocks are not looked at before they are touched.
            Ok(table) => {
                assert!(answers_are(&table, &rows).is_err() && table.verify().is_err(), "bit {bit}");
                assert!(answers_are(&table, &rows).is_err(), "the second time too");
            }
            Err(error) => assert!(error.path() == Some(&path), "{error}"),
        }
    }
}

/// Of a table of many blocks, only what lies in the altered one fails.
#[test]
fn an_altered_block_fails_alone_and_says_where() {
    let folder = Folder::new("block");
    let (path, rows) = (folder.file("names"), rows(20_000));
    builder_of(&rows).write(&path).unwrap();
    let mut altered = fs::read(&path).unwrap();
    let at = altered.len() - 40_000;
    altered[at] ^= 0x10;
    fs::write(&path, &altered).unwrap();

    let error = Table::open(&path).unwrap_err();
    let TableProblem::Checksum { offset, bytes: 16_384, .. } = error.problem() else { panic!("{error}") };
    assert!((*offset..offset + 16_384).contains(&(at as u64)), "{error}");
    let table = map(&path).unwrap();
    let (mut right, mut failed) = (0, 0);
    for (number, (name, value)) in rows.iter().enumerate() {
        match table.find(name).and_then(|row| row.unwrap().value()) {
            Ok(found) => {
                assert_eq!(found, value.as_deref());
                right += 1;
            }
            Err(error) => {
                assert!(matches!(error.problem(), TableProblem::Checksum { .. }), "{error}");
                failed += 1;
            }
        }
        _ = table.row(u32::try_from(number).unwrap());
    }
    assert!(failed > 50 && failed < 1000 && right + failed == rows.len(), "{failed} names fail");
    assert!(table.verify().is_err());
}

#[test]
fn another_version_and_another_kind_of_file_are_named() {
    let mut bytes = builder_of(&rows(3)).to_bytes().unwrap();
    bytes[8] = 2; // as a later form would begin, whatever its checksums
    let error = Table::from_bytes(&bytes).unwrap_err();
    assert!(matches!(error.problem(), TableProblem::Version { found: 2, expected: 1 }), "{error}");
    bytes[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    let error = Table::from_bytes(&bytes).unwrap_err();
    assert!(matches!(error.problem(), TableProblem::NoTable { .. }), "{error}");
    assert!(error.to_string().contains(r#""\x7fELF\x02\x01\x01\x00" where a table begins with "blxtable""#), "{error}");
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = Folder::new("no-file");
    let refused = |path: &Path| {
        let (open, map) = (Table::open(path).unwrap_err(), map(path).unwrap_err());
        assert_eq!(open.path(), Some(path));
        assert_eq!(open.to_string(), map.to_string());
        open
    };
    let empty = folder.file("empty");
    fs::write(&empty, []).unwrap();
    let error = refused(&empty);
    assert!(matches!(error.problem(), TableProblem::Length { found: 0, expected: 64 }), "{error}");

    for nothing in [&folder.0, Path::new("/dev/zero")] {
        let error = refused(nothing);
        assert!(matches!(error.problem(), TableProblem::NotAFile), "{error}");
    }
    let pipe = folder.file("pipe");
    if Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
        assert!(matches!(refused(&pipe).problem(), TableProblem::NotAFile)); // and nobody waits for a writer
    }
    let into_itself = folder.file("link");
    symlink(&into_itself, &into_itself).unwrap();
    for absent in [folder.file("absent"), empty.join("below a file"), into_itself] {
        let error = refused(&absent);
        assert!(matches!(error.problem(), TableProblem::File { .. }), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

/// Runs the test of this name again, alone and in a process of its own.
fn child(test: &str, folder: &Path) -> std::process::Output {
    let own = std::env::current_exe().unwrap();
    let test = format!("mapped::{test}");
    let mut command = Command::new(own);
    command.args([&*test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, folder);
    command.output().unwrap()
}

const CHILD: &str = "BLIXARD_MAPPED_CHILD";

fn own_folder() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Drops the rights that root has over every file. Those who are not root have none to drop.
fn become_nobody() {
    // SAFETY: a system call on two numbers.
    let user = unsafe { libc::geteuid() };
    if user == 0 {
        // SAFETY: likewise; the process is a child that does nothing else.
        assert_eq!(unsafe { libc::setuid(65_534) }, 0);
    }
}

#[test]
fn without_permission_nothing_is_read_or_written() {
    let Some(path) = own_folder() else {
        let folder = Folder::new("permission");
        let path = folder.file("names");
        builder_of(&rows(9)).write(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o555)).unwrap();
        let output = child("without_permission_nothing_is_read_or_written", &path);
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(folder.files(), ["names"]);
        return;
    };
    become_nobody();
    for error in
        [Table::open(&path).unwrap_err(), map(&path).unwrap_err(), builder_of(&rows(3)).write(&path).unwrap_err()]
    {
        let TableProblem::File { source, .. } = error.problem() else { panic!("{error}") };
        assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
    }
}

#[test]
fn a_table_that_another_process_replaces_stays_as_it_was() {
    let newer: Rows = (0..5000).map(|i| (format!("newer-{i}"), None)).collect();
    if let Some(path) = own_folder() {
        return builder_of(&newer).write(path).unwrap();
    }
    let folder = Folder::new("replaced");
    let (path, older) = (folder.file("names"), rows(3000));
    builder_of(&older).write(&path).unwrap();
    let (opened, mapped) = (Table::open(&path).unwrap(), map(&path).unwrap());
    let output = child("a_table_that_another_process_replaces_stays_as_it_was", &path);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // None of its blocks had been touched before.
    answers_are(&mapped, &older).unwrap();
    answers_are(&opened, &older).unwrap();
    mapped.verify().unwrap();
    answers_are(&Table::open(&path).unwrap(), &newer).unwrap();
    fs::remove_file(&path).unwrap();
    answers_are(&mapped, &older).unwrap();
}

/// A file that grows until the process's limit, which stands for a disk that is full: this works for every user.
#[test]
fn on_a_full_disk_the_old_table_stays() {
    let older = rows(100);
    if let Some(path) = own_folder() {
        // SAFETY: ignoring a signal; the limit's system call would otherwise end the process instead of failing.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let limit = libc::rlimit { rlim_cur: 100_000, rlim_max: 100_000 };
        // SAFETY: the struct lives for the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
        let error = builder_of(&rows(50_000)).write(&path).unwrap_err();
        let TableProblem::File { doing, source } = error.problem() else { panic!("{error}") };
        assert!(source.raw_os_error() == Some(libc::EFBIG) && doing.contains("writing"), "{error}");
        return;
    }
    let folder = Folder::new("full");
    let path = folder.file("names");
    builder_of(&older).write(&path).unwrap();
    let output = child("on_a_full_disk_the_old_table_stays", &path);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    answers_are(&Table::open(&path).unwrap(), &older).unwrap();
    assert_eq!(folder.files(), ["names"], "no half file is left");
}

/// The true thing, where the process may mount a file system: one of 64 KiB.
#[test]
fn on_a_full_file_system_the_old_table_stays() {
    let older = rows(100);
    if let Some(mount) = own_folder() {
        let path = mount.join("names");
        builder_of(&older).write(&path).unwrap();
        let error = builder_of(&rows(50_000)).write(&path).unwrap_err();
        let TableProblem::File { source, .. } = error.problem() else { panic!("{error}") };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{error}");
        answers_are(&Table::open(&path).unwrap(), &older).unwrap();
        assert_eq!(fs::read_dir(&mount).unwrap().count(), 1);
        return;
    }
    let folder = Folder::new("mounted");
    let mount = |command: &str, args: &[&str]| {
        Command::new(command).args(args).arg(&folder.0).output().is_ok_and(|output| output.status.success())
    };
    if !mount("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs"]) {
        return; // no rights to; the limit's test above stands for it
    }
    let output = child("on_a_full_file_system_the_old_table_stays", &folder.0);
    assert!(mount("umount", &[]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_table_is_not_written_where_none_can_be() {
    let folder = Folder::new("where");
    let builder = builder_of(&rows(3));
    fs::create_dir(folder.file("folder")).unwrap();
    for (path, doing) in [
        (folder.file("folder"), "renaming"),
        (folder.file("absent").join("names"), "creating"),
        (folder.file("folder").join(".."), "creating"),
        (PathBuf::from("/"), "creating"),
    ] {
        let error = builder.write(&path).unwrap_err();
        assert!(error.to_string().contains(doing), "{error}");
        assert_eq!(folder.files(), ["folder"]);
    }
}

#[test]
fn many_threads_touch_blocks_for_the_first_time_at_once() {
    let folder = Folder::new("threads");
    let (path, rows) = (folder.file("names"), rows(20_000));
    builder_of(&rows).write(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    for altered in [None, Some(whole.len() - 40_000)] {
        let mut bytes = whole.clone();
        if let Some(at) = altered {
            bytes[at] ^= 1;
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let (table, barrier) = (map(&path).unwrap(), Barrier::new(8));
        let failed = |thread: usize| {
            barrier.wait();
            let failed = rows.iter().cycle().skip(thread * 2500).take(rows.len()).filter(|(name, value)| {
                let found = table.find(name).and_then(|row| row.unwrap().value());
                found.as_ref().is_ok_and(|found| *found != value.as_deref()) && panic!("{name}: {found:?}")
                    || found.is_err()
            });
            failed.count()
        };
        let failed: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || failed(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(failed.iter().all(|count| *count == failed[0]), "all see the same: {failed:?}");
        assert_eq!(failed[0] > 0, altered.is_some());
    }
}

/// Numbers that no builder writes, under checksums that are right: whatever the answers, no crash; `verify` finds each.
#[test]
fn a_falsified_table_does_no_harm() {
    let rows = rows(9);
    let whole = builder_of(&rows).to_bytes().unwrap();
    let mut random = Random(1);
    let mut differing = 0;
    for round in 0..40_000 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 3 {
            let at = 12 + random.below(whole.len() - 12) / 4 * 4;
            let value = match random.below(4) {
                0 => u32::try_from(random.below(64)).unwrap(),
                1 => u32::try_from(random.below(1 << 31)).unwrap(),
                2 => u32::MAX - u32::try_from(random.below(16)).unwrap(),
                _ => u32::from_le_bytes(*bytes[at / 8 * 8..].first_chunk().unwrap()) ^ 1 << random.below(31),
            };
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        sign(&mut bytes);
        let Ok(table) = Table::from_bytes(&bytes) else { continue };
        let same = std::panic::catch_unwind(|| {
            for number in 0..table.len().min(100) {
                _ = table.row(number).map(|row| row.map(|row| row.value().is_ok()));
            }
            for (name, _) in &rows {
                _ = table.find(name).map(|row| row.map(|row| (row.number(), row.value().is_ok())));
            }
            ABSENT.iter().all(|name| table.find(name).is_ok())
        });
        assert!(same.is_ok(), "round {round}: a look-up panics");
        if table.verify().is_ok() {
            // Only values and padding may have changed: names and their numbers are what each other says.
            for number in 0..table.len() {
                let row = table.row(number).unwrap().unwrap();
                assert_eq!(table.find(row.name()).unwrap().unwrap().number(), number);
            }
            differing += 1;
        }
    }
    assert!(differing > 100, "values may be falsified: {differing}");
}

/// Writes right checksums into what may be no table.
fn sign(bytes: &mut [u8]) {
    use xxhash_rust::xxh3::xxh3_64;
    let data = u64::from_le_bytes(*bytes[24..].first_chunk().unwrap());
    let blocks = usize::try_from(data.div_ceil(1 << 14)).unwrap_or(usize::MAX).min(bytes.len() / 8);
    let data_at = (64 + blocks * 8).next_multiple_of(64).min(bytes.len());
    for block in 0..blocks.min((data_at - 64) / 8) {
        let start = data_at + block * (1 << 14);
        let sum = bytes.get(start..).map_or(0, |rest| xxh3_64(&rest[..rest.len().min(1 << 14)]));
        bytes[64 + block * 8..][..8].copy_from_slice(&sum.to_le_bytes());
    }
    let sums = xxh3_64(&bytes[64..data_at]);
    bytes[40..48].copy_from_slice(&sums.to_le_bytes());
    let header = xxh3_64(&bytes[..56]);
    bytes[56..64].copy_from_slice(&header.to_le_bytes());
}

/// Names that were chosen so that sixty-five of them meet at one pilot under each of sixteen known hash functions: a table of them is written
/// all the same, since the hash functions come of all that is in it.
#[test]
fn nobody_can_choose_names_that_no_table_takes() {
    let (seeds, together) = (16_u64, 65);
    let pilots = (seeds * together).div_ceil(4);
    let mut chosen = (0_u64..).map(|n| format!("vm-{n}"));
    let mut rows = Rows::new();
    for seed in 0..seeds {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let first = |name: &String| {
            let hash = xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), seed);
            ((hash >> 32) * pilots) >> 32 == 0
        };
        rows.extend(chosen.by_ref().filter(first).take(usize::try_from(together).unwrap()).map(|name| (name, None)));
    }
    let bytes = builder_of(&rows).to_bytes().unwrap();
    answers_are(&Table::from_bytes(&bytes).unwrap(), &rows).unwrap();
    assert_eq!(builder_of(&rows).to_bytes().unwrap(), bytes, "the same rows, the same bytes");
}

/// The file beside it has a longer name than the table, and a table's own may be as long as a file system allows.
#[test]
fn a_tables_name_may_be_as_long_as_any() {
    let folder = Folder::new("long-name");
    for name in ["t".repeat(255), "\u{e4}".repeat(127)] {
        builder_of(&rows(10)).write(folder.file(&name)).unwrap();
        assert_eq!(Table::open(folder.file(&name)).unwrap().len(), 10);
    }
    assert_eq!(folder.files().len(), 2, "and nothing beside them");
}

/// A header's numbers that do not fit one another: the error names the first that is wrong.
#[test]
fn a_header_that_lies_is_told_by_the_number_that_does_not_fit() {
    let bytes = builder_of(&rows(3)).to_bytes().unwrap();
    for (at, number, expected) in [
        (12, u32::MAX, "at byte 12: names 4294967295, 0 to 268435456 expected"),
        (16, 2, "at byte 16: slots 2, 3 to 4294967295 expected"),
        (20, 0, "at byte 20: pilots 0, 1 to 4294967295 expected"),
    ] {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        let sum = xxhash_rust::xxh3::xxh3_64(&bytes[..56]);
        bytes[56..64].copy_from_slice(&sum.to_le_bytes());
        let refused = Table::from_bytes(&bytes).unwrap_err().to_string();
        assert!(refused.ends_with(expected), "{refused}");
    }
}
