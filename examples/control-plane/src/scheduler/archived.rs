//! The archived forms of configs and decisions, and the looks that they are written from.
//!
//! The last station of the data's way, and the first one where bytes come back. A form that does not archive itself is written through
//! a [`VmConfigView`]; the bytes are the same. Invariants: fields stand here in the order in which the forms have them; whoever
//! changes that, or adds one, takes the next [`Schema::VERSION`] (`tests/golden` holds files of every one). Cost: no heap call, in
//! either direction.
#![forbid(unsafe_code)]

use std::marker::PhantomData;

use blixard_arena::archive::rkyv::bytecheck::CheckBytes;
use blixard_arena::archive::rkyv::net::ArchivedIpAddr;
use blixard_arena::archive::rkyv::option::ArchivedOption;
use blixard_arena::archive::rkyv::rancor::Fallible;
use blixard_arena::archive::rkyv::ser::{Allocator, Writer};
use blixard_arena::archive::rkyv::tuple::ArchivedTuple2;
use blixard_arena::archive::rkyv::vec::{ArchivedVec, VecResolver};
use blixard_arena::archive::rkyv::with::{ArchiveWith, Identity, SerializeWith};
use blixard_arena::archive::rkyv::{self, Archive, Place, Portable, Serialize};
use blixard_arena::archive::{ArchivedText, Pair, Schema, Text};

use super::config::{ArchivedResources, Qos, VmConfig, VmSpec};
use super::place::{ArchivedCandidate, ArchivedPlacement};
use super::topology::Level;

/// [`VmSpec`] in an archive.
#[derive(Debug, Portable, CheckBytes)]
#[rkyv(crate = rkyv)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
#[expect(missing_docs, reason = "the archived fields are described")]
pub struct ArchivedVmSpec {
    pub name: ArchivedText,
    pub config_path: ArchivedText,
    pub tenant: ArchivedText,
    pub gpu_spec: ArchivedText,
    pub resources: ArchivedResources,
    pub ip: ArchivedIpAddr,
    pub qos: Qos,
    pub anti_affinity: ArchivedOption<ArchivedAntiAffinity>,
    pub priority: u8,
    pub preemptible: bool,
}

/// [`AntiAffinity`](super::AntiAffinity) in an archive.
#[derive(Debug, Portable, CheckBytes)]
#[rkyv(crate = rkyv)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
#[expect(missing_docs, reason = "the archived fields are described")]
pub struct ArchivedAntiAffinity {
    pub group: ArchivedText,
    pub level: Level,
}

/// [`VmConfig`] in an archive, whatever form it was archived from.
#[derive(Debug, Portable, CheckBytes)]
#[rkyv(crate = rkyv)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
#[expect(missing_docs, reason = "the archived fields are described")]
pub struct ArchivedVmConfig {
    pub spec: ArchivedVmSpec,
    pub metadata: ArchivedVec<ArchivedTuple2<ArchivedText, ArchivedText>>,
}

/// [`Decision`](super::Decision) in an archive. Its placement is without a group, which only the scheduler that placed it knows.
#[derive(Debug, Portable, CheckBytes)]
#[rkyv(crate = rkyv)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
#[expect(missing_docs, reason = "the archived fields are described")]
pub struct ArchivedDecision {
    pub placement: ArchivedOption<ArchivedPlacement>,
    pub alternatives: ArchivedVec<ArchivedCandidate>,
    pub reason: ArchivedText,
}

/// A look at a config of whatever form: what proposals are read through, and what is archived of a config that owns its texts.
///
/// ```
/// use blixard_arena::{Arena, archive};
/// use control_plane::scheduler::{VmConfig, VmSpec, heap};
///
/// let spec = VmSpec { name: "vm-7", tenant: "acme", ..VmSpec::default() };
/// let arena = Arena::new();
/// let bytes = archive::encode(&VmConfig::new_in(&arena, spec, &[("zone", "b"), ("app", "db")]))?;
/// let owned = heap::VmConfig::new(&spec, &[("app", "db"), ("zone", "b")]);
/// assert_eq!(archive::encode(&owned.view())?, bytes);
///
/// let stored = archive::access::<VmConfig<'_>>(&bytes)?; // checked once, read where it lies
/// assert_eq!((stored.spec.name.as_str(), stored.metadata[0].1.as_str()), ("vm-7", "db"));
/// let config: VmConfig<'_> = archive::decode_in(stored, &arena)?; // the rare case
/// assert_eq!(config.spec, spec);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Archive, Serialize)]
#[rkyv(crate = rkyv, as = ArchivedVmConfig, serialize_bounds(__S: Writer + Allocator))]
pub struct VmConfigView<'v, M: ExactSizeIterator<Item = (&'v str, &'v str)> + Clone> {
    /// The fields.
    #[rkyv(omit_bounds)]
    pub spec: VmSpec<'v>,
    /// Pairs of metadata, by ascending key.
    #[rkyv(omit_bounds, with = Each<Pair<Text, Text>>)]
    pub metadata: M,
}

impl Schema for VmConfig<'_> {
    const NAME: &'static str = "control-plane.vm-config";
}

impl<'v, M: ExactSizeIterator<Item = (&'v str, &'v str)> + Clone> Schema for VmConfigView<'v, M> {
    const NAME: &'static str = <VmConfig<'_> as Schema>::NAME;
}

/// Archives what an iterator gives as a list, each item as `E` says.
pub(crate) struct Each<E = Identity>(PhantomData<E>);

/// An item that is archived as `E` says.
struct Item<E, T>(T, PhantomData<E>);

impl<T, E: ArchiveWith<T>> Archive for Item<E, T> {
    type Archived = E::Archived;
    type Resolver = E::Resolver;

    #[inline]
    fn resolve(&self, resolver: E::Resolver, out: Place<E::Archived>) {
        E::resolve_with(&self.0, resolver, out);
    }
}

impl<T, E: SerializeWith<T, S>, S: Fallible + ?Sized> Serialize<S> for Item<E, T> {
    #[inline]
    fn serialize(&self, serializer: &mut S) -> Result<E::Resolver, S::Error> {
        E::serialize_with(&self.0, serializer)
    }
}

impl<I: ExactSizeIterator + Clone, E: ArchiveWith<I::Item>> ArchiveWith<I> for Each<E> {
    type Archived = ArchivedVec<E::Archived>;
    type Resolver = VecResolver;

    #[inline]
    fn resolve_with(items: &I, resolver: VecResolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_len(items.len(), resolver, out);
    }
}

impl<I, E, S> SerializeWith<I, S> for Each<E>
where
    I: ExactSizeIterator + Clone,
    E: SerializeWith<I::Item, S>,
    S: Fallible + Writer + Allocator + ?Sized,
{
    #[inline]
    fn serialize_with(items: &I, serializer: &mut S) -> Result<VecResolver, S::Error> {
        let items = items.clone().map(|item| Item(item, PhantomData::<E>));
        ArchivedVec::serialize_from_iter::<Item<E, I::Item>, _, _>(items, serializer)
    }
}
