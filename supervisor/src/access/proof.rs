//! What a request and its connection show of who asks.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::certificate::ClientCertificate;
use super::principal::Refusal;
use super::token::TokenHash;

/// Bytes of a token that is looked at. Tokens of identity providers have two or three thousand.
const MAX_TOKEN: usize = 16 * 1024;

/// A process at the other end of a Unix socket, as the kernel says (`SO_PEERCRED`, `unix(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerIds {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What a connection shows of its client.
#[derive(Clone, Debug)]
pub(crate) enum Connection {
    Tcp(SocketAddr),
    /// With the certificate of the client, if it has shown one that was accepted.
    Tls(SocketAddr, Option<Arc<ClientCertificate>>),
    Unix(PeerIds),
}

impl fmt::Display for Connection {
    /// The client's address, or its process's user.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Tls(address, _) => address.fmt(formatter),
            Self::Unix(PeerIds { uid, .. }) => write!(formatter, "uid {uid}"),
        }
    }
}

impl Connection {
    /// The client's address, as a proxy that is trusted named it, or as the connection shows it.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Tls(address, _) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The process at the other end, if the kernel knows it.
    pub(crate) const fn peer(&self) -> Option<PeerIds> {
        match self {
            Self::Tcp(_) | Self::Tls(_, _) => None,
            Self::Unix(ids) => Some(*ids),
        }
    }

    /// The certificate of the client, if it has shown one.
    pub(crate) fn certificate(&self) -> Option<&ClientCertificate> {
        match self {
            Self::Tls(_, certificate) => certificate.as_deref(),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }
}

/// What a request shows of who asks, besides its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    Nothing,
    /// A bearer token.
    Token(&'a str),
    /// The hash of a session's id.
    Session(TokenHash),
}

/// What a request showed of who asks, kept for as long as its answer lasts.
#[derive(Clone)]
pub(crate) struct Proof {
    pub(super) connection: Connection,
    pub(super) kept: Kept,
}

/// [`Shown`], kept.
#[derive(Clone)]
pub(super) enum Kept {
    Nothing,
    Token(Zeroizing<String>),
    Session(TokenHash),
}

impl Proof {
    /// What was shown.
    pub(super) fn shown(&self) -> Shown<'_> {
        match &self.kept {
            Kept::Nothing => Shown::Nothing,
            Kept::Token(token) => Shown::Token(token),
            Kept::Session(id) => Shown::Session(*id),
        }
    }

    /// The session that was shown.
    pub(super) fn session(&self) -> Option<TokenHash> {
        match self.kept {
            Kept::Session(id) => Some(id),
            Kept::Nothing | Kept::Token(_) => None,
        }
    }

    /// The connection that it came over.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Keeps what a request shows.
    pub(crate) fn new(connection: &Connection, shown: Shown<'_>) -> Self {
        let kept = match shown {
            Shown::Nothing => Kept::Nothing,
            Shown::Token(token) => Kept::Token(Zeroizing::new(token.to_owned())),
            Shown::Session(id) => Kept::Session(id),
        };
        Self { connection: connection.clone(), kept }
    }
}

impl fmt::Debug for Proof {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Proof").field("connection", &self.connection).finish()
    }
}

/// The bearer token of a request (RFC 6750, section 2.1), if it has an `Authorization` header.
///
/// # Errors
/// When the header is there and is not one bearer token.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), second) = (values.next(), values.next()) else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| second.is_none()).ok_or(Refusal::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(Refusal::Malformed)?;
    let token = token.trim_matches(' ');
    let is_token = (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(is_token_byte);
    if scheme.eq_ignore_ascii_case("bearer") && is_token {
        return Ok(Some(token));
    }
    Err(Refusal::Malformed)
}

/// The characters of a token, as RFC 6750 has them.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = hyper::header::HeaderValue::from_bytes(value).unwrap();
            headers.append(AUTHORIZATION, value);
        }
        bearer(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_token_is_the_one_after_bearer() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(read(&[value.as_bytes()]), Ok(Some("abc".to_owned())), "{value}");
        }
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn a_header_that_is_not_one_token_is_refused() {
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        for value in
            ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer a b", "Bearer a,b", &long]
        {
            assert_eq!(read(&[value.as_bytes()]), Err(Refusal::Malformed), "{value}");
        }
        assert_eq!(read(&[b"Bearer \xff"]), Err(Refusal::Malformed));
        assert_eq!(read(&[b"Bearer a", b"Bearer a"]), Err(Refusal::Malformed));
    }
}
