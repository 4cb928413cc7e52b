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
mod tests;
