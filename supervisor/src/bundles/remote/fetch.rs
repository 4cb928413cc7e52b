//! Downloads one bundle, and reads and verifies it as an archive in `BUNDLES_DIR` is.

use std::path::Path;
use std::sync::Arc;

use enforcer_protocol::Revision;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::cache::CachedFiles;
use super::client::{Answer, Question, ask};
use super::downloads::Access;
use super::error::DownloadError;
use super::transfer::save;
use crate::bundles::limits::MAX_ARCHIVE_OVERHEAD;
use crate::bundles::source::Source;
use crate::config::BundleVerification;
use crate::telemetry::metrics::TenantMetrics;
use crate::tenant::controller::context::BundleSource;
use crate::tenant::controller::loader::{Reading, load};

/// Downloads one tenant's bundle and verifies it.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) access: Arc<Access>,
    pub(super) files: CachedFiles,
    pub(super) verification: Arc<BundleVerification>,
    /// Bytes that the bundle's files may have.
    pub(super) max_bytes: u64,
    pub(super) large_readers: Arc<Semaphore>,
    pub(super) loading: Handle,
    pub(super) metrics: Arc<TenantMetrics>,
}

/// The result of a request.
#[derive(Debug)]
pub(super) enum Fetched {
    NotModified,
    /// A bundle that was read and verified, in [`CachedFiles::part`].
    Bundle(Fresh),
}

/// A bundle that was downloaded.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) revision: Revision,
    pub(super) etag: Option<String>,
    pub(super) can_wait: bool,
}

impl Fetcher {
    /// Asks for the bundle, and waits for its turn before.
    ///
    /// # Errors
    /// When there is no bundle that this tenant may have. The download is left to be replaced.
    pub(super) async fn fetch(&self, question: &Question) -> Result<Fetched, DownloadError> {
        let turn = || async {
            let permit = self.access.permit().await;
            permit.map_err(|error| DownloadError::Cache(error.to_string()))
        };
        // A server that waits would keep others waiting.
        let permit = if question.wait.is_none() { Some(turn().await?) } else { None };
        let client = &self.access.client;
        let mut download = match ask(client, question).await? {
            Answer::NotModified => return Ok(Fetched::NotModified),
            Answer::Bundle(download) => download,
        };
        let permit = match permit {
            Some(permit) => permit,
            None => turn().await?,
        };
        let part = self.files.part();
        let max_bytes = self.max_bytes.saturating_add(MAX_ARCHIVE_OVERHEAD);
        let idle = client.service.response_timeout;
        let received = |bytes| self.metrics.downloads.received(bytes);
        save(&mut download, &part, max_bytes, idle, &self.loading, received).await?;
        let (etag, can_wait) = (download.etag.take(), download.can_wait);
        // The server is no longer needed.
        drop((download, permit));
        let revision = self.read(&part).await?;
        Ok(Fetched::Bundle(Fresh { revision, etag, can_wait }))
    }

    /// The revision of a whole archive, if this tenant may have it.
    ///
    /// # Errors
    /// When it is refused ([`DownloadError::Refused`]), or cannot be read.
    pub(super) async fn read(&self, archive: &Path) -> Result<Revision, DownloadError> {
        let source = BundleSource {
            source: Source::Download(archive.to_owned()),
            verification: Arc::clone(&self.verification),
        };
        let readers = Arc::clone(&self.large_readers);
        match load(source, None, self.max_bytes, readers, self.loading.clone()).await {
            Reading::Read(bundle, _) => Ok(bundle.revision),
            Reading::Empty(_) => {
                Err(DownloadError::Refused("the bundle holds neither a policy nor data".to_owned()))
            }
            Reading::Refused(message, ..) => Err(DownloadError::Refused(message)),
            Reading::Gone(message) | Reading::Failed(message) => Err(DownloadError::Cache(message)),
            Reading::Unchanged => Err(DownloadError::Cache("it was not read".to_owned())),
            Reading::Hangs(_) => Err(DownloadError::Cache("reading it hangs".to_owned())),
        }
    }
}
