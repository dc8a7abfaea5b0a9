//! The benchmark `request`, the same contenders, in a process whose global allocator is mimalloc:
//! `cargo bench -p benches --bench request_mimalloc`.

use benches::{request, settings, with_criterion};
use criterion::{Criterion, criterion_group, criterion_main};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn requests_over_mimalloc(criterion: &mut Criterion) {
    with_criterion(criterion, request::GROUPS);
}

criterion_group! { name = benches; config = settings(); targets = requests_over_mimalloc }
criterion_main!(benches);
