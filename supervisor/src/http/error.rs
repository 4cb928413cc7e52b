//! The one place where errors become HTTP: a status, a code, and a message for the user.

use axum::http::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use enforcer_protocol::{Diagnostic, InvalidTenantId};
use serde::Serialize;

use super::body::{BodyError, Refused, Rest};
use super::json::{ObjectWriter, escaped};
use crate::access::{Refusal, Role};
use crate::error_code::ErrorCode;
use crate::inspection::InspectionError;
use crate::tenant::quota::QuotaExceeded;
use crate::tenant::request::AskError;
use crate::tenant::state::TenantState;
use crate::tenant::status::Retry;

/// Seconds after which a request that found no worker may be retried. Restarting takes
/// milliseconds, and this header has no smaller unit.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Says that this answer is the connection's last.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Why a request got no answer. Its text is for the client: it names the error, and never another
/// tenant, a path of the host or a type of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    InvalidTenantId(#[from] InvalidTenantId),
    #[error("{0}")]
    InvalidParameter(String),
    #[error("the request needs one valid Host header")]
    InvalidHost,
    #[error("{}", .0.told())]
    Unauthorized(Refusal),
    #[error("this credential lacks the role {} for this tenant", role.name())]
    Forbidden { role: Role },
    #[error("this needs a credential with the role {} for all tenants", role.name())]
    ForbiddenForAll { role: Role },
    #[error(
        "no host of this name is served here; an operator may add it to ENFORCER_ALLOWED_HOSTS"
    )]
    MisdirectedRequest,
    #[error("there is no such tenant")]
    UnknownTenant,
    #[error("there is no such resource")]
    UnknownResource,
    /// In OPA's words, as the next one.
    #[error("document undefined: {0}")]
    UndefinedDocument(String),
    #[error("document missing: {0}")]
    MissingDocument(String),
    #[error("the resource does not support this method")]
    MethodNotAllowed {
        /// The methods that it supports.
        allow: &'static str,
    },
    #[error(
        "this page may not open the stream; an operator may add its origin to ENFORCER_STREAM_ORIGINS"
    )]
    ForbiddenOrigin,
    #[error(
        "the stream is a WebSocket, version 13 (Upgrade: websocket), over HTTP/1.1, or server-sent events (Accept: text/event-stream), over HTTP/1.1 or HTTP/2"
    )]
    UpgradeRequired,
    #[error("the decision stream has reached its limit of consumers; try again later")]
    TooManyConsumers,
    #[error("input.subject.tenant_id names another tenant than the request's path")]
    TenantMismatch,
    #[error("{0}")]
    QuotaExceeded(#[from] QuotaExceeded),
    #[error("{0}")]
    Body(#[from] Refused),
    /// In OPA's words.
    #[error("error(s) occurred while evaluating query")]
    EvaluationFailed(Box<Diagnostic>),
    #[error("the policy's worker ended or is restarting; try again")]
    WorkerUnavailable,
    #[error("too many requests to this tenant are waiting; try again")]
    Overloaded,
    #[error(
        "this connection has left too many bytes of its answers unread; read them, and try again"
    )]
    UnreadAnswers,
    #[error("{}", unavailable(*retry))]
    TenantUnavailable {
        /// How long until the next worker is tried, of a tenant in quarantine.
        retry: Option<Retry>,
    },
    #[error("the policy did not decide within its deadline")]
    EvaluationTimeout,
    #[error("the policy exceeded the tenant's memory limit")]
    MemoryLimit,
    #[error(
        "the policy's worker ended on this input before; the input is not tried again until the policy changes"
    )]
    PoisonInput,
    #[error("{unready} of {registered} tenants have no good revision")]
    UnactivatedBundles { unready: usize, registered: usize },
    #[error("BUNDLES_DIR is not monitored: {0}")]
    PluginsDown(&'static str),
    #[error("not every tenant was tried yet, or the supervisor shuts down")]
    NotReady,
    #[error("the operator has not turned on ad-hoc queries for this tenant (query_api)")]
    QueryApiOff,
    /// In OPA's words.
    #[error("{message}")]
    QueryRefused { message: String, errors: Vec<Diagnostic> },
    /// In OPA's words, and with OPA's status.
    #[error("{0}")]
    PathRefused(String),
    /// In OPA's words.
    #[error("{0}")]
    QueryUnanswerable(String),
    /// In OPA's words.
    #[error("storage_not_found_error: policy id {0:?}")]
    UnknownPolicy(String),
    #[error("too many explanations and queries were asked for; try again")]
    TooManyInspections,
    #[error("an unexpected error occurred; see the supervisor's log")]
    Internal,
}

