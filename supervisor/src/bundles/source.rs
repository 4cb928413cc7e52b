//! Where a tenant's bundle is: a directory or an archive in `BUNDLES_DIR`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use enforcer_protocol::TenantId;

use super::walk::{Directory, Stat, identity, stat_directory};

/// What the name of an archive ends with, behind the tenant's id.
pub(crate) const ARCHIVE_SUFFIX: &str = ".tar.gz";

/// The places of one tenant's bundle.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    directory: PathBuf,
    archive: PathBuf,
}

/// The place that has the bundle now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Directory(&'a Path),
    Archive(&'a Path),
    /// Both are there, and either may be the one that is meant.
    Both,
}

impl Source {
    /// The places of a tenant's bundle in `bundles_dir`.
    pub(crate) fn new(bundles_dir: &Path, tenant_id: &TenantId) -> Self {
        Self {
            directory: bundles_dir.join(tenant_id.as_str()),
            archive: bundles_dir.join(format!("{tenant_id}{ARCHIVE_SUFFIX}")),
        }
    }

    /// The bundle at a path, which may be a directory or an archive of any name.
    pub(crate) fn at(path: &Path) -> Self {
        Self { directory: path.to_owned(), archive: path.to_owned() }
    }

    /// A bundle that is, or would be, in this directory.
    #[cfg(test)]
    pub(crate) fn of_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), archive: directory.join("no archive") }
    }

    /// A bundle that is, or would be, this archive.
    #[cfg(test)]
    pub(crate) fn of_archive(archive: &Path) -> Self {
        Self { directory: archive.with_extension("no directory"), archive: archive.to_owned() }
    }

    /// The directory's path, which paths of [`Directory`] are below.
    pub(super) fn root(&self) -> &Path {
        &self.directory
    }

    /// What is there now. Neither counts as a directory, which reading then does not find.
    pub(super) fn place(&self) -> Place<'_> {
        // What cannot be examined is there too: reading it reports the error.
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let is_directory = is_there(&self.directory)
            && self.directory.metadata().map_or(true, |metadata| metadata.is_dir());
        let is_archive = is_there(&self.archive)
            && self.archive.metadata().map_or(true, |metadata| !metadata.is_dir());
        match (is_directory, is_archive) {
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
            Place::Both => {
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
