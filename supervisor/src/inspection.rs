//! Inspections: questions about a bundle that a worker of their own answers, in the same sandbox as
//! one that serves. So a long explanation delays no decision, and an ad-hoc query that goes wrong
//! ends nothing but its own worker.

use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::{Findings, Inspection, MAX_RESULT, Revision, SandboxMode, TenantId};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::bundles::Bundle;
use crate::config::TenantLimits;
use crate::telemetry::metrics::{HostLimit, HostMetrics, TenantLimit};
use crate::tenant::admission::Tenant;
use crate::tenant::state::Cause;
use crate::worker::connection::Connection;
use crate::worker::exit::{EXIT_GRACE, Exit};
use crate::worker::handshake::{HandshakeError, Question, inspect};
use crate::worker::spawn::{Order, Process, Spawner};

/// Inspections of all tenants at once. Each takes a processor.
const AT_ONCE: usize = 2;

/// How long an inspection waits for its turn.
const TURN: Duration = Duration::from_secs(2);

/// How long loading the bundle and answering may take, beyond the tenant's load timeout.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Why an inspection has no findings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectionError {
    /// No revision serves.
    #[error("the tenant has no usable policy")]
    NoBundle,
    /// Too many inspections, of this tenant or of all.
    #[error("too many explanations and queries were asked for; try again")]
    TooMany,
    /// The host cannot start a worker.
    #[error("no worker can be started: {0}")]
    Host(String),
    /// The worker did not answer in time.
    #[error("the worker did not answer in time")]
    TimedOut,
    /// The bundle or the question needs too much memory.
    #[error("the tenant's memory limit was reached")]
    Memory,
    /// The worker ended, or broke the protocol.
    #[error("the worker ended before it answered: {0}")]
    Ended(String),
}

/// Inspects the bundles of tenants that are served.
#[derive(Debug)]
pub(crate) struct Inspector {
    spawner: Spawner,
    mode: SandboxMode,
    metrics: Arc<HostMetrics>,
    turns: Semaphore,
}

impl Inspector {
    pub(crate) fn new(spawner: Spawner, mode: SandboxMode, metrics: Arc<HostMetrics>) -> Self {
        Self { spawner, mode, metrics, turns: Semaphore::new(AT_ONCE) }
    }

    /// Asks about the bundle that serves a tenant. The revision is the one of the bundle that was
    /// asked about: another may serve by the time of the answer.
    ///
    /// # Errors
    /// When there are no findings.
    pub(crate) async fn inspect(
        &self,
        tenant: &Tenant,
        inspection: Inspection,
        body: &[u8],
    ) -> Result<(Findings, Revision), InspectionError> {
        let bundle = tenant.bundle().ok_or(InspectionError::NoBundle)?;
        if !tenant.may_inspect() {
            return Err(InspectionError::TooMany);
        }
        let turn = timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            self.metrics.limit_reached(HostLimit::Inspections);
            return Err(InspectionError::TooMany);
        };
        let order = Order {
            tenant_id: tenant.id.clone(),
            limits: tenant.limits.clone(),
            user: tenant.user(),
        };
        let process = self.spawner.spawn(order).await.map_err(host)?;
        let subject = Subject {
            tenant_id: &tenant.id,
            limits: &tenant.limits,
            bundle: &bundle,
            answer_time: ANSWER_TIME,
        };
        let answer = subject.ask(process, self.mode, inspection, body).await;
        if matches!(answer, Err(InspectionError::TimedOut)) {
            tenant.metrics.limit_reached(TenantLimit::InspectionTime);
        }
        answer.map(|findings| (findings, bundle.revision))
    }
}

/// A bundle to ask about.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) tenant_id: &'a TenantId,
    pub(crate) limits: &'a TenantLimits,
    pub(crate) bundle: &'a Bundle,
    /// How long the answer may take, beyond the load timeout.
    pub(crate) answer_time: Duration,
}

impl Subject<'_> {
    /// Asks a worker that was just started, and ends it.
    ///
    /// # Errors
    /// When there are no findings.
    pub(crate) async fn ask(
        &self,
        process: Process,
        mode: SandboxMode,
        inspection: Inspection,
        body: &[u8],
    ) -> Result<Findings, InspectionError> {
        let (process, socket, printed) = process.into_parts();
        // Not read: the findings have what the policy prints. It is kept open until the end, so that
        // writing to it is no error.
        let _unread = printed;
        let deadline = Instant::now() + self.limits.load_timeout + self.answer_time;
        let question = Question { inspection, deadline, body };
        let connection = Connection::new(socket, MAX_RESULT);
        let asked = inspect(connection, self.tenant_id, self.limits, mode, self.bundle, question);
        match timeout_at(deadline, asked).await {
            Ok(Ok(findings)) => {
                process.end(EXIT_GRACE).await;
                Ok(findings)
            }
            Ok(Err(HandshakeError::Ended { end, stage })) => {
                let ended = Exit::of(&end, stage).learn(process).await;
                Err(match ended.cause {
                    Cause::Memory => InspectionError::Memory,
                    Cause::Host => InspectionError::Host(ended.end),
                    _ => InspectionError::Ended(ended.end),
                })
            }
            Ok(Err(error)) => Err(InspectionError::Ended(error.to_string())),
            // Its process is killed by being dropped.
            Err(_) => Err(InspectionError::TimedOut),
        }
    }
}

fn host(error: std::io::Error) -> InspectionError {
    InspectionError::Host(error.to_string())
}
