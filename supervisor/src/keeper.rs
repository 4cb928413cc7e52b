//! Keeps the registry like `BUNDLES_DIR`: adds tenants, removes them, and tells a tenant's driver
//! when its bundle may have changed.
//!
//! Events of the file system are hints, never facts: they are lost when there are too many, and
//! some file systems have none. So whatever they name is looked at, and everything is looked at
//! from time to time. A look compares content, so one too many costs a little and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enforcer_protocol::{InvalidTenantId, TenantId};
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::bundles::{self, Directory, Entry, Glance};
use crate::config::Config;
use crate::driver::{Orders, Surroundings, drive_always};
use crate::http::App;
use crate::registry::Tenants;
use crate::stream::Change;
use crate::tenant::Tenant;

/// How long nothing must have changed before changes are acted upon: who writes one file writes
/// others too.
const QUIET: Duration = Duration::from_millis(50);

/// How long changes that do not end are waited for.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Between two looks at everything, where the file system says what changes.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Looking takes no more than this part of one processor.
const POLL_SHARE: u32 = 20;

/// How long the looks of one round may take together. Cheap ones come first, so that who has many
/// files waits for who has few, and not the other way round.
const ROUND: Duration = Duration::from_millis(200);

/// A look at a tenant that takes longer than this is dear.
const CHEAP: Duration = Duration::from_millis(5);

/// How long anything that looks at files is waited for: a file system may hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks which tenants there are, while one is gone or leaves.
const LISTING_PAUSE: Duration = Duration::from_millis(500);

/// How long a directory must be gone before its tenant is removed. One that is put in the place of
/// another is gone for a moment.
const REMOVAL_GRACE: Duration = Duration::from_secs(2);

/// Names of changed entries that are remembered one by one; beyond them, everything may have
/// changed.
const REMEMBERED_NAMES: usize = 4096;

/// Rounds of looks that hang at once. Beyond them there are no more until one of them ends.
const MAX_HANGING: usize = 8;

/// Directories that are no tenants and are remembered for having been reported.
const REMEMBERED_REPORTS: usize = 4096;

/// What the file system said since it was asked last.
#[derive(Debug, Default)]
struct Changes {
    names: Mutex<Names>,
    any: Notify,
}

#[derive(Debug, Default)]
struct Names {
    /// Entries of `BUNDLES_DIR` that something happened to. What has no name there is found by
    /// looking at everything, which any event brings about.
    names: BTreeSet<String>,
}

