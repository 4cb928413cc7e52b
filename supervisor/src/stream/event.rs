//! The events of the stream: built and serialised once for all consumers.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use enforcer_protocol::{Decision, Diagnostic, JsonText, Revision, TenantId};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::disclosure::{Disclosure, MaskedPaths, ShownInput, omitted};
use super::input::RequestInput;
use super::kinds::EventKind;
use super::memory::{Memory, Share};
use crate::clock::rfc3339;
use crate::error_code::ErrorCode;
use crate::tenant::state::TenantState;

/// The first message of every stream.
pub(crate) const CONNECTED: &str = r#"{"type":"connected","message":"Decision stream ready"}"#;

/// Bytes of an event besides the text of its tenant and its client.
pub(super) const EVENT_OVERHEAD: usize = 512;

/// An event, ready to be sent.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) id: Uuid,
    /// The message, JSON without a line break. It holds its share of the tenant's stream memory
    /// until the last part of it is dropped.
    pub(crate) json: Bytes,
}

/// A message, and its share of the tenant's stream memory.
#[derive(Debug)]
struct Accounted {
    json: Vec<u8>,
    _memory: Share,
}

impl AsRef<[u8]> for Accounted {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// A decision that was made.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) id: Uuid,
    /// As much of it as may be shown.
    pub(crate) decision: Decision,
    pub(crate) micros: u64,
    /// The revision of the worker that decided.
    pub(crate) revision: Revision,
    /// How its input is shown.
    pub(super) input: ShownInput,
}

impl Decided {
    /// A decision of which so much may be shown.
    pub(crate) fn new(
        id: Uuid,
        decision: Decision,
        (revision, micros): (Revision, u64),
        disclosure: Disclosure,
    ) -> Self {
        let (decision, input) = disclosure.apply(decision);
        Self { id, decision, micros, revision, input }
    }

    /// Leaves out the paths that a mask has changed.
    pub(super) fn forget_paths(&mut self) {
        self.input = ShownInput::Omitted(omitted::TOO_LARGE);
    }

    /// The paths that a mask has changed.
    pub(super) fn paths(&self) -> Option<&MaskedPaths> {
        match &self.input {
            ShownInput::Masked { paths, .. } => Some(paths),
            ShownInput::AsSent | ShownInput::Omitted(_) => None,
        }
    }
}

/// A change of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    /// Its directory was added.
    Added,
    /// Its directory is gone.
    Removed,
    /// A worker serves it, after a time without one.
    Ready,
    /// Another revision serves.
    Reloaded,
    /// Its bundle cannot be used.
    Rejected,
    /// Its bundle could not be read.
    Unreadable,
    /// A worker ended unexpectedly, or did not start.
    Crashed,
    /// Its workers failed too often.
    Quarantined,
    /// It was idle, and has no worker until its next request.
    Asleep,
    /// Its directory holds no policy yet.
    Waiting,
    /// All its evaluations fail.
    Failing,
    /// It decides again after it was failing.
    Recovered,
}

/// A request that got no decision.
#[derive(Clone, Debug)]
pub(crate) struct FailedRequest {
    /// The decision id that the log has.
    pub(crate) id: Uuid,
    pub(crate) code: ErrorCode,
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) errors: Vec<Diagnostic>,
    /// How long the evaluation took, where there was one.
    pub(crate) micros: Option<u64>,
}

/// Something that happened to a tenant.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) change: Change,
    pub(crate) state: TenantState,
    pub(crate) revision: Option<Revision>,
    pub(crate) message: String,
    pub(crate) errors: Vec<Diagnostic>,
    /// When the next worker is tried, of a tenant that waits for that.
    pub(crate) quarantine_until: Option<DateTime<Utc>>,
}

/// A tenant nears the end of a quota, or has spent it.
#[derive(Clone, Debug)]
pub(crate) struct QuotaNotice {
    /// The quota's name in the configuration file.
    pub(crate) quota: &'static str,
    pub(crate) level: QuotaLevel,
    /// How much there is, in a window or at once.
    pub(crate) limit: u64,
    /// How much of it was used.
    pub(crate) used: u64,
    /// The window of both numbers; `None` for a quota of what there is at once.
    pub(crate) window_seconds: Option<u64>,
    pub(crate) message: String,
}

