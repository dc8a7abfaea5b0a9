//! Archives that were written before are read for ever: files under `tests/golden/archive`, one folder per form.
//!
//! What is written today must be the newest form's files to the byte; where it is not, the form has changed and takes the next number, a
//! folder of its own and readers for the old one. `cargo test --features archive --test suite archive_golden -- --ignored` writes files that are
//! missing, and touches none that are there.
#![cfg(feature = "archive")]
#![forbid(unsafe_code)]

use super::archive_samples::{HeapProposal, PROPOSAL, Proposal, heap_proposal, read_all};
use blixard_arena::Arena;
use blixard_arena::archive::{self, FORMAT_NEWEST, Header, List, Schema, Text, rkyv};
use bytes::Bytes;
use std::fs;
use std::path::PathBuf;

/// As it was before nodes had zones.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct NodeBefore<'a> {
    #[rkyv(with = Text)]
    name: &'a str,
    cores: u16,
}

impl Schema for NodeBefore<'_> {
    const NAME: &'static str = "test.node";
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Node<'a> {
    #[rkyv(with = Text)]
    name: &'a str,
    cores: u16,
    #[rkyv(with = List<Text>)]
    zones: &'a [&'a str],
}

impl Schema for Node<'_> {
    const NAME: &'static str = "test.node";
    const VERSION: u32 = 2;
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Nothing;

impl Schema for Nothing {
    const NAME: &'static str = "test.nothing";
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Numbers {
    small: i8,
    wide: u128,
    float: f32,
    letter: char,
    many: Vec<u64>,
}

impl Schema for Numbers {
    const NAME: &'static str = "test.numbers";
}

fn numbers() -> Numbers {
    Numbers { small: -1, wide: u128::MAX / 3, float: 1.5, letter: 'ß', many: (0..100).collect() }
}

/// Each file's name, and what is written today.
fn today() -> Vec<(&'static str, Bytes)> {
    let encoded = [
        ("proposal", archive::encode(&PROPOSAL)),
        ("node-1", archive::encode(&NodeBefore { name: "n1", cores: 64 })),
        ("node-2", archive::encode(&Node { name: "n2", cores: 96, zones: &["a", "b"] })),
        ("nothing", archive::encode(&Nothing)),
        ("numbers", archive::encode(&numbers())),
    ];
    encoded.into_iter().map(|(name, bytes)| (name, bytes.expect("small"))).collect()
}

fn file(form: u16, name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden/archive", &format!("form-{form}"), name].iter().collect()
}

fn golden(form: u16, name: &str) -> Bytes {
    archive::aligned(&fs::read(file(form, name)).unwrap_or_else(|error| panic!("{name}: {error}")))
}

#[test]
fn what_is_written_today_is_what_was_written() {
    for (name, bytes) in today() {
        assert_eq!(golden(FORMAT_NEWEST, name), bytes, "{name}");
    }
}

#[test]
fn old_bytes_stay_readable() {
    for form in 1..=FORMAT_NEWEST {
        let bytes = golden(form, "proposal");
        assert_eq!(Header::of(&bytes).expect("an archive").format, form);
        let archived = archive::access::<Proposal<'_>>(&bytes).expect("a proposal");
        assert_ne!(read_all(archived), 0);
        assert_eq!(archive::decode_in::<Proposal<'_>, _>(archived, &Arena::new()).expect("no budget"), PROPOSAL);
        let archived = archive::access::<HeapProposal>(&bytes).expect("a proposal");
        let heap: HeapProposal = rkyv::deserialize::<_, rkyv::rancor::Error>(archived).expect("a proposal");
        assert_eq!(heap, heap_proposal());

        archive::access::<Nothing>(&golden(form, "nothing")).expect("nothing");
        let bytes = golden(form, "numbers");
        let (archived, numbers) = (archive::access::<Numbers>(&bytes).expect("numbers"), numbers());
        assert_eq!(archived.wide.to_native(), numbers.wide);
        assert_eq!((archived.small, archived.letter.to_native()), (numbers.small, numbers.letter));
        assert_eq!(archived.float.to_native().to_bits(), numbers.float.to_bits());
        assert!(archived.many.iter().map(|number| number.to_native()).eq(numbers.many));
    }
}

#[test]
fn an_older_version_of_a_type_is_read_by_its_own_type() {
    let zones = |bytes: &[u8]| match Header::of(bytes).expect("an archive").version {
        1 => {
            let node = archive::access::<NodeBefore<'_>>(bytes).expect("a node");
            (node.name.to_string(), node.cores.to_native(), 0)
        }
        2 => {
            let node = archive::access::<Node<'_>>(bytes).expect("a node");
            (node.name.to_string(), node.cores.to_native(), node.zones.len())
        }
        newer => panic!("version {newer}"),
    };
    for form in 1..=FORMAT_NEWEST {
        assert_eq!(zones(&golden(form, "node-1")), ("n1".to_owned(), 64, 0));
        assert_eq!(zones(&golden(form, "node-2")), ("n2".to_owned(), 96, 2));
    }
}

#[test]
#[ignore = "writes files"]
fn write_files_that_are_missing() {
    for (name, bytes) in today() {
        let file = file(FORMAT_NEWEST, name);
        fs::create_dir_all(file.parent().expect("in a folder")).expect("a folder");
        if !file.exists() {
            fs::write(&file, &bytes).expect("a file");
        }
    }
}
