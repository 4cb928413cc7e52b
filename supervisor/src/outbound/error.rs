//! Why a server gave no answer.

use crate::tls::TlsError;

/// Characters of a text from a server, or of a library's error, that a message repeats.
const SHOWN: usize = 200;

/// Why there is no answer. The texts reach operators; no header and no token is in them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("the token cannot be read from {0}")]
    Token(String),
    #[error(transparent)]
    TlsFiles(#[from] TlsError),
    #[error("reading the certificates hangs")]
    CertificatesHang,
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
    #[error("the server redirects more than {0} times")]
    Redirects(usize),
    #[error("the server redirects to {0}, which is not an address that may be followed")]
    RedirectTarget(String),
    #[error(
        "the server redirects from https to http, where anyone on the way could replace the answer"
    )]
    RedirectDowngrade,
}

/// A text of others, short and without control characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(SHOWN).collect()
}

/// An error with its sources, which is where libraries say what happened.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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
