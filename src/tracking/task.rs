//! `future.tracked("name")`: counts what a task allocates, wherever it is polled.
//!
//! Stands over the counters: each poll is a section of the thread that polls, and the task's figures are their sum.
//!
//! Invariant: a section is open only while the future is polled, so what other tasks of the same thread do between two polls is
//! not this one's. Cost: that of a section per poll, no heap allocation.
#![expect(unsafe_code, reason = "a pinned future inside a pinned struct")]

use super::counters::Section;
use super::options::print_section;
use super::report::{AllocationFigures, AllocationReport, NotCounted};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// Gives every future [`tracked`](Track::tracked).
///
/// ```
/// use blixard_arena::tracking::Track as _;
///
/// async fn place(vm: u32) -> u32 {
///     vm % 3
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let (node, report) = place(17).tracked("place").await; // of this request alone, whatever else the thread polls
/// println!("{report}");
/// # assert_eq!(node, 2);
/// # });
/// ```
pub trait Track: Future + Sized {
    /// Counts what this future allocates while it is polled, on whatever threads, and resolves to its output and the report.
    ///
    /// What it spawns is a task of its own. The future's own block, if it is boxed or spawned, is not part of it.
    ///
    /// ```
    /// # use blixard_arena::tracking::TrackingAllocator;
    /// # #[global_allocator]
    /// # static ALLOCATOR: TrackingAllocator = TrackingAllocator::system();
    /// use blixard_arena::tracking::Track as _;
    ///
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let request = async {
    ///     let name = String::from("vm-1");
    ///     tokio::task::yield_now().await; // may go on on another thread
    ///     name.len()
    /// };
    /// let (length, report) = tokio::spawn(request.tracked("request")).await.unwrap();
    /// println!("{report}");
    /// # assert_eq!(length, 4);
    /// # if cfg!(feature = "allocation-tracking") {
    /// assert!(report.heap.unwrap().bytes >= 4);
    /// # }
    /// # });
    /// ```
    fn tracked(self, name: &'static str) -> Tracked<Self> {
        Tracked { name, began: None, heap: Ok(AllocationFigures::default()), future: self }
    }
}

impl<F: Future> Track for F {}

/// The future that [`Track::tracked`] makes.
///
/// ```
/// use blixard_arena::tracking::{Track as _, Tracked};
///
/// struct Connection<F> {
///     request: Tracked<F>, // the one that is being answered: a type to store it under
/// }
/// let connection = Connection { request: async { "placed" }.tracked("request") };
/// # drop(connection.request);
/// ```
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Tracked<F> {
    name: &'static str,
    /// When it was first polled.
    began: Option<Instant>,
    heap: Result<AllocationFigures, NotCounted>,
    /// Pinned whenever the whole is.
    future: F,
}

/// Closes a poll's section, by a panic too.
struct Polling<'a> {
    section: Option<Section>,
    heap: &'a mut Result<AllocationFigures, NotCounted>,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        if let (Some(section), Ok(heap)) = (self.section.take(), &mut self.heap) {
            *heap = heap.then(section.close());
        }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = (F::Output, AllocationReport);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `future` is not moved out of `this`: it is only reborrowed as pinned, below; no other field is pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: `self` was pinned, and the future inside it stays where it is until it is dropped there.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        let began = *this.began.get_or_insert_with(Instant::now);
        let section = Section::open();
        this.heap = section.and(this.heap);
        let polling = Polling { section: section.ok(), heap: &mut this.heap };
        let polled = future.poll(context);
        drop(polling);
        polled.map(|output| {
            let elapsed = began.elapsed();
            let report = AllocationReport { name: this.name, elapsed, heap: this.heap, arena: None, pool: None };
            print_section(&report);
            (output, report)
        })
    }
}
