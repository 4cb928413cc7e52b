//! One request for a bundle: connecting, TLS, redirects, and the head of the answer.
//!
//! Every request has a connection of its own, so that everything about it ends with it. Requests of
//! a tenant are seconds apart, and most answers are empty.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_NONE_MATCH, LOCATION,
    USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::error::{DownloadError, chain, shown};
use crate::blocking::blocking_with_timeout;
use crate::config::{Scheme, Service, Url, bearer};
use crate::tls::small_file;
use tokio::runtime::Handle;

/// Redirects of one request. Go's client, which is OPA's, follows ten.
const MAX_REDIRECTS: usize = 5;

/// Addresses of a server that are tried.
const MAX_ADDRESSES: usize = 4;

/// Bytes of the head of an answer.
const MAX_HEAD: usize = 64 * 1024;

/// Header fields of an answer.
const MAX_HEADERS: usize = 100;

/// Bytes of an `ETag` that is remembered. A longer one is ignored, and the bundle is downloaded
/// again.
const MAX_ETAG: usize = 1024;

/// The content type by which a server says that it can wait for another bundle, in OPA's words.
const WAITING_TYPE: &str = "application/vnd.openpolicyagent.bundles";

/// Bundles as a whole, and not as changes.
const SNAPSHOT: &str = "modes=snapshot";

/// How long reading a token or a certificate may take: the file system may hang.
const FILE_PATIENCE: Duration = Duration::from_secs(10);

/// The configuration of TLS, read again when its files change.
#[derive(Debug, Default)]
struct KnownTls {
    stamp: Vec<Option<(SystemTime, u64)>>,
    config: Option<Arc<ClientConfig>>,
}

/// Asks one service. Its tenants share it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) service: Arc<Service>,
    files: Handle,
    tls: Arc<Mutex<KnownTls>>,
}

/// A request for a bundle.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) url: Url,
    /// The bundle that is there already.
    pub(super) etag: Option<String>,
    /// How long the server may wait.
    pub(super) wait: Option<Duration>,
}

/// The answer of a server.
#[derive(Debug)]
pub(super) enum Answer {
    NotModified,
    Bundle(Download),
}

/// An answer whose body is to be read. The connection ends with it.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) body: Incoming,
    /// As the server says, if it does.
    pub(super) length: Option<u64>,
    pub(super) etag: Option<String>,
    pub(super) can_wait: bool,
    _connection: AbortOnDropHandle<()>,
}

