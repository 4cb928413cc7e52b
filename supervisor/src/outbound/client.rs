//! One request for a document: connecting, TLS, redirects, and the head of the answer.
//!
//! Every request has a connection of its own, so that everything about it ends with it. Requests for
//! one document are seconds apart.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::error::{RequestError, chain, shown};
use crate::blocking::blocking_with_timeout;
use crate::config::{Scheme, Service, Url, bearer};
use crate::tls::{Stamp, small_file};
use tokio::runtime::Handle;

/// Redirects of one request. Go's client, which is OPA's, follows ten.
const MAX_REDIRECTS: usize = 5;

/// Addresses of a server that are tried.
const MAX_ADDRESSES: usize = 4;

/// Bytes of the head of an answer.
const MAX_HEAD: usize = 64 * 1024;

/// Header fields of an answer.
const MAX_HEADERS: usize = 100;

/// How long reading a token or a certificate may take: the file system may hang.
const FILE_PATIENCE: Duration = Duration::from_secs(10);

/// The configuration of TLS, read again when its files change.
#[derive(Debug, Default)]
struct KnownTls {
    stamp: Vec<Option<Stamp>>,
    config: Option<Arc<ClientConfig>>,
}

/// Asks one service. All who ask it share its client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) service: Arc<Service>,
    files: Handle,
    tls: Arc<Mutex<KnownTls>>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) url: Url,
    /// Headers of this question, which every server gets that it leads to.
    pub(crate) headers: HeaderMap,
    /// How long the server may wait before it answers, beside the service's own time.
    pub(crate) wait: Duration,
}

/// The answer of a server that does not redirect, with any status. Its body is not read yet, and its
/// connection ends with it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    /// Ends the connection when it is dropped.
    pub(crate) connection: AbortOnDropHandle<()>,
}

/// Bytes in both directions.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Client {
    /// Of this service, whose files are read on `files`.
    pub(crate) fn new(service: Arc<Service>, files: Handle) -> Self {
        Self { service, files, tls: Arc::default() }
    }

    /// Asks, and follows redirects.
    ///
    /// # Errors
    /// When no server answers, or when a redirect may not be followed.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Answer, RequestError> {
        let mut url = question.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            // Another server gets neither the token, nor the headers, nor the certificate.
            let is_known = url.is_same_origin(&question.url);
            let (response, connection) = self.request(&url, question, is_known).await?;
            match response.status() {
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => url = self.next(&url, &response)?,
                _ => return Ok(Answer { response, connection }),
            }
        }
        Err(RequestError::Redirects(MAX_REDIRECTS))
    }

    fn next(&self, url: &Url, response: &Response<Incoming>) -> Result<Url, RequestError> {
        let location = response.headers().get(LOCATION).map(HeaderValue::as_bytes);
        let location = String::from_utf8_lossy(location.unwrap_or_default()).into_owned();
        let next = url
            .resolve(&location)
            .ok_or_else(|| RequestError::RedirectTarget(format!("{:?}", shown(&location))))?;
        if next.scheme == Scheme::Http {
            if url.scheme == Scheme::Https {
                return Err(RequestError::RedirectDowngrade);
            }
            if !next.is_loopback() && !self.service.allow_unencrypted {
                return Err(RequestError::RedirectTarget(shown(&next.to_string())));
            }
        }
        Ok(next)
    }

    async fn request(
        &self,
        url: &Url,
        question: &Question,
        is_known: bool,
    ) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), RequestError> {
        let request = self.head(url, question, is_known).await?;
        let patience = self.service.response_timeout;
        let stream =
            in_time(patience, "accept a connection", self.connect(url, is_known)).await??;
        let failed = |error: hyper::Error| RequestError::Connection(chain(&error));
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(failed)?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async {
            // Its error is that of the answer, too.
            let _ = connection.await;
        }));
        let patience = patience + question.wait;
        let response = in_time(patience, "begin its answer", sender.send_request(request)).await?;
        Ok((response.map_err(failed)?, connection))
    }

    async fn head(
        &self,
        url: &Url,
        question: &Question,
        is_known: bool,
    ) -> Result<Request<Empty<Bytes>>, RequestError> {
        let mut builder = Request::get(&url.path)
            .header(HOST, url.authority())
            .header(USER_AGENT, concat!("edge-policy-enforcer/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "*/*");
        for (name, value) in &question.headers {
            builder = builder.header(name, value);
        }
        if is_known {
            for (name, value) in &self.service.headers {
                builder = builder.header(name, value);
            }
            if let Some(token) = self.token().await? {
                builder = builder.header(AUTHORIZATION, token);
            }
        }
        builder
            .body(Empty::new())
            .map_err(|error| RequestError::Connection(shown(&error.to_string())))
    }

    /// The token as its file has it now.
    async fn token(&self) -> Result<Option<HeaderValue>, RequestError> {
        let Some(path) = self.service.token.clone() else { return Ok(None) };
        let shown = path.display().to_string();
        let refused = |why: &str| RequestError::Token(format!("{shown}: {why}"));
        let read = move || small_file(&path);
        let content = blocking_with_timeout(&self.files, FILE_PATIENCE, read)
            .await
            .map_err(|_| refused("reading it hangs"))?
            .map_err(|error| refused(&error.to_string()))?;
        bearer(&content).map(Some).ok_or_else(|| refused("it is not one line of visible signs"))
    }

    async fn connect(&self, url: &Url, is_known: bool) -> Result<Box<dyn Stream>, RequestError> {
        let host = || shown(&url.authority());
        let addresses = lookup_host((url.host.as_str(), url.port)).await;
        let addresses = addresses.map_err(|error| RequestError::Lookup {
            host: host(),
            why: shown(&error.to_string()),
        })?;
        let mut why = "it has no address".to_owned();
        let mut connected = None;
        for address in addresses.take(MAX_ADDRESSES) {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    connected = Some(stream);
                    break;
                }
                Err(error) => why = error.to_string(),
            }
        }
        let Some(stream) = connected else {
            return Err(RequestError::Connect { host: host(), why });
        };
        if url.scheme == Scheme::Http {
            return Ok(Box::new(stream));
        }
        let failed = |why: String| RequestError::Tls { host: host(), why };
        let name = ServerName::try_from(url.host.clone())
            .map_err(|error| failed(shown(&error.to_string())))?;
        let connector = TlsConnector::from(self.tls(is_known).await?);
        let stream = connector.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| failed(chain(&error)))?))
    }

    /// The configuration of TLS, with files as they are now.
    async fn tls(&self, is_known: bool) -> Result<Arc<ClientConfig>, RequestError> {
        let files = self.service.tls.clone();
        let known = Arc::clone(&self.tls);
        let read = move || {
            if !is_known {
                return Ok(Arc::new(files.client_config(false)?));
            }
            let stamp = files.stamp();
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(config) = known.config.as_ref().filter(|_| known.stamp == stamp) {
                return Ok(Arc::clone(config));
            }
            let config = Arc::new(files.client_config(true)?);
            *known = KnownTls { stamp, config: Some(Arc::clone(&config)) };
            Ok(config)
        };
        blocking_with_timeout(&self.files, FILE_PATIENCE, read)
            .await
            .map_err(|_| RequestError::CertificatesHang)?
            .map_err(RequestError::TlsFiles)
    }
}

/// The result of `work`, if it comes within `patience`.
async fn in_time<T>(
    patience: Duration,
    what: &'static str,
    work: impl Future<Output = T>,
) -> Result<T, RequestError> {
    let late = |_| RequestError::Timeout { what, millis: patience.as_millis() };
    timeout(patience, work).await.map_err(late)
}
