//! Starts a worker and has it load a bundle.

use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::{Diagnostic, DiagnosticCode, SandboxLayer};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::context::Context;
use crate::bundles::Bundle;
use crate::tenant::admission::Tenant;
use crate::tenant::lifecycle::WorkerId;
use crate::tenant::state::Cause;
use crate::worker::connection::Connection;
use crate::worker::exit::{EXIT_GRACE, Exit};
use crate::worker::handshake::{HandshakeError, ReadyConnection, WorkerInfo, accept_handshake};
use crate::worker::spawn::{Order, ProcessHandle};
use crate::worker::stderr;

/// A worker that has loaded its bundle, and does not serve yet.
pub(super) struct Loaded {
    pub(super) worker: WorkerId,
    pub(super) process: ProcessHandle,
    pub(super) connection: ReadyConnection,
    pub(super) info: WorkerInfo,
    pub(super) bundle: Arc<Bundle>,
    /// From starting the process to the bundle being loaded.
    pub(super) took: Duration,
}

/// Why a worker did not start.
pub(super) enum StartError {
    /// The bundle cannot be used, and trying again would not help.
    Refused(String, Vec<Diagnostic>),
    /// Anything else.
    Failed(String, Cause),
}

/// Starts a worker for `tenant` and has it load `bundle`, within the tenant's load timeout.
pub(super) async fn start(
    worker: WorkerId,
    tenant: &Arc<Tenant>,
    context: &Context,
    bundle: &Arc<Bundle>,
) -> Result<Loaded, StartError> {
    let limits = &tenant.limits;
    let deadline = Instant::now() + limits.load_timeout;
    let began = Instant::now();
    let order = Order { tenant_id: tenant.id.clone(), limits: limits.clone(), user: tenant.user() };
    let process = timeout_at(deadline, context.spawner.spawn(order))
        .await
        .map_err(|_| StartError::Failed("the host did not start it in time".into(), Cause::Host))?
        .map_err(|error| StartError::Failed(error.to_string(), Cause::Host))?;
    let is_confined = process.is_confined();
    let (mut process, socket, stderr) = process.into_parts();
    debug!(tenant_id = %tenant.id, pid = process.pid, "worker started; it gets its bundle");
    if let Some(stderr) = stderr {
        let (tenant_id, metrics) = (tenant.id.clone(), Arc::clone(&tenant.metrics));
        let reader = tokio::spawn(stderr::log(tenant_id, process.pid, metrics, stderr));
        process.ends_with(reader.abort_handle());
    }
    let mode = context.sandbox.mode;
    let connection = Connection::new(socket, limits.max_result);
    let handshake = accept_handshake(connection, &tenant.id, limits, mode, bundle);
    let exit = match timeout_at(deadline, handshake).await {
        Ok(Ok((connection, mut info))) => {
            if is_confined {
                info.layers.insert(0, SandboxLayer::Cgroup);
            }
            let (bundle, took) = (Arc::clone(bundle), began.elapsed());
            context.metrics.start_seconds.observe(took.as_secs_f64());
            return Ok(Loaded { worker, process, connection, info, bundle, took });
        }
        Ok(Err(HandshakeError::Rejected(diagnostics))) => {
            process.end(EXIT_GRACE).await;
            let message = diagnostics.first().map_or_else(String::new, Diagnostic::to_string);
            return Err(StartError::Refused(message, diagnostics));
        }
        Ok(Err(HandshakeError::Ended { end, stage })) => Exit::of(&end, stage),
        Ok(Err(error @ HandshakeError::Encode(_))) => Exit::forced(error.to_string(), Cause::Host),
        Err(_) => {
            let millis = limits.load_timeout.as_millis();
            let message = format!("it did not load its bundle within {millis} ms");
            Exit::forced(message, Cause::LoadTimeout)
        }
    };
    let ended = exit.learn(process).await;
    if ended.cause == Cause::Memory {
        // It would be equally large the next time.
        let message =
            format!("the bundle needs more than the tenant's {} bytes of memory", limits.memory);
        let diagnostic = Diagnostic::new(DiagnosticCode::Bundle, message.clone());
        return Err(StartError::Refused(message, vec![diagnostic]));
    }
    Err(StartError::Failed(ended.end, ended.cause))
}
