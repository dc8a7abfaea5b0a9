//! The memory strategies: one file each, all of them the same five phases.
//!
//! [`heap`] works on the plain twins, [`pooled`] on the same ones out of pools, [`arena`] and [`shared_arena`] on one and the
//! same code over a request's memory.
//! A new strategy is one more file here and one more name in [`Name`].

pub mod arena;
pub mod heap;
pub mod pooled;
pub mod shared_arena;

use std::fmt;

use blixard_arena::arena::AnyArena;
use blixard_arena::collections::Vec;
use clap::ValueEnum;
use control_plane::raft::{Proposal, ProposalBatch};
use control_plane::scheduler::Decision;
use serde::{Deserialize, Serialize};

use crate::replay::{Desk, Phase};
use crate::request::{Request, RequestError};

/// The strategies by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// Plain std types, the system's allocator
    Heap,
    /// Plain std types, mimalloc
    HeapMimalloc,
    /// Plain std types out of object pools, interned names
    Pooled,
    /// An arena per request
    Arena,
    /// An arena per request that any thread may use
    SharedArena,
}

impl Name {
    /// Every strategy, in the order of the report.
    pub const ALL: [Self; 5] = [Self::Heap, Self::HeapMimalloc, Self::Pooled, Self::Arena, Self::SharedArena];

    /// The name as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::HeapMimalloc => "heap-mimalloc",
            Self::Pooled => "pooled",
            Self::Arena => "arena",
            Self::SharedArena => "shared-arena",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Serves a request in `arena`, all phases but getting it and the release, which are the caller's.
///
/// The request's bytes are copied into the arena once, as a whole, and its values borrow from that copy; what owns each of
/// its texts has to copy them one by one.
fn serve_in<A: AnyArena>(arena: &A, desk: &mut Desk, bytes: &[u8]) -> Result<(), RequestError> {
    let bytes = arena.alloc_slice_copy(bytes);
    desk.clock.lap(Phase::Build);

    let request = Request::open(bytes)?;
    let mut vms = Vec::with_capacity_in(request.vms, arena);
    let mut pairs = Vec::with_capacity_in(request.pairs, arena);
    request.parse(&mut vms, &mut pairs)?;
    desk.clock.lap(Phase::Parse);

    let proposals = arena.alloc_slice_fill_with(vms.len(), |at| {
        let vm = &vms[at];
        Proposal::create_vm_in(arena, vm.id, vm.lifetime, vm.spec, &pairs[vm.pairs.clone()])
    });
    desk.clock.lap(Phase::Build);

    let mut decisions = Vec::with_capacity_in(proposals.len(), arena);
    for proposal in &*proposals {
        let Some((config, lifetime)) = proposal.data.create_vm() else { continue };
        let chosen = desk.cluster.place(&config.spec, lifetime);
        desk.tally(&chosen);
        decisions.push(Decision::new_in(arena, desk.cluster.nodes(), &config.spec, chosen));
    }
    let batch = ProposalBatch::new(proposals, decisions.into_slice());
    desk.clock.lap(Phase::Place);

    desk.encoded = desk.processor.encode(&batch)?;
    desk.clock.lap(Phase::Encode);
    Ok(())
}
