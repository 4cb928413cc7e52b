//! A tenant's lifecycle, as a pure function: what happened goes in, what to do comes out.
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
//! Beside its phase a tenant has the worker that serves, if any: a bundle that comes in while one
//! serves goes through the same phases, and whatever becomes of it, the one that serves goes on.
//! From everywhere `Stop` leads to `Stopped`, which nothing leaves.

use std::time::Duration;

use enforcer_protocol::Revision;

/// Pause before the second restart; the first is at once.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Requests wait for the end of a pause that is no longer than this, within their deadlines. Past
/// it they are told at once that there is no worker.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause between restarts.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a worker must have served for what was before it to be forgotten.
const STABLE: Duration = Duration::from_secs(10);

/// So many deaths of workers within [`DEATH_WINDOW`] are too many.
pub(crate) const TOO_MANY_DEATHS: usize = 5;

/// See [`TOO_MANY_DEATHS`].
const DEATH_WINDOW: Duration = Duration::from_secs(30);

/// How often a new bundle is tried that kills its workers before they serve, while the bundle
/// before it serves on. Then it is tried as rarely as a tenant in quarantine.
const OFFER_ATTEMPTS: u32 = 5;

/// How long a quarantine lasts before one worker is tried.
const FIRST_QUARANTINE: Duration = Duration::from_secs(30);

/// Longest quarantine; each is twice the one before.
const LONGEST_QUARANTINE: Duration = Duration::from_secs(600);

/// Every name that [`State::name`] has.
pub(crate) const STATE_NAMES: [&str; 7] =
    ["asleep", "starting", "ready", "rejected", "backoff", "quarantined", "stopped"];

/// A worker of this tenant: the first, the second, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId(u64);

/// A pause of this tenant. The end of one that is not waited for any more means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PauseId(u64);

/// Why a worker ended unasked, or did not come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// It ended by a fault of its own: an abort, a segmentation fault, an exit.
    Crash,
    /// It was killed by SIGKILL, and not by us: by an operator, or for want of memory.
    Killed,
    /// It came over its memory limit.
    Memory,
    /// An evaluation did not end, and we killed it.
    Stuck,
    /// It was stopped by a signal that was not ours, and we killed it.
    Stopped,
    /// It did not load its bundle in time, and we killed it.
    LoadTimeout,
    /// It sent what it must not, and we killed it.
    Breach,
    /// It made a system call that it must not (SIGSYS).
    ForbiddenCall,
    /// The host could not start it, or not seal it.
    Host,
}

impl Cause {
    /// Every cause there is.
    pub(crate) const ALL: [Self; 9] = [
        Self::Crash,
        Self::Killed,
        Self::Memory,
        Self::Stuck,
        Self::Stopped,
        Self::LoadTimeout,
        Self::Breach,
        Self::ForbiddenCall,
        Self::Host,
    ];

    /// Its name for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Killed => "killed",
            Self::Memory => "memory_limit",
            Self::Stuck => "stuck",
            Self::Stopped => "stopped",
            Self::LoadTimeout => "load_timeout",
            Self::Breach => "protocol_breach",
            Self::ForbiddenCall => "forbidden_call",
            Self::Host => "host",
        }
    }

    /// Whether the request that the worker was at may have ended it.
    pub(crate) const fn may_be_an_input_s(self) -> bool {
        !matches!(self, Self::Killed | Self::Stopped | Self::Host)
    }

    /// Whether no honest worker ends so.
    pub(crate) const fn is_sign_of_compromise(self) -> bool {
        matches!(self, Self::Breach | Self::ForbiddenCall)
    }

    /// Whether the tenant is to answer for it.
    const fn is_the_tenant_s(self) -> bool {
        !matches!(self, Self::Host)
    }
}

/// What is being done about a tenant's next worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing, until a request comes.
    Asleep,
    /// The bundle is read.
    Reading,
    /// A worker comes up.
    Starting { worker: WorkerId, revision: Revision },
    /// Nothing: the one that serves is the right one.
    Steady,
    /// Nothing: there is no bundle that could be used.
    Rejected,
    /// The last one failed; the next is tried after a pause.
    Backoff { pause: PauseId },
    /// Too many failed; one is tried after a long pause.
    Quarantined { pause: PauseId },
    /// Too many failed before they had loaded the bundle, which none ever has. One is tried after a
    /// long pause, because it may have been the host.
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
struct Untried {
    revision: Revision,
    /// Whether a worker was started for it, and did not come up.
    is_begun: bool,
    /// How often that was the bundle's own fault.
    failures: u32,
}

/// Where a tenant stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    phase: Phase,
    serving: Option<Serving>,
    /// The one that served before, while it finishes what it has. There is never another.
    draining: Option<WorkerId>,
    /// The revision that a worker has loaded last.
    good: Option<Revision>,
    /// The revision that was read last, where it is another.
    untried: Option<Untried>,
    /// The revision that was refused last: to try it again changes nothing.
    refused: Option<Revision>,
    /// Failures one after another.
    failures: u32,
    /// Workers one after another that did not come up, which the tenant has to answer for.
    failed_starts: u32,
    /// When workers died, at most [`TOO_MANY_DEATHS`] of them.
    deaths: Vec<Duration>,
    quarantines: u32,
    /// The worker that serves, or comes up, is the one that a quarantine is ended with.
    on_probation: bool,
    /// For the next worker or pause.
    next: u64,
}

