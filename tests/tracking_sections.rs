//! Sections and tasks: what they count, nested, overlapping, through panics, thread ends and threads without a slot.
#![cfg(feature = "allocation-tracking")]

use blixard_arena::tracking::{
    self, AllocationFigures, AllocationReport, AllocationTracker, Track as _, TrackingAllocator,
};
use blixard_arena::{ArenaPool, track_allocations};
use std::cell::RefCell;
use std::future::Future;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

#[global_allocator]
static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();

fn block(bytes: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(bytes))
}

fn heap(report: &AllocationReport) -> AllocationFigures {
    report.heap.expect("installed")
}

/// allocations, reallocations, frees, bytes, net, peak.
fn all(report: &AllocationReport) -> (u64, u64, u64, u64, i64, u64) {
    let heap = heap(report);
    (heap.allocations, heap.reallocations, heap.frees, heap.bytes, heap.net_bytes, heap.peak_bytes)
}

#[test]
fn a_section_counts_calls_bytes_net_and_peak() {
    let section = AllocationTracker::new("exact");
    let kept = block(100);
    let mut grown = block(10);
    grown.reserve_exact(50);
    drop(block(1000));
    drop(grown);
    let report = section.finish();
    // 100 and 10, then 50 for 10, then 1000 beside 150.
    assert_eq!(all(&report), (3, 1, 2, 100 + 10 + 50 + 1000, 100, 1150));
    drop(kept);
}

#[test]
fn what_was_there_before_is_freed_to_a_negative_net() {
    let before = block(4096);
    let section = AllocationTracker::new("frees");
    drop(before);
    assert_eq!(all(&section.finish()), (0, 0, 1, 0, -4096, 0));
}

#[test]
fn an_empty_section_is_empty_and_a_tracker_allocates_nothing() {
    let outer = AllocationTracker::new("outer");
    let inner = AllocationTracker::new("inner");
    drop(AllocationTracker::new("dropped"));
    let report = inner.finish();
    assert_eq!(all(&report), (0, 0, 0, 0, 0, 0));
    assert_eq!(all(&outer.finish()), (0, 0, 0, 0, 0, 0));
}

#[test]
fn nested_sections_have_peaks_of_their_own() {
    let outer = AllocationTracker::new("outer");
    drop(block(1000));
    let kept = block(300);
    let inner = AllocationTracker::new("inner");
    drop(block(400));
    let inner = inner.finish();
    let report = outer.finish();
    assert_eq!(heap(&inner).peak_bytes, 400);
    assert_eq!(heap(&report).peak_bytes, 1000);
    drop(kept);
    let outer = AllocationTracker::new("outer");
    let kept = block(300);
    let inner = AllocationTracker::new("inner");
    drop(block(800));
    assert_eq!(heap(&inner.finish()).peak_bytes, 800);
    assert_eq!(heap(&outer.finish()).peak_bytes, 1100, "the inner section's peak is the outer one's too");
    drop(kept);
}

#[test]
fn overlapping_sections_end_in_any_order() {
    let first = AllocationTracker::new("first");
    drop(block(500));
    let second = AllocationTracker::new("second");
    let kept = block(100);
    let third = AllocationTracker::new("third");
    drop(block(2000));
    // The oldest ends first, then the one between.
    assert_eq!(all(&first.finish()), (3, 0, 2, 2600, 100, 2100));
    drop(block(3000));
    assert_eq!(heap(&second.finish()).peak_bytes, 3100);
    drop(block(4000));
    assert_eq!(all(&third.finish()), (3, 0, 3, 9000, 0, 4000));
    // All entries are gone: a new section starts afresh.
    let last = AllocationTracker::new("last");
    drop(block(7));
    assert_eq!(heap(&last.finish()).peak_bytes, 7);
    drop(kept);
}

