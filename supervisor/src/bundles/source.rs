//! Where a tenant's bundle is: a directory or an archive in `BUNDLES_DIR`, or a downloaded archive.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use enforcer_protocol::TenantId;

use super::remote::cache::CachedFiles;
use super::walk::{Directory, Stat, identity, stat_directory};

/// What the name of an archive ends with, behind the tenant's id.
pub(crate) const ARCHIVE_SUFFIX: &str = ".tar.gz";

/// The places of one tenant's bundle.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    directory: PathBuf,
    archive: PathBuf,
    remote: Remote,
}

/// Whether the bundle is downloaded, and which copy of it is meant.
#[derive(Clone, Debug)]
enum Remote {
    /// It is in `BUNDLES_DIR`.
    No,
    /// The newest copy, which may be refused: something serves meanwhile.
    Newest(CachedFiles),
    /// The last good copy where there is one.
    Good(CachedFiles),
    /// `archive` is one that was downloaded as a whole.
    Whole,
}

/// The place that has the bundle now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Directory(&'a Path),
    Archive(&'a Path),
    /// Both are there, and either may be the one that is meant.
    Both,
    /// An archive that was downloaded. Nobody is writing it.
    Downloaded(PathBuf),
    /// The bundle is remote, and there is one in `BUNDLES_DIR` too.
    AlsoRemote,
}

impl Source {
    /// The places of a tenant's bundle in `bundles_dir`.
    pub(crate) fn new(bundles_dir: &Path, tenant_id: &TenantId) -> Self {
        Self {
            directory: bundles_dir.join(tenant_id.as_str()),
            archive: bundles_dir.join(format!("{tenant_id}{ARCHIVE_SUFFIX}")),
            remote: Remote::No,
        }
    }

    /// The places of a tenant's bundle that is downloaded to `files`.
    pub(crate) fn remote(bundles_dir: &Path, tenant_id: &TenantId, files: CachedFiles) -> Self {
        Self { remote: Remote::Newest(files), ..Self::new(bundles_dir, tenant_id) }
    }

    /// An archive that was downloaded as a whole, whatever is in `BUNDLES_DIR`.
    pub(super) fn of_whole_archive(archive: &Path) -> Self {
        Self { directory: PathBuf::new(), archive: archive.to_owned(), remote: Remote::Whole }
    }

    /// Whether the bundle is downloaded.
    pub(crate) const fn is_remote(&self) -> bool {
        !matches!(self.remote, Remote::No)
    }

    /// The bundle that a tenant without a serving worker should have: the last good copy, where
    /// bundles are downloaded. A newer one may be refused, and is tried beside it.
    pub(crate) fn for_start(self) -> Self {
        match self.remote {
            Remote::Newest(files) => Self { remote: Remote::Good(files), ..self },
            remote => Self { remote, ..self },
        }
    }

    /// The bundle at a path, which may be a directory or an archive of any name.
    pub(crate) fn at(path: &Path) -> Self {
        Self { directory: path.to_owned(), archive: path.to_owned(), remote: Remote::No }
    }

    /// A bundle that is, or would be, in this directory.
    #[cfg(test)]
    pub(crate) fn of_directory(directory: &Path) -> Self {
        let archive = directory.join("no archive");
        Self { directory: directory.to_owned(), archive, remote: Remote::No }
    }

    /// A bundle that is, or would be, this archive.
    #[cfg(test)]
    pub(crate) fn of_archive(archive: &Path) -> Self {
        Self {
            directory: archive.with_extension("no directory"),
            archive: archive.to_owned(),
            remote: Remote::No,
        }
    }

    /// The directory's path, which paths of [`Directory`] are below.
    pub(super) fn root(&self) -> &Path {
        &self.directory
    }

    /// What is there now. Neither counts as a directory, which reading then does not find.
    pub(super) fn place(&self) -> Place<'_> {
        // A file that cannot be examined is there too: reading it reports the error.
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let is_directory = || {
            is_there(&self.directory)
                && self.directory.metadata().map_or(true, |metadata| metadata.is_dir())
        };
        let is_archive = || {
            is_there(&self.archive)
                && self.archive.metadata().map_or(true, |metadata| !metadata.is_dir())
        };
        let (files, is_newest) = match &self.remote {
            Remote::Whole => return Place::Downloaded(self.archive.clone()),
            Remote::Newest(_) | Remote::Good(_) if is_directory() || is_archive() => {
                return Place::AlsoRemote;
            }
            Remote::Newest(files) => (Some(files), true),
            Remote::Good(files) => (Some(files), false),
            Remote::No => (None, false),
        };
        if let Some(files) = files {
            let (good, candidate) = (files.good(), files.candidate());
            let is_candidate = if is_newest { is_there(&candidate) } else { !is_there(&good) };
            return Place::Downloaded(if is_candidate { candidate } else { good });
        }
        match (is_directory(), is_archive()) {
            (true, true) => Place::Both,
            (false, true) => Place::Archive(&self.archive),
            (_, false) => Place::Directory(&self.directory),
        }
    }

    /// Looks at the bundle without reading it, also at an invalid one.
    pub(crate) fn stat(&self) -> Stat {
        match self.place() {
            Place::Directory(root) => stat_directory(root),
            Place::Archive(path) => stat_archive(path),
            Place::Downloaded(path) => stat_archive(&path),
            Place::Both | Place::AlsoRemote => {
                let (directory, archive) =
                    (stat_directory(&self.directory), stat_archive(&self.archive));
                let mut hasher = DefaultHasher::new();
                (directory.fingerprint, archive.fingerprint).hash(&mut hasher);
                Stat { fingerprint: hasher.finish(), ..directory }
            }
        }
    }
}

fn stat_archive(path: &Path) -> Stat {
    let metadata = path.metadata();
    let mut hasher = DefaultHasher::new();
    metadata.as_ref().map(identity).map_err(ToString::to_string).hash(&mut hasher);
    let bytes = metadata.map_or(0, |metadata| metadata.len());
    Stat { fingerprint: hasher.finish(), bytes, directories: Vec::<Directory>::new() }
}
