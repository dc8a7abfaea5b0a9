//! Criterion over archives and other formats: `cargo bench -p benches --bench archive`.

use benches::{archive, settings, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    with_criterion(criterion, archive::GROUPS);
}

criterion_group! { name = benches; config = settings(); targets = all }
criterion_main!(benches);
