//! A request on its way to a worker, and its answer.

use bytes::Bytes;
use enforcer_protocol::{BatchItem, Mask, Outcome, Query, Revision};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

/// A request body in memory.
#[derive(Debug)]
pub(crate) struct RequestBody {
    pub(crate) bytes: Bytes,
    /// Its share of the tenant's body memory, given back when it is dropped.
    pub(crate) memory: OwnedSemaphorePermit,
}

/// A request on its way to a worker.
#[derive(Debug)]
pub(crate) struct Request {
    /// The question about the policy.
    pub(crate) query: Query,
    /// The body as it came from the client.
    pub(crate) body: Bytes,
    /// The deadline of its answer.
    pub(crate) deadline: Instant,
    /// Whether the answer is to have what the policy's mask leaves of the decision.
    pub(crate) wants_mask: bool,
    /// The channel for its answer. Dropping it reports that no answer will follow.
    pub(crate) reply: oneshot::Sender<Result<Answer, AskError>>,
    /// Its place in the tenant's queue, and its body's share of the tenant's memory.
    pub(crate) _permits: [OwnedSemaphorePermit; 2],
    /// It was at a worker that ended, among other requests, and may be why.
    pub(crate) is_suspect: bool,
}

/// A worker's answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) answered: Answered,
    /// The bundle that the worker had loaded.
    pub(crate) revision: Revision,
    /// The worker's own measurement of its time, in microseconds.
    pub(crate) micros: u64,
    /// Whether the policy of that bundle has a mask.
    pub(crate) has_mask: bool,
    /// What the mask leaves, of an answer to one question. Those of a batch have their own.
    pub(crate) mask: Mask,
}

/// An answer, of the kind that the question has.
#[derive(Debug)]
pub(crate) enum Answered {
    /// To one question, or to a batch that could not be read.
    One(Outcome),
    /// To each input of a batch.
    Batch(Vec<BatchItem>),
}

impl Request {
    /// Whether a worker may answer it so.
    pub(crate) fn fits(&self, answered: &Answered) -> bool {
        match (&self.query, answered) {
            (query, Answered::One(outcome)) => query.fits(outcome),
            (Query::Batch(query, _), Answered::Batch(items)) => {
                items.iter().all(|item| query.fits(&item.outcome))
            }
            (Query::Decision | Query::Document(..), Answered::Batch(_)) => false,
        }
    }
}

impl Request {
    /// Whether an answer may have these masks: none that was not asked for, and none of a policy
    /// that has no mask.
    pub(crate) fn takes(&self, answered: &Answered, mask: &Mask, has_mask: bool) -> bool {
        let is_absent = |mask: &Mask| *mask == Mask::Absent;
        let of_items = match answered {
            Answered::One(_) => true,
            Answered::Batch(items) => items.iter().all(|item| is_absent(&item.mask)),
        };
        (has_mask && self.wants_mask) || (is_absent(mask) && of_items)
    }
}

/// Why the policy did not answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// Too many requests wait already.
    #[error("too many requests wait already")]
    Overloaded,
    /// The worker ended before it answered, or has not restarted yet.
    #[error("the worker is restarting")]
    WorkerUnavailable,
    /// The tenant has no usable policy.
    #[error("the tenant has no usable policy")]
    Unavailable,
    /// The tenant was removed.
    #[error("the tenant was removed")]
    Removed,
    /// The deadline passed.
    #[error("the deadline passed")]
    TimedOut,
    /// The worker exceeded its memory limit on this request.
    #[error("the memory limit was reached")]
    MemoryLimit,
    /// This input has ended workers before, and no other worker gets it.
    #[error("the input has ended workers before")]
    PoisonInput,
}
