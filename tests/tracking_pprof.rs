//! What a profile is written as: pprof, read back by a protobuf library that is not ours and checked by pprof's own rules;
//! JSON, read by a JSON library; folded stacks; the table.
#![cfg(feature = "allocation-tracking")]

use blixard_arena::tracking::{self, SiteSum, Sites, TrackingAllocator, TrackingOptions};
use prost::Message;
use std::collections::{HashMap, HashSet};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

/// profile.proto of google/pprof, as far as field numbers go.
#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

#[inline(never)]
fn makes_blocks(kept: &mut Vec<Vec<u8>>) {
    for i in 0..50 {
        let block = black_box(vec![7; 200]);
        if i % 2 == 0 {
            kept.push(block);
        }
    }
}

#[inline(never)]
fn recurses(depth: u32, kept: &mut Vec<Vec<u8>>) {
    if depth == 0 {
        makes_blocks(kept);
    } else {
        recurses(depth - 1, kept);
    }
    black_box(depth);
}

#[test]
fn written_profiles_are_read_back() {
    let _tracking = TrackingOptions::new().sites(Sites::Complete).start();
    let mut kept = Vec::with_capacity(1000);
    recurses(0, &mut kept);
    recurses(5, &mut kept);
    let profile = tracking::allocation_sites();

    // pprof: decoded, and valid by the rules of its CheckValid.
    let bytes = profile.to_pprof();
    let read = Profile::decode(&bytes[..]).unwrap();
    assert_eq!(read.string_table[0], "");
    let text = |number: i64| &*read.string_table[usize::try_from(number).unwrap()];
    let types: Vec<_> = read.sample_type.iter().map(|t| (text(t.r#type), text(t.unit))).collect();
    let expected =
        [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")];
    assert_eq!(types, expected);
    assert_eq!(text(read.default_sample_type), "inuse_space");
    let period = read.period_type.as_ref().unwrap();
    assert_eq!((text(period.r#type), text(period.unit), read.period), ("space", "bytes", 1));
    let functions: HashMap<u64, &Function> = read.function.iter().map(|function| (function.id, function)).collect();
    assert!(!functions.contains_key(&0) && functions.len() == read.function.len(), "an id each, none of them 0");
    let locations: HashMap<u64, &Location> = read.location.iter().map(|location| (location.id, location)).collect();
    assert!(!locations.contains_key(&0) && locations.len() == read.location.len(), "an id each, none of them 0");
    for function in &read.function {
        assert!(!text(function.name).is_empty() && text(function.system_name) == text(function.name));
        _ = text(function.filename);
    }
    for location in &read.location {
        assert!(location.mapping_id == 0 && !location.line.is_empty());
        assert!(location.line.iter().all(|line| functions.contains_key(&line.function_id) && line.line >= 0));
    }
    assert_eq!(read.string_table.iter().collect::<HashSet<_>>().len(), read.string_table.len(), "each text once");
    assert_eq!(read.sample.len(), profile.sites.len());
    for (sample, site) in read.sample.iter().zip(&profile.sites) {
        assert_eq!(sample.value.len(), read.sample_type.len());
        let sums = [SiteSum::Blocks, SiteSum::Bytes, SiteSum::LiveBlocks, SiteSum::LiveBytes];
        let values = sums.map(|sum| i64::try_from(site.sum(sum)).unwrap());
        assert_eq!(sample.value, values);
        // The same functions in the same order, innermost first, those put into one another under one location.
        let names: Vec<_> = sample.location_id.iter().flat_map(|id| &locations[id].line).collect();
        let names: Vec<_> = names.iter().map(|line| text(functions[&line.function_id].name)).collect();
        assert_eq!(names, site.frames.iter().map(|frame| &*frame.function).collect::<Vec<_>>());
        let outer = site.frames.iter().filter(|frame| !frame.inlined).count();
        assert_eq!(sample.location_id.len(), outer);
    }
    let deep = |site: &&tracking::AllocationSite| {
        site.frames.iter().filter(|frame| frame.function.ends_with("recurses")).count() == 6
    };
    let deep = profile.sites.iter().find(deep).unwrap();
    assert_eq!((deep.blocks, deep.bytes, deep.live_blocks, deep.live_bytes), (50, 10_000, 25, 5000));
    // The same on the re-encoded message: nothing in ours that a reader would drop.
    assert_eq!(Profile::decode(&read.encode_to_vec()[..]).unwrap(), read);

    // JSON.
    let json: serde_json::Value = serde_json::from_str(&profile.to_json()).unwrap();
    let sites = json["sites"].as_array().unwrap();
    assert_eq!((json["sample_bytes"].as_u64(), sites.len()), (Some(1), profile.sites.len()));
    for (json, site) in sites.iter().zip(&profile.sites) {
        assert_eq!(json["live_bytes"].as_u64(), Some(site.live_bytes));
        assert_eq!(json["frames"].as_array().unwrap().len(), site.frames.len());
        let frame = &site.frames[0];
        assert_eq!(json["frames"][0]["function"].as_str(), Some(&*frame.function));
        assert_eq!(json["frames"][0]["line"].as_u64(), frame.line.map(u64::from));
    }

    // Folded stacks: a number after the last space, the sum over the lines is the sum over the sites.
    let folded = profile.to_folded(SiteSum::LiveBytes);
    let mut sum = 0;
    for line in folded.lines() {
        let (stack, number) = line.rsplit_once(' ').unwrap();
        assert!(!stack.is_empty() && !stack.split(';').any(str::is_empty), "{line}");
        sum += number.parse::<u64>().unwrap();
    }
    assert_eq!(sum, profile.sites.iter().map(|site| site.live_bytes).sum::<u64>());
    let line = folded.lines().find(|line| line.matches("recurses;").count() == 6).unwrap();
    assert!(line.ends_with(" 5000") && line.find("recurses") < line.find("makes_blocks"), "outermost first: {line}");

    // The table.
    let table = profile.to_table(3, SiteSum::LiveBytes);
    assert!(table.starts_with("         bytes       blocks     live bytes  live blocks  site\n"), "{table}");
    assert!(table.contains("makes_blocks (") && table.contains("  < "), "{table}");
}
