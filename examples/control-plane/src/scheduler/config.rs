//! A VM as asked for: its resources, its borrowed fields, and its config in a request's memory.
//!
//! First station of the data's way inside this package: a parser hands over [`VmSpec`] and metadata pairs,
//! [`VmConfig::new_in`] makes of them a value that lives as long as the request.
//!
//! Invariant: a config's metadata has unique keys in ascending order; of two values given for a key the later stands.
//! Cost: one bump per text and per pair, no heap allocation of its own.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

use blixard_arena::BudgetExceeded;
use blixard_arena::archive::rkyv::bytecheck::CheckBytes;
use blixard_arena::archive::rkyv::{self, Archive, Deserialize, Portable, Serialize};
use blixard_arena::archive::{ArenaDecoder, List, Pair, Text};
use blixard_arena::arena::AnyArena;
use blixard_arena::collections::FlatMap;

use super::archived::{ArchivedVmConfig, ArchivedVmSpec};
use super::topology::AntiAffinity;
use crate::granted;

/// One whole GPU, in the thousandths in which shares of a device are counted.
pub const GPU_MILLI: u16 = 1_000;

/// GPUs asked for: none, a share of one device, or several whole devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub struct GpuRequest {
    /// Number of devices.
    pub count: u8,
    /// Thousandths of the device when `count` is 1; more than one device is always whole.
    pub milli: u16,
}

impl GpuRequest {
    /// Thousandths taken from each device that the VM gets.
    #[must_use]
    pub fn milli_per_device(self) -> u16 {
        match self.count {
            0 => 0,
            1 => self.milli,
            _ => GPU_MILLI,
        }
    }
}

/// What a VM needs of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, derive(Debug))]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_milli: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// GPUs, whole or shared.
    pub gpus: GpuRequest,
}

/// Class of service, from the most to the least protected.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Portable, CheckBytes, Archive, Serialize, Deserialize,
)]
#[rkyv(crate = rkyv, as = Self)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(u8)]
pub enum Qos {
    /// Latency-sensitive.
    LatencySensitive,
    /// All of its resources are guaranteed.
    Guaranteed,
    /// Guaranteed a part, may use more.
    Burstable,
    /// Gets what is left.
    BestEffort,
}

impl Qos {
    /// Every class, in order of protection.
    pub const ALL: [Self; 4] = [Self::LatencySensitive, Self::Guaranteed, Self::Burstable, Self::BestEffort];

    /// The name used in traces and requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LatencySensitive => "LS",
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BE",
        }
    }

    /// The class of that name, if there is one.
    ///
    /// ```
    /// use control_plane::scheduler::Qos;
    /// assert_eq!(Qos::from_name("BE"), Some(Qos::BestEffort));
    /// assert_eq!(Qos::from_name("be"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

/// A look at a VM's fields that owns none of them: what a parser gives, and what placement and encoding read.
///
/// Metadata travels beside it, as an iterator of pairs, because each form keeps it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, as = ArchivedVmSpec)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer), deserialize_bounds(__D: ArenaDecoder<'v>))]
pub struct VmSpec<'v> {
    /// Name, unique in the cluster.
    #[rkyv(omit_bounds, with = Text)]
    pub name: &'v str,
    /// Path of the VM's configuration file.
    #[rkyv(omit_bounds, with = Text)]
    pub config_path: &'v str,
    /// Whom the VM belongs to.
    #[rkyv(omit_bounds, with = Text)]
    pub tenant: &'v str,
    /// GPU models that will do, joined by `|`; empty if any will.
    #[rkyv(omit_bounds, with = Text)]
    pub gpu_spec: &'v str,
    /// What it needs of a node.
    pub resources: Resources,
    /// Its address.
    pub ip: IpAddr,
    /// Its class of service.
    pub qos: Qos,
    /// The group that it must stand apart from.
    #[rkyv(omit_bounds)]
    pub anti_affinity: Option<AntiAffinity<'v>>,
    /// VMs of higher priority choose their nodes first.
    pub priority: u8,
    /// Whether it may be stopped to make room.
    pub preemptible: bool,
}

impl Default for VmSpec<'_> {
    /// A VM without a name that asks for nothing: what tests and examples start from.
    fn default() -> Self {
        Self {
            name: "",
            config_path: "",
            tenant: "",
            gpu_spec: "",
            resources: Resources::default(),
            ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            qos: Qos::BestEffort,
            anti_affinity: None,
            priority: 0,
            preemptible: false,
        }
    }
}

/// A VM's config in a request's memory, every text copied into it.
///
/// Archives as it is: see [`VmConfigView`](super::VmConfigView).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
#[rkyv(crate = rkyv, as = ArchivedVmConfig)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator), deserialize_bounds(__D: ArenaDecoder<'a>))]
pub struct VmConfig<'a> {
    /// The fields, all of them in the same memory.
    #[rkyv(omit_bounds)]
    pub spec: VmSpec<'a>,
    /// Metadata: unique keys, ascending.
    #[rkyv(omit_bounds, with = List<Pair<Text, Text>>)]
    pub metadata: &'a [(&'a str, &'a str)],
}

