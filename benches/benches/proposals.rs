//! Criterion over batches of proposals in each memory strategy: `cargo bench -p benches --bench proposals`.

use benches::{proposals, settings, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn batches(criterion: &mut Criterion) {
    with_criterion(criterion, proposals::GROUPS);
}

criterion_group! { name = benches; config = settings(); targets = batches }
criterion_main!(benches);
