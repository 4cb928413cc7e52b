//! The restart policy: a tenant's backoff after failures, and when they are too many.

use std::time::Duration;

use crate::tenant::state::Cause;

/// Pause before the second restart; the first is immediate.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Requests wait for the end of a pause up to this long, within their deadlines. During a longer
/// pause they are refused at once.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause between restarts.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a worker must have served until earlier failures are forgotten.
pub(crate) const STABLE: Duration = Duration::from_secs(10);

/// This many deaths of workers within [`DEATH_WINDOW`] are too many.
pub(super) const TOO_MANY_DEATHS: usize = 5;

/// See [`TOO_MANY_DEATHS`].
pub(super) const DEATH_WINDOW: Duration = Duration::from_secs(30);

/// How often a candidate that kills its workers before they serve is tried while the previous
/// revision serves. After that it is tried as rarely as a tenant in quarantine.
pub(super) const CANDIDATE_ATTEMPTS: u32 = 5;

/// How long a quarantine lasts before one worker is tried.
pub(super) const FIRST_QUARANTINE: Duration = Duration::from_secs(30);

/// Longest quarantine; each is twice the one before.
const LONGEST_QUARANTINE: Duration = Duration::from_secs(600);

/// A tenant's failures so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RestartPolicy {
    /// Failures one after another.
    pub(super) failures: u32,
    /// Workers one after another that did not start through the tenant's own fault.
    failed_starts: u32,
    /// When workers died, at most [`TOO_MANY_DEATHS`] of them.
    deaths: Vec<Duration>,
    quarantines: u32,
    probation: Probation,
}

/// Whether the worker that serves, or starts, is the one that is tried after a quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Probation {
    #[default]
    No,
    Yes,
}

impl RestartPolicy {
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Forgets earlier failures if the worker that ended had served for long enough.
    pub(super) fn reset_if_stable(&mut self, served: Duration) {
        if served >= STABLE {
            self.reset();
        }
    }

    pub(super) const fn count_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Counts a worker that did not start; returns the number that counts against its tenant.
    pub(super) fn count_failed_start(&mut self, cause: Cause) -> u32 {
        let failure = u32::from(cause.is_tenant_fault());
        self.failed_starts = self.failed_starts.saturating_add(failure);
        failure
    }

    pub(super) const fn started_well(&mut self) {
        self.failed_starts = 0;
    }

    pub(super) fn remember_death(&mut self, now: Duration, cause: Cause) {
        if cause.is_tenant_fault() {
            self.deaths.retain(|death| now.saturating_sub(*death) < DEATH_WINDOW);
            if self.deaths.len() == TOO_MANY_DEATHS {
                self.deaths.remove(0);
            }
            self.deaths.push(now);
        }
    }

    /// Whether nothing failed but the one worker that has just ended.
    pub(super) fn is_first_failure(&self) -> bool {
        self.failures == 0 && self.deaths.len() <= 1
    }

    /// Whether the failures are enough for a quarantine.
    pub(super) fn is_enough(&self, cause: Cause) -> bool {
        // Workers that take long to fail may be as many, but never so close together.
        let failed_starts = usize::try_from(self.failed_starts).unwrap_or(usize::MAX);
        let is_often = self.deaths.len().max(failed_starts) >= TOO_MANY_DEATHS;
        cause.is_sign_of_compromise() || self.probation == Probation::Yes || is_often
    }

    /// Whether the next restart waits for a pause. A first failure does not: it is no pattern yet,
    /// and requests wait.
    pub(super) const fn has_pause(&self) -> bool {
        self.failures > 1
    }

    /// How long the pause is after this many failures.
    pub(super) fn pause(&self) -> Duration {
        doubled(FIRST_PAUSE, self.failures.saturating_sub(2), LONGEST_PAUSE)
    }

    /// Whether requests wait for the end of the pause.
    pub(super) fn is_pause_short(&self) -> bool {
        self.pause() <= SHORT_PAUSE
    }

    /// Begins a quarantine, or a pause as long as one; returns its length.
    pub(super) fn begin_quarantine(&mut self) -> Duration {
        let length = doubled(FIRST_QUARANTINE, self.quarantines, LONGEST_QUARANTINE);
        self.quarantines = self.quarantines.saturating_add(1);
        self.deaths.clear();
        length
    }

    /// The failures so far led to the quarantine that has begun.
    pub(super) const fn start_over(&mut self) {
        self.failures = 0;
        self.failed_starts = 0;
    }

    /// A quarantine is over, and one worker is tried.
    pub(super) const fn begin_probation(&mut self) {
        self.probation = Probation::Yes;
    }

    #[cfg(test)]
    pub(super) const fn remembered_deaths(&self) -> usize {
        self.deaths.len()
    }
}

/// `first`, doubled `doublings` times, at most `longest`.
fn doubled(first: Duration, doublings: u32, longest: Duration) -> Duration {
    let factor = 1_u32.checked_shl(doublings.min(31)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}
