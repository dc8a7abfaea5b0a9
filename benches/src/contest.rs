//! One piece of work, everybody who can do it, and the two loops that time them: on one thread, and on pinned threads.
//!
//! Both loops split the asked number of operations into batches that fit the contender's memory, and reset the memory after each.
//! On one thread the clock is read once before all batches and once after, so a reset is part of the cost, as it is in a
//! service. On pinned threads each thread reads the clock around its own batch; barriers and resets stand outside.

use std::fmt;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

/// [`Contender::alone`] whose results are used: name, role, batch, the arena, the operation on it, its rewind.
macro_rules! alone {
    ($name:literal, $role:ident, $batch:expr, $arena:expr, |$on:ident, $i:pat_param| $op:expr, $reset:expr $(,)?) => {
        Contender::alone(
            $name,
            Role::$role,
            $batch,
            $arena,
            move |$on, $i| {
                black_box($op);
            },
            $reset,
        )
    };
}

/// [`Contender::pinned`] with an operation instead of a body: name, role, threads, the arena, the operation on it, its rewind.
macro_rules! pinned {
    ($name:literal, $role:ident, $threads:expr, $arena:expr, |$on:ident, $i:ident| $op:expr, $reset:expr $(,)?) => {
        Contender::pinned(
            $name,
            Role::$role,
            $threads,
            BATCH,
            $arena,
            |$on, _, n| {
                for $i in 0..n {
                    black_box($op);
                }
            },
            $reset,
        )
    };
}

/// The first chunk that every arena here gets: the largest that every peer can hold in one piece.
pub const CHUNK_BYTES: usize = 60 * 1024;

/// What a batch of single-threaded bumps fills before its arena is reset: half of a small first-level cache.
pub const BATCH_BYTES: usize = 16 * 1024;

/// A group by its name; it is built, and its contenders warmed, only when it is asked for.
pub type Named = (&'static str, fn() -> Group);

/// Everybody who can do one piece of work.
#[derive(Debug)]
pub struct Group {
    /// The name, `area/work`.
    pub name: &'static str,
    /// What the reader must know to judge the figures.
    pub note: &'static str,
    /// Operations in one iteration: times are divided by it.
    pub elements: u64,
    /// Ours first, then the peers.
    pub contenders: Vec<Contender>,
}

/// What a contender is, which decides what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A way of ours.
    Ours,
    /// A published crate, or the plain thing that the standard library gives.
    Peer,
    /// Hand-written: how far down the work can go, without the safety or the generality.
    Limit,
    /// Shares nothing between threads: what a second thread costs on this machine anyway.
    Control,
}

impl Role {
    /// Its name in rows of figures.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "peer",
            Self::Limit => "limit",
            Self::Control => "control",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ours, Self::Peer, Self::Limit, Self::Control].into_iter().find(|role| role.as_str() == name)
    }
}

/// One way to do a group's work.
pub struct Contender {
    /// The name.
    pub name: &'static str,
    /// What it is compared with.
    pub role: Role,
    /// Threads that work at once, each doing all the iterations.
    pub threads: usize,
    time: Box<dyn FnMut(u64) -> Duration>,
}

