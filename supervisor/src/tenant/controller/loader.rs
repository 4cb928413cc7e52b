//! Reads a tenant's bundle, once for each change of it.
//!
//! The loader is the only one that decides whether a bundle has changed: the others only say that
//! it may have. It compares fingerprints of the files, and reads a bundle only if they differ.

use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::{Diagnostic, DiagnosticCode};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::blocking::{BlockingError, blocking_with_timeout};
use crate::bundles::read::read;
use crate::bundles::{Bundle, BundleError};

use super::context::BundleSource;

/// Maximum bytes of a bundle that is read without waiting for others.
const SMALL_BUNDLE: u64 = 8 * 1024 * 1024;

/// Larger bundles that are read at once.
pub(crate) const LARGE_READERS: usize = 2;

/// How long reading a bundle may take before its file system counts as hanging.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(30);

/// Pause before a bundle is read again after a temporary error.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(1);

/// Whether an unchanged bundle is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Only where it has changed.
    IfChanged,
    /// In any case: an operator asked for it, or the bundle is no longer in memory.
    Anyway,
}

/// The activity of a tenant's loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loading {
    Idle,
    /// It looks again after a pause.
    Planned,
    /// It reads; then it looks again, if that was requested meanwhile.
    Reading {
        then: Option<Look>,
    },
    /// It exceeded its deadline, so the file system must hang. It looks again when that ends.
    Hanging,
}

impl Loading {
    /// Requests a look. Returns whether it begins now.
    pub(super) fn look(&mut self, look: Look) -> bool {
        match self {
            Self::Idle | Self::Planned => {
                *self = Self::Reading { then: None };
                true
            }
            Self::Reading { then } => {
                let wanted = then.unwrap_or(look);
                *then = Some(if look == Look::Anyway { look } else { wanted });
                false
            }
            Self::Hanging => false,
        }
    }

    /// A reading ended. Returns the look that was requested meanwhile.
    pub(super) fn end(&mut self) -> Option<Look> {
        match std::mem::replace(self, Self::Idle) {
            Self::Reading { then } => then,
            Self::Idle | Self::Planned | Self::Hanging => None,
        }
    }

    /// Plans a look after a pause. Returns whether it was not planned before.
    pub(super) fn plan(&mut self) -> bool {
        let is_new = *self == Self::Idle;
        if is_new {
            *self = Self::Planned;
        }
        is_new
    }
}

/// The result of a look.
pub(crate) enum Reading {
    /// The files are as they were when they were read last.
    Unchanged,
    /// The bundle, and the fingerprint of its files.
    Read(Bundle, u64),
    /// The directory has neither a policy nor data.
    Empty(u64),
    /// The bundle is invalid, and reading it again would not help.
    Refused(String, Vec<Diagnostic>, u64),
    /// The directory does not exist.
    Gone(String),
    /// It could not be read because of a temporary error.
    Failed(String),
    /// Reading takes too long to be waited for.
    Hangs(JoinHandle<()>),
}

/// Reads the bundle in `source`, unless its files still have the fingerprint `known`. Large bundles
/// wait for one another, so that not all of them are in memory twice at once; small ones wait for no
/// other. The wait for a file system that hangs has a deadline.
pub(crate) async fn load(
    source: BundleSource,
    known: Option<u64>,
    max_bytes: u64,
    large_readers: Arc<Semaphore>,
    loading: Handle,
) -> Reading {
    let BundleSource { source, verification } = source;
    let looked = source.clone();
    let files = match blocking_with_timeout(&loading, READ_PATIENCE, move || looked.stat()).await {
        Ok(files) => files,
        Err(error) => return not_done(error),
    };
    let fingerprint = files.fingerprint;
    if known == Some(fingerprint) {
        return Reading::Unchanged;
    }
    let small = max_bytes.min(SMALL_BUNDLE);
    let mut limit = if files.bytes > SMALL_BUNDLE { max_bytes } else { small };
    loop {
        // An archive says how large it is only when it is unpacked, and a directory may grow: then
        // it is read again, as a large one.
        let permit = match limit > SMALL_BUNDLE {
            true => match Arc::clone(&large_readers).acquire_owned().await {
                Ok(permit) => Some(permit),
                // The semaphore is never closed; where it is, the supervisor ends.
                Err(error) => return Reading::Failed(error.to_string()),
            },
            false => None,
        };
        let (source, verification) = (source.clone(), Arc::clone(&verification));
        let read = move || read(&source, limit, &verification);
        let reading = blocking_with_timeout(&loading, READ_PATIENCE, read).await;
        drop(permit);
        return match reading {
            Ok(Ok(bundle)) if bundle.files.is_empty() => Reading::Empty(fingerprint),
            Ok(Ok(bundle)) => Reading::Read(bundle, fingerprint),
            Ok(Err(BundleError::TooLarge { .. })) if limit < max_bytes => {
                limit = max_bytes;
                continue;
            }
            Ok(Err(error @ BundleError::Gone)) => Reading::Gone(error.to_string()),
            Ok(Err(error)) if error.is_passing() => Reading::Failed(error.to_string()),
            Ok(Err(error)) => {
                let message = error.to_string();
                let diagnostic = Diagnostic::new(DiagnosticCode::Bundle, message.clone());
                Reading::Refused(message, vec![diagnostic], fingerprint)
            }
            Err(error) => not_done(error),
        };
    }
}

fn not_done<T: Send + 'static>(error: BlockingError<T>) -> Reading {
    match error {
        BlockingError::Failed => Reading::Failed("the host has no thread to read it".to_owned()),
        BlockingError::Hangs(reading) => Reading::Hangs(tokio::spawn(async move {
            // Only that it ends matters.
            let _ = reading.await;
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundles::source::Source;
    use crate::config::BundleVerification;

    #[test]
    fn looks_while_a_bundle_is_read_are_one_look_after_it() {
        let mut loading = Loading::Idle;
        assert!(loading.look(Look::IfChanged));
        for look in [Look::IfChanged, Look::Anyway, Look::IfChanged] {
            assert!(!loading.look(look));
        }
        assert_eq!(loading.end(), Some(Look::Anyway));
        assert_eq!(loading, Loading::Idle);
        assert!(loading.plan() && !loading.plan());
        assert!(loading.look(Look::IfChanged) && !loading.plan());
        assert_eq!(loading.end(), None);
    }

    #[tokio::test]
    async fn a_bundle_that_has_not_changed_is_not_read_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_owned();
        let source = BundleSource {
            source: Source::At(path.clone()),
            verification: Arc::new(BundleVerification::none()),
        };
        let look = |known| {
            let readers = Arc::new(Semaphore::new(1));
            load(source.clone(), known, 1024, readers, Handle::current())
        };
        let Reading::Empty(empty) = look(None).await else { panic!("it holds nothing") };
        std::fs::write(path.join("policy.rego"), "package a").unwrap();
        let Reading::Read(bundle, fingerprint) = look(Some(empty)).await else {
            panic!("it has changed")
        };
        assert_eq!(bundle.files.len(), 1);
        assert!(matches!(look(Some(fingerprint)).await, Reading::Unchanged));
        std::fs::write(path.join("policy.rego"), "package b").unwrap();
        assert!(matches!(look(Some(fingerprint)).await, Reading::Read(..)));
    }
}
