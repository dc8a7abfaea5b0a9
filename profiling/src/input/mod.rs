//! What is replayed: tasks and nodes from a trace's files or from a generator, and the requests made of them.
//!
//! First of all on the data's way, and outside every timed part. [`csv`] reads files, [`generate`] makes what is not
//! given, [`requests`] adds what a trace lacks and writes each batch as bytes.
//!
//! Invariants: the same files and the same seed give the same bytes; no text in a [`Task`] or node has control characters,
//! so that none can break a request's form.

mod bounded;
pub mod csv;
pub mod generate;
pub(crate) mod rng;

use std::net::{IpAddr, Ipv4Addr};

use control_plane::raft::{Lifetime, ProposalId};
use control_plane::scheduler::{Node, Qos, Resources, VmSpec};

use crate::request;
use rng::Rng;

/// Tenants among whom the VMs are shared out.
pub const TENANTS: usize = 200;

/// Most metadata pairs that a VM is given.
pub const METADATA_PAIRS_GIVEN_MAX: usize = 12;

/// One task of a trace: a VM that is wanted for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// What it needs.
    pub resources: Resources,
    /// GPU models that will do, joined by `|`; empty if any will.
    pub gpu_spec: String,
    /// Its class of service.
    pub qos: Qos,
    /// Wanted from here on.
    pub creation_seconds: u64,
    /// Gone from here on; `None` if it stays.
    pub deletion_seconds: Option<u64>,
}

/// Tasks and nodes, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// In words.
    pub source: String,
    /// In the order in which they arrive.
    pub tasks: Vec<Task>,
    /// The cluster.
    pub nodes: Vec<Node>,
}

/// Words of which tenants' names are made.
const TEAMS: [&str; 8] = ["search", "ads", "maps", "speech", "vision", "risk", "billing", "research"];

/// Metadata keys, as labels of a cluster look like.
const KEYS: [&str; 16] = [
    "app",
    "zone",
    "owner",
    "team/cost-center",
    "version",
    "tier",
    "blixard.dev/image",
    "blixard.dev/kernel",
    "backup-policy",
    "network",
    "environment",
    "release",
    "managed-by",
    "data-class",
    "restart",
    "ticket",
];

/// Words of which metadata values are made.
const VALUES: [&str; 12] = [
    "production",
    "staging",
    "eu-central-1b",
    "payments-api",
    "nightly",
    "stable",
    "ubuntu-24.04",
    "linux-6.12",
    "restricted",
    "on-failure",
    "team-infra",
    "none",
];

/// The requests of one pass over the tasks, `batch` of them each, in order.
///
/// What a trace lacks comes from `seed`: a tenant (Zipf over [`TENANTS`]), 0 to [`METADATA_PAIRS_GIVEN_MAX`] pairs of
/// metadata with different keys, an address, a path, a proposal's id.
#[must_use]
pub fn requests(tasks: &[Task], batch: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(seed ^ 0x7e4a_7c15);
    let tenants: Vec<String> = (0..TENANTS).map(|at| format!("{}-{at:03}", TEAMS[at % TEAMS.len()])).collect();
    let shares: Vec<f64> = (1..=200_u32).map(|rank| 1.0 / f64::from(rank)).collect();
    let tenants_drawn = rng::Weighted::new(&shares);
    let batches = tasks.chunks(batch.max(1));
    batches
        .map(|batch| {
            let given: Vec<Given<'_>> = batch
                .iter()
                .map(|task| {
                    let tenant = &tenants[tenants_drawn.draw(&mut rng)];
                    Given::draw(&mut rng, &task.name, tenant)
                })
                .collect();
            let vms: Vec<_> = batch
                .iter()
                .zip(&given)
                .map(|(task, given)| {
                    let lifetime =
                        Lifetime { from_seconds: task.creation_seconds, until_seconds: task.deletion_seconds };
                    let spec = VmSpec {
                        name: &task.name,
                        config_path: &given.config_path,
                        tenant: given.tenant,
                        gpu_spec: &task.gpu_spec,
                        resources: task.resources,
                        ip: given.ip,
                        qos: task.qos,
                        ..VmSpec::default()
                    };
                    (given.id, lifetime, spec, &given.metadata)
                })
                .collect();
            request::write(&vms)
        })
        .collect()
}

/// What the trace lacks of a VM.
struct Given<'t> {
    id: ProposalId,
    tenant: &'t str,
    config_path: String,
    ip: IpAddr,
    metadata: Vec<(&'static str, String)>,
}

impl<'t> Given<'t> {
    fn draw(rng: &mut Rng, name: &str, tenant: &'t str) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&rng.next().to_le_bytes());
        id[8..].copy_from_slice(&rng.next().to_le_bytes());
        let [a, b, c, ..] = rng.next().to_le_bytes();
        let mut keys = KEYS;
        let metadata = (0..rng.below(METADATA_PAIRS_GIVEN_MAX + 1))
            .map(|at| {
                // A step of a shuffle: keys differ and come in any order.
                keys.swap(at, at + rng.below(KEYS.len() - at));
                (keys[at], format!("{}-{}", VALUES[rng.below(VALUES.len())], rng.below(1_000)))
            })
            .collect();
        Self {
            id: ProposalId(id),
            tenant,
            config_path: format!("/etc/blixard/vms/{tenant}/{name}.toml"),
            ip: IpAddr::V4(Ipv4Addr::new(10, a, b, c)),
            metadata,
        }
    }
}
