//! A controller's environment: the state that it shares with the others, and its instructions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use enforcer_protocol::Revision;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::bundles::source::Source;
use crate::config::BundleVerification;
use crate::isolation::context::SandboxContext;
use crate::telemetry::metrics::HostMetrics;
use crate::worker::spawn::Spawner;

/// The state that all controllers share.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) spawner: Spawner,
    pub(crate) sandbox: Arc<SandboxContext>,
    pub(crate) metrics: Arc<HostMetrics>,
    /// One permit is one large bundle that is read; see [`super::loader::LARGE_READERS`].
    pub(crate) large_readers: Arc<Semaphore>,
    /// The runtime on which files are read.
    pub(crate) loading: Handle,
    /// The supervisor ends.
    pub(crate) stop: CancellationToken,
}

/// Where a tenant's bundle is, and what it needs to be accepted.
#[derive(Clone, Debug)]
pub(crate) struct BundleSource {
    pub(crate) source: Source,
    pub(crate) verification: Arc<BundleVerification>,
}

/// What has become of a bundle that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A worker has loaded it and serves.
    Serves(Revision),
    /// It is refused.
    Refused(Revision),
}

/// The instructions to one tenant's controller.
#[derive(Debug)]
pub(crate) struct ControlSignals {
    /// The bundle may have changed.
    pub(crate) look: Notify,
    /// The tenant was removed, or the supervisor ends.
    pub(crate) stop: CancellationToken,
    /// The fingerprint of the files that were read last; 0 before that.
    read_fingerprint: AtomicU64,
    /// What the controller has decided last.
    verdict: watch::Sender<Option<Verdict>>,
}

impl ControlSignals {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            look: Notify::new(),
            stop: context.stop.child_token(),
            read_fingerprint: AtomicU64::new(0),
            verdict: watch::Sender::new(None),
        }
    }

    /// What the controller decides from now on.
    pub(crate) fn verdicts(&self) -> watch::Receiver<Option<Verdict>> {
        self.verdict.subscribe()
    }

    pub(super) fn set_verdict(&self, verdict: Option<Verdict>) {
        self.verdict.send_if_modified(|before| std::mem::replace(before, verdict) != verdict);
    }

    /// The bundle has this fingerprint now. Makes the controller look if it has read another.
    pub(crate) fn look_if_changed(&self, fingerprint: u64) {
        if self.read_fingerprint.load(Ordering::Relaxed) != fingerprint {
            self.look.notify_one();
        }
    }

    pub(super) fn set_read(&self, fingerprint: Option<u64>) {
        self.read_fingerprint.store(fingerprint.unwrap_or(0), Ordering::Relaxed);
    }
}
