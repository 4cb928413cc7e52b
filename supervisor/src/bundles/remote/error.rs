//! Why a bundle was not downloaded.

use hyper::StatusCode;

use crate::outbound::error::RequestError;

/// Why a bundle was not downloaded, or is not a bundle of the tenant. The texts reach operators; no
/// header and no token is in them.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the server answered 304 Not Modified, and was not asked to compare")]
    NothingToCompare,
    #[error("the bundle is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the answer ended early or was damaged: {0}")]
    Body(String),
    #[error("the bundle came too slowly: {received} bytes in {seconds} s")]
    TooSlow { received: u64, seconds: u64 },
    #[error("the bundle was refused: {0}")]
    Refused(String),
    /// It was downloaded and refused before, with this message.
    #[error("{0}")]
    RefusedBefore(String),
    #[error("the bundle cannot be kept in the bundle cache: {0}")]
    Cache(String),
}

/// The step that failed, for metrics and for telling one kind of trouble from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The server was not reached, or did not answer as it should.
    Unreachable,
    /// It answered with another status than 200 and 304.
    Status,
    /// The answer was too large, too slow, or ended early.
    Transfer,
    /// The answer is not a bundle that this tenant may have.
    Refused,
    /// This host cannot read or keep what it needs.
    Host,
}

impl FailureKind {
    /// Its name for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Status => "status",
            Self::Transfer => "transfer",
            Self::Refused => "refused",
            Self::Host => "host",
        }
    }
}

impl DownloadError {
    pub(super) const fn kind(&self) -> FailureKind {
        match self {
            Self::Request(error) => match error {
                RequestError::Token(_)
                | RequestError::TlsFiles(_)
                | RequestError::CertificatesHang => FailureKind::Host,
                RequestError::Redirects(_)
                | RequestError::RedirectTarget(_)
                | RequestError::RedirectDowngrade => FailureKind::Status,
                RequestError::Lookup { .. }
                | RequestError::Connect { .. }
                | RequestError::Tls { .. }
                | RequestError::Connection(_)
                | RequestError::Timeout { .. } => FailureKind::Unreachable,
            },
            Self::Cache(_) => FailureKind::Host,
            Self::Status(_) | Self::NothingToCompare => FailureKind::Status,
            Self::TooLarge(_) | Self::Body(_) | Self::TooSlow { .. } => FailureKind::Transfer,
            Self::Refused(_) | Self::RefusedBefore(_) => FailureKind::Refused,
        }
    }

    /// The status that the server answered with, where that is the error.
    pub(super) fn http_code(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.as_u16()),
            Self::NothingToCompare => Some(StatusCode::NOT_MODIFIED.as_u16()),
            _ => None,
        }
    }
}
