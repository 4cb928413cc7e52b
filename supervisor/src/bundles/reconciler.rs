//! Keeps the registry as `BUNDLES_DIR` is: adds tenants, removes them, and tells a tenant's
//! controller when its bundle may have changed.
//!
//! Events of the file system are hints. Every tenant that they name is looked at, and all tenants
//! are looked at from time to time. The controller's loader compares, so a needless hint costs a
//! look at the files' metadata and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enforcer_protocol::{InvalidTenantId, TenantId};
use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::entries::{Entry, device, entries, tenant_of};
use super::health::{BundlesHealth, ReconcilerState};
use super::looks::{CHEAP, Due, Seen, look_at};
use super::remote::cache::CachedFiles;
use super::remote::downloads::Downloads;
use super::remote::poller::Poller;

use super::source::Source;
use super::walk::Directory;
use super::watches::{Changes, Names, Watches, settled};
use crate::blocking::{BlockingError, blocking_with_timeout, spawn_blocking_on};
use crate::config::{Activation, Config};
use crate::permits::ConnectionPermits;
use crate::stream::{Change, Stream, TenantStream};
use crate::tenant::admission::Tenant;
use crate::tenant::controller::context::{BundleSource, Context, ControlSignals};
use crate::tenant::controller::run_controller;
use crate::tenant::registry::{Registry, Tenants};

/// Between two looks at all tenants, where the file system reports changes.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Looking takes no more than this part of one processor.
const POLL_SHARE: u32 = 20;

/// Deadline of every operation on files: a file system may hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two listings, while a directory is gone or a tenant is being removed.
const LISTING_PAUSE: Duration = Duration::from_millis(500);

/// Between two counts of the tenants that have a worker.
const COUNT_PAUSE: Duration = Duration::from_secs(1);

/// How long a directory must be gone before its tenant is removed. A directory that replaces
/// another is gone for a moment.
const REMOVAL_GRACE: Duration = Duration::from_secs(2);

/// Rounds of looks that hang at once. Beyond them no more begin until one of them ends.
const MAX_HANGING: usize = 8;

/// Directories that are not tenants and are remembered as reported.
const REMEMBERED_REPORTS: usize = 4096;

/// The state that the reconciler shares with others.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) registry: Arc<Registry>,
    pub(crate) connections: Arc<ConnectionPermits>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) health: Arc<BundlesHealth>,
    /// An operator asks for all bundles to be read again.
    pub(crate) reload: Arc<Notify>,
    pub(crate) downloads: Downloads,
}

/// A tenant that is registered.
#[derive(Debug)]
struct ManagedTenant {
    tenant: Arc<Tenant>,
    source: Source,
    signals: Arc<ControlSignals>,
    controller: JoinHandle<()>,
    /// The result of the last look.
    fingerprint: Option<u64>,
    watched: Vec<Directory>,
    /// How long the last look took, and when it was.
    took: Duration,
    looked: Option<Instant>,
    gone_since: Option<Instant>,
}

