//! How many clients may be connected at once.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tracing::{info, warn};

/// Descriptors that the supervisor has open for a worker: its socket, its standard error, its
/// process, and one more while another takes its place.
const DESCRIPTORS_PER_WORKER: usize = 4;

/// Descriptors for everything else: listening, polling, logging, bundles that are read.
const OWN_DESCRIPTORS: usize = 64;

/// The places for client connections: as many as are allowed, and leave descriptors for the
/// workers. Clients must not keep a worker from being started, also that of a tenant that comes
/// while they are connected.
#[derive(Debug)]
pub(crate) struct Connections {
    /// One permit is one connection.
    pub(crate) places: Arc<Semaphore>,
    /// How many the configuration allows.
    wanted: usize,
    /// How many descriptors the process may have.
    descriptors: usize,
    /// How many places there are, taken ones included.
    count: Mutex<usize>,
}

impl Connections {
    /// No places yet: [`Self::fit`] makes them.
    pub(crate) fn new(wanted: usize, descriptors: usize) -> Self {
        let places = Arc::new(Semaphore::new(0));
        Self { places, wanted, descriptors, count: Mutex::new(0) }
    }

    /// Makes as many places as there may be beside the workers of so many tenants. Places that are
    /// taken cannot be taken back: they are no more as soon as they are free and this is called.
    pub(crate) fn fit(&self, tenants: usize) {
        let workers = tenants.saturating_mul(DESCRIPTORS_PER_WORKER);
        let reserved = workers.saturating_add(OWN_DESCRIPTORS);
        let possible = self.descriptors.saturating_sub(reserved).max(1).min(self.wanted);
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *count;
        if possible > before {
            self.places.add_permits(possible - before);
            *count = possible;
        } else {
            *count -= self.places.forget_permits(before - possible);
        }
        if *count == before {
            return;
        }
        if *count < self.wanted {
            warn!(
                "only {count} client connections are possible, and not {}: the limit of open files is {}, and {tenants} tenants' workers need {workers}",
                self.wanted, self.descriptors
            );
        } else if before > 0 {
            info!("{count} client connections are possible again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(connections: &Connections) -> usize {
        connections.places.available_permits()
    }

    #[test]
    fn clients_leave_descriptors_for_the_workers_of_tenants_that_come() {
        let connections = Connections::new(1000, 264);
        connections.fit(10);
        assert_eq!(places(&connections), 160);
        connections.fit(30);
        assert_eq!(places(&connections), 80);
        connections.fit(0);
        assert_eq!(places(&connections), 200);
        // Somebody can always ask what is wrong.
        connections.fit(1000);
        assert_eq!(places(&connections), 1);
    }

    #[test]
    fn places_that_are_taken_go_when_they_are_free() {
        let connections = Connections::new(1000, 264);
        connections.fit(10);
        let taken = Arc::clone(&connections.places).try_acquire_many_owned(150).unwrap();
        connections.fit(30);
        assert_eq!(places(&connections), 0);
        drop(taken);
        connections.fit(30);
        assert_eq!(places(&connections), 80);
    }

    #[test]
    fn there_are_no_more_places_than_are_wanted() {
        let connections = Connections::new(5, 1_000_000);
        connections.fit(10);
        assert_eq!(places(&connections), 5);
    }
}
