//! Replies: each waiter hears once what became of its proposal, whatever way the batch goes and on whatever thread.

mod drawn;

use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use blixard_arena::{ArenaOptions, ArenaPool, PooledSharedArena, Sealed};
use control_plane::raft::heap::{self, RAFT_PROPOSAL_POOL};
use control_plane::raft::{
    Answer, ProposalBatch, ProposalBuilder, ProposalData, ProposalError, ProposalIds, ProposalProcessor, Reply,
    SealedBatch, Waiter,
};

const APPLIED: Answer = Answer::Applied { log_index: 7 };

/// A sealed batch of this many starts, and who waits for each.
fn batch(pool: &ArenaPool, ids: &mut ProposalIds, proposals: usize) -> (SealedBatch, Vec<Waiter>) {
    let mut waiters = Vec::new();
    let sealed = SealedBatch::try_build(pool.acquire(), |arena| {
        let mut builder = ProposalBuilder::new_in(arena, ids);
        for at in 0..proposals {
            let vm = arena.format(format_args!("vm-{at}"));
            builder.propose(ProposalData::StartVm { vm })?;
            waiters.push(builder.waiter()?);
        }
        Ok::<_, ProposalError>(ProposalBatch::new(builder.finish(), &[]))
    });
    (sealed.expect("within the limits"), waiters)
}

#[test]
fn a_batch_that_is_dropped_tells_all_who_wait() {
    let pool = ArenaPool::new();
    let (sealed, waiters) = batch(&pool, &mut drawn::ids(), 20);
    assert!(waiters.iter().all(|waiter| !format!("{waiter:?}").is_empty()));
    drop(sealed);
    assert!(waiters.into_iter().all(|waiter| waiter.wait() == Answer::Dropped));
    assert_eq!((pool.figures().acquired, pool.figures().returned), (1, 1));
}

#[test]
fn a_batch_crosses_to_the_thread_that_proposes_it() {
    let pool = ArenaPool::new();
    let processor = ProposalProcessor::default();
    let (to_log, log) = mpsc::sync_channel::<SealedBatch>(4);
    let proposer = thread::spawn(move || {
        let mut bytes = 0;
        for (index, sealed) in (0..).zip(log) {
            bytes += processor.encode(sealed.get()).expect("within the limits").len();
            // Every third is lost: the thread answers nothing.
            if index % 3 != 0 {
                sealed.get().answer(Answer::Applied { log_index: index });
            }
        }
        bytes
    });
    let mut ids = drawn::ids();
    let mut waiting = Vec::new();
    for _ in 0..200 {
        let (sealed, waiters) = batch(&pool, &mut ids, 5);
        to_log.send(sealed).expect("the proposer lives");
        waiting.push(waiters);
    }
    drop(to_log);
    for (index, waiters) in (0..).zip(waiting) {
        let expected = if index % 3 == 0 { Answer::Dropped } else { Answer::Applied { log_index: index } };
        assert!(waiters.into_iter().all(|waiter| waiter.wait() == expected));
    }
    assert!(proposer.join().expect("no panic") > 0);
    assert_eq!(pool.figures().acquired, pool.figures().returned);
}

#[test]
fn a_panic_while_building_tells_who_waits() {
    let pool = ArenaPool::new();
    let mut waiter = None;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let arena = pool.acquire();
        let mut ids = drawn::ids();
        let mut builder = ProposalBuilder::new_in(&*arena, &mut ids);
        builder.propose(ProposalData::StartVm { vm: "a" }).unwrap();
        waiter = Some(builder.waiter().unwrap());
        panic!("a bug in the request's code");
    }));
    assert!(panicked.is_err());
    assert_eq!(waiter.unwrap().wait(), Answer::Dropped);
    assert_eq!(pool.figures().returned, 1);
}

