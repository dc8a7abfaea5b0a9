//! Bytes as an archive, with a checksum that holds: nothing that is accepted may reach outside, however it is read; and values that are
//! archived come back as they were.
//!
//! Run: `cargo +nightly fuzz run archive fuzz/corpus/archive fuzz/seeds/archive`
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use blixard_arena::ArenaOptions;
use blixard_arena::archive::{self, ArchiveError, Checker, HEADER_BYTES, Header, Schema, rkyv, tag};
use libfuzzer_sys::fuzz_target;
use rkyv::bytecheck::CheckBytes;

#[path = "../message.rs"]
mod message;

use message::{ArchivedKind, ArchivedMessage, ArchivedTree, Kind, Message, Tree};

fn read(message: &ArchivedMessage<'_>) -> usize {
    let mut sum = message.name.chars().count() + message.id.iter().map(|byte| usize::from(*byte)).sum::<usize>();
    sum += message.tenant.iter().map(|tenant| tenant.chars().count()).sum::<usize>();
    sum += message.metadata.iter().map(|pair| pair.0.chars().count() + pair.1.chars().count()).sum::<usize>();
    sum += message.scores.iter().map(|score| score.1.to_native() as usize).sum::<usize>();
    sum += message.zones.iter().flat_map(|zone| zone.iter()).map(|name| name.chars().count()).sum::<usize>();
    for kind in message.kinds.iter() {
        sum += match kind {
            ArchivedKind::None => 0,
            ArchivedKind::Text(text) => text.chars().count(),
            ArchivedKind::Numbers { flag, letter, wide } => {
                usize::from(*flag) + letter.to_native() as usize + wide.to_native().count_ones() as usize
            }
        };
    }
    sum += message.own.chars().count();
    sum + message
        .boxed
        .iter()
        .flat_map(|numbers| numbers.iter())
        .map(|number| usize::from(number.to_native()))
        .sum::<usize>()
}

fn leaves(tree: &ArchivedTree) -> usize {
    usize::from(tree.value) + tree.inner.iter().map(leaves).sum::<usize>()
}

/// `payload` behind a header of `T` that is right in all it says.
fn sealed<T: Schema<Archived: for<'c> CheckBytes<Checker<'c>>>>(payload: &[u8]) -> bytes::Bytes {
    let mut archive = b"\xB1xar\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    archive.extend_from_slice(&tag(T::NAME).to_le_bytes());
    archive.extend_from_slice(&T::VERSION.to_le_bytes());
    archive.extend_from_slice(&u32::try_from(payload.len()).expect("small").to_le_bytes());
    archive.extend_from_slice(payload);
    match archive::access::<T>(&archive::aligned(&archive)) {
        Err(ArchiveError::Checksum { found, .. }) => archive[8..16].copy_from_slice(&found.to_le_bytes()),
        // 2^64 to one that zero is right.
        _ => panic!("the checksum is missing"),
    }
    archive::aligned(&archive)
}

fn check(error: &ArchiveError, bytes: usize) {
    let ArchiveError::Invalid(fault) = error else { panic!("{error}") };
    assert!(fault.path().len() <= 1024 && !fault.what().is_empty());
    assert!((HEADER_BYTES..=HEADER_BYTES + bytes).contains(&fault.offset()), "{fault}");
}

fuzz_target!(|data: &[u8]| {
    let _ = Header::of(data);
    let _ = archive::access::<Message<'_>>(data);
    let arena = ArenaOptions::new().budget_bytes_max(1 << 20).arena();

    let message = sealed::<Message<'_>>(data);
    match archive::access::<Message<'_>>(&message) {
        Ok(archived) => {
            std::hint::black_box(read(archived));
            for kind in archived.kinds.iter() {
                let _ = rkyv_kind(kind, &arena);
            }
        }
        Err(error) => check(&error, data.len()),
    }
    let tree = sealed::<Tree>(data);
    match archive::access::<Tree>(&tree) {
        Ok(archived) => drop(std::hint::black_box(leaves(archived))),
        Err(error) => check(&error, data.len()),
    }

    let Ok(value) = Message::arbitrary(&mut Unstructured::new(data)) else { return };
    let bytes = archive::encode(&value).expect("small");
    assert_eq!(bytes, archive::encode(&value).expect("small"), "the bytes depend on the value alone");
    let archived = archive::access::<Message<'_>>(&bytes).expect("just written");
    assert_eq!((&*archived.name, archived.id, &*archived.own), (value.name, value.id, value.own.as_str()));
    assert_eq!(archived.tenant.as_ref().map(|tenant| tenant.as_str()), value.tenant);
    assert!(archived.metadata.iter().map(|pair| (pair.0.as_str(), pair.1.as_str())).eq(value.metadata.iter().copied()));
    assert!(
        archived
            .kinds
            .iter()
            .map(|kind| rkyv_kind(kind, &arena).expect("within a budget"))
            .eq(value.kinds.iter().cloned())
    );
    assert_eq!(archived.zones.len(), value.zones.len());
    // One more byte or bit of the input as a place to flip.
    if let Some(at) = data.first() {
        let mut altered = bytes.to_vec();
        let at = usize::from(*at) * 3 % altered.len();
        altered[at] ^= 0x10;
        assert!(archive::access::<Message<'_>>(&archive::aligned(&altered)).is_err(), "byte {at} altered");
    }
});

fn rkyv_kind<'a>(kind: &ArchivedKind<'a>, arena: &'a blixard_arena::Arena) -> Option<Kind<'a>> {
    archive::decode_in(kind, arena).ok()
}
