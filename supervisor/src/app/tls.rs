//! Keeps the server's certificates as their files are.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::telemetry::metrics::HostMetrics;
use crate::tls::server::{FileWatch, ServerTls};

/// Reads the files again when they changed, or when `reload` says so, until `stop`. A set that cannot
/// be used leaves the one from before.
pub(super) async fn keep_current(
    tls: Arc<ServerTls>,
    metrics: Arc<HostMetrics>,
    reload: Arc<Notify>,
    stop: CancellationToken,
) {
    metrics.tls.set_ends(tls.current().loaded.ends.clone());
    let mut watch = FileWatch::new(&tls);
    let mut looks = interval(FileWatch::INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_asked = tokio::select! {
            () = stop.cancelled() => return,
            () = reload.notified() => true,
            _ = looks.tick() => false,
        };
        let tls = Arc::clone(&tls);
        let read = spawn_blocking(move || {
            let is_due = watch.is_due(&tls) || is_asked;
            let outcome = is_due.then(|| tls.reload().map(|()| tls.current()));
            (watch, outcome)
        });
        // The runtime ends.
        let Ok((kept, outcome)) = read.await else { return };
        watch = kept;
        match outcome {
            None => {}
            Some(Ok(generation)) => {
                metrics.tls.set_ends(generation.loaded.ends.clone());
                info!("TLS: certificates, keys and lists of revoked certificates were read again");
            }
            Some(Err(error)) => {
                metrics.tls.reload_failures.inc();
                error!(
                    "TLS: the files that changed cannot be used, and those from before stay until they are repaired: {error}"
                );
            }
        }
    }
}
