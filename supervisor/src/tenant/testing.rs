//! Helpers around a tenant for unit tests of several modules.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enforcer_protocol::{Query, SandboxMode, TenantId};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::admission::Tenant;
use super::request::{Answer, AskError, Request};
use crate::config::{Config, TenantLimits, TenantQuotas};
use crate::stream::{self, TenantStream};

/// A tenant with the default limits, and the requests to it.
pub(crate) fn tenant() -> (Arc<Tenant>, mpsc::Receiver<Request>) {
    tenant_with(TenantQuotas::default())
}

/// The same with quotas.
pub(crate) fn tenant_with(quotas: TenantQuotas) -> (Arc<Tenant>, mpsc::Receiver<Request>) {
    let bundles_dir = ("BUNDLES_DIR".to_owned(), "/".to_owned());
    let id: TenantId = "a".parse().unwrap();
    let limits = Config::parse(|_| None, [bundles_dir]).unwrap().limits(&id);
    let limits = TenantLimits { quotas, ..limits };
    let stream = TenantStream::new(
        &stream::testing::stream(),
        id.clone(),
        limits.max_body,
        limits.stream_inputs,
    );
    let (tenant, requests) = Tenant::new(id, limits, SandboxMode::Strict, None, stream);
    (Arc::new(tenant), requests)
}

/// A request with this body, and the receiver of its answer.
pub(crate) fn request(
    body: impl Into<Bytes>,
    time: Duration,
) -> (Request, oneshot::Receiver<Result<Answer, AskError>>) {
    let permit = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let (reply, answer) = oneshot::channel();
    let deadline = Instant::now() + time;
    let _permits = [permit(), permit()];
    (
        Request {
            query: Query::Decision,
            body: body.into(),
            deadline,
            wants_mask: false,
            reply,
            _permits,
            is_suspect: false,
        },
        answer,
    )
}
