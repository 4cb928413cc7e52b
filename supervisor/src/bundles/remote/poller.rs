//! Keeps one tenant's bundle as its server has it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use enforcer_protocol::Revision;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::cache::{CachedFiles, REMEMBERED_REVISIONS, State};
use super::client::Question;
use super::downloads::Downloads;
use super::error::{DownloadError, FailureKind};
use super::fetch::{Fetched, Fetcher, Fresh};
use super::schedule::{Mode, Outcome, Schedule};
use super::status::{BundleSourceStatus, DownloadResult, SourceError};
use crate::blocking::blocking_with_timeout;
use crate::bundles::limits::MAX_BUNDLE_BYTES;
use crate::clock::{rfc3339, utc_now};
use crate::config::{BundleVerification, RemoteBundle};
use crate::telemetry::logging::printable;
use crate::tenant::admission::Tenant;
use crate::tenant::controller::context::{Context, ControlSignals, Verdict};

/// How long an operation on the cache's files may take: the file system may hang.
const FILE_PATIENCE: Duration = Duration::from_secs(30);

/// Between two lines of the log about a tenant's downloads, at least, however often they fail in
/// another way.
const LOG_SPACING: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Poller {
    tenant: Arc<Tenant>,
    bundle: RemoteBundle,
    fetcher: Arc<Fetcher>,
    signals: Arc<ControlSignals>,
    verdicts: watch::Receiver<Option<Verdict>>,
    files: CachedFiles,
    loading: Handle,
    schedule: Schedule,
    good: Option<Good>,
    candidate: Option<Candidate>,
    status: BundleSourceStatus,
    /// The last message in the log, and when it was written.
    told: Option<(Told, Instant)>,
}

/// The last good copy, whose revision this process has read.
#[derive(Debug)]
struct Good {
    revision: Revision,
    state: State,
}

/// A newer bundle than the good one.
#[derive(Debug)]
struct Candidate {
    revision: Revision,
    etag: Option<String>,
    downloaded: DateTime<Utc>,
    trial: Trial,
}

/// Whether a worker has loaded a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Pending,
    Refused,
}

/// A message in the log about a tenant's downloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Fails(FailureKind),
    Works,
}

impl Poller {
    /// For this tenant.
    pub(crate) fn new(
        tenant: Arc<Tenant>,
        bundle: RemoteBundle,
        verification: Arc<BundleVerification>,
        signals: Arc<ControlSignals>,
        context: &Context,
        downloads: &Downloads,
    ) -> Self {
        let files = CachedFiles::new(&downloads.cache, &tenant.id);
        let fetcher = Fetcher {
            access: downloads.access(&bundle.service),
            files: files.clone(),
            verification,
            max_bytes: MAX_BUNDLE_BYTES.min(tenant.limits.memory),
            large_readers: Arc::clone(&context.large_readers),
            loading: context.loading.clone(),
            metrics: Arc::clone(&tenant.metrics),
        };
        let status = BundleSourceStatus {
            service: bundle.service.name.clone(),
            resource: bundle.resource.clone(),
            etag: None,
            long_polling: bundle.polling.long_polling.is_some(),
            last_attempt: None,
            last_successful_attempt: None,
            last_successful_download: None,
            last_rollback: None,
            last_error: None,
        };
        tenant.status.set_bundle_source(status.clone());
        Self {
            verdicts: signals.verdicts(),
            schedule: Schedule::new(&bundle.polling),
            fetcher: Arc::new(fetcher),
            loading: context.loading.clone(),
            good: None,
            candidate: None,
            told: None,
            tenant,
            bundle,
            signals,
            files,
            status,
        }
    }

