//! How many clients may be connected at once, and which idle one makes room for another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// File descriptors that the supervisor has open for a worker: its socket, its standard error, its
/// process, and one more while another worker takes its place.
const DESCRIPTORS_PER_WORKER: usize = 4;

/// File descriptors for everything else: listening, polling, logging, bundles that are read.
const OWN_DESCRIPTORS: usize = 64;

/// Connections reserved for clients, however many file descriptors the workers need.
const MIN_CONNECTIONS: usize = 16;

/// How long a connection must have been idle before it makes room for another: a client that has
/// just connected is about to send a request.
const MIN_IDLE: Duration = Duration::from_secs(1);

/// Between two tries to find an idle connection.
const EVICTION_INTERVAL: Duration = Duration::from_millis(100);

/// The permits for client connections: as many as are allowed and as leave file descriptors for the
/// workers of tenants that are awake.
#[derive(Debug)]
pub(crate) struct ConnectionPermits {
    /// One permit is one connection.
    permits: Arc<Semaphore>,
    /// The number that the configuration allows.
    wanted: usize,
    /// File descriptors that the process may have open.
    descriptors: usize,
    /// How many permits there are, taken ones included.
    count: Mutex<usize>,
    open: Mutex<BTreeMap<u64, Arc<Activity>>>,
    next_id: AtomicU64,
    epoch: Instant,
}

/// A connection's activity.
#[derive(Debug)]
struct Activity {
    /// Requests in flight; a connection of the decision stream counts for as long as it lasts.
    in_flight: AtomicU32,
    /// When the last request ended, in milliseconds since the epoch.
    idle_since: AtomicU64,
    evict: CancellationToken,
}

/// A connection's permit. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    id: u64,
    connections: Arc<ConnectionPermits>,
    activity: Arc<Activity>,
}

/// A request that is in flight on a connection, which is not idle meanwhile.
#[derive(Debug)]
pub(crate) struct InFlight {
    activity: Arc<Activity>,
    epoch: Instant,
}

