//! A tenant's quotas at the edge: requests that they let in or refuse, and the header fields that
//! tell clients of them.

use std::time::Instant;

use axum::body::Body as HttpBody;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use super::body;
use super::error::ApiError;
use super::evaluation::{NotEvaluated, record_failure};
use crate::clock::new_id;
use crate::tenant::admission::Tenant;
use crate::tenant::quota::{QuotaExceeded, QuotaPermit};

/// Of draft-ietf-httpapi-ratelimit-headers-11.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// See [`RATE_LIMIT`].
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Counts a request that asks the policy, before its body is read.
///
/// # Errors
/// When a quota of the tenant is spent.
pub(super) fn admit(tenant: &Tenant, head: &Parts) -> Result<QuotaPermit, QuotaExceeded> {
    // A longer body is refused for its length, and not read.
    let most = u64::try_from(tenant.limits.max_body).unwrap_or(u64::MAX);
    let length = body::content_length(&head.headers).filter(|length| *length <= most);
    tenant.quotas.admit(length, Instant::now())
}

/// Answers a request that the tenant's quotas do not let in. Its body is not read.
pub(super) async fn refuse(
    tenant: &Tenant,
    exceeded: QuotaExceeded,
    head: &Parts,
    body: HttpBody,
) -> Response {
    let not_evaluated = NotEvaluated { error: ApiError::QuotaExceeded(exceeded), micros: None };
    record_failure(tenant, new_id(), &not_evaluated, None);
    let rest = body::drain_or_close(head, body).await;
    with_rate_limit(tenant, not_evaluated.error.response(rest))
}

/// Tells a client of the tenant's quotas, if it has some.
pub(super) fn with_rate_limit(tenant: &Tenant, mut response: Response) -> Response {
    let Some(policy) = tenant.quotas.policy() else { return response };
    let left = HeaderValue::try_from(tenant.quotas.left(Instant::now()));
    let policy = HeaderValue::from_maybe_shared(policy.clone());
    // Names and numbers are always valid there.
    if let (Ok(policy), Ok(left)) = (policy, left) {
        response.headers_mut().insert(RATE_LIMIT_POLICY, policy);
        response.headers_mut().insert(RATE_LIMIT, left);
    }
    response
}
