//! A tenant's lifecycle, as a pure function from events to actions.
//!
//! ```text
//!           Requested            Read              Loaded
//!   Asleep ──────────► Reading ────────► Starting ────────► Steady
//!     ▲                   │ Unusable      │  ▲ │              │ │
//!     │                   ▼               │  │ │ Refused      │ │ Read: Starting beside the one that
//!     │                Rejected ◄─────────┼──┼─┘              │ │ serves; Loaded: it takes over, and
//!     │                   └───────────────┼──┘ Read           │ │ the one before drains
//!     │ Idle (lazy tenants)               │  ▲                │ │
//!     └───────────────────────────────────┼──┼────────────────┘ │ Ended
//!                                  Failed ▼  │ PauseOver, Read, │
//!                                            │ Retry            ▼
//!                      Backoff; after too many Quarantined, or Unloadable where the bundle never was
//!                      loaded
//! ```
//! Beside its phase a tenant has the worker that serves, if any: a bundle that arrives while one
//! serves goes through the same phases, and the one that serves goes on in any case. From
//! everywhere `Stop` leads to `Stopped`, which nothing leaves.

mod restart;

use std::time::Duration;

use enforcer_protocol::Revision;

use super::state::{Admission, Cause, TenantState};
use restart::{CANDIDATE_ATTEMPTS, RestartPolicy};

pub(crate) use restart::{LONGEST_PAUSE, STABLE};

/// A worker of this tenant: the first, the second, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId(u64);

/// A pause of this tenant. The end of a pause that is no longer awaited is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PauseId(u64);

/// The phase of a tenant's next worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing, until a request comes.
    Asleep,
    /// The bundle is read.
    Reading,
    /// A worker starts.
    Starting { worker: WorkerId, revision: Revision },
    /// Nothing: the one that serves is the right one.
    Steady,
    /// Nothing: the directory holds no policy yet, and no revision was ever loaded.
    Waiting,
    /// Nothing: no bundle is usable.
    Rejected,
    /// The last one failed; the next is tried after a pause.
    Backoff { pause: PauseId },
    /// Too many failed; one is tried after a long pause.
    Quarantined { pause: PauseId },
    /// Too many failed before they had loaded the bundle, which no worker ever has. One is tried
    /// after a long pause, because it may have been the host.
    Unloadable { pause: PauseId },
    /// The supervisor ends, or the tenant is removed.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Serving {
    worker: WorkerId,
    since: Duration,
}

/// A bundle that no worker has loaded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    revision: Revision,
    /// Whether a worker was started for it and failed.
    is_begun: bool,
    /// How often the bundle itself was at fault.
    failures: u32,
}

/// A tenant's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    phase: Phase,
    serving: Option<Serving>,
    /// The one that served before, while it finishes its requests. There is at most one.
    draining: Option<WorkerId>,
    /// The revision that a worker has loaded last.
    good: Option<Revision>,
    /// The revision that was read last, where it is another.
    candidate: Option<Candidate>,
    /// The revision that was refused last: another try would change nothing.
    refused: Option<Revision>,
    restarts: RestartPolicy,
    /// For the next worker or pause.
    next: u64,
}

/// An event of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A request came to a tenant that is asleep.
    Requested,
    /// The bundle was read.
    Read(Revision),
    /// The directory holds neither a policy nor data.
    Empty,
    /// The bundle is invalid; no worker was started.
    Unusable,
    /// The bundle could not be read because of a temporary error.
    Unreadable,
    /// The worker that was starting has loaded its bundle and answers.
    Loaded(WorkerId),
    /// The worker that was starting has refused its bundle.
    Refused(WorkerId),
    /// The worker that was starting failed.
    Failed(WorkerId, Cause),
    /// A worker has ended unexpectedly. It was serving, or draining.
    Ended(WorkerId, Cause),
    /// The worker that served was idle for long, and has ended.
    Idle(WorkerId),
    /// The worker that was draining has ended.
    Drained(WorkerId),
    /// A pause is over.
    PauseOver(PauseId),
    /// An operator asks for another try after any result.
    Retry,
    /// An operator asks for a fresh worker.
    Restart,
    /// The supervisor ends, or the tenant is removed.
    Stop,
}

