//! Values go out through serde and come back into an arena, nested ones included; a budget ends in the format's error.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test")]

use blixard_arena::arena::{AnyArena, Arena, SharedArena};
use blixard_arena::collections::{Box, DeserializeIn, FixedState, FlatMap, FlatSet, String, Vec, seed_in};
use blixard_arena::{ArenaOptions, deserialize_in};
use serde::de::DeserializeSeed;
use std::collections::BTreeMap;

fn read<'de, 'a, A: AnyArena, T: DeserializeIn<'de, 'a, A>>(arena: &'a A, json: &'de str) -> serde_json::Result<T> {
    let mut body = serde_json::Deserializer::from_str(json);
    let value = seed_in(arena).deserialize(&mut body)?;
    body.end()?;
    Ok(value)
}

#[derive(Debug, PartialEq)]
struct Disk<'a> {
    name: &'a str,
    gib: u64,
    labels: Option<&'a [(&'a str, u8)]>,
}
deserialize_in!(Disk<'a> { name, gib, labels });

struct Vm<'a> {
    name: String<&'a SharedArena>,
    disks: Vec<Disk<'a>, &'a SharedArena>,
    tags: FlatMap<&'a str, FlatSet<&'a str, &'a SharedArena>, &'a SharedArena, FixedState>,
    boxed: Box<'a, (i64, f64, char, bool, ())>,
}
deserialize_in!(Vm<'a> in SharedArena { name, disks, tags, boxed });

const VM: &str = r#"{
    "disks": [{"name": "root", "gib": 10}, {"gib": 20, "labels": [["fast", 1]], "name": "d\u00e4ta", "unknown": {"a": [1]}}],
    "tags": {"zone": ["b", "c", "b"], "tier": []},
    "boxed": [-1, 0.5, "x", true, null],
    "name": "vm-1"
}"#;

#[test]
fn nested_values_come_into_the_arena_and_outlive_the_input() {
    let arena = SharedArena::new();
    let mut vm: Vm<'_> = {
        let body = VM.to_owned();
        read(&arena, &body).unwrap()
    };
    vm.name.push_str("-copy");
    assert_eq!(vm.name, "vm-1-copy");
    let labels = [("fast", 1)];
    let disks =
        [Disk { name: "root", gib: 10, labels: None }, Disk { name: "d\u{e4}ta", gib: 20, labels: Some(&labels) }];
    assert_eq!(vm.disks, disks);
    assert_eq!(vm.tags["zone"].as_slice(), ["b", "c"]);
    assert!(vm.tags["tier"].is_empty());
    assert_eq!(*vm.boxed, (-1, 0.5, 'x', true, ()));
}

#[test]
fn structs_come_from_sequences_too() {
    let arena = Arena::new();
    let disk: Disk<'_> = read(&arena, r#"["root", 10, null]"#).unwrap();
    assert_eq!(disk, Disk { name: "root", gib: 10, labels: None });
    let short = read::<_, Disk<'_>>(&arena, r#"["root"]"#).unwrap_err().to_string();
    assert!(short.contains("invalid length 1, expected struct Disk"), "{short}");
}

