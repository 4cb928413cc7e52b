//! The sandbox layers that this host offers, found out by starting a worker that tries all of them.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use enforcer_protocol::{FromWorker, MissingLayer, PROTOCOL_VERSION, SandboxLayer, SandboxMode};
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::context::SandboxContext;
use super::users::{UserLease, Users};
use crate::config::{SandboxConfig, TenantLimits};
use crate::telemetry::logging::printable;
use crate::worker::connection::Connection;
use crate::worker::spawn::{Order, spawn};

/// How long a worker that reports its layers may take for it.
const REPORT_TIME: Duration = Duration::from_secs(10);

/// How long such a worker may take to end, once it has reported.
const END_TIME: Duration = Duration::from_millis(500);

/// Bytes of its standard error that are shown where it did not report.
const LAST_LINES: usize = 1024;

/// The tenant of a worker that reports its layers. No bundle is ever sent to it.
const REPORT_TENANT: &str = "sandbox-report";

/// Prepares the sandbox, and tries it. If a worker cannot switch users although the checks passed,
/// workers run without that layer, unless the configuration requires it.
///
/// # Errors
/// Those of [`SandboxContext::prepare`], and when it cannot be tried.
pub(crate) async fn prepare_and_try(
    config: &SandboxConfig,
    limits: &TenantLimits,
) -> io::Result<(SandboxContext, SandboxReport)> {
    let mut context = SandboxContext::prepare(config)?;
    let mut tried = report(&context, limits).await?;
    let is_user_refused = tried.lacks(SandboxLayer::TenantUser);
    if let Some(reason) = is_user_refused.filter(|_| context.are_users_optional) {
        context.users = None;
        context.missing.push(MissingLayer { layer: SandboxLayer::TenantUser, reason });
        tried = report(&context, limits).await?;
    }
    Ok((context, tried))
}

/// The sandbox layers of this host.
#[derive(Debug, Serialize)]
pub struct SandboxReport {
    /// Whether a worker may serve here: every mandatory layer is in force.
    pub is_strict: bool,
    /// Every layer.
    pub layers: Vec<LayerReport>,
}

/// One layer of the sandbox on this host.
#[derive(Debug, Serialize)]
pub struct LayerReport {
    /// Which.
    pub layer: SandboxLayer,
    /// Whether it is mandatory for a worker that serves.
    pub is_mandatory: bool,
    /// Whether it was put in force.
    pub is_in_force: bool,
    /// Why not, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl SandboxReport {
    /// `needed` are the layers that are required besides the mandatory ones.
    fn new(
        in_force: &[SandboxLayer],
        missing: &[&MissingLayer],
        needed: Option<SandboxLayer>,
    ) -> Self {
        let mut lacking = SandboxLayer::lacking_in(in_force);
        lacking.extend(needed.filter(|layer| !in_force.contains(layer)));
        let layers = SandboxLayer::ALL.iter().map(|layer| {
            let is_in_force = in_force.contains(layer);
            // The supervisor's own reason comes first: it is more precise.
            let reason = missing.iter().find(|missing| missing.layer == *layer);
            LayerReport {
                layer: *layer,
                is_mandatory: layer.is_mandatory()
                    || needed == Some(*layer)
                    || lacking.contains(layer),
                is_in_force,
                reason: reason.filter(|_| !is_in_force).map(|missing| missing.reason.clone()),
            }
        });
        Self { is_strict: lacking.is_empty(), layers: layers.collect() }
    }

    /// Why a mandatory layer is not in force; `None` if it is, or if it is optional.
    fn lacks(&self, layer: SandboxLayer) -> Option<String> {
        let lacking = self
            .layers
            .iter()
            .find(|report| report.layer == layer && report.is_mandatory && !report.is_in_force);
        lacking.map(|report| report.reason.clone().unwrap_or_default())
    }

    /// The mandatory layers that this host lacks, with their reasons.
    pub(crate) fn lacking(&self) -> String {
        let lacking = self.layers.iter().filter(|layer| layer.is_mandatory && !layer.is_in_force);
        let words = lacking.map(|LayerReport { layer, reason, .. }| {
            format!("{layer} ({})", reason.as_deref().unwrap_or("for no known reason"))
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// Logs the layers that workers run without.
    pub(crate) fn log(&self) {
        for LayerReport { layer, reason, .. } in
            self.layers.iter().filter(|layer| !layer.is_in_force)
        {
            let reason = reason.as_deref().unwrap_or_default();
            info!(layer = layer.name(), "sandbox layer not in force: {}", printable(reason));
        }
    }
}

/// Starts a worker that closes its sandbox as others will, reports its layers, and ends.
///
/// # Errors
/// When the host cannot start the process, or the process does not report its layers.
async fn report(context: &SandboxContext, limits: &TenantLimits) -> io::Result<SandboxReport> {
    let tenant_id = REPORT_TENANT.parse().map_err(io::Error::other)?;
    let lease = context.users.as_ref().and_then(Users::lease);
    let user = lease.as_ref().map(UserLease::id);
    let order = Order { tenant_id, limits: limits.clone(), user };
    let process = spawn(context, SandboxMode::Report, &TaskTracker::new(), &order)?;
    let is_confined = process.is_confined();
    let (process, socket, stderr) = process.into_parts();
    let hello = timeout(REPORT_TIME, Connection::new(socket, 0).next_frame()).await;
    let end = process.end(END_TIME).await;
    match hello {
        Ok(Ok(FromWorker::Hello { version: PROTOCOL_VERSION, mut layers, missing })) => {
            if is_confined {
                layers.push(SandboxLayer::Cgroup);
            }
            let missing: Vec<_> = context.missing.iter().chain(&missing).collect();
            // A worker with a user of its own serves as that user or not at all.
            let needed = order.user.map(|_| SandboxLayer::TenantUser);
            Ok(SandboxReport::new(&layers, &missing, needed))
        }
        _ => {
            let words = last_lines(stderr).await;
            let why = format!("the worker did not report its layers: {:?}: {words}", end.status);
            Err(io::Error::other(why))
        }
    }
}

/// The standard error of a process that has ended.
async fn last_lines(stderr: Option<ChildStderr>) -> String {
    let mut words = BytesMut::with_capacity(LAST_LINES);
    if let Some(mut stderr) = stderr {
        // Reading a pipe whose other end is closed does not wait; the pipe may be empty.
        let _ = timeout(END_TIME, stderr.read_buf(&mut words)).await;
    }
    printable(&String::from_utf8_lossy(&words)).to_string()
}

impl SandboxReport {
    /// The report for machines.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl fmt::Display for SandboxReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<22} {:<10} {:<9} why not", "layer", "needed", "in force")?;
        for LayerReport { layer, is_mandatory, is_in_force, reason } in &self.layers {
            let needed = if *is_mandatory { "always" } else { "if it can" };
            let in_force = if *is_in_force { "yes" } else { "no" };
            let reason = reason.as_deref().unwrap_or_default();
            let line = format!("{:<22} {needed:<10} {in_force:<9} {reason}", layer.name());
            writeln!(formatter, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