#[test]
fn sections_beyond_the_deepest_still_count_and_leave_the_others_right() {
    let mut trackers: Vec<_> = (0..40).map(|_| AllocationTracker::new("deep")).collect();
    drop(block(500));
    let kept = block(100);
    let deepest = heap(&trackers.pop().unwrap().finish());
    assert_eq!((deepest.allocations, deepest.bytes, deepest.net_bytes, deepest.peak_bytes), (2, 600, 100, 100));
    let outermost = heap(&trackers.remove(0).finish());
    assert_eq!((outermost.net_bytes, outermost.peak_bytes), (100, 500));
    drop(trackers);
    drop(kept);
    assert_eq!(heap(&AllocationTracker::new("after").finish()).peak_bytes, 0);
}

#[test]
fn a_panic_ends_the_section_and_the_outer_one_goes_on() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let outer = AllocationTracker::new("outer");
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _inner = AllocationTracker::new("inner");
        let _lost = block(1 << 20);
        std::panic::panic_any(7_u8);
    }));
    assert!(result.is_err());
    let kept = block(10);
    let before = heap(&outer.finish());
    assert!(before.peak_bytes >= 1 << 20, "{before:?}");
    std::panic::set_hook(quiet);
    let next = AllocationTracker::new("next");
    drop(block(20));
    assert_eq!(heap(&next.finish()).peak_bytes, 20, "no section was left open");
    drop((kept, result));
}

#[test]
fn the_macro_gives_value_and_report() {
    let (name, report) = track_allocations!("format", { format!("vm-{}", black_box(17)) });
    assert_eq!((name.as_str(), report.name), ("vm-17", "format"));
    assert!(heap(&report).allocations >= 1);
}

#[test]
fn a_section_is_its_threads_alone() {
    let section = AllocationTracker::new("here");
    let (send, receive) = mpsc::channel();
    let before = heap(&section.finish());
    let section = AllocationTracker::new("here");
    std::thread::scope(|scope| {
        let inner = scope.spawn(|| {
            let section = AllocationTracker::new("there");
            let kept = block(1 << 20);
            let report = section.finish();
            send.send(kept).unwrap();
            report
        });
        assert_eq!(heap(&inner.join().unwrap()).bytes, 1 << 20);
    });
    let there = receive.recv().unwrap();
    let here = heap(&section.finish());
    assert!(here.bytes < 1 << 16 && before.bytes < 1 << 16, "a thread's own bytes belong to it: {here:?}");
    let section = AllocationTracker::new("frees what another thread made");
    drop(there);
    assert_eq!(heap(&section.finish()).net_bytes, -(1 << 20));
}