/// OPA's error body.
#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a [Diagnostic]>,
    /// OPA's own wording, in answers of its health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl ApiError {
    /// The status and the code, as in the contract's table.
    pub(crate) const fn status_and_code(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::InvalidTenantId(_) | Self::InvalidParameter(_) | Self::InvalidHost => {
                (StatusCode::BAD_REQUEST, ErrorCode::InvalidParameter)
            }
            Self::Body(refused) => match refused.error {
                BodyError::Incomplete | BodyError::Encoded | BodyError::NotGzip(_) => {
                    (StatusCode::BAD_REQUEST, ErrorCode::InvalidParameter)
                }
                BodyError::TimedOut => (StatusCode::REQUEST_TIMEOUT, ErrorCode::RequestTimeout),
                BodyError::TooLarge { .. } => {
                    (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::RequestTooLarge)
                }
                BodyError::NoMemory => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Overloaded),
                BodyError::QuotaExceeded(_) => {
                    (StatusCode::TOO_MANY_REQUESTS, ErrorCode::QuotaExceeded)
                }
            },
            Self::QuotaExceeded(_) => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::QuotaExceeded),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized),
            Self::Forbidden { .. } | Self::ForbiddenForAll { .. } => {
                (StatusCode::FORBIDDEN, ErrorCode::Forbidden)
            }
            Self::MisdirectedRequest => {
                (StatusCode::MISDIRECTED_REQUEST, ErrorCode::MisdirectedRequest)
            }
            Self::TenantMismatch => (StatusCode::FORBIDDEN, ErrorCode::TenantMismatch),
            Self::ForbiddenOrigin => (StatusCode::FORBIDDEN, ErrorCode::Forbidden),
            Self::UpgradeRequired => (StatusCode::UPGRADE_REQUIRED, ErrorCode::UpgradeRequired),
            Self::UnknownTenant | Self::UnknownResource => {
                (StatusCode::NOT_FOUND, ErrorCode::ResourceNotFound)
            }
            Self::UndefinedDocument(_) | Self::MissingDocument(_) => {
                (StatusCode::NOT_FOUND, ErrorCode::UndefinedDocument)
            }
            Self::MethodNotAllowed { .. } => {
                (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidOperation)
            }
            Self::QueryApiOff => (StatusCode::FORBIDDEN, ErrorCode::Forbidden),
            Self::QueryRefused { .. } => (StatusCode::BAD_REQUEST, ErrorCode::InvalidParameter),
            Self::UnknownPolicy(_) => (StatusCode::NOT_FOUND, ErrorCode::ResourceNotFound),
            Self::EvaluationFailed(_)
            | Self::PoisonInput
            | Self::QueryUnanswerable(_)
            | Self::PathRefused(_)
            | Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::InternalError),
            Self::MemoryLimit => {
                (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::MemoryLimitExceeded)
            }
            Self::WorkerUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::WorkerUnavailable)
            }
            Self::Overloaded
            | Self::UnreadAnswers
            | Self::TooManyConsumers
            | Self::TooManyInspections => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Overloaded),
            Self::TenantUnavailable { .. } | Self::NotReady => {
                (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TenantUnavailable)
            }
            // The status that OPA's health check has.
            Self::UnactivatedBundles { .. } | Self::PluginsDown(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::TenantUnavailable)
            }
            Self::EvaluationTimeout => (StatusCode::GATEWAY_TIMEOUT, ErrorCode::EvaluationTimeout),
        }
    }

    /// Whether a retry may soon succeed.
    const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::WorkerUnavailable
                | Self::Overloaded
                | Self::UnreadAnswers
                | Self::TooManyConsumers
                | Self::TooManyInspections
                | Self::Body(Refused { error: BodyError::NoMemory, .. })
        )
    }

    /// When the client may try again, if that is known.
    fn retry_after(&self) -> Option<HeaderValue> {
        match self {
            Self::TenantUnavailable { retry: Some(Retry { after, .. }) } => {
                // At least a second: the header has no smaller unit.
                Some(HeaderValue::from(after.as_secs().saturating_add(1)))
            }
            Self::QuotaExceeded(exceeded)
            | Self::Body(Refused { error: BodyError::QuotaExceeded(exceeded), .. }) => {
                Some(HeaderValue::from(exceeded.retry_after_seconds()))
            }
            error => error.is_passing().then_some(RETRY_AFTER_SECONDS),
        }
    }

    /// The answer to a request; `rest` is the unread part of its body.
    pub(crate) fn response(self, rest: Rest) -> Response {
        let (status, code) = self.status_and_code();
        let errors = match &self {
            Self::EvaluationFailed(diagnostic) => Some(std::slice::from_ref(&**diagnostic)),
            Self::QueryRefused { errors, .. } => Some(errors.as_slice()),
            _ => None,
        };
        let error = match &self {
            Self::UnactivatedBundles { .. } => Some("one or more bundles are not activated"),
            Self::PluginsDown(_) => Some("one or more plugins are not up"),
            _ => None,
        };
        let body = ErrorBody { code: code.name(), message: self.to_string(), errors, error };
        let mut response = indented_json(status, &body);
        if let Some(retry_after) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, retry_after);
        }
        if matches!(self, Self::UpgradeRequired) {
            // As RFC 9110, section 15.5.22, and RFC 6455, section 4.4, require.
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if let Self::MethodNotAllowed { allow } = self {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Self::Unauthorized(_) = self {
            // RFC 6750, section 3.
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        close_if_unread(&mut response, rest);
        response
    }

    /// Adds its code, its message and the errors of the policy to an object.
    pub(super) fn members(&self, object: &mut ObjectWriter) {
        let (_, code) = self.status_and_code();
        object.member("code", &code);
        object.member("message", &self.to_string());
        if let Self::EvaluationFailed(diagnostic) = self {
            object.member("errors", &[diagnostic]);
        }
    }
}

/// Ends the connection with this answer where some of the request's body is left: it stands where
/// the next request would.
pub(super) fn close_if_unread(response: &mut Response, rest: Rest) {
    if rest == Rest::Unread {
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::WorkerUnavailable => Self::WorkerUnavailable,
            AskError::Unavailable => Self::TenantUnavailable { retry: None },
            AskError::TimedOut => Self::EvaluationTimeout,
            AskError::Removed => Self::UnknownTenant,
            AskError::MemoryLimit => Self::MemoryLimit,
            AskError::PoisonInput => Self::PoisonInput,
        }
    }
}