/// How far a quota is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QuotaLevel {
    /// Nearly.
    Warning,
    /// A request was refused.
    Exceeded,
}

/// The input of an event.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// In a request.
    In(RequestInput),
    /// As the policy's mask has left it.
    Masked(JsonText),
    /// Left out, for this reason.
    Omitted(&'static str),
    /// The body was refused before it was whole.
    Refused,
}

/// An event that is still to be built.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) at: DateTime<Utc>,
    /// Its place among all that happened to the tenant.
    pub(super) position: u64,
    /// Events that were lost since the previous record.
    pub(super) lost_before: u64,
    pub(super) what: What,
    /// For the bytes that the event is expected to take.
    pub(super) memory: Share,
}

/// The subject of a record.
#[derive(Clone, Debug)]
pub(super) enum What {
    Decision { decided: Decided, input: Input, sequence: u64 },
    Tenant { id: Uuid, changed: Changed },
    Error { failed: FailedRequest, input: Input },
    Quota { id: Uuid, notice: QuotaNotice },
}

#[derive(Debug, Serialize)]
struct Message<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: T,
}

#[derive(Debug, Serialize)]
struct DecisionData<'a> {
    event_id: Uuid,
    tenant_id: &'a TenantId,
    timestamp: String,
    decision: &'a Decision,
    input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_omitted: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    erased: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    masked: &'a [String],
    metrics: DecisionMetrics,
    revision: Revision,
    sequence: u64,
}

#[derive(Debug, Serialize)]
struct DecisionMetrics {
    eval_duration_micros: u64,
}

#[derive(Debug, Serialize)]
struct TenantData<'a> {
    event_id: Uuid,
    tenant_id: &'a TenantId,
    timestamp: String,
    change: Change,
    state: TenantState,
    revision: Option<Revision>,
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Diagnostic],
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<QuarantineData>,
}

#[derive(Debug, Serialize)]
struct QuarantineData {
    until: String,
}

#[derive(Debug, Serialize)]
struct ErrorData<'a> {
    event_id: Uuid,
    tenant_id: &'a TenantId,
    timestamp: String,
    code: ErrorCode,
    status: u16,
    message: &'a str,
    errors: &'a [Diagnostic],
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<DecisionMetrics>,
    input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_omitted: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct QuotaData<'a> {
    event_id: Uuid,
    tenant_id: &'a TenantId,
    timestamp: String,
    quota: &'static str,
    level: QuotaLevel,
    limit: u64,
    used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_seconds: Option<u64>,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct Lagged {
    #[serde(rename = "type")]
    kind: &'static str,
    missed: Option<u64>,
}

/// The message that events were missed; `None` where their number is unknown.
pub(crate) fn lagged(missed: Option<u64>) -> Bytes {
    // It can always be written: its keys are strings.
    serde_json::to_vec(&Lagged { kind: "lagged", missed }).unwrap_or_default().into()
}

/// The bytes of a decision's event that come from the policy.
pub(super) fn decision_bytes(decision: &Decision) -> usize {
    decision.redact.iter().chain(&decision.reason).map(|text| text.len() + 3).sum()
}

impl Input {
    /// Bytes that are kept for it.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::In(input) => input.length(),
            Self::Masked(text) => text.as_str().len(),
            Self::Omitted(_) | Self::Refused => 0,
        }
    }

    /// A copy that keeps no more memory than it needs.
    pub(super) fn copied(&self) -> Self {
        match self {
            Self::In(input) => Self::In(input.copied()),
            Self::Masked(_) | Self::Omitted(_) | Self::Refused => self.clone(),
        }
    }

    /// The input as it is shown, or why it is left out.
    fn shown(&self) -> (Option<&RawValue>, Option<&'static str>) {
        match self {
            Self::In(input) => match input.shown() {
                Ok(input) => (Some(input), None),
                Err(why) => (None, Some(why)),
            },
            // It was checked when it came; one that is none is not shown all the same.
            Self::Masked(text) => match serde_json::from_str(text.as_str()) {
                Ok(input) => (Some(input), None),
                Err(_) => (None, Some(omitted::MASK_FAILED)),
            },
            Self::Omitted(why) => (None, Some(why)),
            Self::Refused => (None, Some("refused")),
        }
    }
}

