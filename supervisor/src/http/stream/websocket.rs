//! The decision stream as a WebSocket (RFC 6455).

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use enforcer_protocol::RateLimiter;
use futures_util::{SinkExt, StreamExt};
use hyper::body::Body as _;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tracing::debug;

use super::events::Events;
use crate::http::connection::{self, ConnectionGuard};
use crate::http::error::ApiError;
use crate::http::socket::Stream;
use crate::http::state::AppState;
use crate::stream::{CONNECTED, Delivery, Ended};
use crate::telemetry::metrics::HostLimit;

/// Bytes that are gathered before they are written, and of one frame: a consumer that does not read
/// holds that much memory and not its largest message. Longer messages go in several frames.
const WRITE_SIZE: usize = 16 * 1024;

/// Upper bound of the bytes that wait to be written. It is not reached: nothing is added while as
/// much as [`WRITE_SIZE`] waits.
const MAX_WRITE_BUFFER: usize = 8 * WRITE_SIZE;

/// Bytes read at once. Clients only answer pings.
const READ_SIZE: usize = 1024;

/// Largest message of a client, in bytes. Its messages are ignored.
const MAX_CLIENT_MESSAGE: usize = 1024;

/// Bytes that a client may send in a second: pings, and no more.
const CLIENT_BYTES: u32 = 4096;

/// How long a client may accept no data, as for every other connection.
const WRITE_TIMEOUT: Duration = connection::WRITE_TIMEOUT;

/// The kernel's deadline for the same. Longer, because it also counts against a client that reads
/// little at a time: with a small window, what it has read is not acknowledged at once.
const KERNEL_PATIENCE: Duration = Duration::from_secs(30);

/// Between two pings. A client that sent nothing since the last one is gone, or does not read.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long the upgrade of the connection may take.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to close its connection once it was told to.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that are read and dropped while a connection closes.
const CLOSE_DISCARD: u64 = 64 * 1024;

/// A WebSocket whose handshake was accepted.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) request: Request<()>,
    response: Response,
}

/// Accepts the handshake of a WebSocket.
pub(super) fn accept_handshake(head: Parts, body: &HttpBody) -> Result<Handshake, ApiError> {
    if !body.is_end_stream() {
        // A body would be read as frames after the answer.
        return Err(ApiError::InvalidParameter(
            "a WebSocket request must not have a body".to_owned(),
        ));
    }
    let request = Request::from_parts(head, ());
    let response =
        create_response_with_body(&request, HttpBody::empty).map_err(|error| match error {
            Error::Protocol(
                ProtocolError::MissingSecWebSocketVersionHeader
                | ProtocolError::WrongHttpVersion
                | ProtocolError::WrongHttpMethod,
            ) => ApiError::UpgradeRequired,
            other => {
                ApiError::InvalidParameter(format!("the WebSocket handshake is invalid: {other}"))
            }
        })?;
    Ok(Handshake { request, response })
}

/// Answers the handshake, and serves the WebSocket from then on.
pub(super) fn open(app: &Arc<AppState>, handshake: Handshake, events: Events) -> Response {
    let Handshake { mut request, response } = handshake;
    let guard = request.extensions_mut().remove::<Arc<ConnectionGuard>>();
    let upgrade = hyper::upgrade::on(&mut request);
    let task = serve(Arc::clone(app), upgrade, events, guard);
    app.stream.connections.spawn_on(task, &app.stream.runtime);
    response
}

async fn serve(
    app: Arc<AppState>,
    upgrade: OnUpgrade,
    events: Events,
    _guard: Option<Arc<ConnectionGuard>>,
) {
    let Ok(Ok(upgraded)) = timeout(UPGRADE_TIMEOUT, upgrade).await else {
        debug!("a consumer of the stream disconnected during the handshake");
        return;
    };
    let (stream, read) = match take_over(upgraded) {
        Ok(taken) => taken,
        Err(error) => {
            debug!("a consumer's connection cannot be taken over: {error}");
            return;
        }
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_SIZE)
        .write_buffer_size(WRITE_SIZE)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(MAX_CLIENT_MESSAGE))
        .max_frame_size(Some(MAX_CLIENT_MESSAGE));
    let stream = LimitedStream::new(stream);
    let socket =
        WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config)).await;
    let mut consumer = Consumer { app, socket, events };
    let why = consumer.serve().await;
    debug!("a consumer of the stream disconnects: {why:?}");
    consumer.end(why).await;
}

