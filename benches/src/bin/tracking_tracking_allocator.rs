//! A process of the benchmark `tracking` with tracking-allocator and the simplest tracker that counts.

use std::process::ExitCode;

use std::alloc::System;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracking_allocator::{AllocationGroupId, AllocationRegistry, AllocationTracker, Allocator};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

#[derive(Default)]
struct Counts {
    allocations: AtomicU64,
    bytes: AtomicU64,
    frees: AtomicU64,
    freed_bytes: AtomicU64,
}

impl AllocationTracker for Counts {
    fn allocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId) {
        self.allocations.fetch_add(1, Relaxed);
        self.bytes.fetch_add(size as u64, Relaxed);
    }

    fn deallocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId, _: AllocationGroupId) {
        self.frees.fetch_add(1, Relaxed);
        self.freed_bytes.fetch_add(size as u64, Relaxed);
    }
}

fn main() -> ExitCode {
    benches::tracking::worker(|_| {
        AllocationRegistry::set_global_tracker(Counts::default()).ok()?;
        AllocationRegistry::enable_tracking();
        Some(())
    })
}