/// What a request to a tenant may hope for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    /// A worker serves, or will in a moment.
    Open,
    /// The last worker failed, and the next is not tried yet.
    Restarting,
    /// There will be no worker by itself.
    Closed,
}

/// What happened to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A request came to a tenant that is asleep.
    Requested,
    /// The bundle was read.
    Read(Revision),
    /// The bundle cannot be used; no worker was asked.
    Unusable,
    /// The bundle could not be read, for a reason that may pass.
    Unreadable,
    /// The worker that was starting has loaded its bundle and answers.
    Loaded(WorkerId),
    /// The worker that was starting has refused its bundle.
    Refused(WorkerId),
    /// The worker that was starting did not come up.
    Failed(WorkerId, Cause),
    /// A worker has ended unasked. It was serving, or draining.
    Ended(WorkerId, Cause),
    /// The worker that served had nothing to do for long, and has ended.
    Idle(WorkerId),
    /// The worker that was draining has ended.
    Drained(WorkerId),
    /// A pause is over.
    PauseOver(PauseId),
    /// An operator wants everything tried again, whatever became of it.
    Retry,
    /// The supervisor ends, or the tenant is removed.
    Stop,
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Read the bundle: `Read`, `Unusable` or `Unreadable`.
    Read,
    /// Start a worker and have it load this revision: `Loaded`, `Refused` or `Failed`.
    Start(WorkerId, Revision),
    /// Give requests to this worker from now on, `Ended` or `Idle`; and none to the one that had
    /// them before, which finishes what it has: `Drained` or `Ended`.
    Serve(WorkerId),
    /// Wait this long, give or take some: `PauseOver`.
    Pause(PauseId, Duration),
    /// Say that worker after worker has failed before it had loaded the new bundle. It is rejected,
    /// and is tried again after a long pause.
    GiveUp,
    /// End this worker; nobody waits for it.
    Discard(WorkerId),
    /// End all workers.
    Finish,
}

/// Where a tenant begins: lazy ones wait for a request.
pub(crate) fn begin(is_lazy: bool) -> (State, Vec<Action>) {
    let state = State {
        phase: if is_lazy { Phase::Asleep } else { Phase::Reading },
        serving: None,
        draining: None,
        good: None,
        untried: None,
        refused: None,
        failures: 0,
        failed_starts: 0,
        deaths: Vec::new(),
        quarantines: 0,
        on_probation: false,
        next: 0,
    };
    (state, if is_lazy { Vec::new() } else { vec![Action::Read] })
}

/// The next state at `now`, a time since whenever, and what to do. An event that has no meaning in
/// `state` changes nothing.
pub(crate) fn on_event(mut state: State, now: Duration, event: Event) -> (State, Vec<Action>) {
    let mut actions = Vec::new();
    if state.phase != Phase::Stopped {
        state.take(now, event, &mut actions);
    }
    (state, actions)
}

