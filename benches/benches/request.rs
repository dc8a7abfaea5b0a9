//! Criterion over the reference request and its random variant, on the system's allocator: `cargo bench -p benches --bench request`.

use benches::{request, settings, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn requests(criterion: &mut Criterion) {
    with_criterion(criterion, request::GROUPS);
}

criterion_group! { name = benches; config = settings(); targets = requests }
criterion_main!(benches);