/// A round of looks that did not end in time, and the tenant that it was at.
#[derive(Debug)]
struct Hanging {
    id: Option<TenantId>,
    round: JoinHandle<Vec<Seen>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Reconciler {
    config: Config,
    shared: Shared,
    context: Context,
    controllers: TaskTracker,
    managed: BTreeMap<TenantId, ManagedTenant>,
    /// Controllers of removed tenants that have not ended yet: until then their ids are taken.
    leaving: BTreeMap<TenantId, JoinHandle<()>>,
    reported: BTreeSet<String>,
    /// The file system that `BUNDLES_DIR` was on at the start.
    device: Option<u64>,
    watches: Option<Arc<Mutex<Watches>>>,
    /// A listing of `BUNDLES_DIR` that hangs.
    listing: Option<JoinHandle<io::Result<Vec<Entry>>>>,
    /// Rounds of looks that hang. No more than [`MAX_HANGING`].
    hanging: Vec<Hanging>,
}

impl Reconciler {
    /// Registers every tenant that exists now.
    ///
    /// # Errors
    /// When `BUNDLES_DIR` cannot be read.
    pub(crate) fn new(
        config: Config,
        shared: Shared,
        context: Context,
        controllers: TaskTracker,
    ) -> io::Result<Self> {
        let entries = entries(&config.bundles_dir)?;
        let device = device(&config.bundles_dir);
        let mut reconciler = Self {
            config,
            shared,
            context,
            controllers,
            managed: BTreeMap::new(),
            leaving: BTreeMap::new(),
            reported: BTreeSet::new(),
            device,
            watches: None,
            listing: None,
            hanging: Vec::new(),
        };
        reconciler.register(entries);
        for tenant_id in reconciler.config.configured_tenants() {
            if !reconciler.managed.contains_key(tenant_id) {
                warn!(%tenant_id, "the configuration file has limits for a tenant that has no bundle");
            }
        }
        if reconciler.managed.is_empty() {
            warn!("BUNDLES_DIR holds no tenant: every request will be answered with 404");
        }
        Ok(reconciler)
    }

