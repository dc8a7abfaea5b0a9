//! Real threads at the moments that the models go through step by step, thousands of times: each with an invariant that is checked.
//!
//! Threads meet at a gate that they leave together, since starting one takes longer than what they race for. Where a structure has its
//! stress elsewhere, the table of ARCHITECTURE.md says so.
#![forbid(unsafe_code)]

use blixard_arena::pool::TypedObjectPool;
use blixard_arena::{ArenaOptions, ArenaPool, PooledSharedArena};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// Lets so many threads go on at the same time.
struct Gate {
    waited_for: AtomicUsize,
}

impl Gate {
    fn new(threads: usize) -> Self {
        Self { waited_for: AtomicUsize::new(threads) }
    }

    fn pass(&self) {
        self.waited_for.fetch_sub(1, SeqCst);
        let mut turns = 0_u32;
        while self.waited_for.load(SeqCst) > 0 {
            // On a machine with fewer processors than threads the others have to come, too.
            if turns.is_multiple_of(64) {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
            turns += 1;
        }
    }
}

/// Counts those that live.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        assert!(self.0.fetch_sub(1, SeqCst) < usize::MAX / 2, "dropped twice");
    }
}

/// A part of a race: run by a thread, once per round, with what is its own in that round.
type Part<T> = Box<dyn FnMut(T) + Send>;

/// Runs rounds of a race on threads that stay: `begin` gives each part what it is to start with; `end` looks at each round's outcome.
fn race<T: Send + 'static>(
    rounds: usize,
    parts: Vec<Part<T>>,
    mut begin: impl FnMut() -> Vec<T>,
    mut end: impl FnMut(),
) {
    let count = parts.len();
    let (done, is_done) = mpsc::channel();
    let threads: Vec<_> = parts
        .into_iter()
        .map(|mut part| {
            let (to, from) = mpsc::channel::<(T, Arc<Gate>)>();
            let done = done.clone();
            let thread = thread::spawn(move || {
                for (own, gate) in from {
                    gate.pass();
                    part(own);
                    done.send(()).expect("the race is on");
                }
            });
            (to, thread)
        })
        .collect();
    for _ in 0..rounds {
        let gate = Arc::new(Gate::new(count));
        for ((to, _), own) in threads.iter().zip(begin()) {
            to.send((own, Arc::clone(&gate))).expect("the thread waits");
        }
        for _ in 0..count {
            is_done.recv().expect("a part of the race panicked");
        }
        end();
    }
    for (to, thread) in threads {
        drop(to);
        thread.join().expect("a part of the race panicked");
    }
}

/// The last handle goes while the last objects come home: every object is dropped, once, whoever is last.
#[test]
fn a_pool_ends_beside_the_last_returns() {
    enum Own {
        Handle(TypedObjectPool<Counted>),
        Objects(Vec<blixard_arena::pool::Pooled<Counted>>),
    }
    let alive = Arc::new(AtomicUsize::new(0));
    let part = || -> Part<Own> {
        Box::new(|own| match own {
            Own::Handle(handle) => drop(handle),
            Own::Objects(objects) => drop(objects),
        })
    };
    let mut round = 0;
    let begin = || {
        round += 1;
        let made = Arc::clone(&alive);
        let pool = TypedObjectPool::builder(move || Counted::new(&made)).idle_max(round % 4).build();
        let objects = [1, 1 + round % 3].map(|n| Own::Objects((0..n).map(|_| pool.acquire()).collect()));
        let [first, second] = objects;
        vec![first, second, Own::Handle(pool)]
    };
    // What a return beside the closing has left behind is freed when its thread uses the next pool, or ends.
    race(4_000, vec![part(), part(), part()], begin, || ());
    assert_eq!(alive.load(SeqCst), 0);
}

/// All clones of a shared arena's guard end at once: the request ends once, after all that was done through any of them.
#[test]
fn clones_of_a_guard_end_at_once() {
    const THREADS: usize = 3;
    let (alive, ended, pool) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), ArenaPool::new());
    let part = |number: usize, alive: &Arc<AtomicUsize>| -> Part<PooledSharedArena> {
        let alive = Arc::clone(alive);
        Box::new(move |arena| {
            let texts: Vec<&str> = (0..4).map(|at| &*arena.format(format_args!("{number}-{at}"))).collect();
            arena.alloc_with_drop(Counted::new(&alive));
            assert!(texts.iter().enumerate().all(|(at, text)| *text == format!("{number}-{at}")));
        })
    };
    let begin = || {
        let arena = pool.acquire_shared();
        let (alive, ended) = (Arc::clone(&alive), Arc::clone(&ended));
        // Pushed first, so run last: by then all others have run.
        arena.defer(move || {
            assert_eq!(alive.load(SeqCst), 0, "a value outlived the request's end");
            ended.fetch_add(1, SeqCst);
        });
        vec![arena.clone(), arena.clone(), arena]
    };
    let mut rounds = 0;
    let end = || {
        rounds += 1;
        assert_eq!((ended.load(SeqCst), alive.load(SeqCst)), (rounds, 0));
        let figures = pool.figures();
        assert_eq!((figures.live, figures.panics_swallowed), (0, 0));
    };
    race(4_000, (0..THREADS).map(|number| part(number, &alive)).collect(), begin, end);
}

