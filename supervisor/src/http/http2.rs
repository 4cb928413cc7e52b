//! One connection of HTTP/2 (RFC 9113), and what bounds it.
//!
//! h2 bounds frames, header lists and resets by itself; the bounds here are about what it cannot
//! know: whether a client reads its answers, and whether what it sends leads to anything.

use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::DATE;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use enforcer_protocol::{MAX_RESULT, RateLimiter};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::connection::{ConnectionGuard, HEAD_TIMEOUT, MAX_HEADERS, READ_BUFFER, WRITE_TIMEOUT};
use super::date;
use super::error::ApiError;
use super::routes::answer;
use super::socket::Stream;
use crate::access::Connection;
use crate::permits::InFlight;
use crate::telemetry::metrics::{HostLimit, HostMetrics};

/// Requests that a client may have in progress on one connection. It is told of it, and h2 refuses
/// those beyond it (`REFUSED_STREAM`).
const MAX_STREAMS: u32 = 100;

/// Bytes of a request's body that a client may send before they are read.
const STREAM_WINDOW: u32 = 64 * 1024;

/// The same of all requests of one connection.
const CONNECTION_WINDOW: u32 = 128 * 1024;

/// Bytes of an answer that h2 takes at once. A client that does not read holds one piece of each
/// answer there, and the rest stays here, where it is counted.
const PIECE: usize = 16 * 1024;

/// Bytes of answers that one connection may leave unread. The largest answer there is has room; more
/// are refused.
const MAX_UNREAD: usize = MAX_RESULT;

/// Requests that a client may reset before it has an answer, a second: gateways do so when their own
/// clients give up. Beyond it, resets are an attack (CVE-2023-44487).
const RESETS_PER_SECOND: u32 = 100;

/// The same at once: twice of what may be in progress.
const RESETS_AT_ONCE: u32 = 2 * MAX_STREAMS;

/// Requests that were reset before they were taken up, at once; h2 ends the connection beyond it. A
/// gateway whose own client disconnects resets as many as were in progress.
const MAX_PENDING_RESETS: usize = MAX_STREAMS as usize;

/// Streams that we may have to reset because of a client's errors, in all; h2 ends the connection
/// beyond it.
const MAX_LOCAL_RESETS: usize = 1024;

/// Bytes that a client may send without getting anywhere: settings, pings, header fields without an
/// end (CVE-2024-27316), windows that are opened byte by byte. Each request, each byte of its body
/// and each piece of an answer begins the count again, so it is more than a window of bodies that
/// are not read yet, and less than what a flood sends in a moment.
const MAX_OVERHEAD: usize = 2 * CONNECTION_WINDOW as usize;

/// Bytes of them that are read before others get their turn: a flood is many small frames, and a
/// connection that reads all that is there would keep its thread meanwhile.
const TURN: usize = 4 * 1024;

/// Between two pings that find out whether a client is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Between two looks at a connection.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How long a client may take to end its idle connection once it was told to (`GOAWAY`).
const LEAVE_TIME: Duration = Duration::from_secs(1);

/// What the parts of one connection share.
#[derive(Debug)]
struct Shared {
    epoch: Instant,
    metrics: Arc<HostMetrics>,
    /// Bytes that were read since the connection last got anywhere.
    overhead: AtomicUsize,
    /// Bytes of answers that were made and not yet read.
    unread: AtomicUsize,
    /// Answers that wait for the client to read.
    waiting: AtomicUsize,
    /// When an answer last went on, in milliseconds since the epoch.
    progress: AtomicU64,
    resets: Mutex<RateLimiter>,
    /// Cancelled when the client goes beyond a bound, which ends the connection.
    breach: CancellationToken,
}

