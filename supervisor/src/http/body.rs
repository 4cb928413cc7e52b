//! Reads request bodies with bounds on their length, their time, and the memory that one tenant's
//! bodies take together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as HttpBody, HttpBody as _};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Version};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::gzip::{self, InflateError};
use crate::telemetry::metrics::TenantLimit;
use crate::tenant::admission::Tenant;
use crate::tenant::quota::QuotaExceeded;
use crate::tenant::request::RequestBody;

/// How long a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a refused body that are read and dropped, so that a client that is still sending
/// gets the answer and not a reset connection.
const DISCARD_LIMIT: u64 = 64 * 1024 * 1024;

/// How long a refused body may stall before its sender is answered. A client that is still sending
/// goes on within moments; a client that waits for its answer should not wait for a body that is
/// dropped.
const DISCARD_STALL: Duration = Duration::from_secs(1);

/// Why a request body was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request body is over the limit of {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the request body did not arrive within {} seconds", BODY_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the request body ended early or is not framed as HTTP requires")]
    Incomplete,
    #[error(
        "the content or transfer encoding is not supported; send the body without encoding, or in gzip"
    )]
    Encoded,
    /// In OPA's words.
    #[error("could not decompress the body: {0}")]
    NotGzip(&'static str),
    #[error("the bodies of this tenant's requests in progress have reached their memory limit")]
    NoMemory,
    #[error("{0}")]
    QuotaExceeded(#[from] QuotaExceeded),
}

/// The rest of a refused body on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Empty: the next request may follow.
    Nothing,
    /// Not empty, so the connection ends with the answer.
    Unread,
}

/// A body that was refused.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Refused {
    pub(crate) error: BodyError,
    pub(crate) rest: Rest,
}

/// Reads the whole body of a request to `tenant`.
///
/// # Errors
/// When the body exceeds a bound or is incomplete. The rest of it is then read and dropped.
pub(crate) async fn read(
    tenant: &Tenant,
    head: &Parts,
    mut body: HttpBody,
) -> Result<RequestBody, Refused> {
    let (limit, length) = (tenant.limits.max_body, content_length(&head.headers));
    let (error, has_begun) = match check(&head.headers, limit) {
        Err(error) => (error, false),
        Ok(coding) => match read_coded(tenant, length, (limit, coding), &mut body).await {
            Ok(body) => return Ok(body),
            Err(error) => (error, true),
        },
    };
    match error {
        BodyError::TooLarge { .. } => tenant.metrics.limit_reached(TenantLimit::BodyLength),
        BodyError::TimedOut => tenant.metrics.limit_reached(TenantLimit::BodyTime),
        BodyError::NoMemory => tenant.metrics.limit_reached(TenantLimit::BodyMemory),
        BodyError::Incomplete
        | BodyError::Encoded
        | BodyError::NotGzip(_)
        | BodyError::QuotaExceeded(_) => {}
    }
    let rest = match error {
        BodyError::TimedOut | BodyError::Incomplete => Rest::Unread,
        _ if has_begun => discard(body).await,
        _ => drain_or_close(head, body).await,
    };
    Err(Refused { error, rest })
}

/// The coding of a body (RFC 9110, section 8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentCoding {
    Identity,
    Gzip,
}

/// Refuses a body that the request's head already rules out.
fn check(headers: &HeaderMap, limit: usize) -> Result<ContentCoding, BodyError> {
    let coding = content_coding(headers)?;
    // hyper decodes chunks, and leaves every other coding of the list as it is.
    let mut transfers = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked =
        transfers.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !chunked || transfers.next().is_some() {
        return Err(BodyError::Encoded);
    }
    if content_length(headers)
        .is_some_and(|length| length > u64::try_from(limit).unwrap_or(u64::MAX))
    {
        return Err(BodyError::TooLarge { limit });
    }
    Ok(coding)
}

