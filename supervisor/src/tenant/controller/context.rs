//! A controller's environment: the state that it shares with the others, and its instructions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
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

/// The instructions to one tenant's controller.
#[derive(Debug)]
pub(crate) struct ControlSignals {
    /// The bundle may have changed.
    pub(crate) look: Notify,
    /// An operator asks for all bundles to be read and tried again.
    pub(crate) reload: Notify,
    /// The tenant was removed, or the supervisor ends.
    pub(crate) stop: CancellationToken,
    /// The fingerprint of the files that were read last; 0 before that.
    read_fingerprint: AtomicU64,
}

impl ControlSignals {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            look: Notify::new(),
            reload: Notify::new(),
            stop: context.stop.child_token(),
            read_fingerprint: AtomicU64::new(0),
        }
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
