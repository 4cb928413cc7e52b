//! A consumer's events, for every transport.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::access::License;
use crate::stream::Subscription;
use crate::telemetry::metrics::OpenGauge;
use crate::tenant::quota::QuotaPermit;

/// A consumer's permit, given back when it is dropped.
#[derive(Debug)]
pub(super) struct ConsumerPermit {
    _permit: OwnedSemaphorePermit,
    _quota: Option<QuotaPermit>,
    _open: OpenGauge,
}

impl ConsumerPermit {
    /// `quota` is that of the one tenant whose events it gets.
    pub(super) const fn new(
        permit: OwnedSemaphorePermit,
        quota: Option<QuotaPermit>,
        open: OpenGauge,
    ) -> Self {
        Self { _permit: permit, _quota: quota, _open: open }
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
