//! The archived forms of configs and decisions, and the looks that they are written from.
//!
//! The last station of the data's way, and the first one where bytes come back. A form that does not archive itself is written through
//! a [`VmConfigView`]; the bytes are the same. Invariants: fields stand here in the order in which the forms have them; whoever
//! changes that, or adds one, takes the next [`Schema::VERSION`] (`tests/golden` holds files of every one). Cost: no heap call, in
//! either direction.
#![forbid(unsafe_code)]

use blixard_arena::archive::rkyv::{self, Archive, Portable, Serialize};
use blixard_arena::archive::{ArchivedText, Each, Pair, Schema, Text};
use rkyv::bytecheck::CheckBytes;
use rkyv::net::ArchivedIpAddr;
use rkyv::option::ArchivedOption;
use rkyv::ser::{Allocator, Writer};
use rkyv::tuple::ArchivedTuple2;
use rkyv::vec::ArchivedVec;

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
