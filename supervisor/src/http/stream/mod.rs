//! `GET /v1/stream/decisions`: the checks before it is opened, and its transport.

mod events;
mod server_sent_events;
mod websocket;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::http::header::{ACCEPT, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use enforcer_protocol::TenantId;

use super::error::ApiError;
use super::gate;
use super::origin;
use super::query::parameters;
use super::state::AppState;
use crate::access::{Caller, Proof, Role, Scope};
use crate::stream::{Cursor, EventKind, Kinds, Resumption};
use crate::telemetry::metrics::{HostLimit, OpenGauge};
use crate::tenant::admission::Tenant;
use events::{ConsumerPermit, Events};

/// The cursor that a client of server-sent events has
/// (<https://html.spec.whatwg.org/multipage/server-sent-events.html#last-event-id>).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Maximum bytes of a cursor that is parsed: more than any valid cursor has.
const MAX_CURSOR: usize = 64;

/// A consumer's parameters.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// Only this tenant's events.
    tenant_id: Option<TenantId>,
    kinds: Kinds,
}

/// Opens the stream, or says why not. Every refusal is an ordinary answer, before anything is
/// upgraded.
pub(crate) async fn open(
    app: &Arc<AppState>,
    caller: Caller,
    proof: Proof,
    request: Request,
) -> Response {
    if request.method() != Method::GET {
        // The answer to HEAD has no events, which would be built all the same.
        return ApiError::MethodNotAllowed { allow: "GET" }.into_response();
    }
    open_transport(app, caller, proof, request).await.unwrap_or_else(ApiError::into_response)
}

async fn open_transport(
    app: &Arc<AppState>,
    caller: Caller,
    proof: Proof,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let page = origin::page(&head.headers, &app.stream_origins)?;
    let permitted = permitted(app, caller, proof, head.uri.query().unwrap_or_default())?;
    let transport = transport(&head.headers)?;
    match transport {
        Transport::WebSocket => {
            let handshake = websocket::accept_handshake(head, &body)?;
            let events = subscribe(app, permitted, Resumption::Never).await?;
            Ok(websocket::open(app, handshake, events))
        }
        Transport::ServerSentEvents => {
            let resumption = cursor(&head.headers).map_or(Resumption::Possible, Resumption::From);
            let events = subscribe(app, permitted, resumption).await?;
            Ok(server_sent_events::open(app, head.version, page, events))
        }
    }
}

/// The protocol that a consumer asks for.
#[derive(Debug, PartialEq, Eq)]
enum Transport {
    WebSocket,
    ServerSentEvents,
}

fn transport(headers: &HeaderMap) -> Result<Transport, ApiError> {
    let mut upgrades = headers.get_all(UPGRADE).iter();
    if upgrades.any(|upgrade| is_listed(upgrade, "websocket")) {
        return Ok(Transport::WebSocket);
    }
    let mut accepted = headers.get_all(ACCEPT).iter();
    if accepted.any(|media| is_listed(media, server_sent_events::MEDIA_TYPE)) {
        return Ok(Transport::ServerSentEvents);
    }
    Err(ApiError::UpgradeRequired)
}

/// Whether a header's list names this, with any parameters.
fn is_listed(value: &HeaderValue, name: &str) -> bool {
    let value = value.to_str().unwrap_or_default();
    value.split(',').any(|item| {
        let (item, _) = item.split_once(';').unwrap_or((item, ""));
        item.trim().eq_ignore_ascii_case(name)
    })
}

/// A permit for a consumer. Consumers keep their connections for long, so they may have half of
/// them: the rest stays free for decisions and operators.
fn take_permit(app: &AppState, tenant: Option<&Tenant>) -> Result<ConsumerPermit, ApiError> {
    let quota = tenant.map(|tenant| tenant.quotas.consumer(Instant::now())).transpose()?;
    let consumers = usize::try_from(app.stream.metrics.consumers.get()).unwrap_or(0);
    let permit = Arc::clone(&app.stream.permits).try_acquire_owned().ok();
    let permit = permit.filter(|_| consumers < app.connections.count().div_ceil(2));
    let permit = permit.ok_or_else(|| {
        app.metrics.limit_reached(HostLimit::StreamConsumers);
        ApiError::TooManyConsumers
    })?;
    Ok(ConsumerPermit::new(permit, quota, OpenGauge::new(&app.stream.metrics.consumers)))
}

/// Events that somebody asks for who may have them.
struct Permitted {
    /// All tenants without one.
    tenant: Option<Arc<Tenant>>,
    kinds: Kinds,
    scope: Scope,
    caller: Caller,
    proof: Proof,
}

fn permitted(
    app: &AppState,
    caller: Caller,
    proof: Proof,
    query: &str,
) -> Result<Permitted, ApiError> {
    let Wanted { tenant_id, kinds } = wanted(query)?;
    let (tenant, scope) = match tenant_id {
        None => {
            gate::permit_for_all(app, &caller, Role::Operate)?;
            (None, Scope::All(Role::Operate))
        }
        Some(tenant_id) => {
            let tenant = gate::tenant(app, &caller, Role::Observe, &tenant_id)?;
            (Some(tenant), Scope::Tenant(Role::Observe, tenant_id))
        }
    };
    Ok(Permitted { tenant, kinds, scope, caller, proof })
}