impl Shared {
    fn new(metrics: Arc<HostMetrics>) -> Self {
        Self {
            epoch: Instant::now(),
            metrics,
            overhead: AtomicUsize::new(0),
            unread: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
            resets: Mutex::new(RateLimiter::new(RESETS_PER_SECOND, RESETS_AT_ONCE)),
            breach: CancellationToken::new(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The connection got somewhere.
    fn advance(&self) {
        self.overhead.store(0, Ordering::Relaxed);
    }

    fn end(&self, limit: HostLimit) {
        if !self.breach.is_cancelled() {
            self.metrics.limit_reached(limit);
            self.breach.cancel();
        }
    }

    /// Whether answers wait, and none has gone on for long.
    fn is_stalled(&self) -> bool {
        let waited = self.now().saturating_sub(self.progress.load(Ordering::Relaxed));
        let most = u64::try_from(WRITE_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        self.waiting.load(Ordering::Relaxed) > 0 && waited > most
    }

    /// A request was reset before it had an answer.
    fn count_reset(&self) {
        let mut resets = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
        let is_allowed = resets.try_take(1, Instant::now().into_std());
        drop(resets);
        if !is_allowed {
            self.end(HostLimit::Http2Resets);
        }
    }

    /// The answer as the client gets it. It is refused where too much is unread.
    fn answer(self: &Arc<Self>, response: Response, busy: InFlight) -> hyper::Response<Answer> {
        let length = |response: &Response| {
            usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX)
        };
        let mut response = response;
        let mut bytes = length(&response);
        let before = self.unread.load(Ordering::Relaxed);
        if before > 0 && before.saturating_add(bytes) > MAX_UNREAD {
            self.metrics.limit_reached(HostLimit::Http2UnreadBytes);
            response = ApiError::UnreadAnswers.into_response();
            bytes = length(&response);
        }
        self.unread.fetch_add(bytes, Ordering::Relaxed);
        let shared = Arc::clone(self);
        response.map(|body| Answer {
            body,
            rest: Bytes::new(),
            bytes,
            is_waiting: false,
            shared,
            _busy: busy,
        })
    }
}

/// Serves a connection of HTTP/2 until it ends, or until `stop` and its requests are answered.
pub(super) async fn serve(
    stream: Stream,
    client: Arc<Connection>,
    guard: Arc<ConnectionGuard>,
    router: Router,
    metrics: Arc<HostMetrics>,
    in_flight: TaskTracker,
    stop: CancellationToken,
) {
    let shared = Arc::new(Shared::new(metrics));
    let service = service_fn({
        let (shared, guard) = (Arc::clone(&shared), Arc::clone(&guard));
        move |request: hyper::Request<Incoming>| {
            shared.advance();
            let request = received(request, &client, &shared);
            let tokens = (in_flight.token(), guard.in_flight());
            let (router, shared) = (router.clone(), Arc::clone(&shared));
            async move {
                let unanswered = Unanswered(Some(Arc::clone(&shared)));
                let mut response = if request.headers().len() > MAX_HEADERS {
                    // As with HTTP/1.
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response()
                } else {
                    answer(router, request).await
                };
                if let Some(date) = date::now() {
                    response.headers_mut().insert(DATE, date);
                }
                unanswered.answered();
                let (_token, busy) = tokens;
                Ok::<_, Infallible>(shared.answer(response, busy))
            }
        }
    });
    let stream = Metered { stream, shared: Arc::clone(&shared), turn: 0 };
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(READ_BUFFER).unwrap_or(u32::MAX))
        .max_send_buf_size(PIECE)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(WRITE_TIMEOUT)
        // hyper's own date does not survive a clock before 1970.
        .auto_date_header(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let eviction = guard.eviction();
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // When it was told to end.
    let mut told: Option<Instant> = None;
    loop {
        let is_to_leave = tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!("connection ended: {error}");
                    if is_flood(&error) {
                        shared.metrics.limit_reached(HostLimit::Http2Flood);
                    }
                }
                return;
            }
            () = shared.breach.cancelled() => return,
            () = stop.cancelled(), if told.is_none() => true,
            // It has been idle for long, and another client waits.
            () = eviction.cancelled(), if told.is_none() => true,
            _ = looks.tick() => {
                if shared.is_stalled() {
                    shared.end(HostLimit::Http2UnreadTime);
                    return;
                }
                let idle = guard.idle_for();
                if told.is_some_and(|at| at.elapsed() >= LEAVE_TIME) && idle.is_some() {
                    return;
                }
                told.is_none() && idle.is_some_and(|idle| idle >= HEAD_TIMEOUT)
            }
        };
        if is_to_leave {
            connection.as_mut().graceful_shutdown();
            told = Some(Instant::now());
            looks.reset_after(LEAVE_TIME);
        }
    }
}

/// Whether h2 ended the connection because the client sent too much of something.
fn is_flood(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    cause.is_some_and(|error| {
        !error.is_remote() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
    })
}

/// A request, whose body counts as the connection getting somewhere.
fn received(
    request: hyper::Request<Incoming>,
    client: &Arc<Connection>,
    shared: &Arc<Shared>,
) -> Request {
    let shared = Arc::clone(shared);
    let mut request = request.map(|body| HttpBody::new(Received { body, shared }));
    request.extensions_mut().insert(Arc::clone(client));
    request
}

/// Counts a request as reset if it is dropped before it was answered.
struct Unanswered(Option<Arc<Shared>>);

impl Unanswered {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.count_reset();
        }
    }
}

/// A request's body.
struct Received {
    body: Incoming,
    shared: Arc<Shared>,
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &polled {
            Some(Ok(frame)) if frame.data_ref().is_some_and(|data| !data.is_empty()) => {
                self.shared.advance();
            }
            // Its request is answered, to nobody.
            Some(Err(_)) => self.shared.count_reset(),
            Some(Ok(_)) | None => {}
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, in pieces. It waits for the client from when it gave one piece until it is asked
/// for the next, which is when the client has made room for it.
struct Answer {
    body: HttpBody,
    /// What is left of a longer piece.
    rest: Bytes,
    /// Bytes that it counts as unread.
    bytes: usize,
    is_waiting: bool,
    shared: Arc<Shared>,
    /// Its connection is not idle.
    _busy: InFlight,
}

impl Answer {
    fn set_waiting(&mut self, is_waiting: bool) {
        if self.is_waiting == is_waiting {
            return;
        }
        self.is_waiting = is_waiting;
        if is_waiting {
            // The first that waits begins the time.
            if self.shared.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
                self.shared.progress.store(self.shared.now(), Ordering::Relaxed);
            }
        } else {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.progress.store(self.shared.now(), Ordering::Relaxed);
            self.shared.advance();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        this.set_waiting(false);
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return Poll::Ready(other),
            }
        }
        let piece = this.rest.split_to(this.rest.remaining().min(PIECE));
        this.set_waiting(true);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let hint = self.body.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower().saturating_add(rest));
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper.saturating_add(rest));
        }
        whole
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.set_waiting(false);
        self.shared.unread.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A connection that counts what it reads.
struct Metered {
    stream: Stream,
    shared: Arc<Shared>,
    /// Bytes that led to nothing when the thread was last given to others.
    turn: usize,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let so_far = self.shared.overhead.load(Ordering::Relaxed);
        if so_far < self.turn {
            // The connection got somewhere meanwhile.
            self.turn = 0;
        }
        if so_far.saturating_sub(self.turn) >= TURN {
            self.turn = so_far;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        let overhead = self.shared.overhead.fetch_add(read, Ordering::Relaxed);
        if read > 0 && overhead.saturating_add(read) > MAX_OVERHEAD {
            self.shared.end(HostLimit::Http2Overhead);
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
