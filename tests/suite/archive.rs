//! Archives: from arena and heap to the same bytes and back, and what is said of bytes that are not right.
#![cfg(feature = "archive")]
#![forbid(unsafe_code)]

use super::archive_samples::{ArchivedHeapProposal, HeapProposal, PROPOSAL, Proposal, heap_proposal};
use blixard_arena::archive::{
    self, ArchiveError, Checked, DecodeError, Each, HEADER_BYTES, Header, List, Pair, Schema, Text, rkyv, tag,
};
use blixard_arena::collections::{self, FlatMap, FlatSet};
use blixard_arena::{Arena, ArenaOptions, SharedArena};
use rkyv::Place;
use rkyv::rancor::{Fallible, Source};
use rkyv::with::{ArchiveWith, SerializeWith};
use std::cell::Cell;
use std::iter;
use std::rc::Rc;

fn refused(bytes: &[u8]) -> ArchiveError {
    archive::access::<Proposal<'_>>(&archive::aligned(bytes)).expect_err("refused")
}

/// The bytes after `alter`, with a checksum that holds again.
fn resealed(bytes: &[u8], alter: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    alter(&mut bytes);
    // The error says what the checksum should be.
    if let ArchiveError::Checksum { found, .. } = refused(&bytes) {
        bytes[8..16].copy_from_slice(&found.to_le_bytes());
    }
    bytes
}

#[test]
fn arena_and_heap_give_the_same_bytes_and_come_back() {
    let bytes = archive::encode(&PROPOSAL).unwrap();
    assert_eq!(bytes, archive::encode(&heap_proposal()).unwrap());
    let archived = archive::access::<Proposal<'_>>(&bytes).unwrap();
    assert_eq!(archived.name.as_str(), PROPOSAL.name);
    assert_eq!(archived.metadata[1].1, *"ключ");
    assert_eq!(archived.scores[1].0.to_native(), u64::MAX);
    assert_eq!(archived.zones[2][0].len(), 44);

    let arena = Arena::new();
    assert_eq!(archive::decode_in::<Proposal<'_>, _>(archived, &arena).unwrap(), PROPOSAL);
    let shared = SharedArena::new();
    assert_eq!(archive::decode_in::<Proposal<'_>, _>(archived, &shared).unwrap(), PROPOSAL);
    let heap: HeapProposal = rkyv::deserialize::<_, rkyv::rancor::Error>(archived).unwrap();
    assert_eq!(heap, heap_proposal());
}

#[test]
fn the_librarys_own_collections_become_the_bytes_of_what_they_hold() {
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Growing<'a> {
        #[rkyv(with = Text)]
        name: collections::String<&'a Arena>,
        #[rkyv(with = List<Pair<Text>>)]
        map: FlatMap<&'a str, u32, &'a Arena>,
        #[rkyv(with = List<Text>)]
        set: FlatSet<&'a str>,
        ids: collections::Vec<u64, &'a Arena>,
        limits: FlatMap<u16, u64>,
        kinds: FlatSet<u8, &'a Arena>,
    }
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Frozen<'a> {
        #[rkyv(with = Text)]
        name: &'a str,
        #[rkyv(with = List<Pair<Text>>)]
        map: &'a [(&'a str, u32)],
        #[rkyv(with = List<Text>)]
        set: &'a [&'a str],
        #[rkyv(with = List)]
        ids: &'a [u64],
        #[rkyv(with = List)]
        limits: &'a [(u16, u64)],
        kinds: Vec<u8>,
    }
    impl Schema for Growing<'_> {
        const NAME: &'static str = "test.collections";
    }
    impl Schema for Frozen<'_> {
        const NAME: &'static str = "test.collections";
    }

    let arena = Arena::new();
    let mut growing = Growing {
        name: collections::String::new_in(&arena),
        map: FlatMap::new_in(&arena),
        set: FlatSet::new(),
        ids: collections::Vec::new_in(&arena),
        limits: FlatMap::new(),
        kinds: FlatSet::new_in(&arena),
    };
    growing.name.push_str("vm-1");
    growing.map.extend([("b", 2), ("a", 1)]);
    growing.set.extend(["y", "x"]);
    growing.ids.extend([3, 2, 1]);
    growing.limits.extend([(9, 9), (1, 1)]);
    growing.kinds.extend([5, 4]);
    let frozen = Frozen {
        name: "vm-1",
        map: &[("b", 2), ("a", 1)],
        set: &["y", "x"],
        ids: &[3, 2, 1],
        limits: &[(9, 9), (1, 1)],
        kinds: vec![5, 4],
    };
    let bytes = archive::encode(&growing).unwrap();
    assert_eq!(bytes, archive::encode(&frozen).unwrap());
    let archived = archive::access::<Growing<'_>>(&bytes).unwrap();
    assert_eq!((archived.map[0].0.as_str(), archived.map[0].1.to_native()), ("b", 2));
    assert_eq!(archived.kinds.as_slice(), [5, 4]);
}