impl Changes {
    fn add(&self, bundles_dir: &Path, event: notify::Result<notify::Event>) {
        let event = match event {
            // Reading is what we do ourselves.
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

    fn take(&self) -> Names {
        std::mem::take(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The watches of all tenants' directories.
#[derive(Debug)]
struct Watches {
    watcher: RecommendedWatcher,
    /// Whose a directory is. One that is reached by two tenants, through links, is the first one's:
    /// to the kernel it is one watch, and the second would take it from the first.
    owners: BTreeMap<(u64, u64), TenantId>,
}

impl Watches {
    /// Watches `now` for a tenant instead of `before`; returns what is watched. What cannot be
    /// watched is found by looking. Where the files have changed, so may the directories have, and
    /// another can have the number of one that is gone: then all are watched anew.
    fn change(
        &mut self,
        id: &TenantId,
        root: &Path,
        before: &[Directory],
        now: Vec<Directory>,
        is_changed: bool,
    ) -> Vec<Directory> {
        for directory in before.iter().filter(|directory| !now.contains(directory)) {
            self.owners.remove(&directory.identity);
            // Where the directory is gone, so is its watch.
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

/// A tenant that is to be looked at, and what is known from the last time.
#[derive(Debug)]
struct Due {
    id: TenantId,
    root: PathBuf,
    watched: Vec<Directory>,
    /// The fingerprint that it had.
    before: Option<u64>,
}

/// What a look at a tenant has shown.
#[derive(Debug)]
struct Seen {
    id: TenantId,
    fingerprint: u64,
    watched: Vec<Directory>,
    took: Duration,
}

/// A round of looks that did not end in time, and the tenant that it was at.
#[derive(Debug)]
struct Hanging {
    id: Option<TenantId>,
    round: JoinHandle<Vec<Seen>>,
}

/// A tenant that is registered.
#[derive(Debug)]
struct Kept {
    tenant: Arc<Tenant>,
    directory: PathBuf,
    orders: Arc<Orders>,
    driver: JoinHandle<()>,
    fingerprint: Option<u64>,
    watched: Vec<Directory>,
    /// What the last look took, and when it was.
    took: Duration,
    looked: Option<Instant>,
    gone_since: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Keeper {
    config: Config,
    app: Arc<App>,
    surroundings: Surroundings,
    drivers: TaskTracker,
    kept: BTreeMap<TenantId, Kept>,
    /// Drivers of removed tenants that have not ended yet: until then their ids are taken.
    leaving: BTreeMap<TenantId, JoinHandle<()>>,
    reported: BTreeSet<String>,
    /// The file system that `BUNDLES_DIR` was on at the start.
    device: Option<u64>,
    is_dir_readable: bool,
    watches: Option<Arc<Mutex<Watches>>>,
    /// The last listing of `BUNDLES_DIR`, which may hang.
    listing: Option<JoinHandle<std::io::Result<Vec<Entry>>>>,
    /// Rounds of looks that hang. No more than [`MAX_HANGING`].
    hanging: Vec<Hanging>,
    /// An operator wants everything read anew.
    pub(crate) reload: Arc<Notify>,
}

impl Keeper {
    /// Registers every tenant that there is now.
    ///
    /// # Errors
    /// When `BUNDLES_DIR` cannot be read.
    pub(crate) fn new(
        config: Config,
        app: Arc<App>,
        surroundings: Surroundings,
        drivers: TaskTracker,
    ) -> std::io::Result<Self> {
        let entries = bundles::entries(&config.bundles_dir)?;
        let device = bundles::device(&config.bundles_dir);
        let mut keeper = Self {
            config,
            app,
            surroundings,
            drivers,
            kept: BTreeMap::new(),
            leaving: BTreeMap::new(),
            reported: BTreeSet::new(),
            device,
            is_dir_readable: true,
            watches: None,
            listing: None,
            hanging: Vec::new(),
            reload: Arc::new(Notify::new()),
        };
        keeper.register(entries);
        for tenant_id in keeper.config.configured_tenants() {
            if !keeper.kept.contains_key(tenant_id) {
                warn!(%tenant_id, "the configuration file has limits for a tenant that is not there");
            }
        }
        if keeper.kept.is_empty() {
            warn!("BUNDLES_DIR holds no tenant: every request will be answered with 404");
        }
        Ok(keeper)
    }

    /// Keeps the registry until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let changes = Arc::new(Changes::default());
        let is_on = self.config.hot_reload;
        if is_on {
            self.watch(&changes);
        }
        let reload = Arc::clone(&self.reload);
        let mut next_poll = Instant::now();
        let mut earliest_poll = next_poll;
        let mut next_listing = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = reload.notified() => {
                    self.list().await;
                    for kept in self.kept.values() {
                        kept.orders.reload.notify_one();
                    }
                }
                () = changes.any.notified() => {
                    settled(&changes).await;
                    self.list().await;
                    self.hint(changes.take());
                    // Also to find what has no name, and directories that are new.
                    next_poll = next_poll.min(earliest_poll.max(Instant::now()));
                }
                () = sleep_until(next_poll), if is_on => {
                    self.list().await;
                    let spent = self.poll().await;
                    let now = Instant::now();
                    earliest_poll = now + spent * POLL_SHARE;
                    next_poll = earliest_poll.max(now + POLL_INTERVAL);
                }
                () = at(next_listing) => self.list().await,
            }
            // Whether who is gone is gone for good is known after a while only.
            let is_any_gone = self.kept.values().any(|kept| kept.gone_since.is_some());
            let is_any_leaving = !self.leaving.is_empty();
            next_listing = (is_any_gone || is_any_leaving).then(|| Instant::now() + LISTING_PAUSE);
        }
    }

    /// Has the file system say what changes. Where it does not, what changes is found by looking.
    ///
    /// Directories are watched one by one, as they are found within their bundle's bounds: a watch
    /// of everything below `BUNDLES_DIR` would follow one tenant's links wherever they lead, and
    /// fail for all tenants where one directory cannot be read.
    fn watch(&mut self, changes: &Arc<Changes>) {
        let bundles_dir = self.config.bundles_dir.clone();
        let changes = Arc::clone(changes);
        let handler = move |event| changes.add(&bundles_dir, event);
        let watch = notify::recommended_watcher(handler).and_then(|mut watcher| {
            watcher.watch(&self.config.bundles_dir, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        match watch {
            Ok(watcher) => {
                let watches = Watches { watcher, owners: BTreeMap::new() };
                self.watches = Some(Arc::new(Mutex::new(watches)));
            }
            Err(error) => {
                warn!(
                    "BUNDLES_DIR cannot be watched, so it is looked at every few seconds: {error}"
                );
            }
        }
    }

    /// Tells the drivers of tenants that something happened to.
    fn hint(&self, Names { names }: Names) {
        for name in names {
            let kept = name.parse::<TenantId>().ok().and_then(|id| self.kept.get(&id));
            if let Some(kept) = kept.filter(|kept| kept.gone_since.is_none()) {
                kept.orders.look.notify_one();
            }
        }
    }

    /// Looks which tenants there are.
    async fn list(&mut self) {
        if self.listing.as_ref().is_some_and(|listing| !listing.is_finished()) {
            // The last one hangs.
            return;
        }
        let bundles_dir = self.config.bundles_dir.clone();
        let first_device = self.device;
        let mut listing = aside(&self.surroundings.loading, move || {
            let entries = bundles::entries(&bundles_dir)?;
            // What a mount covered comes to light when it goes, and is no answer to what there is.
            let is_another = bundles::device(&bundles_dir) != first_device;
            if is_another && entries.is_empty() {
                let what = "it is empty, and another file system than before";
                return Err(std::io::Error::other(what));
            }
            Ok(entries)
        });
        let hangs = || Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
        let listed = timeout(PATIENCE, &mut listing).await.ok().and_then(Result::ok);
        self.listing = Some(listing);
        match listed.unwrap_or_else(hangs) {
            Ok(entries) => {
                if !std::mem::replace(&mut self.is_dir_readable, true) {
                    info!("BUNDLES_DIR can be read again");
                }
                self.app.metrics.bundles_dir_readable.set(1);
                self.register(entries);
            }
            Err(error) => {
                if std::mem::replace(&mut self.is_dir_readable, false) {
                    error!("BUNDLES_DIR cannot be read; tenants keep what they have: {error}");
                }
                self.app.metrics.bundles_dir_readable.set(0);
            }
        }
    }

    /// Hints at the tenants whose files are others than at the last look, and watches their
    /// directories. Returns how long that took.
    async fn poll(&mut self) -> Duration {
        self.hanging.retain(|hanging| !hanging.round.is_finished());
        if self.hanging.len() == MAX_HANGING {
            return Duration::ZERO;
        }
        let began = Instant::now();
        let due = self.due();
        let ids: Vec<TenantId> = due.iter().map(|due| due.id.clone()).collect();
        let progress = Arc::new(AtomicUsize::new(0));
        let watches = self.watches.clone();
        let counted = Arc::clone(&progress);
        let mut round =
            aside(&self.surroundings.loading, move || look_at(due, watches.as_deref(), &counted));
        match timeout(PATIENCE, &mut round).await {
            Ok(seen) => {
                // A panic in there is a fault of ours; the next round may do better.
                for seen in seen.unwrap_or_default() {
                    self.take_up(seen);
                }
            }
            Err(_) => {
                let id = ids.get(progress.load(Ordering::Relaxed)).cloned();
                let name = id.as_ref().map(TenantId::as_str);
                error!(tenant_id = name, "looking at a bundle's directory hangs; it is left alone");
                self.hanging.push(Hanging { id, round });
            }
        }
        began.elapsed()
    }

    /// Who is to be looked at, in this order: who was looked at cheaply, and of the others who
    /// waits for it longest.
    fn due(&self) -> Vec<Due> {
        let hangs =
            |id: &TenantId| self.hanging.iter().any(|hanging| hanging.id.as_ref() == Some(id));
        let mut due: Vec<(&TenantId, &Kept)> =
            self.kept.iter().filter(|(id, kept)| !kept.tenant.is_asleep() && !hangs(id)).collect();
        due.sort_by_key(|(_, kept)| (kept.took > CHEAP, kept.looked));
        due.into_iter()
            .map(|(id, kept)| Due {
                id: id.clone(),
                root: kept.directory.clone(),
                watched: kept.watched.clone(),
                before: kept.fingerprint,
            })
            .collect()
    }

    fn take_up(&mut self, seen: Seen) {
        let Some(kept) = self.kept.get_mut(&seen.id) else { return };
        kept.watched = seen.watched;
        kept.took = seen.took;
        kept.looked = Some(Instant::now());
        if kept.fingerprint.replace(seen.fingerprint) != Some(seen.fingerprint) {
            kept.orders.look.notify_one();
        }
    }

    /// Makes the registry what `entries` say.
    fn register(&mut self, entries: Vec<Entry>) {
        self.leaving.retain(|_, driver| !driver.is_finished());
        let mut is_changed = false;
        let mut present = BTreeSet::new();
        for entry in entries {
            match entry {
                Entry::NoTenant(name) => self.report(name),
                Entry::Tenant(id, directory) => {
                    present.insert(id.clone());
                    if !self.kept.contains_key(&id) && !self.leaving.contains_key(&id) {
                        self.add(id, directory);
                        is_changed = true;
                    }
                }
            }
        }
        let mut gone = Vec::new();
        for (id, kept) in &mut self.kept {
            if present.contains(id) {
                kept.gone_since = None;
                continue;
            }
            let since = *kept.gone_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= REMOVAL_GRACE {
                gone.push(id.clone());
            }
        }
        for id in gone {
            self.remove(&id);
            is_changed = true;
        }
        if is_changed {
            let tenants = self.kept.iter();
            let tenants: Tenants =
                tenants.map(|(id, kept)| (id.clone(), Arc::clone(&kept.tenant))).collect();
            self.app.registry.replace(tenants);
        }
        // Every time, because places that were taken the last time may be free by now.
        self.app.connections.fit(self.kept.len() + self.leaving.len());
    }

    fn report(&mut self, name: String) {
        if self.reported.len() < REMEMBERED_REPORTS && self.reported.insert(name.clone()) {
            self.app.metrics.ignored_directories.inc();
            error!(
                "BUNDLES_DIR holds the directory \"{name}\", which is no tenant: {InvalidTenantId}"
            );
        }
    }

    fn add(&mut self, id: TenantId, directory: PathBuf) {
        let metrics = self.app.metrics.tenant(&id);
        let limits = self.config.limits(&id);
        let (tenant, requests) = Tenant::new(
            id.clone(),
            limits,
            &self.surroundings.sandboxing,
            metrics,
            self.app.stream.tenant(&id, limits.max_body),
        );
        let tenant = Arc::new(tenant);
        tenant.tell(Change::Added, "its directory is there".to_owned(), Vec::new());
        let orders = Arc::new(Orders::new(&self.surroundings));
        let app = Arc::clone(&self.app);
        let driver = drive_always(
            Arc::clone(&tenant),
            requests,
            directory.clone(),
            Arc::clone(&orders),
            self.surroundings.clone(),
        );
        let driver = self.drivers.spawn({
            let (tenant, stop) = (Arc::clone(&tenant), self.surroundings.stop.clone());
            async move {
                driver.await;
                if !stop.is_cancelled() {
                    tenant.tell(Change::Removed, "its directory is gone".to_owned(), Vec::new());
                    app.metrics.forget(&tenant.id);
                    info!(tenant_id = %tenant.id, "tenant removed");
                }
            }
        });
        let kept = Kept {
            tenant,
            directory,
            orders,
            driver,
            fingerprint: None,
            watched: Vec::new(),
            took: Duration::ZERO,
            looked: None,
            gone_since: None,
        };
        self.kept.insert(id, kept);
    }

    fn remove(&mut self, id: &TenantId) {
        if let Some(kept) = self.kept.remove(id) {
            kept.tenant.remove();
            kept.tenant.metrics.forget();
            kept.orders.stop.cancel();
            if let Some(watches) = self.watches.clone() {
                let (id, root, watched) = (id.clone(), kept.directory, kept.watched);
                // Not waited for: the file system may hang.
                drop(aside(&self.surroundings.loading, move || {
                    let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
                    watches.change(&id, &root, &watched, Vec::new(), false);
                }));
            }
            self.leaving.insert(id.clone(), kept.driver);
        }
    }
}

/// Looks at tenants, one after the other, and watches their directories.
fn look_at(due: Vec<Due>, watches: Option<&Mutex<Watches>>, progress: &AtomicUsize) -> Vec<Seen> {
    let began = Instant::now();
    let mut seen = Vec::new();
    let mut is_one_dear = false;
    for (index, Due { id, root, watched, before }) in due.into_iter().enumerate() {
        if began.elapsed() > ROUND && is_one_dear {
            break;
        }
        progress.store(index, Ordering::Relaxed);
        let start = Instant::now();
        let Glance { fingerprint, directories, .. } = bundles::glance(&root);
        let took = start.elapsed();
        // At least one of them in every round, or none of them would ever be.
        is_one_dear |= took > CHEAP;
        let watched = watches.map_or_else(Vec::new, |watches| {
            let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
            watches.change(&id, &root, &watched, directories, before != Some(fingerprint))
        });
        seen.push(Seen { id, fingerprint, watched, took });
    }
    seen
}

/// Runs what may block elsewhere. Also a host that has no thread for it must not end the caller.
fn aside<T: Send + 'static>(
    loading: &Handle,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let loading = loading.clone();
    tokio::spawn(async move {
        match loading.spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Cancelled: the runtime ends, and nobody waits any more.
            Err(_) => std::future::pending().await,
        }
    })
}

/// Waits until nothing changes, but not for ever.
async fn settled(changes: &Changes) {
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

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
