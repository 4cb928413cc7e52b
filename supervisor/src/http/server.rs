//! Accepts connections, and shuts them down gracefully.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::Request;
use axum::http::header::{DATE, UPGRADE};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{debug, info, warn};

use super::addresses::AddressPermit;
use super::connection::{ConnectionGuard, HEAD_TIMEOUT, IsStream, MAX_HEADERS, READ_BUFFER};
use super::date;
use super::handshake::{BeginError, Begun, Protocol};
use super::http2;
use super::listener::{Accepted, Listener};
use super::routes::{answer, diagnostics_router, router};
use super::socket::Stream;
use super::state::AppState;
use crate::access::Connection;
use crate::permits::{ConnectionPermit, InFlight};
use crate::telemetry::metrics::{HostLimit, HostMetrics, OpenGauge};

/// How long consumers of the stream may take to disconnect at shutdown: the time to be told, and
/// then to disconnect.
const STREAM_END: Duration = Duration::from_secs(3);

/// How long connections stay open once a shutdown finds no request in flight: the last answers have
/// to reach their sockets, from where the kernel delivers them. An incomplete request head is not
/// waited for beyond this, or a client that sends one could delay the shutdown.
const FLUSH_GRACE: Duration = Duration::from_secs(1);

/// Pause after the host had no file descriptor or memory for a connection: without it, accepting
/// would spin until there is one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The HTTP server, bound and not yet accepting.
#[derive(Debug)]
pub(crate) struct Server {
    /// For clients.
    pub(crate) listeners: Vec<Listener>,
    /// For health and metrics.
    pub(crate) diagnostics: Option<Listener>,
    pub(crate) app: Arc<AppState>,
}

/// All that the connections of one server share.
#[derive(Clone)]
struct Connections {
    app: Arc<AppState>,
    stop: CancellationToken,
    open: TaskTracker,
    in_flight: TaskTracker,
}

impl Server {
    /// Serves until `stop`, then lets requests in flight end for up to `shutdown_timeout`.
    pub(crate) async fn run(self, stop: CancellationToken, shutdown_timeout: Duration) {
        let Self { listeners, diagnostics, app } = self;
        let stop_connections = CancellationToken::new();
        let open = TaskTracker::new();
        let in_flight = TaskTracker::new();
        let connections = Connections {
            app: Arc::clone(&app),
            stop: stop_connections.clone(),
            open: open.clone(),
            in_flight: in_flight.clone(),
        };
        let router = router(Arc::clone(&app));
        let for_clients = listeners.into_iter().map(|listener| (listener, router.clone()));
        let for_diagnostics =
            diagnostics.map(|listener| (listener, diagnostics_router(Arc::clone(&app))));
        let accepting: JoinSet<()> = for_clients
            .chain(for_diagnostics)
            .map(|(listener, router)| {
                accept_all(listener, router, connections.clone(), stop.clone())
            })
            .collect();
        // New clients are refused from here on, not left waiting.
        accepting.join_all().await;
        info!(open = open.len(), "no longer accepting; requests in flight go on");
        stop_connections.cancel();
        open.close();
        app.stream.stop.cancel();
        app.stream.connections.close();
        let drained = async {
            tokio::select! {
                () = open.wait() => {}
                // Connections that are still open sent an incomplete head, or do not read their
                // answer.
                () = all_answered(&in_flight) => {}
            }
        };
        let consumers_gone = timeout(STREAM_END, app.stream.connections.wait());
        let ended = async { tokio::join!(drained, consumers_gone) };
        if timeout(shutdown_timeout, ended).await.is_err() && !in_flight.is_empty() {
            app.metrics.limit_reached(HostLimit::ShutdownTime);
            warn!(
                in_flight = in_flight.len(),
                "requests were still in flight when the shutdown timeout passed"
            );
        }
    }
}

/// Has hyper write its cached date on this thread. It writes the first one with an assertion that
/// the clock is not before 1970, and later ones only when the clock goes forward: so a clock that
/// is set back later costs no connection. Threads that begin after that only do work that blocks.
pub(crate) fn prepare_thread() {
    if SystemTime::now() < UNIX_EPOCH {
        return;
    }
    let (stream, _client) = tokio::io::duplex(1);
    let service = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(HttpBody::empty()))
    });
    let mut builder = http1::Builder::new();
    let connection =
        builder.header_read_timeout(None).serve_connection(TokioIo::new(stream), service);
    // Once is enough: the date is written before anything is read.
    let _ = pin!(connection).poll(&mut Context::from_waker(Waker::noop()));
}

/// Waits until no request is in flight, and still is not after a time for the answers to leave.
async fn all_answered(in_flight: &TaskTracker) {
    in_flight.close();
    loop {
        in_flight.wait().await;
        sleep(FLUSH_GRACE).await;
        if in_flight.is_empty() {
            return;
        }
    }
}

