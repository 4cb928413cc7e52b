//! Publishes a tenant's changes: its status, one line of the log, and the stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use enforcer_protocol::{Diagnostic, Revision};
use tracing::{debug, error, info, warn};

use crate::clock::rfc3339;
use crate::stream::Change;
use crate::telemetry::logging::printable;
use crate::telemetry::metrics::BundleLoad;
use crate::tenant::admission::Tenant;
use crate::tenant::state::{Cause, TenantState};
use crate::tenant::status::{ErrorSource, Publication, RELEASE};

/// See the module.
pub(super) struct Publisher {
    tenant: Arc<Tenant>,
}

/// A worker that failed.
pub(super) struct WorkerFailure<'a> {
    pub(super) pid: Option<u32>,
    pub(super) cause: Cause,
    /// The failure, in words.
    pub(super) reason: &'a str,
}

/// A worker that begins to serve.
pub(super) struct Served<'a> {
    pub(super) pid: u32,
    pub(super) revision: Revision,
    pub(super) took: Duration,
    pub(super) evaluator: &'static str,
    pub(super) interpreted_because: Option<&'a str>,
    pub(super) served_before: ServedBefore,
}

/// The revision that served before a worker began to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServedBefore {
    Nothing,
    SameRevision,
    AnotherRevision,
}

impl Publisher {
    pub(super) const fn new(tenant: Arc<Tenant>) -> Self {
        Self { tenant }
    }

    /// Publishes the tenant's state. A worker's end or a rejected bundle is logged by its own
    /// function and not here.
    pub(super) fn publish(&self, publication: Publication) {
        let reason = publication.reason.clone();
        let Some(transition) = self.tenant.status.publish(publication) else { return };
        let tenant_id = &self.tenant.id;
        let (from, to) = (transition.from.name(), transition.to.name());
        match transition.to {
            TenantState::Asleep => {
                info!(%tenant_id, from, "tenant is asleep until its next request: {}", printable(&reason));
                self.tenant.tell(Change::Asleep, reason, Vec::new());
            }
            TenantState::Waiting => {
                info!(%tenant_id, "tenant is waiting for a policy: {}", printable(&reason));
                self.tenant.tell(Change::Waiting, reason, Vec::new());
            }
            TenantState::Quarantined => {
                self.tenant.metrics.quarantines.fetch_add(1, Ordering::Relaxed);
            }
            TenantState::Starting
            | TenantState::Ready
            | TenantState::Failing
            | TenantState::Rejected
            | TenantState::Backoff
            | TenantState::Stopped => {
                debug!(%tenant_id, from, to, "tenant is {to}: {}", printable(&reason));
            }
        }
    }

    /// A worker ended unexpectedly, or did not start, and the resulting state was published.
    pub(super) fn worker_failed(&self, failure: &WorkerFailure<'_>) {
        let WorkerFailure { pid, cause, reason } = *failure;
        let tenant_id = &self.tenant.id;
        let status = self.tenant.status.status();
        let (state, cause) = (status.state.name(), cause.name());
        let message = printable(reason);
        let changes: &[Change] = match (status.state, &status.quarantine) {
            (TenantState::Quarantined, Some(quarantine)) => {
                let until = rfc3339(quarantine.until);
                error!(
                    %tenant_id, pid, cause, state, until,
                    "tenant quarantined: {message}; the next worker is tried at {until}; to try one now, {RELEASE}"
                );
                &[Change::Crashed, Change::Quarantined]
            }
            // The rejection of its bundle says the same.
            (TenantState::Rejected, Some(_)) => &[Change::Crashed],
            _ => {
                warn!(%tenant_id, pid, cause, state, "{message}");
                &[Change::Crashed]
            }
        };
        for change in changes {
            self.tenant.tell(*change, reason.to_owned(), Vec::new());
        }
    }

    /// A worker serves.
    pub(super) fn serving(&self, served: &Served<'_>) {
        let Served { pid, revision, evaluator, interpreted_because, .. } = *served;
        let tenant_id = &self.tenant.id;
        let (words, change) = match served.served_before {
            ServedBefore::Nothing => ("tenant is ready", Change::Ready),
            ServedBefore::SameRevision => ("tenant is ready again", Change::Ready),
            ServedBefore::AnotherRevision => ("bundle reloaded", Change::Reloaded),
        };
        if served.served_before != ServedBefore::SameRevision {
            self.tenant.metrics.bundle_load(BundleLoad::Loaded);
            self.tenant.status.clear_error(ErrorSource::Bundle);
        }
        // Rounded to the significant digits.
        let milliseconds = (served.took.as_secs_f64() * 1e6).round() / 1e3;
        let interpreted_because = interpreted_because.map(|why| printable(why).to_string());
        info!(%tenant_id, pid, %revision, evaluator, interpreted_because, milliseconds, "{words}");
        let message = format!("a worker serves, {milliseconds} ms after it was started");
        self.tenant.tell(change, message, Vec::new());
    }

    /// The bundle cannot be used.
    pub(super) fn rejected(&self, message: &str, diagnostics: &[Diagnostic]) {
        let tenant_id = &self.tenant.id;
        for diagnostic in diagnostics.iter().take_while(|_| self.tenant.may_log_failure()) {
            let place = diagnostic.location.as_ref();
            error!(
                %tenant_id,
                code = diagnostic.code.as_str(),
                file = place.map(|place| place.file.as_str()),
                row = place.map(|place| place.row),
                col = place.map(|place| place.col),
                line = diagnostic.line.as_deref().map(|line| printable(line).to_string()),
                help = diagnostic.help.as_deref().map(|help| printable(help).to_string()),
                "bundle rejected: {}",
                printable(&diagnostic.message)
            );
        }
        self.tenant.metrics.bundle_load(BundleLoad::Rejected);
        self.tenant.status.record_error(ErrorSource::Bundle, message, diagnostics);
    }

    /// The bundle could not be read because of a temporary error.
    pub(super) fn unreadable(&self, message: &str) {
        warn!(
            tenant_id = %self.tenant.id,
            "the bundle could not be read and is read again: {}",
            printable(message)
        );
        self.tenant.metrics.bundle_load(BundleLoad::Failed);
        self.tenant.status.record_error(ErrorSource::Reading, message, &[]);
    }
}
