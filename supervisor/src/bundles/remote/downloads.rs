//! The resources that all downloads share: their threads, and the number of requests at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::config::Service;
use crate::outbound::client::Client;
use crate::telemetry::metrics::OpenGauge;

/// Requests for bundles at once, of all tenants. A server that waits for another bundle is not
/// counted while it waits: each tenant has one such connection.
const MAX_REQUESTS: usize = 32;

/// Requests at once to one service, so that the tenants of a service that hangs do not keep those of
/// others waiting.
const MAX_REQUESTS_OF_A_SERVICE: usize = 6;

/// See the module.
#[derive(Debug)]
pub(crate) struct Downloads {
    /// Whose threads give way to those that decide.
    pub(crate) runtime: Handle,
    /// The bundle cache.
    pub(crate) cache: PathBuf,
    /// The runtime on which files are read and written.
    files: Handle,
    all: Arc<Semaphore>,
    services: Mutex<BTreeMap<String, Arc<Access>>>,
    active: Gauge,
}

/// One service, and the requests to it.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) client: Client,
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
    active: Gauge,
}

/// A request that is made.
#[derive(Debug)]
pub(super) struct Permit {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
    _counted: OpenGauge,
}

impl Downloads {
    /// On these runtimes; `active` shows the requests that are made.
    pub(crate) fn new(runtime: Handle, files: Handle, cache: PathBuf, active: Gauge) -> Self {
        let all = Arc::new(Semaphore::new(MAX_REQUESTS));
        Self { runtime, cache, files, all, services: Mutex::default(), active }
    }

    /// The access to a service, which all of its tenants share.
    pub(super) fn access(&self, service: &Arc<Service>) -> Arc<Access> {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let access = services.entry(service.name.clone()).or_insert_with(|| {
            Arc::new(Access {
                client: Client::new(Arc::clone(service), self.files.clone()),
                own: Arc::new(Semaphore::new(MAX_REQUESTS_OF_A_SERVICE)),
                all: Arc::clone(&self.all),
                active: self.active.clone(),
            })
        });
        Arc::clone(access)
    }
}

impl Access {
    /// Waits for its turn, in the order of coming.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub(super) async fn permit(&self) -> Result<Permit, AcquireError> {
        // The service's first: those that wait for it keep no place that others could use.
        let own = Arc::clone(&self.own).acquire_owned().await?;
        let all = Arc::clone(&self.all).acquire_owned().await?;
        Ok(Permit { _own: own, _all: all, _counted: OpenGauge::new(&self.active) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_hangs_leaves_places_for_others() {
        let (all, active) = (Arc::new(Semaphore::new(MAX_REQUESTS)), Gauge::default());
        let access = |name: &str| {
            let service = Arc::new(Service {
                name: name.to_owned(),
                url: "https://a.example".parse().unwrap(),
                headers: Vec::new(),
                token: None,
                tls: Default::default(),
                response_timeout: std::time::Duration::from_secs(1),
                allow_unencrypted: false,
            });
            Access {
                client: Client::new(service, Handle::current()),
                own: Arc::new(Semaphore::new(MAX_REQUESTS_OF_A_SERVICE)),
                all: Arc::clone(&all),
                active: active.clone(),
            }
        };
        let (hanging, other) = (access("hanging"), access("other"));
        let mut permits = Vec::new();
        for _ in 0..MAX_REQUESTS_OF_A_SERVICE {
            permits.push(hanging.permit().await.unwrap());
        }
        let mut next = std::pin::pin!(hanging.permit());
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        drop(other.permit().await.unwrap());
        assert_eq!(active.get(), i64::try_from(MAX_REQUESTS_OF_A_SERVICE).unwrap());
        permits.pop();
        drop(next.await.unwrap());
        drop(permits);
        assert_eq!(active.get(), 0);
    }
}
