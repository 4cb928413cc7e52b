//! A consumer's events, for every transport.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::access::License;
use crate::stream::Subscription;
use crate::telemetry::metrics::OpenGauge;

/// A consumer's permit, given back when it is dropped.
#[derive(Debug)]
pub(super) struct ConsumerPermit {
    _permit: OwnedSemaphorePermit,
    _open: OpenGauge,
}

impl ConsumerPermit {
    pub(super) const fn new(permit: OwnedSemaphorePermit, open: OpenGauge) -> Self {
        Self { _permit: permit, _open: open }
    }
}

/// A consumer's events, with its permit.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) subscription: Subscription,
    /// Ends when the supervisor does, or when the consumer's credential is no longer accepted.
    pub(super) license: Arc<License>,
    _permit: ConsumerPermit,
}

impl Events {
    pub(super) const fn new(
        subscription: Subscription,
        permit: ConsumerPermit,
        license: Arc<License>,
    ) -> Self {
        Self { subscription, license, _permit: permit }
    }
}
