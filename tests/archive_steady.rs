//! Archives make no allocator call once warm: neither writing, freezing, accessing, moving nor decoding them does.
//!
//! Over the public API, with dhat as the global allocator in its testing mode. This file holds one test, because dhat counts
//! the whole process.
#![cfg(all(feature = "archive", not(blixard_no_recycle)))]
#![forbid(unsafe_code)]

mod archive_samples;
mod blocks;

use archive_samples::{PROPOSAL, Proposal, read_all};
use blixard_arena::Arena;
use blixard_arena::archive::{self, List, Schema, rkyv};
use blocks::calls;
use std::collections::VecDeque;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(crate = rkyv)]
struct Batch<'a> {
    #[rkyv(with = List)]
    proposals: &'a [Proposal<'a>],
}

impl Schema for Batch<'_> {
    const NAME: &'static str = "test.batch";
}

/// Runs `work` and adds the allocator calls and frees that it made, as far as dhat tells them apart.
fn counted<T>(sum: &mut u64, work: impl FnOnce() -> T) -> T {
    let before = calls();
    let result = work();
    let after = calls();
    *sum += after.0 - before.0 + before.1.abs_diff(after.1) as u64;
    result
}

#[test]
fn writing_and_reading_archives_makes_no_allocator_call() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let proposals = vec![PROPOSAL; 100];
    let mut arena = Arena::new();
    // A log that holds the last fifty, and a sender that lets go of each at once.
    let mut log = VecDeque::with_capacity(64);
    let [mut encode, mut access, mut decode, mut aligned] = [0; 4];
    for round in 0..2_000 {
        if round == 500 {
            [encode, access, decode, aligned] = [0; 4];
        }
        let one = counted(&mut encode, || archive::encode(&PROPOSAL).expect("small"));
        let sum = counted(&mut access, || read_all(archive::access::<Proposal<'_>>(&one).expect("just written")));
        assert_ne!(sum, 0);
        log.push_back(one);
        if log.len() > 50 {
            log.pop_front();
        }
        let proposals = &proposals[..[1, 10, 100][round % 3]];
        let batch = counted(&mut encode, || archive::encode(&Batch { proposals }).expect("small"));
        let archived = counted(&mut access, || archive::access::<Batch<'_>>(&batch).expect("just written"));
        counted(&mut decode, || {
            let decoded: Batch<'_> = archive::decode_in(archived, &arena).expect("no budget");
            assert_eq!(decoded.proposals[0], PROPOSAL);
        });
        if round % 3 == 2 {
            arena.reset();
        }
        counted(&mut aligned, || drop(archive::aligned(&batch[1..])));
    }
    assert_eq!([encode, access, decode, aligned], [0; 4], "encode, access, decode, aligned");
}
