//! The file system's events. They are hints, never facts: they are lost when there are too many,
//! and some file systems have no events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use enforcer_protocol::TenantId;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::walk::Directory;

/// Time without a change before changes are acted upon (debouncing): a program that writes one file
/// writes others too.
const QUIET: Duration = Duration::from_millis(50);

/// Maximum wait for changes that do not end.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Names of changed entries that are remembered one by one; beyond them, everything may have
/// changed.
const REMEMBERED_NAMES: usize = 4096;

/// The file system's events since the last query.
#[derive(Debug, Default)]
pub(super) struct Changes {
    names: Mutex<Names>,
    pub(super) any: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Names {
    /// Changed entries of `BUNDLES_DIR`. An event without a name there makes all tenants be looked
    /// at.
    pub(super) names: BTreeSet<String>,
}

impl Changes {
    pub(super) fn add(&self, bundles_dir: &Path, event: notify::Result<notify::Event>) {
        let event = match event {
            // Our own reading causes these events.
            Ok(notify::Event { kind: EventKind::Access(access), .. })
                if access != AccessKind::Close(AccessMode::Write) =>
            {
                return;
            }
            Ok(event) => event,
            Err(_) => notify::Event::new(EventKind::Any),
        };
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for path in &event.paths {
            let below = path.strip_prefix(bundles_dir).ok();
            if let Some(Component::Normal(name)) = below.and_then(|below| below.components().next())
                && names.names.len() < REMEMBERED_NAMES
            {
                names.names.insert(name.to_string_lossy().into_owned());
            }
        }
        drop(names);
        self.any.notify_one();
    }

    pub(super) fn take(&self) -> Names {
        std::mem::take(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The watches of all tenants' directories.
#[derive(Debug)]
pub(super) struct Watches {
    pub(super) watcher: RecommendedWatcher,
    /// The tenant of each directory. One that two tenants reach, through links, belongs to the
    /// first: to the kernel it is one watch, and the second would take it from the first.
    pub(super) owners: BTreeMap<(u64, u64), TenantId>,
}

impl Watches {
    /// Watches `now` for a tenant instead of `before`; returns the watched directories. A change in
    /// a directory that cannot be watched is found by polling. Where the files have changed, so may
    /// the directories have, and a new one can have the inode number of a deleted one: then all are
    /// watched again.
    pub(super) fn change(
        &mut self,
        id: &TenantId,
        root: &Path,
        before: &[Directory],
        now: Vec<Directory>,
        is_changed: bool,
    ) -> Vec<Directory> {
        for directory in before.iter().filter(|directory| !now.contains(directory)) {
            self.owners.remove(&directory.identity);
            // A removed directory has no watch any more.
            let _ = self.watcher.unwatch(&root.join(&directory.path));
        }
        let mut watched = Vec::new();
        for directory in now {
            let is_new = is_changed || !before.contains(&directory);
            let owner = self.owners.entry(directory.identity).or_insert_with(|| id.clone());
            if owner != id {
                continue;
            }
            let path = root.join(&directory.path);
            if is_new && self.watcher.watch(&path, RecursiveMode::NonRecursive).is_err() {
                self.owners.remove(&directory.identity);
                continue;
            }
            watched.push(directory);
        }
        watched
    }
}

/// Waits until nothing changes, but no longer than [`LONGEST_WAIT`].
pub(super) async fn settled(changes: &Changes) {
    let latest = Instant::now() + LONGEST_WAIT;
    loop {
        let quiet = (Instant::now() + QUIET).min(latest);
        if timeout_at(quiet, changes.any.notified()).await.is_err() {
            return;
        }
        if Instant::now() >= latest {
            return;
        }
        // Not for every single one of a thousand events.
        sleep(Duration::from_millis(1)).await;
    }
}
