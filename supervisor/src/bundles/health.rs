//! Whether `BUNDLES_DIR` is monitored, for `/health?plugins` and the dashboard.

use std::sync::atomic::{AtomicU8, Ordering};

/// The reconciler's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReconcilerState {
    /// It sees `BUNDLES_DIR`.
    Running,
    /// `BUNDLES_DIR` cannot be read; tenants keep their revisions.
    Unreadable,
    /// It ended by itself, which is a bug; tenants keep their revisions.
    Ended,
}

/// The state of the reconciler, for others to read.
#[derive(Debug, Default)]
pub(crate) struct BundlesHealth(AtomicU8);

impl BundlesHealth {
    pub(crate) fn set(&self, state: ReconcilerState) {
        self.0.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> ReconcilerState {
        match self.0.load(Ordering::Relaxed) {
            0 => ReconcilerState::Running,
            1 => ReconcilerState::Unreadable,
            _ => ReconcilerState::Ended,
        }
    }
}