thread_local! {
    /// Finished by the thread's end, after its counters have gone or before, as the order of destructors has it.
    static OPEN: RefCell<Option<Finisher>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

struct Finisher(Option<AllocationTracker>, mpsc::Sender<AllocationReport>);

impl Drop for Finisher {
    fn drop(&mut self) {
        let tracker = self.0.take().expect("dropped once");
        self.1.send(tracker.finish()).expect("the test waits");
    }
}

#[test]
fn a_section_that_the_threads_end_closes_has_what_the_thread_did() {
    let (send, receive) = mpsc::channel();
    for round in 0..3 {
        let send = send.clone();
        std::thread::spawn(move || {
            OPEN.with(|open| {
                *open.borrow_mut() = Some(Finisher(Some(AllocationTracker::new("to the end")), send));
            });
            drop(block(5000 + round));
        })
        .join()
        .unwrap();
        let report = heap(&receive.recv().unwrap());
        assert!(report.bytes >= 5000 + round as u64 && report.peak_bytes >= 5000, "{report:?}");
        // A tracker that never ends leaves nothing behind for the slot's next owner.
        std::thread::spawn(|| {
            let _forgotten = std::mem::ManuallyDrop::new(AllocationTracker::new("forgotten"));
            drop(block(1 << 20));
        })
        .join()
        .unwrap();
        let peak = std::thread::spawn(|| {
            let section = AllocationTracker::new("fresh");
            drop(block(64));
            heap(&section.finish()).peak_bytes
        });
        assert_eq!(peak.join().unwrap(), 64);
    }
}

struct Late(Vec<u8>);

impl Drop for Late {
    fn drop(&mut self) {
        for _ in 0..1000 {
            drop(block(100));
        }
        assert_eq!(self.0.capacity(), 77);
    }
}

#[test]
fn what_destructors_of_thread_locals_allocate_is_counted() {
    let before = tracking::process().unwrap().heap;
    std::thread::spawn(|| LATE.with(|late| *late.borrow_mut() = Some(Late(block(77))))).join().unwrap();
    let after = tracking::process().unwrap().heap;
    assert!(after.allocations - before.allocations >= 1001);
    assert!(after.bytes - before.bytes >= 100_077);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_followed_over_awaits_and_threads() {
    let task = async {
        let before = block(1000);
        let mut kept = Vec::new();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        kept.push(block(500));
        tokio::task::yield_now().await;
        drop(before);
        kept
    };
    let quiet = async {
        for _ in 0..400 {
            drop(block(1 << 22));
            tokio::task::yield_now().await;
        }
    };
    let noise = tokio::spawn(quiet);
    let (kept, report) = tokio::spawn(task.tracked("task")).await.unwrap();
    noise.await.unwrap();
    let heap = heap(&report);
    assert!(heap.bytes >= 1500 && heap.bytes < 1 << 16, "what other tasks did between its polls is theirs: {heap:?}");
    assert!(heap.peak_bytes >= 1500 && heap.peak_bytes < 1 << 16, "{heap:?}");
    assert_eq!(kept[0].capacity(), 500);
}

/// Yields once and, unlike a runtime's own, without a queue that may grow.
fn pause() -> impl Future<Output = ()> {
    let mut polled = false;
    std::future::poll_fn(move |context| {
        if std::mem::replace(&mut polled, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
}

#[test]
fn a_polls_peak_counts_from_what_earlier_polls_left() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ((), report) = runtime.block_on(
        async {
            let kept = block(1000);
            pause().await;
            drop(block(500));
            pause().await;
            drop(kept);
        }
        .tracked("polls"),
    );
    assert_eq!(all(&report), (2, 0, 2, 1500, 0, 1500));
}

#[test]
fn a_task_that_panics_or_is_dropped_half_way_leaves_no_section_open() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let died = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(
            async {
                let _lost = block(1 << 20);
                std::panic::panic_any(7_u8);
            }
            .tracked("dies"),
        );
    }));
    assert!(died.is_err());
    std::panic::set_hook(quiet);
    let mut half = Box::pin(
        async {
            let _held = block(1 << 20);
            std::future::pending::<()>().await;
        }
        .tracked("half"),
    );
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(half.as_mut().poll(&mut context).is_pending());
    drop(half);
    let section = AllocationTracker::new("after");
    drop(block(9));
    assert_eq!(heap(&section.finish()).peak_bytes, 9);
}

#[test]
fn arena_and_pool_stand_beside_the_heap() {
    let pool = ArenaPool::new();
    let section = AllocationTracker::new("request");
    let arena = pool.acquire();
    arena.alloc_str("vm-1");
    let report = section.finish().with_arena(arena.figures()).with_pool(pool.figures());
    assert!(heap(&report).bytes >= report.arena.unwrap().reserved_bytes as u64, "the arena's bytes come from the heap");
    let line = report.to_string();
    assert!(
        line.starts_with("request ") && line.contains("bytes used of") && line.contains("pool: 1 acquired"),
        "{line}"
    );
    assert!(!line.contains('\n'));
}

#[test]
fn a_line_stands_under_its_heading() {
    let section = AllocationTracker::new("columns");
    drop(block(123));
    let line = section.finish().to_string();
    for (title, value) in [("allocations", "1"), ("frees", "1"), ("bytes", "123"), ("net", "+0"), ("peak", "123")] {
        let end = AllocationReport::HEADING.find(title).unwrap() + title.len();
        assert!(line[..end].ends_with(value), "{title}:\n{}\n{line}", AllocationReport::HEADING);
    }
}
