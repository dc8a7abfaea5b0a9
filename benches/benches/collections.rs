//! Criterion over the collections: `cargo bench -p benches --bench collections`.

use benches::{collections, settings, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    for groups in collections::GROUPS {
        with_criterion(criterion, groups);
    }
}

criterion_group! { name = benches; config = settings(); targets = all }
criterion_main!(benches);