/// Subscribes to the events, with a place among the consumers.
async fn subscribe(
    app: &AppState,
    permitted: Permitted,
    resumption: Resumption,
) -> Result<Events, ApiError> {
    let Permitted { tenant, kinds, scope, caller, proof } = permitted;
    // Before the subscription: for a consumer that is refused no event may be built or kept.
    let permit = take_permit(app, tenant.as_deref())?;
    let stream = Arc::clone(&app.stream);
    // The channel's lock may be held by a thread that gives way to this one.
    let subscribed = app.stream.runtime.spawn(async move {
        match tenant {
            None => stream.subscribe(kinds, resumption),
            Some(tenant) => tenant.stream.subscribe(kinds, resumption),
        }
    });
    let subscription = subscribed.await.map_err(|_| ApiError::Internal)?;
    // It was removed meanwhile.
    let subscription = subscription.ok_or(ApiError::UnknownTenant)?;
    let license = app.access.license(proof, caller, scope, &app.stream.stop);
    Ok(Events::new(subscription, permit, license))
}

/// The cursor that a consumer of server-sent events sends.
fn cursor(headers: &HeaderMap) -> Option<Cursor> {
    let value = headers.get(LAST_EVENT_ID)?;
    let text = value.to_str().ok().filter(|text| text.len() <= MAX_CURSOR);
    match text {
        // An `EventSource` that had none yet.
        Some("") => None,
        Some(text) => Some(Cursor::from(text)),
        None => Some(Cursor::Unknown),
    }
}

fn wanted(query: &str) -> Result<Wanted, ApiError> {
    let invalid = |message: &str| ApiError::InvalidParameter(message.to_owned());
    let (mut tenant_id, mut kinds) = (None, None);
    for parameter in parameters(query) {
        let (name, value) = parameter?;
        let value = value.unwrap_or_default();
        // Of two that differ, a proxy that reads them may use the other.
        let is_second = match name.as_ref() {
            "tenant_id" => tenant_id.replace(value.parse()?).is_some(),
            "events" => kinds.replace(kinds_of(&value)?).is_some(),
            _ => false,
        };
        if is_second {
            return Err(invalid("tenant_id and events may each be given once"));
        }
    }
    let kinds = kinds.unwrap_or(Kinds::NONE.with(EventKind::Decision));
    Ok(Wanted { tenant_id, kinds })
}

fn kinds_of(list: &str) -> Result<Kinds, ApiError> {
    let mut kinds = Kinds::NONE;
    for kind in list.split(',') {
        match kind {
            "decision" => kinds = kinds.with(EventKind::Decision),
            "tenant" => kinds = kinds.with(EventKind::Tenant),
            "error" => kinds = kinds.with(EventKind::Error),
            "quota" => kinds = kinds.with(EventKind::Quota),
            _ => {
                let expected = "events must be a list of decision, tenant, error and quota, separated by commas";
                return Err(ApiError::InvalidParameter(expected.to_owned()));
            }
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_says_whose_and_which_events_it_wants() {
        let decisions = Kinds::NONE.with(EventKind::Decision);
        let tenant_id: Option<TenantId> = Some("tenant-c".parse().unwrap());
        for (query, tenant_id, kinds) in [
            ("", None, decisions),
            ("x=%ff1&y".get(..0).unwrap(), None, decisions),
            ("other=1&another", None, decisions),
            ("tenant_id=tenant%2Dc", tenant_id.clone(), decisions),
            ("events=decision,tenant,error,quota", None, Kinds::ALL),
            ("events=tenant&tenant_id=tenant-c", tenant_id, Kinds::NONE.with(EventKind::Tenant)),
        ] {
            assert_eq!(wanted(query).unwrap(), Wanted { tenant_id, kinds }, "{query}");
        }
        for query in [
            "tenant_id",
            "tenant_id=",
            "tenant_id=..",
            "tenant_id=a%00",
            "tenant_id=%ff",
            "tenant_id=a&tenant_id=b",
            "tenant_id=a&tenant_id=a",
            "events=",
            "events=decisions",
            "events=decision, tenant",
            "events=decision&events=tenant",
        ] {
            assert!(wanted(query).is_err(), "{query}");
        }
    }

    #[test]
    fn the_transport_is_the_one_that_the_client_requests() {
        let asked = |headers: &[(HeaderName, &str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.parse().unwrap()))
                .collect();
            transport(&headers).ok()
        };
        assert_eq!(asked(&[(UPGRADE, "WebSocket")]), Some(Transport::WebSocket));
        assert_eq!(asked(&[(UPGRADE, "websocket"), (ACCEPT, "*/*")]), Some(Transport::WebSocket));
        assert_eq!(asked(&[(ACCEPT, "text/event-stream")]), Some(Transport::ServerSentEvents));
        assert_eq!(
            asked(&[(ACCEPT, "a/b, Text/Event-Stream;q=1")]),
            Some(Transport::ServerSentEvents)
        );
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[(ACCEPT, "*/*")]), None);
        assert_eq!(asked(&[(UPGRADE, "h2c")]), None);
    }
}
