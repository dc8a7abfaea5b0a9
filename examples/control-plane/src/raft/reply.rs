//! Replies: what became of a proposal, told to whoever waits for it.
//!
//! Opened where a proposal is built, answered where the batch was proposed, usually on another thread. The answering end lies in
//! the request's memory beside its proposal and goes with it: whatever way a batch goes — dropped, refused, or by a panic — who still
//! waits is told [`Answer::Dropped`].
//!
//! Invariant: each waiter gets exactly one answer. Cost: one heap call per reply, for what the two ends share; none to answer.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use super::ProposalId;

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The cluster has agreed, and it is done.
    Applied {
        /// Its place in the log.
        log_index: u64,
    },
    /// A later command of the same batch stands for it.
    Superseded {
        /// The later one.
        by: ProposalId,
    },
    /// This node does not lead the group; ask another.
    NotLeader,
    /// Nobody answered: its batch went before the cluster had agreed. It may have been proposed or not.
    Dropped,
}

/// The answering end. Answers once; dropped without having answered, it answers [`Answer::Dropped`].
#[derive(Debug)]
pub struct Reply(Mutex<Option<oneshot::Sender<Answer>>>);

impl Reply {
    /// A reply and who waits for it.
    ///
    /// In an arena it is a value with a destructor: `arena.alloc_with_drop(reply)`, which is what
    /// [`ProposalBuilder::waiter`](super::ProposalBuilder::waiter) does.
    ///
    /// ```
    /// use control_plane::raft::{Answer, Reply};
    ///
    /// let (reply, waiter) = Reply::new();
    /// let thread = std::thread::spawn(move || waiter.wait());
    /// assert!(reply.answer(Answer::Applied { log_index: 7 }));
    /// assert!(!reply.answer(Answer::NotLeader)); // it was answered
    /// assert_eq!(thread.join().unwrap(), Answer::Applied { log_index: 7 });
    ///
    /// let (reply, waiter) = Reply::new();
    /// drop(reply);
    /// assert_eq!(waiter.wait(), Answer::Dropped);
    /// ```
    pub fn new() -> (Self, Waiter) {
        let (sender, receiver) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), Waiter(receiver))
    }

    /// Answers; `false` if that was done before or nobody waits any more. On whatever thread; no heap call.
    pub fn answer(&self, answer: Answer) -> bool {
        // The lock is held for the take alone: waking the waiter may run any code.
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        sender.is_some_and(|sender| sender.send(answer).is_ok())
    }
}

/// The waiting end: for a thread ([`wait`](Self::wait)) or a task (`.await`), in any runtime or none.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use control_plane::raft::{Answer, Reply};
///
/// let (reply, waiter) = Reply::new();
/// reply.answer(Answer::NotLeader);
/// assert_eq!(waiter.await, Answer::NotLeader);
/// # });
/// ```
#[derive(Debug)]
#[must_use = "an answer that nobody waits for is lost"]
pub struct Waiter(oneshot::Receiver<Answer>);

impl Waiter {
    /// Blocks the thread until there is an answer.
    #[must_use]
    pub fn wait(self) -> Answer {
        self.0.recv().unwrap_or(Answer::Dropped)
    }

    /// Blocks the thread until there is an answer, so long at most.
    ///
    /// # Errors
    ///
    /// The waiter, where there is none by then.
    pub fn wait_timeout(self, at_most: Duration) -> Result<Answer, Self> {
        match self.0.recv_timeout(at_most) {
            Ok(answer) => Ok(answer),
            Err(oneshot::RecvTimeoutError::Disconnected) => Ok(Answer::Dropped),
            Err(oneshot::RecvTimeoutError::Timeout) => Err(self),
        }
    }

    /// The answer, if there is one already.
    ///
    /// # Errors
    ///
    /// The waiter, where there is none.
    pub fn try_wait(self) -> Result<Answer, Self> {
        match self.0.try_recv() {
            Ok(answer) => Ok(answer),
            Err(oneshot::TryRecvError::Disconnected) => Ok(Answer::Dropped),
            Err(oneshot::TryRecvError::Empty) => Err(self),
        }
    }
}

impl IntoFuture for Waiter {
    type Output = Answer;
    type IntoFuture = WaiterFuture;

    fn into_future(self) -> WaiterFuture {
        WaiterFuture(self.0.into_future())
    }
}

/// A [`Waiter`] that is awaited.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct WaiterFuture(oneshot::AsyncReceiver<Answer>);

impl Future for WaiterFuture {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Answer::Dropped))
    }
}