impl What {
    /// The kind that consumers select it by.
    pub(super) const fn kind(&self) -> EventKind {
        match self {
            Self::Decision { .. } => EventKind::Decision,
            Self::Tenant { .. } => EventKind::Tenant,
            Self::Error { .. } => EventKind::Error,
            Self::Quota { .. } => EventKind::Quota,
        }
    }

    const fn id(&self) -> Uuid {
        match self {
            Self::Decision { decided, .. } => decided.id,
            Self::Tenant { id, .. } | Self::Quota { id, .. } => *id,
            Self::Error { failed, .. } => failed.id,
        }
    }

    /// The message about it, JSON without a line break. `capacity` is about how long that is.
    pub(super) fn message(
        &self,
        tenant_id: &TenantId,
        at: DateTime<Utc>,
        capacity: usize,
    ) -> Option<Vec<u8>> {
        let timestamp = rfc3339(at);
        match self {
            Self::Decision { decided, input, sequence } => {
                let (input, input_omitted) = input.shown();
                let data = DecisionData {
                    event_id: decided.id,
                    tenant_id,
                    timestamp,
                    decision: &decided.decision,
                    input,
                    input_omitted,
                    erased: decided.paths().map_or(&[], |paths| &paths.erased),
                    masked: decided.paths().map_or(&[], |paths| &paths.masked),
                    metrics: DecisionMetrics { eval_duration_micros: decided.micros },
                    revision: decided.revision,
                    sequence: *sequence,
                };
                write(&Message { kind: "decision", data }, capacity)
            }
            Self::Tenant { id, changed } => {
                let until = changed.quarantine_until.map(rfc3339);
                let data = TenantData {
                    event_id: *id,
                    tenant_id,
                    timestamp,
                    change: changed.change,
                    state: changed.state,
                    revision: changed.revision,
                    message: &changed.message,
                    errors: &changed.errors,
                    quarantine: until.map(|until| QuarantineData { until }),
                };
                write(&Message { kind: "tenant", data }, capacity)
            }
            Self::Error { failed, input } => {
                let (input, input_omitted) = input.shown();
                let data = ErrorData {
                    event_id: failed.id,
                    tenant_id,
                    timestamp,
                    code: failed.code,
                    status: failed.status,
                    message: &failed.message,
                    errors: &failed.errors,
                    metrics: failed
                        .micros
                        .map(|micros| DecisionMetrics { eval_duration_micros: micros }),
                    input,
                    input_omitted,
                };
                write(&Message { kind: "error", data }, capacity)
            }
            Self::Quota { id, notice } => {
                let data = QuotaData {
                    event_id: *id,
                    tenant_id,
                    timestamp,
                    quota: notice.quota,
                    level: notice.level,
                    limit: notice.limit,
                    used: notice.used,
                    window_seconds: notice.window_seconds,
                    message: &notice.message,
                };
                write(&Message { kind: "quota_warning", data }, capacity)
            }
        }
    }
}

fn write(message: &impl Serialize, capacity: usize) -> Option<Vec<u8>> {
    let mut json = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut json, message).ok()?;
    // A line break can only stand between tokens of the input, where a space can stand too. An
    // event of server-sent events ends with one.
    for byte in &mut json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Some(json)
}