fn content_coding(headers: &HeaderMap) -> Result<ContentCoding, BodyError> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let is =
        |coding: &HeaderValue, name: &str| coding.as_bytes().eq_ignore_ascii_case(name.as_bytes());
    match (codings.next(), codings.next()) {
        (None, _) => Ok(ContentCoding::Identity),
        (Some(coding), None) if is(coding, "identity") => Ok(ContentCoding::Identity),
        (Some(coding), None) if is(coding, "gzip") || is(coding, "x-gzip") => {
            Ok(ContentCoding::Gzip)
        }
        (Some(_), _) => Err(BodyError::Encoded),
    }
}

/// Reads a body, which is decompressed within the same bounds.
async fn read_coded(
    tenant: &Tenant,
    length: Option<u64>,
    (limit, coding): (usize, ContentCoding),
    body: &mut HttpBody,
) -> Result<RequestBody, BodyError> {
    let read = read_bounded(tenant, length, limit, body).await?;
    match coding {
        ContentCoding::Identity => Ok(read),
        ContentCoding::Gzip => {
            // The text may be as long as the limit, whatever the body's length.
            let mut memory = take_memory(tenant, limit)?;
            let text = gzip::inflate(&read.bytes, limit).await.map_err(|error| match error {
                InflateError::Invalid(why) => BodyError::NotGzip(why),
                InflateError::TooLong => BodyError::TooLarge { limit },
            })?;
            drop(memory.split(limit.saturating_sub(text.len())));
            Ok(RequestBody { bytes: text.into(), memory })
        }
    }
}

async fn read_bounded(
    tenant: &Tenant,
    length: Option<u64>,
    limit: usize,
    body: &mut HttpBody,
) -> Result<RequestBody, BodyError> {
    let deadline = Instant::now() + BODY_TIMEOUT;
    let mut memory = take_memory(tenant, 0)?;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) =
        timeout_at(deadline, body.frame()).await.map_err(|_| BodyError::TimedOut)?
    {
        let Ok(data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else {
            // Trailers have no meaning here.
            continue;
        };
        if first.len() + rest.len() + data.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        if length.is_none() {
            // A body that said its length was counted before it was read.
            let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
            tenant.quotas.take_body(bytes, std::time::Instant::now())?;
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
    Ok(RequestBody { bytes, memory })
}

pub(super) fn take_memory(
    tenant: &Tenant,
    length: usize,
) -> Result<OwnedSemaphorePermit, BodyError> {
    let permits = u32::try_from(length).map_err(|_| BodyError::NoMemory)?;
    Arc::clone(tenant.body_memory())
        .try_acquire_many_owned(permits)
        .map_err(|_| BodyError::NoMemory)
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads and drops a body that was not read yet, or leaves it unread; then the connection has to
/// close.
pub(crate) async fn drain_or_close(head: &Parts, body: HttpBody) -> Rest {
    // Such a client waits for `100 Continue` before it sends, and reading would send that.
    if waits_to_be_asked(head) && !body.is_end_stream() {
        return Rest::Unread;
    }
    discard(body).await
}

/// HTTP/1.0 has no such expectation, so it is ignored there (RFC 9110, section 10.1.1).
fn waits_to_be_asked(head: &Parts) -> bool {
    let expects = head.headers.get(EXPECT);
    head.version > Version::HTTP_10
        && expects.is_some_and(|what| what.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Reads and drops the rest of a body, up to a bound in length and time.
async fn discard(mut body: HttpBody) -> Rest {
    let deadline = Instant::now() + BODY_TIMEOUT;
    let mut left = DISCARD_LIMIT;
    loop {
        let stalled = Instant::now() + DISCARD_STALL;
        let frame = match timeout_at(stalled.min(deadline), body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Rest::Nothing,
            Ok(Some(Err(_))) | Err(_) => return Rest::Unread,
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(u64::try_from(length).unwrap_or(u64::MAX)) {
            Some(rest) => left = rest,
            None => return Rest::Unread,
        }
    }
}
