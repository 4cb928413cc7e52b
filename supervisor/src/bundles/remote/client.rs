//! One request for a bundle, in OPA's words: what is there already, and how long the server may wait
//! for another.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Response, StatusCode};
use tokio_util::task::AbortOnDropHandle;

use super::error::DownloadError;
use crate::config::Url;
use crate::outbound::client::{self, Client};
use crate::outbound::error::{RequestError, shown};

/// Bytes of an `ETag` that is remembered. A longer one is ignored, and the bundle is downloaded
/// again.
const MAX_ETAG: usize = 1024;

/// The content type by which a server says that it can wait for another bundle, in OPA's words.
const WAITING_TYPE: &str = "application/vnd.openpolicyagent.bundles";

/// Bundles as a whole, and not as changes.
const SNAPSHOT: &str = "modes=snapshot";

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

/// Asks for a bundle.
///
/// # Errors
/// When there is no answer that is a bundle or says that there is no newer one.
pub(super) async fn ask(client: &Client, question: &Question) -> Result<Answer, DownloadError> {
    let asked = client::Question {
        url: question.url.clone(),
        headers: headers(question)?,
        wait: question.wait.unwrap_or_default(),
    };
    let client::Answer { response, connection } = client.ask(&asked).await?;
    match response.status() {
        StatusCode::OK => Ok(Answer::Bundle(download(response, connection))),
        StatusCode::NOT_MODIFIED if question.etag.is_some() => Ok(Answer::NotModified),
        StatusCode::NOT_MODIFIED => Err(DownloadError::NothingToCompare),
        status => Err(DownloadError::Status(status)),
    }
}

fn headers(question: &Question) -> Result<HeaderMap, RequestError> {
    let value = |text: &str| {
        let value = HeaderValue::from_str(text);
        value.map_err(|error| RequestError::Connection(shown(&error.to_string())))
    };
    let prefer = match question.wait {
        Some(wait) => format!("{SNAPSHOT};wait={}", wait.as_secs()),
        None => SNAPSHOT.to_owned(),
    };
    let mut headers = HeaderMap::new();
    headers.insert("prefer", value(&prefer)?);
    if let Some(etag) = &question.etag {
        headers.insert(IF_NONE_MATCH, value(etag)?);
    }
    Ok(headers)
}

fn download(response: Response<Incoming>, connection: AbortOnDropHandle<()>) -> Download {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let etag = text(ETAG).filter(|etag| !etag.is_empty() && etag.len() <= MAX_ETAG);
    let can_wait = text(CONTENT_TYPE) == Some(WAITING_TYPE);
    let length = hyper::body::Body::size_hint(response.body()).exact();
    let etag = etag.map(str::to_owned);
    Download { body: response.into_body(), length, etag, can_wait, _connection: connection }
}