#[test]
fn boxes_of_arena_and_heap_give_the_same_bytes_and_come_back() {
    #[derive(Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
    #[rkyv(crate = rkyv)]
    struct Disk(u64, u8);
    #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
    #[rkyv(crate = rkyv)]
    struct InArena<'a> {
        disk: collections::Box<'a, Disk>,
        none: Option<collections::Box<'a, Disk>>,
    }
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct OnHeap {
        disk: Box<Disk>,
        none: Option<Box<Disk>>,
    }
    impl Schema for InArena<'_> {
        const NAME: &'static str = "test.box";
    }
    impl Schema for OnHeap {
        const NAME: &'static str = "test.box";
    }
    let arena = Arena::new();
    let in_arena = InArena { disk: collections::Box::new_in(Disk(1 << 40, 2), &arena), none: None };
    let bytes = archive::encode(&in_arena).unwrap();
    assert_eq!(bytes, archive::encode(&OnHeap { disk: Box::new(Disk(1 << 40, 2)), none: None }).unwrap());
    let archived = archive::access::<InArena<'_>>(&bytes).unwrap();
    assert_eq!((archived.disk.0.to_native(), archived.disk.1), (1 << 40, 2));
    let back: InArena<'_> = archive::decode_in(archived, &arena).unwrap();
    assert_eq!((&*back.disk, back.none.is_none()), (&Disk(1 << 40, 2), true));
}

#[test]
fn texts_of_every_length_are_checked_to_the_last_byte() {
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Texts<'a>(#[rkyv(with = Text)] &'a str, #[rkyv(with = List<Text>)] &'a [&'a str]);
    impl Schema for Texts<'_> {
        const NAME: &'static str = "test.texts";
    }
    fn sealed(mut bytes: Vec<u8>) -> bytes::Bytes {
        if let Err(ArchiveError::Checksum { found, .. }) = archive::access::<Texts<'_>>(&archive::aligned(&bytes)) {
            bytes[8..16].copy_from_slice(&found.to_le_bytes());
        }
        archive::aligned(&bytes)
    }
    for len in 0..140 {
        let (first, second) = ("a".repeat(len), "b".repeat(139 - len));
        let bytes = archive::encode(&Texts(&first, &[&second, "", &first])).unwrap();
        let texts = archive::access::<Texts<'_>>(&bytes).unwrap();
        assert_eq!(texts.0, *first);
        assert!(texts.1.iter().map(archive::ArchivedText::as_str).eq([&*second, "", &*first]));
        for at in HEADER_BYTES..HEADER_BYTES + 139 + len {
            let mut altered = bytes.to_vec();
            altered[at] = 0xff;
            let altered = sealed(altered);
            let Err(ArchiveError::Invalid(fault)) = archive::access::<Texts<'_>>(&altered) else {
                panic!("{len}, {at}")
            };
            assert_eq!(fault.offset(), at, "{fault}");
        }
        // Two bytes of one character that two texts share.
        if (1..139).contains(&len) {
            let mut altered = bytes.to_vec();
            altered[HEADER_BYTES + len - 1..=HEADER_BYTES + len].copy_from_slice("ß".as_bytes());
            let altered = sealed(altered);
            let Err(ArchiveError::Invalid(fault)) = archive::access::<Texts<'_>>(&altered) else { panic!("{len}") };
            assert_eq!(fault.offset(), HEADER_BYTES + len - 1, "{fault}");
        }
    }
}

