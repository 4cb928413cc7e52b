//! Logs a worker's standard error: the output of a policy's `print`, or a panic.

use std::sync::Arc;
use std::time::Instant;

use enforcer_protocol::{RateLimiter, TenantId};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::telemetry::logging::printable;
use crate::telemetry::metrics::{TenantLimit, TenantMetrics};

/// Lines of a worker's standard error that are logged in a second.
const LINES_PER_SECOND: u32 = 32;

/// Bytes of a worker's standard error in one line of the log.
const LINE: usize = 512;

/// How a worker's line about a panic begins.
const PANIC: &str = "panicked at ";

/// Logs until the worker closes its standard error. The text is a tenant's, so it is escaped, cut,
/// and limited in rate.
pub(crate) async fn log(
    tenant_id: TenantId,
    pid: u32,
    metrics: Arc<TenantMetrics>,
    mut stderr: ChildStderr,
) {
    let mut buffer = [0; LINE];
    let mut limiter = RateLimiter::new(LINES_PER_SECOND, LINES_PER_SECOND);
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if !limiter.try_take(1, Instant::now()) {
                continue;
            }
            if line.starts_with(PANIC) {
                warn!(%tenant_id, pid, "worker {}", printable(line));
            } else {
                info!(%tenant_id, pid, "worker says: {}", printable(line));
            }
        }
        let wait = limiter.wait(1, Instant::now());
        if !wait.is_zero() {
            // An honest worker limits itself. One that does not blocks on its pipe, and its output
            // costs no other worker anything.
            metrics.limit_reached(TenantLimit::StderrLines);
            sleep(wait).await;
        }
    }
}
