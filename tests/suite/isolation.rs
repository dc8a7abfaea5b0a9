//! A greedy request hits its own budget while a thousand neighbours, on threads and in tasks, finish untouched.
//!
//! All of them have one pool. The neighbours hold what they have built while the greedy ones take all that they can get, and build more
//! beside them; nobody but the greedy ones is ever refused, and nothing of anybody's is altered.
#![forbid(unsafe_code)]

use blixard_arena::collections::{FlatMap, String as ArenaString, Vec as ArenaVec};
use blixard_arena::{ArenaOptions, ArenaPool, BudgetExceeded, PooledArena, PooledSharedArena};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

const BUDGET: usize = 256 << 10;
const THREADS: usize = 8;
/// On threads, and as many in tasks.
const NEIGHBOURS: usize = 500;
/// Greedy requests of each kind.
const GREEDY: usize = 12;

/// What a neighbour builds: its own number, in every way.
macro_rules! build {
    ($arena:expr, $number:expr) => {{
        let (arena, number): (_, usize) = ($arena, $number);
        let mut list = ArenaVec::new_in(arena);
        let mut text = ArenaString::new_in(arena);
        let mut map = FlatMap::new_in(arena);
        for at in 0..60 {
            list.try_push(number + at).expect("a neighbour is not refused");
            text.try_push_str("name;").expect("a neighbour is not refused");
            map.try_insert(at, number * at).expect("a neighbour is not refused");
        }
        let name: &str = arena.try_format(format_args!("vm-{number}")).expect("a neighbour is not refused");
        (list, text, map, name)
    }};
}

macro_rules! assert_whole {
    ($built:expr, $number:expr) => {{
        let ((list, text, map, name), number): (_, usize) = (&$built, $number);
        assert!(list.iter().copied().eq(number..number + 60));
        assert_eq!((text.len(), *name), (5 * 60, &*format!("vm-{number}")));
        assert!(text.split_terminator(';').all(|piece| piece == "name"));
        assert!(map.len() == 60 && map.iter().all(|(at, value)| *value == number * at));
    }};
}

/// Takes until it is refused by calls that say so; then what is left still serves, and what it has is whole.
fn greedy(arena: &PooledArena) {
    let first = arena.alloc_str("built before");
    let mut pieces: Vec<&mut [usize]> = Vec::new();
    let over = loop {
        match arena.try_alloc_slice_fill_with(300, |at| at) {
            Ok(piece) => pieces.push(piece),
            Err(over) => break over,
        }
    };
    assert!(over.allowed == BUDGET && over.used <= BUDGET, "{over}");
    assert!(pieces.len() * 2400 <= BUDGET && pieces.len() * 2400 > BUDGET / 2, "{} pieces", pieces.len());
    assert!(pieces.iter().all(|piece| piece.iter().copied().eq(0..300)) && first == "built before");
}

/// The same through calls that panic, on a shared arena: the request ends, the thread goes on.
fn greedy_by_panic(arena: &PooledSharedArena) {
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut list = ArenaVec::new_in(&**arena);
        loop {
            list.push([7_u8; 1000]);
        }
    }));
    let payload: Box<dyn std::any::Any + Send> = ended.map(|()| unreachable!()).unwrap_err();
    let over = payload.downcast::<BudgetExceeded>().expect("a budget's panic");
    assert!(over.allowed == BUDGET && over.used <= BUDGET, "{over}");
}

