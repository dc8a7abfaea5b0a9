//! Strategy `heap`: plain std types, each value allocated and freed on its own. In a process with mimalloc as its global
//! allocator the same code is `heap-mimalloc`.

use control_plane::raft::heap::{Proposal, ProposalBatch};
use control_plane::scheduler::heap::Decision;

use crate::replay::{Desk, Phase, Strategy};
use crate::request::{Request, RequestError};

/// Serves requests from the global allocator.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heap;

impl Strategy for Heap {
    fn serve(&self, desk: &mut Desk, bytes: &[u8]) -> Result<(), RequestError> {
        desk.clock.begin();
        // Nothing to get beforehand; the boundary is there because the arenas have it.
        desk.clock.lap(Phase::Build);

        let request = Request::open(bytes)?;
        let mut vms = Vec::with_capacity(request.vms);
        let mut pairs = Vec::with_capacity(request.pairs);
        request.parse(&mut vms, &mut pairs)?;
        desk.clock.lap(Phase::Parse);

        let mut proposals = Vec::with_capacity(vms.len());
        for vm in &vms {
            proposals.push(Proposal::create_vm(vm.id, vm.lifetime, &vm.spec, &pairs[vm.pairs.clone()]));
        }
        desk.clock.lap(Phase::Build);

        let mut decisions = Vec::with_capacity(proposals.len());
        for proposal in &proposals {
            let Some((config, lifetime)) = proposal.data.create_vm() else { continue };
            let spec = config.spec();
            let chosen = desk.cluster.place(&spec, lifetime);
            desk.tally(&chosen);
            decisions.push(Decision::new(desk.cluster.nodes(), &spec, chosen));
        }
        let batch = ProposalBatch::new(proposals, decisions);
        desk.clock.lap(Phase::Place);

        desk.encoded = desk.processor.encode(&batch)?;
        desk.clock.lap(Phase::Encode);

        drop((vms, pairs, batch));
        desk.clock.lap(Phase::Release);
        Ok(())
    }
}
