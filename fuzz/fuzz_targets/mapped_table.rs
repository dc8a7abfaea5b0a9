//! Bytes that may be a table: opened, mapped, and every name looked up. Whatever they say there is an answer or an error; what `verify`
//! finds nothing wrong with gives no error, and finds each of its names by text and by number.
//!
//! The first byte says whether the checksums are made right before, since hardly an altered table would get further than them.
//!
//! Run: `cargo +nightly fuzz run mapped_table fuzz/corpus/mapped_table fuzz/seeds/mapped_table`
#![no_main]

use blixard_arena::mapped::{Table, TableError};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::hint::black_box;
use xxhash_rust::xxh3::xxh3_64;

const BLOCK: usize = 1 << 14;

/// Writes right checksums into what may be no table.
fn sign(bytes: &mut [u8]) {
    let Some(data) = bytes.get(24..32).and_then(|bytes| bytes.first_chunk()) else { return };
    let blocks = u64::from_le_bytes(*data).div_ceil(BLOCK as u64);
    let blocks = usize::try_from(blocks).unwrap_or(usize::MAX).min(bytes.len() / 8);
    let data_at = (64 + blocks * 8).next_multiple_of(64);
    if data_at > bytes.len() {
        return;
    }
    for block in 0..blocks {
        let start = data_at + block * BLOCK;
        let sum = bytes.get(start..).map_or(0, |rest| xxh3_64(&rest[..rest.len().min(BLOCK)]));
        bytes[64 + block * 8..][..8].copy_from_slice(&sum.to_le_bytes());
    }
    let sums = xxh3_64(&bytes[64..data_at]);
    bytes[40..48].copy_from_slice(&sums.to_le_bytes());
    let header = xxh3_64(&bytes[..56]);
    bytes[56..64].copy_from_slice(&header.to_le_bytes());
}

/// Every look-up; the first error.
fn look_up(table: &Table, texts: &[u8]) -> Result<(), TableError> {
    let mut result = Ok(());
    let mut keep = |looked: Result<(), TableError>| {
        if let Err(error) = looked {
            black_box(error.to_string());
            result = Err(error);
        }
    };
    for number in (0..table.len().min(1000)).chain([table.len(), u32::MAX]) {
        keep(table.row(number).and_then(|row| {
            let Some(row) = row else { return Ok(()) };
            assert_eq!(row.number(), number);
            let found = table.find(row.name())?;
            assert!(found.is_none_or(|found| found.name() == row.name()));
            let value = row.value()?;
            assert!(value.is_none_or(|value| value.as_ptr().addr() % 16 == 0));
            black_box(value.map(|value| value.iter().fold(0_u8, |sum, byte| sum ^ byte)));
            Ok(())
        }));
    }
    for text in texts.chunks(5).take(64).filter_map(|text| std::str::from_utf8(text).ok()) {
        keep(
            table.find(text).map(|row| assert!(row.is_none_or(|row| row.name() == text && row.number() < table.len()))),
        );
    }
    result
}

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if first % 2 == 1 {
        sign(&mut bytes);
    }
    let opened = Table::from_bytes(&bytes);
    if let Ok(table) = &opened {
        let looked = look_up(table, &bytes);
        if table.verify().is_ok() {
            assert!(looked.is_ok());
            for number in 0..table.len().min(1000) {
                let name = table.row(number).unwrap().unwrap().name();
                assert_eq!(table.find(name).unwrap().unwrap().number(), number);
            }
        }
    }
    let path = std::env::temp_dir().join(format!("blixard-fuzz-{}", std::process::id()));
    fs::write(&path, &bytes).unwrap();
    // SAFETY: nobody alters this process's own file before the table is gone.
    let mapped = unsafe { Table::map(&path) };
    assert!(mapped.is_ok() || opened.is_err(), "what can be read can be mapped");
    if let Ok(table) = &mapped {
        let looked = look_up(table, &bytes);
        assert_eq!(table.verify().is_ok(), opened.as_ref().is_ok_and(|opened| opened.verify().is_ok()));
        assert!(looked.is_ok() || table.verify().is_err());
    }
    drop(mapped);
    fs::remove_file(&path).unwrap();
});