/// Takes the connection over from the HTTP server to the stream's runtime. Returns also the bytes
/// that were read already.
fn take_over(upgraded: Upgraded) -> io::Result<(Stream, Vec<u8>)> {
    let parts = upgraded
        .downcast::<TokioIo<Stream>>()
        .map_err(|_| io::Error::other("this is not the accepted connection"))?;
    let stream = parts.io.into_inner().move_here()?;
    stream.set_user_timeout(KERNEL_PATIENCE)?;
    Ok((stream, parts.read_buf.to_vec()))
}

/// A consumer that is connected.
struct Consumer {
    app: Arc<AppState>,
    socket: WebSocketStream<LimitedStream>,
    events: Events,
}

/// Why a consumer's connection ends.
#[derive(Debug)]
enum CloseReason {
    /// We close it, with this code and reason.
    Close(CloseCode, &'static str),
    /// The client closed it.
    ClosedByClient,
    /// The client does not read.
    Unread,
    /// The client is gone.
    Gone,
}

/// Whether there is more to be sent.
#[derive(Debug)]
enum Rest {
    Nothing,
    Perhaps,
}

impl Consumer {
    async fn serve(&mut self) -> CloseReason {
        let ended = self.events.license.token().clone();
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_heard = true;
        let mut pause = pin!(sleep(Duration::ZERO));
        let mut is_paused = false;
        if let Err(why) = self.send(Bytes::from_static(CONNECTED.as_bytes())).await {
            return why;
        }
        loop {
            let outcome = tokio::select! {
                // In this order, so that a pong which came while a large message was written is
                // read before it is missed. A client's bytes are limited in rate, so reading them
                // starves nothing.
                biased;
                () = ended.cancelled() => {
                    let is_stopping = self.app.stream.stop.is_cancelled();
                    return if is_stopping { away() } else { revoked() };
                }
                message = self.socket.next() => {
                    was_heard = true;
                    heard(message)
                }
                _ = ping.tick() => {
                    if !std::mem::take(&mut was_heard) {
                        self.app.metrics.limit_reached(HostLimit::StreamPongTime);
                        return CloseReason::Close(CloseCode::Policy, "no answer to a ping");
                    }
                    self.ping().await
                }
                () = pause.as_mut(), if is_paused => {
                    is_paused = false;
                    Ok(())
                }
                next = self.events.subscription.next(), if !is_paused => match next {
                    Ok(delivery) => {
                        let delivered = self.deliver(delivery).await;
                        // A consumer with more to get does not wait.
                        if matches!(delivered, Ok(Rest::Nothing)) {
                            is_paused = true;
                            pause.as_mut().reset(Instant::now() + self.app.stream.pace());
                        }
                        delivered.map(drop)
                    }
                    Err(Ended) => Err(CloseReason::Close(CloseCode::Away, "the tenant was removed")),
                }
            };
            match outcome {
                Ok(()) => {}
                Err(CloseReason::Unread) => {
                    self.app.metrics.limit_reached(HostLimit::StreamWriteTime);
                    return CloseReason::Unread;
                }
                Err(why @ CloseReason::Close(CloseCode::Policy, _)) => {
                    self.app.metrics.limit_reached(HostLimit::StreamClientBytes);
                    return why;
                }
                Err(why) => return why,
            }
        }
    }

    /// Sends the next event and those that are ready behind it, up to [`WRITE_SIZE`].
    async fn deliver(&mut self, first: Delivery) -> Result<Rest, CloseReason> {
        let mut next = Some(first);
        let mut gathered = 0;
        while let Some(delivery) = next {
            let message = delivery.into_message();
            gathered += message.len();
            self.feed(message).await?;
            if gathered >= WRITE_SIZE {
                self.flush().await?;
                return Ok(Rest::Perhaps);
            }
            next = self.events.subscription.next_if_there();
        }
        self.flush().await?;
        Ok(Rest::Nothing)
    }

    async fn send(&mut self, message: Bytes) -> Result<(), CloseReason> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Adds a message to the output, in as many frames as it takes (RFC 6455, section 5.4).
    async fn feed(&mut self, mut message: Bytes) -> Result<(), CloseReason> {
        let mut code = Data::Text;
        loop {
            let part = message.split_to(message.len().min(WRITE_SIZE));
            let frame = Frame::message(part, OpCode::Data(code), message.is_empty());
            self.write(Message::Frame(frame)).await?;
            if message.is_empty() {
                return Ok(());
            }
            code = Data::Continue;
        }
    }

