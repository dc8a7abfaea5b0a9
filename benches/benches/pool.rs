//! Criterion over pools of objects: `cargo bench -p benches --bench pool`.

use benches::{object_pool, settings, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn pool(criterion: &mut Criterion) {
    with_criterion(criterion, object_pool::GROUPS);
}

criterion_group! { name = benches; config = settings(); targets = pool }
criterion_main!(benches);