#[test]
fn lists_grow_through_every_size_of_buffer() {
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Lists<'a> {
        #[rkyv(with = List)]
        numbers: &'a [u64],
        #[rkyv(with = List<Text>)]
        texts: &'a [&'a str],
    }
    impl Schema for Lists<'_> {
        const NAME: &'static str = "test.lists";
    }
    let numbers: Vec<u64> = (0..300_000).collect();
    let texts: Vec<String> = (0..60_000).map(|number| "x".repeat(number % 40)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for count in [0, 1, 7, 110, 119, 120, 121, 122, 2_000, 40_000, 60_000] {
        let lists = Lists { numbers: &numbers[..5 * count], texts: &texts[..count] };
        let bytes = archive::encode(&lists).unwrap();
        let archived = archive::access::<Lists<'_>>(&bytes).unwrap();
        assert!(archived.numbers.iter().map(|number| number.to_native()).eq(lists.numbers.iter().copied()));
        assert!(archived.texts.iter().map(archive::ArchivedText::as_str).eq(lists.texts.iter().copied()));
        // Another serializer gives the same payload.
        let other = rkyv::to_bytes::<rkyv::rancor::Error>(&lists).unwrap();
        assert_eq!(bytes[HEADER_BYTES..], other[..]);
    }
}

/// A list of numbers that an iterator gives.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(crate = rkyv)]
struct Given<I: ExactSizeIterator<Item = Option<u64>> + Clone>(#[rkyv(with = Each)] I);

impl<I: ExactSizeIterator<Item = Option<u64>> + Clone> Schema for Given<I> {
    const NAME: &'static str = "test.given";
}

#[test]
fn what_an_iterator_gives_becomes_the_bytes_of_a_slice() {
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Slices<'a> {
        #[rkyv(with = List<Pair<Text>>)]
        ports: &'a [(&'a str, u16)],
        #[rkyv(with = List<List<Text>>)]
        zones: &'a [&'a [&'a str]],
        #[rkyv(with = List)]
        numbers: &'a [Option<u64>],
    }
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Iterators<'a, P, Z, N>
    where
        P: ExactSizeIterator<Item = (&'a str, u16)> + Clone,
        Z: ExactSizeIterator<Item: ExactSizeIterator<Item = &'a str> + Clone> + Clone,
        N: ExactSizeIterator<Item = Option<u64>> + Clone,
    {
        #[rkyv(with = Each<Pair<Text>>)]
        ports: P,
        #[rkyv(with = Each<Each<Text>>)]
        zones: Z,
        #[rkyv(with = Each)]
        numbers: N,
    }
    impl Schema for Slices<'_> {
        const NAME: &'static str = "test.each";
    }
    impl<'a, P, Z, N> Schema for Iterators<'a, P, Z, N>
    where
        P: ExactSizeIterator<Item = (&'a str, u16)> + Clone,
        Z: ExactSizeIterator<Item: ExactSizeIterator<Item = &'a str> + Clone> + Clone,
        N: ExactSizeIterator<Item = Option<u64>> + Clone,
    {
        const NAME: &'static str = "test.each";
    }
    let zones: [&[&str]; 4] = [&["a", "größe"], &[], &["b"], &["", "a text that goes on for more than sixteen bytes"]];
    for count in [0, 1, 2, 3, 8, 15, 100, 3_000, 40_000] {
        let names: Vec<String> = (0..count).map(|number| "x".repeat(number % 23)).collect();
        let ports: Vec<(&str, u16)> = names.iter().map(String::as_str).zip(0..).collect();
        let zones: Vec<&[&str]> = zones.into_iter().cycle().take(count / 3).collect();
        let numbers: Vec<Option<u64>> =
            (0..count as u64).map(|number| (!number.is_multiple_of(3)).then_some(number)).collect();
        let slices = Slices { ports: &ports, zones: &zones, numbers: &numbers };
        let iterators = Iterators {
            ports: ports.iter().copied(),
            zones: zones.iter().map(|zone| zone.iter().copied()),
            numbers: numbers.iter().copied(),
        };
        let bytes = archive::encode(&iterators).unwrap();
        assert_eq!(bytes, archive::encode(&slices).unwrap());
        let other = rkyv::to_bytes::<rkyv::rancor::Error>(&iterators).unwrap();
        assert_eq!(bytes[HEADER_BYTES..], other[..], "another serializer gives the same payload");
        let archived = archive::access::<Slices<'_>>(&bytes).unwrap();
        assert_eq!(archived.ports.len(), count);
    }
}