/// Bytes in both directions.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Client {
    /// Of this service, whose files are read on `files`.
    pub(super) fn new(service: Arc<Service>, files: Handle) -> Self {
        Self { service, files, tls: Arc::default() }
    }

    /// Asks, and follows redirects.
    ///
    /// # Errors
    /// When there is no answer that is a bundle or says that there is no newer one.
    pub(super) async fn ask(&self, question: &Question) -> Result<Answer, DownloadError> {
        let mut url = question.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            // Another server gets neither the token, nor the headers, nor the certificate.
            let is_known = url.is_same_origin(&question.url);
            let (response, connection) = self.request(&url, question, is_known).await?;
            match response.status() {
                StatusCode::OK => {
                    return Ok(Answer::Bundle(download(response, connection)));
                }
                StatusCode::NOT_MODIFIED if question.etag.is_some() => {
                    return Ok(Answer::NotModified);
                }
                StatusCode::NOT_MODIFIED => return Err(DownloadError::NothingToCompare),
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => url = self.next(&url, &response)?,
                status => return Err(DownloadError::Status(status)),
            }
        }
        Err(DownloadError::Redirects(MAX_REDIRECTS))
    }

    fn next(&self, url: &Url, response: &Response<Incoming>) -> Result<Url, DownloadError> {
        let location = response.headers().get(LOCATION).map(HeaderValue::as_bytes);
        let location = String::from_utf8_lossy(location.unwrap_or_default()).into_owned();
        let next = url
            .resolve(&location)
            .ok_or_else(|| DownloadError::RedirectTarget(format!("{:?}", shown(&location))))?;
        if next.scheme == Scheme::Http {
            if url.scheme == Scheme::Https {
                return Err(DownloadError::RedirectDowngrade);
            }
            if !next.is_loopback() && !self.service.allow_unencrypted {
                return Err(DownloadError::RedirectTarget(shown(&next.to_string())));
            }
        }
        Ok(next)
    }

    async fn request(
        &self,
        url: &Url,
        question: &Question,
        is_known: bool,
    ) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), DownloadError> {
        let request = self.head(url, question, is_known).await?;
        let patience = self.service.response_timeout;
        let stream =
            in_time(patience, "accept a connection", self.connect(url, is_known)).await??;
        let failed = |error: hyper::Error| DownloadError::Connection(chain(&error));
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
        let patience = patience + question.wait.unwrap_or_default();
        let response = in_time(patience, "begin its answer", sender.send_request(request)).await?;
        Ok((response.map_err(failed)?, connection))
    }

    async fn head(
        &self,
        url: &Url,
        question: &Question,
        is_known: bool,
    ) -> Result<Request<Empty<Bytes>>, DownloadError> {
        let prefer = match question.wait {
            Some(wait) => format!("{SNAPSHOT};wait={}", wait.as_secs()),
            None => SNAPSHOT.to_owned(),
        };
        let mut builder = Request::get(&url.path)
            .header(HOST, url.authority())
            .header(USER_AGENT, concat!("edge-policy-enforcer/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "*/*")
            .header("prefer", prefer);
        if let Some(etag) = &question.etag {
            builder = builder.header(IF_NONE_MATCH, etag);
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
            .map_err(|error| DownloadError::Connection(shown(&error.to_string())))
    }

    /// The token as its file has it now.
    async fn token(&self) -> Result<Option<HeaderValue>, DownloadError> {
        let Some(path) = self.service.token.clone() else { return Ok(None) };
        let shown = path.display().to_string();
        let refused = |why: &str| DownloadError::Token(format!("{shown}: {why}"));
        let read = move || small_file(&path);
        let content = blocking_with_timeout(&self.files, FILE_PATIENCE, read)
            .await
            .map_err(|_| refused("reading it hangs"))?
            .map_err(|error| refused(&error.to_string()))?;
        bearer(&content).map(Some).ok_or_else(|| refused("it is not one line of visible signs"))
    }

    async fn connect(&self, url: &Url, is_known: bool) -> Result<Box<dyn Stream>, DownloadError> {
        let host = || shown(&url.authority());
        let addresses = lookup_host((url.host.as_str(), url.port)).await;
        let addresses = addresses.map_err(|error| DownloadError::Lookup {
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
            return Err(DownloadError::Connect { host: host(), why });
        };
        if url.scheme == Scheme::Http {
            return Ok(Box::new(stream));
        }
        let failed = |why: String| DownloadError::Tls { host: host(), why };
        let name = ServerName::try_from(url.host.clone())
            .map_err(|error| failed(shown(&error.to_string())))?;
        let connector = TlsConnector::from(self.tls(is_known).await?);
        let stream = connector.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| failed(chain(&error)))?))
    }

    /// The configuration of TLS, with files as they are now.
    async fn tls(&self, is_known: bool) -> Result<Arc<ClientConfig>, DownloadError> {
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
            .map_err(|_| DownloadError::Cache("reading the certificates hangs".to_owned()))?
            .map_err(DownloadError::TlsFiles)
    }
}

fn download(response: Response<Incoming>, connection: AbortOnDropHandle<()>) -> Download {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let etag = text(ETAG).filter(|etag| !etag.is_empty() && etag.len() <= MAX_ETAG);
    let can_wait = text(CONTENT_TYPE) == Some(WAITING_TYPE);
    let length = hyper::body::Body::size_hint(response.body()).exact();
    let etag = etag.map(str::to_owned);
    Download { body: response.into_body(), length, etag, can_wait, _connection: connection }
}

/// The result of `work`, if it comes within `patience`.
async fn in_time<T>(
    patience: Duration,
    what: &'static str,
    work: impl Future<Output = T>,
) -> Result<T, DownloadError> {
    let late = |_| DownloadError::Timeout { what, millis: patience.as_millis() };
    timeout(patience, work).await.map_err(late)
}
