//! What blixard-arena costs, always measured beside the other ways to do the same work.
//!
//! A [`contest::Group`] is one piece of work and everybody who can do it; ours stands first. The groups are written once and
//! run by two kinds of program: the criterion benchmarks in `benches/` (distributions, history) and the `ratios` program
//! ([`ratios`]), which interleaves the contenders round by round and prints ratios with their spread.
//!
//! Invariants: every contender of a group does the same work on the same input, starts warm, and is reset the same way; results
//! leave through [`std::hint::black_box`]; clock reads stand around thousands of operations, never around one.

// First: its macros are used below.
#[macro_use]
#[forbid(unsafe_code)]
pub mod contest;
pub mod archive;
#[forbid(unsafe_code)]
pub mod bump;
#[forbid(unsafe_code)]
pub mod collections;
#[forbid(unsafe_code)]
pub mod figures;
#[forbid(unsafe_code)]
pub mod intern_arena;
#[forbid(unsafe_code)]
pub mod intern_pool;
pub mod limits;
pub mod mapped;
#[forbid(unsafe_code)]
pub mod names;
#[forbid(unsafe_code)]
pub mod object_pool;
#[forbid(unsafe_code)]
pub mod placement;
#[forbid(unsafe_code)]
pub mod pool;
#[forbid(unsafe_code)]
pub mod proposals;
#[forbid(unsafe_code)]
mod random;
#[forbid(unsafe_code)]
pub mod ratios;
#[forbid(unsafe_code)]
pub mod request;
#[forbid(unsafe_code)]
pub mod shared;
#[forbid(unsafe_code)]
pub mod shared_values;
#[forbid(unsafe_code)]
pub mod tracking;
#[forbid(unsafe_code)]
pub mod yardstick;

use std::time::Duration;

use criterion::{Criterion, Throughput};

/// Measures each group with criterion, the names being `group/contender`.
pub fn with_criterion(criterion: &mut Criterion, groups: &[contest::Named]) {
    contest::pin(0);
    for (name, make) in groups {
        let contest::Group { elements, contenders, .. } = make();
        let mut group = criterion.benchmark_group(*name);
        group.throughput(Throughput::Elements(elements));
        for mut contender in contenders {
            group.bench_function(contender.label(), |bencher| {
                bencher.iter_custom(|iterations| contender.run(iterations));
            });
        }
        group.finish();
    }
}

/// Criterion's settings for all groups: short enough that a hundred contenders take minutes, not hours.
#[must_use]
pub fn settings() -> Criterion {
    Criterion::default()
        .sample_size(40)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
}