    /// Keeps the registry up to date until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let changes = Arc::new(Changes::default());
        let is_on = self.config.hot_reload;
        if is_on {
            self.watch(&changes);
        }
        let reload = Arc::clone(&self.shared.reload);
        let mut next_poll = Instant::now();
        let mut earliest_poll = next_poll;
        let mut next_listing = None;
        let mut next_count = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = reload.notified() => {
                    self.list().await;
                    for managed in self.managed.values() {
                        managed.tenant.orders.reload();
                    }
                }
                () = changes.any.notified() => {
                    settled(&changes).await;
                    self.list().await;
                    self.hint(changes.take());
                    // Also to find events without a name, and new directories.
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
                () = sleep_until(next_count) => {
                    self.fit_connections();
                    next_count = Instant::now() + COUNT_PAUSE;
                }
            }
            // Whether a directory is gone for good is known only after a while.
            let is_any_gone = self.managed.values().any(|managed| managed.gone_since.is_some());
            let is_any_leaving = !self.leaving.is_empty();
            next_listing = (is_any_gone || is_any_leaving).then(|| Instant::now() + LISTING_PAUSE);
        }
    }

    /// Subscribes to the file system's events. Without them, changes are found by polling.
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
                    "BUNDLES_DIR cannot be watched, so it is polled every {} seconds: {error}",
                    POLL_INTERVAL.as_secs()
                );
            }
        }
    }

    /// Tells the controllers of tenants with changes.
    fn hint(&self, Names { names }: Names) {
        for name in names {
            let managed = tenant_of(&name).and_then(|id| self.managed.get(&id));
            if let Some(managed) = managed.filter(|managed| managed.gone_since.is_none()) {
                managed.signals.look.notify_one();
            }
        }
    }

    /// Lists the tenants.
    async fn list(&mut self) {
        if self.listing.as_ref().is_some_and(|listing| !listing.is_finished()) {
            return;
        }
        self.listing = None;
        let bundles_dir = self.config.bundles_dir.clone();
        let first_device = self.device;
        let work = move || {
            let entries = entries(&bundles_dir)?;
            // An unmount uncovers the directory below, which says nothing about tenants.
            if device(&bundles_dir) != first_device && entries.is_empty() {
                return Err(io::Error::other(
                    "it is empty, and on another file system than at the start",
                ));
            }
            Ok(entries)
        };
        let listed = match blocking_with_timeout(&self.context.loading, PATIENCE, work).await {
            Ok(listed) => listed,
            Err(BlockingError::Failed) => {
                Err(io::Error::other("the host has no thread to read it"))
            }
            Err(BlockingError::Hangs(listing)) => {
                self.listing = Some(listing);
                Err(io::ErrorKind::TimedOut.into())
            }
        };
        match listed {
            Ok(entries) => {
                if self.shared.health.state() == ReconcilerState::Unreadable {
                    info!("BUNDLES_DIR can be read again");
                }
                self.set_readable(ReconcilerState::Running);
                self.register(entries);
            }
            Err(error) => {
                if self.shared.health.state() == ReconcilerState::Running {
                    error!("BUNDLES_DIR cannot be read; tenants keep what they have: {error}");
                }
                self.set_readable(ReconcilerState::Unreadable);
            }
        }
    }

    fn set_readable(&self, state: ReconcilerState) {
        self.shared.health.set(state);
        let is_readable = state == ReconcilerState::Running;
        self.context.metrics.bundles_dir_readable.set(is_readable.into());
    }

    /// Hints at the tenants whose files have changed since they were read, and watches their
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
        let work = move || look_at(due, watches.as_deref(), &counted);
        match blocking_with_timeout(&self.context.loading, PATIENCE, work).await {
            Ok(seen) => seen.into_iter().for_each(|seen| self.take_up(seen)),
            Err(BlockingError::Failed) => {
                debug!("a round of looks failed; the next one may not");
            }
            Err(BlockingError::Hangs(round)) => {
                let id = ids.get(progress.load(Ordering::Relaxed)).cloned();
                let name = id.as_ref().map(TenantId::as_str);
                error!(
                    tenant_id = name,
                    "reading a bundle's directory hangs; it is not read again until that ends"
                );
                self.hanging.push(Hanging { id, round });
            }
        }
        began.elapsed()
    }

    /// The tenants to look at, in this order: those whose last look was cheap, and of the others
    /// the one that waits for it longest.
    fn due(&self) -> Vec<Due> {
        let hangs =
            |id: &TenantId| self.hanging.iter().any(|hanging| hanging.id.as_ref() == Some(id));
        let mut due: Vec<(&TenantId, &ManagedTenant)> = self
            .managed
            .iter()
            .filter(|(id, managed)| !managed.tenant.is_asleep() && !hangs(id))
            .collect();
        due.sort_by_key(|(_, managed)| (managed.took > CHEAP, managed.looked));
        due.into_iter()
            .map(|(id, managed)| Due {
                id: id.clone(),
                source: managed.source.clone(),
                watched: managed.watched.clone(),
                before: managed.fingerprint,
            })
            .collect()
    }

    fn take_up(&mut self, seen: Seen) {
        let Some(managed) = self.managed.get_mut(&seen.id) else { return };
        managed.watched = seen.watched;
        managed.took = seen.took;
        managed.looked = Some(Instant::now());
        managed.fingerprint = Some(seen.fingerprint);
        managed.signals.look_if_changed(seen.fingerprint);
    }

    /// Makes the registry match `entries`.
    fn register(&mut self, entries: Vec<Entry>) {
        self.leaving.retain(|_, controller| !controller.is_finished());
        let mut is_changed = false;
        let mut present = BTreeSet::new();
        let bundles_dir = &self.config.bundles_dir;
        let remote = self.config.remote.of.keys().map(|id| {
            let files = CachedFiles::new(&self.shared.downloads.cache, id);
            Entry::Tenant(id.clone(), Source::remote(bundles_dir, id, files))
        });
        // First, so that what BUNDLES_DIR has of such a tenant is found to be too much.
        let entries: Vec<Entry> = remote.chain(entries).collect();
        for entry in entries {
            match entry {
                Entry::NoTenant(name) => self.report(name),
                Entry::Tenant(id, source) => {
                    present.insert(id.clone());
                    if !self.managed.contains_key(&id) && !self.leaving.contains_key(&id) {
                        self.add(id, source);
                        is_changed = true;
                    }
                }
            }
        }
        let mut gone = Vec::new();
        for (id, managed) in &mut self.managed {
            if present.contains(id) {
                managed.gone_since = None;
                continue;
            }
            let since = *managed.gone_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= REMOVAL_GRACE {
                gone.push(id.clone());
            }
        }
        for id in gone {
            self.remove(&id);
            is_changed = true;
        }
        if is_changed {
            let tenants = self.managed.iter();
            let tenants: Tenants =
                tenants.map(|(id, managed)| (id.clone(), Arc::clone(&managed.tenant))).collect();
            self.shared.registry.replace(tenants);
            self.fit_connections();
        }
    }

    /// Gives clients the file descriptors that workers do not need. Lazy tenants without a worker
    /// need none.
    fn fit_connections(&self) {
        let awake = self.managed.values().filter(|managed| !managed.tenant.is_asleep()).count();
        let possible = self.shared.connections.fit(awake + self.leaving.len());
        let possible = i64::try_from(possible).unwrap_or(i64::MAX);
        self.context.metrics.max_connections.set(possible);
    }

    fn report(&mut self, name: String) {
        if self.reported.len() < REMEMBERED_REPORTS && self.reported.insert(name.clone()) {
            self.context.metrics.ignored_directories.inc();
            error!("BUNDLES_DIR holds \"{name}\", which is not a tenant's: {InvalidTenantId}");
        }
    }

    fn add(&mut self, id: TenantId, source: Source) {
        let limits = self.config.limits(&id);
        let stream = TenantStream::new(
            &self.shared.stream,
            id.clone(),
            limits.max_body,
            limits.stream_inputs,
        );
        let sandbox = &self.context.sandbox;
        let (tenant, requests) =
            Tenant::new(id.clone(), limits, sandbox.mode, sandbox.users.clone(), stream);
        let tenant = Arc::new(tenant);
        if tenant.limits.activation == Activation::Lazy {
            info!(tenant_id = %id, "tenant is asleep until its first request");
        }
        tenant.tell(Change::Added, "its bundle is there".to_owned(), Vec::new());
        let signals = Arc::new(ControlSignals::new(&self.context));
        let verification = Arc::new(self.config.verification(&id).clone());
        if let Some(bundle) = self.config.remote.of.get(&id) {
            let downloads = &self.shared.downloads;
            let poller = Poller::new(
                Arc::clone(&tenant),
                bundle.clone(),
                Arc::clone(&verification),
                Arc::clone(&signals),
                &self.context,
                downloads,
            );
            self.controllers.spawn_on(poller.run(), &downloads.runtime);
        }
        let controller = run_controller(
            Arc::clone(&tenant),
            requests,
            BundleSource { source: source.clone(), verification },
            Arc::clone(&signals),
            self.context.clone(),
        );
        let controller = self.controllers.spawn({
            let (tenant, stop) = (Arc::clone(&tenant), self.context.stop.clone());
            async move {
                controller.await;
                if !stop.is_cancelled() {
                    tenant.tell(Change::Removed, "its bundle is gone".to_owned(), Vec::new());
                    info!(tenant_id = %tenant.id, "tenant removed: its bundle is gone");
                }
            }
        });
        let managed = ManagedTenant {
            tenant,
            source,
            signals,
            controller,
            fingerprint: None,
            watched: Vec::new(),
            took: Duration::ZERO,
            looked: None,
            gone_since: None,
        };
        self.managed.insert(id, managed);
    }

    fn remove(&mut self, id: &TenantId) {
        if let Some(managed) = self.managed.remove(id) {
            managed.tenant.status.remove();
            managed.signals.stop.cancel();
            if let Some(watches) = self.watches.clone() {
                let (id, source, watched) = (id.clone(), managed.source, managed.watched);
                // Not waited for: the file system may hang.
                drop(spawn_blocking_on(&self.context.loading, move || {
                    let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
                    watches.change(&id, source.root(), &watched, Vec::new(), false);
                }));
            }
            self.leaving.insert(id.clone(), managed.controller);
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
