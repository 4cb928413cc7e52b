//! The common part of all tenants' streams.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enforcer_protocol::TenantId;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::channel::{Channel, Positions};
use super::cursor::Resumption;
use super::kinds::Kinds;
use super::memory;
use super::recent::{RecentChanges, RecentEvent};
use super::subscription::Subscription;
use crate::telemetry::metrics::StreamMetrics;

/// Events that a consumer of all tenants may be behind, before it loses the oldest. It gets the
/// events of all tenants, so one tenant's burst takes a larger part of it than of that tenant's own
/// channel.
const OPERATORS_CHANNEL: usize = 4096;

/// A consumer's pause after it got something, for each connected consumer: so all of them together
/// are woken at most 50,000 times a second, at any rate of decisions, and events in between are
/// sent together.
const PACE_PER_CONSUMER: Duration = Duration::from_micros(20);

/// Removed tenants whose sequences continue if they are added again.
pub(super) const REMEMBERED_TENANTS: usize = 4096;

/// The common part of all tenants' streams.
#[derive(Debug)]
pub(crate) struct Stream {
    /// For consumers of all tenants.
    pub(super) operators: Arc<Channel>,
    /// The runtime of publishers and consumers.
    pub(crate) runtime: Handle,
    pub(crate) metrics: StreamMetrics,
    /// One permit is one consumer.
    pub(crate) permits: Arc<Semaphore>,
    /// The connections of consumers.
    pub(crate) connections: TaskTracker,
    /// Tells consumers to disconnect.
    pub(crate) stop: CancellationToken,
    /// The memory of the large events of all tenants.
    pub(super) large_events: Arc<Semaphore>,
    /// The sequences of tenants that were removed, the oldest first.
    sequences: Mutex<VecDeque<(TenantId, u64)>>,
    /// The latest changes of all tenants.
    pub(super) recent_changes: RecentChanges,
}

impl Stream {
    /// A stream for at most `max_consumers` at once, whose work is done on `runtime`.
    pub(crate) fn new(max_consumers: usize, runtime: Handle, metrics: StreamMetrics) -> Self {
        Self {
            operators: Arc::new(Channel::new(OPERATORS_CHANNEL, Positions::OfSentItems)),
            runtime,
            metrics,
            permits: Arc::new(Semaphore::new(max_consumers)),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            large_events: Arc::new(Semaphore::new(memory::HOST_MEMORY)),
            sequences: Mutex::new(VecDeque::new()),
            recent_changes: RecentChanges::default(),
        }
    }

    /// The sequence with which a tenant of this id continues.
    pub(super) fn take_sequence(&self, tenant_id: &TenantId) -> u64 {
        let mut sequences = self.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sequences.iter().position(|(id, _)| id == tenant_id);
        known.and_then(|at| sequences.remove(at)).map_or(0, |(_, last)| last)
    }

    /// Adds a consumer of all tenants.
    pub(crate) fn subscribe(&self, kinds: Kinds, resumption: Resumption) -> Option<Subscription> {
        let beginning = self.operators.subscribe(kinds, resumption)?;
        let next = beginning.next;
        let channel = Arc::clone(&self.operators);
        Some(Subscription::new(channel, beginning, next, kinds, resumption, &self.metrics))
    }

    /// The latest changes of all tenants, as the stream sends them.
    pub(crate) fn recent_changes(&self) -> Vec<RecentEvent> {
        self.recent_changes.all()
    }

    /// How long a consumer should wait after it got something.
    pub(crate) fn pace(&self) -> Duration {
        let consumers = u32::try_from(self.metrics.consumers.get()).unwrap_or(0);
        PACE_PER_CONSUMER * consumers
    }

    /// Remembers how many decisions a tenant that is removed has had.
    pub(super) fn remember(&self, tenant_id: &TenantId, sequence: u64) {
        let mut sequences = self.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        if sequences.len() == REMEMBERED_TENANTS {
            sequences.pop_front();
        }
        sequences.push_back((tenant_id.clone(), sequence));
    }
}
