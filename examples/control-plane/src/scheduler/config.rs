//! A VM as asked for: its resources, its borrowed fields, and its config in a request's memory.
//!
//! First station of the data's way inside this package: a parser hands over [`VmSpec`] and metadata pairs,
//! [`VmConfig::new_in`] makes of them a value that no longer needs the input bytes.
//!
//! Invariant: a config's metadata has unique keys in ascending order; of two values given for a key the later stands.
//! Cost: one bump per text and per pair, no heap allocation of its own.

use std::net::IpAddr;

use crate::region::Region;

/// One whole GPU, in the thousandths in which shares of a device are counted.
pub const GPU_MILLI: u16 = 1_000;

/// GPUs asked for: none, a share of one device, or several whole devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_milli: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// GPUs, whole or shared.
    pub gpus: GpuRequest,
}

/// Class of service, from the most to the least protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VmSpec<'v> {
    /// Name, unique in the cluster.
    pub name: &'v str,
    /// Path of the VM's configuration file.
    pub config_path: &'v str,
    /// Whom the VM belongs to.
    pub tenant: &'v str,
    /// GPU models that will do, joined by `|`; empty if any will.
    pub gpu_spec: &'v str,
    /// What it needs of a node.
    pub resources: Resources,
    /// Its address.
    pub ip: IpAddr,
    /// Its class of service.
    pub qos: Qos,
}

/// A VM's config in a request's memory, every text copied into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VmConfig<'a> {
    /// The fields, all of them in the same memory.
    pub spec: VmSpec<'a>,
    /// Metadata: unique keys, ascending.
    pub metadata: &'a [(&'a str, &'a str)],
}

impl<'a> VmConfig<'a> {
    /// Copies the fields and the pairs into `memory`.
    ///
    /// ```
    /// use blixard_arena::Arena;
    /// use control_plane::scheduler::{Qos, Resources, VmConfig, VmSpec};
    ///
    /// let arena = Arena::new();
    /// let config = {
    ///     let line = String::from("vm-7 /etc/vm/7.toml acme");
    ///     let mut fields = line.split(' ');
    ///     let spec = VmSpec {
    ///         name: fields.next().unwrap_or_default(),
    ///         config_path: fields.next().unwrap_or_default(),
    ///         tenant: fields.next().unwrap_or_default(),
    ///         gpu_spec: "",
    ///         resources: Resources::default(),
    ///         ip: [10, 0, 0, 7].into(),
    ///         qos: Qos::BestEffort,
    ///     };
    ///     VmConfig::new_in(&arena, &spec, &[("zone", "b"), ("app", "db"), ("zone", "c")])
    /// };
    /// // The line is gone, the config is not. The later value of `zone` stands.
    /// assert_eq!(config.spec.name, "vm-7");
    /// assert_eq!(config.metadata, [("app", "db"), ("zone", "c")]);
    /// ```
    ///
    /// # Panics
    ///
    /// With the arena's `BudgetExceeded` when the request's budget does not allow it.
    pub fn new_in(memory: impl Region<'a>, spec: &VmSpec<'_>, metadata: &[(&str, &str)]) -> Self {
        let spec = VmSpec {
            name: memory.copy_str(spec.name),
            config_path: memory.copy_str(spec.config_path),
            tenant: memory.copy_str(spec.tenant),
            gpu_spec: memory.copy_str(spec.gpu_spec),
            ..*spec
        };
        Self { spec, metadata: sorted_in(memory, metadata) }
    }
}

/// Longest list of pairs that is ranked; longer ones are sorted.
const RANKED_MAX: usize = 16;

/// Copies pairs by ascending key, of equal keys the last.
///
/// A short list, and most are, is ranked: each pair goes to the place that has as many keys before it, counted without a
/// branch that depends on the keys. Half of such branches would be guessed wrongly, and that costs more than the
/// comparisons saved. Keys are compared by their first eight bytes as a number; only keys that agree in these are
/// looked at as texts.
fn sorted_in<'a>(memory: impl Region<'a>, pairs: &[(&str, &str)]) -> &'a [(&'a str, &'a str)] {
    let copy = |(key, value): (&str, &str)| (memory.copy_str(key), memory.copy_str(value));
    if pairs.len() > RANKED_MAX {
        let order = memory.slice_with(pairs.len(), |at| at);
        order.sort_unstable_by_key(|&at| (pairs[at].0, at));
        return last_of_equals(memory.slice_with(order.len(), |at| copy(pairs[order[at]])));
    }
    let leads = memory.slice_with(pairs.len(), |at| leading_bytes(pairs[at].0));
    let sorted = memory.slice_with(pairs.len(), |_| ("", ""));
    let mut alike = false;
    for (at, &lead) in leads.iter().enumerate() {
        let (mut before, mut same) = (0, 0);
        for &other in &*leads {
            before += usize::from(other < lead);
            same += usize::from(other == lead);
        }
        if same > 1 {
            alike = true;
            let key = (pairs[at].0, at);
            before += (0..pairs.len()).filter(|&other| leads[other] == lead && (pairs[other].0, other) < key).count();
        }
        sorted[before] = copy(pairs[at]);
    }
    if alike { last_of_equals(sorted) } else { sorted }
}

/// Moves the last pair of each run of equal keys to the front, and returns these.
fn last_of_equals<'a, 'p>(pairs: &'a mut [(&'p str, &'p str)]) -> &'a [(&'p str, &'p str)] {
    let mut unique = 0;
    for at in 0..pairs.len() {
        let given_again = pairs.get(at + 1).is_some_and(|later| later.0 == pairs[at].0);
        pairs[unique] = pairs[at];
        unique += usize::from(!given_again);
    }
    &pairs[..unique]
}

/// A text's first eight bytes as a number that sorts as they do; a shorter text is followed by zeros.
fn leading_bytes(text: &str) -> u64 {
    let bytes = text.as_bytes();
    if let Some(eight) = bytes.first_chunk() {
        return u64::from_be_bytes(*eight);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // Two halves that overlap, each where its bytes belong.
        let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
        return u64::from(first) << 32 | u64::from(last) << (8 * (8 - bytes.len()));
    }
    let number = bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
    number << 32 << (8 * (4 - bytes.len()))
}
