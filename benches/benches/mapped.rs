//! Criterion over tables on disk: `cargo bench -p benches --bench mapped`.

use benches::{mapped, settings, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn look_ups(criterion: &mut Criterion) {
    with_criterion(criterion, mapped::GROUPS);
}

fn files(criterion: &mut Criterion) {
    with_criterion(criterion, mapped::FILES);
}

criterion_group! { name = benches; config = settings(); targets = look_ups }
criterion_group! { name = few; config = settings().sample_size(10); targets = files }
criterion_main!(benches, few);
