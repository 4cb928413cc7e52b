//! The decision stream as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): for clients that cannot
//! speak WebSocket, or want to resume where their connection broke.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ORIGIN, VARY,
};
use axum::http::{HeaderName, HeaderValue, Version};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::events::Events;
use crate::http::connection::IsStream;
use crate::http::origin::Page;
use crate::http::state::AppState;
use crate::stream::{CONNECTED, Delivery};

pub(super) const MEDIA_TYPE: &str = "text/event-stream";

/// Time without an event after which a comment is sent, because gateways close silent connections,
/// and because only a second write shows that a client is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// Bytes that are gathered before they are passed on. A longer message is passed on as it is.
const CHUNK: usize = 16 * 1024;

/// Begins an answer that does not end before the stream does.
pub(super) fn open(app: &Arc<AppState>, version: Version, page: Page, events: Events) -> Response {
    let first = Bytes::from(format!("data: {CONNECTED}\n\n"));
    let feed = Feed {
        pieces: VecDeque::from([first]),
        events,
        not_before: Instant::now(),
        app: Arc::clone(app),
    };
    let body = if version == Version::HTTP_2 {
        elsewhere(app, feed)
    } else {
        HttpBody::from_stream(unfold(feed, Feed::next))
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VARY, HeaderValue::from(ORIGIN)),
        // nginx and similar proxies would buffer it.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        // The connection stays with the stream's threads, where no decision should be made.
        (CONNECTION, HeaderValue::from_static("close")),
    ];
    let mut response = (headers, body).into_response();
    response.extensions_mut().insert(IsStream);
    if let Page::Other(origin) = page {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

/// The answer on a connection of HTTP/2. Other requests share the connection, so it stays with the
/// threads that decide: the stream's own threads gather the events, one piece ahead, and the
/// connection is left with sending them.
fn elsewhere(app: &Arc<AppState>, feed: Feed) -> HttpBody {
    let (sender, receiver) = mpsc::channel(1);
    let task = async move {
        let mut feed = feed;
        while let Some((piece, next)) = feed.next().await {
            // A client that does not read ends with its connection, and this with it.
            if sender.send(piece).await.is_err() {
                return;
            }
            feed = next;
        }
    };
    app.stream.connections.spawn_on(task, &app.stream.runtime);
    HttpBody::from_stream(unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    }))
}

struct Feed {
    /// The part that is sent first: the greeting, or a message that is too large to be copied for
    /// every slow consumer.
    pieces: VecDeque<Bytes>,
    events: Events,
    /// When the next piece may be made.
    not_before: Instant,
    app: Arc<AppState>,
}

impl Feed {
    /// The next piece of the answer. It is requested when the previous one has found room.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(piece) = self.pieces.pop_front() {
            return Some((Ok(piece), self));
        }
        let next = async {
            sleep_until(self.not_before).await;
            timeout(SILENCE, self.events.subscription.next()).await
        };
        let next = tokio::select! {
            next = next => next,
            () = self.events.license.token().cancelled() => return None,
        };
        let piece = match next {
            Ok(Ok(delivery)) => self.gather(delivery),
            Ok(Err(_)) => return None,
            Err(_) => Bytes::from_static(b":\n\n"),
        };
        self.not_before = Instant::now() + self.app.stream.pace();
        Some((Ok(piece), self))
    }

    /// The next event and those that are ready behind it.
    fn gather(&mut self, first: Delivery) -> Bytes {
        let mut piece = BytesMut::new();
        let mut next = Some(first);
        while let Some(delivery) = next {
            if let Delivery::Event(cursor, _) = &delivery {
                piece.extend_from_slice(format!("id: {cursor}\n").as_bytes());
            }
            piece.extend_from_slice(b"data: ");
            let message = delivery.into_message();
            if message.len() > CHUNK {
                self.pieces.extend([message, Bytes::from_static(b"\n\n")]);
                break;
            }
            piece.extend_from_slice(&message);
            piece.extend_from_slice(b"\n\n");
            if piece.len() >= CHUNK {
                break;
            }
            next = self.events.subscription.next_if_there();
        }
        piece.freeze()
    }
}
