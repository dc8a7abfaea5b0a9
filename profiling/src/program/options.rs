//! The command line.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::{RangedU64ValueParser, TypedValueParser};

use crate::placement::Placing;
use crate::strategy::Name;

/// Replays a trace of VM requests once per memory strategy, each in processes of its own, and reports what each costs.
///
/// Without files, tasks and nodes come from a seeded generator. A request parses a batch of VMs out of its bytes, builds
/// configs and proposals, places them on nodes, encodes the batch and lets everything go.
#[derive(Debug, Clone, Parser)]
#[command(name = "profiling", version, after_help = "`profiling soak --help` tells of the soak.")]
pub struct Options {
    /// Tasks, as the CSV file of an openb trace
    #[arg(long, value_name = "FILE")]
    pub pods: Option<PathBuf>,

    /// Machines, as the CSV file of an openb trace
    #[arg(long, value_name = "FILE")]
    pub nodes: Option<PathBuf>,

    /// Requests that each process serves; it cycles over the tasks
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = from_1_to(100_000_000))]
    pub requests: usize,

    /// Tasks that make one request
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = from_1_to(65_536))]
    pub batch: usize,

    /// Threads that share the requests, each with nodes of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = from_1_to(256))]
    pub threads: usize,

    /// How VMs are placed, in every strategy alike
    #[arg(long, value_name = "NAME", default_value_t)]
    pub placement: Placing,

    /// Where everything random comes from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Directory of the report
    #[arg(long, value_name = "DIR", default_value = "target/profile")]
    pub out: PathBuf,

    /// Also find out where each strategy's memory comes from: top sites, flame graphs, files for pprof
    #[arg(long)]
    pub sites: bool,

    /// Strategies to compare, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',', default_values_t = Name::ALL)]
    pub strategies: Vec<Name>,
}

fn from_1_to(max: u64) -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<u64>::new().range(1..=max).try_map(usize::try_from)
}
