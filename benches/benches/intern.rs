//! Criterion over the interners: `cargo bench -p benches --bench intern`.

use benches::{intern_arena, intern_pool, settings, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

fn intern(criterion: &mut Criterion) {
    with_criterion(criterion, intern_arena::GROUPS);
    with_criterion(criterion, intern_pool::GROUPS);
}

criterion_group! { name = benches; config = settings(); targets = intern }
criterion_main!(benches);
