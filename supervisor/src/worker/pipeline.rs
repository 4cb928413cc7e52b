//! The requests of a connection that serves.
//!
//! Answers arrive in the order of the requests, because the worker is synchronous; any other order
//! is a breach of the protocol.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::{FromWorker, Mask, Revision, ToWorker};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use super::clock::monotonic_micros;
use super::connection::{Breach, Connection, End, OUTBOX_TARGET};
use super::handshake::ReadyConnection;
use crate::deadline::KILL_MARGIN;
use crate::tenant::poison::PoisonInputs;
use crate::tenant::request::{Answer, Answered, AskError, Request};
use crate::tenant::status::StatusBoard;

/// Requests that are at the worker at once: enough that it never waits for us, few enough to bound
/// the loss in a crash.
const MAX_IN_FLIGHT: usize = 64;

/// The shortest time between two looks at the clock.
const CLOCK_INTERVAL: Duration = Duration::from_millis(50);

impl ReadyConnection {
    /// Gives requests to the worker and hands out its answers, until it is told to take no more,
    /// has been idle for the idle timeout, or can no longer be trusted.
    pub(crate) async fn serve(self, params: ServeParams) -> Served {
        let Self(mut connection) = self;
        let mut pipeline = Pipeline::new(params);
        loop {
            if let Err(end) = pipeline.step(&mut connection).await {
                return pipeline.close(end, connection.total_written);
            }
        }
    }
}

/// The parts that a connection needs to serve.
#[derive(Debug)]
pub(crate) struct ServeParams {
    /// Requests that an earlier worker left; they go first.
    pub(crate) backlog: VecDeque<Request>,
    pub(crate) requests: mpsc::Receiver<Request>,
    /// Gets the channel to give `requests` back, once no more of them are to be taken.
    pub(crate) release: oneshot::Receiver<oneshot::Sender<mpsc::Receiver<Request>>>,
    /// How long it may be idle.
    pub(crate) idle_timeout: Option<Duration>,
    /// Inputs that must not reach the worker.
    pub(crate) poison: Arc<PoisonInputs>,
    /// Records disagreements between the worker's evaluators.
    pub(crate) status: Arc<StatusBoard>,
    /// The bundle that the worker has loaded.
    pub(crate) revision: Revision,
    /// Whether its policy has a mask.
    pub(crate) has_mask: bool,
}

/// The remains of a connection that no longer serves.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) end: End,
    /// The request that the worker was evaluating when it ended, if that is known.
    pub(crate) culprit: Option<Request>,
    /// Requests that another worker can answer.
    pub(crate) unanswered: VecDeque<Request>,
    /// `None` if they were given back already.
    pub(crate) requests: Option<mpsc::Receiver<Request>>,
}

/// The requests of a serving connection.
///
/// `pending` is in the order of arrival, and the first `in_flight` of it are at the worker. That is
/// nearly the order of deadlines too, except that requests that waited for the worker to start may
/// come after later ones.
#[derive(Debug)]
struct Pipeline {
    /// `None` once no more are to be taken.
    requests: Option<mpsc::Receiver<Request>>,
    release: Option<oneshot::Receiver<oneshot::Sender<mpsc::Receiver<Request>>>>,
    pending: VecDeque<Request>,
    in_flight: usize,
    /// For each that is in flight, the value of `total_written` at its end: before that is written,
    /// the worker cannot know of it.
    ends: VecDeque<u64>,
    /// The id of the first of `pending`, which is the next to be answered.
    next_answer: u64,
    /// Fires when the worker may be stuck or idle: it may be early, but never late.
    alarm: Option<Pin<Box<Sleep>>>,
    idle_timeout: Option<Duration>,
    last_arrival: Instant,
    poison: Arc<PoisonInputs>,
    status: Arc<StatusBoard>,
    revision: Revision,
    has_mask: bool,
}