    /// Asks for the bundle until the tenant is removed or the supervisor ends.
    pub(crate) async fn run(mut self) {
        let stop = self.signals.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.poll() => {}
        }
    }

    async fn poll(&mut self) {
        let mut is_open = self.open().await;
        // An operator asks: the server is not to wait.
        let mut is_asked = false;
        loop {
            let began = Instant::now();
            let outcome = if is_open {
                self.attempt(is_asked).await
            } else {
                is_open = self.open().await;
                if is_open {
                    continue;
                }
                Some(Outcome::Failed)
            };
            is_asked = outcome.is_none();
            let Some(outcome) = outcome else { continue };
            let polling = &self.bundle.polling;
            let (schedule, pause) =
                self.schedule.after(outcome, polling, began.elapsed(), random());
            self.schedule = schedule;
            self.status.long_polling = schedule.mode() == Mode::LongPolling;
            self.publish();
            debug!(tenant_id = %self.tenant.id, ?outcome, ?pause, "the bundle's server was asked");
            let tenant = Arc::clone(&self.tenant);
            let mut pause = pin!(sleep(pause));
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    () = tenant.orders.download.notified() => {
                        is_asked = true;
                        // What was refused is tried again.
                        self.candidate.take_if(|candidate| candidate.trial == Trial::Refused);
                        break;
                    }
                    Ok(()) = self.verdicts.changed() => self.take_verdict().await,
                }
            }
        }
    }

    /// One request. `None` when an operator asks while the server waits.
    async fn attempt(&mut self, is_asked: bool) -> Option<Outcome> {
        let wait = match self.schedule.mode() {
            // Nothing to wait with: the first bundle is wanted at once.
            Mode::LongPolling if !is_asked && self.etag().is_some() => {
                self.bundle.polling.long_polling
            }
            Mode::LongPolling | Mode::Polling => None,
        };
        let question = Question { url: self.bundle.url.clone(), etag: self.etag(), wait };
        let fetcher = Arc::clone(&self.fetcher);
        let tenant = Arc::clone(&self.tenant);
        let mut fetch = pin!(fetcher.fetch(&question));
        let fetched = loop {
            tokio::select! {
                fetched = &mut fetch => break fetched,
                () = tenant.orders.download.notified(), if wait.is_some() => return None,
                Ok(()) = self.verdicts.changed() => self.take_verdict().await,
            }
        };
        let at = utc_now();
        let is_first = self.status.last_attempt.replace(at).is_none();
        let outcome = match fetched {
            Ok(fetched) => self.take(fetched, at).await,
            Err(error) => {
                let error = self.without_part(error).await;
                self.fails(&error, at);
                Outcome::Failed
            }
        };
        self.publish();
        if is_first {
            // A tenant without a bundle waits for this.
            self.signals.look.notify_one();
        }
        Some(outcome)
    }

    /// The ETag of the newest bundle that was not refused.
    fn etag(&self) -> Option<String> {
        match &self.candidate {
            Some(Candidate { trial: Trial::Pending, etag, .. }) => etag.clone(),
            _ => self.good.as_ref().and_then(|good| good.state.etag.clone()),
        }
    }

    /// Opens the tenant's cache, and reads the good copy, which must be one by the rules of now.
    /// Returns whether bundles can be kept.
    async fn open(&mut self) -> bool {
        let files = self.files.clone();
        let state = match self.on_files(move || files.open()).await {
            Ok(state) => state.filter(|state| state.url == self.bundle.url.to_string()),
            Err(error) => {
                let at = utc_now();
                self.status.last_attempt = Some(at);
                self.fails(&error, at);
                self.publish();
                self.signals.look.notify_one();
                return false;
            }
        };
        let good = self.files.good();
        match self.fetcher.read(&good).await {
            Ok(revision) => {
                // A state of another copy says nothing.
                let state = state.filter(|state| state.revision == revision.to_string());
                let state = state.unwrap_or_else(|| State {
                    url: self.bundle.url.to_string(),
                    revision: revision.to_string(),
                    ..State::default()
                });
                self.status.etag.clone_from(&state.etag);
                self.status.last_successful_download = state.downloaded.parse().ok();
                self.good = Some(Good { revision, state });
            }
            Err(DownloadError::Refused(why)) => {
                warn!(
                    tenant_id = %self.tenant.id,
                    "the last good copy of the bundle is refused now: {}", printable(&why)
                );
                self.set_aside().await;
            }
            // There is none, which is usual, or reading it fails as the controller will report.
            Err(_) => {}
        }
        self.publish();
        true
    }

    async fn take(&mut self, fetched: Fetched, at: DateTime<Utc>) -> Outcome {
        let fresh = match fetched {
            Fetched::NotModified => {
                self.tenant.metrics.downloads.ended(DownloadResult::NotModified);
                self.return_to_good().await;
                self.works(at);
                return Outcome::NotModified;
            }
            Fetched::Bundle(fresh) => fresh,
        };
        let outcome = Outcome::Bundle { can_wait: fresh.can_wait };
        if let Some(good) = self.good.as_mut().filter(|good| good.revision == fresh.revision) {
            good.state.etag = fresh.etag;
            self.status.etag.clone_from(&good.state.etag);
            let (files, state) = (self.files.clone(), good.state.clone());
            let kept = self
                .on_files(move || {
                    files.discard_part()?;
                    files.write(&state)
                })
                .await;
            self.return_to_good().await;
            return self.ended(kept, outcome, at);
        }
        match self.candidate.as_mut().filter(|candidate| candidate.revision == fresh.revision) {
            Some(candidate) if candidate.trial == Trial::Pending => {
                candidate.etag = fresh.etag;
                let files = self.files.clone();
                let kept = self.on_files(move || files.discard_part()).await;
                self.ended(kept, outcome, at)
            }
            Some(_) => {
                let message = self.status.last_error.as_ref().map(|error| error.message.clone());
                let message = message.unwrap_or_else(|| "the bundle was refused before".to_owned());
                let error = self.without_part(DownloadError::RefusedBefore(message)).await;
                self.fails(&error, at);
                Outcome::Failed
            }
            None => {
                let kept = self.offer(fresh, at).await;
                self.ended(kept, outcome, at)
            }
        }
    }

    /// Makes a new bundle the candidate.
    async fn offer(&mut self, fresh: Fresh, at: DateTime<Utc>) -> Result<(), DownloadError> {
        let Fresh { revision, etag, .. } = fresh;
        let replaced = self.good.as_ref().map_or(&[][..], |good| &good.state.replaced);
        if replaced.contains(&revision.to_string()) {
            warn!(
                tenant_id = %self.tenant.id, %revision,
                "the server went back to a revision of the bundle that it had replaced before; if nobody did that on purpose, somebody may replay it"
            );
            self.tenant.metrics.downloads.rolled_back();
            self.status.last_rollback = Some(at);
        }
        let files = self.files.clone();
        self.on_files(move || files.offer()).await?;
        info!(tenant_id = %self.tenant.id, %revision, "bundle downloaded");
        self.candidate = Some(Candidate { revision, etag, downloaded: at, trial: Trial::Pending });
        self.status.last_successful_download = Some(at);
        self.signals.look.notify_one();
        Ok(())
    }

    /// A request has ended with a bundle, which was kept or not.
    fn ended(
        &mut self,
        kept: Result<(), DownloadError>,
        outcome: Outcome,
        at: DateTime<Utc>,
    ) -> Outcome {
        match kept {
            Ok(()) => {
                self.tenant.metrics.downloads.ended(DownloadResult::Downloaded);
                self.works(at);
                outcome
            }
            Err(error) => {
                self.fails(&error, at);
                Outcome::Failed
            }
        }
    }

    /// The server has the good copy again, or still: what it had meanwhile and was refused is
    /// forgotten.
    async fn return_to_good(&mut self) {
        let refused = |candidate: &mut Candidate| candidate.trial == Trial::Refused;
        let is_pending = self.candidate.as_ref().is_some_and(|one| one.trial == Trial::Pending);
        if self.candidate.take_if(refused).is_none() && !is_pending {
            return;
        }
        if is_pending && self.etag() != self.status.etag {
            // It is the candidate that has not changed.
            return;
        }
        let files = self.files.clone();
        if self.on_files(move || files.discard_candidate()).await.is_ok() {
            self.candidate = None;
            self.signals.look.notify_one();
        }
    }

    /// The tenant's controller has tried a bundle.
    async fn take_verdict(&mut self) {
        let Some(verdict) = *self.verdicts.borrow_and_update() else { return };
        let is_of = |revision| self.candidate.as_ref().is_some_and(|one| one.revision == revision);
        match verdict {
            Verdict::Serves(revision) if is_of(revision) => self.accept().await,
            // It has woken with the good copy, and can try the newer one.
            Verdict::Serves(_) => {
                if self.candidate.is_some() {
                    self.signals.look.notify_one();
                }
            }
            Verdict::Refused(revision) if is_of(revision) => {
                if let Some(candidate) = &mut self.candidate {
                    candidate.trial = Trial::Refused;
                }
                let why = self.tenant.status.status().bundle_error().map(str::to_owned);
                let why = why.unwrap_or_else(|| "no worker could load it".to_owned());
                self.record(&DownloadError::Refused(why), utc_now());
            }
            Verdict::Refused(revision) => {
                if self.good.as_ref().is_some_and(|good| good.revision == revision) {
                    self.good = None;
                    self.status.etag = None;
                    self.set_aside().await;
                    self.signals.look.notify_one();
                }
            }
        }
        self.publish();
    }

    /// A worker has loaded the candidate.
    async fn accept(&mut self) {
        let Some(candidate) = self.candidate.take() else { return };
        let mut state = State {
            url: self.bundle.url.to_string(),
            etag: candidate.etag,
            revision: candidate.revision.to_string(),
            downloaded: rfc3339(candidate.downloaded),
            replaced: Vec::new(),
        };
        if let Some(Good { state: before, .. }) = self.good.take() {
            state.replaced = before.replaced;
            state.replaced.retain(|revision| *revision != state.revision);
            state.replaced.push(before.revision);
            let excess = state.replaced.len().saturating_sub(REMEMBERED_REVISIONS);
            state.replaced.drain(..excess);
        }
        let (files, kept) = (self.files.clone(), state.clone());
        match self.on_files(move || files.accept(&kept)).await {
            Ok(()) => {
                self.status.etag.clone_from(&state.etag);
                self.good = Some(Good { revision: candidate.revision, state });
            }
            // It serves, and is downloaded again.
            Err(error) => self.record(&error, utc_now()),
        }
        // The file has another name.
        self.signals.look.notify_one();
    }

    async fn set_aside(&mut self) {
        let files = self.files.clone();
        if let Err(error) = self.on_files(move || files.set_aside()).await {
            warn!(tenant_id = %self.tenant.id, "{error}");
        }
    }

    /// An error, after the download that has it was removed.
    async fn without_part(&self, error: DownloadError) -> DownloadError {
        let files = self.files.clone();
        // The next download replaces it.
        let _ = self.on_files(move || files.discard_part()).await;
        error
    }

    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, DownloadError> {
        blocking_with_timeout(&self.loading, FILE_PATIENCE, work)
            .await
            .map_err(|_| DownloadError::Cache("its file system hangs".to_owned()))?
            .map_err(|error| DownloadError::Cache(error.to_string()))
    }

    /// An attempt failed.
    fn fails(&mut self, error: &DownloadError, at: DateTime<Utc>) {
        let result = match error.kind() {
            FailureKind::Refused => DownloadResult::Refused,
            _ => DownloadResult::Failed,
        };
        self.tenant.metrics.downloads.ended(result);
        self.record(error, at);
    }

    /// Publishes what is wrong, and logs it if that is new.
    fn record(&mut self, error: &DownloadError, at: DateTime<Utc>) {
        let kind = error.kind();
        let message = error.to_string();
        let since = self.status.last_error.as_ref().map_or(at, |known| known.since);
        if self.is_news(Told::Fails(kind)) {
            warn!(
                tenant_id = %self.tenant.id,
                service = self.bundle.service.name,
                kind = kind.name(),
                "the bundle was not updated: {}; what is there goes on to serve", printable(&message)
            );
        }
        self.status.last_error =
            Some(SourceError::new(kind.name(), message, error.http_code(), at, since));
    }

    fn works(&mut self, at: DateTime<Utc>) {
        self.status.last_successful_attempt = Some(at);
        let was_failing = self.status.last_error.take().is_some();
        if was_failing && self.is_news(Told::Works) {
            info!(
                tenant_id = %self.tenant.id, service = self.bundle.service.name,
                "the bundle's server can be asked again"
            );
        }
    }

    /// Whether the log is told: it was told another thing, and not just now.
    fn is_news(&mut self, now: Told) -> bool {
        let is_new =
            self.told.is_none_or(|(before, at)| before != now && at.elapsed() >= LOG_SPACING);
        if is_new {
            self.told = Some((now, Instant::now()));
        }
        is_new
    }

    fn publish(&self) {
        self.tenant.status.set_bundle_source(self.status.clone());
    }
}

/// A number from 0 to 1.
fn random() -> f64 {
    // A fresh hasher has random keys, which is all the randomness that is needed here.
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
