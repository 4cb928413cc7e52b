//! A bundle in memory, and the errors of reading one.

use enforcer_protocol::Revision;
use nix::errno::Errno;

use super::limits::{MAX_DEPTH, MAX_ENTRIES, MAX_FILES, MAX_PATH};

/// A bundle as it was at one moment.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) revision: Revision,
    /// Sorted by path.
    pub(crate) files: Vec<BundleFile>,
    /// Files that are not part of a bundle, by path; at most [`MAX_IGNORED`].
    pub(crate) ignored_files: Vec<String>,
}

/// A file of a bundle.
#[derive(Debug)]
pub(crate) struct BundleFile {
    /// Below the bundle's root, `/` between the parts.
    pub(crate) path: String,
    /// In pieces of [`BUNDLE_CHUNK`], of which the last may be shorter: so a large file is read,
    /// sent and freed with pauses in which its thread can be told to give way.
    pub(crate) content: Vec<Box<[u8]>>,
}

impl BundleFile {
    /// Bytes.
    pub(crate) fn length(&self) -> u64 {
        self.content.iter().map(|piece| length(piece)).sum()
    }
}

pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Why a bundle cannot be read. Paths are below the bundle's root: these texts reach users.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("the bundle's directory is not there")]
    Gone,
    #[error("{path}: cannot be read: {error}")]
    Unreadable { path: String, error: Errno },
    #[error("{path}: leads out of the bundle's directory; a link must be relative and stay inside")]
    Escapes { path: String },
    #[error("{path}: is not a regular file")]
    NotAFile { path: String },
    #[error("{path}: the name is not UTF-8, or holds control characters")]
    Name { path: String },
    #[error("{path}: the path is longer than {MAX_PATH} bytes")]
    PathTooLong { path: String },
    #[error("{path}: is more than {MAX_DEPTH} directories deep; does a link lead back up?")]
    TooDeep { path: String },
    #[error("the bundle holds more than {MAX_FILES} files")]
    TooManyFiles,
    #[error("the bundle's directory holds more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    #[error("the bundle is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the bundle kept changing while it was read")]
    Changing,
}

impl BundleError {
    /// Whether the host or a temporary condition is at fault, so that the same bundle may be read
    /// later.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Unreadable { error, .. } => matches!(
                error,
                Errno::EMFILE
                    | Errno::ENFILE
                    | Errno::ENOMEM
                    | Errno::EIO
                    | Errno::ESTALE
                    | Errno::EINTR
                    | Errno::EAGAIN
            ),
            Self::Changing => true,
            _ => false,
        }
    }
}