impl Record {
    /// Builds the event. `None` where it takes more of `memory` than is left: JSON's escapes may
    /// make the text longer than its parts.
    pub(super) fn build(self, tenant_id: &TenantId, memory: &Memory) -> Option<Event> {
        let json = self.what.message(tenant_id, self.at, self.memory.bytes())?;
        let (kind, id) = (self.what.kind(), self.what.id());
        let mut share = self.memory;
        if !memory.enlarge(&mut share, json.len()) {
            return None;
        }
        let json = Bytes::from_owner(Accounted { json, _memory: share });
        Some(Event { kind, id, json })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::{prop_assert, prop_assert_eq, proptest};
    use serde_json::{Value, json};
    use tokio::sync::Semaphore;

    use super::super::memory::{HOST_MEMORY, MIN_TENANT_MEMORY};
    use super::*;

    fn memory() -> Memory {
        Memory::new(1024, &Arc::new(Semaphore::new(HOST_MEMORY)))
    }

    fn event(body: &str, reason: &str) -> Option<Event> {
        event_of(&memory(), body, reason)
    }

    fn event_of(memory: &Memory, body: &str, reason: &str) -> Option<Event> {
        let decision =
            Decision { allow: true, redact: vec!["a.b".into()], reason: Some(reason.to_owned()) };
        let by = (Revision::from_digest([7; 32]), 42);
        let decided = Decided::new(Uuid::nil(), decision, by, Disclosure::Whole);
        let record = Record {
            at: DateTime::from_timestamp_millis(1_700_000_000_123).unwrap(),
            position: 1,
            lost_before: 0,
            what: What::Decision {
                decided,
                input: Input::In(RequestInput::Member(body.to_owned().into())),
                sequence: 9,
            },
            memory: memory.take(600).unwrap(),
        };
        record.build(&"tenant_a".parse().unwrap(), memory)
    }

    #[test]
    fn a_decision_s_event_is_the_contract_s() {
        let event = event("{\"input\":{\r\n\"x\": 1}}", "so").unwrap();
        let text = std::str::from_utf8(&event.json).unwrap();
        let expected = json!({
            "type": "decision",
            "data": {
                "event_id": Uuid::nil(),
                "tenant_id": "tenant_a",
                "timestamp": "2023-11-14T22:13:20.123Z",
                "decision": {"allow": true, "redact": ["a.b"], "reason": "so"},
                "input": {"x": 1},
                "metrics": {"eval_duration_micros": 42},
                "revision": "07".repeat(32),
                "sequence": 9,
            },
        });
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
        assert!(!text.contains(['\n', '\r']), "{text}");
        assert!(text.starts_with(r#"{"type":"decision","data":{"event_id":"#), "{text}");
    }

    #[test]
    fn no_body_and_no_reason_writes_the_rest_of_an_event() {
        let reason = "\"},\"data\":{\"tenant_id\":\"other\"}}\n";
        for body in [
            r#"{"input":1},"tenant_id":"other","x":{"y":2}"#,
            r#"{"input":1,"tenant_id":"other"}"#,
            r#"{"input":{"tenant_id":"other"}}"#,
        ] {
            let event = event(body, reason).unwrap();
            let value: Value = serde_json::from_slice(&event.json).unwrap();
            assert_eq!(value["data"]["tenant_id"], "tenant_a", "{body}");
            assert_eq!(value["data"]["decision"]["reason"], reason);
            assert_eq!(value["data"]["sequence"], 9);
        }
    }

    proptest! {
        #[test]
        fn an_event_is_always_one_line_about_its_own_tenant(
            body in r#"(\{"input":)?([\[\]{}",:\\ \n\r01eE.a-u-]|"tenant_id":|"data":\{|\\u[0-9d][8c]00|\PC){0,24}\}?"#,
            reason in r#"([\[\]{}",:\\\n\r]|\PC){0,24}"#,
        ) {
            let event = event(&body, &reason).unwrap();
            let value: Value = serde_json::from_slice(&event.json).unwrap();
            prop_assert_eq!(&value["type"], "decision");
            prop_assert_eq!(&value["data"]["tenant_id"], "tenant_a");
            prop_assert_eq!(&value["data"]["decision"]["reason"], &reason);
            prop_assert_eq!(&value["data"]["sequence"], 9);
            prop_assert!(!event.json.contains(&b'\n') && !event.json.contains(&b'\r'));
            let members = value["data"].as_object().unwrap().len();
            let is_whole = members == 8 && serde_json::from_str::<Value>(&body).is_ok();
            prop_assert!(is_whole || members == 9 && value["data"]["input_omitted"] == "not_json");
        }
    }

    #[test]
    fn an_event_takes_the_memory_that_it_takes() {
        // One byte of a tenant's may become six.
        let escaped = "\u{1}".repeat(1000);
        let memory = memory();
        let grown = event_of(&memory, r#"{"input":1}"#, &escaped).unwrap();
        assert_eq!(MIN_TENANT_MEMORY - memory.left(), grown.json.len());
        let _rest = memory.take(memory.left() - 4000).unwrap();
        assert!(event_of(&memory, r#"{"input":1}"#, &escaped).is_none());
        assert_eq!(memory.left(), 4000, "refused memory is given back");
    }

    #[test]
    fn missed_events_are_counted_where_the_number_is_known() {
        assert_eq!(lagged(Some(3)), r#"{"type":"lagged","missed":3}"#);
        assert_eq!(lagged(None), r#"{"type":"lagged","missed":null}"#);
    }
}