impl fmt::Debug for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contender")
            .field("name", &self.name)
            .field("role", &self.role)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Contender {
    /// One thread: `op` once per iteration, `reset` after every `batch` of them.
    ///
    /// The clock runs through resets too, so `batch` must be large enough that they vanish, or be what a service would do.
    pub fn alone<A: 'static>(
        name: &'static str,
        role: Role,
        batch: u64,
        mut arena: A,
        mut op: impl FnMut(&mut A, u64) + 'static,
        mut reset: impl FnMut(&mut A) + 'static,
    ) -> Self {
        let time = move |iterations: u64| {
            let start = Instant::now();
            let mut left = iterations;
            while left > 0 {
                let now = left.min(batch);
                for i in 0..now {
                    op(&mut arena, i);
                }
                reset(&mut arena);
                left -= now;
            }
            start.elapsed()
        };
        Self { name, role, threads: 1, time: Box::new(time) }
    }

    /// One thread, for work that is not all timed: `time(iterations)` does it so often and says how long the part that counts took.
    pub fn timed(name: &'static str, role: Role, time: impl FnMut(u64) -> Duration + 'static) -> Self {
        Self { name, role, threads: 1, time: Box::new(time) }
    }

    /// Pinned threads: `body(&arena, thread, n)` does `n` operations; `reset` follows each batch, untimed.
    ///
    /// The result is the mean of the threads' own times for all iterations, so one that shares nothing reads the same at any number
    /// of threads on an ideal machine. Threads start, and do one batch to get warm, before the clock.
    ///
    /// # Panics
    /// [`run`](Self::run) panics if a body or a reset did.
    pub fn pinned<A: Send + Sync + 'static>(
        name: &'static str,
        role: Role,
        threads: usize,
        batch: u64,
        arena: A,
        body: impl Fn(&A, usize, u64) + Sync + 'static,
        reset: impl Fn(&mut A) + Sync + 'static,
    ) -> Self {
        let arena = RwLock::new(arena);
        let time = move |iterations: u64| {
            let barrier = SpinBarrier::new(threads);
            let batch_on = |thread: usize, n: u64| {
                barrier.wait();
                let spent = {
                    let arena = arena.read().unwrap_or_else(PoisonError::into_inner);
                    barrier.wait();
                    let start = Instant::now();
                    body(&arena, thread, n);
                    start.elapsed()
                };
                barrier.wait();
                if thread == 0 {
                    reset(&mut arena.write().unwrap_or_else(PoisonError::into_inner));
                }
                spent
            };
            let work = |thread: usize| {
                pin(thread);
                batch_on(thread, batch);
                let mut spent = Duration::ZERO;
                let mut left = iterations;
                while left > 0 {
                    let now = left.min(batch);
                    spent += batch_on(thread, now);
                    left -= now;
                }
                spent
            };
            let work = &work;
            let sum: Duration = thread::scope(|scope| {
                let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
                running.into_iter().map(|thread| thread.join().expect("a contender's thread panicked")).sum()
            });
            sum / u32::try_from(threads).expect("few threads")
        };
        Self { name, role, threads, time: Box::new(time) }
    }

    /// Does the work `first` times, unseen by the clock, before each measurement: for work on more memory than the caches keep
    /// while the others of the group have their turn.
    #[must_use]
    pub fn warmed(mut self, first: u64) -> Self {
        self.time = Box::new(move |iterations| {
            (self.time)(first);
            (self.time)(iterations)
        });
        self
    }

    /// Does the work `iterations` times on each thread and says how long a thread took.
    pub fn run(&mut self, iterations: u64) -> Duration {
        (self.time)(iterations)
    }

    /// The name with the number of threads, if more than one works.
    #[must_use]
    pub fn label(&self) -> String {
        if self.threads == 1 { self.name.to_owned() } else { format!("{}, {} threads", self.name, self.threads) }
    }
}

/// Ties the calling thread to the `index`-th core that the process may use, counted round.
pub fn pin(index: usize) {
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    // Asked once, before anything is pinned: afterwards a pinned thread would see its own core alone.
    let cores = CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default());
    if !cores.is_empty() {
        core_affinity::set_for_current(cores[index % cores.len()]);
    }
}

/// A barrier that spins, so that threads leave it within a fraction of a microsecond of one another.
struct SpinBarrier {
    threads: usize,
    arrived: AtomicUsize,
}

impl SpinBarrier {
    const fn new(threads: usize) -> Self {
        Self { threads, arrived: AtomicUsize::new(0) }
    }

    fn wait(&self) {
        // AcqRel: an arrival publishes what its thread did and sees what those before it did.
        let ticket = self.arrived.fetch_add(1, Ordering::AcqRel);
        let full = (ticket / self.threads + 1) * self.threads;
        let mut spins = 0_u32;
        // Acquire: pairs with the arrivals above.
        while self.arrived.load(Ordering::Acquire) < full {
            spins += 1;
            // A machine with other work may have taken the other core: let go now and then.
            if spins.is_multiple_of(1 << 14) {
                thread::yield_now();
            } else {
                spin_loop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn alone_does_every_operation_and_resets_after_each_batch() {
        let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let (ops, resets) = (Arc::clone(&counts), Arc::clone(&counts));
        let mut contender = Contender::alone(
            "counter",
            Role::Peer,
            10,
            (),
            move |(), _| {
                ops.0.fetch_add(1, Ordering::Relaxed);
            },
            move |()| {
                resets.1.fetch_add(1, Ordering::Relaxed);
            },
        );
        contender.run(25);
        assert_eq!(counts.0.load(Ordering::Relaxed), 25);
        assert_eq!(counts.1.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn pinned_threads_do_all_operations_each_and_a_batch_to_get_warm() {
        let total = Arc::new(AtomicU64::new(0));
        let sum = Arc::clone(&total);
        let mut contender = Contender::pinned(
            "counter",
            Role::Peer,
            2,
            10,
            AtomicU64::new(0),
            |live, _, n| {
                live.fetch_add(n, Ordering::Relaxed);
            },
            move |live| {
                sum.fetch_add(std::mem::take(live.get_mut()), Ordering::Relaxed);
            },
        );
        assert!(contender.run(25) > Duration::ZERO);
        // Two threads, each 10 to get warm and 25 that count, all swept up by the resets.
        assert_eq!(total.load(Ordering::Relaxed), 2 * (10 + 25));
        assert_eq!(contender.label(), "counter, 2 threads");
    }

    #[test]
    fn a_barrier_holds_everyone_until_the_last_arrives() {
        let barrier = SpinBarrier::new(2);
        let seen = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for round in 1..=100 {
                        seen.fetch_add(1, Ordering::Relaxed);
                        barrier.wait();
                        assert_eq!(seen.load(Ordering::Relaxed), 2 * round);
                        barrier.wait();
                    }
                });
            }
        });
    }
}