/// Accepts a listener's connections, until `stop`.
async fn accept_all(
    listener: Listener,
    router: Router,
    connections: Connections,
    stop: CancellationToken,
) {
    let app = &connections.app;
    loop {
        let accepted = async {
            let accepted = listener.accept().await?;
            let Ok(address) = app.handshakes.admit(&accepted) else {
                app.metrics.limit_reached(HostLimit::AddressConnections);
                return Ok(None);
            };
            if app.connections.is_exhausted() {
                app.metrics.limit_reached(HostLimit::Connections);
            }
            Ok::<_, io::Error>(Some((accepted, address, app.connections.acquire().await)))
        };
        let Some(accepted) = stop.run_until_cancelled(accepted).await else { return };
        match accepted {
            // Its address has as many as it may: it is closed.
            Ok(None) => {}
            Ok(Some((accepted, address, permit))) => {
                let router = router.clone();
                let shared = connections.clone();
                connections.open.spawn(serve(accepted, address, permit, router, shared));
            }
            Err(error) => {
                warn!("a connection could not be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Has an accepted connection begin to speak HTTP, and serves it until it ends.
async fn serve(
    accepted: Accepted,
    address: Option<AddressPermit>,
    permit: ConnectionPermit,
    router: Router,
    connections: Connections,
) {
    let open = OpenGauge::new(&connections.app.metrics.connections);
    let eviction = permit.eviction();
    let begun = tokio::select! {
        begun = connections.app.handshakes.begin(accepted, &connections.app.metrics) => begun,
        // No request is in flight, so nobody waits for it.
        () = connections.stop.cancelled() => return,
        () = eviction.cancelled() => return,
    };
    let Begun { stream, client, protocol, address: named } = match begun {
        Ok(begun) => begun,
        Err(error) => return refused(&connections.app.metrics, &error),
    };
    let guard = Arc::new(ConnectionGuard::new(permit, open, [address, named]));
    let client = Arc::new(client);
    match protocol {
        Protocol::Http1 => serve_http1(stream, client, guard, router, connections).await,
        Protocol::Http2 => {
            let Connections { app, stop, in_flight, open: _ } = connections;
            let metrics = Arc::clone(&app.metrics);
            http2::serve(stream, client, guard, router, metrics, in_flight, stop).await;
        }
    }
}

/// Counts a connection that does not get to speak HTTP. Clients cause it at will, so it is no line of
/// the log for operators.
fn refused(metrics: &HostMetrics, error: &BeginError) {
    match error {
        BeginError::Tls { failure, .. } => metrics.tls.failed(*failure),
        BeginError::Proxy(_) | BeginError::ProxyTimeout => drop(metrics.proxy_errors.inc()),
        BeginError::AddressFull => metrics.limit_reached(HostLimit::AddressConnections),
        BeginError::First(_) => {}
    }
    debug!("a connection ended before its first request: {error}");
}

async fn serve_http1(
    stream: Stream,
    client: Arc<Connection>,
    guard: Arc<ConnectionGuard>,
    router: Router,
    connections: Connections,
) {
    let Connections { app, stop, in_flight, open: _ } = connections;
    let eviction = guard.eviction();
    let streams = Arc::new(Notify::new());
    let service = service_fn({
        let streams = Arc::clone(&streams);
        move |request: Request<Incoming>| {
            let mut request = request.map(HttpBody::new);
            request.extensions_mut().insert(Arc::clone(&client));
            if request.headers().contains_key(UPGRADE) {
                request.extensions_mut().insert(Arc::clone(&guard));
            }
            let tokens = (in_flight.token(), guard.in_flight());
            answer_in_flight(router.clone(), request, tokens, Arc::clone(&streams))
        }
    });
    let mut served = Box::pin(async move {
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(READ_BUFFER)
                .max_headers(MAX_HEADERS)
                // A client may close its sending half and still want its answer.
                .half_close(true)
                // hyper's own date does not survive a clock before 1970.
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
        );
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            // It has been idle for long, and another client waits.
            () = eviction.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    });
    let ended = tokio::select! {
        ended = served.as_mut() => Ok(ended),
        // The threads that decide have answered; the stream's own do the rest.
        () = streams.notified() => app.stream.runtime.spawn(served).await,
    };
    let Ok(ended) = ended else { return };
    if let Err(error) = ended {
        // A client disconnected or did not send HTTP, which is frequent and not an error of ours.
        debug!("connection ended: {error}");
    }
}

/// Answers one request, which is in flight from its whole head on until there is an answer.
async fn answer_in_flight(
    router: Router,
    request: Request,
    in_flight: (TaskTrackerToken, InFlight),
    streams: Arc<Notify>,
) -> Result<Response, Infallible> {
    let mut response = answer(router, request).await;
    if let Some(date) = date::now() {
        response.headers_mut().insert(DATE, date);
    }
    if response.extensions().get::<IsStream>().is_some() {
        streams.notify_one();
        // Its connection is not idle for as long as it lasts.
        let (_, busy) = in_flight;
        response.extensions_mut().insert(Arc::new(busy));
    }
    Ok(response)
}
