//! The one place where errors become HTTP: a status, a code, and words for the user.

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use enforcer_protocol::{Diagnostic, InvalidTenantId};
use serde::Serialize;

use crate::body::{BodyError, Refused, Rest};
use crate::tenant::AskError;

/// Seconds after which a request that found no worker may come again. Restarting takes
/// milliseconds, and this header has no smaller unit.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Says that this answer is the connection's last.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Every code of the contract's table that is ours to give.
pub(crate) const CODES: [&str; 14] = [
    "invalid_parameter",
    "forbidden",
    "tenant_mismatch",
    "resource_not_found",
    "invalid_operation",
    "upgrade_required",
    "request_timeout",
    "request_too_large",
    "internal_error",
    "memory_limit_exceeded",
    "worker_unavailable",
    "overloaded",
    "tenant_unavailable",
    "evaluation_timeout",
];

/// Why a request got no answer. Its text is for the client: it names what was wrong, and never
/// another tenant, a path of the host or a type of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    InvalidTenantId(#[from] InvalidTenantId),
    #[error("{0}")]
    InvalidParameter(String),
    #[error("the request needs one valid Host header")]
    InvalidHost,
    #[error("there is no such tenant")]
    UnknownTenant,
    #[error("there is no such resource")]
    UnknownResource,
    #[error("the resource does not know this method")]
    MethodNotAllowed,
    #[error(
        "this page may not open the stream; an operator may add its origin to ENFORCER_STREAM_ORIGINS"
    )]
    ForbiddenOrigin,
    #[error(
        "the stream is a WebSocket, version 13 (Upgrade: websocket), or server-sent events (Accept: text/event-stream)"
    )]
    UpgradeRequired,
    #[error("the stream has as many consumers as it may; try again")]
    TooManyConsumers,
    #[error("input.subject.tenant_id names another tenant than the request's path")]
    TenantMismatch,
    #[error("{0}")]
    Body(#[from] Refused),
    #[error("the policy failed while it was evaluated")]
    EvaluationFailed(Diagnostic),
    #[error("the policy's worker ended or is restarting; try again")]
    WorkerUnavailable,
    #[error("too many requests to this tenant are waiting; try again")]
    Overloaded,
    #[error(
        "the tenant has no usable policy: its bundle was rejected, or its workers ended too often"
    )]
    TenantUnavailable,
    #[error("the policy did not decide within its deadline")]
    EvaluationTimeout,
    #[error("the policy took more memory than the tenant may")]
    MemoryLimit,
    #[error(
        "the policy's worker ended on this input before; the input is not tried again until the policy changes"
    )]
    LethalInput,
    #[error("{unready} of {registered} tenants have no good revision")]
    UnreadyTenants { unready: usize, registered: usize },
    #[error("an unexpected error occurred; the log says more")]
    Internal,
}

/// OPA's error body.
#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<[&'a Diagnostic; 1]>,
}

impl ApiError {
    /// The status and the code, as the contract's table has them.
    pub(crate) const fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidTenantId(_) | Self::InvalidParameter(_) | Self::InvalidHost => {
                (StatusCode::BAD_REQUEST, "invalid_parameter")
            }
            Self::Body(refused) => match refused.error {
                BodyError::Incomplete | BodyError::Encoded => {
                    (StatusCode::BAD_REQUEST, "invalid_parameter")
                }
                BodyError::TimedOut => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
                BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
                BodyError::NoMemory => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            },
            Self::TenantMismatch => (StatusCode::FORBIDDEN, "tenant_mismatch"),
            Self::ForbiddenOrigin => (StatusCode::FORBIDDEN, "forbidden"),
            Self::UpgradeRequired => (StatusCode::UPGRADE_REQUIRED, "upgrade_required"),
            Self::UnknownTenant | Self::UnknownResource => {
                (StatusCode::NOT_FOUND, "resource_not_found")
            }
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "invalid_operation"),
            Self::EvaluationFailed(_) | Self::LethalInput | Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal_error")
            }
            Self::MemoryLimit => (StatusCode::INTERNAL_SERVER_ERROR, "memory_limit_exceeded"),
            Self::WorkerUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "worker_unavailable"),
            Self::Overloaded | Self::TooManyConsumers => {
                (StatusCode::SERVICE_UNAVAILABLE, "overloaded")
            }
            Self::TenantUnavailable | Self::UnreadyTenants { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "tenant_unavailable")
            }
            Self::EvaluationTimeout => (StatusCode::GATEWAY_TIMEOUT, "evaluation_timeout"),
        }
    }

    /// Whether it may be otherwise in a moment.
    const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::WorkerUnavailable
                | Self::Overloaded
                | Self::TooManyConsumers
                | Self::Body(Refused { error: BodyError::NoMemory, .. })
        )
    }

    /// The answer to a request of whose body this is left.
    pub(crate) fn turning_away(self, rest: Rest) -> Response {
        let (status, code) = self.status_and_code();
        let errors = match &self {
            Self::EvaluationFailed(diagnostic) => Some([diagnostic]),
            _ => None,
        };
        let body = ErrorBody { code, message: self.to_string(), errors };
        let mut response = json(status, &body);
        if self.is_passing() {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if matches!(self, Self::UpgradeRequired) {
            // As RFC 9110, section 15.5.22, and RFC 6455, section 4.4, want it.
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if rest == Rest::Unread {
            // What is left stands where the next request would, so there cannot be one.
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::WorkerUnavailable => Self::WorkerUnavailable,
            AskError::Unavailable => Self::TenantUnavailable,
            AskError::TimedOut => Self::EvaluationTimeout,
            AskError::Removed => Self::UnknownTenant,
            AskError::MemoryLimit => Self::MemoryLimit,
            AskError::LethalInput => Self::LethalInput,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let rest = match &self {
            Self::Body(refused) => refused.rest,
            _ => Rest::Nothing,
        };
        self.turning_away(rest)
    }
}

/// A JSON response, which ends with a newline as OPA's do.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(mut text) = serde_json::to_vec(body) else {
        // Only a map with keys that are no strings cannot be written, and none of ours is one.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    text.push(b'\n');
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, [content_type], text).into_response()
}