/// Cleanups of many threads, pushed at once: each runs once, those of one thread newest first.
#[test]
fn cleanups_of_many_threads_run_once_and_each_threads_newest_first() {
    const THREADS: usize = 4;
    const CALLS: usize = 50;
    let pool = ArenaOptions::new().idle_max(2).pool();
    let ran: Arc<Mutex<Vec<(usize, usize)>>> = Arc::default();
    let part = |thread: usize, ran: &Arc<Mutex<Vec<(usize, usize)>>>| -> Part<PooledSharedArena> {
        let ran = Arc::clone(ran);
        Box::new(move |arena| {
            for call in 0..CALLS {
                let ran = Arc::clone(&ran);
                arena.defer(move || ran.lock().expect("nothing panics under it").push((thread, call)));
            }
        })
    };
    let begin = || {
        let arena = pool.acquire_shared();
        (0..THREADS).map(|_| arena.clone()).collect()
    };
    let end = || {
        let ran = std::mem::take(&mut *ran.lock().expect("nothing panics under it"));
        assert_eq!(ran.len(), THREADS * CALLS);
        for thread in 0..THREADS {
            let calls = ran.iter().filter(|(of, _)| *of == thread).map(|(_, call)| *call);
            assert!(calls.eq((0..CALLS).rev()), "thread {thread}");
        }
    };
    race(300, (0..THREADS).map(|thread| part(thread, &ran)).collect(), begin, end);
}

/// A thread ends, and with it its slots, while others look for one that is free: no object is out twice, none is lost.
#[test]
fn slots_change_hands_while_threads_come_and_go() {
    let alive = Arc::new(AtomicUsize::new(0));
    let made = Arc::clone(&alive);
    let pool = TypedObjectPool::builder(move || (AtomicBool::new(false), Counted::new(&made))).build();
    thread::scope(|scope| {
        for _ in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                for _ in 0..150 {
                    let pool = pool.clone();
                    let short = thread::spawn(move || {
                        let objects: Vec<_> = (0..3).map(|_| pool.acquire()).collect();
                        for object in &objects {
                            assert!(!object.0.swap(true, SeqCst), "an object is out twice");
                        }
                        for object in &objects {
                            object.0.store(false, SeqCst);
                        }
                    });
                    short.join().expect("a short thread panicked");
                }
            });
        }
    });
    let figures = pool.figures();
    assert_eq!((figures.live, figures.acquired), (0, 4 * 150 * 3), "{figures}");
    assert_eq!(
        (figures.created, alive.load(SeqCst)),
        (figures.idle as u64 + figures.dropped, figures.idle),
        "{figures}"
    );
    // Slots are used again: far fewer are made than there were threads.
    assert!(figures.created < 200 || cfg!(blixard_no_recycle), "{figures}");
    drop(pool);
    assert_eq!(alive.load(SeqCst), 0);
}

/// Frames are taken again as soon as nobody holds their bytes: who still holds some never sees them change.
#[cfg(feature = "archive")]
#[test]
fn archives_that_are_held_never_change() {
    use crate::archive_samples::{PROPOSAL, Proposal, read_all};
    use blixard_arena::archive;
    use bytes::Bytes;

    const THREADS: usize = 4;
    let names: Vec<String> = (0..64).map(|n| format!("vm-{n}-{}", "x".repeat(n * 30))).collect();
    let sum = |name: &str| {
        let bytes = archive::encode(&Proposal { name, ..PROPOSAL }).expect("small");
        read_all(archive::access::<Proposal<'_>>(&bytes).expect("just written"))
    };
    let sums: Vec<u64> = names.iter().map(|name| sum(name)).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::sync_channel::<(usize, Bytes)>(32)).unzip();
    thread::scope(|scope| {
        for (number, receiver) in receivers.into_iter().enumerate() {
            let (next, names, sums) = (senders[(number + 1) % THREADS].clone(), &names, &sums);
            scope.spawn(move || {
                let check = |(at, bytes): &(usize, Bytes)| {
                    let proposal = archive::access::<Proposal<'_>>(bytes).expect("whole");
                    assert_eq!(read_all(proposal), sums[*at]);
                };
                // The newest few are held for some time, as by a log.
                let mut log = Vec::new();
                for round in 0..3_000 {
                    let at = (round * 7 + number) % names.len();
                    let bytes = archive::encode(&Proposal { name: &names[at], ..PROPOSAL }).expect("small");
                    _ = next.try_send((at, bytes.clone()));
                    log.push((at, bytes));
                    if log.len() > 20 {
                        check(&log.swap_remove(round % 20));
                    }
                    for received in receiver.try_iter() {
                        check(&received);
                    }
                }
                log.iter().for_each(check);
            });
        }
    });
}