/// An action for the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Read the bundle: `Read`, `Unusable` or `Unreadable`.
    Read,
    /// Start a worker and have it load this revision: `Loaded`, `Refused` or `Failed`.
    Start(WorkerId, Revision),
    /// Give requests to this worker from now on, `Ended` or `Idle`; and no more to the one that had
    /// them before, which finishes those it has: `Drained` or `Ended`.
    Serve(WorkerId),
    /// Wait this long, with some jitter: `PauseOver`.
    Pause(PauseId, Duration),
    /// Report that worker after worker has failed before it had loaded the new bundle. It is
    /// rejected, and is tried again after a long pause.
    GiveUp,
    /// End this worker, without waiting for it.
    Discard(WorkerId),
}

/// A tenant's first state: lazy ones wait for a request.
pub(crate) fn begin(is_lazy: bool) -> (State, Vec<Action>) {
    let state = State {
        phase: if is_lazy { Phase::Asleep } else { Phase::Reading },
        serving: None,
        draining: None,
        good: None,
        candidate: None,
        refused: None,
        restarts: RestartPolicy::default(),
        next: 0,
    };
    (state, if is_lazy { Vec::new() } else { vec![Action::Read] })
}

/// The next state at `now`, a time since any fixed instant, and the actions. An event without a
/// meaning in `state` changes nothing.
pub(crate) fn on_event(mut state: State, now: Duration, event: Event) -> (State, Vec<Action>) {
    let mut actions = Vec::new();
    if state.phase != Phase::Stopped {
        state.take(now, event, &mut actions);
    }
    (state, actions)
}

impl State {
    /// The state as operators see it.
    pub(crate) const fn summary(&self) -> TenantState {
        match (self.serving, self.phase) {
            (_, Phase::Stopped) => TenantState::Stopped,
            (Some(_), _) => TenantState::Ready,
            (None, Phase::Asleep) => TenantState::Asleep,
            (None, Phase::Waiting) => TenantState::Waiting,
            // Steady is entered only with a worker that serves.
            (None, Phase::Reading | Phase::Starting { .. } | Phase::Steady) => {
                TenantState::Starting
            }
            (None, Phase::Rejected | Phase::Unloadable { .. }) => TenantState::Rejected,
            (None, Phase::Backoff { .. }) => TenantState::Backoff,
            (None, Phase::Quarantined { .. }) => TenantState::Quarantined,
        }
    }

    /// The admission of requests in this state.
    pub(crate) fn admission(&self) -> Admission {
        match (self.serving, self.phase) {
            (_, Phase::Stopped) => Admission::Restarting,
            (None, Phase::Backoff { .. }) if self.restarts.is_pause_short() => Admission::Open,
            (Some(_), _)
            | (None, Phase::Asleep | Phase::Reading | Phase::Starting { .. } | Phase::Steady) => {
                Admission::Open
            }
            (None, Phase::Backoff { .. }) => Admission::Restarting,
            (
                None,
                Phase::Waiting
                | Phase::Rejected
                | Phase::Quarantined { .. }
                | Phase::Unloadable { .. },
            ) => Admission::Closed,
        }
    }

    /// Whether the tenant waits for a request.
    pub(crate) fn is_asleep(&self) -> bool {
        self.phase == Phase::Asleep
    }

    /// Whether a later [`Action::Start`] may name this revision.
    pub(crate) fn needs(&self, revision: Revision) -> bool {
        self.is_good(revision)
            || self.candidate.is_some_and(|candidate| candidate.revision == revision)
    }

    /// Whether this is the revision that a worker has loaded last.
    pub(crate) fn is_good(&self, revision: Revision) -> bool {
        self.good == Some(revision)
    }

    /// Whether this is the revision that was refused last.
    pub(crate) fn is_refused(&self, revision: Revision) -> bool {
        self.refused == Some(revision)
    }