/// Runs neighbours and greedy requests on one thread by turns. The neighbours of all threads are under way before anybody is greedy.
fn on_a_thread(pool: &ArenaPool, thread: usize, under_way: &Barrier, finished: &AtomicUsize) {
    let numbers = || (thread..NEIGHBOURS).step_by(THREADS);
    let guards: Vec<_> = numbers().map(|_| pool.acquire()).collect();
    let mut built: Vec<_> =
        guards.iter().zip(numbers()).map(|(arena, number)| (build!(&**arena, number), number)).collect();
    under_way.wait();
    for turn in 0..GREEDY {
        greedy(&pool.acquire());
        greedy_by_panic(&pool.acquire_shared());
        // Some go on building beside them, some end.
        for (guard, (_, number)) in guards.iter().zip(&built).skip(turn).step_by(GREEDY) {
            let more = build!(&**guard, *number);
            assert_whole!(more, *number);
        }
        if built.len() > 10 {
            let (last, number) = built.pop().expect("more than ten");
            assert_whole!(last, number);
            finished.fetch_add(1, SeqCst);
        }
    }
    for (built, number) in &built {
        assert_whole!(*built, *number);
        finished.fetch_add(1, SeqCst);
    }
}

/// A neighbour in a task: holds what it has built while others run, and goes on wherever it is woken.
async fn in_a_task(pool: ArenaPool, number: usize, under_way: Arc<tokio::sync::Barrier>, finished: Arc<AtomicUsize>) {
    let guard = pool.acquire_shared();
    let built = build!(&*guard, number);
    under_way.wait().await;
    for _ in 0..5 {
        tokio::task::yield_now().await;
        assert_whole!(built, number);
        let part = tokio::spawn({
            let guard = guard.clone();
            async move {
                let more = build!(&*guard, number);
                tokio::task::yield_now().await;
                assert_whole!(more, number);
            }
        });
        part.await.expect("a neighbour's task");
    }
    assert_whole!(built, number);
    finished.fetch_add(1, SeqCst);
}

#[test]
fn a_greedy_request_ends_alone_among_a_thousand() {
    let pool = ArenaOptions::new().budget_bytes_max(BUDGET).pool();
    let finished = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("a runtime");
    // Tasks and greedy tasks begin together, once every neighbour among them has built its part.
    let tasks_under_way = Arc::new(tokio::sync::Barrier::new(NEIGHBOURS + GREEDY));
    let mut tasks = Vec::new();
    for number in 0..NEIGHBOURS {
        tasks.push(runtime.spawn(in_a_task(pool.clone(), number, Arc::clone(&tasks_under_way), Arc::clone(&finished))));
    }
    for _ in 0..GREEDY {
        let (pool, under_way) = (pool.clone(), Arc::clone(&tasks_under_way));
        tasks.push(runtime.spawn(async move {
            under_way.wait().await;
            greedy_by_panic(&pool.acquire_shared());
            greedy(&pool.acquire());
        }));
    }
    let under_way = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (pool, under_way, finished) = (&pool, &under_way, &finished);
            scope.spawn(move || on_a_thread(pool, thread, under_way, finished));
        }
    });
    runtime.block_on(async {
        for task in tasks {
            task.await.expect("a task");
        }
    });
    assert_eq!(finished.load(SeqCst), 2 * NEIGHBOURS);
    let figures = pool.figures();
    assert_eq!((figures.live, figures.acquired), (0, figures.returned), "{figures:?}");
    // And whoever comes next has the whole budget.
    greedy(&pool.acquire());
}

/// The pool has learnt from a greedy request, and has its arena: a later request that two threads share is served all the same, in a
/// block that is new and in the one that the greedy request left.
#[test]
fn a_greedy_request_leaves_room_for_the_threads_of_later_ones() {
    let pool = ArenaOptions::new().budget_bytes_max(BUDGET).pool();
    greedy(&pool.acquire());
    let shared = [pool.acquire_shared(), pool.acquire_shared()];
    assert!(shared.iter().all(|guard| guard.figures().reserved_bytes <= BUDGET / 4), "{shared:?}");
    for guard in shared {
        assert!(guard.try_alloc_str("the first thread's").is_ok());
        let others = (0..4).map(|_| {
            let guard = guard.clone();
            std::thread::spawn(move || guard.try_alloc_str("another thread's").map(|text| text.len()))
        });
        for other in others.collect::<Vec<_>>() {
            assert_eq!(other.join().expect("a thread"), Ok(16));
        }
    }
}
