//! Bytes that may be a trace's tasks or machines, or a request: an answer within the limits or an error that says where; requests made of
//! what was read are read back; a request that is read has no other form.
//!
//! The first byte chooses among the three.
//!
//! Run: `cargo +nightly fuzz run trace_reader fuzz/corpus/trace_reader fuzz/seeds/trace_reader`
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiling::input::csv::{self, CsvError, TEXT_BYTES_MAX};
use profiling::input::requests;
use profiling::request::{Request, RequestError, VmRequest, write};
use std::fs;
use std::path::Path;

/// The VMs of a request, and their pairs of metadata.
type Read<'b> = (Vec<VmRequest<'b>>, Vec<(&'b str, &'b str)>);

fn read(bytes: &[u8]) -> Result<Read<'_>, RequestError> {
    let (mut vms, mut pairs) = (Vec::new(), Vec::new());
    Request::open(bytes)?.parse(&mut vms, &mut pairs)?;
    Ok((vms, pairs))
}

fn one_form(bytes: &[u8]) {
    match read(bytes) {
        Ok((vms, pairs)) => {
            let vms: Vec<_> = vms
                .into_iter()
                .map(|VmRequest { id, lifetime, spec, pairs: own }| {
                    let own: Vec<(&str, String)> =
                        pairs[own].iter().map(|&(key, value)| (key, value.to_owned())).collect();
                    (id, lifetime, spec, own)
                })
                .collect();
            // An address has several spellings, and one that is written.
            let written = write(&vms);
            let (again, pairs_again) = read(&written).expect("what is written can be read");
            assert_eq!((again.len(), pairs_again), (vms.len(), pairs));
            assert_eq!(write(&vms), written);
        }
        Err(error) => assert!(error.to_string().starts_with("request, line ") && !error.expected.is_empty()),
    }
}

fn told(path: &Path, error: &CsvError) {
    let text = error.to_string();
    assert!(text.starts_with(&path.display().to_string()) && !error.message.is_empty(), "{text}");
}

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    if first % 3 == 0 {
        return one_form(bytes);
    }
    let path = std::env::temp_dir().join(format!("blixard-fuzz-trace-{}", std::process::id()));
    fs::write(&path, bytes).unwrap();
    if first % 3 == 1 {
        match csv::tasks(&path) {
            Ok(tasks) => {
                assert!(!tasks.is_empty() && tasks.iter().all(|task| task.name.len() <= TEXT_BYTES_MAX));
                for request in requests(&tasks, 16, 1) {
                    read(&request).expect("a request made of a trace is one");
                    one_form(&request);
                }
            }
            Err(error) => told(&path, &error),
        }
    } else {
        match csv::nodes(&path) {
            Ok(nodes) => assert!(!nodes.is_empty()),
            Err(error) => told(&path, &error),
        }
    }
    fs::remove_file(&path).unwrap();
});
