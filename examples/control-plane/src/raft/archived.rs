//! The archived forms of proposals and batches, and how they are written from every form.
//!
//! Last station on the data's way: what is written here goes to the log and outlives the request; what the log gives back is read here.
//! Proposals are written through [`View`], whatever form they have, so that all of them become the same bytes. Invariants: variants and
//! fields stand here in the order in which [`View`] and [`ProposalData`] have them, which rkyv relies on for enums and the tests of
//! every kind hold; whoever changes that, or adds one, takes the next [`Schema::VERSION`] and looks at `size`, which counts what is written
//! here. Cost: no heap call, in either direction.
#![forbid(unsafe_code)]

use std::mem::{self, Discriminant};

use blixard_arena::archive::rkyv::{self, Archive, Deserialize, Place, Portable, Serialize};
use blixard_arena::archive::{ArchivedText, ArenaDecoder, DecodeError, Each, Schema, Text, TextContext};
use blixard_arena::collections::Vec;
use rkyv::boxed::ArchivedBox;
use rkyv::bytecheck::CheckBytes;
use rkyv::net::ArchivedIpAddr;
use rkyv::primitive::{ArchivedU16, ArchivedU32};
use rkyv::rancor::{Fallible, Source};
use rkyv::ser::{Allocator, Writer};
use rkyv::validation::ArchiveContext;
use rkyv::vec::{ArchivedVec, VecResolver};
use rkyv::with::{ArchiveWith, DeserializeWith, SerializeWith};

use super::batch::{Outcome, ProposalBatch};
use super::data::{AnyProposal, ArchivedLifetime, Lifetime, Proposal, ProposalData, View};
use super::id::{ArchivedProposalId, ProposalId};
use crate::names::{NodeRole, VmStatus};
use crate::scheduler::{ArchivedDecision, ArchivedVmConfig};

/// [`NodeSpec`](super::NodeSpec) in an archive.
#[derive(Debug, Portable, CheckBytes)]
#[rkyv(crate = rkyv)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
#[expect(missing_docs, reason = "the archived fields are described")]
pub struct ArchivedNodeSpec {
    pub name: ArchivedText,
    pub ip: ArchivedIpAddr,
    pub port: ArchivedU16,
    pub role: NodeRole,
    pub cpu_milli: ArchivedU32,
    pub memory_mib: ArchivedU32,
    pub gpus: u8,
    pub gpu_model: ArchivedText,
}

/// [`TaskSpec`](super::TaskSpec) in an archive.
#[derive(Debug, Portable, CheckBytes)]
#[rkyv(crate = rkyv)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
#[expect(missing_docs, reason = "the archived fields are described")]
pub struct ArchivedTaskSpec {
    pub name: ArchivedText,
    pub command: ArchivedText,
    pub timeout_seconds: ArchivedU32,
}

/// [`ProposalData`] in an archive. What is large and rare lies elsewhere in it, so that a list of small commands is small.
#[derive(Debug, Portable, CheckBytes)]
#[rkyv(crate = rkyv)]
#[bytecheck(crate = rkyv::bytecheck, bounds(__C: ArchiveContext + TextContext, __C::Error: Source))]
#[repr(u8)]
#[expect(missing_docs, reason = "the archived variants are described")]
pub enum ArchivedProposalData {
    CreateVm {
        config: ArchivedBox<ArchivedVmConfig>,
        lifetime: ArchivedLifetime,
    },
    StartVm {
        vm: ArchivedText,
    },
    StopVm {
        vm: ArchivedText,
        grace_seconds: ArchivedU32,
    },
    DeleteVm {
        vm: ArchivedText,
    },
    UpdateVmStatus {
        vm: ArchivedText,
        status: VmStatus,
        node: ArchivedText,
    },
    JoinNode(ArchivedBox<ArchivedNodeSpec>),
    LeaveNode {
        node: ArchivedText,
    },
    AssignTask {
        node: ArchivedText,
        task: ArchivedBox<ArchivedTaskSpec>,
        arguments: ArchivedVec<ArchivedText>,
    },
    Batch {
        #[bytecheck(omit_bounds)]
        proposals: ArchivedVec<ArchivedProposal>,
    },
}

/// [`Proposal`] in an archive. Who waits for it is not archived.
#[derive(Debug, Portable, CheckBytes)]
#[rkyv(crate = rkyv)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
#[expect(missing_docs, reason = "the archived fields are described")]
pub struct ArchivedProposal {
    pub id: ArchivedProposalId,
    pub data: ArchivedProposalData,
    pub reason: ArchivedText,
}

/// [`ProposalBatch`] in an archive, whatever form it was archived from: a log entry.
#[derive(Debug, Portable, CheckBytes)]
#[rkyv(crate = rkyv)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
pub struct ArchivedProposalBatch {
    /// The proposals, in order.
    pub proposals: ArchivedVec<ArchivedProposal>,
    /// What was decided, in the order of the VMs created.
    pub decisions: ArchivedVec<ArchivedDecision>,
}

