//! From an accepted socket to a connection that speaks HTTP: the proxy's header, TLS, and which
//! version of HTTP it is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::addresses::{AddressLimits, AddressPermit, Full};
use super::listener::{Accepted, Purpose};
use super::proxy_protocol::{ProxyError, read_header};
use super::socket::{Stream, TlsSocket};
use crate::access::{ClientCertificate, Connection};
use crate::config::Proxies;
use crate::telemetry::metrics::{HandshakeFailure, HostLimit, HostMetrics};
use crate::tls::server::ServerTls;

/// How long a client may take for the header of a proxy and a handshake of TLS together, with the
/// time that it waits for its turn.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the first bytes of a connection without TLS may take, which say whether it is HTTP/2. As
/// long as a head may take.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes that TLS buffers for a client that does not read, beside those of the layers around it.
const TLS_SEND_BUFFER: usize = 32 * 1024;

/// The beginning of every connection of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a handshake of TLS (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What a client that speaks plain HTTP to a port of TLS is told.
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 85\r\nConnection: close\r\n\r\n{\n  \"code\": \"invalid_parameter\",\n  \"message\": \"this port speaks TLS: use https://\"\n}\n";

/// How long the telling may take.
const PLAIN_HTTP_TIME: Duration = Duration::from_secs(1);

/// The version of HTTP that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A connection that is about to speak HTTP.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) stream: Stream,
    pub(super) client: Connection,
    pub(super) protocol: Protocol,
    /// Of the address that the proxy named.
    pub(super) address: Option<AddressPermit>,
}

/// Why a connection does not get to speak HTTP.
#[derive(Debug, thiserror::Error)]
pub(super) enum BeginError {
    #[error("{0}")]
    Proxy(#[from] ProxyError),
    #[error("the proxy sent no PROXY protocol header in time")]
    ProxyTimeout,
    #[error("the address that the proxy named has as many connections as it may")]
    AddressFull,
    #[error("the TLS handshake failed ({}){}", .failure.name(), .error.as_ref().map(|it| format!(": {it}")).unwrap_or_default())]
    Tls { failure: HandshakeFailure, error: Option<io::Error> },
    #[error("its first bytes did not arrive: {0}")]
    First(io::Error),
}

/// What all handshakes share.
#[derive(Debug)]
pub(crate) struct Handshakes {
    /// One permit is one handshake of TLS.
    turns: Semaphore,
    proxies: Proxies,
    addresses: Arc<AddressLimits>,
    /// Whether HTTP/2 is spoken without TLS.
    http2_plaintext: bool,
}

impl Handshakes {
    /// At most `most` handshakes of TLS at once.
    pub(crate) fn new(
        most: usize,
        proxies: Proxies,
        addresses: AddressLimits,
        http2_plaintext: bool,
    ) -> Self {
        let addresses = Arc::new(addresses);
        Self { turns: Semaphore::new(most), proxies, addresses, http2_plaintext }
    }

    /// A permit of the address for a connection that was just accepted. A proxy's own address is
    /// not counted.
    pub(super) fn admit(&self, accepted: &Accepted) -> Result<Option<AddressPermit>, Full> {
        match accepted {
            Accepted::Tcp { address, purpose, .. } if !self.is_proxy(*address, purpose) => {
                self.addresses.take(address.ip())
            }
            Accepted::Tcp { .. } | Accepted::Unix { .. } => Ok(None),
        }
    }

    fn is_proxy(&self, address: SocketAddr, purpose: &Purpose) -> bool {
        matches!(purpose, Purpose::Clients(_)) && self.proxies.include(address.ip())
    }

    /// Has a connection begin to speak HTTP.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn begin(
        &self,
        accepted: Accepted,
        metrics: &HostMetrics,
    ) -> Result<Begun, BeginError> {
        let (mut stream, peer, purpose) = match accepted {
            Accepted::Tcp { stream, address, purpose } => (stream, address, purpose),
            Accepted::Unix { mut stream, ids } => {
                let (protocol, begun) = self.first_bytes(&mut stream).await?;
                let stream = Stream::unix(stream, begun);
                return Ok(Begun {
                    stream,
                    client: Connection::Unix(ids),
                    protocol,
                    address: None,
                });
            }
        };
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let mut client = peer;
        let mut address_permit = None;
        if self.is_proxy(peer, &purpose) {
            let header = timeout_at(deadline, read_header(&mut stream)).await;
            if let Some(named) = header.map_err(|_| BeginError::ProxyTimeout)?? {
                client = named;
                let taken = self.addresses.take(named.ip());
                address_permit = taken.map_err(|Full| BeginError::AddressFull)?;
            }
        }
        let Purpose::Clients(Some(tls)) = purpose else {
            let (protocol, begun) = self.first_bytes(&mut stream).await?;
            return Ok(Begun {
                stream: Stream::tcp(stream, begun),
                client: Connection::Tcp(client),
                protocol,
                address: address_permit,
            });
        };
        let shaken = timeout_at(deadline, self.shake(stream, client, tls, metrics)).await;
        let timed_out = |_| BeginError::Tls { failure: HandshakeFailure::Timeout, error: None };
        let begun = shaken.map_err(timed_out)??;
        Ok(Begun { address: address_permit, ..begun })
    }

