//! Processes that memory is refused to where the library has no way to say so: they end by an abort, or not at all.
//!
//! std's and the dependencies' own allocations end the process through `handle_alloc_error`. Which steps of a request do is written down
//! here and in ARCHITECTURE.md; each runs in a child of this test, once for every call that can be refused.
#![forbid(unsafe_code)]

use crate::allocator::{self, Shortage};
use crate::world::{TableFile, World};
use crate::{cold, guests, requests};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

/// What tells a child which step it is for, which call is refused, and for how long.
const ORDER: &str = "BLIXARD_FAULTS_CHILD";
const SIGABRT: i32 = 6;

/// The child's part: answers whether this process is one.
#[expect(clippy::print_stdout, reason = "what a child has to say")]
pub(crate) fn is_one() -> bool {
    let Ok(order) = std::env::var(ORDER) else { return false };
    let mut parts = order.split(' ');
    let (step, nth, shortage) = (parts.next(), parts.next(), parts.next());
    let (step, nth) = (step.and_then(|at| at.parse::<usize>().ok()), nth.and_then(|nth| nth.parse().ok()));
    let (Some(step), Some(nth)) = (step, nth) else { panic!("{ORDER}: {order:?} is no step and call") };
    guests::make_room(1_000);
    let world = World::new();
    allocator::order(nth, if shortage == Some("once") { Shortage::Once } else { Shortage::Lasting });
    let (_, step) = cold::STEPS[step];
    // Our own refusals are panics that are caught, as in any request.
    drop(requests::caught(|| {
        step(&world);
        Ok(())
    }));
    let calls = allocator::calls();
    allocator::order(0, Shortage::Once);
    world.assert_at_rest();
    println!("calls: {calls}.");
    true
}

fn child(step: usize, nth: usize, shortage: &str) -> Output {
    let program = std::env::current_exe().expect("this test");
    let arguments = ["--exact", "whatever_fails_a_request_ends_alone", "--nocapture"];
    let order = format!("{step} {nth} {shortage}");
    let mut command = Command::new(program);
    command.args(arguments).env(ORDER, order).env("RUST_BACKTRACE", "0");
    command.env(TableFile::WRITER, std::process::id().to_string());
    command.output().expect("a child")
}

/// Plays every step in children; answers which were aborted, whichever call was refused.
pub(crate) fn aborted() -> BTreeSet<&'static str> {
    let mut aborted = BTreeSet::new();
    for (step, (name, _)) in cold::STEPS.iter().enumerate() {
        let output = child(step, 0, "once");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&output.stderr));
        let calls = said.split_once("calls: ").and_then(|(_, rest)| rest.split_once('.'));
        let calls: usize = calls.and_then(|(calls, _)| calls.parse().ok()).expect("the child says how many calls");
        assert!(calls > 0, "{name}");
        for nth in 1..=calls {
            for shortage in ["once", "lasting"] {
                let output = child(step, nth, shortage);
                let said = String::from_utf8_lossy(&output.stderr);
                if output.status.signal() == Some(SIGABRT) && said.contains("memory allocation of") {
                    aborted.insert(*name);
                } else {
                    assert!(output.status.success(), "{name}, {shortage} at call {nth}: {}: {said}", output.status);
                }
            }
        }
    }
    aborted
}
