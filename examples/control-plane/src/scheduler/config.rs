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

/// Copies pairs by ascending key, of equal keys the last.
///
/// What is sorted is the position of each pair behind the first eight bytes of its key, as a number: that decides most
/// comparisons without a look at the texts.
fn sorted_in<'a>(memory: impl Region<'a>, pairs: &[(&str, &str)]) -> &'a [(&'a str, &'a str)] {
    let order = memory.slice_with(pairs.len(), |at| (leading_bytes(pairs[at].0), at));
    order.sort_unstable_by(|(a_leads, a), (b_leads, b)| {
        a_leads.cmp(b_leads).then_with(|| pairs[*a].0.cmp(pairs[*b].0)).then(a.cmp(b))
    });
    // The last of each run of equal keys moves to the front part, which grows behind the reading.
    let mut unique = 0;
    for at in 0..order.len() {
        let (leads, pair) = order[at];
        let given_again =
            order.get(at + 1).is_some_and(|&(next, later)| next == leads && pairs[later].0 == pairs[pair].0);
        order[unique] = (leads, pair);
        unique += usize::from(!given_again);
    }
    memory.slice_with(unique, |at| {
        let (key, value) = pairs[order[at].1];
        (memory.copy_str(key), memory.copy_str(value))
    })
}

/// A text's first eight bytes as a number that sorts as they do; a shorter text is followed by zeros.
fn leading_bytes(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let leading = bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        padded
    });
    u64::from_be_bytes(leading)
}
