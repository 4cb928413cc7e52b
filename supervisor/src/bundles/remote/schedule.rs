//! When a bundle is asked for again. Decided purely: the poller waits and asks.

use std::time::Duration;

use crate::config::Polling;

/// The first pause after a failure. OPA asks again at once, then after this.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// By how much each pause after a failure is longer than the one before, as in OPA.
const BACKOFF_FACTOR: f64 = 1.6;

/// The part of a pause after a failure by which it is longer or shorter, as in OPA: servers that
/// come back are not asked by all at once.
const BACKOFF_JITTER: f64 = 0.2;

/// Failures that are counted. The pause has its maximum long before.
const COUNTED_FAILURES: u32 = 64;

/// From one long poll to the next, at least: a server that answers at once is not asked in a loop.
const LONG_POLL_SPACING: Duration = Duration::from_secs(1);

/// How the next request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The server answers at once.
    Polling,
    /// The server may wait until it has another bundle.
    LongPolling,
}

/// When to ask the server again, from its answers so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    mode: Mode,
    /// In a row.
    failures: u32,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With a bundle, and whether the server said that it can wait.
    Bundle {
        can_wait: bool,
    },
    NotModified,
    Failed,
}

impl Schedule {
    /// Before the first request, which is made at once. A server can wait until it says otherwise.
    pub(super) fn new(polling: &Polling) -> Self {
        let mode = if polling.long_polling.is_some() { Mode::LongPolling } else { Mode::Polling };
        Self { mode, failures: 0 }
    }

    /// How the next request is made. The one after a failure is not to wait.
    pub(super) const fn mode(&self) -> Mode {
        if self.failures > 0 { Mode::Polling } else { self.mode }
    }

    /// After a request that took so long: what is known now, and the pause before the next one.
    /// `random` is from 0 to 1.
    pub(super) fn after(
        self,
        outcome: Outcome,
        polling: &Polling,
        took: Duration,
        random: f64,
    ) -> (Self, Duration) {
        let random = random.clamp(0.0, 1.0);
        let mode = match outcome {
            Outcome::Failed => {
                let failures = self.failures.saturating_add(1).min(COUNTED_FAILURES);
                let factor = BACKOFF_FACTOR.powi(i32::try_from(failures - 1).unwrap_or(i32::MAX));
                let grown = FIRST_RETRY.as_secs_f64() * factor;
                let pause = grown.min(polling.max_delay.as_secs_f64());
                let jitter = 1.0 + BACKOFF_JITTER * (random * 2.0 - 1.0);
                let pause =
                    Duration::try_from_secs_f64(pause * jitter).unwrap_or(polling.max_delay);
                return (Self { failures, ..self }, pause);
            }
            Outcome::Bundle { can_wait: true } if polling.long_polling.is_some() => {
                Mode::LongPolling
            }
            Outcome::Bundle { .. } => Mode::Polling,
            Outcome::NotModified => self.mode,
        };
        let pause = match mode {
            Mode::LongPolling => LONG_POLL_SPACING.saturating_sub(took),
            Mode::Polling => {
                polling.min_delay
                    + polling.max_delay.saturating_sub(polling.min_delay).mul_f64(random)
            }
        };
        (Self { mode, failures: 0 }, pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn polling(long: Option<Duration>) -> Polling {
        Polling { min_delay: 30 * SECOND, max_delay: 60 * SECOND, long_polling: long }
    }

    fn after(
        schedule: Schedule,
        outcome: Outcome,
        polling: &Polling,
        random: f64,
    ) -> (Schedule, Duration) {
        schedule.after(outcome, polling, Duration::ZERO, random)
    }

    #[test]
    fn a_pause_after_an_answer_is_between_the_two_delays() {
        let polling = polling(None);
        let new = Schedule::new(&polling);
        for outcome in [Outcome::NotModified, Outcome::Bundle { can_wait: true }] {
            for (random, seconds) in [(0.0, 30), (0.5, 45), (1.0, 60)] {
                let (next, pause) = after(new, outcome, &polling, random);
                assert_eq!((next.mode(), pause), (Mode::Polling, seconds * SECOND));
            }
        }
    }

    #[test]
    fn pauses_after_failures_grow_to_the_longest_delay_and_begin_again_after_an_answer() {
        let polling = polling(None);
        let mut schedule = Schedule::new(&polling);
        let mut last = Duration::ZERO;
        for _ in 0..200 {
            let (next, pause) = after(schedule, Outcome::Failed, &polling, 0.5);
            assert!(pause >= last && pause <= polling.max_delay, "{pause:?} after {last:?}");
            (schedule, last) = (next, pause);
        }
        assert_eq!(last, polling.max_delay);
        for (random, percent) in [(0.0, 80), (1.0, 120)] {
            let (_, pause) = after(schedule, Outcome::Failed, &polling, random);
            assert_eq!(pause, polling.max_delay * percent / 100);
        }
        let (schedule, _) = after(schedule, Outcome::NotModified, &polling, 0.5);
        let (_, pause) = after(schedule, Outcome::Failed, &polling, 0.5);
        assert_eq!(pause, FIRST_RETRY);
    }

    #[test]
    fn a_server_is_asked_to_wait_only_where_both_want_it() {
        let polling = polling(Some(10 * SECOND));
        let new = Schedule::new(&polling);
        assert_eq!(new.mode(), Mode::LongPolling);
        let (cannot, pause) = after(new, Outcome::Bundle { can_wait: false }, &polling, 0.0);
        assert_eq!((cannot.mode(), pause), (Mode::Polling, polling.min_delay));
        let (can, _) = after(cannot, Outcome::Bundle { can_wait: true }, &polling, 0.0);
        assert_eq!(can.mode(), Mode::LongPolling);
        let (failed, _) = after(can, Outcome::Failed, &polling, 0.0);
        assert_eq!(failed.mode(), Mode::Polling);
        let (again, _) = after(failed, Outcome::NotModified, &polling, 0.0);
        assert_eq!(again.mode(), Mode::LongPolling);
    }

    #[test]
    fn a_server_that_answers_long_polls_at_once_is_not_asked_in_a_loop() {
        let polling = polling(Some(10 * SECOND));
        let new = Schedule::new(&polling);
        for (took, pause) in [(0, 1), (1, 0), (10, 0)] {
            let (_, next) = new.after(Outcome::NotModified, &polling, took * SECOND, 0.5);
            assert_eq!(next, pause * SECOND);
        }
    }
}
