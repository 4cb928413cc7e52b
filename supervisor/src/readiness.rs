//! Whether clients should be sent to this host.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::tenant::registry::Registry;

/// Whether clients should be sent to this host.
#[derive(Debug, Default)]
pub(crate) struct Readiness(AtomicU8);

impl Readiness {
    const STARTING: u8 = 0;
    const READY: u8 = 1;
    const STOPPING: u8 = 2;

    /// Whether every tenant that was there at the start has been tried once, and the supervisor
    /// does not shut down yet. The result for a tenant does not matter: one bad tenant must not
    /// take a host out of service.
    pub(crate) fn is_ready(&self, registry: &Registry) -> bool {
        match self.0.load(Ordering::Relaxed) {
            Self::STARTING => {
                let is_ready = registry.all().values().all(|tenant| tenant.status.was_tried());
                // Where it fails, another request was first, or the supervisor shuts down.
                let set = |to| {
                    let order = Ordering::Relaxed;
                    self.0
                        .compare_exchange(Self::STARTING, to, order, order)
                        .unwrap_or_else(|now| now)
                };
                is_ready && set(Self::READY) != Self::STOPPING
            }
            state => state == Self::READY,
        }
    }

    /// The supervisor shuts down.
    pub(crate) fn stop(&self) {
        self.0.store(Self::STOPPING, Ordering::Relaxed);
    }
}
