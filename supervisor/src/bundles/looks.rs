//! Rounds of looks at the files of all tenants, which find changes without an event.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use enforcer_protocol::TenantId;

use super::source::Source;
use super::walk::{Directory, Stat};
use super::watches::Watches;

/// How long the looks of one round may take together. Cheap ones come first, so that a tenant with
/// many files waits for tenants with few, and not the other way round.
const ROUND: Duration = Duration::from_millis(200);

/// A look at a tenant that takes longer than this is expensive.
pub(super) const CHEAP: Duration = Duration::from_millis(5);

/// A tenant that is to be looked at, and the state at the last look.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) id: TenantId,
    pub(super) source: Source,
    pub(super) watched: Vec<Directory>,
    /// The fingerprint that it had.
    pub(super) before: Option<u64>,
}

/// The result of a look at a tenant.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: TenantId,
    pub(super) fingerprint: u64,
    pub(super) watched: Vec<Directory>,
    pub(super) took: Duration,
}

/// Looks at tenants, one after the other, and watches their directories. `progress` is the index of
/// the current one.
pub(super) fn look_at(
    due: Vec<Due>,
    watches: Option<&Mutex<Watches>>,
    progress: &AtomicUsize,
) -> Vec<Seen> {
    let began = Instant::now();
    let mut seen = Vec::new();
    let mut is_one_expensive = false;
    for (index, Due { id, source, watched, before }) in due.into_iter().enumerate() {
        if began.elapsed() > ROUND && is_one_expensive {
            break;
        }
        progress.store(index, Ordering::Relaxed);
        let start = Instant::now();
        let Stat { fingerprint, directories, .. } = source.stat();
        let took = start.elapsed();
        // At least one of the expensive ones in every round, or none of them would ever be looked
        // at.
        is_one_expensive |= took > CHEAP;
        let watched = watches.map_or_else(Vec::new, |watches| {
            let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
            watches.change(&id, source.root(), &watched, directories, before != Some(fingerprint))
        });
        seen.push(Seen { id, fingerprint, watched, took });
    }
    seen
}
