//! Random mutations of archives: no crash, and no value that differs while the checksum holds.
//!
//! A tenth of the million runs with the suite. All of it:
//! `cargo test --release --features archive --test suite archive_mutations -- --ignored`.
#![cfg(feature = "archive")]
#![forbid(unsafe_code)]

use super::archive_samples::{PROPOSAL, Placement, Proposal, read_all};
use super::random::Random;
use blixard_arena::Arena;
use blixard_arena::archive::{self, ArchiveError, HEADER_BYTES};

fn originals() -> Vec<Vec<u8>> {
    let scores: Vec<(u64, f64)> = (0..40).map(|node| (node, 0.25)).collect();
    let metadata = [("region", "eu-central"), ("größe", "🦀"), ("x", "")];
    let plain = Proposal { metadata: &[], scores: &[], zones: &[], placement: Placement::Refused, ..PROPOSAL };
    let large = Proposal { metadata: &metadata, scores: &scores, placement: Placement::Spread(1, 2), ..PROPOSAL };
    [PROPOSAL, plain, large].iter().map(|value| archive::encode(value).expect("small").to_vec()).collect()
}

/// One to four changes of the kinds that disks, networks and enemies make.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next().to_le_bytes()[0],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.next().to_le_bytes()[0]),
            4 => {
                let with = random.below(bytes.len());
                bytes.swap(at, with);
            }
            5 => {
                // A stretch written over another.
                let len = random.below(32).min(bytes.len() - at);
                let from = random.below(bytes.len() - len + 1);
                bytes.copy_within(from..from + len, at);
            }
            6 => {
                // A small number: an offset or a length that is nearly right.
                let small = i32::try_from(random.below(600)).expect("small") - 300;
                if let Some(word) = bytes[at / 4 * 4..].first_chunk_mut::<4>() {
                    *word = small.to_le_bytes();
                }
            }
            _ => {
                let until = (at + random.below(16)).min(bytes.len());
                bytes[at..until].fill([0, 0xFF][random.below(2)]);
            }
        }
    }
}

fn run(seed: u64, mutations: usize) {
    let (mut random, originals, mut arena) = (Random(seed), originals(), Arena::new());
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..mutations {
        let original = &originals[random.below(originals.len())];
        let mut bytes = original.clone();
        mutate(&mut random, &mut bytes);
        let mut altered = archive::aligned(&bytes);
        match archive::access::<Proposal<'_>>(&altered) {
            // The changes cancelled out.
            Ok(_) => assert_eq!(bytes, *original, "an altered archive was accepted"),
            Err(ArchiveError::Checksum { found, .. }) => {
                // Somebody who knows how to make a checksum.
                bytes[8..16].copy_from_slice(&found.to_le_bytes());
                altered = archive::aligned(&bytes);
            }
            Err(_) => {}
        }
        match archive::access::<Proposal<'_>>(&altered) {
            Ok(archived) => {
                std::hint::black_box(read_all(archived));
                let _ = archive::decode_in::<Proposal<'_>, _>(archived, &arena);
                arena.reset();
                accepted += 1;
            }
            Err(error) => {
                if let ArchiveError::Invalid(fault) = &error {
                    assert!(!fault.what().is_empty() && fault.path().len() <= 1024);
                    assert!((HEADER_BYTES..=bytes.len()).contains(&fault.offset()), "{fault}");
                }
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    // The test would prove little if one of them were rare.
    assert!(accepted > mutations / 50 && refused > mutations / 4, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_hundred_thousand_mutations() {
    run(1, if cfg!(debug_assertions) { 100_000 } else { 250_000 });
}

#[test]
#[ignore = "a million: for a release build"]
fn a_million_mutations() {
    run(2, 1_000_000);
}
