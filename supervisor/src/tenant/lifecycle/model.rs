//! The lifecycle against a model of everything outside of it, over random histories.

use super::restart::*;
use super::*;
use proptest::prelude::*;

fn revision(number: u8) -> Revision {
    Revision::from_digest([number; 32])
}

/// Everything outside the lifecycle: the possible next events depend on the actions so far.
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
            13 if cause == Cause::Crash => Event::Restart,
            13 if cause == Cause::Killed => Event::Idle(self.serving.take()?),
            _ => return None,
        };
        Some(event)
    }

    /// Carries out `actions`, and asserts that no forbidden one is among them.
    fn carry_out(&mut self, state: &State, actions: &[Action]) {
        self.kept.retain(|revision| state.needs(*revision));
        for action in actions {
            match *action {
                Action::Read => self.reading = true,
                Action::Start(worker, revision) => {
                    assert!(self.kept.contains(&revision), "its bundle is not there");
                    assert!(self.starting.is_empty(), "two workers start at once");
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
                Action::GiveUp => {}
            }
        }
    }
}

proptest! {
    #[test]
    fn the_rules_hold_for_every_history(
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
            let was_quarantined = state.summary() == TenantState::Quarantined;
            let is_pause_over = matches!(
                (state.phase, event),
                (Phase::Quarantined { pause }, Event::PauseOver(over)) if pause == over
            );
            let before = state.phase;
            let actions;
            (state, actions) = on_event(state, now, event);
            world.carry_out(&state, &actions);
            // A failed revision is retried without a pause only once, whatever the cause.
            if let (Phase::Starting { revision, .. }, Event::Failed(..)) = (before, event) {
                let again = |action: &Action| matches!(action, Action::Start(_, next) if *next == revision);
                prop_assert!(state.restarts.failures <= 1 || !actions.iter().any(again));
            }

            let starts = actions.iter().any(|action| matches!(action, Action::Start(..)));
            if was_quarantined && starts {
                prop_assert!(
                    is_pause_over || matches!(event, Event::Read(_) | Event::Retry | Event::Restart),
                    "{event:?} started a worker of a quarantined tenant"
                );
            }
                    prop_assert_eq!(state.serving.map(|serving| serving.worker), world.serving);
            prop_assert_eq!(state.draining, world.draining.first().copied());
            prop_assert!(state.restarts.remembered_deaths() <= TOO_MANY_DEATHS);
            // No request waits for a worker that will never come.
            match state.phase {
                Phase::Reading => prop_assert!(world.reading),
                Phase::Starting { worker, revision } => {
                    prop_assert_eq!(&world.starting[..], &[(worker, revision)][..]);
                }
                Phase::Backoff { pause } | Phase::Quarantined { pause } | Phase::Unloadable { pause } => {
                    prop_assert!(world.pauses.iter().any(|(known, _)| *known == pause));
                }
                Phase::Steady => prop_assert!(world.serving.is_some()),
                Phase::Asleep | Phase::Waiting | Phase::Rejected => prop_assert!(world.serving.is_none()),
                Phase::Stopped => {}
            }
        }
        let (state, actions) = on_event(state, now, Event::Stop);
        prop_assert_eq!(actions, []);
        prop_assert!(state.is_stopped());
        prop_assert_eq!(on_event(state.clone(), now, Event::Read(revision(0))), (state, Vec::new()));
    }
}