impl From<InspectionError> for ApiError {
    fn from(error: InspectionError) -> Self {
        match error {
            InspectionError::NoBundle => Self::TenantUnavailable { retry: None },
            InspectionError::TooMany => Self::TooManyInspections,
            InspectionError::Host(_) | InspectionError::Ended(_) => Self::WorkerUnavailable,
            InspectionError::TimedOut => Self::EvaluationTimeout,
            InspectionError::Memory => Self::MemoryLimit,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let rest = match &self {
            Self::Body(refused) => refused.rest,
            _ => Rest::Nothing,
        };
        self.response(rest)
    }
}

/// Why a tenant is unavailable.
fn unavailable(retry: Option<Retry>) -> String {
    let Some(Retry { state, after }) = retry else {
        return "the tenant has no usable policy: its bundle was rejected, or is not there yet"
            .to_owned();
    };
    let why = match state {
        TenantState::Quarantined => {
            "the tenant is in quarantine, because its workers failed too often or broke the protocol"
        }
        _ => "no worker could load the tenant's bundle",
    };
    format!("{why}; the next worker is started in {} seconds", after.as_secs().saturating_add(1))
}

/// An indented JSON response, as OPA's errors are.
fn indented_json(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(text) = serde_json::to_string_pretty(body) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, [content_type], escaped(&text) + "\n").into_response()
}

/// A JSON response, which ends with a newline as OPA's do.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(mut text) = serde_json::to_vec(body) else {
        // Only a map whose keys are not strings cannot be written, and ours all have strings.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    text.push(b'\n');
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, [content_type], text).into_response()
}