impl Schema for ProposalBatch<'_> {
    const NAME: &'static str = "control-plane.batch";
}

/// A look at a batch of any form, which is what is archived of it: see [`AnyBatch::view`](super::AnyBatch::view).
#[derive(Debug, Clone, Copy, Archive, Serialize)]
#[rkyv(crate = rkyv, as = ArchivedProposalBatch, serialize_bounds(__S: Writer + Allocator))]
pub struct BatchView<'b, P: AnyProposal, O: ExactSizeIterator<Item = Outcome<'b>> + Clone> {
    /// The proposals, in order.
    #[rkyv(omit_bounds, with = Proposals)]
    pub proposals: &'b [P],
    /// What was decided, in the order of the VMs created.
    #[rkyv(omit_bounds, with = Each)]
    pub decisions: O,
}

impl<'b, P: AnyProposal, O: ExactSizeIterator<Item = Outcome<'b>> + Clone> Schema for BatchView<'b, P, O> {
    const NAME: &'static str = <ProposalBatch<'_> as Schema>::NAME;
}

/// A look at a proposal of any form, which is what is archived of it.
#[derive(Archive, Serialize)]
#[rkyv(crate = rkyv, as = ArchivedProposal, serialize_bounds(__S: Writer + Allocator))]
struct ProposalView<'p, P: AnyProposal> {
    id: ProposalId,
    #[rkyv(omit_bounds)]
    data: View<'p, P>,
    #[rkyv(omit_bounds, with = Text)]
    reason: &'p str,
}

impl<'p, P: AnyProposal> ProposalView<'p, P> {
    #[inline]
    fn of(proposal: &'p P) -> Self {
        Self { id: proposal.id(), data: proposal.view(), reason: proposal.reason() }
    }

    /// All in it that a resolver is made for: rkyv takes what it resolves for what it serialised, unseen.
    #[inline]
    fn shape(&self) -> (Discriminant<View<'p, P>>, bool) {
        let ends = matches!(self.data, View::CreateVm { lifetime: Lifetime { until_seconds: Some(_), .. }, .. });
        (mem::discriminant(&self.data), ends)
    }
}

/// Archives a proposal by two looks at it, since one is too large to be kept until the list is written.
struct ByView;

impl<'p, P: AnyProposal> ArchiveWith<&'p P> for ByView {
    type Archived = ArchivedProposal;
    type Resolver = (<ProposalView<'p, P> as Archive>::Resolver, (Discriminant<View<'p, P>>, bool));

    #[inline]
    fn resolve_with(proposal: &&'p P, (resolver, shape): Self::Resolver, out: Place<ArchivedProposal>) {
        let look = ProposalView::of(*proposal);
        assert!(look.shape() == shape, "a proposal looks the same each time");
        look.resolve(resolver, out);
    }
}

impl<'p, P: AnyProposal, S: Fallible + Writer + Allocator + ?Sized> SerializeWith<&'p P, S> for ByView {
    #[inline]
    fn serialize_with(proposal: &&'p P, serializer: &mut S) -> Result<Self::Resolver, S::Error> {
        let look = ProposalView::of(*proposal);
        Ok((look.serialize(serializer)?, look.shape()))
    }
}

/// Archives a list of proposals of any form.
pub(super) struct Proposals;

impl<'p, P: AnyProposal> ArchiveWith<&'p [P]> for Proposals {
    type Archived = ArchivedVec<ArchivedProposal>;
    type Resolver = (VecResolver, usize);

    #[inline]
    fn resolve_with(proposals: &&'p [P], resolver: Self::Resolver, out: Place<Self::Archived>) {
        Each::<ByView>::resolve_with(&proposals.iter(), resolver, out);
    }
}

impl<'p, P: AnyProposal, S: Fallible + Writer + Allocator + ?Sized> SerializeWith<&'p [P], S> for Proposals {
    #[inline]
    fn serialize_with(proposals: &&'p [P], serializer: &mut S) -> Result<Self::Resolver, S::Error> {
        Each::<ByView>::serialize_with(&proposals.iter(), serializer)
    }
}

impl<'a, D: ArenaDecoder<'a> + ?Sized> DeserializeWith<ArchivedVec<ArchivedProposal>, &'a [Proposal<'a>], D>
    for Proposals
{
    fn deserialize_with(
        archived: &ArchivedVec<ArchivedProposal>,
        decoder: &mut D,
    ) -> Result<&'a [Proposal<'a>], DecodeError> {
        let mut proposals = Vec::try_with_capacity_in(archived.len(), decoder.arena())?;
        for ArchivedProposal { id, data, reason } in archived.iter() {
            let data: ProposalData<'a> = data.deserialize(decoder)?;
            let reason = Text::deserialize_with(reason, decoder)?;
            proposals.try_push(Proposal { id: ProposalId(id.0), data, reason, reply: None })?;
        }
        Ok(proposals.into_slice())
    }
}
