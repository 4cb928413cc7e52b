//! A consumer's events, for every transport.

use tokio::sync::OwnedSemaphorePermit;

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
    _permit: ConsumerPermit,
}

impl Events {
    pub(super) const fn new(subscription: Subscription, permit: ConsumerPermit) -> Self {
        Self { subscription, _permit: permit }
    }
}
