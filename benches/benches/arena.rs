//! Criterion over the arena's calls: `cargo bench -p benches --bench arena`.

use benches::{bump, pool, settings, shared, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn arena(criterion: &mut Criterion) {
    with_criterion(criterion, bump::GROUPS);
    with_criterion(criterion, shared::GROUPS);
    with_criterion(criterion, pool::GROUPS);
}

criterion_group! { name = benches; config = settings(); targets = arena }
criterion_main!(benches);
