//! The limits on events' memory, from the record that a decision leaves until the last part of the
//! message is dropped.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one tenant's events may take at once: a channel full of large ones that a consumer is
/// slow to read. Beyond it events are sent without their inputs, then not at all.
pub(super) const MIN_TENANT_MEMORY: usize = 32 * 1024 * 1024;

/// The same, in the tenant's largest request bodies.
const TENANT_MEMORY_IN_BODIES: usize = 32;

/// Bytes of an event that is large. Small ones are bounded by their number, and count against their
/// tenant's memory only.
const LARGE_EVENT: usize = 16 * 1024;

/// Bytes that the large events of all tenants may take at once, so that many tenants with slow
/// consumers do not take the host's memory together.
pub(super) const HOST_MEMORY: usize = 256 * 1024 * 1024;

/// The memory of a tenant's events.
#[derive(Debug)]
pub(super) struct Memory {
    tenant: Arc<Semaphore>,
    /// Of all tenants together.
    host: Arc<Semaphore>,
}

/// A part of the memory, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    tenant: OwnedSemaphorePermit,
    host: Option<OwnedSemaphorePermit>,
}

impl Memory {
    pub(super) fn new(max_body: usize, host: &Arc<Semaphore>) -> Self {
        let bytes = max_body.saturating_mul(TENANT_MEMORY_IN_BODIES).max(MIN_TENANT_MEMORY);
        let tenant = Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        Self { tenant, host: Arc::clone(host) }
    }

    /// A share for an event of `bytes` bytes.
    pub(super) fn take(&self, bytes: usize) -> Option<Share> {
        let mut share = Share { tenant: acquire(&self.tenant, 0)?, host: None };
        self.enlarge(&mut share, bytes).then_some(share)
    }

    /// Enlarges a share to at least `bytes` bytes. Returns whether that succeeded.
    pub(super) fn enlarge(&self, share: &mut Share, bytes: usize) -> bool {
        let mut enlarge = || {
            let more = bytes.saturating_sub(share.bytes());
            share.tenant.merge(acquire(&self.tenant, more)?);
            if bytes > LARGE_EVENT {
                let host = share.host.get_or_insert(acquire(&self.host, 0)?);
                let more = bytes.saturating_sub(host.num_permits());
                host.merge(acquire(&self.host, more)?);
            }
            Some(())
        };
        enlarge().is_some()
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.tenant.available_permits()
    }
}

impl Share {
    /// Bytes that it is for.
    pub(super) fn bytes(&self) -> usize {
        self.tenant.num_permits()
    }
}

fn acquire(memory: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let permits = u32::try_from(bytes).ok()?;
    Arc::clone(memory).try_acquire_many_owned(permits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_events_count_against_all_tenants_memory_and_small_ones_do_not() {
        let host = Arc::new(Semaphore::new(3 * LARGE_EVENT));
        let [one, other] = [(); 2].map(|()| Memory::new(1024, &host));
        let large = one.take(2 * LARGE_EVENT).unwrap();
        assert_eq!(host.available_permits(), LARGE_EVENT);
        assert!(other.take(2 * LARGE_EVENT).is_none());
        assert_eq!(other.left(), MIN_TENANT_MEMORY, "refused memory is given back");
        let mut small = other.take(LARGE_EVENT).unwrap();
        assert_eq!(host.available_permits(), LARGE_EVENT);
        // One that turns out to be large is.
        assert!(!other.enlarge(&mut small, LARGE_EVENT + 1));
        drop(large);
        assert!(other.enlarge(&mut small, LARGE_EVENT + 1));
        assert_eq!(small.bytes(), LARGE_EVENT + 1);
        assert_eq!(host.available_permits(), 2 * LARGE_EVENT - 1);
        drop(small);
        assert_eq!(host.available_permits(), 3 * LARGE_EVENT);
        assert_eq!(other.left(), MIN_TENANT_MEMORY);
    }

    #[test]
    fn a_tenant_takes_no_more_than_its_own() {
        let host = Arc::new(Semaphore::new(HOST_MEMORY));
        let memory = Memory::new(1024, &host);
        let all = memory.take(MIN_TENANT_MEMORY).unwrap();
        assert!(memory.take(1).is_none());
        drop(all);
        assert!(memory.take(1).is_some());
    }
}