impl Pipeline {
    fn new(params: ServeParams) -> Self {
        let ServeParams {
            backlog,
            requests,
            release,
            idle_timeout,
            poison,
            status,
            revision,
            has_mask,
        } = params;
        Self {
            requests: Some(requests),
            release: Some(release),
            pending: backlog,
            in_flight: 0,
            ends: VecDeque::new(),
            next_answer: 0,
            // Fires at once, and is then set to the right time.
            alarm: Some(Box::pin(sleep_until(Instant::now()))),
            idle_timeout,
            last_arrival: Instant::now(),
            poison,
            status,
            revision,
            has_mask,
        }
    }

    async fn step(&mut self, connection: &mut Connection) -> Result<(), End> {
        if self.requests.is_none() && self.pending.is_empty() {
            return Err(End::Drained);
        }
        let mut arrived = Vec::new();
        tokio::select! {
            count = receive(self.requests.as_mut(), &mut arrived) => {
                if count == 0 {
                    // The tenant is gone, and with it all its requests.
                    self.requests = None;
                }
                self.last_arrival = Instant::now();
                self.pending.extend(arrived);
                if let Some(first) = self.pending.front() {
                    self.wake_by(first.deadline + KILL_MARGIN);
                }
            }
            waited = connection.wait() => {
                waited?;
                self.take_answers(connection)?;
            }
            () = ring(self.alarm.as_mut()) => {
                // Bytes that arrived meanwhile count: this process may have been kept from the
                // processor.
                while connection.try_read()? {
                    self.take_answers(connection)?;
                }
                self.look_at_the_clock()?;
            }
            back = released(self.release.as_mut()) => {
                self.release = None;
                if let (Some(back), Some(requests)) = (back, self.requests.take()) {
                    // The sender of the release waits for them.
                    let _ = back.send(requests);
                }
            }
        }
        self.dispatch(connection)?;
        // Here, and not only when the alarm rings: a request may have set it for when it would be
        // stuck, which is long after the idle timeout where deadlines are long.
        if self.pending.is_empty()
            && let Some(idle_timeout) = self.idle_timeout
        {
            self.wake_by(self.last_arrival + idle_timeout);
        }
        connection.write()
    }

    fn take_answers(&mut self, connection: &mut Connection) -> Result<(), End> {
        while let Some(frame) = connection.inbox.next_frame()? {
            let (id, answered, mask, micros, differed) = match frame {
                FromWorker::Evaluated { id, outcome, micros, mask, differed } => {
                    (id, Answered::One(outcome), mask, micros, differed)
                }
                FromWorker::BatchEvaluated { id, items, micros, differed } => {
                    (id, Answered::Batch(items), Mask::Absent, micros, differed)
                }
                FromWorker::Hello { .. }
                | FromWorker::Loaded { .. }
                | FromWorker::LoadFailed { .. }
                | FromWorker::Inspected(_) => {
                    return Err(Breach::Unexpected("an answer").into());
                }
            };
            let pending = match self.in_flight {
                0 => return Err(Breach::Unexpected("nothing").into()),
                _ if id != self.next_answer => {
                    let wrong = Breach::WrongId { asked: self.next_answer, answered: id };
                    return Err(wrong.into());
                }
                _ if self.ends.front().is_none_or(|end| *end > connection.total_written) => {
                    return Err(Breach::Unexpected("nothing yet").into());
                }
                _ if !self.fits(&answered, &mask) => {
                    return Err(Breach::Unexpected("an answer of the question's kind").into());
                }
                _ => self.pending.pop_front(),
            };
            if differed {
                self.status.evaluators_differed(pending.as_ref().map(|request| &request.body));
            }
            self.ends.pop_front();
            self.in_flight -= 1;
            self.next_answer += 1;
            if let Some(request) = pending {
                // The client may have disconnected, which does not affect the worker.
                let (revision, has_mask) = (self.revision, self.has_mask);
                let answer = Answer { answered, revision, micros, has_mask, mask };
                let _ = request.reply.send(Ok(answer));
            }
        }
        Ok(())
    }

    /// Whether an answer is of the kind that the next request asks for.
    fn fits(&self, answered: &Answered, mask: &Mask) -> bool {
        self.pending.front().is_none_or(|request| {
            request.fits(answered) && request.takes(answered, mask, self.has_mask)
        })
    }