impl State {
    /// The state's name for operators.
    pub(crate) const fn name(&self) -> &'static str {
        match (self.serving, self.phase) {
            (_, Phase::Stopped) => "stopped",
            (Some(_), _) => "ready",
            (None, Phase::Asleep) => "asleep",
            // Steady is entered with a worker that serves only.
            (None, Phase::Reading | Phase::Starting { .. } | Phase::Steady) => "starting",
            (None, Phase::Rejected | Phase::Unloadable { .. }) => "rejected",
            (None, Phase::Backoff { .. }) => "backoff",
            (None, Phase::Quarantined { .. }) => "quarantined",
        }
    }

    /// What a request may hope for.
    pub(crate) fn stance(&self) -> Stance {
        match (self.serving, self.phase) {
            (_, Phase::Stopped) => Stance::Restarting,
            (None, Phase::Backoff { .. }) if self.pause() <= SHORT_PAUSE => Stance::Open,
            (Some(_), _)
            | (None, Phase::Asleep | Phase::Reading | Phase::Starting { .. } | Phase::Steady) => {
                Stance::Open
            }
            (None, Phase::Backoff { .. }) => Stance::Restarting,
            (None, Phase::Rejected | Phase::Quarantined { .. } | Phase::Unloadable { .. }) => {
                Stance::Closed
            }
        }
    }

    /// Whether the tenant waits for a request.
    pub(crate) fn is_asleep(&self) -> bool {
        self.phase == Phase::Asleep
    }

    /// Whether this revision may be asked for by a later [`Action::Start`].
    pub(crate) fn needs(&self, revision: Revision) -> bool {
        self.is_good(revision) || self.untried.is_some_and(|untried| untried.revision == revision)
    }

    /// Whether this is the revision that a worker has loaded last.
    pub(crate) fn is_good(&self, revision: Revision) -> bool {
        self.good == Some(revision)
    }

    /// Whether there is nothing more to come.
    pub(crate) fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// Whether the tenant is in quarantine.
    pub(crate) const fn is_quarantined(&self) -> bool {
        matches!(self.phase, Phase::Quarantined { .. })
    }

    fn take(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Requested => {
                if self.phase == Phase::Asleep {
                    self.read(actions);
                }
            }
            Event::Read(revision) => self.read_was(revision, actions),
            Event::Unusable => {
                self.refused = None;
                if self.phase == Phase::Reading {
                    self.settle(actions);
                }
            }
            Event::Unreadable => {
                if self.phase == Phase::Reading {
                    self.failures = self.failures.saturating_add(1);
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
                    let failure = u32::from(cause.is_the_tenant_s());
                    self.failed_starts = self.failed_starts.saturating_add(failure);
                    if let Some(untried) = &mut self.untried
                        && untried.revision == revision
                    {
                        untried.is_begun = true;
                        untried.failures = untried.failures.saturating_add(failure);
                    }
                    self.failed(now, cause, Some(revision), actions);
                }
            }
            Event::Ended(worker, cause) => self.ended(now, worker, cause, actions),
            Event::Idle(worker) => {
                if let Some(serving) = self.serving.take_if(|serving| serving.worker == worker) {
                    self.pardon_who_was_stable(now, serving);
                    if matches!(self.phase, Phase::Steady | Phase::Backoff { .. }) {
                        self.phase = Phase::Asleep;
                        // It is read again when it is needed.
                        self.untried = None;
                    }
                } else {
                    // Another took its place while it ended.
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
                    self.on_probation = true;
                    self.start(actions);
                }
                _ => {}
            },
            Event::Retry => {
                self.refused = None;
                self.pardon();
                if let Some(untried) = &mut self.untried {
                    (untried.is_begun, untried.failures) = (false, 0);
                }
                if let Phase::Backoff { .. }
                | Phase::Quarantined { .. }
                | Phase::Unloadable { .. } = self.phase
                {
                    self.start(actions);
                }
            }
            Event::Stop => {
                self.phase = Phase::Stopped;
                actions.push(Action::Finish);
            }
        }
    }

    fn read_was(&mut self, revision: Revision, actions: &mut Vec<Action>) {
        if self.phase == Phase::Asleep {
            // It is read again when it is needed.
            return;
        }
        let is_known = self.is_good(revision) || self.refused == Some(revision);
        if is_known {
            // Whatever came in between is no longer there.
            self.untried = None;
        } else if self.untried.is_none_or(|untried| untried.revision != revision) {
            self.untried = Some(Untried { revision, is_begun: false, failures: 0 });
            self.pardon();
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
            // What the pause was for is gone.
            Phase::Backoff { .. } if self.serving.is_some() && self.untried.is_none() => {
                self.settle(actions);
            }
            Phase::Unloadable { .. } if self.untried.is_none() => self.settle(actions),
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
        self.failed_starts = 0;
        if let Some(before) = self.serving.replace(Serving { worker, since: now }) {
            // Workers are started beside one that serves only while none drains.
            self.draining = Some(before.worker);
        }
        actions.push(Action::Serve(worker));
        self.settle(actions);
    }

    fn ended(&mut self, now: Duration, worker: WorkerId, cause: Cause, actions: &mut Vec<Action>) {
        if self.draining == Some(worker) {
            // It was on its way out, so all that it had to say of itself is that it is gone.
            self.take(now, Event::Drained(worker), actions);
            return;
        }
        let Some(serving) = self.serving.filter(|serving| serving.worker == worker) else {
            return;
        };
        self.serving = None;
        self.pardon_who_was_stable(now, serving);
        match self.phase {
            Phase::Starting { worker, revision } => {
                self.remember_death(now, cause);
                let is_first = self.failures == 0 && self.deaths.len() <= 1;
                if is_first && !self.is_good(revision) && !cause.is_sign_of_compromise() {
                    // What is known to load serves sooner than what comes up may ever. It is tried
                    // again beside it.
                    actions.push(Action::Discard(worker));
                    self.failures = 1;
                    self.start_good(actions);
                }
                // Else the next one is on its way, and it may be the repair.
            }
            _ => self.failed(now, cause, self.good, actions),
        }
    }

    fn pardon_who_was_stable(&mut self, now: Duration, serving: Serving) {
        if now.saturating_sub(serving.since) >= STABLE {
            self.pardon();
        }
    }

    /// A worker of this revision failed, and none comes up.
    fn failed(
        &mut self,
        now: Duration,
        cause: Cause,
        revision: Option<Revision>,
        actions: &mut Vec<Action>,
    ) {
        self.failures = self.failures.saturating_add(1);
        if self.is_fresh() && self.untried.map(|untried| untried.revision) != revision {
            // What came after it is not to answer for it, and may be its repair.
            return self.settle(actions);
        }
        let is_compromise = cause.is_sign_of_compromise();
        if self.serving.is_some() {
            let failures = self.untried.map_or(0, |untried| untried.failures);
            if is_compromise || failures >= OFFER_ATTEMPTS {
                self.pause_long(actions);
                actions.push(Action::GiveUp);
            } else {
                self.settle(actions);
            }
            return;
        }
        self.remember_death(now, cause);
        // Workers that take long not to come up are as many, and never so close together.
        let failed_starts = usize::try_from(self.failed_starts).unwrap_or(usize::MAX);
        let is_often = self.deaths.len().max(failed_starts) >= TOO_MANY_DEATHS;
        let is_enough = is_compromise || self.on_probation || is_often;
        let was_ever_loaded = self.untried.map(|untried| untried.revision) != revision;
        if !is_enough || !cause.is_the_tenant_s() {
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

    /// Whether there is a bundle that no worker has had yet.
    fn is_fresh(&self) -> bool {
        self.untried.is_some_and(|untried| !untried.is_begun)
    }

    fn remember_death(&mut self, now: Duration, cause: Cause) {
        if cause.is_the_tenant_s() {
            self.deaths.retain(|death| now.saturating_sub(*death) < DEATH_WINDOW);
            if self.deaths.len() == TOO_MANY_DEATHS {
                self.deaths.remove(0);
            }
            self.deaths.push(now);
        }
    }

    fn pardon(&mut self) {
        self.failures = 0;
        self.failed_starts = 0;
        self.deaths.clear();
        self.quarantines = 0;
        self.on_probation = false;
    }

    fn forget(&mut self, revision: Revision) {
        self.untried.take_if(|untried| untried.revision == revision);
    }

    /// Nothing comes up: decides whether anything should.
    fn settle(&mut self, actions: &mut Vec<Action>) {
        let is_wanting = match self.serving {
            Some(_) => self.untried.is_some(),
            None => self.untried.is_some() || self.good.is_some(),
        };
        match self.serving {
            Some(_) if is_wanting && self.draining.is_some() => self.phase = Phase::Steady,
            _ if is_wanting && self.failures > 0 && !self.is_fresh() => self.back_off(actions),
            _ if is_wanting => self.start(actions),
            Some(_) => self.phase = Phase::Steady,
            None => self.phase = Phase::Rejected,
        }
    }

    fn start(&mut self, actions: &mut Vec<Action>) {
        // A bundle that has killed a worker already must wait until another serves.
        let has_failed = self.untried.is_some_and(|untried| untried.failures > 0);
        let is_good_needed = self.serving.is_none() && has_failed;
        let untried = self.untried.map(|untried| untried.revision);
        let revision = if is_good_needed { self.good.or(untried) } else { untried.or(self.good) };
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
        if self.failures <= 1 {
            // Once is no pattern yet, and requests wait.
            return self.start(actions);
        }
        let pause = PauseId(self.number());
        self.phase = Phase::Backoff { pause };
        actions.push(Action::Pause(pause, self.pause()));
    }

    /// How long a backoff is after so many failures.
    fn pause(&self) -> Duration {
        doubled(FIRST_PAUSE, self.failures.saturating_sub(2), LONGEST_PAUSE)
    }

    /// Waits for long without a worker.
    fn shut(&mut self, actions: &mut Vec<Action>) -> PauseId {
        self.failures = 0;
        self.failed_starts = 0;
        self.pause_long(actions)
    }

    /// Waits as long as a quarantine is. Where a worker serves that is all there is to it.
    fn pause_long(&mut self, actions: &mut Vec<Action>) -> PauseId {
        let pause = PauseId(self.number());
        self.phase = Phase::Backoff { pause };
        let length = doubled(FIRST_QUARANTINE, self.quarantines, LONGEST_QUARANTINE);
        self.quarantines = self.quarantines.saturating_add(1);
        self.deaths.clear();
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

/// `first`, doubled so often, up to `longest`.
fn doubled(first: Duration, doublings: u32, longest: Duration) -> Duration {
    let factor = 1_u32.checked_shl(doublings.min(31)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn revision(number: u8) -> Revision {
        Revision::from_digest([number; 32])
    }

    /// A tenant and its time, for tests that tell a story.
    struct Story {
        state: State,
        now: Duration,
        actions: Vec<Action>,
    }

    impl Story {
        fn begin(is_lazy: bool) -> Self {
            let (state, actions) = begin(is_lazy);
            Self { state, now: Duration::ZERO, actions }
        }

        /// A tenant whose first bundle is loaded.
        fn serving() -> Self {
            Self::begin(false).then_read(1).then_loaded()
        }

        fn then(mut self, event: Event) -> Self {
            (self.state, self.actions) = on_event(self.state, self.now, event);
            self
        }

        fn then_read(self, number: u8) -> Self {
            self.then(Event::Read(revision(number)))
        }

        fn started_revision(&self) -> Revision {
            let Phase::Starting { revision, .. } = self.state.phase else {
                panic!("{:?}", self.state)
            };
            revision
        }

        fn after(mut self, time: Duration) -> Self {
            self.now += time;
            self
        }

        fn then_loaded(self) -> Self {
            let worker = self.started();
            self.then(Event::Loaded(worker))
        }

        fn then_ended(self, cause: Cause) -> Self {
            let worker = self.state.serving.unwrap().worker;
            self.then(Event::Ended(worker, cause))
        }

        fn started(&self) -> WorkerId {
            let Phase::Starting { worker, .. } = self.state.phase else {
                panic!("{:?}", self.state)
            };
            worker
        }

        fn pause(&self) -> (PauseId, Duration) {
            let ([.., Action::Pause(id, length)] | [.., Action::Pause(id, length), Action::GiveUp]) =
                self.actions[..]
            else {
                panic!("{:?}", self.actions)
            };
            (id, length)
        }

        /// Waits for the pause that has just begun.
        fn then_pause_over(self) -> Self {
            let (id, length) = self.pause();
            self.after(length).then(Event::PauseOver(id))
        }

        /// Waits for the pause, where there is one.
        fn then_started(self) -> Self {
            match self.state.phase {
                Phase::Starting { .. } => self,
                _ => self.then_pause_over(),
            }
        }

        fn assert_state(self, name: &str) -> Self {
            assert_eq!(self.state.name(), name, "{:?}", self.state);
            self
        }
    }

    #[test]
    fn the_first_crash_is_repaired_at_once_and_the_next_ones_after_longer_and_longer() {
        let mut story = Story::serving().then_ended(Cause::Crash).assert_state("starting");
        let mut last = Duration::ZERO;
        for _ in 0..3 {
            story = story.then_loaded().then_ended(Cause::Crash).assert_state("backoff");
            let (_, pause) = story.pause();
            assert!(pause > last, "{pause:?}");
            assert_eq!(story.state.stance(), Stance::Open);
            last = pause;
            story = story.then_pause_over().assert_state("starting");
        }
    }

    #[test]
    fn five_crashes_in_half_a_minute_are_a_quarantine_that_one_worker_ends() {
        let mut story = Story::serving();
        for _ in 1..TOO_MANY_DEATHS {
            story = story.after(SECOND).then_ended(Cause::Crash).then_started().then_loaded();
        }
        story = story.then_ended(Cause::Crash).assert_state("quarantined");
        assert_eq!(story.state.stance(), Stance::Closed);
        let (_, first) = story.pause();
        // On probation, one crash is enough, and the next quarantine is longer.
        story = story.then_pause_over().assert_state("starting").then_loaded();
        story = story.after(SECOND).then_ended(Cause::Crash).assert_state("quarantined");
        let (_, second) = story.pause();
        assert_eq!(second, 2 * first);
        // Who holds out is as good as any.
        story = story.then_pause_over().then_loaded().after(STABLE).then_ended(Cause::Crash);
        story.assert_state("starting");
    }

    #[test]
    fn crashes_that_are_far_apart_are_no_quarantine() {
        let mut story = Story::serving();
        for _ in 0..20 {
            story = story.after(STABLE).then_ended(Cause::Crash).assert_state("starting");
            story = story.then_loaded();
        }
    }

    #[test]
    fn what_no_honest_worker_does_is_a_quarantine_at_once() {
        for cause in [Cause::ForbiddenCall, Cause::Breach] {
            Story::serving().after(100 * SECOND).then_ended(cause).assert_state("quarantined");
        }
    }

    #[test]
    fn a_host_that_cannot_start_workers_quarantines_nobody_and_is_asked_again_for_ever() {
        let mut story = Story::begin(false).then_read(1);
        for _ in 0..100 {
            let worker = story.started();
            story = story.then(Event::Failed(worker, Cause::Host)).then_started();
        }
        let worker = story.started();
        story = story.then(Event::Failed(worker, Cause::Host)).assert_state("backoff");
        assert_eq!(story.pause().1, LONGEST_PAUSE);
        assert_eq!(story.state.stance(), Stance::Restarting);
    }

    #[test]
    fn a_new_bundle_takes_over_and_the_old_worker_drains() {
        let story = Story::serving();
        let old = story.state.serving.unwrap().worker;
        let story = story.then_read(2).assert_state("ready");
        assert_eq!(story.state.serving.unwrap().worker, old);
        let new = story.started();
        let story = story.then_loaded().assert_state("ready");
        assert_eq!(story.actions, [Action::Serve(new)]);
        assert_eq!(story.state.draining, Some(old));
        // The next bundle waits for that.
        let story = story.then_read(3);
        assert_eq!(story.actions, []);
        let story = story.then(Event::Drained(old));
        assert_eq!(story.started_revision(), revision(3));
    }

    #[test]
    fn a_bundle_that_changes_while_it_is_loaded_is_loaded_again() {
        let story = Story::begin(false).then_read(1).then_read(2);
        assert_eq!(story.actions, []);
        let story = story.then_loaded();
        assert!(matches!(story.actions[..], [Action::Serve(_), Action::Start(..)]));
        assert_eq!(story.started_revision(), revision(2));
    }

    #[test]
    fn a_bundle_that_is_refused_changes_nothing_for_who_serves() {
        let story = Story::serving().then_read(2);
        let worker = story.started();
        let story = story.then(Event::Refused(worker)).assert_state("ready");
        assert_eq!(story.actions, []);
        // And what served is what is started again.
        let story = story.then_ended(Cause::Crash);
        assert_eq!(story.started_revision(), revision(1));
        // The same content is not tried again, unless an operator wants it.
        let story = story.then_loaded().then_read(2);
        assert_eq!(story.actions, []);
        let story = story.then(Event::Retry).then_read(2);
        assert_eq!(story.started_revision(), revision(2));
    }

    #[test]
    fn content_that_serves_already_starts_nobody_and_takes_back_what_came_in_between() {
        let story = Story::serving().then_read(1);
        assert_eq!(story.actions, []);
        let story = story.then_read(2);
        let worker = story.started();
        let story = story.then_read(1).assert_state("ready");
        assert_eq!(story.actions, [Action::Discard(worker)]);
        assert_eq!(story.state.phase, Phase::Steady);
    }

    #[test]
    fn a_repair_does_not_answer_for_what_it_repairs() {
        // The second bundle's worker is on its way when the third comes.
        let story = Story::serving().then_read(2).then_read(3);
        let worker = story.started();
        let story = story.then(Event::Failed(worker, Cause::Breach)).assert_state("ready");
        assert_eq!(story.started_revision(), revision(3));
        // The same where it is refused, and the same content came twice.
        let story = Story::begin(false).then_read(1).then_read(2).then_read(1);
        let worker = story.started();
        story.then(Event::Refused(worker)).assert_state("rejected");
    }

    #[test]
    fn who_is_idle_when_another_takes_over_has_drained() {
        let story = Story::serving();
        let old = story.state.serving.unwrap().worker;
        let story = story.then_read(2).then_loaded().then(Event::Idle(old));
        assert_eq!(story.state.draining, None);
        assert_eq!(story.then_read(3).started_revision(), revision(3));
    }

    #[test]
    fn a_bundle_that_kills_its_workers_is_tried_rarely_where_another_serves() {
        let mut story = Story::serving().then_read(2);
        for _ in 1..OFFER_ATTEMPTS {
            let worker = story.started();
            story = story.then(Event::Failed(worker, Cause::Crash)).then_started();
            assert_eq!(story.state.name(), "ready");
        }
        let worker = story.started();
        let story = story.then(Event::Failed(worker, Cause::Crash)).assert_state("ready");
        assert_eq!(story.pause().1, FIRST_QUARANTINE);
        assert_eq!(story.actions.last(), Some(&Action::GiveUp));
        let story = story.then_pause_over();
        let worker = story.started();
        let story = story.then(Event::Failed(worker, Cause::Crash)).assert_state("ready");
        assert_eq!(story.pause().1, 2 * FIRST_QUARANTINE);
        // What it was has passed.
        let story = story.then_pause_over().then_loaded().assert_state("ready");
        assert_eq!(story.state.untried, None);
    }

    #[test]
    fn where_nobody_serves_the_good_bundle_goes_before_one_that_has_failed() {
        let story = Story::serving().then_read(2);
        let worker = story.started();
        let story = story.then(Event::Failed(worker, Cause::Crash)).then_ended(Cause::Crash);
        // It is on its way already, so it is waited for.
        let worker = story.started();
        let story = story.then(Event::Failed(worker, Cause::Crash)).then_started();
        assert_eq!(story.started_revision(), revision(1));
        let story = story.then_loaded().assert_state("ready").then_started();
        assert_eq!(story.started_revision(), revision(2));
    }

    #[test]
    fn a_host_that_cannot_start_a_candidate_is_not_asked_without_a_pause() {
        let mut story = Story::serving().then_read(2);
        for round in 0..50 {
            let worker = story.started();
            story = story.then(Event::Failed(worker, Cause::Host)).assert_state("ready");
            if round > 0 {
                story.pause();
                story = story.then_pause_over();
            }
        }
        story.then_loaded().assert_state("ready");
    }

    #[test]
    fn who_serves_and_ends_while_a_candidate_comes_up_is_started_again_at_once() {
        let story = Story::serving().then_read(2);
        let candidate = story.started();
        let story = story.then_ended(Cause::Killed).assert_state("starting");
        assert_eq!(story.actions.first(), Some(&Action::Discard(candidate)));
        assert_eq!(story.started_revision(), revision(1));
        // And the candidate is tried beside it.
        let story = story.then_loaded().assert_state("ready").then_started();
        assert_eq!(story.started_revision(), revision(2));
        // One that keeps ending gives way to what may be its repair.
        let story = story.then_ended(Cause::Crash).assert_state("starting");
        assert_eq!(story.actions, []);
        story.then_loaded().assert_state("ready");
    }

    #[test]
    fn a_bundle_that_no_worker_can_load_is_rejected_and_tried_after_longer_and_longer() {
        for cause in [Cause::Crash, Cause::LoadTimeout] {
            let mut story = Story::begin(false).then_read(1);
            for _ in 1..TOO_MANY_DEATHS {
                // However long they take.
                story = story.after(DEATH_WINDOW);
                let worker = story.started();
                story = story.then(Event::Failed(worker, cause)).then_started();
            }
            let worker = story.started();
            let mut story = story.then(Event::Failed(worker, cause)).assert_state("rejected");
            assert_eq!(story.state.stance(), Stance::Closed);
            for length in [FIRST_QUARANTINE, 2 * FIRST_QUARANTINE] {
                assert_eq!(story.actions.last(), Some(&Action::GiveUp));
                assert_eq!(story.pause().1, length);
                // The same content is not tried sooner.
                let (state, actions) =
                    on_event(story.state.clone(), story.now, Event::Read(revision(1)));
                assert_eq!((state.name(), &actions[..]), ("rejected", &[][..]));
                story = story.then_pause_over();
                let worker = story.started();
                story = story.then(Event::Failed(worker, cause)).assert_state("rejected");
            }
            story.then_read(2).assert_state("starting").then_loaded().assert_state("ready");
        }
    }

    #[test]
    fn a_good_bundle_whose_workers_no_longer_come_up_is_a_quarantine() {
        let mut story = Story::serving().then_ended(Cause::Crash);
        for _ in 2..TOO_MANY_DEATHS {
            let worker = story.started();
            story = story.then(Event::Failed(worker, Cause::LoadTimeout)).then_started();
        }
        let worker = story.started();
        story.then(Event::Failed(worker, Cause::LoadTimeout)).assert_state("quarantined");
    }

    #[test]
    fn a_worker_that_breaks_the_protocol_before_it_has_loaded_is_a_quarantine_at_once() {
        let story = Story::begin(false).then_read(1);
        let worker = story.started();
        story.then(Event::Failed(worker, Cause::Breach)).assert_state("quarantined");
    }

    #[test]
    fn who_falls_asleep_after_a_moment_is_not_forgiven() {
        let mut story = Story::begin(true).then(Event::Requested).then_read(1).then_loaded();
        for _ in 1..TOO_MANY_DEATHS {
            story = story.then_ended(Cause::Crash).then_started().then_loaded();
            let worker = story.state.serving.unwrap().worker;
            story = story.then(Event::Idle(worker)).assert_state("asleep");
            story = story.then(Event::Requested).then_read(1).then_started().then_loaded();
        }
        story.then_ended(Cause::Crash).assert_state("quarantined");
    }

    #[test]
    fn a_rejected_tenant_waits_for_another_bundle() {
        let story = Story::begin(false).then_read(1);
        let worker = story.started();
        let story = story.then(Event::Refused(worker)).assert_state("rejected");
        assert_eq!((story.state.stance(), &story.actions[..]), (Stance::Closed, &[][..]));
        let story = story.then_read(1).assert_state("rejected");
        story.then_read(2).assert_state("starting").then_loaded().assert_state("ready");
    }

    #[test]
    fn a_quarantined_tenant_is_freed_by_another_bundle_or_an_operator() {
        for event in [Event::Read(revision(2)), Event::Retry] {
            let story = Story::serving().then_ended(Cause::Breach).assert_state("quarantined");
            let (pause, _) = story.pause();
            let story = story.then(event).assert_state("starting");
            // The pause that is no longer waited for starts nobody.
            let story = story.then(Event::PauseOver(pause));
            assert_eq!(story.actions, []);
        }
    }

    #[test]
    fn a_lazy_tenant_sleeps_wakes_and_sleeps_again() {
        let story = Story::begin(true).assert_state("asleep");
        assert_eq!(story.actions, []);
        let story = story.then_read(1).assert_state("asleep");
        let story = story.then(Event::Requested).assert_state("starting");
        assert_eq!(story.actions, [Action::Read]);
        let story = story.then_read(1).then_loaded().assert_state("ready");
        let worker = story.state.serving.unwrap().worker;
        let story = story.then(Event::Idle(worker)).assert_state("asleep");
        // The bundle is looked at before it is used again, and used where that fails.
        for event in [Event::Read(revision(1)), Event::Unusable, Event::Unreadable] {
            let (state, _) = on_event(story.state.clone(), story.now, Event::Requested);
            let (_, actions) = on_event(state, story.now, event);
            let [Action::Start(_, started)] = actions[..] else { panic!("{event:?}: {actions:?}") };
            assert_eq!(started, revision(1), "{event:?}");
        }
    }

    /// Everything outside the lifecycle: what may happen next depends on what was ordered.
    #[derive(Debug, Default)]
    struct World {
        reading: bool,
        /// The bundles that the driver has, as it keeps them.
        kept: Vec<Revision>,
        starting: Vec<(WorkerId, Revision)>,
        loaded: Vec<WorkerId>,
        serving: Option<WorkerId>,
        draining: Vec<WorkerId>,
        pauses: Vec<(PauseId, Duration)>,
    }

    impl World {
        /// The event that `choice` picks among those that can happen now.
        fn event(&mut self, choice: u8, number: u8, cause: Cause) -> Option<Event> {
            let event = match choice % 14 {
                0 => Event::Requested,
                1 | 2 | 5 => {
                    self.reading = false;
                    self.kept.push(revision(number));
                    Event::Read(revision(number))
                }
                3 if std::mem::take(&mut self.reading) => Event::Unusable,
                4 if std::mem::take(&mut self.reading) => Event::Unreadable,
                6 | 7 => {
                    let (worker, revision) = self.starting.pop()?;
                    self.kept.push(revision);
                    self.loaded.push(worker);
                    Event::Loaded(worker)
                }
                8 => Event::Refused(self.starting.pop()?.0),
                9 => Event::Failed(self.starting.pop()?.0, cause),
                10 => Event::Ended(self.serving.take()?, cause),
                11 => match self.draining.pop()? {
                    worker if cause == Cause::Crash => Event::Ended(worker, cause),
                    worker if cause == Cause::Killed => Event::Idle(worker),
                    worker => Event::Drained(worker),
                },
                12 => Event::PauseOver(self.pauses.pop()?.0),
                13 if cause == Cause::Host => Event::Retry,
                13 if cause == Cause::Killed => Event::Idle(self.serving.take()?),
                _ => return None,
            };
            Some(event)
        }

        /// Carries out `actions`, and asserts what must never be asked for.
        fn carry_out(&mut self, state: &State, actions: &[Action]) {
            self.kept.retain(|revision| state.needs(*revision));
            for action in actions {
                match *action {
                    Action::Read => self.reading = true,
                    Action::Start(worker, revision) => {
                        assert!(self.kept.contains(&revision), "its bundle is not there");
                        assert!(self.starting.is_empty(), "two workers come up");
                        self.starting.push((worker, revision));
                    }
                    Action::Serve(worker) => {
                        assert_eq!(self.loaded.pop(), Some(worker), "it is not ready");
                        self.draining.extend(self.serving.replace(worker));
                        assert!(self.draining.len() <= 1, "two workers drain");
                    }
                    Action::Pause(pause, length) => self.pauses.push((pause, length)),
                    Action::Discard(worker) => {
                        let starting = self.starting.pop().map(|(worker, _)| worker);
                        let coming = starting.or_else(|| self.loaded.pop());
                        assert_eq!(coming, Some(worker));
                    }
                    Action::GiveUp | Action::Finish => {}
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_the_rules_hold(
            is_lazy: bool,
            steps in proptest::collection::vec(
                (any::<u8>(), 0_u8..4, 0..Cause::ALL.len(), 0_u64..4000),
                0..300,
            ),
        ) {
            let (mut state, actions) = begin(is_lazy);
            let mut world = World::default();
            world.carry_out(&state, &actions);
            let mut now = Duration::ZERO;
            for (choice, number, cause, millis) in steps {
                now += Duration::from_millis(millis);
                let Some(event) = world.event(choice, number, Cause::ALL[cause]) else { continue };
                let was_quarantined = state.is_quarantined();
                let is_pause_over = matches!(
                    (state.phase, event),
                    (Phase::Quarantined { pause }, Event::PauseOver(over)) if pause == over
                );
                let before = state.phase;
                let actions;
                (state, actions) = on_event(state, now, event);
                world.carry_out(&state, &actions);
                // What failed is tried at once only once, whoever's fault it was.
                if let (Phase::Starting { revision, .. }, Event::Failed(..)) = (before, event) {
                    let again = |action: &Action| matches!(action, Action::Start(_, next) if *next == revision);
                    prop_assert!(state.failures <= 1 || !actions.iter().any(again));
                }

                let starts = actions.iter().any(|action| matches!(action, Action::Start(..)));
                if was_quarantined && starts {
                    prop_assert!(
                        is_pause_over || matches!(event, Event::Read(_) | Event::Retry),
                        "{event:?} started a worker of a quarantined tenant"
                    );
                }
                prop_assert!(STATE_NAMES.contains(&state.name()));
                prop_assert_eq!(state.serving.map(|serving| serving.worker), world.serving);
                prop_assert_eq!(state.draining, world.draining.first().copied());
                prop_assert!(state.deaths.len() <= TOO_MANY_DEATHS);
                // Nobody waits for what will never come.
                match state.phase {
                    Phase::Reading => prop_assert!(world.reading),
                    Phase::Starting { worker, revision } => {
                        prop_assert_eq!(&world.starting[..], &[(worker, revision)][..]);
                    }
                    Phase::Backoff { pause } | Phase::Quarantined { pause } | Phase::Unloadable { pause } => {
                        prop_assert!(world.pauses.iter().any(|(known, _)| *known == pause));
                    }
                    Phase::Steady => prop_assert!(world.serving.is_some()),
                    Phase::Asleep | Phase::Rejected => prop_assert!(world.serving.is_none()),
                    Phase::Stopped => {}
                }
            }
            let (state, actions) = on_event(state, now, Event::Stop);
            prop_assert_eq!(actions, [Action::Finish]);
            prop_assert_eq!(on_event(state.clone(), now, Event::Read(revision(0))), (state, Vec::new()));
        }
    }
}