#[test]
fn a_panic_of_the_proposing_thread_tells_who_waits() {
    let pool = ArenaPool::new();
    let (sealed, waiters) = batch(&pool, &mut drawn::ids(), 3);
    let proposer = thread::spawn(move || {
        assert!(sealed.get().proposals()[0].reply.unwrap().answer(APPLIED));
        panic!("a bug in the log's code");
    });
    let answers: Vec<_> = waiters.into_iter().map(Waiter::wait).collect();
    assert_eq!(answers, [APPLIED, Answer::Dropped, Answer::Dropped]);
    assert!(proposer.join().is_err());
    assert_eq!(pool.figures().returned, 1);
}

#[test]
fn a_channel_that_closes_on_the_way_tells_who_waits() {
    let pool = ArenaPool::new();
    let (to_log, log) = mpsc::channel();
    let (sealed, waiters) = batch(&pool, &mut drawn::ids(), 2);
    to_log.send(sealed).expect("the receiver is there");
    drop(log);
    assert!(waiters.into_iter().all(|waiter| waiter.wait() == Answer::Dropped));
}

#[test]
fn an_answer_is_given_once() {
    let (reply, waiter) = Reply::new();
    let reply = Arc::new(reply);
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        for log_index in 0..4 {
            let (reply, answered) = (&reply, &answered);
            scope.spawn(move || {
                answered.fetch_add(u64::from(reply.answer(Answer::Applied { log_index })), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(answered.into_inner(), 1);
    assert!(matches!(waiter.wait(), Answer::Applied { .. }));
    // Nobody waits any more.
    let (reply, waiter) = Reply::new();
    drop(waiter);
    assert!(!reply.answer(APPLIED));
}

#[test]
fn a_thread_waits_so_long_and_no_longer() {
    let (reply, waiter) = Reply::new();
    let waiter = waiter.try_wait().expect_err("nobody has answered");
    let begun = Instant::now();
    let waiter = waiter.wait_timeout(Duration::from_millis(20)).expect_err("nobody has answered");
    assert!(begun.elapsed() >= Duration::from_millis(20));
    reply.answer(APPLIED);
    assert_eq!(waiter.wait_timeout(Duration::from_secs(60)).expect("it was answered"), APPLIED);

    let (reply, waiter) = Reply::new();
    drop(reply);
    assert_eq!(waiter.try_wait().expect("it was dropped"), Answer::Dropped);
    let (reply, waiter) = Reply::new();
    drop(reply);
    assert_eq!(waiter.wait_timeout(Duration::ZERO).expect("it was dropped"), Answer::Dropped);
}

#[test]
fn tasks_wait_in_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let pool = ArenaPool::new();
        let (sealed, waiters) = batch(&pool, &mut drawn::ids(), 3);
        let tasks: Vec<_> = waiters.into_iter().map(|waiter| tokio::spawn(async move { waiter.await })).collect();
        tokio::task::yield_now().await;
        thread::spawn(move || {
            let [first, second, _] = sealed.get().proposals() else { panic!("three") };
            first.reply.unwrap().answer(APPLIED);
            second.reply.unwrap().answer(Answer::NotLeader);
        });
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        assert_eq!(answers, [APPLIED, Answer::NotLeader, Answer::Dropped]);

        // A task that gives up, and one whose request is given up half way.
        let (sealed, mut waiters) = batch(&pool, &mut drawn::ids(), 2);
        let late = tokio::time::timeout(Duration::from_millis(5), waiters.remove(0)).await;
        assert!(late.is_err());
        sealed.get().answer(APPLIED);
        assert_eq!(waiters.remove(0).await, APPLIED);

        let (told, tell) = tokio::sync::oneshot::channel();
        let request = tokio::spawn({
            let pool = pool.clone();
            async move {
                let (sealed, mut waiters) = batch(&pool, &mut drawn::ids(), 1);
                told.send(waiters.remove(0)).expect("the test waits for it");
                std::future::pending::<()>().await;
                drop(sealed);
            }
        });
        let waiter = tell.await.expect("the request begins");
        request.abort();
        assert_eq!(waiter.await, Answer::Dropped);
    });
}

/// A waker that panics: woken by whoever answers or drops.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a bug in a runtime");
    }
}

