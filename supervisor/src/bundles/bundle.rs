//! A bundle in memory, and the errors of reading one.

use enforcer_protocol::Revision;
use nix::errno::Errno;

use super::limits::{
    MAX_ARCHIVE_BYTES, MAX_COMPRESSION_RATIO, MAX_DEPTH, MAX_ENTRIES, MAX_EXTENSION_BYTES,
    MAX_FILES, MAX_PATH,
};
use super::names::Role;
use crate::signatures::{NotCanonical, TokenError, UnknownDigest};

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

/// A file as it was read, before it is known whether its bundle is accepted.
#[derive(Debug)]
pub(super) struct ReadFile {
    pub(super) file: BundleFile,
    pub(super) role: Role,
}

/// The files of a bundle as they were read.
#[derive(Debug)]
pub(super) struct ReadFiles {
    pub(super) files: Vec<ReadFile>,
    /// The first files that were not read, because nothing depends on them.
    pub(super) ignored: Vec<String>,
}

pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Why a bundle cannot be read. Paths are below the bundle's root: these texts reach users.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("the bundle is not there")]
    Gone,
    #[error(
        "there is a directory and an archive of this tenant; remove the one that is not its bundle"
    )]
    Ambiguous,
    #[error(
        "the configuration file has a remote bundle of this tenant, and BUNDLES_DIR has one too; remove the one that is not its bundle"
    )]
    AlsoRemote,
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
    #[error("the bundle holds more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    #[error("the bundle is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the bundle kept changing while it was read")]
    Changing,
    #[error("{path}: {why}")]
    RefusedName { path: String, why: &'static str },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("the archive is being written: {0}")]
    BeingWritten(ArchiveError),
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// Why an archive is not a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("the archive is larger than {MAX_ARCHIVE_BYTES} bytes")]
    TooLarge,
    #[error("the archive is truncated: it ends before its end; copy it again")]
    Truncated,
    #[error("the archive is damaged, or is not a gzipped tar file: {0}")]
    Damaged(String),
    #[error(
        "the archive unpacks to more than {MAX_COMPRESSION_RATIO} times its size; a bundle does not compress like that"
    )]
    Ratio,
    #[error("the archive's headers and padding take more than their limit")]
    Overhead,
    #[error("the archive goes on behind its end")]
    Trailing,
    #[error("{path}: is {kind}; only regular files and directories may be in an archive")]
    Kind { path: String, kind: &'static str },
    #[error("{path}: {why}")]
    Name { path: String, why: &'static str },
    #[error("{path}: comes twice in the archive")]
    Twice { path: String },
    #[error("{path}: is a file and a directory in the archive")]
    FileAndDirectory { path: String },
    #[error("the header that extends an entry is larger than {MAX_EXTENSION_BYTES} bytes")]
    ExtensionTooLarge,
    #[error("the header that extends an entry is refused: {0}")]
    Extension(String),
}

impl ArchiveError {
    /// Whether an archive looks like this while it is written.
    pub(super) const fn may_be_unfinished(&self) -> bool {
        matches!(self, Self::Truncated | Self::Damaged(_) | Self::Trailing)
    }
}

/// Why a bundle's signature does not let it be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error(
        "the bundle is not signed (.signatures.json), and this tenant's must be; sign it with opa sign or opa build"
    )]
    Missing,
    #[error(
        ".signatures.json: the bundle is signed, and no key is configured to verify it; add the key to [bundle_keys] in the configuration file"
    )]
    NoKeys,
    #[error(".signatures.json: {0}")]
    Token(#[from] TokenError),
    #[error(
        "{path}: the signature does not list this file; sign the bundle again, and a directory from the one above it: opa sign --bundle <tenant>"
    )]
    NotListed { path: String },
    #[error("{path}: the signature lists this file, and it is not in the bundle")]
    NotThere { path: String },
    #[error("{path}: the digest in the signature {0}", UnknownDigest)]
    Digest { path: String },
    #[error("{path}: differs from the file that was signed")]
    Differs { path: String },
    #[error("{path}: {error}, so its digest cannot be compared with the signature")]
    NotCanonical { path: String, error: NotCanonical },
    #[error(
        "{path}: signed data must be JSON, because YAML has more than one form of a value; opa build writes all data to data.json"
    )]
    Yaml { path: String },
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
            Self::Changing | Self::BeingWritten(_) => true,
            _ => false,
        }
    }
}