    /// Whether this revision was loaded, refused or tried before.
    pub(crate) fn is_known(&self, revision: Revision) -> bool {
        self.needs(revision) || self.is_refused(revision)
    }

    /// Whether the state is final.
    pub(crate) fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// The revision that a worker has loaded last.
    pub(crate) const fn good_revision(&self) -> Option<Revision> {
        self.good
    }

    /// Whether touching the bundle's files should cause another try: nothing else is going to
    /// happen soon.
    pub(crate) const fn is_held(&self) -> bool {
        match self.phase {
            Phase::Rejected | Phase::Quarantined { .. } | Phase::Unloadable { .. } => true,
            // A refused bundle beside a revision that serves.
            Phase::Steady => self.refused.is_some(),
            // A candidate that failed beside it, and is tried again after a pause.
            Phase::Backoff { .. } => self.serving.is_some() && self.candidate.is_some(),
            Phase::Asleep
            | Phase::Waiting
            | Phase::Reading
            | Phase::Starting { .. }
            | Phase::Stopped => false,
        }
    }

    fn take(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Requested => {
                if self.phase == Phase::Asleep {
                    self.read(actions);
                }
            }
            Event::Read(revision) => self.read_was(revision, actions),
            Event::Empty => {
                let is_idle = matches!(self.phase, Phase::Reading | Phase::Rejected);
                if is_idle && self.good.is_none() && self.candidate.is_none() {
                    self.refused = None;
                    self.phase = Phase::Waiting;
                } else {
                    self.take(now, Event::Unusable, actions);
                }
            }
            Event::Unusable => {
                self.refused = None;
                if let Phase::Reading | Phase::Waiting = self.phase {
                    self.settle(actions);
                }
            }
            Event::Unreadable => {
                if self.phase == Phase::Reading {
                    self.restarts.count_failure();
                    if self.good.is_some() { self.settle(actions) } else { self.back_off(actions) }
                }
            }
            Event::Loaded(worker) => self.loaded(now, worker, actions),
            Event::Refused(worker) => {
                if let Some(revision) = self.starting(worker) {
                    self.refused = Some(revision);
                    self.forget(revision);
                    self.good.take_if(|good| *good == revision);
                    self.settle(actions);
                }
            }
            Event::Failed(worker, cause) => {
                if let Some(revision) = self.starting(worker) {
                    let failure = self.restarts.count_failed_start(cause);
                    if let Some(candidate) = &mut self.candidate
                        && candidate.revision == revision
                    {
                        candidate.is_begun = true;
                        candidate.failures = candidate.failures.saturating_add(failure);
                    }
                    self.failed(now, cause, Some(revision), actions);
                }
            }
            Event::Ended(worker, cause) => self.ended(now, worker, cause, actions),
            Event::Idle(worker) => {
                if let Some(serving) = self.serving.take_if(|serving| serving.worker == worker) {
                    self.restarts.reset_if_stable(now.saturating_sub(serving.since));
                    if matches!(self.phase, Phase::Steady | Phase::Backoff { .. }) {
                        self.phase = Phase::Asleep;
                        // It is read again when it is needed.
                        self.candidate = None;
                    }
                } else {
                    // Another worker took its place while it ended.
                    self.take(now, Event::Drained(worker), actions);
                }
            }
            Event::Drained(worker) => {
                if self.draining == Some(worker) {
                    self.draining = None;
                    if self.phase == Phase::Steady {
                        self.settle(actions);
                    }
                }
            }
            Event::PauseOver(id) => match self.phase {
                Phase::Backoff { pause } if pause == id => self.start(actions),
                Phase::Quarantined { pause } | Phase::Unloadable { pause } if pause == id => {
                    self.restarts.begin_probation();
                    self.start(actions);
                }
                _ => {}
            },
            Event::Retry => {
                self.refused = None;
                self.restarts.reset();
                if let Some(candidate) = &mut self.candidate {
                    (candidate.is_begun, candidate.failures) = (false, 0);
                }
                if let Phase::Backoff { .. }
                | Phase::Quarantined { .. }
                | Phase::Unloadable { .. } = self.phase
                {
                    self.start(actions);
                }
            }
            Event::Restart => match self.phase {
                // It takes over as a new revision's does, so no request is lost.
                Phase::Steady if self.draining.is_none() => self.start_good(actions),
                // One that is to be tried later is tried now.
                Phase::Backoff { .. } | Phase::Quarantined { .. } | Phase::Unloadable { .. } => {
                    self.take(now, Event::Retry, actions);
                }
                // A fresh one starts or has just begun to serve, or there is no bundle for one.
                Phase::Steady
                | Phase::Asleep
                | Phase::Reading
                | Phase::Starting { .. }
                | Phase::Waiting
                | Phase::Rejected
                | Phase::Stopped => {}
            },
            Event::Stop => self.phase = Phase::Stopped,
        }
    }

    fn read_was(&mut self, revision: Revision, actions: &mut Vec<Action>) {
        if self.phase == Phase::Asleep {
            // It is read again when it is needed.
            return;
        }
        let is_known = self.is_good(revision) || self.refused == Some(revision);
        if is_known {
            // Revisions in between are no longer there.
            self.candidate = None;
        } else if self.candidate.is_none_or(|candidate| candidate.revision != revision) {
            self.candidate = Some(Candidate { revision, is_begun: false, failures: 0 });
            self.restarts.reset();
            return match self.phase {
                // One after the other, or a bundle that changes all the time would never be loaded.
                Phase::Starting { .. } => {}
                // Begun when the one before has drained.
                Phase::Steady if self.draining.is_some() => {}
                _ => self.start(actions),
            };
        }
        match self.phase {
            Phase::Reading => self.settle(actions),
            Phase::Starting { worker, revision: starting }
                if self.is_good(revision) && starting != revision =>
            {
                actions.push(Action::Discard(worker));
                self.settle(actions);
            }
            // The reason of the pause is gone.
            Phase::Backoff { .. } if self.serving.is_some() && self.candidate.is_none() => {
                self.settle(actions);
            }
            Phase::Unloadable { .. } if self.candidate.is_none() => self.settle(actions),
            _ => {}
        }
    }

    fn loaded(&mut self, now: Duration, worker: WorkerId, actions: &mut Vec<Action>) {
        let Some(revision) = self.starting(worker) else {
            actions.push(Action::Discard(worker));
            return;
        };
        self.forget(revision);
        self.good = Some(revision);
        self.restarts.started_well();
        if let Some(before) = self.serving.replace(Serving { worker, since: now }) {
            // Workers are started beside one that serves only while none drains.
            self.draining = Some(before.worker);
        }
        actions.push(Action::Serve(worker));
        self.settle(actions);
    }

    fn ended(&mut self, now: Duration, worker: WorkerId, cause: Cause, actions: &mut Vec<Action>) {
        if self.draining == Some(worker) {
            // It was draining, so only the fact that it is gone matters.
            self.take(now, Event::Drained(worker), actions);
            return;
        }
        let Some(serving) = self.serving.filter(|serving| serving.worker == worker) else {
            return;
        };
        self.serving = None;
        self.restarts.reset_if_stable(now.saturating_sub(serving.since));
        match self.phase {
            Phase::Starting { worker, revision } => {
                self.restarts.remember_death(now, cause);
                let is_first = self.restarts.is_first_failure();
                if is_first && !self.is_good(revision) && !cause.is_sign_of_compromise() {
                    // The good revision certainly loads; the candidate may not. It is tried again
                    // beside the good one.
                    actions.push(Action::Discard(worker));
                    self.restarts.count_failure();
                    self.start_good(actions);
                }
                // Otherwise the next one is starting, and it may be the repair.
            }
            _ => self.failed(now, cause, self.good, actions),
        }
    }

    /// A worker of this revision failed, and no other is starting.
    fn failed(
        &mut self,
        now: Duration,
        cause: Cause,
        revision: Option<Revision>,
        actions: &mut Vec<Action>,
    ) {
        self.restarts.count_failure();
        if self.is_fresh() && self.candidate.map(|candidate| candidate.revision) != revision {
            // A newer bundle is not charged with an older one's failures; it may be the repair.
            return self.settle(actions);
        }
        let is_compromise = cause.is_sign_of_compromise();
        if self.serving.is_some() {
            let failures = self.candidate.map_or(0, |candidate| candidate.failures);
            if is_compromise || failures >= CANDIDATE_ATTEMPTS {
                self.pause_long(actions);
                actions.push(Action::GiveUp);
            } else {
                self.settle(actions);
            }
            return;
        }
        self.restarts.remember_death(now, cause);
        let is_enough = self.restarts.is_enough(cause);
        let was_ever_loaded = self.candidate.map(|candidate| candidate.revision) != revision;
        if !is_enough || !cause.is_tenant_fault() {
            self.back_off(actions);
        } else if was_ever_loaded || is_compromise {
            let pause = self.shut(actions);
            self.phase = Phase::Quarantined { pause };
        } else {
            let pause = self.shut(actions);
            self.phase = Phase::Unloadable { pause };
            actions.push(Action::GiveUp);
        }
    }

    /// Whether a bundle waits that no worker has had yet.
    fn is_fresh(&self) -> bool {
        self.candidate.is_some_and(|candidate| !candidate.is_begun)
    }

    fn forget(&mut self, revision: Revision) {
        self.candidate.take_if(|candidate| candidate.revision == revision);
    }

    /// No worker is starting: decides whether one should.
    fn settle(&mut self, actions: &mut Vec<Action>) {
        let is_wanting = match self.serving {
            Some(_) => self.candidate.is_some(),
            None => self.candidate.is_some() || self.good.is_some(),
        };
        match self.serving {
            Some(_) if is_wanting && self.draining.is_some() => self.phase = Phase::Steady,
            _ if is_wanting && self.restarts.failures > 0 && !self.is_fresh() => {
                self.back_off(actions)
            }
            _ if is_wanting => self.start(actions),
            Some(_) => self.phase = Phase::Steady,
            None => self.phase = Phase::Rejected,
        }
    }

    fn start(&mut self, actions: &mut Vec<Action>) {
        // A bundle that has killed a worker already must wait until another serves.
        let has_failed = self.candidate.is_some_and(|candidate| candidate.failures > 0);
        let is_good_needed = self.serving.is_none() && has_failed;
        let candidate = self.candidate.map(|candidate| candidate.revision);
        let revision =
            if is_good_needed { self.good.or(candidate) } else { candidate.or(self.good) };
        match revision {
            Some(revision) => self.start_with(revision, actions),
            None => self.read(actions),
        }
    }

    fn start_good(&mut self, actions: &mut Vec<Action>) {
        match self.good {
            Some(revision) => self.start_with(revision, actions),
            None => self.start(actions),
        }
    }

    fn start_with(&mut self, revision: Revision, actions: &mut Vec<Action>) {
        let worker = WorkerId(self.number());
        self.phase = Phase::Starting { worker, revision };
        actions.push(Action::Start(worker, revision));
    }

    fn read(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Reading;
        actions.push(Action::Read);
    }

    fn back_off(&mut self, actions: &mut Vec<Action>) {
        if !self.restarts.has_pause() {
            return self.start(actions);
        }
        let pause = PauseId(self.number());
        self.phase = Phase::Backoff { pause };
        actions.push(Action::Pause(pause, self.restarts.pause()));
    }

    /// Waits for long without a worker.
    fn shut(&mut self, actions: &mut Vec<Action>) -> PauseId {
        self.restarts.start_over();
        self.pause_long(actions)
    }

    /// Waits as long as a quarantine lasts. If a worker serves, there is no other effect.
    fn pause_long(&mut self, actions: &mut Vec<Action>) -> PauseId {
        let pause = PauseId(self.number());
        self.phase = Phase::Backoff { pause };
        let length = self.restarts.begin_quarantine();
        actions.push(Action::Pause(pause, length));
        pause
    }

    fn starting(&self, id: WorkerId) -> Option<Revision> {
        match self.phase {
            Phase::Starting { worker, revision } if worker == id => Some(revision),
            _ => None,
        }
    }

    const fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
