//! What a VM's config may say: every field within its bounds, or an error that names the field and its value.
//!
//! On the data's way between parsing and building. What is checked here is what everything behind it may rely on: texts of
//! bounded length without control characters, resources that some machine could have.
//!
//! Invariant: lengths and numbers are checked before anything is looked through, so that a hostile config costs no more than
//! the longest good one.
//! Cost: one pass over the texts, no allocation but for an error.
#![forbid(unsafe_code)]

use std::fmt;

use super::config::{GPU_MILLI, VmSpec};
use super::node::GPUS_PER_NODE_MAX;

/// Longest name of a VM, a tenant or an anti-affinity group, in bytes.
pub const NAME_BYTES_MAX: usize = 253;

/// Longest config path, in bytes.
pub const PATH_BYTES_MAX: usize = 4_095;

/// Longest list of GPU models, in bytes.
pub const GPU_SPEC_BYTES_MAX: usize = 1_023;

/// Most metadata pairs.
pub const METADATA_PAIRS_MAX: usize = 128;

/// Longest metadata value, in bytes. A key is at most [`NAME_BYTES_MAX`].
pub const METADATA_VALUE_BYTES_MAX: usize = 1_023;

/// Most thousandths of a core: 8,192 cores.
pub const CPU_MILLI_MAX: u32 = 8_192_000;

/// Most memory in MiB: 256 TiB.
pub const MEMORY_MIB_MAX: u32 = 256 << 20;

/// Why a config is none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// What stands there, at most 60 characters of it, control characters escaped.
    pub value: String,
    /// What should stand there.
    pub expected: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VM config, {}: expected {}, found {}", self.field, self.expected, self.value)
    }
}

impl std::error::Error for ConfigError {}

impl VmSpec<'_> {
    /// Checks every field, and the metadata that goes with them.
    ///
    /// ```
    /// use control_plane::scheduler::{Resources, VmSpec};
    ///
    /// let spec = VmSpec {
    ///     name: "vm-7", config_path: "/etc/vm/7.toml", tenant: "acme", ip: [10, 0, 0, 7].into(),
    ///     resources: Resources { cpu_milli: 2_000, memory_mib: 4_096, ..Resources::default() },
    ///     ..VmSpec::default()
    /// };
    /// assert_eq!(spec.validate(&[("zone", "b")]), Ok(()));
    /// let error = VmSpec { name: "vm\n7", ..spec }.validate(&[]).unwrap_err();
    /// assert_eq!(error.to_string(), r#"VM config, name: expected no control character, found "vm\n7""#);
    /// ```
    ///
    /// # Errors
    ///
    /// At the first field that is out of bounds.
    pub fn validate(&self, metadata: &[(&str, &str)]) -> Result<(), ConfigError> {
        text("name", self.name, 1, NAME_BYTES_MAX)?;
        text("config path", self.config_path, 1, PATH_BYTES_MAX)?;
        text("tenant", self.tenant, 1, NAME_BYTES_MAX)?;
        text("GPU models", self.gpu_spec, 0, GPU_SPEC_BYTES_MAX)?;
        number("vCPUs, in thousandths", self.resources.cpu_milli.into(), 1, CPU_MILLI_MAX.into())?;
        number("memory in MiB", self.resources.memory_mib.into(), 1, MEMORY_MIB_MAX.into())?;
        let gpus = self.resources.gpus;
        number("GPUs", gpus.count.into(), 0, GPUS_PER_NODE_MAX as u64)?;
        number("thousandths of a GPU", gpus.milli.into(), u64::from(gpus.count == 1), GPU_MILLI.into())?;
        if !self.gpu_spec.is_empty() && self.gpu_spec.split('|').any(str::is_empty) {
            return Err(found("GPU models", self.gpu_spec, "names joined by |".to_owned()));
        }
        if self.ip.is_unspecified() || self.ip.is_multicast() {
            let (value, expected) = (self.ip.to_string(), "the address of one machine".to_owned());
            return Err(ConfigError { field: "IP address", value, expected });
        }
        if let Some(wish) = self.anti_affinity {
            text("anti-affinity group", wish.group, 1, NAME_BYTES_MAX)?;
        }
        if metadata.len() > METADATA_PAIRS_MAX {
            let (value, expected) =
                (format!("{} pairs", metadata.len()), format!("at most {METADATA_PAIRS_MAX} pairs"));
            return Err(ConfigError { field: "metadata", value, expected });
        }
        for (key, value) in metadata {
            text("metadata key", key, 1, NAME_BYTES_MAX)?;
            text("metadata value", value, 0, METADATA_VALUE_BYTES_MAX)?;
        }
        Ok(())
    }
}

fn text(field: &'static str, text: &str, least: usize, most: usize) -> Result<(), ConfigError> {
    if text.len() < least || text.len() > most {
        return Err(found(field, text, format!("{least} to {most} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(found(field, text, "no control character".to_owned()));
    }
    Ok(())
}

fn number(field: &'static str, number: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(ConfigError { field, value: number.to_string(), expected: format!("{least} to {most}") })
}

#[cold]
fn found(field: &'static str, text: &str, expected: String) -> ConfigError {
    const CHARS_MAX: usize = 60;
    let value = match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{:?} and {} bytes more", &text[..end], text.len() - end),
        None => format!("{text:?}"),
    };
    ConfigError { field, value, expected }
}
