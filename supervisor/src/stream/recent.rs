//! Recent events, kept also without consumers: a dashboard that is opened after the trouble began
//! shows how it began.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use enforcer_protocol::{RateLimiter, TenantId};

use super::event::{EVENT_OVERHEAD, What};

/// Requests of each kind that are kept of one tenant.
const RECENT_REQUESTS: u32 = 20;

/// Requests of each kind that are kept of one tenant in a second, once [`RECENT_REQUESTS`] came at once:
/// so that keeping them costs next to nothing, at any rate and with any number of tenants.
const RECENT_PER_SECOND: u32 = 2;

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
#[derive(Debug)]
pub(super) struct RecentRequests {
    limiter: RateLimiter,
    requests: VecDeque<(DateTime<Utc>, What)>,
}

impl Default for RecentRequests {
    fn default() -> Self {
        let limiter = RateLimiter::new(RECENT_PER_SECOND, RECENT_REQUESTS);
        Self { limiter, requests: VecDeque::new() }
    }
}

impl RecentRequests {
    /// Whether a request that ended now is to be kept.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        self.limiter.try_take(1, now)
    }

    /// Whether the next request that ends may be kept.
    pub(super) fn may_have_room(&self, now: Instant) -> bool {
        self.limiter.wait(1, now).is_zero()
    }

    pub(super) fn keep(&mut self, at: DateTime<Utc>, what: What) {
        if self.requests.len() == usize::try_from(RECENT_REQUESTS).unwrap_or(usize::MAX) {
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
