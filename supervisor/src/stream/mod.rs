//! The decision stream: what consumers are told of decisions and tenants, as it happens.
//!
//! ```text
//! decision ─► TenantStream ─ queue ─► publisher ─┬─► tenant's channel ─► consumers of the tenant
//!  (waits for nobody)                            └─► operators' channel ─► consumers of all
//! ```
//!
//! A decision leaves a record in its tenant's queue, and only where somebody listens. The publisher,
//! one task a tenant, makes an event of it: built and serialised once, however many get it. Channels
//! forget what a consumer is too slow to take, and say how much that was. Publishers and consumers
//! run on threads of their own, which give way to those that decide.

mod channel;
mod event;
mod input;
mod memory;
mod subscription;
mod tenant;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enforcer_protocol::TenantId;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::StreamMetrics;
use channel::{Channel, Positions};
use subscription::Source;

pub(crate) use channel::{Place, Resumption};
pub(crate) use event::{CONNECTED, Change, Changed, Decided};
pub(crate) use subscription::{Delivery, Ended, Kinds, Subscription};
pub(crate) use tenant::TenantStream;

/// Events that a consumer of all tenants may be behind, before it loses the oldest. It gets those of
/// everybody, so one tenant's burst takes more of it than of a channel that has only that tenant's.
const OPERATORS_CHANNEL: usize = 4 * tenant::TENANT_CHANNEL;

/// What a consumer waits after it got something, for each consumer that there is: so all of them
/// together are woken at most 50,000 times a second, however many decisions there are, and what
/// comes meanwhile goes out together.
const PACE_PER_CONSUMER: Duration = Duration::from_micros(20);

/// Tenants that were removed, whose sequences go on where they come back.
const REMEMBERED_TENANTS: usize = 4096;

/// What all tenants' parts of the stream share.
#[derive(Debug)]
pub(crate) struct Stream {
    /// For consumers who see all tenants.
    operators: Channel,
    /// Where publishers and consumers run.
    pub(crate) runtime: Handle,
    pub(crate) metrics: StreamMetrics,
    /// One permit is one consumer.
    pub(crate) places: Arc<Semaphore>,
    /// The connections of consumers.
    pub(crate) connections: TaskTracker,
    /// Consumers are told to go.
    pub(crate) stop: CancellationToken,
    /// What the large events of all tenants may take.
    large_events: Arc<Semaphore>,
    /// The sequences of tenants that were removed, the oldest first.
    sequences: Mutex<VecDeque<(TenantId, u64)>>,
}

impl Stream {
    /// A stream for so many consumers at once, whose work is done on `runtime`.
    pub(crate) fn new(max_consumers: usize, runtime: Handle, metrics: StreamMetrics) -> Self {
        Self {
            operators: Channel::new(OPERATORS_CHANNEL, Positions::OfWhatIsSent),
            runtime,
            metrics,
            places: Arc::new(Semaphore::new(max_consumers)),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            large_events: Arc::new(Semaphore::new(memory::HOST_MEMORY)),
            sequences: Mutex::new(VecDeque::new()),
        }
    }

    /// A tenant's part of it.
    pub(crate) fn tenant(self: &Arc<Self>, tenant_id: &TenantId, max_body: usize) -> TenantStream {
        let mut sequences = self.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sequences.iter().position(|(id, _)| id == tenant_id);
        let sequence = known.and_then(|at| sequences.remove(at)).map_or(0, |(_, last)| last);
        drop(sequences);
        TenantStream::new(tenant_id.clone(), max_body, sequence, Arc::clone(self))
    }

    /// Adds a consumer of all tenants.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        kinds: Kinds,
        resumption: Resumption,
    ) -> Option<Subscription> {
        let beginning = self.operators.subscribe(kinds, resumption)?;
        let next = beginning.next;
        let source = Source::Operators(Arc::clone(self));
        Some(Subscription::new(source, beginning, next, kinds, resumption, &self.metrics))
    }

    /// How long a consumer should wait after it got something.
    pub(crate) fn pace(&self) -> Duration {
        let consumers = u32::try_from(self.metrics.consumers.get()).unwrap_or(0);
        PACE_PER_CONSUMER * consumers
    }

    /// Remembers how many decisions a tenant that is removed has had.
    fn remember(&self, tenant_id: &TenantId, sequence: u64) {
        let mut sequences = self.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        if sequences.len() == REMEMBERED_TENANTS {
            sequences.pop_front();
        }
        sequences.push_back((tenant_id.clone(), sequence));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A stream that works where the test does.
    pub(crate) fn stream() -> Arc<Stream> {
        Arc::new(Stream::new(10, Handle::current(), StreamMetrics::default()))
    }
}
