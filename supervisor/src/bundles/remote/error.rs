//! Why a bundle was not downloaded.

use hyper::StatusCode;

use crate::tls::TlsError;

/// Characters of a text from a server, or of a library's error, that a message repeats.
const SHOWN: usize = 200;

/// Why a bundle was not downloaded, or is not a bundle of the tenant. The texts reach operators; no
/// header and no token is in them.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error("the token cannot be read from {0}")]
    Token(String),
    #[error(transparent)]
    TlsFiles(#[from] TlsError),
    #[error("{host} cannot be found: {why}")]
    Lookup { host: String, why: String },
    #[error("{host} cannot be reached: {why}")]
    Connect { host: String, why: String },
    #[error("TLS with {host} failed: {why}")]
    Tls { host: String, why: String },
    #[error("the connection failed before the answer: {0}")]
    Connection(String),
    #[error("the server took longer than {millis} ms to {what}")]
    Timeout { what: &'static str, millis: u128 },
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the server answered 304 Not Modified, and was not asked to compare")]
    NothingToCompare,
    #[error("the server redirects more than {0} times")]
    Redirects(usize),
    #[error("the server redirects to {0}, which is not an address that may be followed")]
    RedirectTarget(String),
    #[error(
        "the server redirects from https to http, where anyone on the way could replace the bundle"
    )]
    RedirectDowngrade,
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
            Self::Token(_) | Self::TlsFiles(_) | Self::Cache(_) => FailureKind::Host,
            Self::Status(_)
            | Self::NothingToCompare
            | Self::Redirects(_)
            | Self::RedirectTarget(_)
            | Self::RedirectDowngrade => FailureKind::Status,
            Self::TooLarge(_) | Self::Body(_) | Self::TooSlow { .. } => FailureKind::Transfer,
            Self::Refused(_) | Self::RefusedBefore(_) => FailureKind::Refused,
            Self::Lookup { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Connection(_)
            | Self::Timeout { .. } => FailureKind::Unreachable,
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

/// A text of others, short and without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(SHOWN).collect()
}

/// An error with its sources, which is where libraries say what happened.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    const SOURCES: usize = 8;
    let mut text = error.to_string();
    let mut source = error.source();
    for _ in 0..SOURCES {
        let Some(error) = source else { break };
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    shown(&text)
}
