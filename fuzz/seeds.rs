//! Writes the seeds of the targets that read bytes, `archive` and `mapped_table`, into `seeds/`: small values of each form.
//!
//! Run in this folder: `cargo run --example seeds`. The same program writes the same files.

use blixard_arena::archive::{self, HEADER_BYTES};
use blixard_arena::mapped::TableBuilder;
use std::fs;
use std::path::Path;

mod message;

use message::{Kind, Message, Tree};

fn keep(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}

fn archives() {
    let nothing = Message {
        id: [0; 16],
        name: "",
        tenant: None,
        metadata: Vec::new(),
        scores: Vec::new(),
        zones: Vec::new(),
        kinds: Vec::new(),
        own: String::new(),
        boxed: None,
    };
    let texts = Message {
        name: "vm-1",
        tenant: Some("a tenant's name of more than thirty-two bytes"),
        metadata: vec![("tier", "db"), ("größe", "🦀"), ("", "x")],
        zones: vec![vec!["a", "b"], Vec::new(), vec!["rack-12"]],
        own: "out of line".to_owned(),
        ..nothing.clone()
    };
    let numbers = Message {
        id: *b"0123456789abcdef",
        scores: vec![(1, 2), (u64::MAX, 3)],
        kinds: vec![Kind::None, Kind::Text("k"), Kind::Numbers { flag: true, letter: 'ß', wide: u128::MAX / 3 }],
        boxed: Some(vec![1, 2, 3].into()),
        ..texts.clone()
    };
    for (name, message) in [("nothing", nothing), ("texts", texts), ("numbers", numbers)] {
        let archive = archive::encode(&message).expect("small");
        keep("archive", name, &archive[HEADER_BYTES..]);
        keep("archive", &format!("{name}-with-header"), &archive);
    }
    let leaf = || Tree { value: false, inner: Vec::new() };
    let deep = (0..66).fold(leaf(), |tree, _| Tree { value: true, inner: vec![tree] });
    let wide = Tree { value: true, inner: (0..9).map(|_| leaf()).collect() };
    for (name, tree) in [("tree", leaf()), ("tree-too-deep", deep), ("tree-wide", wide)] {
        keep("archive", name, &archive::encode(&tree).expect("small")[HEADER_BYTES..]);
    }
}

fn tables() {
    let table = |names: &[(&str, Option<&[u8]>)]| {
        let mut builder = TableBuilder::new();
        for (name, value) in names {
            match value {
                Some(value) => builder.add_value(name, value),
                None => builder.add(name),
            }
            .expect("few names");
        }
        builder.to_bytes().expect("few names")
    };
    let many: Vec<String> = (0..40).map(|number| format!("node-{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), None)).collect();
    let tables = [
        ("nothing", table(&[])),
        ("a-name", table(&[("vm-1", None)])),
        ("values", table(&[("vm-1", Some(b"4 cores")), ("", Some(b"")), ("größe", None)])),
        ("forty", table(&many)),
    ];
    for (name, bytes) in tables {
        // The target's first byte: checksums as they are, or made right.
        keep("mapped_table", name, &[&[0][..], &bytes].concat());
        keep("mapped_table", &format!("{name}-signed"), &[&[1][..], &bytes].concat());
    }
}

fn main() {
    archives();
    tables();
}