    /// The handshake of TLS.
    async fn shake(
        &self,
        mut stream: TcpStream,
        client: SocketAddr,
        tls: Arc<ServerTls>,
        metrics: &HostMetrics,
    ) -> Result<Begun, BeginError> {
        let failed = |failure, error| BeginError::Tls { failure, error };
        let mut first = [0];
        let closed = |error| failed(HandshakeFailure::Closed, Some(error));
        match (stream.peek(&mut first).await.map_err(closed)?, first) {
            (0, _) => return Err(failed(HandshakeFailure::Closed, None)),
            (_, [TLS_HANDSHAKE]) => {}
            (_, [byte]) if byte.is_ascii_uppercase() => {
                tell_plain_http(&mut stream).await;
                return Err(failed(HandshakeFailure::PlainHttp, None));
            }
            _ => return Err(failed(HandshakeFailure::Malformed, None)),
        }
        // The semaphore is never closed. Without a permit, a handshake still has its time.
        if self.turns.available_permits() == 0 {
            metrics.limit_reached(HostLimit::TlsHandshakes);
        }
        let turn = self.turns.acquire().await;
        let generation = tls.current();
        let acceptor = TlsAcceptor::from(Arc::clone(&generation.loaded.config));
        let shaken = acceptor
            .accept_with(TlsSocket::new(stream), |session| {
                session.set_buffer_limit(Some(TLS_SEND_BUFFER));
            })
            .await;
        drop(turn);
        let stream = shaken.map_err(|error| failed(kind_of(&error), Some(error)))?;
        let (_, session) = stream.get_ref();
        let protocol = match session.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let chain: Vec<CertificateDer<'static>> = session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        let certificate = if chain.is_empty() {
            None
        } else {
            let number = generation.number;
            let parsed = ClientCertificate::new(chain, Arc::clone(&tls), number);
            // rustls has verified it, so this is not expected. It is nobody's.
            let refused = || failed(HandshakeFailure::ClientCertificate, None);
            Some(Arc::new(parsed.ok_or_else(refused)?))
        };
        Ok(Begun {
            client: Connection::Tls(client, certificate),
            protocol,
            stream: Stream::tls(stream),
            address: None,
        })
    }

    /// Which version of HTTP a connection without TLS speaks, and the bytes that say so.
    async fn first_bytes(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<(Protocol, Bytes), BeginError> {
        if !self.http2_plaintext {
            return Ok((Protocol::Http1, Bytes::new()));
        }
        let mut begun = BytesMut::with_capacity(PREFACE.len());
        let deadline = Instant::now() + PREFACE_TIMEOUT;
        while begun.len() < PREFACE.len() && PREFACE.starts_with(&begun) {
            let mut left =
                (&mut *stream).take(u64::try_from(PREFACE.len() - begun.len()).unwrap_or(0));
            let read = timeout_at(deadline, left.read_buf(&mut begun)).await;
            let timed_out = |_| BeginError::First(io::ErrorKind::TimedOut.into());
            if read.map_err(timed_out)?.map_err(BeginError::First)? == 0 {
                break;
            }
        }
        let protocol = if begun == PREFACE { Protocol::Http2 } else { Protocol::Http1 };
        Ok((protocol, begun.freeze()))
    }
}

/// Tells a client that speaks plain HTTP what to do. It is not waited for.
async fn tell_plain_http(stream: &mut TcpStream) {
    let tell = async {
        stream.write_all(PLAIN_HTTP_ANSWER).await?;
        stream.shutdown().await?;
        // What the client has sent is read, or the kernel would reset the connection before the
        // answer was.
        let mut rest = stream.take(64 * 1024);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // The connection ends in either case.
    let _ = tokio::time::timeout(PLAIN_HTTP_TIME, tell).await;
}

/// Why a handshake failed.
fn kind_of(error: &io::Error) -> HandshakeFailure {
    use rustls::Error;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        None => HandshakeFailure::Closed,
        Some(Error::InvalidCertificate(_) | Error::NoCertificatesPresented) => {
            HandshakeFailure::ClientCertificate
        }
        Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => {
            HandshakeFailure::Incompatible
        }
        Some(Error::AlertReceived(_)) => HandshakeFailure::ClientAlert,
        Some(
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::PeerSentOversizedRecord
            | Error::DecryptError,
        ) => HandshakeFailure::Malformed,
        Some(_) => HandshakeFailure::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_whole() {
        let text = std::str::from_utf8(PLAIN_HTTP_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }

    #[tokio::test]
    async fn http2_is_told_by_its_preface_whatever_pieces_it_comes_in() {
        let handshakes = |http2_plaintext| {
            Handshakes::new(1, Proxies::default(), AddressLimits::new(1), http2_plaintext)
        };
        for (bytes, protocol) in [
            (PREFACE, Protocol::Http2),
            (b"GET / HTTP/1.1\r\n\r\n", Protocol::Http1),
            (b"PRI * HTTP/1.1\r\n\r\n", Protocol::Http1),
            (b"P", Protocol::Http1),
            (b"", Protocol::Http1),
        ] {
            let (mut client, mut server) = tokio::io::duplex(1);
            let sent = async move {
                client.write_all(bytes).await.unwrap();
            };
            let handshakes = handshakes(true);
            let told = async {
                let (found, mut all) = handshakes
                    .first_bytes(&mut server)
                    .await
                    .map(|(a, b)| (a, b.to_vec()))
                    .unwrap();
                server.read_to_end(&mut all).await.unwrap();
                assert_eq!((found, all.as_slice()), (protocol, bytes));
            };
            tokio::join!(sent, told);
        }
        let found = handshakes(false).first_bytes(&mut &PREFACE[..]).await.unwrap();
        assert_eq!(found, (Protocol::Http1, Bytes::new()));
    }
}
