//! Proposals in arenas: a batch is built in a request's arena, sealed, and sent to the thread that replicates it, which
//! drops all of it at once. A request that asks for too much ends alone.
//!
//! ```sh
//! cargo run --release --example proposals_in_arena
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it found")]

use blixard_arena::collections::Vec;
use blixard_arena::{ArenaOptions, BudgetExceeded, PooledArena, Sealed, sealed_root};
use std::sync::mpsc;
use std::thread;

/// One change to the cluster. Borrows everything from the arena that it lies in.
struct Proposal<'a> {
    id: u64,
    vm: &'a str,
    node: Option<&'a str>,
    labels: &'a [(&'a str, &'a str)],
}

/// What goes through the channel: the root of a sealed arena.
struct Batch<'a> {
    proposals: &'a [Proposal<'a>],
}
sealed_root!(Batch);

type SealedBatch = Sealed<Batch<'static>>;

/// Builds a batch of `len` proposals in the arena, or says what was missing; the arena is back in its pool then.
fn batch(arena: PooledArena, request: u64, len: usize) -> Result<SealedBatch, BudgetExceeded> {
    SealedBatch::try_build(arena, |arena| {
        let tenant = arena.try_format(format_args!("tenant-{}", request % 3))?;
        // One slice of labels, shared by the whole batch: in an arena a reference is enough.
        let labels = arena.try_alloc_slice_copy(&[("tenant", &*tenant), ("tier", "gold")])?;
        let mut proposals = Vec::try_with_capacity_in(len, arena)?;
        for i in 0..len {
            let vm = &*arena.try_format(format_args!("vm-{request}-{i}"))?;
            let node = if i % 2 == 0 { Some(&*arena.try_format(format_args!("node-{}", i % 7))?) } else { None };
            proposals.try_push(Proposal { id: request * 1000 + i as u64, vm, node, labels })?;
        }
        Ok(Batch { proposals: proposals.into_slice() })
    })
}

fn main() {
    // A request may hold 64 KiB; over that it is refused and nobody else notices.
    let pool = ArenaOptions::new().budget_bytes_max(64 << 10).pool();
    let (to_log, log) = mpsc::sync_channel::<SealedBatch>(8);

    let replicator = thread::spawn(move || {
        let (mut batches, mut placed) = (0, 0);
        for sealed in log {
            let proposals = sealed.get().proposals;
            placed += proposals.iter().filter(|proposal| proposal.node.is_some()).count();
            if let (0, [Proposal { id, vm, node, labels }, ..]) = (batches, proposals) {
                println!("first of {}: proposal {id} puts {vm} on {node:?}, labels {labels:?}", proposals.len());
            }
            batches += 1;
        } // each batch goes here, proposals, names and labels in one step, and its arena returns to the pool
        (batches, placed)
    });

    for request in 0..1000 {
        // Every hundredth request asks for too much: its proposals would fit, their names do not.
        let len = if request % 100 == 99 { 900 } else { 16 };
        match batch(pool.acquire(), request, len) {
            Ok(sealed) => to_log.send(sealed).expect("the replicator lives until the channel closes"),
            Err(refused) if request == 99 => println!("request 99 refused: {refused}"),
            Err(_) => {}
        }
    }
    drop(to_log);

    let (batches, placed) = replicator.join().expect("the replicator ends with the channel");
    let figures = pool.figures();
    println!("{batches} batches replicated, {placed} VMs placed");
    println!(
        "{} arenas handed out, {} came back, {} were ever made",
        figures.acquired, figures.returned, figures.created
    );
}