/// Gives `items` as `of` makes them, and says that there are `says` of them.
#[derive(Clone)]
struct Liar<F> {
    items: std::ops::Range<u64>,
    says: usize,
    of: F,
}

impl<T, F: Fn(u64) -> T> Iterator for Liar<F> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.items.next().map(&self.of)
    }
}

impl<T, F: Fn(u64) -> T> ExactSizeIterator for Liar<F> {
    fn len(&self) -> usize {
        self.says
    }
}

fn odd(number: u64) -> Option<u64> {
    (!number.is_multiple_of(2)).then_some(number)
}

#[test]
fn an_iterator_that_lies_harms_nobody() {
    let liar = |items, says| Given(Liar { items: 0..items, says, of: odd });
    let honest = |items| archive::encode(&liar(items, usize::try_from(items).unwrap())).unwrap();
    for (items, says) in [(0, 1), (1, 2), (7, 8), (7, 1_000), (1_000, 100_000)] {
        assert_eq!(archive::encode(&liar(items, says)).unwrap(), honest(items), "{items} of {says}");
    }
    for (items, says) in [(1, 0), (2, 1), (9, 8), (100_000, 1_000), (1, usize::MAX)] {
        let encoded = std::panic::catch_unwind(|| archive::encode(&liar(items, says)));
        if says == usize::MAX {
            assert!(!matches!(encoded, Ok(Ok(_))));
        } else {
            let words = encoded.unwrap_err().downcast::<&str>().unwrap();
            assert!(words.contains("than its `len` says"), "{words}");
        }
        assert_eq!(honest(3).len(), 32 + 3 * 16 + 8);
    }

    // Each look is another one: what was serialised is what is written.
    let looks = Cell::new(0_u64);
    let fickle = Given(iter::repeat_n((), 9).map(|()| {
        looks.set(looks.get() + 1);
        odd(looks.get())
    }));
    for _ in 0..2 {
        let first = looks.get();
        let bytes = archive::encode(&fickle).unwrap();
        assert_eq!(looks.get(), first + 9, "it is walked once");
        let expected: Vec<_> = (first + 1..first + 10).map(odd).collect();
        assert_eq!(bytes, archive::encode(&Given(expected.iter().copied())).unwrap());
    }
}

#[test]
fn what_an_iterator_gave_is_dropped_once() {
    #[derive(Clone)]
    struct Held {
        text: &'static str,
        _count: Rc<()>,
    }
    impl std::ops::Deref for Held {
        type Target = str;
        fn deref(&self) -> &str {
            self.text
        }
    }
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Texts<I: ExactSizeIterator<Item = (Held, u8)> + Clone>(#[rkyv(with = Each<Pair<Text, Fickle>>)] I);
    impl<I: ExactSizeIterator<Item = (Held, u8)> + Clone> Schema for Texts<I> {
        const NAME: &'static str = "test.held";
    }
    let count = Rc::new(());
    let held = |last| {
        let given = [("a", 9), ("b", 9), ("c", last)];
        Texts(given.into_iter().map(|(text, number)| (Held { text, _count: Rc::clone(&count) }, number)))
    };
    archive::encode(&held(9)).unwrap();
    assert_eq!(Rc::strong_count(&count), 1);
    archive::encode(&held(0)).unwrap_err();
    assert_eq!(Rc::strong_count(&count), 1);
}

#[test]
fn a_header_says_what_follows() {
    let bytes = archive::encode(&PROPOSAL).unwrap();
    let header = Header::of(&bytes[..HEADER_BYTES]).unwrap();
    assert_eq!((header.format, header.tag, header.version), (1, tag("test.proposal"), 3));
    assert_eq!(header.payload_bytes + HEADER_BYTES, bytes.len());
    assert_eq!(bytes[..8], *b"\xB1xar\x01\0\0\0");
}

#[test]
fn bytes_that_are_cut_short_or_go_on_say_so() {
    let bytes = archive::encode(&PROPOSAL).unwrap();
    for end in 0..HEADER_BYTES {
        assert_eq!(refused(&bytes[..end]), ArchiveError::Truncated { found: end, expected: HEADER_BYTES });
    }
    for end in HEADER_BYTES..bytes.len() {
        assert_eq!(refused(&bytes[..end]), ArchiveError::Truncated { found: end, expected: bytes.len() });
    }
    let mut more = bytes.to_vec();
    more.push(0);
    assert_eq!(refused(&more), ArchiveError::Trailing { found: bytes.len() + 1, expected: bytes.len() });
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = archive::encode(&PROPOSAL).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        match (bit / 8, refused(&altered)) {
            (0..4, ArchiveError::NotAnArchive { found }) => assert_eq!(found, altered[..4]),
            (4 | 5, ArchiveError::NewerFormat { newest: 1, .. })
            | (28..32, ArchiveError::Truncated { .. } | ArchiveError::Trailing { .. } | ArchiveError::TooLong { .. })
            | (6.., ArchiveError::Checksum { .. }) => {}
            (byte, other) => panic!("byte {byte}: {other}"),
        }
    }
}