impl<'a> VmConfig<'a> {
    /// A config of fields that already live as long as the arena's borrow, and of pairs that do.
    ///
    /// Copy a request's bytes into its arena once, as a whole, and parse the copy: then nothing is copied singly, and
    /// nothing needs the input any more. A form that owns each text cannot do that.
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use control_plane::scheduler::{Resources, VmConfig, VmSpec};
    ///
    /// let arena = Arena::new();
    /// let config = {
    ///     let received = String::from("vm-7 /etc/vm/7.toml acme");
    ///     let mut fields = arena.alloc_str(&received).split(' ');
    ///     let spec = VmSpec {
    ///         name: fields.next().unwrap_or_default(),
    ///         config_path: fields.next().unwrap_or_default(),
    ///         tenant: fields.next().unwrap_or_default(),
    ///         resources: Resources::default(),
    ///         ip: [10, 0, 0, 7].into(),
    ///         ..VmSpec::default()
    ///     };
    ///     VmConfig::new_in(&arena, spec, &[("zone", "b"), ("app", "db"), ("zone", "c")])
    /// };
    /// // What was received is gone, the config is not. The later value of `zone` stands.
    /// assert_eq!(config.spec.name, "vm-7");
    /// assert_eq!(config.metadata, [("app", "db"), ("zone", "c")]);
    /// ```
    ///
    /// # Panics
    ///
    /// With the arena's `BudgetExceeded` when the request's budget does not allow it.
    pub fn new_in<A: AnyArena>(arena: &'a A, spec: VmSpec<'a>, metadata: &[(&'a str, &'a str)]) -> Self {
        granted(Self::try_new_in(arena, spec, metadata))
    }

    /// [`new_in`](Self::new_in) where the request's budget may not allow it.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`].
    pub fn try_new_in<A: AnyArena>(
        arena: &'a A,
        spec: VmSpec<'a>,
        metadata: &[(&'a str, &'a str)],
    ) -> Result<Self, BudgetExceeded> {
        Ok(Self { spec, metadata: sorted_in(arena, metadata)? })
    }
}

/// Longest list of pairs that is ranked; longer ones are sorted.
const RANKED_MAX: usize = 16;

/// The pairs by ascending key, of equal keys the last.
///
/// A short list, and most are, is ranked: each pair goes to the place that has as many keys before it, counted without a
/// branch that depends on the keys. Half of such branches would be guessed wrongly, and that costs more than the
/// comparisons saved. A longer list, or one with a key that comes twice, is collected in a map and sorted.
fn sorted_in<'a, A: AnyArena>(
    arena: &'a A,
    pairs: &[(&'a str, &'a str)],
) -> Result<&'a [(&'a str, &'a str)], BudgetExceeded> {
    const HALF: usize = RANKED_MAX / 2;
    if pairs.len() <= RANKED_MAX {
        let sorted = arena.try_alloc_slice_copy(pairs)?;
        let ranked = if pairs.len() <= HALF { rank::<HALF>(pairs, sorted) } else { rank::<RANKED_MAX>(pairs, sorted) };
        if ranked {
            return Ok(sorted);
        }
    }
    let unique = FlatMap::try_from_iter_in(pairs.iter().copied(), arena)?.freeze();
    unique.sort_unstable_by_key(|(key, _)| *key);
    Ok(unique)
}

/// Puts at most `N` pairs in their places by ascending key; `false` where a key comes twice.
///
/// Keys are compared by their first four bytes as a number, which nearly all keys have, so that no branch depends on
/// their length, and with `N` others, however many there are, so that the compiler compares several at once. Only keys that
/// agree in these bytes are looked at as texts.
fn rank<'a, const N: usize>(pairs: &[(&'a str, &'a str)], sorted: &mut [(&'a str, &'a str)]) -> bool {
    // Behind all texts, none of which begins with a byte of 0xff.
    let mut leads = [i32::MAX; N];
    for (lead, (key, _)) in leads.iter_mut().zip(pairs) {
        *lead = leading_bytes(key);
    }
    for (position, pair) in pairs.iter().enumerate() {
        let lead = leads[position];
        // The number before it, and above that the number of those that are alike, itself among them.
        let counts: u32 = leads.iter().map(|&other| u32::from(other < lead) | (u32::from(other == lead) << 16)).sum();
        let mut before = counts as usize & 0xffff;
        if counts >> 16 > 1 {
            for (at, (&other_lead, (other, _))) in leads.iter().zip(pairs).enumerate() {
                if other_lead == lead && at != position {
                    match (*other).cmp(pair.0) {
                        Ordering::Less => before += 1,
                        Ordering::Equal => return false,
                        Ordering::Greater => {}
                    }
                }
            }
        }
        sorted[before] = *pair;
    }
    true
}

/// A text's first four bytes as a number that sorts as they do, a shorter text followed by zeros.
fn leading_bytes(text: &str) -> i32 {
    let bytes = text.as_bytes();
    let number = match bytes {
        [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
        [] => 0,
        short => short.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)) << (8 * (4 - short.len())),
    };
    // The least number for the least text, though it has a sign.
    (number ^ (1 << 31)).cast_signed()
}
