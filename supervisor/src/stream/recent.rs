//! Recent events, kept also without consumers: a dashboard that is opened after the trouble began
//! shows how it began.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use enforcer_protocol::TenantId;
use tokio::time::Instant;

use super::event::{EVENT_OVERHEAD, What};

/// Requests of each kind that are kept of one tenant.
pub(super) const RECENT_REQUESTS: usize = 20;

/// The shortest time between two requests that are kept: so keeping them costs decisions next to
/// nothing at any rate.
const RECENT_INTERVAL: Duration = Duration::from_millis(10);

/// Bytes of a body that is kept with its request; larger ones are left out.
pub(super) const RECENT_BODY: usize = 1024;

/// Changes that are kept of all tenants together.
const RECENT_CHANGES: usize = 500;

/// Bytes of all changes that are kept.
const RECENT_CHANGE_BYTES: usize = 4 * 1024 * 1024;

/// An event as the stream sends it, and when it happened.
#[derive(Clone, Debug)]
pub(crate) struct RecentEvent {
    pub(crate) at: DateTime<Utc>,
    /// The message, JSON.
    pub(crate) json: Bytes,
}

/// A request that ended lately.
#[derive(Debug)]
pub(crate) struct RecentRequest {
    tenant_id: TenantId,
    pub(crate) at: DateTime<Utc>,
    what: What,
}

impl RecentRequest {
    pub(super) const fn new(tenant_id: TenantId, at: DateTime<Utc>, what: What) -> Self {
        Self { tenant_id, at, what }
    }

    /// The event about it.
    pub(crate) fn event(&self) -> Option<RecentEvent> {
        let json = self.what.message(&self.tenant_id, self.at, EVENT_OVERHEAD + RECENT_BODY)?;
        Some(RecentEvent { at: self.at, json: json.into() })
    }
}

/// The latest requests of one tenant and one kind.
#[derive(Debug, Default)]
pub(super) struct RecentRequests {
    latest: Option<Instant>,
    requests: VecDeque<(DateTime<Utc>, What)>,
}

impl RecentRequests {
    /// Whether a request that ended now is to be kept.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.latest.is_none_or(|latest| now.duration_since(latest) >= RECENT_INTERVAL)
    }

    pub(super) fn keep(&mut self, now: Instant, at: DateTime<Utc>, what: What) {
        self.latest = Some(now);
        if self.requests.len() == RECENT_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back((at, what));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(DateTime<Utc>, What)> {
        self.requests.iter()
    }
}

/// The latest changes of all tenants.
#[derive(Debug, Default)]
pub(super) struct RecentChanges(Mutex<Changes>);

#[derive(Debug, Default)]
struct Changes {
    events: VecDeque<RecentEvent>,
    bytes: usize,
}

impl RecentChanges {
    pub(super) fn keep(&self, event: RecentEvent) {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.bytes += event.json.len();
        changes.events.push_back(event);
        while changes.events.len() > RECENT_CHANGES || changes.bytes > RECENT_CHANGE_BYTES {
            let Some(oldest) = changes.events.pop_front() else { break };
            changes.bytes -= oldest.json.len();
        }
    }

    pub(super) fn all(&self) -> Vec<RecentEvent> {
        let changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.events.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::utc_now;

    #[test]
    fn no_more_changes_are_kept_than_that() {
        let changes = RecentChanges::default();
        let keep = |bytes: usize| {
            changes.keep(RecentEvent { at: utc_now(), json: Bytes::from(vec![b'x'; bytes]) })
        };
        (0..RECENT_CHANGES + 7).for_each(|_| keep(1));
        assert_eq!(changes.all().len(), RECENT_CHANGES);
        (0..7).for_each(|_| keep(RECENT_CHANGE_BYTES / 2));
        assert_eq!(changes.all().len(), 2);
    }
}