#[test]
fn what_is_wrong_is_told() {
    let arena = Arena::new();
    let told = |json| read::<_, Disk<'_>>(&arena, json).unwrap_err().to_string();
    assert!(told(r#"{"gib": 1}"#).starts_with("missing field `name`"), "{}", told(r#"{"gib": 1}"#));
    let twice = told(r#"{"name": "a", "name": "b", "gib": 1}"#);
    assert!(twice.starts_with("duplicate field `name`"), "{twice}");
    let kind = told(r#"{"name": 7, "gib": 1}"#);
    assert!(kind.contains("expected a string at line 1"), "{kind}");
    let tuple = read::<_, (u8, u8)>(&arena, "[1, 2, 3]").unwrap_err().to_string();
    assert!(tuple.contains("expected a tuple of 2"), "{tuple}");
}

#[test]
fn over_budget_the_format_says_so_and_the_arena_goes_on() {
    let arena = ArenaOptions::new().budget_bytes_max(8192).arena();
    let long = format!("[{}0]", "0,".repeat(100_000));
    let refused = read::<_, Vec<u64, &Arena>>(&arena, &long).unwrap_err().to_string();
    assert!(refused.contains("of 8192 allowed"), "{refused}");
    let text = format!("\"{}\"", "x".repeat(10_000));
    assert!(read::<_, &str>(&arena, &text).unwrap_err().to_string().contains("of 8192 allowed"));
    assert!(read::<_, String<&Arena>>(&arena, &text).is_err());
    assert_eq!(read::<_, &[u8]>(&arena, "[1, 2]").unwrap(), [1, 2]);
}

#[test]
fn everything_goes_out_as_its_std_twin_does() {
    let arena = Arena::new();
    let json = |value: &dyn erased::Json| value.json();
    let numbers = Vec::from_iter_in([1, 2, 3], &arena);
    assert_eq!(json(&numbers), "[1,2,3]");
    assert_eq!(json(&String::from_str_in("a\"b", &arena)), r#""a\"b""#);
    assert_eq!(json(&Box::new_in([true], &arena)), "[true]");
    let map = FlatMap::from_iter_in([("b", numbers.clone()), ("a", numbers)], &arena);
    assert_eq!(json(&map), r#"{"b":[1,2,3],"a":[1,2,3]}"#);
    assert_eq!(json(&FlatSet::from_iter_in(["x", "x", "y"], &arena)), r#"["x","y"]"#);
    let mut small = blixard_arena::collections::SmallVec::<u8>::new();
    small.push(7);
    assert_eq!(json(&small), "[7]");
}

mod erased {
    pub(super) trait Json {
        fn json(&self) -> std::string::String;
    }
    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> std::string::String {
            serde_json::to_string(self).unwrap()
        }
    }
}

#[test]
fn heap_maps_and_sets_come_back_as_they_went() {
    let std_map: BTreeMap<std::string::String, std::vec::Vec<u32>> =
        (0..40).map(|key| (format!("key-{key}"), (0..key).collect())).collect();
    let text = serde_json::to_string(&std_map).unwrap();
    let flat: FlatMap<std::string::String, std::vec::Vec<u32>> = serde_json::from_str(&text).unwrap();
    assert_eq!(flat.len(), 40);
    assert!(std_map.iter().eq(flat.iter()));
    assert_eq!(serde_json::to_string(&flat).unwrap(), text);
    let set: FlatSet<u32> = serde_json::from_str("[3, 1, 3]").unwrap();
    assert_eq!(set.as_slice(), [3, 1]);
}

/// A length that lies does not reserve memory.
#[test]
fn an_announced_length_reserves_little() {
    struct Lies;
    impl<'de> serde::de::SeqAccess<'de> for Lies {
        type Error = serde::de::value::Error;
        fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, _: T) -> Result<Option<T::Value>, Self::Error> {
            Ok(None)
        }
        fn size_hint(&self) -> Option<usize> {
            Some(usize::MAX)
        }
    }
    let arena = Arena::new();
    let list: Vec<u64, &Arena> =
        seed_in(&arena).deserialize(serde::de::value::SeqAccessDeserializer::new(Lies)).unwrap();
    assert!(list.is_empty() && arena.figures().used_bytes <= 4096);
}

/// A set or a map has an index beside its entries: both are within what an announced length may reserve.
#[test]
fn an_announced_length_reserves_little_for_an_index_too() {
    struct Announces;
    impl<'de> serde::de::SeqAccess<'de> for Announces {
        type Error = serde::de::value::Error;
        fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, _: T) -> Result<Option<T::Value>, Self::Error> {
            Ok(None)
        }
        fn size_hint(&self) -> Option<usize> {
            Some(usize::MAX)
        }
    }
    impl<'de> serde::de::MapAccess<'de> for Announces {
        type Error = serde::de::value::Error;
        fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, _: K) -> Result<Option<K::Value>, Self::Error> {
            Ok(None)
        }
        fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, _: V) -> Result<V::Value, Self::Error> {
            unreachable!("there is no key")
        }
        fn size_hint(&self) -> Option<usize> {
            Some(usize::MAX)
        }
    }
    use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
    fn used<T: for<'a> Reads<'a>>() -> usize {
        let arena = Arena::new();
        T::read(&arena);
        arena.figures().used_bytes
    }
    trait Reads<'a> {
        fn read(arena: &'a Arena);
    }
    struct Set<T>(T);
    impl<'a, T: std::hash::Hash + Eq + Copy + Default + for<'de> DeserializeIn<'de, 'a, Arena>> Reads<'a> for Set<T> {
        fn read(arena: &'a Arena) {
            let set: FlatSet<T, &Arena> = seed_in(arena).deserialize(SeqAccessDeserializer::new(Announces)).unwrap();
            assert!(set.is_empty());
            let map: FlatMap<T, T, &Arena> = seed_in(arena).deserialize(MapAccessDeserializer::new(Announces)).unwrap();
            assert!(map.is_empty());
        }
    }
    let used = [used::<Set<u8>>(), used::<Set<u32>>(), used::<Set<u64>>()];
    assert!(used.iter().all(|used| (1..=2 * 4096).contains(used)), "a set and a map each: {used:?}");
}

/// A field may be a raw identifier, and a struct have any name: the macro's own are in nobody's way.
#[test]
fn fields_and_structs_may_have_any_name() {
    #[derive(Debug)]
    struct Fields<'a> {
        r#type: &'a str,
        map: u8,
    }
    deserialize_in!(Fields<'a> { r#type, map });
    struct M<'a> {
        r#in: &'a str,
    }
    deserialize_in!(M<'a> in Arena { r#in });
    #[derive(serde::Deserialize)]
    struct A(u8);
    deserialize_in!(A);
    #[derive(serde::Deserialize)]
    struct D(u8);
    deserialize_in!(D);
    let arena = Arena::new();
    let fields: Fields<'_> = read(&arena, r#"{"map": 7, "type": "gpu"}"#).unwrap();
    assert_eq!((fields.r#type, fields.map), ("gpu", 7));
    assert_eq!(read::<_, M<'_>>(&arena, r#"{"in": "eu"}"#).unwrap().r#in, "eu");
    assert_eq!(read::<_, A>(&arena, "3").unwrap().0 + read::<_, D>(&arena, "4").unwrap().0, 7);
    let missing = read::<_, Fields<'_>>(&arena, r#"{"map": 7}"#).unwrap_err().to_string();
    assert!(missing.starts_with("missing field `type`"), "{missing}");
    let twice = read::<_, Fields<'_>>(&arena, r#"{"type": "a", "type": "b"}"#).unwrap_err().to_string();
    assert!(twice.starts_with("duplicate field `type`"), "{twice}");
}
