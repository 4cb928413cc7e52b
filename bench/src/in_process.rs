//! The usual design without this product: one process, an engine for every tenant behind a mutex,
//! and no isolation between tenants.
//!
//! Everything else is as in the supervisor, so that the difference is the cost of isolation: the
//! same HTTP, runtime, allocator and engine, and an answer of the same bytes. It evaluates three
//! rules, as the engine's own documentation shows.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::TcpListener as StdListener;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{Path as PathParameters, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use regorus::{Engine, PolicyLengthConfig, Value};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service as _;
use uuid::Uuid;

// As in `supervisor/src/http/server.rs`.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const READ_BUFFER: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// As in `worker/src/engine.rs`: generated policies are longer than regorus takes by default.
const LENGTHS: PolicyLengthConfig = PolicyLengthConfig {
    max_col: NonZeroU32::new(1024 * 1024).unwrap(),
    max_file_bytes: NonZeroUsize::new(16 * 1024 * 1024).unwrap(),
    max_lines: NonZeroUsize::new(1_000_000).unwrap(),
};

/// Why it cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InProcessError {
    /// The operating system refused something.
    #[error("{0}")]
    System(#[from] io::Error),
    /// A bundle cannot be used.
    #[error("{}: {message}", path.display())]
    Bundle {
        /// The faulty file.
        path: PathBuf,
        /// The engine's message.
        message: String,
    },
}

/// The state that every request can reach.
struct Tenant {
    /// The names of its three rules, which are evaluated one after the other.
    allow: String,
    redact: String,
    reason: String,
    engine: Mutex<Engine>,
}

type Tenants = Arc<HashMap<String, Tenant>>;

/// The answer to a decision request, as the product gives it.
#[derive(Serialize)]
struct DecisionBody<'a> {
    result: Decision,
    metrics: DecisionMetrics<'a>,
    decision_id: Uuid,
}

#[derive(Serialize)]
struct Decision {
    allow: Value,
    redact: Value,
    reason: Value,
}

#[derive(Serialize)]
struct DecisionMetrics<'a> {
    eval_duration_micros: u64,
    tenant_id: &'a str,
}

/// Serves the bundles of this directory until the process is killed.
///
/// # Errors
/// When it cannot start.
pub(crate) fn serve(listener: StdListener, bundles_dir: &Path) -> Result<(), InProcessError> {
    raise_descriptor_limit();
    let tenants = Arc::new(load(bundles_dir)?);
    // As in the supervisor: a thread for each processor.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(accept(listener, tenants))
}

/// As the supervisor does. Where it is refused, fewer connections can be measured.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn load(bundles_dir: &Path) -> Result<HashMap<String, Tenant>, InProcessError> {
    let mut tenants = HashMap::new();
    for entry in fs::read_dir(bundles_dir)? {
        let entry = entry?;
        let id = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && !id.starts_with('.') {
            let rule = |name: &str| format!("data.tenants[\"{id}\"].{name}");
            let tenant = Tenant {
                allow: rule("allow"),
                redact: rule("redact"),
                reason: rule("reason"),
                engine: Mutex::new(load_bundle(&entry.path())?),
            };
            tenants.insert(id, tenant);
        }
    }
    Ok(tenants)
}

fn load_bundle(directory: &Path) -> Result<Engine, InProcessError> {
    let mut engine = Engine::new();
    engine.set_policy_length_config(LENGTHS);
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_module = path.extension().is_some_and(|extension| extension == "rego");
        let is_data = path.file_name().is_some_and(|name| name == "data.json");
        if !is_module && !is_data {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let added = if is_module {
            engine.add_policy(path.to_string_lossy().into_owned(), text).map(drop)
        } else {
            Value::from_json_str(&text).and_then(|data| engine.add_data(data))
        };
        added.map_err(|error| InProcessError::Bundle { path, message: error.to_string() })?;
    }
    Ok(engine)
}

async fn accept(listener: StdListener, tenants: Tenants) -> Result<(), InProcessError> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let router =
        Router::new().route("/v1/data/tenants/{tenant_id}/allow", post(decide)).with_state(tenants);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, router.clone()))),
            // There are no file descriptors left until a connection ends.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    // Without it answers come later, which the figures would show.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let request: Request = request.map(HttpBody::new);
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request).await.into_response()) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(READ_BUFFER)
        .max_headers(MAX_HEADERS)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // A client that disconnects is not a fault.
    let _ = connection.await;
}

async fn decide(
    State(tenants): State<Tenants>,
    PathParameters(tenant_id): PathParameters<String>,
    body: Bytes,
) -> Response {
    let Some(tenant) = tenants.get(&tenant_id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(input) = input(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let start = Instant::now();
    // It is evaluated on the thread that serves connections, while its tenant's other requests wait
    // for the mutex and block further threads: that is how such servers are usually written.
    let Some(result) = ask(tenant, input) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let metrics = DecisionMetrics { eval_duration_micros: micros, tenant_id: &tenant_id };
    answer(&DecisionBody { result, metrics, decision_id: Uuid::now_v7() })
}

/// The body's `input`.
fn input(body: &[u8]) -> Option<Value> {
    let body = Value::from_json_str(std::str::from_utf8(body).ok()?).ok()?;
    body.as_object().ok()?.get(&Value::from("input")).cloned()
}

fn ask(tenant: &Tenant, input: Value) -> Option<Decision> {
    let mut engine = tenant.engine.lock().ok()?;
    engine.set_input(input);
    let mut rule = |name: &String, otherwise: Value| match engine.eval_rule(name.clone()) {
        Ok(Value::Undefined) => Some(otherwise),
        Ok(value) => Some(value),
        Err(_) => None,
    };
    Some(Decision {
        allow: rule(&tenant.allow, Value::from(false))?,
        redact: rule(&tenant.redact, Value::new_set())?,
        reason: rule(&tenant.reason, Value::Null)?,
    })
}

fn answer(body: &impl Serialize) -> Response {
    let Ok(mut text) = serde_json::to_vec(body) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    text.push(b'\n');
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (StatusCode::OK, [content_type], text).into_response()
}
