//! Reads request bodies: bounded in length, in time, and in what a tenant holds of them at once.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::metrics::TenantLimit;
use crate::tenant::Tenant;

/// How long a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a refused body that are read and forgotten, so that a client that is still sending
/// gets the answer and not a reset connection.
const DISCARD_LIMIT: u64 = 64 * 1024 * 1024;

/// A request body in memory.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// Its share of the tenant's body memory, given back when it is dropped.
    pub(crate) memory: OwnedSemaphorePermit,
}

/// Why a request body was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request body is over the limit of {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the request body did not arrive within {} seconds", BODY_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the request body ended early or is not framed as HTTP requires")]
    Incomplete,
    #[error("the content encoding is not supported; send the body as it is")]
    Encoded,
    #[error("the tenant's requests in progress take all the memory they may")]
    NoMemory,
}

/// Reads the whole body of a request to `tenant`.
///
/// # Errors
/// When it is over a bound or does not come whole. What is left of it is then read and forgotten.
pub(crate) async fn read(
    tenant: &Tenant,
    headers: &HeaderMap,
    mut body: HttpBody,
) -> Result<Body, BodyError> {
    let result = read_bounded(tenant, headers, &mut body).await;
    if let Err(error) = &result {
        match error {
            BodyError::TooLarge { .. } => tenant.metrics.limit_reached(TenantLimit::BodyLength),
            BodyError::TimedOut => tenant.metrics.limit_reached(TenantLimit::BodyTime),
            BodyError::NoMemory => tenant.metrics.limit_reached(TenantLimit::BodyMemory),
            BodyError::Incomplete | BodyError::Encoded => {}
        }
        if !matches!(error, BodyError::TimedOut | BodyError::Incomplete) {
            discard(body).await;
        }
    }
    result
}

async fn read_bounded(
    tenant: &Tenant,
    headers: &HeaderMap,
    body: &mut HttpBody,
) -> Result<Body, BodyError> {
    let limit = tenant.limits.max_body;
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(BodyError::Encoded);
    }
    if content_length(headers)
        .is_some_and(|length| length > u64::try_from(limit).unwrap_or(u64::MAX))
    {
        return Err(BodyError::TooLarge { limit });
    }

    let deadline = Instant::now() + BODY_TIMEOUT;
    let mut memory = take_memory(tenant, 0)?;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) =
        timeout_at(deadline, body.frame()).await.map_err(|_| BodyError::TimedOut)?
    {
        let Ok(data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else {
            // Trailers say nothing to us.
            continue;
        };
        if first.len() + rest.len() + data.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        memory.merge(take_memory(tenant, data.len())?);
        // Nearly every body comes in one piece, which is then not copied.
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    let bytes = if rest.is_empty() { first } else { [first, rest.freeze()].concat().into() };
    Ok(Body { bytes, memory })
}

fn take_memory(tenant: &Tenant, length: usize) -> Result<OwnedSemaphorePermit, BodyError> {
    let permits = u32::try_from(length).map_err(|_| BodyError::NoMemory)?;
    Arc::clone(tenant.body_memory())
        .try_acquire_many_owned(permits)
        .map_err(|_| BodyError::NoMemory)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads and forgets what is left of a body that is not wanted, up to a bound in length and time.
pub(crate) async fn discard(mut body: HttpBody) {
    let deadline = Instant::now() + BODY_TIMEOUT;
    let mut left = DISCARD_LIMIT;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(u64::try_from(length).unwrap_or(u64::MAX)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
