//! Criterion over placement: `cargo bench -p benches --bench placement`.

use benches::{placement, settings, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn places(criterion: &mut Criterion) {
    with_criterion(criterion, placement::GROUPS);
}

criterion_group! { name = benches; config = settings(); targets = places }
criterion_main!(benches);
