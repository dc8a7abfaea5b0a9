//! Names of a request: each text once in its arena, a number of four bytes everywhere else; and, in one pass at its end, those
//! that outlive it in the process's pool.
//!
//! ```sh
//! cargo run --release --example interned_names
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it found")]

use blixard_arena::collections::Vec;
use blixard_arena::intern::{ArenaInterner, InternError, InternedString, StringPool, Symbol};
use blixard_arena::{Arena, ArenaOptions, ArenaPool};

/// One placement as a request holds it: 8 bytes instead of two texts.
struct Placement {
    vm: Symbol,
    node: Symbol,
}

/// Reads `vm@node` words. A name that comes again is found, not stored.
fn read<'a>(arena: &'a Arena, line: &str) -> Result<(ArenaInterner<'a, Arena>, &'a [Placement]), InternError> {
    let (mut names, mut placements) = (ArenaInterner::new_in(arena), Vec::new_in(arena));
    for (vm, node) in line.split(' ').filter_map(|word| word.split_once('@')) {
        placements.try_push(Placement { vm: names.try_intern(vm)?, node: names.try_intern(node)? })?;
    }
    Ok((names, placements.into_slice()))
}

/// How many VMs the fullest node has: nodes are compared as numbers.
fn fullest<'a>(names: &ArenaInterner<'a, Arena>, placements: &[Placement]) -> Option<(&'a str, usize)> {
    let on = |node: Symbol| placements.iter().filter(|placed| placed.node == node).count();
    let node = placements.iter().map(|placed| placed.node).max_by_key(|node| on(*node))?;
    Some((names.resolve(node), on(node)))
}

fn main() -> Result<(), InternError> {
    let pool = ArenaPool::new();
    let line: std::vec::Vec<String> =
        (0..400).map(|i| format!("vm-{i}@rack-{}/node-{:03}", i % 5, i * i % 31)).collect();
    let line = line.join(" ");

    let arena = pool.acquire();
    let (names, placements) = read(&arena, &line)?;
    println!("{} placements mention {} names", placements.len(), names.len());
    if let Some((node, vms)) = fullest(&names, placements) {
        println!("the fullest node is {node} with {vms} VMs");
    }
    let texts: usize = names.iter().map(|(_, name)| name.len()).sum();
    println!("{texts} bytes of names, {} of placements; the line had {}", size_of_val(placements), line.len());
    if let Some(Placement { vm, node }) = placements.first() {
        println!("the first one puts {} on {}", &names[*vm], &names[*node]);
    }

    // The nodes are to be known when the request is gone: promoted in one pass, each name held once in the process.
    let known = StringPool::new();
    let mut nodes: std::vec::Vec<InternedString> = std::vec::Vec::new();
    known.promote(names.iter().map(|(_, name)| name).filter(|name| name.starts_with("rack-")), &mut nodes);
    drop(arena);
    println!("{} nodes outlive the request, the first is {}", nodes.len(), &*nodes[0]);

    // Names come from outside: a request that sends too many of them ends alone.
    let small = ArenaOptions::new().budget_bytes_max(8 << 10).pool();
    let arena = small.acquire();
    match read(&arena, &line) {
        Err(refused) => println!("a request of 8 KiB: {refused}"),
        Ok((names, _)) => println!("a request of 8 KiB held {} names", names.len()),
    }
    Ok(())
}