#[test]
fn a_waker_that_panics_spares_the_others() {
    let pool = ArenaOptions::new().pool();
    let (sealed, mut waiters) = batch(&pool, &mut drawn::ids(), 3);
    let mut future = pin!(waiters.remove(1).into_future());
    let waker = Waker::from(Arc::new(Panics));
    assert_eq!(future.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
    // Dropped without an answer, the batch wakes it, and its panic comes once all the others have been told and the arena is back.
    assert!(catch_unwind(AssertUnwindSafe(|| drop(sealed))).is_err());
    assert!(waiters.into_iter().all(|waiter| waiter.wait() == Answer::Dropped));
    assert_eq!(pool.figures().returned, 1);
}

#[test]
fn replies_of_proposals_that_were_refused_end_with_the_arena() {
    let pool = ArenaPool::new();
    let arena = pool.acquire();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&*arena, &mut ids);
    let mut waiter = None;
    let refused = builder.batch(|inner| {
        inner.propose(ProposalData::StartVm { vm: "a" })?;
        waiter = Some(inner.waiter()?);
        inner.propose(ProposalData::StartVm { vm: "" })
    });
    assert!(refused.is_err());
    let waiter = waiter.unwrap().try_wait().expect_err("its request goes on");
    drop(arena);
    assert_eq!(waiter.wait(), Answer::Dropped);
}

#[test]
fn a_batch_in_a_shared_arena_is_sealed_too() {
    let pool = ArenaPool::new();
    let mut ids = drawn::ids();
    let mut waiter = None;
    let sealed = Sealed::<ProposalBatch<'static>, PooledSharedArena>::try_build(pool.acquire_shared(), |arena| {
        let mut builder = ProposalBuilder::new_in(arena, &mut ids);
        builder.propose(ProposalData::LeaveNode { node: "n" })?;
        waiter = Some(builder.waiter()?);
        Ok::<_, ProposalError>(ProposalBatch::new(builder.finish(), &[]))
    });
    thread::spawn(move || drop(sealed)).join().unwrap();
    assert_eq!(waiter.unwrap().wait(), Answer::Dropped);
}

#[test]
fn the_plain_twin_tells_too() {
    let mut ids = drawn::ids();
    let mut builder = heap::ProposalBuilder::new(&mut ids);
    let mut waiters = Vec::new();
    for vm in ["a", "b"] {
        builder.propose(heap::ProposalData::StartVm { vm: vm.into() }).unwrap();
        waiters.push(builder.waiter());
    }
    let mut nested = None;
    builder
        .batch(|inner| {
            inner.propose(heap::ProposalData::StartVm { vm: "c".into() })?;
            nested = Some(inner.waiter());
            Ok(())
        })
        .unwrap();
    let batch = heap::ProposalBatch::new(builder.finish(), vec![]);
    assert!(batch.proposals()[0].reply.as_ref().unwrap().answer(Answer::NotLeader));
    batch.answer(APPLIED);
    drop(batch);
    let answers: Vec<_> = waiters.into_iter().chain(nested).map(Waiter::wait).collect();
    assert_eq!(answers, [Answer::NotLeader, APPLIED, APPLIED]);

    // Out of the pool: a proposal that goes back has been dropped.
    let (reply, waiter) = Reply::new();
    let mut pooled = RAFT_PROPOSAL_POOL.acquire();
    pooled.reply = Some(reply);
    drop(pooled);
    assert_eq!(waiter.wait(), Answer::Dropped);
    assert!(RAFT_PROPOSAL_POOL.acquire().reply.is_none());
}

#[test]
#[should_panic(expected = "waited for once")]
fn a_proposal_is_waited_for_once() {
    let pool = ArenaPool::new();
    let arena = pool.acquire();
    let mut ids = drawn::ids();
    let mut builder = ProposalBuilder::new_in(&*arena, &mut ids);
    builder.propose(ProposalData::StartVm { vm: "a" }).unwrap();
    let _first = builder.waiter();
    let _second = builder.waiter();
}
