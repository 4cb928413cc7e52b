//! Where a tenant's bundle is: a directory or an archive in `BUNDLES_DIR`, or a downloaded archive.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use enforcer_protocol::TenantId;

use super::remote::cache::CachedFiles;
use super::walk::{Directory, Stat, identity, stat_directory};

/// The suffix of an archive's name, behind the tenant's id.
pub(crate) const ARCHIVE_SUFFIX: &str = ".tar.gz";

/// Where one tenant's bundle is.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// At a path that somebody named: a directory, or an archive of any name.
    At(PathBuf),
    /// In `BUNDLES_DIR`.
    Local(LocalPlaces),
    /// It is downloaded to `files`. In `BUNDLES_DIR` there must be none.
    Remote { local: LocalPlaces, files: CachedFiles, copy: RemoteCopy },
    /// This archive, which was downloaded as a whole, whatever is in `BUNDLES_DIR`.
    Download(PathBuf),
}

/// The two places in `BUNDLES_DIR` of which a tenant's bundle has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalPlaces {
    directory: PathBuf,
    archive: PathBuf,
}

/// The copy of a remote bundle that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteCopy {
    /// The newest one, which may be refused: another one serves meanwhile.
    Newest,
    /// The last good one, if there is one.
    Good,
}

/// The place that has the bundle now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// Also if nothing is there: reading it then reports that.
    Directory(&'a Path),
    Archive(&'a Path),
    /// Both are there, and either may be the one that is meant.
    Both(&'a LocalPlaces),
    /// An archive that was downloaded. Nobody is writing it.
    Downloaded(PathBuf),
    /// The bundle is remote, and `BUNDLES_DIR` has one of the tenant, too.
    AlsoRemote(&'a LocalPlaces),
}

impl LocalPlaces {
    fn new(bundles_dir: &Path, tenant_id: &TenantId) -> Self {
        Self {
            directory: bundles_dir.join(tenant_id.as_str()),
            archive: bundles_dir.join(format!("{tenant_id}{ARCHIVE_SUFFIX}")),
        }
    }

    fn has_directory(&self) -> bool {
        is_there(&self.directory)
            && self.directory.metadata().map_or(true, |metadata| metadata.is_dir())
    }

    fn has_archive(&self) -> bool {
        is_archive(&self.archive)
    }

    fn stat(&self) -> Stat {
        let (directory, archive) = (stat_directory(&self.directory), stat_archive(&self.archive));
        let mut hasher = DefaultHasher::new();
        (directory.fingerprint, archive.fingerprint).hash(&mut hasher);
        Stat { fingerprint: hasher.finish(), ..directory }
    }
}

impl Source {
    /// A tenant's bundle in `bundles_dir`.
    pub(crate) fn new(bundles_dir: &Path, tenant_id: &TenantId) -> Self {
        Self::Local(LocalPlaces::new(bundles_dir, tenant_id))
    }

    /// A tenant's bundle that is downloaded to `files`.
    pub(crate) fn remote(bundles_dir: &Path, tenant_id: &TenantId, files: CachedFiles) -> Self {
        let local = LocalPlaces::new(bundles_dir, tenant_id);
        Self::Remote { local, files, copy: RemoteCopy::Newest }
    }

    /// Whether the bundle is downloaded.
    pub(crate) const fn is_remote(&self) -> bool {
        matches!(self, Self::Remote { .. } | Self::Download(_))
    }

    /// The bundle that a tenant without a serving worker should have: the last good copy, where
    /// bundles are downloaded. A newer one may be refused, and is tried beside it.
    pub(crate) fn for_start(self) -> Self {
        match self {
            Self::Remote { local, files, copy: _ } => {
                Self::Remote { local, files, copy: RemoteCopy::Good }
            }
            other => other,
        }
    }

    /// The path that the paths of [`Directory`] are below.
    pub(super) fn root(&self) -> &Path {
        match self {
            Self::At(path) | Self::Download(path) => path,
            Self::Local(local) | Self::Remote { local, .. } => &local.directory,
        }
    }

    /// Looks for the bundle in its places.
    pub(super) fn place(&self) -> Place<'_> {
        match self {
            Self::At(path) if is_archive(path) => Place::Archive(path),
            Self::At(path) => Place::Directory(path),
            Self::Local(local) => match (local.has_directory(), local.has_archive()) {
                (true, true) => Place::Both(local),
                (false, true) => Place::Archive(&local.archive),
                (_, false) => Place::Directory(&local.directory),
            },
            Self::Remote { local, .. } if local.has_directory() || local.has_archive() => {
                Place::AlsoRemote(local)
            }
            Self::Remote { files, copy, .. } => {
                let (good, candidate) = (files.good(), files.candidate());
                let is_candidate = match copy {
                    RemoteCopy::Newest => is_there(&candidate),
                    RemoteCopy::Good => !is_there(&good),
                };
                Place::Downloaded(if is_candidate { candidate } else { good })
            }
            Self::Download(path) => Place::Downloaded(path.clone()),
        }
    }

    /// Looks at the bundle without reading it, also at an invalid one.
    pub(crate) fn stat(&self) -> Stat {
        match self.place() {
            Place::Directory(root) => stat_directory(root),
            Place::Archive(path) => stat_archive(path),
            Place::Downloaded(path) => stat_archive(&path),
            Place::Both(local) | Place::AlsoRemote(local) => local.stat(),
        }
    }
}

/// Whether a path has something. A file that cannot be examined is there too: reading it reports
/// the error.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether a path has something that is not a directory.
fn is_archive(path: &Path) -> bool {
    is_there(path) && path.metadata().map_or(true, |metadata| !metadata.is_dir())
}

fn stat_archive(path: &Path) -> Stat {
    let metadata = path.metadata();
    let mut hasher = DefaultHasher::new();
    metadata.as_ref().map(identity).map_err(ToString::to_string).hash(&mut hasher);
    let bytes = metadata.map_or(0, |metadata| metadata.len());
    Stat { fingerprint: hasher.finish(), bytes, directories: Vec::<Directory>::new() }
}
