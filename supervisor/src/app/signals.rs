//! The signals that the supervisor handles.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::{SupervisorError, host};

/// A signal's request.
pub(super) enum SignalEvent {
    /// To end; with the signal's name.
    End(&'static str),
    /// To read everything again.
    Reload,
}

/// See the module.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, SupervisorError> {
        let listen = |kind| signal(kind).map_err(host("signal handlers cannot be installed"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> SignalEvent {
        tokio::select! {
            _ = self.terminate.recv() => SignalEvent::End("SIGTERM"),
            _ = self.interrupt.recv() => SignalEvent::End("SIGINT"),
            _ = self.hangup.recv() => SignalEvent::Reload,
        }
    }
}
