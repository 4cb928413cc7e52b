//! The lifecycle of a tenant, told as stories.

use super::restart::*;
use super::*;

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
        let Phase::Starting { revision, .. } = self.state.phase else { panic!("{:?}", self.state) };
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
        let Phase::Starting { worker, .. } = self.state.phase else { panic!("{:?}", self.state) };
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
        assert_eq!(self.state.summary().name(), name, "{:?}", self.state);
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
        assert_eq!(story.state.admission(), Admission::Open);
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
    assert_eq!(story.state.admission(), Admission::Closed);
    let (_, first) = story.pause();
    // On probation, one crash is enough, and the next quarantine is longer.
    story = story.then_pause_over().assert_state("starting").then_loaded();
    story = story.after(SECOND).then_ended(Cause::Crash).assert_state("quarantined");
    let (_, second) = story.pause();
    assert_eq!(second, 2 * first);
    // A worker that survives probation is as good as any.
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
fn a_breach_by_a_hostile_worker_is_a_quarantine_at_once() {
    for cause in [Cause::ForbiddenCall, Cause::Breach] {
        Story::serving().after(100 * SECOND).then_ended(cause).assert_state("quarantined");
    }
}

#[test]
fn a_host_that_cannot_start_workers_quarantines_no_tenant_and_is_tried_for_ever() {
    let mut story = Story::begin(false).then_read(1);
    for _ in 0..100 {
        let worker = story.started();
        story = story.then(Event::Failed(worker, Cause::Host)).then_started();
    }
    let worker = story.started();
    story = story.then(Event::Failed(worker, Cause::Host)).assert_state("backoff");
    assert_eq!(story.pause().1, LONGEST_PAUSE);
    assert_eq!(story.state.admission(), Admission::Restarting);
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
fn a_refused_bundle_does_not_affect_the_worker_that_serves() {
    let story = Story::serving().then_read(2);
    let worker = story.started();
    let story = story.then(Event::Refused(worker)).assert_state("ready");
    assert_eq!(story.actions, []);
    // And the revision that served is started again.
    let story = story.then_ended(Cause::Crash);
    assert_eq!(story.started_revision(), revision(1));
    // The same content is not tried again, unless an operator asks for it.
    let story = story.then_loaded().then_read(2);
    assert_eq!(story.actions, []);
    let story = story.then(Event::Retry).then_read(2);
    assert_eq!(story.started_revision(), revision(2));
}

#[test]
fn content_that_serves_already_starts_no_worker_and_discards_revisions_in_between() {
    let story = Story::serving().then_read(1);
    assert_eq!(story.actions, []);
    let story = story.then_read(2);
    let worker = story.started();
    let story = story.then_read(1).assert_state("ready");
    assert_eq!(story.actions, [Action::Discard(worker)]);
    assert_eq!(story.state.phase, Phase::Steady);
}

#[test]
fn a_repair_is_not_charged_with_failures_of_the_bundle_that_it_repairs() {
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
fn a_worker_that_is_idle_when_another_takes_over_has_drained() {
    let story = Story::serving();
    let old = story.state.serving.unwrap().worker;
    let story = story.then_read(2).then_loaded().then(Event::Idle(old));
    assert_eq!(story.state.draining, None);
    assert_eq!(story.then_read(3).started_revision(), revision(3));
}

#[test]
fn a_bundle_that_kills_its_workers_is_tried_rarely_where_another_serves() {
    let mut story = Story::serving().then_read(2);
    for _ in 1..CANDIDATE_ATTEMPTS {
        let worker = story.started();
        story = story.then(Event::Failed(worker, Cause::Crash)).then_started();
        assert_eq!(story.state.summary().name(), "ready");
    }
    let worker = story.started();
    let story = story.then(Event::Failed(worker, Cause::Crash)).assert_state("ready");
    assert_eq!(story.pause().1, FIRST_QUARANTINE);
    assert_eq!(story.actions.last(), Some(&Action::GiveUp));
    let story = story.then_pause_over();
    let worker = story.started();
    let story = story.then(Event::Failed(worker, Cause::Crash)).assert_state("ready");
    assert_eq!(story.pause().1, 2 * FIRST_QUARANTINE);
    // The cause has passed.
    let story = story.then_pause_over().then_loaded().assert_state("ready");
    assert_eq!(story.state.candidate, None);
}

#[test]
fn without_a_serving_worker_the_good_bundle_goes_before_one_that_has_failed() {
    let story = Story::serving().then_read(2);
    let worker = story.started();
    let story = story.then(Event::Failed(worker, Cause::Crash)).then_ended(Cause::Crash);
    // Its worker is starting already, so it is awaited.
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
fn a_serving_worker_that_ends_while_a_candidate_starts_is_restarted_at_once() {
    let story = Story::serving().then_read(2);
    let candidate = story.started();
    let story = story.then_ended(Cause::Killed).assert_state("starting");
    assert_eq!(story.actions.first(), Some(&Action::Discard(candidate)));
    assert_eq!(story.started_revision(), revision(1));
    // And the candidate is tried beside it.
    let story = story.then_loaded().assert_state("ready").then_started();
    assert_eq!(story.started_revision(), revision(2));
    // One that keeps ending gives way to its possible repair.
    let story = story.then_ended(Cause::Crash).assert_state("starting");
    assert_eq!(story.actions, []);
    story.then_loaded().assert_state("ready");
}

#[test]
fn a_bundle_that_no_worker_can_load_is_rejected_and_tried_after_longer_and_longer() {
    for cause in [Cause::Crash, Cause::LoadTimeout] {
        let mut story = Story::begin(false).then_read(1);
        for _ in 1..TOO_MANY_DEATHS {
            // Regardless of the time that they take.
            story = story.after(DEATH_WINDOW);
            let worker = story.started();
            story = story.then(Event::Failed(worker, cause)).then_started();
        }
        let worker = story.started();
        let mut story = story.then(Event::Failed(worker, cause)).assert_state("rejected");
        assert_eq!(story.state.admission(), Admission::Closed);
        for length in [FIRST_QUARANTINE, 2 * FIRST_QUARANTINE] {
            assert_eq!(story.actions.last(), Some(&Action::GiveUp));
            assert_eq!(story.pause().1, length);
            // The same content is not tried sooner.
            let (state, actions) =
                on_event(story.state.clone(), story.now, Event::Read(revision(1)));
            assert_eq!((state.summary().name(), &actions[..]), ("rejected", &[][..]));
            story = story.then_pause_over();
            let worker = story.started();
            story = story.then(Event::Failed(worker, cause)).assert_state("rejected");
        }
        story.then_read(2).assert_state("starting").then_loaded().assert_state("ready");
    }
}

#[test]
fn a_good_bundle_whose_workers_no_longer_start_is_a_quarantine() {
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
fn a_worker_that_goes_idle_after_a_moment_clears_no_failures() {
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
    assert_eq!((story.state.admission(), &story.actions[..]), (Admission::Closed, &[][..]));
    let story = story.then_read(1).assert_state("rejected");
    story.then_read(2).assert_state("starting").then_loaded().assert_state("ready");
}

#[test]
fn a_quarantined_tenant_is_freed_by_another_bundle_or_an_operator() {
    for event in [Event::Read(revision(2)), Event::Retry] {
        let story = Story::serving().then_ended(Cause::Breach).assert_state("quarantined");
        let (pause, _) = story.pause();
        let story = story.then(event).assert_state("starting");
        // The pause that is no longer awaited starts no worker.
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
    // The bundle is checked for changes before it is used again, and used if that fails.
    for event in [Event::Read(revision(1)), Event::Unusable, Event::Unreadable] {
        let (state, _) = on_event(story.state.clone(), story.now, Event::Requested);
        let (_, actions) = on_event(state, story.now, event);
        let [Action::Start(_, started)] = actions[..] else { panic!("{event:?}: {actions:?}") };
        assert_eq!(started, revision(1), "{event:?}");
    }
}
