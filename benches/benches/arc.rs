//! Criterion over shared values: `cargo bench -p benches --bench arc`.

use benches::{settings, shared_values, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn arc(criterion: &mut Criterion) {
    with_criterion(criterion, shared_values::GROUPS);
}

criterion_group! { name = benches; config = settings(); targets = arc }
criterion_main!(benches);
