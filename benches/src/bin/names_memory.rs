//! Bytes that an interner takes per name, texts left out: `cargo run --release -p benches --bin names_memory`.
//!
//! Each interner fills in a process of its own. What counts is the memory that the process has more than before (its resident
//! set, as Linux says it), so tables, dead tables, the allocator's headers and its rounding are in it; the handles that the
//! caller keeps are taken off, as are the texts. At a million names, and at so many that our tables have just doubled,
//! where they are at their emptiest.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "its result")]

use std::fs;
use std::hint::black_box;
use std::process::Command;

use blixard_arena::intern::StringPool;
use internity::ThreadedLexicon;
use internment::ArcIntern;
use lasso::{Spur, ThreadedRodeo};
use string_cache::DefaultAtom;
use symbol_table::SymbolTable;

/// Names: a million; and where each of 16 shards has just passed seven eighths of 65,536 slots.
const COUNTS: [usize; 2] = [1_000_000, 16 * 57_344 + 25_000];

/// All that are measured, and whether they can free a name.
const WHO: [(&str, bool); 7] = [
    ("blixard StringPool", true),
    ("internment ArcIntern", true),
    ("string_cache", true),
    ("ustr", false),
    ("lasso ThreadedRodeo", false),
    ("symbol_table", false),
    ("internity ThreadedLexicon", false),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, who, count] = &arguments[..] {
        let count = count.parse().expect("a number of names");
        println!("{:.1}", measure(who, count));
        return;
    }
    println!("| interner | frees | {} names | {} names |\n|---|---|---:|---:|", COUNTS[0], COUNTS[1]);
    let program = std::env::current_exe().expect("this program");
    for (who, frees) in WHO {
        let [million, emptiest] = COUNTS.map(|count| {
            let output = Command::new(&program).args([who, &count.to_string()]).output().expect("runs itself");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        });
        println!("| {who} | {} | {million} | {emptiest} |", if frees { "yes" } else { "no" });
    }
}

fn measure(who: &str, count: usize) -> f64 {
    match who {
        "blixard StringPool" => {
            let pool = StringPool::new();
            filled(count, |text| pool.intern(text))
        }
        "internment ArcIntern" => filled(count, |text| ArcIntern::<str>::from(text)),
        "string_cache" => filled(count, |text| DefaultAtom::from(text)),
        "ustr" => filled(count, ustr::ustr),
        "lasso ThreadedRodeo" => {
            let rodeo = ThreadedRodeo::<Spur>::new();
            filled(count, |text| rodeo.get_or_intern(text))
        }
        "symbol_table" => {
            let table = SymbolTable::<16>::new();
            filled(count, |text| table.intern(text))
        }
        "internity ThreadedLexicon" => {
            let lexicon = ThreadedLexicon::new();
            filled(count, |text| lexicon.intern(text))
        }
        other => panic!("no interner {other:?}"),
    }
}

/// Interns names of 16 to 24 bytes, and says how many bytes each took beside its text and its handle.
#[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
fn filled<H: Clone>(count: usize, mut intern: impl FnMut(&str) -> H) -> f64 {
    // One name first, whose handle fills the caller's memory before it is measured.
    let first = intern("the first of the names");
    let mut handles: Vec<H> = vec![first; count];
    black_box(&mut handles);
    let mut text = String::with_capacity(64);
    let mut texts = 0;
    let before = resident_bytes();
    for (i, handle) in handles.iter_mut().enumerate() {
        use std::fmt::Write;
        text.clear();
        write!(text, "tenant-{:03}/vm-{:0width$}", i % 997, i, width = 2 + i % 9).expect("a string takes it");
        texts += text.len();
        *handle = intern(&text);
    }
    let after = resident_bytes();
    black_box(&handles);
    (after as f64 - before as f64 - texts as f64) / count as f64
}

/// The resident set of this process.
fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}
