//! How loom runs a model: once for each order in which its threads may be started.
//!
//! loom remembers one access to an atomic only, so a thread that reads one and then writes it hides who read it before, and it
//! is the first run that decides who that can be. A bound on preemptions (threads interrupted where they could go on) too counts
//! from the order of that first run. Models that are too large to be run through have such a bound;
//! `LOOM_MAX_PREEMPTIONS` overrides it.
#![forbid(unsafe_code)]

use loom::thread;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The order in which the threads of a model are started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<const N: usize>([usize; N]);

/// What one thread does.
pub(crate) type Part<R> = Box<dyn FnOnce() -> R>;

impl<const N: usize> Order<N> {
    /// Runs the parts side by side, the first on the model's own thread, and gives what they return.
    pub(crate) fn run<R: 'static>(self, parts: [Part<R>; N]) -> [R; N] {
        self.start(parts, true)
    }

    /// The same, each on a thread of its own: for what a thread leaves behind, at the price of one thread more.
    pub(crate) fn run_apart<R: 'static>(self, parts: [Part<R>; N]) -> [R; N] {
        self.start(parts, false)
    }

    fn start<R: 'static>(self, parts: [Part<R>; N], first_here: bool) -> [R; N] {
        let mut parts = parts.map(Some);
        let (here, spawned) = self.0.split_at(usize::from(first_here));
        let mut threads = [const { None }; N];
        for &at in spawned {
            threads[at] = parts[at].take().map(thread::spawn);
        }
        let mut results = [const { None }; N];
        for &at in here {
            results[at] = parts[at].take().map(|part| part());
        }
        for (result, thread) in results.iter_mut().zip(threads) {
            if let Some(thread) = thread {
                *result = Some(thread.join().expect("a part panicked"));
            }
        }
        results.map(|result| result.expect("each part has run"))
    }

    /// Every order of parts of these kinds: two that differ in parts of one kind are one.
    fn all(kinds: [usize; N]) -> Vec<Self> {
        let mut orders: Vec<Vec<usize>> = vec![Vec::new()];
        for _ in 0..N {
            let longer = |order: Vec<usize>| {
                let left: Vec<usize> = (0..N).filter(|part| !order.contains(part)).collect();
                left.into_iter().map(move |part| order.iter().copied().chain([part]).collect())
            };
            orders = orders.into_iter().flat_map(longer).collect();
        }
        let mut seen = HashSet::new();
        orders.retain(|order| seen.insert(order.iter().map(|part| kinds[*part]).collect::<Vec<_>>()));
        orders.into_iter().map(|order| Self(order.try_into().expect("N parts"))).collect()
    }
}

/// Runs a model in every order of its threads, of which those of one kind do the same; bounded to `preemptions` where a number
/// is given and the environment has no other.
pub(crate) fn model<const N: usize>(
    preemptions: Option<usize>,
    kinds: [usize; N],
    run: impl Fn(Order<N>) + Send + Sync + 'static,
) {
    let run = Arc::new(run);
    for order in Order::all(kinds) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(preemptions);
        // Figures read every bucket of every thread.
        builder.max_branches = 100_000;
        let (runs, run) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&run));
        let counted = Arc::clone(&runs);
        builder.check(move || {
            counted.fetch_add(1, Relaxed);
            run(order);
        });
        println!("{:?}: {} runs", order.0, runs.load(Relaxed));
    }
}

/// Runs parts that share what `make` makes, each on a thread of its own; `end` gets what they return.
pub(crate) fn race<T: Clone + 'static, R: 'static, const N: usize>(
    preemptions: Option<usize>,
    make: fn() -> T,
    parts: [fn(&T) -> R; N],
    end: fn(T, [R; N]),
) {
    model(preemptions, parts.map(|part| part as usize), move |order| {
        let shared = make();
        let results = order.run_apart(parts.map(|part| {
            let shared = shared.clone();
            Box::new(move || part(&shared)) as Part<R>
        }));
        end(shared, results);
    });
}