    async fn write(&mut self, message: Message) -> Result<(), CloseReason> {
        self.in_time(async |socket| socket.feed(message).await).await
    }

    async fn flush(&mut self) -> Result<(), CloseReason> {
        self.in_time(async |socket| socket.flush().await).await
    }

    async fn ping(&mut self) -> Result<(), CloseReason> {
        self.write(Message::Ping(Bytes::new())).await?;
        self.flush().await
    }

    /// Runs an operation that waits for the client to read, until its deadline.
    async fn in_time(
        &mut self,
        work: impl AsyncFnOnce(&mut WebSocketStream<LimitedStream>) -> Result<(), Error>,
    ) -> Result<(), CloseReason> {
        let stop = &self.app.stream.stop;
        tokio::select! {
            biased;
            done = timeout(WRITE_TIMEOUT, work(&mut self.socket)) => match done {
                Ok(Ok(())) => Ok(()),
                // The kernel has a similar deadline, which may pass first.
                Ok(Err(Error::Io(error))) if error.kind() == io::ErrorKind::TimedOut => {
                    Err(CloseReason::Unread)
                }
                Ok(Err(_)) => Err(CloseReason::Gone),
                Err(_) => Err(CloseReason::Unread),
            },
            () = stop.cancelled() => Err(away()),
        }
    }

    /// Ends the connection so that the client learns why, if it reads.
    async fn end(mut self, why: CloseReason) {
        let is_told = match why {
            CloseReason::Close(code, reason) => {
                let frame = CloseFrame { code, reason: reason.into() };
                timeout(CLOSE_TIMEOUT, self.socket.close(Some(frame))).await.is_ok()
            }
            // Its own close frame is echoed.
            CloseReason::ClosedByClient => {
                timeout(CLOSE_TIMEOUT, self.socket.flush()).await.is_ok()
            }
            CloseReason::Unread => false,
            CloseReason::Gone => return,
        };
        let stream = &mut self.socket.get_mut().stream;
        if is_told {
            // Bytes that it still sends must be read, or the kernel resets the connection and the
            // close frame is lost.
            let going = async {
                stream.shutdown().await?;
                let mut rest = stream.take(CLOSE_DISCARD);
                tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
            };
            // The connection ends in either case.
            let _ = timeout(CLOSE_TIMEOUT, going).await;
        } else {
            stream.drop_unread();
        }
    }
}

const fn away() -> CloseReason {
    CloseReason::Close(CloseCode::Away, "the server is shutting down")
}

fn revoked() -> CloseReason {
    CloseReason::Close(CloseCode::Policy, "the credential is no longer accepted")
}

/// Handles a client's message. Most are ignored: the stream goes one way.
fn heard(message: Option<Result<Message, Error>>) -> Result<(), CloseReason> {
    match message {
        Some(Ok(Message::Close(_))) => Err(CloseReason::ClosedByClient),
        Some(Ok(_)) => Ok(()),
        None => Err(CloseReason::Gone),
        Some(Err(Error::Capacity(_))) => {
            Err(CloseReason::Close(CloseCode::Size, "the stream takes no such messages"))
        }
        Some(Err(Error::Utf8(_))) => {
            Err(CloseReason::Close(CloseCode::Invalid, "a text is not UTF-8"))
        }
        Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
            Err(CloseReason::Gone)
        }
        Some(Err(Error::Protocol(_))) => {
            Err(CloseReason::Close(CloseCode::Protocol, "the client broke the WebSocket protocol"))
        }
        Some(Err(Error::Io(error))) if error.kind() == io::ErrorKind::QuotaExceeded => {
            Err(CloseReason::Close(CloseCode::Policy, "the stream does not listen to so much"))
        }
        Some(Err(_)) => Err(CloseReason::Gone),
    }
}

/// A connection whose client may send [`CLIENT_BYTES`] in a second. More is an error of the kind
/// `QuotaExceeded`.
#[derive(Debug)]
struct LimitedStream {
    stream: Stream,
    limiter: RateLimiter,
}

impl LimitedStream {
    fn new(stream: Stream) -> Self {
        Self { stream, limiter: RateLimiter::new(CLIENT_BYTES, CLIENT_BYTES) }
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = u32::try_from(buffer.filled().len() - before).unwrap_or(u32::MAX);
        if read > 0 && !self.limiter.try_take(read, Instant::now().into_std()) {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        polled
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
