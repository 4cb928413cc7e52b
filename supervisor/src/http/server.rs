//! Accepts connections, and lets them end well.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{App, router};
use crate::metrics::HostLimit;

/// How long a request's head may take to arrive, counted from when the connection could take it:
/// so it is also how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a client may leave what was written to it unread, beyond what its socket takes. Then
/// the kernel ends the connection (`TCP_USER_TIMEOUT`, `tcp(7)`).
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that one connection buffers of what it reads. A request's head must fit.
const READ_BUFFER: usize = 64 * 1024;

/// Header fields of one request.
const MAX_HEADERS: usize = 64;

/// Pause after the host had no descriptor or memory for a connection: without it, accepting would
/// spin until there is one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The HTTP server, bound and not yet accepting.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    app: Arc<App>,
    connections: Arc<Semaphore>,
}

impl Server {
    pub(crate) fn new(listener: TcpListener, app: Arc<App>, max_connections: usize) -> Self {
        Self { listener, app, connections: Arc::new(Semaphore::new(max_connections)) }
    }

    /// Serves until `stop`, then lets requests in flight end for up to `shutdown_timeout`.
    pub(crate) async fn run(self, stop: CancellationToken, shutdown_timeout: Duration) {
        let Self { listener, app, connections } = self;
        let router = router(Arc::clone(&app));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &connections, &app) => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let connection =
                        serve(stream, permit, router.clone(), Arc::clone(&app), graceful.watcher());
                    tokio::spawn(connection);
                }
                Err(error) => {
                    warn!("a connection could not be accepted: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // New clients are refused from here on, not left waiting.
        drop(listener);
        info!(open = graceful.count(), "no longer accepting; requests in flight go on");
        if timeout(shutdown_timeout, graceful.shutdown()).await.is_err() {
            app.metrics.host_limit_reached(HostLimit::ShutdownTime);
            warn!("requests were still in flight when the shutdown timeout passed");
        }
    }
}

/// Waits for a place among the connections, and then for a client.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    app: &App,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    if connections.available_permits() == 0 {
        app.metrics.host_limit_reached(HostLimit::Connections);
    }
    let permit = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn serve(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    router: Router,
    app: Arc<App>,
    watcher: Watcher,
) {
    app.metrics.connections.inc();
    // Answers are small and written whole; waiting to join them with others only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!("TCP_NODELAY: {error}");
    }
    let write_millis = u32::try_from(WRITE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = setsockopt(&stream, TcpUserTimeout, &write_millis) {
        debug!("TCP_USER_TIMEOUT: {error}");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(READ_BUFFER)
        .max_headers(MAX_HEADERS)
        // A client may have nothing more to say and still want its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(infallible(router)));
    if let Err(error) = watcher.watch(connection).await {
        // A client that goes away or sends no HTTP: its affair, and frequent.
        debug!("connection ended: {error}");
    }
    app.metrics.connections.dec();
    drop(permit);
}

/// Says in the type that routing never fails, which the router's own type leaves to inference.
fn infallible(
    router: Router,
) -> impl tower_service::Service<
    axum::extract::Request<hyper::body::Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future: Send,
> + Clone {
    router
}
