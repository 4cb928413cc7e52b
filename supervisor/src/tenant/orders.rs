//! Orders of operators about one tenant. Its controller carries them out.

use tokio::sync::Notify;

/// Orders that wait to be carried out. Two of the same kind are one.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// The bundle is to be read and tried again.
    pub(crate) reload: Notify,
    /// The bundle is to be downloaded now, where it is remote.
    pub(crate) download: Notify,
    /// A fresh worker is to replace the one that serves.
    pub(crate) restart: Notify,
    /// The next worker is to be tried now, without a pause.
    pub(crate) release: Notify,
}

impl Orders {
    /// Has the bundle downloaded, read and tried again, also where nothing has changed.
    pub(crate) fn reload(&self) {
        self.download.notify_one();
        self.reload.notify_one();
    }

    /// Has a fresh worker take over from the one that serves, which finishes its requests.
    pub(crate) fn restart(&self) {
        self.restart.notify_one();
    }

    /// Has the next worker tried now: the end of a quarantine or of a pause.
    pub(crate) fn release(&self) {
        self.release.notify_one();
    }
}