impl ConnectionPermits {
    /// No permits yet: [`Self::fit`] makes them.
    pub(crate) fn new(wanted: usize, descriptors: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
            wanted,
            descriptors,
            count: Mutex::new(0),
            open: Mutex::default(),
            next_id: AtomicU64::new(0),
            epoch: Instant::now(),
        }
    }

    /// Makes as many permits as the workers of this many tenants leave room for; returns their
    /// number. Permits in use cannot be revoked: they are removed once they are free and this is
    /// called.
    pub(crate) fn fit(&self, tenants: usize) -> usize {
        let workers = tenants.saturating_mul(DESCRIPTORS_PER_WORKER);
        let reserved = workers.saturating_add(OWN_DESCRIPTORS);
        let left = self.descriptors.saturating_sub(reserved).max(MIN_CONNECTIONS);
        let possible = left.min(self.wanted);
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *count;
        if possible > before {
            self.permits.add_permits(possible - before);
            *count = possible;
        } else {
            *count -= self.permits.forget_permits(before - possible);
        }
        let now = *count;
        drop(count);
        if now == before {
            return now;
        }
        let was_short = before > 0 && before < self.wanted;
        if now >= self.wanted && was_short {
            info!("{now} client connections are possible again");
        } else if now < self.wanted && !was_short {
            warn!(
                "only {now} client connections are possible, and not {}: the limit of open files is {}, and the workers of {tenants} tenants need {workers}; raise the limit (ulimit -n, LimitNOFILE=)",
                self.wanted, self.descriptors
            );
        } else {
            debug!("{now} client connections are possible beside the workers of {tenants} tenants");
        }
        now
    }

    /// How many permits there are, taken ones included.
    pub(crate) fn count(&self) -> usize {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all permits are taken.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.permits.available_permits() == 0
    }

    /// A permit for a client that waits. Where all are taken, the connection that has been idle for
    /// longest makes room.
    pub(crate) async fn acquire(self: &Arc<Self>) -> ConnectionPermit {
        loop {
            let permit = Arc::clone(&self.permits).acquire_owned();
            match timeout(EVICTION_INTERVAL, permit).await {
                Ok(Ok(permit)) => return self.register(permit),
                // The semaphore is never closed.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => self.evict_idle(),
            }
        }
    }

    fn register(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> ConnectionPermit {
        let activity = Arc::new(Activity {
            in_flight: AtomicU32::new(0),
            idle_since: AtomicU64::new(millis(self.epoch)),
            evict: CancellationToken::new(),
        });
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.locked().insert(id, Arc::clone(&activity));
        ConnectionPermit { _permit: permit, id, connections: Arc::clone(self), activity }
    }

    /// Ends the connection that has been idle for longest. A request that comes at that very moment
    /// is still answered.
    fn evict_idle(&self) {
        let now = millis(self.epoch);
        let open = self.locked();
        let idle = open.values().filter(|activity| {
            activity.in_flight.load(Ordering::Relaxed) == 0 && !activity.evict.is_cancelled()
        });
        let oldest = idle.min_by_key(|activity| activity.idle_since.load(Ordering::Relaxed));
        if let Some(activity) = oldest
            && now.saturating_sub(activity.idle_since.load(Ordering::Relaxed))
                >= duration_millis(MIN_IDLE)
        {
            activity.evict.cancel();
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Activity>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPermit {
    /// Counts a request as in flight.
    pub(crate) fn in_flight(&self) -> InFlight {
        self.activity.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { activity: Arc::clone(&self.activity), epoch: self.connections.epoch }
    }

    /// How long no request has been in flight; `None` while one is.
    pub(crate) fn idle_for(&self) -> Option<Duration> {
        let since = self.activity.idle_since.load(Ordering::Relaxed);
        let is_idle = self.activity.in_flight.load(Ordering::Relaxed) == 0;
        let idle = millis(self.connections.epoch).saturating_sub(since);
        is_idle.then_some(Duration::from_millis(idle))
    }

    /// Is cancelled when the connection is to make room for another.
    pub(crate) fn eviction(&self) -> CancellationToken {
        self.activity.evict.clone()
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.locked().remove(&self.id);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.idle_since.store(millis(self.epoch), Ordering::Relaxed);
        self.activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn millis(epoch: Instant) -> u64 {
    duration_millis(epoch.elapsed())
}

fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(connections: &ConnectionPermits) -> usize {
        connections.permits.available_permits()
    }

    #[tokio::test]
    async fn clients_leave_descriptors_for_the_workers_of_tenants_that_come() {
        let connections = ConnectionPermits::new(1000, 264);
        connections.fit(10);
        assert_eq!(permits(&connections), 160);
        connections.fit(30);
        assert_eq!(permits(&connections), 80);
        connections.fit(0);
        assert_eq!(permits(&connections), 200);
        // An operator can always connect to diagnose.
        connections.fit(1000);
        assert_eq!(permits(&connections), MIN_CONNECTIONS);
    }

    #[tokio::test]
    async fn permits_that_are_taken_go_when_they_are_free() {
        let connections = ConnectionPermits::new(1000, 264);
        connections.fit(10);
        let taken = Arc::clone(&connections.permits).try_acquire_many_owned(150).unwrap();
        connections.fit(30);
        assert_eq!(permits(&connections), 0);
        drop(taken);
        connections.fit(30);
        assert_eq!(permits(&connections), 80);
    }

    #[tokio::test]
    async fn there_are_no_more_permits_than_are_wanted() {
        let connections = ConnectionPermits::new(5, 1_000_000);
        connections.fit(10);
        assert_eq!(permits(&connections), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_is_idle_for_longest_makes_room() {
        let connections = Arc::new(ConnectionPermits::new(3, 1_000_000));
        connections.fit(0);
        let busy = connections.acquire().await;
        let request = busy.in_flight();
        let idle = connections.acquire().await;
        tokio::time::advance(Duration::from_millis(10)).await;
        let younger = connections.acquire().await;
        let eviction = idle.eviction();
        let ends = tokio::spawn(async move {
            eviction.cancelled().await;
            drop(idle);
        });
        let began = Instant::now();
        let _another = connections.acquire().await;
        assert!(began.elapsed() + Duration::from_millis(20) >= MIN_IDLE, "{:?}", began.elapsed());
        ends.await.unwrap();
        assert!(!busy.eviction().is_cancelled() && !younger.eviction().is_cancelled());
        drop(request);
    }
}