    /// Encodes the next requests, as long as the worker and the outbox have room.
    fn dispatch(&mut self, connection: &mut Connection) -> Result<(), End> {
        while self.in_flight < self.window() && connection.unwritten() < OUTBOX_TARGET {
            let Some(next) = self.pending.get(self.in_flight) else {
                break;
            };
            if next.reply.is_closed() {
                // No client waits for it any more.
                self.pending.remove(self.in_flight);
                continue;
            }
            if self.poison.contains(next) {
                if let Some(request) = self.pending.remove(self.in_flight) {
                    let _ = request.reply.send(Err(AskError::PoisonInput));
                }
                continue;
            }
            let in_flight = u64::try_from(self.in_flight).unwrap_or(u64::MAX);
            let evaluate = ToWorker::Evaluate {
                id: self.next_answer.wrapping_add(in_flight),
                query: next.query.clone(),
                deadline_micros: monotonic_micros(next.deadline),
                wants_mask: next.wants_mask,
                body: &next.body,
            };
            connection.append(&evaluate).map_err(io::Error::other)?;
            self.ends.push_back(connection.end_of_outbox());
            self.in_flight += 1;
        }
        Ok(())
    }

    /// How many requests may be at the worker. A suspect is evaluated alone, so that the culprit is
    /// known if the worker ends again.
    fn window(&self) -> usize {
        let is_suspect = |at| self.pending.get(at).is_some_and(|request| request.is_suspect);
        match self.in_flight {
            0 => 1,
            in_flight if is_suspect(0) || is_suspect(in_flight) => in_flight,
            _ => MAX_IN_FLIGHT,
        }
    }

    /// Ensures that the alarm fires at `at`, or before.
    fn wake_by(&mut self, at: Instant) {
        match &mut self.alarm {
            Some(alarm) if alarm.deadline() <= at => {}
            Some(alarm) => alarm.as_mut().reset(at),
            None => self.alarm = Some(Box::pin(sleep_until(at))),
        }
    }

    /// Gives the worker up when it is stuck, or idle for too long.
    fn look_at_the_clock(&mut self) -> Result<(), End> {
        self.alarm = None;
        let now = Instant::now();
        if let Some(first) = self.pending.front() {
            let stuck = first.deadline + KILL_MARGIN;
            if stuck <= now && self.in_flight > 0 {
                return Err(End::Stuck);
            }
            // A request that was sent to the worker late was not delayed by the worker alone.
            self.wake_by(stuck.max(now + CLOCK_INTERVAL));
        } else if self.idle_timeout.is_some_and(|timeout| self.last_arrival + timeout <= now) {
            return Err(End::Idle);
        }
        Ok(())
    }

    /// Sorts the remaining requests by how they can be handled.
    fn close(mut self, end: End, written: u64) -> Served {
        let is_death = !matches!(end, End::Drained | End::Idle);
        let at_the_worker = self.ends.iter().filter(|end| **end <= written).count();
        // With more than one it is unknown: finished answers may not have been written.
        let culprit = if is_death && at_the_worker == 1 { self.pending.pop_front() } else { None };
        let suspects = if culprit.is_some() { 0 } else { at_the_worker };
        for request in self.pending.iter_mut().take(suspects) {
            request.is_suspect = true;
        }
        Served { end, culprit, unanswered: self.pending, requests: self.requests }
    }
}

async fn receive(requests: Option<&mut mpsc::Receiver<Request>>, into: &mut Vec<Request>) -> usize {
    match requests {
        Some(requests) => requests.recv_many(into, MAX_IN_FLIGHT).await,
        None => pending().await,
    }
}

async fn released<T>(release: Option<&mut oneshot::Receiver<T>>) -> Option<T> {
    match release {
        Some(release) => release.await.ok(),
        None => pending().await,
    }
}

async fn ring(alarm: Option<&mut Pin<Box<Sleep>>>) {
    match alarm {
        Some(alarm) => alarm.await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
