//! `GET /v1/stream/decisions`: who may open it, and which of its faces is asked for.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{ACCEPT, ALLOW, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::response::{IntoResponse, Response};
use enforcer_protocol::TenantId;
use tokio::sync::OwnedSemaphorePermit;

use super::error::ApiError;
use super::query::parameters;
use super::{App, origin, server_sent_events, websocket};
use crate::metrics::{HostLimit, OpenGauge};
use crate::stream::{Kinds, Place, Resumption, Subscription};

/// The place that a client of server-sent events was at
/// (<https://html.spec.whatwg.org/multipage/server-sent-events.html#last-event-id>).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Bytes of a place that is looked at: more than any of ours has.
const MAX_PLACE: usize = 64;

/// What a consumer asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// Only this tenant's events.
    tenant_id: Option<TenantId>,
    kinds: Kinds,
}

/// A consumer's place among those that there may be, given back when it is dropped.
#[derive(Debug)]
struct ConsumerPlace {
    _permit: OwnedSemaphorePermit,
    _open: OpenGauge,
}

/// What a consumer gets, for as long as it has its place.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) subscription: Subscription,
    _place: ConsumerPlace,
}

/// Opens the stream, or says why not. Every refusal is an ordinary answer, before anything is
/// upgraded.
pub(crate) async fn open(app: &Arc<App>, request: Request) -> Response {
    if request.method() != Method::GET {
        // A HEAD's answer has no events, and would have them built all the same.
        return ([(ALLOW, "GET")], ApiError::MethodNotAllowed).into_response();
    }
    open_face(app, request).await.unwrap_or_else(ApiError::into_response)
}

async fn open_face(app: &Arc<App>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let face = face(&head.headers)?;
    let page = origin::page(&head.headers, &app.stream_origins)?;
    match face {
        Face::WebSocket => {
            let handshake = websocket::agree(head, &body)?;
            let head = &handshake.request;
            let events = subscribe(app, head.uri(), Resumption::Never).await?;
            Ok(websocket::open(app, handshake, events))
        }
        Face::ServerSentEvents => {
            let resumption = place(&head.headers).map_or(Resumption::Possible, Resumption::From);
            let events = subscribe(app, &head.uri, resumption).await?;
            Ok(server_sent_events::open(app, page, events))
        }
    }
}

/// How a consumer wants to be spoken to.
#[derive(Debug, PartialEq, Eq)]
enum Face {
    WebSocket,
    ServerSentEvents,
}

fn face(headers: &HeaderMap) -> Result<Face, ApiError> {
    let mut upgrades = headers.get_all(UPGRADE).iter();
    if upgrades.any(|upgrade| is_listed(upgrade, "websocket")) {
        return Ok(Face::WebSocket);
    }
    let mut accepted = headers.get_all(ACCEPT).iter();
    if accepted.any(|media| is_listed(media, server_sent_events::MEDIA_TYPE)) {
        return Ok(Face::ServerSentEvents);
    }
    Err(ApiError::UpgradeRequired)
}

/// Whether a header's list names this, whatever parameters it gives.
fn is_listed(value: &HeaderValue, name: &str) -> bool {
    let value = value.to_str().unwrap_or_default();
    value.split(',').any(|item| {
        let (item, _) = item.split_once(';').unwrap_or((item, ""));
        item.trim().eq_ignore_ascii_case(name)
    })
}

/// A place among the consumers.
fn take_place(app: &App) -> Result<ConsumerPlace, ApiError> {
    let permit = Arc::clone(&app.stream.places).try_acquire_owned().map_err(|_| {
        app.metrics.host_limit_reached(HostLimit::StreamConsumers);
        ApiError::TooManyConsumers
    })?;
    let _open = OpenGauge::new(&app.stream.metrics.consumers);
    Ok(ConsumerPlace { _permit: permit, _open })
}

/// The events that a request asks for, and a place among those who get any.
async fn subscribe(app: &App, uri: &Uri, resumption: Resumption) -> Result<Events, ApiError> {
    let Wanted { tenant_id, kinds } = wanted(uri.query().unwrap_or_default())?;
    let tenant = match tenant_id {
        None => None,
        Some(tenant_id) => Some(app.registry.get(&tenant_id).ok_or(ApiError::UnknownTenant)?),
    };
    // Before anything is subscribed to: whoever is turned away must not have events built, nor kept
    // until it comes back.
    let place = take_place(app)?;
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
    Ok(Events { subscription, _place: place })
}

/// Where a consumer of server-sent events says that it was.
fn place(headers: &HeaderMap) -> Option<Place> {
    let value = headers.get(LAST_EVENT_ID)?;
    let text = value.to_str().ok().filter(|text| text.len() <= MAX_PLACE);
    match text {
        // An `EventSource` that had none yet.
        Some("") => None,
        Some(text) => Some(Place::from(text)),
        None => Some(Place::Unknown),
    }
}

fn wanted(query: &str) -> Result<Wanted, ApiError> {
    let invalid = |message: &str| ApiError::InvalidParameter(message.to_owned());
    let (mut tenant_id, mut kinds) = (None, None);
    for parameter in parameters(query) {
        let (name, value) = parameter?;
        let value = value.unwrap_or_default();
        // Of two that say different things, whoever else reads them may go by the other.
        let is_second = match name.as_ref() {
            "tenant_id" => tenant_id.replace(value.parse()?).is_some(),
            "events" => kinds.replace(kinds_of(&value)?).is_some(),
            _ => false,
        };
        if is_second {
            return Err(invalid("tenant_id and events may each be given once"));
        }
    }
    let kinds = kinds.unwrap_or(Kinds { decisions: true, tenants: false });
    Ok(Wanted { tenant_id, kinds })
}

fn kinds_of(list: &str) -> Result<Kinds, ApiError> {
    let mut kinds = Kinds { decisions: false, tenants: false };
    for kind in list.split(',') {
        match kind {
            "decision" => kinds.decisions = true,
            "tenant" => kinds.tenants = true,
            // There are none as long as there are no quotas.
            "quota" => {}
            _ => {
                let expected =
                    "events must be a list of decision, tenant and quota, separated by commas";
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
        let decisions = Kinds { decisions: true, tenants: false };
        let tenant_id: Option<TenantId> = Some("tenant-c".parse().unwrap());
        for (query, tenant_id, kinds) in [
            ("", None, decisions),
            ("x=%ff1&y".get(..0).unwrap(), None, decisions),
            ("other=1&another", None, decisions),
            ("tenant_id=tenant%2Dc", tenant_id.clone(), decisions),
            ("events=decision,tenant,quota", None, Kinds { decisions: true, tenants: true }),
            (
                "events=tenant&tenant_id=tenant-c",
                tenant_id,
                Kinds { decisions: false, tenants: true },
            ),
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
    fn the_face_is_what_the_client_asks_for() {
        let face = |headers: &[(HeaderName, &str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.parse().unwrap()))
                .collect();
            face(&headers).ok()
        };
        assert_eq!(face(&[(UPGRADE, "WebSocket")]), Some(Face::WebSocket));
        assert_eq!(face(&[(UPGRADE, "websocket"), (ACCEPT, "*/*")]), Some(Face::WebSocket));
        assert_eq!(face(&[(ACCEPT, "text/event-stream")]), Some(Face::ServerSentEvents));
        assert_eq!(face(&[(ACCEPT, "a/b, Text/Event-Stream;q=1")]), Some(Face::ServerSentEvents));
        assert_eq!(face(&[]), None);
        assert_eq!(face(&[(ACCEPT, "*/*")]), None);
        assert_eq!(face(&[(UPGRADE, "h2c")]), None);
    }
}