#[test]
fn another_type_and_another_version_are_named() {
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Other(u64);
    impl Schema for Other {
        const NAME: &'static str = "test.other";
    }
    let error = refused(&archive::encode(&Other(1)).unwrap());
    let (found, expected) = (tag("test.other"), tag("test.proposal"));
    assert_eq!(error, ArchiveError::OtherType { found, expected, name: "test.proposal" });

    let newer = resealed(&archive::encode(&PROPOSAL).unwrap(), |bytes| bytes[24] = 4);
    assert_eq!(refused(&newer), ArchiveError::OtherVersion { found: 4, expected: 3, name: "test.proposal" });
    assert_eq!(refused(&newer).to_string(), "archive: version 4 of test.proposal at byte 24, asked for was 3");
}

#[test]
fn misaligned_bytes_are_refused_and_can_be_moved() {
    let bytes = archive::encode(&PROPOSAL).unwrap();
    for found in 1..16 {
        let frame = archive::aligned(&[&vec![0xAA; found][..], &bytes].concat());
        let misaligned = &frame[found..];
        assert_eq!(archive::access::<Proposal<'_>>(misaligned).unwrap_err(), ArchiveError::Misaligned { found });
        let moved = archive::aligned(misaligned);
        assert_eq!(archive::access::<Proposal<'_>>(&moved).unwrap().name, *PROPOSAL.name);
    }
}

#[test]
fn a_payload_that_lies_is_refused_with_the_place() {
    let bytes = archive::encode(&PROPOSAL).unwrap();
    let invalid = |bytes: &[u8]| match refused(bytes) {
        ArchiveError::Invalid(fault) => fault,
        other => panic!("{other}"),
    };
    let place = |text: &str| bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();

    // A byte of a text, in the middle of a list.
    let at = place("ключ") + 2;
    let fault = invalid(&resealed(&bytes, |bytes| bytes[at] = 0xFF));
    assert_eq!((fault.offset(), fault.path()), (at, ".metadata[1].1"));
    assert_eq!(fault.what(), "byte 0xff is not UTF-8 here");
    assert_eq!(fault.to_string(), format!("at byte {at}, .metadata[1].1: byte 0xff is not UTF-8 here"));

    // The root is the last of all: id, name, tenant, metadata, scores, zones, placement.
    let root = bytes.len() - size_of::<ArchivedHeapProposal>();
    let field = |of: fn(&ArchivedHeapProposal) -> usize| {
        let archived = archive::access::<Proposal<'_>>(&bytes).unwrap();
        root + of(archived) - (&raw const *archived).addr()
    };
    let name = field(|archived| (&raw const archived.name).addr());
    let fault = invalid(&resealed(&bytes, |bytes| bytes[name..][..4].copy_from_slice(&i32::MIN.to_le_bytes())));
    assert_eq!(fault.path(), ".name");
    let fault = invalid(&resealed(&bytes, |bytes| bytes[name + 4..][..4].fill(0xFF)));
    assert_eq!(fault.path(), ".name");
    assert!(fault.what().starts_with("leads to 4294967295 bytes at "), "{fault}");

    let scores = field(|archived| (&raw const archived.scores).addr());
    let fault = invalid(&resealed(&bytes, |bytes| {
        let offset = i32::from_le_bytes(bytes[scores..][..4].try_into().unwrap());
        bytes[scores..][..4].copy_from_slice(&(offset + 4).to_le_bytes());
    }));
    assert_eq!((fault.path(), fault.what()), (".scores", "not at a multiple of 8"));

    // Placement: its tag, then the variants' fields.
    let placement = field(|archived| (&raw const archived.placement).addr());
    let fault = invalid(&resealed(&bytes, |bytes| bytes[placement] = 9));
    assert_eq!((fault.offset(), fault.path()), (root, ".placement"));
    assert!(fault.what().contains('9'), "{fault}");
    let exclusive = (placement..bytes.len()).find(|at| bytes[*at] == 1 && *at != placement).unwrap();
    let fault = invalid(&resealed(&bytes, |bytes| bytes[exclusive] = 2));
    assert_eq!((fault.offset(), fault.path()), (root, ".placement.On.exclusive"));

    // Nothing but a header.
    let fault = invalid(&resealed(&bytes, |bytes| {
        bytes.truncate(HEADER_BYTES);
        bytes[28..32].fill(0);
    }));
    assert_eq!(fault.path(), "");
}

#[test]
fn nesting_is_bounded() {
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    #[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator))]
    #[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
    struct Tree {
        #[rkyv(omit_bounds)]
        inner: Vec<Tree>,
    }
    impl Schema for Tree {
        const NAME: &'static str = "test.tree";
    }
    let tree = |levels: usize| (1..levels).fold(Tree { inner: Vec::new() }, |inner, _| Tree { inner: vec![inner] });
    let deepest = archive::DEPTH_MAX as usize - 1; // the root itself is one, and so is the empty list
    let bytes = archive::encode(&tree(deepest)).unwrap();
    assert!(archive::access::<Tree>(&bytes).is_ok());
    let bytes = archive::encode(&tree(deepest + 1)).unwrap();
    let error = archive::access::<Tree>(&bytes).err().unwrap().to_string();
    assert!(error.ends_with("more than 64 levels of lists and boxes"), "{error}");
    // Circles end too: each list's elements lie in the list itself.
    let circle = archive::encode(&tree(2)).unwrap();
    assert!(archive::access::<Tree>(&circle).is_ok());
}

#[test]
fn a_checked_archive_travels_and_is_not_checked_again() {
    let checked = Checked::<Proposal<'_>>::new(archive::encode(&PROPOSAL).unwrap()).unwrap();
    let copy = checked.clone();
    let name = std::thread::scope(|scope| scope.spawn(move || copy.name.to_string()).join().unwrap());
    assert_eq!(name, PROPOSAL.name);
    assert_eq!(checked.bytes(), &archive::encode(&PROPOSAL).unwrap());
    let cut = checked.into_bytes().slice(..40);
    assert!(matches!(Checked::<Proposal<'_>>::new(cut), Err(ArchiveError::Truncated { .. })));
}

#[test]
fn a_budget_refuses_a_decoded_value_and_nothing_else() {
    #[derive(Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
    #[rkyv(crate = rkyv)]
    struct Names<'a>(#[rkyv(with = List<Text>)] &'a [&'a str]);
    impl Schema for Names<'_> {
        const NAME: &'static str = "test.names";
    }
    let names = vec!["a name of thirty bytes or so..."; 1_000];
    let bytes = archive::encode(&Names(&names)).unwrap();
    let archived = archive::access::<Names<'_>>(&bytes).unwrap();
    let arena = ArenaOptions::new().budget_bytes_max(20_000).arena();
    match archive::decode_in::<Names<'_>, _>(archived, &arena) {
        Err(DecodeError::Budget(over)) => assert_eq!(over.allowed, 20_000),
        other => panic!("{other:?}"),
    }
    assert_eq!(*arena.alloc(7), 7);
    let arena = Arena::new();
    assert_eq!(archive::decode_in::<Names<'_>, _>(archived, &arena).unwrap().0, names);
}

#[test]
fn archives_of_any_size_move_from_buffer_to_buffer() {
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Blob<'a> {
        #[rkyv(with = Text)]
        first: &'a str,
        #[rkyv(with = List)]
        numbers: &'a [u64],
        #[rkyv(with = Text)]
        last: &'a str,
    }
    impl Schema for Blob<'_> {
        const NAME: &'static str = "test.blob";
    }
    let mut held = Vec::new();
    for numbers in [0, 1, 100, 120, 130, 500, 2_000, 8_000, 40_000, 130_000, 300_000] {
        let numbers: Vec<u64> = (0..numbers).collect();
        let bytes = archive::encode(&Blob { first: "first", numbers: &numbers, last: "last" }).unwrap();
        held.push((numbers, bytes));
    }
    for (numbers, bytes) in held {
        let blob = archive::access::<Blob<'_>>(&bytes).unwrap();
        assert!(blob.numbers.iter().map(|number| number.to_native()).eq(numbers.iter().copied()));
        assert_eq!((blob.first.as_str(), blob.last.as_str()), ("first", "last"));
    }
}

#[test]
fn what_is_held_is_never_written_again() {
    let held: Vec<_> = (0..3_000_u64)
        .map(|index| {
            let name = format!("vm-{index}");
            let proposal = Proposal { name: &name, ..PROPOSAL };
            (name.clone(), archive::encode(&proposal).unwrap())
        })
        .collect();
    for (name, bytes) in &held {
        assert_eq!(archive::access::<Proposal<'_>>(bytes).unwrap().name, **name);
    }
}

/// Archives a number, or not.
struct Fickle;

impl ArchiveWith<u8> for Fickle {
    type Archived = u8;
    type Resolver = ();

    fn resolve_with(field: &u8, (): (), out: Place<u8>) {
        out.write(*field);
    }
}

impl<S: Fallible<Error: Source> + ?Sized> SerializeWith<u8, S> for Fickle {
    fn serialize_with(field: &u8, _: &mut S) -> Result<(), S::Error> {
        match field {
            0 => Err(S::Error::new(std::io::Error::other("not a zero"))),
            1 => panic!("not a one"),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_value_that_refuses_or_panics_half_way_leaves_no_trace() {
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(crate = rkyv)]
    struct Half {
        #[rkyv(with = Text)]
        text: &'static str,
        names: Vec<String>,
        #[rkyv(with = Fickle)]
        number: u8,
    }
    impl Schema for Half {
        const NAME: &'static str = "test.half";
    }
    let half = |number| Half { text: "half a text", names: vec!["a name of some length".to_owned(); 50], number };
    let whole = archive::encode(&half(2)).unwrap();
    for _ in 0..10 {
        assert_eq!(archive::encode(&half(0)).unwrap_err().to_string(), "archive: not a zero");
        let panic = std::panic::catch_unwind(|| archive::encode(&half(1))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"not a one"));
        assert_eq!(archive::encode(&half(2)).unwrap(), whole);
    }
}

/// Whoever reads a stream makes room for what a header says: no length is believed that no archive has.
#[test]
fn a_length_beyond_every_payload_is_refused() {
    use blixard_arena::archive::PAYLOAD_BYTES_MAX;
    #[derive(rkyv::Archive, rkyv::Serialize)]
    struct Ping(u64);
    impl Schema for Ping {
        const NAME: &'static str = "example.ping";
    }
    let mut bytes = archive::encode(&Ping(7)).unwrap().to_vec();
    for length in [u32::MAX, 1 << 31] {
        bytes[28..32].copy_from_slice(&length.to_le_bytes());
        let refused = Header::of(&bytes).unwrap_err();
        assert_eq!(refused, ArchiveError::TooLong { found: length as usize, most: PAYLOAD_BYTES_MAX });
    }
    bytes[28..32].copy_from_slice(&u32::MAX.wrapping_shr(1).to_le_bytes());
    assert_eq!(Header::of(&bytes).unwrap().payload_bytes, PAYLOAD_BYTES_MAX);
}
